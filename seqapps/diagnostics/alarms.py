"""What is wrong with an encoder's memory, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["EXPLODED", "VANISHED", "alarms_of", "reached", "vanishes_within"]

VANISHED = 1e-3  # of the norm at distance 0: below it a gradient counts as gone
EXPLODED = 10.0
_ENOUGH = 10  # sequences that must reach so far back, or half of them if that is less: the median is always spoken of


def reached(gradient: Mapping[str, Any]) -> int:
    """How many distances, 0 included, are measured on enough sequences to be spoken of."""
    enough = min(_ENOUGH, gradient["sequences"] / 2)
    return sum(count >= enough for count in gradient["counts"])


def vanishes_within(gradient: Mapping[str, Any]) -> int | None:
    """The first distance at which the whole state's gradient is below `VANISHED`; None = it is not, as far as seen."""
    curve = gradient["states"]["whole"]["mean"][: reached(gradient)] if gradient["states"] else []
    return next((distance for distance, value in enumerate(curve) if value < VANISHED), None)


def alarms_of(place: Mapping[str, Any], median_steps: float) -> list[str]:
    """Sentences, each beginning with the layer; none where there is nothing to report.

    Args:
        place: one entry of a diagnosis' `places`.
        median_steps: from the first token read to the one whose loss was taken, median over the sequences.
    """
    where = f"layer {place['layer']} {place['direction']}"
    found = [*_gradient_alarms(place["gradient"], median_steps), *_gate_alarms(place["gates"])]
    silent = place["silent_units"]
    if silent:
        found.append(f"{_units(silent, place['units'])} never differ from 0 (dead units)")
    return [f"{where}: {alarm}" for alarm in found]


def _gradient_alarms(gradient: Mapping[str, Any], median_steps: float) -> Sequence[str]:
    if not gradient["states"]:
        return [
            f"the gradient is zero or not finite at the token itself in all {gradient['left_out']} sequences; nothing "
            "can be said of its way back"
        ]
    found = []
    gone = vanishes_within(gradient)
    if gone is not None and gone < median_steps:
        found.append(
            f"the gradient vanishes within {gone} step{'s' if gone > 1 else ''}: it is below {VANISHED:g} of its norm "
            f"at the token, while the token stands {median_steps:g} steps after the first one (median)"
        )
    curve = gradient["states"]["whole"]["mean"][: reached(gradient)]
    most = max(range(len(curve)), key=curve.__getitem__)
    if curve[most] > EXPLODED:
        found.append(f"the gradient explodes: {most} steps back it is {curve[most]:.3g} times its norm at the token")
    return found


def _gate_alarms(gates: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    found = []
    for name, gate in gates.items():
        for count, side in ((gate["units_shut"], "shut (below 0.05)"), (gate["units_open"], "open (above 0.95)")):
            if count:
                found.append(f"the {name} gate of {_units(count, gate['units'])} is {side} at more than 95 % of tokens")
    return found


def _units(count: int, of: int) -> str:
    return f"{count} of {of} unit{'s' if of > 1 else ''}"
