"""What headlines are made of: losses of every contender in every world, with what is missing imputed.

Rules: docs/design.md, section 6. A missing answer is imputed from its own cell only; what a
contender does not answer at all stays missing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from simbench.score.decision import LEAST_GAIN
from simbench.score.tables import Picked, Table, code, pick, pick_rows, rows_of

Array = Any
ORACLE, PRIOR, NAIVE = "oracle", "prior-only", "seasonal-naive"
#: A missing loss is this many times the reference's in the same cell.
PENALTY = 2.0
#: The numbers in which a missing answer counts.
IMPUTED = ("recovery", "forecast", "decision", "calibration", "coverage")


class Losses(NamedTuple):
    """What one headline is made of, [K, N] each: the mean, or where `bottom` is there the ratio of sums."""

    value: Array
    needed: Array  #: [N] worlds in which there is something to answer
    imputed: Array
    unanswerable: Array  #: missing, with no reference to impute from
    bottom: Array | None = None
    absent: Array | None = None  #: [N] worlds that are not asked at all


def losses_of(table: Table, problem: str | None = None) -> dict[str, Losses]:
    """What each headline is made of, by the names of `IMPUTED`."""
    shape, prior = table.asked.shape, reference(table, PRIOR)
    error = pick(table, "contribution", "all", "error")
    score = pick(table, "contribution", "all", "interval score 90%")
    covered = pick(table, "contribution", "all", "coverage 90%")
    recovery = imputed(table, error, twice(error.value, prior, shape))
    calibration = imputed(table, score, twice(score.value, prior, shape))
    coverage = imputed(table, covered, np.zeros(shape))

    crps = pick(table, "forecast", "all", "crps")
    naive = reference(table, NAIVE)
    if naive is None:
        forecast = imputed(table, crps, np.full(shape, np.nan))
    else:
        bottom = crps.value[naive]
        bottom = np.where(bottom > 0, bottom, np.nan)
        relative = Picked(crps.value / bottom, crps.undefined)
        forecast = imputed(table, relative, np.broadcast_to(PENALTY * bottom / bottom, shape))
        forecast = forecast._replace(needed=forecast.needed & np.isfinite(bottom))

    regret, attainable = regrets(table, "regret", problem), attainable_of(table, problem)
    worthwhile = attainable >= LEAST_GAIN
    # the gain is a fact of the world: who was answered and has none was not asked this problem
    absent = ~np.isfinite(attainable) & (table.asked & ~table.failed).any(axis=0)
    decision = regret._replace(
        value=np.where(worthwhile, regret.value, np.nan),
        needed=regret.needed & ~(attainable < LEAST_GAIN) & ~absent,
        bottom=np.where(worthwhile & np.isfinite(regret.value), attainable, np.nan),
        absent=absent,
    )
    return {
        "recovery": recovery, "forecast": forecast, "decision": decision, "calibration": calibration,
        "coverage": coverage,
    }  # fmt: skip


def attainable_of(table: Table, problem: str | None) -> Array:
    """What there is to win in each world [N], share of media spend."""
    return first_finite(decided(table, "gain", problem).value)


def regrets(table: Table, metric: str, problem: str | None) -> Losses:
    """Regret of a reading in shares of media spend; missing is the worse of the reference decision and prior-only."""
    worst = np.broadcast_to(undecided(table, problem), table.asked.shape)
    return imputed(table, decided(table, metric, problem), worst)


def undecided(table: Table, problem: str | None) -> Array:
    """Regret [N] that a missing decision counts with; NaN where prior-only was not run, or failed."""
    prior, attainable = reference(table, PRIOR), attainable_of(table, problem)
    if prior is None:
        return np.full(table.asked.shape[1], np.nan)
    own = decided(table, "regret", problem).value[prior]
    # a problem that prior-only does not decide: the reference decision alone
    return np.maximum(attainable, np.where(np.isfinite(own) | table.failed[prior], own, attainable))


def reference(table: Table, name: str) -> int | None:
    """Position of a reference contender; None if it was not run."""
    return table.backends.index(name) if name in table.backends else None


def twice(value: Array, of: int | None, shape: tuple[int, ...]) -> Array:
    """Twice the reference's loss in every cell [K, N]; NaN where there is none."""
    return np.broadcast_to(PENALTY * value[of], shape) if of is not None else np.full(shape, np.nan)


