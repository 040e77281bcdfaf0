"""Prediction from a run folder: Python, files, formats, wrong input."""

import io
import json
import tracemalloc
from pathlib import Path

import pytest

import seqapps
from seqapps.application import evaluate
from seqapps.engine.formats import Example
from seqapps.errors import DataError, RunError, UseError


@pytest.fixture
def tagger(folder):
    return seqapps.load(seqapps.run("tiny.yaml").path)


def read(tagger, data, format="text"):
    return list(tagger.stream(tagger.read(io.BytesIO(data), format, "input")))


def test_texts_and_token_lists_are_tagged_in_order(tagger):
    a, b, empty = tagger.predict(["the cat sees", ["a", "dog"], ""])
    assert a.labels == ["DET", "NOUN", "VERB"]
    assert b.labels == ["DET", "NOUN"]
    assert len(a.probabilities) == 3
    assert all(0 < p <= 1 for p in a.probabilities)
    assert (empty.tokens, empty.labels) == ([], [])


def test_one_text_is_not_taken_for_a_list_of_characters(tagger):
    with pytest.raises(TypeError, match=r"write predict\(\[text\]\)"):
        tagger.predict("the cat sees")


def test_batches_and_windows_do_not_change_a_prediction(tagger):
    sentences = [["the", "cat", "sees"] * (1 + i % 7) for i in range(50)]
    together = tagger.predict(sentences)
    alone = [tagger.predict([sentence])[0] for sentence in sentences]
    narrow = list(tagger.stream((Example(s) for s in sentences), window=3))
    for a, b, c in zip(together, alone, narrow, strict=True):
        assert a.labels == b.labels == c.labels
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-5)


def test_text_keeps_its_lines_empty_ones_too(tagger):
    found = read(tagger, b"the cat sees\r\n\n  \na dog\n")
    assert [tagger.write(p, "text") for p in found] == ["the/DET cat/NOUN sees/VERB\n", "\n", "\n", "a/DET dog/NOUN\n"]


def test_json_lines_keep_what_else_was_in_them(tagger):
    lines = [{"tokens": ["the", "cat"], "id": 7}, {"text": "a dog"}]
    found = read(tagger, "\n".join(map(json.dumps, lines)).encode(), "jsonl")
    first, second = (json.loads(tagger.write(p, "jsonl")) for p in found)
    assert (first["id"], first["pos_tags"]) == (7, ["DET", "NOUN"])
    assert (second["text"], second["tokens"], second["pos_tags"]) == ("a dog", ["a", "dog"], ["DET", "NOUN"])


CONLLU = """# sent_id = 1
1-2\tthecat\t_\t_\t_\t_\t_\t_\t_\t_
1\tthe\t_\t_\t_\t_\t0\troot\t_\t_
2\tcat\t_\t_\t_\t_\t1\tdep\t_\tSpaceAfter=No
2.1\tghost\t_\t_\t_\t_\t_\t_\t_\t_

1\tsees\t_\t_\t_\t_\t0\troot\t_\t_
"""


def test_conllu_comes_back_with_its_tags_filled_in(tagger):
    found = read(tagger, CONLLU.encode(), "conllu")
    written = "".join(tagger.write(p, "conllu") for p in found)
    expected = CONLLU.replace("1\tthe\t_\t_", "1\tthe\t_\tDET").replace("2\tcat\t_\t_", "2\tcat\t_\tNOUN")
    assert written == expected.replace("1\tsees\t_\t_", "1\tsees\t_\tVERB") + "\n"


@pytest.mark.parametrize(
    ("data", "format", "message"),
    [
        (b"fine\n\xff\xfe\n", "text", "input:2: byte 1 of the line is 0xff, not UTF-8; convert the file"),
        (b'{"tokens": "the cat"}\n', "jsonl", 'input:1: expected {"tokens"'),
        (b"{oops\n", "jsonl", "input:1: not JSON"),
        (b'{"text": "\\ud800 x"}\n', "jsonl", "input:1: not JSON"),
        (b"1\tthe\n", "conllu", "input:1: 2 columns, expected 10"),
    ],
)
def test_input_that_does_not_fit_is_named_by_line(tagger, data, format, message):
    with pytest.raises(DataError) as caught:
        read(tagger, data, format)
    assert message in str(caught.value)


