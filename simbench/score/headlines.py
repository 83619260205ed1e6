"""From score rows to a leaderboard: one headline a question, no composite; failures count.

Rules: docs/design.md, section 6. A scenario's number is a mean (of regret: a ratio of sums) over its
worlds; the suite's is the plain mean over scenarios. Every interval and rank comes from one joint
resampling of replicate numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simbench.errors import BadInput
from simbench.score import statistics as st
from simbench.score.losses import IMPUTED, NAIVE, ORACLE, PRIOR, Losses, beside, losses_of
from simbench.score.outcomes import Outcome, acted_on, outcomes
from simbench.score.pooling import Resampled, estimates, fewest_worlds, medians, names, over_scenarios
from simbench.score.statistics import Estimate
from simbench.score.tables import Table, read, resampled

if TYPE_CHECKING:
    import pandas as pd

Array = Any
#: Most failures with which a contender is ranked, in the suite and in one scenario.
MOST_FAILED, MOST_FAILED_THERE = 0.05, 0.2
#: Least share of cells that a contender answers to be ranked.
LEAST_ANSWERED = 0.9
#: Fewest worlds whose resamples tell an interval of ranks: two worlds have three of them.
LEAST_WORLDS = 5


class Headline(NamedTuple):
    """One contender's number for one question."""

    estimate: Estimate
    rank: float  #: NaN if unranked
    rank_low: float
    rank_high: float
    imputed: int  #: cells whose answer was missing and has been imputed
    unranked: str  #: why there is no rank; "" if there is one


class Standing(NamedTuple):
    """One contender on one board."""

    backend: str
    recovery: Headline
    forecast: Headline
    decision: Headline
    calibration: Headline
    cost: Headline
    coverage: Estimate  #: of 90% intervals of contribution, failures counted as 0; never ranks
    width: Estimate  #: median width of those intervals, share of sum of |true contribution|
    silent_failures: Estimate  #: share of channels, where diagnostics were given
    confident_errors: Estimate  #: share of channels, whatever the diagnostics say
    moved: Estimate  #: distance of the medians from those of prior-only, share of those
    worlds: int
    failures: int
    representable: bool | None = None  #: its class contains the board's scenarios; None: some of them, or nobody says


class Board(NamedTuple):
    """All contenders on one scenario, or on the suite."""

    scenario: str  #: "" is the suite
    standings: tuple[Standing, ...]
    agreement: Estimate  #: Kendall's tau of forecast against recovery over contenders; n counts contenders
    left_out: int  #: worlds without attainable gain, not in the ratios of regret
    outcomes: tuple[Outcome, ...] = ()  #: what acting on the answers came to, in the order of `standings`


class Part(NamedTuple):
    """Headlines of one contender over some scenarios."""

    scenarios: int
    recovery: Estimate
    decision: Estimate


class Parted(NamedTuple):
    """One contender where its class contains the world, and where it does not: two numbers, never their mean."""

    backend: str
    inside: Part
    outside: Part
    unsaid: int  #: scenarios of which nobody says whether its class contains them


class Leaderboard(NamedTuple):
    """The boards of a run."""

    suite: Board
    scenarios: tuple[Board, ...]
    missing_references: tuple[str, ...]  #: what is relative to them is not imputed
    forecast_unit: str  #: what forecast errors are measured in
    intervals: str  #: how they were made
    classes: tuple[Parted, ...] = ()  #: in the suite's order; empty where nothing is known of anybody's class


def leaderboard(frame: pd.DataFrame, problem: str | None = None) -> Leaderboard:
    """Headlines of a frame of score rows.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row a number: ``scenario, family, replicate, backend, estimand, unit, metric, value,
        status`` and, where there, ``transform, reason, name, representable``. A cell without an answer
        is one row with status ``"failed"``.
    problem : str, optional
        The allocation problem that counts, by its name or as ``"problem:1"``. By default the first
        that is called ``fixed``, else the first.

    Returns
    -------
    Leaderboard

    Raises
    ------
    BadInput
        If no scenario asks this problem.
    """
    refuse_unknown(frame, problem)
    table = read(frame)
    counts, questions = resampled(table), {**losses_of(table, problem), **beside(table), **acted_on(table, problem)}
    whole = board(table, counts, questions, "", list(range(len(table.scenarios))))
    each = tuple(board(table, counts, questions, name, [s]) for s, name in enumerate(table.scenarios))
    absent = tuple(name for name in (PRIOR, NAIVE) if name not in table.backends)
    fewest = min(np.unique(table.families, return_counts=True)[1])
    intervals = "95% t intervals (fewer than 20 worlds)" if fewest < st.FEW else "95% bootstrap intervals over worlds"
    unit = "mean weekly KPI" if NAIVE in absent else f"CRPS of {NAIVE}"
    order = [table.backends.index(standing.backend) for standing in whole.standings]
    return Leaderboard(whole, each, absent, unit, intervals, in_and_out(table, counts, questions, order))


