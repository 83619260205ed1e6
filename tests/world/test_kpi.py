"""What is observed of the mean: noise that grows with it, and counts."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from simbench.blocks import in_float64
from simbench.errors import BadInput
from simbench.world import kpi
from simbench.world.base import Seen
from simbench.world.forms import form_of
from simbench.world.scenario import read_scenario
from simbench.world.spend import reaction
from simbench.world.truth import draw, fresh_futures

PRE, WEEKS, HOLDOUT = 12, 60, 8
GAUSSIAN = 'kind = "gaussian"\nshare = 0.05'
COUNTS = {
    "poisson": 'kind = "poisson"',
    "poisson-zero": 'kind = "poisson"\nzero = 0.3',
    "negative-binomial": 'kind = "negative-binomial"\ndispersion = 2.5',
    "negative-binomial-zero": 'kind = "negative-binomial"\ndispersion = 8.0\nzero = 0.2',
}
SMALL = ("low = 800.0, high = 1200.0", "low = 15.0, high = 30.0")


def counted(noise: str, name: str, make=worlds.plain, **options) -> str:
    """A world of small counts: some twenty a week, a third of them brought by media."""
    money = {} if "money" in options or make is not worlds.plain else {"money": 0.05}
    text = make(name=name, **money, **options)
    for old, new in ((GAUSSIAN, noise), SMALL):
        assert old in text
        text = text.replace(old, new)
    return text


# --- the quantile of a count


@pytest.fixture(scope="module")
def quantiles():
    programs = {kind: jax.jit(lambda n, m, u, kind=kind: kpi.quantile(kind, n, m, u)) for kind in kpi.LAWS}

    def of(kind, mean, u, dispersion=1.0):
        mean, u = np.broadcast_arrays(np.float64(mean), np.float64(u))
        return in_float64(programs[kind], {"dispersion": np.float64(dispersion)}, mean, u)

    return of


def law(kind, mean, dispersion):
    return stats.poisson(mean) if kind == "poisson" else stats.nbinom(dispersion, dispersion / (dispersion + mean))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(kpi.LAWS)), st.floats(-6, 3), st.floats(-1.5, 2), st.integers(0, 10**6))
def test_quantiles_are_those_of_the_law(quantiles, kind, power, spread, seed):
    mean, dispersion, u = 10.0**power, 10.0**spread, np.random.default_rng(seed).random(40)
    found, right = quantiles(kind, np.full(40, mean), u, dispersion), law(kind, mean, dispersion)
    assert (found == np.round(found)).all() and (found >= 0).all()
    # the smallest count that is not exceeded with chance u, up to the rounding of sums
    assert (right.cdf(found) >= u - 1e-11).all() and (right.cdf(found - 1) <= u + 1e-11).all()


def test_quantiles_next_to_the_ends(quantiles):
    u = np.array([0.0, 2.0**-53, 1 - 1e-12, 1 - 2.0**-53])
    for kind, mean, dispersion in (("poisson", 7.0, 1.0), ("negative-binomial", 7.0, 0.3), ("poisson", 3000.0, 1.0)):
        found = quantiles(kind, np.full(4, mean), u, dispersion)
        assert found[0] == 0 and found[3] == found[2]
        np.testing.assert_allclose(found[2], law(kind, mean, dispersion).ppf(u[2]), rtol=0.02)
    assert quantiles("poisson", 1e-9, u[:3]).tolist() == [0, 0, 1]  # P(K = 0) = 1 - 1e-9


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(kpi.LAWS)), st.floats(0, 1 - 1e-6), st.floats(0.1, 50), st.integers(0, 10**6))
def test_a_higher_mean_never_counts_less(quantiles, kind, u, dispersion, seed):
    means = np.sort(np.random.default_rng(seed).lognormal(2.0, 2.0, 40))
    assert (np.diff(quantiles(kind, means, np.full(40, u), dispersion)) >= 0).all()


# --- worlds of counts


@pytest.mark.parametrize("name", COUNTS)
def test_counts_have_their_mean_and_variance(name, tmp_path):
    drawn = draw(worlds.written(tmp_path, counted(COUNTS[name], f"moments-{name}", geos=2)), 400, truth=False)
    path, number = drawn.secret.path, drawn.scenario.noise
    count, mean = path.kpi, path.mean
    assert (count == np.round(count)).all() and (count >= 0).all() and mean.min() > 0
    some = mean / (1 - number.zero)
    second = some + some**2 + (some**2 / number.dispersion if "dispersion" in COUNTS[name] else 0.0)
    variance = (1 - number.zero) * second - mean**2
    z = (count - mean) / np.sqrt(variance)
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs((z**2).mean() - 1) < 4 * (z**2).std() / np.sqrt(z.size)
    assert (count == 0).mean() > 0.99 * number.zero


def test_the_mean_knows_nothing_of_the_noise(tmp_path):
    """One family under several kinds of noise: one truth."""
    texts = {"gaussian": GAUSSIAN, "growing": f"{GAUSSIAN}\npower = 0.8", "counts": COUNTS["poisson-zero"]}
    truths = []
    for name, noise in texts.items():
        (tmp_path / name).mkdir()
        truths.append(draw(worlds.written(tmp_path / name, counted(noise, "family")), 2).truth)
    for truth in truths[1:]:
        for field in ("contribution", "marginal", "curve", "baseline", "forecast", "plan_value"):
            np.testing.assert_allclose(
                getattr(truth.answers, field), getattr(truths[0].answers, field), rtol=1e-9, atol=1e-9, err_msg=field
            )
        assert not np.allclose(truth.kpi_future, truths[0].kpi_future)


@pytest.mark.parametrize("name", ["poisson-zero", "negative-binomial"])
def test_what_comes_is_one_of_the_fresh_futures(name, tmp_path):
    """Ranks of the realised count among fresh futures are uniform over worlds, ties broken by chance."""
    drawn = draw(worlds.written(tmp_path, counted(COUNTS[name], f"ranks-{name}")), 400, truth=False, origin=-13)
    start = PRE + WEEKS - 13
    realised = drawn.secret.path.kpi[:, start : start + HOLDOUT].sum(axis=-1)
    fresh = fresh_futures(drawn, 99).sum(axis=-1)
    assert (fresh == np.round(fresh)).all()
    jitter = np.random.default_rng(0).random((400, 100, HOLDOUT))
    for pick in (lambda x: x[..., 0], lambda x: x[..., -1], lambda x: x.sum(axis=-1)):
        mine, others = pick(realised + jitter[:, 0] * 1e-3), pick(fresh + jitter[:, 1:] * 1e-3)
        rank = (others < mine[:, None]).sum(axis=1)
        assert stats.chisquare(np.bincount(rank // 10, minlength=10)).pvalue > 0.005


def test_rules_that_chase_counts_read_them(tmp_path):
    """With feedback the count of each arm is that of its own mean at the arm's shared uniforms."""
    text = counted(COUNTS["poisson"], "chasing-counts", make=worlds.chasing)
    drawn = draw(worlds.written(tmp_path, text), 2)
    path, eta = drawn.secret.path, drawn.secret.noise.innovations["noise"][:, : PRE + WEEKS + HOLDOUT]
    np.testing.assert_array_equal(path.kpi, stats.poisson(path.mean).ppf(eta))
    assert np.isfinite(drawn.truth.responding.contribution).all()
    assert not np.allclose(drawn.truth.responding.contribution, drawn.truth.answers.contribution, rtol=1e-6)


