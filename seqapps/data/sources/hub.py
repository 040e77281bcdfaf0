"""Datasets of the Hugging Face hub."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqapps.data.sources.builders import without_progress_bars
from seqapps.data.sources.source import Places, Source
from seqapps.errors import DataError, close_match

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["Hub", "is_reachable"]

PROBE_SECONDS = 4.0
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_NAMED = re.compile(r"'([^']+)'")


class Hub(Source):
    """A dataset of the Hugging Face hub, through `datasets.load_dataset` and its cache.

    The columns are the dataset's own; recipes rename them with `data.columns`. Without network a dataset that is in the
    cache is read from there; otherwise loading fails within seconds. The environment variable HF_HUB_OFFLINE=1 keeps
    off the network altogether. Datasets that consist of a Python script are not supported by `datasets`.

    Fields:
        name: of the dataset, "conll2003" or "owner/dataset"; or a folder of files, found as other files of a recipe
            are, which `datasets` reads (csv, JSON lines, parquet, text). A folder of that name goes before the hub.
        config: which of the dataset's configurations, where it has several ("en" of a multilingual one).
        revision: a tag, branch or commit, so that the data stays the same; none = the latest.
        splits: split -> how the dataset calls it, slices included: {train: "train[:90%]", validation: "train[90%:]"};
            empty = all splits under the dataset's own names.
    """

    def __init__(
        self,
        *,
        name: str,
        config: str | None = None,
        revision: str | None = None,
        splits: dict[str, str] = {},  # noqa: B006
    ):
        self.name, self.config, self.revision, self.splits = name, config, revision, splits

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """A dataset is named."""
        return [] if fields["name"].strip() else [("name", "is empty; name a dataset, as in 'owner/dataset'")]

    def files(self, places: Places) -> list[Path]:
        folder = self._folder(places)
        return sorted(file for file in folder.rglob("*") if file.is_file()) if folder else []

    def load(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, Dataset]:
        folder = self._folder(places)
        online = folder is not None or is_reachable(PROBE_SECONDS)
        wanted = {ours: theirs for ours, theirs in self.splits.items() if splits is None or ours in splits}
        with without_progress_bars(), contextlib.nullcontext() if online else _offline():
            if self.splits:
                loaded = {ours: self._load(folder, theirs) for ours, theirs in wanted.items()}
            else:
                found = self._load(folder, None)
                loaded = {name: split for name, split in found.items() if splits is None or name in splits}
        if not online:
            self._check_revision(loaded)
        return loaded

    def _folder(self, places: Places) -> Path | None:
        """The folder that `name` stands for, if it is one; like `datasets`, the working directory is looked in too."""
        candidates = [*places.candidates(self.name), Path(self.name).expanduser()]
        found = next((path for path in candidates if path.is_dir()), None)
        if found is None and self.name.startswith((".", "/", "~")):
            places.find(self.name)  # raises, saying where it looked
        if found is None and not _HUB_NAME.fullmatch(self.name):
            raise DataError(f"hub dataset {self.name!r}: neither a folder nor a name like 'dataset' or 'owner/dataset'")
        return found

    def _load(self, folder: Path | None, split: str | None) -> Any:
        """What `load_dataset` gives: a Dataset for a split, a mapping without one. Its errors become DataError."""
        from datasets import load_dataset
        from datasets.exceptions import DatasetNotFoundError

        name = str(folder) if folder else self.name
        try:
            return load_dataset(name, self.config, revision=None if folder else self.revision, split=split)
        except DatasetNotFoundError as error:
            what = f"revision {self.revision!r} of it" if "evision" in str(error) else "such dataset that you may read"
            raise DataError(
                f"hub dataset {self.name!r}: there is no {what}; see https://huggingface.co/datasets/{self.name}"
            ) from error
        except ConnectionError as error:
            raise DataError(self._unreachable()) from error
        except Exception as error:
            raise DataError(f"hub dataset {self.name!r}: {self._reason(error, split)}") from error

    def _unreachable(self) -> str:
        why = "HF_HUB_OFFLINE is set" if os.environ.get("HF_HUB_OFFLINE") else "the hub cannot be reached"
        config = f" with config {self.config!r}" if self.config else ""
        return (
            f"hub dataset {self.name!r}: {why}, and the dataset is not in the cache{config}; load it once with a "
            "network, or use files of your own with source 'tables'"
        )

    def _reason(self, error: Exception, split: str | None) -> str:
        """One line for what `load_dataset` raised, with suggestions for a config or split that is not there."""
        text = str(error.__cause__ or error)
        if "find cache for" in text:
            return self._unreachable().partition(": ")[2]
        if "Config name is missing" in text:
            known = _NAMED.findall(text.partition("]")[0])  # after the list comes an example call
            return f"it has several configurations; set 'config' to one of {', '.join(known)}"
        if "BuilderConfig" in text or "configuration" in text:
            known = [name for name in _NAMED.findall(text.split("vailable", 1)[-1]) if name != self.config]
            return f"no config {self.config!r}{close_match(str(self.config), known)}"
        if split is not None and ("nknown split" in text or "not found in" in text):
            bare = re.split(r"[\[+]", split)[0]
            known = [name for name in _NAMED.findall(text) if name != bare]
            return f"no split {bare!r}{close_match(bare, known)}"
        return f"{type(error.__cause__ or error).__name__}: {' '.join(text.split())[:300]}"

    def _check_revision(self, loaded: Mapping[str, Dataset]) -> None:
        """Offline `datasets` takes any revision from the cache; a cached copy's folder is called by its commit."""
        for dataset in loaded.values():
            folders = {part for file in dataset.cache_files for part in Path(file["filename"]).parts}
            if self.revision is not None and self.revision not in folders:
                raise DataError(
                    f"hub dataset {self.name!r}: without the hub it cannot be told whether the cached copy is revision "
                    f"{self.revision!r}; connect, give the full commit, or leave out 'revision'"
                )


def is_reachable(seconds: float) -> bool:
    """Whether the hub answers within so many seconds; False at once if the environment asks to stay offline.

    Proxies of the environment are used. The wait is bounded here, since looking up a name knows no time limit.
    """
    if _told_offline():
        return False
    from huggingface_hub import constants

    answered = threading.Event()

    def probe() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=seconds).close()
        except urllib.error.HTTPError:
            answered.set()  # an answer, whatever it says
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLError):  # certificates are the business of the real connection
                answered.set()
        except OSError:
            pass
        else:
            answered.set()

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def _told_offline() -> bool:
    from datasets import config

    return bool(config.HF_HUB_OFFLINE)


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Keep `datasets` off a network that does not answer: it would retry for 23 s before it looks into its cache."""
    from datasets import config
    from huggingface_hub import constants

    before = config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before
