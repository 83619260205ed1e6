"""The optimum against brute force, against its own bound, and against other solvers."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.interpolate import PchipInterpolator
from scipy.optimize import minimize

from simbench import optimum
from simbench.errors import BadInput
from simbench.optimum import Cells, Constraints, feasible, one_world
from simbench.optimum.branch import branch, under_budget
from simbench.optimum.curves import pchip_slopes
from simbench.optimum.grid import grid
from simbench.optimum.refine import State, asker
from simbench.optimum.relax import Table, insert, peaks, points, relax, upper_line

HILL, EXPONENTIAL, POWER = range(3)


class Media(NamedTuple):
    """Net value of a unit: a sum of saturating terms, less `cost` a unit of money."""

    kind: np.ndarray  # [R, U, J]
    height: np.ndarray
    half: np.ndarray
    slope: np.ndarray
    cost: float = 1.0
    money: float = 1.0  # all amounts are multiplied by it, and so is the value

    def take(self, rows):
        return Media(*(part[rows] for part in self[:4]), *self[4:])


def terms(media, amounts):
    """Value and slope of every term at [R, U, K], as [R, U, K, J]."""
    kind, height, half, slope = (part[:, :, None, :] for part in media[:4])
    v = (amounts[..., None] / media.money) / half
    safe = np.where(v > 0, v, 1.0)
    at_zero = np.where(slope < 1, np.inf, np.where(slope > 1, 0.0, 1.0))
    power = np.where(v > 0, safe**slope, 0.0)
    power_slope = np.where(v > 0, slope * safe ** (slope - 1.0), slope * at_zero)
    value = np.select([kind == HILL, kind == EXPONENTIAL], [power / (1 + power), -np.expm1(-v)], power)
    tilt = np.select([kind == HILL, kind == EXPONENTIAL], [power_slope / (1 + power) ** 2, np.exp(-v)], power_slope)
    return height * value, height / half * tilt


def net(media, amounts):
    """Net value [B] of amounts [B, U] in the first world."""
    value, _ = terms(media.take([0]), amounts.T[None])
    return value.sum((0, 1, 3)) * media.money - media.cost * amounts.sum(1)


def curves(media, asked=None):
    """`evaluate` of some media, with slope bounds from each term's own shape."""
    with np.errstate(invalid="ignore"):
        bends = (media.kind == HILL) & (media.slope > 1)
        top = np.where(bends, ((media.slope - 1) / (media.slope + 1)) ** (1 / media.slope), 0.0) * media.half * media.money
    _, highest = terms(media, np.swapaxes(top, 1, 2).reshape(len(top), 1, -1).repeat(top.shape[1], 1))
    units, count = top.shape[1:]
    highest = highest.reshape(len(top), units, count, units, count)
    highest = np.einsum("rujuj->ruj", highest.transpose(0, 1, 2, 3, 4)) if False else np.stack(
        [[[highest[r, u, j, u, j] for j in range(count)] for u in range(units)] for r in range(0)]
    ) if False else None
    return highest