def first_finite(value: Array) -> Array:
    """What any contender's row says of a world [N]: a fact of the world is in all of them."""
    there = np.isfinite(value)
    found = np.take_along_axis(value, there.argmax(axis=0)[None], axis=0)[0]
    return np.where(there.any(axis=0), found, np.nan)


def imputed(table: Table, picked: Picked, instead: Array) -> Losses:
    """Losses in which the missing answers of a cell are replaced by a penalty of that cell.

    Missing is an answer of a cell that failed, and one that is no number where others show that the
    world has one. What a contender does not answer at all stays missing.
    """
    value, undefined = picked
    there = np.isfinite(value)
    exists = there.any(axis=0)
    lost = ~there & (table.failed | (undefined & exists))
    # a world that nobody has a number for is one without the quantity, unless somebody failed there
    nowhere = ~exists & undefined.any(axis=0)
    filled = np.where(there, value, np.where(lost & ~nowhere, instead, np.nan))
    missing = lost & ~nowhere & ~np.isfinite(filled)
    return Losses(filled, ~nowhere, lost & np.isfinite(filled), missing)


def decided(table: Table, metric: str, problem: str | None) -> Picked:
    """A column of decisions, of the problem that counts in each scenario."""
    rows = rows_of(table, "decision", metric)
    unit, world = table.codes["unit"], table.codes["world"]
    chosen = np.zeros(len(rows), dtype=bool)
    for s in range(len(table.scenarios)):
        own = rows & (table.scenario[world] == s)
        chosen |= own & (unit == counting(table, own, problem))
    return pick_rows(table, chosen)


def counting(table: Table, rows: Array, problem: str | None) -> int:
    """Code of the unit that counts among some rows of decisions."""
    wanted = code(table.words, "name", problem or "fixed")
    if "name" in table.codes and wanted >= 0:
        named = table.codes["unit"][rows & (table.codes["name"] == wanted)]
        if len(named):
            return min(np.unique(named).tolist(), key=lambda u: position(table.words["unit"][u]))
    return code(table.words, "unit", problem or "problem:0")


def position(unit: str) -> int:
    """2 of ``"problem:2"``."""
    number = unit.partition(":")[2]
    return int(number) if number.isdigit() else 0


def beside(table: Table) -> dict[str, Losses]:
    """Numbers that stand beside: cost, width, what went wrong unseen, distance from the prior; nothing imputed."""
    return {
        "cost": plain(pick(table, "cost", "all", "seconds").value),
        "moved": plain(moved(table)),
        **{
            name: plain(pick(table, "contribution", "all", name).value)
            for name in ("width 90%", "silent failure", "confident error")
        },
    }


def plain(value: Array) -> Losses:
    """Numbers [K, N] of which nothing is imputed."""
    none = np.zeros(value.shape, dtype=bool)
    return Losses(value, np.ones(value.shape[1], dtype=bool), none, none)


def moved(table: Table) -> Array:
    """Distance of each contender's medians of contribution from those of prior-only [K, N], share of those."""
    prior = reference(table, PRIOR)
    total, size = np.zeros(table.asked.shape), np.zeros(table.asked.shape[1])
    if prior is None:
        return total * np.nan
    rows = rows_of(table, "contribution", "median")
    seen = np.zeros(table.asked.shape[1], dtype=bool)
    for unit in np.unique(table.codes["unit"][rows]):
        value = pick_rows(table, rows & (table.codes["unit"] == unit)).value
        channel = np.isfinite(value[prior])  # worlds may differ in their channels
        total += np.where(channel, np.abs(value - value[prior]), 0.0)
        size += np.where(channel, np.abs(value[prior]), 0.0)
        seen |= channel
    return np.where(seen & (size > 0), total / np.where(size > 0, size, 1.0), np.nan)
