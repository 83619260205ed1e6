"""The log density of every model against a second writing of it, and what it integrates out against NumPyro."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import bayes_by_hand as by_hand
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds
from numpyro.infer.util import log_density as joint_density
from scipy import stats

from simbench.backends.bayes import density, referee
from simbench.backends.bayes.data import data_of
from simbench.backends.bayes.models import MODELS
from simbench.backends.nation import nation
from simbench.blocks import in_float32, in_float64
from simbench.world.truth import draw

KEY = np.array([5, 6], dtype=np.uint32)
POINTS = 5
HIERARCHY = "geo-hierarchical"
CASES = {
    "national": ("national", {}),
    "delayed, logistic": ("national", {"carry_over": "delayed", "curve": "logistic"}),
    "weibull-pdf, exponential": ("national", {"carry_over": "weibull-pdf", "curve": "exponential", "order": 1}),
    "weibull-cdf, free": ("national", {"carry_over": "weibull-cdf", "effects": "free", "order": 0}),
    "robust": ("robust", {}),
    "robust, delayed": ("robust", {"carry_over": "delayed", "curve": "exponential"}),
    "time-varying": ("time-varying", {}),
    "time-varying, short": ("time-varying", {"carry_over": "weibull-pdf", "bases": 9, "length": 15.0}),
    "geo-hierarchical": (HIERARCHY, {}),
    "geo-hierarchical, alike": (HIERARCHY, {"noise": "alike"}),
    "geo-hierarchical, tiers": (HIERARCHY, {"tiers": 2, "carry_over": "weibull-cdf", "curve": "logistic"}),
    "pymc-marketing-style": ("pymc-marketing-style", {}),
    "pymc-marketing-style, free": ("pymc-marketing-style", {"effects": "free"}),
    "meridian-style": ("meridian-style", {}),
}
PANELS = ("national", "geo", "masked", "masked geo")
ASKED = [
    (case, panel)
    for case, (name, _) in CASES.items()
    for panel in PANELS
    if ("geo" in panel if name == HIERARCHY else panel != "masked geo")
]
over_all = pytest.mark.parametrize(("case", "panel"), ASKED)


@cache
def brief_of(panel):
    """Sixty weeks of a flighted, an always-on and a bought channel; a price, and a control that never moves."""
    if panel.startswith("masked"):
        return masked(brief_of("geo" if "geo" in panel else "national"))
    channels = (
        worlds.channel("tv", worlds.FLIGHTED, money=150.0),
        worlds.channel("video", money=80.0),
        worlds.channel("search", worlds.BOUGHT, money=60.0),
    )
    price = '[[controls]]\nname = "price"\nmean = 10.0\nsd = 0.5\nrho = 0.8\neffect = -60.0\n'
    geos = 3 if panel == "geo" else 1
    text = worlds.scenario(*channels, name=f"bayes-{panel}", geos=geos, shock=True, extra=price)
    with TemporaryDirectory() as folder:
        brief = draw(worlds.written(Path(folder), text), 1, truth=False).briefs[0]
    panel, future = brief.panel, brief.questions.future

    def several(x):  # prices that differ between geos
        return np.concatenate([x * np.linspace(1.0, 1.2, geos)[:, None], np.full_like(x, 0.1)], axis=-1)

    return brief._replace(
        panel=panel._replace(controls=several(panel.controls)),
        questions=brief.questions._replace(future=future._replace(controls=several(future.controls))),
        context=brief.context._replace(
            prior_roas_mean=np.array([0.8, 1.5, 2.0]), prior_roas_sd=np.array([0.5, 1.0, 2.5])
        ),
    )


def shown(case, panel):
    """What the model is shown: a national one the sums over geos."""
    return brief_of(panel) if CASES[case][0] == HIERARCHY else nation(brief_of(panel))


def masked(brief):
    """The last seven weeks not seen, whatever stands there, and a channel never used."""
    panel, origin = brief.panel, len(brief.panel.kpi) - 7

    def seen_only(x):
        return np.concatenate([x[:origin], np.full_like(x[origin:], np.nan)])

    used = np.array([1.0, 0.0, 1.0])
    own = panel._replace(
        origin=np.int32(origin), mask=(np.arange(len(panel.kpi)) < origin) * 1.0, kpi=seen_only(panel.kpi),
        lever=seen_only(panel.lever * used), spend=seen_only(panel.spend * used), controls=seen_only(panel.controls),
    )  # fmt: skip
    return brief._replace(panel=own)


def made(case):
    """The model of a case, and all its options."""
    name, changed = CASES[case]
    options = {option.name: option.default for option in MODELS[name].options} | changed
    return MODELS[name].make(**options), options


def whole(given):
    """Mean [G, p + K] and lower factor of the precision, its blocks put together."""
    corner = jnp.zeros((*given.side.shape[:1], given.side.shape[2], given.side.shape[1]))
    upper = jnp.concatenate([jax.vmap(jnp.diag)(given.root), corner], axis=2)
    lower = jnp.concatenate([given.side, given.factor], axis=2)
    return jnp.concatenate([given.axes, given.block], axis=1), jnp.concatenate([upper, lower], axis=1)


@cache
def programs(case):
    """Data of a brief; what the package says at points and deviations of what is linear; values and slopes.

    Compiled once for all panels.
    """
    model, _ = made(case)

    def at(z, deviation, data):
        parameters = density.placed(model, z, data)
        value, slope = jax.value_and_grad(lambda z: density.log_density(model, z, data))(z)
        mean, factor = whole(density.linear_given(model, parameters, data))
        columns = density.linear_columns(density.media_of(model, parameters, data), data)
        linear = mean + deviation[:, : mean.shape[1]] / jnp.diagonal(factor, axis1=1, axis2=2)

        def joint(linear, kpi):
            plain, block = jnp.split(linear, [data.size.shape[1]], axis=1)
            sites = parameters | ({"plain": plain, "block": block} if model.collapsed else {})
            return joint_density(referee.full, (model, data._replace(kpi=kpi)), {}, sites)[0]

        return {
            "value": value, "slope": slope, "by name": density.split(model, z, data), "joint": joint(linear, data.kpi),
            # at the mean of what is linear the whole model is as steep in the KPI as the collapsed one
            "slope in kpi": jax.grad(joint, argnums=1)(mean, data.kpi),
            "linear": linear, "mean": mean, "factor": factor, "columns": columns,
            "back": referee.points(model, parameters, data), "left out": density.left_out(model, parameters, data),
        }  # fmt: skip

    def every(z, deviation, data):
        return jax.lax.map(lambda each: at(*each, data), (z, deviation))

    def slopes(z, data):
        return jax.lax.map(jax.value_and_grad(lambda z: density.log_density(model, z, data)), z)

    return jax.jit(lambda brief: data_of(brief, model)), jax.jit(every), jax.jit(slopes)


@cache
def told(case, panel):
    """What the package says of a brief at points in and around the middle of the prior."""
    data_program, program, _ = programs(case)
    data, rng = in_float64(data_program, shown(case, panel)), np.random.default_rng(len(case + panel))
    z = rng.uniform(-2, 2, (POINTS, density.dimension(made(case)[0], data)))
    deviation = rng.standard_normal((POINTS, len(data.size), data.size.shape[1] + data.worth.shape[1]))
    every = in_float64(program, z, deviation, data)
    return data, z, [jax.tree.map(lambda x, i=i: x[i], every) for i in range(POINTS)]


def by_columns(case, data, point):
    """A point by name; coefficients of orthonormal axes as those of the plain columns, whose prior is the same."""
    return point | {"plain": data.turn[0] @ point["plain"]} if "plain" in point else point


@over_all
def test_the_density_is_that_of_plain_loops(case, panel):
    """The covariance is built whole; 1e-8 is what float64 keeps where noise is a ten-thousandth of the KPI."""
    _, options = made(case)
    data, _, every = told(case, panel)
    expected = [
        by_hand.log_density(CASES[case][0], options, brief_of(panel), by_columns(case, data, each["by name"]))
        for each in every
    ]
    np.testing.assert_allclose([each["value"] for each in every], expected, rtol=1e-8)


@over_all
def test_what_is_integrated_out_is_the_whole_model_less_its_conditional(case, panel):
    """p(parameters, y) = p(parameters, b, y) / p(b | parameters, y), exactly, for whichever b."""
    model, options = made(case)
    _, z, every = told(case, panel)
    for i, each in enumerate(every):
        _, _, slope = by_hand.placed(CASES[case][0], options, brief_of(panel), each["by name"])
        given = conditional(each) if model.collapsed else 0.0
        size = abs(each["joint"]) + abs(slope) + abs(given)
        assert each["value"] == pytest.approx(each["joint"] + slope - given, abs=1e-9 * size)
        np.testing.assert_allclose(each["back"], z[i], rtol=1e-9, atol=1e-9)


def conditional(each):
    """Log density of what is linear, given the rest."""
    white = np.einsum("gij,gi->gj", each["factor"], each["linear"] - each["mean"])
    diagonal = np.einsum("gii->gi", each["factor"])
    return (np.log(diagonal) - 0.5 * white**2 - 0.5 * np.log(2 * np.pi)).sum()


@over_all
def test_a_week_left_out_is_given_all_others(case, panel):
    """The joint density over that of the other weeks, from the covariance built whole."""
    _, options = made(case)
    name, brief, weeks = CASES[case][0], brief_of(panel), int(brief_of(panel).panel.origin)
    data, _, every = told(case, panel)
    for each in every[:2]:
        values, _, _ = by_hand.placed(name, options, brief, by_columns(case, data, each["by name"]))
        for g, (rest, plain, block) in enumerate(by_hand.given(name, options, brief, values)):
            noise = by_hand.noise_of(brief, values, g)
            columns = np.concatenate([plain, block], axis=1)
            for week in (0, 17, weeks - 1):
                if name == "robust":  # nothing is integrated out: weeks are independent
                    expected = stats.t(values["freedom"][0], scale=noise).logpdf(rest[week])
                else:
                    others = np.delete(np.arange(weeks), week)
                    whole_panel, fewer = (by_hand.log_normal(rest[w], columns[w], noise) for w in (..., others))
                    expected = whole_panel - fewer
                assert each["left out"][g, week] == pytest.approx(expected, rel=1e-6, abs=1e-6)
        assert not each["left out"][:, weeks:].any()


@over_all
def test_slopes_are_finite_and_float32_is_close(case, panel):
    """As close as 64 roundings of point and KPI, of either sign in every number, can bring them apart."""
    data, z, every = told(case, panel)
    data_program, _, program = programs(case)
    rounded = in_float32(data_program, shown(case, panel))
    values, slopes = in_float32(program, in_axes(case, z, data, rounded), rounded)
    assert np.isfinite(slopes).all()
    for point, each, value in zip(z, every, values, strict=True):
        assert np.isfinite(each["slope"]).all() and np.isfinite(each["value"])
        apart = abs(each["slope in kpi"]).sum() * max(1.0, abs(data.kpi).max())
        apart += abs(each["slope"]) @ (1 + abs(point)) + abs(each["value"])
        assert value == pytest.approx(each["value"], abs=64 * np.finfo(np.float32).eps * apart)


@pytest.mark.parametrize("case", CASES)
def test_density_and_slope_are_finite_wherever_a_chain_may_go(case):
    """In float32, four standard deviations out, with a channel flighted and one never used."""
    panel = "masked geo" if CASES[case][0] == HIERARCHY else "masked"
    data, _, _ = told(case, panel)
    size = density.dimension(made(case)[0], data)
    far = np.random.default_rng(1).uniform(-4, 4, (40, size))
    values, slopes = in_float32(programs(case)[2], far, data)
    assert np.isfinite(values).all() and np.isfinite(slopes).all()


def in_axes(case, z, old, new):
    """The points z where the axes of the plain columns have turned: they do as soon as a rounding differs."""
    names = [each.name for each in made(case)[0].parameters]
    if "plain" not in names:
        return z
    assert names[-2:] == ["plain", "freedom"]
    before, plain, last = np.split(z, [-1 - old.turn.shape[-1], -1], axis=1)
    return np.concatenate([before, plain @ old.turn[0].T @ new.turn[0], last], axis=1)


@over_all
def test_what_is_linear_has_the_posterior_of_the_whole_covariance(case, panel):
    """Mean and covariance of what the linear part brings to the KPI: S V^-1 y and S - S V^-1 S, V = noise^2 I + S."""
    model, options = made(case)
    if not model.collapsed:
        pytest.skip("nothing is integrated out")
    name, brief = CASES[case][0], brief_of(panel)
    _, _, every = told(case, panel)
    weeks = int(brief.panel.origin)
    for each in every[:2]:
        values, _, _ = by_hand.placed(name, options, brief, each["by name"])
        for g, (rest, plain, block) in enumerate(by_hand.given(name, options, brief, values)):
            columns = np.concatenate([plain, block], axis=1)
            prior = columns @ columns.T
            kept = np.linalg.solve(prior + by_hand.noise_of(brief, values, g) ** 2 * np.eye(weeks), prior).T
            own = each["columns"][g][:, :weeks]
            half = np.linalg.solve(each["factor"][g], own)
            np.testing.assert_allclose(own.T @ each["mean"][g], kept @ rest, atol=1e-8 * abs(rest).max())
            np.testing.assert_allclose(half.T @ half, prior - kept @ prior, atol=1e-10 * prior.max())
            assert not each["columns"][g][:, weeks:].any()


@pytest.mark.parametrize("case", ["national", "weibull-cdf, free", "geo-hierarchical"])
def test_coefficients_are_drawn_from_their_conditional_and_their_prior(case):
    """Whitened, and before any KPI is seen, they are standard normal, geo by geo and across geos."""
    model, _ = made(case)
    data, z, _ = told(case, "geo")
    draws = 20_000

    def program(key, z, data):
        parameters = density.placed(model, z, data)
        keys = jax.random.split(jax.random.wrap_key_data(key), draws)

        def many(draw):
            return jax.vmap(lambda k: jnp.concatenate(draw(model, k, parameters, data), axis=1))(keys)

        return (
            many(density.linear_draw),
            many(density.linear_prior),
            whole(density.linear_given(model, parameters, data)),
        )

    after, before, (mean, factor) = in_float64(jax.jit(program), KEY, z[0], data)
    for normal in (np.einsum("gij,dgi->dgj", factor, after - mean), before):
        flat = normal.reshape(draws, -1)
        unit = np.eye(mean.size)
        np.testing.assert_array_less(abs(flat.mean(axis=0)), 5 / np.sqrt(draws))
        np.testing.assert_array_less(abs(flat.T @ flat / draws - unit), 5 * np.sqrt((1 + unit) / draws))


def test_a_return_is_paid_out_over_the_seen_weeks_and_the_tail():
    """Amplitude x curve, summed, is the return times the money spent; where none ever was, as if spent evenly."""
    for case in ("national", "meridian-style", "geo-hierarchical"):
        model, _ = made(case)
        panel = "masked geo" if model.geos else "masked"
        data, z, _ = told(case, panel)

        def program(z, data, model=model):
            parameters = density.placed(model, z, data)
            curve = density.curves(model, parameters, data)
            even = density.amplitudes(model, parameters, data, curve)
            return curve, even, density.bend(model, parameters)

        curve, amplitude, (half_at, slope) = in_float64(jax.jit(program), z[0], data)
        brief = brief_of(panel)
        for g, geo in enumerate(by_hand.seen(CASES[case][0], brief)):
            weeks, unit = len(geo.kpi), by_hand.kpi_scale(CASES[case][0], geo.kpi)[1] * brief.context.unit_value
            stop = None if model.tail else weeks
            brought = amplitude[g] * curve[g, :, :stop].sum(axis=-1) * unit
            used = geo.spend.sum(axis=0) > 0
            np.testing.assert_allclose(brought[used], geo.spend.sum(axis=0)[used], rtol=1e-12)
            money = data.money[g, ~used]
            even = weeks * by_hand.hill(1.0, half_at[1], slope[1])
            np.testing.assert_allclose(amplitude[g, ~used] * even * unit, weeks * money, rtol=1e-12)


@pytest.mark.parametrize("changed", [{}, {"bases": 20, "length": 10.0}])
def test_a_path_is_a_squared_exponential_process(changed):
    """The products of waves are its covariance, near enough for a prior: within a twentieth of its variance."""
    model = made("time-varying")[0]._replace(**changed)
    brief, weeks = brief_of("national"), 60
    waves = in_float64(jax.jit(lambda b: data_of(b, model).waves), brief)
    lag = np.subtract.outer(np.arange(weeks), np.arange(weeks))
    expected = np.exp(-0.5 * (lag / model.length) ** 2)
    np.testing.assert_allclose(waves[:weeks] @ waves[:weeks].T, expected, rtol=0, atol=0.05)
    np.testing.assert_array_equal(waves[weeks:], np.broadcast_to(waves[weeks - 1], waves[weeks:].shape))


def test_weeks_that_are_not_seen_change_nothing():
    """Whatever stands at and after the origin."""
    brief, data_program = brief_of("masked geo"), programs(HIERARCHY)[0]
    seen = (np.arange(len(brief.panel.kpi)) < brief.panel.origin).astype(float)

    def zeroed(x):
        return np.where(seen.reshape(-1, *(1,) * (x.ndim - 1)) > 0, x, 0.0)

    panel = brief.panel
    other = panel._replace(**{f: zeroed(getattr(panel, f)) for f in ("kpi", "lever", "spend", "controls")})
    one, two = (in_float64(data_program, b) for b in (brief, brief._replace(panel=other)))
    jax.tree.map(np.testing.assert_array_equal, one, two)


@pytest.mark.parametrize("case", ["robust", "geo-hierarchical, tiers", "pymc-marketing-style"])
def test_points_of_the_prior_are_draws_of_its_distributions(case):
    model, options = made(case)
    data, _, _ = told(case, "geo")

    def program(key, data):
        z = density.prior_points(model, jax.random.wrap_key_data(key), data, 2000)
        return density.split(model, z, data)

    points = in_float64(jax.jit(program), KEY, data)
    brief = brief_of("geo")
    values, _, _ = by_hand.placed(CASES[case][0], options, brief, points)
    for parameter, (distribution, _) in by_hand.priors(CASES[case][0], options, brief).items():
        level = distribution.cdf(values[parameter])
        for member in level.T:
            assert stats.kstest(member, "uniform").pvalue > 1e-4
        # members are independent: correlations vanish, within five standard errors
        correlation = np.corrcoef(level.T).reshape(level.shape[1], -1) - np.eye(level.shape[1])
        assert abs(correlation).max() < 5 / np.sqrt(2000)
