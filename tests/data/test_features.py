"""Hand-made features: what they count, how they are standardised, what a lexicon file may look like."""

import json

import numpy as np
import pytest

from seqapps.data.features import Capitals, Digits, FeatureSet, Length, Lexicon, Negation, Punctuation
from seqapps.data.features.standardised import StandardisedFeatures, feature_names
from seqapps.data.sources.source import Places
from seqapps.errors import ComponentError, DataError, RecipeError
from seqapps.registry import registry

LEXICON = "good\t1.9\t0.9\t[1, 2]\nAwful\t-2\n\nso so\t0.5\nNeutral\t0\ngreat\t3.1\n"


def lexicon(folder, text=LEXICON, **fields):
    (folder / "words.tsv").write_text(text, encoding="utf8")
    found = Lexicon(path="words.tsv", **fields)
    found.read(Places(folder, None))
    return found


def test_a_lexicon_counts_positive_and_negative_words_and_adds_their_weights(tmp_path):
    found = lexicon(tmp_path).values(["A", "good", ",", "GOOD", "great", "awful", "neutral"])
    assert found == [3, 1, pytest.approx(1.9 + 1.9 + 3.1 - 2)]


def test_a_lexicon_may_mind_case(tmp_path):
    assert lexicon(tmp_path, lowercase=False).values(["Good", "good", "awful", "Awful"]) == [1, 1, pytest.approx(-0.1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("good\t1\nbad\n", r"words.tsv:2: 'bad' is no word and weight; write word TAB number"),
        ("good 1\n", r"words.tsv:1: 'good 1' is no word"),
        ("good\tvery\n", r"words.tsv:1: 'good\\tvery' is no word"),
        ("good\tnan\n", r"words.tsv:1: "),
        ("\t1\n", r"words.tsv:1: "),
        ("good\t1\ngood\t2\n", r"words.tsv:2: 'good' has weight 1 already; remove one of the lines"),
        ("\n", r"words.tsv: no words; give a lexicon"),
    ],
)
def test_a_line_that_is_no_word_and_weight_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        lexicon(tmp_path, text)


def test_a_lexicon_that_is_not_there_is_an_error_naming_it(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.tsv"):
        Lexicon(path="nowhere.tsv").read(Places(tmp_path, None))


@pytest.mark.parametrize(
    ("feature_set", "text", "expected"),
    [
        (Length(), "it was fine", [3, 9]),
        (Negation(), "It is NOT that I don't or cannot , no knot", [4]),
        (Negation(), "isn’t nothing", [2]),
        (Negation(words=["Hardly"]), "hardly not", [2]),
        (Negation(language="de"), "Das ist nicht kein not", [2]),
        (Negation(language="zh"), "我 不 知道 没有 人", [2]),
        (Punctuation(), "what ?! Wow !! 好 ！ 吗 ？ .", [4, 2]),
        (Capitals(), "The BBC said I AM A-OK 3D X2", [6, 3]),
        (Digits(), "in 1984 , 4th time ٣ x", [3]),
    ],
)
def test_rules_count_what_they_say(feature_set, text, expected):
    assert list(feature_set.values(text.split())) == expected
    assert len(feature_set.names) == len(expected)


TEXTS = [["a"], ["a", "b", "3"], ["a", "b", "c", "d"]]


def test_numbers_are_standardised_by_the_texts_of_training():
    features = StandardisedFeatures("length, digits, {type: negation, language: de}")
    assert features.names == ["tokens", "characters", "with_digits", "negations"]
    features.fit(TEXTS)
    found = features.of(TEXTS)
    np.testing.assert_allclose(found[:, :3].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(found[:, :3].std(axis=0), 1, atol=1e-6)
    lengths = np.array([1.0, 3.0, 4.0])
    assert features.of([["x", "y"]])[0, 0] == pytest.approx((2 - lengths.mean()) / lengths.std())
    assert features.of([["nicht"], ["x"]])[:, 3].tolist() == [1.0, 0.0]  # always 0 in training: not scaled


def test_saved_features_need_no_file(tmp_path):
    (tmp_path / "words.tsv").write_text(LEXICON, encoding="utf8")
    features = StandardisedFeatures("{type: lexicon, path: words.tsv}, length")
    features.read(Places(tmp_path, None))
    features.fit([["good"], ["awful", "day"], ["x"]])
    (tmp_path / "words.tsv").unlink()
    again = StandardisedFeatures.from_json(json.loads(json.dumps(features.to_json())))
    texts = [["great", "good"], ["Awful"]]
    assert (again.of(texts) == features.of(texts)).all()
    assert features.of(texts)[0, 0] != 0


class Wrong(FeatureSet):
    """Two names, one number."""

    names = ("one", "two")

    def values(self, tokens):
        return [1.0]


def test_a_set_that_gives_too_few_numbers_is_named():
    registry("feature set").register("wrong")(Wrong)
    with pytest.raises(ComponentError, match="Wrong: values gives 1 numbers, names has 2; give one each"):
        StandardisedFeatures("wrong").fit([["a"]])


def test_names_are_known_before_any_file_is_read():
    assert feature_names("{type: lexicon, path: nowhere.tsv}") == ["positive", "negative", "weight"]
    with pytest.raises(RecipeError, match="lenght"):
        feature_names("lenght")
