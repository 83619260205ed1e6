"""Engines know nothing but a log density: on targets whose moments are known they are right, or say that they are not.

Every claim about an average is that of many independent fits, whose own spread is its standard error.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import digamma, polygamma

from simbench.backends.bayes import hmc, mode
from simbench.backends.bayes.diagnose import KHAT, RHAT, chains_agree
from simbench.backends.bayes.engine import Engine
from simbench.backends.bayes.fit import Programs, diagnostics_of, fitted
from simbench.backends.bayes.pairs import WAYS, engine_of
from simbench.blocks import in_float32, in_float64

FITS = 24
OPTIONS = {"hmc": {"rounds": 1}, "laplace": {}, "nuts": {"chains": 1, "warmup": 150, "samples": 400}}
Z = 4.0  #: standard errors that an average may be off


def made(way: str, **changed: Any) -> Engine:
    """An engine with its default options, some of them changed."""
    options = {option.name: option.default for option in WAYS[way].options} | OPTIONS[way] | changed
    return engine_of(way, **{name: x for name, x in options.items() if name not in ("precision", "strict")})


def keys(fits: int, stage: int = 0) -> np.ndarray:
    return np.column_stack([np.arange(fits), np.full(fits, stage)]).astype(np.uint32)


# --- targets


class Target(NamedTuple):
    """A log density, up to a constant, and what is known of it."""

    log_density: Any
    mean: np.ndarray
    variance: np.ndarray

    @property
    def size(self) -> int:
        return len(self.mean)


ROOT = np.linalg.cholesky(0.3 * np.eye(5) + 0.7) * np.array([0.1, 1.0, 3.0, 1.0, 10.0])[:, None]
CENTRE = np.array([1.0, -2.0, 0.0, 5.0, 0.3])
SHAPES = np.array([1.5, 3.0, 10.0])
BEND, THICK, SWING = 0.5, 0.7, 0.5


def banana(z):
    """z_0 standard normal, z_1 around a parabola of it."""
    return -0.5 * z[0] ** 2 - 0.5 * ((z[1] - BEND * (z[0] ** 2 - 1.0)) / THICK) ** 2


def funnel(z):
    """Neal's, mild: z_0 is the log of the variance of the others."""
    return -0.5 * (z[0] / SWING) ** 2 - 0.5 * (z[1:] ** 2).sum() * jnp.exp(-z[0]) - z[0]


TARGETS = {
    "normal": Target(
        lambda z: -0.5 * (jax.scipy.linalg.solve_triangular(jnp.asarray(ROOT), z - CENTRE, lower=True) ** 2).sum(),
        CENTRE, (ROOT**2).sum(axis=1),
    ),
    "banana": Target(banana, np.zeros(2), np.array([1.0, THICK**2 + 2 * BEND**2])),
    "funnel": Target(funnel, np.zeros(3), np.array([SWING**2, *[np.exp(SWING**2 / 2)] * 2])),
    "log of gammas": Target(
        lambda z: (SHAPES * z - jnp.exp(z)).sum(), digamma(SHAPES), polygamma(1, SHAPES)
    ),
}  # fmt: skip
ALL_TARGETS = pytest.mark.parametrize("name", TARGETS)


def rounds(engine: Engine, log_density: Any, size: int, fits_keys: Any, dtype: Any, count: int = 1) -> Any:
    """State and draws of several fits side by side, after some rounds."""

    def one(key: Any) -> Any:
        state = engine.begin(log_density, size, jax.random.wrap_key_data(key), dtype)
        told = []
        for _ in range(count):
            state, draws = engine.advance(log_density, state)
            told.append(draws)
        return state, told

    return jax.vmap(one)(fits_keys) if engine.together else jax.lax.map(one, fits_keys)


@cache
def fits(name: str, way: str) -> Any:
    """State and draws of many fits of a target."""
    target, engine = TARGETS[name], made(way)
    state, (draws,) = in_float64(
        jax.jit(lambda k: rounds(engine, target.log_density, target.size, k, float)), keys(FITS)
    )
    return state, draws


# --- moments


