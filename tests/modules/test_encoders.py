"""Encoders that recurrent ones are compared with: feedforward, pooled, window, convolutional."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.func import functional_call
from torch.nn import functional as F

from seqapps.cells import Lengths
from seqapps.errors import ShapeError
from seqapps.modules.convolutional import ConvolutionalEncoder
from seqapps.modules.feedforward import FeedforwardEncoder
from seqapps.modules.pooled import PooledEncoder
from seqapps.modules.window import WindowEncoder

LENGTHS = torch.tensor([8, 5, 2, 1])
SMALL = {
    FeedforwardEncoder: {"hidden_sizes": [6]},
    PooledEncoder: {"hidden_sizes": [6]},
    WindowEncoder: {"hidden_sizes": [6]},
    ConvolutionalEncoder: {"hidden_size": 6},
}
CASES = [
    (FeedforwardEncoder, {}),
    (FeedforwardEncoder, {"hidden_sizes": []}),
    (FeedforwardEncoder, {"hidden_sizes": [6, 4], "nonlinearity": "gelu"}),
    *((PooledEncoder, {"pooling": pooling, "causal": causal}) for pooling in ("mean", "max") for causal in (0, 1)),
    (PooledEncoder, {"hidden_sizes": []}),
    (PooledEncoder, {"hidden_sizes": [6, 4], "nonlinearity": "tanh", "causal": True}),
    *((WindowEncoder, {"before": before, "after": after}) for before in (0, 1, 3) for after in (0, 2, 9)),
    (WindowEncoder, {"hidden_sizes": []}),
    (WindowEncoder, {"hidden_sizes": [6, 4], "nonlinearity": "sigmoid"}),
    *(
        (ConvolutionalEncoder, {"causal": causal, "dilated": dilated, "residual": residual, "num_layers": 3})
        for causal in (False, True)
        for dilated in (False, True)
        for residual in (False, True)
    ),
    (ConvolutionalEncoder, {"width": 1, "num_layers": 1}),
    (ConvolutionalEncoder, {"width": 2, "causal": True, "nonlinearity": "tanh"}),
    (ConvolutionalEncoder, {"width": 5, "nonlinearity": "glu"}),
]


def case_name(value):
    if isinstance(value, type):
        return value.__name__.removesuffix("Encoder")
    return ",".join(f"{name}={setting}" for name, setting in value.items()) or "plain"


every_case = pytest.mark.parametrize(("encoder_class", "fields"), CASES, ids=case_name)
every_class = pytest.mark.parametrize("encoder_class", SMALL, ids=case_name)


def build(encoder_class, **fields):
    """An encoder of 5 features in float64, none of its parameters zero."""
    torch.manual_seed(0)
    encoder = encoder_class(5, **{**SMALL[encoder_class], **fields}).double()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return encoder


def ragged(*, padding=0.0, lengths=LENGTHS):
    """x (B, T, 5) whose padding holds `padding`."""
    torch.manual_seed(1)
    x = torch.randn(len(lengths), int(lengths.max()), 5).double()
    for b, n in enumerate(lengths.tolist()):
        x[b, n:] = padding
    return x


# The definitions once more, for one sequence x (n, 5), position by position: outputs (n, F) and summary (F,).

FUNCTIONS = {
    "relu": lambda z: z * (z > 0),
    "tanh": lambda z: 2 / (1 + (-2 * z).exp()) - 1,
    "gelu": lambda z: z * 0.5 * (1 + torch.erf(z / math.sqrt(2))),
    "sigmoid": lambda z: 1 / (1 + (-z).exp()),
    "glu": lambda z: z[: len(z) // 2] / (1 + (-z[len(z) // 2 :]).exp()),
}


def through_layers(encoder, nonlinearity, vector):
    for layer in encoder.hidden.layers:
        vector = FUNCTIONS[nonlinearity](layer.weight @ vector + layer.bias)
    return vector


def averaged(outputs):
    return torch.stack(outputs), sum(outputs) / len(outputs)


def feedforward(encoder, x, nonlinearity="relu", **_):
    return averaged([through_layers(encoder, nonlinearity, vector) for vector in x])


def pooled(encoder, x, pooling="mean", causal=False, nonlinearity="relu", **_):
    def of(some):
        z = sum(some) / len(some) if pooling == "mean" else torch.tensor([max(column) for column in some.t().tolist()])
        return through_layers(encoder, nonlinearity, z.double())

    outputs = [of(x[: t + 1] if causal else x) for t in range(len(x))]
    return torch.stack(outputs), of(x)


def window(encoder, x, before=2, after=2, nonlinearity="tanh", **_):
    def at(t):
        return x[t] if 0 <= t < len(x) else encoder.outside

    windows = [torch.cat([at(t + k) for k in range(-before, after + 1)]) for t in range(len(x))]
    return averaged([through_layers(encoder, nonlinearity, vector) for vector in windows])


def convolutional(encoder, x, width=3, causal=False, dilated=False, residual=True, nonlinearity="relu", **_):
    first = -(width - 1) if causal else -(width // 2)
    for number, layer in enumerate(encoder.convolutions):
        distance = 2**number if dilated else 1
        rows = []
        for t in range(len(x)):
            z = layer.bias
            for k in range(width):
                source = t + (first + k) * distance
                if 0 <= source < len(x):
                    z = z + layer.weight[:, :, k] @ x[source]
            y = FUNCTIONS[nonlinearity](z)
            rows.append(x[t] + y if residual and number > 0 else y)
        x = torch.stack(rows)
    return x, torch.tensor([max(column) for column in x.t().tolist()]).double()


DEFINITIONS = {
    FeedforwardEncoder: feedforward,
    PooledEncoder: pooled,
    WindowEncoder: window,
    ConvolutionalEncoder: convolutional,
}


@every_case
def test_outputs_and_summaries_are_those_of_the_definition(encoder_class, fields):
    encoder, x = build(encoder_class, **fields), ragged(padding=7.0)
    encoded = encoder(x, LENGTHS)
    assert encoded.outputs.shape == (4, 8, encoder.output_size)
    assert encoded.summary.shape == (4, encoder.output_size)
    for b, n in enumerate(LENGTHS.tolist()):
        outputs, summary = DEFINITIONS[encoder_class](encoder, x[b, :n], **fields)
        assert torch.allclose(encoded.outputs[b, :n], outputs, atol=1e-12)
        assert torch.allclose(encoded.summary[b], summary, atol=1e-12)
        assert not encoded.outputs[b, n:].any()


@every_case
def test_each_sequence_alone_equals_itself_in_a_padded_batch(encoder_class, fields):
    encoder, x = build(encoder_class, **fields), ragged()
    encoded = encoder(x, LENGTHS)
    for b, n in enumerate(LENGTHS.tolist()):
        alone = encoder(x[b : b + 1, :n], torch.tensor([n]))
        assert torch.allclose(encoded.outputs[b, :n], alone.outputs[0], atol=1e-12)
        assert torch.allclose(encoded.summary[b], alone.summary[0], atol=1e-12)


@every_case
@pytest.mark.parametrize("padding", [math.nan, math.inf, 1e300])
def test_what_is_under_padding_matters_neither_to_values_nor_to_gradients(encoder_class, fields, padding):
    encoder = build(encoder_class, **fields)
    results = []
    for value in (padding, 0.0):
        encoder.zero_grad()
        x = ragged(padding=value).requires_grad_()
        encoded = encoder(x, LENGTHS)
        (encoded.outputs.square().sum() + encoded.summary.sin().sum()).backward()
        results.append([encoded.outputs, encoded.summary, x.grad, *(p.grad for p in encoder.parameters())])
        assert not any(x.grad[b, n:].any() for b, n in enumerate(LENGTHS.tolist()))
    assert all(torch.equal(poisoned, clean) for poisoned, clean in zip(*results, strict=True))


def dependence(encoder, steps=20):
    """(T, T) bool: does output t depend on x at s?"""
    x = ragged(lengths=torch.tensor([steps])).requires_grad_()
    outputs = encoder(x, torch.tensor([steps])).outputs[0]
    rows = [torch.autograd.grad(outputs[t].sum(), x, retain_graph=True)[0][0].abs().sum(-1) > 0 for t in range(steps)]
    return torch.stack(rows)


@every_case
def test_outputs_depend_on_later_positions_unless_causal(encoder_class, fields):
    encoder = build(encoder_class, **fields)
    assert encoder.causal != bool(dependence(encoder).triu(1).any())


@pytest.mark.parametrize(("before", "after"), [(0, 0), (2, 0), (0, 1), (3, 2)])
def test_a_window_shows_just_so_many_neighbours(before, after):
    seen = dependence(build(WindowEncoder, before=before, after=after))
    distance = torch.arange(20) - torch.arange(20)[:, None]
    assert torch.equal(seen, (distance >= -before) & (distance <= after))


@pytest.mark.parametrize(
    ("fields", "before", "after"),
    [
        ({"num_layers": 3}, 3, 3),
        ({"num_layers": 3, "dilated": True}, 7, 7),
        ({"num_layers": 2, "width": 5, "dilated": True}, 6, 6),
        ({"num_layers": 3, "dilated": True, "causal": True}, 14, 0),
    ],
)
def test_dilation_widens_what_a_convolution_sees(fields, before, after):
    seen = dependence(build(ConvolutionalEncoder, nonlinearity="sigmoid", **fields))
    distance = torch.arange(20) - torch.arange(20)[:, None]
    assert torch.equal(seen, (distance >= -before) & (distance <= after))


def test_pooling_knows_no_order():
    encoder, x = build(PooledEncoder, causal=True), ragged()
    full = torch.full((4,), 8)
    assert torch.allclose(encoder(x, full).summary, encoder(x.flip(1), full).summary, atol=1e-12)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_running_pools_end_in_the_pool_of_the_whole(pooling):
    x = ragged()
    whole = build(PooledEncoder, pooling=pooling)(x, LENGTHS)
    running = build(PooledEncoder, pooling=pooling, causal=True)(x, LENGTHS)
    assert torch.allclose(running.summary, whole.summary, atol=1e-12)
    assert torch.allclose(running.outputs[1, 4], whole.summary[1], atol=1e-12)


def test_the_summary_of_a_running_pool_is_the_last_tokens_output_under_dropout_too():
    encoded = build(PooledEncoder, causal=True, dropout=0.5)(ragged(), LENGTHS)
    assert torch.equal(encoded.summary, encoded.outputs[torch.arange(4), LENGTHS - 1])


@every_case
def test_gradients_are_those_of_finite_differences(encoder_class, fields):
    encoder = build(encoder_class, **fields)
    lengths = torch.tensor([3, 1])
    names = [name for name, _ in encoder.named_parameters()]

    def run(x, *parameters):
        encoded = functional_call(encoder, dict(zip(names, parameters, strict=True)), (x, lengths))
        return encoded.outputs, encoded.summary

    parameters = [p.detach().clone().requires_grad_() for p in encoder.parameters()]
    assert gradcheck(run, (ragged(lengths=lengths).requires_grad_(), *parameters))


@every_class
def test_no_state_is_carried(encoder_class):
    encoder, x = build(encoder_class), ragged()
    first = encoder(x, LENGTHS)
    assert first.final == ()
    assert torch.equal(encoder(x, LENGTHS, first.final).outputs, first.outputs)
    assert encoder(x, LENGTHS, final=False).final is None
    with pytest.raises(ShapeError, match=f"{encoder_class.__name__}: got a state of 1 layers, but carries none"):
        encoder(x, LENGTHS, (((x,),),))


@every_class
def test_lengths_come_out_and_can_go_in_again(encoder_class):
    encoder, x = build(encoder_class), ragged()
    encoded = encoder(x, LENGTHS)
    assert isinstance(encoded.lengths, Lengths)
    assert encoded.lengths.values.tolist() == LENGTHS.tolist()
    assert torch.equal(encoder(x, encoded.lengths).outputs, encoded.outputs)


@every_class
@pytest.mark.parametrize("length", [0, 9])
def test_lengths_that_do_not_fit_are_refused(encoder_class, length):
    with pytest.raises(ShapeError, match=f"sequence 1 has length {length}, expected 1 to 8"):
        build(encoder_class)(ragged(), torch.tensor([8, length, 2, 1]))


@every_class
def test_dropout_acts_in_training_only(encoder_class):
    encoder, x = build(encoder_class, dropout=0.5), ragged()
    dry = build(encoder_class)(x, LENGTHS)
    encoder.eval()
    assert torch.equal(encoder(x, LENGTHS).outputs, dry.outputs)
    encoder.train()
    assert not torch.equal(encoder(x, LENGTHS).outputs, encoder(x, LENGTHS).outputs)


def identities(encoder_class, **fields):
    """Two layers of 5 features that each return what they got, if it is positive."""
    encoder = encoder_class(5, dropout=0.5, **fields)
    with torch.no_grad():
        for layer in encoder.convolutions if encoder_class is ConvolutionalEncoder else encoder.hidden.layers:
            layer.weight.copy_(torch.eye(5).view_as(layer.weight))
            layer.bias.zero_()
    return encoder


@pytest.mark.parametrize(
    ("encoder_class", "fields", "values", "share"),
    [
        (FeedforwardEncoder, {"hidden_sizes": [5, 5]}, [0, 8], 1 / 8),
        (ConvolutionalEncoder, {"hidden_size": 5, "width": 1, "residual": False}, [0, 8], 1 / 8),
        # x + 2 m x of x = 2 m', then dropped: the input of a sum is not dropped
        (ConvolutionalEncoder, {"hidden_size": 5, "width": 1}, [0, 4, 12], 1 / 4),
    ],
)
def test_dropout_acts_on_what_enters_every_layer_and_what_leaves_the_last(encoder_class, fields, values, share):
    torch.manual_seed(0)
    outputs = identities(encoder_class, **fields)(torch.ones(50, 40, 5), torch.full((50,), 40)).outputs
    assert outputs.unique().tolist() == values
    assert (outputs > 0).float().mean() == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("causal", [False, True])
def test_a_dropped_word_counts_neither_in_the_sum_nor_in_the_number(causal):
    encoder = PooledEncoder(30, hidden_sizes=[], word_dropout=0.3, causal=causal)
    words = torch.eye(30).expand(200, 30, 30)  # a word's vector says which it is
    torch.manual_seed(0)
    encoded = encoder(words, torch.full((200,), 30))
    kept = encoded.summary > 0
    assert torch.allclose(encoded.summary, kept / kept.sum(1, keepdim=True))
    assert kept.float().mean() == pytest.approx(0.7, abs=0.03)
    if causal:  # the same words are missing at every position
        so_far = kept[:, None] & torch.ones(30, 30, dtype=torch.bool).tril()
        assert torch.equal(encoded.outputs > 0, so_far)
    encoder.eval()
    assert torch.allclose(encoder(words, torch.full((200,), 30)).summary, torch.full((200, 30), 1 / 30))


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("causal", [False, True])
def test_of_no_words_the_pool_is_zero(pooling, causal):
    encoder = PooledEncoder(3, pooling=pooling, hidden_sizes=[], word_dropout=0.5, causal=causal)
    x = torch.full((200, 2, 3), -1.0, requires_grad=True)
    torch.manual_seed(0)
    summary = encoder(x, torch.full((200,), 2)).summary
    assert summary.unique().tolist() == [-1, 0]
    assert (summary == 0).float().mean() == pytest.approx(1 / 4, abs=0.08)
    summary.sum().backward()
    assert torch.equal(x.grad.sum(1) == 0, summary == 0)


@pytest.mark.parametrize(
    ("encoder_class", "fields", "faults"),
    [
        (FeedforwardEncoder, {"hidden_sizes": [3, 0]}, ["hidden_sizes are [3, 0], expected each 1 or more"]),
        (FeedforwardEncoder, {"hidden_sizes": [], "dropout": 1.0}, ["dropout is 1.0, expected 0 <= dropout < 1"]),
        (PooledEncoder, {"hidden_sizes": [-1]}, ["hidden_sizes are [-1], expected each 1 or more"]),
        (PooledEncoder, {"word_dropout": -0.1}, ["word_dropout is -0.1, expected 0 <= word_dropout < 1"]),
        (
            WindowEncoder,
            {"before": -1, "after": -2, "dropout": 2.0},
            [
                "before is -1, expected 0 or more",
                "after is -2, expected 0 or more",
                "dropout is 2.0, expected 0 <= dropout < 1",
            ],
        ),
        (ConvolutionalEncoder, {"num_layers": 0}, ["num_layers is 0, expected 1 or more"]),
        (
            ConvolutionalEncoder,
            {"hidden_size": 0, "width": 0},
            [f"{n} is 0, expected 1 or more" for n in ("hidden_size", "width")],
        ),
        (
            ConvolutionalEncoder,
            {"width": 4},
            ["width is 4, expected an odd number: as many before as after; or 'causal: true'"],
        ),
        (ConvolutionalEncoder, {"width": 4, "causal": True, "dropout": 0.5}, []),
    ],
)
def test_fields_out_of_range_are_faults(encoder_class, fields, faults):
    found = encoder_class.check_fields({**encoder_class.__init__.__kwdefaults__, **fields})
    assert [message for _, message in found] == faults
    assert all(message.startswith(f"{name} ") for name, message in found)


def test_convolutions_in_single_precision_equal_torchs_own():
    encoder = ConvolutionalEncoder(5, hidden_size=6, num_layers=1, width=3)
    x, (convolution,) = torch.randn(3, 7, 5), encoder.convolutions
    theirs = F.conv1d(x.transpose(1, 2), convolution.weight, convolution.bias, padding="same").relu().transpose(1, 2)
    assert torch.allclose(encoder(x, torch.full((3,), 7)).outputs, theirs, atol=1e-5)
