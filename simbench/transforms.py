"""Carry-over kernels, saturation curves and time bases: pure functions of arrays.

Formulas: docs/worlds.md, sections 4 and 6. Time is axis -3 of a [..., n, G, C] array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import atanh, log
from typing import Any

import jax
import jax.numpy as jnp

Array = Any

#: Weeks in a year (365.25 / 7).
YEAR = 365.25 / 7
#: Below this share of `half_at` a curve is continued linearly: value and slope stay finite at 0.
TINY = 1e-12
#: Bits of the root of 1/2; 1.5 * 2^52, whose last bits count units, and its bits.
ROOT_HALF, SHIFT, SHIFT_BITS = 0x3FE6A09E667F3BCD, 1.5 * 2.0**52, 0x4338000000000000
#: The logarithm of 2, whose first part times any exponent is exact, and the rest of it.
LOG_2 = float.fromhex("0x1.62E42FEEp-1"), float.fromhex("0x1.A39EF35793C76p-33")
#: The least normal number of float64.
LEAST = 2.0**-1022
#: Up to this many lags the convolution is unrolled into one fused sum; longer kernels loop.
UNROLLED_LAGS = 24


# --- the logarithm of every curve


@jax.custom_jvp
def logarithm(x: Array) -> Array:
    """Natural logarithm: ``jnp.log``, in float64 written in operations that vectorise.

    XLA on a CPU calls the C library for a float64 logarithm, one number after the other, which is most of what a Hill
    curve costs. ``x = 2^k (1 + f)`` with ``1 + f`` between the roots of 1/2 and 2, and
    ``log(1 + f) = 2 artanh(f / (2 + f))`` as its series, kept apart from f itself, which is exact
    (the arrangement of Sun's fdlibm, 1993; the series is Taylor's, long enough for the last bit).

    Parameters
    ----------
    x : array
        Numbers below the least normal one (2.2e-308) count as 0.

    Returns
    -------
    array
        Within one unit in the last place.
    """
    if jnp.result_type(x) != jnp.float64:
        return jnp.log(x)
    bits = jax.lax.bitcast_convert_type(x, jnp.int64)
    exponent = (bits - ROOT_HALF) >> 52
    f = jax.lax.bitcast_convert_type(bits - (exponent << 52), jnp.float64) - 1.0
    # small integers as floats without a conversion, which does not vectorise: they are added to a number's last bits
    k = jax.lax.bitcast_convert_type(exponent + SHIFT_BITS, jnp.float64) - SHIFT
    s = f / (2.0 + f)
    rest = jnp.zeros_like(x)
    for n in range(21, 2, -2):
        rest = s * s * (rest + 2.0 / n)
    near = k * LOG_2[0] + (f - (s * (f - rest) - k * LOG_2[1]))
    low = jnp.where(x < 0, jnp.nan, -jnp.inf)
    return jnp.where(x < LEAST, low, jnp.where(x < jnp.inf, near, x))


@logarithm.defjvp
def _logarithm_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (along,) = primals, tangents
    return logarithm(x), along / x


# --- carry-over kernels: each takes lags l = 0..L-1 and named numbers, returns logs of unnormalised weights


def _geometric(lags: Array, length: int, number: Mapping[str, Array]) -> Array:
    if "half_life" in number and "retention" not in number:
        return -lags * log(2.0) / number["half_life"]
    return jnp.where(lags == 0, 0.0, lags * jnp.log(number["retention"]))


def _delayed(lags: Array, length: int, number: Mapping[str, Array]) -> Array:
    return (lags - number["peak"]) ** 2 * jnp.log(number["retention"])


def _weibull_pdf(lags: Array, length: int, number: Mapping[str, Array]) -> Array:
    shape, log_ratio = number["shape"], jnp.log((lags + 1.0) / number["scale"])
    return jnp.log(shape / number["scale"]) + (shape - 1) * log_ratio - jnp.exp(shape * log_ratio)


def _weibull_cdf(lags: Array, length: int, number: Mapping[str, Array]) -> Array:
    hazard = jnp.where(lags == 0, 0.0, (jnp.maximum(lags, 1.0) / number["scale"]) ** number["shape"])
    return -jnp.cumsum(hazard)


def _binomial(lags: Array, length: int, number: Mapping[str, Array]) -> Array:
    return (1.0 / number["retention"] - 1.0) * jnp.log(1.0 - lags / length)


def _brand_stock(lags: Array, length: int, number: Mapping[str, Array]) -> Array:
    quick = jax.nn.log_softmax(_geometric(lags, length, {"retention": number["retention"]}))
    slow = jax.nn.log_softmax(_geometric(lags, length, {"half_life": number["slow_half_life"]}))
    return jnp.logaddexp(jnp.log1p(-number["slow_share"]) + quick, jnp.log(number["slow_share"]) + slow)


def _none(lags: Array, length: int, number: Mapping[str, Array]) -> Array:
    return jnp.where(lags == 0, 0.0, -jnp.inf)


CARRY_OVER: dict[str, Callable[[Array, int, Mapping[str, Array]], Array]] = {
    "geometric": _geometric,
    "delayed": _delayed,
    "weibull-pdf": _weibull_pdf,
    "weibull-cdf": _weibull_cdf,
    "binomial": _binomial,
    "brand-stock": _brand_stock,
    "none": _none,
}


def kernel(
    kind: str, length: int, number: Mapping[str, Array], *, normalised: bool = True, pad: int | None = None
) -> Array:
    """Weights of a carry-over kernel.

    Parameters
    ----------
    kind : str
        One of :data:`CARRY_OVER`.
    length : int
        Number of lags, the week of spend included.
    number : mapping
        Scalars the kind needs: ``retention`` or ``half_life``, ``peak``, ``shape``, ``scale``,
        ``slow_share`` and ``slow_half_life``.
    normalised : bool
        Divide by the sum, so that carry-over moves spend in time and does not create any.
    pad : int, optional
        Fill with zeros up to this length.

    Returns
    -------
    array [length] (or [pad])

    References
    ----------
    Jin et al. 2017 (geometric, delayed); Robyn and PyMC-Marketing documentation (Weibull);
    Meridian documentation (binomial).
    """
    logs = CARRY_OVER[kind](jnp.arange(length) * 1.0, length, number)
    # shares of the sum are taken from the largest down: all weights may be too small for numbers
    weights = jax.nn.softmax(logs) if normalised else jnp.exp(logs)
    return weights if pad is None else jnp.concatenate([weights, jnp.zeros(pad - length)])


def carry(weights: Array, memory: Array, x: Array) -> Array:
    """Carry-over of `x`: ``out_n = sum_l weights_l x_{n-l}``, with `memory` before the first week.

    Parameters
    ----------
    weights : array [L, C]
    memory : array [L-1, G, C]
        The weeks before, oldest first.
    x : array [..., n, G, C]

    Returns
    -------
    array [..., n, G, C]
    """
    lags, weeks = weights.shape[0], x.shape[-3]
    if lags == 1:
        return weights[0] * x
    before = jnp.broadcast_to(memory, (*x.shape[:-3], *memory.shape))
    full = jnp.concatenate([before, x], axis=-3)
    if lags <= UNROLLED_LAGS:
        return sum(weights[lag] * full[..., lags - 1 - lag : lags - 1 - lag + weeks, :, :] for lag in range(lags))

    def add(total: Array, lag: tuple[Array, Array]) -> tuple[Array, None]:
        part = jax.lax.dynamic_slice_in_dim(full, lags - 1 - lag[0], weeks, axis=full.ndim - 3)
        return total + lag[1] * part, None

    return jax.lax.scan(add, jnp.zeros_like(x), (jnp.arange(lags), jnp.asarray(weights)))[0]


def carry_last(weights: Array, memory: Array, x: Array) -> Array:
    """:func:`carry` with time as the last axis, x [..., G, C, n]: short kernels vectorise over weeks."""
    lags, weeks = weights.shape[0], x.shape[-1]
    if lags == 1 or lags > UNROLLED_LAGS:
        return jnp.moveaxis(carry(weights, memory, jnp.moveaxis(x, -1, -3)), -3, -1)
    before = jnp.broadcast_to(jnp.moveaxis(memory, -3, -1), (*x.shape[:-1], lags - 1))
    full = jax.lax.optimization_barrier(jnp.concatenate([before, x], axis=-1))  # stored once, not once a lag
    return sum(weights[lag][:, None] * full[..., lags - 1 - lag : lags - 1 - lag + weeks] for lag in range(lags))


def carry_late(weights: Array, x: Array) -> Array:
    """:func:`carry_last` with nothing before the first week.

    One product over lags: quick where many weights [L, C] meet one `x`.
    """
    lags, weeks = weights.shape[0], x.shape[-1]
    past = jnp.concatenate([jnp.zeros((*x.shape[:-1], lags - 1), x.dtype), x], axis=-1)
    lagged = jnp.stack([past[..., lags - 1 - lag : lags - 1 - lag + weeks] for lag in range(lags)])
    return jnp.einsum("l...cn,lc->...cn", lagged, weights)


def remember(memory: Array, x: Array) -> Array:
    """The memory after the weeks `x` [n, G, C]: the last L-1 weeks of both."""
    return jnp.concatenate([memory, x], axis=0)[x.shape[0] :]


# --- saturation curves: each takes r = v / half_at (v for the unscaled ones) and the slope number


def _hill(ratio: Array, slope: Array) -> Array:
    return jax.nn.sigmoid(slope * logarithm(ratio))


def _segments(ratio: Array, far: Array) -> Array:
    return 0.5 * (ratio / (1.0 + ratio) + ratio / (far + ratio))


def _reach_frequency(contacts: Array, frequency: Array) -> Array:
    reached = -jnp.expm1(-jnp.maximum(contacts, TINY))
    return contacts / (jnp.maximum(contacts, TINY) / reached + frequency)


SATURATION: dict[str, Callable[[Array, Array], Array]] = {
    "hill": _hill,
    "logistic": lambda ratio, slope: jnp.tanh(0.5 * log(3.0) * ratio),
    "exponential": lambda ratio, slope: -jnp.expm1(-log(2.0) * ratio),
    "michaelis-menten": lambda ratio, slope: ratio / (1.0 + ratio),
    "tanh": lambda ratio, slope: jnp.tanh(atanh(0.5) * ratio),
    "power": lambda ratio, slope: jnp.exp(slope * logarithm(ratio)),
    "log": lambda ratio, slope: jnp.log1p(ratio) / log(2.0),
    "segments": _segments,
    "reach-frequency": _reach_frequency,
    "none": lambda ratio, slope: ratio,
}

#: Curves without a ceiling: refused where the budget is free above.
UNBOUNDED = ("power", "log", "none")
#: Curves whose slope may be infinite at zero spend: continued linearly below TINY.
_STEEP = ("hill", "power")


def saturate(kind: str, v: Array, half_at: Array, slope: Array) -> Array:
    """Saturation of an input, 0 at 0 and half of its ceiling at `half_at`.

    Two kinds read `half_at` in their own way: ``segments`` (the quick half of customers is half convinced there)
    and ``reach-frequency`` (there everybody has been contacted once on average).

    Parameters
    ----------
    kind : str
        One of :data:`SATURATION`.
    v : array [...]
        Input >= 0, in the units of `half_at`.
    half_at, slope : array
        Broadcast against `v`. `slope` is Hill's slope, the exponent of ``power``, what the slow segment of
        ``segments`` needs more, the contacts at which half of those reached respond (``reach-frequency``);
        other kinds ignore it. ``power`` and ``none`` expect ``half_at`` = 1.

    Returns
    -------
    array [...]
        Finite with finite gradient for every v >= 0, in float32 and float64.
    """
    ratio = v * (1.0 / half_at)  # one division a curve, not one a week
    if kind not in _STEEP:
        return SATURATION[kind](ratio, slope)
    # below TINY the curve goes on as a straight line through 0; as a product, which fuses where a choice does not
    return SATURATION[kind](jnp.maximum(ratio, TINY), slope) * jnp.minimum(ratio * (1.0 / TINY), 1.0)


def steepest_at(kind: str, half_at: Array, slope: Array) -> Array:
    """The input at which a saturation curve is steepest; its slope falls on both sides.

    Only Hill with slope > 1 has its steepest point (the inflection) above zero:
    ``half_at ((s-1)/(s+1))^(1/s)``.
    """
    if kind != "hill":
        return jnp.zeros_like(half_at)
    bent = jnp.where(slope > 1.0, slope, 2.0)
    return jnp.where(slope > 1.0, half_at * ((bent - 1.0) / (bent + 1.0)) ** (1.0 / bent), 0.0)


# --- time


def fourier(t: Array, order: int) -> tuple[Array, Array]:
    """Cosine and sine bases [n, order] of the year at weeks `t` [n]."""
    angle = 2.0 * jnp.pi * t[:, None] * jnp.arange(1, order + 1) / YEAR
    return jnp.cos(angle), jnp.sin(angle)


def autoregressive(innovations: Array, rho: Array) -> Array:
    """AR(1) with stationary standard deviation 1 along axis 0: ``u_0 = e_0``."""

    def step(last: Array, e: Array) -> tuple[Array, Array]:
        now = rho * last + jnp.sqrt(1.0 - rho**2) * e
        return now, now

    rest = jax.lax.scan(step, innovations[0], innovations[1:])[1]
    return jnp.concatenate([innovations[:1], rest])


# --- grouping channels of one kind


def pick(x: Array, channels: Sequence[int]) -> Array:
    """Channels (last axis) by static position; slices, not a gather, so that it fuses."""
    if tuple(channels) == tuple(range(x.shape[-1])):
        return x
    return jnp.stack([x[..., c] for c in channels], axis=-1)


def join(parts: Sequence[tuple[Sequence[int], Array]]) -> Array:
    """Undo :func:`pick`: parts of channels back in file order."""
    if len(parts) == 1 and tuple(parts[0][0]) == tuple(range(parts[0][1].shape[-1])):
        return parts[0][1]
    column = {c: part[..., i] for channels, part in parts for i, c in enumerate(channels)}
    return jnp.stack([column[c] for c in sorted(column)], axis=-1)


def by_kind(kinds: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Positions of each kind, in order of first appearance."""
    return {kind: tuple(i for i, k in enumerate(kinds) if k == kind) for kind in dict.fromkeys(kinds)}
