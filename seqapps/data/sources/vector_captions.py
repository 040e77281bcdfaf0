"""Vectors of images, computed before, and what people say of the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqapps.data.sources.caption_files import check_found, read_captions, read_names, split_images
from seqapps.data.sources.source import Places, Source
from seqapps.data.vector_files import read_named_vectors

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["VectorCaptions"]


class VectorCaptions(Source):
    """Images as vectors that some network computed before, with one or more captions each.

    A row is an image: `vector`, one vector of D numbers, or a list of R vectors of its regions; `captions`, all that is
    said of it; `name`, what the file of captions calls it. The file of captions is as for the source `captions`.

    The file of vectors is .npz or .safetensors with an array for each image under its name, (D,) or (R, D); or .npz
    with `names` (N,) and `features` (N, D) or (N, R, D); or .npy, or .safetensors with a single array, with a row for
    each line of `names`. A .npy file is memory-mapped: only the rows of the splits are read.

    Fields:
        captions: the file of captions.
        vectors: the file of vectors.
        names: a file with the image of each row of `vectors`, one name a line, where that file does not say.
        train, validation, test: files that list the images of a split, one name a line; images in none of them are left
            out. Without any of the three all images are train (and data.derive cuts the other splits out).
    """

    def __init__(
        self,
        *,
        captions: str,
        vectors: str,
        names: str | None = None,
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
    ):
        self.captions, self.vectors, self.names = captions, vectors, names
        self.lists = {"train": train, "validation": validation, "test": test}

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """A .npy file comes with names."""
        if fields["vectors"].endswith(".npy") and fields["names"] is None:
            return [("names", f"{fields['vectors']} holds no names; give a file with the image of each row")]
        return []

    def files(self, places: Places) -> list[Path]:
        named = [self.captions, self.vectors, self.names, *self.lists.values()]
        return [places.find(name) for name in named if name]

    def load(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, Dataset]:
        import pyarrow as pa
        from datasets import Dataset

        path, file = places.find(self.captions), places.find(self.vectors)
        captions = read_captions(path)
        chosen = split_images(places, self.lists, captions, path, splits)
        vectors = read_named_vectors(file, read_names(places.find(self.names)) if self.names else None)
        known = set(vectors.names)
        for split, names in chosen.items():
            where = self.lists[split] or self.captions
            check_found(where, names, known, f"has no vector in {file}", f"have no vectors in {file}")
        return {
            split: Dataset(
                pa.table(
                    {
                        "vector": vectors.arrow(names),
                        "captions": pa.array([captions[name] for name in names]),
                        "name": pa.array(names),
                    }
                )
            )
            for split, names in chosen.items()
        }
