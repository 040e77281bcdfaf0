"""Images as files or as members of an archive, to arrays of bytes."""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seqapps.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["IMAGE_SUFFIXES", "image_places", "read_images"]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".webp", ".tif", ".tiff"})
_MEMBER = "tar://"  # tar://MEMBER::ARCHIVE, as fsspec writes it


def image_places(images: Path, names: Sequence[str]) -> dict[str, str]:
    """Name -> where `read_images` finds it, for those of `names` that are in a folder or an uncompressed tar archive.

    In an archive a name is a member's path; folders that all members are in may be left out, and `./` is.
    Raises DataError if `images` is neither.
    """
    if images.is_dir():
        return {name: str(images / name) for name in names if (images / name).is_file()}
    members = {PurePosixPath(member): member for member in _members(images)}
    shared = PurePosixPath(posixpath.commonpath([path.parent for path in members])) if members else PurePosixPath()
    found = {}
    for name in names:
        member = members.get(PurePosixPath(name)) or members.get(shared / name)
        if member is not None:
            found[name] = f"{_MEMBER}{member}::{images}"
    return found


class _Member(NamedTuple):
    """Where a member's bytes stand in its archive."""

    offset: int
    size: int


def _members(archive: Path) -> dict[str, _Member]:
    try:
        with tarfile.open(archive, "r:") as opened:
            return {member.name: _Member(member.offset_data, member.size) for member in opened if member.isfile()}
    except (OSError, tarfile.TarError) as error:
        raise DataError(
            f"{archive}: neither a folder nor a tar archive ({error}); unpack it, or decompress a .tar.gz"
        ) from error


def read_images(images: Sequence[Any], size: int, where: Callable[[int], str]) -> np.ndarray:
    """(N, 3, size, size) uint8: red, green and blue from the top left on, stretched to a square where they are none.

    Transparent parts are white.

    Args:
        images: each a path, `tar://MEMBER::ARCHIVE`, encoded bytes, or the hub's {"bytes": ..., "path": ...}.
        where: what to call an image, counted from 0, in messages: "split 'train', row 1".

    Raises:
        DataError: Pillow is not installed, or an image cannot be read or decoded; the message says which.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise DataError(
            "images need Pillow, which is not installed; pip install 'seqapps[images]', or use vectors computed before"
        ) from error
    archives = _Archives()
    pixels = np.empty((len(images), 3, size, size), np.uint8)
    for row, image in enumerate(images):
        name, content = _content(image, archives, where(row))
        try:
            with Image.open(io.BytesIO(content)) as opened:
                opened.draft("RGB", (size, size))  # a large JPEG is decoded at an eighth to a half of its size
                pixels[row] = np.asarray(_square(opened, size)).transpose(2, 0, 1)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            unknown = isinstance(error, UnidentifiedImageError)  # whose text names an object in memory
            reason = "of no known format" if unknown else " ".join(str(error).split())
            raise DataError(f"{where(row)}: {name} cannot be decoded ({reason}); is it an image, and whole?") from error
    return pixels


def _square(image: Image, size: int) -> Image:
    from PIL import Image as Images

    if image.has_transparency_data:
        image = image.convert("RGBA")
        background = Images.new("RGBA", image.size, "white")
        image = Images.alpha_composite(background, image)
    image = image.convert("RGB")
    return image if image.size == (size, size) else image.resize((size, size), Images.Resampling.BILINEAR)


class _Archives(dict[str, dict[str, _Member]]):
    """Path of an archive -> its members, listed once."""

    def __missing__(self, path: str) -> dict[str, _Member]:
        self[path] = _members(Path(path))
        return self[path]


def _content(image: Any, archives: _Archives, where: str) -> tuple[str, bytes]:
    """What to call an image, and its encoded bytes."""
    if isinstance(image, Mapping):
        if image.get("bytes") is not None:
            return str(image.get("path") or "its image"), image["bytes"]
        image = image.get("path")
    if isinstance(image, bytes):
        return "its image", image
    if not isinstance(image, str) or not image:
        raise DataError(f"{where}: no image; leave the row out")
    member, _, archive = image.removeprefix(_MEMBER).partition("::")
    try:
        if not image.startswith(_MEMBER):
            return image, Path(image).read_bytes()
        place = archives[archive].get(member)
        if place is None:
            raise DataError(f"{where}: {archive} has no member {member}")
        with open(archive, "rb") as stream:
            stream.seek(place.offset)
            return f"{member} in {archive}", stream.read(place.size)
    except OSError as error:
        raise DataError(f"{where}: {image} cannot be read ({error.strerror or error})") from error
