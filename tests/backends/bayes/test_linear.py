"""Small symmetric matrices against LAPACK."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simbench.backends.bayes.linear import cholesky, normal_terms, solve_lower, solve_upper
from simbench.blocks import in_float32, in_float64

EPS = np.finfo(float).eps


def positive(*shape, seed=0):
    """Symmetric matrices whose eigenvalues lie between 1 and 3."""
    turned, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal(shape))
    spread = np.random.default_rng(seed + 1).uniform(1, 3, shape[:-1])
    return np.einsum("...ij,...j,...kj->...ik", turned, spread, turned)


def factors(a):
    return in_float64(jax.jit(cholesky), a)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (9, 9), (30, 30), (4, 5, 5), (2, 3, 7, 7)])
def test_factors_and_solutions_are_those_of_lapack(shape):
    a, n = positive(*shape), shape[-1]
    b = np.random.default_rng(2).standard_normal((*shape[:-1], 3))
    factor = factors(a)
    lapack = np.linalg.cholesky(a)
    # the eigenvalues differ by a factor of 3 at most: errors are a few roundings a step
    close = {"rtol": 0, "atol": 32 * n * EPS}
    np.testing.assert_allclose(factor, lapack, **close)
    assert not np.triu(factor, 1).any()
    np.testing.assert_allclose(in_float64(jax.jit(solve_lower), lapack, b), np.linalg.solve(lapack, b), **close)
    turned = np.swapaxes(lapack, -1, -2)
    np.testing.assert_allclose(in_float64(jax.jit(solve_upper), lapack, b), np.linalg.solve(turned, b), **close)


def test_badly_scaled_matrices_lose_no_more_than_rounding():
    """Scaling rows and columns by powers of 2 scales the factor, to the last bit."""
    a, scale = positive(6, 6), 2.0 ** np.array([-200, 30, 0, 100, -7, 60])
    np.testing.assert_array_equal(factors(a * np.outer(scale, scale)), factors(a) * scale[:, None])


@pytest.mark.parametrize(
    "wrong", [-np.eye(3), np.diag([1.0, 1.0, -1.0]), np.array([[1.0, 2, 0], [2, 1, 0], [0, 0, 1]])]
)
def test_what_is_not_positive_definite_is_nan_and_spoils_no_neighbour(wrong):
    good = positive(3, 3)
    factor = factors(np.stack([good, wrong, good]))
    assert np.isnan(factor[1]).any()
    np.testing.assert_array_equal(factor[[0, 2]], np.stack([factors(good)] * 2))
    solved = in_float64(jax.jit(solve_lower), factor, np.ones((3, 3, 1)))
    assert np.isnan(solved[1]).any() and np.isfinite(solved[[0, 2]]).all()


def test_one_right_side_serves_many_factors_and_one_factor_many_right_sides():
    lower, rng = np.linalg.cholesky(positive(4, 5, 5)), np.random.default_rng(3)
    for b, factor in ((rng.standard_normal((5, 2)), lower), (rng.standard_normal((3, 5, 2)), lower[0])):
        for solve, whole in ((solve_lower, factor), (solve_upper, np.swapaxes(factor, -1, -2))):
            told = in_float64(jax.jit(solve), factor, b)
            np.testing.assert_allclose(told, np.linalg.solve(whole, b), atol=32 * 5 * EPS)


def test_slopes_are_those_of_the_closed_forms():
    """d log|A| = tr(A^-1 dA) and d b'A^-1 b = -x'dA x with x = A^-1 b, for symmetric dA."""
    a, b = positive(6, 6), np.random.default_rng(5).standard_normal((6, 1))

    def logs(a):
        return 2 * jnp.log(jnp.diagonal(cholesky(a))).sum()

    def square(a):
        return (solve_lower(cholesky(a), b) ** 2).sum()

    def around(a):
        factor = cholesky(a)
        return (b[:, 0] * solve_upper(factor, solve_lower(factor, b))[:, 0]).sum()

    inverse, x = np.linalg.inv(a), np.linalg.solve(a, b)
    slopes = in_float64(jax.jit(lambda a: [jax.grad(what)(a) for what in (logs, square, around)]), a)
    for slope, expected in zip(slopes, (inverse, -x @ x.T, -x @ x.T), strict=True):
        np.testing.assert_allclose(slope + slope.T, 2 * expected, atol=1e3 * EPS)


def test_terms_of_a_normal_density_and_both_derivatives_are_those_of_lapack():
    """Against determinants and solutions of LAPACK, differentiated by JAX."""
    a, b = positive(3, 4, 4), np.random.default_rng(6).standard_normal((3, 4))

    def plainly(a, b):
        return jnp.linalg.slogdet(a)[1], (b * jnp.linalg.solve(a, b[..., None])[..., 0]).sum(axis=-1)

    def one(terms):
        def told(a, b):
            logs, square = terms(0.5 * (a + jnp.swapaxes(a, -1, -2)), b)
            return (jnp.sin(logs) * jnp.cos(square)).sum()

        slopes = jax.grad(told, (0, 1))
        return in_float64(jax.jit(lambda a, b: (terms(a, b), slopes(a, b), jax.jacfwd(slopes, (0, 1))(a, b))), a, b)

    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-11), one(normal_terms), one(plainly))


def test_float32_stays_float32():
    a = positive(4, 4)
    factor = in_float32(jax.jit(cholesky), a)
    assert factor.dtype == np.float32
    np.testing.assert_allclose(factor, np.linalg.cholesky(a), atol=32 * 4 * np.finfo(np.float32).eps)
