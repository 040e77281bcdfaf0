"""`seqapps list` and `seqapps describe`."""

from __future__ import annotations

import inspect
from typing import Any

import click

from seqapps.cli import options
from seqapps.cli.table import table
from seqapps.errors import ComponentError
from seqapps.registry import KINDS, Registry, registry

__all__ = ["describe", "list_components"]


@click.command("list")
@click.argument("kind", required=False)
@options.as_json
def list_components(kind: str | None, as_json: bool) -> None:
    """List components.

    Without KIND, all kinds; with one (cells, or cell), its components and their owners.
    """
    kinds = list(KINDS.values()) if kind is None else [registry(kind)]
    if as_json:
        options.echo_json({known.kind: {name: _owner(known, name) for name in known} for known in kinds})
    elif kind is None:
        _echo_kinds(kinds)
    else:
        rows = [(name, *_owner(kinds[0], name).values()) for name in kinds[0]]
        click.echo(table(rows) if rows else f"no {kinds[0].kind} are installed")


@click.command()
@click.argument("kind")
@click.argument("name")
@options.as_json
def describe(kind: str, name: str, as_json: bool) -> None:
    """Describe a component and its fields.

    For example: seqapps describe cell lstm
    """
    described = _description(registry(kind), name)
    if as_json:
        options.echo_json(described)
        return
    click.echo(f"{described['noun']} {name} of {described['owner']} ({described['target']})")
    if described["doc"]:
        click.echo(f"\n{described['doc']}")
    if described["fields"]:
        rows = [("field", "type", "default"), *(tuple(field.values()) for field in described["fields"])]
        click.echo(f"\n{table(rows)}")
    if described["resources"]:
        click.echo(f"\nsupplied by the library: {', '.join(described['resources'])}")


def _description(kind: Registry, name: str) -> dict[str, Any]:
    from seqapps.recipe.schema import describe_fields, resources_of

    component = kind.load(name)
    entry = kind.entry(name)
    is_class = inspect.isclass(component)
    # An instance has its class's docstring, which is not about it; a click command has its help.
    doc = component.__doc__ if is_class else getattr(component, "help", None)
    return {
        "kind": kind.kind,
        "noun": kind.noun,
        "name": name,
        "owner": entry.owner,
        "target": entry.target,
        "doc": inspect.cleandoc(doc or "").replace("\b\n", ""),
        "fields": [field._asdict() for field in describe_fields(component)] if is_class else [],
        "resources": resources_of(component) if is_class else [],
    }


def _owner(kind: Registry, name: str) -> dict[str, str]:
    """Who owns a component; a name owned twice says so and hides no other."""
    try:
        entry = kind.entry(name)
    except ComponentError as error:
        return {"owner": str(error), "target": ""}
    return {"owner": entry.owner, "target": entry.target}


def _echo_kinds(kinds: list[Registry]) -> None:
    for kind in kinds:
        names = kind.names()
        click.echo(f"{kind.kind} ({len(names)}): {kind.described}")
        if names:
            click.echo(f"    {' '.join(names)}")
