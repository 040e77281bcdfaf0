"""The recurrent decoder: what it computes for given texts is what it would compute step by step."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional as F

from seqapps.cells import Lengths
from seqapps.data.vocabulary import Vocabulary
from seqapps.errors import ComponentError
from seqapps.modules.decoder import RecurrentDecoder
from seqapps.modules.encoded import Encoded
from seqapps.modules.recurrent import RecurrentEncoder
from seqapps.modules.scheduled_sampling import ScheduledSampling
from seqapps.modules.search import SearchOptions, search
from seqapps.recipe.schema import fields_of
from seqapps.recipe.spec import Spec
from seqapps.registry import KINDS

SYMBOLS = ["<pad>", "<unk>", "<bos>", "<eos>", *"abcdef"]
BOS, EOS, V = 2, 3, len(SYMBOLS)
SOURCES = torch.tensor([5, 1, 3, 4])
TARGETS = torch.tensor([3, 6, 1, 4])
H = 8  # also of the encoder's outputs, so that dot attention fits
ATTENTIONS = ["none", "additive", "dot", "general", "scaled"]


def decoder(*, bridge="summary", cell="gru", encoder=None, **fields):
    torch.manual_seed(0)
    encoder = encoder or RecurrentEncoder(3, cell=Spec("cells", "gru"), hidden_size=H // 2, bidirectional=True)
    vocabulary = Vocabulary(SYMBOLS, [0] * V, specials=4)
    fields = {"hidden_size": H, "embedding_size": 5, **fields}
    cell = cell if isinstance(cell, Spec) else Spec("cells", cell)
    made = RecurrentDecoder(encoder, torch.nn.Module(), vocabulary, cell=cell, bridge=bridge, **fields)
    return made.double().eval()


def encoded(rows=slice(None), steps=5, *, filling=0.0):
    generator = torch.Generator().manual_seed(1)
    outputs = torch.randn(4, 5, H, dtype=torch.float64, generator=generator)
    outputs = F.pad(outputs, (0, 0, 0, steps - 5)) if steps > 5 else outputs[:, :steps]
    real = torch.arange(steps) < SOURCES[:, None]
    outputs = torch.where(real[..., None], outputs, filling)
    summary = torch.randn(4, H, dtype=torch.float64, generator=generator)
    return Encoded(outputs[rows], summary[rows], None, Lengths(SOURCES[rows], steps))


def texts(steps=6):
    inputs = torch.randint(4, V, (4, 6), generator=torch.Generator().manual_seed(2))
    inputs[:, 0] = BOS
    inputs = F.pad(inputs, (0, steps - 6)) if steps > 6 else inputs[:, :steps]
    return torch.where(torch.arange(steps) < TARGETS[:, None], inputs, 0)


def given(made, source, inputs, lengths=TARGETS):
    """Log-probabilities (B, T, V) of the tokens that follow, all at once."""
    return made.logits(made(source, inputs, lengths).outputs).log_softmax(-1)


def stepped(made, source, inputs):
    """The same, step by step, as a search does it."""
    state, memory = made.start(source)
    found = []
    for tokens in inputs.t():
        log_probs, state, *_ = made.step(tokens, state, memory)
        found.append(log_probs)
    return torch.stack(found, 1)


def assert_equal_where_real(found, expected, lengths=TARGETS):
    for b, n in enumerate(lengths.tolist()):
        torch.testing.assert_close(found[b, :n], expected[b, :n])


VARIANTS = [
    {"attention": attention, "input_feeding": feeding, "num_layers": layers, "tied": tied}
    for attention, feeding, layers, tied in itertools.product(ATTENTIONS, (False, True), (1, 2), (False, True))
    if not (feeding and attention == "none")
]
VARIANTS += [{"attention": "additive", "coverage": True, "input_feeding": feeding} for feeding in (False, True)]


def name(fields):
    return "-".join(str(key if value is True else value) for key, value in fields.items() if value is not False)


@pytest.mark.parametrize("fields", VARIANTS, ids=name)
def test_given_texts_get_the_probabilities_of_single_steps(fields):
    made = decoder(**fields)
    assert_equal_where_real(given(made, encoded(), texts()), stepped(made, encoded(), texts()))


@pytest.mark.parametrize("feeding", [False, True])
@pytest.mark.parametrize("cell", list(KINDS["cells"]))
def test_any_cell_decodes(cell, feeding):
    made = decoder(cell=cell, num_layers=2, input_feeding=feeding)
    assert_equal_where_real(given(made, encoded(), texts()), stepped(made, encoded(), texts()))


@pytest.mark.parametrize("fields", VARIANTS, ids=name)
def test_neither_the_batch_nor_padding_changes_a_probability(fields):
    made = decoder(**fields)
    expected = given(made, encoded(), texts())
    assert_equal_where_real(given(made, encoded(steps=9, filling=7.0), texts(10)), expected)
    for b, n in enumerate(TARGETS.tolist()):
        alone = given(made, encoded(slice(b, b + 1), int(SOURCES[b])), texts(n)[b : b + 1], TARGETS[b : b + 1])
        torch.testing.assert_close(alone[0], expected[b, :n])


@pytest.mark.parametrize("fields", VARIANTS, ids=name)
def test_a_search_scores_what_it_finds_as_given_texts_are_scored(fields):
    made, source = decoder(**fields), encoded()
    options = SearchOptions(beam=3, n_best=3, max_length=4)
    state, memory = made.start(source)
    found = search(made, state, memory, torch.full((4,), BOS), options, eos=EOS)
    for b, hypotheses in enumerate(found):
        for hypothesis in hypotheses:
            following = torch.tensor([*hypothesis.tokens, *[EOS] * hypothesis.ended])
            inputs = F.pad(following[:-1], (1, 0), value=BOS)[None]
            rows = slice(b, b + 1)
            log_probs = given(made, encoded(rows), inputs, torch.tensor([len(following)])).detach()
            total = log_probs[0].gather(1, following[:, None]).sum()
            assert hypothesis.log_prob == pytest.approx(float(total), rel=1e-5)  # a search adds up in fp32


@pytest.mark.parametrize("fields", VARIANTS, ids=name)
def test_weights_for_given_texts_are_those_of_single_steps(fields):
    made = decoder(**fields)
    state, memory = made.start(encoded())
    found = made(encoded(), texts(), TARGETS).weights
    for t, tokens in enumerate(texts().t()):
        _, state, weights, _ = made.step(tokens, state, memory)
        if fields["attention"] == "none":
            assert weights is found is None
            continue
        torch.testing.assert_close(found[t < TARGETS, t], weights[t < TARGETS].detach())
        torch.testing.assert_close(weights.sum(-1), torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize("kind", ["summary", "final", "zero"])
def test_the_first_state_comes_from_where_the_bridge_says(kind):
    made = decoder(bridge=kind, cell="lstm", num_layers=2)
    source = encoded()
    states = [[tuple(torch.randn(4, H // 2).double() for _ in range(2)) for _ in range(2)] for _ in range(2)]
    first, _ = made.start(source._replace(final=states))
    for layer in range(2):
        for number in range(2):
            linear = made.bridge.layers[layer][number] if kind == "summary" else None
            expected = {
                "summary": lambda linear=linear: torch.tanh(linear(source.summary)),
                "final": lambda n=number, pair=states[layer]: torch.cat([pair[0][n], pair[1][n]], -1),
                "zero": lambda: torch.zeros(4, H).double(),
            }[kind]()
            torch.testing.assert_close(first.cells[layer][number], expected)


def test_final_states_of_other_shapes_are_refused():
    made = decoder(bridge="final", cell="lstm")
    with pytest.raises(
        ComponentError, match=r"end in states of shapes \[\[\(8,\)\]\].*start in \[\[\(8,\), \(8,\)\]\]"
    ):
        made.start(encoded()._replace(final=((((torch.zeros(4, 8)),),),)))


@pytest.mark.parametrize(
    "fields", [{}, {"tied": True, "input_feeding": True}, {"coverage": True, "coverage_loss": 0.5}]
)
def test_gradients_are_those_of_finite_differences(fields):
    made, source, inputs = decoder(**{"hidden_size": 3, "embedding_size": 2, **fields}), encoded(), texts(3)
    lengths = TARGETS.clamp(max=3)
    parameters = {key: value for key, value in made.named_parameters() if not key.startswith("embedding")}

    def loss(outputs, summary, *weights):
        changed = source._replace(outputs=outputs, summary=summary)
        found = torch.func.functional_call(
            made, dict(zip(parameters, weights, strict=True)), (changed, inputs, lengths)
        )
        real = torch.arange(3) < lengths[:, None]
        return found.outputs[real], *([] if found.penalty is None else [found.penalty])

    leaves = (source.outputs.requires_grad_(), source.summary.requires_grad_(), *parameters.values())
    made.kernels = "reference"
    assert torch.autograd.gradcheck(loss, leaves)


def test_a_tied_output_layer_is_the_embedding():
    made = decoder(tied=True)
    assert made.output.weight is made.embedding.weight
    assert made.output_size == 5
    assert decoder().output.weight.shape == (V, H)


def test_coverage_loss_is_the_overlap_of_each_step_with_those_before():
    made = decoder(coverage=True, coverage_loss=0.3)
    expected = 0.0
    for b, n in enumerate(TARGETS.tolist()):
        state, memory = made.start(encoded(slice(b, b + 1)))
        covered = torch.zeros(5, dtype=torch.float64)
        for token in texts()[b, :n]:
            _, state, weights, _ = made.step(token[None], state, memory)
            expected += 0.3 * torch.minimum(weights[0], covered).sum()
            covered = covered + weights[0]
    torch.testing.assert_close(made(encoded(), texts(), TARGETS).penalty, expected)
    assert decoder(coverage=True)(encoded(), texts(), TARGETS).penalty is None


def test_coverage_changes_what_is_attended_to():
    plain, covering = decoder(), decoder(coverage=True)
    covering.load_state_dict(plain.state_dict(), strict=False)
    one, other = given(plain, encoded(), texts()), given(covering, encoded(), texts())
    torch.testing.assert_close(one[:, 0], other[:, 0])  # nothing is covered before the first step
    assert (one[0, 1] - other[0, 1]).abs().max() > 1e-4


def test_dropout_acts_in_training_only_and_keeps_one_mask_where_it_is_locked():
    for feeding in (False, True):
        made = decoder(dropout=0.5, input_feeding=feeding)
        once = given(made, encoded(), texts())
        assert torch.equal(once, given(made, encoded(), texts()))
        made.train()
        assert not torch.equal(made(encoded(), texts(), TARGETS).outputs, made(encoded(), texts(), TARGETS).outputs)
        locked = decoder(dropout=0.5, locked_dropout=True, input_feeding=feeding).train()
        outputs = locked(encoded(), torch.full((4, 6), 4), torch.full((4,), 6)).outputs
        dropped = outputs == 0
        assert 0.2 < dropped.double().mean() < 0.8
        assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))


def test_recurrent_dropout_draws_once_for_a_text():
    made = decoder(recurrent_dropout=0.5, input_feeding=True, attention="dot").train()
    drawn = []
    begin = type(made.cells[0]).begin
    type(made.cells[0]).begin = lambda cell, rows: drawn.append(rows) or begin(cell, rows)
    try:
        one, other = (made(encoded(), texts(), TARGETS).outputs for _ in range(2))
    finally:
        type(made.cells[0]).begin = begin
    assert drawn == [4, 4]
    assert not torch.equal(one, other)


@pytest.mark.parametrize("fields", [{}, {"input_feeding": True}])
def test_with_scheduled_sampling_the_model_reads_its_own_words(fields):
    made = decoder(scheduled_sampling=ScheduledSampling(schedule="linear", steps=1), **fields)
    made.load_state_dict({**made.state_dict(), "output.bias": torch.tensor([0.0] * 6 + [1e4] + [0.0] * (V - 7))})
    own = texts()
    own[:, 1:] = 6  # what it would draw
    as_given = given(made, encoded(), texts())
    made.train()
    torch.testing.assert_close(given(made, encoded(), texts()), as_given)  # batch 0: e = 1
    read = made(encoded(), texts(), TARGETS).outputs  # batch 1: e = 0
    assert int(made.batches) == 2
    made.eval()
    lengths = torch.full((4,), 6)
    assert_equal_where_real(read, made(encoded(), own, lengths).outputs)
    torch.testing.assert_close(given(made, encoded(), texts()), as_given)  # in evaluation never


def test_own_words_are_drawn_as_often_as_the_schedule_says_and_from_the_models_distribution():
    made = decoder()
    made.load_state_dict({**made.state_dict(), "output.weight": torch.zeros(V, H)})
    bias = torch.full((V,), -50.0)
    bias[6], bias[7] = 0.0, torch.log(torch.tensor(3.0))  # 1/4 and 3/4
    made.load_state_dict({**made.state_dict(), "output.bias": bias})
    rows = 20_000
    x = torch.zeros(rows, 5, dtype=torch.float64)
    torch.manual_seed(0)
    read = made._with_own_words(x, torch.zeros(rows, H, dtype=torch.float64), 0.4)
    share = {k: (read == made.embedding.weight[k]).all(-1).double().mean() for k in (6, 7)}
    assert float(share[6]) == pytest.approx(0.1, abs=0.01)
    assert float(share[7]) == pytest.approx(0.3, abs=0.015)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", [1.0, 0.75, 0.5, 0.2]),
        ("exponential", [1.0, 0.7788007830714049, 0.6065306597126334, 0.2]),
        ("inverse_sigmoid", [200 / 201, 200 / (200 + 1.2840254166877414), 200 / (200 + 1.6487212707001282), None]),
    ],
)
def test_schedules_follow_their_equations(schedule, expected):
    made = ScheduledSampling(schedule=schedule, steps=200, least=0.2)
    for batch, value in zip((0, 50, 100, 400), expected, strict=True):
        if value is not None:
            assert made.teacher(batch) == pytest.approx(value)
    assert made.teacher(10**9) == 0.2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_size": 0}, "hidden_size is 0, expected 1 or more"),
        ({"attention": "dot", "attention_size": 4}, "attention dot has no size of its own"),
        ({"attention": "none", "input_feeding": True}, "attention is none"),
        ({"attention": "dot", "coverage": True}, "coverage is an input of additive attention, and attention is dot"),
        ({"coverage_loss": 1.0}, "set 'coverage: true'"),
        ({"coverage": True, "coverage_loss": -1.0}, "coverage_loss is -1.0, expected 0 or more"),
        ({"attention": "none", "bridge": "zero"}, "knows nothing of the source"),
        ({"dropout": 1.0}, "dropout is 1.0, expected 0 <= dropout < 1"),
    ],
)
def test_fields_that_do_not_go_together_are_faults(fields, message):
    defaults = {field.name: field.default for field in fields_of(RecurrentDecoder)}
    assert RecurrentDecoder.check_fields(defaults) == []
    assert message in "".join(text for _, text in RecurrentDecoder.check_fields({**defaults, **fields}))


def test_a_step_computes_the_equations():
    made, source = decoder(attention="dot", input_feeding=True), encoded(slice(0, 1))
    found = given(made, source, torch.tensor([[BOS, 5, 8]]), torch.tensor([3]))[0]
    memory, h = source.outputs[0], torch.tanh(made.bridge.layers[0][0](source.summary))
    o = torch.zeros(1, H, dtype=torch.float64)
    for t, token in enumerate((BOS, 5, 8)):
        x = torch.cat([made.embedding.weight[token][None], o], -1)
        h, _ = made.cells[0].step(made.cells[0].project(x), (h,))
        context = (memory @ h[0]).softmax(0) @ memory
        o = torch.tanh(made.averaged.weight @ context + made.readout.weight @ h[0] + made.readout.bias)[None]
        torch.testing.assert_close(found[t], made.output(o)[0].log_softmax(-1))
