"""Scores of translations, against sacreBLEU and against slow ways of computing them."""

import json
import math
import random

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF, TER

from seqapps.errors import ShapeError, UseError
from seqapps.metrics.generation import WrittenExample, check_tokenize, evaluate_translation
from seqapps.metrics.generation.character_errors import edit_distance
from seqapps.metrics.generation.tables import examples_by, lengths
from seqapps.metrics.intervals import Bootstrap
from seqapps.metrics.score import METRICS

WORDS = ["the", "a", "cat,", "dog.", "sat", "on", "in", "mat", "(tree)", "ran", "Über", "über", "12,5", "%"]


def example(hypothesis, *references, source="x", **others):
    split = [reference.split() for reference in references]
    return WrittenExample(source.split(), hypothesis, hypothesis.split(), references, split, **others)


def corpus(references, seed=0, N=40):
    """Sentences that are partly right, with one to `references` references each; some are empty."""
    draw = random.Random(seed)
    examples = []
    for _ in range(N):
        first = draw.choices(WORDS, k=draw.randint(1, 12))
        written = [word for word in first if draw.random() < 0.8] + draw.choices(WORDS, k=draw.randint(0, 2))
        others = [draw.sample(first, len(first)) for _ in range(draw.randint(1, references) - 1)]
        texts = [" ".join(one) for one in ([], *others)] if draw.random() < 0.05 else [" ".join(first)]
        texts += [" ".join(one) for one in others[: references - len(texts)]]
        examples.append(example(" ".join(written), *texts, source=" ".join(first[::-1])))
    return examples


def streams(examples):
    most = max(len(one.references) for one in examples)
    return [[one.references[n] if n < len(one.references) else None for one in examples] for n in range(most)]


@pytest.mark.parametrize("references", [1, 3])
@pytest.mark.parametrize("tokenize", ["13a", "intl", "char", "none", "zh"])
def test_bleu_chrf_and_ter_are_those_of_sacrebleu(references, tokenize):
    examples = corpus(references)
    found = evaluate_translation(examples, tokenize=tokenize)
    texts, others = [one.hypothesis for one in examples], streams(examples)
    for name, metric in (("bleu", BLEU(tokenize=tokenize)), ("chrf", CHRF()), ("ter", TER())):
        # One reference: to the last digit. More: the mean lengths of references, which TER uses, are summed otherwise.
        expected = metric.corpus_score(texts, others).score
        assert found.scores[name].value == (expected if references == 1 else pytest.approx(expected, rel=1e-14)), name
        assert found.tables["signatures"][name] == metric.get_signature().format()


def test_a_text_without_any_right_ngram_has_the_scores_of_sacrebleu():
    examples = [example("x y", "a b c"), example("", "a")]
    found = evaluate_translation(examples)
    assert found.scores["bleu"].value == found.scores["chrf"].value == 0.0
    assert found.scores["ter"].value == TER().corpus_score(["x y", ""], [["a b c", "a"]]).score


def test_ter_counts_chinese_characters_where_it_is_asked_to():
    examples = [example("我喜欢猫", "我喜欢狗")]
    assert evaluate_translation(examples).scores["ter"].value == 100.0
    found = evaluate_translation(examples, tokenize="zh", characters=True)
    assert found.scores["ter"].value == 25.0
    assert "asian:yes" in found.tables["signatures"]["ter"]
    assert "tok:zh" in found.tables["signatures"]["bleu"]


@pytest.mark.parametrize(
    ("tokenize", "part"),
    [("flores200", "would download"), ("spm", "would download"), ("13b", "did you mean '13a'"), ("ja-mecab", "")],
)
def test_a_tokenizer_that_cannot_be_used_is_refused_in_one_line(tokenize, part, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UseError, match=part or "pip install 'sacrebleu\\[ja\\]'") as error:
        evaluate_translation([example("a", "a")], tokenize=tokenize)
    assert "\n" not in str(error.value)
    assert str(error.value) == f"BLEU: {check_tokenize(tokenize)}"


def test_exact_match_and_length_ratio_are_what_they_are_by_hand():
    examples = [example("a b", "a  b"), example("a", "b", "a"), example("a b c", "a b", "a b c d"), example("", "a")]
    scores = evaluate_translation(examples).scores
    assert scores["exact_match"].value == 2 / 4
    assert scores["length_ratio"].value == (2 + 1 + 3 + 0) / (2 + 1 + 2 + 1)  # of lengths 2 and 4 the shorter


def slow_edit_distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        last, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (x != y)))
    return row[-1]


def test_edit_distance_is_that_of_the_table_of_distances():
    draw = random.Random(1)
    pairs = [
        ["".join(draw.choices("abc", k=draw.choice([0, 1, 2, 5, 9, 70, 130]))) for _ in range(2)] for _ in range(300)
    ]
    for a, b in pairs:
        assert edit_distance(a, b) == slow_edit_distance(a, b), (a, b)


def test_the_character_error_rate_takes_the_nearest_reference():
    examples = [example("kitten", "sitting", "mitten"), example("ab", "abc")]
    score = evaluate_translation(examples).scores["character_error_rate"]
    assert score.value == (1 + 1) / (6 + 3)
    assert (score.count, score.unit_of_count) == (9, "characters")


def test_perplexity_is_there_where_every_example_was_forced():
    forced = [example("a", "a", nll=2.0, count=4), example("a", "a b", nll=1.0, count=2)]
    assert evaluate_translation(forced).scores["perplexity"].value == pytest.approx(math.exp(3 / 6))
    assert "perplexity" not in evaluate_translation([*forced, example("a", "a")]).scores


