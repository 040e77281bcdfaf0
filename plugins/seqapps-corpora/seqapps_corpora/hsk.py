"""Chinese sentences for learners, with English translations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from seqapps.data.sources.source import Places
from seqapps_corpora.corpus import Corpus, Example, split_by_digest
from seqapps_corpora.packages import DataPackage

__all__ = ["HSK"]


class HSK(Corpus):
    """Sentences for the levels of the Chinese proficiency test HSK: 4,354 short Chinese-English pairs.

    Read from the package hsk-sentences-audio 1.0.0. Columns `translation` with `zh` and `en`; `tokens`, the words of
    the Chinese side without its punctuation (23,072 in all); `level`, that of the test.

    Split by the MD5 of the Chinese side modulo 10: 0 is test, 1 validation, the rest train.
    """

    name = "hsk"
    packages = (DataPackage("hsk_sentences_audio", "hsk-sentences-audio", "1.0.0"),)
    licence = "hsk-sentences-audio: CC BY-SA 4.0"

    def files(self, places: Places) -> list[Path]:
        return [self.file("data", "sentences.json")]

    def examples(self) -> Iterator[Example]:
        (path,) = self.files(Places())
        for sentence in json.loads(path.read_text(encoding="utf8")):
            chinese = sentence["chinese"]
            yield (
                split_by_digest(chinese),
                {
                    "translation": {"zh": chinese, "en": sentence["translation"]["en"]},
                    "tokens": [token["word"] for token in sentence["tokens"]],
                    "level": sentence["hsk_level"],
                },
            )
