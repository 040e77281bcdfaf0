"""Times of cells are ratios to torch's own layer, measured in turns, of real tokens only."""

import json
import statistics
import types
from importlib import metadata

import pytest
import torch

from seqapps.application import benching
from seqapps.application.benching import Bench, Size, bench_cells
from seqapps.cells import PointwiseCell
from seqapps.cells.unroll import kernels_named, unroll_steps
from seqapps.recipe.components import read_components
from seqapps.registry import registry

TINY = ("--sizes", "5,3,4", "--rounds", "3", "--seconds", "0.001", "--device", "cpu")


def cells(text):
    return read_components("cells", text, "test")


@pytest.fixture
def register(monkeypatch):
    """Register a component for one test."""

    def add(kind, name, component):
        monkeypatch.setitem(registry(kind)._local, name, component)
        kernels_named.cache_clear()

    yield add
    kernels_named.cache_clear()


@pytest.fixture
def clock(monkeypatch):
    """Time that passes a millisecond at every look, and `clock.now` may be set forward."""
    fake = types.SimpleNamespace(now=0.0)

    def look():
        fake.now += 0.001
        return fake.now

    monkeypatch.setattr(benching, "time", types.SimpleNamespace(perf_counter=look, process_time=look))
    return fake


class Tanh(PointwiseCell):
    """h = tanh(W x + U h)."""

    made = ()

    def __init__(self, input_size, hidden_size, /, *, bias: bool = True):
        super().__init__(input_size, hidden_size, bias=bias)
        type(self).made = (*self.made, self)

    def pointwise(self, projected, recurrent, state):
        h = torch.tanh(projected + recurrent)
        return h, (h,)


class SlowAtFirst:
    """A kernel that compiles for 100 seconds."""

    rank = 99
    clock = None
    compiled = False

    def refuses(self, cell, x):
        return None

    def unroll(self, cell, x, state, lengths, final):
        if not type(self).compiled:
            type(self).compiled, self.clock.now = True, self.clock.now + 100
        return unroll_steps(cell, x, state, lengths, final)


def test_a_ratio_is_taken_within_each_round_and_summed_up_over_rounds(seqapps, tmp_path):
    path = tmp_path / "out.json"
    result = seqapps("bench", "cells", "--cells", "lstm,gru", "--kernels", "reference", *TINY, "--output", str(path))
    assert result.exit_code == 0, result.output
    report = json.loads(path.read_text())
    (group,) = report["groups"]
    base, *measured = group["contestants"]
    assert [(one["cell"], one["kernel"]) for one in measured] == [("lstm", "reference"), ("gru", "reference")]
    for one in measured:
        for clock, times in (("wall", "seconds_per_token"), ("cpu", "cpu_seconds_per_token")):
            assert len(one[times]) == 3
            expected = statistics.median(mine / torchs for mine, torchs in zip(one[times], base[times], strict=True))
            assert one["ratios"]["torch.nn.LSTM"][clock]["median"] == pytest.approx(expected)


def test_the_json_says_what_the_times_depend_on(seqapps, tmp_path):
    path = tmp_path / "out.json"
    fields = "{type: lstm, peephole: diagonal}"
    assert seqapps("bench", "cells", "--cells", fields, *TINY, "--seed", "7", "--output", str(path)).exit_code == 0
    report = json.loads(path.read_text())
    assert report["versions"]["torch"] == metadata.version("torch")
    assert report["machine"]["cores"]
    assert report["machine"]["processor"]
    assert (report["seed"], report["threads"], report["dtype"], report["rounds"]) == (7, 1, "fp32", 3)
    assert report["cells"] == [fields]
    assert report["groups"][0]["matmul_precision"] in ("highest", "medium")
    assert report["groups"][0]["lengths"] == [5, 5, 5]


def test_the_table_shows_which_kernel_auto_took_and_why_one_refused(seqapps):
    result = seqapps("bench", "cells", "--cells", "gru,{type: gru, reset: before}", "--kernels", "auto,native", *TINY)
    lines = [line.split("  ") for line in result.stdout.splitlines()]
    rows = {(row[0], next(filter(None, row[1:])).strip()): row[-1] for row in lines if len(row) > 2}
    assert ("gru", "auto (native)") in rows
    assert ("{type: gru, reset: before}", "auto (reference)") in rows
    assert rows["{type: gru, reset: before}", "native"].strip() == "-"
    assert "- {type: gru, reset: before} by native was not measured: torch has fused layers for" in result.stdout


