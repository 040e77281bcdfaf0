"""Recipes whose data is not installable read the formats they name: each runs on a few made-up examples."""

import lzma
import random
from pathlib import Path

import pytest

import seqapps

RECIPES = Path(__file__).parents[2] / "recipes"
WORDS = {"negative": ["dull", "poor", "slow", "tired"], "positive": ["lovely", "warm", "funny", "clever"]}
CHARACTERS = {"negative": "差烂脏慢", "positive": "好美棒快"}


def write(path, lines):
    path.parent.mkdir(exist_ok=True)
    with lzma.open(path, "wt", encoding="utf8") as file:
        file.writelines(f"{line}\n" for line in lines)


def labelled(number, words):
    draw = random.Random(number)
    for label in list(words) * (number // 2):
        yield label, draw.choices(words[label], k=draw.randint(2, 6))


def chnsenticorp(root):
    for split, number in (("train", 80), ("dev", 20)):
        lines = [f"{''.join(text)}\t{label}" for label, text in labelled(number, CHARACTERS)]
        write(root / "chnsenticorp" / f"{split}.tsv.xz", lines)


def imdb(root):
    classes = {"0": WORDS["negative"], "1": WORDS["positive"]}
    for split, number in (("train", 80), ("test", 20)):
        rows = enumerate(labelled(number, classes))
        lines = [f"{label}\t{row}\t5\t{' '.join(text)} <br />" for row, (label, text) in rows]
        write(root / "imdb" / f"{split}.tsv.xz", ["label\tid\trating\ttext", *lines])


def sst(root):
    for split, number in (("train", 80), ("dev", 20), ("test", 20)):
        trees = []
        for label, words in labelled(number, WORDS):
            node, tree = {"negative": 1, "positive": 3}[label], f"(2 {words[0]})"
            for word in words[1:]:
                tree = f"({node} {tree} ({node} {word}))"
            trees.append(tree)
        write(root / "sst" / f"{split}.txt.xz", trees)


def sentences(path, number, columns):
    """`columns` are what follows a token, once for a name and once for another word."""
    draw = random.Random(number)
    lines = []
    for _ in range(number):
        for word in draw.choices(["Anna", "Bern", "sees", "the", "sea"], k=draw.randint(2, 7)):
            lines.append(f"{word} {columns[0] if word[0].isupper() else columns[1]}")
        lines.append("")
    write(path, lines)


def conll2003(root):
    for split, number in (("train", 60), ("valid", 15), ("test", 15)):
        sentences(root / "conll2003" / f"{split}.txt.xz", number, ("NNP B-NP B-PER", "VB O O"))


def conll2000(root):
    for split, number in (("train", 60), ("test", 15)):
        sentences(root / "conll2000" / f"{split}.txt.xz", number, ("NNP B-NP", "VB O"))


CASES = {
    "sentiment_chinese": chnsenticorp,
    "sentiment_imdb": imdb,
    "sentiment_sst2": sst,
    "ner_bilstm_crf": conll2003,
    "chunking_bilstm_crf": conll2000,
}


@pytest.mark.parametrize("name", CASES)
def test_a_recipe_of_benchmark_files_reads_trains_and_reports(name, tmp_path):
    CASES[name](tmp_path)
    small = ["training.epochs=1", "training.threads=1", "model.encoder.hidden_size=8", "evaluation.samples=20"]
    run = seqapps.run(RECIPES / f"{name}.yaml", data_root=tmp_path, output=tmp_path / "run", settings=small)
    page = run.read_json("report.json")
    assert page["split"] == "test"
    assert 0 <= page["metrics"][page["headline"]]["value"] <= 1
    assert page["data"]["splits"].keys() == {"train", "validation", "test"}
    assert page["baselines"]


def test_phrases_are_what_the_treebank_recipe_adds_to_the_training_sentences(tmp_path):
    sst(tmp_path)
    settings = ["training.max_steps=1", "training.threads=1", "evaluation.samples=20", "evaluation.baselines=false"]
    sizes = []
    for phrases in ("true", "false"):
        run = seqapps.run(
            RECIPES / "sentiment_sst2.yaml",
            data_root=tmp_path,
            output=tmp_path / phrases,
            settings=[*settings, f"data.source.phrases={phrases}"],
        )
        splits = run.read_json("report.json")["data"]["splits"]
        sizes.append((splits["train"]["sentences"], splits["test"]["sentences"]))
    assert sizes[0][0] > sizes[1][0] == 80
    assert sizes[0][1] == sizes[1][1] == 20
