"""Cells made by hand from arrays: worlds of a few numbers, and answers around them."""

# ruff: noqa: E501  (records are filled in by position)
from __future__ import annotations

from typing import Any

import numpy as np

from simbench.records import (
    Answers,
    Brief,
    Context,
    Cost,
    Decision,
    Decisions,
    Form,
    Future,
    Optimum,
    Panel,
    Problem,
    Questions,
    Reading,
    Sizes,
    Truth,
)
from simbench.score.rows import Case

MULTIPLIERS = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0])


def case(
    rng: np.random.Generator,
    cells: int = 3,
    draws: int = 64,
    channels: int = 4,
    weeks: int = 110,
    held: int = 6,
    geos: int = 1,
    lags: int = 10,
    problems: int = 2,
    spread: float = 0.3,
) -> Case:
    """Cells of one contender whose draws stand around the truth with a relative sd of `spread`."""
    r, d, c, t, h, g, levels = cells, draws, channels, weeks, held, geos, 9
    origin = np.full(r, t - 4)
    lever = rng.gamma(2.0, 50.0, (r, t, g, c))
    kpi = rng.gamma(20.0, 50.0, (r, t, g))
    panel = Panel(
        origin, lever, lever, None, kpi, np.zeros((r, t, g, 0)), np.zeros((r, t)), np.ones((r, g)), np.ones((r, t))
    )
    seen = kpi.sum(axis=-1)[:, : t - 4]
    quo = rng.uniform(500, 1500, (r, c))
    spaced = (np.arange(levels) / (levels - 1)) ** 2
    asked = 2.5 * quo[..., None] * spaced
    one = Problem(
        np.zeros((r, 5, g, c)), np.zeros((r, 1, 5, g, c), int), np.zeros((r, 1, 5, g, c)), quo, asked, 0 * quo, 2.5 * quo,
        np.stack([quo.sum(1)] * 2, axis=1), np.zeros((r, 0, c)), np.zeros((r, 0)), np.zeros((r, 0)), np.full(r, 0.6), Form(True),
    )  # fmt: skip
    plans = np.abs(rng.normal(100.0, 10.0, (r, 4, 5, g, c)))
    future = Future(np.zeros((r, h, g, c)), np.zeros((r, h, g, c)), None, np.zeros((r, h, g, 0)), np.zeros((r, h)))
    windows = np.broadcast_to(np.array([[0, t - 4], [t - 17, t - 4]]), (r, 2, 2)).copy()
    questions = Questions(
        windows, np.broadcast_to(MULTIPLIERS, (r, len(MULTIPLIERS))).copy(), np.full(r, 0.6), future, plans, (one,) * problems,
        Sizes(lags, lags, d),
    )  # fmt: skip
    value = rng.uniform(1.5, 3.0, r)
    context = Context(
        seen.mean(axis=1), lever.sum(2).mean(axis=1), value, np.zeros((r, c)), np.zeros((r, c), int), np.zeros((r, c)),
        np.ones((r, c)), np.ones((r, c)),
    )  # fmt: skip
    paid = lever[:, : t - 4].sum(axis=(1, 2))[:, None].repeat(2, axis=1)
    contribution = seen.sum(axis=1)[:, None, None] * rng.uniform(0.02, 0.15, (r, 2, c))
    half = rng.uniform(0.5, 2.0, (r, c, 1))
    curve = contribution[:, 0, :, None] * (1 + half) * MULTIPLIERS / (MULTIPLIERS + half)
    rate = rng.uniform(0.3, 0.8, (r, c, 1))
    impulse = (1 - rate ** (1 + np.arange(lags))) / (1 - rate**lags)
    marginal = contribution / paid * rng.uniform(0.3, 0.9, (r, 2, c))
    scale = quo[..., None] * rng.uniform(0.5, 2.0, (r, c, 1))
    response = rng.uniform(2, 6, (r, c, 1)) * scale * asked / (asked + scale)
    told = Answers(
        contribution=contribution, marginal=marginal, curve=curve, impulse=impulse,
        baseline=kpi.sum(axis=-1) * 0.6, forecast=rng.gamma(20.0, 50.0, (r, h, g)), plan_value=rng.normal(0, 300, (r, 4)),
        response=(response,) * problems,
    )  # fmt: skip

    def around(x: Any, smooth: bool = False) -> Any:
        own = (r, d, x.shape[1], 1) if smooth else (r, d, *x.shape[1:])
        noise = rng.standard_normal((r, d, *(1,) * (x.ndim - 1))) * 0.2 + rng.standard_normal(own)
        return x[:, None] * (1 + spread * noise)

    best = rng.uniform(300, 600, r)
    optimum = Optimum(
        np.ones(r), quo, np.zeros(r), quo, best, best * 1.0001, np.ones(r), np.full(r, 1.0), np.full(r, 0.1),
        rng.normal(0, 50, r), -rng.uniform(2000, 6000, r),
    )  # fmt: skip
    truth = Truth(
        told, Reading(contribution, marginal), Reading(contribution, marginal), paid, None, contribution.sum(-1),
        0 * contribution, Answers(), told.forecast * rng.uniform(0.9, 1.1, (r, h, g)), (optimum,) * problems,
    )  # fmt: skip
    fields = {k: around(v) for k, v in told._asdict().items() if v is not None and k not in ("response", "impulse")}
    answered = Answers(
        **fields,
        impulse=np.clip(around(impulse), 0, 1.2),
        response=tuple(around(x, smooth=True) for x in told.response),
        allocation=(quo,) * problems,
    )
    value_of = best - rng.uniform(0, 400, r)

    def decision(lost: float, more: float) -> Decision:
        return Decision(
            quo, value_of - lost, value_of + more, np.zeros(r), rng.normal(0, 100, r), rng.choice([0.5, 0.8, 1.0], r)
        )

    readings = [(decision(*both),) * problems for both in ((0, 50), (20, 80), (30, 90), (10, 40))]
    decisions = Decisions(*readings, (rng.uniform(10, 50, r),) * problems)
    cost = Cost(rng.uniform(1, 2, r), rng.uniform(5, 6, r), rng.uniform(1e9, 2e9, r))
    brief = Brief(panel, questions, context)
    return Case(brief, truth, answered, decisions, cost)


def answered(given: Case, **fields: Any) -> Case:
    """The same worlds with other answers."""
    return given._replace(answers=given.answers._replace(**fields))


def true(given: Case, **fields: Any) -> Case:
    """The same answers with another truth."""
    return given._replace(truth=given.truth._replace(answers=given.truth.answers._replace(**fields)))


def by_name(columns: Any) -> dict[str, Any]:
    """Columns by ``estimand/unit/metric``; each may come only once."""
    found: dict[str, Any] = {}
    for one in columns:
        name = f"{one.estimand}/{one.unit}/{one.metric}"
        assert name not in found, name
        found[name] = one
    return found
