"""What a textbook works out by hand about recurrent nets, on the real components and with the numbers in comments."""

import itertools

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch import nn
from torch.nn import functional as F

from seqapps.cells import GRU, LSTM, RNN, Lengths, unroll
from seqapps.cells.cell import gate_slice
from seqapps.data.indexed import IndexedSplit, read_forms
from seqapps.data.requests import Request, merge_requests
from seqapps.data.resources import Resources
from seqapps.engine.training import Clipping
from seqapps.heads.tagging import Tagging
from seqapps.modules.dropout import drop
from seqapps.modules.embedders import TokenEmbedder
from seqapps.modules.encoded import Encoded
from seqapps.modules.feedforward import FeedforwardLayers

KERNELS = ["reference", "native"]


def scalar_rnn(w, u=1.0, nonlinearity="tanh"):
    """h_t = g(w h_{t-1} + u x_t)."""
    cell = RNN(1, 1, nonlinearity=nonlinearity, bias=False).double()
    with torch.no_grad():
        cell.recurrent.weight.fill_(w)
        cell.input_projection.weight.fill_(u)
    return cell


def run(cell, values, h0=0.0, kernels="reference"):
    """Outputs (T,) of a scalar network on a list of numbers, and its initial state."""
    state = torch.full((1, 1), h0, dtype=torch.float64, requires_grad=True)
    x = torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)
    outputs, _ = unroll(cell, x, (state,), torch.tensor([len(values)]), kernels=kernels)
    return outputs.flatten(), state


# The scalar network W = 0.5, U = 1, b = 0, h0 = 0, x = (1, 1, 1):
#   h1 = tanh(1) = 0.7616    h2 = tanh(0.5 * 0.7616 + 1) = 0.8811    h3 = tanh(0.5 * 0.8811 + 1) = 0.8938


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_scalar_network_forward(kernels):
    outputs, _ = run(scalar_rnn(0.5), [1.0, 1.0, 1.0], kernels=kernels)
    assert outputs.tolist() == pytest.approx([0.7616, 0.8811, 0.8938], abs=5e-5)


@pytest.mark.parametrize("kernels", KERNELS)
def test_backpropagation_through_time_with_a_loss_at_the_end(kernels):
    # dh3/dW = (1 - h3^2) (h2 + W (1 - h2^2) h1) = 0.2011 (0.8811 + 0.5 * 0.2236 * 0.7616) = 0.1943
    cell = scalar_rnn(0.5)
    outputs, _ = run(cell, [1.0, 1.0, 1.0], kernels=kernels)
    outputs[2].backward()
    assert cell.recurrent.weight.grad.item() == pytest.approx(0.1943, abs=5e-5)


@pytest.mark.parametrize("kernels", KERNELS)
def test_backpropagation_through_time_with_a_loss_at_every_step(kernels):
    # dh1/dW = 0; dh2/dW = (1 - h2^2) h1 = 0.1703; dh3/dW = 0.1943; of h1 + h2 + h3 it is 0.3646
    cell = scalar_rnn(0.5)
    outputs, _ = run(cell, [1.0, 1.0, 1.0], kernels=kernels)
    outputs.sum().backward()
    assert cell.recurrent.weight.grad.item() == pytest.approx(0.3646, abs=1e-4)


def test_the_gradient_of_a_shared_weight_is_the_sum_over_the_positions_where_it_is_used():
    # As three weights: the first meets h0 = 0, the second gives (1 - h3^2) W (1 - h2^2) h1 = 0.0171, the third
    # (1 - h3^2) h2 = 0.1772.
    copies = [scalar_rnn(0.5) for _ in range(3)]
    h = torch.zeros(1, 1, dtype=torch.float64)
    for cell in copies:
        h, _ = cell.step(cell.project(torch.ones(1, 1, dtype=torch.float64)), (h,))
    h.backward()
    parts = [cell.recurrent.weight.grad.item() for cell in copies]
    assert parts == pytest.approx([0.0, 0.0171, 0.1772], abs=5e-5)
    assert sum(parts) == pytest.approx(0.1943, abs=5e-5)


