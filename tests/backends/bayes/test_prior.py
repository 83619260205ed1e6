"""Every kind of prior against SciPy: its density in z, its draws, its extremes."""

from __future__ import annotations

import bayes_by_hand as by_hand
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simbench.backends.bayes.prior import KINDS, Prior, distribution, draw, log_density, value
from simbench.blocks import in_float32, in_float64

KEY = np.array([5, 6], dtype=np.uint32)
EPS = np.finfo(float).eps
#: Numbers of the models, and some harder ones.
CASES = [
    ("normal", (0.3, 2.0)), ("lognormal", (-0.5, 0.7)), ("lognormal", (0.2, 0.9)), ("half-normal", (0.2,)),
    ("half-normal", (5.0,)), ("beta", (3.0, 3.0)), ("beta", (1.0, 1.0)), ("beta", (0.5, 2.0)), ("gamma", (2.0, 0.1)),
    ("gamma", (0.7, 3.0)), ("truncated-normal", (0.8, 0.8, 0.1, 10.0)), ("truncated-normal", (-1.0, 0.5, 0.0, 1.0)),
    ("laplace", (1.5,)), ("falling", (1.0,)), ("falling", (3.0,)),
]  # fmt: skip
of_cases = pytest.mark.parametrize(("kind", "numbers"), CASES)
small = st.floats(0.2, 4.0)
NUMBERS = {
    "normal": st.tuples(st.floats(-3, 3), small), "lognormal": st.tuples(st.floats(-3, 3), small),
    "half-normal": st.tuples(small), "beta": st.tuples(small, small), "gamma": st.tuples(small, small),
    "truncated-normal": st.tuples(st.floats(-1, 2), small, st.floats(-1, 0), st.floats(1, 4)),
    "laplace": st.tuples(small), "falling": st.tuples(st.floats(0.75, 4.0)),  # of less, values near 1 round to it
}  # fmt: skip


def in_kind(kind, what):
    """One compiled function of (z, numbers)."""
    return jax.jit(lambda z, numbers: what(Prior(kind, numbers), z))


VALUE = {kind: in_kind(kind, value) for kind in KINDS}
DENSITY = {kind: in_kind(kind, log_density) for kind in KINDS}
POINT = {kind: jax.jit(lambda x, numbers, kind=kind: KINDS[kind].point(x, *numbers)) for kind in KINDS}


#: To how many roundings the oracle's quantile is right.
DIGITS = 16


def rounding(z, x, log_slope):
    """What rounding x does to z, a few times."""
    return DIGITS * EPS * (1 + abs(z)) * (1 + (1 + abs(x)) * np.exp(-log_slope))


def test_every_kind_is_covered():
    assert set(KINDS) == set(NUMBERS) == {kind for kind, _ in CASES} == set(by_hand.KINDS)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), z=st.floats(-6, 6))
def test_value_point_and_density_are_those_of_scipy(kind, data, z):
    numbers = data.draw(NUMBERS[kind])
    of_scipy, place = by_hand.KINDS[kind](*numbers)
    x, log_slope = place(z)
    told = float(in_float64(VALUE[kind], z, numbers))
    off = rounding(z, x, log_slope)
    assert told == pytest.approx(x, rel=1e-14, abs=DIGITS * EPS * (1 + abs(x)))
    assert float(in_float64(POINT[kind], told, numbers)) == pytest.approx(z, abs=off)
    expected = of_scipy.logpdf(x) + log_slope
    # the density may change as fast as it is large
    assert float(in_float64(DENSITY[kind], z, numbers)) == pytest.approx(expected, abs=off * (10 + abs(expected)))


@given(numbers=NUMBERS["truncated-normal"], z=st.floats(-6, 6))
def test_a_truncated_number_has_the_quantile_of_its_point(numbers, z):
    """By SciPy's own distribution function, which is right to nine digits far out."""
    distribution, _ = by_hand.KINDS["truncated-normal"](*numbers)
    told = float(in_float64(VALUE["truncated-normal"], z, numbers))
    assert distribution.cdf(told) == pytest.approx(stats.norm.cdf(z), abs=1e-8)


@of_cases
def test_the_density_is_normalised(kind, numbers):
    """By the trapezoidal rule, whose error at the kink of Laplace's density is a twelfth of the squared step."""
    z = np.linspace(-60, 60, 40_001)
    mass = np.exp(in_float64(DENSITY[kind], z, numbers))
    assert np.trapezoid(mass, z) == pytest.approx(1, abs=1e-6)


@of_cases
def test_draws_follow_the_distribution(kind, numbers):
    def drawn(key, numbers):
        prior = Prior(kind, numbers)
        z = draw(prior, jax.random.wrap_key_data(key), (20_000,), jnp.float64)
        return z, value(prior, z)

    z, x = in_float64(jax.jit(drawn), KEY, numbers)
    assert z.dtype == float and np.isfinite(z).all()
    assert stats.kstest(x, by_hand.KINDS[kind](*numbers)[0].cdf).pvalue > 1e-3


@of_cases
def test_far_points_are_finite(kind, numbers):
    def all_of(z, numbers):
        prior = Prior(kind, numbers)
        return value(prior, z), log_density(prior, z), jax.grad(log_density, argnums=1)(prior, z)

    for call in (in_float32, in_float64):
        for z in (-40.0, -12.0, 0.0, 12.0, 40.0):
            assert np.isfinite(call(jax.jit(all_of), z, numbers)).all()


@of_cases
def test_numpyro_has_the_same_distribution(kind, numbers):
    """In float64 at values well inside, where rounding a value costs nothing."""
    of_scipy, place = by_hand.KINDS[kind](*numbers)
    x = place(np.linspace(-3, 3, 13))[0]
    told = in_float64(lambda: distribution(Prior(kind, numbers)).log_prob(jnp.asarray(x)))
    np.testing.assert_allclose(told, of_scipy.logpdf(x), rtol=1e-12, atol=1e-12)


def test_numbers_may_differ_between_members():
    mean, sd = np.array([-1.0, 2.0]), np.array([0.5, 3.0])
    z = np.array([[0.1, -0.2], [1.0, 2.0]])
    np.testing.assert_allclose(in_float64(VALUE["normal"], z, (mean, sd)), mean + sd * z, rtol=1e-15)
    drawn = in_float64(lambda key: draw(Prior("normal", (mean, sd)), jax.random.wrap_key_data(key), (7, 2), float), KEY)
    assert drawn.shape == (7, 2)
