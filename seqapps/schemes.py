"""Tag schemes: how spans (noun phrases, names, ...) are written as one tag per token.

A tag is `O` (outside every span) or `<prefix>-<type>`: B-NP, I-NP. A type may contain "-" itself. Spans without types
have bare prefixes (B, I); their type is called "_". BILOU is read as another spelling of BIOES (L = E, U = S).

    tokens   He   saw  New   York  City  Rome  .          source
    iob1     O    O    I-L   I-L   I-L   B-L   O          Ramshaw & Marcus 1995: B- only where two of a type touch
    bio      O    O    B-L   I-L   I-L   B-L   O          IOB2; Tjong Kim Sang & Veenstra 1999
    bioes    O    O    B-L   I-L   E-L   S-L   O          IOBES, BILOU; Ratinov & Roth 2009: E- ends, S- is single
    bmes     O    O    B-L   M-L   E-L   S-L   O          the same with M for I, as in Chinese word segmentation

Two readings are kept apart. `check` and `allowed` are strict: they say what a scheme permits. `spans` is lenient: it
reads any mixture of prefixes as conlleval and seqeval do, since predictions of a tagger may violate its scheme.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from seqapps.errors import DataError, close_match

__all__ = ["SCHEMES", "Span", "Tag", "allowed", "check", "convert", "detect", "encode", "spans", "split"]

# Scheme -> what it calls (the first token of a span, one inside, its last, a span of one token).
SCHEMES = {"iob1": "BIIB", "bio": "BIIB", "bioes": "BIES", "bmes": "BMES"}

_UNTYPED = "_"
_RESPELLED = {"L": "E", "U": "S"}
_PREFIXES = frozenset("BIMESLU")
_TOLERATED = 0.05  # share of steps into, within or out of spans that may break a scheme and still leave it recognised


class Span(NamedTuple):
    """The tokens start, ..., end - 1 form one unit of a type."""

    type: str
    start: int
    end: int


class Tag(NamedTuple):
    """A tag taken apart: `prefix` is one of O B I M E S, `type` is "" for O and "_" for a bare prefix."""

    prefix: str
    type: str


_OUTSIDE = Tag("O", "")


@lru_cache(maxsize=65536)
def split(tag: str) -> Tag | None:
    """Prefix and type, or None if `tag` is not written as in any scheme ("NN", "B_NP", "O-NP").

    >>> split("B-NP-SBJ"), split("U-PER"), split("I"), split("NN")
    (Tag(prefix='B', type='NP-SBJ'), Tag(prefix='S', type='PER'), Tag(prefix='I', type='_'), None)
    """
    if tag == "O":
        return _OUTSIDE
    prefix, dash, type_ = tag[:1], tag[1:2], tag[2:]
    if prefix not in _PREFIXES or dash not in ("", "-"):
        return None
    return Tag(_RESPELLED.get(prefix, prefix), type_ or _UNTYPED)


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans of one sentence, in order, for any mixture of prefixes.

    The decisions are conlleval's, as extended to E and S by seqeval's default mode, with M read as I. A span ends
    before a token that is O, B or S or has another type, and after E or S. A token that is not O begins a span if it is
    B or S or if no span is open. Hence `O I-X` begins a span, and `B-X I-Y` are two.

    Raises DataError for a tag that no scheme knows.

    >>> spans(["B-NP", "I-NP", "I-VP", "O"])
    [Span(type='NP', start=0, end=2), Span(type='VP', start=2, end=3)]
    """
    found = []
    start, open_type = 0, ""  # the span that is open, if open_type is not empty
    for position, tag in enumerate(tags):
        prefix, type_ = split(tag) or _refuse(position, tag)
        if open_type and (type_ != open_type or prefix in "BS"):
            found.append(Span(open_type, start, position))
            open_type = ""
        if not open_type:
            start, open_type = position, type_
        if prefix in "ES":
            found.append(Span(open_type, start, position + 1))
            open_type = ""
    if open_type:
        found.append(Span(open_type, start, len(tags)))
    return found


def encode(spans: Iterable[Span], length: int, scheme: str) -> list[str]:
    """The tags of a sentence of `length` tokens with these spans; the inverse of `spans`.

    Raises DataError if spans overlap, are empty or reach beyond the sentence.

    >>> encode([Span("NP", 0, 2), Span("NP", 2, 3)], 4, "iob1")
    ['I-NP', 'I-NP', 'B-NP', 'O']
    """
    first, inside, last, single = tuple(_letters(scheme))
    tags = ["O"] * length
    previous = Span("", 0, 0)
    for span in sorted(spans, key=lambda span: span.start):
        type_, start, end = span
        if not previous.end <= start < end <= length:
            reason = "overlaps another" if previous.end > start else f"does not fit into {length} tokens"
            raise DataError(f"span {type_} at {start}:{end} {reason}; spans are [start, end) and disjoint")
        touches = previous.type == type_ and previous.end == start
        letters = [first, *inside * (end - start - 2), last] if end - start > 1 else [single]
        if scheme == "iob1" and not touches:
            letters[0] = inside
        tags[start:end] = [letter if type_ == _UNTYPED else f"{letter}-{type_}" for letter in letters]
        previous = span
    return tags


