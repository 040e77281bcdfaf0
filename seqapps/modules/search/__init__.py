"""Search: one engine for everything that writes token by token. `search` is the door; `Generator` what it drives."""

from seqapps.modules.search.engine import search
from seqapps.modules.search.generator import Ensemble, Generator, Hypothesis, Step
from seqapps.modules.search.options import SearchOptions

__all__ = ["Ensemble", "Generator", "Hypothesis", "SearchOptions", "Step", "search"]
