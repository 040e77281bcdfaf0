"""Texts that are asked for: phrases, prefixes, options of the search, several runs together."""

import json
import math
import random

import pytest
import torch
from click.testing import CliRunner

import seqapps
from seqapps.cli.main import main
from seqapps.data.vocabulary import BOS, EOS

WORDS = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier"}

RECIPE = """
data:
  source: {type: parallel, train: [train.en, train.de], test: [test.en, test.de]}
  batching: {tokens: 60, pool: 4}
model:
  embedder: {type: tokens, size: 12}
  encoder: {type: recurrent, cell: gru, hidden_size: 12, bidirectional: true}
  head:
    type: translation
    decoder: {hidden_size: 24, embedding_size: 12}
    search: {beam: 3, max_length: 9}
    max_length_ratio: 1
    bleu_tokenize: none
training: {optimizer: {type: adam, lr: 2e-2}, epochs: 3, seed: 1, threads: 1, device: cpu}
evaluation: {samples: 20, baselines: false}
"""
CLASSES = """
data:
  source: {type: tables, train: train.tsv, test: test.tsv}
model:
  embedder: {type: tokens, size: 6}
  encoder: {type: recurrent, cell: gru, hidden_size: 6}
  head: {type: classification}
training: {optimizer: {type: adam, lr: 2e-2}, epochs: 1, seed: 1, threads: 1, device: cpu}
evaluation: {samples: 20, baselines: false}
"""


