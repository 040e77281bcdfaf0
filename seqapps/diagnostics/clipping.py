"""How often training clipped gradients, from a run's journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["clipped_share"]


def clipped_share(events: Iterable[Mapping[str, Any]], limit: float | None) -> dict[str, Any] | None:
    """Of all recorded steps, the share whose gradient was longer than `limit`, `training.clip_norm`.

    Evaluations record the share of the steps since the one before; steps after the last evaluation are not recorded.

    Returns:
        limit, share, steps, and curve: [[step, share since the last one], ...]; None if nothing was clipped by norm or
        nothing was recorded.
    """
    curve = [[event["step"], event["clipped"]] for event in events if event["event"] == "evaluation"]
    if limit is None or not curve:
        return None
    clipped, before = 0.0, 0
    for step, share in curve:
        clipped += share * (step - before)
        before = step
    return {"limit": limit, "share": clipped / before if before else 0.0, "steps": before, "curve": curve}