def refuse_unknown(frame: pd.DataFrame, problem: str | None) -> None:
    """A problem that no scenario asks is a slip of the pen."""
    if problem is None:
        return
    rows = frame[frame["estimand"] == "decision"]
    known = list(dict.fromkeys(word for key in ("name", "unit") if key in rows for word in rows[key].dropna() if word))
    if known and problem not in known:
        raise BadInput("problem", f"{problem!r} is asked in no scenario of this run", f"one of {', '.join(known)}")


# --- boards


def board(table: Table, counts: Array, questions: dict[str, Losses], scenario: str, inside: list[int]) -> Board:
    """All contenders on some scenarios."""
    here = np.isin(table.scenario, inside)
    values = {name: over_scenarios(table, counts, questions[name], inside) for name in IMPUTED}
    found = {
        name: headlines(table, values[name], losses, here, [unranked(table, losses, k, here) for k in names(table)])
        for name in IMPUTED
        for losses in [questions[name]]
    }
    cost, width = questions["cost"], questions["width 90%"]
    found["cost"] = headlines(table, medians(table, counts, cost, here), cost, here, unmeasured(table, cost, here))
    widths = estimates(table, medians(table, counts, width, here), width, here)
    silent, confident, distance = (
        estimates(table, over_scenarios(table, counts, questions[name], inside), questions[name], here)
        for name in ("silent failure", "confident error", "moved")
    )
    standings = [
        Standing(
            backend, found["recovery"][k], found["forecast"][k], found["decision"][k], found["calibration"][k],
            found["cost"][k], covered(table, questions["coverage"], found["coverage"][k].estimate, k, here),
            widths[k], silent[k], confident[k], distance[k],
            int(table.asked[k, here].sum()), int(table.failed[k, here].sum()), agreed(table.inside[k, inside]),
        )
        for k, backend in enumerate(table.backends)
    ]  # fmt: skip
    standings.sort(key=order)
    decision: Any = questions["decision"]  # it alone knows of worlds that are not asked
    left_out = int((here & ~decision.needed & ~decision.absent).sum())
    told = dict(zip(table.backends, outcomes(table, counts, questions, inside), strict=True))
    return Board(
        scenario, tuple(standings), agreement(table, values["forecast"], values["recovery"]), left_out,
        tuple(told[standing.backend] for standing in standings),
    )  # fmt: skip


def agreed(inside: Array) -> bool | None:
    """What holds of all of some scenarios: in class, out of class; None where they differ or nobody says."""
    told = set(inside.tolist())
    return bool(told.pop()) if told in ({0}, {1}) else None


def in_and_out(table: Table, counts: Array, questions: dict[str, Losses], order: list[int]) -> tuple[Parted, ...]:
    """Recovery and decision of each contender, apart for the scenarios in its class and those out of it."""
    if (table.inside < 0).all():
        return ()

    def those(k: int, known: int) -> tuple[int, ...]:
        asked = np.unique(table.scenario[table.asked[k]])
        return tuple(asked[table.inside[k, asked] == known].tolist())

    groups = {k: [those(k, known) for known in (1, 0, -1)] for k in order}
    distinct = {group for three in groups.values() for group in three[:2]}  # many contenders share a class
    made = {group: part(table, counts, questions, group) for group in distinct}
    return tuple(
        Parted(table.backends[k], made[inside][k], made[outside][k], len(unsaid))
        for k, (inside, outside, unsaid) in groups.items()
    )


