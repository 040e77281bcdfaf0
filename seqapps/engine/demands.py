"""What users ask of the texts that a model writes: how they begin, which phrases they must have or may not have."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from seqapps.data.demands import Demand
from seqapps.data.resources import Resources
from seqapps.data.vocabulary import BOS, EOS, PAD, UNK
from seqapps.errors import DataError, UseError, close_match
from seqapps.heads.generation import GeneratingHead
from seqapps.modules.search import SearchOptions
from seqapps.recipe.recipe import Recipe

__all__ = ["Demands", "Wish", "check_demand", "check_options"]


class Wish(NamedTuple):
    """A demand in words."""

    prefix: str = ""
    require: tuple[str, ...] = ()
    ban: tuple[str, ...] = ()


class Demands:
    """Turns wishes into demands, by tokenizer and vocabulary of what a run writes.

    Attributes:
        common: what is asked of every text.
    """

    def __init__(self, recipe: Recipe, resources: Resources):
        self._head, self._resources = recipe.model.head, resources
        self.writes = issubclass(self._head.target, GeneratingHead)
        self.common = Demand()

    def check_writes(self, where: str) -> None:
        """UseError if the run writes nothing."""
        if not self.writes:
            raise UseError(
                f"{where}: for models that write texts, and this one is of task {self._head.name!r}; leave it out"
            )

    def ask(self, wish: Wish) -> None:
        """Ask this of every text. Errors name the options of the command."""
        for name, value in wish._asdict().items():
            if value:
                self.check_writes(f"--{name}")
        if any(wish):
            self.common = self._demand(wish, "--")

    def of_json(self, value: Mapping[str, Any], where: str) -> Demand:
        """What an object of JSON lines asks by its fields, beside what is asked of all; its own prefix counts."""
        asked = {name: value[name] for name in Wish._fields if name in value}
        for name, one in asked.items():
            self.check_writes(f"{where}: {name!r}")
            if name == "prefix":
                if not isinstance(one, str):
                    raise DataError(f"{where}: 'prefix' is {one!r}, expected a text")
            elif not isinstance(one, list) or not all(isinstance(phrase, str) for phrase in one):
                raise DataError(f"{where}: {name!r} is {one!r}, expected a list of texts")
            else:
                asked[name] = tuple(one)
        if not asked:
            return self.common
        own, common = self._demand(Wish(**asked), f"{where}: "), self.common
        return _checked(
            Demand(
                own.prefix if "prefix" in asked else common.prefix,
                (*common.required, *own.required),
                (*common.excluded, *own.excluded),
            ),
            where,
        )

    def _demand(self, wish: Wish, where: str) -> Demand:
        prefix = self._numbers(wish.prefix, f"{where}prefix") if wish.prefix else ()
        required = tuple(self._phrase(phrase, f"{where}require") for phrase in wish.require)
        excluded = tuple(self._phrase(phrase, f"{where}ban") for phrase in wish.ban)
        return _checked(Demand(prefix, required, excluded), where.rstrip(": "))

    def _phrase(self, phrase: str, where: str) -> tuple[int, ...]:
        numbers = self._numbers(phrase, where)
        if not numbers:
            raise DataError(f"{where} {phrase!r}: a phrase of 0 tokens; leave it out")
        return numbers

    def _numbers(self, text: str, where: str) -> tuple[int, ...]:
        """The tokens of a text. DataError naming one that is never written."""
        column = self._head.fields["column"]
        vocabulary, request = self._resources.vocabularies[column], self._resources.requests[column]
        tokens = self._resources.tokenizers[column].tokenize(text)
        forms = [token.lower() if request.lowercase else token for token in tokens]
        for form in forms:
            if form not in vocabulary or form in (PAD, UNK, BOS, EOS):
                hint = close_match(form, vocabulary.symbols[vocabulary.specials :])
                raise DataError(f"{where} {text!r}: {form!r} is not in the vocabulary of {column!r}{hint}")
        return tuple(vocabulary[form] for form in forms)


def _checked(demand: Demand, where: str) -> Demand:
    """DataError if a phrase that must occur has one within it that may not."""
    for phrase in demand.required:
        for banned in demand.excluded:
            if any(phrase[i : i + len(banned)] == banned for i in range(len(phrase))):
                raise DataError(f"{where}: a required phrase has a banned one within it; drop one of them")
    return demand


def check_demand(demand: Demand, options: SearchOptions, where: str) -> None:
    """UseError, or DataError naming `where`, if the search cannot do what is asked."""
    if demand.required and (options.method != "beam" or options.groups > 1):
        mend = "has groups; set groups to 1" if options.method == "beam" else f"is {options.method}; give --beam"
        raise UseError(f"{where}: required phrases need a beam without groups, and the search {mend}")
    if demand.length > options.max_length:
        raise DataError(
            f"{where}: prefix and required phrases are {demand.length - 1} tokens, and texts end after "
            f"{options.max_length}, end mark included; ask for less, or raise --max-length"
        )


def check_options(options: SearchOptions, names: Mapping[str, str] = MappingProxyType({})) -> SearchOptions:
    """The options, if they have no faults; otherwise UseError naming those of the command: field -> option."""
    faults = [f"--{names.get(name, name).replace('_', '-')}: {message}" for name, message in options.faults()]
    if faults:
        raise UseError("\n".join(faults))
    return options
