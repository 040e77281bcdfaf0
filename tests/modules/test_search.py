"""Beam and greedy search against enumeration of every outcome, and against a slow search of one sentence at a time."""

import itertools
import math
import random
from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch

from seqapps.errors import ShapeError, UseError
from seqapps.modules.search import Ensemble, SearchOptions, Step, search

V, EOS, BOS, S = 4, 2, 0, 3
TABLE = 97


class Pair(NamedTuple):
    doubled: torch.Tensor
    nothing: None


class History:
    """Knows its whole history: next tokens depend on sentence and history through a random table.

    The sentence stands in memory, the history in two leaves of a nested state, which must agree.
    """

    def __init__(self, seed=0, sharpness=2.0):
        draw = torch.Generator().manual_seed(seed)
        noise = torch.randn(8, TABLE, V, generator=draw, dtype=torch.float64)
        self.log_probs = (sharpness * noise).log_softmax(-1)
        self.attention = torch.rand(8, TABLE, S, generator=draw, dtype=torch.float64).mul(3).softmax(-1)
        self.p_gen = torch.rand(8, TABLE, generator=draw, dtype=torch.float64)
        self.rows = []

    def start(self, sentences):
        zeros = torch.zeros(len(sentences), dtype=torch.int64)
        return {"code": zeros, "deep": [Pair(zeros, None), (zeros[:, None],)]}, (torch.tensor(sentences),)

    def step(self, tokens, state, memory):
        (sentence,) = memory
        assert (state["code"] * 2 == state["deep"][0].doubled).all()
        assert len(tokens) % len(sentence) == 0
        self.rows.append(len(tokens))
        code = state["code"] * (V + 1) + tokens + 1
        where = sentence.repeat_interleave(len(tokens) // len(sentence)), code % TABLE
        new = {"code": code, "deep": [Pair(code * 2, None), (code[:, None],)]}
        return Step(self.log_probs[where], new, self.attention[where], self.p_gen[where])

    def at(self, sentence, words):
        """Log-probabilities and attention after these words, as lists; the same by hand."""
        code = 0
        for token in (BOS, *words):
            code = code * (V + 1) + token + 1
        return self.log_probs[sentence, code % TABLE].tolist(), self.attention[sentence, code % TABLE].tolist()


def run(generator, sentences, options, **arguments):
    state, memory = generator.start(sentences)
    first = torch.full((len(sentences),), BOS)
    return search(generator, state, memory, first, options, eos=EOS, **arguments)


def final_score(generator, sentence, tokens, options, positions=S):
    """Log-probability and score of `tokens`, the end mark among them."""
    log_prob, covered = 0.0, [0.0] * S
    for t, token in enumerate(tokens):
        log_probs, attention = generator.at(sentence, tokens[:t])
        log_prob += log_probs[token]
        covered = [a + b for a, b in zip(covered, attention, strict=True)]
    alpha = 0.6 if options.length_alpha is None else options.length_alpha
    divisor = {"none": 1, "average": len(tokens), "gnmt": (5 + len(tokens)) ** alpha / 6**alpha}
    penalty = sum(math.log(min(c, 1.0)) for c in covered[:positions])
    return log_prob, log_prob / divisor[options.length_penalty] + options.coverage_penalty * penalty


def occurs(phrase, words):
    return any(words[i : i + len(phrase)] == phrase for i in range(len(words)))


def count_met(words, required):
    """Tokens of the phrases that occur, and of the one of the others of which most stands at the end."""
    met = [phrase for phrase in required if occurs(phrase, words)]
    begun = [n for phrase in required if phrase not in met for n in range(len(phrase)) if words[-n:] == phrase[:n]]
    return sum(map(len, met)) + max(begun, default=0)


def may_follow(words, token, options, prefix=(), banned=(), required=()):
    """By the words of the rules: may `token` come after `words`?"""
    if len(words) < len(prefix):
        return token == prefix[len(words)]
    new = (*words, token)
    if token == EOS and count_met(words, required) < sum(map(len, required)):
        return False
    if token == EOS and len(new) < options.min_length:
        return False
    n = options.no_repeat
    brings_on = count_met(new, required) > count_met(words, required)
    if n is not None and token != EOS and len(new) >= n and not brings_on:
        grams = [new[i : i + n] for i in range(len(new) - n + 1)]
        if grams[-1] in grams[:-1]:
            return False
    return not any(new[-len(b) :] == tuple(b) for b in banned)


def outcomes(options, prefix=(), banned=(), required=()):
    """Every sequence that the rules allow, with its end mark."""
    for length in range(1, options.max_length + 1):
        for words in itertools.product([v for v in range(V) if v != EOS], repeat=length - 1):
            for last in range(V):
                tokens = (*words, last)
                if last != EOS and length < options.max_length:
                    continue
                if not all(occurs(phrase, tokens) for phrase in required):
                    continue
                if all(may_follow(tokens[:t], tokens[t], options, prefix, banned, required) for t in range(length)):
                    yield tokens


def enumerated(generator, sentence, options, prefix=(), banned=(), required=(), positions=S):
    scored = [
        (*final_score(generator, sentence, tokens, options, positions), tokens)
        for tokens in outcomes(options, prefix, banned, required)
    ]
    return sorted(scored, key=lambda entry: -entry[1])[: options.n_best]


def by_banks(extensions, required, k):
    """Extensions, the most probable first, in the order in which a beam of k wants them."""
    banks, before, levels = 1 + sum(map(len, required)), Counter(), []
    counts = [count_met(tokens, required) for _, _, tokens in extensions]
    for (*_, tokens), count in zip(extensions, counts, strict=True):
        share = 1 if banks > k else k // banks + (count >= banks - k % banks)
        first = banks > k and count == max(counts) and not before[count]
        levels.append(before[count] // share - first)
        before[count] += tokens[-1] != EOS
    return [extension for _, _, extension in sorted(zip(levels, itertools.count(), extensions, strict=False))]


def slow_beam(generator, sentence, options, prefix=(), banned=(), required=()):
    """Beam search of one sentence with lists."""
    G, width = options.groups, options.beam // options.groups
    beams = [[(0.0, ())] for _ in range(G)]
    pools = [[] for _ in range(G)]
    for t in range(1, options.max_length + 1):
        taken = [0] * V
        for g in range(G):
            extensions = []
            for log_prob, words in beams[g]:
                log_probs, _ = generator.at(sentence, words)
                for token in range(V):
                    if may_follow(words, token, options, prefix, banned, required):
                        total = log_prob + log_probs[token]
                        extensions.append((total - options.diversity * taken[token], total, (*words, token)))
            extensions.sort(reverse=True)
            extensions = by_banks(extensions, required, width) if required else extensions
            for _, _, tokens in extensions[:width]:
                complete = all(occurs(phrase, tokens) for phrase in required)
                if complete and (tokens[-1] == EOS or t == options.max_length):
                    pools[g].append((*final_score(generator, sentence, tokens, options), tokens))
            beams[g] = [(total, tokens) for _, total, tokens in extensions if tokens[-1] != EOS][:width]
            for _, tokens in beams[g]:
                taken[tokens[-1]] += 1
        if options.patience is not None and all(len(pool) >= options.patience * width for pool in pools):
            break
    size = math.ceil(options.n_best / G)
    best = [sorted(pool, key=lambda entry: -entry[1])[:size] for pool in pools]
    ranks = itertools.zip_longest(*best)
    ordered = [e for rank in ranks for e in sorted(filter(None, rank), key=lambda entry: -entry[1])]
    return ordered[: options.n_best]


def assert_same(found, expected, max_length):
    assert [h.tokens for h in found] == [tuple(v for v in tokens if v != EOS) for _, _, tokens in expected]
    for hypothesis, (log_prob, score, tokens) in zip(found, expected, strict=True):
        assert hypothesis.log_prob == pytest.approx(log_prob, abs=1e-9)
        assert hypothesis.score == pytest.approx(score, abs=1e-9)
        assert hypothesis.length == len(tokens) <= max_length
        assert hypothesis.ended == (tokens[-1] == EOS)


PENALTIES = [
    {"length_penalty": "none"},
    {"length_penalty": "average"},
    {"length_penalty": "gnmt"},
    {"length_penalty": "gnmt", "length_alpha": 1.3, "coverage_penalty": 0.4},
    {"coverage_penalty": 2.0},
]
RULES = [
    ({}, {}),
    ({"min_length": 3}, {}),
    ({"no_repeat": 1}, {}),
    ({"no_repeat": 2, "min_length": 2}, {}),
    ({}, {"banned": [(1, 3), (0,), (3, 1, EOS)]}),
    ({}, {"prefix": (3, 3)}),
    ({"no_repeat": 2, "min_length": 4}, {"prefix": (1, 1, 1), "banned": [(1,), (0, EOS)]}),
]


@pytest.mark.parametrize(("fields", "rules"), RULES)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_wide_beam_finds_what_enumeration_finds(penalty, fields, rules):
    generator = History()
    options = SearchOptions(beam=400, n_best=7, max_length=5, **penalty, **fields)
    prefix, banned = rules.get("prefix", ()), rules.get("banned", ())
    mask = torch.ones(3, S, dtype=torch.bool)
    found = run(generator, [0, 5, 3], options, prefixes=[prefix] * 3, banned=banned, source_mask=mask)
    for sentence, hypotheses in zip([0, 5, 3], found, strict=True):
        assert_same(hypotheses, enumerated(generator, sentence, options, prefix, banned), 5)


@pytest.mark.parametrize(("fields", "rules"), RULES)
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("width", [{"beam": 1}, {"beam": 3, "n_best": 3}, {"beam": 4, "n_best": 3}])
def test_a_narrow_beam_is_the_slow_one(penalty, fields, rules, width):
    generator = History(seed=1, sharpness=1.0)
    options = SearchOptions(max_length=7, **width, **penalty, **fields)
    prefix, banned = rules.get("prefix", ()), rules.get("banned", ())
    mask = torch.ones(8, S, dtype=torch.bool)
    found = run(generator, range(8), options, prefixes=[prefix] * 8, banned=banned, source_mask=mask)
    for sentence, hypotheses in enumerate(found):
        assert_same(hypotheses, slow_beam(generator, sentence, options, prefix, banned), 7)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(
    "width", [{"beam": 1}, {"beam": 3, "n_best": 3}, {"beam": 4, "groups": 2, "diversity": 0.7, "n_best": 4}]
)
@pytest.mark.parametrize("patience", [1.0, 1.5, 3.0])
def test_an_impatient_beam_is_the_slow_one_and_takes_fewer_steps(patience, width, penalty):
    options = SearchOptions(max_length=7, patience=patience, **width, **penalty)
    mask = torch.ones(8, S, dtype=torch.bool)
    steps = {}
    for early_exit in (True, False):
        generator = History(seed=1, sharpness=1.0)
        found = run(generator, range(8), replace(options, early_exit=early_exit), source_mask=mask)
        for sentence, hypotheses in enumerate(found):
            assert len(hypotheses) == options.n_best
            assert_same(hypotheses, slow_beam(generator, sentence, options), 7)
        steps[early_exit] = sum(generator.rows)
    assert steps[True] <= steps[False]
    if patience == 1:
        patient = History(seed=1, sharpness=1.0)
        run(patient, range(8), replace(options, patience=None, early_exit=False), source_mask=mask)
        assert steps[False] < sum(patient.rows)


@pytest.mark.parametrize(("fields", "rules"), RULES)
@pytest.mark.parametrize("beam", [2, 3, 5])
def test_an_impatient_beam_counts_only_what_the_rules_allow(beam, fields, rules):
    generator = History(seed=1, sharpness=1.0)
    options = SearchOptions(max_length=7, beam=beam, patience=1.0, length_penalty="average", **fields)
    prefix, banned = rules.get("prefix", ()), rules.get("banned", ())
    found = run(generator, range(8), options, prefixes=[prefix] * 8, banned=banned)
    for sentence, hypotheses in enumerate(found):
        assert_same(hypotheses, slow_beam(generator, sentence, options, prefix, banned), 7)


@pytest.mark.parametrize("rules", [{}, {"no_repeat": 2}, {"min_length": 4, "length_penalty": "gnmt"}])
@pytest.mark.parametrize(
    "width", [{"beam": 2, "groups": 2}, {"beam": 6, "groups": 3, "n_best": 5}, {"beam": 10, "groups": 2, "n_best": 8}]
)
@pytest.mark.parametrize("diversity", [0.0, 0.7, 5.0])
def test_a_diverse_beam_is_the_slow_one(rules, width, diversity):
    generator = History(seed=2, sharpness=1.0)
    options = SearchOptions(max_length=6, diversity=diversity, **width, **rules)
    for sentence, hypotheses in enumerate(run(generator, range(8), options)):
        assert_same(hypotheses, slow_beam(generator, sentence, options), 6)


def test_groups_that_may_not_agree_begin_differently():
    options = SearchOptions(beam=3, groups=3, n_best=3, diversity=1e6, max_length=6, min_length=2)
    for hypotheses in run(History(), range(8), options):
        assert len({h.tokens[0] for h in hypotheses}) == 3


def test_without_diversity_every_group_finds_the_same():
    options = SearchOptions(beam=4, groups=2, n_best=2, max_length=6)
    for one, other in run(History(), range(8), options):
        assert one == other


@pytest.mark.parametrize(("fields", "rules"), RULES)
def test_greedy_is_a_beam_of_one(fields, rules):
    generator = History(seed=3)
    arguments = {"prefixes": [rules.get("prefix", ())] * 8, "banned": rules.get("banned", ())}
    greedy = run(generator, range(8), SearchOptions(method="greedy", max_length=9, **fields), **arguments)
    beam = run(generator, range(8), SearchOptions(beam=1, max_length=9, **fields), **arguments)
    assert [[h[:2] + h[3:] for h in row] for row in greedy] == [[h[:2] + h[3:] for h in row] for row in beam]


METHODS = [
    {"method": "greedy"},
    {"beam": 3, "n_best": 2, "length_penalty": "average", "coverage_penalty": 0.3},
    {"beam": 4, "groups": 2, "diversity": 0.5, "n_best": 4},
    {"method": "sampling", "n_best": 3, "top_p": 0.9},
]


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_finds_for_each_sentence_what_it_finds_alone(method):
    generator = History(seed=4)
    options = SearchOptions(max_length=8, no_repeat=3, **method)
    prefixes = [(), (1,), (3, 3, 0), (), (0, 0), (1, 3), (), (3,)]
    mask = torch.arange(S) < torch.tensor([3, 1, 2, 3, 3, 2, 1, 1])[:, None]

    def arguments(rows):
        seeds = [100 + i for i in rows] if options.method == "sampling" else None
        return {"prefixes": [prefixes[i] for i in rows], "source_mask": mask[list(rows)], "seeds": seeds}

    together = run(generator, range(8), options, **arguments(range(8)))
    assert len({hypotheses[0].length for hypotheses in together}) > 2, "sentences should end at different steps"
    for i in range(8):
        assert run(generator, [i], options, **arguments([i])) == [together[i]]


@pytest.mark.parametrize("method", METHODS)
def test_a_sentence_with_a_limit_finds_what_it_finds_alone_with_that_maximum_length(method):
    generator, limits = History(seed=4), [1, 2, 9, 4, 3, 6, 5, 2]
    mask = torch.ones(8, S, dtype=torch.bool)
    seeds = list(range(8)) if method.get("method") == "sampling" else None
    found = run(
        generator, range(8), SearchOptions(max_length=6, **method), limits=limits, source_mask=mask, seeds=seeds
    )
    for i, limit in enumerate(limits):
        options = SearchOptions(max_length=min(limit, 6), **method)
        if seeds is not None:  # a sample draws as many numbers as its search might have steps
            assert [h.length for h in found[i]] == [min(h.length, limit) for h in found[i]]
            continue
        (alone,) = run(generator, [i], options, source_mask=mask[:1])
        assert found[i] == alone
    assert {h.ended for hypotheses in found for h in hypotheses} == {False, True}


@pytest.mark.parametrize("method", METHODS)
def test_hypotheses_tell_what_was_attended_to_at_each_of_their_steps(method):
    generator = History(seed=4)
    seeds = list(range(8)) if method.get("method") == "sampling" else None
    mask = torch.ones(8, S, dtype=torch.bool)
    options = SearchOptions(max_length=8, **method)
    found = run(generator, range(8), options, source_mask=mask, seeds=seeds, attention=True)
    for sentence, hypotheses in enumerate(found):
        for hypothesis in hypotheses:
            steps = range(hypothesis.length)
            expected = [generator.at(sentence, hypothesis.tokens[:t])[1] for t in steps]
            assert hypothesis.attention.tolist() == expected
            rows = [generator.attention[sentence].tolist().index(row) for row in expected]
            assert hypothesis.p_gen.tolist() == generator.p_gen[sentence, rows].tolist()
    assert len({h.length for hypotheses in found for h in hypotheses}) > 2


def test_attention_on_padding_does_not_count_for_coverage():
    generator = History(seed=5)
    generator.attention[..., 2] = math.nan
    options = SearchOptions(beam=400, n_best=5, max_length=4, coverage_penalty=1.0)
    mask = torch.tensor([[True, True, False]] * 2)
    for sentence, hypotheses in enumerate(run(generator, [0, 1], options, source_mask=mask)):
        assert_same(hypotheses, enumerated(generator, sentence, options, positions=2), 4)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("groups", [1, 2])
def test_early_exit_changes_nothing_but_the_number_of_steps(penalty, groups):
    mask = torch.ones(8, S, dtype=torch.bool)
    steps = []
    results = []
    for early_exit in (True, False):
        generator = History(seed=6)
        fields = {"groups": 2, "diversity": 0.3} if groups == 2 else {}
        options = SearchOptions(beam=4, n_best=2, max_length=12, early_exit=early_exit, **fields, **penalty)
        results.append(run(generator, range(8), options, source_mask=mask))
        steps.append(sum(generator.rows))
    assert results[0] == results[1]
    assert steps[0] < steps[1]


def test_finished_sentences_are_no_longer_computed():
    generator = History(seed=4)
    found = run(generator, range(8), SearchOptions(method="greedy", max_length=12))
    lengths = [hypotheses[0].length for hypotheses in found]
    assert generator.rows == [sum(length >= t for length in lengths) for t in range(1, max(lengths) + 1)]


def test_a_beam_costs_its_width_a_step():
    generator = History()
    run(generator, range(3), SearchOptions(beam=5, max_length=4, min_length=4, early_exit=False))
    assert generator.rows == [15] * 4


def test_rules_that_leave_nothing_give_no_hypothesis():
    banned = [(v,) for v in range(V)]
    assert run(History(), [0, 1], SearchOptions(beam=2, max_length=3), banned=banned) == [[], []]
    greedy = SearchOptions(method="greedy", max_length=3)
    assert run(History(), [0, 1], greedy, banned=banned) == [[], []]


@pytest.mark.parametrize("method", ["greedy", "beam"])
def test_no_sentences_give_no_results(method):
    state, memory = History().start([])
    options = SearchOptions(method=method)
    assert search(History(), state, memory, torch.zeros(0, dtype=torch.int64), options, eos=EOS) == []


def test_half_precision_scores_are_summed_in_single_precision():
    class Half(History):
        def step(self, tokens, state, memory):
            step = super().step(tokens, state, memory)
            return step._replace(log_probs=step.log_probs.to(torch.bfloat16))

    generator = Half()
    generator.log_probs = generator.log_probs.to(torch.bfloat16).double()
    ((found,),) = run(generator, [0], SearchOptions(beam=3, max_length=6, min_length=5))
    words = (*found.tokens, EOS) if found.ended else found.tokens
    assert found.log_prob == pytest.approx(final_score(generator, 0, words, SearchOptions())[0], abs=1e-5)


class Joined(History):
    """By hand what an ensemble of two should be."""

    def __init__(self, first, second, mean):
        super().__init__()
        one, two = first.log_probs, second.log_probs
        self.log_probs = ((one.exp() + two.exp()) / 2).log() if mean == "probabilities" else (one + two) / 2
        self.attention = (first.attention + second.attention) / 2


@pytest.mark.parametrize("mean", ["probabilities", "log_probabilities"])
def test_an_ensemble_searches_the_mean(mean):
    first, second = History(seed=7), History(seed=8)
    options = SearchOptions(beam=3, n_best=3, max_length=6, length_penalty="gnmt", coverage_penalty=0.5)
    (state_1, memory_1), (state_2, memory_2) = first.start(range(8)), second.start(range(8))
    both = Ensemble([first, second], mean)
    mask = torch.ones(8, S, dtype=torch.bool)
    found = search(
        both, (state_1, state_2), (memory_1, memory_2), torch.full((8,), BOS), options, eos=EOS, source_mask=mask
    )
    joined = Joined(first, second, mean)
    for sentence, hypotheses in enumerate(found):
        assert_same(hypotheses, slow_beam(joined, sentence, options), 6)


def test_an_ensemble_of_different_vocabularies_is_refused():
    class Smaller(History):
        def step(self, tokens, state, memory):
            step = super().step(tokens, state, memory)
            return step._replace(log_probs=step.log_probs[:, :3])

    state, memory = History().start([0])
    with pytest.raises(ShapeError, match=r"vocabularies of \[3, 4\]"):
        Ensemble([History(), Smaller()]).step(torch.tensor([0]), (state, state), (memory, memory))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prefixes": [()]}, "1 prefixes for 2 sentences"),
        ({"prefixes": [(), (1, EOS)]}, "prefix 1 contains the end mark"),
        ({"prefixes": [(1,) * 4, ()]}, "prefix 0 has 4 tokens, expected fewer than max_length 4"),
        ({"banned": [()]}, "a banned sequence is empty"),
        ({"seeds": [1, 2]}, "seeds are for sampling"),
        ({"limits": [3]}, "1 limits for 2 sentences"),
        ({"limits": [3, 0]}, "a limit is 0, expected 1 or more"),
        ({"prefixes": [(), (1, 1, 1)], "limits": [4, 3]}, "prefix 1 has 3 tokens, expected fewer than max_length 3"),
    ],
)
def test_arguments_that_do_not_fit_are_told(arguments, message):
    with pytest.raises(UseError, match=message):
        run(History(), [0, 1], SearchOptions(max_length=4), **arguments)


