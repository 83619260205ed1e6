"""The log density of every model, and the draws of what it integrates out: pure functions.

`parameters` is a dict of a model's sampled values by name, each [k] for one draw. Formulas: docs/models.md.
"""

from __future__ import annotations

from math import log, pi
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from simbench.backends.bayes import prior as priors
from simbench.backends.bayes.data import Data
from simbench.backends.bayes.linear import cholesky, normal_terms, solve_lower, solve_upper
from simbench.backends.bayes.model import Model, Parameter, counts, size
from simbench.backends.bayes.prior import Prior
from simbench.backends.bayes.products import carried, over_weeks, summed
from simbench.backends.bayes.random import normals
from simbench.transforms import TINY, kernel, saturate

Array = Any
Parameters = dict[str, Array]


class Media(NamedTuple):
    """What media bring, in scaled KPI, for one draw: rows times coefficients."""

    rows: Array  #: [G, C, M] curves; as the model has them where they are columns of their own
    known: Array  #: [G, C] coefficients, or their mean
    sd: Array  #: [G, C] sd of coefficients that are normal and integrated out; [G, 0] where there are none

    @property
    def block(self) -> Array:
        """Columns [G, K, M] whose coefficients are standard normal beforehand; K = 0 where there are none."""
        return self.sd[..., None] * self.rows[:, : self.sd.shape[1]]


# --- points and parameters


def prior_of(each: Parameter, data: Data) -> Prior:
    """A parameter's prior with its numbers."""
    if each.prior.kind != "expected-return":
        return each.prior
    mean, sd = data.expected
    variance = jnp.log1p((sd / mean) ** 2)
    return Prior("lognormal", (jnp.log(mean) - variance / 2, jnp.sqrt(variance)))


def sizes(model: Model, data: Data) -> dict[str, int]:
    """How many members a parameter has, by what it is per."""
    return counts(model, data.worth.shape[-1], data.basis.shape[-1] - _without_controls(model))


def dimension(model: Model, data: Data) -> int:
    """Length of a point z."""
    return size(model, data.worth.shape[-1], data.basis.shape[-1] - _without_controls(model))


def _without_controls(model: Model) -> int:
    plain = model.plain
    return (plain.level > 0) + (plain.trend > 0) + 2 * model.order * (plain.season > 0)


def split(model: Model, z: Array, data: Data) -> dict[str, Array]:
    """A point z [..., n] by parameter."""
    number, parts, start = sizes(model, data), {}, 0
    for each in model.parameters:
        parts[each.name] = z[..., start : start + number[each.per]]
        start += number[each.per]
    return parts


def placed(model: Model, z: Array, data: Data) -> Parameters:
    """The parameters of a point z [n]."""
    parts = split(model, z, data)
    return {each.name: priors.value(prior_of(each, data), parts[each.name]) for each in model.parameters}


def log_prior(model: Model, z: Array, data: Data) -> Array:
    """Log density of the sampled parameters' prior at a point z [n]; normalised."""
    parts = split(model, z, data)
    return sum(priors.log_density(prior_of(each, data), parts[each.name]).sum() for each in model.parameters)


def prior_points(model: Model, key: Array, data: Data, draws: int) -> Array:
    """Independent points [D, n] of the prior."""
    number, dtype = sizes(model, data), data.kpi.dtype
    keys = jax.random.split(key, len(model.parameters))
    parts = [
        priors.draw(prior_of(each, data), k, (draws, number[each.per]), dtype)
        for k, each in zip(keys, model.parameters, strict=True)
    ]
    return jnp.concatenate(parts, axis=1)


# --- media


def weights(model: Model, parameters: Parameters) -> Array:
    """Normalised weights [L, C] of the carry-over."""
    numbers = {name: parameters[name] for name in ("retention", "peak", "shape", "scale") if name in parameters}
    if "retention" in numbers:
        numbers["retention"] = jnp.maximum(numbers["retention"], TINY)
    return jax.vmap(lambda own: kernel(model.carry_over, model.lags, own), out_axes=1)(numbers)


def bend(model: Model, parameters: Parameters) -> tuple[Array, Array]:
    """Half-saturation point and slope [C] of the curves."""
    half_at = parameters["half_at"] if "half_at" in parameters else log(3.0) / parameters["steepness"]
    return half_at, parameters["slope"] if "slope" in parameters else jnp.ones_like(half_at)


