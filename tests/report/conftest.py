"""A small report with everything in it."""

import copy
import random

import pytest

from seqapps.metrics.intervals import Bootstrap
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
    "tables": dict(_MODEL.tables),
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
