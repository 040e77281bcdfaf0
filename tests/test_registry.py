"""Names to components: who owns a name, what is imported when, and what a signature may say."""

import sys

import pytest

from seqapps import registry as registry_module
from seqapps.errors import ComponentError
from seqapps.installation import EntryPoint, checkout, declared_entry_points, installed_entry_points, stale_hint
from seqapps.registry import KINDS, Registry, check_signature, registry


@pytest.fixture
def cells(monkeypatch):
    """A registry of cells that looks at the installed distributions anew."""
    registry_module._installed_points.cache_clear()
    yield Registry("cells", "cell", "")
    registry_module._installed_points.cache_clear()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution with entry points of cells, and its module, on sys.path."""

    def install(distribution, cells, code, version="1.0", folder="site"):
        site = tmp_path / folder
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        points = "".join(f"{name} = {target}\n" for name, target in cells.items())
        (info / "entry_points.txt").write_text(f"[seqapps.cells]\n{points}")
        for module, text in code.items():
            (site / f"{module}.py").write_text(text)
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(site)

    return install


GOOD = "class Janet:\n    def __init__(self, input_size, /, *, bias: bool = True): ...\n"


def test_a_name_of_another_distribution_is_found_and_has_an_owner(cells, install):
    install("seqapps-janet", {"janet": "janet_cells:Janet"}, {"janet_cells": GOOD}, version="0.2")
    assert "janet" in cells
    assert "janet" in list(cells)
    assert cells.entry("janet").owner == "seqapps-janet 0.2"
    assert cells.load("janet").__name__ == "Janet"


def test_listing_imports_nothing(cells, install):
    install("seqapps-janet", {"janet": "janet_cells:Janet"}, {"janet_cells": GOOD})
    cells.names()
    cells.entry("janet")
    assert "janet_cells" not in sys.modules


def test_a_name_owned_twice_is_an_error_that_names_both_owners(cells, install):
    install("seqapps-janet", {"janet": "janet_cells:Janet"}, {"janet_cells": GOOD})
    install("other-cells", {"janet": "others:Janet", "xyz": "others:Janet"}, {"others": GOOD}, version="3")
    with pytest.raises(
        ComponentError, match=r"cell 'janet' is owned by other-cells 3 .* and seqapps-janet 1\.0"
    ) as error:
        cells.load("janet")
    assert "uninstall one of them" in str(error.value)
    assert cells.load("xyz").__name__ == "Janet", "the others are not touched"


def test_a_distribution_found_twice_is_one_owner(cells, install):
    install("seqapps-janet", {"janet": "janet_cells:Janet"}, {"janet_cells": GOOD}, version="1")
    install("Seqapps_Janet", {"janet": "janet_cells:Janet"}, {"janet_cells": GOOD}, version="2", folder="first")
    assert cells.entry("janet").version == "2"


def test_a_plugin_that_cannot_be_imported_breaks_only_its_own_names(cells, install):
    install("seqapps-janet", {"janet": "janet_cells:Janet"}, {"janet_cells": GOOD})
    install("broken", {"snapped": "snapped:Cell"}, {"snapped": "1 / 0"})
    assert {"janet", "snapped"} <= set(cells.names())
    assert cells.load("janet").__name__ == "Janet"
    with pytest.raises(ComponentError) as error:
        cells.load("snapped")
    message = "cell 'snapped' of broken 1.0 cannot be imported (snapped:Cell): ZeroDivisionError: division by zero"
    assert str(error.value) == message
    assert isinstance(error.value.__cause__, ZeroDivisionError)


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(ComponentError, match=r"unknown cell 'lsmt'; did you mean 'lstm'\?"):
        registry("cells").load("lsmt")


def test_a_kind_is_known_by_plural_and_singular():
    assert registry("cell") is registry("cells") is KINDS["cells"]
    with pytest.raises(ComponentError, match=r"unknown kind 'celsl'; did you mean 'cells'\?"):
        registry("celsl")


def test_the_decorator_registers_for_this_process(cells):
    @cells.register("toy")
    class Toy:
        pass

    assert cells.load("toy") is Toy
    assert cells.entry("toy").owner == "this process"
    with pytest.raises(ComponentError, match="cell 'toy' is taken by this process"):
        cells.register("toy")(type("Other", (), {}))
    again = type("Toy", (), {"__module__": Toy.__module__, "__qualname__": Toy.__qualname__})
    assert cells.register("toy")(again) is cells.load("toy"), "a notebook cell that runs again replaces its class"


def test_the_decorator_does_not_take_an_installed_name(cells):
    with pytest.raises(ComponentError, match=r"cell 'lstm' is taken by seqapps .*; choose another name"):
        cells.register("lstm")(type("Mine", (), {}))


def test_a_signature_has_resources_and_fields_only():
    class Good:
        def __init__(self, input_size, hidden_size, /, *, bias: bool = True): ...

    class NoSuchResource:
        def __init__(self, input_sise, /): ...

    class Either:
        def __init__(self, bias: bool = True): ...

    class Anything:
        def __init__(self, **fields): ...

    check_signature(Good, "Good")
    check_signature(type("Empty", (), {}), "Empty")
    with pytest.raises(ComponentError, match=r"X: .*'input_sise' is no resource; did you mean 'input_size'\?"):
        check_signature(NoSuchResource, "X")
    for wrong in (Either, Anything):
        with pytest.raises(ComponentError, match=r"neither positional-only .* nor keyword-only"):
            check_signature(wrong, "X")


def test_installed_entry_points_are_those_of_setup_cfg():
    folder = checkout()
    if folder is None:
        pytest.skip("seqapps is not installed editable")
    assert installed_entry_points() == declared_entry_points(folder), "run pip install -e ."
    assert stale_hint() == ""


def test_a_stale_editable_install_is_answered_with_the_command_that_refreshes_it(monkeypatch, tmp_path):
    monkeypatch.setattr("seqapps.installation.installed_entry_points", lambda: set())
    if checkout() is None:
        pytest.skip("seqapps is not installed editable")
    monkeypatch.chdir(tmp_path)
    hint = f"; setup.cfg of seqapps is newer than its installed entry points: run pip install -e {checkout()}"
    assert stale_hint() == hint
    with pytest.raises(ComponentError) as error:
        registry("cells").load("lsmt")
    assert str(error.value) == f"unknown cell 'lsmt'; did you mean 'lstm'?{hint}"


def test_entry_points_of_a_setup_cfg_are_read_as_pip_reads_them(tmp_path):
    (tmp_path / "setup.cfg").write_text(
        "[metadata]\nname = x\n[options.entry_points]\nseqapps.cells =\n    Janet = a.b:C\n    gru=a:D\n"
    )
    assert declared_entry_points(tmp_path) == {
        EntryPoint("seqapps.cells", "Janet", "a.b:C"),
        EntryPoint("seqapps.cells", "gru", "a:D"),
    }
