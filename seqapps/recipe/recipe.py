"""The sections of a recipe, as typed, complete, immutable values. What a field means is said in its section's docstring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from seqapps.recipe.spec import Mark, Spec

__all__ = ["Batching", "Data", "Evaluation", "InitFrom", "Model", "Recipe", "Stop", "Training"]


@dataclass(frozen=True, kw_only=True)
class Batching:
    """How examples are put into batches.

    Fields:
        tokens: budget of a batch in positions, padding included: longest length x number of examples.
        sentences: a fixed number of examples instead; give one of the two.
        pool: batches whose examples are sorted by length together before they are cut (1 = no sorting across batches).
    """

    tokens: int | None = None
    sentences: int | None = None
    pool: int = 50


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is read.

    Fields:
        source: the component that yields the splits.
        columns: names that the task expects -> names in the source, for a source that calls them otherwise.
        derive: splits to cut out of `train` where the source has none, name -> share: {validation: 0.1}.
        batching: how examples are put into batches.
        limit: use only the first so many examples of every split.
        tokenizer: how typed text becomes tokens when the model predicts.
    """

    source: Annotated[Spec, "sources"]
    columns: dict[str, str] = field(default_factory=dict)
    derive: dict[str, float] = field(default_factory=dict)
    batching: Batching = Batching(tokens=4096)
    limit: int | None = None
    tokenizer: Annotated[Spec, "tokenizers"] = Spec("tokenizers", "whitespace")


@dataclass(frozen=True, kw_only=True)
class InitFrom:
    """Weights to start from.

    Fields:
        run: folder of a finished run, relative to the recipe or absolute.
        parts: which parts of its model to take; a vocabulary may differ, rows are matched by symbol.
    """

    run: str
    parts: list[Literal["embedder", "encoder", "head"]] = field(default_factory=lambda: ["embedder", "encoder"])


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


@dataclass(frozen=True, kw_only=True)
class Training:
    """How it is trained.

    Fields:
        optimizer, schedule: update rule and learning rate over time.
        epochs: passes over the training split, at most.
        max_steps, max_seconds: further limits on optimizer steps and on wall time; whichever comes first ends training.
        clip_norm: gradients whose 2-norm over all parameters is larger are scaled down to it.
        clip_value: each gradient component is cut to [-clip_value, clip_value].
        accumulate: batches per optimizer step; the gradient equals that of the one large batch.
        stop: early stopping.
        evaluate_every: optimizer steps between evaluations on the validation split; none = once an epoch.
        save_every: seconds between saves of the state that `--resume` continues from, beside the one at every evaluation.
        seed: of everything random.
        deterministic: ask torch for deterministic algorithms only.
        precision: arithmetic of the forward and backward pass; auto = bf16 on a GPU that has it, else fp32.
        matmul_precision: fp32 matrix products; auto = the fastest one that keeps fp32-grade error on this machine.
        device: auto | cpu | cuda | cuda:N | mps; auto = a GPU if there is one.
        threads: CPU threads of one operation; none = torch's choice.
        kernels: how cells are run over time; reference = always step by step.
    """

    optimizer: Annotated[Spec, "optimizers"] = Spec("optimizers", "adam")
    schedule: Annotated[Spec, "schedules"] = Spec("schedules", "constant")
    epochs: int = 10
    max_steps: int | None = None
    max_seconds: float | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    accumulate: int = 1
    stop: Stop | None = None
    evaluate_every: int | None = None
    save_every: float = 300.0
    seed: int = 1
    deterministic: bool = False
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    matmul_precision: Literal["auto", "highest", "high", "medium"] = "auto"
    device: str = "auto"
    threads: int | None = None
    kernels: Literal["auto", "reference", "native"] = "auto"


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


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A complete, checked recipe; `name` is that of its file, `origins` says where each value came from ("default" or a position)."""

    data: Data
    model: Model
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    name: str = "recipe"
    origins: Mapping[str, Mark] = field(default_factory=dict, compare=False, repr=False)
