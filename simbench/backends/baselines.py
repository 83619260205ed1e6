"""Simple national contenders that bound the scale: least squares, and credit in proportion to spend."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from simbench.backends.base import DATA_ALONE, Backend, answer_draws, draws_of, jax_backend, predict
from simbench.backends.contender import Contender, Option
from simbench.backends.nation import of_the_nation
from simbench.briefs import timeline
from simbench.estimands import Effects, within
from simbench.records import Answers, Brief
from simbench.transforms import carry_late, fourier

Array = Any
#: Geometric retentions that `ols` chooses from, one for all channels, by residual sum of squares.
RETENTIONS = (0.0, 0.2, 0.4, 0.6, 0.8)
LAGS = 13


def carried(retention: Array, x: Array) -> Array:
    """Normalised geometric carry-over of x [..., G, C, n], nothing before the first week."""
    weights = jnp.where(jnp.arange(LAGS) == 0, 1.0, retention ** jnp.arange(LAGS))
    return carry_late(jnp.broadcast_to((weights / weights.sum())[:, None], (LAGS, x.shape[-2])), x)


def ordinary_least_squares(order: int, trend: str, key: Array, brief: Brief) -> Answers:
    """Linear regression of national KPI on trend, season, controls and carried-over spend.

    Flat priors: coefficients are normal around the least-squares fit with its classical
    covariance, the residual variance is plugged in. No saturation: curves are straight lines.
    """
    panel, questions, context = brief
    lever, controls = timeline(panel, questions.future)
    periods, weeks = lever.shape[0], panel.lever.shape[0]
    n = jnp.arange(periods)
    seen = within(n[:weeks], 0, panel.origin) * panel.mask
    kpi = jnp.where(seen > 0, panel.kpi[:, 0], 0.0) / context.kpi_scale
    scale = jnp.where(context.spend_scale > 0, context.spend_scale, 1.0)
    cosine, sine = fourier(n * 1.0, order)
    controls = controls[:, 0]
    mean = (controls[:weeks] * seen[:, None]).sum(axis=0) / seen.sum()
    spread = jnp.sqrt((((controls[:weeks] - mean) * seen[:, None]) ** 2).sum(axis=0) / seen.sum())
    plain = jnp.concatenate(
        [
            jnp.ones((periods, 1)),
            *([n[:, None] / 52.0] if trend == "linear" else []),
            cosine,
            sine,
            (controls - mean) / jnp.where(spread > 0, spread, 1.0),
        ],
        axis=1,
    )
    count = plain.shape[1]

    def fit(retention: Array) -> tuple[Array, Array, Array]:
        media = carried(retention, lever[:weeks, 0].T).T / scale
        design = jnp.concatenate([plain[:weeks], media], axis=1) * seen[:, None]
        gram = design.T @ design
        # a column without variation gets coefficient 0 instead of stopping the fit
        gram = gram + 1e-9 * jnp.diag(jnp.maximum(jnp.diag(gram), 1.0))
        beta = jnp.linalg.solve(gram, design.T @ kpi)
        return beta, gram, ((kpi - design @ beta) ** 2).sum()

    betas, grams, losses = jax.vmap(fit)(jnp.array(RETENTIONS))
    best = jnp.argmin(losses)
    retention = jnp.array(RETENTIONS)[best]
    sigma = jnp.sqrt(losses[best] / jnp.maximum(seen.sum() - betas.shape[1], 1.0))
    lower = jnp.linalg.cholesky(grams[best])
    factor = sigma * jax.scipy.linalg.solve_triangular(lower, jnp.eye(lower.shape[0]), lower=True).T
    coefficient_key, noise_key = jax.random.split(key)
    draws = draws_of(coefficient_key, betas[best], factor, questions.sizes.draws)

    def effects(beta: Array) -> Effects:
        base = context.kpi_scale * (plain @ beta[:count])[:, None]
        slope = context.kpi_scale * beta[count:] / scale
        late = partial(carried, retention)
        return Effects(base, late, lambda v: slope[:, None] * v, lambda s: s, memory=LAGS - 1)

    answers = answer_draws(effects, draws, lever, brief)
    held = questions.future.lever.shape[0]
    noise = sigma * context.kpi_scale * jax.random.normal(noise_key, (questions.sizes.draws, held), dtype=kpi.dtype)
    return predict(answers, noise[:, :, None])


def credit_by_spend(key: Array, brief: Brief) -> Answers:
    """Every channel earns the same ROAS: the spend-weighted mean of what the analyst expects.

    A point estimate without carry-over or saturation; the rest of the KPI is a flat baseline.
    """
    panel, questions, context = brief
    lever, _ = timeline(panel, questions.future)
    periods = lever.shape[0]
    total = jnp.where(context.spend_scale.sum() > 0, context.spend_scale.sum(), 1.0)
    roas = (context.prior_roas_mean * context.spend_scale).sum() / total
    slope = roas / context.unit_value
    level = context.kpi_scale - slope * context.spend_scale.sum()
    base = jnp.broadcast_to(level, (periods, 1))
    effects = Effects(base, lambda x: x, lambda v: slope * v, lambda s: s, memory=0)
    answers = answer_draws(lambda _: effects, jnp.zeros(1), lever, brief)
    allocation = tuple(problem.status_quo for problem in questions.problems)
    return answers._replace(allocation=allocation, promise=None)


def _ols(order: int, trend: str) -> Backend:
    author = partial(ordinary_least_squares, order, trend)
    return of_the_nation(jax_backend("ols", author, handles=DATA_ALONE | {"positive-effect"}))


OLS = Contender(
    "ols",
    "least squares on carried-over spend, trend, season and controls",
    _ols,
    options=(
        Option("order", 2, "yearly Fourier pairs", "pairs", low=0, high=26),
        Option("trend", "linear", "what the level does over time", choices=("linear", "none")),
    ),
)
SPEND_SHARE = Contender(
    "spend-share", "credit in proportion to spend, at the return expected beforehand",
    lambda: of_the_nation(jax_backend("spend-share", credit_by_spend, handles=DATA_ALONE - {"comparable-channels"})),
)  # fmt: skip
