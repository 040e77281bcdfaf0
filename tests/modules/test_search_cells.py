"""A recurrent language model of real cells, searched: its state is the cell's, its memory an encoded source."""

import math

import pytest
import torch
from torch import nn

from seqapps.cells import GRU, LSTM
from seqapps.modules.search import SearchOptions, Step, search

V, H, BOS, EOS = 6, 8, 0, 1


class Decoder(nn.Module):
    """Embedding, one cell, attention by inner products over the source, output."""

    def __init__(self, cell):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(V, 4)
        self.cell = cell(4, H)
        self.output = nn.Linear(2 * H, V)
        self.double()
        with torch.no_grad():
            self.output.weight.mul_(6)

    def start(self, source, mask):
        return self.cell.initial_state(len(source)), {"source": source, "mask": mask}

    def step(self, tokens, state, memory):
        h, state = self.cell.step(self.cell.project(self.embedding(tokens)), state)
        B = len(memory["source"])
        queries = h.view(B, -1, H)
        scores = (queries @ memory["source"].transpose(1, 2)).masked_fill(~memory["mask"][:, None], -math.inf)
        attention = scores.softmax(-1)
        context = (attention @ memory["source"]).view(-1, H)
        return Step(self.output(torch.cat((h, context), -1)).log_softmax(-1), state, attention.flatten(0, 1))


def run(decoder, sources, options, padding=0):
    longest = max(map(len, sources)) + padding
    lengths = torch.tensor([len(source) for source in sources])
    padded = torch.stack([nn.functional.pad(s, (0, 0, 0, longest - len(s)), value=7.0) for s in sources])
    mask = torch.arange(longest) < lengths[:, None]
    state, memory = decoder.start(padded, mask)
    first = torch.full((len(sources),), BOS)
    return search(decoder, state, memory, first, options, eos=EOS, source_mask=mask)


def sources():
    draw = torch.Generator().manual_seed(1)
    return [torch.randn(n, H, generator=draw, dtype=torch.float64) * 2 for n in (3, 1, 5, 2, 4)]


@pytest.mark.parametrize("cell", [LSTM, GRU])
def test_neither_the_batch_nor_padding_changes_a_result(cell):
    decoder = Decoder(cell)
    options = SearchOptions(beam=4, n_best=3, max_length=9, length_penalty="gnmt", coverage_penalty=0.2)
    together = run(decoder, sources(), options, padding=3)
    assert len({hypotheses[0].tokens for hypotheses in together}) > 1, "sources should matter"
    for source, expected in zip(sources(), together, strict=True):
        (alone,) = run(decoder, [source], options)
        assert [h.tokens for h in alone] == [h.tokens for h in expected]
        assert [h.score for h in alone] == pytest.approx([h.score for h in expected], abs=1e-9)


@pytest.mark.parametrize("cell", [LSTM, GRU])
def test_a_log_probability_is_what_reading_the_hypothesis_gives(cell):
    decoder = Decoder(cell)
    options = SearchOptions(beam=4, n_best=4, max_length=7)
    for source, hypotheses in zip(sources(), run(decoder, sources(), options), strict=True):
        for hypothesis in hypotheses:
            state, memory = decoder.start(source[None], torch.ones(1, len(source), dtype=torch.bool))
            total, last = 0.0, BOS
            for token in (*hypothesis.tokens, EOS) if hypothesis.ended else hypothesis.tokens:
                step = decoder.step(torch.tensor([last]), state, memory)
                total, state, last = total + step.log_probs[0, token].item(), step.state, token
            assert hypothesis.log_prob == pytest.approx(total, abs=1e-6)


def test_a_search_leaves_no_gradient():
    decoder = Decoder(LSTM)
    seen = []
    step = decoder.step

    def spied(tokens, state, memory):
        seen.append(step(tokens, state, memory).log_probs.requires_grad)
        return step(tokens, state, memory)

    decoder.step = spied
    run(decoder, sources(), SearchOptions(beam=2, max_length=3))
    assert seen
    assert not any(seen)