def curves(model: Model, parameters: Parameters, data: Data, share: Array | float = 1.0) -> Array:
    """Saturated carry-over [G, C, M] of a share of all levers, in all weeks in which one acts; path included."""
    half_at, slope = (jnp.broadcast_to(x, data.worth.shape) for x in bend(model, parameters))
    weeks = data.lagged.shape[-1]
    ratio = carried(weights(model, parameters).T, data.lagged) * over_weeks(1.0 / half_at, weeks)
    curve = saturate(model.curve, share * ratio, jnp.ones(()), over_weeks(slope, weeks))
    return curve if not model.bases else curve * path(model, parameters, data, weeks)


def path(model: Model, parameters: Parameters, data: Data, weeks: int) -> Array:
    """Factor [C, weeks] of each week's effect."""
    swing = parameters["swing"]
    wave = parameters["path"].reshape(swing.shape[0], model.bases)
    waves = data.waves[:weeks]
    if weeks > waves.shape[0]:  # weeks after all that is asked about
        waves = jnp.concatenate([waves, jnp.broadcast_to(waves[-1], (weeks - waves.shape[0], model.bases))])
    return jnp.exp(swing[:, None] * wave @ waves.T)


def amplitudes(model: Model, parameters: Parameters, data: Data, curve: Array) -> Array:
    """What a curve of 1 brings [G, C] where a return, or a coefficient, is 1. `curve` is [G, C, M]."""
    if model.effect == "coefficient":
        return jnp.ones_like(data.worth)
    # a product with a vector: plain sums do not vectorise
    counted = curve @ (jnp.ones_like(data.past) if model.tail else data.past)
    # a channel never used is taken as spent evenly
    half_at, slope = bend(model, parameters)
    evenly = data.past.sum() * saturate(model.curve, jnp.ones_like(half_at), half_at, slope)
    reached = jnp.where(data.active > 0, counted, evenly)
    return data.worth / jnp.maximum(reached, TINY)


def effects(model: Model, parameters: Parameters, data: Data) -> tuple[Array, Array]:
    """Effects as sampled [G, C], and standard deviations [G, C] of what is integrated out around them."""
    if model.free is not None:
        mean, sd = data.expected if model.free.kind == "expected" else model.free.numbers
        mean, sd = (jnp.broadcast_to(x, data.worth.shape) for x in (mean, sd))
        return mean, sd
    own = jnp.broadcast_to(parameters["effect"], data.worth.shape)
    if model.tiers > 1:
        offset = parameters["tier"].reshape(model.tiers, -1)
        own = own * jnp.exp(parameters["between"] * offset[data.tier])
    return own, own * parameters["spread"] if model.geos else jnp.zeros_like(own)


def media_of(model: Model, parameters: Parameters, data: Data, curve: Array | None = None) -> Media:
    """What media bring in the seen weeks, as rows and their coefficients; `curve` where it is known already."""
    curve = curves(model, parameters, data) if curve is None else curve
    unit = amplitudes(model, parameters, data, curve)
    own, sd = effects(model, parameters, data)
    if model.free is None and not model.geos:  # only their sum is needed, and centred
        return Media(curve, unit * own, unit[:, :0])
    return Media(_as_told(model, curve, data), unit * own, unit * sd)


def _as_told(model: Model, rows: Array, data: Data) -> Array:
    """Rows [..., M] as the model has media: less their mean over the seen weeks, or not; 0 in others."""
    if model.centred:
        rows = rows - (rows @ data.seen / data.seen.sum())[..., None]
    return rows * data.seen


# --- the likelihood


def noise_of(model: Model, parameters: Parameters, data: Data) -> Array:
    """Standard deviation [G] of a week's error, in scaled KPI."""
    noise = jnp.broadcast_to(parameters["noise"][0], data.people.shape)
    return noise * jnp.exp(-parameters["averaging"][0] * data.people) if "averaging" in parameters else noise


def known_mean(model: Model, parameters: Parameters, data: Data, media: Media) -> Array:
    """Mean [G, M] of the scaled KPI in the seen weeks; what is integrated out stands at 0."""
    mean = _as_told(model, summed(media.known, media.rows), data)
    if "season" in parameters:
        mean = mean + parameters["season"] @ _seen_season(data).T
    if not model.collapsed:
        mean = mean + jnp.einsum("gmp,gp->gm", data.basis, jnp.sqrt(data.size) * parameters["plain"])
    return mean


def _seen_season(data: Data) -> Array:
    weeks = data.seen.shape[0]
    length = min(weeks, data.season.shape[0])
    return jnp.pad(data.season[:length], ((0, weeks - length), (0, 0))) * data.seen[:, None]


