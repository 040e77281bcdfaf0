"""A small tagging task that is learnt in seconds: the tag depends on the word and, for one word, on the word before."""

import random

import pytest
import torch

import seqapps

NOUNS, VERBS = ["cat", "dog", "fish", "bird"], ["sees", "eats", "likes"]


def sentence(random):
    words, tags = [], []
    for _ in range(random.randint(1, 3)):
        words += [random.choice(["the", "a"]), random.choice(NOUNS), random.choice(VERBS)]
        tags += ["DET", "NOUN", "VERB"]
        if random.random() < 0.5:  # "that" after a verb is a pronoun, at the start of a clause a conjunction
            words.append("that")
            tags.append("PRON")
    return words, tags


def write(path, count, seed):
    generator = random.Random(seed)
    with path.open("w", encoding="utf8") as file:
        for _ in range(count):
            for word, tag in zip(*sentence(generator), strict=True):
                file.write(f"{word}\t{tag}\n")
            file.write("\n")


RECIPE = """
data:
  source:
    {type: columns, names: [tokens, pos_tags], separator: tab, train: train.txt, validation: dev.txt, test: test.txt}
  batching: {tokens: 200, pool: 4}
model:
  embedder:
    type: tokens
    size: 12
    word_dropout: 0.1
    characters: {type: character_recurrent, size: 6, character_size: 5}
  encoder: {type: recurrent, cell: lstm, hidden_size: 10, bidirectional: true, dropout: 0.2}
  head: {type: tagging, column: pos_tags}
training: {optimizer: {type: adam, lr: 1e-2}, clip_norm: 5, epochs: 4, seed: 1, threads: 1, device: cpu}
evaluation: {samples: 50}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with data and `tiny.yaml`, which is also the working directory."""
    for name, count, seed in (("train", 120, 1), ("dev", 30, 2), ("test", 30, 3)):
        write(tmp_path / f"{name}.txt", count, seed)
    (tmp_path / "tiny.yaml").write_text(RECIPE, encoding="utf8")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def train_in_folder(tmp_path_factory):
    """Makes a folder, has `prepare` fill it, and runs recipes of it, which is then the working directory."""

    def train(prepare, *recipes):
        folder = tmp_path_factory.mktemp("trained")
        prepare(folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            for recipe in recipes:
                seqapps.run(recipe)
        return folder

    return train
