"""Numbers of contenders over the worlds of some scenarios, and their intervals from one joint resampling."""

from __future__ import annotations

from typing import Any

import numpy as np

from simbench.score import statistics as st
from simbench.score.losses import Losses
from simbench.score.statistics import Estimate
from simbench.score.tables import Table

Array = Any
Resampled = tuple[Array, Array]  #: values [K], and resampled ones [B, K]


def names(table: Table) -> range:
    """Positions of the contenders."""
    return range(len(table.backends))


def over_scenarios(table: Table, counts: Array, losses: Losses, inside: list[int]) -> Resampled:
    """Plain mean over scenarios of each one's mean, or ratio of sums."""
    found = []
    for weights in (np.ones((1, counts.shape[1])), counts):
        parts = []
        for s in inside:
            at = table.scenario == s
            drawn = weights[:, table.cluster[at]]
            part = st.weighted_means(losses.value[:, at], drawn)
            if losses.bottom is not None:
                part = part / st.weighted_means(losses.bottom[:, at], drawn)
            parts.append(part)
        found.append(mean_of(np.stack(parts)))
    return found[0][0], found[1]


def mean_of(parts: Array) -> Array:
    """Mean over the first axis of what is a number; NaN where nothing is."""
    there = np.isfinite(parts)
    size = there.sum(axis=0)
    return np.divide(np.where(there, parts, 0.0).sum(axis=0), size, out=np.full(size.shape, np.nan), where=size > 0)


def medians(table: Table, counts: Array, losses: Losses, here: Array) -> Resampled:
    """Median over all cells of some scenarios; a cell without a number does not count."""
    drawn = counts[:, table.cluster[here]]
    rows = losses.value[:, here]
    value = np.array([np.median(own) if len(own := st.finite(row)) else np.nan for row in rows])
    return value, np.stack([st.weighted_median(row, drawn) for row in rows], axis=1)


def estimates(table: Table, values: Resampled, losses: Losses, here: Array) -> list[Estimate]:
    """Values with their intervals; as many independent worlds as the family with the fewest has replicates."""
    value, again = values
    counted = (np.isfinite(losses.value) & here).sum(axis=1)
    low, high = st.spread_of(again, value, np.minimum(counted, fewest_worlds(table, here)))
    return [Estimate(float(value[k]), float(low[k]), float(high[k]), int(counted[k])) for k in names(table)]


def fewest_worlds(table: Table, here: Array) -> int:
    """Independent worlds of the family that has fewest of them."""
    clusters = np.unique(table.cluster[here])
    return int(np.unique(table.families[clusters], return_counts=True)[1].min()) if len(clusters) else 0