def log_likelihood(model: Model, parameters: Parameters, data: Data, curve: Array | None = None) -> Array:
    """Log density of the seen KPI given the parameters; what is linear and normal is integrated out.

    `curve` is :func:`curves` of these parameters, where it is known already.

    Given the rest the KPI of geo g is normal with covariance ``noise_g^2 I + Z Z' + A A'``, Z the plain columns and A
    the rows of media whose coefficients are normal, both times their prior sd. On the axes of Z the first two are
    diagonal; A takes a factorisation of its own small size (Woodbury).
    """
    media, noise, count = media_of(model, parameters, data, curve), noise_of(model, parameters, data), data.seen.sum()
    mean = known_mean(model, parameters, data, media)
    if not model.collapsed:
        return _errors(model, parameters, (data.kpi - mean) * data.seen, noise, data).sum()
    variance, (geos, axes) = noise[:, None] ** 2, data.size.shape
    total = variance + data.size  # of each axis of Z
    rest = _rest(media, mean, variance, data)
    square = jnp.vdot(rest.along, rest.along / total) + jnp.vdot(rest.across, rest.across / variance)
    logs = jnp.log(total).sum() + (count - axes) * jnp.log(variance).sum() + geos * count * log(2 * pi)
    if media.sd.shape[1]:
        more, gained = normal_terms(rest.precision, rest.toward)
        logs, square = logs + more.sum(), square - gained.sum()
    return -0.5 * (logs + square)


class Rest(NamedTuple):
    """What is left of the KPI less its known mean once Z is integrated out, and what A makes of it."""

    along: Array  #: [G, p] on the axes of Z
    across: Array  #: [G, M] off them
    row_along: Array  #: [G, K, p] the rows of media on the axes of Z
    precision: Array  #: [G, K, K] of the coefficients of A
    toward: Array  #: [G, K] their precision times their mean


def _rest(media: Media, mean: Array, variance: Array, data: Data) -> Rest:
    """`variance` [G, 1] of the errors."""

    def apart(x: Array) -> tuple[Array, Array]:  # [G, k, M] along the axes of Z [G, k, p] and across them
        along = jnp.einsum("gkm,gmp->gkp", x, data.basis)
        return along, x - jnp.einsum("gkp,gmp->gkm", along, data.basis)

    mean_along, mean_across = apart(mean[:, None])
    along, across = data.along - mean_along[:, 0], data.across - mean_across[:, 0]
    channels = media.sd.shape[1]
    row_along, row_across = apart(media.rows[:, :channels])
    weighted = row_along / (variance + data.size)[:, None]
    products = jnp.einsum("gkp,gjp->gkj", weighted, row_along) + (
        jnp.einsum("gkm,gjm->gkj", row_across, row_across) / variance[..., None]
    )
    toward = jnp.einsum("gkp,gp->gk", weighted, along) + jnp.einsum("gkm,gm->gk", row_across, across) / variance
    precision = jnp.eye(channels) + media.sd[:, :, None] * products * media.sd[:, None]
    return Rest(along, across, row_along, precision, media.sd * toward)


def _errors(model: Model, parameters: Parameters, rest: Array, noise: Array, data: Data) -> Array:
    """Log densities [G, M] of errors that are independent; 0 in weeks not seen."""
    noise = noise[:, None]
    if model.noise == "normal":
        each = -0.5 * (rest / noise) ** 2 - 0.5 * log(2 * pi)
    else:
        freedom = parameters["freedom"][0]
        each = (
            gammaln(0.5 * (freedom + 1.0)) - gammaln(0.5 * freedom) - 0.5 * jnp.log(freedom * pi)
            - 0.5 * (freedom + 1.0) * jnp.log1p((rest / noise) ** 2 / freedom)
        )  # fmt: skip
    return (each - jnp.log(noise)) * data.seen


