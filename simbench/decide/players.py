"""Who decides in the closed loop: rules of thumb, those who act on a model, a bandit, and who knows the truth.

Batched: the leading axis of every array is the replicate R.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from simbench import ids, optimum
from simbench.briefs import one
from simbench.decide.allocate import common, promises
from simbench.decide.beliefs import by_claims, by_model
from simbench.decide.policies import POLICIES
from simbench.decide.readings import curves_of, worth
from simbench.decide.sight import QUARTER, Policy, Sight, allowed
from simbench.optimum import constraints_of
from simbench.records import Answers, Brief, Problem

Array = Any
#: Share of an epoch's money that a planned test moves.
TESTED = 0.05
#: Part of the usual plan by which a marginal return is told.
STEP = 0.01
#: What a quarter is worth to the bandit a quarter later.
DISCOUNT = 0.9
#: Noise of a quarter's sales that the bandit expects, as a share; variances it holds possible, as multiples of that.
NOISE, GRID = 0.03, np.geomspace(1e-4, 1e4, 201)


class Moment(NamedTuple):
    """What is there when an epoch is decided, in every replicate of one life."""

    brief: Brief  #: the panel so far; its only problem is the one to decide
    problem: Problem
    answers: Answers | None  #: of the model, refitted; None for those who have none
    streams: tuple[bytes, ...]  #: one random stream a replicate
    reserve: Array  #: [R] money kept earlier
    epoch: int  #: decisions made before
    mix: Array  #: [R, U] what was spent in the epoch before, as a multiple of its usual plan
    best: Array  #: [R, U] the best there is: for the oracle alone


class Choice(NamedTuple):
    """What is done, and the numbers it was based on."""

    amounts: Array  #: [R, U] feasible
    returns: Array  #: [R, C] money back for money spent, as believed; NaN: no belief
    promise: Array  #: [R] money promised against the usual plan; NaN: nothing
    because: Array  #: [R] further numbers it acted on, as JSON; empty: none


class Player(NamedTuple):
    """A policy of the closed loop."""

    name: str
    decide: Callable[[Moment], Choice]
    model: bool  #: acts on the answers of a model
    about: str
    policy: Policy | None = None  #: of a rule of thumb


def feasible(moment: Moment, amounts: Array) -> Array:
    """The nearest amounts [R, U] that can be spent."""
    return np.asarray(optimum.project(amounts, constraints_of(moment.problem)))


def unknown(moment: Moment) -> Array:
    """No belief [R, C]."""
    return np.full(np.asarray(moment.brief.context.spend_scale).shape, np.nan)


def silent(moment: Moment) -> Array:
    """No further numbers [R]."""
    return np.full(len(moment.reserve), "", dtype=object)


def believed(moment: Moment) -> Array:
    """Returns [R, C] of the whole panel as the model tells them."""
    assert moment.answers is not None
    return np.stack([by_model(one(moment.brief, r), one(moment.answers, r))[0] for r in range(len(moment.reserve))])


# --- those who act on a model


def greedy(moment: Moment) -> Choice:
    """The best amounts on the mean of the model's curves, as if it were right."""
    assert moment.answers is not None
    amounts = common(moment.brief, moment.answers, 0)
    told = by_curves(moment, moment.answers, amounts)
    return Choice(amounts, believed(moment), told["gain"].sum(axis=1), spelt(told))


def by_curves(moment: Moment, answers: Answers, amounts: Array) -> dict[str, Array]:
    """What the mean of a model's curves says of each unit [R, U]: how amounts were found, and what they promise.

    ``marginal`` is money back for the next 1% of the usual plan (NaN where nothing is usual), ``gain``
    what the unit's amount earns against its usual one.
    """
    problem, curves = moment.problem, curves_of(moment.problem, answers, 0)
    assert curves is not None
    usual, alone = np.asarray(problem.status_quo, float), np.eye(amounts.shape[1], dtype=bool)
    plans = np.concatenate(
        [usual[:, None] * (1.0 + STEP * alone), np.where(alone, amounts[:, None], usual[:, None])], axis=1
    )
    next_one, gain = np.split(promises(problem, curves.mean, worth(moment.brief), plans), 2, axis=1)
    step = STEP * usual
    return {"marginal": 1.0 + np.divide(next_one, step, out=np.full_like(step, np.nan), where=step > 0), "gain": gain}


