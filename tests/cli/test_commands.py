"""What each command hands on, prints and refuses."""

import json
import re
from pathlib import Path

import pytest

from seqapps.errors import DataError, Fault, RecipeError, RunError, TrainingError


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "r.yaml"
    path.write_text("data: {source: nowhere}\n")
    return path


def test_run_hands_everything_on_and_ends_with_the_headline_and_the_report(seqapps, application, recipe):
    result = seqapps(
        "run", "r.yaml", "--output", "out", "--set", "a.b=1", "--set", "c=2", "--data-root", ".", "--resume"
    )
    assert result.exit_code == 0, result.output
    options = {
        "output": Path("out"),
        "settings": ("a.b=1", "c=2"),
        "data_root": Path("."),
        "resume": True,
        "overwrite": False,
    }
    assert application.calls == [("run", (Path("r.yaml"),), options)]
    assert result.stdout.splitlines() == [
        "accuracy 92.81 % (95 % interval 92.40 to 93.20)",
        str(Path("runs/r/report.html")),
    ]


def test_resume_and_overwrite_exclude_each_other(seqapps, application, recipe):
    result = seqapps("run", "r.yaml", "--resume", "--overwrite")
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr
    assert application.calls == []


def test_a_shipped_recipe_can_be_run_by_its_name(seqapps, application, recipe):
    assert seqapps("run", "pos_bilstm").exit_code == 0
    assert application.calls[0][1][0].name == "pos_bilstm.yaml"
    assert application.calls[0][1][0].is_file()


@pytest.mark.parametrize("command", ["run", "check", "plan"])
def test_a_recipe_that_is_nowhere_gets_a_suggestion(seqapps, application, recipe, command):
    result = seqapps(command, "pos_bilsm")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: pos_bilsm: no such file, and no recipe of that name is shipped; did you mean 'pos_bilstm'?\n"
    )


def test_evaluate_prints_an_aligned_table(seqapps, application):
    result = seqapps("evaluate", "runs/r", "--split", "test")
    expected = {"split": "test", "file": None, "data_root": None, "others": ()}
    assert application.calls == [("evaluate", (Path("runs/r"),), expected)]
    assert result.stdout.splitlines() == [
        "accuracy                    92.81 %    95 % interval 92.40 to 93.20",
        "accuracy_out_of_vocabulary  undefined",
        "perplexity                  31.50",
    ]


def test_evaluate_prints_the_report_as_json(seqapps, application):
    assert json.loads(seqapps("evaluate", "runs/r", "--json").stdout)["metrics"]["accuracy"]["value"] == 0.92814


def test_evaluate_takes_a_split_or_a_file(seqapps, application, recipe):
    assert seqapps("evaluate", "runs/r", "--split", "test", "--file", "r.yaml").exit_code == 2


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_predict_reads_standard_input(seqapps, application, arguments):
    result = seqapps("predict", "runs/r", *arguments, "--format", "jsonl", input="grüße\nb\n".encode())
    assert application.calls == [("load", (Path("runs/r"),), {"device": "auto", "others": ()})]
    assert result.stdout_bytes.decode() == "GRÜSSE jsonl\nB jsonl\n"


def test_predict_reads_a_file(seqapps, application, recipe):
    assert seqapps("predict", "runs/r", "r.yaml").stdout == "DATA: {SOURCE: NOWHERE} text\n"


def test_predict_writes_before_it_has_read_everything(seqapps, application):
    seen = []

    class Watching(type(application.load())):
        def stream(self, examples):
            for example in examples:
                seen.append(("read", example))
                yield example

        def write(self, prediction, format):
            seen.append(("written", prediction))
            return prediction

    application.load = lambda run, device, others: Watching()
    seqapps("predict", "runs/r", input="a\nb\n")
    assert seen == [("read", "a"), ("written", "a"), ("read", "b"), ("written", "b")]


def test_report_prints_where_it_is(seqapps, application):
    assert seqapps("report", "runs/r").stdout == f"{Path('runs/r/report.html')}\n"


def test_plan_prints_text_or_json(seqapps, application, recipe):
    assert seqapps("plan", "r.yaml", "--set", "a=1").stdout == "12 parameters\n"
    assert application.calls == [("plan", (Path("r.yaml"),), {"settings": ("a=1",), "data_root": None})]
    assert json.loads(seqapps("plan", "r.yaml", "--json").stdout) == {"parameters": 12}


def test_check_prints_the_faults_of_a_recipe_as_they_are(seqapps, recipe):
    recipe.write_text("dta: {}\nmodel: 3\n")
    result = seqapps("check", "r.yaml", "--set", "training.epochs=x")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "r.yaml:1:1: unknown section 'dta' of the recipe; did you mean 'data'?",
        "r.yaml:2:8: expected a mapping for 'model' of the recipe, got 3",
        "--set training.epochs: expected an integer for 'epochs' of section 'training', got 'x'",
    ]


def test_check_prints_faults_as_json(seqapps, recipe):
    result = seqapps("check", "r.yaml", "--json")
    assert result.exit_code == 2
    faults = json.loads(result.stdout)["faults"]
    assert faults[0]["where"] == "r.yaml:1:1"
    assert faults[0]["message"] == "the recipe has no 'model', which is required"


