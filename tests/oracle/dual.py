"""Dual numbers on NumPy arrays: a value and its derivative along one direction, exact to rounding.

Every function also takes plain arrays and then returns plain arrays, so one formula serves both.
"""

from __future__ import annotations

import numpy as np


class Dual:
    """``value + tangent * e`` with ``e * e = 0``; both arrays have the same shape."""

    __slots__ = ("tangent", "value")
    __array_ufunc__ = None  # an ndarray on the left leaves the operation to this class

    def __init__(self, value: np.ndarray, tangent: np.ndarray) -> None:
        self.value, self.tangent = value, tangent

    def __getitem__(self, where):
        return Dual(self.value[where], self.tangent[where])

    def __setitem__(self, where, new) -> None:
        self.value[where], self.tangent[where] = value_of(new), tangent_of(new)

    def __neg__(self):
        return Dual(-self.value, -self.tangent)

    def __add__(self, other):
        return Dual(self.value + value_of(other), self.tangent + tangent_of(other))

    def __sub__(self, other):
        return Dual(self.value - value_of(other), self.tangent - tangent_of(other))

    def __rsub__(self, other):
        return Dual(other - self.value, -self.tangent)

    def __mul__(self, other):
        moved = self.tangent * value_of(other) + self.value * tangent_of(other)
        return Dual(self.value * value_of(other), moved)

    def __truediv__(self, other):
        ratio = self.value / value_of(other)
        return Dual(ratio, (self.tangent - ratio * tangent_of(other)) / value_of(other))

    def __rtruediv__(self, other):
        ratio = other / self.value
        return Dual(ratio, -ratio * self.tangent / self.value)

    __radd__, __rmul__ = __add__, __mul__


def value_of(x):
    """The value of a dual number; a plain array is its own value."""
    return x.value if isinstance(x, Dual) else x


def tangent_of(x):
    """The derivative; 0 for a plain array."""
    return x.tangent if isinstance(x, Dual) else np.zeros(np.shape(x))


def chained(x, value, slope):
    """f(x) from its value and its slope; an unbounded slope where nothing moves is no movement."""
    if not isinstance(x, Dual):
        return value
    with np.errstate(invalid="ignore"):
        return Dual(value, np.where(x.tangent == 0, 0.0, slope * x.tangent))


def exp(x):
    """e^x."""
    value = np.exp(value_of(x))
    return chained(x, value, value)


def log(x):
    """Natural logarithm."""
    return chained(x, np.log(value_of(x)), 1 / value_of(x)) if isinstance(x, Dual) else np.log(x)


def tanh(x):
    """Hyperbolic tangent."""
    value = np.tanh(value_of(x))
    return chained(x, value, 1 - value * value)


def power(x, exponent: float):
    """x^exponent for x >= 0 and a constant exponent."""
    with np.errstate(divide="ignore"):
        slope = exponent * value_of(x) ** (exponent - 1) if isinstance(x, Dual) else 0.0
    return chained(x, value_of(x) ** exponent, slope)


def where(chosen, a, b):
    """Elementwise choice; the tangent follows the choice."""
    value = np.where(chosen, value_of(a), value_of(b))
    if not isinstance(a, Dual) and not isinstance(b, Dual):
        return value
    return Dual(value, np.where(chosen, tangent_of(a), tangent_of(b)))


def smaller(a, b):
    """``where(a < b, a, b)``, the kink of docs/design.md 4.7: at a tie the second one moves."""
    return where(value_of(a) < value_of(b), a, b)


def larger(a, b):
    """``where(a < b, b, a)``: at a tie the first one moves."""
    return where(value_of(a) < value_of(b), b, a)


def weighted(weights: np.ndarray, history):
    """sum_i weights[i] * history[i] over the leading axis."""
    if isinstance(history, Dual):
        return Dual(weighted(weights, history.value), weighted(weights, history.tangent))
    return np.tensordot(weights, history, axes=(0, 0))
