import subprocess
import sys

import pytest

from seqapps.report import wording


@pytest.mark.parametrize(
    ("value", "written"), [(0.0113, "+1.1"), (-0.0113, "−1.1"), (-0.0001, "+0.0"), (0.0, "+0.0"), (1.0, "+100.0")]
)
def test_differences_have_a_sign_and_zero_has_one_form(value, written):
    assert wording.points(value) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3599.6, "1 h 0 min"), (90061, "25 h 1 min")],
)
def test_durations(seconds, written):
    assert wording.duration(seconds) == written


@pytest.mark.parametrize(
    ("score", "written"),
    [
        ({"value": 0.9287, "unit": "fraction"}, "92.9 %"),
        ({"value": None, "unit": "fraction"}, "–"),
        ({"value": 27.31, "unit": "bleu"}, "27.3"),
    ],
)
def test_only_fractions_are_per_cent(score, written):
    assert wording.score(score) == written


def test_an_unknown_name_is_written_without_underscores():
    assert wording.title("chrf_plus") == "chrf plus"


def test_lines_for_the_terminal_need_neither_matplotlib_nor_jinja():
    program = (
        "import sys; from seqapps.report import headline, format_metrics, model_card; "
        "print(sorted({'matplotlib', 'jinja2', 'torch', 'numpy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
