"""What the page shows of written texts."""

import re

import pytest

from seqapps.metrics.generation import WrittenExample, evaluate_captions, evaluate_translation
from seqapps.report import render
from seqapps.report.generation_plots import attention_map, length_histogram
from seqapps.report.generation_section import attention, examples, signatures, written


def example(hypothesis, *references, source=("我", "喜欢", "书"), **others):
    split = [reference.split() for reference in references]
    return WrittenExample(source, hypothesis, hypothesis.split(), references, split, **others)


WEIGHTS = [[0.25, 0.5, 0.25], [1.0, 0.0, 0.0]]
TRANSLATION = evaluate_translation(
    [example("I like", "I like books", attention=WEIGHTS), *[example("the <b>", "I like it", "I do")] * 12]
)
CAPTIONS = evaluate_captions(
    [example("a dog", *["a brown dog"] * 7, source="dog.jpg"), example("a", "snow", source="snow.jpg")],
    training_captions=[],
)


def report_of(evaluation, task):
    return {
        "format": 1,
        "name": "written",
        "task": task,
        "split": "test",
        "headline": evaluation.headline,
        "metrics": evaluation.metrics(),
        "tables": evaluation.tables,
    }


@pytest.fixture
def translation():
    return report_of(TRANSLATION, "translation")


@pytest.fixture
def captions():
    return report_of(CAPTIONS, "captioning")


def anchors(page):
    return re.findall(r'<section id="(\w+)">', page)


def test_the_page_of_a_translation_has_its_sections(translation):
    page = render(translation)
    assert anchors(page) == ["scores", "signatures", "groups", "examples", "written", "attention"]
    assert "BLEU" in page
    assert TRANSLATION.tables["signatures"]["bleu"] in page
    assert "我 喜欢 书" in page
    assert "the &lt;b&gt;" in page
    assert "<b>" not in page


def test_the_page_of_captions_shows_every_reference_beside_the_caption(captions):
    page = render(captions)
    assert anchors(page) == ["scores", "examples", "written"]
    assert "dog.jpg" in page
    listed = page[page.index("Throughout the split") :]
    assert listed[: listed.index("snow.jpg")].count('<td dir="auto">a brown dog</td>') == 5
    assert "2 references more are not shown" in page


def test_usual_examples_come_first_and_scores_have_their_unit(translation, captions):
    parts = examples(translation).content["parts"]
    assert [part["title"] for part in parts] == ["Throughout the split", "Best", "Worst"]
    best = parts[1]["rows"][0]
    assert best["shown"] == f"{best['score']:.1f}"
    best = examples(captions).content["parts"][1]["rows"][0]
    assert best["shown"] == f"{best['score']:.2f}"


def test_words_and_lengths_are_shown(translation):
    content = written(translation).content
    assert [part["title"] for part in content["words"]] == ["Written too often", "Written too seldom"]
    assert content["words"][0]["rows"][0]["word"] in ("the", "<b>")
    assert "<svg" in content["plot"]


def test_a_report_without_such_tables_has_none_of_it(translation):
    del translation["tables"]
    for section in (signatures, examples, written, attention):
        assert section(translation) is None


def test_empty_tables_are_left_out(translation):
    translation["tables"] = evaluate_translation([]).tables
    for section in (signatures, examples, written, attention):
        assert section(translation) is None


def opacities(svg, series=1):
    return [float(value) for value in re.findall(rf"fill: var\(--series-{series}\); fill-opacity: ([\d.]+)", svg)]


def test_the_shade_of_a_square_is_its_weight():
    svg = attention_map(["a", "b", "c"], ["x", "y"], WEIGHTS)
    whole = re.findall(r"fill: var\(--series-1\)(?!; fill-opacity)", svg)
    assert sorted(opacities(svg)) == [0.25, 0.25, 0.5]
    assert len(whole) == 1  # the weight of 1; none of 0 is drawn
    assert "<image" not in svg


def test_of_a_pointer_a_last_column_says_how_probable_copying_was():
    without = attention_map(["a", "b", "c"], ["x", "y"], WEIGHTS)
    svg = attention_map(["a", "b", "c"], ["x", "y"], WEIGHTS, [0.75, 0.375])
    assert opacities(svg) == opacities(without)
    assert opacities(svg, 2) == [0.25, 0.625]
    assert ">1 − p_gen<" in svg
    assert size(svg)[0] > size(without)[0]


def size(svg):
    return tuple(float(part) for part in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())


def test_labels_stay_text_and_chinese_ones_have_more_room():
    (narrow, low), (wide, high) = (size(attention_map([t], [t], [[1.0]])) for t in ("abcd", "图书馆里"))
    assert wide - narrow == pytest.approx(4 * 9 * (1 - 0.62), abs=0.01)
    assert high - low == pytest.approx(wide - narrow, abs=0.01)
    svg = attention_map(["图书馆"], ["library"], [[1.0]])
    assert ">图书馆<" in svg
    assert ">library<" in svg


def test_a_long_token_is_cut():
    svg = attention_map(["Donaudampfschifffahrtsgesellschaft"], ["a"], [[1.0]])
    assert ">Donaudampfschifffahr…<" in svg


def test_weights_of_almost_nothing_are_not_drawn():
    assert opacities(attention_map(["a"], ["b"], [[0.004]])) == []


def test_both_kinds_of_texts_are_named_in_the_plot_of_lengths():
    svg = length_histogram([0, 1, 2], {"written": [0, 3], "references": [5, 0]}, "length in tokens")
    for name in ("written", "references", "length in tokens"):
        assert f">{name}<" in svg