def test_check_warns_of_data_that_is_not_there(seqapps, application, recipe, monkeypatch):
    monkeypatch.setattr("seqapps.recipe.load_recipe", lambda path, settings: "a recipe")
    application.missing_data = lambda recipe, folder, root: [f"{recipe} in {folder}: train.conllu is not there"]
    result = seqapps("check", "r.yaml")
    assert result.exit_code == 0
    assert result.stdout == "r.yaml: no faults\n"
    assert result.stderr == "warning: a recipe in .: train.conllu is not there\n"
    assert json.loads(seqapps("check", "r.yaml", "--json").stdout)["faults"] == []


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (RunError("runs/r: is locked; wait"), 2, "error: runs/r: is locked; wait\n"),
        (DataError("a/train.conllu:8: 9 columns"), 2, "a/train.conllu:8: 9 columns\n"),
        (TrainingError("step 3: the loss is nan"), 1, "error: step 3: the loss is nan\n"),
        (RecipeError([Fault("r.yaml:1:1", "one"), Fault("--set a", "two")]), 2, "r.yaml:1:1: one\n--set a: two\n"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(seqapps, application, recipe, error, code, shown):
    def fails(*args, **options):
        raise error

    application.run = fails
    result = seqapps("run", "r.yaml")
    assert (result.exit_code, result.stderr, result.stdout) == (code, shown, "")
    with_traceback = seqapps("--traceback", "run", "r.yaml")
    assert with_traceback.exit_code == code
    assert "Traceback" in with_traceback.stderr
    assert "in fails" in with_traceback.stderr


def test_an_interrupt_exits_with_130(seqapps, application, recipe):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    application.run = interrupted
    result = seqapps("run", "r.yaml")
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


def test_an_error_that_nobody_foresaw_is_not_hidden(seqapps, application, recipe):
    def broken(*args, **options):
        raise ZeroDivisionError("a bug")

    application.run = broken
    result = seqapps("run", "r.yaml")
    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)


def test_an_unknown_command_gets_a_suggestion(seqapps):
    result = seqapps("predct")
    assert (result.exit_code, result.stderr) == (2, "error: unknown command 'predct'; did you mean 'predict'?\n")


def test_list_shows_every_kind_with_its_names(seqapps):
    output = seqapps("list").stdout
    assert "cells (" in output
    assert " lstm " in output.replace("\n", " ")
    assert set(json.loads(seqapps("list", "--json").stdout)) >= {"cells", "heads", "commands"}


def test_list_understands_singular_and_plural(seqapps):
    assert seqapps("list", "cell").stdout == seqapps("list", "cells").stdout
    assert re.search(r"(?m)^lstm +seqapps ", seqapps("list", "cell").stdout)


def test_an_unknown_kind_gets_a_suggestion(seqapps):
    assert seqapps("list", "sels").exit_code == 2
    assert "did you mean 'cells'?" in seqapps("list", "celsl").stderr


def test_describe_shows_owner_docstring_fields_and_resources(seqapps, monkeypatch):
    from seqapps.registry import KINDS

    class Leaky:
        """Leaks.

        h = a h
        """

        def __init__(self, input_size: int, /, *, rate: float = 0.5, size: int): ...

    monkeypatch.setattr(KINDS["cells"], "_local", {"leaky": Leaky})
    lines = seqapps("describe", "cell", "leaky").stdout.splitlines()
    assert lines[0].startswith("cell leaky of this process (")
    assert lines[1:] == [
        "",
        "Leaks.",
        "",
        "h = a h",
        "",
        "field  type   default",
        "rate   float  0.5",
        "size   int    required",
        "",
        "supplied by the library: input_size",
    ]
    described = json.loads(seqapps("describe", "cells", "leaky", "--json").stdout)
    assert described["fields"][1] == {"name": "size", "type": "int", "default": "required"}
    assert described["resources"] == ["input_size"]


def test_cp_copies_a_shipped_recipe_and_never_overwrites(seqapps, recipe):
    assert seqapps("cp", "pos_bilstm").exit_code == 0
    copied = recipe.parent / "pos_bilstm.yaml"
    assert "hkcancor" in copied.read_text()
    copied.write_text("mine")
    result = seqapps("cp", "pos_bilstm")
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert copied.read_text() == "mine"


def test_cp_lists_shipped_recipes(seqapps):
    assert "pos_bilstm" in seqapps("cp").stdout.splitlines()


def test_cp_copies_what_a_recipe_extends_along(seqapps, recipe):
    Path("other.yaml").write_text("extends: r.yaml\n")
    Path("to").mkdir()
    assert seqapps("cp", "other.yaml", "to").exit_code == 0
    assert Path("to/r.yaml").read_bytes() == recipe.read_bytes()
    assert seqapps("cp", "other.yaml", "to/third.yaml").exit_code == 0, "the same base is there already"
    Path("to/r.yaml").write_text("edited")
    assert seqapps("cp", "other.yaml", "to/fourth.yaml").exit_code == 2
    assert not Path("to/fourth.yaml").exists()


def test_version_is_that_of_the_distribution(seqapps):
    from importlib.metadata import version

    assert seqapps("--version").stdout == f"seqapps {version('seqapps')}\n"
