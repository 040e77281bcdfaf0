"""Files of captions, and lists of the images that make up a split."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from seqapps.data.sources.reading import bare_suffix, lines_of
from seqapps.data.sources.source import Places
from seqapps.errors import DataError

__all__ = ["check_found", "read_captions", "read_names", "split_images"]

_NUMBERED = re.compile(r"(.+)#\d+")
_HEADERS = ("image\tcaption", "file\tcaption", "file_name\tcaption")
_IMAGE_KEYS, _CAPTION_KEYS = ("image", "file_name"), ("captions", "caption", "text")


def read_captions(path: Path) -> dict[str, list[str]]:
    """Image -> its captions, both in the order of the file; see `Captions` for what such a file looks like.

    Raises DataError with file:line for a line that holds no image or no caption.
    """
    pairs = _json_pairs(path) if bare_suffix(path) in (".json", ".jsonl") else _tab_pairs(path)
    captions: dict[str, list[str]] = {}
    for number, image, caption in pairs:
        if not image or not caption:
            raise DataError(f"{path}:{number}: {'no image' if not image else f'no caption of {image!r}'} on the line")
        captions.setdefault(image, []).append(caption)
    if not captions:
        raise DataError(f"{path}: no captions in the file")
    return captions


def _tab_pairs(path: Path) -> Iterator[tuple[int, str, str]]:
    for number, line in lines_of(path):
        if not line.strip() or (number == 1 and line in _HEADERS):
            continue
        image, tab, caption = line.partition("\t")
        if not tab:
            raise DataError(f"{path}:{number}: no tab in the line, expected `file#k TAB caption` or `file TAB caption`")
        numbered = _NUMBERED.fullmatch(image)
        yield number, numbered[1] if numbered else image, caption.strip()


def _json_pairs(path: Path) -> Iterator[tuple[int, str, str]]:
    for number, line in lines_of(path):
        if not line.strip():
            continue
        where, expected = f"{path}:{number}", 'expected {"image": "...", "captions": ["...", ...]} on each line'
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{where}: not JSON ({error}); {expected}") from None
        row = row if isinstance(row, dict) else {}
        image = next((row[key] for key in _IMAGE_KEYS if key in row), None)
        found = next((row[key] for key in _CAPTION_KEYS if key in row), None)
        texts = [found] if isinstance(found, str) else found
        if not isinstance(image, str) or not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
            raise DataError(f"{where}: an image, its caption or both are missing or no text; {expected}")
        for text in texts or [""]:
            yield number, image, text.strip()


def read_names(path: Path) -> list[str]:
    """File names, one a line. DataError with file:line for one that stands there twice."""
    names: dict[str, int] = {}
    for number, line in lines_of(path):
        name = line.strip()
        if name and names.setdefault(name, number) != number:
            raise DataError(f"{path}:{number}: {name!r} stands on line {names[name]} already; remove one of them")
    return list(names)


def split_images(
    places: Places,
    lists: Mapping[str, str | None],
    captions: Mapping[str, Sequence[str]],
    path: Path,
    splits: Sequence[str] | None = None,
) -> dict[str, list[str]]:
    """Split -> its images; all are `train` if no list is named.

    Args:
        lists: split -> a file with one image a line.
        path: of the captions, for messages.

    Raises:
        DataError: a list names images that have no caption, or that another list names as well.
    """
    if not any(lists.values()):
        return {"train": list(captions)}
    named = {split: places.find(name) for split, name in lists.items() if name}
    images = {split: read_names(file) for split, file in named.items()}
    seen: dict[str, str] = {}
    for split, those in images.items():
        check_found(str(named[split]), those, captions, f"has no caption in {path}", f"have no caption in {path}")
        shared = [image for image in those if image in seen]
        if shared:
            raise DataError(
                f"{named[split]}: {_listed(shared)} in split {seen[shared[0]]!r} as well; an image is in one split"
            )
        seen.update(dict.fromkeys(those, split))
    return {split: those for split, those in images.items() if splits is None or split in splits}


def check_found(
    where: str, images: Iterable[str], known: Collection[str] | Callable[[str], bool], one: str, several: str
) -> None:
    """DataError saying how many of `images` are not known, and the first three of them.

    Args:
        where: what names the images.
        known: those that are there, or a question about one.
        one, several: what is wrong with one of them, or with more.
    """
    is_known = known if callable(known) else known.__contains__
    missing = [image for image in images if not is_known(image)]
    if missing:
        raise DataError(
            f"{where}: {_listed(missing)} {one if len(missing) == 1 else several}; mend the one or the other"
        )


def _listed(images: Sequence[str]) -> str:
    """`2 images (a.jpg, b.jpg)`, three at most."""
    names = ", ".join(images[:3]) + (", ..." if len(images) > 3 else "")
    return f"{len(images)} image{'s' if len(images) > 1 else ''} ({names})"