def test_a_rule_that_has_seen_nothing_counted_spends_its_plan(tmp_path):
    form = form_of(read_scenario(worlds.written(tmp_path, worlds.chasing())))
    rules = {"social": {"strength": 2.0, "low": 0.5, "high": 3.0}}
    for recent, factor in ((np.zeros(6), 1.0), (np.array([4.0, 0, 2, 0, 0, 0]), 0.5)):
        found = in_float64(jax.jit(lambda kpi: reaction(form, rules, Seen(0, 0, kpi, rules, 0, 1.0))), recent)
        np.testing.assert_allclose(found, [1.0, factor])


def test_what_is_no_small_count_is_refused(tmp_path):
    text = (
        worlds.plain(name="huge")
        .replace(GAUSSIAN, COUNTS["poisson"])
        .replace("low = 800.0, high = 1200.0", "low = 2e5, high = 3e5")
    )
    with pytest.raises(BadInput, match="100,000"):
        draw(worlds.written(tmp_path, text), 1, truth=False)


# --- noise that grows with the mean


def test_a_power_of_nothing_is_constant_noise():
    rng = np.random.default_rng(1)
    mean, eta, share = rng.random((9, 3)), rng.standard_normal((9, 3)), np.array([0.5, 0.3, 0.2])
    slot = {"sd": np.float64(0.1), "share": share, "reference": np.float64(1.0), "number": {"power": np.float64(0.0)}}
    constant, growing = (in_float64(jax.jit(law), slot, mean, eta) for law in (kpi.added, kpi.growing))
    np.testing.assert_array_equal(growing, constant)


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_noise_grows_with_a_power_of_the_mean(power, tmp_path):
    text = worlds.plain(name="growing", geos=3).replace(GAUSSIAN, f'kind = "gaussian"\nsd = 40.0\npower = {power}')
    drawn = draw(worlds.written(tmp_path, text), 50, truth=False)
    path, share = drawn.secret.path, drawn.secret.now["told"]["share"][:, None]
    reference = drawn.secret.now["kpi"]["reference"][:, None, None]
    size = 40.0 * np.sqrt(share) * (path.mean / (share * reference)) ** power
    eta = drawn.secret.noise.innovations["noise"][:, : path.kpi.shape[1]]
    np.testing.assert_allclose(path.kpi, path.mean + size * eta, rtol=1e-12)
    assert np.ptp(size / size.mean(axis=1, keepdims=True)) > 0.2