def write_pairs(folder, name, count, seed):
    draw = random.Random(seed)
    sources = [draw.choices(list(WORDS), k=draw.randint(1, 5)) for _ in range(count)]
    targets = [[WORDS[word] for word in reversed(source)] for source in sources]
    for suffix, texts in (("en", sources), ("de", targets)):
        lines = "".join(" ".join(text) + "\n" for text in texts)
        (folder / f"{name}.{suffix}").write_text(lines, encoding="utf8")
    table = "".join(f"{' '.join(s)}\t{'odd' if len(s) % 2 else 'even'}\n" for s in sources)
    (folder / f"{name}.tsv").write_text("tokens\tlabel\n" + table, encoding="utf8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs of the same task: `words`, `other` with another seed, `letters` which reads characters, and others."""
    folder = tmp_path_factory.mktemp("asked")
    write_pairs(folder, "train", 300, 1)
    write_pairs(folder, "test", 30, 2)
    (folder / "numbers.yaml").write_text(RECIPE, encoding="utf8")
    (folder / "classes.yaml").write_text(CLASSES, encoding="utf8")
    short = ["training.epochs=1", "data.limit=60"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        seqapps.run("numbers.yaml", output="words")
        seqapps.run("numbers.yaml", output="other", settings=["training.seed=2", "model.encoder.cell=lstm"])
        seqapps.run(
            "numbers.yaml", output="letters", settings=["training.epochs=1", "data.tokenizers={tokens: characters}"]
        )
        seqapps.run("numbers.yaml", output="spelling", settings=[*short, "data.tokenizers={target: characters}"])
        seqapps.run("numbers.yaml", output="few", settings=[*short, "model.head.max_size=3"])
        seqapps.run("numbers.yaml", output="greedy", settings=[*short, "model.head.search={method: greedy}"])
        seqapps.run("classes.yaml", output="classes")
        seqapps.run("classes.yaml", output="classes_2", settings=["training.seed=2", "data.tokenizer=characters"])
        seqapps.run("classes.yaml", output="three", settings=["model.head.labels=[even, odd, none]"])
    return folder


@pytest.fixture
def command(trained, monkeypatch):
    """Calls `seqapps predict` in the folder of the runs."""
    monkeypatch.chdir(trained)

    def call(*arguments, input="one two\nthree\n", name="predict"):
        return CliRunner().invoke(main, [name, *arguments], input=input)

    return call


def lines(result):
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def told(result):
    """The message of a command that failed as it should."""
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    return line


def test_all_texts_have_what_is_required_and_not_what_is_banned(command):
    free = lines(command("words"))
    found = lines(command("words", "--require", "vier vier", "--require", "drei", "--ban", "eins"))
    assert not any("vier vier" in line for line in free)
    assert "eins" in free[0]
    for line in found:
        assert "vier vier" in line
        assert "drei" in line
        assert "eins" not in line


def test_required_phrases_lift_the_limit_that_the_source_sets(command):
    phrase = " ".join(["eins zwei drei vier"] * 4)  # where 1 x 1 token and 10 more is the limit
    (found,) = lines(command("words", "--require", phrase, "--max-length", "30", input="one\n"))
    assert phrase in found


def test_required_phrases_may_take_all_the_room_there_is(command):
    phrase = "eins zwei drei vier eins zwei drei vier"  # with the end mark all that max_length leaves
    assert lines(command("words", "--require", phrase, input="one\n")) == [phrase]


def test_all_texts_begin_with_the_prefix(command):
    assert all(line.startswith("drei drei") for line in lines(command("words", "--prefix", "drei drei")))


def test_a_json_line_asks_of_its_own_text_beside_what_is_asked_of_all(command):
    asked = [
        {"text": "one two three", "require": ["vier vier", "drei"], "id": 1},
        {"text": "one", "prefix": "vier", "ban": ["eins"]},  # shorter, so that it comes first in its batch
        {"tokens": ["one", "two"]},
    ]
    text = "".join(json.dumps(line) + "\n" for line in asked)
    plain = lines(command("words", input="one two\n"))
    first, second, third = map(json.loads, lines(command("words", "--format", "jsonl", input=text)))
    assert "vier vier" in first["target"]
    assert (first["id"], first["require"]) == (1, ["vier vier", "drei"])
    assert second["target"].startswith("vier")
    assert "eins" not in second["target"]
    assert [third["target"]] == plain
    arguments = ("words", "--format", "jsonl", "--require", "drei drei", "--prefix", "eins")
    both = [json.loads(line)["target"] for line in lines(command(*arguments, input=text))]
    assert all("drei drei" in line for line in both)
    assert [line.split()[0] for line in both] == ["eins", "vier", "eins"]


def test_batches_do_not_change_what_is_written_as_asked(trained):
    predictor = seqapps.load(trained / "words")
    predictor.ask(require=["vier drei"])
    draw = random.Random(3)
    texts = [" ".join(draw.choices(list(WORDS), k=1 + i % 4)) for i in range(20)]
    for text, found in zip(texts, predictor.predict(texts), strict=True):
        (alone,) = predictor.predict([text])
        assert alone.text == found.text
        assert alone.log_prob == pytest.approx(found.log_prob, abs=1e-5)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"require": ["vier fünf"]}, "<stdin>:2: require 'vier fünf': 'fünf' is not in the vocabulary of 'target'"),
        ({"require": ["dreii"]}, "did you mean 'drei'?"),
        ({"prefix": "<eos>"}, "<stdin>:2: prefix '<eos>': '<eos>' is not in the vocabulary"),
        ({"require": "vier"}, "<stdin>:2: 'require' is 'vier', expected a list of texts"),
        ({"ban": [3]}, "<stdin>:2: 'ban' is [3], expected a list of texts"),
        ({"prefix": ["vier"]}, "<stdin>:2: 'prefix' is ['vier'], expected a text"),
        ({"ban": [" "]}, "<stdin>:2: ban ' ': a phrase of 0 tokens"),
        ({"require": ["drei vier"], "ban": ["vier"]}, "<stdin>:2: a required phrase has a banned one within it"),
        ({"require": ["drei vier drei vier drei"], "prefix": "eins " * 4}, "are 9 tokens, and texts end after 9"),
    ],
)
def test_what_cannot_be_asked_is_told_with_its_line(command, line, message):
    text = json.dumps({"text": "one"}) + "\n" + json.dumps({"text": "two", **line}) + "\n"
    assert message in told(command("words", "--format", "jsonl", input=text))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["words", "--require", "fünf"], "--require 'fünf': 'fünf' is not in the vocabulary of 'target'"),
        (["words", "--beam", "0"], "--beam: beam is 0, expected 1 or more"),
        (["words", "--n-best", "4"], "--n-best: n_best is 4, expected at most the beam, 3"),
        (["words", "--min-length", "10"], "--min-length: min_length is 10, above max_length 9"),
        (["greedy", "--length-penalty", "average"], "--length-penalty: average has no effect on method greedy"),
        (["greedy", "--require", "drei"], "required phrases need a beam without groups, and the search is greedy"),
        (["classes", "--require", "drei"], "--require: for models that write texts"),
        (["classes", "--prefix", "drei"], "--prefix: for models that write texts"),
        (["classes", "--beam", "3", "--max-length", "4"], "--beam, --max-length: for models that write texts"),
    ],
)
def test_options_that_do_not_fit_are_told(command, arguments, message):
    assert message in told(command(*arguments))


