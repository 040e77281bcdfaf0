"""Learning rates over time."""

import pytest

from seqapps.engine.schedules import Constant, Cosine, Moment, OneCycle, Plateau, Step, Warmup


def at(schedule, share, total=100, epochs=10):
    return schedule.factor(Moment(round(share * total), share * epochs, share))


def test_constant_stays():
    assert at(Constant(), 0.0) == at(Constant(), 0.9) == 1.0


def test_zarembas_small_schedule():
    # Hold 4 epochs, then halve after each: during epoch 5 (4 <= epoch < 5) the rate is a half.
    schedule = Step(decay=0.5, every=1, hold=4)
    factors = [schedule.factor(Moment(0, epoch, 0)) for epoch in (0, 3.99, 4, 4.5, 5, 6)]
    assert factors == [1, 1, 0.5, 0.5, 0.25, 0.125]


def test_plateau_waits_for_patience_and_remembers():
    schedule = Plateau(decay=0.1, patience=2, minimum=0.05)
    factors = []
    for value in (0.5, 0.6, 0.6, 0.55, 0.58, 0.59, 0.7):
        schedule.observe(value, higher_is_better=True)
        factors.append(schedule.factor(Moment(0, 0, 0)))
    assert factors == pytest.approx([1, 1, 1, 0.1, 0.1, 0.05, 0.05])
    again = Plateau(decay=0.1, patience=2, minimum=0.05)
    again.state = schedule.state
    assert again.state == schedule.state


def test_plateau_knows_that_lower_can_be_better():
    schedule = Plateau(decay=0.5, patience=1)
    for value in (90.0, 80.0, 70.0):
        schedule.observe(value, higher_is_better=False)
    assert schedule.factor(Moment(0, 0, 0)) == 1.0
    schedule.observe(75.0, higher_is_better=False)
    assert schedule.factor(Moment(0, 0, 0)) == 0.5


def test_cosine_falls_from_one_to_its_end_after_warming_up():
    assert [at(Cosine(), s) for s in (0, 0.5, 1.0)] == pytest.approx([1, 0.5, 0])
    warmed = Cosine(final=0.1, warmup=0.2)
    assert [at(warmed, s) for s in (0, 0.1, 0.2, 0.6, 1.0)] == pytest.approx([0, 0.5, 1, 0.55, 0.1])


@pytest.mark.parametrize(("then", "late"), [("constant", 1.0), ("linear", 0.5), ("inverse_root", (10 / 55) ** 0.5)])
def test_warmup_rises_linearly_then_does_as_told(then, late):
    schedule = Warmup(steps=10, then=then)
    assert [at(schedule, s) for s in (0, 0.04, 0.09)] == pytest.approx([0.1, 0.5, 1.0])
    assert at(schedule, 0.55) == pytest.approx(late)


def test_one_cycle_rises_and_falls():
    schedule = OneCycle(rise=0.4, start=0.1, final=0.01)
    assert [at(schedule, s) for s in (0, 0.2, 0.4, 0.7, 1.0)] == pytest.approx([0.1, 0.55, 1.0, 0.505, 0.01])
