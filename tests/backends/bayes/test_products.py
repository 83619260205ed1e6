"""Products over weeks whose gradients are written out, against sums told plainly and their own derivatives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simbench.backends.bayes.products import carried, over_weeks, summed
from simbench.blocks import in_float32, in_float64

WEEKS, RNG = 7, np.random.default_rng(11)
WEIGHTS, LAGGED = RNG.standard_normal((3, 4)), RNG.standard_normal((2, 3, 4, WEEKS))
AMOUNT, ROWS = RNG.standard_normal((2, 3)), RNG.standard_normal((2, 3, WEEKS))


def plainly_carried(weights):
    return sum(weights[:, lag, None] * LAGGED[:, :, lag] for lag in range(WEIGHTS.shape[1]))


def plainly_summed(amount, rows):
    return sum(amount[:, c, None] * rows[:, c] for c in range(ROWS.shape[1]))


#: name -> product, told plainly, arguments that have a gradient
PRODUCTS = {
    "carried": (lambda weights: carried(weights, LAGGED.astype(weights.dtype)), plainly_carried, (WEIGHTS,)),
    "over_weeks": (lambda x: over_weeks(x, WEEKS), lambda x: jnp.stack([x] * WEEKS, axis=-1), (AMOUNT,)),
    "summed": (summed, plainly_summed, (AMOUNT, ROWS)),
}


@pytest.fixture(params=PRODUCTS)
def case(request):
    return PRODUCTS[request.param]


def close(told, expected):
    for one, other in zip(jax.tree.leaves(told), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def bent(product):
    """A number of a product whose first and second derivatives are all different."""
    return lambda *arguments: (jnp.sin(product(*arguments)) * jnp.arange(1.0, WEEKS + 1)).sum()


def everywhere(arguments):
    return tuple(range(len(arguments)))


def test_values(case):
    product, plainly, arguments = case
    close(in_float64(jax.jit(product), *arguments), in_float64(jax.jit(plainly), *arguments))


def test_gradients(case):
    product, plainly, arguments = case
    own, other = (jax.jit(jax.grad(bent(how), everywhere(arguments))) for how in (product, plainly))
    close(in_float64(own, *arguments), in_float64(other, *arguments))


def test_second_derivatives(case):
    """As Newton takes them: forward through the gradient."""
    product, plainly, arguments = case
    own, other = (
        jax.jit(jax.jacfwd(jax.grad(bent(how), everywhere(arguments)), everywhere(arguments)))
        for how in (product, plainly)
    )
    close(in_float64(own, *arguments), in_float64(other, *arguments))


def test_many_at_once(case):
    """As engines run them: chains and worlds along axes of their own."""
    product, plainly, arguments = case
    many = [np.stack([(1 + k) * a for k in range(6)]).reshape(2, 3, *a.shape) for a in arguments]
    own, other = (jax.jit(jax.vmap(jax.vmap(jax.grad(bent(how), everywhere(arguments))))) for how in (product, plainly))
    close(in_float64(own, *many), in_float64(other, *many))


def test_float32_stays_float32(case):
    product, plainly, arguments = case
    slopes = jax.grad(lambda *a: product(*a).sum(), everywhere(arguments))
    told, slopes = in_float32(jax.jit(lambda *a: (product(*a), slopes(*a))), *arguments)
    assert all(x.dtype == np.float32 for x in jax.tree.leaves((told, slopes)))
    np.testing.assert_allclose(told, in_float64(plainly, *arguments), atol=1e-5)