def test_the_gradient_product_without_nonlinearity_vanishes_below_one_and_explodes_above():
    # relu on a positive state is the identity: dh_n/dh_0 = W^n; 0.5^20 = 9.5e-7, 1^20 = 1, 1.5^20 = 3325.26.
    for w, expected in ((0.5, 0.5**20), (1.0, 1.0), (1.5, 1.5**20)):
        outputs, h0 = run(scalar_rnn(w, nonlinearity="relu"), [0.0] * 20, h0=1.0)
        outputs[-1].backward()
        assert h0.grad.item() == pytest.approx(expected, rel=1e-12)


def test_with_tanh_the_gradient_can_vanish_even_for_a_weight_of_two():
    # The state settles at h = tanh(2 h + 1) = 0.99495; a step then multiplies by 2 (1 - h^2) = 0.0201.
    outputs, h0 = run(scalar_rnn(2.0), [1.0] * 20)
    outputs[-1].backward()
    assert outputs[-1].item() == pytest.approx(0.99495, abs=5e-6)
    assert 0 < h0.grad.item() < 1e-30


def test_a_weight_beyond_one_is_necessary_for_exploding_and_not_sufficient():
    # Not sufficient: above. It can: at h = 0 a step multiplies by 2 (1 - 0) = 2, so 2^20 = 1048576 in 20 steps.
    outputs, h0 = run(scalar_rnn(2.0), [0.0] * 20)
    outputs[-1].backward()
    assert h0.grad.item() == pytest.approx(2**20)
    # Necessary: tanh' <= 1, so with |W| <= 1 no input makes the product exceed 1.
    generator = torch.Generator().manual_seed(0)
    for w in (-1.0, -0.5, 0.5, 1.0):
        for _ in range(5):
            inputs = torch.randn(10, generator=generator).tolist()
            outputs, h0 = run(scalar_rnn(w), inputs, h0=0.3)
            outputs[-1].backward()
            assert abs(h0.grad.item()) <= 1.0


def test_of_a_matrix_the_spectral_radius_decides_in_the_end_and_the_singular_value_at_first():
    # W = [[0.5, 4], [0, 0.5]]: both eigenvalues 0.5, largest singular value 4.062 = sqrt((16.5 + sqrt(272)) / 2).
    # One step can stretch a gradient by 4.06; W^n = [[0.5^n, 8 n 0.5^n], [0, 0.5^n]] still vanishes.
    w = torch.tensor([[0.5, 4.0], [0.0, 0.5]], dtype=torch.float64)
    assert torch.linalg.eigvals(w).abs().max().item() == pytest.approx(0.5)
    assert torch.linalg.matrix_norm(w, 2).item() == pytest.approx(4.062, abs=5e-4)
    cell = RNN(1, 2, nonlinearity="relu", bias=False).double()
    with torch.no_grad():
        cell.recurrent.weight.copy_(w)

    def jacobian(n):
        """dh_n/dh_0 of the network, on positive states, where relu is the identity."""

        def last(h):
            zeros = torch.zeros(n, 1, 1, dtype=torch.float64)
            return unroll(cell, zeros, (h,), torch.tensor([n]), kernels="reference")[1][0]

        return torch.autograd.functional.jacobian(last, torch.ones(1, 2, dtype=torch.float64))[0, :, 0]

    for n in (1, 2, 30):
        power = 0.5**n * torch.tensor([[1.0, 8.0 * n], [0.0, 1.0]], dtype=torch.float64)
        assert torch.allclose(jacobian(n), power, rtol=1e-12, atol=0)
    norms = [torch.linalg.matrix_norm(jacobian(n), 2).item() for n in (1, 30)]
    assert norms[0] == pytest.approx(4.062, abs=5e-4)
    assert norms[1] < 1e-6


def test_concatenated_state_and_input_equal_the_split_form():
    # [W_aa W_ax] [a; x] = W_aa a + W_ax x
    torch.manual_seed(0)
    cell = RNN(4, 3).double()
    x, a = torch.randn(2, 4).double(), torch.randn(2, 3).double()
    joined = torch.cat([cell.recurrent.weight, cell.input_projection.weight], 1)
    expected = torch.tanh(torch.cat([a, x], 1) @ joined.t() + cell.input_projection.bias + cell.recurrent.bias)
    output, _ = cell.step(cell.project(x), (a,))
    assert torch.allclose(output, expected, atol=1e-14)