def test_coverage_without_attention_or_mask_is_told():
    class Blind(History):
        def step(self, tokens, state, memory):
            return super().step(tokens, state, memory)._replace(attention=None)

    options = SearchOptions(coverage_penalty=1.0)
    with pytest.raises(UseError, match="needs source_mask"):
        run(History(), [0], options)
    with pytest.raises(UseError, match="needs attention"):
        run(Blind(), [0], options, source_mask=torch.ones(1, S, dtype=torch.bool))


def test_a_state_with_the_wrong_rows_or_leaves_is_told():
    state, memory = History().start([0, 1])
    first = torch.full((3,), BOS)
    with pytest.raises(ShapeError, match="expected 3 rows"):
        search(History(), state, memory, first, SearchOptions(), eos=EOS)
    with pytest.raises(ShapeError, match="a state holds float"):
        search(History(), {"code": 1.0}, None, first, SearchOptions(), eos=EOS)


REQUIRED = [
    [(3, 1)],
    [(0,), (3,)],
    [(1, 3), (3, 0)],  # 1 3 0 has both
    [(1, 1, 0), (1, 0)],  # one within the other; after 1 1 another 1 leaves 1 1
    [(3, 3, 3)],
    [(0,), (0,)],
]
RULES_WITH_PHRASES = [
    ({}, {}),
    ({"min_length": 4, "length_penalty": "average"}, {}),
    ({"no_repeat": 1}, {}),
    ({"no_repeat": 2, "length_penalty": "gnmt", "coverage_penalty": 0.4}, {}),
    ({}, {"banned": [(1, 1), (0, EOS)]}),
    ({}, {"prefix": (3, 3)}),
    ({"no_repeat": 1}, {"prefix": (3, 1)}),
]