def left_out(model: Model, parameters: Parameters, data: Data) -> Array:
    """Log density [G, M] of each seen week's KPI given the parameters and the KPI of all other weeks; else 0.

    With P the precision of the KPI (see :func:`log_likelihood`) and r = P (KPI - mean), a week given the others is
    normal with variance ``1 / P_ii`` and lies ``r_i / P_ii`` off its mean (Sundararajan and Keerthi 2001).
    """
    media, noise = media_of(model, parameters, data), noise_of(model, parameters, data)
    mean = known_mean(model, parameters, data, media)
    if not model.collapsed:
        return _errors(model, parameters, (data.kpi - mean) * data.seen, noise, data)
    variance = noise[:, None] ** 2
    total, rest = variance + data.size, _rest(media, mean, variance, data)
    precision = 1.0 / variance - jnp.einsum("gmp,gp->gm", data.basis**2, 1.0 / variance - 1.0 / total)
    off = rest.across / variance + jnp.einsum("gmp,gp->gm", data.basis, rest.along / total)
    if media.sd.shape[1]:
        across = media.rows - jnp.einsum("gkp,gmp->gkm", rest.row_along, data.basis)
        on_axes = jnp.einsum("gkp,gmp->gkm", rest.row_along / total[:, None], data.basis)
        factor = cholesky(rest.precision)
        rows = solve_lower(factor, media.sd[..., None] * (across / variance[..., None] + on_axes))
        precision = precision - (rows**2).sum(axis=1)
        off = off - jnp.einsum("gkm,gk->gm", rows, solve_lower(factor, rest.toward[..., None])[..., 0])
    return 0.5 * (jnp.log(precision) - log(2 * pi) - off**2 / precision) * data.seen


def log_density(model: Model, z: Array, data: Data) -> Array:
    """Log density of a point z [n] and the seen KPI: what every engine gets."""
    return log_prior(model, z, data) + log_likelihood(model, placed(model, z, data), data)


# --- what is integrated out


class Given(NamedTuple):
    """The coefficients that are integrated out, given the parameters: normal, geo by geo.

    Those of the axes of the plain columns come first, then those of the block of media; beforehand they are standard
    normal. The factor L of their precision, L L', is diagonal in the first and takes work in the second only.
    """

    axes: Array  #: [G, p] mean
    block: Array  #: [G, K] mean
    root: Array  #: [G, p] diagonal of L
    side: Array  #: [G, K, p] rows of L below it
    factor: Array  #: [G, K, K] the rest of L

    def moved(self, normal: Array) -> tuple[Array, Array]:
        """The coefficients [G, p] and [G, K] of standard normal numbers [G, p + K]: mean + L'^-1 normal."""
        count = self.axes.shape[1]
        block = solve_upper(self.factor, normal[:, count:, None])[..., 0] if self.block.shape[1] else self.block
        axes = (normal[:, :count] - jnp.einsum("gkp,gk->gp", self.side, block)) / self.root
        return self.axes + axes, self.block + block


def linear_columns(media: Media, data: Data) -> Array:
    """What each coefficient that is integrated out brings [G, p + K, M], in scaled KPI."""
    columns = jnp.sqrt(data.size)[..., None] * jnp.swapaxes(data.basis, 1, 2)
    return jnp.concatenate([columns, media.block], axis=1) if media.sd.shape[1] else columns


def linear_given(model: Model, parameters: Parameters, data: Data) -> Given:
    """The coefficients that are integrated out, given the parameters."""
    media, variance = media_of(model, parameters, data), noise_of(model, parameters, data)[:, None] ** 2
    rest = _rest(media, known_mean(model, parameters, data, media), variance, data)
    deviation, root = jnp.sqrt(data.size), jnp.sqrt(1.0 + data.size / variance)
    side = media.sd[..., None] * rest.row_along * (deviation / (variance * root))[:, None]
    block, factor = rest.toward, rest.precision
    if media.sd.shape[1]:
        factor = cholesky(rest.precision)
        block = solve_upper(factor, solve_lower(factor, rest.toward[..., None]))[..., 0]
    axes = (deviation * rest.along / (variance * root) - jnp.einsum("gkp,gk->gp", side, block)) / root
    return Given(axes, block, root, side, factor)


def linear_draw(model: Model, key: Array, parameters: Parameters, data: Data) -> tuple[Array, Array]:
    """Coefficients of the plain axes [G, p] and of the block [G, K], drawn given all else."""
    if not model.collapsed:
        plain = jnp.broadcast_to(parameters["plain"], data.size.shape)
        return plain, jnp.zeros((plain.shape[0], 0), plain.dtype)
    given = linear_given(model, parameters, data)
    count = given.root.shape[1] + given.block.shape[1]
    return given.moved(normals(key, (len(data.size), count), data.kpi.dtype))


def linear_prior(model: Model, key: Array, parameters: Parameters, data: Data) -> tuple[Array, Array]:
    """What :func:`linear_draw` gives, drawn before any KPI is seen."""
    geos, axes = data.size.shape
    if not model.collapsed:
        return linear_draw(model, key, parameters, data)
    blocked = data.worth.shape[1] if model.free is not None or model.geos else 0
    drawn = normals(key, (geos, axes + blocked), data.kpi.dtype)
    return drawn[:, :axes], drawn[:, axes:]
