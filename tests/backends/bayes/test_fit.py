"""Fits of the national model, by every engine, against importance sampling from its prior; and what is made of them."""

from __future__ import annotations

from dataclasses import replace

import bayes_by_hand as by_hand
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds

from simbench.backends.bayes import density
from simbench.backends.bayes.data import data_of
from simbench.backends.bayes.diagnose import chains_agree
from simbench.backends.bayes.fit import Fitter, evenly, fitted, programs
from simbench.backends.bayes.models import MODELS
from simbench.backends.bayes.pairs import WAYS, engine_of, pair
from simbench.backends.contender import configured
from simbench.blocks import in_float64
from simbench.briefs import stack
from simbench.errors import BadInput
from simbench.world.truth import draw

KEY = np.array([5, 6], dtype=np.uint32)
WEEKS = 52
NATIONAL = {option.name: option.default for option in MODELS["national"].options}
MODEL = MODELS["national"].make(**NATIONAL)
TRUE = {
    "effect": np.array([2.5, 1.2]), "retention": np.array([0.6, 0.3]), "half_at": np.array([0.9, 1.2]),
    "slope": np.array([1.3, 1.0]),
}  # fmt: skip
PLAIN = np.array([0.0, 0.5, 1.0, -0.5, 0.3, 0.0])
#: Long enough for the comparison to be sharp.
ENGINES = {"hmc": {"samples": 600, "rounds": 2, "ess": 1000.0}, "laplace": {"pool": 8192}, "nuts": {"samples": 700}}
BY_EVERY_ENGINE = pytest.mark.parametrize("way", ENGINES)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A year of a flighted and an always-on channel."""
    return draw(worlds.written(tmp_path_factory.mktemp("fit"), worlds.plain(weeks=WEEKS)), 1, truth=False).briefs[0]


def simulated(brief, noise):
    """The brief with a KPI that follows the model itself."""
    (geo,) = by_hand.seen("national", brief)
    unit = by_hand.media("national", NATIONAL, brief, geo, TRUE)
    mean = 1 + by_hand.plain_columns("national", NATIONAL, geo) @ PLAIN + unit @ TRUE["effect"]
    errors = noise * np.random.default_rng(11).standard_normal(WEEKS)
    return brief._replace(panel=brief.panel._replace(kpi=(geo.kpi.mean() * (mean + errors))[:, None]))


@pytest.fixture(scope="module")
def brief(drawn):
    """A posterior near enough to the prior for its draws to stand for it."""
    return simulated(drawn, 0.12)


# --- the posterior


@pytest.fixture(scope="module")
def weighted_prior(brief):
    """Draws of the prior, each number on a scale without bounds, and their weights: a posterior without chains."""
    o, draws, rng = NATIONAL, 60_000, np.random.default_rng(3)
    (geo,) = by_hand.seen("national", brief)
    scale, lags = geo.kpi.mean(), np.arange(13)
    mean, sd = brief.context.prior_roas_mean, brief.context.prior_roas_sd
    sigma = np.sqrt(np.log(1 + (sd / mean) ** 2))
    log_roas = np.log(mean) - sigma**2 / 2 + sigma * rng.standard_normal((draws, 2))
    retention = rng.beta(o["retention_a"], o["retention_b"], (draws, 2))
    log_half = np.log(o["half_at_median"]) + o["half_at_sigma"] * rng.standard_normal((draws, 2))
    log_slope = np.log(o["slope_median"]) + o["slope_sigma"] * rng.standard_normal((draws, 2))
    noise = o["noise_sd"] * np.abs(rng.standard_normal(draws))
    effect = np.zeros((draws, WEEKS))
    for c in range(2):
        x = geo.lever[:, c]
        x, whole = x / x[x > 0].mean(), geo.spend[:, c].sum() / brief.context.unit_value / scale
        weight = retention[:, c, None] ** lags
        weight /= weight.sum(axis=1, keepdims=True)
        v = np.stack([np.convolve(x, w) for w in weight])
        with np.errstate(divide="ignore"):
            curve = 1 / (1 + np.exp(np.exp(log_slope[:, c, None]) * (log_half[:, c, None] - np.log(v))))
        effect += (np.exp(log_roas[:, c]) * whole / curve.sum(axis=1))[:, None] * curve[:, :WEEKS]
    plain = by_hand.plain_columns("national", o, geo)
    rest = geo.kpi / scale - 1 - (effect - effect.mean(axis=1, keepdims=True))
    log_weight = np.empty(draws)
    for rows in np.array_split(np.arange(draws), 60):  # each draw has its own covariance
        covariance = noise[rows, None, None] ** 2 * np.eye(WEEKS) + plain @ plain.T
        solved = np.linalg.solve(covariance, rest[rows][..., None])[..., 0]
        log_weight[rows] = -0.5 * (np.linalg.slogdet(covariance)[1] + (rest[rows] * solved).sum(axis=1))
    weight = np.exp(log_weight - log_weight.max())
    points = np.column_stack([log_roas, np.log(retention / (1 - retention)), log_half, log_slope, np.log(noise)])
    return points, weight / weight.sum()


def moments(weighted):
    """Mean, sd and how many independent draws they are worth."""
    points, weight = weighted
    mean = weight @ points
    return mean, np.sqrt(weight @ (points - mean) ** 2), 1 / (weight**2).sum()


def unbounded(points, data):
    """Parameters of points [..., n] as `weighted_prior` has them."""
    own = jax.vmap(lambda z: density.placed(MODEL, z, data))(points.reshape(-1, points.shape[-1]))
    logs = [jnp.log(own[name]) for name in ("half_at", "slope", "noise")]
    told = [jnp.log(own["effect"]), jax.scipy.special.logit(own["retention"]), *logs]
    return jnp.concatenate(told, axis=1).reshape(*points.shape[:-1], -1)


UNBOUNDED = jax.jit(unbounded)


@pytest.fixture(scope="module")
def stages():
    """Engines and programs, compiled once for all worlds."""
    made = {}
    for way, changed in ENGINES.items():
        options = {option.name: option.default for option in WAYS[way].options} | changed
        engine = engine_of(way, **{k: x for k, x in options.items() if k not in ("precision", "strict")})
        made[way] = engine, programs(MODEL, engine)
    return made


def posterior(stages, way, brief):
    """Draws [chains, samples, 9] as `weighted_prior` has them, effective draws of each [9], and the fit."""
    engine, own = stages[way]
    data = in_float64(own.data, stack([brief]))
    found = fitted(own, engine, KEY[None], data, 1, "float64")
    told = in_float64(UNBOUNDED, found.points[0], jax.tree.map(lambda x: x[0], data))
    if way == "laplace":
        return told, np.full(told.shape[-1], min(found.ess[0], told.shape[1])), found
    return told, in_float64(jax.jit(chains_agree), told)[1], found


@BY_EVERY_ENGINE
def test_the_posterior_is_that_of_importance_sampling(way, brief, stages, weighted_prior):
    told, ess, found = posterior(stages, way, brief)
    mean, sd, worth = moments(weighted_prior)
    assert worth > 400 and ess.min() > 400
    assert found.divergences[0] == 0 and (found.khat[0] < 0.7 if way == "laplace" else found.rhat[0] < 1.02)
    error = np.sqrt(1 / worth + 1 / ess)
    np.testing.assert_array_less(abs(told.mean(axis=(0, 1)) - mean), 4 * error * sd)
    np.testing.assert_array_less(abs(told.std(axis=(0, 1)) / sd - 1), 4 * error)


@pytest.mark.parametrize("way", ["hmc", "laplace"])
def test_what_no_data_tell_stays_as_wide_as_the_prior(way, brief, stages):
    """A channel never used keeps its prior: quartiles of every number, at the effective draws' own error."""
    used = np.array([1.0, 0.0])
    panel = brief.panel._replace(lever=brief.panel.lever * used, spend=brief.panel.spend * used)
    idle = brief._replace(panel=panel)
    told, ess, _ = posterior(stages, way, idle)
    prior = by_hand.priors("national", NATIONAL, idle)
    for name, column in (("effect", 1), ("retention", 3), ("half_at", 5), ("slope", 7)):
        value = told[..., column].reshape(-1)
        value = 1 / (1 + np.exp(-value)) if name == "retention" else np.exp(value)
        level = prior[name][0].cdf(value[:, None] if name != "effect" else np.column_stack([value, value]))[:, -1]
        for share in (0.1, 0.25, 0.5, 0.75, 0.9):
            # draws that alternate tell a mean better than independent ones, but not a share
            error = np.sqrt(share * (1 - share) / min(ess[column], level.size))
            assert abs((level < share).mean() - share) < 4 * error, name