def test_fields_for_texts_that_are_written_are_refused_where_none_are(command):
    line = json.dumps({"text": "one", "require": ["x"]}) + "\n"
    assert "<stdin>:1: 'require': for models that write" in told(command("classes", "--format", "jsonl", input=line))


def test_options_change_the_search(command):
    arguments = ("--format", "jsonl", "--n-best")
    (found,) = lines(command("words", *arguments, "3", input='{"text": "one two"}\n'))
    assert len(json.loads(found)["alternatives"]) == 2
    assert [len(line.split()) for line in lines(command("words", "--min-length", "8"))] >= [7, 7]
    assert all(len(line.split()) == 1 for line in lines(command("words", "--max-length", "1")))
    (found,) = lines(command("greedy", "--beam", "2", *arguments, "2", input='{"text": "one"}\n'))
    assert len(json.loads(found)["alternatives"]) == 1


def test_two_runs_write_by_the_mean_of_their_probabilities(trained):
    """The log-probability of what two models write together follows from what each gives to that very text."""
    both = seqapps.load(trained / "words", others=[trained / "other"])
    (found,) = both.predict(["one three"])
    each = []
    for predictor in both.together:
        head, split = predictor.model.head, predictor.indexed(predictor.reading([both._example("one three", "here")]))
        batch = split.batch(split.lengths * 0)
        state, memory = head.decoder.start(predictor.model.encode(batch))
        read, steps = head.vocabulary[BOS], []
        for symbol in [*found.written, EOS]:
            log_probs, state, *_ = head.decoder.step(torch.tensor([read]), state, memory)
            read = head.vocabulary[symbol]
            steps.append(log_probs[0, read].item())
        each.append(steps)
    expected = sum(math.log((math.exp(a) + math.exp(b)) / 2) for a, b in zip(*each, strict=True))
    assert found.log_prob == pytest.approx(expected, abs=1e-4)
    assert seqapps.load(trained / "words").predict(["one three"])[0].log_prob != pytest.approx(expected, abs=1e-6)


def test_a_run_with_itself_predicts_and_measures_as_alone(trained, monkeypatch):
    monkeypatch.chdir(trained)
    texts = ["one two three", "four", "two two"]
    for name in ("words", "classes"):
        alone, twice = seqapps.load(name).predict(texts), seqapps.load(name, others=[name]).predict(texts)
        assert [one.line() for one in alone] == [one.line() for one in twice]
        one, two = seqapps.evaluate(name)["metrics"], seqapps.evaluate(name, others=[name])["metrics"]
        assert one.keys() == two.keys()
        assert all(two[key]["value"] == pytest.approx(one[key]["value"], abs=1e-4) for key in one)


def test_each_run_reads_with_its_own_tokenizer(trained, monkeypatch, command):
    monkeypatch.chdir(trained)
    assert lines(command("words", "--with", "letters")) != []
    one, two = (seqapps.load(name).predict(["two one"])[0].probabilities for name in ("classes", "classes_2"))
    (both,) = seqapps.load("classes", others=["classes_2"]).predict(["two one"])
    assert both.probabilities == pytest.approx({label: (one[label] + two[label]) / 2 for label in one}, abs=1e-6)
    page = seqapps.evaluate("words", others=["letters", "other"])
    assert page["metrics"]["perplexity"]["value"] > 1
    printed = command("classes", "--with", "classes_2", name="evaluate")
    assert printed.exit_code == 0, printed.output


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (["words", "classes"], "--with classes: a model of task 'classification', and words is of task 'translation'"),
        (["words", "spelling"], "--with spelling: the tokenizers of what is written differ"),
        (["words", "other", "few"], "--with few: the vocabularies of what is written differ, 8 and 7 symbols"),
        (["classes", "three"], "--with three: labels differ, 2 and 3 (here: 'none')"),
        (["words", "nowhere"], "nowhere"),
    ],
)
def test_runs_that_do_not_go_together_are_told(command, runs, message):
    first, *others = runs
    assert message in told(command(first, *(part for other in others for part in ("--with", other))))
