"""What must hold where the text that is read and the text that is written share a vocabulary, and a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqapps.heads.generation import read_columns
from seqapps.modules.embedders import TokenEmbedder
from seqapps.recipe.dumping import dump_value

__all__ = ["check_shared"]

_EQUAL = ("lowercase", "min_frequency", "max_size")
_PLACE = "model.head.shared_vocabulary"

Faults = list[tuple[str, str]]


def check_shared(fields: Mapping[str, Any], recipe: Any) -> Faults:
    """Faults of a head that writes a text for a text, by its fields `shared_vocabulary`, `column` and `decoder`."""
    decoder = fields["decoder"].fields
    if not fields["shared_vocabulary"]:
        if decoder.get("shared_embedding"):
            return [
                (
                    "model.head.decoder.shared_embedding",
                    "the two sides have a table in common only if they have one"
                    " vocabulary; set 'model.head.shared_vocabulary: true'",
                )
            ]
        return []
    read = next(iter(read_columns(recipe.model).values()), None)
    if read is None or read.level != "token":
        return [(_PLACE, "the embedder looks no tokens up, so there is nothing to share; use embedder 'tokens'")]
    faults = _tokenizer_faults(recipe.data, read.column, fields["column"])
    own = {"lowercase": False, **{name: fields[name] for name in _EQUAL[1:]}}
    for name in _EQUAL:
        theirs = getattr(read, name)
        if theirs != own[name]:
            what = f"{name} is {dump_value(theirs)} in the embedder and {dump_value(own[name])} for what is written"
            faults.append((_PLACE, f"{what}; make them equal"))
    if decoder.get("shared_embedding"):
        faults += _table_faults(decoder, recipe.model)
    return faults


def _tokenizer_faults(data: Any, source: str, target: str) -> Faults:
    """One that learns pieces must learn them from both sides."""
    both = [data.tokenizers.get(column, data.tokenizer) for column in (source, target)]
    learning = next((spec for spec in both if spec.target.trained), None)
    if learning is None or (both[0] == both[1] and learning.fields.get("shared")):
        return []
    message = f"tokenizer {learning.name!r} learns each side's pieces apart; give both sides one with 'shared: true'"
    return [(_PLACE, message)]


def _table_faults(decoder: Mapping[str, Any], model: Any) -> Faults:
    """The table is there, and its rows have the decoder's size."""
    tables = [spec for spec in model.embedder.walk() if issubclass(spec.target, TokenEmbedder)]
    place, size = "model.head.decoder.shared_embedding", decoder["embedding_size"]
    if not tables:
        return [(place, "the embedder has no table of tokens; use embedder 'tokens'")]
    found = tables[0].fields["size"]
    if found == size:
        return []
    return [(place, f"rows of the embedder have {found} features, and embedding_size is {size}; make them equal")]
