"""Every registered component, whoever registered it, keeps the contract of its kind."""

import inspect
import re

import pytest

from seqapps.recipe import describe_fields
from seqapps.registry import KINDS, registry

CONSTRUCTED = [
    "cells",
    "encoders",
    "embedders",
    "decoders",
    "heads",
    "sources",
    "tokenizers",
    "features",
    "optimizers",
    "schedules",
]
COMPONENTS = [(kind, name) for kind in CONSTRUCTED for name in KINDS[kind]]


def load(kind, name):
    return registry(kind).load(name)


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_a_docstring_explains_every_field(kind, name):
    component = load(kind, name)
    text = component.__doc__ or ""
    assert text.strip(), "no docstring"
    missing = [f.name for f in describe_fields(component) if not re.search(rf"\b{f.name}\b", text)]
    assert missing == []


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_checks_of_fields_pass_the_defaults(kind, name):
    component = load(kind, name)
    if not hasattr(component, "check_fields"):
        return
    described = describe_fields(component)
    if any(f.default == "required" for f in described):
        return  # nothing to construct a default from
    parameters = inspect.signature(component).parameters.values()
    fields = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert component.check_fields(fields) == []
