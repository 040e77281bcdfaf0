"""What a cell is on the outside: sizes, shapes, number types, what can be saved, what `bias: false` removes."""

from __future__ import annotations

import copy
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from seqapps.cells import Cell
from seqapps.testing.runs import reached, sample, stepped
from seqapps.testing.subject import Subject, seeded

__all__ = ["SAVING", "SHAPES", "saved_and_loaded"]

BATCH = 4


def sizes_are_declared(subject: Subject) -> None:
    cell = subject.make()
    for name in ("gates", "states", "output_size", "input_size", "hidden_size"):
        value = getattr(cell, name, None)
        subject.require(
            isinstance(value, int) and value > 0,
            f"its {name} is {value!r}",
            f"make {name} a whole number from 1 up, set before super().__init__() where options change it",
        )
    width = cell.gates * cell.hidden_size
    for shape in ((BATCH, cell.input_size), (3, BATCH, cell.input_size)):
        found = tuple(cell.project(sample(*shape)).shape)
        subject.require(
            found == (*shape[:-1], width),
            f"project turns {shape} into {found}, but gates = {cell.gates} says {(*shape[:-1], width)}",
            "let gates count the blocks of hidden_size that project returns",
        )


def an_initial_state_is_what_the_cell_declares(subject: Subject) -> None:
    for dtype in (torch.float64, torch.float32):
        cell = subject.make(dtype)
        for batch_size in (BATCH, 1):
            state = cell.initial_state(batch_size)
            subject.require(
                isinstance(state, tuple) and all(isinstance(s, Tensor) for s in state) and len(state) == cell.states,
                f"initial_state returns {_told(state)}, but states = {cell.states}",
                "return a tuple of that many tensors",
            )
            for number, tensor in enumerate(state, 1):
                subject.require(
                    tensor.dim() > 0 and len(tensor) == batch_size,
                    f"initial state {number} has shape {tuple(tensor.shape)} for a batch of {batch_size}",
                    "give it one row per sequence",
                )
                subject.require(
                    tensor.dtype == dtype,
                    f"initial state {number} is {tensor.dtype} in a cell of {dtype}",
                    "make it from a parameter, as 'weight.new_zeros(...)'",
                )


def a_step_returns_what_initial_state_declares(subject: Subject) -> None:
    cell = subject.make(torch.float32)
    state = cell.initial_state(BATCH)
    result = cell.step(cell.project(sample(BATCH, cell.input_size, dtype=torch.float32)), state)
    subject.require(
        isinstance(result, tuple)
        and len(result) == 2
        and isinstance(result[0], Tensor)
        and isinstance(result[1], tuple),
        f"step returns {_told(result)}",
        "return the output and the tuple of new states",
    )
    output, new = result
    subject.require(
        tuple(output.shape) == (BATCH, cell.output_size),
        f"step returns an output of shape {tuple(output.shape)}, but output_size = {cell.output_size}",
        f"return ({BATCH}, {cell.output_size}) for {BATCH} sequences, or set output_size",
    )
    subject.require(
        len(new) == cell.states,
        f"step returns {len(new)} states, but states = {cell.states}",
        "return as many as initial_state",
    )
    for number, (after, before) in enumerate(zip(new, state, strict=True), 1):
        subject.require(
            after.shape == before.shape,
            f"step returns state {number} with shape {tuple(after.shape)}, initial_state with {tuple(before.shape)}",
            "make them the same",
        )


def numbers_keep_their_type(subject: Subject) -> None:
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        cell = subject.make(dtype)
        try:
            output, state = cell.step(
                cell.project(sample(BATCH, cell.input_size, dtype=dtype)), cell.initial_state(BATCH)
            )
        except RuntimeError as error:
            if dtype is torch.bfloat16 and "not implemented" in str(error):
                continue  # torch lacks the operation
            wrong = f"it cannot run in {dtype} ({' '.join(str(error).split())})"
        else:
            found = {tensor.dtype for tensor in (output, *state)} - {dtype}
            wrong = f"a step in {dtype} returns {', '.join(map(str, found))}" if found else ""
        subject.require(
            not wrong,
            wrong,
            "keep constants as Python numbers or registered buffers, and make tensors from others' type",
        )


def biases_are_left_out_on_request(subject: Subject, fields: dict[str, Any]) -> None:
    cell = subject.make()
    names = [name for name, _ in cell.named_parameters() if name.split(".")[-1].startswith("bias")]
    if fields.get("bias") is False:
        subject.require(
            not names, f"with bias=False it still has {', '.join(names)}", "pass bias on to every linear module"
        )
    else:
        subject.require(bool(names), "with bias=True it has no bias", "pass bias on to super().__init__()")


def a_saved_cell_is_the_same_after_loading(subject: Subject) -> None:
    cell, other = subject.make(), subject.make()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    x = sample(4, BATCH, cell.input_size)

    def outputs(one: Cell) -> Tensor:
        with torch.no_grad():
            return stepped(one, x, reached(cell, BATCH))[0]

    saved_and_loaded(subject, cell, other)
    for found, way in ((outputs(other), "saved and loaded"), (outputs(copy.deepcopy(cell)), "copied")):
        subject.require(
            torch.equal(found, outputs(cell)),
            f"it gives other outputs after it was {way}",
            "keep every tensor that matters in a parameter or a registered buffer",
        )


def saved_and_loaded(subject: Subject, module: nn.Module, other: nn.Module) -> None:
    """Loads `module`'s tensors, by way of a file's bytes, into `other`."""
    try:
        tensors = load(save(module.state_dict()))
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        subject.fail(f"it cannot be saved ({reason})", "let every parameter and buffer be a dense tensor of its own")
    try:
        other.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        subject.fail(f"it cannot be loaded ({error})", "let equal fields give parameters of equal names and shapes")


def another_construction_computes_the_same(subject: Subject) -> None:
    """Numbers drawn by a constructor must be saved, too."""
    cell = subject.make()
    with seeded(2):
        other = subject.build().double().eval()
    saved_and_loaded(subject, cell, other)
    x, state = sample(4, BATCH, cell.input_size), reached(cell, BATCH)
    subject.require(
        torch.equal(stepped(cell, x, state)[0], stepped(other, x, state)[0]),
        "two of them with the same parameters give different outputs",
        "draw nothing in the constructor but parameters and registered buffers",
    )


def _told(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)} ({', '.join(type(v).__name__ for v in value)})"
    return f"a {type(value).__name__}"


SHAPES = (
    sizes_are_declared,
    an_initial_state_is_what_the_cell_declares,
    a_step_returns_what_initial_state_declares,
    numbers_keep_their_type,
)
SAVING = (a_saved_cell_is_the_same_after_loading, another_construction_computes_the_same)
