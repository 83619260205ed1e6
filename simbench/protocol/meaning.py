"""What columns and arrays mean: from what a file says to fields of Answers."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np

from simbench.backends.replies import LEVELS
from simbench.protocol.asked import EACH_PROBLEM, Asked, field_of
from simbench.protocol.parsing import DIAGNOSTICS
from simbench.records import Brief

Array = Any

#: Levels at which an interval is turned into quantiles.
QUANTILES = (0.005, 0.025, *LEVELS, 0.975, 0.995)


def from_columns(columns: Mapping[str, Array], brief: Brief, asked: Asked) -> dict[str, Any]:
    """Fields of Answers from a CSV's columns.

    An interval becomes quantiles of a two-piece normal: its median is the point, each half has the
    spread that puts `low` and `high` at the ends of a central interval of `level`. Windows after
    the first take the share of the contribution that they have of the channel's spend.
    """
    told: dict[str, Any] = {}
    if "contribution" in columns:
        quantiles = columns["contribution"][None]
        if "low" in columns:
            told["levels"] = np.array(QUANTILES)
            quantiles = two_piece_normal(*(columns[name] for name in ("low", "contribution", "high", "level")))
        told["contribution"] = quantiles[:, None, :] * spend_shares(brief)
    if "budget" in columns:
        told["allocation"] = allocations(columns["budget"], asked)
    return told


def two_piece_normal(low: Array, middle: Array, high: Array, level: Array) -> Array:
    """Quantiles [len(QUANTILES), C] of a distribution with median `middle` and P(low < x < high) = level."""
    normal = NormalDist()
    reach = np.array([normal.inv_cdf((1 + p) / 2) for p in level])
    z = np.array([normal.inv_cdf(p) for p in QUANTILES])[:, None]
    return middle + z * np.where(z < 0, middle - low, high - middle) / reach


def spend_shares(brief: Brief) -> Array:
    """Share [W, C] of each window in a channel's spend of the first window; 1 for that one itself."""
    spend = np.asarray(brief.panel.spend)[: int(brief.panel.origin)].sum(axis=1)
    sums = np.array([spend[int(a) : int(b)].sum(axis=0) for a, b in np.asarray(brief.questions.windows)])
    shares = np.where(sums[:1] > 0, sums / np.where(sums[:1] > 0, sums[:1], 1.0), 0.0)
    shares[0] = 1.0
    return shares


def allocations(budget: Array, asked: Asked) -> tuple[Array, ...] | None:
    """Amounts of every problem from money by channel [C]; None where a unit has several channels.

    Units of one channel share its money as the status quo does. Problems after the first take it
    in the same proportions, scaled to the nearest total they allow.
    """
    told = []
    for p, choice in enumerate(asked.choices):
        channel, now = np.array(choice.channel, dtype=int), np.array(choice.status_quo)
        if (channel < 0).any():
            return None
        mine = channel[:, None] == channel  # [U, U] units of one channel
        total, count = mine @ now, mine.sum(axis=1)
        amounts = budget[channel] * np.where(total > 0, now / np.where(total > 0, total, 1.0), 1.0 / count)
        spent = amounts.sum()
        told.append(amounts if p == 0 or spent <= 0 else amounts * (np.clip(spent, *choice.budget) / spent))
    return tuple(told) or None


def from_arrays(arrays: Mapping[str, Array], brief: Brief) -> dict[str, Any]:
    """Fields of Answers from arrays by name. Weeks of the panel that nobody sees repeat the last baseline."""
    told: dict[str, Any] = {}
    for name, array in arrays.items():
        if field_of(name) in EACH_PROBLEM:
            told[field_of(name)] = tuple(arrays[f"{field_of(name)}_{p}"] for p in range(len(brief.questions.problems)))
        elif name in DIAGNOSTICS:
            told.setdefault("diagnostics", {})[name.removeprefix("diagnostics_")] = array
        else:
            told[name] = array
    if "baseline" in told:
        unseen = len(brief.panel.lever) - told["baseline"].shape[1]
        told["baseline"] = np.pad(told["baseline"], ((0, 0), (0, unseen)), mode="edge")
    return told
