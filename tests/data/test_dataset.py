"""Splits made ready, and what is said of those that do not fit."""

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, List, Translation, Value

from seqapps.data.dataset import (
    check_aligned,
    column_of_lists,
    column_of_values,
    derive_splits,
    prepare_split,
    tokenize_texts,
    with_column,
)
from seqapps.data.indexed import read_forms
from seqapps.errors import DataError


def rows(n=20):
    return Dataset.from_dict({"tokens": [[str(i), "x"] for i in range(n)], "upos": [["A", "B"]] * n})


def test_derived_splits_share_out_train_without_overlap():
    splits = derive_splits({"train": rows()}, {"validation": 0.1, "test": 0.2})
    first = {name: {row[0] for row in split["tokens"]} for name, split in splits.items()}
    assert {name: len(split) for name, split in splits.items()} == {"train": 14, "validation": 2, "test": 4}
    assert set.union(*first.values()) == {str(i) for i in range(20)}
    again = derive_splits({"train": rows()}, {"validation": 0.1, "test": 0.2})
    assert again["test"]["tokens"] == splits["test"]["tokens"]


def test_a_split_that_is_there_is_not_derived():
    with pytest.raises(DataError, match="the source has a split 'test' already"):
        derive_splits({"train": rows(), "test": rows()}, {"test": 0.1})


def test_nothing_left_to_train_on_is_an_error():
    with pytest.raises(DataError, match="3 training examples cannot be split"):
        derive_splits({"train": rows(3)}, {"validation": 0.1})


def test_a_column_is_found_under_its_alias_or_by_the_recipes_mapping():
    found = prepare_split(rows(), "train", ["tokens", "pos_tags"], {}, None)
    assert found.column_names == ["tokens", "pos_tags"]
    renamed = rows().rename_columns({"tokens": "form"})
    assert prepare_split(renamed, "train", ["tokens", "tag"], {"tag": "upos"}, None)["tag"][0] == ["A", "B"]


def test_a_missing_column_is_named_with_what_is_there():
    with pytest.raises(
        DataError, match=r"split 'train': no column 'tokns'; did you mean 'tokens'\?; map it with data.columns"
    ):
        prepare_split(rows(), "train", ["tokns"], {}, None)


def test_a_mapping_of_a_column_that_nobody_reads_is_an_error():
    with pytest.raises(DataError, match=r"the task reads no column 'tokns'; did you mean 'tokens'\?"):
        prepare_split(rows(), "train", ["tokens"], {"tokns": "upos"}, None)


def test_an_empty_split_is_an_error_and_a_limit_shortens():
    with pytest.raises(DataError, match="split 'test': no examples"):
        prepare_split(rows(0), "test", ["tokens"], {}, None)
    assert len(prepare_split(rows(), "train", ["tokens"], {}, 3)) == 3


def test_class_numbers_become_class_names():
    features = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=["O", "B-PER"]))})
    data = Dataset.from_dict({"tokens": [["a", "b"]], "ner_tags": [[0, 1]]}, features=features)
    assert prepare_split(data, "train", ["tokens", "ner_tags"], {}, None)["ner_tags"] == [["O", "B-PER"]]


def test_selected_rows_are_read_in_their_order():
    flat, offsets = column_of_lists(rows().select([5, 2]), "tokens", "train")
    assert flat.to_pylist() == ["5", "x", "2", "x"]
    assert offsets.tolist() == [0, 2, 4]


def test_a_column_of_something_else_is_refused():
    data = Dataset.from_dict({"tokens": ["a b"]})
    with pytest.raises(DataError, match=r"split 'train': column 'tokens' holds .*string, expected lists of strings"):
        column_of_lists(data, "tokens", "train")


@pytest.mark.parametrize(
    ("values", "message"), [([["a"], None], "row 2: .* is empty"), ([["a"], ["b", None]], "row 2")]
)
def test_missing_values_name_split_and_row(values, message):
    data = Dataset.from_dict({"tokens": values})
    with pytest.raises(DataError, match=f"split 'dev', {message}"):
        column_of_lists(data, "tokens", "dev")


def test_tokens_and_tags_of_different_number_name_the_row():
    data = Dataset.from_dict({"tokens": [["a"], ["a", "b"]], "tags": [["X"], ["X"]]})
    with pytest.raises(
        DataError, match=r"split 'train', row 2: 2 tokens, 1 tags; they must be equally many \(1 such rows\)"
    ):
        read_forms(data, ["tokens", "tags"], "train")


def test_rows_without_tokens_are_named():
    with pytest.raises(DataError, match=r"split 'train', row 2: no tokens; remove empty rows \(2 of them\)"):
        check_aligned({"tokens": np.array([0, 2, 2, 3, 3])}, "train")


def test_an_unlabelled_row_of_the_hub_is_named():
    features = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=["O"]))})
    data = Dataset.from_dict({"tokens": [["a"], ["b"]], "ner_tags": [[0], [-1]]}, features=features)
    with pytest.raises(DataError, match="split 'train', row 2: column 'ner_tags' holds -1, which is no label"):
        prepare_split(data, "train", ["tokens", "ner_tags"], {}, None)


@pytest.mark.parametrize(
    ("values", "written"), [(["b", "", "b"], ["b", "", "b"]), ([2, -1, 2], ["2", "-1", "2"]), ([True, False], None)]
)
def test_one_value_a_row_is_read_as_it_is_written(values, written):
    data = Dataset.from_dict({"label": values})
    assert column_of_values(data, "label", "train").to_pylist() == (written or ["True", "False"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", None], r"split 'train', row 2: column 'label' is empty \(null\)"),
        ([0.5, 1.0], "split 'train': column 'label' holds double, expected one label a row"),
        ([["a"], ["b"]], "split 'train': column 'label' holds list<.*>, expected one label a row"),
    ],
)
def test_a_column_of_labels_that_holds_something_else_is_refused(values, message):
    with pytest.raises(DataError, match=message):
        column_of_values(Dataset.from_dict({"label": values}), "label", "train")


