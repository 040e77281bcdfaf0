"""What an evaluation hands over: scores, tables for the report, and the counts that comparing two models needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqapps.errors import ShapeError, close_match
from seqapps.metrics.intervals import Bootstrap, Floats, Statistic
from seqapps.metrics.score import Difference, Interval, Score

__all__ = ["Counted", "Estimate", "Evaluation", "estimate", "ratio"]


@dataclass(frozen=True)
class Counted:
    """What a score is computed from, sentence by sentence."""

    counts: NDArray  # (N, K) what is summed over sentences, mostly integers
    statistic: Statistic  # of the sums of counts
    units: NDArray  # (N,) how many units each sentence holds
    of: str  # what the units are: tokens, sentences, ...

    @property
    def count(self) -> int:
        return int(self.units.sum())

    def only(self, mask: NDArray[np.bool_]) -> Counted:
        """The same over the sentences in `mask`."""
        return replace(self, counts=self.counts * mask[:, None], units=self.units * mask)


class Estimate(NamedTuple):
    """A score without its name; None where it is undefined, or where there is no interval."""

    value: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Evaluation:
    """One model on one split.

    Fields:
        headline: the name of the score that sums up the task.
        scores: name -> Score.
        tables: name -> what the report shows, ready for JSON.
        counted: name of a score -> what it was computed from, in the order of the sentences.
    """

    headline: str
    scores: Mapping[str, Score]
    tables: Mapping[str, Any]
    counted: Mapping[str, Counted]

    def metrics(self) -> dict[str, dict[str, Any]]:
        """The scores, ready for JSON."""
        return {name: score.to_json() for name, score in self.scores.items()}

    def difference(self, other: Evaluation, bootstrap: Bootstrap | None, metric: str | None = None) -> Difference:
        """This model's score minus the other's on the same sentences; `metric` is the headline unless given.

        Raises ShapeError if the two were not evaluated on equally many sentences, or do not both have the score.
        """
        metric = metric or self.headline
        for evaluation in (self, other):
            if metric not in evaluation.counted:
                raise ShapeError(f"difference of {metric}: not measured{close_match(metric, evaluation.counted)}")
        ours, theirs = self.counted[metric], other.counted[metric]
        if len(ours.counts) != len(theirs.counts):
            found = f"{len(ours.counts)} and {len(theirs.counts)} sentences"
            raise ShapeError(f"difference of {metric}: {found}; evaluate both on one split")
        values = self.scores[metric].value, other.scores[metric].value
        value = None if values[0] is None or values[1] is None else values[0] - values[1]
        interval = None
        if bootstrap is not None and value is not None:
            interval = bootstrap.difference(ours.counts, theirs.counts, ours.statistic)
        return Difference(metric, value, interval)


def ratio(sums: Floats) -> Floats:
    """First column over second, (S, 2) -> (S,); NaN where the second is 0."""
    return np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] != 0)


def estimate(counted: Sequence[Counted], bootstrap: Bootstrap | None) -> list[Estimate]:
    """Value and interval of each of `counted`, all of the same sentences, from one set of resamples."""
    N = len(counted[0].counts)
    resampled = None
    if bootstrap is not None and N > 1:
        resampled = bootstrap.sums(np.concatenate([part.counts for part in counted], axis=1))
    estimates, start = [], 0
    for part in counted:
        end = start + part.counts.shape[1]
        value = float(part.statistic(part.counts.sum(axis=0, dtype=np.float64, keepdims=True))[0])
        if np.isnan(value):
            estimates.append(Estimate(None, None))
        elif bootstrap is None or resampled is None:
            estimates.append(Estimate(value, None))
        else:
            estimates.append(Estimate(value, bootstrap.quantiles(part.statistic(resampled[:, start:end]))))
        start = end
    return estimates
