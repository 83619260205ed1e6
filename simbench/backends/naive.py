"""The forecast that every other one is measured against: the same week a year ago."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from simbench.backends.base import Backend, jax_backend
from simbench.backends.contender import Contender
from simbench.records import Answers, Brief

Array = Any
YEAR = 52
#: With fewer changes from year to year the spread of the weeks themselves stands for them.
FEWEST = 13


def seasonal_naive(key: Array, brief: Brief) -> Answers:
    """The KPI of the same week a year ago, as uncertain as a year's change has been; nothing else.

    Where history is shorter than a year, its last weeks repeat; a week that was not recorded stands at the
    recorded one before it. Errors are normal around 0, with the second moments that changes from year to year had,
    over geos too.
    """
    panel, questions, _ = brief
    n, held = jnp.arange(panel.kpi.shape[0]), questions.future.lever.shape[0]
    recorded = (n < panel.origin) & (panel.mask > 0)
    first, seen = jnp.argmax(recorded), recorded[:, None]
    latest = jax.lax.cummax(jnp.where(recorded, n, first))
    kpi = jnp.where((n < panel.origin)[:, None], jnp.where(seen, panel.kpi, 0.0)[latest], 0.0)
    year = jnp.where(panel.origin >= YEAR, YEAR, jnp.minimum(panel.origin, held))
    again = kpi[panel.origin - year + jnp.arange(held) % year]

    usable = seen & ((n >= year) & recorded[jnp.maximum(n - year, 0)])[:, None]
    change = jnp.where(usable, kpi - kpi[jnp.maximum(n - year, 0)], 0.0)
    mean = jnp.where(seen, kpi, 0.0).sum(axis=0) / seen.sum()
    spread = jnp.where(seen, kpi - mean, 0.0)
    enough = usable.sum() >= FEWEST
    error = jnp.where(enough, change, spread)
    moments = error.T @ error / jnp.where(enough, usable.sum(), seen.sum())
    # a geo that never changes must not stop the factor
    factor = jnp.linalg.cholesky(moments + 1e-12 * (1e-300 + jnp.trace(moments)) * jnp.eye(len(moments)))
    noise = jax.random.normal(key, (questions.sizes.draws, *again.shape), dtype=kpi.dtype)
    return Answers(forecast=again + noise @ factor.T)


def _made() -> Backend:
    return jax_backend("seasonal-naive", seasonal_naive, tags=("native", "fast", "forecast"))


SEASONAL_NAIVE = Contender(
    "seasonal-naive",
    "the same week a year ago: the forecast that others are measured against",
    _made,
    source="Hyndman and Athanasopoulos, Forecasting: Principles and Practice",
    answers="the forecast",
)
