"""Texts that take no model to write."""

import math
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from seqapps.baselines import CAPTIONING, TRANSLATION
from seqapps.baselines.generation import CopySource, MostFrequentCaption, NearestSource, NearestVectorCaption
from seqapps.errors import DataError, ShapeError


def test_the_source_is_copied():
    sources = [["a"], []]
    predicted = CopySource().fit(sources, sources).predict(sources)
    assert predicted == sources
    assert predicted[0] is not sources[0]


def similarity(a, b, sources):
    """The cosine of two texts, over vectors of all n-grams."""

    def grams(text):
        words = [word.lower() for word in text]
        return Counter([(w,) for w in words] + list(pairwise(words)))

    frequency = Counter(gram for source in sources for gram in grams(source))
    x, y = (
        {g: n * math.log(len(sources) / frequency[g]) for g, n in grams(text).items() if frequency[g]}
        for text in (a, b)
    )
    norm = math.sqrt(sum(v * v for v in x.values()) * sum(v * v for v in y.values()))
    return sum(x[g] * y[g] for g in x.keys() & y.keys()) / norm if norm else 0.0


def test_the_nearest_source_is_that_of_comparing_all():
    draw = random.Random(0)
    words = ["the", "The", *"abcdefgh"]
    texts = [draw.choices(words, weights=[5, 5, *[1] * 8], k=draw.randint(1, 6)) for _ in range(60)]
    sources, asked = texts[:40], texts[40:]
    targets = [[str(row)] for row in range(40)]
    for source, (target,) in zip(asked, NearestSource().fit(sources, targets).predict(asked), strict=True):
        found = [similarity(source, one, sources) for one in sources]
        assert found[int(target)] == pytest.approx(max(found)), source


def test_a_training_source_is_nearest_to_itself():
    sources = [["ein", "Hund", "rennt"], ["ein", "Hund"], ["Hund", "ein"]]
    assert NearestSource().fit(sources, [["1"], ["2"], ["3"]]).predict(sources) == [["1"], ["2"], ["3"]]


def test_a_source_of_unknown_words_gets_the_first_target():
    assert NearestSource().fit([["a"], ["b"]], [["x"], ["y"]]).predict([["c"], []]) == [["x"], ["x"]]


def test_a_single_source_is_the_nearest_to_all():
    assert NearestSource().fit([["a"]], [["x"]]).predict([["a"], ["b"]]) == [["x"], ["x"]]


def test_the_most_frequent_caption_is_counted_over_all_images():
    captions = [[["a"], ["b"]], [["c"], ["b"]]]
    assert MostFrequentCaption().fit(np.ones((2, 3)), captions).predict(np.ones((2, 3))) == [["b"], ["b"]]


def test_the_nearest_vector_is_the_one_with_the_smallest_angle():
    generator = np.random.default_rng(0)
    vectors, asked = generator.normal(size=(300, 5)), generator.normal(size=(600, 5))
    captions = [[[str(row)], ["other"]] for row in range(300)]
    predicted = NearestVectorCaption().fit(vectors, captions).predict(asked)
    for vector, (caption,) in zip(asked, predicted, strict=True):
        angles = [math.acos(min(1.0, v @ vector / math.dist(v, 0 * v) / math.dist(vector, 0 * v))) for v in vectors]
        assert angles[int(caption)] == pytest.approx(min(angles))


def test_an_image_without_captions_is_never_the_nearest():
    baseline = NearestVectorCaption().fit(np.eye(2), [[], [["a"]]])
    assert baseline.predict(np.array([[1.0, 0.0], [0.0, 0.0]])) == [["a"], ["a"]]


@pytest.mark.parametrize("baseline", [NearestSource, NearestVectorCaption])
def test_unequally_many_are_refused(baseline):
    with pytest.raises(ShapeError, match="give one"):
        baseline().fit(np.eye(2), [["a"]])


@pytest.mark.parametrize(("baseline", "nothing"), [(NearestSource, []), (MostFrequentCaption, np.zeros((0, 2)))])
def test_nothing_to_learn_from_is_refused(baseline, nothing):
    with pytest.raises(DataError, match="check the training split"):
        baseline().fit(nothing, [])


def test_those_of_a_task_are_used_alike():
    for baseline in TRANSLATION.values():
        assert len(baseline().fit([["a"]], [["b"]]).predict([["c"], ["d"]])) == 2
    for caption in CAPTIONING.values():
        assert caption().fit(np.ones((1, 2)), [[["b"]]]).predict(np.ones((2, 2))) == [["b"], ["b"]]
