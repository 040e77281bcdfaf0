"""How to search: one section of a recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

__all__ = ["SearchOptions"]

Faults = list[tuple[str, str]]

# Fields that only one method reads, with the value that means: not asked for.
_BEAM_ONLY: dict[str, Any] = {
    "beam": 5,
    "early_exit": True,
    "patience": None,
    "length_penalty": "none",
    "length_alpha": None,
    "coverage_penalty": 0.0,
    "groups": 1,
    "diversity": 0.0,
}
_SAMPLING_ONLY: dict[str, Any] = {"temperature": 1.0, "top_k": None, "top_p": None}


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How sequences are searched. Lengths count the end mark.

    Fields:
        method: greedy (the best token each time), beam, or sampling.
        beam: hypotheses kept for a sentence.
        n_best: hypotheses returned for a sentence, or samples drawn.
        min_length: the end mark cannot come before this many steps.
        max_length: steps after which a sequence is cut.
        length_penalty: what a finished hypothesis' log-probability is divided by: none, gnmt (Wu et al. 2016, eq. 14:
            ((5 + length) / 6)^length_alpha) or average (length).
        length_alpha: exponent of gnmt; null = 0.6.
        coverage_penalty: beta of Wu et al. 2016, eq. 14; 0 = none. Needs a generator with attention.
        groups: groups of diverse beam search (Vijayakumar et al. 2016), which share the beam evenly; 1 = plain beam.
        diversity: what a token costs a group for every hypothesis of an earlier group that takes it at this step.
        early_exit: stop where no open hypothesis can enter the n best any more; changes the time, never a result.
        patience: a sentence is over when patience x beam of its hypotheses have finished, as many in each group, though
            a better one might come (Kasai et al. 2022, arXiv 2204.05424); 1 = what most programs do; null = it goes on,
            to the limit of length if need be. A length penalty that favours long hypotheses rarely lets `early_exit`
            stop before.
        no_repeat: size of the n-grams that may not occur twice; null = any may.
        temperature: sampling from p^(1/temperature).
        top_k: sampling among that many most probable tokens; null = all.
        top_p: sampling among the fewest most probable tokens that have at least this probability together; null = all.
    """

    method: Literal["greedy", "beam", "sampling"] = "beam"
    beam: int = 5
    n_best: int = 1
    min_length: int = 0
    max_length: int = 100
    length_penalty: Literal["none", "gnmt", "average"] = "none"
    length_alpha: float | None = None
    coverage_penalty: float = 0.0
    groups: int = 1
    diversity: float = 0.0
    early_exit: bool = True
    patience: float | None = None
    no_repeat: int | None = None
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> Faults:
        """Ranges, and fields that the method does not read."""
        faults = _out_of_range(fields)
        foreign = {"greedy": _BEAM_ONLY | _SAMPLING_ONLY, "beam": _SAMPLING_ONLY, "sampling": _BEAM_ONLY}
        for name, unused in foreign[fields["method"]].items():
            if fields[name] != unused:
                faults.append((name, f"{fields[name]} has no effect on method {fields['method']}; leave it out"))
        if fields["method"] == "greedy" and fields["n_best"] > 1:
            faults.append(("n_best", f"n_best is {fields['n_best']}, but greedy search finds 1; use beam or sampling"))
        if fields["method"] == "beam":
            faults += _beam_faults(fields)
        return faults

    def changed(self, fields: Mapping[str, Any]) -> SearchOptions:
        """These with other values. A beam that is asked for is what is searched with, whatever the method was."""
        others = dict(fields)
        if "beam" in fields and self.method != "beam":
            others |= {"method": "beam", **_SAMPLING_ONLY}
        return replace(self, **others)

    def faults(self) -> Faults:
        """What `check_fields` says of these values."""
        return self.check_fields(asdict(self))


def _out_of_range(fields: Mapping[str, Any]) -> Faults:
    faults = []
    for name in ("beam", "n_best", "max_length", "groups", "no_repeat", "top_k"):
        if fields[name] is not None and fields[name] < 1:
            faults.append((name, f"{name} is {fields[name]}, expected 1 or more"))
    for name in ("min_length", "length_alpha", "coverage_penalty", "diversity"):
        if fields[name] is not None and not 0 <= fields[name] < math.inf:
            faults.append((name, f"{name} is {fields[name]}, expected a finite number, 0 or more"))
    if not 0 < fields["temperature"] < math.inf:
        faults.append(("temperature", f"temperature is {fields['temperature']}, expected a finite number above 0"))
    if fields["top_p"] is not None and not 0 < fields["top_p"] <= 1:
        faults.append(("top_p", f"top_p is {fields['top_p']}, expected more than 0 and at most 1"))
    if fields["min_length"] > fields["max_length"]:
        faults.append(("min_length", f"min_length is {fields['min_length']}, above max_length {fields['max_length']}"))
    return faults


def _beam_faults(fields: Mapping[str, Any]) -> Faults:
    faults = []
    if fields["n_best"] > fields["beam"] >= 1:
        faults.append(("n_best", f"n_best is {fields['n_best']}, expected at most the beam, {fields['beam']}"))
    patience, groups, beam = fields["patience"], max(1, fields["groups"]), max(1, fields["beam"])
    enough = math.ceil(fields["n_best"] / groups) * groups / beam
    if patience is not None and not enough - 1e-9 <= patience < math.inf:
        text = f"patience is {patience}, expected a finite number, {enough:g} or more, so that n_best can be found"
        faults.append(("patience", text))
    if fields["groups"] >= 1 and fields["beam"] % fields["groups"]:
        faults.append(("groups", f"groups is {fields['groups']}, expected a divisor of the beam, {fields['beam']}"))
    if fields["groups"] == 1 and fields["diversity"]:
        faults.append(("diversity", f"diversity is {fields['diversity']} with one group; set groups to 2 or more"))
    if fields["length_alpha"] is not None and fields["length_penalty"] != "gnmt":
        faults.append(("length_alpha", f"length_penalty is {fields['length_penalty']}, which has no exponent"))
    return faults
