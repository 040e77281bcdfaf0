"""What a recipe would do."""

from pathlib import Path

import seqapps
from seqapps.application import format_plan, missing_data
from seqapps.recipe import load_recipe


def test_a_plan_counts_what_a_run_trains(folder):
    page = seqapps.plan("tiny.yaml")
    report = seqapps.run("tiny.yaml", settings=["training.epochs=1"]).read_json("report.json")
    assert page["total"] == sum(p["count"] for p in page["parameters"]) == report["model"]["parameters"]
    assert page["steps_per_epoch"] == report["training"]["steps"]
    assert page["data"]["train"]["sentences"] == 120
    assert page["memory"]["weights"] == 4 * page["total"]
    assert page["memory"]["optimizer"] >= 8 * page["total"]
    assert page["memory"]["largest_batch"] > 0


def test_a_plan_counts_the_average_of_the_weights(folder):
    plain, averaged = (seqapps.plan("tiny.yaml", settings=s)["memory"] for s in ([], ["training.average=0.9"]))
    assert "average" not in plain
    assert averaged["average"] == averaged["weights"]


def test_origins_say_where_a_value_was_given(folder):
    page = seqapps.plan("tiny.yaml", settings=["training.seed=7"])
    assert page["origins"]["training.seed"] == "--set training.seed"
    assert page["origins"]["model.encoder.hidden_size"].startswith("tiny.yaml:12:")
    assert page["origins"]["training.accumulate"] == "default"
    assert "seed: 7" in page["recipe"]


def test_without_data_sizes_are_symbols(folder):
    real = seqapps.plan("tiny.yaml")
    Path("train.txt").unlink()
    page = seqapps.plan("tiny.yaml")
    assert page["missing"][0].startswith("train.txt: no such file")
    shapes = {p["name"]: p["shape"] for p in page["parameters"]}
    assert shapes["embedder.table.weight"] == ["|tokens|", 12]
    assert shapes["head.output.weight"] == ["|pos_tags|", 20]
    # Put the real sizes in the place of the symbols and the totals agree.
    sizes = {"|tokens|": 11, "|tokens.characters|": None, "|pos_tags|": 4}
    by_name = {p["name"]: p for p in real["parameters"]}
    sizes = {
        "|tokens|": by_name["embedder.table.weight"]["shape"][0],
        "|tokens.characters|": by_name["embedder.characters.table.weight"]["shape"][0],
        "|pos_tags|": by_name["head.output.weight"]["shape"][0],
    }
    total = page["total"].replace(",", "").replace(" x ", " * ")
    for symbol, size in sizes.items():
        total = total.replace(symbol, str(size))
    assert eval(total) == real["total"]
    assert "|tokens|" in format_plan(page)


def test_a_plan_as_text_holds_recipe_shapes_and_memory(folder):
    text = format_plan(seqapps.plan("tiny.yaml"))
    for part in ("hidden_size: 10", "embedder.table.weight", "steps per epoch", "memory of a training step"):
        assert part in text


def test_missing_files_are_told_without_reading_anything(folder):
    recipe = load_recipe("tiny.yaml")
    assert missing_data(recipe, folder, None) == []
    Path("dev.txt").unlink()
    (line,) = missing_data(recipe, folder, None)
    assert line.startswith("dev.txt: no such file")


def test_a_plan_measures_a_generated_kernel_too(folder):
    settings = ["model.encoder.cell={type: lstm, peephole: diagonal}", "training.kernels=compiled"]
    compiled = seqapps.plan("tiny.yaml", settings=settings)["memory"]["largest_batch"]
    steps = seqapps.plan("tiny.yaml", settings=[*settings[:1], "training.kernels=reference"])["memory"]["largest_batch"]
    assert 0 < compiled < steps
