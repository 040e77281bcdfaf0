"""`seqapps diagnose` and `seqapps trace` on small trained models, from end to end."""

import json
import random
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import seqapps as package
from seqapps.application import diagnose
from seqapps.cli.main import main
from seqapps.diagnostics.traces import trace_batch
from seqapps.engine.formats import Example

RECIPE = """
data:
  source:
    {{type: columns, names: [tokens, pos_tags], separator: tab, train: train.txt, validation: dev.txt, test: test.txt}}
  batching: {{sentences: 10}}
model:
  embedder: {{type: tokens, size: 8}}
  encoder: {encoder}
  head: {{type: tagging, column: pos_tags, crf: {crf}}}
training: {{optimizer: {{type: adam, lr: 1e-2}}, clip_norm: 0.5, epochs: 2, seed: 1, threads: 1, device: cpu}}
evaluation: {{samples: 20}}
"""
RUNS = {
    "rnn": ("{type: recurrent, cell: rnn, hidden_size: 6}", "false"),
    "lstm": ("{type: recurrent, cell: lstm, hidden_size: 5, bidirectional: true}", "true"),
    "plain": ("{type: feedforward, hidden_sizes: [4]}", "false"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    for name, count, seed in (("train", 40, 1), ("dev", 12, 2), ("test", 12, 3)):
        draw = random.Random(seed)
        lines = []
        for _ in range(count):
            words = [draw.choice("abc") for _ in range(draw.randint(1, 9))]
            lines += [f"{word}\t{word.upper()}{last.upper()}" for word, last in zip(words, ["a", *words], strict=False)]
            lines.append("")
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf8")
    for name, (encoder, crf) in RUNS.items():
        (folder / f"{name}.yaml").write_text(RECIPE.format(encoder=encoder, crf=crf), encoding="utf8")
        package.run(folder / f"{name}.yaml", output=folder / name)
    yield folder
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def runs(trained, tmp_path, monkeypatch):
    """A working directory with the runs `rnn`, `lstm` and `plain`, to be written to."""
    for name in RUNS:
        shutil.copytree(trained / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments, input=None):
    return CliRunner().invoke(main, arguments, input=input, prog_name="seqapps")


def test_diagnosing_a_run_writes_its_numbers_and_a_section_of_its_report(runs):
    before = (runs / "rnn" / "report.html").read_text(encoding="utf8")
    done = call("diagnose", "rnn", "--sequences", "7")
    assert done.exit_code == 0, done.output
    found = json.loads((runs / "rnn" / "diagnostics.json").read_text(encoding="utf8"))
    assert (found["name"], found["split"], found["sequences"], found["token"]) == ("rnn", "validation", 7, -1)
    (place,) = found["places"]
    assert (place["cell"], place["jacobian"]["size"], place["gates"]) == ("RNN", 6, {})
    assert "layer 0 forward  RNN" in done.stdout
    assert "rnn/report.html" in done.stdout
    page = (runs / "rnn" / "report.html").read_text(encoding="utf8")
    assert 'id="diagnostics"' not in before
    assert 'id="diagnostics"' in page
    assert "Gradient through time" in page
    assert call("report", "rnn").exit_code == 0
    assert (runs / "rnn" / "report.html").read_text(encoding="utf8") == page


def test_the_share_of_clipped_steps_is_that_of_the_journal(runs):
    call("diagnose", "rnn")
    clipping = json.loads((runs / "rnn" / "diagnostics.json").read_text(encoding="utf8"))["clipping"]
    journal = [json.loads(line) for line in (runs / "rnn" / "journal.jsonl").read_text(encoding="utf8").splitlines()]
    shares = [event["clipped"] for event in journal if event["event"] == "evaluation"]
    assert (clipping["limit"], clipping["steps"]) == (0.5, 8)  # 2 epochs of 4 batches
    assert clipping["share"] == pytest.approx(sum(shares) / 2)
    assert clipping["share"] > 0


def test_several_runs_are_compared_on_one_self_contained_page(runs):
    done = call("diagnose", "rnn", "lstm", "--output", "both.html")
    assert done.exit_code == 0, done.output
    page = (runs / "both.html").read_text(encoding="utf8")
    assert "Memory and gradients: rnn, lstm" in page
    for place in ("layer 0 forward", "layer 0 backward"):
        assert f"{place}: forget" in page
    assert "<link" not in page
    assert "src=" not in page
    assert "different sequences" not in page
    assert (runs / "rnn" / "diagnostics.json").is_file()
    assert (runs / "lstm" / "diagnostics.json").is_file()


def test_equal_runs_give_equal_bytes(runs):
    for name in ("first.html", "second.html"):
        diagnose(["rnn"], output=name)
    assert (runs / "first.html").read_bytes() == (runs / "second.html").read_bytes()


def test_runs_of_equal_names_are_told_apart_by_their_paths(runs):
    shutil.copytree("rnn", "other/rnn")
    done = call("diagnose", "rnn", "other/rnn")
    assert done.exit_code == 0, done.output
    assert "Memory and gradients: rnn, other/rnn" in (runs / "diagnostics.html").read_text(encoding="utf8")


def test_json_is_what_the_files_hold(runs):
    done = call("diagnose", "rnn", "--json", "--split", "test", "--token", "0")
    (found,) = json.loads(done.stdout)
    assert found == json.loads((runs / "rnn" / "diagnostics.json").read_text(encoding="utf8"))
    assert (found["split"], found["token"], found["median_steps"]) == ("test", 0, 0.0)


def test_a_run_started_anew_loses_its_diagnostics(runs, trained):
    call("diagnose", "rnn")
    package.run(trained / "rnn.yaml", output=runs / "rnn", overwrite=True)
    assert not (runs / "rnn" / "diagnostics.json").exists()
    assert 'id="diagnostics"' not in (runs / "rnn" / "report.html").read_text(encoding="utf8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["diagnose", "nowhere"], "error: nowhere: no run here"),
        (["diagnose", "plain"], "error: plain: FeedforwardEncoder: this encoder has no recurrent cells"),
        (["diagnose", "rnn", "rnn"], "given twice"),
        (["diagnose", "a", "b", "c", "d", "e"], "error: a: no run here"),
        (["diagnose", "rnn", "--split", "dev"], "has no split 'dev'"),
        (["diagnose", "rnn", "--token", "99"], "none of its 12 sequences has 100 tokens"),
        (["diagnose", "rnn", "--output", "none/page.html"], "error: none/page.html: there is no folder 'none'"),
        (["trace", "nowhere", "input.txt"], "error: nowhere: no run here"),
        (["trace", "plain", "input.txt"], "error: plain: FeedforwardEncoder: this encoder has no recurrent cells"),
        (["trace", "rnn", "empty.txt"], "error: empty.txt: there is no token in it"),
        (["trace", "rnn", "input.txt", "--units", "6"], "there is no unit 6; they are numbered 0 to 5"),
        (["trace", "rnn", "input.txt", "--units", "1,x"], "'x' is no unit's number"),
    ],
)
def test_wrong_input_gets_one_line(runs, arguments, message):
    (runs / "input.txt").write_text("a b c\n", encoding="utf8")
    (runs / "empty.txt").write_text("\n  \n", encoding="utf8")
    done = call(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_more_runs_than_a_chart_can_show_are_refused(runs):
    for name in "abcde":
        shutil.copytree("rnn", name)
    done = call("diagnose", *"abcde")
    assert (done.exit_code, done.stderr) == (2, "error: diagnose: 5 runs, but a chart shows 4 at most; give fewer\n")


def test_a_trace_has_every_tensor_that_the_index_names(runs):
    (runs / "input.txt").write_text("a b c a\n\nc unheard\n", encoding="utf8")
    done = call("trace", "lstm", "input.txt")
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == ["lstm/traces.safetensors", "lstm/traces.json", "lstm/traces.html"]
    index = json.loads((runs / "lstm" / "traces.json").read_text(encoding="utf8"))
    tensors = load_file(runs / "lstm" / "traces.safetensors")
    assert [one["tokens"] for one in index["sequences"]] == [["a", "b", "c", "a"], ["c", "unheard"]]
    assert set(tensors) == set(index["tensors"])
    assert len(tensors) == 2 * 2 * 5  # sentences, directions; h c input forget output
    for key, entry in index["tensors"].items():
        assert list(tensors[key].shape) == entry["shape"] == [len(index["sequences"][entry["sequence"]]["tokens"]), 5]
        assert key == f"{entry['sequence']}/layer{entry['layer']}/{entry['direction']}/{entry['name']}"
    predictor = package.load("lstm", device="cpu")
    split = predictor.indexed([Example(["c", "unheard"])])
    (alone,) = trace_batch(predictor.model, split.batch(np.array([0])))
    for one in alone:
        torch.testing.assert_close(tensors[f"1/{one.key}"], one.values)


def test_the_heat_map_shows_the_chosen_units_over_the_tokens(runs):
    done = call("trace", "rnn", "-", "--units", "4,1", "--output", "out/there", input="a b <c>\n")
    assert done.exit_code == 0, done.output
    page = (runs / "out" / "there" / "traces.html").read_text(encoding="utf8")
    assert [page.index(f'<th scope="row">{unit}</th>') for unit in (4, 1)] == sorted(
        page.index(f'<th scope="row">{unit}</th>') for unit in (4, 1)
    )
    assert page.count('<td class="heat') == 2 * 3
    assert "<span>&lt;c&gt;</span>" in page
    h = load_file(runs / "out" / "there" / "traces.safetensors")["0/layer0/forward/h"]
    for unit in (4, 1):
        for value in h[:, unit].tolist():
            assert f'title="{value:.3f}"' in page
    assert not (runs / "rnn" / "traces.json").exists()


def test_only_so_many_sentences_are_traced_and_the_rest_is_told(runs):
    done = call("trace", "rnn", "-", "--limit", "2", input="a\nb\nc\n")
    assert done.exit_code == 0
    assert "only the first 2 sentences" in done.stderr
    assert len(json.loads((runs / "rnn" / "traces.json").read_text(encoding="utf8"))["sequences"]) == 2
    assert call("trace", "rnn", "-", "--limit", "3", input="a\nb\nc\n\n").stderr == ""


def test_json_lines_are_read_as_by_predict(runs):
    done = call("trace", "rnn", "-", "--format", "jsonl", input='{"tokens": ["a", "b"]}\n{"text": "c"}\n')
    assert done.exit_code == 0, done.output
    index = json.loads((runs / "rnn" / "traces.json").read_text(encoding="utf8"))
    assert [one["tokens"] for one in index["sequences"]] == [["a", "b"], ["c"]]