def test_scores_of_a_resample_are_those_of_sacrebleu_on_it():
    examples = corpus(1)
    weights = np.bincount(np.random.default_rng(0).integers(0, len(examples), len(examples)), minlength=len(examples))
    drawn = [one for one, n in zip(examples, weights, strict=True) for _ in range(n)]
    texts, references = [one.hypothesis for one in drawn], streams(drawn)
    counted = evaluate_translation(examples).counted
    for name, metric in (("bleu", BLEU()), ("chrf", CHRF()), ("ter", TER())):
        (score,) = counted[name].statistic(weights[None].astype(np.float64) @ counted[name].counts)
        assert score == metric.corpus_score(texts, references).score, name


def test_intervals_and_paired_differences_hold_the_values():
    good, bad = corpus(1, seed=1), [one._replace(hypothesis="the", tokens=["the"]) for one in corpus(1, seed=1)]
    bootstrap = Bootstrap(samples=200)
    one, other = (evaluate_translation(examples, bootstrap=bootstrap) for examples in (good, bad))
    for score in one.scores.values():
        assert score.interval.low <= score.value <= score.interval.high
    difference = one.difference(other, bootstrap)
    assert difference.metric == "bleu"
    assert difference.interval.low > 0


def test_a_split_without_examples_has_no_scores():
    found = evaluate_translation([], bootstrap=Bootstrap(samples=10))
    assert {score.value for score in found.scores.values()} == {None}
    json.dumps(found.tables, allow_nan=False)


def test_an_example_without_references_is_refused():
    with pytest.raises(ShapeError, match="example 2: 0 references as text, 0 as tokens"):
        evaluate_translation([example("a", "a"), example("a")])


def test_every_score_says_what_it_is():
    found = evaluate_translation([example("a", "a", nll=1.0, count=1)])
    assert set(found.scores) <= set(METRICS)
    assert found.metrics()["ter"]["higher_is_better"] is False


def test_examples_are_sorted_by_their_own_chrf():
    examples = corpus(1, N=60)
    table = evaluate_translation(examples).tables["examples"]
    alone = [CHRF().corpus_score([one.hypothesis], [[one.references[0]]]).score for one in examples]
    assert table["metric"] == "chrf"
    for row in (*table["best"], *table["even"], *table["worst"]):
        assert row["score"] == alone[row["number"] - 1]
        assert row["hypothesis"] == examples[row["number"] - 1].hypothesis
    alone = [score for score, one in zip(alone, examples, strict=True) if one.references[0]]
    assert [row["score"] for row in table["worst"]] == sorted(alone)[:20]
    assert [row["score"] for row in table["best"]] == sorted(alone, reverse=True)[:10]
    assert set(np.diff([row["number"] for row in table["even"]])) <= {5, 6, 7}


def test_bleu_by_length_is_that_of_the_sentences_of_the_length():
    examples = corpus(1)
    for row in evaluate_translation(examples).tables["by_length"]["rows"]:
        group = [one for one in examples if row["low"] <= len(one.source) <= (row["high"] or 999)]
        expected = BLEU().corpus_score([one.hypothesis for one in group], streams(group)).score
        assert (row["value"], row["count"]) == (expected, len(group))


def test_words_written_too_often_and_too_seldom_are_what_they_are_by_hand():
    examples = [example("a a b", "a b b", "a c"), example("a", "d")]
    table = evaluate_translation(examples).tables["words"]
    assert table["over"] == [{"word": "a", "written": 3, "expected": 1.0}]
    assert [row["word"] for row in table["under"]] == ["d", "c"]  # b: 1 written, 2 halves expected
    assert table["under"][1] == {"word": "c", "written": 0, "expected": 0.5}


def test_lengths_are_counted_in_bins_of_equal_width():
    rows = evaluate_translation([example("a " * 41, "a"), example("a", "a a a", "a a")]).tables["lengths"]
    assert rows[0] == {"low": 0, "high": 2, "written": 1, "references": 2}
    assert rows[1] == {"low": 3, "high": 5, "written": 0, "references": 1}
    assert (rows[-1]["low"], rows[-1]["high"], rows[-1]["written"]) == (39, 41, 1)
    assert len(rows) <= 20


def test_attention_is_shown_of_sentences_that_fit():
    weights = [[0.25, 0.75], [1.0, 0.0], [0.123456, 0.5]]
    long = example("a", "a", source="x " * 40, attention=[[0.025] * 40])
    short = [example("a b", "a b", source=f"x {n}", attention=weights) for n in (0, 0, 1, 2, 3, 4)]
    table = evaluate_translation([example("a", "a"), long, *short]).tables["attention"]
    assert [row["number"] for row in table] == [3, 5, 6, 7]  # 4 is as 3
    assert table[0]["source"] == ["x", "0"]
    assert table[0]["target"] == ["a", "b", "(end)"]
    assert table[0]["weights"] == [[0.25, 0.75], [1.0, 0.0], [0.1235, 0.5]]


def test_tables_stay_small_however_large_the_split_is():
    examples = [example("a " * 3000, *["b " * 3000] * 9, source="x " * 3000)] * 50
    table = examples_by("chrf", examples, np.arange(50.0))
    assert [len(table[name]) for name in ("best", "even", "worst")] == [10, 10, 20]
    assert len(json.dumps(table)) < 40 * 7000
    assert len(lengths(examples)) <= 20