@pytest.mark.slow
def test_a_line_of_a_hundred_thousand_tokens_is_tagged(tagger):
    (found,) = read(tagger, b"the cat sees " * 33_334)
    assert len(found.labels) == 100_002
    assert found.labels[:3] == ["DET", "NOUN", "VERB"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_input(tagger):
    def peak(lines):
        tracemalloc.start()
        for prediction in tagger.stream(tagger.read(io.BytesIO(b"the cat sees\n" * lines), "text"), window=100):
            tagger.write(prediction, "text")
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest - 13 * lines  # the input itself

    assert peak(4000) < 1.5 * peak(1000)


def test_a_split_or_a_file_is_measured_as_the_report_did(tagger):
    page = tagger.folder.read_json("report.json")
    assert evaluate(tagger.folder.path)["metrics"]["accuracy"] == page["metrics"]["accuracy"]
    assert evaluate(tagger.folder.path, file="test.txt")["metrics"] == page["metrics"]
    assert evaluate(tagger.folder.path, split="validation")["split"] == "validation"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"split": "tset"}, DataError, "no split 'tset'; did you mean 'test'"),
        ({"file": "nothing.txt"}, DataError, "nothing.txt: no such file"),
        ({"file": "test.txt", "split": "test"}, UseError, "a split or a file"),
    ],
)
def test_what_cannot_be_measured_says_so(tagger, given, error, message):
    with pytest.raises(error, match=message):
        evaluate(tagger.folder.path, **given)


def test_loading_what_is_no_run_says_so(folder):
    with pytest.raises(RunError, match="elsewhere: no run here"):
        seqapps.load("elsewhere")


def test_a_run_of_a_plugin_that_is_gone_names_the_command(tagger):
    environment = tagger.folder.read_json("environment.json")
    environment["components"].append(
        {"kind": "cells", "name": "janet", "distribution": "seqapps-janet", "version": "0.2.0"}
    )
    tagger.folder.write_json("environment.json", environment)
    with pytest.raises(
        RunError, match=r"cell 'janet' comes from seqapps-janet 0.2.0, .* pip install seqapps-janet==0.2.0"
    ):
        seqapps.load(tagger.folder.path)


def test_a_damaged_model_file_says_so(tagger):
    tagger.folder.write_text("model.safetensors", "rubbish")
    with pytest.raises(RunError, match="the file is damaged"):
        seqapps.load(tagger.folder.path)


def test_a_crf_and_sigmoids_predict_from_their_folders_too(folder):
    for settings in (["model.head.crf=true"], ["model.head.activation=sigmoid"]):
        run = seqapps.run("tiny.yaml", settings=settings, overwrite=True)
        assert seqapps.load(run.path).predict(["the cat sees"])[0].labels == ["DET", "NOUN", "VERB"]


def test_a_model_with_further_input_columns_reads_them_when_it_predicts(folder):
    lines = [
        "\t".join([*line.split("\t"), str(len(line) % 3)]) if line else ""
        for line in (folder / "train.txt").read_text().split("\n")
    ]
    (folder / "three.txt").write_text("\n".join(lines), encoding="utf8")
    files = "train: three.txt, validation: three.txt, test: three.txt"
    settings = [
        f"data.source={{type: columns, names: [tokens, pos_tags, upos], separator: tab, {files}}}",
        "model.embedder={type: concatenated, parts: [{type: tokens, size: 8}, {type: tokens, column: upos, size: 3}]}",
        "training.epochs=1",
    ]
    tagger = seqapps.load(seqapps.run("tiny.yaml", output="two", settings=settings).path)
    (found,) = read(tagger, json.dumps({"tokens": ["the", "cat"], "upos": ["1", "2"]}).encode(), "jsonl")
    (other,) = read(tagger, json.dumps({"tokens": ["the", "cat"], "upos": ["0", "1"]}).encode(), "jsonl")
    assert found.probabilities != other.probabilities
    (conllu,) = read(tagger, b"1\tthe\t_\t1\t_\t_\t_\t_\t_\t_\n2\tcat\t_\t2\t_\t_\t_\t_\t_\t_\n\n", "conllu")
    assert conllu.probabilities == pytest.approx(found.probabilities)
    with pytest.raises(DataError, match="the model reads 'upos' beside the tokens"):
        read(tagger, b"the cat\n")
    (mapped,) = tagger.predict([{"tokens": ["the", "cat"], "upos": ["1", "2"]}])
    assert mapped.probabilities == pytest.approx(found.probabilities)
    with pytest.raises(DataError, match="input:1: 'upos' is 5, expected a list of strings"):
        read(tagger, json.dumps({"tokens": ["the", "cat"], "upos": 5}).encode(), "jsonl")
    with pytest.raises(DataError, match="2 tokens, 1 upos in 'the cat'"):
        read(tagger, json.dumps({"tokens": ["the", "cat"], "upos": ["1"]}).encode(), "jsonl")