def spelt(told: Mapping[str, Array]) -> Array:
    """Numbers by name, each [R] or [R, ...], as compact JSON [R]."""
    count = len(next(iter(told.values())))
    return np.array([compact({name: x[r] for name, x in told.items()}) for r in range(count)], dtype=object)


def compact(told: Mapping[str, Any]) -> str:
    """Numbers by name as JSON without blanks, to six digits; what is no number is null."""

    def plain(x: Any) -> Any:
        if isinstance(x, list):
            return [plain(each) for each in x]
        if isinstance(x, float):
            return float(f"{x:.6g}") if np.isfinite(x) else None
        return x

    return json.dumps({name: plain(np.asarray(x).tolist()) for name, x in told.items()}, separators=(",", ":"))


def thompson(moment: Moment) -> Choice:
    """The best amounts on the curves of one draw of the posterior: doubt spends money where it might pay.

    Source: Thompson, On the likelihood that one unknown probability exceeds another, 1933.
    """
    assert moment.answers is not None
    response: Any = moment.answers.response
    draws = len(response[0][0])
    picked = np.array([int(ids.generator(stream).integers(draws)) for stream in moment.streams])
    alone = one_draw(moment.answers, picked)
    amounts = common(moment.brief, alone, 0)
    told = by_curves(moment, alone, amounts)
    returns = believed(moment._replace(answers=alone))
    return Choice(amounts, returns, told["gain"].sum(axis=1), spelt({"draw": picked, **told}))


def one_draw(answers: Answers, picked: Array) -> Answers:
    """Answers [R, 1, ...] of one draw [R] a replicate."""
    import jax

    rows = np.arange(len(picked))
    return jax.tree.map(lambda x: np.asarray(x)[rows, picked][:, None], answers)


