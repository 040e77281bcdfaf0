"""Recipes from beginning to end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import seqapps
from seqapps.engine.run_folder import RunFolder
from seqapps.errors import DataError, RecipeError, RunError, TrainingError, UseError
from seqapps.kernels.c_library import works


def weights(run):
    return load_file(Path(run) / "model.safetensors")


def assert_same_weights(a, b):
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)


def curves(run):
    """What the journal says of training, without times."""
    events = [json.loads(line) for line in (Path(run) / "journal.jsonl").read_text(encoding="utf8").splitlines()]
    timed = ("seconds", "evaluation_seconds")
    return [{k: v for k, v in e.items() if k not in timed} for e in events if e["event"] == "evaluation"]


def test_a_run_ends_with_everything_in_its_folder(folder):
    run = seqapps.run("tiny.yaml")
    assert run.path == Path("runs/tiny")
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        ".lock", "recipe.yaml", "environment.json", "resources.json", "model.safetensors", "state.safetensors",
        "journal.jsonl", "predictions.jsonl", "report.json", "report.html", "README.md",
    }  # fmt: skip
    page = run.read_json("report.json")
    accuracy = page["metrics"]["accuracy"]
    assert accuracy["value"] > 0.95
    low, high = accuracy["interval"]
    assert low <= accuracy["value"] <= high
    assert page["baselines"].keys() == {"most_frequent_tag", "hidden_markov_model"}
    assert page["training"]["stopped"] == "epochs"
    assert len(page["training"]["curves"]) == 4
    assert page["data"]["splits"]["test"]["sentences"] == 30
    lines = (run / "predictions.jsonl").read_text(encoding="utf8").splitlines()
    assert len(lines) == 30
    assert json.loads(lines[0]).keys() == {"row", "tokens", "gold", "predicted", "probabilities"}
    assert "<script src" not in (run / "report.html").read_text(encoding="utf8")


def test_equal_seeds_give_equal_weights_and_others_do_not(folder):
    seqapps.run("tiny.yaml", output="a", settings=["training.epochs=1"])
    seqapps.run("tiny.yaml", output="b", settings=["training.epochs=1"])
    seqapps.run("tiny.yaml", output="c", settings=["training.epochs=1", "training.seed=2"])
    assert_same_weights("a", "b")
    assert Path("a/model.safetensors").read_bytes() == Path("b/model.safetensors").read_bytes()
    assert Path("a/model.safetensors").read_bytes() != Path("c/model.safetensors").read_bytes()


@pytest.mark.parametrize(
    "settings",
    [
        ["model.encoder.cell=gru"],
        ["model.encoder.cell=rnn"],
        ["model.encoder.num_layers=2"],
        ["model.encoder.bidirectional=false"],
        ["model.head.crf=true"],
        ["model.head.activation=sigmoid"],
        ["model.embedder.characters.type=character_cnn"],
        ["model.embedder.characters=null", "model.embedder.min_frequency=2"],
        ["data.batching={sentences: 8, tokens: null}", "training.accumulate=2"],
        ["training.optimizer={type: asgd, lr: 0.5}", "training.schedule=cosine"],
        ["training.precision=bf16"],
        ["training.kernels=reference"],
        ["training.deterministic=true", "training.clip_value=0.1"],
        ["training.stop={patience: 1, metric: macro_f1}", "training.evaluate_every=2"],
    ],
    ids=lambda settings: settings[0],
)
def test_every_option_trains_and_reports(folder, settings):
    run = seqapps.run("tiny.yaml", settings=["training.epochs=1", *settings])
    assert 0 <= run.read_json("report.json")["metrics"]["accuracy"]["value"] <= 1


def test_a_second_run_does_not_touch_the_first(folder):
    seqapps.run("tiny.yaml", settings=["training.epochs=1"])
    before = Path("runs/tiny/model.safetensors").read_bytes()
    with pytest.raises(RunError, match=r"runs/tiny: there is a run already; --resume .* --overwrite"):
        seqapps.run("tiny.yaml")
    # A recipe that cannot start replaces nothing either.
    Path("dev.txt").unlink()
    with pytest.raises(DataError, match=r"dev.txt: no such file"):
        seqapps.run("tiny.yaml", overwrite=True)
    assert Path("runs/tiny/model.safetensors").read_bytes() == before


def test_resuming_a_finished_run_says_so(folder, capsys):
    seqapps.run("tiny.yaml", settings=["training.epochs=1"])
    before = Path("runs/tiny/state.safetensors").stat().st_mtime_ns
    seqapps.run("tiny.yaml", settings=["training.epochs=1"], resume=True)
    assert "the run has finished; nothing to resume" in capsys.readouterr().err
    assert Path("runs/tiny/state.safetensors").stat().st_mtime_ns == before


def test_more_epochs_continue_as_if_they_had_been_asked_for_at_once(folder):
    seqapps.run("tiny.yaml", output="whole")
    seqapps.run("tiny.yaml", output="cut", settings=["training.epochs=2"])
    seqapps.run("tiny.yaml", output="cut", resume=True)
    assert curves("whole") == curves("cut")
    assert_same_weights("whole", "cut")


def test_the_average_of_the_weights_is_kept_and_survives_stopping(folder):
    settings = ["training.average=0.9"]
    whole = seqapps.run("tiny.yaml", output="whole", settings=settings)
    seqapps.run("tiny.yaml", output="cut", settings=[*settings, "training.max_steps=8"])
    seqapps.run("tiny.yaml", output="cut", settings=settings, resume=True)
    assert curves("whole") == curves("cut")
    assert_same_weights("whole", "cut")
    kept, _ = whole.read_tensors("model.safetensors")
    state, _ = whole.read_tensors("state.safetensors")
    assert not any((kept[name] == state[f"model.{name}"]).all() for name in kept)


def test_without_a_validation_split_the_average_is_kept_as_well(folder):
    run = seqapps.run("tiny.yaml", settings=["training.average=0.9", "data.source.validation=null"])
    kept, _ = run.read_tensors("model.safetensors")
    state, _ = run.read_tensors("state.safetensors")
    assert "validation" not in run.read_json("report.json")["data"]["splits"]
    averages = [value for name, value in state.items() if name.startswith("average.")]
    assert len(averages) == len(kept)
    assert all(any(torch.equal(value, average) for average in averages) for value in kept.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["training.average=1"], r"'average' of section 'training': 1.0 is out of range; expected 0 < average < 1"),
        (["training.average=0.9", "training.optimizer=asgd"], r"asgd averages the weights itself; remove one"),
    ],
)
def test_an_average_that_cannot_be_is_refused(folder, settings, message):
    with pytest.raises(RecipeError, match=message):
        seqapps.run("tiny.yaml", settings=settings)


def test_stopping_out_of_turn_leaves_no_trace_in_a_resumed_run(folder):
    # 6 steps an epoch: stopping at step 8 evaluates within an epoch, which must count neither for patience nor as best.
    settings = ["training.stop={patience: 2}", "training.schedule={type: plateau, patience: 1}"]
    seqapps.run("tiny.yaml", output="whole", settings=settings)
    for steps in ("3", "8", "null"):
        run = seqapps.run(
            "tiny.yaml", output="cut", settings=[*settings, f"training.max_steps={steps}"], resume=steps != "3"
        )
        if steps != "null":
            assert run.read_json("report.json")["training"]["steps"] == int(steps)
    assert curves("whole") == curves("cut")
    assert_same_weights("whole", "cut")


@pytest.mark.parametrize(
    "settings",
    [
        ["training.max_steps=7"],
        ["training.max_steps=6"],
        ["training.stop={patience: 1}", "training.optimizer.lr=1e-9"],
        ["training.evaluate_every=5", "training.epochs=1"],
        ["training.evaluate_every=100", "training.epochs=1"],
    ],
    ids=lambda settings: settings[0],
)
def test_a_kill_while_the_report_is_written_changes_nothing(folder, monkeypatch, settings):
    import seqapps.application.running as running

    whole = seqapps.run("tiny.yaml", output="whole", settings=settings)

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(running, "write_report", killed)
        with pytest.raises(KeyboardInterrupt):
            seqapps.run("tiny.yaml", output="cut", settings=settings)
    for _ in range(2):
        cut = seqapps.run("tiny.yaml", output="cut", settings=settings, resume=True)
    assert curves("whole") == curves("cut")
    assert_same_weights("whole", "cut")
    assert whole.read_json("report.json")["metrics"] == cut.read_json("report.json")["metrics"]


def test_a_longer_run_that_is_killed_has_not_finished(folder, monkeypatch):
    import seqapps.application.running as running

    def killed(*arguments):
        raise KeyboardInterrupt

    seqapps.run("tiny.yaml", output="whole", settings=["training.epochs=3"])
    seqapps.run("tiny.yaml", output="cut", settings=["training.epochs=1"])
    with monkeypatch.context() as patch:
        patch.setattr(running, "write_report", killed)
        with pytest.raises(KeyboardInterrupt):
            seqapps.run("tiny.yaml", output="cut", settings=["training.epochs=3"], resume=True)
    assert not Path("cut/report.json").exists()
    seqapps.run("tiny.yaml", output="cut", settings=["training.epochs=3"], resume=True)
    assert curves("whole") == curves("cut")
    assert Path("cut/report.json").exists()


def test_a_run_made_longer_says_so_and_is_then_finished(folder, capsys):
    seqapps.run("tiny.yaml", settings=["training.max_steps=5"])
    longer = ["training.max_steps=8"]
    for _ in range(2):
        run = seqapps.run("tiny.yaml", settings=longer, resume=True)
    assert run.read_json("report.json")["training"]["steps"] == 8
    assert "max_steps: 8" in run.read_json("report.json")["recipe"]
    assert "nothing to resume" in capsys.readouterr().err


def test_a_resumed_run_says_what_has_changed_around_it(folder):
    seqapps.run("tiny.yaml", settings=["training.max_steps=3"])
    environment = RunFolder("runs/tiny").read_json("environment.json")
    environment["versions"]["torch"] = "1.0"
    RunFolder("runs/tiny").write_json("environment.json", environment)
    run = seqapps.run("tiny.yaml", settings=["training.max_steps=4"], resume=True)
    (note,) = [n for n in run.read_json("report.json")["data"]["notes"] if "resumed under other conditions" in n]
    assert "'torch': '1.0'" in note


def test_a_folder_of_other_things_is_left_alone(folder):
    Path("precious").mkdir()
    Path("precious/thesis.txt").write_text("x")
    with pytest.raises(RunError, match="precious: the folder is not empty and holds no run"):
        seqapps.run("tiny.yaml", output="precious", overwrite=True)
    with pytest.raises(RunError, match="the folder cannot be made"):
        seqapps.run("tiny.yaml", output="train.txt/x")
    run = seqapps.run("tiny.yaml", settings=["training.epochs=1"])
    (run / "notes.txt").write_text("mine")
    seqapps.run("tiny.yaml", settings=["training.epochs=1"], overwrite=True)
    assert (run / "notes.txt").read_text() == "mine"
    assert Path("precious/thesis.txt").read_text() == "x"


def test_a_sentence_that_breaks_the_tag_scheme_is_found_before_a_crf_is_trained(folder):
    rows = [{"tokens": ["a", "b"], "pos_tags": ["B-X", "I-X"]}] * 50 + [
        {"tokens": ["a", "b"], "pos_tags": ["O", "I-X"]}
    ]
    Path("spans.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf8")
    source = "data.source={type: tables, train: spans.jsonl, validation: spans.jsonl, test: spans.jsonl}"
    with pytest.raises(
        DataError, match=r"split 'train', row 51, token 2: .*I-X.*; the labels follow scheme 'bio' otherwise"
    ):
        seqapps.run("tiny.yaml", settings=[source, "model.head.crf=true"])
    assert not Path("runs").exists()
    seqapps.run(
        "tiny.yaml", settings=[source, "model.head.crf=true", "model.head.constraints=false", "training.epochs=1"]
    )


def test_a_schedule_that_watches_needs_something_to_watch(folder):
    settings = ["data.source.validation=null", "training.schedule=plateau"]
    with pytest.raises(DataError, match="has no split 'validation'"):
        seqapps.run("tiny.yaml", settings=settings)


def test_resuming_with_another_recipe_is_refused(folder):
    seqapps.run("tiny.yaml", settings=["training.epochs=1"])
    with pytest.raises(RunError, match=r"its recipe differs from this one \(here: .*hidden_size: 11"):
        seqapps.run("tiny.yaml", settings=["training.epochs=1", "model.encoder.hidden_size=11"], resume=True)


def test_resuming_on_changed_data_is_refused(folder):
    seqapps.run("tiny.yaml", settings=["training.epochs=1"])
    with Path("train.txt").open("a", encoding="utf8") as file:
        file.write("the\tDET\n\n")
    with pytest.raises(RunError, match="the data changed since it was started"):
        seqapps.run("tiny.yaml", settings=["training.epochs=2"], resume=True)


COMMAND = [sys.executable, "-m", "seqapps", "run", "tiny.yaml", "--set", "training.epochs=12"]
SCHEDULE = ["--set", "training.schedule={type: plateau, decay: 0.5, patience: 1}", "--set", "training.save_every=0.01"]


def test_a_run_records_how_its_cells_are_run(folder, capsys):
    run = seqapps.run("tiny.yaml", settings=["training.epochs=1", "model.encoder.cell={type: lstm, peephole: full}"])
    cells = run.read_json("environment.json")["cells"]
    assert cells["encoder.layers.0.0"] == "LSTM by reference"
    assert cells["embedder.characters.encoder.layers.0.0"] == "LSTM by native"
    assert "runs/tiny: LSTM by native, 2 times" in capsys.readouterr().err


@pytest.mark.skipif(not works(), reason="no C compiler")
def test_the_record_of_kernels_is_of_training_in_its_precision(folder):
    run = seqapps.run("tiny.yaml", settings=["model.encoder.cell=gru", "training.precision=bf16"])
    assert run.read_json("environment.json")["cells"]["encoder.layers.0.0"] == "GRU by compiled"


def test_a_kernel_that_cannot_run_a_cell_is_told_before_anything_is_written(folder):
    with pytest.raises(
        UseError,
        match=r"training.kernels, for embedder\.characters\..*layers.0.0: kernel 'scan' cannot run LSTM: it is",
    ):
        seqapps.run("tiny.yaml", settings=["model.encoder.cell=lstm", "training.kernels=scan"])
    assert not Path("runs").exists()


# A cell that runs by a generated kernel, and everything that is drawn within the recurrence.
DRAWN = [
    "model.encoder={type: recurrent, cell: {type: lstm, peephole: diagonal}, hidden_size: 8, bidirectional: true, "
    "dropout: 0.2, recurrent_dropout: 0.2, weight_drop: 0.2, zoneout: 0.2}"
]


@pytest.mark.slow
@pytest.mark.parametrize(("blow", "settings"), [(signal.SIGKILL, []), (signal.SIGINT, []), (signal.SIGKILL, DRAWN)])
def test_a_killed_run_resumes_on_the_identical_trajectory(folder, blow, settings):
    command = [*COMMAND, *SCHEDULE, *(part for setting in settings for part in ("--set", setting))]
    subprocess.run([*command, "--output", "whole"], check=True, capture_output=True)
    journal = Path("cut/journal.jsonl")
    with subprocess.Popen([*command, "--output", "cut"], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not (journal.exists() and journal.read_text(encoding="utf8").count('"evaluation"') >= 2):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(blow)
    assert (process.returncode == 0) == (blow == signal.SIGINT)
    assert len(curves("cut")) < 12
    subprocess.run([*command, "--output", "cut", "--resume"], check=True, capture_output=True)
    assert curves("whole") == curves("cut")
    assert_same_weights("whole", "cut")


def test_a_run_that_another_process_writes_is_refused_and_a_dead_ones_lock_is_not(folder):
    holder = (
        "import sys; from seqapps.engine.run_folder import RunFolder; "
        "run = RunFolder('runs/tiny'); run.lock(); print('held', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", holder], **pipes) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(RunError, match="runs/tiny: another process is writing this run"):
            seqapps.run("tiny.yaml", settings=["training.epochs=1"])
        process.kill()
    seqapps.run("tiny.yaml", settings=["training.epochs=1"])


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_model(folder):
    settings = [
        "training.optimizer={type: sgd, lr: 1e30}",
        "training.clip_norm=null",
        "model.encoder.cell={type: rnn, nonlinearity: relu}",
    ]
    with pytest.raises(
        TrainingError, match=r"step \d+: the (loss|gradient norm) is (nan|inf) in the batch of training rows \d+"
    ):
        seqapps.run("tiny.yaml", settings=settings)
    assert '"failure"' in Path("runs/tiny/journal.jsonl").read_text(encoding="utf8")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (["model.head.type=taging"], RecipeError, r"unknown head 'taging'; did you mean 'tagging'\?"),
        (["model.encoder.hiden_size=3"], RecipeError, r"unknown field 'hiden_size'"),
        (["training.epochs=many"], RecipeError, r"expected .*int.*'many'"),
        (["data.source.train=nothing.txt"], DataError, "nothing.txt: no such file; looked for"),
        (["evaluation.splits=[tset]"], DataError, r"has no split 'tset'; did you mean 'test'\?"),
        (["training.device=cuda:7"], UseError, r"training.device: 'cuda:7' is not there, this machine has"),
        (["training.precision=fp16"], UseError, "fp16 needs a CUDA device"),
        (["training.stop={patience: 1, metric: f1}"], UseError, r"training.stop.metric: 'f1' is not measured here"),
        (["model.freeze=['embeder.*']"], UseError, r"model.freeze: 'embeder.\*' matches no parameter"),
        (["training.optimizer={type: adam, lr: -1}"], RecipeError, "lr is -1.0, expected more than 0"),
        (["training.kernels=natve"], RecipeError, r"unknown kernel 'natve'; did you mean 'native'\?"),
        (["model.freeze=['*']"], UseError, "nothing is left to train"),
        (["model.head.column=tags"], DataError, "no column 'tags'"),
    ],
)
def test_wrong_recipes_say_what_is_wrong_before_anything_is_written(folder, settings, error, message):
    with pytest.raises(error, match=message) as caught:
        seqapps.run("tiny.yaml", settings=settings)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert not os.path.exists("runs")


def test_frozen_parameters_keep_their_values(folder):
    seqapps.run("tiny.yaml", output="free", settings=["training.epochs=1"])
    seqapps.run("tiny.yaml", output="frozen", settings=["training.epochs=1", "model.freeze=['embedder.*']"])
    seqapps.run("tiny.yaml", output="again", settings=["training.epochs=2", "model.freeze=['embedder.*']"])
    name = "embedder.table.weight"
    assert (weights("frozen")[name] == weights("again")[name]).all()
    assert (weights("free")[name] != weights("frozen")[name]).any()
    assert "parameters are frozen" in json.dumps(RunFolder("frozen").read_json("environment.json")["notes"])


def test_another_runs_parts_are_a_start_and_rows_are_matched_by_symbol(folder):
    seqapps.run("tiny.yaml", output="first", settings=["training.epochs=1"])
    text = Path("train.txt").read_text(encoding="utf8")
    Path("train.txt").write_text(text.replace("cat", "zebra"), encoding="utf8")  # "cat" leaves, "zebra" comes
    settings = ["model.init_from={run: first}", "training.optimizer={type: sgd, lr: 1e-30}", "training.epochs=1"]
    run = seqapps.run("tiny.yaml", output="second", settings=settings)
    before, after = weights("first"), weights("second")
    old, new = (
        RunFolder(r).read_json("resources.json")["vocabularies"]["tokens"]["symbols"] for r in ("first", "second")
    )
    assert "zebra" in new
    assert "cat" not in new
    for word in ("dog", "the"):
        row = before["embedder.table.weight"][old.index(word)]
        assert (row == after["embedder.table.weight"][new.index(word)]).all()
    weight = "encoder.layers.0.0.recurrent.weight"
    assert (before[weight] == after[weight]).all()
    assert (before["head.output.weight"] != after["head.output.weight"]).any()
    assert "matched by symbol" in json.dumps(run.read_json("environment.json")["notes"])


def test_parts_of_other_sizes_are_refused_by_name(folder):
    seqapps.run("tiny.yaml", output="first", settings=["training.epochs=1"])
    with pytest.raises(UseError, match=r"model.init_from: encoder.layers.0.0.* has shape .* in .*first, .* here"):
        seqapps.run("tiny.yaml", settings=["model.init_from={run: first}", "model.encoder.hidden_size=11"])


def test_pretrained_vectors_start_the_rows_of_their_words(folder):
    numbers = " ".join(["0.25"] * 12)
    Path("words.vec").write_text(f"2 12\ncat {numbers}\nunheard {numbers}\n", encoding="utf8")
    settings = ["model.embedder.vectors=words.vec", "model.freeze=['embedder.table.weight']", "training.epochs=1"]
    seqapps.run("tiny.yaml", output="some", settings=settings)
    seqapps.run("tiny.yaml", output="all", settings=[*settings, "model.embedder.vectors_words=all"])
    for name, words in (("some", ["cat"]), ("all", ["cat", "unheard"])):
        symbols = RunFolder(name).read_json("resources.json")["vocabularies"]["tokens"]["symbols"]
        assert ("unheard" in symbols) == (name == "all")
        for word in words:
            assert weights(name)["embedder.table.weight"][symbols.index(word)].tolist() == [0.25] * 12


def test_a_contested_or_unknown_label_is_told_and_counts_as_an_error(folder, capsys):
    with Path("test.txt").open("a", encoding="utf8") as file:
        file.write("the\tQQQ\n\n")
    page = seqapps.run("tiny.yaml", settings=["training.epochs=1"]).read_json("report.json")
    message = "1 label of pos_tags in test never seen in training (QQQ; 1 tokens): they count as errors"
    assert message in page["data"]["notes"]
    assert message in capsys.readouterr().err
