import pytest

from seqapps.baselines import MostFrequentTag
from seqapps.errors import DataError


def test_each_form_gets_its_most_frequent_tag_and_unknown_forms_the_most_frequent_of_all():
    training = [(["a", "a", "b"], ["X", "Y", "Y"]), (["a", "c", "c"], ["X", "Z", "Y"])]
    assert MostFrequentTag().fit(training).predict(["a", "b", "new"]) == ["X", "Y", "Y"]


def test_of_equally_frequent_tags_of_a_form_the_one_more_frequent_overall_wins_then_the_first_by_name():
    training = [(["a", "a", "b", "d", "d"], ["X", "Y", "Y", "Q", "P"])]
    assert MostFrequentTag().fit(training).predict(["a", "d"]) == ["Y", "P"]


def test_forms_are_told_apart_by_case():
    assert MostFrequentTag().fit([(["May", "may"], ["NNP", "MD"])]).predict(["may", "May"]) == ["MD", "NNP"]


def test_empty_training_is_refused():
    with pytest.raises(DataError, match="no tagged token"):
        MostFrequentTag().fit([])
