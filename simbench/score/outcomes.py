"""What acting on answers came to, over worlds: mean, tail and worst kind of world, harm, promises, three readings.

Nothing here ranks: the headline of decisions is the normalised regret. Formulas: docs/scores.md.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from simbench.score.losses import PRIOR, Losses, attainable_of, decided, imputed, plain, reference, regrets, undecided
from simbench.score.pooling import Resampled, estimates, names, over_scenarios
from simbench.score.statistics import Estimate
from simbench.score.tables import Table

Array = Any
#: The share of worlds that are the worst.
TAIL = 0.1
#: Regrets of other ways to act on the same answers.
READINGS = ("common", "plug-in", "risk-aware", "cautious")


class Outcome(NamedTuple):
    """One contender's decisions on some scenarios; money in shares of the status quo's media spend."""

    backend: str
    normalised: Estimate  #: the headline: share of the attainable gain that was missed
    regret: Estimate  #: mean over worlds, mean over scenarios
    tail: Estimate  #: mean regret of the worst tenth of worlds
    worst: Estimate  #: the largest mean regret of a scenario; the points of a sweep count as one
    worst_scenario: str
    harm: Estimate  #: share of worlds in which doing nothing had been better
    promise_gap: Estimate  #: promised less realised
    efficiency: Estimate  #: media-driven KPI beyond that of the reference decision at the same total, per cent
    honesty: Estimate  #: expected worth of perfect information / realised regret of the best mean, ratio of sums
    common: Estimate  #: regret of acting on the best mean of the answered curves
    plug_in: Estimate  #: ... on one curve in the middle of the draws
    risk_aware: Estimate  #: ... on the worst draws
    cautious: Estimate  #: regret if acted only where most draws promise a gain
    imputed: int  #: cells whose regret has been imputed


def acted_on(table: Table, problem: str | None = None) -> dict[str, Losses]:
    """What outcomes are made of; a missing answer counts as the worse of the reference decision and prior-only."""
    prior, worst = reference(table, PRIOR), undecided(table, problem)
    lost = np.full(table.asked.shape, np.nan)
    harmful = np.where(np.isfinite(worst), worst > attainable_of(table, problem), np.nan)
    if prior is not None:
        lost = np.broadcast_to(np.fmin(decided(table, "efficiency gain", problem).value[prior], 0.0), lost.shape)
    told, common = (decided(table, name, problem).value for name in ("perfect information", "common regret"))
    both = np.isfinite(told) & np.isfinite(common)
    return {
        "regret": regrets(table, "regret", problem),
        **{f"{name} regret": regrets(table, f"{name} regret", problem) for name in READINGS},
        "harm": imputed(table, decided(table, "harm", problem), np.broadcast_to(harmful, lost.shape)),
        "promise gap": plain(decided(table, "promise gap", problem).value),
        "efficiency gain": imputed(table, decided(table, "efficiency gain", problem), lost),
        "perfect": plain(np.where(both, told, np.nan)),
        "realised": plain(np.where(both, common, np.nan)),
    }


def outcomes(table: Table, counts: Array, questions: dict[str, Losses], inside: list[int]) -> list[Outcome]:
    """Outcomes of all contenders on some scenarios, in the order of the table."""
    here, regret = np.isin(table.scenario, inside), questions["regret"]

    def mean(name: str) -> Resampled:
        return over_scenarios(table, counts, questions[name], inside)

    def told(value: Resampled, losses: Losses) -> list[Estimate]:
        return estimates(table, value, losses, here)

    plainly = {
        name: told(mean(name), questions[name])
        for name in ("decision", "regret", "harm", "promise gap", "efficiency gain", *(f"{x} regret" for x in READINGS))
    }
    largest, where = worst_kind(table, counts, regret, inside)
    apart = mean("perfect"), mean("realised")
    honest = told((quotient(*(x[0] for x in apart)), quotient(*(x[1] for x in apart))), questions["perfect"])
    tails, worst = told(tail(table, counts, regret, inside), regret), told(largest, regret)
    return [
        Outcome(
            backend, plainly["decision"][k], plainly["regret"][k], tails[k], worst[k], where[k], plainly["harm"][k],
            plainly["promise gap"][k], plainly["efficiency gain"][k], honest[k], plainly["common regret"][k],
            plainly["plug-in regret"][k], plainly["risk-aware regret"][k], plainly["cautious regret"][k],
            int((regret.imputed[k] & here).sum()),
        )
        for k, backend in enumerate(table.backends)
    ]  # fmt: skip


def quotient(top: Array, bottom: Array) -> Array:
    """``top / bottom``, NaN where the bottom is not above 0."""
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)


def tail(table: Table, counts: Array, losses: Losses, inside: list[int]) -> Resampled:
    """Mean of the worst tenth of worlds, every scenario with the same weight; the world at the edge counts in part.

    The conditional value at risk of regret. Source: Rockafellar and Uryasev 2002.
    """
    found = []
    for weights in (np.ones((1, counts.shape[1])), counts):
        drawn = weights[:, table.cluster]
        value = np.full((len(drawn), len(table.backends)), np.nan)
        for k in names(table):
            there = np.isfinite(losses.value[k])
            share = np.zeros(drawn.shape)
            for s in inside:
                at = there & (table.scenario == s)
                size = drawn[:, at].sum(axis=1, keepdims=True)
                share[:, at] = np.divide(drawn[:, at], size, out=np.zeros(drawn[:, at].shape), where=size > 0)
            worst = np.argsort(-losses.value[k][there], kind="stable")
            share, loss = share[:, there][:, worst], losses.value[k][there][worst]
            room = TAIL * share.sum(axis=1, keepdims=True)
            taken = np.clip(room - (np.cumsum(share, axis=1) - share), 0.0, share)
            value[:, k] = quotient(taken @ loss, room[:, 0])
        found.append(value)
    return found[0][0], found[1]


def worst_kind(table: Table, counts: Array, losses: Losses, inside: list[int]) -> tuple[Resampled, list[str]]:
    """The largest mean loss of a kind of scenario, and its name; a sweep's points and all transforms are one kind."""
    kinds: dict[str, list[int]] = {}
    for s in inside:
        kinds.setdefault(re.split(r"[\[@]", table.scenarios[s])[0], []).append(s)
    means = [over_scenarios(table, counts, losses, members) for members in kinds.values()]
    value, again = (np.stack([x[part] for x in means]) for part in (0, 1))
    low, low_again = (np.where(np.isfinite(x), x, -np.inf) for x in (value, again))
    largest, largest_again = (np.where(np.isfinite(x), x, np.nan) for x in (low.max(axis=0), low_again.max(axis=0)))
    labels = list(kinds)
    where = [labels[int(low[:, k].argmax())] if np.isfinite(largest[k]) else "" for k in names(table)]
    return (largest, largest_again), where
