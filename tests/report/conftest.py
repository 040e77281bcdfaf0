"""A small report with everything in it."""

import copy
import random

import pytest

from seqapps.metrics.classification import ClassifiedExample, evaluate_classification
from seqapps.metrics.generation import WrittenExample, evaluate_translation
from seqapps.metrics.intervals import Bootstrap
from seqapps.metrics.language_model import ScoredSentence, evaluate_language_model, evaluate_pairs
from seqapps.metrics.tagging import TaggedSentence, evaluate_tagging


def _evaluations():
    generator = random.Random(0)
    labels = ["N", "V", "$x_1$", "名詞"]
    gold = [generator.choices(labels, k=generator.randint(1, 15)) for _ in range(80)]
    tokens = [generator.choices(["犬", "a", "b&b", "ß"], k=len(row)) for row in gold]

    def noisy(error):
        return [[generator.choice(labels) if generator.random() < error else label for label in row] for row in gold]

    for error in (0.1, 0.5):
        sentences = [TaggedSentence(*parts) for parts in zip(tokens, gold, noisy(error), strict=True)]
        yield evaluate_tagging(sentences, frequencies={"a": 3, "犬": 12}, bootstrap=Bootstrap(samples=100))


_MODEL, _BASELINE = _evaluations()
_CLASSIFIER = evaluate_classification(
    [ClassifiedExample(["a", "ß"], gold, "$x_1$", [0.7, 0.3]) for gold in ("$x_1$", "名詞")], ["$x_1$", "名詞"]
)
_LANGUAGE_MODEL = evaluate_language_model(
    [ScoredSentence([*"abcde"], [-1.0] * 6, [False] * 5)] * 20, regime="sentence", bootstrap=None
)
_PAIRS = evaluate_pairs([-1.0], [-2.0], [3])
_TRANSLATION = evaluate_translation(
    [WrittenExample(["ß"], "a b", ["a", "b"], ["a c"], [["a", "c"]], attention=[[1.0], [0.5]])] * 3
)
_REPORT = {
    "format": 1,
    "name": "pos",
    "task": "tagging",
    "created": "2026-01-02T03:04:05+00:00",
    "headline": "accuracy",
    "split": "test",
    "metrics": _MODEL.metrics(),
    "baselines": {"hidden_markov_model": {"metrics": _BASELINE.metrics()}},
    "differences": {"hidden_markov_model": _MODEL.difference(_BASELINE, Bootstrap(samples=100)).to_json()},
    "tables": {
        **_TRANSLATION.tables,
        **_LANGUAGE_MODEL.tables,
        **_PAIRS.tables,
        **_CLASSIFIER.tables,
        **_MODEL.tables,
    },
    "splits": {"validation": _BASELINE.metrics()},
    "training": {
        "curves": [
            {
                "step": 10 * n,
                "epoch": n + 1e-9,
                "loss": 1 / n,
                "learning_rate": 0.1 / n,
                "metrics": {"accuracy": 1 - 0.5 / n},
            }
            for n in range(1, 6)
        ],
        "best": {"metric": "accuracy", "value": 0.9, "step": 50, "epoch": 5},
        "stopped": "patience",
        "seconds": 75.0,
        "steps": 50,
        "tokens_per_second": 1234.5,
    },
    "data": {
        "source": "columns",
        "licence": "CC BY 4.0",
        "warning": None,
        "splits": {"train": {"sentences": 1000, "tokens": 12345}},
        "fingerprints": {"train.txt": "0123abcd"},
        "notes": ["2 labels were never seen in training"],
    },
    "model": {"parameters": 1234567, "parts": {"embedder": 1000000, "head": 234567}},
    "conditions": {"seed": 7, "device": "cpu", "precision": "fp32", "versions": {"torch": "2.9", "python": "3.11"}},
    "recipe": "# a recipe\ntraining: {seed: 7}\n",
    "warnings": ["the licence is contested"],
}


@pytest.fixture
def report():
    """A report that a test may change."""
    return copy.deepcopy(_REPORT)


def _curve(w, length, states):
    values = [w**d for d in range(length)]
    one = {"mean": values, "low": [v / 2 for v in values], "high": [v * 2 for v in values]}
    return {"sequences": 30, "left_out": 2, "counts": [30] * length, "states": dict.fromkeys(states, one)}


def _diagnosis(name, cell, w, *, gates=(), alarms=()):
    states = ("h", "c", "whole") if cell == "LSTM" else ("h", "whole")
    place = {
        "layer": 0,
        "direction": "forward",
        "cell": cell,
        "hidden_size": 3,
        "gradient": _curve(w, 25, states),
        "jacobian": {
            "size": 3,
            "steps": 4,
            "method": "exact",
            "largest_singular_value": [0.5, 0.75, 1.25, 3.0],
            "spectral_radius": [0.5, 0.5, 0.5, 0.5],
        },
        "matrices": [{"matrix": "recurrent", "block": 0, "largest_singular_value": 2.0, "spectral_radius": 1.0}],
        "gates": {
            gate: {"histogram": [5, 15], "units": 3, "shut": 0.25, "open": 0.75, "units_shut": 1, "units_open": 2}
            for gate in gates
        },
        "units": 3,
        "silent_units": 0,
    }
    return {
        "format": 1,
        "name": name,
        "split": "validation",
        "fingerprint": "f",
        "clipping": {"limit": 5.0, "share": 0.125, "steps": 80, "curve": [[80, 0.125]]},
        "sequences": 32,
        "tokens": 800,
        "token": -1,
        "median_steps": 24.0,
        "places": [place],
        "alarms": list(alarms),
    }


@pytest.fixture
def diagnosis():
    """(name, cell, w) -> diagnostics.json of a run whose gradient is multiplied by w a step."""
    return _diagnosis
