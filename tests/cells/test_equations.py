"""Every cell with every combination of its options, against its cited equations written out in numpy, row by row.

All parameters are drawn anew from -1 to 1, gains and offsets too, so that none can be left out unseen.
"""

import itertools

import numpy as np
import pytest
import torch

from seqapps.cells import (
    GRU,
    LSTM,
    QRNN,
    RNN,
    SRU,
    SRU2,
    IndRNN,
    MinGRU,
    MinimalGatedUnit,
    MinLSTM,
    unroll,
)

E, H = 3, 4
LENGTHS = torch.tensor([5, 3, 1])


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


ACTIVATIONS = {"tanh": np.tanh, "sigmoid": sigmoid, "relu": lambda a: np.where(a > 0, a, 0.0), "identity": lambda a: a}


def normalized(p, name, a, block=0):
    """Equation for LN, mean and variance from sums; an offset where there is one."""
    mean = sum(a) / len(a)
    variance = sum((v - mean) ** 2 for v in a) / len(a)
    y = p[f"{name}.blocks.{block}.weight"] * (a - mean) / np.sqrt(variance + 1e-5)
    return y + p.get(f"{name}.blocks.{block}.bias", 0.0)


def rows(p, name, gate):
    """W, b of one gate in a linear module: (H, in) and (H,)."""
    own = slice(gate * H, (gate + 1) * H)
    bias = p.get(f"{name}.bias")
    return p[f"{name}.weight"][own], np.zeros(H) if bias is None else bias[own]


def affine(p, name, gate, v):
    weight, bias = rows(p, name, gate)
    return weight @ v + bias


def rnn(p, x, state, fields):
    (h,) = state
    g = ACTIVATIONS[fields.get("nonlinearity", "tanh")]
    for x_t in x:
        h = g(affine(p, "input_projection", 0, x_t) + affine(p, "recurrent", 0, h))
        yield h, (h,)


def indrnn(p, x, state, fields):
    (h,) = state
    for x_t in x:
        own = p["recurrent_weight"] * h
        h = ACTIVATIONS[fields.get("nonlinearity", "relu")](affine(p, "input_projection", 0, x_t) + own)
        yield h, (h,)


def lstm(p, x, state, fields):
    h, c = state
    order = "fgo" if fields["coupled"] else "ifgo"

    def peephole(gate, c):
        weight = p.get(f"peephole_{gate}")
        if weight is None:
            assert fields["peephole"] == "none"
            return 0.0
        return weight * c if fields["peephole"] == "diagonal" else weight @ c

    for x_t in x:
        if fields["layer_norm"]:
            from_x = normalized(p, "input_norm", p["input_projection.weight"] @ x_t) + p.get("input_projection.bias", 0)
            from_h = normalized(p, "recurrent_norm", p["recurrent.weight"] @ h)
            a = dict(zip(order, np.split(from_x + from_h, len(order)), strict=True))
        else:
            a = {
                gate: affine(p, "input_projection", n, x_t) + affine(p, "recurrent", n, h)
                for n, gate in enumerate(order)
            }
        f = sigmoid(a["f"] + peephole("f", c))
        i = 1 - f if fields["coupled"] else sigmoid(a["i"] + peephole("i", c))
        c = f * c + i * np.tanh(a["g"])
        o = sigmoid(a["o"] + peephole("o", c))  # the new cell
        h = o * np.tanh(normalized(p, "cell_norm", c) if fields["layer_norm"] else c)
        if fields["projection"]:
            h = p["projection.weight"] @ h
        yield h, (h, c)


