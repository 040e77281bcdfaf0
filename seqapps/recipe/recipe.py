"""The sections of a recipe, as typed, complete, immutable values; each docstring says what its fields mean.

What a type cannot say (ranges, fields that exclude each other) is checked by `check_fields`, as in components.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from seqapps.errors import close_match
from seqapps.recipe.spec import Mark, Spec
from seqapps.registry import registry

__all__ = ["Batching", "Data", "Evaluation", "InitFrom", "Model", "Recipe", "Stop", "Training"]

Faults = list[tuple[str, str]]  # field, what is wrong with its value

DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]+)?")


def _positive(fields: Mapping[str, Any], *names: str) -> Faults:
    """Faults of those fields that are given and not finite numbers above 0."""
    wrong = [name for name in names if not _is_positive(fields[name])]
    return [(name, f"{fields[name]} is out of range; expected a finite number above 0") for name in wrong]


def _is_positive(value: float | None) -> bool:
    return value is None or 0 < value < math.inf


@dataclass(frozen=True, kw_only=True)
class Batching:
    """How examples are put into batches.

    Fields:
        tokens: budget of a batch in positions, padding included: longest length x number of examples.
        sentences: a fixed number of examples instead.
        streams: for a stream language model, rows of running text side by side instead, each of which goes on in the
            next batch; give one of the three.
        window: tokens of each stream in a batch, after which back-propagation is cut; only with streams.
        random_windows: draw the length of every window around `window` (Merity, Keskar and Socher 2017).
        pool: batches whose examples are sorted by length together before they are cut (1 = no sorting across batches).
    """

    tokens: int | None = None
    sentences: int | None = None
    streams: int | None = None
    window: int = 35
    random_windows: bool = False
    pool: int = 50

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> Faults:
        faults = _positive(fields, "tokens", "sentences", "streams", "window", "pool")
        given = [name for name in ("tokens", "sentences", "streams") if fields[name] is not None]
        if len(given) > 1:
            others = " and ".join(map(repr, given[:-1]))
            faults.append((given[-1], f"{others} is given as well; leave out all but one, or set them to null"))
        if not given:
            faults.append(("tokens", "none of 'tokens', 'sentences' and 'streams' is given; give one of them"))
        if fields["random_windows"] and fields["streams"] is None:
            faults.append(("random_windows", "there are no windows without 'streams'; remove it"))
        return faults


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is read.

    Fields:
        source: the component that yields the splits.
        columns: names that the task expects -> names in the source, for a source that calls them otherwise.
        derive: splits to cut out of `train` where the source has none, name -> share: {validation: 0.1}.
        batching: how examples are put into batches.
        limit: use only the first so many examples of every split.
        max_length: tokens that are read of a text, in training, evaluation and prediction, by heads that say something
            of whole texts; what is cut is counted and told. none = every text to its end.
        kept: which tokens of a longer one: first, last, or both, a half of them at each end.
        tokenizer: how text becomes tokens, in data that comes as text and when the model predicts.
        tokenizers: columns that have one of their own, as the side that is written: {target: characters}.
    """

    source: Annotated[Spec, "sources"]
    columns: dict[str, str] = field(default_factory=dict)
    derive: dict[str, float] = field(default_factory=dict)
    batching: Batching = Batching(tokens=4096)
    limit: int | None = None
    max_length: int | None = None
    kept: Literal["first", "last", "both"] = "first"
    tokenizer: Annotated[Spec, "tokenizers"] = field(default=Spec("tokenizers", "whitespace"))
    tokenizers: dict[str, Annotated[Spec, "tokenizers"]] = field(default_factory=dict)

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> Faults:
        faults = _positive(fields, "limit", "max_length")
        if fields["max_length"] is None and fields["kept"] != "first":
            faults.append(("kept", "nothing is cut without 'max_length'; give it, or remove 'kept'"))
        shares = fields["derive"]
        if "train" in shares:
            faults.append(("derive", "'train' is what splits are cut out of; name the new splits only"))
        out_of_range = [f"{name}: {share}" for name, share in shares.items() if not 0 < share < 1]
        if out_of_range:
            faults.append(("derive", f"{', '.join(out_of_range)} is out of range; a share lies between 0 and 1"))
        elif sum(shares.values()) >= 1:
            faults.append(("derive", f"the shares sum to {sum(shares.values()):g}; nothing would be left to train on"))
        return faults


@dataclass(frozen=True, kw_only=True)
class InitFrom:
    """Weights to start from.

    Fields:
        run: folder of a finished run, relative to the recipe or absolute.
        parts: which parts of its model to take; a vocabulary may differ, rows are matched by symbol.
    """

    run: str
    parts: list[Literal["embedder", "encoder", "head"]] = field(default_factory=lambda: ["embedder", "encoder"])

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> Faults:
        return [] if fields["parts"] else [("parts", "the list is empty; name the parts to take")]


