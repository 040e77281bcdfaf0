"""Scores of captions. Expected values are those of COCO's evaluation, or worked out by hand."""

import itertools
import json
import random

import numpy as np
import pytest
from sacrebleu.metrics import BLEU

from seqapps.metrics.generation import WrittenExample, evaluate_captions
from seqapps.metrics.generation.rouge import longest_common_subsequence
from seqapps.metrics.intervals import Bootstrap
from seqapps.metrics.score import METRICS


def example(hypothesis, *references, **others):
    split = [reference.split() for reference in references]
    return WrittenExample("image.jpg", hypothesis, hypothesis.split(), references, split, **others)


IMAGES = [
    example("a dog runs on the grass", "a brown dog runs across grass", "the dog is running on the grass"),
    example("a man a man a man", "a man rides a bike", "someone on a red bike", "a man on a bike in the street"),
    example("two children", "two children play in the sand on a sunny day at the beach"),
    example("snow", "a dog in deep snow", "snow"),
    example("a man rides a bike", "a man rides a bike", "one man riding his bicycle"),
]
# By pycocoevalcap's Cider, Rouge and Bleu on the same texts.
CIDER_D = [2.4997033849, 0.4011005584, 0.3672179446, 1.8927707066, 5.1975873434]
ROUGE_L = [0.6666666667, 0.5545454545, 0.2355212355, 1.0, 1.0]
BLEU_N = [51.55510607, 43.31495296, 34.58851524, 28.14473292]


def found(examples=IMAGES, training=(), **others):
    return evaluate_captions(examples, training_captions=training, **others)


def test_cider_d_is_that_of_cocos_evaluation():
    evaluation = found()
    assert evaluation.counted["cider_d"].counts[:, 0] == pytest.approx(CIDER_D, abs=1e-9)
    assert evaluation.scores["cider_d"].value == pytest.approx(sum(CIDER_D) / 5, abs=1e-9)


def test_cider_d_of_two_images_is_what_it_is_by_hand():
    # Every n-gram stands with one image of two: all weights are log 2, which the norms divide out.
    # a b against a b c: cos of (1,1) and (1,1,1) for n = 1, of (1) and (1,1) for n = 2, 0 for n = 3 and 4.
    scores = found([example("a b", "a b c"), example("x", "y")]).counted["cider_d"].counts[:, 0]
    expected = 10 / 4 * (2 / (2**0.5 * 3**0.5) + 1 / 2**0.5) * np.exp(-1 / 72)
    assert scores == pytest.approx([expected, 0.0])


def test_a_caption_that_says_what_its_only_reference_says_has_ten():
    scores = found([example("a b c d", "a b c d"), example("u v w x", "u v w x")]).counted["cider_d"].counts[:, 0]
    assert scores == pytest.approx([10.0, 10.0])


def test_cider_d_of_one_image_is_undefined():
    assert found(IMAGES[:1]).scores["cider_d"].value is None


def test_rouge_l_is_that_of_cocos_evaluation():
    assert found().counted["rouge_l"].counts[:, 0] == pytest.approx(ROUGE_L, abs=1e-9)


def test_the_longest_common_subsequence_is_that_of_trying_all():
    draw = random.Random(0)
    for _ in range(100):
        a, b = ("".join(draw.choices("abc", k=draw.randint(0, 7))) for _ in range(2))

        def left(text):
            return {part for n in range(len(text) + 1) for part in itertools.combinations(text, n)}

        assert longest_common_subsequence(a, b) == max(map(len, left(a) & left(b)))


def test_caption_bleu_is_that_of_cocos_evaluation():
    scores = found().scores
    assert [scores[f"bleu_{n}"].value for n in (1, 2, 3, 4)] == pytest.approx(BLEU_N, abs=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_caption_bleu_is_that_of_sacrebleu_on_words(n):
    metric = BLEU(tokenize="none", smooth_method="none", max_ngram_order=n)
    streams = [[one.references[k] if k < len(one.references) else None for one in IMAGES] for k in range(3)]
    expected = metric.corpus_score([one.hypothesis for one in IMAGES], streams).score
    assert found().scores[f"bleu_{n}"].value == expected > 0


def test_what_is_new_and_how_many_words_are_used_is_what_it_is_by_hand():
    scores = found(training=[["snow"], ["a", "man", "rides", "a", "bike"]]).scores
    assert scores["novel"].value == 3 / 5
    assert scores["exact_match"].value == 2 / 5
    # a dog runs on the grass man two children snow rides bike
    assert (scores["vocabulary_used"].value, scores["vocabulary_used"].interval) == (12.0, None)


def test_intervals_and_differences_are_there():
    bootstrap = Bootstrap(samples=200)
    one, other = found(bootstrap=bootstrap), found([e._replace(tokens=["a"], hypothesis="a") for e in IMAGES])
    assert one.scores["cider_d"].interval.low < one.scores["cider_d"].value < one.scores["cider_d"].interval.high
    assert one.difference(other, bootstrap).metric == "cider_d"
    assert set(one.scores) <= set(METRICS)


def test_references_stand_beside_the_examples():
    table = found().tables["examples"]
    assert table["metric"] == "cider_d"
    worst = table["worst"][0]
    assert worst["references"] == list(IMAGES[worst["number"] - 1].references)
    assert worst["source"] == "image.jpg"
    many = found([example("a", *["b"] * 7)] * 2).tables["examples"]["best"][0]
    assert (len(many["references"]), many["references_left_out"]) == (5, 2)


def test_an_empty_caption_scores_nothing():
    evaluation = found([example("", "a b"), example("a b", "a b")])
    for name in ("cider_d", "rouge_l"):
        assert evaluation.counted[name].counts[0, 0] == 0.0
    json.dumps(evaluation.tables, allow_nan=False)


def test_a_split_without_examples_has_no_scores():
    scores = found([], bootstrap=Bootstrap(samples=10)).scores
    assert scores.pop("vocabulary_used").value == 0.0
    assert {score.value for score in scores.values()} == {None}
