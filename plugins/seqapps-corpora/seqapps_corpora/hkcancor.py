"""The Hong Kong Cantonese Corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from seqapps.data.sources.source import Places
from seqapps.errors import DataError
from seqapps_corpora.corpus import Corpus, Example, split_by_turn
from seqapps_corpora.packages import DataPackage

__all__ = ["HKCanCor"]


class HKCanCor(Corpus):
    """Hong Kong Cantonese Corpus (Luke and Wong 2015): spoken Cantonese of 1997 and 1998, words with parts of speech.

    58 recordings, 16,162 utterances, 153,654 tokens; read from the CHAT files in the package pycantonese 3.4.0. Columns
    `tokens` and `pos_tags`: 91 tags of words, and 8 marks of punctuation, each of which is its own tag.

    Split by recording, so that no speaker's conversation is in two of them: of the files in the order of their names,
    number i goes to test if i % 10 is 9, to validation if it is 8, otherwise to train.
    """

    name = "hkcancor"
    packages = (DataPackage("pycantonese", "pycantonese", "3.4.0"),)
    licence = "HKCanCor: CC BY 4.0 (K. K. Luke and M. L. Y. Wong)"

    def files(self, places: Places) -> list[Path]:
        return sorted(self.file("data", "hkcancor").glob("*.cha"))

    def examples(self) -> Iterator[Example]:
        for number, path in enumerate(self.files(Places())):
            split = split_by_turn(number, 10, validation=8)
            for tokens, tags in _utterances(path):
                yield split, {"tokens": tokens, "pos_tags": tags}


def _utterances(path: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Tokens and tags of each utterance: a `*XXA:` line and the `%mor:` line after it, one item a token in both.

    A line that begins with a tab continues the one before. In `%mor:` an item is `tag|romanisation`. Punctuation has no
    bar and is its own tag; a word without one goes on with a foreign expression (`xjnt|Hong Kong0`) and has its tag.
    """
    tokens: list[str] = []
    for line in path.read_text(encoding="utf8").replace("\n\t", " ").split("\n"):
        label, _, content = line.partition("\t")
        if label.startswith("*"):
            tokens = content.split()
        elif label == "%mor:" and tokens:
            tags: list[str] = []
            for item in content.split():
                tag, bar, _ = item.partition("|")
                goes_on = not bar and tags and any(character.isalnum() for character in item)
                tags.append(tags[-1] if goes_on else tag)
            if len(tags) != len(tokens):
                raise DataError(
                    f"{path}: {len(tokens)} tokens and {len(tags)} tags in {' '.join(tokens)!r}; reinstall pycantonese"
                )
            yield tokens, tags
            tokens = []
