from __future__ import annotations

import configparser
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
from seqapps_corpora.corpus import Corpus, split_by_digest, split_by_turn
from seqapps_corpora.packages import DataPackage

from seqapps.data.sources.source import Places
from seqapps.errors import DataError
from seqapps.registry import check_signature

Install = Callable[..., Path]
PACKAGE = DataPackage("some_words", "some-words", "1.0")
SETUP = configparser.ConfigParser()
SETUP.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf8")


def entry_points() -> dict[str, type[Corpus]]:
    found = {}
    for line in SETUP["options.entry_points"]["seqapps.sources"].strip().splitlines():
        name, target = (part.strip() for part in line.split("="))
        module, _, attribute = target.partition(":")
        found[name] = getattr(importlib.import_module(module), attribute)
    return found


CORPORA = entry_points()


def test_a_file_is_found_without_importing_the_package(install: Install) -> None:
    folder = install(*PACKAGE, {"data/words.txt": "a"})
    assert PACKAGE.file("words", "data", "words.txt") == folder / "data" / "words.txt"


def test_a_package_that_is_not_installed_is_answered_with_the_command_that_installs_it() -> None:
    with pytest.raises(DataError, match=r"'some-words' is not installed; pip install 'seqapps-corpora\[words\]'"):
        PACKAGE.file("words", "words.txt")


def test_another_version_of_a_package_is_refused(install: Install) -> None:
    install(PACKAGE.module, PACKAGE.distribution, "1.1", {"words.txt": "a"})
    with pytest.raises(DataError, match=r"reads some-words 1\.0, and 1\.1 is installed; pip install"):
        PACKAGE.file("words", "words.txt")


def test_a_file_that_the_package_lacks_is_named(install: Install) -> None:
    install(*PACKAGE, {})
    with pytest.raises(DataError, match=r"words\.txt: some-words 1\.0 is installed without it"):
        PACKAGE.file("words", "words.txt")


def test_a_digest_decides_for_one_split_in_ten() -> None:
    # MD5, from `printf t | md5sum` and the like, as decimal numbers modulo 10: t 0, m 1, a 7.
    assert [split_by_digest(text) for text in "tma"] == ["test", "validation", "train"]


def test_the_last_of_each_turn_is_test_and_a_named_one_validation() -> None:
    assert [split_by_turn(number, 4, validation=1) for number in range(8)] == [
        "train",
        "validation",
        "train",
        "test",
    ] * 2


@pytest.mark.parametrize("name", CORPORA)
def test_extras_pin_the_versions_that_the_source_reads(name: str) -> None:
    extras = {extra: set(pins.split()) for extra, pins in SETUP["options.extras_require"].items()}
    pins = {f"{package.distribution}=={package.version}" for package in CORPORA[name].packages}
    assert {pin for pin in extras[name] if "==" in pin} == pins
    assert pins <= extras["all"]


@pytest.mark.parametrize("name", CORPORA)
def test_each_source_is_called_as_its_entry_point_and_says_its_licence(name: str) -> None:
    corpus = CORPORA[name]
    check_signature(corpus, name)
    assert corpus.name == name
    assert corpus.licence
    for package in corpus.packages:
        assert f"{package.distribution} {package.version}" in inspect.cleandoc(corpus.__doc__ or "")


@pytest.mark.parametrize("name", ["peoples_daily", "chinese_reviews"])
def test_contested_licences_come_with_a_warning(name: str) -> None:
    assert CORPORA[name].warning


# Source -> examples in train, validation, test of the real package.
COUNTS = {
    "hkcancor": (13_204, 1_096, 1_862),
    "peoples_daily": (15_213, 1_889, 1_902),
    "chinese_reviews": (13_909, 1_724, 1_730),
    "tweets": (30_674, 3_808, 3_676),
    "world_english_bible": (28_039, 1_483, 1_573),
    "bible_japanese_english": (28_006, 1_481, 1_571),
    "king_james": (28_039, 1_483, 1_573),
    "hsk": (3_535, 400, 419),
    "cmudict": (100_728, 12_576, 12_748),
    "jupyterlab_chinese": (2_420, 327, 303),
    "emoji": (3_527, 212, 214),
    "emoji_names": (3_564, 198, 210),
}


@pytest.mark.parametrize("name", CORPORA)
def test_the_real_package_gives_the_stated_counts(name: str) -> None:
    source = CORPORA[name]()
    try:
        files = source.files(Places())
    except DataError as error:
        if "not installed" not in str(error):
            raise
        pytest.skip(str(error))
    loaded = source.load(Places())
    assert files
    assert all(file.is_file() for file in files)
    assert tuple(len(loaded[split]) for split in ("train", "validation", "test")) == COUNTS[name]
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf8")
    assert f"| {' / '.join(f'{count:,}' for count in COUNTS[name])} " in readme


def test_a_split_that_is_not_asked_for_is_not_given(install: Install) -> None:
    class Numbers(Corpus):
        name, packages = "numbers", (PACKAGE,)

        def examples(self):
            return ((split, {"n": n}) for n, split in enumerate(["train", "test", "train"]))

    assert {split: rows["n"][:] for split, rows in Numbers().load(Places()).items()} == {"train": [0, 2], "test": [1]}
    assert list(Numbers().load(Places(), ["test", "validation"])) == ["test"]
