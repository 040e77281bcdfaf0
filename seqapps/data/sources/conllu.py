"""CoNLL-U, the format of Universal Dependencies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from seqapps.data.sources.reading import lines_of, split_files
from seqapps.data.sources.source import Places, Source
from seqapps.errors import DataError, close_match

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["Conllu"]

# The columns after ID, in their order in the file.
COLUMNS = ("tokens", "lemmas", "upos", "xpos", "feats", "heads", "deprels", "deps", "misc")
COMMENTS = ("sent_id", "text")
ENDINGS = (".conllu", ".conll", ".txt")
_FEATS = COLUMNS.index("feats") + 1
_ABSENT = "_"


class Conllu(Source):
    """Files in CoNLL-U (https://universaldependencies.org/format.html): ten columns, a blank line after each sentence.

    Files are UTF-8, plain or .gz, .xz, .bz2; of a folder the files ending in .conllu, .conll and .txt are read one
    after another. Each sentence gives one string per token in the columns tokens, lemmas, upos, xpos, feats, heads,
    deprels, deps and misc, and its comments `# sent_id = ...` and `# text = ...` in the columns sent_id and text (""
    where absent). Values are kept as they stand, "_" included. Empty nodes (`8.1`), which stand for words that were
    left out, are skipped.

    A token that the annotation splits into several words stands in the file as a range, followed by its words:

        3-4   zum      _     _     _   _                         _   _      _   _
        3     zu       zu    ADP   _   _                         5   case   _   _
        4     dem      der   DET   _   Case=Dat|Definite=Def     5   det    _   _

    Fields:
        train, validation, test: a file or folder for each split.
        units: words = the syntactic words (zu, dem), which is what Universal Dependencies annotates and its scores
            count; surface = the tokens as written (zum), which is what a tagger of plain text meets; a range's
            annotations are then those of its words joined by "+" (ADP+DET), except misc, which is the range's own.
        features: keys of FEATS that become columns of their own: Case gives feats.Case, "_" where a word has no Case.
    """

    def __init__(
        self,
        *,
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
        units: Literal["words", "surface"] = "words",
        features: list[str] = [],  # noqa: B006
    ):
        self.named = {"train": train, "validation": validation, "test": test}
        self.units, self.features = units, features

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Each feature is named once."""
        twice = sorted(feature for feature, count in Counter(fields["features"]).items() if count > 1)
        return [("features", f"{', '.join(twice)} is named twice; name each feature once")] if twice else []

    def files(self, places: Places) -> list[Path]:
        return [file for files in split_files(places, self.named, ENDINGS).values() for file in files]

    def load(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, Dataset]:
        from datasets import Dataset

        wanted = split_files(places, self.named, ENDINGS, splits)
        known: dict[str, dict[str, str]] = {}
        loaded = {split: Dataset.from_dict(self._columns(files, known)) for split, files in wanted.items()}
        keys = {key for features in known.values() for key in features}
        for feature in self.features:
            if feature not in keys:
                files = ", ".join(str(file) for files in wanted.values() for file in files)
                raise DataError(f"{files}: no word has the feature {feature!r}{close_match(feature, keys)}")
        return loaded

    def _columns(self, files: Sequence[Path], known: dict[str, dict[str, str]]) -> dict[str, list[Any]]:
        """Column -> rows. `known` collects the FEATS that were taken apart."""
        named = (*COMMENTS, *COLUMNS, *(f"feats.{feature}" for feature in self.features))
        columns: dict[str, list[Any]] = {name: [] for name in named}
        for path in files:
            for sentence in _sentences(path):
                rows = sentence.rows
                if self.features:
                    placed = zip(rows, sentence.lines, strict=True)
                    rows = [row + self._features(f"{path}:{line}", row, known) for row, line in placed]
                if self.units == "surface" and sentence.ranges:
                    rows = _surface(rows, sentence.ranges)
                for name in COMMENTS:
                    columns[name].append(sentence.comments.get(name, ""))
                _, *cells = zip(*rows, strict=True)  # without ID
                for name, values in zip(named[len(COMMENTS) :], cells, strict=True):
                    columns[name].append(values)
        return columns

    def _features(self, where: str, row: Sequence[str], known: dict[str, dict[str, str]]) -> list[str]:
        feats = row[_FEATS]
        found = known.get(feats)
        if found is None:
            pairs = [] if feats == _ABSENT else [pair.split("=", 1) for pair in feats.split("|")]
            if not all(len(pair) == 2 for pair in pairs):
                raise DataError(f"{where}: FEATS of {row[1]!r} is {feats!r}; expected Key=Value|Key=Value")
            found = known[feats] = dict(pairs)
        return [found.get(feature, _ABSENT) for feature in self.features]


class _Sentence(NamedTuple):
    """`rows` are the words, ten cells each, `lines` their line numbers; `ranges` the multi-word tokens, each with its
    first and last word and its cells."""

    comments: dict[str, str]
    rows: list[list[str]]
    lines: list[int]
    ranges: list[tuple[int, int, list[str]]]


def _sentences(path: Path) -> Iterator[_Sentence]:
    """Each sentence of a file. DataError with file:line for lines that are not CoNLL-U, or if there is no sentence."""
    sentence, found, number = _Sentence({}, [], [], []), False, 0
    for number, line in lines_of(path):
        if not line or line.isspace():
            if sentence.rows or sentence.ranges:
                yield _finished(f"{path}:{number}", sentence)
                sentence, found = _Sentence({}, [], [], []), True
        elif line[0] == "#" and not sentence.rows:
            key, equals, value = line[1:].partition("=")
            if equals and key.strip() in COMMENTS:
                sentence.comments[key.strip()] = value.strip()
        else:
            cells = line.split("\t")
            if len(cells) != 10:
                raise DataError(f"{path}:{number}: {_miscounted(cells)}")
            if not all(cells):
                raise DataError(f"{path}:{number}: column {cells.index('') + 1} is empty; write '_' for nothing")
            if cells[0] == str(len(sentence.rows) + 1):
                sentence.rows.append(cells)
                sentence.lines.append(number)
            else:
                _read_other(f"{path}:{number}", cells, sentence)
    if sentence.rows or sentence.ranges:
        yield _finished(f"{path}:{number}", sentence)
    elif not found:
        raise DataError(f"{path}: no sentences in the file")


def _read_other(where: str, cells: list[str], sentence: _Sentence) -> None:
    """A line that is not the next word: a range is added to the sentence, an empty node is skipped."""
    words, ranges = len(sentence.rows), sentence.ranges
    first, dash, last = cells[0].partition("-")
    if dash and first == str(words + 1) and last.isdecimal() and int(last) >= int(first):
        if ranges and ranges[-1][1] >= int(first):
            raise DataError(f"{where}: range {cells[0]} overlaps {ranges[-1][0]}-{ranges[-1][1]}; ranges are disjoint")
        ranges.append((int(first), int(last), cells))
        return
    node, dot, index = cells[0].partition(".")
    if dot and node == str(words) and index.isdecimal():
        return
    missing = "; is a blank line missing before it?" if cells[0] == "1" else ""
    raise DataError(f"{where}: ID {cells[0]!r}, expected '{words + 1}'{missing}")


def _finished(where: str, sentence: _Sentence) -> _Sentence:
    if sentence.ranges and sentence.ranges[-1][1] > len(sentence.rows):
        first, last, _ = sentence.ranges[-1]
        raise DataError(f"{where}: the sentence ends after word {len(sentence.rows)}, inside the range {first}-{last}")
    return sentence


def _surface(rows: list[list[str]], ranges: Sequence[tuple[int, int, list[str]]]) -> list[list[str]]:
    """The rows with the words of each range replaced by one row: form and misc of the range, the rest joined by "+"."""

    def together(values: tuple[str, ...]) -> str:
        return _ABSENT if set(values) == {_ABSENT} else "+".join(values)

    surface: list[list[str]] = []
    taken = 0
    for first, last, cells in ranges:
        surface += rows[taken : first - 1]
        joined = [together(values) for values in zip(*rows[first - 1 : last], strict=True)]
        joined[1], joined[9] = cells[1], cells[9]
        surface.append(joined)
        taken = last
    return surface + rows[taken:]


def _miscounted(cells: Sequence[str]) -> str:
    found = f"{len(cells)} column{'s' if len(cells) > 1 else ''}, expected 10"
    if len(cells) == 1:
        return f"{found}; columns are separated by tabs, are these blanks?"
    blank = next((cell for cell in cells if " " in cell), None)  # two cells that run together hold one
    near = blank.split()[0] if blank and blank.strip() else cells[1]
    return f'{found}; is a tab {"missing" if len(cells) < 10 else "too many"} after "{near}"?'