FILES = {
    "x.csv": "tokens,pos_tags\nthe cat,DET NOUN\n",
    "x.tsv": "tokens\tpos_tags\nthe cat\tDET NOUN\n",
    "x.jsonl": '{"tokens": ["the", "cat"], "pos_tags": ["DET", "NOUN"]}\n',
    "x.conllu": "1\tthe\t_\tDET\t_\t_\t_\t_\t_\t_\n2\tcat\t_\tNOUN\t_\t_\t_\t_\t_\t_\n\n",
}


@pytest.mark.parametrize("name", FILES)
def test_a_model_of_a_corpus_is_measured_on_files_by_their_ending(folder, name, monkeypatch):
    from seqapps.data.sources.columns import Columns
    from seqapps.data.sources.source import Source
    from seqapps.registry import registry

    class Corpus(Source):
        """A source that reads no files of the recipe."""

        def load(self, places, splits=None):
            files = {"train": "train.txt", "validation": "dev.txt", "test": "test.txt"}
            return Columns(names=["tokens", "pos_tags"], **files).load(places, splits)

    monkeypatch.setitem(registry("sources")._local, "corpus_of_files", Corpus)
    run = seqapps.run("tiny.yaml", settings=["data.source=corpus_of_files", "training.epochs=1"])
    (folder / name).write_text(FILES[name], encoding="utf8")
    assert evaluate(run.path, file=name)["metrics"]["accuracy"]["count"] == 2
    (folder / "x.doc").write_text("")
    with pytest.raises(UseError, match=r"the ending '.doc' is not known; use one of .conllu"):
        evaluate(run.path, file="x.doc")


def test_labels_of_a_mapped_column_go_where_they_came_from(folder):
    lines = (folder / "train.txt").read_text().split("\n")
    (folder / "three.txt").write_text("\n".join(f"{line}\tX" if line else "" for line in lines), encoding="utf8")
    files = "train: three.txt, validation: three.txt, test: three.txt"
    settings = [
        f"data.source={{type: columns, names: [tokens, xpos, other], separator: tab, {files}}}",
        "data.columns={pos_tags: xpos}",
        "training.epochs=1",
    ]
    tagger = seqapps.load(seqapps.run("tiny.yaml", output="mapped", settings=settings).path)
    (found,) = read(tagger, b"1\tthe\t_\t_\t_\t_\t_\t_\t_\t_\n\n", "conllu")
    assert tagger.write(found, "conllu").split("\t")[3:5] == ["_", found.labels[0]]


def test_a_file_is_read_in_the_scheme_of_the_training_data(folder):
    (folder / "spans.txt").write_text("a B-X\nb I-X\nc O\n\n" * 40, encoding="utf8")
    files = "train: spans.txt, validation: spans.txt, test: spans.txt"
    settings = [
        f"data.source={{type: columns, names: [tokens, pos_tags], convert_to: bioes, {files}}}",
        "training.epochs=1",
    ]
    run = seqapps.run("tiny.yaml", output="spans", settings=settings)
    (folder / "bad.txt").write_text("a I-X\nb O\n\n")
    with pytest.raises(DataError, match=r"bad.txt:1: column 'pos_tags' violates scheme 'bio'"):
        evaluate(run.path, file="bad.txt")
    (folder / "short.txt").write_text("a B-X\nb B-X\n\n")
    assert evaluate(run.path, file="short.txt")["metrics"]["f1"]["count"] == 2


def test_a_run_on_data_made_by_rule_is_measured_on_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = """\
data: {source: {type: lookahead, train: 50, validation: 10, test: 10}, batching: {sentences: 16}}
model:
  embedder: {type: tokens, size: 8}
  encoder: {type: recurrent, cell: lstm, hidden_size: 8, bidirectional: true}
  head: {type: tagging, column: labels}
training: {optimizer: {type: adam, lr: 0.01}, epochs: 1}
"""
    Path("made.yaml").write_text(text, encoding="utf8")
    run = seqapps.run("made.yaml")
    record = json.loads((run.path / "predictions.jsonl").read_text(encoding="utf8").splitlines()[0])
    line = {"tokens": record["tokens"], "labels": ["O"] * len(record["tokens"])}
    Path("more.jsonl").write_text(json.dumps(line) + "\n", encoding="utf8")
    assert evaluate(run.path, file="more.jsonl")["split"] == "more.jsonl"


def test_taggers_are_not_averaged(tagger):
    run = tagger.folder.path
    with pytest.raises(UseError, match=rf"--with {run}: models of task 'tagging' are not averaged; leave it out"):
        seqapps.load(run, others=[run])