def test_why_auto_found_no_kernel_stands_below_the_table_once(seqapps):
    result = seqapps("bench", "cells", "--cells", "{type: gru, reset: before}", *TINY, "--sizes", "5,3,4 5,2,4")
    notes = [line for line in result.stdout.splitlines() if line.startswith("- ")]
    assert len(notes) == 1
    assert notes[0].startswith("- {type: gru, reset: before} runs step by step: native: torch has fused layers for")


def test_where_no_gpu_was_measured_the_table_says_so(seqapps):
    result = seqapps("bench", "cells", "--cells", "rnn", *TINY)
    assert result.stdout.splitlines()[-1] == "not measured on a GPU"


def test_compiling_is_a_column_of_its_own_and_not_in_the_times(register, clock):
    SlowAtFirst.clock = clock
    SlowAtFirst.compiled = False
    register("kernels", "slow_at_first", SlowAtFirst)
    bench = Bench(cells=cells("rnn"), kernels=["slow_at_first"], sizes=[Size(3, 2, 4)], devices=["cpu"])
    (group,) = bench_cells(bench)
    assert 100 < group.contestants[-1].first_call_seconds < 101
    assert len(group.contestants[-1].seconds_per_token) == bench.rounds
    assert max(group.contestants[-1].seconds_per_token) < 1


def test_a_turn_counts_real_tokens_only(clock):
    work = benching._Work(Bench(cells=[], ragged=True), Size(8, 5, 4), torch.device("cpu"))

    def run():
        clock.now += 1

    # Three passes of a second fill 2.5 seconds; every pass is over `sum of lengths` tokens, not over 8 x 5 positions.
    assert work.turn(run, 2.5).seconds == pytest.approx(3 / (3 * int(work.lengths.sum())), rel=0.01)
    assert int(work.lengths.sum()) < 8 * 5


def test_ragged_lengths_follow_the_seed_and_lie_between_a_quarter_and_the_whole():
    def lengths(seed):
        bench = Bench(cells=[], ragged=True, seed=seed)
        return benching._Work(bench, Size(40, 200, 2), torch.device("cpu")).lengths.tolist()

    assert lengths(1) == lengths(1) != lengths(2)
    assert (min(lengths(1)), max(lengths(1))) == (10, 40)


@pytest.mark.parametrize("against", ["lstm", "gru"])
def test_packed_and_padded_torch_layers_do_the_same_work(against):
    bench = Bench(cells=[], ragged=True, dtype="fp64", against=against)
    work = benching._Work(bench, Size(9, 5, 4), torch.device("cpu"))
    gradients = []
    for _, run in work.torch_layers():
        run()
        gradients.append(work.x.grad)
    assert len(gradients) == 2
    assert torch.allclose(*gradients, atol=1e-12)
    padding = torch.arange(9)[:, None] >= work.lengths
    assert gradients[0][padding].eq(0).all()
    assert gradients[0][~padding].ne(0).all()


def test_a_pass_computes_the_gradients_of_input_and_parameters(register):
    register("cells", "tanh_that_remembers", Tanh)
    work = benching._Work(Bench(cells=[]), Size(6, 3, 4), torch.device("cpu"))
    _, run = work.cell(cells("tanh_that_remembers")[0], "reference")
    run()
    once = [p.grad.clone() for p in Tanh.made[-1].parameters()]
    of_input = work.x.grad.clone()
    assert of_input.ne(0).all()
    assert all(gradient.ne(0).all() for gradient in once)
    run()  # nothing is summed up from pass to pass
    assert torch.equal(work.x.grad, of_input)
    assert all(torch.equal(p.grad, before) for p, before in zip(Tanh.made[-1].parameters(), once, strict=True))


