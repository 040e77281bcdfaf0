"""A folder for each label, with a file for each text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqapps.data.sources.reading import bare_suffix, lines_of
from seqapps.data.sources.source import Places, Source
from seqapps.errors import DataError, close_match

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["TextFolder"]

ENDING = ".txt"


class TextFolder(Source):
    """Folders of texts, as IMDB reviews come: a folder for each split, in it one for each label, in it a file a text.

        train/neg/0_3.txt     train/neg/1_1.txt     train/pos/0_9.txt     ...

    Columns `tokens`, the text, and `label`, the folder's name. Texts are UTF-8 files ending in .txt, plain or .gz, .xz,
    .bz2; lines inside stay. Other files are not read. Labels take turns, each by the names of its files, so that
    the first examples (`data.limit`) are of all labels.

    Fields:
        train, validation, test: a folder for each split.
        labels: the labels that there are; a folder of another name, or a label without a folder, is an error. Empty =
            whatever folders there are.
        leave_out: folders that are no labels, `unsup` in IMDB.
    """

    def __init__(
        self,
        *,
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
        labels: list[str] = [],  # noqa: B006
        leave_out: list[str] = [],  # noqa: B006
    ):
        self.named = {"train": train, "validation": validation, "test": test}
        self.labels, self.leave_out = labels, leave_out

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Labels differ, and none is left out."""
        labels, faults = fields["labels"], []
        if len(set(labels)) < len(labels):
            faults.append(("labels", f"labels are {labels}; name each once"))
        for label in set(labels) & set(fields["leave_out"]):
            faults.append(("leave_out", f"{label!r} is among the labels, too; remove it from one of the two"))
        return faults

    def files(self, places: Places) -> list[Path]:
        return [file for split in self._folders(places).values() for files in split.values() for file in files]

    def load(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, Dataset]:
        from datasets import Dataset

        loaded = {}
        for split, folders in self._folders(places, splits).items():
            labelled = [[(label, file) for file in files] for label, files in folders.items()]
            turns = [pair for pair in chain.from_iterable(zip_longest(*labelled)) if pair is not None]
            texts = [_text(file) for _, file in turns]
            loaded[split] = Dataset.from_dict({"tokens": texts, "label": [label for label, _ in turns]})
        return loaded

    def _folders(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, dict[str, list[Path]]]:
        """Split -> label -> its files. DataError for labels that do not fit, or without texts."""
        given = {split: name for split, name in self.named.items() if name}
        if not given:
            raise DataError(f"the source names no folder; set one of {', '.join(self.named)}")
        return {
            split: self._labelled(places.find(name))
            for split, name in given.items()
            if splits is None or split in splits
        }

    def _labelled(self, folder: Path) -> dict[str, list[Path]]:
        if not folder.is_dir():
            raise DataError(f"{folder}: is a file; name the folder that holds a folder for each label")
        inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        labels = {path.name: path for path in inside if path.name not in self.leave_out}
        if not labels:
            raise DataError(f"{folder}: no folders in it; expected one for each label")
        for label, path in labels.items():
            if self.labels and label not in self.labels:
                hint = close_match(label, self.labels)
                raise DataError(f"{path}: {label!r} is not among 'labels'{hint}; add it there or to 'leave_out'")
        for label in self.labels:
            if label not in labels:
                raise DataError(f"{folder}: no folder for the label {label!r}{close_match(label, labels)}")
        files = {label: sorted(f for f in path.iterdir() if bare_suffix(f) == ENDING) for label, path in labels.items()}
        for label, path in labels.items():
            if not files[label]:
                raise DataError(
                    f"{path}: no texts ({ENDING}) for the label {label!r}; name the folder in 'leave_out' if it is none"
                )
        return files


def _text(file: Path) -> str:
    text = "\n".join(line for _, line in lines_of(file))
    if not text.strip():
        raise DataError(f"{file}: no text in the file; remove it")
    return text
