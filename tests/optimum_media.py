"""Worlds for tests of the optimum: sums of saturating curves, and what holds for every solution."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.testing import assert_allclose

from simbench import optimum
from simbench.optimum import Cells, Constraints
from simbench.optimum.feasible import checked

HILL, EXPONENTIAL, POWER, LOGISTIC = range(4)


class Media(NamedTuple):
    """A unit's net value: a sum of saturating terms, each [R, U, J], less `cost` a unit of money."""

    kind: np.ndarray
    height: np.ndarray
    half: np.ndarray
    slope: np.ndarray
    cost: float = 1.0
    money: float = 1.0  # amounts and values are multiplied by it


def some(media: Media, rows) -> Media:
    return Media(*(part[rows] for part in media[:4]), *media[4:])


def terms(media: Media, amounts):
    """Value and slope of every term at amounts [R, U, K]: two [R, U, K, J]."""
    kind, height, half, slope = (part[:, :, None, :] for part in media[:4])
    v = amounts[..., None] / media.money / half
    with np.errstate(divide="ignore", invalid="ignore"):
        power, power_slope = v**slope, slope * np.where(slope == 1, 1.0, v ** (slope - 1))
        # the rise of a logistic curve over its start, without the difference of two numbers that are all but equal
        across = np.cosh(slope * (v - 1) / 2)
        rise = np.sinh(slope * v / 2) / (2 * across * np.cosh(slope / 2))
        kinds = [kind == HILL, kind == POWER, kind == LOGISTIC]
        value = np.select(kinds, [power / (1 + power), power, rise], -np.expm1(-v))
        tilts = [power_slope / (1 + power) ** 2, power_slope, slope / (2 * across) ** 2]
        tilt = np.select(kinds, tilts, np.exp(-v))
    return media.money * height * value, height / half * tilt


def curves(media: Media, asked: list | None = None):
    """`evaluate` with slope bounds from each term: steepest at the ends or where a curve bends; heights may be < 0."""
    logistic = media.kind == LOGISTIC
    bends = ((media.kind == HILL) & (media.slope > 1)) | logistic
    s = np.where(bends, media.slope, 2.0)
    turn = np.where(logistic, 1.0, ((s - 1) / (s + 1)) ** (1 / s))
    top = np.where(logistic, s / 4, s * turn ** (s - 1) / (1 + turn**s) ** 2) * media.height / media.half
    turn, top, bends = ((x[:, :, None, :]) for x in (turn * media.half * media.money, top, bends))

    def evaluate(levels):
        if asked is not None:
            asked.append(levels.shape)
        value, tilt = terms(media, levels)
        left, right = tilt[:, :, :-1], tilt[:, :, 1:]
        over = bends & (levels[:, :, :-1, None] <= turn) & (levels[:, :, 1:, None] >= turn)
        steepest = np.fmax(np.where(over, top, np.nan), np.maximum(left, right)).sum(-1)
        flattest = np.fmin(np.where(over, top, np.nan), np.minimum(left, right)).sum(-1)
        cost = media.cost
        return Cells(value.sum(-1) - cost * levels, tilt.sum(-1) - cost, steepest - cost, flattest - cost)

    return evaluate


def net(media: Media, amounts, world: int = 0):
    """Net value [B] of amounts [B, U] in one world."""
    value, _ = terms(some(media, [world]), np.asarray(amounts).T[None])
    return value.sum((0, 1, 3)) - media.cost * np.sum(amounts, axis=1)


def random_media(generator, shape, low=0.3, high=4.0, kinds=3, cost=1.0) -> Media:
    return Media(
        generator.integers(0, kinds, (*shape[:2], 1)) + np.zeros(shape, int),
        generator.lognormal(0.5, 0.6, shape) / shape[2],
        generator.lognormal(0.0, 0.5, shape),
        generator.uniform(low, np.where(generator.random((*shape[:2], 1)) < 0.5, high, max(low, 1.0)), shape),
        cost,
    )


def plain(lower, upper, budget) -> Constraints:
    """Constraints of R worlds without rows."""
    lower, upper, budget = (np.asarray(x, float) for x in (lower, upper, budget))
    none = np.zeros((len(lower), 0))
    return Constraints(lower, upper, budget, np.zeros((0, lower.shape[1])), none, none)


def lattice(constraints: Constraints, count: int):
    """A grid of feasible amounts of a small world; an exact budget is spent by the last unit."""
    (low, high, (least, most)) = (part[0] for part in constraints[:3])
    axes = [np.linspace(a, b, count) for a, b in zip(low, high, strict=True)]
    exact = least == most
    mesh = np.stack(np.meshgrid(*axes[: len(axes) - exact], indexing="ij"), axis=-1).reshape(-1, len(axes) - exact)
    if exact:
        mesh = np.concatenate([mesh, most - mesh.sum(1, keepdims=True)], axis=1)
    total, rows = mesh.sum(1), mesh @ constraints.groups.T
    keep = (total >= least - 1e-12) & (total <= most + 1e-12) & (mesh >= low).all(1) & (mesh <= high).all(1)
    keep &= ((rows >= constraints.group_low[0]) & (rows <= constraints.group_high[0])).all(1)
    return mesh[keep]


def assert_feasible(amounts, constraints: Constraints) -> None:
    c, size = constraints, np.abs(constraints.upper).max()
    assert (amounts >= c.lower).all() and (amounts <= c.upper).all()
    total, rows = amounts.sum(1), amounts @ c.groups.T
    assert (total >= c.budget[:, 0] - 1e-12 * size).all() and (total <= c.budget[:, 1] + 1e-12 * size).all()
    assert (rows >= c.group_low - 1e-11 * size).all() and (rows <= c.group_high + 1e-11 * size).all()


def assert_sound(solution, media, constraints, generator, count=2000, tolerance=1e-6) -> None:
    """Feasible, worth what it says, certified only if the bound is close, and nothing feasible beats that."""
    assert_feasible(solution.amounts, constraints)
    first = np.linspace(0, 1, 400)[:, None] ** 2
    fine = checked(constraints)
    for world in range(len(solution.value)):
        value, bound = solution.value[world], solution.upper_bound[world]
        assert_allclose(value, net(media, solution.amounts[[world]], world)[0], rtol=1e-12, atol=1e-12 * media.money)
        assert bound >= value
        low, high = fine.lower[world], fine.upper[world]
        along = terms(some(media, [world]), (low + first * (high - low)).T[None])[0].sum((0, 3))
        along = along - media.cost * (low + first * (high - low)).T
        if solution.certified[world]:
            assert bound - value <= 1.01 * tolerance * np.ptp(along, axis=1).max() + 1e-12 * media.money
        tried = optimum.random_feasible(optimum.take(constraints, [world]), count, generator)
        assert net(media, tried, world).max() <= bound + 1e-12 * (abs(bound) + media.money)
