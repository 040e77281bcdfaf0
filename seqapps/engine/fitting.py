"""What happens between the steps of a run: evaluation, saving, stopping, and the record of it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from seqapps.data.indexed import IndexedSplit
from seqapps.engine.averaging import evaluation_weights
from seqapps.engine.checkpoint import capture, model_tensors, restore, under
from seqapps.engine.evaluation import predict_split
from seqapps.engine.optimizers import NTASGD
from seqapps.engine.run_folder import RunFolder
from seqapps.engine.training import Loop, Step, train
from seqapps.errors import RunError, TrainingError, UseError, close_match
from seqapps.metrics.score import METRICS
from seqapps.recipe.recipe import Recipe

if TYPE_CHECKING:
    from seqapps.engine.assembly import OpenedData

__all__ = ["Fit", "Progress", "Watcher"]


@dataclass
class Progress:
    """What a run remembers besides its model: saved with it, so that a resumed run goes on counting.

    Attributes:
        seconds: of training steps so far; evaluations not counted.
        tokens: seen so far, padding not counted.
        best, best_step, best_epoch: of the validation split; `waited` evaluations have passed without a new best.
        loss, nll: summed over the `steps` since the last evaluation, of which `clipped` had their gradient scaled down.
        evaluated: step of the last evaluation.
        journal: bytes of the journal that belong to it.
        stopped: why training ended, None while it goes on.
    """

    seconds: float = 0.0
    tokens: int = 0
    best: float | None = None
    best_step: int = 0
    best_epoch: float = 0.0
    waited: int = 0
    loss: float = 0.0
    nll: float = 0.0
    steps: int = 0
    clipped: int = 0
    evaluated: int = 0
    journal: int = 0
    stopped: str | None = None


class Watcher(Protocol):
    """Is told what happens, to show it."""

    def begin(self, recipe: Recipe, data: OpenedData, loop: Loop, path: Path) -> None:
        """Before the first step."""

    def end(self) -> None:
        """After the last, however it ended."""

    def on_step(self, step: Step, planned: int) -> None:
        """After every optimizer step."""

    def on_evaluation(self, event: dict[str, Any], headline: str) -> None:
        """After every evaluation; `event` is the journal's line."""


