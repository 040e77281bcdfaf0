"""Images and what people say of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqapps.data.image_files import image_places
from seqapps.data.sources.caption_files import check_found, read_captions, split_images
from seqapps.data.sources.source import Places, Source

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["Captions"]


class Captions(Source):
    """Images with one or more captions each: a file of captions, and a folder or tar archive of images.

    A row is an image: `image`, where it is found; `captions`, all that is said of it; `name`, what the file of captions
    calls it. Images are opened when a split is read as numbers, not here.

    The file of captions is UTF-8, plain or .gz, .xz, .bz2, in one of these forms; an image on several lines has as many
    captions:

        1000268201_693b08cb0e.jpg#0 TAB A child in a pink dress .     (Flickr8k and Flickr30k; the number is not read)
        dogs/7.png TAB two dogs                                       (a first line `image TAB caption` is a heading)
        {"image": "dogs/7.png", "captions": ["two dogs", "friends"]}  (.jsonl; `file_name` and `caption` do as well)

    Fields:
        captions: that file.
        images: a folder, or a tar archive that is not compressed, in which the file names are looked up; folders that
            all members of an archive are in may be left out.
        train, validation, test: files that list the images of a split, one name a line; images in none of them are left
            out. Without any of the three all images are train (and data.derive cuts the other splits out).
    """

    def __init__(
        self,
        *,
        captions: str,
        images: str,
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
    ):
        self.captions, self.images = captions, images
        self.lists = {"train": train, "validation": validation, "test": test}

    def files(self, places: Places) -> list[Path]:
        named = [self.captions, *(name for name in self.lists.values() if name)]
        images = places.find(self.images)
        return [*(places.find(name) for name in named), *([images] if images.is_file() else [])]

    def load(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, Dataset]:
        from datasets import Dataset

        path, images = places.find(self.captions), places.find(self.images)
        captions = read_captions(path)
        chosen = split_images(places, self.lists, captions, path, splits)
        found = image_places(images, [name for names in chosen.values() for name in names])
        for split, names in chosen.items():
            where = self.lists[split] or self.captions
            check_found(where, names, found, f"is not in {images}", f"are not in {images}")
        return {
            split: Dataset.from_dict(
                {
                    "image": [found[name] for name in names],
                    "captions": [captions[name] for name in names],
                    "name": names,
                }
            )
            for split, names in chosen.items()
        }
