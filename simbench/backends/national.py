"""The national Bayesian model: carry-over, then Hill, on a level with trend, season and controls.

Plain functions that its contenders share: `prior_only` draws from the prior, `nuts` from the
posterior. Formulas and sources: docs/models.md. All series are in units of the mean weekly KPI.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from simbench.backends.base import answer_draws, predict
from simbench.backends.contender import Option
from simbench.briefs import timeline
from simbench.estimands import Effects, within
from simbench.records import Answers, Brief
from simbench.transforms import TINY, carry_late, fourier, saturate

Array = Any
#: Broken assumptions that the model's form does not exclude.
HANDLES = (
    "enough-data", "uncorrelated-spend", "spend-variation", "effect-shape", "established-channels",
    "comparable-channels", "monetary-kpi", "ordinary-units", "generated-spend", "strong-media",
)  # fmt: skip
LAGS = 13  #: weeks in which spend acts, its own included (Jin and others 2017)

STRETCH = 26  #: weeks

#: The priors, each an option of every contender of this model.
OPTIONS = (
    Option("retention_a", 3.0, "first number of the Beta prior of retention", source="Jin and others 2017", low=0.01),
    Option("retention_b", 3.0, "second number of the Beta prior of retention", source="Jin and others 2017", low=0.01),
    Option("half_at_median", 0.93, "input at which half the effect is reached, lognormal",
           "mean active spend", "moments of Meridian's TruncatedNormal(0.8, 0.8, 0.1, 10)", low=1e-3),
    Option("half_at_sigma", 0.54, "its spread on the log scale", source="as its median", low=1e-3),
    Option("slope_median", 1.22, "slope of Hill, lognormal", source="Robyn's range 0.5 to 3 as central 95%", low=1e-3),
    Option("slope_sigma", 0.46, "its spread on the log scale", source="as its median", low=1e-3),
    Option("level_sd", 0.1, "normal, around the mean weekly KPI", "mean KPI", "weak: the mean is a scale", low=1e-6),
    Option("trend_sd", 0.1, "normal, growth a year", "mean KPI", "few brands grow over 20% a year", low=1e-6),
    Option("season_sd", 0.1, "normal, each cosine and sine", "mean KPI", "amplitudes of 10-50%", low=1e-6),
    Option("control_sd", 0.1, "normal, a standardised control", "mean KPI", "weak: 10% of the KPI", low=1e-6),
    Option("noise_sd", 0.2, "half-normal, weekly noise", "mean KPI", "weak: 2-8% are usual", low=1e-6),
    Option("order", 2, "yearly Fourier pairs", "pairs", low=0, high=26),
)  # fmt: skip


class Priors(NamedTuple):
    """Numbers of the priors, by the names of :data:`OPTIONS`."""

    retention_a: float
    retention_b: float
    half_at_median: float
    half_at_sigma: float
    slope_median: float
    slope_sigma: float
    level_sd: float
    trend_sd: float
    season_sd: float
    control_sd: float
    noise_sd: float
    order: int


class Data(NamedTuple):
    """What the model sees of a brief, in units of the mean weekly KPI and of mean active spend.

    Weeks [0, M) are those of the panel, filled up to whole stretches: panels that differ only in
    masked weeks at their end are fitted by the same arithmetic, to the last bit.
    """

    kpi: Array  #: [M] national KPI less 1; 0 where not seen
    seen: Array  #: [M] 1 before the origin
    plain: Array  #: [N, p] level, trend, season, controls, times their prior sd; centred over the seen weeks
    fitted: Array  #: [M, p] the same of the seen weeks, 0 elsewhere
    lagged: Array  #: [M + L - 1, L, C] national lever of this and earlier weeks, in all weeks in which it acts
    worth: Array  #: [C] money spent over the value of a mean week's KPI
    active: Array  #: [C] 1 where anything was ever spent
    log_roas: Array  #: [2, C] mean and sd of the log of ROAS
    scale: Array  #: [G, C] money: mean active spend of each geo
    share: Array  #: [G, C] each geo's share of a channel's spend
    people: Array  #: [G] each geo's share of the population


class Parameters(NamedTuple):
    """One draw; a leading axis where there are several."""

    roas: Array  #: [C] return on the spend of the seen weeks
    retention: Array  #: [C]
    half_at: Array  #: [C]
    slope: Array  #: [C]
    noise: Array  #: []
    plain: Array  #: [p] standard normal beforehand


class Linear(NamedTuple):
    """The plain columns turned so that their coefficients are independent."""

    basis: Array  #: [M, p] orthonormal columns, 0 where a column has no variation
    size: Array  #: [p] variance each brings to the KPI beforehand
    turn: Array  #: [p, p]


def data_of(brief: Brief, priors: Priors) -> Data:
    """A brief as the model sees it; rows at or after the origin are not looked at."""
    panel, questions, context = brief
    _, controls = timeline(panel, questions.future)
    weeks = panel.lever.shape[0]
    fitted = -(-weeks // STRETCH) * STRETCH
    people = panel.population / panel.population.sum()
    seen = within(jnp.arange(fitted), 0, panel.origin)

    def laid(x: Array) -> Array:  # the seen rows of a series [T, ...] on the fitted weeks
        full = jnp.concatenate([x, jnp.zeros((fitted - weeks, *x.shape[1:]), x.dtype)])
        return jnp.where(seen.reshape(-1, *(1,) * (x.ndim - 1)) > 0, full, 0.0)

    def columns(controls: Array) -> tuple[Array, Array]:
        n = jnp.arange(len(controls))
        known = jnp.einsum("ngk,g->nk", controls, people)
        return jnp.concatenate([n[:, None] / 52.0, *fourier(n * 1.0, priors.order)], axis=1), known

    count = seen.sum()
    time, known = columns(laid(panel.controls))
    time_mean, known_mean = seen @ time / count, seen @ known / count
    spread = jnp.sqrt(seen @ (known - known_mean) ** 2 / count)
    spread = jnp.where(spread > 1e-9 * jnp.abs(known_mean), spread, jnp.inf)  # what never moves explains nothing
    sd = jnp.concatenate([jnp.array([priors.trend_sd]), jnp.full(2 * priors.order, priors.season_sd)])

    def plain(controls: Array) -> Array:
        time, known = columns(controls)
        level = jnp.full((len(controls), 1), priors.level_sd)
        known = priors.control_sd * (known - known_mean) / spread
        return jnp.concatenate([level, sd * (time - time_mean), known], axis=1)

    bought = laid(panel.lever)
    by_geo, national = bought.sum(axis=0), bought.sum(axis=1)
    total = national.sum(axis=0)
    active = total > 0
    # a channel never used is put on the scale of the others: its prior return still says something
    mean = jnp.where(active, total / jnp.maximum((national > 0).sum(axis=0), 1), 0.0)
    others = mean.sum() / jnp.maximum(active.sum(), 1)
    money = jnp.where(active, mean, jnp.where(others > 0, others, 1.0))
    share = jnp.where(active, by_geo / jnp.where(active, total, 1.0), people[:, None])
    acting = fitted + LAGS - 1
    early = jnp.pad(national / money, ((LAGS - 1, LAGS - 1), (0, 0)))
    variance = jnp.log1p((context.prior_roas_sd / context.prior_roas_mean) ** 2)
    spend = laid(panel.spend).sum(axis=(0, 1))
    return Data(
        kpi=laid(panel.kpi.sum(axis=1) / context.kpi_scale - 1.0),
        seen=seen,
        plain=plain(controls),
        fitted=plain(laid(panel.controls)) * seen[:, None],
        lagged=jnp.stack([early[LAGS - 1 - lag : LAGS - 1 - lag + acting] for lag in range(LAGS)], axis=1),
        worth=jnp.where(active, spend, money * count) / (context.unit_value * context.kpi_scale),
        active=active * 1.0,
        log_roas=jnp.stack([jnp.log(context.prior_roas_mean) - variance / 2, jnp.sqrt(variance)]),
        scale=money * jnp.where(share > 0, share, people[:, None]),
        share=share,
        people=people,
    )


# --- the mean


def weights(retention: Array) -> Array:
    """Normalised geometric weights [L, C]: carry-over moves spend in time and creates none."""
    raw = jnp.exp(jnp.arange(LAGS)[:, None] * jnp.log(jnp.maximum(retention, TINY)))
    return raw / raw.sum(axis=0)


def ceilings(parameters: Parameters, data: Data) -> tuple[Array, Array]:
    """Each channel's greatest weekly effect [C], and its effect in each week it acts [M + L - 1, C].

    The ceiling is what gives the channel its ROAS over the seen weeks and the weeks its spend
    still acts; a channel never used is taken as spent evenly.
    """
    curve = saturate(
        "hill",
        jnp.einsum("slc,lc->sc", data.lagged, weights(parameters.retention)),
        parameters.half_at,
        parameters.slope,
    )
    evenly = data.seen.sum() * saturate("hill", jnp.ones(()), parameters.half_at, parameters.slope)
    reached = jnp.where(data.active > 0, curve.sum(axis=0), evenly)
    ceiling = parameters.roas * data.worth / jnp.maximum(reached, TINY)
    return ceiling, ceiling * curve


def effects(parameters: Parameters, data: Data, kpi_scale: Array) -> Effects:
    """One draw as the structure that answers every question.

    A geo's curve is the national one, shrunk to the geo's share of the channel's spend; the rest
    of the KPI is spread by population.
    """
    ceiling, media = ceilings(parameters, data)
    usual = data.seen @ media[: data.seen.shape[0]].sum(axis=1) / data.seen.sum()
    base = kpi_scale * (1.0 + data.plain @ parameters.plain - usual)
    kernel = weights(parameters.retention)

    def before(x: Array) -> Array:
        return carry_late(kernel, x) / data.scale[..., None]

    def curve(v: Array) -> Array:
        top = (kpi_scale * ceiling * data.share)[..., None]
        return top * saturate("hill", v, parameters.half_at[:, None], parameters.slope[:, None])

    return Effects(base[:, None] * data.people, before, curve, lambda s: s)


# --- the prior


def prior_draws(key: Array, data: Data, priors: Priors, draws: int) -> Parameters:
    """Independent draws of the prior, leading axis D."""
    keys, channels = jax.random.split(key, 6), data.worth.shape[0]
    dtype = data.kpi.dtype

    def normals(i: int, *shape: int) -> Array:
        return jax.random.normal(keys[i], (draws, *shape), dtype=dtype)

    return Parameters(
        roas=jnp.exp(data.log_roas[0] + data.log_roas[1] * normals(0, channels)),
        retention=jax.random.beta(keys[1], priors.retention_a, priors.retention_b, (draws, channels), dtype=dtype),
        half_at=priors.half_at_median * jnp.exp(priors.half_at_sigma * normals(2, channels)),
        slope=priors.slope_median * jnp.exp(priors.slope_sigma * normals(3, channels)),
        noise=priors.noise_sd * jnp.abs(normals(4)),
        plain=normals(5, data.plain.shape[1]),
    )


def placed(z: Array, data: Data, priors: Priors) -> Parameters:
    """Parameters of a point z [4C + 1] without bounds, the plain coefficients left at 0."""
    roas, retention, half_at, slope = z[:-1].reshape(4, -1)
    return Parameters(
        roas=jnp.exp(data.log_roas[0] + data.log_roas[1] * roas),
        retention=jax.nn.sigmoid(retention),
        half_at=priors.half_at_median * jnp.exp(priors.half_at_sigma * half_at),
        slope=priors.slope_median * jnp.exp(priors.slope_sigma * slope),
        noise=priors.noise_sd * jnp.exp(z[-1]),
        plain=jnp.zeros(data.plain.shape[1], z.dtype),
    )


def log_prior(z: Array, priors: Priors) -> Array:
    """Log density of the prior at a point z [4C + 1], up to a constant."""
    roas, retention, half_at, slope = z[:-1].reshape(4, -1)
    normal = -0.5 * (roas**2 + half_at**2 + slope**2).sum()
    beta = (
        priors.retention_a * jax.nn.log_sigmoid(retention) + priors.retention_b * jax.nn.log_sigmoid(-retention)
    ).sum()
    return normal + beta + z[-1] - 0.5 * jnp.exp(2.0 * z[-1])


# --- the likelihood, the plain coefficients integrated out


def linear_of(data: Data) -> Linear:
    """The plain part turned to its principal axes: there its covariance is diagonal."""
    size, turn = jnp.linalg.eigh(data.fitted.T @ data.fitted)
    real = size > 1e-12 * size.max()
    basis = jnp.where(real, data.fitted @ turn / jnp.sqrt(jnp.where(real, size, 1.0)), 0.0)
    return Linear(basis, jnp.where(real, size, 0.0), turn)


def remainder(parameters: Parameters, data: Data) -> Array:
    """KPI [M] less the effect of media around its mean: what the plain part and noise explain."""
    media = ceilings(parameters, data)[1][: data.seen.shape[0]].sum(axis=1) * data.seen
    return data.kpi - (media - media.sum() / data.seen.sum()) * data.seen


def log_likelihood(parameters: Parameters, data: Data, linear: Linear) -> Array:
    """Log density of the seen KPI given everything but the plain coefficients, up to a constant.

    Normal with covariance ``noise^2 I + Z Z'``, Z the plain columns; on their axes it is diagonal.
    """
    rest, variance = remainder(parameters, data), parameters.noise**2
    along = rest @ linear.basis
    across = rest - linear.basis @ along
    count = data.seen.sum() - linear.size.shape[0]
    logs = jnp.log(variance + linear.size).sum() + count * jnp.log(variance)
    return -0.5 * (logs + (along**2 / (variance + linear.size)).sum() + across @ across / variance)


def plain_draw(key: Array, parameters: Parameters, data: Data, linear: Linear) -> Parameters:
    """The parameters with plain coefficients drawn given all others."""
    along, variance = remainder(parameters, data) @ linear.basis, parameters.noise**2
    total = variance + linear.size
    noise = jax.random.normal(key, total.shape, dtype=total.dtype)
    turned = jnp.sqrt(linear.size) * along / total + jnp.sqrt(variance / total) * noise
    return parameters._replace(plain=linear.turn @ turned)


# --- what its contenders share


def answers_of(key: Array, parameters: Parameters, data: Data, brief: Brief) -> Answers:
    """Answers [D, ...] of draws of the parameters (leading axis D); the forecast carries their noise.

    A national model does not say what a channel brought in each of several geos.
    """
    lever, _ = timeline(brief.panel, brief.questions.future)
    scale = brief.context.kpi_scale
    answers = answer_draws(lambda one: effects(one, data, scale), parameters, lever, brief)
    draws, held = parameters.noise.shape[0], brief.questions.future.lever.shape[0]
    noise = parameters.noise[:, None] * jax.random.normal(key, (draws, held), dtype=data.kpi.dtype)
    answers = predict(answers, scale * noise[:, :, None] * data.people)
    return answers._replace(contribution_geo=None) if brief.panel.kpi.shape[1] > 1 else answers
