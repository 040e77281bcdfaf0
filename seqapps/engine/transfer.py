"""Starting from another run's weights: parts are copied, tables are matched symbol by symbol."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from seqapps.data.resources import Resources
from seqapps.engine.model import Model
from seqapps.engine.run_folder import RunFolder
from seqapps.errors import UseError

__all__ = ["start_from"]


def start_from(model: Model, resources: Resources, folder: RunFolder, parts: list[str]) -> list[str]:
    """Copy the weights of `parts` from a finished run; returns what was done, a line per part.

    A parameter whose rows stand for symbols (`symbol_dimensions` of its module) may have another vocabulary there: rows
    of symbols that both know are copied, others stay as they are. Any other parameter must have the same shape, and so
    must what layers know of the data they saw (means and variances), which is copied, too. Counts that a module names
    in `starts_anew`, as of batches trained on, begin at zero.

    Raises UseError naming the parameter that does not fit.
    """
    tensors, _ = folder.read_tensors("model.safetensors")
    theirs = Resources.from_json(folder.read_json("resources.json"))
    done = []
    for part in parts:
        copied = matched = 0
        symbols = _symbol_dimensions(model, part)
        for full, parameter in _tensors(model, part):
            if full not in tensors:
                raise UseError(
                    f"model.init_from: {folder.path} has no parameter {full!r}; "
                    f"use the same {part}, or leave it out of 'parts'"
                )
            keys = symbols.get(full)
            if keys is None or all(_symbols(resources, k) == _symbols(theirs, k) for k in keys):
                _copy(parameter, tensors[full], full, folder)
                copied += 1
            else:
                _copy_matching(parameter, tensors[full], keys, resources, theirs, full, folder)
                matched += 1
        done.append(f"{part}: {copied} parameters copied, {matched} matched by symbol, from {folder.path}")
    return done


def _tensors(model: Model, part: str) -> Iterator[tuple[str, Tensor]]:
    """What a part has learnt, by full name: parameters that are its own, not another part's, and buffers."""
    own = dict(model.named_parameters())
    chosen = getattr(model, part)
    for name, parameter in chosen.named_parameters(prefix=part):
        if name in own:
            yield name, parameter
    saved = chosen.state_dict(prefix=f"{part}.")
    modules = chosen.named_modules(prefix=part)
    anew = {f"{name}.{count}" for name, module in modules for count in getattr(module, "starts_anew", ())}
    for name, buffer in chosen.named_buffers(prefix=part):
        if name in saved and name not in anew:
            yield name, buffer


def _symbol_dimensions(model: Model, part: str) -> dict[str, tuple[str, ...]]:
    """Full parameter name -> the vocabulary key of each leading dimension."""
    found = {}
    for name, module in getattr(model, part).named_modules(prefix=part):
        for parameter, keys in getattr(module, "symbol_dimensions", {}).items():
            found[f"{name}.{parameter}"] = keys
    return found


def _symbols(resources: Resources, key: str) -> list[str]:
    return resources.vocabularies[key].symbols if key in resources.vocabularies else []


def _copy(parameter: Tensor, saved: Tensor, name: str, folder: RunFolder) -> None:
    if parameter.shape != saved.shape:
        raise UseError(
            f"model.init_from: {name} has shape {tuple(saved.shape)} in {folder.path}, {tuple(parameter.shape)} here; "
            "use the same sizes, or leave the part out of 'parts'"
        )
    with torch.no_grad():
        parameter.copy_(saved)


def _copy_matching(
    parameter: Tensor,
    saved: Tensor,
    keys: tuple[str, ...],
    ours: Resources,
    theirs: Resources,
    name: str,
    folder: RunFolder,
) -> None:
    if parameter.shape[len(keys) :] != saved.shape[len(keys) :]:
        raise UseError(
            f"model.init_from: a row of {name} has shape {tuple(saved.shape[len(keys) :])} in {folder.path}, "
            f"{tuple(parameter.shape[len(keys) :])} here; use the same sizes, or leave the part out of 'parts'"
        )
    here: list[Tensor] = []
    there: list[Tensor] = []
    for key in keys:
        known = {symbol: number for number, symbol in enumerate(_symbols(theirs, key))}
        both = [(number, known[symbol]) for number, symbol in enumerate(_symbols(ours, key)) if symbol in known]
        here.append(torch.tensor([a for a, _ in both], dtype=torch.long))
        there.append(torch.tensor([b for _, b in both], dtype=torch.long))
    with torch.no_grad():
        if len(keys) == 1:
            parameter[here[0]] = saved[there[0]].to(parameter.dtype)
        else:
            parameter[here[0][:, None], here[1]] = saved[there[0][:, None], there[1]].to(parameter.dtype)
