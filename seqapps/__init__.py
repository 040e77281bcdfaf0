"""seqapps: recurrent sequence models from YAML recipes.

    import seqapps

    folder = seqapps.run("recipes/pos_bilstm.yaml")       # train, evaluate, report
    tagger = seqapps.load(folder.path)                    # a finished run
    tagger.predict(["我 想 去 旅行"])

Importing seqapps imports nothing heavy; torch comes with the first call that needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqapps import cells
    from seqapps.application import evaluate, load, plan, run
    from seqapps.errors import SeqappsError, UseError
    from seqapps.recipe import load_recipe

__version__ = "0.1.0"

__all__ = ["SeqappsError", "UseError", "cells", "evaluate", "load", "load_recipe", "plan", "run"]

_HOMES = {
    "SeqappsError": "seqapps.errors",
    "UseError": "seqapps.errors",
    "evaluate": "seqapps.application",
    "load": "seqapps.application",
    "load_recipe": "seqapps.recipe",
    "plan": "seqapps.application",
    "run": "seqapps.application",
}


def __getattr__(name: str) -> Any:
    if name == "cells":
        return importlib.import_module("seqapps.cells")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'seqapps' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
