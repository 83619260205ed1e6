"""The method of Meta's Robyn, written anew: carry-over and Hill by search, coefficients by ridge.

Every candidate fixes retention, shape and half-saturation of each channel and one penalty; what is
linear follows in closed form. An evolutionary search asks for little error and for effects shared
like spend; the models that no other beats in both are the answer. docs/models.md has the formulas,
what is like Robyn and what is not.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from simbench.backends.base import DATA_ALONE, Backend, answer_draws, predict, python_backend
from simbench.backends.contender import Contender, Option
from simbench.backends.nation import of_the_nation
from simbench.backends.robyn_search import best, search
from simbench.blocks import in_float64
from simbench.briefs import timeline
from simbench.estimands import Effects, within
from simbench.records import KINDS, Answers, Brief, Failure
from simbench.transforms import fourier, saturate

Array = Any
Key = Any
#: Curves may be S-shaped; the second error pulls channels towards one return, however long the panel.
HANDLES = DATA_ALONE - {"comparable-channels"} | {"effect-shape"}
#: Weeks to which panels are filled up: those that differ only in masked weeks run one program.
STRETCH = 26
#: Retention a week that Robyn's guide gives its channels, by kind; (0, 0.8) is its default for any.
RETENTION = {"tv": (0.3, 0.8), "radio": (0.1, 0.4), "print": (0.1, 0.4), "out-of-home": (0.1, 0.4), "other": (0.0, 0.8)}
DIGITAL, ANY = (0.0, 0.3), (0.0, 0.8)
ALPHA, GAMMA = (0.5, 3.0), (0.3, 1.0)
#: Rounds of coordinate descent before the active coefficients are solved for.
SWEEPS = 30
#: DECOMP.RSSD of a model in which no channel has an effect (infinite in Robyn).
WORST = 1e3
#: An effect share that Robyn rounds to zero.
NO_EFFECT = 5e-5


class Settings(NamedTuple):
    """Numbers of the contender's options, by their names."""

    trials: int
    generations: int
    population: int
    models: int
    order: int
    trend: str
    penalty: float
    ranges: str


class Data(NamedTuple):
    """What is fitted: national series on weeks [0, M), 0 where not seen; columns centred, of variance 1."""

    seen: Array  #: [M] 1 where the KPI is known: before the origin, and recorded
    lever: Array  #: [M, C] in units of `scale`
    kpi: Array  #: [M] in units of the mean KPI, centred
    level: Array  #: its mean
    turned: Array  #: [M, p] trend, season and controls on their principal axes
    size: Array  #: [p] variance of each
    turn: Array  #: [p, p] axes
    plain: Array  #: [N, p] the columns before they were turned, future weeks too
    strongest: Array  #: largest correlation of any column or lever with the KPI; NaN if that does not vary
    spend_share: Array  #: [C]
    scale: Array  #: [C] money


class Model(NamedTuple):
    """One candidate fitted."""

    retention: Array  #: [C]
    half_at: Array  #: [C] in units of `Data.scale`
    slope: Array  #: [C]
    media: Array  #: [C] weekly effect at full saturation, in mean KPI
    plain: Array  #: [p]
    level: Array  #: intercept
    noise: Array  #: residual standard deviation
    nrmse: Array
    rssd: Array


