"""Who decides in the closed loop: rules of thumb, those who act on a model, a bandit, and who knows the truth.

Batched: the leading axis of every array is the replicate R.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from simbench import ids, optimum
from simbench.briefs import one
from simbench.decide.allocate import common, promised
from simbench.decide.beliefs import by_claims, by_model
from simbench.decide.policies import POLICIES
from simbench.decide.sight import QUARTER, Rule, Sight, allowed
from simbench.optimum import constraints_of
from simbench.records import Answers, Brief, Problem

Array = Any
#: Share of a quarter's money that a planned test moves.
TESTED = 0.05
#: What a quarter is worth to the bandit a quarter later.
DISCOUNT = 0.9
#: Sales of a quarter are never known better than to this share; rounds in which mean and noise settle.
NOISE, ROUNDS = 1e-3, 10


class Moment(NamedTuple):
    """What is there when a quarter is decided, in every replicate of one life."""

    brief: Brief  #: the panel so far; its only problem is the one to decide
    problem: Problem
    answers: Answers | None  #: of the model, refitted; None for those who have none
    streams: tuple[bytes, ...]  #: one random stream a replicate
    reserve: Array  #: [R] money kept earlier
    quarter: int  #: decisions made before
    mix: Array  #: [R, U] what was spent in the quarter before, as a multiple of its usual plan
    best: Array  #: [R, U] the best there is: for the oracle alone


class Choice(NamedTuple):
    """What is done, and the numbers it was based on."""

    amounts: Array  #: [R, U] feasible
    returns: Array  #: [R, C] money back for money spent, as believed; NaN: no belief
    promise: Array  #: [R] money promised against the usual plan; NaN: nothing


class Player(NamedTuple):
    """A policy of the closed loop."""

    name: str
    decide: Callable[[Moment], Choice]
    model: bool  #: acts on the answers of a model
    about: str


def feasible(moment: Moment, amounts: Array) -> Array:
    """The nearest amounts [R, U] that can be spent."""
    return np.asarray(optimum.project(amounts, constraints_of(moment.problem)))


def unknown(moment: Moment) -> Array:
    """No belief [R, C]."""
    return np.full(np.asarray(moment.brief.context.spend_scale).shape, np.nan)


def believed(moment: Moment) -> Array:
    """Returns [R, C] of the whole panel as the model tells them."""
    assert moment.answers is not None
    return np.stack([by_model(one(moment.brief, r), one(moment.answers, r))[0] for r in range(len(moment.reserve))])


# --- those who act on a model


def greedy(moment: Moment) -> Choice:
    """The best amounts on the mean of the model's curves, as if it were right."""
    assert moment.answers is not None
    amounts = common(moment.brief, moment.answers, 0)
    return Choice(amounts, believed(moment), promised(moment.brief, moment.answers, 0, amounts))


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
    return Choice(amounts, believed(moment._replace(answers=alone)), promised(moment.brief, alone, 0, amounts))


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
    tested, sign = moment.quarter % channels, 1.0 if (moment.quarter // channels) % 2 == 0 else -1.0
    push = np.zeros_like(chosen.amounts)
    push[:, tested] = sign * TESTED * total[:, 0]
    others = np.where(np.arange(channels) == tested, 0.0, chosen.amounts)
    share = others / np.where(others.sum(axis=1, keepdims=True) > 0, others.sum(axis=1, keepdims=True), 1.0)
    amounts = feasible(moment, np.maximum(chosen.amounts + push - share * push.sum(axis=1, keepdims=True), 0.0))
    return Choice(amounts, chosen.returns, promised(moment.brief, moment.answers, 0, amounts))


# --- without a model


def bandit(moment: Moment) -> Choice:
    """Discounted Thompson sampling on what channels return: no curve, no carry-over, no season but last year's.

    The KPI of a quarter against the same quarter a year before is a linear function of what was
    spent more, each channel at a return of its own; older quarters count less by the discount. One
    draw of the returns decides, and money fills the best channels first. Sources: Agrawal and Goyal,
    Thompson sampling for contextual bandits with linear payoffs, 2013; Raj and Kalyani, Taming
    non-stationary bandits, 2017.
    """
    drawn = np.stack([returns_drawn(one(moment.brief, r), stream) for r, stream in enumerate(moment.streams)])
    problem = moment.problem
    worth = np.asarray(problem.margin)[:, None] * drawn - 1.0
    limits = constraints_of(problem)
    # a straight line a channel: the two ends of its box say it all
    levels = np.stack([problem.lower, problem.upper], axis=-1)
    levels[..., 1] = np.maximum(
        levels[..., 1], levels[..., 0] + 1e-9 * np.maximum(problem.status_quo.sum(axis=-1)[:, None], 1.0)
    )
    value = worth[..., None] * levels
    amounts = feasible(moment, np.asarray(optimum.allocate(levels, value + levels, None, 1.0, limits)))
    return Choice(amounts, drawn, np.full(len(drawn), np.nan))


def returns_drawn(brief: Brief, stream: bytes) -> Array:
    """One draw of the channels' returns [C], money for money, from the quarters of one panel."""
    panel, context = brief.panel, brief.context
    quarters = int(panel.origin) // QUARTER
    last = slice(int(panel.origin) - QUARTER * quarters, int(panel.origin))

    def summed(weekly: Array) -> Array:  # [T, ...] -> [quarters, ...]
        return weekly[last].reshape(quarters, QUARTER, *weekly.shape[1:]).sum(axis=1)

    recorded = summed(np.asarray(panel.mask, float))
    sales = summed(panel.kpi.sum(axis=-1) * panel.mask) * float(context.unit_value)
    sales, money = sales / np.maximum(recorded, 1.0) * QUARTER, summed(np.asarray(panel.spend, float).sum(axis=1))
    more, brought = money[4:] - money[:-4], sales[4:] - sales[:-4]
    there = (recorded[4:] > 0) & (recorded[:-4] > 0)
    prior, doubt = (
        np.asarray(context.prior_roas_mean, float),
        np.maximum(np.asarray(context.prior_roas_sd, float), 1e-3),
    )
    generator = ids.generator(stream)
    if not there.any():
        return prior + doubt * generator.standard_normal(len(prior))
    weight = DISCOUNT ** np.arange(len(brought))[::-1] * there
    weight = weight / weight.sum()
    level = weight @ (brought - more @ prior)  # growth that has nothing to do with media
    least, mean = NOISE**2 * sales.mean() ** 2, prior
    for _ in range(ROUNDS):
        variance = max(weight @ (brought - level - more @ mean) ** 2, least) / there.sum()
        precision = (more * weight[:, None]).T @ more / variance + np.diag(doubt**-2.0)
        mean = prior + np.linalg.solve(
            precision, (more * weight[:, None]).T @ (brought - level - more @ prior) / variance
        )
        level = weight @ (brought - more @ mean)
    return mean + np.linalg.solve(np.linalg.cholesky(precision).T, generator.standard_normal(len(prior)))


def oracle(moment: Moment) -> Choice:
    """The best there is, quarter by quarter."""
    return Choice(moment.best, unknown(moment), np.full(len(moment.best), np.nan))


# --- rules of thumb


def follow(rule: Rule, moment: Moment) -> Choice:
    """A rule's amounts in every replicate; it believes the model where it has one, else what platforms claim.

    What it begins with is the mix of the quarter before: what a rule has moved stays moved.
    """
    asked, told = [], []
    for r, stream in enumerate(moment.streams):
        brief, answers = one(moment.brief, r), None if moment.answers is None else one(moment.answers, r)
        returns, weekly = by_claims(brief) if answers is None else by_model(brief, answers)
        limits = one(moment.problem, r)
        begun = limits.status_quo * moment.mix[r]
        whole = limits.status_quo.sum() / begun.sum() if begun.sum() > 0 else 1.0
        problem = limits._replace(status_quo=begun * whole)
        brief = brief._replace(questions=brief.questions._replace(problems=(problem,)))
        generator, reserve = ids.generator(stream), float(moment.reserve[r])
        amounts = rule(Sight(brief, problem, returns, weekly, answers, generator, reserve, moment.quarter))
        asked.append(allowed(limits, amounts))
        told.append(returns)
    return Choice(np.stack(asked), np.stack(told), np.full(len(asked), np.nan))


def _rules() -> tuple[Player, ...]:
    players = []
    for policy in POLICIES:
        decide = partial(follow, policy.rule)
        if policy.arms:
            players += [
                Player(f"{policy.name}-by-claims", decide, False, policy.about),
                Player(f"{policy.name}-by-model", decide, True, policy.about),
            ]
        else:
            players.append(Player(policy.name, decide, False, policy.about))
    return tuple(players)


#: Every policy of the closed loop by name. A new one is one more line.
PLAYERS: dict[str, Player] = {
    player.name: player
    for player in (
        Player("greedy", greedy, True, "the best amounts on the mean of the model's curves"),
        Player("thompson", thompson, True, "the best amounts on one draw of the model's curves"),
        Player("greedy-with-test", greedy_with_test, True, "greedy, but 5% of the money is a planned test"),
        Player("bandit", bandit, False, "discounted Thompson sampling on what channels return, without a model"),
        Player("oracle", oracle, False, "the best there is, quarter by quarter"),
        *_rules(),
    )
}
