"""Bracketed sentiment trees, the format of the Stanford Sentiment Treebank."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from seqapps.data.sources.reading import lines_of, split_files
from seqapps.data.sources.source import Places, Source
from seqapps.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["LABELS", "SentimentTrees"]

LABELS = ("very negative", "negative", "neutral", "positive", "very positive")
_BINARY = {LABELS[0]: "negative", LABELS[1]: "negative", LABELS[3]: "positive", LABELS[4]: "positive"}
_PART = re.compile(r"\(\s*(?P<label>[^\s()]*)|(?P<close>\))|(?P<leaf>[^\s()]+)")
_ESCAPED = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}


class _Phrase(NamedTuple):
    tokens: tuple[str, ...]
    label: str


class SentimentTrees(Source):
    """A tree a line, every node with its sentiment from 0 to 4 (Socher et al. 2013); columns `tokens` and `label`.

        (3 (2 It) (4 (2 's) (4 lovely)))      It 's lovely, label positive

    Files are UTF-8, plain or .gz, .xz, .bz2; of a folder every file is read. The labels are those of the whole
    sentences: very negative, negative, neutral, positive, very positive. With the files of the treebank these are
    8,544 sentences for training, 1,101 for validation and 2,210 for testing; two classes leave 6,920, 872 and 1,821.

    Brackets and slashes, which the treebank writes `-LRB-` and `\\/`, are read as what they stand for, as they stand in
    a text that a model is given later.

    Fields:
        train, validation, test: a file or folder for each split.
        phrases: add the phrases of the training trees, single words included, to the training sentences: each that
            differs from those before in its words or label once. Validation and testing are on whole sentences.
        binary: two classes, negative and positive; what is neutral is left out.
    """

    def __init__(
        self,
        *,
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
        phrases: bool = False,
        binary: bool = False,
    ):
        self.named = {"train": train, "validation": validation, "test": test}
        self.phrases, self.binary = phrases, binary

    def files(self, places: Places) -> list[Path]:
        return [file for files in split_files(places, self.named).values() for file in files]

    def load(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, Dataset]:
        from datasets import Dataset

        loaded = {}
        for split, files in split_files(places, self.named, splits=splits).items():
            trees = [tree for file in files for tree in _trees(file)]
            rows = [tree[-1] for tree in trees]
            if self.phrases and split == "train":
                sentences = set(rows)
                rows += dict.fromkeys(phrase for tree in trees for phrase in tree if phrase not in sentences)
            if self.binary:
                rows = [_Phrase(row.tokens, _BINARY[row.label]) for row in rows if row.label in _BINARY]
            loaded[split] = Dataset.from_dict(
                {"tokens": [list(row.tokens) for row in rows], "label": [row.label for row in rows]}
            )
        return loaded


def _trees(path: Path) -> Iterator[list[_Phrase]]:
    """The phrases of each line's tree, the whole sentence last. DataError with file:line for what is no tree."""
    number, found = 0, False
    for number, line in lines_of(path):
        if line.strip():
            found = True
            yield _phrases(line, f"{path}:{number}")
    if not found:
        raise DataError(f"{path}: no trees in the file")


def _phrases(line: str, where: str) -> list[_Phrase]:
    tokens: list[str] = []
    opened: list[tuple[str, int]] = []  # label and first token of the nodes that are not closed yet
    phrases: list[_Phrase] = []
    for part in _PART.finditer(line):
        if not opened and (phrases or part["label"] is None):
            what = "after the tree" if phrases else "before the first bracket"
            raise DataError(f"{where}: {part.group()!r} {what}; expected one tree a line, as in (3 (2 It) (4 works))")
        if part["label"] is not None:
            if part["label"] not in ("0", "1", "2", "3", "4"):
                raise DataError(f"{where}: a node is labelled {part['label']!r}; expected 0 (very negative) to 4")
            opened.append((LABELS[int(part["label"])], len(tokens)))
        elif part["leaf"] is not None:
            tokens.append(_ESCAPED.get(part["leaf"], part["leaf"].replace("\\/", "/").replace("\\*", "*")))
        else:
            label, start = opened.pop()
            if start == len(tokens):
                raise DataError(f"{where}: a node holds no words; expected a word or nodes in every bracket")
            phrases.append(_Phrase(tuple(tokens[start:]), label))
    if opened:
        raise DataError(f"{where}: {len(opened)} brackets are not closed; is the line cut?")
    return phrases