class Fit:
    """Trains a model as its recipe says and keeps the run's files up to date."""

    def __init__(
        self,
        loop: Loop,
        folder: RunFolder,
        recipe: Recipe,
        validation: IndexedSplit | None,
        watcher: Watcher | None = None,
    ):
        self.loop, self.folder, self.recipe, self.validation, self.watcher = loop, folder, recipe, validation, watcher
        self.progress = Progress()
        self.interrupted = False
        stop = recipe.training.stop
        self.metric = (stop.metric if stop else None) or loop.model.head.headline
        measured = loop.model.head.scores
        if self.metric not in measured:
            raise UseError(
                f"training.stop.metric: {self.metric!r} is not measured here{close_match(self.metric, measured)}"
            )

    def resume(self) -> None:
        """Continue from the saved state. RunError if there is none."""
        tensors, facts = self.folder.read_tensors("state.safetensors")
        if facts is None:
            raise RunError(f"{self.folder / 'state.safetensors'}: no state in it; run again with --overwrite")
        restore(self.loop, tensors, facts, str(self.folder / "state.safetensors"))
        self.progress = Progress(**facts["progress"])
        self.folder.cut_journal(self.progress.journal)
        if facts["with_best"]:
            best = under("best.", tensors)
            if best:
                self.folder.write_tensors("model.safetensors", best)
            else:
                (self.folder / "model.safetensors").unlink(missing_ok=True)

    def run(self) -> str:
        """Train to the end; returns what ended it: epochs, patience, max_steps, max_seconds or interrupt."""
        self.loop.model.train()
        with self._catching_interrupt():
            try:
                self.progress.stopped = self._steps()
            except TrainingError as error:
                self.folder.append({"event": "failure", "step": self.loop.position.step + 1, "error": str(error)})
                raise
        if self.validation is None:
            with evaluation_weights(self.loop.optimizer, self.loop.average):
                self._save_model()
        return self.progress.stopped

    def _steps(self) -> str:
        ended = self._limit() or self._patience()
        if ended:  # resumed where it had ended
            if self.progress.evaluated < self.loop.position.step:
                self._evaluate()
            return ended
        saved = time.monotonic()
        for step in train(self.loop):
            self._count(step)
            due, limit = self._is_due(step), self._limit()
            if limit and not due:
                self.save(with_best=True)  # the evaluation to come is out of turn: a resumed run must not know of it
            if due or limit:
                self._evaluate()
            if due or (not limit and time.monotonic() - saved >= self.recipe.training.save_every):
                self.save()
                saved = time.monotonic()
            ended = limit or self._patience()
            if ended:
                return ended
        return "epochs"

    def save(self, *, with_best: bool = False) -> None:
        """Write the state that `resume` continues from; `with_best` keeps the best model in it as well."""
        self.progress.journal = self.folder.journal_size()
        tensors, facts = capture(self.loop, {"progress": asdict(self.progress), "with_best": with_best})
        if with_best and self.folder.has("model.safetensors"):
            best, _ = self.folder.read_tensors("model.safetensors")
            tensors.update({f"best.{name}": tensor for name, tensor in best.items()})
        self.folder.write_tensors("state.safetensors", tensors, facts)

    def _count(self, step: Step) -> None:
        progress, limit = self.progress, self.loop.clipping.norm
        progress.seconds += step.seconds
        progress.tokens += step.tokens
        progress.loss += step.loss
        progress.nll += step.nll
        progress.steps += 1
        progress.clipped += limit is not None and step.gradient_norm > limit
        if self.watcher:
            self.watcher.on_step(step, self.loop.total_steps)

    def _is_due(self, step: Step) -> bool:
        every = self.recipe.training.evaluate_every
        return step.number % every == 0 if every else step.ends_epoch

    def _limit(self) -> str | None:
        training = self.recipe.training
        if self.loop.position.epoch >= self.loop.epochs:
            return "epochs"
        if self.interrupted:
            return "interrupt"
        if training.max_steps is not None and self.loop.position.step >= training.max_steps:
            return "max_steps"
        if training.max_seconds is not None and self.progress.seconds >= training.max_seconds:
            return "max_seconds"
        return None

    def _patience(self) -> str | None:
        stop = self.recipe.training.stop
        return "patience" if stop is not None and self.progress.waited >= stop.patience else None

    def _evaluate(self) -> None:
        """Measure on the validation split, keep the best model, write the journal's line."""
        progress, started = self.progress, time.perf_counter()
        position, batches = self.loop.position, self.loop.sampler.epoch(self.loop.position.epoch)
        epoch = round(position.epoch + position.batches / len(batches), 6)
        progress.evaluated = position.step
        event: dict[str, Any] = {
            "event": "evaluation",
            "step": position.step,
            "epoch": epoch,
            "seconds": round(progress.seconds, 3),
            "tokens": progress.tokens,
            "loss": progress.loss / max(1, progress.steps),
            "nll": progress.nll / max(1, progress.steps),
            "clipped": progress.clipped / max(1, progress.steps),
            "learning_rate": self.loop.optimizer.param_groups[0]["lr"],
        }
        progress.loss, progress.nll, progress.steps, progress.clipped = 0.0, 0.0, 0, 0
        if self.validation is not None:
            with evaluation_weights(self.loop.optimizer, self.loop.average):
                scores = self._scores()
                event["metrics"] = scores
                event["best"] = self._compare(scores[self.metric], epoch)
                if event["best"]:
                    self._save_model()
            event["evaluation_seconds"] = round(time.perf_counter() - started, 3)
        self.folder.append(event)
        if self.watcher:
            self.watcher.on_evaluation(event, self.metric)

    def _scores(self) -> dict[str, float | None]:
        loop = self.loop
        assert self.validation is not None
        batching = self.recipe.data.batching
        with loop.model.head.quickly():
            predictions = predict_split(loop.model, self.validation, batching, loop.device, loop.autocast)
        found = loop.model.head.evaluate(self.validation, predictions, None)
        return {name: score.value for name, score in found.scores.items()}

    def _compare(self, value: float | None, epoch: float) -> bool:
        """Is it a new best? Tells the schedule, and counts the evaluations without one."""
        progress, higher = self.progress, METRICS[self.metric].higher_is_better
        if value is not None:
            self.loop.schedule.observe(value, higher)
            if isinstance(self.loop.optimizer, NTASGD):
                self.loop.optimizer.observe(value, higher)
        better = value is not None and (
            progress.best is None or (value > progress.best if higher else value < progress.best)
        )
        if better:
            progress.best, progress.best_step, progress.best_epoch = value, self.loop.position.step, epoch
            progress.waited = 0
        else:
            progress.waited += 1
        # Even a model without any score is worth keeping until there is a better one.
        return better or not self.folder.has("model.safetensors")

    def _save_model(self) -> None:
        self.folder.write_tensors("model.safetensors", model_tensors(self.loop.model))

    @contextmanager
    def _catching_interrupt(self) -> Iterator[None]:
        """The first Ctrl-C ends training after the step; the second one kills."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: Callable[..., Any] | int | None = signal.getsignal(signal.SIGINT)

        def note(number: int, frame: Any) -> None:
            self.interrupted = True
            signal.signal(signal.SIGINT, before)

        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
