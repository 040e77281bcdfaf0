"""Every registered encoder, whoever registered it, keeps the contract of encoders."""

from itertools import combinations

import pytest

from seqapps.recipe import Spec
from seqapps.recipe.schema import REQUIRED, fields_of
from seqapps.registry import KINDS
from seqapps.testing import check_encoder, options

SMALL = {"hidden_size": 4, "hidden_sizes": [4], "num_layers": 2, "sentence_length": 2}
# Of each kind of component, one for fields that have no default.
REQUIRED_PARTS = {
    "cells": Spec("cells", "gru"),
    "encoders": Spec("encoders", "recurrent", {"cell": Spec("cells", "gru"), "hidden_size": 4, "bidirectional": True}),
}


def fixed_fields(name):
    """Small sizes, and something for what has no default."""
    fixed = {}
    for field in fields_of(KINDS["encoders"].load(name)):
        if field.name in SMALL:
            fixed[field.name] = SMALL[field.name]
        elif field.default is REQUIRED and field.shape.form == "component":
            fixed[field.name] = REQUIRED_PARTS[field.shape.kind]
    return fixed


def in_pairs(combinations_of_options):
    """So many of them that each two options that go together do so once."""
    seen, chosen = set(), []
    names = sorted({name for fields in combinations_of_options for name in fields})
    for fields in combinations_of_options:
        pairs = set(combinations([(name, str(fields.get(name))) for name in names], 2))
        if len(pairs - seen) > 1 or not chosen:
            chosen.append(fields)
            seen |= pairs
    return chosen


CASES = [
    (name, fields)
    for name in KINDS["encoders"]
    for fields in in_pairs(options(KINDS["encoders"].load(name), **fixed_fields(name)))
]


def case_name(value):
    if isinstance(value, str):
        return value
    return ",".join(f"{n}={getattr(v, 'name', v)}" for n, v in value.items()) or "defaults"


@pytest.mark.parametrize(("name", "fields"), CASES, ids=case_name)
def test_an_encoder_keeps_the_contract(name, fields):
    check_encoder(KINDS["encoders"].load(name), **fields)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", list(KINDS["cells"]))
def test_a_recurrent_encoder_keeps_the_contract_with_every_cell(cell, bidirectional):
    recurrent = KINDS["encoders"].load("recurrent")
    check_encoder(recurrent, cell=Spec("cells", cell), hidden_size=4, bidirectional=bidirectional)