def test_the_order_of_channels_does_not_matter(brief):
    """Channels turned around, their parameters with them."""
    panel, context = brief.panel, brief.context
    turned = brief._replace(
        panel=panel._replace(lever=panel.lever[..., ::-1], spend=panel.spend[..., ::-1]),
        context=context._replace(
            prior_roas_mean=context.prior_roas_mean[::-1], prior_roas_sd=context.prior_roas_sd[::-1]
        ),
    )
    z = np.random.default_rng(1).uniform(-1, 1, 9)
    other = np.concatenate([z[:8].reshape(4, 2)[:, ::-1].reshape(-1), z[8:]])
    one, two = in_float64(DENSITY, z, brief), in_float64(DENSITY, other, turned)
    assert float(two) == pytest.approx(float(one), rel=1e-12)


def test_a_control_that_never_moves_changes_nothing(brief):
    def with_constant(x):
        return np.concatenate([x, np.full((*x.shape[:-1], 1), 0.1)], axis=-1)

    panel, future = brief.panel, brief.questions.future
    more = brief._replace(
        panel=panel._replace(controls=with_constant(panel.controls)),
        questions=brief.questions._replace(future=future._replace(controls=with_constant(future.controls))),
    )
    z = np.random.default_rng(2).uniform(-1, 1, 9)
    assert float(in_float64(DENSITY, z, more)) == pytest.approx(float(in_float64(DENSITY, z, brief)), rel=1e-10)


