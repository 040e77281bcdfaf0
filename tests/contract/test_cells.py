"""Every registered cell in every combination of its options, whoever registered it, keeps the contract of cells."""

import pytest

from seqapps.registry import KINDS
from seqapps.testing import check_cell, options

# Fields that are numbers, which `options` leaves alone.
NUMBERS = {"lstm": [{"projection": 3}], "sru": [{"highway_bias": -1.0}], "sru2": [{"highway_bias": -1.0}]}
CASES = [
    (name, fields)
    for name in KINDS["cells"]
    for fixed in ({}, *NUMBERS.get(name, ()))
    for fields in options(KINDS["cells"].load(name), **fixed)
]


def case_name(value):
    return value if isinstance(value, str) else ",".join(f"{n}={v}" for n, v in value.items()) or "defaults"


@pytest.mark.parametrize(("name", "fields"), CASES, ids=case_name)
def test_a_cell_keeps_the_contract(name, fields):
    check_cell(KINDS["cells"].load(name), **fields)
