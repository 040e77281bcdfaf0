"""A component as a recipe describes it: kind, name and checked fields; not yet constructed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from seqapps.errors import ComponentError
from seqapps.registry import registry

__all__ = ["Mark", "Spec"]


class Mark(NamedTuple):
    """A position: `source` is a file name or `--set KEY`; line and column count from 1, and are 0 if there are none."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True)
class Spec:
    """A component to be built: `kind` (plural, "cells"), `name` ("lstm"), and its complete, checked `fields`.

    A field that names a component of its own is annotated `Annotated[Spec, "cells"]` and holds another Spec.
    """

    kind: str
    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    mark: Mark = field(default=Mark("default"), compare=False)

    @property
    def target(self) -> Any:
        """The class, imported now."""
        return registry(self.kind).load(self.name)

    def build(self, **resources: Any) -> Any:
        """Construct the component: each resource that its signature asks for is taken from `resources` by name.

        Raises ComponentError if it asks for one that is not offered here.
        """
        target = self.target
        wanted = [p.name for p in inspect.signature(target).parameters.values() if p.kind is p.POSITIONAL_ONLY]
        for name in wanted:
            if name not in resources:
                offered = ", ".join(sorted(resources)) or "none"
                raise ComponentError(
                    f"{self.mark}: {registry(self.kind).noun} {self.name!r} asks for {name!r}; offered here: {offered}"
                )
        return target(*(resources[name] for name in wanted), **self.fields)

    def walk(self) -> Iterator[Spec]:
        """This spec and every spec inside its fields, outermost first."""
        yield self
        for value in self.fields.values():
            for inner in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(inner, Spec):
                    yield from inner.walk()
