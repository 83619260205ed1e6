"""The best amounts by plain search: differential evolution, money moved from unit to unit, and a dense grid.

It knows a feasible set and a function that values amounts, nothing else, and proves nothing: what it finds is
a lower bound of the optimum, found without anything that the certified one was found with.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import differential_evolution, linprog

Value = Callable[[np.ndarray], np.ndarray]  # amounts [B, U] -> money [B]
SLACK = 1e-12  # share of the money by which budget and groups may be missed: rounding


class Room(NamedTuple):
    """What amounts [U] are allowed, in money."""

    lower: np.ndarray  # [U]
    upper: np.ndarray  # [U]
    budget: np.ndarray  # [2] lowest and highest total
    groups: np.ndarray  # [N, U] 0/1, or less the same share everywhere
    group_bounds: np.ndarray  # [N, 2]
    inside: np.ndarray  # [U] feasible amounts, as far from the bounds of groups as can be

    @property
    def money(self) -> float:
        """The most that can be spent."""
        return float(min(self.budget[1], self.upper.sum()))


class Found(NamedTuple):
    """The best amounts of a search."""

    amounts: np.ndarray  # [U]
    value: float
    plans: int  # how many were valued


def room(lower, upper, budget, groups=(), group_bounds=()) -> Room:
    """A feasible set from plain numbers."""
    lower, upper, budget = np.asarray(lower, float), np.asarray(upper, float), np.asarray(budget, float)
    units, groups = len(lower), np.asarray(groups, float).reshape(-1, len(lower))
    bounds, size = np.asarray(group_bounds, float).reshape(-1, 2), upper.max()
    deep = np.concatenate([np.zeros((2, 1)), np.ones((2 * len(groups), 1))])  # groups keep a distance
    sums = np.concatenate([np.ones((1, units)), -np.ones((1, units)), groups, -groups])
    limit = np.concatenate([budget[1:], -budget[:1], bounds[:, 1], -bounds[:, 0]]) / size
    keep = np.isfinite(limit)
    box = [*zip(lower / size, upper / size, strict=True), (0.0, 1.0)]
    goal = np.append(np.zeros(units), -1.0)
    found = linprog(goal, np.concatenate([sums, deep], axis=1)[keep], limit[keep], bounds=box)
    assert found.x is not None, "nothing is feasible"
    return Room(lower, upper, budget, groups, bounds, found.x[:-1] * size)


# --- the feasible set


def shifted(amounts: np.ndarray, lower: np.ndarray, upper: np.ndarray, total: np.ndarray) -> np.ndarray:
    """``clip(amounts + shift, lower, upper)`` [B, U] with the totals [B]; the shift by bisection."""
    reach = np.ptp(np.concatenate([amounts, lower[None], upper[None]])) + 1e-300
    low, high = np.full(len(amounts), -reach), np.full(len(amounts), reach)
    for _ in range(55):
        middle = (low + high) / 2
        short = np.clip(amounts + middle[:, None], lower, upper).sum(axis=1) < total
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return np.clip(amounts + high[:, None], lower, upper)


def slack(amounts: np.ndarray, limits: Room) -> np.ndarray:
    """How far amounts [B, U] are inside budget and groups; negative where one is violated."""
    totals = np.concatenate([amounts.sum(axis=1, keepdims=True), amounts @ limits.groups.T], axis=1)
    bounds = np.concatenate([limits.budget[None], limits.group_bounds])
    return np.minimum(totals - bounds[:, 0], bounds[:, 1] - totals).min(axis=1)


def repaired(amounts: np.ndarray, limits: Room) -> np.ndarray:
    """Amounts [B, U] moved into box and budget by a shift, then straight towards `inside` until all groups hold."""
    amounts = np.clip(amounts, limits.lower, limits.upper)
    for turn in range(1 + 2 * (len(limits.groups) > 0)):
        for row, (low, high) in zip(limits.groups, limits.group_bounds, strict=True):
            if turn:
                members, now = row > 0, amounts @ row
                own = amounts[:, members]
                total = own.sum(axis=1) + np.clip(now, low, high) - now
                amounts[:, members] = shifted(own, limits.lower[members], limits.upper[members], total)
        amounts = shifted(amounts, limits.lower, limits.upper, np.clip(amounts.sum(axis=1), *limits.budget))
    away, centre = (amounts - limits.inside) @ limits.groups.T, limits.groups @ limits.inside
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = (np.where(away > 0, limits.group_bounds[:, 1], limits.group_bounds[:, 0]) - centre) / away
    share = np.clip(np.where(away == 0, 1.0, reach).min(axis=1, initial=1.0), 0.0, 1.0)
    return limits.inside + share[:, None] * (amounts - limits.inside)


def scattered(limits: Room, count: int, generator: np.random.Generator) -> np.ndarray:
    """Random amounts [count, U], from even splits to near-corners."""
    weight = generator.standard_gamma(0.5, (count, len(limits.lower)))
    total = generator.uniform(max(limits.budget[0], limits.lower.sum()), limits.money, (count, 1))
    return repaired(limits.lower + weight / weight.sum(axis=1, keepdims=True) * (total - limits.lower.sum()), limits)


# --- searches

#: A step that gains less than this share is none: where limits meet, ten million of the finest would follow each other.
LEAST = 1e-13


def moved(value: Value, start: np.ndarray, limits: Room, finest: float = 1e-8, most: int = 400) -> Found:
    """The best of moving money from one unit to another, and of adding or taking some, in ever smaller steps."""
    units = len(start)
    pairs = np.eye(units)[:, None] - np.eye(units)[None]
    ways = np.concatenate([pairs[~np.eye(units, dtype=bool)], np.eye(units), -np.eye(units), *along(limits)])
    generator = np.random.default_rng(units)
    best, plans = start, 1
    top, step = float(value(start[None])[0]), 0.1 * float((limits.upper - limits.lower).max())
    smallest = finest * step * 10
    while step > smallest:
        some = ways if len(ways) <= most else ways[generator.choice(len(ways), most, replace=False)]
        if (limits.groups < 0).any() and best.any():  # as a whole the plan keeps all its shares
            some = np.concatenate([some, [best / best.max(), -best / best.max()]])
        there = np.clip(best + step * some, limits.lower, limits.upper)
        there = there[slack(there, limits) >= min(-SLACK * limits.money, slack(best[None], limits)[0])]
        if not len(there):
            step /= 2
            continue
        worth = value(there)
        plans += len(there)
        if worth.max() > top + LEAST * abs(top):
            best, top = there[worth.argmax()], float(worth.max())
        else:
            step /= 2
    return Found(best, top, plans)


def along(limits: Room) -> list[np.ndarray]:
    """Ways [n, U] to add to two units, or take from both, that leave a share of the plan as it is."""
    found = []
    for row in limits.groups:
        for i, j in itertools.product(np.flatnonzero(row > 0), np.flatnonzero(row < 0)):
            way = np.zeros((1, len(row)))
            way[0, [i, j]] = [-row[j] / max(row[i], -row[j]), row[i] / max(row[i], -row[j])]
            found += [way, -way]
    return found


def evolved(
    value: Value,
    limits: Room,
    seed: int,
    generations: int = 100,
    seconds: float = np.inf,
    population: int = 60,
) -> Found:
    """Differential evolution (SciPy), each newcomer repaired, its best polished by :func:`moved`.

    It starts anew, from other random amounts, until `seconds` of a core are spent (``inf``: once): whatever else the
    machine does, the search is as long.
    """
    end, plans, found, turn = time.process_time() + seconds, 0, None, 0
    money = max(limits.money, 1e-300)

    def loss(scaled: np.ndarray) -> np.ndarray:  # [U, B] of size one
        nonlocal plans
        amounts = repaired(scaled.T * money, limits)
        plans += len(amounts)
        return -value(amounts)

    while found is None or (np.isfinite(seconds) and time.process_time() < end):
        generator = np.random.default_rng([seed, turn])
        wide = np.stack([limits.lower, np.maximum(limits.upper, limits.lower + 1e-12 * money)], axis=1) / money
        result = differential_evolution(
            loss, wide, strategy=("best1bin", "rand1bin", "currenttobest1bin")[turn % 3], maxiter=generations,
            init=np.clip(scattered(limits, population, generator) / money, wide[:, 0], wide[:, 1]),
            tol=1e-10, rng=generator, polish=False, vectorized=True, updating="deferred",
            callback=lambda *_, **__: time.process_time() > end,
        )  # fmt: skip
        start = repaired(result.x[None] * money, limits)[0]
        polished = moved(value, start, limits)
        found = polished if found is None or polished.value > found.value else found
        plans, turn = plans + polished.plans, turn + 1
    return found._replace(plans=plans)


def lattice(limits: Room, count: int) -> np.ndarray:
    """Every feasible point [B, 3] of a grid of three units; a fixed total is met by the last unit."""
    exact = limits.budget[0] == limits.budget[1]
    axes = [np.linspace(*ends, count) for ends in zip(limits.lower, limits.upper, strict=True)]
    mesh = np.stack(np.meshgrid(*axes[: 3 - exact], indexing="ij"), axis=-1).reshape(-1, 3 - exact)
    if exact:
        mesh = np.concatenate([mesh, limits.budget[1] - mesh.sum(axis=1, keepdims=True)], axis=1)
    inside = (mesh >= limits.lower) & (mesh <= limits.upper)
    return mesh[inside.all(axis=1) & (slack(mesh, limits) >= -SLACK * limits.money)]


def gridded(value: Value, limits: Room, count: int, block: int = 4096) -> Found:
    """The best point of the grid of three units, polished; its ten best are, for tops lie side by side."""
    mesh = lattice(limits, count)
    worth = np.concatenate([value(part) for part in np.split(mesh, range(block, len(mesh), block))])
    tops = [moved(value, mesh[i], limits) for i in np.argsort(-worth)[:10]]
    best = max(tops, key=lambda each: each.value)
    return best._replace(plans=len(mesh) + sum(each.plans for each in tops))