def test_texts_become_tokens_and_lists_stay():
    data = Dataset.from_dict({"a": ["x y", ""], "b": [["x y"], []], "label": ["p q", "r"]})
    found = tokenize_texts(data, ["a", "b"], str.split)
    assert found.column_names == ["a", "b", "label"]
    assert found.to_dict() == {"a": [["x", "y"], []], "b": [["x y"], []], "label": ["p q", "r"]}


def test_a_column_beside_a_part_of_a_data_set_draws_no_bar(monkeypatch):
    calls = []
    add = Dataset.add_column
    monkeypatch.setattr(datasets, "are_progress_bars_disabled", lambda: False)
    monkeypatch.setattr(datasets, "enable_progress_bars", lambda: calls.append("on"))
    monkeypatch.setattr(datasets, "disable_progress_bars", lambda: calls.append("off"))
    monkeypatch.setattr(Dataset, "add_column", lambda *a, **k: calls.append("add") or add(*a, **k))
    part = Dataset.from_dict({"text": ["a b", "c", "d"]}).select([2, 0])
    assert with_column(part, "n", [1, 2], Value("int64"))[:] == {"text": ["d", "a b"], "n": [1, 2]}
    assert calls == ["off", "add", "on"]


def test_a_text_without_tokens_is_named_by_its_row():
    data = tokenize_texts(Dataset.from_dict({"tokens": ["x", " "], "label": ["a", "b"]}), ["tokens"], str.split)
    with pytest.raises(DataError, match="split 'train', row 2: no tokens; remove empty rows"):
        read_forms(data, ["tokens", "label"], "train", {"label"})
    missing = tokenize_texts(Dataset.from_dict({"tokens": ["x", None]}), ["tokens"], str.split)
    with pytest.raises(DataError, match=r"split 'train', row 2: column 'tokens' is empty \(null\)"):
        read_forms(missing, ["tokens"], "train")


def test_a_class_label_is_read_by_its_name_once_a_row():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    data = Dataset.from_dict({"text": ["good one", "bad"], "label": [1, 0]}, features=features)
    ready = prepare_split(data, "train", ["tokens", "label"], {}, None)
    forms = read_forms(tokenize_texts(ready, ["tokens"], str.split), ["tokens", "label"], "train", {"label"})
    assert forms["label"].forms == ["pos", "neg"]
    assert forms["label"].numbers.lengths.tolist() == [1, 1]
    assert forms["tokens"].numbers.lengths.tolist() == [2, 1]


def pairs():
    rows = [{"de": "ein Hund", "en": "a dog", "more": {"zh": "狗"}}, {"de": "zwei", "en": "two", "more": {"zh": "二"}}]
    return Dataset.from_dict({"id": [7, 8], "translation": rows})


def test_a_name_with_dots_leads_into_a_column_of_objects():
    columns = {"tokens": "translation.en", "target": "translation.more.zh"}
    found = prepare_split(pairs().select([1, 0]), "train", ["tokens", "target"], columns, None)
    assert found.to_dict() == {"tokens": ["two", "a dog"], "target": ["二", "狗"]}


def test_the_hub_s_translation_columns_are_columns_of_objects():
    data = Dataset.from_dict(
        {"translation": [{"de": "Hund", "en": "dog"}]}, features=Features({"translation": Translation(["de", "en"])})
    )
    columns = {"tokens": "translation.de", "target": "translation.en"}
    found = prepare_split(data, "train", ["tokens", "target"], columns, None)
    assert found.to_dict() == {"tokens": ["Hund"], "target": ["dog"]}


def test_an_unknown_name_inside_an_object_is_answered_with_the_known_ones():
    with pytest.raises(DataError, match=r"no column 'translation.fr'; did you mean 'translation.en'\?"):
        prepare_split(pairs(), "train", ["tokens"], {"tokens": "translation.fr"}, None)


def test_a_column_whose_own_name_has_dots_is_taken_as_it_is():
    data = Dataset.from_dict({"feats": [{"Case": "x"}], "feats.Case": [["Nom"]], "tokens": [["a"]]})
    found = prepare_split(data, "train", ["tokens", "case"], {"case": "feats.Case"}, None)
    assert found.to_dict() == {"tokens": [["a"]], "case": [["Nom"]]}


def test_an_object_that_is_missing_is_a_missing_text_of_its_row():
    data = Dataset.from_dict({"translation": [{"de": "a", "en": "b"}, None]})
    ready = prepare_split(data, "train", ["tokens"], {"tokens": "translation.de"}, None)
    with pytest.raises(DataError, match=r"split 'train', row 2: column 'tokens' is empty \(null\)"):
        read_forms(tokenize_texts(ready, ["tokens"], str.split), ["tokens"], "train")


def test_one_column_may_be_read_and_written():
    found = prepare_split(Dataset.from_dict({"text": ["a"]}), "train", ["tokens", "target"], {"target": "text"}, None)
    assert found.to_dict() == {"tokens": ["a"], "target": ["a"]}


def test_two_columns_may_be_exchanged():
    data = Dataset.from_dict({"tokens": ["a"], "target": ["b"]})
    found = prepare_split(data, "train", ["tokens", "target"], {"tokens": "target", "target": "tokens"}, None)
    assert found.to_dict() == {"tokens": ["b"], "target": ["a"]}
