"""BLEU and TER as sacreBLEU computes them, from counts of single sentences, with its signatures.

Post (2018), "A call for clarity in reporting BLEU scores". The counts of a sentence are those that sacreBLEU gives for
a corpus of that sentence alone; of their sums the score is sacreBLEU's score of the corpus, to the last digit.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np
from sacrebleu.metrics import BLEU, CHRF, TER

from seqapps.errors import UseError, close_match
from seqapps.metrics.evaluation import Counted
from seqapps.metrics.generation.written import WrittenExample
from seqapps.metrics.intervals import Floats

__all__ = ["ORDER", "bleu", "bleu_of", "check_tokenize", "signature", "ter"]

ORDER = 4  # of n-grams

_OWN = ("13a", "intl", "zh", "char", "none")
_INSTALLED = {"ja-mecab": "MeCab", "ko-mecab": "mecab_ko"}  # tokenizer -> module that it needs
_DOWNLOADED = ("spm", "flores101", "flores200", "spBLEU-1K")


def check_tokenize(tokenize: str) -> str | None:
    """What is wrong with `tokenize` as sacreBLEU's tokenizer, or None.

    >>> check_tokenize("13a"), check_tokenize("13b")
    (None, "tokenize is '13b'; did you mean '13a'?")
    """
    if tokenize in _OWN:
        return None
    if tokenize in _DOWNLOADED:
        others = ", ".join(_OWN)
        return f"tokenize is {tokenize!r}, which would download a model while scores are computed; use one of {others}"
    if tokenize in _INSTALLED:
        found = importlib.util.find_spec(_INSTALLED[tokenize])
        extra = tokenize.removesuffix("-mecab")
        return None if found else f"tokenize is {tokenize!r}, which is not installed; pip install 'sacrebleu[{extra}]'"
    return f"tokenize is {tokenize!r}{close_match(tokenize, [*_OWN, *_INSTALLED])}"


def bleu(examples: Sequence[WrittenExample], tokenize: str) -> tuple[Counted, str]:
    """BLEU of the texts (Papineni et al. 2002), and its signature.

    Counts (N, 10): length, closest reference length, right 1- to 4-grams, 1- to 4-grams.
    Raises UseError as `check_tokenize` says.
    """
    fault = check_tokenize(tokenize)
    if fault:
        raise UseError(f"BLEU: {fault}")
    metric = BLEU(tokenize=tokenize)
    rows = []
    for example in examples:
        found = metric.corpus_score([example.hypothesis], [[reference] for reference in example.references])
        rows.append([found.sys_len, found.ref_len, *found.counts, *found.totals])
    counts = np.array(rows, np.int64).reshape(-1, 2 + 2 * ORDER)
    return Counted(counts, bleu_of, np.ones(len(counts), np.int64), "sentences"), signature(metric, examples)


def bleu_of(sums: Floats) -> Floats:
    """Corpus BLEU, 0 to 100, of sums (S, 10); undefined where there are neither texts nor references."""
    scores = np.full(len(sums), np.nan)
    for row in np.flatnonzero(sums[:, :2].any(axis=1)):
        written, reference, *ngrams = sums[row].tolist()
        found = BLEU.compute_bleu(ngrams[:ORDER], ngrams[ORDER:], int(written), int(reference), smooth_method="exp")
        scores[row] = found.score
    return scores


def ter(examples: Sequence[WrittenExample], characters: bool) -> tuple[Counted, str]:
    """Translation edit rate of the texts (Snover et al. 2006), and its signature.

    Counts (N, 2): edits, and the mean length of the references. With `characters` each Chinese or Japanese character is
    a word of its own, which sacreBLEU calls `normalized` with `asian_support`.
    """
    metric = TER(normalized=characters, asian_support=characters)
    rows = []
    for example in examples:
        found = metric.corpus_score([example.hypothesis], [[reference] for reference in example.references])
        rows.append([found.num_edits, found.ref_length])
    counts = np.array(rows, np.float64).reshape(-1, 2)
    return Counted(counts, _ter_of, np.ones(len(counts), np.int64), "sentences"), signature(metric, examples)


def _ter_of(sums: Floats) -> Floats:
    """100 edits / length; 100 where there are texts, but the references are empty."""
    edits, length = sums.T
    rates = np.divide(edits, length, out=np.ones_like(edits), where=length > 0)
    return np.where((edits > 0) | (length > 0), 100 * rates, np.nan)


def signature(metric: BLEU | CHRF | TER, examples: Sequence[WrittenExample]) -> str:
    """What sacreBLEU says of how a score was computed: `nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0`.

    Empty without examples, since it says how many references they have.
    """
    numbers = sorted({len(example.references) for example in examples})
    if not numbers:
        return ""
    streams = [["" if n < number else None for number in numbers] for n in range(numbers[-1])]
    metric.corpus_score([""] * len(numbers), streams)  # type: ignore[arg-type]  # None where there are fewer
    return metric.get_signature().format()