def test_another_contestant_goes_first_in_every_round(monkeypatch):
    turns = []

    def turn(work, run, seconds):
        turns.append(run)
        return benching._Turn(1.0, 1.0)

    monkeypatch.setattr(benching._Work, "turn", turn)
    bench = Bench(cells=cells("rnn,gru"), kernels=["reference"], sizes=[Size(3, 2, 4)], devices=["cpu"], rounds=3)
    assert len(list(bench_cells(bench))) == 1
    layer, rnn, gru = turns[:3]  # warming up
    assert turns[3:] == [layer, rnn, gru, rnn, gru, layer, gru, layer, rnn]


def test_ratios_may_be_taken_to_a_gru(seqapps):
    result = seqapps("bench", "cells", "--cells", "gru", "--against", "gru", "--ragged", *TINY)
    assert "x torch.nn.GRU, packed" in result.stdout
    assert "x torch.nn.GRU, padded" in result.stdout


def test_a_cell_that_cannot_be_built_by_default_hides_no_other(register, seqapps, monkeypatch):
    class Needy(Tanh):
        def __init__(self, input_size, hidden_size, /, *, order: int):
            super().__init__(input_size, hidden_size)

    for name in registry("cells").names():
        if name != "rnn":
            monkeypatch.delitem(registry("cells")._found(), name)
    register("cells", "needy", Needy)
    result = seqapps("bench", "cells", *TINY)
    assert result.exit_code == 0
    assert result.stderr == "warning: --cells: cell 'needy' has no 'order', which is required\n"
    assert any(line.startswith("rnn ") for line in result.stdout.splitlines())


def test_a_contestant_that_fails_is_a_reason_and_not_the_end(register, seqapps):
    class Mismatched(Tanh):
        def pointwise(self, projected, recurrent, state):
            return super().pointwise(projected, recurrent[:, :-1], state)

    register("cells", "mismatched", Mismatched)
    result = seqapps("bench", "cells", "--cells", "mismatched,rnn", "--kernels", "reference", *TINY)
    assert result.exit_code == 0, result.output
    assert "- mismatched by reference was not measured: RuntimeError: The size of tensor" in result.stdout
    assert any(line.startswith("rnn ") and line.split()[-1] != "-" for line in result.stdout.splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cells", "lsmt"], "--cells: unknown cell 'lsmt'; did you mean 'lstm'?"),
        (
            ["--cells", "{type: lstm, peephole: round}"],
            "--cells: expected one of none | diagonal | full for 'peephole' of cell 'lstm', got 'round'",
        ),
        (["--kernels", "nativ"], "error: unknown kernel 'nativ'; did you mean 'native'?"),
        (["--kernels", ","], "error: --kernels: no name is given; leave the option out, or name one"),
        (["--sizes", "35,20"], "error: --sizes: '35,20' is no size; expected T,B,H as in 35,20,200"),
        (["--sizes", "35,0,200"], "error: --sizes: '35,0,200' is no size; expected T,B,H as in 35,20,200"),
        (["--device", "cpux"], "error: --device: 'cpux' is no device; use auto, cpu, cuda, cuda:N or mps"),
        (
            ["--clock", "cpu"],
            "error: --clock: cpu times a CPU only, --device is auto; add --device cpu",
        ),
        (["--output", "nowhere/f.json"], "error: --output: folder 'nowhere' is not there; make it first"),
    ],
)
def test_wrong_use_is_told_in_one_line_before_anything_is_measured(seqapps, monkeypatch, arguments, message):
    monkeypatch.setattr(benching, "_measured", lambda *_: pytest.fail("something was measured"))
    result = seqapps("bench", "cells", *arguments)
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [message]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_gpu_that_is_not_there_is_told_in_one_line(seqapps):
    result = seqapps("bench", "cells", "--device", "cpu,cuda")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: --device: 'cuda' is not there, this machine has no CUDA device; use auto or cpu"
    ]
    assert result.stdout == ""


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_measured(seqapps):
    result = seqapps("bench", "cells", "--cells", "lstm", "--sizes", "5,3,4", "--seconds", "0.01", "--device", "cuda")
    assert result.exit_code == 0, result.output
    assert "not measured on a GPU" not in result.stdout