@ALL_TARGETS
@pytest.mark.parametrize("way", WAYS)
def test_means_and_variances_are_those_of_the_target(name, way):
    """Over many fits; squares are about the known mean, so that they are averages too."""
    target, (_, draws) = TARGETS[name], fits(name, way)
    away = draws.points.reshape(FITS, -1, target.size) - target.mean
    for told, expected in ((away, 0.0), (away**2, target.variance)):
        by_fit = told.mean(axis=1)
        error = by_fit.std(axis=0, ddof=1) / np.sqrt(FITS)
        np.testing.assert_array_less(abs(by_fit.mean(axis=0) - expected), Z * error)
        # it is a sharp question: an error of a fifth of the spread would show
        assert (error < 0.2 / Z * np.sqrt(target.variance) ** (1 if told is away else 2)).all()


@pytest.mark.parametrize("way", WAYS)
def test_a_correlated_normal_has_its_covariance(way):
    _, draws = fits("normal", way)
    white = np.linalg.solve(ROOT, (draws.points.reshape(FITS, -1, 5) - CENTRE).swapaxes(1, 2))
    by_fit = white @ white.swapaxes(1, 2) / white.shape[2]
    error = by_fit.std(axis=0, ddof=1) / np.sqrt(FITS)
    np.testing.assert_array_less(abs(by_fit.mean(axis=0) - np.eye(5)), Z * error)


@ALL_TARGETS
def test_effective_draws_are_what_the_means_of_fits_spread_by(name):
    """Variance over fits of a chain's mean = variance / effective draws: with 23 degrees of freedom, within a half."""
    target, (_, draws) = TARGETS[name], fits(name, "hmc")
    _, ess = in_float64(jax.jit(jax.vmap(chains_agree)), draws.points)
    spread = draws.points.mean(axis=(1, 2)).var(axis=0, ddof=1) * ess.mean(axis=0) / target.variance
    assert ((spread > 0.5**2) & (spread < 1.5**2)).all()


@ALL_TARGETS
def test_nothing_is_called_wrong_that_is_right(name):
    _, draws = fits(name, "hmc")
    rhat, _ = in_float64(jax.jit(jax.vmap(chains_agree)), draws.points)
    assert (rhat < 1.05).all()
    # in the far arms of a parabola a step of fixed width is too wide, and says so: of a few trajectories in a hundred;
    # in the neck of a funnel, which longer trajectories reach now and then, of a few in ten thousand
    few = {"banana": 0.03, "funnel": 0.0005}.get(name, 0.0)
    assert draws.divergences.sum() <= few * draws.points.size / TARGETS[name].size
    khat = fits(name, "laplace")[1].khat  # the parabola is at the border: its arms leave the ellipse at the mode
    assert np.isnan(draws.khat).all() and (np.median(khat) if name == "banana" else khat.max()) < KHAT


def test_float32_finds_the_same_mean():
    target, engine = TARGETS["log of gammas"], made("hmc")
    program = jax.jit(lambda k: rounds(engine, target.log_density, target.size, k, jnp.float32))
    _, (draws,) = in_float32(program, keys(FITS))
    assert draws.points.dtype == np.float32
    by_fit = draws.points.astype(float).mean(axis=(1, 2))
    np.testing.assert_array_less(abs(by_fit.mean(axis=0) - target.mean), Z * by_fit.std(axis=0, ddof=1) / np.sqrt(FITS))


# --- what engines adapt


@pytest.mark.parametrize("aim", [0.6, 0.8, 0.95])
@ALL_TARGETS
def test_steps_are_adapted_to_the_acceptance_asked_for(name, aim):
    """Of the trajectories that follow, on average over fits; a hundred steps of adaptation are noisy.

    Half of them are for the widths, and the average of the other half leans to small steps: the careful side.
    """
    target, engine = TARGETS[name], made("hmc", accept=aim)
    tuning = hmc.Tuning(4, 100, 200, 1, 6, 6, aim, 400.0)

    def acceptance(key):
        state = engine.begin(target.log_density, target.size, jax.random.wrap_key_data(key), float)
        drawn = hmc.chance(jax.random.wrap_key_data(state.key), (100, 4), target.size, float)
        white = hmc.white(target.log_density, state.normal)
        move = jax.vmap(lambda chain, now: hmc.moved(white, tuning.leapfrogs, chain, state.step, now))

        def step(chains, now):
            chains, accept, _ = move(chains, now)
            return chains, accept

        return jax.lax.scan(step, state.chains, drawn)[1].mean()

    told = in_float64(jax.jit(jax.vmap(acceptance)), keys(FITS))
    assert -0.05 < told.mean() - aim < 0.45 * (1 - aim) + 0.03


