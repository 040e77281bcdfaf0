import json

import pytest

from seqapps.metrics.score import METRICS, Difference, Interval, Score


def test_a_score_is_written_with_its_unit_direction_and_what_it_counts():
    score = Score("accuracy", 0.75, Interval(0.5, 1.0, 0.95), 4, "tokens")
    assert score.to_json() == {
        "value": 0.75,
        "interval": [0.5, 1.0],
        "confidence": 0.95,
        "unit": "fraction",
        "higher_is_better": True,
        "count": 4,
        "of": "tokens",
    }


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_an_undefined_score_is_null(value):
    written = Score("f1", value, None, 0, "gold spans").to_json()
    assert written["value"] is None
    assert written["interval"] is None
    json.dumps(written, allow_nan=False)


def test_a_difference_is_written_with_its_metric():
    written = Difference("f1", -0.25, Interval(-0.5, 0.0, 0.9)).to_json()
    assert written == {"metric": "f1", "value": -0.25, "interval": [-0.5, 0.0], "confidence": 0.9}


def test_every_metric_says_what_it_is():
    for name, metric in METRICS.items():
        assert metric.description, name
        assert len(metric.description) < 70, name