def test_cell_state_arithmetic():
    # c = (0.5, -0.2, 0.5), f = (1, 0, 0.5), and i * g = (-0.5, 0.5, 2) written: f * c + i * g = (0, 0.5, 2.25).
    # A real i * g stays within (-1, 1) and the 2 is out of its reach, so everything is scaled by 1/4, which c_t, linear
    # in c_{t-1} and i * g, allows. sigmoid(1e4) = 1, sigmoid(-1e4) = 0, sigmoid(0) = 0.5.
    cell = LSTM(1, 3).double()
    c, written = torch.tensor([[0.5, -0.2, 0.5]]).double(), torch.tensor([-0.5, 0.5, 2.0]).double()
    projected = torch.zeros(1, 12).double()
    projected[:, gate_slice(cell, 0)] = 1e4
    projected[:, gate_slice(cell, 1)] = torch.tensor([1e4, -1e4, 0.0]).double()
    projected[:, gate_slice(cell, 2)] = torch.atanh(written / 4)
    _, (_, new) = cell.pointwise(projected, torch.zeros_like(projected), (torch.zeros_like(c), c / 4))
    assert (4 * new).flatten().tolist() == pytest.approx([0.0, 0.5, 2.25], abs=1e-7)


def test_an_update_gate_of_one_keeps_the_state_and_of_zero_writes_the_candidate():
    cell = GRU(2, 3).double()
    h = torch.randn(1, 3).double()
    for z, expected in ((1e4, h), (-1e4, torch.tanh(torch.full((1, 3), 0.3)).double())):
        projected = torch.cat([torch.zeros(3), torch.full((3,), z), torch.full((3,), 0.3)])[None].double()
        _, (new,) = cell.pointwise(projected, torch.zeros_like(projected), (h,))
        assert torch.allclose(new, expected)


@pytest.mark.parametrize(
    ("gradient", "threshold", "expected"),
    [
        ([3.0, 4.0], 1.0, [0.6, 0.8]),  # |g| = 5: (1/5) g
        ([3.0, 4.0], 2.5, [1.5, 2.0]),  # (2.5/5) g
        ([3.0, 4.0], 5.0, [3.0, 4.0]),  # at the threshold nothing changes
        ([0.3, 0.4], 1.0, [0.3, 0.4]),  # |g| = 0.5: the identity below
    ],
)
def test_clipping_scales_above_the_threshold_and_is_the_identity_below(gradient, threshold, expected):
    parameters = [nn.Parameter(torch.zeros(1)) for _ in gradient]  # the norm is that of all together
    for parameter, g in zip(parameters, gradient, strict=True):
        parameter.grad = torch.tensor([g])
    norm = Clipping(norm=threshold).apply(parameters)
    assert norm == pytest.approx(np.linalg.norm(gradient))
    assert [p.grad.item() for p in parameters] == pytest.approx(expected)


def draw(monkeypatch, numbers):
    """Let dropout's random 16 bits be these, each -32768 to 32767."""

    def bits(words, *_):
        words.view(torch.int16)[: len(numbers)] = torch.tensor(numbers, dtype=torch.int16)
        return words

    monkeypatch.setattr(torch.Tensor, "random_", bits)


def test_inverted_dropout_by_given_draws(monkeypatch):
    # Keep probability r = 0.5, x = (0.5, 0.4, -0.5), draws (0.9, 0.2, 0.4): kept where the draw is below r, and scaled
    # by 1/r, gives (0, 0.8, -1). `drop` keeps the upper part of its range: draw u is number (1 - u) 65536 - 32768.
    draw(monkeypatch, [round((1 - u) * 65536) - 32768 for u in (0.9, 0.2, 0.4)])
    x = torch.tensor([0.5, 0.4, -0.5]).view(1, 1, 3)
    assert drop(x, 0.5, locked=False, training=True).flatten().tolist() == pytest.approx([0.0, 0.8, -1.0])


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_inverted_dropout_keeps_the_expectation(p, monkeypatch):
    # Every one of the 65536 draws once, so the mean over them is the expectation itself.
    draw(monkeypatch, list(range(-32768, 32768)))
    y = drop(torch.full((1, 1, 65536), 0.7, dtype=torch.float64), p, locked=False, training=True)
    assert y.mean().item() == pytest.approx(0.7, rel=1e-12)
    assert (y == 0).double().mean().item() == pytest.approx(p, abs=1e-5)


