"""Small symmetric matrices without LAPACK: batched calls of it are slow, and have hung with several threads."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

Array = Any


def cholesky(a: Array) -> Array:
    """Lower factor of symmetric matrices [..., n, n]; NaN where one is not positive definite.

    One column after the other, all matrices at once.
    """
    n = a.shape[-1]
    rows = jnp.arange(n)

    def column(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        left, factor = carry  # left: what the columns so far do not explain
        here = jax.lax.dynamic_index_in_dim(left, k, axis=-1, keepdims=False)
        pivot = jax.lax.dynamic_index_in_dim(here, k, axis=-1, keepdims=True)
        found = jnp.where(rows >= k, here / jnp.sqrt(pivot), 0.0)
        left = left - found[..., :, None] * found[..., None, :]
        return left, jnp.where(rows == k, found[..., None], factor)

    return jax.lax.fori_loop(0, n, column, (a, jnp.zeros_like(a)))[1]


def solve_lower(factor: Array, b: Array) -> Array:
    """L^-1 b for lower factors [..., n, n] and b [..., n, k]."""
    n = factor.shape[-1]
    rows = jnp.arange(n)

    def row(k: Array, x: Array) -> Array:  # x: rows before k are solved
        line = jax.lax.dynamic_index_in_dim(factor, k, axis=-2, keepdims=False)
        pivot = jax.lax.dynamic_index_in_dim(line, k, axis=-1, keepdims=True)
        known = jnp.einsum("...n,...nk->...k", jnp.where(rows < k, line, 0.0), x)
        here = (jax.lax.dynamic_index_in_dim(b, k, axis=-2, keepdims=False) - known) / pivot
        return jnp.where((rows == k)[:, None], here[..., None, :], x)

    return jax.lax.fori_loop(
        0, n, row, jnp.zeros(jnp.broadcast_shapes(b.shape, (*factor.shape[:-1], b.shape[-1])), b.dtype)
    )


def solve_upper(factor: Array, b: Array) -> Array:
    """L'^-1 b: :func:`solve_lower` from the other end."""
    turned = jnp.swapaxes(factor, -1, -2)[..., ::-1, ::-1]
    return solve_lower(turned, b[..., ::-1, :])[..., ::-1, :]


@jax.custom_vjp
def normal_terms(a: Array, b: Array) -> tuple[Array, Array]:
    """log|A| and b'A^-1 b of positive definite matrices [..., n, n] and vectors [..., n]: what normal densities hold.

    The gradient is the closed one: no loop is run backwards.
    """
    return _normal_terms(a, b)[0]


def _normal_terms(a: Array, b: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    factor = cholesky(a)
    inverse = solve_lower(factor, jnp.eye(a.shape[-1], dtype=a.dtype))
    white = (inverse @ b[..., None])[..., 0]
    logs = 2.0 * jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)).sum(axis=-1)
    return (logs, (white**2).sum(axis=-1)), (inverse, white)


def _normal_terms_back(kept: tuple[Array, Array], slopes: tuple[Array, Array]) -> tuple[Array, Array]:
    inverse, white = kept
    by_logs, by_square = slopes
    back = jnp.swapaxes(inverse, -1, -2)
    x = (back @ white[..., None])[..., 0]
    by_a = by_logs[..., None, None] * (back @ inverse) - by_square[..., None, None] * x[..., :, None] * x[..., None, :]
    return by_a, 2.0 * by_square[..., None] * x


normal_terms.defvjp(_normal_terms, _normal_terms_back)
