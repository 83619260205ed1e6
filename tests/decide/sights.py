"""Small sights for tests of rules: every number in sight, nothing drawn from a world."""

from __future__ import annotations

import numpy as np

from simbench.briefs import ProblemSpec as Asked
from simbench.briefs import default_plans, one, problem_of, status_quo_weeks
from simbench.decide.policies import Sight
from simbench.records import KINDS, Brief, Context, Form, Future, Panel, Problem, Questions, Sizes

WEEKS, HORIZON = 104, 13


def brief_of(
    spend,
    *,
    kpi=1000.0,
    value=2.0,
    kinds=None,
    controls=None,
    claims=None,
    prior=1.0,
    population=None,
    horizon=HORIZON,
    scope="national",
    pacing="last-year",
    budget=(1.0, 1.0),
    hidden=0,
):
    """A brief of spend [T, C] or [T, G, C]; the last `hidden` weeks lie beyond the origin."""
    spend = np.asarray(spend, dtype=float)
    spend = spend[:, None] if spend.ndim == 2 else spend
    weeks, geos, channels = spend.shape
    origin = weeks - hidden
    people = np.full(geos, 1e6) if population is None else np.asarray(population, dtype=float)
    each = np.broadcast_to(np.asarray(kpi, dtype=float), weeks)[:, None] * people / people.sum()
    controls = np.zeros((weeks, 0)) if controls is None else np.asarray(controls, dtype=float)
    panel = Panel(
        origin=np.int32(origin), lever=spend, spend=spend, exposure=None, kpi=each,
        controls=np.repeat(controls[:, None], geos, axis=1), calendar=np.arange(weeks) / 52 % 1,
        population=people, mask=(np.arange(weeks) < origin).astype(float),
        claims=None if claims is None else np.asarray(claims, dtype=float)[:, None] / geos * np.ones((1, geos, 1)),
    )  # fmt: skip
    last = spend[status_quo_weeks(origin, horizon)]
    limits = (("fixed", budget), ("free", None))
    ask = [Asked(name, scope, total, 0.0, 1e3, (), pacing=pacing) for name, total in limits]
    problems = tuple(one(problem_of(each, last[None], people[None], 5, 0.5), 0) for each in ask)
    future = Future(last, last, None, np.zeros((horizon, geos, controls.shape[1])), np.arange(horizon) / 52)
    questions = Questions(
        windows=np.array([[0, origin]], dtype=np.int32), multipliers=np.array([0.0, 0.5, 1.0, 2.0]),
        margin=np.float64(0.5), future=future, plans=default_plans(last[None])[0], problems=problems,
        sizes=Sizes(4, 4, 8),
    )  # fmt: skip
    kind = np.array([KINDS.index(each) for each in kinds or ["other"] * channels], dtype=np.int32)
    context = Context(
        each.sum(axis=1).mean(), spend.sum(axis=1).mean(axis=0), np.float64(value), np.zeros(channels), kind,
        np.zeros(channels), np.full(channels, prior), np.ones(channels),
    )  # fmt: skip
    return Brief(panel, questions, context)


def sight(brief, returns, weekly=None, *, which=1, seed=0, **more):
    """What a rule sees of a brief's fixed (0) or free (1) problem."""
    weeks, _, channels = brief.panel.spend.shape
    weekly = np.full((weeks, channels), np.nan) if weekly is None else np.asarray(weekly, dtype=float)
    chosen = brief.questions.problems[which]
    answers = more.pop("answers", None)
    returns = np.asarray(returns, dtype=float)
    return Sight(brief, chosen, returns, weekly, answers, np.random.default_rng(seed), **more)


def steady(money, weeks=WEEKS):
    """The same spend [T, C] in every week."""
    return np.tile(np.asarray(money, dtype=float), (weeks, 1))


def by_hand(money, returns, weekly=None, **more):
    """A sight of steady spend: the status quo is 13 weeks of it."""
    return sight(brief_of(steady(money), **more), returns, weekly)


def problem(unit, weight, status_quo, base=None):
    """A problem of any structure, without limits that bind."""
    status_quo = np.asarray(status_quo, dtype=float)
    weight = np.asarray(weight, dtype=float)
    total = status_quo.sum()
    return Problem(
        np.zeros(weight.shape[1:]) if base is None else base, np.asarray(unit, dtype=np.int32), weight, status_quo,
        np.outer(2 * status_quo, [0, 0.5, 1]), 0 * status_quo, 2 * status_quo + total, np.array([0.0, 1e9]),
        np.zeros((0, len(status_quo))), np.zeros(0), np.zeros(0), np.float64(0.5), Form(True),
    )  # fmt: skip