def greedy_with_test(moment: Moment) -> Choice:
    """Greedy, but for a planned test: 5% of the money goes to one channel after the other, then is taken from it."""
    assert moment.answers is not None
    chosen = greedy(moment)
    channels, total = chosen.amounts.shape[1], chosen.amounts.sum(axis=1, keepdims=True)
    tested, sign = moment.epoch % channels, 1.0 if (moment.epoch // channels) % 2 == 0 else -1.0
    push = np.zeros_like(chosen.amounts)
    push[:, tested] = sign * TESTED * total[:, 0]
    others = np.where(np.arange(channels) == tested, 0.0, chosen.amounts)
    share = others / np.where(others.sum(axis=1, keepdims=True) > 0, others.sum(axis=1, keepdims=True), 1.0)
    amounts = feasible(moment, np.maximum(chosen.amounts + push - share * push.sum(axis=1, keepdims=True), 0.0))
    told = by_curves(moment, moment.answers, amounts)
    test = {"tested": np.full(len(amounts), tested), "push": np.full(len(amounts), sign * TESTED)}
    return Choice(amounts, chosen.returns, told["gain"].sum(axis=1), spelt(test | told))


# --- without a model


def bandit(moment: Moment) -> Choice:
    """Discounted Thompson sampling on what channels return: no curve, no carry-over.

    What a quarter sells is a level of its season, steady growth, and a return of its own for each
    channel's money; older quarters count less by the discount. One draw of the returns decides, and
    money fills the best channels first. Sources: Agrawal and Goyal,
    Thompson sampling for contextual bandits with linear payoffs, 2013; Raj and Kalyani, Taming
    non-stationary bandits, 2017.
    """
    drawn = np.concatenate([returns_drawn(one(moment.brief, r), stream) for r, stream in enumerate(moment.streams)])
    problem = moment.problem
    net = np.asarray(problem.margin)[:, None] * drawn - 1.0
    limits = constraints_of(problem)
    # a straight line a channel: the two ends of its box say it all
    levels = np.stack([problem.lower, problem.upper], axis=-1)
    levels[..., 1] = np.maximum(
        levels[..., 1], levels[..., 0] + 1e-9 * np.maximum(problem.status_quo.sum(axis=-1)[:, None], 1.0)
    )
    value = net[..., None] * levels
    amounts = feasible(moment, np.asarray(optimum.allocate(levels, value + levels, None, 1.0, limits)))
    return Choice(amounts, drawn, np.full(len(drawn), np.nan), silent(moment))


def returns_drawn(brief: Brief, stream: bytes, draws: int = 1, discount: float = DISCOUNT) -> Array:
    """Draws [N, C] of the channels' returns, money for money, from the quarters of one panel.

    Parameters
    ----------
    brief : Brief
    stream : bytes
        Of random numbers.
    draws : int
    discount : float
        Weight of a quarter, as a power of its age in quarters; 1 forgets nothing.
    """
    money, sales, recorded = by_quarter(brief)
    age = np.arange(len(sales))[::-1]
    weight = discount**age * (recorded > 0)
    usual = max(weight @ sales / max(weight.sum(), 1e-9), 1e-9)
    # a level a quarter of the year, growth a year, and money; of the first five next to nothing is known beforehand
    rows = np.column_stack([np.eye(4)[age % 4], -age / 4, money])
    mean = np.concatenate([np.full(4, usual), [0.0], np.asarray(brief.context.prior_roas_mean, float)])
    sd = np.concatenate([np.full(5, usual), np.maximum(np.asarray(brief.context.prior_roas_sd, float), 1e-3)])
    found = regressed(rows, sales, weight, mean, sd, NOISE * usual)
    return drawn_from(found, draws, ids.generator(stream))[:, 5:]


def by_quarter(brief: Brief) -> tuple[Array, Array, Array]:
    """Money spent [Q, C], sales in money [Q] and weeks recorded [Q] in the whole quarters up to the last week seen.

    A quarter of which some weeks were not recorded sold as in the others.
    """
    panel, origin = brief.panel, int(brief.panel.origin)
    quarters = origin // QUARTER

    def summed(weekly: Array) -> Array:  # [T, ...] -> [Q, ...]
        return weekly[origin - QUARTER * quarters : origin].reshape(quarters, QUARTER, *weekly.shape[1:]).sum(axis=1)

    mask = np.asarray(panel.mask, float)
    recorded = summed(mask)
    sales = summed(panel.kpi.sum(axis=-1) * mask) * float(brief.context.unit_value)
    return summed(np.asarray(panel.spend, float).sum(axis=1)), sales * QUARTER / np.maximum(recorded, 1.0), recorded


class Regressed(NamedTuple):
    """A posterior of linear regression on a grid of noise variances [V]: coefficients are normal given one of them."""

    chance: Array  #: [V]
    mean: Array  #: [V, P]
    sd: Array  #: [V, P] along the axes
    axes: Array  #: [P, P] coefficients of each axis, in columns


def regressed(rows: Array, seen: Array, weight: Array, mean: Array, sd: Array, noise: float) -> Regressed:
    """What weighted observations tell of coefficients and of noise, both unknown.

    An observation counts as often as its weight says, so that forgetting leaves fewer of them, and more
    doubt: the posterior of the noise has as many degrees of freedom as the weights sum to, less the
    coefficients that they settle, and one more for what is expected of noise beforehand. Source: Raj
    and Kalyani 2017, and Gelman and others, Bayesian Data Analysis, 2013, chapter 14.

    Parameters
    ----------
    rows : array [N, P]
    seen : array [N]
    weight : array [N]
        From 0 to 1.
    mean, sd : array [P]
        Of the coefficients beforehand.
    noise : float
        Standard deviation that is expected of one observation; worth one observation.
    """
    root = np.sqrt(weight)
    rest, scaled = root * (seen - rows @ mean), root[:, None] * rows * sd
    told, axes = np.linalg.eigh(scaled.T @ scaled)
    told, pull = np.maximum(told, 0.0), axes.T @ (scaled.T @ rest)
    variance = noise**2 * GRID
    total = told + variance[:, None]
    squares = noise**2 + rest @ rest - (pull**2 / total).sum(axis=1)
    freedom = 1.0 + weight.sum()
    log = -0.5 * (freedom * np.log(variance) + np.log(total / variance[:, None]).sum(axis=1) + squares / variance)
    chance = np.exp(log - log.max())
    scaled_axes = sd[:, None] * axes
    centre = (pull / total) @ scaled_axes.T + mean
    return Regressed(chance / chance.sum(), centre, np.sqrt(variance[:, None] / total), scaled_axes)


def drawn_from(found: Regressed, draws: int, generator: np.random.Generator) -> Array:
    """Draws [N, P] of the coefficients."""
    at = generator.choice(len(found.chance), size=draws, p=found.chance)
    return found.mean[at] + (found.sd[at] * generator.standard_normal((draws, len(found.axes)))) @ found.axes.T


def oracle(moment: Moment) -> Choice:
    """The best there is, epoch by epoch."""
    return Choice(moment.best, unknown(moment), np.full(len(moment.best), np.nan), silent(moment))


# --- rules of thumb


def follow(policy: Policy, moment: Moment) -> Choice:
    """A rule's amounts in every replicate; it believes the model where it has one, else what platforms claim.

    Returns are told of rules that read them, further numbers of those that say which (``because``, a
    pure function of the same sight). What it begins with is the mix of the epoch before: what a rule has
    moved stays moved.
    """
    because, asked, told, reasons = getattr(policy, "because", None), [], [], []
    for r, stream in enumerate(moment.streams):
        brief, answers = one(moment.brief, r), None if moment.answers is None else one(moment.answers, r)
        returns, weekly = by_claims(brief) if answers is None else by_model(brief, answers)
        limits = one(moment.problem, r)
        begun = limits.status_quo * moment.mix[r]
        whole = limits.status_quo.sum() / begun.sum() if begun.sum() > 0 else 1.0
        problem = limits._replace(status_quo=begun * whole)
        brief = brief._replace(questions=brief.questions._replace(problems=(problem,)))
        generator, reserve = ids.generator(stream), float(moment.reserve[r])
        sight = Sight(brief, problem, returns, weekly, answers, generator, reserve, moment.epoch)
        asked.append(allowed(limits, policy.rule(sight)))
        told.append(returns if policy.arms else np.full_like(returns, np.nan))
        reasons.append("" if because is None else compact(because(sight)))
    return Choice(np.stack(asked), np.stack(told), np.full(len(asked), np.nan), np.array(reasons, dtype=object))


def ruled(name: str, policy: Policy, model: bool, options: Mapping[str, Any] = MappingProxyType({})) -> Player:
    """A rule of thumb that plays, with some of its options set."""

    def with_options(function: Callable[..., Any]) -> Callable[..., Any]:
        return partial(function, **{each: options[each] for each in signature(function).parameters if each in options})

    parts = {field: getattr(policy, field, None) for field in ("rule", "because")}
    chosen: dict[str, Any] = {field: with_options(part) for field, part in parts.items() if part is not None}
    return Player(name, partial(follow, policy._replace(**chosen)), model, policy.about, policy)


def _rules() -> tuple[Player, ...]:
    players = []
    for policy in POLICIES:
        if policy.arms:
            players += [ruled(f"{policy.name}-by-{whom}", policy, whom == "model") for whom in ("claims", "model")]
        else:
            players.append(ruled(policy.name, policy, False))
    return tuple(players)


#: Every policy of the closed loop by name. A new one is one more line.
PLAYERS: dict[str, Player] = {
    player.name: player
    for player in (
        Player("greedy", greedy, True, "the best amounts on the mean of the model's curves"),
        Player("thompson", thompson, True, "the best amounts on one draw of the model's curves"),
        Player("greedy-with-test", greedy_with_test, True, "greedy, but 5% of the money is a planned test"),
        Player("bandit", bandit, False, "discounted Thompson sampling on what channels return, without a model"),
        Player("oracle", oracle, False, "the best there is, epoch by epoch"),
        *_rules(),
    )
}
