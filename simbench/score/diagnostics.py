"""What a fit says of itself, and whether it was silent about being wrong.

A *confident error* is a channel whose truth is outside the 99% interval and whose error is over half
of the truth or of the spend. It is a *silent failure* if every diagnostic that was given is green.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from simbench.records import Diagnostics
from simbench.score.draws import draws_of, enough, interval, median
from simbench.score.rows import (
    FLOOR,
    NOT_ANSWERED,
    NOT_ASSESSABLE,
    OK,
    Case,
    Column,
    Metric,
    cells,
    column,
    each,
    first,
    kpi_total,
    missing,
)

Array = Any
SURE = 0.99
#: An error over this share of the truth, or of the spend, would change what is done.
MATERIAL = 0.5
#: What is green. Sources: Vehtari et al. 2021 (R-hat, ESS), Vehtari, Gelman and Gabry 2017 (k-hat).
GREEN = {
    "rhat_max": lambda x: x <= 1.01,
    "ess_min": lambda x: x >= 400,
    "divergences": lambda x: x == 0,
    "khat_max": lambda x: x <= 0.7,
    "converged": lambda x: x > 0,
}
NAMES = {
    "rhat_max": "rhat",
    "ess_min": "ess",
    "divergences": "divergences",
    "khat_max": "khat",
    "converged": "converged",
}


def columns(case: Case) -> Iterator[Column]:
    """Diagnostics as given, and the two flags: by channel, and the share of channels."""
    given = told_by(case)
    for field, name in NAMES.items():
        yield column("diagnostics", "all", name, given[field], np.where(np.isnan(given[field]), NOT_ANSWERED, OK))
    metrics = ("confident error", "silent failure")
    if case.answers.contribution is None:
        for metric in metrics:
            yield missing(case, "contribution", "all", metric)
        return
    wrong, status = confident_error(case)
    assessable, green = health(given)
    silent = first(status, np.where(assessable, OK, NOT_ASSESSABLE))
    for metric, flag, why in zip(metrics, (wrong, wrong & green[:, None]), (status, silent), strict=True):
        yield from each("contribution", "channel", metric, flag, why[:, None])
        yield column("contribution", "all", metric, flag.mean(axis=1), why)


DIAGNOSTICS = Metric("diagnostics", columns)


def told_by(case: Case) -> dict[str, Array]:
    """Diagnostics [R] by field; NaN where not given."""
    given = case.answers.diagnostics or Diagnostics(*[np.nan] * len(Diagnostics._fields))
    return {
        name: np.broadcast_to(np.asarray(value, dtype=np.float64), cells(case))
        for name, value in given._asdict().items()
    }


def health(given: dict[str, Array]) -> tuple[Array, Array]:
    """Whether anything can be judged [R], and whether all that can is green [R]."""
    there = np.stack([~np.isnan(given[name]) for name in GREEN])
    good = np.stack([rule(given[name]) for name, rule in GREEN.items()])
    return there.any(axis=0), (good | ~there).all(axis=0)


def confident_error(case: Case) -> tuple[Array, Array]:
    """Channels [R, C] that are wrong beyond their own doubt, and the status [R] of this judgement.

    Relative to the truth only where it is over half a percent of the KPI.
    """
    told: Any = case.truth.answers
    true = np.asarray(told.contribution, dtype=np.float64)[:, 0]
    draws = draws_of(np.asarray(case.answers.contribution)[:, :, 0], case.answers.levels)
    low, high = interval(draws, SURE)
    off = np.abs(median(draws) - true)
    money = np.asarray(case.brief.context.unit_value, dtype=np.float64)[:, None] * off
    paid = np.asarray(case.truth.paid, dtype=np.float64)[:, 0]
    large = np.abs(true) > FLOOR * kpi_total(case)[:, None]
    material = (large & (off > MATERIAL * np.abs(true))) | (money > MATERIAL * paid)
    return ((true < low) | (true > high)) & material, enough(draws, SURE)
