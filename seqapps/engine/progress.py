"""What a run shows while it goes on: a moving bar on a terminal, otherwise one line per evaluation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqapps.engine.training import Loop, Step
from seqapps.recipe.recipe import Recipe

if TYPE_CHECKING:
    from tqdm import tqdm

    from seqapps.engine.assembly import OpenedData

__all__ = ["Console"]


class Console:
    """Writes to standard error."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._tokens = 0
        self._seconds = 0.0

    def say(self, text: str) -> None:
        """One line."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)

    def begin(self, recipe: Recipe, data: OpenedData, loop: Loop, path: Path) -> None:
        """Say what is about to be trained."""
        from tqdm import tqdm

        if data.source.warning:
            self.say(f"warning: {data.source.warning}")
        for note in data.notes:
            self.say(f"warning: {note}")
        sizes = ", ".join(
            f"{name} {len(split):,} sentences {int(split.lengths.sum()):,} tokens"
            for name, split in data.splits.items()
        )
        parameters = sum(p.numel() for p in loop.model.parameters())
        self.say(f"{recipe.data.source.name}: {sizes}")
        self.say(f"{path}: {parameters:,} parameters on {loop.device}, at most {loop.total_steps:,} steps")
        if sys.stderr.isatty():
            self._bar = tqdm(
                total=loop.total_steps, initial=loop.position.step, unit="step", file=sys.stderr, leave=False
            )

    def on_step(self, step: Step, planned: int) -> None:
        """Move the bar; a smoothed rate of tokens beside it."""
        self._tokens = round(0.98 * self._tokens + step.tokens)
        self._seconds = 0.98 * self._seconds + step.seconds
        if self._bar is not None:
            rate = self._tokens / self._seconds if self._seconds else 0.0
            self._bar.set_postfix_str(
                f"epoch {step.epoch:.1f}, loss {step.loss:.3f}, {rate:,.0f} tokens/s", refresh=False
            )
            self._bar.update(1)

    def on_evaluation(self, event: dict[str, Any], headline: str) -> None:
        """One line."""
        parts = [f"epoch {event['epoch']:5.1f}", f"step {event['step']:6d}", f"loss {event['loss']:8.4f}"]
        if "metrics" in event:
            value = event["metrics"][headline]
            shown = "undefined" if value is None else f"{value:.4f}"
            parts.append(f"validation {headline} {shown}{' *' if event['best'] else '  '}")
        rate = event["tokens"] / event["seconds"] if event["seconds"] else 0.0
        parts.append(f"{event['seconds']:7.1f} s  {rate:8,.0f} tokens/s")
        self.say("  ".join(parts))

    def end(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