def gru(p, x, state, fields):
    (h,) = state
    normalize = fields["layer_norm"]
    for x_t in x:
        if normalize:
            wx = p["input_projection.weight"] @ x_t
            b = p.get("input_projection.bias", np.zeros(3 * H))
            gates = normalized(p, "input_norm", wx[: 2 * H]) + b[: 2 * H]
            gates = gates + normalized(p, "recurrent_norm", p["recurrent.weight"][: 2 * H] @ h)
            r, z = sigmoid(gates[:H]), sigmoid(gates[H:])
            from_x = normalized(p, "input_norm", wx[2 * H :], block=1) + b[2 * H :]
        else:
            r = sigmoid(affine(p, "input_projection", 0, x_t) + affine(p, "recurrent", 0, h))
            z = sigmoid(affine(p, "input_projection", 1, x_t) + affine(p, "recurrent", 1, h))
            from_x = affine(p, "input_projection", 2, x_t)
        if fields["reset"] == "after" and normalize:
            from_h = r * normalized(p, "recurrent_norm", p["recurrent.weight"][2 * H :] @ h, block=1)
        elif fields["reset"] == "after":
            from_h = r * affine(p, "recurrent", 2, h)
        elif normalize:
            from_h = normalized(p, "candidate_norm", p["candidate.weight"] @ (r * h))
        else:
            from_h = affine(p, "candidate", 0, r * h)
        n = np.tanh(from_x + from_h)
        kept = z if fields["update_gate"] == "keep" else 1 - z
        h = kept * h + (1 - kept) * n
        yield h, (h,)


def minimal_gated(p, x, state, fields):
    (h,) = state
    for x_t in x:
        f = sigmoid(affine(p, "input_projection", 0, x_t) + affine(p, "recurrent", 0, h))
        n = np.tanh(affine(p, "input_projection", 1, x_t) + affine(p, "candidate", 0, f * h))
        h = (1 - f) * h + f * n
        yield h, (h,)


def positive(v):
    return np.where(v >= 0, v + 0.5, sigmoid(v))


def mingru(p, x, state, fields):
    (h,) = state
    g = positive if fields["candidate"] == "positive" else ACTIVATIONS["identity"]
    for x_t in x:
        z = sigmoid(affine(p, "input_projection", 0, x_t))
        h = (1 - z) * h + z * g(affine(p, "input_projection", 1, x_t))
        yield h, (h,)


def minlstm(p, x, state, fields):
    (h,) = state
    g = positive if fields["candidate"] == "positive" else ACTIVATIONS["identity"]
    for x_t in x:
        f = sigmoid(affine(p, "input_projection", 0, x_t))
        i = sigmoid(affine(p, "input_projection", 1, x_t))
        h = f / (f + i) * h + i / (f + i) * g(affine(p, "input_projection", 2, x_t))
        yield h, (h,)


def qrnn(p, x, state, fields):
    (c,) = state
    pooling = fields["pooling"]
    for x_t in x:
        z = np.tanh(affine(p, "input_projection", 0, x_t))
        f = sigmoid(affine(p, "input_projection", 1, x_t))
        if pooling == "f":
            c = f * c + (1 - f) * z
            yield c, (c,)
        elif pooling == "fo":
            c = f * c + (1 - f) * z
            yield sigmoid(affine(p, "input_projection", 2, x_t)) * c, (c,)
        else:
            c = f * c + sigmoid(affine(p, "input_projection", 2, x_t)) * z
            yield sigmoid(affine(p, "input_projection", 3, x_t)) * c, (c,)


def sru(p, x, state, fields):
    (c,) = state
    g = ACTIVATIONS[fields["nonlinearity"]]
    for x_t in x:
        f = sigmoid(affine(p, "input_projection", 1, x_t))
        r = sigmoid(affine(p, "input_projection", 2, x_t))
        c = f * c + (1 - f) * affine(p, "input_projection", 0, x_t)
        skip = x_t if len(x_t) == H else affine(p, "input_projection", 3, x_t)
        yield r * g(c) + (1 - r) * skip, (c,)


def sru2(p, x, state, fields):
    (c,) = state
    alpha = (1 + 2 * np.exp(fields["highway_bias"])) ** 0.5
    for x_t in x:
        f = sigmoid(affine(p, "input_projection", 1, x_t) + p["forget_peephole"] * c)
        r = sigmoid(affine(p, "input_projection", 2, x_t) + p["reset_peephole"] * c)  # the old cell
        c = f * c + (1 - f) * affine(p, "input_projection", 0, x_t)
        skip = x_t if len(x_t) == H else affine(p, "input_projection", 3, x_t)
        yield r * c + (1 - r) * skip * alpha, (c,)


