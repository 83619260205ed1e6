"""Does the uncertainty hold what it promises? Intervals, CRPS, energy and ranks of contribution.

An interval is only as good as it is narrow: the interval score ranks, coverage stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from simbench.score.draws import (
    Draws,
    draws_of,
    energy_score,
    enough,
    fair_crps,
    interval,
    interval_score,
    median,
    sampled,
)
from simbench.score.rows import OK, UNDEFINED, Case, Column, Metric, column, each, first, missing, ratio

Array = Any
LEVELS = (0.5, 0.8, 0.9)
WIDEST = 0.9  #: the level that ranks


def columns(case: Case) -> Iterator[Column]:
    """Every score of calibration."""
    if case.answers.contribution is None:
        for level in LEVELS:
            yield missing(case, "contribution", "all", f"coverage {level:.0%}")
        for metric in (
            f"interval score {WIDEST:.0%}",
            "weighted interval score",
            f"width {WIDEST:.0%}",
            "crps",
            "energy",
        ):
            yield missing(case, "contribution", "all", metric)
    else:
        yield from contribution(case)
    yield from marginal(case)


CALIBRATION = Metric("calibration", columns)


def contribution(case: Case) -> Iterator[Column]:
    """Intervals of contribution of the whole panel, in units of the sum of |true contribution|."""
    told: Any = case.truth.answers
    true = np.asarray(told.contribution, dtype=np.float64)[:, 0]
    whole = np.asarray(case.answers.contribution)[:, :, 0]
    draws = draws_of(whole, case.answers.levels)
    mass = np.abs(true).sum(axis=1)
    weighted = np.abs(median(draws) - true) / 2
    for level in LEVELS:
        (low, high), status = interval(draws, level), enough(draws, level)
        inside = (true >= low) & (true <= high)
        score = interval_score(low, high, true, level)
        weighted = weighted + (1 - level) / 2 * score
        yield column("contribution", "all", f"coverage {level:.0%}", inside.mean(axis=1), status)
        if level == WIDEST:
            yield from each("contribution", "channel", f"inside {level:.0%}", inside, status[:, None])
            yield column("contribution", "all", f"interval score {level:.0%}", ratio(score.sum(axis=1), mass), status)
            yield column("contribution", "all", f"width {level:.0%}", ratio((high - low).sum(axis=1), mass), status)
    weighted = weighted.sum(axis=1) / (len(LEVELS) + 0.5)
    yield column("contribution", "all", "weighted interval score", ratio(weighted, mass), enough(draws, WIDEST))
    spread = first(sampled(draws), enough(draws, 0.0))
    yield column("contribution", "all", "crps", ratio(fair_crps(draws.values, true).sum(axis=1), mass), spread)
    yield column("contribution", "all", "energy", ratio(energy_score(whole, true), mass), spread)
    yield from each("contribution", "channel", "pit", rank_share(draws, true), spread[:, None])


def rank_share(draws: Draws, true: Array) -> Array:
    """Where the truth stands among the draws, in (0, 1): (draws below + ties / 2 + 1/2) / (D + 1)."""
    values, true = draws.values, true[..., None]
    below = (values < true).sum(axis=-1) + (values == true).sum(axis=-1) / 2
    return (below + 0.5) / (values.shape[-1] + 1)


def marginal(case: Case) -> Iterator[Column]:
    """Coverage of marginal ROAS, mean over the channels where it is defined."""
    field = case.answers.marginal
    for level in LEVELS:
        metric = f"coverage {level:.0%}"
        if field is None:
            yield missing(case, "marginal roas", "all", metric)
            continue
        told: Any = case.truth.answers
        true = np.asarray(told.marginal, dtype=np.float64)[:, 0]
        draws = draws_of(np.asarray(field)[:, :, 0], case.answers.levels)
        defined = np.isfinite(true)
        low, high = interval(draws, level)
        # an interval that is not a number holds nothing
        inside = defined & (true >= low) & (true <= high)
        status = first(np.where(defined.any(axis=1), OK, UNDEFINED), enough(draws, level))
        yield column("marginal roas", "all", metric, ratio(inside.sum(axis=1), defined.sum(axis=1)), status)
