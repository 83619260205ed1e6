"""The answers of docs/design.md, section 4, worked out arm by arm from the formulas of docs/worlds.md.

Marginals and impulses are exact derivatives (dual numbers): their error, like everyone else's here, is the
rounding of float64 sums, about 1e-13 of the largest entry.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from simbench.world import scenario as reader

from . import decisions, drawing, formulas
from .dual import Dual
from .physics import Roll, World, rollout


class Case(NamedTuple):
    """One replicate, rolled out as it happened."""

    scenario: Any
    world: World
    factual: Roll
    outlook: Roll  # what was to be expected of the same levers before week T
    held: np.ndarray  # [n, 1, G, C] factual levers up to T-1, zero from T on
    futures: Sequence[World]  # worlds that differ after T, where mu's response depends on that


def case(scenario: Any, replicate: int, master: bytes = formulas.MASTER, first: int = formulas.FUTURES) -> Case:
    """Draw a replicate and let the world run; its futures begin with number `first` (0: those to search on)."""
    recorded = reader.recorded_paths(scenario)
    draws = formulas.Draws(master, reader.family(scenario), replicate)
    world = drawing.draw(scenario, draws, recorded)
    world = drawing.with_noise(drawing.with_effects(world, scenario, draws), scenario, draws)
    factual = rollout(world, world.levers, chase=True)
    held = factual.lever.copy()
    held[world.P + world.T :] = 0
    # walks are expected to stay where they were in week T-1
    walks = [getattr(c.effectiveness, "kind", "") == "random-walk" for c in scenario.channels]
    m, origin = world.m.copy(), world.P + world.T
    m[origin:, walks] = m[origin - 1, walks]
    world = world._replace(m=m)
    outlook = rollout(world, factual.lever)
    futures: list[World] = [world]
    if any(channel.bought for channel in world.channels):
        redrawn = (drawing.draw(scenario, draws, recorded, first + k) for k in range(formulas.FUTURES))
        futures = [world._replace(q=new.q, base=new.base, appetite=new.appetite) for new in redrawn]
    return Case(scenario, world, factual, outlook, held, futures)


def paths(scenario: Any, replicate: int, master: bytes = formulas.MASTER) -> dict[str, np.ndarray]:
    """Everything drawn: [T + F, G, C] for levers, paid and demand, [T + F, G] for mu, kpi and base.

    Weeks are those of the panel, the holdout and the tail; the pre-history is left out.
    """
    return paths_of(case(scenario, replicate, master))


def paths_of(one: Case) -> dict[str, np.ndarray]:
    """:func:`paths` of a case already drawn."""
    world, roll, seen = one.world, one.factual, slice(one.world.P, None)
    return {
        "lever": roll.lever[seen, 0], "paid": roll.paid[seen, 0], "demand": roll.demand[seen, 0],
        "mu": roll.mu[seen, 0], "kpi": roll.kpi[seen, 0], "base": world.base[seen], "q": world.q[seen],
        "controls": world.controls[seen], "calendar": world.calendar[seen], "share": world.share,
        "population": 1e6 * world.population, "bought": np.array([c.bought for c in world.channels]),
        "beta": world.beta, "reference": np.array(world.reference), "unit_value": np.array(world.unit_value),
    }  # fmt: skip


def truth(scenario: Any, replicate: int, master: bytes = formulas.MASTER) -> dict[str, Any]:
    """All items of docs/design.md, section 4, under the field names of ``records.Truth``."""
    return truth_of(case(scenario, replicate, master))


def truth_of(one: Case) -> dict[str, Any]:
    """:func:`truth` of a case already drawn."""
    return {**history(one), **decisions.decided(one)}


def windows_of(one: Case) -> list[tuple[int, int]]:
    """Windows as (first, past the last) week: the whole panel, then those asked, by default the last year."""
    T, asked = one.world.T, one.scenario.questions.windows
    if asked is None:
        asked = [(T - 52, T)] if T > 52 else []
    return [(0, T), *((int(a), int(b)) for a, b in asked if (a, b) != (0, T))]


def counted(world: World, window: tuple[int, int]) -> slice:
    """Positions over which the effect of a window is summed."""
    return slice(world.P + window[0], world.P + window[1] + world.tail)


def gained(roll: Roll, a: int, b: int, where: slice) -> np.ndarray:
    """sum over weeks of mu in arm a minus mu in arm b, [G]."""
    mu = roll.mu.value if isinstance(roll.mu, Dual) else roll.mu
    return (mu[where, a] - mu[where, b]).sum(axis=0)


def history(one: Case) -> dict[str, Any]:
    """Questions about the windows of the panel."""
    world, windows = one.world, windows_of(one)
    W, C, G = len(windows), len(world.channels), len(world.share)
    n, P, T = len(world.q), world.P, world.T
    paid = np.array([one.factual.paid[P + a : P + b, 0].sum(axis=(0, 1)) for a, b in windows])
    shown = np.array([one.held[P + a : P + b, 0].sum(axis=(0, 1)) for a, b in windows])

    # one arm a distinct intervention on scales: (window, channels, factor)
    arms: list[tuple[int, tuple[int, ...], float]] = [(0, (), 1.0)]
    subsets = [s for size in range(1, C + 1) for s in itertools.combinations(range(C), size)]
    arms += [(w, s, 0.0) for w in range(W) for s in subsets]
    multipliers = [float(k) for k in one.scenario.questions.multipliers]
    arms += [(0, (c,), k) for c in range(C) for k in multipliers]
    scale = np.ones((n, len(arms), 1, C))
    for a, (w, off, k) in enumerate(arms):
        for c in off:
            scale[P + windows[w][0] : P + windows[w][1], a, :, c] = k
    scale[P + T :] = 0
    place = {(w, s): a for a, (w, s, k) in enumerate(arms[: 1 + W * len(subsets)])}

    held = rollout(world, one.held, scale)
    contribution, all_off, shapley = np.zeros((W, C)), np.zeros(W), np.zeros((W, C))
    contribution_geo = np.zeros((G, C))
    cut_off = np.zeros((W, C))
    everyone = tuple(range(C))
    for w, window in enumerate(windows):
        where = counted(world, window)
        for c in range(C):
            lost = gained(held, 0, place[w, (c,)], where)
            contribution[w, c] = lost.sum()
            cut_off[w, c] = gained(held, 0, place[w, (c,)], slice(where.stop, None)).sum()
            if w == 0:
                contribution_geo[:, c] = lost
        all_off[w] = gained(held, 0, place[w, everyone], where).sum()
        shapley[w] = shapley_values(
            C, lambda off, w=w, where=where: -gained(held, 0, place[w, off], where).sum() if off else 0.0
        )
    curve = np.full((C, len(multipliers)), np.nan)
    for c in range(C):
        if shown[0, c] > 0:
            for i in range(len(multipliers)):
                arm = 1 + W * len(subsets) + c * len(multipliers) + i
                curve[c, i] = gained(held, arm, place[0, (c,)], counted(world, windows[0])).sum()
    baseline = held.mu[P : P + T, place[0, everyone]].sum(axis=-1)

    single = [0, *(place[w, (c,)] for w in range(W) for c in range(C))]
    demand = one.factual.demand
    readings = {}
    for name, base, options in (
        ("responding", world.levers, {"chase": True}),
        ("path_held", one.held, {"frozen": demand}),
    ):
        roll = rollout(world, base, scale[:, single], **options)
        readings[name] = np.zeros((W, C))
        for w, c in itertools.product(range(W), range(C)):
            readings[name][w, c] = gained(roll, 0, 1 + w * C + c, counted(world, windows[w])).sum()
    stopped = scale[:, :1]
    return {
        "contribution": contribution,
        "contribution_geo": contribution_geo,
        "curve": curve,
        "baseline": baseline,
        "marginal": marginal(one, windows, shown, one.held, {}),
        "responding": {
            "contribution": readings["responding"],
            "marginal": marginal(one, windows, shown, world.levers, {"scale": stopped, "chase": True}),
        },
        "path_held": {
            "contribution": readings["path_held"],
            "marginal": marginal(one, windows, shown, one.held, {"frozen": demand}),
        },
        "impulse": impulse(one, windows[0]),
        "paid": paid,
        "shapley": shapley,
        "all_off": all_off,
        "cut_off": cut_off,
    }


def shapley_values(C: int, value) -> np.ndarray:
    """Shapley values of a game whose `value(off)` is known for every set of absent players."""
    shares = np.zeros(C)
    for c in range(C):
        others = [o for o in range(C) if o != c]
        for size in range(C):
            weight = math.factorial(size) * math.factorial(C - size - 1) / math.factorial(C)
            for on in itertools.combinations(others, size):
                without = tuple(o for o in range(C) if o not in on)
                shares[c] += weight * (value(tuple(o for o in without if o != c)) - value(without))
    return shares


def marginal(one: Case, windows, shown: np.ndarray, base: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    """d(sum of mu) / d(paid of c in W) along c's own flighting, [W, C]."""
    world, W, C = one.world, len(windows), len(one.world.channels)
    tangent = np.zeros((len(world.q), W * C, len(world.share), C))
    for w, (a, b) in enumerate(windows):
        for c in range(C):
            if shown[w, c] > 0:
                weeks = slice(world.P + a, world.P + b)
                tangent[weeks, w * C + c, :, c] = one.held[weeks, 0, :, c] / shown[w, c]
    roll = rollout(world, base, add=Dual(np.zeros_like(tangent), tangent), **options)
    rate = np.full((W, C), np.nan)
    for w, window in enumerate(windows):
        for c in range(C):
            arm = w * C + c
            gain = roll.mu.tangent[counted(world, window), arm].sum()
            cost = roll.paid.tangent[world.P + window[0] : world.P + window[1], arm, :, c].sum()
            if shown[w, c] > 0 and cost != 0:
                rate[w, c] = gain / cost
    return rate


