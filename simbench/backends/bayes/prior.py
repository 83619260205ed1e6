"""Priors as data: a kind and its numbers. Engines move in z, a point without bounds.

Each kind says what value a z stands for, the log density of z (the Jacobian included, normalised),
how z is drawn, and which distribution of NumPyro it is.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import betaln, gammaln, log_ndtr

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


def _inside(low: Array, high: Array) -> Callable[[Array], Array]:
    return lambda z: low + (high - low) * jax.nn.sigmoid(z)


def _truncated_density(z: Array, mean: Array, sd: Array, low: Array, high: Array) -> Array:
    x = _inside(low, high)(z)
    a, b = (low - mean) / sd, (high - mean) / sd
    whole = log_ndtr(b) + jnp.log1p(-jnp.exp(log_ndtr(a) - log_ndtr(b)))
    jacobian = jnp.log(high - low) + jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z)
    return _normal_density((x - mean) / sd) - jnp.log(sd) - whole + jacobian


def _truncated_draw(
    key: Array, shape: tuple[int, ...], dtype: Any, mean: Array, sd: Array, low: Array, high: Array
) -> Array:
    x = mean + sd * jax.random.truncated_normal(key, (low - mean) / sd, (high - mean) / sd, shape, dtype)
    return jnp.log(x - low) - jnp.log(high - x)


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
        lambda z, sd: sd * jnp.exp(z),
        lambda x, sd: jnp.log(x / sd),
        lambda z, sd: z - 0.5 * jnp.exp(2.0 * z) + 0.5 * log(2 / pi),
        lambda key, shape, dtype, sd: jnp.log(jnp.abs(jax.random.normal(key, shape, dtype))),
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
    "gamma": Kind(
        lambda z, shape, rate: jnp.exp(z) / rate,
        lambda x, shape, rate: jnp.log(x * rate),
        lambda z, shape, rate: shape * z - jnp.exp(z) - gammaln(shape),
        lambda key, size, dtype, shape, rate: jax.random.loggamma(key, shape, size, dtype),
        "Gamma",
    ),
    "truncated-normal": Kind(
        lambda z, mean, sd, low, high: _inside(low, high)(z),
        lambda x, mean, sd, low, high: jnp.log(x - low) - jnp.log(high - x),
        _truncated_density,
        _truncated_draw,
        "TruncatedNormal",
    ),
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
    if prior.kind == "truncated-normal":
        mean, sd, low, high = prior.numbers
        return made(mean, sd, low=low, high=high)
    return made(*prior.numbers)
