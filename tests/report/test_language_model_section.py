import random
from html.parser import HTMLParser

import pytest

from seqapps.metrics.intervals import Bootstrap
from seqapps.metrics.language_model import ScoredSentence, evaluate_language_model, evaluate_pairs
from seqapps.report import format_metrics, headline, render

EVIL = "<b>&'\""


class _Texts(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found, self.tags = [], []
        self.feed(page)

    def handle_data(self, data):
        self.found.append(data)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def text_of(page):
    return " ".join("".join(_Texts(page).found).split())


@pytest.fixture
def make():
    """(regime, separator) -> a report of a language model."""

    def report(regime="sentence", separator=" "):
        generator = random.Random(0)
        sentences = [
            ScoredSentence(["the", EVIL, "犬"], [-2, -7 - generator.random(), -1, -0.5], [False, False, True])
            for _ in range(25)
        ]
        sentences.append(ScoredSentence([*"abcde", EVIL], [-14.0, *[-1.0] * 5, -0.5], [False] * 6))
        found = evaluate_language_model(
            sentences, regime=regime, separator=separator, frequencies={"the": 3}, bootstrap=Bootstrap(samples=50)
        )
        pairs = evaluate_pairs([-3, -5, -3], [-4, -2, -9], ["near", EVIL, "near"], bootstrap=Bootstrap(samples=50))
        return {
            "format": 1,
            "name": "rnnlm",
            "task": "language_model",
            "split": "test",
            "headline": "perplexity",
            "metrics": {**found.metrics(), **pairs.metrics()},
            "baselines": {"kneser_ney_5": {"metrics": found.metrics()}},
            "tables": {**found.tables, **pairs.tables},
        }

    return report


def test_what_was_predicted_is_said(make):
    text = text_of(render(make()))
    assert "Each sentence was read by itself" in text
    assert "30.9 % of the tokens are not in the vocabulary" in text  # 25 of 81
    assert "with a blank between two of them" in text
    assert "The sentences were read as one stream" in text_of(render(make("stream", "")))
    assert "with a blank between two of them" not in text_of(render(make("stream", "")))


def test_hard_and_easy_words_and_where_it_is_hard_are_shown(make):
    text = text_of(render(make()))
    assert f"Hardest wordperplexitytimesshare % {EVIL}" in text
    assert "Easiest wordperplexitytimesshare % the7.425" in text  # exp(2), 25 times
    for part in ("By position in the sentence", "By length in tokens", "By frequency of the word form in training"):
        assert part in text


def test_the_surprise_of_tokens_and_end_mark_is_shown_in_bits(make):
    page = render(make())
    assert "sentence 26: perplexity" in text_of(page)
    assert "a20.2 b1.4 c1.4 d1.4 e1.4" in text_of(page)  # 14 / log 2, 1 / log 2
    assert "end0.7" in text_of(page)
    shades = [a["style"] for tag, a in _Texts(page).tags if tag == "span" and "heat" in a.get("class", "")]
    assert shades[:2] == ["--share:0.60", "--share:0.04"]


def test_of_a_cut_sentence_the_rest_is_counted(make):
    report = make()
    sentence = report["tables"]["sentence_surprise"][0]
    report["tables"]["sentence_surprise"] = [{**sentence, "log_probs": [-1.0] * 6, "left_out": 1234}]
    text = text_of(render(report))
    assert "1,234 tokens more and the end are not shown" in text
    assert "end1.4" not in text


def test_pairs_are_shown_by_group(make):
    text = text_of(render(make()))
    assert f"{EVIL}0.00.0–0.01" in text
    assert "near100.0" in text


def test_many_groups_of_pairs_are_a_table_alone(make):
    report = make()
    rows = report["tables"]["pairs"]["rows"]
    figures = render(report).count("<figure")
    report["tables"]["pairs"]["rows"] = rows * 9
    assert render(report).count("<figure") == figures - 1


def test_perplexities_far_apart_have_a_logarithmic_axis(make):
    report = make()
    rows = report["tables"]["by_position"]["rows"]
    rows[0].update(value=2_000_000.0, interval=[1_000_000.0, 9_000_000.0])
    page = render(report)
    assert ">1,000,000</text>" in page
    assert ">1,000</text>" in page
    assert ">2,000,000.0</td>" in page
    for row in rows:
        row.update(value=1500.0, interval=[1400.0, 1600.0])
    assert ">1,000</text>" not in render(report)


def test_nothing_of_the_text_becomes_markup(make):
    assert not [tag for tag, _ in _Texts(render(make())).tags if tag == "b"]


def test_a_split_without_frequent_words_has_no_table_of_words(make):
    report = make()
    report["tables"]["word_surprise"].update(hardest=[], easiest=[])
    text = text_of(render(report))
    assert "Each sentence was read by itself" in text
    assert "Hardest" not in text


def test_lines_for_the_terminal_have_plain_numbers_and_finer_bits(make):
    report = make()
    report["metrics"]["bits_per_character"]["value"] = 1.23456
    lines = {line.split("  ")[0]: line for line in format_metrics(report).split("\n")}
    assert " 1.235 [" in lines["bits per character"]
    assert "%" not in lines["perplexity"]
    assert lines["right sentence preferred %"].split()[4] == "66.67"
    assert headline(report).startswith("Perplexity ")
    assert "tokens and end marks of the test split" in headline(report)
    assert "the Kneser-Ney 5-gram model of the same data reaches" in headline(report)
