"""Imports point one way, and what is public is there."""

import ast
from pathlib import Path

import seqapps

ROOT = Path(seqapps.__file__).parent
# A module may import from its own layer and from those before it.
LAYERS = [
    ["errors", "registry", "installation", "schemes"],
    ["recipe"],
    ["data"],
    ["metrics", "baselines"],
    ["cells"],
    ["kernels"],
    ["modules"],
    ["heads"],
    ["testing"],
    ["engine"],
    ["diagnostics"],
    ["report"],
    ["application"],
    ["cli"],
    ["__init__", "__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
LIGHT = ["errors", "registry", "installation", "schemes", "recipe", "cli", "__init__", "__main__"]
HEAVY = {"torch", "datasets", "numpy", "matplotlib", "jinja2", "pyarrow", "seqeval", "sacrebleu", "safetensors"}


def imports(path):
    """(module, at module level?) for every import statement; those under TYPE_CHECKING are left out."""
    tree = ast.parse(path.read_text(encoding="utf8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) in top


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        yield path, path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_imports_point_up_the_list_of_layers_only():
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path, room in modules()
        for module, _ in imports(path)
        if module.startswith("seqapps.") and LEVEL[module.split(".")[1]] > LEVEL[room]
    ]
    assert wrong == []


def test_data_and_metrics_do_not_know_each_other():
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path, room in modules()
        for module, _ in imports(path)
        if (room, module.split(".")[:2]) in (("data", ["seqapps", "metrics"]), ("metrics", ["seqapps", "data"]))
    ]
    assert wrong == []


def test_recipes_registry_and_command_line_import_nothing_heavy():
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path, room in modules()
        for module, top in imports(path)
        if room in LIGHT and top and module.split(".")[0] in HEAVY
    ]
    assert wrong == []


def test_kernels_are_reached_only_through_the_registry():
    wrong = [
        str(path.relative_to(ROOT))
        for path, room in modules()
        for module, _ in imports(path)
        if module.startswith("seqapps.kernels") and room != "kernels"
    ]
    assert wrong == []


def test_everything_public_can_be_had_and_has_a_docstring():
    for name in seqapps.__all__:
        assert getattr(seqapps, name).__doc__
    assert set(seqapps.__all__) <= set(dir(seqapps))


def test_no_room_is_called_after_nothing():
    assert not [p for p, _ in modules() if p.stem in {"utils", "helpers", "common", "base", "misc"}]
