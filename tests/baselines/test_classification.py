"""Majority class and n-gram logistic regression."""

import random

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from seqapps.baselines import (
    CLASSIFICATION,
    MULTI_LABEL,
    MajorityClass,
    MajorityLabels,
    NgramLogisticRegression,
    NgramOneVsRest,
)
from seqapps.errors import DataError


def reviews(count, seed):
    """The label follows from "good" and "bad", which "not" before them turns round: pairs of words are needed."""
    generator = random.Random(seed)
    texts, gold = [], []
    for _ in range(count):
        positive, negated = generator.random() < 0.5, generator.random() < 0.5
        filler = generator.choices(["the", "film", "was", "very", "long"], k=generator.randint(0, 4))
        texts.append([*filler, *(["not"] if negated else []), "good" if positive else "bad"])
        gold.append("+" if positive != negated else "-")
    return texts, gold


def test_the_majority_class_predicts_shares():
    model = MajorityClass(["a", "b", "c"]).fit([["x"]] * 4, ["b", "a", "b", "c"])
    assert model.predict([["anything"], []]).tolist() == [[0.25, 0.5, 0.25]] * 2


def test_pairs_of_words_decide_what_single_words_cannot():
    model = NgramLogisticRegression(["-", "+"]).fit(*reviews(400, 1))
    texts, gold = reviews(200, 2)
    found = model.predict(texts)
    assert found.sum(axis=1) == pytest.approx(np.ones(200))
    assert np.mean([["-", "+"][row.argmax()] == label for row, label in zip(found, gold, strict=True)]) == 1.0


def test_two_fits_are_equal():
    texts, gold = reviews(100, 1)
    first, second = (NgramLogisticRegression(["-", "+"]).fit(texts, gold).predict(texts) for _ in range(2))
    assert (first == second).all()


def test_the_fit_is_where_the_objectives_gradient_is_zero():
    texts, gold = [["a", "b"], ["a"], ["b"], ["a", "b"], ["b", "b"]], ["x", "y", "z", "y", "z"]
    model = NgramLogisticRegression(["x", "y", "z"]).fit(texts, gold)
    assert list(model._features) == ["b", "a", "a b"]  # seen in 4, 3 and 2 texts; "b b" only in one
    rows = torch.tensor([[1, 1, 1], [0, 1, 0], [1, 0, 0], [1, 1, 1], [1, 0, 0]], dtype=torch.float64)
    x = rows * (1 + torch.log(torch.tensor([6 / 5, 6 / 4, 6 / 3], dtype=torch.float64)))  # 1 + log((1 + N) / (1 + n))
    x = x / x.square().sum(1, keepdim=True).sqrt()
    W, b = model._weights.clone().requires_grad_(), model._bias.clone().requires_grad_()
    targets = torch.tensor([0, 1, 2, 1, 2])
    (F.cross_entropy(x @ W + b, targets, reduction="sum") + 0.1 * W.square().sum()).backward()
    assert W.grad.abs().max() < 1e-4
    assert b.grad.abs().max() < 1e-4
    assert model.predict(texts) == pytest.approx((x @ W + b).softmax(1).detach().numpy())


def test_a_text_of_unknown_words_gets_what_the_bias_says():
    texts, gold = reviews(50, 1)
    model = NgramLogisticRegression(["-", "+"]).fit(texts, gold)
    unknown, empty = model.predict([["zzz"], []])
    assert unknown.tolist() == empty.tolist() == model._bias.softmax(0).tolist()
    assert model.predict([]).shape == (0, 2)


def test_texts_without_any_repeated_word_leave_the_bias():
    found = NgramLogisticRegression(["a", "b"]).fit([["x"], ["y"], ["z"]], ["a", "a", "b"]).predict([["x"]])
    assert found[0] == pytest.approx([2 / 3, 1 / 3], abs=1e-4)


@pytest.mark.parametrize("baseline", CLASSIFICATION.values())
def test_nothing_to_learn_from_says_so(baseline):
    with pytest.raises(DataError, match="baseline: no "):
        baseline(["a", "b"]).fit([], [])


def test_the_labels_of_most_texts_are_their_shares_one_by_one():
    model = MajorityLabels(["a", "b", "c"]).fit([["x"]] * 4, [["b", "a"], ["b"], [], ["b"]])
    assert model.predict([["anything"], []]).tolist() == [[0.25, 0.75, 0.0]] * 2


def test_one_against_the_rest_is_a_regression_for_each_label_alone():
    texts, signs = reviews(300, 1)
    gold = [
        [*(["good"] if sign == "+" else []), *(["negated"] if "not" in text else [])]
        for text, sign in zip(texts, signs, strict=True)
    ]
    together = NgramOneVsRest(["negated", "good", "never"]).fit(texts, gold).predict(texts)
    for column, label in enumerate(["negated", "good"]):
        alone = NgramOneVsRest([label]).fit(texts, gold).predict(texts)
        assert together[:, column] == pytest.approx(alone[:, 0], abs=1e-3)
        assert ((alone[:, 0] > 0.5) == [label in labels for labels in gold]).all()
    assert together[:, 2].max() < 0.1


def test_baselines_of_several_labels_need_texts():
    for baseline in MULTI_LABEL.values():
        with pytest.raises(DataError, match="no text to learn from"):
            baseline(["a"]).fit([], [])
