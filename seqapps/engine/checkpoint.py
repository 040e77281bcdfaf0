"""The state of training as tensors and plain facts: all that continuing on the same trajectory needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from seqapps.engine.training import Loop, Position
from seqapps.errors import RunError
from seqapps.modules.encoded import FinalStates

__all__ = ["capture", "load_model_tensors", "model_tensors", "restore", "under"]


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters, tied ones once, and the buffers that are saved."""
    parameters = dict(model.named_parameters())
    every_name = dict(model.named_parameters(remove_duplicate=False))
    buffers = {name: value for name, value in model.state_dict().items() if name not in every_name}
    return {**parameters, **buffers}


def load_model_tensors(model: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copy into the model. RunError naming what differs if names or shapes do."""
    own = model_tensors(model)
    missing, unknown = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    if missing or unknown:
        raise RunError(
            f"{where}: parameters differ from the recipe's model: missing {missing[:3]}, unknown {unknown[:3]}"
        )
    with torch.no_grad():
        for name, tensor in tensors.items():
            if tensor.shape != own[name].shape:
                raise RunError(
                    f"{where}: {name} has shape {tuple(tensor.shape)}, the recipe's model {tuple(own[name].shape)}"
                )
            own[name].copy_(tensor)


def capture(loop: Loop, facts: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights, their average, optimizer, schedule, loss scale, random generators, position; `facts` are kept beside."""
    tensors = {f"model.{name}": tensor for name, tensor in model_tensors(loop.model).items()}
    saved = loop.optimizer.state_dict()
    numbers: dict[str, dict[str, Any]] = {}
    for index, state in saved["state"].items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{key}"] = value
            else:
                numbers.setdefault(str(index), {})[key] = value
    if loop.average is not None:
        tensors.update({f"average.{name}": tensor for name, tensor in loop.average.tensors().items()})
    tensors["random.cpu"] = torch.get_rng_state()
    if loop.device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(loop.device)
    if loop.device.type == "mps":
        tensors["random.mps"] = torch.mps.get_rng_state()
    for layer, directions in enumerate(loop.carried or ()):
        for direction, states in enumerate(directions):
            tensors.update({f"carried.{layer}.{direction}.{k}": s for k, s in enumerate(states)})
    return tensors, {
        "position": vars(loop.position),
        "optimizer": {"numbers": numbers, "groups": saved["param_groups"]},
        "schedule": loop.schedule.state,
        "scaler": loop.scaler.state_dict() if loop.scaler is not None else None,
        **facts,
    }


def restore(loop: Loop, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], where: str) -> None:
    """Put back what `capture` took."""
    load_model_tensors(loop.model, under("model.", tensors), where)
    state: dict[int, dict[str, Any]] = {int(i): dict(n) for i, n in facts["optimizer"]["numbers"].items()}
    for name, tensor in under("optimizer.", tensors).items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    loop.optimizer.load_state_dict({"state": state, "param_groups": facts["optimizer"]["groups"]})
    if loop.average is not None:
        loop.average.load(under("average.", tensors))
    loop.schedule.state = facts["schedule"]
    if loop.scaler is not None and facts["scaler"] is not None:
        loop.scaler.load_state_dict(facts["scaler"])
    torch.set_rng_state(tensors["random.cpu"])
    if loop.device.type == "cuda" and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], loop.device)
    if loop.device.type == "mps" and "random.mps" in tensors:
        torch.mps.set_rng_state(tensors["random.mps"])
    loop.carried = _carried(under("carried.", tensors), loop.device)
    loop.position.__dict__.update(Position(**facts["position"]).__dict__)


def _carried(tensors: Mapping[str, Tensor], device: torch.device) -> FinalStates | None:
    """[layer][direction][state] from "layer.direction.state"; None if there are none."""
    places = sorted(tuple(map(int, name.split("."))) for name in tensors)
    nested: dict[int, dict[int, list[Tensor]]] = {}
    for layer, direction, state in places:
        found = tensors[f"{layer}.{direction}.{state}"].to(device)
        nested.setdefault(layer, {}).setdefault(direction, []).append(found)
    return tuple(tuple(tuple(s) for s in layer.values()) for layer in nested.values()) or None


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
