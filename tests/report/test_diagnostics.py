"""The section, the page and the table of a diagnosis."""

import copy
import doctest

import pytest

from seqapps.report import diagnostic_table
from seqapps.report.comparison import write_comparison
from seqapps.report.diagnostic_table import format_diagnostics
from seqapps.report.diagnostics import diagnostics_section


def page(tmp_path, *diagnoses):
    write_comparison(diagnoses, tmp_path / "page.html")
    return (tmp_path / "page.html").read_text(encoding="utf8")


def test_the_table_says_where_the_gradient_is_gone_and_what_a_step_does(diagnosis):
    head, first, second = format_diagnostics([diagnosis("a", "RNN", 0.5), diagnosis("b", "LSTM", 0.9)])
    row = dict(zip(head, first, strict=True))
    # 0.5 ** 10 is the first power below a thousandth
    assert (row["run"], row["cell"], row["1 step"], row["a step"], row["below 1/1000"]) == (
        "a",
        "RNN",
        "0.5",
        "0.5",
        "10",
    )
    assert (row["10 steps"], row["singular"], row["radius"]) == ("0.00098", "1", "0.5")
    assert dict(zip(head, second, strict=True))["below 1/1000"] == "not in 24"


def test_a_single_run_shows_its_states_and_several_runs_themselves(tmp_path, diagnosis):
    alone = page(tmp_path, diagnosis("a", "LSTM", 0.9))
    assert "state h" in alone
    assert "state c" in alone
    both = page(tmp_path, diagnosis("plain <net>", "RNN", 0.5), diagnosis("b", "LSTM", 0.9))
    assert "state c" not in both
    assert both.count("plain &lt;net&gt;") > 3
    assert "plain <net>" not in both


def test_alarms_clipping_and_what_was_left_out_are_told(tmp_path, diagnosis):
    text = page(tmp_path, diagnosis("a", "RNN", 0.5, alarms=["layer 0 forward: it hurts"]))
    assert "<li>layer 0 forward: it hurts</li>" in text
    assert "Nothing to report" not in text
    assert "to norm 5 in 12.5 % of 80 steps" in text
    assert "2 gradients were zero or not finite" in text
    well = diagnosis("a", "RNN", 0.9)
    well["clipping"] = None
    text = page(tmp_path, well)
    assert "Nothing to report" in text
    assert "clipped" not in text


def test_gates_have_a_row_each_and_cells_without_gates_none(tmp_path, diagnosis):
    rows = diagnostics_section([diagnosis("a", "LSTM", 0.9, gates=("input", "forget"))]).content["gate_rows"]
    assert [(row["gate"], row["units_shut"]) for row in rows] == [("input", 1), ("forget", 1)]
    assert "<h3>Gates</h3>" not in page(tmp_path, diagnosis("a", "RNN", 0.9))


def test_runs_on_different_sequences_are_warned_of(tmp_path, diagnosis):
    one, other = diagnosis("a", "RNN", 0.9), diagnosis("b", "RNN", 0.9)
    assert "different sequences" not in page(tmp_path, one, other)
    other["fingerprint"] = "g"
    assert "different sequences" in page(tmp_path, one, other)


@pytest.mark.parametrize("missing", ["gradient", "radius"])
def test_what_could_not_be_computed_is_left_out(tmp_path, missing, diagnosis):
    ill = copy.deepcopy(diagnosis("a", "RNN", 0.9))
    (place,) = ill["places"]
    if missing == "gradient":
        place["gradient"] = {"sequences": 0, "left_out": 32, "counts": [], "states": {}}
        assert "Gradient through time" not in page(tmp_path, ill)
        assert format_diagnostics([ill])[1][3:9] == ("–",) * 6
    else:
        place["jacobian"] |= {"method": "lanczos", "spectral_radius": None}
        text = page(tmp_path, ill)
        assert "spectral radius of a step" not in text
        assert "Lanczos" in text


def test_the_examples_of_the_docstrings_hold():
    assert doctest.testmod(diagnostic_table).failed == 0