@dataclass(frozen=True, kw_only=True)
class Model:
    """What is trained.

    Fields:
        embedder, encoder, head: its three parts; the type of the head is the task.
        freeze: shell patterns of parameter names that are not trained, as `plan` prints them: ["embedder.*"].
        init_from: another run to take weights from.
    """

    embedder: Annotated[Spec, "embedders"]
    encoder: Annotated[Spec, "encoders"]
    head: Annotated[Spec, "heads"]
    freeze: list[str] = field(default_factory=list)
    init_from: InitFrom | None = None

    def specs(self) -> Iterator[Spec]:
        """Every component of the model, nested ones included."""
        for part in (self.embedder, self.encoder, self.head):
            yield from part.walk()


@dataclass(frozen=True, kw_only=True)
class Stop:
    """When to stop before the last epoch.

    Fields:
        patience: stop after so many evaluations without a new best.
        metric: what is compared on the validation split; none = the task's headline.
    """

    patience: int
    metric: str | None = None

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> Faults:
        return _positive(fields, "patience")


@dataclass(frozen=True, kw_only=True)
class Training:
    """How it is trained.

    Fields:
        optimizer, schedule: update rule and learning rate over time.
        epochs: passes over the training split, at most.
        max_steps, max_seconds: further limits on optimizer steps and on the seconds that they take, evaluations not
            counted; whichever comes first ends training.
        clip_norm: gradients whose 2-norm over all parameters is larger are scaled down to it.
        clip_value: each gradient component is cut to [-clip_value, clip_value].
        accumulate: batches per optimizer step; the gradient equals that of the one large batch.
        average: decay per step, at most, of a moving average of the weights (see `seqapps.engine.averaging`). It is the
            average that is evaluated, that schedules and early stopping go by, and that is kept; none = the weights.
        stop: early stopping.
        evaluate_every: optimizer steps between evaluations on the validation split; none = once an epoch.
        save_every: seconds between saves of the state that `--resume` continues from; every evaluation saves too.
        seed: of everything random.
        deterministic: ask torch for deterministic algorithms only.
        precision: arithmetic of the forward and backward pass; auto = bf16 on a GPU that has it, else fp32.
        matmul_precision: fp32 matrix products; auto = the fastest one that keeps fp32-grade error on this machine.
        device: auto | cpu | cuda | cuda:N | mps; auto = a GPU if there is one.
        threads: CPU threads of one operation; none = torch's choice.
        kernels: how cells are run over time; auto = the first kernel that supports the cell, reference = always step by
            step, or the name of a kernel, which must then support it.
    """

    optimizer: Annotated[Spec, "optimizers"] = field(default=Spec("optimizers", "adam"))
    schedule: Annotated[Spec, "schedules"] = field(default=Spec("schedules", "constant"))
    epochs: int = 10
    max_steps: int | None = None
    max_seconds: float | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    accumulate: int = 1
    average: float | None = None
    stop: Stop | None = None
    evaluate_every: int | None = None
    save_every: float = 300.0
    seed: int = 1
    deterministic: bool = False
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    matmul_precision: Literal["auto", "highest", "high", "medium"] = "auto"
    device: str = "auto"
    threads: int | None = None
    kernels: str = "auto"

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> Faults:
        faults = _positive(fields, "epochs", "max_steps", "max_seconds", "clip_norm", "clip_value", "accumulate")
        faults += _positive(fields, "evaluate_every", "save_every", "threads")
        if fields["average"] is not None and not 0 < fields["average"] < 1:
            faults.append(("average", f"{fields['average']} is out of range; expected 0 < average < 1, as 0.999"))
        elif fields["average"] is not None and getattr(fields["optimizer"].target, "averages", False):
            faults.append(("average", f"{fields['optimizer'].name} averages the weights itself; remove one of the two"))
        if not 0 <= fields["seed"] < 2**32:
            faults.append(("seed", f"{fields['seed']} is out of range; expected 0 to {2**32 - 1}"))
        if not DEVICE.fullmatch(fields["device"]):
            faults.append(("device", f"{fields['device']!r} is no device; expected auto, cpu, cuda, cuda:N or mps"))
        known = ["auto", "reference", *registry("kernels").names()]
        if fields["kernels"] not in known:
            faults.append(("kernels", f"unknown kernel {fields['kernels']!r}{close_match(fields['kernels'], known)}"))
        return faults


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How it is measured.

    Fields:
        splits: splits that the report is about, the first one gives the headline.
        intervals: bootstrap = resample sentences; none = points only.
        samples: bootstrap samples.
        confidence: coverage of the intervals.
        baselines: also compute the task's trivial baselines on the same split.
    """

    splits: list[str] = field(default_factory=lambda: ["test"])
    intervals: Literal["bootstrap", "none"] = "bootstrap"
    samples: int = 1000
    confidence: float = 0.95
    baselines: bool = True

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> Faults:
        faults = _positive(fields, "samples")
        splits = fields["splits"]
        if not splits:
            faults.append(("splits", "the list is empty; name at least one split"))
        if len(set(splits)) < len(splits):
            faults.append(("splits", "a split is named twice"))
        if not 0 < fields["confidence"] < 1:
            faults.append(("confidence", f"{fields['confidence']} is out of range; expected between 0 and 1"))
        return faults


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A complete, checked recipe.

    `name` is that of its file; `origins` says where each value, named with dots, came from: "default" or a position.
    """

    data: Data
    model: Model
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    name: str = field(default="recipe", compare=False)
    origins: Mapping[str, Mark] = field(default_factory=dict, compare=False, repr=False)
