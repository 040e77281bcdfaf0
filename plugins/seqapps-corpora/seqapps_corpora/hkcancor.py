"""The Hong Kong Cantonese Corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqapps.data.sources.source import Places, Source
from seqapps.errors import DataError
from seqapps_corpora.packages import package_folder

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["HKCanCor"]


class HKCanCor(Source):
    """Hong Kong Cantonese Corpus (Luke and Wong 2015): spoken Cantonese of 1997 and 1998, words with parts of speech.

    58 recordings, 16,162 utterances, 153,654 tokens, 92 tags; read from the CHAT files in the package pycantonese 3.4.0.
    Columns `tokens` and `pos_tags`. Punctuation is its own tag.

    Split by recording, so that no speaker's conversation is in two of them: of the files in the order of their names,
    number i goes to test if i % 10 is 9, to validation if it is 8, otherwise to train.
    """

    licence = "HKCanCor: CC BY 4.0 (K. K. Luke and M. L. Y. Wong)"

    def files(self, places: Places) -> list[Path]:
        return sorted((package_folder("pycantonese", "hkcancor") / "data" / "hkcancor").glob("*.cha"))

    def load(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, Dataset]:
        from datasets import Dataset

        rows: dict[str, dict[str, list[list[str]]]] = {
            split: {"tokens": [], "pos_tags": []} for split in ("train", "validation", "test")
        }
        for number, path in enumerate(self.files(places)):
            split = rows[{9: "test", 8: "validation"}.get(number % 10, "train")]
            for tokens, tags in _utterances(path):
                split["tokens"].append(tokens)
                split["pos_tags"].append(tags)
        return {
            split: Dataset.from_dict(columns) for split, columns in rows.items() if splits is None or split in splits
        }


def _utterances(path: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Tokens and tags of each utterance: a `*XXA:` line and the `%mor:` line after it, one item a token in both.

    A line that begins with a tab continues the one before. In `%mor:` an item is `tag|romanisation`; punctuation stands
    there without a bar and is its own tag.
    """
    tokens: list[str] = []
    for line in path.read_text(encoding="utf8").replace("\n\t", " ").split("\n"):
        label, _, content = line.partition("\t")
        if label.startswith("*"):
            tokens = content.split()
        elif label == "%mor:" and tokens:
            tags = [item.split("|", 1)[0] for item in content.split()]
            if len(tags) != len(tokens):
                raise DataError(
                    f"{path}: {len(tokens)} tokens and {len(tags)} tags in {' '.join(tokens)!r}; is it pycantonese 3.4.0?"
                )
            yield tokens, tags
            tokens = []
