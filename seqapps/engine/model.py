"""Embedder, encoder and head as one model."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from seqapps.cells import Cell
from seqapps.cells.unroll import kernel_for, kernel_name
from seqapps.data.batch import Batch
from seqapps.data.tokenizers.columns import ColumnTokenizers
from seqapps.data.vocabulary import Vocabulary
from seqapps.errors import ComponentError
from seqapps.heads.head import Head, Loss
from seqapps.modules.encoded import Encoded, FinalStates
from seqapps.recipe import recipe as sections

__all__ = ["Model", "build_model", "kernels_in_use", "part_sizes"]


class Model(nn.Module):
    """A batch's symbols -> vectors -> vectors in context -> the task."""

    def __init__(self, embedder: nn.Module, encoder: nn.Module, head: Head):
        super().__init__()
        self.embedder, self.encoder, self.head = embedder, encoder, head

    def encode(self, batch: Batch, state: FinalStates | None = None, *, final: bool = False) -> Encoded:
        """The encoder's view of a batch; `state` is the final state of a batch that this one continues."""
        x, lengths = self.embedder(batch)
        return self.encoder(x, lengths, state, final=final)

    def loss(self, batch: Batch, state: FinalStates | None = None) -> tuple[Loss, FinalStates | None]:
        """Loss of a batch, and the state to go on from where batches continue each other."""
        encoded = self._encode_on(batch, state)
        return self.head.loss(encoded, batch), encoded.final if self.head.carries else None

    def predict(self, batch: Batch) -> list[Any]:
        """One prediction per example."""
        return self.head.predict(self.encode(batch, final=self.head.reads_final), batch)

    def predict_on(self, batch: Batch, state: FinalStates | None) -> tuple[list[Any], FinalStates | None]:
        """One prediction per row of a stream, and the state to go on from."""
        encoded = self._encode_on(batch, state)
        return self.head.predict(encoded, batch), encoded.final

    def _encode_on(self, batch: Batch, state: FinalStates | None) -> Encoded:
        final = self.head.reads_final or self.head.carries
        return self.encode(batch, state if batch.continues else None, final=final)


def build_model(
    section: sections.Model,
    vocabularies: Mapping[str, Vocabulary],
    kernels: str,
    sizes: Mapping[str, int] = MappingProxyType({}),
    tokenizers: ColumnTokenizers | None = None,
) -> Model:
    """Construct the model of a recipe; weights are drawn from torch's global generator.

    Args:
        vocabularies, sizes, tokenizers: of the run's resources.
    """
    known = {"vocabularies": vocabularies, "sizes": sizes, "tokenizers": tokenizers or ColumnTokenizers({})}
    embedder = section.embedder.build(**known)
    encoder = section.encoder.build(input_size=embedder.output_size)
    head = section.head.build(encoder=encoder, embedder=embedder, **known)
    model = Model(embedder, encoder, head)
    for module in model.modules():
        if hasattr(module, "kernels"):
            module.kernels = kernels  # type: ignore[assignment]
    return model


def kernels_in_use(model: Model) -> dict[str, str]:
    """How each recurrent cell will be run in training: its place in the model -> "LSTM by native".

    Kernels are chosen by the precision, too: call it under training's autocast.

    Raises ComponentError naming the place where a kernel that the recipe asks for cannot run a cell.
    """
    used = {}
    for place, cell in model.named_modules():
        if not isinstance(cell, Cell):
            continue
        owners = [m for name, m in model.named_modules() if hasattr(m, "kernels") and place.startswith(f"{name}.")]
        weight = cell.input_projection.weight
        with torch.random.fork_rng(devices=[weight.device] if weight.is_cuda else []):
            begun = cell.begin(1)
        try:
            kernel = kernel_for(
                str(owners[-1].kernels) if owners else "reference", begun, weight.new_empty(1, 1, cell.input_size)
            )
        except ComponentError as error:
            raise ComponentError(f"training.kernels, for {place}: {error}") from error
        used[place] = f"{type(cell).__name__} by {'reference' if kernel is None else kernel_name(type(kernel))}"
    return used


def part_sizes(model: Model) -> dict[str, int]:
    """Parameters of each part, tied ones counted where they first occur."""
    seen: set[int] = set()
    sizes = {}
    for name, part in model.named_children():
        new = [p for p in part.parameters() if id(p) not in seen]
        seen.update(map(id, new))
        sizes[name] = sum(p.numel() for p in new)
    return sizes
