"""Briefs: what an analyst may see, built from a drawn path; and tables of it.

Everything here works on a whole batch of replicates at once (leading axis R) and in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from simbench.errors import BadInput
from simbench.records import KINDS, Brief, Context, Form, Future, Labels, Panel, Problem, Questions, Sizes

Array = Any


class ProblemSpec(NamedTuple):
    """An allocation problem in shares of the status quo, before there is money."""

    name: str
    scope: str  #: "national" or "geo"
    budget: tuple[float, float] | None  #: shares of the status-quo total; None = free
    lower: float  #: share of each unit's status quo
    upper: float
    groups: tuple[tuple[tuple[int, ...], float, float], ...]  #: (channels, low, high) in shares of the total


class Spec(NamedTuple):
    """What is asked, before there are data: the same for every replicate."""

    windows: tuple[tuple[int, int], ...]
    multipliers: tuple[float, ...]
    levels: int
    margin: float
    horizon: int
    problems: tuple[ProblemSpec, ...]
    sizes: Sizes


def status_quo_weeks(weeks: int, horizon: int) -> np.ndarray:
    """The past weeks that stand for the next `horizon` ones: the same weeks of last year.

    Where history is shorter than a year, the last weeks of it; a longer horizon repeats them.
    """
    year = 52 if weeks >= 52 else min(weeks, horizon)
    return weeks - year + np.arange(horizon) % year


def default_plans(status_quo: Array) -> Array:
    """Plans [R, P, Hd, G, C]: status quo, +20%, -20%, each channel off."""
    channels = status_quo.shape[-1]
    factors = np.concatenate(
        [np.ones((1, channels)), np.full((1, channels), 1.2), np.full((1, channels), 0.8), 1 - np.eye(channels)]
    )
    return status_quo[:, None] * factors[None, :, None, None, :]


def shares(lever: Array, population: Array) -> Array:
    """Weights that sum to 1 over weeks and geos [R, Hd, G, C]; by population where nothing was spent."""
    total = lever.sum(axis=(1, 2), keepdims=True)
    people = population / population.sum(axis=-1, keepdims=True)
    flat = np.broadcast_to(people[:, None, :, None] / lever.shape[1], lever.shape)
    return np.where(total > 0, lever / np.where(total > 0, total, 1.0), flat)


def problem_of(spec: ProblemSpec, status_quo: Array, population: Array, levels: int, margin: float) -> Problem:
    """A problem in money, around the status-quo levers [R, Hd, G, C] of a batch.

    National units are channels; geo units are (geo, channel) in that order.
    """
    replicates, horizon, geos, channels = status_quo.shape
    column = np.arange(channels)
    if spec.scope == "geo":
        member = np.broadcast_to(np.arange(geos)[:, None] * channels + column, (geos, channels))
        owner = np.tile(column, geos)
        weight = np.stack([shares(status_quo[:, :, [g]], population[:, [g]])[:, :, 0] for g in range(geos)], axis=2)
        now = status_quo.sum(axis=1).reshape(replicates, geos * channels)
    else:
        member = np.broadcast_to(column, (geos, channels))
        owner = column
        weight = shares(status_quo, population)
        now = status_quo.sum(axis=(1, 2))
    total = now.sum(axis=-1)
    upper = spec.upper * now
    low, high = (
        (np.zeros(replicates), upper.sum(axis=-1))
        if spec.budget is None
        else (spec.budget[0] * total, spec.budget[1] * total)
    )
    groups = np.array([np.isin(owner, group[0]) for group in spec.groups], dtype=float).reshape(
        len(spec.groups), len(owner)
    )
    spaced = (np.arange(levels) / (levels - 1)) ** 2  # dense near zero, where curves bend
    return Problem(
        base=np.zeros_like(status_quo),
        unit=np.broadcast_to(member, (replicates, 1, horizon, geos, channels)).astype(np.int32),
        weight=weight[:, None],
        status_quo=now,
        levels=upper[:, :, None] * spaced,
        lower=spec.lower * now,
        upper=upper,
        budget=np.stack([low, high], axis=-1),
        groups=np.broadcast_to(groups, (replicates, *groups.shape)).copy(),
        group_low=total[:, None] * np.array([group[1] for group in spec.groups]),
        group_high=total[:, None] * np.array([group[2] for group in spec.groups]),
        margin=np.full(replicates, margin),
        form=Form(disjoint=True),
    )


def questions_of(spec: Spec, panel: Panel, future: Future, weeks: int) -> Questions:
    """Everything a contender is asked about a batch of panels."""
    replicates = panel.lever.shape[0]
    status_quo = panel.lever[:, status_quo_weeks(weeks, spec.horizon)]
    windows = np.array(spec.windows, dtype=np.int32)
    return Questions(
        windows=np.broadcast_to(windows, (replicates, *windows.shape)).copy(),
        multipliers=np.broadcast_to(np.array(spec.multipliers), (replicates, len(spec.multipliers))).copy(),
        margin=np.full(replicates, spec.margin),
        future=future,
        plans=default_plans(status_quo),
        problems=tuple(problem_of(p, status_quo, panel.population, spec.levels, spec.margin) for p in spec.problems),
        sizes=spec.sizes,
    )


def context_of(
    panel: Panel, weeks: int, unit_value: Array, kind: Sequence[int], bought: Array, national_only: Array, prior: Array
) -> Context:
    """Prior knowledge; scales from the training window only."""
    replicates = panel.kpi.shape[0]
    every = lambda x: np.broadcast_to(np.asarray(x), (replicates, *np.shape(x))).copy()  # noqa: E731
    return Context(
        kpi_scale=panel.kpi[:, :weeks].sum(axis=-1).mean(axis=1),
        spend_scale=panel.spend[:, :weeks].sum(axis=2).mean(axis=1),
        unit_value=np.asarray(unit_value, dtype=float),
        national_only=every(np.asarray(national_only, dtype=float)),
        kind=every(np.asarray(kind, dtype=np.int32)),
        bought=every(np.asarray(bought, dtype=float)),
        prior_roas_mean=every(prior[0]),
        prior_roas_sd=every(prior[1]),
    )


def one(batch: Any, i: int) -> Any:
    """Replicate `i` of a batched record."""
    import jax

    return jax.tree.map(lambda x: x[i], batch)


def stack(records: Sequence[Any]) -> Any:
    """Records of one shape as one batched record."""
    import jax

    return jax.tree.map(lambda *x: np.stack(x), *records)


def timeline(panel: Panel, future: Future) -> tuple[Array, Array]:
    """Panel and future laid on weeks [0, N): lever [N, G, C] (zero from the origin on) and controls.

    Rows of the panel at or after its origin are ignored, whatever they hold.
    """
    import jax.numpy as jnp
    from jax import lax

    weeks, ahead = panel.lever.shape[0], future.controls.shape[0]
    seen = (jnp.arange(weeks + ahead) < panel.origin)[:, None, None]

    def laid(past: Array, later: Array | None) -> Array:
        path = jnp.concatenate([jnp.where(seen[:weeks], past, 0.0), jnp.zeros((ahead, *past.shape[1:]))])
        if later is None:
            return path
        return lax.dynamic_update_slice_in_dim(path, later.astype(path.dtype), panel.origin, axis=0)

    return laid(panel.lever, None), laid(panel.controls, future.controls)


def dates(labels: Labels, weeks: Array) -> np.ndarray:
    """First day of each week, as datetime64[D]."""
    return np.datetime64(labels.start, "D") + 7 * np.asarray(weeks).astype(int)


def frame(brief: Brief, labels: Labels) -> Any:
    """The panel as a tidy pandas frame: one row a week and geo, one column a series.

    Raises
    ------
    BadInput
        If the brief is a batch; take one replicate first.
    """
    import pandas as pd

    panel = brief.panel
    if np.ndim(panel.origin):
        raise BadInput("frame", "a batch of briefs", "give one brief")
    origin, geos = int(panel.origin), len(labels.geos)
    rows = {
        "date": np.repeat(dates(labels, np.arange(origin)), geos),
        "geo": np.tile(np.array(labels.geos, dtype=object), origin),
        "kpi": np.asarray(panel.kpi[:origin]).ravel(),
    }
    for c, name in enumerate(labels.channels):
        rows[f"spend_{name}"] = np.asarray(panel.spend[:origin, :, c]).ravel()
        if brief.context.bought[c]:
            rows[f"cap_{name}"] = np.asarray(panel.lever[:origin, :, c]).ravel()
    for k, name in enumerate(labels.controls):
        rows[f"control_{name}"] = np.asarray(panel.controls[:origin, :, k]).ravel()
    rows["population"] = np.tile(np.asarray(panel.population), origin)
    return pd.DataFrame(rows)


def kind_codes(kinds: Sequence[str]) -> list[int]:
    """Positions of channel kinds in records.KINDS."""
    return [KINDS.index(kind) for kind in kinds]
