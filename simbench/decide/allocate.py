"""From answers to amounts: what each contender would do with the money, and what it promises.

Batched: the leading axis of every array is the replicate R.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from simbench import optimum
from simbench.decide.readings import allocated, curves_of, readings, worth
from simbench.optimum import constraints_of
from simbench.records import Answers, Brief, Decision, Decisions, Problem

Array = Any
#: (problem, amounts [R, B, U]) -> money and KPI [R, B] that the worlds give against the status quo.
Value = Callable[[int, Array], tuple[Array, Array]]
#: An allocation that had to be moved by more than this share of the money was not feasible.
MOVED = 1e-6


class Told(NamedTuple):
    """Whose decisions these are, for warnings."""

    contender: str
    cells: tuple[str, ...]  #: [R]
    problems: tuple[str, ...]


def common(brief: Brief, answers: Answers, i: int) -> Array | None:
    """Best amounts [R, U] of problem `i` on the mean of the answered curves; None if not answered.

    KPI and money are averaged over draws, interpolated each by PCHIP on the levels, and only
    then netted.
    """
    problem = brief.questions.problems[i]
    curves = curves_of(problem, answers, i)
    return None if curves is None else allocated(problem, worth(brief), curves.mean)[0]


def own(brief: Brief, answers: Answers, i: int, told: Told | None = None) -> tuple[Array, Array] | None:
    """The contender's own amounts [R, U] of problem `i`, made feasible, and whether they were moved [R].

    NaN, and the reference decision's amounts, where it leaves the problem to the common allocator; None where it does
    everywhere. Amounts that look like money in another unit than the status quo are warned about: once they are
    feasible nobody sees it.
    """
    if answers.allocation is None:
        return None
    asked = np.asarray(answers.allocation[i], dtype=float)
    left = np.isnan(asked).all(axis=-1)
    if left.all():
        return None
    problem = brief.questions.problems[i]
    asked = np.where(left[:, None], problem.status_quo, asked)
    warn_of_unit(asked.sum(axis=-1), problem.status_quo.sum(axis=-1), i, told)
    amounts = np.asarray(optimum.project(asked, constraints_of(problem)))
    moved = np.abs(amounts - asked).sum(axis=-1) > MOVED * np.maximum(problem.status_quo.sum(axis=-1), 1e-300)
    return amounts, np.where(left, np.nan, moved)


def warn_of_unit(money: Array, spent: Array, i: int, told: Told | None) -> None:
    """A warning where the sums of amounts [R] of problem `i` are far off what the status quo spends [R]."""
    worlds = np.flatnonzero(optimum.far_off(money, spent))
    if not worlds.size:
        return
    first = worlds[0]
    who, cell, problem = (
        ("allocation", f"world {first}", f"{i}")
        if told is None
        else (told.contender, told.cells[first], told.problems[i])
    )
    more = f" (and in {len(worlds) - 1} more)" if len(worlds) > 1 else ""
    words = ": ".join(optimum.unit_words(money[first], spent[first]))
    warnings.warn(f"{who} on {cell}{more}: amounts of problem {problem} {words}", stacklevel=3)


def promised(brief: Brief, answers: Answers, i: int, amounts: Array) -> Array:
    """What the answered mean curves say amounts [R, U] earn against the status quo [R]; NaN if there are none."""
    problem = brief.questions.problems[i]
    curves = curves_of(problem, answers, i)
    if curves is None:
        return np.full(len(amounts), np.nan)
    return promises(problem, curves.mean, worth(brief), amounts[:, None])[:, 0]


def promises(problem: Problem, curves: tuple[Array, Array | None], value: Array, amounts: Array) -> Array:
    """What one curve a unit (KPI and money [R, U, L]) says amounts [R, B, U] earn against the status quo [R, B]."""
    # a unit without room has no curve: nothing is decided, nothing is earned
    room = problem.levels[..., -1] > problem.levels[..., 0]
    spread = np.where(room[..., None], problem.levels, np.arange(problem.levels.shape[-1]))
    evaluate = optimum.pchip_cells(spread, *curves, value)
    every = np.swapaxes(np.concatenate([problem.status_quo[:, None], amounts], axis=1), 1, 2)
    inside = np.clip(every, problem.levels[..., :1], problem.levels[..., -1:])
    earned = np.asarray(evaluate(np.where(room[..., None], inside, 0.0)).value)
    return np.where(room[..., None], earned[..., 1:] - earned[..., :1], 0.0).sum(axis=1)


def decide(brief: Brief, answers: Answers, value: Value, told: Told | None = None) -> Decisions:
    """What each problem's answers lead to.

    Parameters
    ----------
    brief, answers : Brief, Answers
        Batched: [R, ...] and [R, D, ...].
    value : callable
        (problem, amounts [R, B, U]) -> money and KPI [R, B] that the worlds themselves give against the
        status quo; asked once a problem, because worlds whose channels interact take long.
    told : Told, optional
        Names for warnings.

    Returns
    -------
    Decisions
        Batched; NaN where a contender neither allocates nor answers curves.
    """
    found = [decided(brief, answers, i, value, told) for i in range(len(brief.questions.problems))]
    return Decisions(*(tuple(parts) for parts in zip(*found, strict=True))) if found else Decisions(*((),) * 5)


def decided(brief: Brief, answers: Answers, i: int, value: Value, told: Told | None = None) -> tuple[Any, ...]:
    """One problem's decisions in the order of :class:`Decisions`, and the worth of perfect information [R]."""
    problem, curves = brief.questions.problems[i], curves_of(brief.questions.problems[i], answers, i)
    mine = own(brief, answers, i, told)
    read = None if curves is None else readings(problem, curves, worth(brief))
    nan = np.full(len(problem.status_quo), np.nan)
    nothing = Decision(np.full(problem.status_quo.shape, np.nan), *(nan for _ in Decision._fields[1:]))
    plans = [*([] if mine is None else [mine[0]]), *([] if read is None else read.distinct)]
    if not plans:
        return (*(nothing,) * 4, nan)
    together = np.stack(plans, axis=1)
    money, kpi = value(i, together)
    promise = sure = np.full(money.shape, np.nan)
    if read is not None:
        promise, sure = promises(problem, read.mean, worth(brief), together), surety(problem, read.drawn, together)
    made = [
        Decision(plan, money[:, k], promise[:, k], np.zeros(len(nan)), kpi[:, k], sure[:, k])
        for k, plan in enumerate(plans)
    ]
    first = nothing
    if mine is not None:
        first = made.pop(0)._replace(projected=mine[1])
        if answers.promise is not None and answers.levels is None:
            first = first._replace(promise=np.asarray(answers.promise[i], dtype=float).mean(axis=-1))
        decides = ~np.isnan(mine[1])
        first = Decision(*(np.where(decides.reshape(-1, *[1] * (x.ndim - 1)), x, np.nan) for x in first))
    shared = (made * 3)[:3] if made else [nothing] * 3  # one draw: one decision, three readings
    return first, *shared, nan if read is None else read.perfect


def surety(problem: Problem, drawn: optimum.Drawn, amounts: Array) -> Array:
    """Share of draws [R, B] in which amounts [R, B, U] promise more than the reference decision does."""
    reference = optimum.project(problem.status_quo, constraints_of(problem))
    more = [optimum.gains(drawn, amounts[:, k], reference) > 0 for k in range(amounts.shape[1])]
    return np.stack([each.mean(axis=-1) for each in more], axis=1)
