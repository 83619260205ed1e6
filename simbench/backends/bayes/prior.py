"""Priors as data: a kind and its numbers. Engines move in z, a point without bounds.

Where it can be had, z is a standard normal number and its value the quantile: on other scales a number that the
data hardly tell from its bound has a long tail, in which chains lose their time.

Each kind says what value a z stands for, the log density of z (the Jacobian included, normalised),
how z is drawn, and which distribution of NumPyro it is.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi, sqrt
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.lax import erf_inv
from jax.scipy.special import betaln, erf, erfc, gammaln, log_ndtr, ndtr, ndtri

Array = Any


class Prior(NamedTuple):
    """The prior of one or several independent numbers."""

    kind: str  #: one of KINDS
    numbers: tuple[Any, ...]  #: its parameters; each a number, or an array over the parameter's members


class Kind(NamedTuple):
    """What a kind of prior computes; `numbers` come as further arguments."""

    value: Callable[..., Array]  #: z -> value
    point: Callable[..., Array]  #: value -> z
    log_density: Callable[..., Array]  #: of z
    draw: Callable[..., Array]  #: (key, shape, dtype) -> z
    distribution: str  #: its name in NumPyro, which takes the same numbers


def _normal_density(z: Array, *_: Any) -> Array:
    return -0.5 * z**2 - 0.5 * log(2 * pi)


def _normal_draw(key: Array, shape: tuple[int, ...], dtype: Any, *_: Any) -> Array:
    return jax.random.normal(key, shape, dtype)


def _between(a: Array, b: Array) -> Array:
    """The chance of a standard normal number between a and b, from the tail in which it keeps its digits."""
    left = a + b < 0.0
    return jnp.where(left, ndtr(b) - ndtr(a), ndtr(-a) - ndtr(-b))


def _from_tail(below: Array, above: Array) -> Array:
    """The normal quantile of a chance given with its complement: the smaller one has more digits."""
    return jnp.where(below < above, ndtri(jnp.minimum(below, 0.5)), -ndtri(jnp.minimum(above, 0.5)))


def _truncated(z: Array, mean: Array, sd: Array, low: Array, high: Array) -> Array:
    a, b = (low - mean) / sd, (high - mean) / sd
    inside = _between(a, b)
    return mean + sd * _from_tail(ndtr(a) + inside * ndtr(z), ndtr(-b) + inside * ndtr(-z))


def _truncated_point(x: Array, mean: Array, sd: Array, low: Array, high: Array) -> Array:
    a, at, b = (low - mean) / sd, (x - mean) / sd, (high - mean) / sd
    inside = _between(a, b)
    return _from_tail(_between(a, at) / inside, _between(at, b) / inside)


def _half(z: Array) -> Array:
    """The quantile of a half-normal number that z is of a normal one; exact in both tails, up to float32's range."""
    z = jnp.clip(z, -12.0, 12.0)
    low, high = jnp.minimum(z, 0.0), jnp.maximum(z, 0.0)
    return jnp.where(z < 0.0, sqrt(2.0) * erf_inv(ndtr(low)), -ndtri(0.5 * ndtr(-high)))


def _half_point(x: Array) -> Array:
    low, high = jnp.minimum(x, 0.5), jnp.maximum(x, 0.5)
    return jnp.where(x < 0.5, ndtri(erf(low / sqrt(2.0))), -ndtri(erfc(high / sqrt(2.0))))


KINDS: dict[str, Kind] = {
    "normal": Kind(
        lambda z, mean, sd: mean + sd * z,
        lambda x, mean, sd: (x - mean) / sd,
        _normal_density,
        _normal_draw,
        "Normal",
    ),
    "lognormal": Kind(
        lambda z, mean, sd: jnp.exp(mean + sd * z),
        lambda x, mean, sd: (jnp.log(x) - mean) / sd,
        _normal_density,
        _normal_draw,
        "LogNormal",
    ),
    "half-normal": Kind(
        lambda z, sd: sd * _half(z),
        lambda x, sd: _half_point(x / sd),
        _normal_density,
        _normal_draw,
        "HalfNormal",
    ),
    "beta": Kind(
        lambda z, a, b: jax.nn.sigmoid(z),
        lambda x, a, b: jnp.log(x) - jnp.log1p(-x),
        lambda z, a, b: a * jax.nn.log_sigmoid(z) + b * jax.nn.log_sigmoid(-z) - betaln(a, b),
        # the logit of a beta is the difference of the logs of two gammas: exact at both ends
        lambda key, shape, dtype, a, b: (
            jax.random.loggamma(key, a, shape, dtype) - jax.random.loggamma(jax.random.fold_in(key, 1), b, shape, dtype)
        ),
        "Beta",
    ),
    # Beta(1, b)
    "falling": Kind(
        lambda z, b: -jnp.expm1(log_ndtr(-z) / b),
        lambda x, b: -ndtri(jnp.exp(b * jnp.log1p(-x))),
        _normal_density,
        _normal_draw,
        "Beta",
    ),
    "gamma": Kind(
        lambda z, shape, rate: jnp.exp(z) / rate,
        lambda x, shape, rate: jnp.log(x * rate),
        lambda z, shape, rate: shape * z - jnp.exp(z) - gammaln(shape),
        lambda key, size, dtype, shape, rate: jax.random.loggamma(key, shape, size, dtype),
        "Gamma",
    ),
    "truncated-normal": Kind(_truncated, _truncated_point, _normal_density, _normal_draw, "TruncatedNormal"),
    "laplace": Kind(
        lambda z, scale: scale * z,
        lambda x, scale: x / scale,
        lambda z, scale: -jnp.abs(z) - log(2.0),
        lambda key, shape, dtype, scale: jax.random.laplace(key, shape, dtype),
        "Laplace",
    ),
}  # fmt: skip


def value(prior: Prior, z: Array) -> Array:
    """The value a point stands for."""
    return KINDS[prior.kind].value(z, *prior.numbers)


def point(prior: Prior, x: Array) -> Array:
    """The point z of a value."""
    return KINDS[prior.kind].point(x, *prior.numbers)


def log_density(prior: Prior, z: Array) -> Array:
    """Log density of each z, normalised."""
    return KINDS[prior.kind].log_density(z, *prior.numbers)


def draw(prior: Prior, key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Independent points z of the prior."""
    return KINDS[prior.kind].draw(key, shape, dtype, *(jnp.asarray(x, dtype) for x in prior.numbers))


def distribution(prior: Prior) -> Any:
    """The prior as a distribution of NumPyro."""
    import numpyro.distributions as d

    made = getattr(d, KINDS[prior.kind].distribution)
    if prior.kind == "laplace":
        return made(0.0, *prior.numbers)
    if prior.kind == "falling":
        return made(1.0, *prior.numbers)
    if prior.kind == "truncated-normal":
        mean, sd, low, high = prior.numbers
        return made(mean, sd, low=low, high=high)
    return made(*prior.numbers)
