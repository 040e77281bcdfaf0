"""Every registered component, whoever registered it, keeps the contract of its kind."""

import re

import pytest
import torch

from seqapps.cells import unroll
from seqapps.recipe import describe_fields
from seqapps.registry import KINDS, registry

CONSTRUCTED = ["cells", "encoders", "embedders", "heads", "sources", "tokenizers", "optimizers", "schedules"]
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
    import inspect

    parameters = inspect.signature(component).parameters.values()
    fields = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert component.check_fields(fields) == []


@pytest.mark.parametrize("name", list(KINDS["cells"]))
@pytest.mark.parametrize("reverse", [False, True])
def test_a_cell_reads_each_sequence_as_if_it_were_alone(name, reverse):
    torch.manual_seed(0)
    cell = load("cells", name)(5, 6).double().eval()
    lengths = torch.tensor([7, 4, 1])
    x = torch.randn(7, 3, 5).double()
    for b, n in enumerate(lengths.tolist()):
        x[n:, b] = float("nan")
    outputs, final = unroll(cell, x, None, lengths, reverse=reverse)
    for b, n in enumerate(lengths.tolist()):
        alone = x[:n, b : b + 1].flip(0) if reverse else x[:n, b : b + 1]
        expected, last = unroll(cell, alone, None, torch.tensor([n]), kernels="reference")
        assert torch.allclose(outputs[:n, b], (expected.flip(0) if reverse else expected)[:, 0], atol=1e-10)
        for state, alone_state in zip(final, last, strict=True):
            assert torch.allclose(state[b], alone_state[0], atol=1e-10)


@pytest.mark.parametrize("name", list(KINDS["cells"]))
def test_a_cell_keeps_no_state_of_its_own(name):
    torch.manual_seed(0)
    cell = load("cells", name)(5, 6).eval()
    x = torch.randn(7, 3, 5)
    first, _ = unroll(cell, x, None, torch.full((3,), 7))
    second, _ = unroll(cell, x, None, torch.full((3,), 7))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", list(KINDS["kernels"]))
def test_a_kernel_equals_the_steps_of_every_cell_that_it_supports(name):
    kernel = load("kernels", name)()
    x = torch.randn(7, 3, 5).double()
    supported = 0
    for cell_name in KINDS["cells"]:
        torch.manual_seed(0)
        cell = load("cells", cell_name)(5, 6).double()
        if kernel.refuses(cell, x):
            continue
        supported += 1
        results = []
        for kernels in (name, "reference"):
            cell.zero_grad()
            y = x.clone().requires_grad_()
            outputs, final = unroll(cell, y, None, torch.tensor([7, 4, 1]), kernels=kernels)
            (outputs.square().sum() + sum(s.sum() for s in final)).backward()
            results.append([outputs, *final, y.grad, *(p.grad for p in cell.parameters())])
        for a, b in zip(*results, strict=True):
            assert torch.allclose(a, b, atol=1e-10)
    assert supported