def product(**options):
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())]


BIAS = [True, False]
OPTIONS = {
    (RNN, rnn): product(nonlinearity=["tanh", "relu", "sigmoid"], bias=BIAS),
    (LSTM, lstm): product(
        peephole=["none", "diagonal", "full"], coupled=BIAS, layer_norm=BIAS, projection=[None, 2], bias=BIAS
    ),
    (GRU, gru): product(reset=["after", "before"], update_gate=["keep", "write"], layer_norm=BIAS, bias=BIAS),
    (MinimalGatedUnit, minimal_gated): product(bias=BIAS),
    (IndRNN, indrnn): product(nonlinearity=["relu", "tanh", "sigmoid"], bias=BIAS),
    (SRU, sru): product(nonlinearity=["tanh", "identity"], bias=BIAS),
    (SRU2, sru2): [{"highway_bias": b, "bias": True} for b in (0.0, -3.0)] + [{"highway_bias": 0.0, "bias": False}],
    (MinGRU, mingru): product(candidate=["linear", "positive"], bias=BIAS),
    (MinLSTM, minlstm): product(candidate=["linear", "positive"], bias=BIAS),
    (QRNN, qrnn): product(pooling=["f", "fo", "ifo"], bias=BIAS),
}
VARIANTS = [(*pair, fields) for pair, combinations in OPTIONS.items() for fields in combinations]
NAMES = [f"{cell.__name__}-{'-'.join(f'{k}={v}' for k, v in fields.items())}" for cell, _, fields in VARIANTS]


def drawn(cell, fields, input_size=E, hidden_size=H):
    torch.manual_seed(0)
    made = cell(input_size, hidden_size, **fields).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.uniform_(-1, 1)
    return made


def initial(cell, rows):
    """Some state that is not zero, of the shapes that the cell wants."""
    generator = torch.Generator().manual_seed(2)
    return tuple(torch.randn(s.shape, generator=generator, dtype=s.dtype) for s in cell.initial_state(rows))