def test_the_metric_of_a_normal_is_exact():
    """The approximation is the target: its spread is a root of the covariance, and all weights are those of a t."""
    state, draws = fits("normal", "laplace")
    spread = state.normal.spread
    np.testing.assert_allclose(spread @ spread.swapaxes(1, 2), np.broadcast_to(ROOT @ ROOT.T, spread.shape), rtol=1e-6)
    np.testing.assert_allclose(state.normal.mode.z, np.broadcast_to(CENTRE, (FITS, 5)), atol=1e-6)
    assert (draws.khat < 0.3).all() and (draws.ess > 1000).all()


@pytest.mark.parametrize("way", WAYS)
def test_a_direction_that_only_the_prior_knows_has_its_width(way):
    """Two numbers whose sum is told sharply: along their difference chains go as wide as the prior."""

    def ridge(z):
        return -0.5 * (z**2).sum() - 0.5 * ((z[0] + z[1] - 1.0) / 0.01) ** 2

    engine = made(way)
    _, (draws,) = in_float64(jax.jit(lambda k: rounds(engine, ridge, 3, k, float)), keys(FITS))
    points = draws.points.reshape(FITS, -1, 3)
    for free in ((points[..., 0] - points[..., 1]) / np.sqrt(2), points[..., 2]):
        by_fit = (free**2).mean(axis=1)
        assert abs(by_fit.mean() - 1.0) < Z * by_fit.std(ddof=1) / np.sqrt(FITS)


# --- what they say of themselves


def two_modes(apart):
    """Two standard normals that far apart, one three times the weight of the other."""
    at = np.array([apart / 2, 0.0])

    def log_density(z):
        return jnp.logaddexp(np.log(0.25) - 0.5 * ((z - at) ** 2).sum(), np.log(0.75) - 0.5 * ((z + at) ** 2).sum())

    return log_density


def test_chains_in_two_modes_do_not_agree():
    """Climbs from four places end in both modes unless chance has all of them on one side: one fit in eight."""
    engine = made("hmc")
    _, (draws,) = in_float64(jax.jit(lambda k: rounds(engine, two_modes(12.0), 2, k, float)), keys(FITS))
    rhat, _ = in_float64(jax.jit(jax.vmap(chains_agree)), draws.points)
    side = np.sign(draws.points[..., 0].mean(axis=2))
    both = abs(side.sum(axis=1)) < 4
    assert both.mean() > 0.6 and (rhat[both].max(axis=1) > 1.1).all()


def test_weights_far_from_normal_are_not_trusted():
    """A tail that no normal approximation at the mode reaches: Cauchy in every direction."""
    engine = made("laplace")

    def cauchy(z):
        return -jnp.log1p(z**2).sum()

    _, (draws,) = in_float64(jax.jit(lambda k: rounds(engine, cauchy, 10, k, float)), keys(FITS))
    assert (draws.khat > KHAT).all()


@pytest.mark.parametrize("way", ["hmc", "laplace"])
def test_a_density_that_is_nowhere_finite_is_not_trusted(way):
    engine = made(way)

    def nowhere(z):
        return jnp.nan * z.sum()

    _, (draws,) = in_float64(jax.jit(lambda k: rounds(engine, nowhere, 2, k, float)), keys(4))
    _, ess = in_float64(jax.jit(jax.vmap(chains_agree)), draws.points)
    assert (draws.khat > KHAT).all() if way == "laplace" else (ess <= 1.0).all()


# --- rounds and lanes


class Ring(NamedTuple):
    """What stands for data: the width of a world's valley; it is the harder the narrower."""

    width: Any


def stages(engine: Engine) -> Programs:
    """A fit of bananas of several widths."""

    def target(data):
        return lambda z: -0.5 * z[0] ** 2 - 0.5 * ((z[1] - z[0] ** 2) / data.width) ** 2

    def begin(key, data):
        return engine.begin(target(data), 2, jax.random.wrap_key_data(key), float)

    def judge(data, points):
        rhat, ess = chains_agree(points)
        return rhat.max(), ess.min(), ess.min()

    def advance(data, state):
        return engine.advance(target(data), state)

    return Programs(None, *(jax.jit(jax.vmap(each)) for each in (begin, advance, judge)), None)


WIDTHS = np.array([2.0, 0.1, 1.5, 0.05, 3.0, 0.07, 1.0])
LANES = 4


