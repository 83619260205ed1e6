"""What a model sees of a brief: scaled series of the seen weeks, lagged once for all.

Nothing at or after the origin is looked at. Weeks [0, M) are those of the panel, filled up to whole
stretches, and those after them in which its lever still acts: series of one length need no cutting, and panels
that differ only in masked weeks at their end are fitted by the same arithmetic.
A national model is shown panels of one geo.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from simbench.backends.bayes.model import Model
from simbench.briefs import laid_out, timeline
from simbench.estimands import within
from simbench.records import Brief
from simbench.transforms import fourier

Array = Any
STRETCH = 26  #: weeks


class Data(NamedTuple):
    """One brief as a model sees it."""

    kpi: Array  #: [G, M] in units of its scale; 0 where not seen
    seen: Array  #: [M] 1 where the KPI is known: before the origin, and recorded
    past: Array  #: [M] 1 before the origin
    lagged: Array  #: [G, C, L, M] lever of this and earlier weeks
    basis: Array  #: [G, M, p] the plain columns turned to orthonormal axes; 0 where a column does not vary
    size: Array  #: [G, p] variance each axis brings to the KPI beforehand
    turn: Array  #: [G, p, p] from axes to columns
    along: Array  #: [G, p] the KPI along each axis
    across: Array  #: [G, M] what the axes leave of it
    plain: Array  #: [G, N, p] the plain columns times their prior sd, in all weeks
    season: Array  #: [N, 2 order] cosines and sines, where the season is a sampled parameter
    waves: Array  #: [N, B] what paths are made of
    worth: Array  #: [G, C] money spent over the value of one unit of scaled KPI
    active: Array  #: [G, C] 1 where anything was ever spent
    expected: Array  #: [2, C] mean and sd of returns, as the analyst expects them
    centre: Array  #: [G] KPI = scale x (scaled + centre)
    scale: Array  #: [G]
    money: Array  #: [G, C] unit of the lever
    rate: Array | None  #: [N, G, C] what a unit of money buys, against the usual; None where money itself acts
    tier: Array  #: [G] which group of geos, int32
    people: Array  #: [G] log of the population over that of a typical geo


def data_of(brief: Brief, model: Model) -> Data:
    """A brief as a model sees it."""
    panel, questions, context = brief
    _, controls = timeline(panel, questions.future)
    weeks, periods = panel.lever.shape[0], controls.shape[0]
    fitted = -(-weeks // STRETCH) * STRETCH + model.lags - 1
    past = within(jnp.arange(fitted), 0, panel.origin)

    def laid(x: Array, known: Array) -> Array:  # the known rows of a series [T, ...] on the fitted weeks
        full = jnp.concatenate([x, jnp.zeros((fitted - weeks, *x.shape[1:]), x.dtype)])
        return jnp.where(known.reshape(-1, *(1,) * (x.ndim - 1)) > 0, full, 0.0)

    seen = laid(panel.mask, past)
    kpi = laid(panel.kpi, seen).T
    rate = _rate(brief, periods) if model.media == "exposure" and panel.exposure is not None else None
    acting = panel.lever if rate is None else panel.lever * rate[:weeks]
    spend, lever = (jnp.moveaxis(laid(x, past), 1, 0) for x in (panel.spend, acting))
    centre, scale = _kpi_scale(model, kpi, seen)
    money, active = _lever_scale(model, lever)

    last = model.lags - 1
    early = jnp.pad(lever / money[:, None], ((0, 0), (last, 0), (0, 0)))
    lagged = jnp.stack([early[:, last - lag : last - lag + fitted] for lag in range(model.lags)])

    season = _season(model, brief, periods)
    plain = _plain(model, season, controls, laid(panel.controls, past), seen)
    length = min(fitted, periods)
    inside = jnp.pad(plain[:, :length], ((0, 0), (0, fitted - length), (0, 0))) * seen[:, None]
    axes, roots, turned = jnp.linalg.svd(inside, full_matrices=False)
    real = roots > 16.0 * jnp.finfo(roots.dtype).eps * roots.max(axis=-1, keepdims=True, initial=0.0)
    spent = jnp.where(active > 0, spend.sum(axis=1), money * past.sum())
    groups = -(-panel.population.shape[0] // model.tiers)
    unknown = jnp.zeros_like(kpi)
    data = Data(
        kpi=unknown,
        seen=seen,
        past=past,
        lagged=jnp.transpose(lagged, (1, 3, 0, 2)),
        basis=jnp.where(real[:, None], axes, 0.0),
        size=jnp.where(real, roots**2, 0.0),
        turn=jnp.swapaxes(turned, 1, 2),
        along=unknown,
        across=unknown,
        plain=plain,
        season=season,
        waves=_waves(model, panel.origin, periods),
        worth=spent / (context.unit_value * scale[:, None]),
        active=active,
        expected=jnp.stack([context.prior_roas_mean, context.prior_roas_sd]),
        centre=centre,
        scale=scale,
        money=money,
        rate=rate,
        # the largest geos are the first tier
        tier=jnp.argsort(jnp.argsort(-panel.population)) // groups,
        people=jnp.log(panel.population) - jnp.log(panel.population).mean(),
    )
    return with_kpi(data, kpi / scale[:, None] - centre[:, None])


def with_kpi(data: Data, kpi: Array) -> Data:
    """The same panel with another KPI [G, M], in units of the scale; weeks not seen are ignored."""
    kpi = jnp.where(data.seen > 0, kpi, 0.0)
    along = jnp.einsum("gm,gmp->gp", kpi, data.basis)
    return data._replace(kpi=kpi, along=along, across=kpi - jnp.einsum("gp,gmp->gm", along, data.basis))


def _kpi_scale(model: Model, kpi: Array, seen: Array) -> tuple[Array, Array]:
    """Centre, in units of the scale, and scale of the KPI [G, M] over the seen weeks."""
    count = seen.sum()
    mean = kpi.sum(axis=1) / count
    if model.kpi == "mean":
        scale = jnp.where(jnp.abs(mean) > 0, jnp.abs(mean), 1.0)
        return mean / scale, scale
    if model.kpi == "max":
        most = jnp.where(seen > 0, kpi, -jnp.inf).max(axis=1)
        return jnp.zeros_like(mean), jnp.where(most > 0, most, 1.0)
    deviation = jnp.where(seen > 0, kpi - mean[:, None], 0.0)
    sd = jnp.sqrt((deviation**2).sum(axis=1) / count)
    scale = jnp.where(sd > 0, sd, 1.0)
    return mean / scale, scale


def _lever_scale(model: Model, lever: Array) -> tuple[Array, Array]:
    """Money [G, C] that is one unit of a lever [G, M, C], and where there was any.

    A channel never used is put on the scale of the others: its prior return still says something.
    """
    used = lever > 0
    active = used.any(axis=1)
    if model.lever == "mean":
        unit = lever.sum(axis=1) / jnp.maximum(used.sum(axis=1), 1)
    elif model.lever == "max":
        unit = lever.max(axis=1)
    else:
        unit = jnp.nan_to_num(jnp.nanmedian(jnp.where(used, lever, jnp.nan), axis=1))
    others = jnp.where(active, unit, 0.0).sum(axis=1) / jnp.maximum(active.sum(axis=1), 1)
    instead = jnp.where(others > 0, others, 1.0)[:, None]
    return jnp.where(active, unit, instead), active * 1.0


def _rate(brief: Brief, periods: int) -> Array:
    """Contacts that a unit of money buys [N, G, C], over what it bought on average; 1 where they are not counted.

    A geo without spend is taken for the nation, and a week without any for the last one with some: so are the
    weeks after the holdout.
    """
    panel, future = brief.panel, brief.questions.future
    ahead, n = periods - panel.spend.shape[0], jnp.arange(periods)[:, None, None]
    contacts = laid_out(panel, panel.exposure, future.exposure, ahead)
    money = laid_out(panel, panel.spend, future.spend, ahead)

    def ratio(own: Array, instead: Array | float) -> Array:  # of sums along the geos, or of each
        return jnp.where(own[1] > 0, own[0] / jnp.where(own[1] > 0, own[1], 1.0), instead)

    both = jnp.stack([contacts, money])
    nation = both.sum(axis=2, keepdims=True)
    bought, known = ratio(both, ratio(nation, 0.0)), nation[1] > 0
    latest = jax.lax.cummax(jnp.where(known, n, jnp.argmax(known, axis=0)), axis=0)
    usual = ratio(jnp.where(n < panel.origin, nation, 0.0).sum(axis=1), 0.0)
    steady = jnp.take_along_axis(bought, jnp.broadcast_to(latest, bought.shape), axis=0)
    return jnp.where(usual > 0, steady / jnp.where(usual > 0, usual, 1.0), 1.0)


def _season(model: Model, brief: Brief, periods: int) -> Array:
    """Cosines and sines [N, 2 order]: of the week's number, or of the calendar's day."""
    if not model.calendar:
        return jnp.concatenate(fourier(jnp.arange(periods) * 1.0, model.order), axis=1)
    panel, future = brief.panel, brief.questions.future
    year = jnp.concatenate([panel.calendar, jnp.zeros(periods - panel.calendar.shape[0])])
    year = jax.lax.dynamic_update_slice_in_dim(year, future.calendar.astype(year.dtype), panel.origin, axis=0)
    angle = 2.0 * jnp.pi * year[:, None] * jnp.arange(1, model.order + 1)
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=1)


def _plain(model: Model, season: Array, known: Array, past: Array, seen: Array) -> Array:
    """Plain columns [G, N, p] times their prior sd. `known` are controls [N, G, k], `past` the seen ones [M, G, k]."""
    periods, geos = known.shape[:2]
    count, prior = seen.sum(), model.plain
    length = min(len(seen), periods)

    def centred(x: Array) -> Array:  # a column [N, k] less its mean over the seen weeks; a control like others if told
        if not model.centred and model.kpi != "standard":
            return x
        x = x - seen[:length] @ x[:length] / count
        sd = jnp.sqrt(seen[:length] @ x[:length] ** 2 / count)
        return x / jnp.where(sd > 0, sd, 1.0) if model.kpi == "standard" else x

    parts = []
    if prior.level:
        parts.append(jnp.full((periods, 1), prior.level))
    if prior.trend:
        parts.append(prior.trend * centred(jnp.arange(periods)[:, None] / 52.0))
    if prior.season and model.order:
        parts.append(prior.season * centred(season))
    shared = jnp.concatenate([*parts, jnp.zeros((periods, 0))], axis=1)
    columns = jnp.broadcast_to(shared, (geos, *shared.shape))
    if not prior.control:
        return columns
    if model.controls == "standard":
        mean = jnp.einsum("m,mgk->gk", seen, past) / count
        spread = jnp.sqrt(jnp.einsum("m,mgk->gk", seen, (past - mean) ** 2) / count)
        # what never moves explains nothing
        spread = jnp.where(spread > 1e-6 * jnp.abs(mean), spread, jnp.inf)
        known = (known - mean) / spread
    return jnp.concatenate([columns, prior.control * jnp.moveaxis(known, 1, 0)], axis=-1)


def _waves(model: Model, origin: Array, periods: int) -> Array:
    """Waves [N, B] that paths are made of: a Hilbert-space Gaussian process of variance 1.

    Squared-exponential kernel on [0, N) with boundary factor 1.3; from the origin on the last week's
    values stand still: nothing is known of the way an effect goes on.

    References
    ----------
    Riutort-Mayol and others 2023, Practical Hilbert space approximate Bayesian Gaussian processes.
    """
    if not model.bases:
        return jnp.zeros((periods, 0))
    # far enough beyond both ends for the variance to be whole there
    half = 0.5 * periods + 1.5 * model.length
    n = jnp.minimum(jnp.arange(periods), origin - 1) - 0.5 * periods
    root = jnp.arange(1, model.bases + 1) * jnp.pi / (2.0 * half)
    density = jnp.sqrt(2.0 * jnp.pi) * model.length * jnp.exp(-0.5 * (model.length * root) ** 2)
    return jnp.sqrt(density / half) * jnp.sin(root * (n[:, None] + half))