@jax.jit
def DENSITY(z, brief):
    return density.log_density(MODEL, z, data_of(brief, MODEL))


# --- the answers


@pytest.fixture(scope="module")
def contenders():
    """As a run asks them."""
    return {way: configured(pair("national", way), {}) for way in ENGINES}


def log_roas(reply, brief):
    return np.log(reply.contribution[:, 0] * brief.context.unit_value / brief.panel.spend.sum(axis=(0, 1)))


@BY_EVERY_ENGINE
def test_answers_spread_as_wide_as_the_posterior(way, brief, contenders, weighted_prior):
    (reply,) = contenders[way].answer([brief], [KEY])
    mean, sd, worth = (x[:2] if np.ndim(x) else x for x in moments(weighted_prior))
    told = log_roas(reply, brief)
    draws = min(len(told), reply.diagnostics.ess_min)
    assert draws > 100
    np.testing.assert_array_less(abs(told.mean(axis=0) - mean), 4 * sd * np.sqrt(1 / worth + 1 / draws))
    np.testing.assert_array_less(abs(np.log(told.std(axis=0) / sd)), 4 * np.sqrt(1 / worth + 0.5 / draws))


@BY_EVERY_ENGINE
def test_it_recovers_a_world_of_its_own_family(way, drawn, contenders):
    noise = 0.04
    brief = simulated(drawn, noise)
    (reply,) = contenders[way].answer([brief], [KEY])
    true = TRUE["effect"] * brief.panel.spend.sum(axis=(0, 1)) / brief.context.unit_value
    low, high = np.quantile(reply.contribution[:, 0], [0.01, 0.99], axis=0)
    assert ((low < true) & (true < high)).all()
    # the KPI told it something: narrower than the prior, on the log scale, where no single draw rules
    prior_sd = np.sqrt(np.log1p((brief.context.prior_roas_sd / brief.context.prior_roas_mean) ** 2))
    assert (log_roas(reply, brief).std(axis=0) < prior_sd).all()
    told = reply.forecast.std(axis=0).mean() / brief.panel.kpi.mean()
    assert noise * 0.8 < told < noise * 3
    told = reply.diagnostics
    if way == "laplace":
        assert told.ess_min > 100 and np.isnan(told.rhat_max)
        assert told.converged == float(told.khat_max <= 0.7)
    else:
        assert 1.0 <= told.rhat_max < 1.1 and told.ess_min > 100 and told.divergences < 50 and np.isnan(told.khat_max)
    assert told.status == 1 - told.converged


def test_a_strict_contender_fails_where_its_weights_are_not_trusted(drawn):
    """Hardly any noise and few points: the approximation at the mode will not do, and it says by how much."""
    lax, strict = (configured(pair("national", "laplace"), {"pool": 100, "strict": each}) for each in (False, True))
    sharp = simulated(drawn, 2e-5)
    (reply,), (refused,) = lax.answer([sharp], [KEY]), strict.answer([sharp], [KEY])
    assert reply.diagnostics.khat_max > 0.7 and reply.diagnostics.converged == 0.0
    assert refused.reason == "unconverged" and f"k-hat {reply.diagnostics.khat_max:.2f}" in refused.detail


def test_draws_are_spread_evenly_over_chains():
    points = np.arange(1000).reshape(4, 250, 1)
    chosen = evenly(points, 256)[:, 0]
    assert len(set(chosen)) == 256 and (np.bincount(chosen // 250) == 64).all()
    often = np.bincount(evenly(points[:, :10], 256)[:, 0])[points[:, :10, 0].reshape(-1)]
    assert often.sum() == 256 and set(often) == {6, 7}


def test_worlds_with_longer_and_shorter_chains_are_answered_in_as_many_draws(brief):
    """More draws are asked for than one world's chains have: a world that took another round has them."""
    questions = brief.questions
    asked = brief._replace(questions=questions._replace(sizes=replace(questions.sizes, draws=50)))
    fitter = Fitter(MODEL, engine_of("laplace", pool=64), programs(MODEL, engine_of("laplace", pool=64)), 1, "float64")
    keys, briefs = np.stack([KEY, KEY + 1]), stack([asked, asked])
    data, fit = fitter.posterior(keys, briefs)
    fit = fit._replace(points=[fit.points[0][:, :20], fit.points[1]])
    for reply in fitter.replies(keys, briefs, data, fit):
        assert reply.contribution.shape[0] == 50 and np.isfinite(reply.contribution).all()


@pytest.mark.parametrize(
    ("way", "option", "value", "words"),
    [
        ("hmc", "warmup", 3, "at least 20"),
        ("hmc", "accept", 1.0, "at most 0.99"),
        ("hmc", "chains", 1, "at least 2"),
        ("laplace", "pool", 10, "at least 100"),
        ("nuts", "warmup", 3, "at least 20"),
        ("hmc", "noise_sd", 0.0, "at least 1e-06"),
        ("hmc", "curve", "hil", "did you mean 'hill'"),
    ],
)
def test_options_out_of_range_are_refused(way, option, value, words):
    with pytest.raises(BadInput, match=words):
        configured(pair("national", way), {option: value})