@partial(jax.jit, static_argnames=("order", "trend"))
def data_of(brief: Brief, order: int, trend: str) -> Data:
    """A brief as the model sees it; rows at or after the origin are not looked at."""
    panel, questions, context = brief
    weeks = panel.lever.shape[0]
    filled = -(-weeks // STRETCH) * STRETCH
    past = within(jnp.arange(filled), 0, panel.origin)

    def laid(x: Array, known: Array = past) -> Array:  # the known rows of [T, ...] on the filled weeks
        full = jnp.concatenate([x, jnp.zeros((filled - weeks, *x.shape[1:]), x.dtype)])
        return jnp.where(known.reshape(-1, *(1,) * (x.ndim - 1)) > 0, full, 0.0)

    seen = laid(panel.mask)
    count = seen.sum()

    def columns(controls: Array) -> Array:
        n = jnp.arange(len(controls))
        straight = [n[:, None] / 52.0] if trend == "linear" else []
        return jnp.concatenate([*straight, *fourier(n * 1.0, order), controls[:, 0]], axis=1)

    def standardised(x: Array, like: Array) -> Array:  # with the moments of the seen rows of `like`
        mean = seen @ like / count
        spread = jnp.sqrt(seen @ (like - mean) ** 2 / count)
        varies = spread > 1e-9 * jnp.abs(mean)
        return jnp.where(varies, (x - mean) / jnp.where(varies, spread, 1.0), 0.0)

    raw = columns(laid(panel.controls))
    plain = standardised(raw, raw) * seen[:, None]
    size, turn = jnp.linalg.eigh(plain.T @ plain / count)
    bought = laid(panel.lever[:, 0])
    most = bought.max(axis=0)
    scale = jnp.where(most > 0, most, jnp.where(context.spend_scale > 0, context.spend_scale, 1.0))
    kpi = laid(panel.kpi[:, 0], seen) / context.kpi_scale
    level = kpi.sum() / count
    centred = (kpi - level) * seen
    kpi_spread = jnp.sqrt(centred @ centred / count)
    both = jnp.concatenate([plain, standardised(bought, bought) * seen[:, None]], axis=1)
    spend = laid(panel.spend[:, 0]).sum(axis=0)
    return Data(
        seen=seen,
        lever=bought / scale,
        kpi=centred,
        level=level,
        turned=plain @ turn,
        size=jnp.maximum(size, 0.0),
        turn=turn,
        plain=standardised(columns(timeline(panel, questions.future)[1]), raw),
        strongest=jnp.where(
            kpi_spread > 1e-9 * jnp.abs(level), jnp.abs(centred @ both).max() / (count * kpi_spread), jnp.nan
        ),
        spend_share=spend / jnp.where(spend.sum() > 0, spend.sum(), 1.0),
        scale=scale,
    )


# --- one candidate


def carried(retention: Array, x: Array) -> Array:
    """Geometric carry-over ``a_t = x_t + retention a_{t-1}`` of x [n, ..., C], not normalised, as in Robyn."""

    def week(before: Array, now: Array) -> tuple[Array, Array]:
        after = now + retention * before
        return after, after

    return jax.lax.scan(week, jnp.zeros_like(x[0]), x)[1]


def nonnegative(gram: Array, product: Array) -> Array:
    """The b >= 0 that minimises ``b' gram b / 2 - product' b``; gram [C, C] positive definite.

    Coordinate descent finds the positive ones, one solve makes them exact; where that would leave
    the feasible set the descent's own answer stands.
    """
    diagonal, channels = jnp.diag(gram), product.shape[0]

    def update(i: Array, b: Array) -> Array:
        c = i % channels
        return b.at[c].set(jnp.maximum(b[c] + (product[c] - gram[c] @ b) / diagonal[c], 0.0))

    rough = jax.lax.fori_loop(0, SWEEPS * channels, update, jnp.maximum(product / diagonal, 0.0))
    active = rough > 0
    pairs = active[:, None] & active[None, :]
    exact = jnp.linalg.solve(jnp.where(pairs, gram, jnp.diag(diagonal)), jnp.where(active, product, 0.0))
    return jnp.where((exact >= 0).all(), exact, rough)


def fitted(data: Data, penalty: Array, point: Array) -> Model:
    """The ridge regression of one candidate, media coefficients not negative, and its two errors.

    Parameters
    ----------
    penalty : float
        The greatest ridge penalty, times the largest correlation with the KPI.
    point : array [3 C + 1]
        Retention, alpha and gamma of each channel, and where the penalty lies between its bounds.

    References
    ----------
    Runge and others 2024, Packaging Up Media Mix Modeling, arXiv:2403.14674; Robyn's source, version 3.12.
    """
    retention, alpha, gamma = point[:-1].reshape(3, -1)
    count = data.seen.sum()
    # [C, M]: loops over weeks, the last axis, use whole vectors
    carry_over = carried(retention, data.lever).T * data.seen
    peak = carry_over.max(axis=1)
    half_at = gamma * jnp.where(peak > 0, peak, 1.0)
    curve = saturate("hill", carry_over, half_at[:, None], alpha[:, None])
    mean = curve @ data.seen / count
    centred = (curve - mean[:, None]) * data.seen
    spread = jnp.sqrt(jnp.einsum("cm,cm->c", centred, centred) / count)
    unit = jnp.where(spread > 1e-9, spread, 1.0)
    media = centred / unit[:, None]
    # ridge of variance-one columns; the plain ones are solved for on their axes, given the media
    ridge = data.strongest * penalty * (1e-4 + (1.0 - 1e-4) * point[-1])
    cross, along, own = media @ data.turned / count, data.turned.T @ data.kpi / count, media @ data.kpi / count
    kept = 1.0 / (data.size + ridge)
    gram = media @ media.T / count + ridge * jnp.eye(len(peak)) - (cross * kept) @ cross.T
    beta = nonnegative(gram, own - (cross * kept) @ along)
    on_axes = kept * (along - beta @ cross)
    residual = data.kpi - beta @ media - data.turned @ on_axes
    squares = residual @ residual
    scaled = beta / unit
    high = jnp.where(data.seen > 0, data.kpi, -jnp.inf).max()
    low = jnp.where(data.seen > 0, data.kpi, jnp.inf).min()
    free = jnp.maximum(count - len(beta) - len(on_axes) - 1.0, 1.0)
    return Model(
        retention=retention,
        half_at=half_at,
        slope=alpha,
        media=scaled,
        plain=data.turn @ on_axes,
        level=data.level - scaled @ mean,
        noise=jnp.sqrt(squares / free),
        nrmse=jnp.sqrt(squares / count) / (high - low),
        rssd=decomposition_distance(scaled * mean, data.spend_share),
    )


def decomposition_distance(effect: Array, spend_share: Array) -> Array:
    """DECOMP.RSSD: how far the shares of effect [C] are from the shares of spend [C].

    Times one plus the share of channels with spend that have no effect.
    """
    total = effect.sum()
    share = effect / jnp.where(total > 0, total, 1.0)
    used = spend_share > 0
    idle = (used & (share < NO_EFFECT)).sum() / jnp.maximum(used.sum(), 1)
    distance = jnp.sqrt(((share - spend_share) ** 2).sum()) * (1.0 + idle)
    return jnp.where(total > 0, distance, WORST)


@jax.jit
def errors_of(data: Data, penalty: Array, points: Array) -> Array:
    """NRMSE and DECOMP.RSSD [P, 2] of candidates [P, 3 C + 1]."""
    models = jax.vmap(partial(fitted, data, penalty))(points)
    return jnp.stack([models.nrmse, models.rssd], axis=1)


@partial(jax.jit, static_argnames="settings")
def searched(
    settings: Settings, key: Key, data: Data, penalty: Array, bounds: Array, back: Array
) -> tuple[Array, Array]:
    """All candidates that the search looks at [N, 3 C + 1] and their errors [N, 2]; `back` puts numbers in order."""
    key = jax.random.fold_in(jax.random.wrap_key_data(key), 1)
    extent = (settings.trials, settings.generations, settings.population)
    return search(lambda points: errors_of(data, penalty, points[:, back]), bounds, key, *extent)


def bounds_of(kind: Array, ranges: str) -> np.ndarray:
    """Lowest and highest value [3 C + 1, 2] of a candidate's numbers."""
    names = [KINDS[int(k)] for k in kind]
    retention = [RETENTION.get(name, DIGITAL) if ranges == "by-kind" else ANY for name in names]
    return np.array([*retention, *[ALPHA] * len(names), *[GAMMA] * len(names), (0.0, 1.0)])


# --- the contender


@jax.jit
def answers_of(key: Key, data: Data, penalty: Array, points: Array, brief: Brief) -> Answers:
    """Answers [D, ...] of the chosen candidates, each a whole model, repeated in turn up to D."""
    lever, _ = timeline(brief.panel, brief.questions.future)
    kpi_scale, draws = brief.context.kpi_scale, brief.questions.sizes.draws
    models = jax.vmap(partial(fitted, data, penalty))(points)

    def effects(model: Model) -> Effects:
        base = kpi_scale * (model.level + data.plain @ model.plain)

        def before(x: Array) -> Array:
            return jnp.moveaxis(carried(model.retention, jnp.moveaxis(x, -1, 0)), 0, -1) / data.scale[:, None]

        def curve(v: Array) -> Array:
            top = (kpi_scale * model.media)[:, None]
            return top * saturate("hill", v, model.half_at[:, None], model.slope[:, None])

        return Effects(base[:, None], before, curve, lambda s: s)

    answers = answer_draws(effects, models, lever, brief)
    turn = jnp.arange(draws) * len(points) // draws
    allocation = answers.allocation  # it has no draws axis
    answers = jax.tree.map(lambda x: x[turn], answers._replace(allocation=None))._replace(allocation=allocation)
    held = brief.questions.future.lever.shape[0]
    noise = jax.random.normal(jax.random.wrap_key_data(key), (draws, held), dtype=data.kpi.dtype)
    noise = kpi_scale * models.noise[turn][:, None] * noise
    return predict(answers, noise[:, :, None])


def robyn_style(settings: Settings, key: Key, brief: Brief) -> Answers | None:
    """Search, select, answer; None where the KPI of the seen weeks is not finite or does not vary."""
    data = data_of(brief, settings.order, settings.trend)
    if not np.isfinite(data.strongest):
        return None
    bounds, channels = bounds_of(brief.context.kind, settings.ranges), len(brief.context.kind)
    # searched in order of spend: the order in which channels are named changes nothing
    order = np.argsort(data.spend_share, kind="stable")
    there = np.concatenate([order, channels + order, 2 * channels + order, [3 * channels]])
    back = np.argsort(there)
    looked_at, found = (np.asarray(x) for x in searched(settings, key, data, settings.penalty, bounds[there], back))
    chosen = looked_at[best(found, min(settings.models, brief.questions.sizes.draws))][:, back]
    answers: Answers = answers_of(key, data, settings.penalty, chosen, brief)
    return answers


def _made(**options: Any) -> Backend:
    settings = Settings(**options)

    def ask(key: Key, brief: Brief) -> Answers | Failure:
        answers = in_float64(robyn_style, settings, key, brief)
        if answers is None:
            return Failure("nonfinite", "the KPI of the seen weeks is not finite, or does not vary")
        return answers

    return of_the_nation(python_backend("robyn-style", ask, tags=("native", "fast"), handles=HANDLES))


ROBYN_STYLE = Contender(
    "robyn-style",
    "the method of Meta's Robyn: searched carry-over and Hill, ridge, two errors",
    _made,
    options=(
        Option("trials", 5, "independent searches, each with its own weights of the errors", "trials",
               "Robyn's default", low=1),
        Option("generations", 67, "generations of a trial", "generations",
               "Robyn's 2000 candidates a trial", low=2),
        Option("population", 30, "candidates of a generation", "candidates", "Nevergrad's default", low=5),
        Option("models", 100, "best models kept; their spread is the interval", "models",
               "Robyn's min_candidates", low=1),
        Option("order", 2, "yearly Fourier pairs, in place of Prophet's season", "pairs", low=0, high=26),
        Option("trend", "linear", "what the level does over time", choices=("linear", "none")),
        Option("penalty", 100.0, "greatest ridge penalty, times the largest correlation with the KPI",
               source="Robyn's lambda_seq: 0.1 / 0.001", low=1e-6),
        Option("ranges", "by-kind", "retention allowed: by the channel's kind, or 0 to 0.8 for all",
               source="Robyn's guide and default", choices=("by-kind", "wide")),
    ),
    source="Runge and others 2024, arXiv:2403.14674; facebookexperimental/Robyn",
    answers="everything but contributions by geo",
)  # fmt: skip
