"""Carry-over, saturation and time bases."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simbench.blocks import in_float64
from simbench.transforms import (
    CARRY_OVER,
    SATURATION,
    UNBOUNDED,
    autoregressive,
    by_kind,
    carry,
    carry_last,
    carry_late,
    fourier,
    join,
    kernel,
    logarithm,
    pick,
    remember,
    saturate,
    steepest_at,
)

NUMBERS = {
    "geometric": {"retention": 0.7},
    "delayed": {"retention": 0.6, "peak": 2.0},
    "weibull-pdf": {"shape": 2.0, "scale": 4.0},
    "weibull-cdf": {"shape": 1.5, "scale": 3.0},
    "binomial": {"retention": 0.5},
    "brand-stock": {"retention": 0.3, "slow_share": 0.4, "slow_half_life": 20.0},
    "none": {},
}


NORMAL = st.floats(2.0**-1022, allow_infinity=False, allow_nan=False)


@given(st.lists(NORMAL | st.floats(0.5, 2.0) | NORMAL.map(lambda x: 1.0 + 1e-12 * np.log(x)), min_size=1, max_size=50))
def test_logarithm_is_within_one_unit_in_the_last_place(x):
    with np.errstate(all="ignore"):
        exact = np.log(np.array(x, dtype=np.longdouble))
    assert np.finfo(np.longdouble).nmant > 60, "needs a float longer than the one it checks"
    off = np.abs(in_float64(jax.jit(logarithm), np.array(x)) - exact)
    assert (off <= np.spacing(np.abs(exact).astype(np.float64))).all()


def test_logarithm_at_the_ends():
    x = np.array([0.0, -0.0, -1.0, -np.inf, np.inf, np.nan, 1.0])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(in_float64(jax.jit(logarithm), x), np.log(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logarithm_has_the_slope_and_curvature_of_a_logarithm(dtype):
    with jax.enable_x64(True):
        x = np.array([1e-9, 0.3, 1.0, 7.0, 1e12], dtype)
        slope, bend = (np.asarray(jax.vmap(f)(x)) for f in (jax.grad(logarithm), jax.grad(jax.grad(logarithm))))
        assert slope.dtype == bend.dtype == logarithm(x).dtype == dtype
    np.testing.assert_allclose(slope, 1.0 / x, rtol=1e-6 if dtype == np.float32 else 1e-15)
    np.testing.assert_allclose(bend, -1.0 / x**2, rtol=1e-6 if dtype == np.float32 else 1e-15)


def test_every_kernel_is_covered():
    assert set(NUMBERS) == set(CARRY_OVER)


@pytest.mark.parametrize("kind", CARRY_OVER)
@pytest.mark.parametrize("length", [1, 2, 13, 104])
def test_kernels_are_non_negative_and_normalised(kind, length):
    weights = in_float64(lambda: kernel(kind, length, NUMBERS[kind]))
    assert weights.shape == (length,) and (weights >= 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-14)
    padded = in_float64(lambda: kernel(kind, length, NUMBERS[kind], pad=110))
    assert np.array_equal(padded[:length], weights) and not padded[length:].any()


def test_unnormalised_kernels_by_hand():
    raw = {kind: in_float64(lambda kind=kind: kernel(kind, 4, NUMBERS[kind], normalised=False)) for kind in CARRY_OVER}
    lag = np.arange(4)
    np.testing.assert_allclose(raw["geometric"], 0.7**lag, rtol=1e-14)
    np.testing.assert_allclose(raw["delayed"], 0.6 ** ((lag - 2) ** 2.0), rtol=1e-14)
    np.testing.assert_allclose(raw["weibull-pdf"], 2 / 4 * (lag + 1) / 4 * np.exp(-(((lag + 1) / 4) ** 2)), rtol=1e-14)
    np.testing.assert_allclose(
        raw["weibull-cdf"], [1, *np.cumprod([np.exp(-((i / 3) ** 1.5)) for i in (1, 2, 3)])], rtol=1e-14
    )
    np.testing.assert_allclose(raw["binomial"], 1 - lag / 4, rtol=1e-14)
    quick, slow = 0.3**lag, 0.5 ** (lag / 20)
    np.testing.assert_allclose(raw["brand-stock"], 0.6 * quick / quick.sum() + 0.4 * slow / slow.sum(), rtol=1e-14)
    np.testing.assert_array_equal(raw["none"], [1, 0, 0, 0])


def test_half_life_is_where_half_is_gone():
    weights = in_float64(lambda: kernel("geometric", 5, {"half_life": 2.0}, normalised=False))
    assert weights[2] == pytest.approx(0.5) and weights[4] == pytest.approx(0.25)


def test_published_delayed_kernels_have_the_published_mean_lags():
    """Jin and others 2017, table 1: mean lags 5.00, 3.04, 4.01 weeks at L = 13."""
    for (retention, peak), mean in zip([(0.6, 5.0), (0.8, 3.0), (0.8, 4.0)], [5.00, 3.04, 4.01], strict=True):
        weights = in_float64(lambda r=retention, p=peak: kernel("delayed", 13, {"retention": r, "peak": p}))
        assert (weights * np.arange(13)).sum() == pytest.approx(mean, abs=0.005)


@pytest.mark.parametrize("lags", [1, 2, 13, 40])
def test_carry_over_equals_a_loop_and_stretches_join(lags):
    rng = np.random.default_rng(lags)
    weights, memory, x = rng.random((lags, 3)), rng.random((lags - 1, 2, 3)), rng.random((30, 2, 3))
    full = np.concatenate([memory, x])
    loop = np.array([sum(weights[k] * full[lags - 1 + n - k] for k in range(lags)) for n in range(30)])
    np.testing.assert_allclose(in_float64(carry, weights, memory, x), loop, rtol=1e-13)
    first = in_float64(carry, weights, memory, x[:11])
    second = in_float64(carry, weights, in_float64(remember, memory, x[:11]), x[11:])
    np.testing.assert_allclose(np.concatenate([first, second]), loop, rtol=1e-13)
    many = in_float64(carry, weights, memory, np.stack([x, 2 * x]))
    np.testing.assert_allclose(many[0], loop, rtol=1e-13)
    last = in_float64(carry_last, weights, memory, np.moveaxis(np.stack([x, 2 * x]), 1, -1))
    np.testing.assert_allclose(np.moveaxis(last, -1, 1), many, rtol=1e-13)
    anew, late = in_float64(carry, weights, 0 * memory, x), in_float64(carry_late, weights, np.moveaxis(x, 0, -1))
    np.testing.assert_allclose(np.moveaxis(late, -1, 0), anew, rtol=1e-13)


@pytest.mark.parametrize("kind", SATURATION)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("slope", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("v", [0.0, 1e-12, 1e-3, 1.0, 1e6])
def test_value_and_gradient_are_finite_everywhere(kind, dtype, slope, v):
    def at(x):
        return saturate(kind, x, jnp.asarray(1.0, dtype), jnp.asarray(slope, dtype))

    with jax.enable_x64(dtype == np.float64):
        value, gradient = jax.value_and_grad(at)(jnp.asarray(v, dtype))
        assert value.dtype == dtype and np.isfinite(value) and np.isfinite(gradient) and gradient >= 0


@pytest.mark.parametrize("kind", SATURATION)
@given(half_at=st.floats(0.1, 10), slope=st.floats(0.3, 4))
def test_curves_start_at_zero_rise_and_reach_half_at_half(kind, half_at, slope):
    slope = min(slope, 1.0) if kind == "power" else slope
    half_at = 1.0 if kind in ("power", "none") else half_at
    v = half_at * np.linspace(0, 5, 200)
    s = in_float64(lambda: saturate(kind, v, np.float64(half_at), np.float64(slope)))
    assert s[0] == 0 and (np.diff(s) >= 0).all()
    if kind in ("segments", "reach-frequency"):  # read `half_at` in their own way
        assert s[-1] <= 1
    elif kind not in UNBOUNDED:
        at_half = in_float64(lambda: saturate(kind, np.array([half_at]), np.float64(half_at), np.float64(slope)))
        assert at_half[0] == pytest.approx(0.5) and s[-1] <= 1


def test_logistic_and_tanh_are_one_curve_at_equal_half():
    v = np.linspace(0, 8, 50)
    one, other = (in_float64(lambda k=k: saturate(k, v, np.float64(1.7), np.float64(1))) for k in ("logistic", "tanh"))
    np.testing.assert_allclose(one, other, rtol=1e-12)


@given(half_at=st.floats(0.2, 5), slope=st.floats(0.3, 6))
def test_the_steepest_point_bounds_the_slope(half_at, slope):
    v = np.linspace(1e-6, 6 * half_at, 4001)
    slopes = in_float64(lambda: jax.vmap(jax.grad(lambda x: saturate("hill", x, half_at, slope)))(jnp.asarray(v)))
    peak = float(in_float64(lambda: steepest_at("hill", jnp.asarray(half_at), jnp.asarray(slope))))
    rising, falling = slopes[v <= peak], slopes[v >= peak]
    assert (np.diff(rising) >= -1e-9).all() and (np.diff(falling) <= 1e-9).all()


def test_fourier_has_a_year_of_365_and_a_quarter_days():
    cosine, sine = in_float64(lambda: fourier(jnp.array([0.0, 365.25 / 7]), 3))
    np.testing.assert_allclose(cosine, 1, atol=1e-12)
    np.testing.assert_allclose(sine, 0, atol=1e-12)


def test_autoregression_is_stationary_and_exact():
    e = np.random.default_rng(0).standard_normal(50)
    path = in_float64(autoregressive, e, 0.6)
    assert path[0] == e[0]
    np.testing.assert_allclose(path[1:], 0.6 * path[:-1] + 0.8 * e[1:], rtol=1e-12)


def test_picking_and_joining_channels_is_the_identity():
    x = np.arange(12.0).reshape(3, 4)
    groups = by_kind(["a", "b", "a", "c"])
    assert groups == {"a": (0, 2), "b": (1,), "c": (3,)}
    np.testing.assert_array_equal(join([(positions, pick(x, positions)) for positions in groups.values()]), x)