def embedded(tokens, size=3):
    """A token embedder for one sentence, the sentence's batch and its vocabulary."""
    columns = read_forms(Dataset.from_dict({"tokens": [tokens]}), ["tokens"], "train")
    fields = {"column": "tokens", "lowercase": False, "min_frequency": 1, "max_size": None, "vectors": None,
              "vectors_words": "training"}  # fmt: skip
    resources = Resources.build(merge_requests(TokenEmbedder.requests(fields)), columns)
    batch = IndexedSplit(columns, resources, "train").batch(np.array([0]))
    return TokenEmbedder(resources.vocabularies, size=size), batch, resources.vocabularies["tokens"]


def test_one_hot_times_the_matrix_equals_the_lookup():
    embedder, batch, vocabulary = embedded(["the", "cat", "saw", "the", "dog"])
    x, _ = embedder(batch)
    one_hot = F.one_hot(batch.fields["tokens"].values, len(vocabulary)).float()
    assert torch.equal(x, one_hot @ embedder.table.weight)


def test_a_repeated_word_sums_its_gradients():
    embedder, batch, vocabulary = embedded(["the", "cat", "saw", "the", "dog"])
    x, _ = embedder(batch)
    (x * torch.tensor([1.0, 10.0, 100.0, 1000.0, 10000.0]).view(1, 5, 1)).sum().backward()
    gradient = embedder.table.weight.grad[:, 0]
    assert gradient[vocabulary["the"]].item() == 1001.0  # positions 1 and 4
    assert gradient[vocabulary["cat"]].item() == 10.0


def test_stacked_linear_layers_equal_one():
    # U (P m) = (U P) m: an LSTM whose h is projected by P has the cell states of one whose recurrent matrix is U P.
    torch.manual_seed(0)
    two, one = LSTM(3, 4, projection=2).double(), LSTM(3, 4).double()
    with torch.no_grad():
        for ours, theirs in ((one.input_projection.weight, two.input_projection.weight),
                             (one.input_projection.bias, two.input_projection.bias),
                             (one.recurrent.bias, two.recurrent.bias),
                             (one.recurrent.weight, two.recurrent.weight @ two.projection.weight)):  # fmt: skip
            ours.copy_(theirs)
    x = torch.randn(5, 2, 3).double()
    lengths = torch.tensor([5, 3])
    projected, (_, c) = unroll(two, x, None, lengths, kernels="reference")
    whole, (_, same) = unroll(one, x, None, lengths, kernels="reference")
    assert torch.allclose(c, same, atol=1e-14)
    assert torch.allclose(projected, whole @ two.projection.weight.t(), atol=1e-14)


@pytest.mark.parametrize("cell", [RNN, LSTM, GRU])
def test_a_bias_equals_a_constant_input(cell):
    # W x + b = [W b] [x; 1]
    torch.manual_seed(0)
    biased, plain = cell(3, 4).double(), cell(4, 4).double()
    with torch.no_grad():
        plain.input_projection.weight[:, :3] = biased.input_projection.weight
        plain.input_projection.weight[:, 3] = biased.input_projection.bias
        plain.input_projection.bias.zero_()
        plain.recurrent.weight.copy_(biased.recurrent.weight)
        plain.recurrent.bias.copy_(biased.recurrent.bias)
    x = torch.randn(5, 2, 3).double()
    a, _ = unroll(biased, x, None, torch.tensor([5, 5]), kernels="reference")
    b, _ = unroll(plain, F.pad(x, (0, 1), value=1.0), None, torch.tensor([5, 5]), kernels="reference")
    assert torch.allclose(a, b, atol=1e-14)