def part(table: Table, counts: Array, questions: dict[str, Losses], inside: tuple[int, ...]) -> list[Part]:
    """All contenders over some scenarios: the same statistics as on a board."""
    if not inside:
        return [Part(0, st.NOTHING, st.NOTHING)] * len(table.backends)
    here = np.isin(table.scenario, inside)
    recovery, decision = (
        estimates(table, over_scenarios(table, counts, questions[name], list(inside)), questions[name], here)
        for name in ("recovery", "decision")
    )
    return [Part(len(inside), recovery[k], decision[k]) for k in names(table)]


def order(one: Standing) -> tuple[bool, float, float, str]:
    """Best recovery first; who does not recover later, by decision; the oracle last."""
    recovery, decision = (
        float(np.nan_to_num(told.estimate.value, nan=np.inf)) for told in (one.recovery, one.decision)
    )
    return one.backend == ORACLE, recovery, decision if recovery == np.inf else 0.0, one.backend


def headlines(table: Table, values: Resampled, losses: Losses, here: Array, reasons: list[str]) -> list[Headline]:
    """Estimates with ranks among those that have no reason to be left out, lowest value first."""
    told = estimates(table, values, losses, here)
    take = np.flatnonzero([not reason for reason in reasons])
    rank, low, high = np.full((3, len(told)), np.nan)
    if len(take):
        rank[take] = st.ranks(values[0][take])
    if len(take) and fewest_worlds(table, here) >= LEAST_WORLDS:
        low[take], high[take] = st.rank_interval(values[1][:, take])
    filled = (losses.imputed & here).sum(axis=1)
    return [
        Headline(told[k], float(rank[k]), float(low[k]), float(high[k]), int(filled[k]), reasons[k])
        for k in names(table)
    ]


def unranked(table: Table, losses: Losses, k: int, here: Array) -> str:
    """Why a contender has no rank on some scenarios; "" if it has one."""
    if table.backends[k] == ORACLE:
        return "knows the truth"
    lost = table.failed[k] | ((losses.imputed[k] | losses.unanswerable[k]) & losses.needed)
    own = here & table.asked[k]
    for s in np.unique(table.scenario[own]):
        share = lost[own & (table.scenario == s)].mean()
        if share > MOST_FAILED_THERE:
            return f"failed in {share:.0%} of {table.scenarios[s]}"
    if own.any() and lost[own].mean() > MOST_FAILED:
        return f"failed in {lost[own].mean():.0%} of its cells"
    needed = losses.needed & here
    if (losses.unanswerable[k] & needed).any():
        return "failed where there is no reference to impute from"
    answered = np.isfinite(losses.value[k])[needed].mean() if needed.any() else 0.0
    if answered < LEAST_ANSWERED:
        return f"answered {answered:.0%} of the cells" if answered else "not answered"
    return ""


def unmeasured(table: Table, cost: Losses, here: Array) -> list[str]:
    """Why a contender's cost has no rank."""
    measured = np.isfinite(cost.value[:, here]).any(axis=1)
    return [
        "knows the truth" if name == ORACLE else "" if measured[k] else "not measured"
        for k, name in enumerate(table.backends)
    ]


def covered(table: Table, coverage: Losses, told: Estimate, k: int, here: Array) -> Estimate:
    """Coverage inside [0, 1], with an exact interval where all worlds agree on 0 or on 1."""
    own = st.finite(coverage.value[k, here])
    if len(own) and (own == own[0]).all() and own[0] in (0.0, 1.0):
        independent = len(np.unique(table.cluster[here & np.isfinite(coverage.value[k])]))
        exact = st.proportion_interval(int(own[0]) * independent, independent)
        return exact._replace(n=told.n)
    return told._replace(low=float(np.maximum(told.low, 0.0)), high=float(np.minimum(told.high, 1.0)))


def agreement(table: Table, forecast: Resampled, recovery: Resampled) -> Estimate:
    """Kendall's tau of forecast error against recovery error over contenders; the oracle does not count."""
    keep = [k for k in names(table) if table.backends[k] != ORACLE]
    (x, x_again), (y, y_again) = ((value[keep], again[:, keep]) for value, again in (forecast, recovery))
    n = int((np.isfinite(x) & np.isfinite(y)).sum())
    tau, again = float(st.kendall(x, y)), st.finite(st.kendall(x_again, y_again))
    if not np.isfinite(tau) or not len(again):
        return Estimate(np.nan, np.nan, np.nan, n)
    low, high = np.quantile(again, [0.025, 0.975])
    return Estimate(tau, float(low), float(high), n)
