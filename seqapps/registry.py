"""Names to components: one registry per kind, fed by the entry points of every installed distribution.

Built-in components are entry points of seqapps' own `setup.cfg`, in the groups that third parties use, so nothing is
special about them. Listing imports nothing; a component is imported when a recipe names it. A name owned by two
distributions is an error that names both. A plugin that cannot be imported breaks only the recipe that names it.

    [options.entry_points]
    seqapps.cells =
        mgu = my_package:MinimalGatedUnit

In a notebook the decorator does the same for one process: `@seqapps.cells.register("mgu")`.

**Signature is schema.** A component is a class. Its positional-only constructor parameters are *resources*, which the
library supplies by name from `RESOURCES`; its keyword-only parameters are *fields* that a recipe may set, checked
against annotation and default. Anything else in the signature is an error.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from seqapps.errors import ComponentError, close_match

__all__ = ["KINDS", "RESOURCES", "Entry", "Registry", "check_signature", "registry"]

# What the library can hand to a constructor.
RESOURCES = (
    "input_size",  # int: features per position of what comes in
    "hidden_size",  # int: features of a cell's state
    "vocabularies",  # mapping: column -> Vocabulary
    "sizes",  # mapping: column -> int, feature sizes found in the data
    "embedder",  # the model's embedder
    "encoder",  # the model's encoder
    "vocabulary",  # Vocabulary of the text that a decoder writes
    "tokenizers",  # mapping: column of text -> Tokenizer
    "parameters",  # an optimizer's parameter groups
    "total_steps",  # int: optimizer steps planned for the run
)

Component = TypeVar("Component", bound=type)


class Entry(NamedTuple):
    """Where a name comes from: `target` is `module:attribute`, `distribution` and `version` say who owns it."""

    kind: str
    name: str
    target: str
    distribution: str
    version: str

    @property
    def owner(self) -> str:
        return f"{self.distribution} {self.version}".strip()


class Registry:
    """Components of one kind by name.

    Args:
        kind: plural name, as in `seqapps list cells`.
        noun: what one of them is called in messages.
        described: one line saying what this kind is for.
    """

    def __init__(self, kind: str, noun: str, described: str):
        self.kind, self.noun, self.described = kind, noun, described
        self._local: dict[str, type] = {}
        self._installed: dict[str, list[tuple[Entry, Any]]] | None = None

    @property
    def group(self) -> str:
        """The entry point group, `seqapps.<kind>`."""
        return f"seqapps.{self.kind}"

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self._local or name in self._found()

    def names(self) -> list[str]:
        """All names, sorted; nothing is imported."""
        return sorted({*self._local, *self._found()})

    def entry(self, name: str) -> Entry:
        """Who owns `name`. Raises ComponentError if nobody does, or more than one distribution."""
        if name in self._local:
            component = self._local[name]
            return Entry(self.kind, name, f"{component.__module__}:{component.__qualname__}", "this process", "")
        owners = self._found().get(name, [])
        if not owners:
            raise ComponentError(f"unknown {self.noun} {name!r}{close_match(name, self.names())}{_stale_install()}")
        if len(owners) > 1:
            named = " and ".join(sorted(f"{entry.owner} ({entry.target})" for entry, _ in owners))
            raise ComponentError(f"{self.noun} {name!r} is owned by {named}; uninstall one of them")
        return owners[0][0]

    def load(self, name: str) -> Any:
        """The component itself, imported now.

        Raises ComponentError if the name is unknown or owned twice, if the import fails (the reason is in the message
        and in `__cause__`), or if the signature breaks the contract of this module.
        """
        entry = self.entry(name)
        if name in self._local:
            return self._local[name]
        try:
            component = self._found()[name][0][1].load()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise ComponentError(
                f"{self.noun} {name!r} of {entry.owner} cannot be imported ({entry.target}): {reason}"
            ) from error
        check_signature(component, f"{self.noun} {name!r} of {entry.owner}")
        return component

    def register(self, name: str) -> Callable[[Component], Component]:
        """Class decorator: makes a component known by `name` in this process only."""

        def decorate(component: Component) -> Component:
            taken = self._local.get(name)
            # Running a notebook cell again defines the same class anew: that replaces it.
            again = taken is not None and _place(taken) == _place(component)
            if name in self._found() or (taken is not None and not again):
                owner = self.entry(name)
                raise ComponentError(
                    f"{self.noun} {name!r} is taken by {owner.owner} ({owner.target}); choose another name"
                )
            check_signature(component, f"{self.noun} {name!r}")
            self._local[name] = component
            return component

        return decorate

    def _found(self) -> dict[str, list[tuple[Entry, Any]]]:
        if self._installed is None:
            self._installed = {}
            for point, distribution, version in _installed_points().get(self.group, ()):
                entry = Entry(self.kind, point.name, point.value, distribution, version)
                self._installed.setdefault(point.name, []).append((entry, point))
        return self._installed


@functools.cache
def _installed_points() -> dict[str, list[tuple[Any, str, str]]]:
    """Entry points of our groups, each with name and version of its distribution; every file is read once."""
    groups: dict[str, list[tuple[Any, str, str]]] = {}
    seen = set()
    for distribution in importlib.import_module("importlib.metadata").distributions():
        points = [point for point in distribution.entry_points if point.group.startswith("seqapps.")]
        if not points:
            continue
        about = distribution.metadata
        name, version = about["Name"], about["Version"]
        normal = name.lower().replace("_", "-").replace(".", "-")
        if normal not in seen:  # an editable install can be found twice; as in an import, the first on sys.path counts
            seen.add(normal)
            for point in points:
                groups.setdefault(point.group, []).append((point, name, version))
    return groups


def _place(component: type) -> tuple[str, str]:
    return component.__module__, component.__qualname__


def check_signature(component: Any, what: str) -> None:
    """Raises ComponentError unless every parameter is a resource (positional-only) or a field (keyword-only)."""
    if not inspect.isclass(component) or component.__init__ is object.__init__:
        return
    for parameter in list(inspect.signature(component.__init__).parameters.values())[1:]:
        if parameter.kind is parameter.POSITIONAL_ONLY:
            if parameter.name not in RESOURCES:
                hint = close_match(parameter.name, RESOURCES)
                raise ComponentError(f"{what}: positional-only parameter {parameter.name!r} is no resource{hint}")
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            raise ComponentError(
                f"{what}: parameter {parameter.name!r} is neither positional-only (a resource) nor keyword-only"
                " (a field); put '/' after the resources and '*' before the fields"
            )


KINDS: dict[str, Registry] = {
    kind: Registry(kind, noun, described)
    for kind, noun, described in (
        ("cells", "cell", "recurrent cells: one step of a recurrent layer"),
        ("encoders", "encoder", "sequences of vectors to sequences of vectors"),
        ("embedders", "embedder", "a batch's symbols to vectors"),
        ("decoders", "decoder", "an encoded source to the text that a model writes, token by token"),
        ("heads", "head", "tasks: loss, prediction and evaluation on an encoder's outputs"),
        ("sources", "source", "where data comes from"),
        ("tokenizers", "tokenizer", "typed text to tokens"),
        ("features", "feature set", "hand-made numbers of a text"),
        ("kernels", "kernel", "fast ways to run a cell over time"),
        ("optimizers", "optimizer", "update rules"),
        ("schedules", "schedule", "learning rates over time"),
        ("commands", "command", "sub-commands of the command line"),
    )
}


def registry(kind: str) -> Registry:
    """The registry of a kind, by its plural or singular name. Raises ComponentError for an unknown kind."""
    for known in KINDS.values():
        if kind in (known.kind, known.noun):
            return known
    raise ComponentError(f"unknown kind {kind!r}{close_match(kind, KINDS)}")


def _stale_install() -> str:
    """The command that refreshes an editable install whose entry points are older than its setup.cfg, if that is so."""
    return importlib.import_module("seqapps.installation").stale_hint()