def convert(tags: Sequence[str], source: str, target: str) -> list[str]:
    """Tags of scheme `source` rewritten in scheme `target`.

    Raises DataError if they violate `source`: a conversion never repairs.

    >>> convert(["B-NP", "I-NP", "B-NP", "O"], "bio", "bioes")
    ['B-NP', 'E-NP', 'S-NP', 'O']
    """
    violation = check(tags, source)
    if violation:
        raise DataError(f"token {violation[0] + 1}: {violation[1]}")
    return encode(spans(tags), len(tags), target)


def check(tags: Sequence[str], scheme: str) -> tuple[int, str] | None:
    """The first place where a sentence violates `scheme`: position (from 0) and what is wrong; None if it follows it.

    >>> check(["O", "I-NP"], "bio")
    (1, "'I-NP' after 'O' violates scheme bio; is the column in another scheme?")
    """
    for position, (previous, following) in enumerate(zip((None, *tags), (*tags, None), strict=True)):
        if allowed(previous, following, scheme):
            continue
        if following is None:
            return (
                position - 1,
                f"{previous!r} ends the sentence, which scheme {scheme} forbids; is it cut off?",
            )
        if not _belongs(following, scheme):
            letters = ", ".join(dict.fromkeys(f"{letter}-" for letter in _letters(scheme)))
            return position, f"tag {following!r} is none of scheme {scheme} ({letters}, O)"
        place = "at the start of a sentence" if previous is None else f"after {previous!r}"
        return position, f"{following!r} {place} violates scheme {scheme}; is the column in another scheme?"
    return None


def allowed(previous: str | None, following: str | None, scheme: str) -> bool:
    """Whether `following` may come right after `previous`; None stands for the start or the end of a sentence.

    A tag that does not belong to the scheme is allowed nowhere.

    >>> allowed("B-NP", "I-NP", "bio"), allowed("B-NP", "I-VP", "bio"), allowed(None, "I-NP", "bio")
    (True, False, False)
    """
    if not (_belongs(previous, scheme) and _belongs(following, scheme)):
        return False
    prefix, type_ = (previous and split(previous)) or _OUTSIDE
    next_prefix, next_type = (following and split(following)) or _OUTSIDE
    same = type_ == next_type
    if scheme == "bio":
        return next_prefix != "I" or same
    if scheme == "iob1":
        return next_prefix != "B" or same
    is_open = prefix in "BIM"
    goes_on = next_prefix in "IME"
    return is_open == goes_on and (same or not is_open)


def detect(sequences: Iterable[Sequence[str]]) -> str | None:
    """The scheme that a column of tags is written in, or None if it holds no spans (parts of speech, say).

    Every tag must be written as in a scheme, and there must be evidence of spans: an `O` beside other tags, or a token
    that continues the span of the one before. The scheme is the one that the fewest steps from tag to tag violate, of
    equals the first in the order of `SCHEMES` with bio before iob1; it is None if more than 5 % of the steps at spans
    violate every scheme. What is recognised may therefore still hold violations, which `check` finds.
    """
    seen: set[str] = set()
    steps: Counter[tuple[str | None, str | None]] = Counter()
    for tags in sequences:
        if not seen.issuperset(tags):
            new = set(tags) - seen
            if not all(split(tag) for tag in new):
                return None
            seen |= new
        steps.update(zip((None, *tags), (*tags, None), strict=True))
    outside = (None, "O")
    at_spans = {step: count for step, count in steps.items() if step[0] not in outside or step[1] not in outside}
    if not at_spans or not ("O" in seen or any(_continues(*step) for step in at_spans)):
        return None
    violations = {
        scheme: sum(count for step, count in at_spans.items() if not allowed(*step, scheme))
        for scheme in ("bio", "iob1", "bioes", "bmes")
    }
    best = min(violations, key=violations.__getitem__)
    return best if violations[best] <= _TOLERATED * sum(at_spans.values()) else None


def _continues(previous: str | None, following: str | None) -> bool:
    before, after = split(previous or "O"), split(following or "O")
    return bool(before and after and before.type == after.type and after.prefix in "IME" and before.prefix in "BIM")


@lru_cache(maxsize=65536)
def _belongs(tag: str | None, scheme: str) -> bool:
    """Whether the tag's prefix exists in the scheme; the edge of a sentence (None) and O always do."""
    parts = _OUTSIDE if tag is None else split(tag)
    letters = _letters(scheme)
    return parts is not None and (parts.prefix == "O" or parts.prefix in letters)


def _letters(scheme: str) -> str:
    if scheme not in SCHEMES:
        raise DataError(f"unknown tag scheme {scheme!r}{close_match(scheme, SCHEMES)}")
    return SCHEMES[scheme]


def _refuse(position: int, tag: str) -> Tag:
    raise DataError(f"token {position + 1}: tag {tag!r} is of no tag scheme; expected O or a prefix as in B-NP, I-NP")