def impulse(one: Case, window: tuple[int, int]) -> np.ndarray:
    """Share of the total derivative that has arrived by lag l, [C, L]."""
    world, lags = one.world, int(one.scenario.questions.impulse_lags)
    C, start, stop = len(world.channels), window[0], window[1]
    shares = np.full((C, lags), np.nan)
    weeks: list[int | None] = []
    tangent = np.zeros((len(world.q), C, len(world.share), C))
    for c, channel in enumerate(world.channels):
        candidates = []
        for week in range(start, stop):
            i = world.P + week
            lever, demand = one.factual.lever[i, 0, :, c], one.factual.demand[i, 0, :, c]
            binding = not channel.bought or np.any(lever < demand)
            if one.factual.paid[i, 0, :, c].sum() > 0 and binding:
                candidates.append(week)
        middle = (start + stop - 1) / 2
        weeks.append(min(candidates, key=lambda week, m=middle: (abs(week - m), week), default=None))
        if weeks[c] is not None:
            i = world.P + weeks[c]
            tangent[i, c, :, c] = one.held[i, 0, :, c] / one.held[i, 0, :, c].sum()
    roll = rollout(world, one.held, add=Dual(np.zeros_like(tangent), tangent))
    for c, week in enumerate(weeks):
        if week is not None:
            first = world.P + week
            arrived = np.cumsum(roll.mu.tangent[first : first + world.tail + 1, c].sum(axis=-1))
            if arrived[-1] > 0:
                shares[c] = [arrived[min(lag, world.tail)] / arrived[-1] for lag in range(lags)]
    return shares
