"""The folder of a run: what is in it, and how it is written.

    recipe.yaml           complete: every default written out
    environment.json      versions, owners of the components, device, arithmetic, fingerprints of the data
    resources.json        vocabularies and frequencies
    model.safetensors     the best model so far, at the end the final one
    state.safetensors     all that `--resume` needs
    journal.jsonl         one line per event: start, evaluations, failure, end
    predictions.jsonl     the first evaluation split, a line per example
    report.json, report.html, README.md
    diagnostics.json      if it was asked for: gradients, Jacobians and gates of the final model
    traces.*              if they were asked for: gates and states of given sentences
    .lock                 held by the process that writes

Nothing here is a pickle. Every file is written beside its place and renamed into it, so that a reader, or a process
that comes after a kill, sees the old file or the new one, never half of one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from torch import Tensor

from seqapps.errors import RunError

__all__ = ["RunFolder"]

_REPORT = (
    "report.json",
    "predictions.jsonl",
    "report.html",
    "README.md",
    "diagnostics.json",
    "traces.safetensors",
    "traces.json",
    "traces.html",
)
_FILES = (
    "recipe.yaml",
    "environment.json",
    "resources.json",
    "model.safetensors",
    "state.safetensors",
    "journal.jsonl",
    *_REPORT,
)


class RunFolder:
    """Reads and writes the files of one run."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self._lock: FileLock | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """An existing run. RunError if there is none at `path`."""
        folder = cls(path)
        if not (folder.path / "recipe.yaml").is_file():
            raise RunError(f"{folder.path}: no run here (no recipe.yaml); give the folder that `seqapps run` wrote")
        return folder

    @property
    def exists(self) -> bool:
        """Is there a run?"""
        return (self.path / "recipe.yaml").is_file()

    @property
    def finished(self) -> bool:
        """Did training end, and the report get written?"""
        return self.has("report.json") and bool(self.read_json("report.json")["training"].get("finished"))

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def has(self, name: str) -> bool:
        """Is there such a file?"""
        return (self.path / name).is_file()

    def lock(self) -> None:
        """Keep other processes from writing this run until `unlock`; a dead process's lock does not count.

        Raises RunError if another process is writing.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"{self.path}: the folder cannot be made ({error.strerror}); give another --output"
            ) from None
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunError(
                f"{self.path}: another process is writing this run; wait for it or give another --output"
            ) from None
        self._lock = lock

    def unlock(self) -> None:
        """Let others write."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def check_vacant(self) -> None:
        """RunError if there is something that is not a run: a run's files must not land among others."""
        if self.exists or not self.path.is_dir():
            return
        known = {*_FILES, *(_part(name) for name in _FILES), ".lock"}
        if any(item.name not in known for item in self.path.iterdir()):
            raise RunError(f"{self.path}: the folder is not empty and holds no run; give another --output")

    def remove_report(self) -> None:
        """Remove what is said of the final model: until the report is written anew the run has not finished."""
        for name in _REPORT:
            (self.path / name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove a run's files, the recipe first; what else is in the folder stays."""
        for name in _FILES:
            (self.path / name).unlink(missing_ok=True)

    def write_text(self, name: str, text: str) -> None:
        """Write a file as a whole."""
        self.write(name, lambda path: path.write_text(text, encoding="utf8"))

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file as a whole. NaN is refused: it is no JSON."""
        self.write_text(name, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")

    def write_lines(self, name: str, values: Iterator[Any]) -> None:
        """Write a JSON-lines file as a whole."""

        def fill(path: Path) -> None:
            with path.open("w", encoding="utf8") as file:
                for value in values:
                    file.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")

        self.write(name, fill)

    def write_tensors(self, name: str, tensors: Mapping[str, Tensor], facts: Any = None) -> None:
        """Write a safetensors file.

        `facts` go into its metadata as JSON, under one key and sorted, so that equal content gives equal bytes.
        """
        from safetensors.torch import save_file

        metadata = {"facts": json.dumps(facts, sort_keys=True, allow_nan=False)}
        held = {key: tensor.detach().contiguous().cpu() for key, tensor in tensors.items()}
        self.write(name, lambda path: save_file(held, path, metadata))

    def read_tensors(self, name: str) -> tuple[dict[str, Tensor], Any]:
        """What `write_tensors` wrote. RunError if the file is missing or damaged."""
        from safetensors import SafetensorError, safe_open

        if not self.has(name):
            raise RunError(f"{self.path / name}: no such file; the run stopped before it was written")
        try:
            with safe_open(self.path / name, "pt") as file:
                facts = json.loads((file.metadata() or {}).get("facts", "null"))
                return {key: file.get_tensor(key) for key in file.keys()}, facts  # noqa: SIM118
        except (SafetensorError, json.JSONDecodeError) as error:
            raise RunError(f"{self.path / name}: the file is damaged ({error}); restore it or run again") from error

    def write(self, name: str, fill: Callable[[Path], Any]) -> None:
        """Let `fill` write to a temporary path, then rename it to its place."""
        path = self.path / name
        temporary = path.with_name(_part(path.name))
        temporary.touch()  # with the permissions of a new file; safetensors would make one that only its owner reads
        fill(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)

    def read_json(self, name: str) -> Any:
        """A JSON file. RunError if it is missing or damaged."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf8"))
        except FileNotFoundError:
            raise RunError(f"{self.path / name}: no such file; the run stopped before it was written") from None
        except ValueError as error:
            raise RunError(f"{self.path / name}: not JSON ({error}); restore it or run again") from None

    def append(self, event: Mapping[str, Any]) -> None:
        """Add a line to the journal."""
        with (self.path / "journal.jsonl").open("a", encoding="utf8") as file:
            file.write(json.dumps(event, ensure_ascii=False) + "\n")

    def journal(self) -> list[dict[str, Any]]:
        """The events so far; a last line that a kill cut short is left out."""
        if not self.has("journal.jsonl"):
            return []
        lines = (self.path / "journal.jsonl").read_text(encoding="utf8").split("\n")
        return [json.loads(line) for line in lines[:-1]]

    def journal_size(self) -> int:
        """Bytes of the journal."""
        return (self.path / "journal.jsonl").stat().st_size if self.has("journal.jsonl") else 0

    def cut_journal(self, size: int) -> None:
        """Forget what was written after it had `size` bytes."""
        if self.has("journal.jsonl"):
            os.truncate(self.path / "journal.jsonl", size)


def _part(name: str) -> str:
    """What a file is called while it is written."""
    return f".{name}.part"
