"""Allocation problems of every kind as sums of curves, with formulas of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import expit

from .search import Room, room

HILL, EXPONENTIAL, POWER, LOGISTIC = range(4)
SHAPES: tuple[Callable, ...] = (
    lambda v, s: 1 - 1 / (1 + v**s),
    lambda v, s: 1 - np.exp(-v),
    lambda v, s: v**s,
    lambda v, s: expit(s * (v - 1)) - expit(-s),
)


class Terms(NamedTuple):
    """Net value of a unit: ``sum_j height_j shape_j(amount / half_j) - amount``."""

    kind: np.ndarray  # [U, J] one of the shapes
    height: np.ndarray
    half: np.ndarray
    slope: np.ndarray
    room: Room

    def value(self, amounts: np.ndarray) -> np.ndarray:
        """Money [B] of amounts [B, U]."""
        v = amounts[..., None] / self.half
        each = np.select([self.kind == k for k in range(4)], [shape(v, self.slope) for shape in SHAPES])
        return (self.height * each).sum(axis=(1, 2)) - amounts.sum(axis=1)


class Answered(NamedTuple):
    """Curves that somebody answered at levels: noisy, not rising everywhere."""

    levels: np.ndarray  # [U, L]
    kpi: np.ndarray  # [U, L]
    worth: float
    room: Room

    def value(self, amounts: np.ndarray) -> np.ndarray:
        """Money [B] of amounts [B, U]: each curve is read by PCHIP."""
        read = [PchipInterpolator(x, y)(a) for x, y, a in zip(self.levels, self.kpi, amounts.T, strict=True)]
        return self.worth * np.sum(read, axis=0) - amounts.sum(axis=1)


def terms(generator: np.random.Generator, units: int, kinds, slopes: tuple[float, float], parts: int = 2) -> Terms:
    """Random curves, at a level at which some units earn their money and some do not."""
    kind = generator.choice(kinds, (units, 1)) + np.zeros((units, parts), int)
    shape = (units, parts)
    slope = np.where(kind == LOGISTIC, generator.uniform(3, 8, shape), generator.uniform(*slopes, shape))
    height, half = generator.lognormal(0.8, 0.5, shape) / parts, generator.lognormal(0, 0.4, shape)
    return Terms(kind, height, half, np.where(kind == POWER, np.minimum(slope, 0.9), slope), within(units))


def within(units: int, share: float = 0.8, upper: float = 4.0, exact: bool = True) -> Room:
    """A plain box and `share` a unit to spend."""
    return room(np.zeros(units), np.full(units, upper), [share * units * exact, share * units])


CONCAVE = [HILL, EXPONENTIAL, POWER]


def concave(generator: np.random.Generator, units: int) -> Terms:
    return terms(generator, units, CONCAVE, (0.3, 1.0))


def s_shaped(generator: np.random.Generator, units: int) -> Terms:
    """Hill curves steeper than 1."""
    return terms(generator, units, [HILL], (1.5, 4.0))


def logistic(generator: np.random.Generator, units: int) -> Terms:
    return terms(generator, units, [LOGISTIC], (3.0, 8.0))


def grouped(generator: np.random.Generator, units: int) -> Terms:
    """Brand (the first two) gets at least 40%, and every tier of the rest its share."""
    total = 0.8 * units
    half = np.arange(units) < (units + 2) // 2
    groups = np.array([np.arange(units) < 2, half & (np.arange(units) >= 2), ~half])
    bounds = np.array([[0.4, 1.0], [0.1, 0.3], [0.15, 0.5]]) * total
    bounds, groups = bounds[groups.any(axis=1)], groups[groups.any(axis=1)]  # three units have two of them
    limits = room(np.zeros(units), np.full(units, 4.0), [total, total], groups, bounds)
    return terms(generator, units, [*CONCAVE, HILL, LOGISTIC], (0.5, 3.0))._replace(room=limits)


def free(generator: np.random.Generator, units: int) -> Terms:
    """As much as is worth while, or nothing."""
    one = terms(generator, units, [HILL, EXPONENTIAL, LOGISTIC], (0.5, 3.0))
    return one._replace(room=room(np.zeros(units), np.full(units, 4.0), [0.0, np.inf]))


def tight(generator: np.random.Generator, units: int) -> Terms:
    """Boxes of a tenth around a status quo; beyond the third unit some are points."""
    now = generator.uniform(0.4, 1.5, units)
    wide = np.where((np.arange(units) > 2) & (generator.random(units) < 0.3), 0.0, 0.1)
    limits = room(now * (1 - wide), now * (1 + wide), [now.sum(), now.sum()])
    return terms(generator, units, [HILL, EXPONENTIAL], (0.5, 3.5))._replace(room=limits)


def tied(generator: np.random.Generator, units: int) -> Terms:
    """Equal S-shaped units: any k of them may be the ones that are on."""
    one = s_shaped(generator, 1)
    curves = (np.repeat(part, units, axis=0) for part in one[:4])
    return Terms(*curves, within(units, float(generator.uniform(0.25, 0.5))))


def geos(generator: np.random.Generator, units: int) -> Terms:
    """A third as many channels, in three geos of different size."""
    size = generator.dirichlet([4.0, 4.0, 4.0]) * 3
    nation = terms(generator, units // 3, [HILL, EXPONENTIAL], (0.7, 2.5))
    kind, height, half, slope = (np.tile(part, (3, 1)) for part in nation[:4])
    size = np.repeat(size, units // 3)[:, None]
    return Terms(kind, height * size * generator.lognormal(0, 0.2, height.shape), half * size, slope, within(units))


def useless(generator: np.random.Generator, units: int) -> Terms:
    """Some channels do nothing, one does harm; what is left over need not be spent."""
    one = terms(generator, units, [HILL, EXPONENTIAL], (0.7, 3.0))
    sign = np.ones(units)
    sign[: units // 3], sign[units // 3] = 0.0, -0.5
    return one._replace(height=one.height * sign[:, None], room=within(units, exact=False))


def answered(generator: np.random.Generator, units: int) -> Answered:
    levels = np.linspace(0, 1, 21) ** 2 * generator.uniform(2, 5, (units, 1))
    kpi = 3 * levels**2 / (levels**2 + generator.uniform(0.3, 2, (units, 1)))
    kpi = kpi + 0.15 * generator.standard_normal(levels.shape)
    limits = room(np.zeros(units), levels[:, -1], [0.8 * units, 0.8 * units])
    return Answered(levels, kpi, 1.5, limits)


def planned(generator: np.random.Generator, units: int) -> Terms:
    """The total is free; brand (the first third) gets at least 40% of it, the last unit at most 15%."""
    one, first = free(generator, units), np.arange(units) < max(1, units // 3)
    last = np.arange(units) == units - 1
    rows = np.array([first - 0.4, last - 0.15])
    limits = room(np.zeros(units), np.full(units, 4.0), [0.0, np.inf], rows, [[0.0, np.inf], [-np.inf, 0.0]])
    return one._replace(room=limits)


#: Kind -> how it is made.
KINDS: dict[str, Callable[[np.random.Generator, int], Terms | Answered]] = {
    "concave": concave, "S-shaped": s_shaped, "logistic": logistic, "groups": grouped, "free total": free,
    "tight boxes": tight, "ties": tied, "geos": geos, "useless or harmful channels": useless,
    "answered curves": answered, "shares of the plan": planned,
}  # fmt: skip


def problem(kind: str, units: int, seed: int) -> Terms | Answered:
    """A problem of a kind; the same for the same seed."""
    return KINDS[kind](np.random.default_rng([list(KINDS).index(kind), units, seed]), units)