@pytest.mark.parametrize("required", REQUIRED)
@pytest.mark.parametrize(("fields", "rules"), RULES_WITH_PHRASES)
def test_a_wide_beam_with_phrases_finds_what_enumeration_finds(required, fields, rules):
    generator, sentences = History(), [0, 5, 3, 2]
    each = [required, [], required[:1], [(1,)]]
    options = SearchOptions(beam=400, n_best=7, max_length=5, **fields)
    prefix, banned = rules.get("prefix", ()), rules.get("banned", ())
    mask = torch.ones(4, S, dtype=torch.bool)
    found = run(generator, sentences, options, prefixes=[prefix] * 4, banned=banned, source_mask=mask, required=each)
    for sentence, own, hypotheses in zip(sentences, each, found, strict=True):
        assert_same(hypotheses, enumerated(generator, sentence, options, prefix, banned, own), 5)


@pytest.mark.parametrize("required", REQUIRED)
@pytest.mark.parametrize("beam", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("fields", [{}, {"no_repeat": 2, "length_penalty": "gnmt"}, {"length_penalty": "average"}])
def test_a_narrow_beam_with_phrases_is_the_slow_one(required, beam, fields):
    generator = History(seed=1, sharpness=1.0)
    options = SearchOptions(max_length=7, beam=beam, n_best=min(beam, 3), **fields)
    for sentence, hypotheses in enumerate(run(generator, range(8), options, required=[required] * 8)):
        assert_same(hypotheses, slow_beam(generator, sentence, options, required=required), 7)


@pytest.mark.parametrize("beam", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("fields", [{}, {"no_repeat": 1}, {"no_repeat": 2}, {"length_penalty": "average"}])
def test_any_beam_finds_hypotheses_with_all_phrases_that_fit(beam, fields):
    draw, generator = random.Random(beam), History(sharpness=6.0)
    options = SearchOptions(beam=beam, n_best=min(beam, 3), max_length=9, **fields)
    words = [token for token in range(4) if token != EOS]
    for _ in range(20):
        required = [[tuple(draw.choices(words, k=draw.randint(1, 4))) for _ in range(2)] for _ in range(8)]
        prefixes = [tuple(draw.choices(words, k=draw.randint(0, 1))) for _ in range(8)]
        for own, hypotheses in zip(
            required, run(generator, range(8), options, required=required, prefixes=prefixes), strict=True
        ):
            assert hypotheses
            assert all(occurs(phrase, h.tokens) for phrase in own for h in hypotheses)


def test_phrases_that_do_not_fit_find_nothing_and_those_that_overlap_may():
    options = SearchOptions(beam=400, max_length=3)
    too_long, overlapping = [(0, 1, 3, 0)], [(0, 1), (1, 3)]
    nothing, (found,) = run(History(), [0, 1], options, required=[too_long, overlapping])
    assert nothing == []
    assert (found.tokens, found.ended) == ((0, 1, 3), False)


@pytest.mark.parametrize("beam", [2, 4, 7])
def test_a_sentence_without_phrases_is_searched_as_if_no_other_had_any(beam):
    options = SearchOptions(beam=beam, n_best=2, max_length=8, length_penalty="gnmt", no_repeat=3)
    alone = run(History(seed=4), range(8), options)
    mixed = run(History(seed=4), range(8), options, required=[[(3, 1, 0)] if i % 2 else [] for i in range(8)])
    assert mixed[::2] == alone[::2]
    assert mixed[1::2] != alone[1::2]


@pytest.mark.parametrize("beam", [1, 3, 5, 12])
def test_a_batch_finds_for_each_sentence_with_phrases_what_it_finds_alone(beam):
    generator = History(seed=4)
    required = [[(3, 1)], [], [(0, 1, 0), (3,)], [(1,)], [(3, 3), (0, 0)], [(1, 1, 1, 1)], [(0,), (1,), (3,)], []]
    prefixes = [(), (1,), (3, 3, 0), (), (0, 0), (1, 3), (), (3,)]
    excluded = [[], [(1, 1)], [(3, 1)], [(0,), (3, 3)], [], [], [(1, 1)], [(0,)]]
    mask = torch.arange(S) < torch.tensor([3, 1, 2, 3, 3, 2, 1, 1])[:, None]
    fields = {"coverage_penalty": 0.3, "no_repeat": 3, "length_penalty": "average", "n_best": min(beam, 2)}
    options = SearchOptions(beam=beam, max_length=9, **fields)

    def found(rows):
        lists = {"required": required, "prefixes": prefixes, "excluded": excluded}
        chosen = {name: [values[i] for i in rows] for name, values in lists.items()}
        return run(generator, rows, options, source_mask=mask[list(rows)], limits=[9 - i % 2 for i in rows], **chosen)

    together = found(range(8))
    assert len({hypotheses[0].length for hypotheses in together}) > 2, "sentences should end at different steps"
    assert [found([i])[0] for i in range(8)] == together


@pytest.mark.parametrize("fields", [{}, {"length_penalty": "average"}, {"coverage_penalty": 0.5}])
def test_early_exit_with_phrases_changes_nothing_but_the_number_of_steps(fields):
    steps, results = [], []
    for early_exit in (True, False):
        generator = History(seed=6)
        options = SearchOptions(beam=6, n_best=2, max_length=14, early_exit=early_exit, **fields)
        required, mask = [[(3, 1)], [(0,), (1,)]] * 4, torch.ones(8, S, dtype=torch.bool)
        results.append(run(generator, range(8), options, required=required, source_mask=mask))
        steps.append(sum(generator.rows))
    assert results[0] == results[1]
    assert steps[0] < steps[1]


def test_banks_find_better_hypotheses_than_phrases_that_are_written_first():
    """What a beam of 8 finds is seldom worse than the best hypothesis that begins with the phrase."""
    generator, phrase = History(seed=9), (3, 1)
    options = SearchOptions(beam=8, max_length=7)
    searched = run(generator, range(8), options, required=[[phrase]] * 8)
    first = run(generator, range(8), SearchOptions(beam=400, max_length=7), prefixes=[phrase] * 8)
    better = [a.score > b.score for (a,), (b,) in zip(searched, first, strict=True)]
    assert sum(better) >= 6


@pytest.mark.parametrize("excluded", [[(1,)], [(3, 1), (0, 0, 0)], [(3,), (3, 1)], [(0, 1), (1, 0)]])
@pytest.mark.parametrize("prefix", [(), (3, 1)])
def test_excluded_phrases_are_banned_for_their_sentence_only(excluded, prefix):
    generator, options = History(seed=2), SearchOptions(beam=400, n_best=5, max_length=5)
    found = run(generator, [1, 4], options, excluded=[excluded, []], prefixes=[prefix, ()])
    assert_same(found[0], enumerated(generator, 1, options, prefix, excluded), 5)
    assert_same(found[1], enumerated(generator, 4, options), 5)


@pytest.mark.parametrize(
    "method", [{"method": "greedy"}, {"method": "sampling", "n_best": 4}, {"beam": 4, "groups": 2}]
)
def test_excluded_phrases_are_not_written_by_any_method(method):
    seeds = list(range(8)) if method.get("method") == "sampling" else None
    options = SearchOptions(max_length=10, **method)
    free = run(History(), range(8), options, seeds=seeds)
    excluded = [[(*found[0].tokens, EOS)[:2]] for found in free]
    bound = run(History(), range(8), options, seeds=seeds, excluded=excluded)
    assert all(bound)
    assert not any(occurs(own[0], h.tokens) for own, found in zip(excluded, bound, strict=True) for h in found)


@pytest.mark.parametrize(
    ("fields", "arguments", "message"),
    [
        ({}, {"required": [[(1,)]]}, "required: 1 lists for 2 sentences"),
        ({}, {"required": [[], [()]]}, "required: sentence 1 has an empty phrase"),
        ({}, {"required": [[(1, EOS)], []]}, "required: a phrase of sentence 0 contains the end mark"),
        ({}, {"excluded": [[()], []]}, "excluded: sentence 0 has an empty phrase"),
        ({"method": "greedy"}, {"required": [[(1,)], []]}, "need method beam.* is greedy"),
        ({"beam": 4, "groups": 2}, {"required": [[(1,)], []]}, "is beam with 2 groups"),
    ],
)
def test_phrases_that_do_not_fit_are_told(fields, arguments, message):
    with pytest.raises(UseError, match=message):
        run(History(), [0, 1], SearchOptions(max_length=4, **fields), **arguments)
