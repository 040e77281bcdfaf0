import re
import warnings
from html.parser import HTMLParser

import pytest

from seqapps.errors import RunError
from seqapps.report import model_card, render, write_html
from seqapps.report.plots import Panel, Point, Series, curves, dots, multiples
from seqapps.report.sections import SECTIONS

_VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """The page as a browser sees it: elements with attributes, text, ids; fails on a tag that is closed wrongly."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_loads_nothing(report):
    page = Page(render(report))
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "img", "object", "embed", "base", "image"}, tag
        for name in ("src", "srcset", "data", "action", "poster", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith("#"), (tag, attributes)
    text = render(report)
    assert all(target.startswith("#") for target in re.findall(r"url\(\s*['\"]?([^)]*)", text))
    assert "@import" not in text
    assert "http://" not in text
    assert "https://" not in text


@pytest.mark.parametrize(
    "place",
    ["name", "task", "split", "recipe", "warnings", "data", "labels", "tokens", "baseline", "conditions", "stopped"],
)
def test_nothing_of_the_data_becomes_markup(report, place):
    evil = "\"><script>alert(1)</script><b onclick=x>&amp;'</b>"
    tables = report["tables"]
    if place in ("name", "task", "split", "recipe"):
        report[place] = evil
    elif place == "warnings":
        report["warnings"] = [evil]
    elif place == "data":
        report["data"].update(source=evil, licence=evil, warning=evil, notes=[evil], fingerprints={evil: evil})
        report["data"]["splits"] = {evil: {evil: 3}}
    elif place == "labels":
        tables["per_label"][0]["label"] = evil
        tables["per_span_type"] = [{**tables["per_label"][1], "type": evil}]
        tables["confusion"]["labels"][0] = tables["confusion"]["top"][0]["gold"] = evil
    elif place == "tokens":
        for part in ("tokens", "gold", "predicted"):
            tables["worst"][0][part][0] = evil
    elif place == "baseline":
        report["baselines"] = {evil: report["baselines"]["hidden_markov_model"]}
        report["differences"] = {evil: report["differences"]["hidden_markov_model"]}
    elif place == "conditions":
        report["conditions"] = {evil: evil}
        report["model"]["parts"] = {evil: 3}
    elif place == "stopped":
        report["training"]["stopped"] = evil
    page = Page(render(report))
    assert [tag for tag, _ in page.elements].count("script") == 1  # ours
    assert not any("onclick" in attributes for _, attributes in page.elements)
    assert "alert(1)" in "".join(page.texts)


def test_every_section_has_a_heading_an_anchor_and_a_link(report, diagnosis):
    report["diagnostics"] = diagnosis("pos", "LSTM", 0.5, gates=("input", "forget"))
    report["tables"]["per_span_type"] = [{**report["tables"]["per_label"][0], "type": "NP"}]
    page = Page(render(report))
    anchors = [attributes["id"] for tag, attributes in page.elements if tag == "section"]
    links = [attributes["href"][1:] for tag, attributes in page.elements if tag == "a"]
    assert len(anchors) == len(SECTIONS)
    assert links == anchors


def test_ids_are_unique(report, diagnosis):
    report["diagnostics"] = diagnosis("pos", "LSTM", 0.5, gates=("input", "forget"))
    ids = [attributes["id"] for _, attributes in Page(render(report)).elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_report_with_only_what_must_be_there_is_shown(report):
    least = {key: report[key] for key in ("format", "name", "task", "split", "headline", "metrics")}
    anchors = [attributes["id"] for tag, attributes in Page(render(least)).elements if tag == "section"]
    assert anchors == ["scores"]


@pytest.mark.parametrize("part", ["training", "data", "model", "conditions", "tables"])
def test_any_part_may_be_incomplete(report, part, monkeypatch):
    for plot in ("multiples", "dots", "curves"):  # drawing is not what is tested here, and takes its time
        monkeypatch.setattr(f"seqapps.report.plots.{plot}", lambda *_, **__: "<svg></svg>")
    for key in list(report[part]):
        lacking = {**report, part: {name: value for name, value in report[part].items() if name != key}}
        Page(render(lacking))
        model_card(lacking)


def test_names_of_conditions_are_not_taken_for_scores(report):
    assert "<dt>precision</dt><dd>fp32</dd>" in render(report)


def test_the_state_that_was_kept_is_marked_on_loss_and_score(report, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "seqapps.report.plots.curves", lambda panels, axis: drawn.append((axis, panels)) or "<svg></svg>"
    )
    assert "The circle marks" in render(report)
    axis, (loss, score, rate) = drawn[0]
    kept = report["training"]["curves"][4]["epoch"]  # step 50
    assert (axis, loss.marked, score.marked, rate.marked) == ("epoch", kept, kept, None)
    assert score.values[4] == pytest.approx(100 * (1 - 0.5 / 5))
    del report["training"]["best"]
    assert "The circle marks" not in render(report)


def test_undefined_scores_are_shown_as_a_dash(report):
    for part in (report["metrics"], report["baselines"]["hidden_markov_model"]["metrics"]):
        part["accuracy_out_of_vocabulary"].update(value=None, interval=None, confidence=None)
    assert "–" in render(report)
    assert "None" not in render(report)
    assert "nan" not in render(report).replace("hidden", "")


def test_equal_reports_give_equal_pages(report):
    assert render(report) == render(report)


def test_unusual_labels_raise_no_warning(report):
    names = ["漢字 $x_1^2$", "\\frac{", "$"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = multiples(
            names, [Series(name, [Point(1.0, (0.5, 2.0)), Point(None), Point(3.0)]) for name in names], "%"
        )
    assert text.count("漢字 $x_1^2$") >= 2


def test_plots_take_their_colours_from_the_page():
    for svg in (
        dots(["a", "b"], [Point(1.0, (0.5, 1.5)), Point(None)], "axis"),
        multiples(["a"], [Series("m", [Point(1.0)])], "axis"),
        curves([Panel("loss", [1, 2], [3, 4], 2)], "epoch"),
    ):
        assert "var(--muted)" in svg
        assert "var(--series-1)" in svg
        assert not re.search(r"(fill|stroke): #", svg)


def test_the_interval_is_drawn_where_its_numbers_are():
    # Value 2 between 1 and 4: the bar's ends are at distances 1 and 2 from the dot.
    svg = multiples(["a"], [Series("m", [Point(2.0, (1.0, 4.0))])], "axis")
    line = r"M ([\d.]+) [\d.]+ L ([\d.]+) [\d.]+ \" clip-path=\S+ style=\"fill: none; stroke: var\(--series-1\)"
    bar = re.search(line, svg.replace("\n", " "))
    dot = re.search(r"<use href=\S+ x=\"([\d.]+)\" y=\S+ style=\"fill: var\(--series-1\)", svg)
    low, high, middle = float(bar.group(1)), float(bar.group(2)), float(dot.group(1))
    assert (high - middle) / (middle - low) == pytest.approx(2, rel=1e-3)


def test_a_matrix_of_many_labels_says_what_it_leaves_out(report):
    n = 40
    matrix = [[5 if row == column else 0 for column in range(n)] for row in range(n)]
    matrix[0][39] = matrix[39][0] = 7
    matrix[1][0] = 2
    top = [{"gold": "L1", "predicted": "L0", "count": 2, "share": 2 / 7}]
    labels = [f"L{i}" for i in range(n)]
    report["tables"]["confusion"] = {"labels": labels, "matrix": matrix, "top": top, "errors": 16}
    assert '<td>7</td><td class="all">12</td>' in render(report)  # L0: 5 right, 7 as L39, which is not shown
    text = " ".join("".join(Page(render(report)).texts).split())
    assert "The 30 labels most frequent in gold are shown, of 40" in text
    assert "The matrix shows 2 of 16 errors." in text
    assert "these 1 make up 2 of 16 errors" in text


def test_a_long_sentence_is_cut_and_says_so(report):
    gold = ["X"] * 300
    predicted = ["X"] * 150 + ["Y"] + ["X"] * 148 + ["Y"]
    row = {"number": 1, "errors": 2, "tokens": ["t"] * 300, "gold": gold, "predicted": predicted}
    report["tables"]["worst"] = [row]
    text = " ".join("".join(Page(render(report)).texts).split())
    assert "140 tokens before, all right" in text
    assert "60 tokens more, 1 of them wrong, are not shown" in text


def test_writing_replaces_the_page_and_leaves_nothing_beside_it(report, tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    write_html(report, target)
    assert target.read_text(encoding="utf-8") == render(report)
    assert list(tmp_path.iterdir()) == [target]


def test_a_report_that_cannot_be_shown_leaves_the_old_page(report, tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    with pytest.raises(RunError):
        write_html({**report, "format": 0}, target)
    assert target.read_text() == "old"


def test_the_card_has_scores_licence_and_recipe_and_escapes_the_data(report):
    report["data"]["notes"] = ["<script> | *stars*"]
    report["recipe"] = "a: |\n  ```\n"
    card = model_card(report)
    assert "| accuracy % |" in card
    assert "Licence: CC BY 4.0." in card
    assert "- \\<script\\> \\| \\*stars\\*" in card
    assert "````yaml\na: |\n  ```\n````" in card