@pytest.mark.parametrize(("cell", "equations", "fields"), VARIANTS, ids=NAMES)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("input_size", [E, H])  # equal sizes are a case of their own to a highway
def test_a_cell_computes_its_equations(cell, equations, fields, reverse, input_size):
    made = drawn(cell, fields, input_size)
    x = torch.randn(5, 3, input_size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    state = initial(made, 3)
    outputs, final = unroll(made, x, state, LENGTHS, reverse=reverse, kernels="reference")
    p = {name: parameter.detach().numpy() for name, parameter in made.named_parameters()}
    for b, n in enumerate(LENGTHS.tolist()):
        read = x[:n, b].numpy()[::-1] if reverse else x[:n, b].numpy()
        steps = list(equations(p, read, tuple(s[b].numpy() for s in state), fields))
        expected = np.stack([output for output, _ in steps])
        np.testing.assert_allclose(outputs[:n, b].detach(), expected[::-1] if reverse else expected, atol=1e-8)
        for ours, theirs in zip(final, steps[-1][1], strict=True):
            np.testing.assert_allclose(ours[b].detach(), theirs, atol=1e-8)


@pytest.mark.parametrize(("cell", "equations", "fields"), VARIANTS, ids=NAMES)
def test_gradients_of_inputs_states_and_parameters_agree_with_finite_differences(cell, equations, fields):
    made = drawn(cell, fields, 2, 2)
    names, parameters = zip(*made.named_parameters(), strict=True)
    x = torch.randn(3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    state = tuple(s.requires_grad_() for s in initial(made, 2))

    def run(x, *others):
        states, values = others[: len(state)], others[len(state) :]
        return torch.func.functional_call(
            Unrolled(made), {f"cell.{n}": v for n, v in zip(names, values, strict=True)}, (x, states)
        )

    assert torch.autograd.gradcheck(run, (x, *state, *parameters), fast_mode=True)


class Unrolled(torch.nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x, state):
        outputs, final = unroll(self.cell, x, state, torch.tensor([3, 1]), kernels="reference")
        return outputs, *final


@pytest.mark.parametrize(("cell", "equations", "fields"), VARIANTS, ids=NAMES)
def test_sizes_of_one_work(cell, equations, fields):
    if fields.get("projection"):
        fields = {**fields, "projection": 1}
    made = cell(1, 1, **fields)
    outputs, final = unroll(made, torch.randn(1, 1, 1), None, torch.tensor([1]))
    assert outputs.shape == (1, 1, made.output_size)
    assert outputs.isfinite().all()
    outputs.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in made.parameters())
    assert len(final) == made.states


@pytest.mark.parametrize(("cell", "equations", "fields"), VARIANTS, ids=NAMES)
def test_without_bias_a_cell_has_none(cell, equations, fields):
    biases = [name for name, _ in cell(E, H, **fields).named_parameters() if name.endswith("bias")]
    assert bool(biases) == fields["bias"]


@pytest.mark.parametrize(("cell", "equations", "fields"), VARIANTS, ids=NAMES)
def test_an_elementwise_rule_keeps_hidden_units_apart(cell, equations, fields):
    made = drawn(cell, fields)
    rows = made.recurrent.out_features if made.has_recurrent else H
    projected = torch.randn(2, made.project(torch.zeros(2, E).double()).size(-1)).double()
    recurrent, state = torch.randn(2, rows).double(), initial(made, 2)
    before, _ = made.pointwise(projected, recurrent, state)
    changed = [t.clone() for t in (projected, recurrent, *state)]
    for t in changed:
        t[..., 0::H] += 0.7  # unit 0 in every block
    after, _ = made.pointwise(changed[0], changed[1], tuple(changed[2:]))
    others_stay = torch.equal(before[:, 1:], after[:, 1:])
    assert others_stay == made.elementwise


def gate_blocks(made):
    """Blocks of the projection behind `gate_names`, from the docstrings' gate orders."""
    orders = {
        LSTM: "fgo" if getattr(made, "coupled", False) else "ifgo",
        GRU: "run",  # u: the update gate
        MinimalGatedUnit: "fn",
        SRU: "wfr",
        SRU2: "wfr",
        MinGRU: "un",
        MinLSTM: "fin",
        QRNN: {"f": "zf", "fo": "zfo", "ifo": "zfio"}[getattr(made, "pooling", "f")],
    }
    order = orders.get(type(made), "")
    return [order.index(name[0]) for name in made.gate_names]


@pytest.mark.parametrize(("cell", "equations", "fields"), VARIANTS, ids=NAMES)
def test_sigmoids_of_a_step_come_in_the_order_of_their_names(cell, equations, fields, monkeypatch):
    made = drawn(cell, fields)
    real, calls = torch.sigmoid, []
    monkeypatch.setattr(torch, "sigmoid", lambda a: calls.append(real(a)) or calls[-1])
    for number, block in enumerate(gate_blocks(made)):
        projected = made.project(torch.randn(2, E).double()).detach()
        projected[:, block * H : (block + 1) * H] = -1e4
        calls.clear()
        made.step(projected, initial(made, 2))
        assert len(calls) == len(made.gate_names)
        assert [k for k, call in enumerate(calls) if call.abs().max() == 0] == [number]


@pytest.mark.parametrize(("cell", "equations", "fields"), VARIANTS, ids=NAMES)
def test_gates_that_keep_and_gates_that_write_are_those_that_the_cell_names(cell, equations, fields):
    made = drawn(cell, fields)
    if not made.gate_names:
        assert (made.keep_gates, made.write_gates) == ((), ())
        return
    old = initial(made, 2)
    memory = {}
    for keep in (1e4, -1e4):
        projected = made.project(torch.randn(2, E).double()).detach()
        for gates, value in ((made.keep_gates, keep), (made.write_gates, -keep)):
            for gate in gates:
                projected[:, gate * H : (gate + 1) * H] = value
        memory[keep] = made.step(projected, old)[1][-1]  # an LSTM's c, else the only state
    assert torch.allclose(memory[1e4], old[-1])
    assert (memory[-1e4] - old[-1]).abs().max() > 0.1
