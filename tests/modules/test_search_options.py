"""What search options are refused, and that each is described."""

from dataclasses import fields

import pytest
import torch

from seqapps.errors import UseError
from seqapps.modules.search import SearchOptions, search

FAULTS = [
    ({"beam": 0}, "beam"),
    ({"n_best": 0}, "n_best"),
    ({"n_best": 6}, "n_best"),
    ({"max_length": 0}, "max_length"),
    ({"min_length": -1}, "min_length"),
    ({"min_length": 8, "max_length": 7}, "min_length"),
    ({"length_penalty": "gnmt", "length_alpha": -0.1}, "length_alpha"),
    ({"length_alpha": 0.5}, "length_alpha"),
    ({"length_penalty": "average", "length_alpha": 0.5}, "length_alpha"),
    ({"coverage_penalty": -1.0}, "coverage_penalty"),
    ({"groups": 0}, "groups"),
    ({"groups": 2, "diversity": 1.0}, "groups"),
    ({"diversity": 1.0}, "diversity"),
    ({"groups": 5, "diversity": float("inf")}, "diversity"),
    ({"no_repeat": 0}, "no_repeat"),
    ({"method": "sampling", "temperature": 0.0}, "temperature"),
    ({"method": "sampling", "top_k": 0}, "top_k"),
    ({"method": "sampling", "top_p": 0.0}, "top_p"),
    ({"method": "sampling", "top_p": 1.1}, "top_p"),
    ({"method": "sampling", "length_penalty": "average"}, "length_penalty"),
    ({"method": "sampling", "beam": 3}, "beam"),
    ({"method": "greedy", "top_k": 3}, "top_k"),
    ({"method": "greedy", "n_best": 2}, "n_best"),
    ({"method": "greedy", "early_exit": False}, "early_exit"),
    ({"method": "greedy", "patience": 1.0}, "patience"),
    ({"n_best": 3, "patience": 0.5}, "patience"),
    ({"n_best": 3, "beam": 4, "groups": 2, "patience": 0.75}, "patience"),
    ({"patience": float("inf")}, "patience"),
    ({"temperature": 2.0}, "temperature"),
    ({"top_p": 0.5}, "top_p"),
]


@pytest.mark.parametrize(("values", "field"), FAULTS)
def test_one_fault_is_told_of_its_field(values, field):
    assert [name for name, _ in SearchOptions(**values).faults()] == [field]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"method": "greedy", "no_repeat": 3, "min_length": 2},
        {"method": "sampling", "n_best": 50, "temperature": 0.7, "top_k": 10, "top_p": 1.0},
        {"n_best": 3, "patience": 0.6},
        {"n_best": 29, "beam": 100, "patience": 0.29},
        {"beam": 6, "groups": 3, "diversity": 0.5, "n_best": 6, "length_penalty": "gnmt", "length_alpha": 0.0},
    ],
)
def test_sound_options_have_no_fault(values):
    assert SearchOptions(**values).faults() == []


def test_a_search_tells_all_faults_at_once():
    options = SearchOptions(beam=2, n_best=3, top_k=4)
    with pytest.raises(UseError, match=r"search: 4 has no effect on method beam; leave it out\nsearch: n_best is 3"):
        search(None, None, None, torch.zeros(1, dtype=torch.int64), options, eos=1)


def test_every_field_is_described():
    described = SearchOptions.__doc__.split("Fields:")[1]
    assert [field.name for field in fields(SearchOptions) if f"\n        {field.name}: " not in described] == []