@pytest.mark.parametrize(
    ("nonlinearity", "derivative"),
    [
        ("sigmoid", lambda y: y * (1 - y)),  # at 0: 1/2 * 1/2 = 1/4, its largest
        ("tanh", lambda y: 1 - y**2),  # at 0: 1, its largest
        ("relu", lambda y: (y > 0).double()),  # at 0 torch takes 0
    ],
)
def test_derivatives_of_the_nonlinearities_by_their_values(nonlinearity, derivative):
    cell = scalar_rnn(1.0, nonlinearity=nonlinearity)
    a = torch.tensor([[-2.0], [-0.5], [0.0], [0.5], [2.0]], dtype=torch.float64, requires_grad=True)
    y, _ = cell.pointwise(a, torch.zeros_like(a), (torch.zeros_like(a),))
    y.sum().backward()
    assert torch.allclose(a.grad, derivative(y.detach()), atol=1e-14)
    assert a.grad[2].item() == {"sigmoid": 0.25, "tanh": 1.0, "relu": 0.0}[nonlinearity]


def test_softmax_with_cross_entropy_gives_y_minus_one_at_the_gold_index_and_y_elsewhere():
    class Width(nn.Module):
        output_size = 2

    tags = ["N", "V", "D"]
    columns = read_forms(Dataset.from_dict({"tokens": [["a"] * 3], "tags": [tags]}), ["tokens", "tags"], "train")
    requests = [Request("tokens", "tokens"), Request("tags", "tags", "label")]
    resources = Resources.build(merge_requests(requests), columns)
    batch = IndexedSplit(columns, resources, "train").batch(np.array([0]))
    torch.manual_seed(0)
    head = Tagging(Width(), resources.vocabularies, column="tags")
    features = torch.randn(1, 3, 2)
    loss = head.loss(Encoded(features, features[:, 0], None, Lengths(torch.tensor([3]), 3)), batch)
    loss.total.backward()
    # The scores are V h + b, so the gradient of b is that of the scores, summed over the three tokens.
    y = head.output(features)[0].softmax(-1).detach()
    gold = batch.fields["tags"].values[0]
    expected = y.clone()
    for t in range(3):
        expected[t, gold[t]] -= 1
    assert torch.allclose(head.output.bias.grad, expected.sum(0), atol=1e-6)
    assert torch.allclose(head.output.weight.grad, expected.t() @ features[0], atol=1e-6)


BITS = list(itertools.product([0.0, 1.0], repeat=2))
TRUTH = {"and": [0, 0, 0, 1], "or": [0, 1, 1, 1], "xor": [0, 1, 1, 0]}


def threshold_unit(w1, w2, b):
    """1 where w1 x1 + w2 x2 + b > 0, for the four inputs."""
    unit = nn.Linear(2, 1)
    with torch.no_grad():
        unit.weight.copy_(torch.tensor([[w1, w2]]))
        unit.bias.fill_(b)
    return (unit(torch.tensor(BITS)) > 0).int().flatten().tolist()


def test_and_and_or_are_threshold_units():
    assert threshold_unit(1.0, 1.0, -1.0) == TRUTH["and"]
    assert threshold_unit(1.0, 1.0, 0.0) == TRUTH["or"]


def test_no_single_unit_solves_xor():
    # For any affine s: s(0,0) + s(1,1) = s(0,1) + s(1,0), so the last two cannot both be above 0 and the first two not.
    grid = torch.linspace(-2, 2, 9).tolist()
    solved = {tuple(threshold_unit(*weights)) for weights in itertools.product(grid, repeat=3)}
    assert {tuple(TRUTH["and"]), tuple(TRUTH["or"])} <= solved
    assert tuple(TRUTH["xor"]) not in solved
    assert len(solved) == 14  # all of the 16 but xor and its complement


def test_two_layers_of_relu_solve_xor():
    # h = relu([[1, 1], [1, 1]] x + (0, -1)), y = h1 - 2 h2
    layers = FeedforwardLayers(2, [2], "relu", 0.0)
    with torch.no_grad():
        layers.layers[0].weight.fill_(1.0)
        layers.layers[0].bias.copy_(torch.tensor([0.0, -1.0]))
    y = layers(torch.tensor(BITS)) @ torch.tensor([1.0, -2.0])
    assert y.tolist() == TRUTH["xor"]