@pytest.fixture(scope="module")
def ring():
    """Seven worlds, easy and hard, fitted in lanes of four, until they have enough."""
    engine = made("hmc", samples=200, rounds=3)
    programs = stages(engine)
    found = fitted(programs, engine, keys(len(WIDTHS)), Ring(WIDTHS), LANES, "float64")
    sizes = [each._cache_size() for each in (programs.begin, programs.advance, programs.judge)]
    return engine, programs, found, sizes


def test_rounds_go_on_until_there_is_enough(ring):
    engine, _, found, _ = ring
    told = [diagnostics_of(engine, found, i) for i in range(len(WIDTHS))]
    taken = np.array([points.shape[1] for points in found.points]) // engine.options.samples
    assert set(taken) > {1} and taken.max() <= engine.rounds
    for each, count, points in zip(told, taken, found.points, strict=True):
        assert each.converged == float(each.rhat_max <= RHAT and each.ess_min >= engine.ess)
        assert each.status == 1 - each.converged
        # whoever went on had not enough before
        assert each.converged or count == engine.rounds
        if count > 1:
            rhat, ess = in_float64(jax.jit(chains_agree), points[:, : engine.options.samples * (count - 1)])
            assert rhat.max() > RHAT or ess.min() < engine.ess


def test_nothing_is_compiled_anew_for_those_that_go_on(ring):
    """Only their judge sees longer chains."""
    engine, _, found, sizes = ring
    longest = max(points.shape[1] for points in found.points) // engine.options.samples
    assert longest > 1
    assert sizes == [1, 1, longest]


def test_company_changes_nothing(ring):
    engine, programs, found, _ = ring
    for i in range(len(WIDTHS)):
        alone = fitted(programs, engine, keys(len(WIDTHS))[i : i + 1], Ring(WIDTHS[i : i + 1]), LANES, "float64")
        np.testing.assert_array_equal(alone.points[0], found.points[i])
        assert (alone.rhat[0], alone.ess[0], alone.divergences[0]) == (
            found.rhat[i],
            found.ess[i],
            found.divergences[i],
        )


def test_a_world_without_a_density_stops_and_its_neighbours_stand(ring):
    engine, programs, found, _ = ring
    lost = fitted(programs, engine, keys(len(WIDTHS)), Ring(np.where(WIDTHS == 2.0, np.nan, WIDTHS)), LANES, "float64")
    assert lost.points[0].shape[1] == engine.options.samples and not diagnostics_of(engine, lost, 0).converged
    for mine, theirs in zip(lost.points[1:], found.points[1:], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_later_round_goes_on_where_the_last_one_ended():
    """No draw is told twice, and the two rounds are of one chain: neighbours across the seam are as close as others."""
    target, engine = TARGETS["banana"], made("hmc", leapfrogs=1, longer=1, samples=50)
    program = jax.jit(lambda k: rounds(engine, target.log_density, 2, k, float, count=2))
    _, (first, second) = in_float64(program, keys(FITS))
    assert not (first.points == second.points).all(axis=(1, 2, 3)).any()
    seam = (first.points[:, :, -1, 0] * second.points[:, :, 0, 0]).mean()
    usual = (first.points[:, :, 1:, 0] * first.points[:, :, :-1, 0]).mean(axis=(1, 2))
    assert usual.mean() > 0.3 and abs(seam - usual.mean()) < 0.5


# --- the climb


def test_a_climb_finds_the_top_of_a_hill_far_away():
    def far(z):
        return -0.5 * ((z - 4.0) ** 2).sum()

    normal, ends = in_float64(jax.jit(lambda k: mode.found(far, 3, jax.random.wrap_key_data(k), float)), keys(1)[0])
    np.testing.assert_allclose(normal.mode.z, 4.0, atol=1e-8)
    np.testing.assert_allclose(ends.z, 4.0, atol=0.25)  # of a hill of width 1: where chains may start


def test_a_curvature_that_is_none_is_mended():
    """A saddle has no normal approximation: the next best is finite, and importance sampling says that it is none."""

    def saddle(z):
        return z[0] ** 2 - z[1] ** 2 - 0.1 * z[0] ** 4

    normal, _ = in_float64(jax.jit(lambda k: mode.found(saddle, 2, jax.random.wrap_key_data(k), float)), keys(1)[0])
    assert abs(normal.mode.z[0]) == pytest.approx(np.sqrt(5.0), abs=1e-6) and np.isfinite(normal.spread).all()
