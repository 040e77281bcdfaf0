"""Interpolated modified Kneser-Ney: the n-gram model that a neural language model has to beat."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import chain, pairwise, repeat
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from seqapps.data.vocabulary import UNK
from seqapps.errors import DataError, UseError, close_match

__all__ = ["KneserNey", "discounts"]

Regime = Literal["sentence", "stream"]
Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


class KneserNey:
    """p(w | the n-1 symbols before it) after Chen and Goodman (1998), "An empirical study of smoothing techniques for
    language modeling" (Harvard TR-10-98), modified Kneser-Ney, interpolated; n is the order.

        p_n(w | h) = (a(hw) - D_n(a(hw))) / Σ_v a(hv)  +  γ_n(h) p_{n-1}(w | h')        h' is h without its first symbol
        γ_n(h)     = Σ_v D_n(a(hv)) / Σ_v a(hv)
        p_n(w | h) = p_{n-1}(w | h')            where h was never followed by anything
        p_0(w)     = 1 / V                      over all symbols and the end mark, seen in training or not

    a(g) is how often g occurs if g has n symbols; if it has fewer, after how many different symbols it occurs. Where g
    begins a text nothing stands before it, and each such occurrence counts as one more. D_n are the `discounts` of all
    a(g) of that order.

    Two regimes. `sentence`: each sentence is a text, begins after `<bos>`, which is never predicted, and ends with an
    end mark, which is. `stream`: the sentences with their end marks are one text, which begins after an end mark, and
    contexts reach across sentences. At the beginning of a text contexts are shorter than n - 1.

    Deviation: the paper repeats `<bos>` n - 1 times; here it stands once, as in the common toolkits, since p_{n-1}
    after one `<bos>` would otherwise know of each first word only that it occurred.

    >>> model = KneserNey(2, ["a", "b"], "sentence").fit([["a", "b"], ["a"]])
    >>> model.log_probs([["a", "b"]])[0].shape
    (3,)

    Args:
        order: n, 1 or more.
        symbols: what sentences are made of, strings or numbers, the end mark not among them. A token that is none of
            them counts as `<unk>`, which must be a symbol then.
        regime: what stands before a sentence.

    Raises:
        UseError: an order below 1, an unknown regime, a symbol that is listed twice.
    """

    def __init__(self, order: int, symbols: Iterable[Hashable], regime: Regime):
        self.order, self.symbols, self.regime = order, list(symbols), regime
        if order < 1:
            raise UseError(f"Kneser-Ney baseline: order {order}; give 1 or more")
        if regime not in get_args(Regime):
            raise UseError(f"Kneser-Ney baseline: unknown regime {regime!r}{close_match(regime, get_args(Regime))}")
        self._numbers = {symbol: number for number, symbol in enumerate(self.symbols)}
        if len(self._numbers) < len(self.symbols):
            twice = next(symbol for number, symbol in enumerate(self.symbols) if self._numbers[symbol] != number)
            raise UseError(f"Kneser-Ney baseline: symbol {twice!r} is listed twice; list each once")
        self._end = len(self.symbols)
        self._begin = self._end + (regime == "sentence")
        self._levels: list[_Level] = []

    def fit(self, sentences: Iterable[Sequence[Hashable]]) -> KneserNey:
        """Count n-grams. Raises DataError if there are no sentences, or for a token that is no symbol."""
        text = self._text(sentences)
        if not len(text.lengths):
            raise DataError("Kneser-Ney baseline: no sentence to count; check the training split")
        S = self._begin + 1  # symbols and marks
        grams = [_symbols(text, S)]
        for _ in range(1, self.order):
            grams.append(_longer(grams[-1].at, text, S))
        counts = [_neighbours(*pair, n, text) for n, pair in enumerate(pairwise(grams), start=1)]
        counts.append(grams[-1].counts)
        self._levels, contexts, p = [], 1, np.array([1 / (self._end + 1)])
        for n_grams, a in zip(grams, counts, strict=True):
            level = _level(n_grams.keys, a, p[n_grams.suffixes], contexts, S)
            self._levels.append(level)
            contexts, p = len(level.keys), level.probabilities
        return self

    def log_probs(self, sentences: Iterable[Sequence[Hashable]]) -> list[Floats]:
        """log p, natural, of each sentence's tokens and of its end mark: (tokens + 1,) each.

        Raises DataError for a token that is no symbol, and before `fit`.
        """
        if not self._levels:
            raise DataError("Kneser-Ney baseline: not fitted; call fit first")
        text = self._text(sentences)
        unigrams, *levels = self._levels
        at, p = text.numbers, unigrams.probabilities[text.numbers]
        for level in levels:
            contexts = text.before(at)
            at = _find(level.keys, contexts, text.numbers, self._begin + 1)
            p = np.where(at >= 0, level.probabilities[at], level.backoff[contexts] * p)
        return np.split(np.log(p[~text.starts]), np.cumsum(text.lengths + 1))[:-1]

    def _text(self, sentences: Iterable[Sequence[Hashable]]) -> _Text:
        sentences = list(sentences)
        lengths = np.fromiter(map(len, sentences), np.int64, len(sentences))
        unknown = self._numbers.get(UNK, -1)
        tokens = chain.from_iterable(sentences)
        inner = np.fromiter(map(self._numbers.get, tokens, repeat(unknown)), np.int64, lengths.sum())
        if unknown < 0 and (inner < 0).any():
            token = next(token for token in chain.from_iterable(sentences) if token not in self._numbers)
            raise DataError(f"Kneser-Ney baseline: {token!r} is no symbol; add it to the symbols, or {UNK}")
        if self.regime == "sentence":
            ends = np.cumsum(lengths + 2) - 1
            begins = ends - lengths - 1
        else:
            ends = np.cumsum(lengths + 1)
            begins = np.zeros(1, np.int64)
        numbers = np.full(len(inner) + len(ends) + len(begins), -1)
        numbers[ends], numbers[begins] = self._end, self._begin
        numbers[numbers < 0] = inner
        starts = np.zeros(len(numbers), bool)
        starts[begins] = True
        return _Text(numbers, starts, lengths)


def discounts(counts: Numbers) -> Floats:
    """D(0), D(1), D(2) and D(c >= 3) for n-grams of which each occurs `counts` times; n_c is how many occur c times.

        Y = n_1 / (n_1 + 2 n_2)        D(0) = 0        D(c) = c - (c + 1) Y n_{c+1} / n_c        c = 1, 2, 3

    Few n-grams do not allow that. Where n_2 or n_3, or n_3 or n_4, is 0, or D(c) would not be above 0, D(c) = D(1), as
    in Kneser-Ney without modification; where n_1 or n_2 is 0, D(1) = 1/2. So always 0 < D(c) < c: every symbol keeps a
    probability after every context.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6).astype(np.float64)
    first = n[1] / (n[1] + 2 * n[2]) if n[1] and n[2] else 0.5
    found = [0.0, first]
    for c in (2, 3):
        estimable = n[1] and n[2] and n[c] and n[c + 1]
        discount = c - (c + 1) * first * n[c + 1] / n[c] if estimable else 0.0
        found.append(discount if discount > 0 else first)
    return np.array(found)


class _Text(NamedTuple):
    """Sentences with their marks, one symbol after another."""

    numbers: Numbers  # (M,)
    starts: NDArray[np.bool_]  # (M,) which are the marks that texts begin after; they are not predicted
    lengths: Numbers  # (N,) tokens of each sentence

    def before(self, at: Numbers) -> Numbers:
        """What `at` says of the position before each; -1 at the beginning of a text."""
        return np.where(self.starts, -1, np.roll(at, 1))


class _Grams(NamedTuple):
    """The different n-grams of a text.

    A key is the number of the n-gram's first n - 1 symbols, which are an n-1-gram, times S, plus its last symbol.
    """

    keys: Numbers  # (G,) ascending
    suffixes: Numbers  # (G,) number of the n-1-gram that each is without its first symbol
    counts: Numbers  # (G,) how often each occurs
    at: Numbers  # (M,) number of the n-gram that ends at each position, -1 where there is none


class _Level(NamedTuple):
    """p_n. Both arrays have one entry more, which stands for what was not seen and is found at -1."""

    keys: Numbers  # (G,)
    probabilities: Floats  # (G + 1,) of each n-gram's last symbol after the others
    backoff: Floats  # (contexts + 1,) γ_n, and 1 where a context was never followed by anything


def _symbols(text: _Text, S: int) -> _Grams:
    """The 1-grams: all symbols and marks, whether they occur or not."""
    predicted = text.numbers[~text.starts]
    return _Grams(np.arange(S), np.zeros(S, np.int64), np.bincount(predicted, minlength=S), text.numbers)


def _longer(at: Numbers, text: _Text, S: int) -> _Grams:
    """The n+1-grams, where `at` says which n-gram ends at each position."""
    contexts = text.before(at)
    ends = np.flatnonzero(contexts >= 0)
    keys, first, inverse, counts = np.unique(
        contexts[ends] * S + text.numbers[ends], return_index=True, return_inverse=True, return_counts=True
    )
    longer = np.full(len(at), -1)
    longer[ends] = inverse
    return _Grams(keys, at[ends[first]], counts, longer)


def _neighbours(grams: _Grams, longer: _Grams, n: int, text: _Text) -> Numbers:
    """After how many symbols each n-gram occurs, plus how many texts begin with it, (G,)."""
    counts = np.bincount(longer.suffixes, minlength=len(grams.keys))
    if n == 1:  # a text's first mark is not predicted
        return counts
    ends = np.flatnonzero(text.starts) + n - 1
    begun = grams.at[ends[ends < len(grams.at)]]  # -1 for a text that is shorter
    return counts + np.bincount(begun[begun >= 0], minlength=len(grams.keys))


def _level(keys: Numbers, counts: Numbers, below: Floats, contexts: int, S: int) -> _Level:
    """p_n from a(g) of each n-gram and p_{n-1} of its last symbol, both (G,)."""
    taken = discounts(counts)[np.minimum(counts, 3)]
    context = keys // S
    total = np.bincount(context, counts, contexts)
    backoff = np.divide(np.bincount(context, taken, contexts), total, out=np.ones(contexts), where=total > 0)
    probabilities = (counts - taken) / total[context] + backoff[context] * below
    return _Level(keys, np.append(probabilities, 0.0), np.append(backoff, 1.0))


def _find(keys: Numbers, contexts: Numbers, numbers: Numbers, S: int) -> Numbers:
    """The place in `keys` of each context with the symbol after it; -1 where it is not there."""
    wanted = np.where(contexts >= 0, contexts * S + numbers, -1)
    places = np.searchsorted(keys, wanted)
    found = np.append(keys, -2)[places] == wanted
    return np.where(found, places, -1)
