"""Recurrent encoders: any cell, deep, in one or two directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from seqapps.cells import Cell, Lengths, unroll
from seqapps.cells.regularizers import Regularizers, check_regularizers
from seqapps.errors import ShapeError
from seqapps.modules.connections import Connection, connection
from seqapps.modules.dropout import Dropout, check_probabilities
from seqapps.modules.encoded import Encoded, FinalStates
from seqapps.modules.initialization import Initialization, chrono_bias, initialize_recurrent, set_memory_bias
from seqapps.recipe.spec import Spec

__all__ = ["RecurrentEncoder"]


class RecurrentEncoder(nn.Module):
    """A stack of recurrent layers.

    With `bidirectional` each layer reads its input from both ends (Schuster and Paliwal 1997; Graves and Schmidhuber
    2005). Layers are then stacked in one of two ways: `merge: concat`, each layer reads both directions of the one
    below side by side (Graves, Mohamed and Hinton 2013, arXiv 1303.5778; torch.nn), or `merge: separate`, two stacks
    that know nothing of each other, side by side at the top only (Peters et al. 2018, arXiv 1802.05365).

    `dropout` acts on non-recurrent connections only: on what enters every layer and on what leaves the last (Zaremba,
    Sutskever and Vinyals 2014, figure 2); `input_dropout` and `output_dropout` set the first and the last of these
    apart, as AWD-LSTM does (Merity, Keskar and Socher 2017, arXiv 1708.02182). `recurrent_dropout`, `weight_drop`,
    `zoneout` act within the recurrence, in any cell; sources and rules are in `seqapps.cells.regularizers`.

    `connections` lead past every layer from the second on, whose inputs are not dropped on this way: residual adds a
    layer's input to its output (as in Wu et al. 2016, arXiv 1609.08144), highway mixes the two by a gate; see
    `seqapps.modules.connections`. What the first layer reads has another size, and nothing leads past it.

    The summary is the last layer's output after the last token, forward, beside that of the backward direction after
    the first token. Final states are the cells', before connections and dropout.

    Fields:
        cell: any cell.
        hidden_size: H, features of a state, per direction; a list gives each layer its own.
        num_layers: depth.
        bidirectional: read both ways.
        merge: how the directions of a deep stack are joined, concat (at every layer) or separate (at the top).
        connections: none, residual or highway.
        dropout: probability of dropping.
        input_dropout: the same for what enters the first layer; none = as dropout.
        output_dropout: the same for what leaves the last layer; none = as dropout.
        locked_dropout: one dropout mask per sequence instead of a fresh one every step (Gal and Ghahramani 2016).
        recurrent_dropout: probability of dropping a unit of the old state from the recurrent products, for a whole
            sequence.
        weight_drop: probability of dropping an element of the recurrent matrices, for a whole batch.
        zoneout: probability of a unit of the state, a cell's first, keeping its old value at a step.
        zoneout_cell: the same for further states, an LSTM's c; none = as zoneout.
        initialization: of the recurrent matrices: cell (as the cell does it), orthogonal, identity or xavier; see
            `seqapps.modules.initialization`.
        forget_bias: what the biases of gates that keep the old state start with; none = as the cell does it.
        chrono: longest expected dependency in steps, from which these biases are drawn instead (Tallec and Ollivier
            2018, arXiv 1804.11188); 2 or more.
        initial_state: fixed (the cell's, zeros unless it says otherwise) or learnt, a parameter per layer, direction
            and state that starts there.
    """

    layers: Any  # nn.ModuleList, [layer][direction] -> cell
    connections: Any  # nn.ModuleList, [layer - 1][stream] -> what leads past the layer
    learnt_state: Any  # nn.ModuleList, [layer][direction][state] -> parameter shaped as one sequence's state; or None

    def __init__(
        self,
        input_size: int,
        /,
        *,
        cell: Annotated[Spec, "cells"],
        hidden_size: int | list[int] = 200,
        num_layers: int = 1,
        bidirectional: bool = False,
        merge: Literal["concat", "separate"] = "concat",
        connections: Connection = "none",
        dropout: float = 0.0,
        input_dropout: float | None = None,
        output_dropout: float | None = None,
        locked_dropout: bool = False,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
        zoneout: float = 0.0,
        zoneout_cell: float | None = None,
        initialization: Initialization = "cell",
        forget_bias: float | None = None,
        chrono: int | None = None,
        initial_state: Literal["fixed", "learnt"] = "fixed",
    ):
        super().__init__()
        self.causal = not bidirectional  # does an output depend on earlier positions only?
        self.kernels = "auto"
        self.merged = merge == "concat"
        self.layers, self.connections = nn.ModuleList(), nn.ModuleList()
        self.dropout = Dropout(dropout, locked=locked_dropout)
        self.input_dropout = Dropout(dropout if input_dropout is None else input_dropout, locked=locked_dropout)
        self.output_dropout = Dropout(dropout if output_dropout is None else output_dropout, locked=locked_dropout)
        self._stack(cell, input_size, [hidden_size] * num_layers if isinstance(hidden_size, int) else hidden_size)
        for made in self.cells():
            further = zoneout if zoneout_cell is None and made.states > 1 else zoneout_cell or 0.0
            made.regularizers = Regularizers(recurrent_dropout, weight_drop, zoneout, further)
            check_regularizers(made)
            if initialization != "cell":
                initialize_recurrent(made, initialization)
            if forget_bias is not None:
                set_memory_bias(made, "forget_bias", forget_bias)
            if chrono is not None:
                set_memory_bias(made, "chrono", chrono_bias(made, chrono))
        if connections != "none":
            self._connect(connections)
        self.learnt_state = self._learnt_state() if initial_state == "learnt" else None

    def _stack(self, cell: Spec, input_size: int, hidden_sizes: list[int]) -> None:
        """The layers, and how many features leave the last."""
        directions = 1 if self.causal else 2
        for hidden_size in hidden_sizes:
            layer = [cell.build(input_size=input_size, hidden_size=hidden_size) for _ in range(directions)]
            self.layers.append(nn.ModuleList(layer))
            self.output_size = sum(made.output_size for made in layer)
            input_size = self.output_size if self.merged else layer[0].output_size

    def _connect(self, kind: Literal["residual", "highway"]) -> None:
        """What leads past each layer from the second on: one where layers are merged, else one for each direction."""
        sizes = [[made.output_size for made in layer] for layer in self.layers]
        if self.merged:
            sizes = [[sum(widths)] for widths in sizes]
        for number in range(1, len(sizes)):
            pairs = zip(sizes[number - 1], sizes[number], strict=True)
            self.connections.append(nn.ModuleList(connection(kind, number + 1, *pair) for pair in pairs))

    def _learnt_state(self) -> nn.ModuleList:
        return nn.ModuleList(
            nn.ModuleList(nn.ParameterList(state[0].clone() for state in made.initial_state(1)) for made in layer)
            for layer in self.layers
        )

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Sizes are at least 1, probabilities are such, every field has something to act on."""
        sizes, layers = fields["hidden_size"], fields["num_layers"]
        faults = []
        if min(sizes if isinstance(sizes, list) else [sizes], default=1) < 1:
            faults.append(("hidden_size", f"hidden_size is {sizes}, expected 1 or more"))
        if layers < 1:
            faults.append(("num_layers", f"num_layers is {layers}, expected 1 or more"))
        elif isinstance(sizes, list) and len(sizes) != layers:
            message = f"hidden_size lists {len(sizes)} sizes, but num_layers is {layers}; list one for each layer"
            faults.append(("hidden_size", message))
        if fields["merge"] == "separate" and not fields["bidirectional"]:
            faults.append(("merge", "merge is separate, but there is one direction; set 'bidirectional: true'"))
        if fields["connections"] != "none" and layers == 1:
            message = f"connections is {fields['connections']}, but they lead past the second layer and those above it"
            faults.append(("connections", f"{message}; set 'num_layers: 2' or more, or 'connections: none'"))
        if fields["chrono"] is not None and fields["chrono"] < 2:
            faults.append(("chrono", f"chrono is {fields['chrono']}, expected 2 steps or more"))
        if fields["chrono"] is not None and fields["forget_bias"] is not None:
            faults.append(("chrono", "chrono and forget_bias set the same biases; remove one of them"))
        probabilities = ["dropout", "recurrent_dropout", "weight_drop", "zoneout"]
        optional = ("input_dropout", "output_dropout", "zoneout_cell")
        probabilities += [name for name in optional if fields[name] is not None]
        return faults + check_probabilities(fields, *probabilities)

    def cells(self) -> Iterator[Cell]:
        """Layer by layer, forward before backward."""
        for layer in self.layers:
            yield from layer

    def forward(
        self, x: Tensor, lengths: Tensor | Lengths, state: FinalStates | None = None, *, final: bool = True
    ) -> Encoded:
        """Encode x (B, T, E).

        Args:
            lengths: (B,) int64.
            state: final states of a batch that this one continues; None = the initial states.
            final: False if nobody reads the final states; `Encoded.final` is then None.

        Raises:
            ShapeError: a length is 0 or exceeds T, x or `state` has another shape than this encoder's.
        """
        if x.dim() != 3:
            raise ShapeError(f"recurrent encoder: x has shape {tuple(x.shape)}, expected (B, T, E)")
        x = x.transpose(0, 1)  # (T, B, E)
        lengths = Lengths.of(lengths, x.size(0), x.device)
        initial = self._initial_state(x.size(1), state)
        read, last = [x], []  # what a layer reads: one tensor for both directions, or one for each
        for number, layer in enumerate(self.layers):
            dropout = self.dropout if number else self.input_dropout
            outputs, states = self._run_layer(layer, [dropout(x) for x in read], lengths, initial[number], final)
            if number and self.connections:
                past = self.connections[number - 1]
                outputs = [connect(x, y) for connect, x, y in zip(past, read, outputs, strict=True)]
            read = outputs
            last.append(states)
        top = read[0] if len(read) == 1 else torch.cat(read, -1)
        x = self.output_dropout(top)
        summary = self._summary(x, lengths)
        return Encoded(x.transpose(0, 1), summary, tuple(last) if final else None, lengths, top.transpose(0, 1))

    def _run_layer(
        self, layer: Any, read: list[Tensor], lengths: Lengths, initial: tuple[Any, ...], final: bool
    ) -> tuple[list[Tensor], tuple[Any, ...]]:
        """What the next layer reads, each (T, B, F), and the final state of every direction."""
        runs = [
            unroll(
                cell,
                read[direction % len(read)],
                initial[direction],
                lengths,
                reverse=direction == 1,
                kernels=self.kernels,
                final=final,
            )
            for direction, cell in enumerate(layer)
        ]
        outputs = [outputs for outputs, _ in runs]
        if self.merged and len(outputs) > 1:
            outputs = [torch.cat(outputs, -1)]
        return outputs, tuple(state for _, state in runs)

    def _initial_state(self, batch_size: int, state: FinalStates | None) -> tuple[tuple[Any, ...], ...]:
        """[layer][direction] -> state, or None for the cell's own."""
        expected = [len(layer) for layer in self.layers]
        if state is not None:
            if [len(layer) for layer in state] != expected:
                raise ShapeError(
                    f"recurrent encoder: state has {[len(layer) for layer in state]} directions in its layers,"
                    f" expected {expected}; give the `final` of this encoder"
                )
            return state
        if self.learnt_state is None:
            return tuple((None,) * directions for directions in expected)
        return tuple(
            tuple(tuple(s.expand(batch_size, *s.shape).contiguous() for s in direction) for direction in layer)
            for layer in self.learnt_state
        )

    def _summary(self, x: Tensor, lengths: Lengths) -> Tensor:
        """(B, F) from the last layer's outputs (T, B, F): forward at the last token, backward at the first."""
        last = x[-1] if lengths.equal else x.flatten(0, 1).index_select(0, lengths.last)
        if self.causal:
            return last
        forward = self.layers[-1][0].output_size
        return torch.cat([last[:, :forward], x[0, :, forward:]], -1)
