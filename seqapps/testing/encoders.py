"""The contract of encoders."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from seqapps.errors import UseError
from seqapps.modules.encoded import Encoded
from seqapps.recipe.schema import Shape, fields_of
from seqapps.testing.runs import Run, gradients, padded_with, sample, unused_parameters, weighed
from seqapps.testing.sequences import fingerprint
from seqapps.testing.shapes import saved_and_loaded
from seqapps.testing.subject import Draws, Subject, checked_signature, description, refuses_fields, seeded

__all__ = ["check_encoder"]

LENGTHS = (6, 1, 3, 5, 2, 4)  # every length up to the padded one
STEPS, BATCH = max(LENGTHS), len(LENGTHS)


def check_encoder(encoder_class: type[nn.Module], input_size: int = 5, /, **fields: Any) -> None:
    """Raises AssertionError, in one sentence, unless an encoder keeps the contract; see `seqapps.testing`.

    Args:
        encoder_class: its constructor takes `input_size`.
        input_size: E of the encoders that are made.
        fields: of the encoder, as in a recipe, a component as `Spec("cells", "lstm")`; the others take their defaults.
            Keep sizes small.
    """
    subject = Subject(description(encoder_class, fields), lambda: _by_steps(encoder_class(input_size, **fields)))
    subject.require(
        isinstance(encoder_class, type) and issubclass(encoder_class, nn.Module),
        "it is no nn.Module",
        "derive it from one",
    )
    checked_signature(subject, encoder_class, fields, ("input_size",))
    subject.run(ENCODERS, input_size)
    for probability in _probabilities(encoder_class):
        with_dropout = {**fields, probability: 0.5}
        if fields.get(probability) or refuses_fields(encoder_class, with_dropout):
            continue
        dropping = Subject(
            description(encoder_class, with_dropout), lambda f=with_dropout: _by_steps(encoder_class(input_size, **f))
        )
        subject.run([probabilities_are_on_in_training_and_off_in_evaluation], dropping, probability, input_size)


def _by_steps(encoder: nn.Module, kernels: str = "reference") -> nn.Module:
    """Choosing kernels anew for every encoder takes most of the time, and they are held to the steps elsewhere."""
    for module in encoder.modules():
        if isinstance(getattr(module, "kernels", None), str):
            module.kernels = kernels  # type: ignore[assignment]
    return encoder


def it_returns_outputs_and_a_summary(subject: Subject, size: int) -> None:
    for dtype in (torch.float64, torch.float32):
        encoder = subject.make(dtype)
        for name, kind in (("output_size", int), ("causal", bool)):
            found = getattr(encoder, name, None)
            subject.require(isinstance(found, kind), f"its {name} is {found!r}", f"set {name} in the constructor")
        x = sample(BATCH, STEPS, size, dtype=dtype)
        encoded = encoder(x, torch.tensor(LENGTHS))
        subject.require(isinstance(encoded, Encoded), f"it returns a {type(encoded).__name__}", "return Encoded")
        F = encoder.output_size
        for name, shape in (("outputs", (BATCH, STEPS, F)), ("summary", (BATCH, F))):
            tensor = getattr(encoded, name)
            subject.require(
                tuple(tensor.shape) == shape,
                f"{name} has shape {tuple(tensor.shape)}, expected {shape} with output_size = {F}",
                "return one vector of output_size for each position and one for the whole sequence",
            )
            subject.require(tensor.dtype == dtype, f"{name} in {dtype} is {tensor.dtype}", "make tensors of x's type")
        subject.require(
            encoded.final is not None, "final is None though it was asked for", "return (), or the final states"
        )


def final_states_are_left_out_on_request(subject: Subject, size: int) -> None:
    encoder, x = subject.make(), sample(BATCH, STEPS, size)
    encoded, without = encoder(x, torch.tensor(LENGTHS)), encoder(x, torch.tensor(LENGTHS), final=False)
    subject.require(without.final is None, "final is given with final=False", "return None, and save the work")
    got = {"outputs": without.outputs, "summary": without.summary}
    expected = {name: getattr(encoded, name) for name in got}
    subject.compare(got, expected, "{} with final=False is another", "only leave out final")


def outputs_are_zero_on_padding(subject: Subject, size: int) -> None:
    encoder = subject.make()
    outputs = encoder(sample(BATCH, STEPS, size), torch.tensor(LENGTHS)).outputs
    subject.require(
        not any(bool(outputs[b, n:].any()) for b, n in enumerate(LENGTHS)),
        "outputs on padding are not zero",
        "apply seqapps.cells.lengths.without_padding to them",
    )


def sequences_in_a_padded_batch_equal_themselves_alone(subject: Subject, size: int) -> None:
    """By plain slicing: outputs, summary, final states, gradients; NaN, infinity or 1e4 under padding."""
    encoder = subject.make()
    x = sample(BATCH, STEPS, size)
    subject.require(
        encoder(x.clone().requires_grad_(), torch.tensor(LENGTHS)).outputs.requires_grad,
        "no gradient flows through it",
        "compute with torch's differentiable operations, without detach and no_grad",
    )
    expected = _measured(encoder, x, _alone)
    for padding, kernels in ((1e4, "reference"), (float("inf"), "reference"), (float("nan"), "auto")):
        _by_steps(encoder, kernels)
        got = _measured(encoder, padded_with(x.transpose(0, 1), LENGTHS, padding).transpose(0, 1), _together)
        subject.compare(
            got,
            expected,
            f"{{}} of a padded batch is not that of its sequences alone (padding {padding})",
            "take masks from lengths, zero x under padding first, and reverse each sequence by itself",
        )
        subject.require(
            not any(bool(got["the gradient of x"][b, n:].any()) for b, n in enumerate(LENGTHS)),
            "padding gets a gradient",
            "zero x under padding first",
        )
    unused = unused_parameters(encoder, expected)
    subject.require(not unused, f"nothing depends on its parameter {', '.join(unused)}", "use it, or do not create it")


def _measured(encoder: nn.Module, x: Tensor, forward: Any) -> Run:
    x = x.detach().clone().requires_grad_()
    named = forward(encoder, x)
    return {**named, **gradients(encoder, weighed(named.values()), x, ())}


def _together(encoder: nn.Module, x: Tensor) -> dict[str, Tensor]:
    return _named(encoder(x, torch.tensor(LENGTHS)))


def _alone(encoder: nn.Module, x: Tensor) -> dict[str, Tensor]:
    singles = []
    for b, n in enumerate(LENGTHS):
        single = _named(encoder(x[b : b + 1, :n], torch.tensor([n])))
        outputs = single["outputs"]
        singles.append(
            {**single, "outputs": torch.cat([outputs, outputs.new_zeros(1, STEPS - n, outputs.size(-1))], 1)}
        )
    return {name: torch.cat([single[name] for single in singles]) for name in singles[0]}


def _named(encoded: Encoded) -> dict[str, Tensor]:
    named = {"outputs": encoded.outputs, "summary": encoded.summary}
    for layer, directions in enumerate(encoded.final or ()):
        for direction, state in enumerate(directions):
            for number, tensor in enumerate(state):
                named[f"final state {number + 1} of layer {layer + 1}, direction {direction + 1},"] = tensor
    return named


def causal_says_whether_later_positions_are_seen(subject: Subject, size: int) -> None:
    encoder = subject.make()
    x, full = sample(BATCH, STEPS, size), torch.full((BATCH,), STEPS)
    with torch.no_grad():
        before, seen = encoder(x, full).outputs, []
        for t in range(1, STEPS):
            other = x.clone()
            other[:, t:] = sample(BATCH, STEPS - t, size, seed=t + 1)
            after = encoder(other, full).outputs
            seen.append(not torch.allclose(after[:, :t], before[:, :t], rtol=1e-9, atol=1e-9))
    if encoder.causal:
        subject.require(
            not any(seen),
            "causal, but outputs change with later positions",
            "set causal = False, or mask what is later",
        )
    else:
        subject.require(
            any(seen),
            "not causal, but no output changes with a later position",
            "set causal = True, or see to it that reading backward does read backward",
        )


def final_states_fed_back_continue_the_sequence(subject: Subject, size: int) -> None:
    encoder = subject.make()
    lengths = torch.tensor([STEPS, 3, 4, STEPS, 5, 3])
    x, cut = sample(BATCH, STEPS, size), 2
    whole = encoder(x, lengths)
    if not encoder.causal or not whole.final:
        return  # there is nothing to carry over a cut
    first = encoder(x[:, :cut], lengths.clamp(max=cut))
    second = encoder(x[:, cut:], lengths - cut, first.final)
    got = {**_named(second), "outputs": torch.cat([first.outputs, second.outputs], 1)}
    expected = _named(whole)
    del got["summary"], expected["summary"]  # of a part, it may be another
    subject.compare(
        got,
        expected,
        "{} of a sequence cut in two, its final states fed back, is not that of the whole",
        "start from the state that is given, and return in final all that goes on",
    )


def nothing_is_remembered_in_the_encoder(subject: Subject, size: int) -> None:
    encoder = subject.make()
    x, lengths = sample(BATCH, STEPS, size), torch.tensor(LENGTHS)
    given, kept = x.clone(), fingerprint(encoder)
    with torch.no_grad(), Draws() as numbers:
        first = _named(encoder(x, lengths))
        subject.require(torch.equal(x, given), "it changes x in place", "make a new tensor instead")
        encoder(sample(2, STEPS + 2, size, seed=3), torch.tensor([STEPS + 2, 2]))
        again = _named(encoder(x, lengths))
    subject.require(not numbers.drew, "it draws random numbers in evaluation", "draw only where self.training is true")
    way_out = "carry what is remembered in final and state, not in the encoder"
    for name, tensor in first.items():
        subject.require(
            torch.equal(tensor, again[name]), f"{name} is another after the encoder has read something else", way_out
        )
    changed = [name for name, value in fingerprint(encoder).items() if kept.get(name) != value]
    subject.require(not changed, f"reading a batch changes {', '.join(changed)} of the encoder", way_out)


def training_without_dropout_computes_the_same(subject: Subject, size: int) -> None:
    encoder = subject.make()
    x = sample(BATCH, STEPS, size)
    expected = _together(encoder, x)
    with Draws() as numbers:
        got = _together(encoder.train(), x)
    if not numbers.drew:
        subject.compare(got, expected, "{} in training, where nothing is drawn, is another", "compute the same")


def gradients_are_the_derivatives(subject: Subject, size: int) -> None:
    encoder = subject.make()
    x = sample(2, 3, size)
    for name, tensor in {"x": x, **dict(encoder.named_parameters())}.items():

        def function(value: Tensor, name: str = name) -> tuple[Tensor, ...]:
            encoded = encoder(value if name == "x" else x, torch.tensor([3, 2]))
            return encoded.outputs, encoded.summary

        given = tensor if isinstance(tensor, nn.Parameter) else tensor.clone().requires_grad_()
        subject.require(
            gradcheck(function, (given,), fast_mode=True, raise_exception=False, check_undefined_grad=False),
            f"the gradient of {name} is not the derivative of the outputs",
            "use torch's differentiable operations, without detach and no_grad",
        )


def unusual_sizes_work(subject: Subject, size: int) -> None:
    encoder = subject.make()
    x = sample(1, 1, size)
    single = _named(encoder(x, torch.tensor([1])))
    got = _named(encoder(torch.cat([x, sample(1, 3, size, seed=2)], 1), torch.tensor([1])))
    got["outputs"] = got["outputs"][:, :1]
    subject.compare(got, single, "{} of a single token is another with padding behind it", "take masks from lengths")
    strided = sample(size, 2 * STEPS, BATCH).permute(2, 1, 0)[:, ::2]
    got, expected = _together(encoder, strided), _together(encoder, strided.contiguous())
    subject.compare(got, expected, "{} of non-contiguous x is another", "use reshape in place of view")


def a_saved_encoder_is_the_same_after_loading(subject: Subject, size: int) -> None:
    encoder, x = subject.make(), sample(BATCH, STEPS, size)
    with seeded(2):
        other = subject.build().double().eval()
    saved_and_loaded(subject, encoder, other)
    for one, way in ((other, "saved and loaded"), (copy.deepcopy(encoder), "copied")):
        got, expected = _together(one, x), _together(encoder, x)
        way_out = "keep every tensor that matters in a parameter or a registered buffer"
        subject.compare(got, expected, f"{{}} is another after the encoder was {way}", way_out)


ENCODERS = (
    it_returns_outputs_and_a_summary,
    outputs_are_zero_on_padding,
    nothing_is_remembered_in_the_encoder,
    final_states_are_left_out_on_request,
    sequences_in_a_padded_batch_equal_themselves_alone,
    causal_says_whether_later_positions_are_seen,
    final_states_fed_back_continue_the_sequence,
    training_without_dropout_computes_the_same,
    gradients_are_the_derivatives,
    unusual_sizes_work,
    a_saved_encoder_is_the_same_after_loading,
)


def _probabilities(encoder_class: type) -> Iterator[str]:
    """Fields that are probabilities of dropping something."""
    for field in fields_of(encoder_class):
        if field.shape == Shape("scalar", target=float) and any(word in field.name for word in ("drop", "zoneout")):
            yield field.name


def probabilities_are_on_in_training_and_off_in_evaluation(
    subject: Subject, dropping: Subject, name: str, size: int
) -> None:
    try:
        encoder = dropping.make()
    except UseError:
        return  # nothing for it to act on
    x = sample(BATCH, STEPS, size)
    with Draws() as numbers:
        evaluated = _together(encoder, x)
    way_out = "ask self.training"
    dropping.require(not numbers.drew, f"{name} draws random numbers in evaluation", way_out)
    if "zoneout" not in name:
        plain = _together(subject.make(), x)
        dropping.compare(evaluated, plain, f"{{}} in evaluation is not that without {name}", way_out)
    encoder.train()
    runs = []
    for seed in (0, 1):
        with seeded(seed):
            runs.append(_measured(encoder, x, _together))
    dropping.require(
        not torch.equal(runs[0]["outputs"], runs[1]["outputs"]), f"{name} does nothing in training", "apply it"
    )
    finite = all(bool(value.isfinite().all()) for value in runs[0].values())
    dropping.require(
        finite, f"with {name} a value or gradient is not finite", "mend what happens where units are dropped"
    )
