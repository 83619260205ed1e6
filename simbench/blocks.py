"""Fixed-size padded blocks, and the one door to float64.

Batch is the primitive: worlds of one shape are computed in blocks of one size by a program that
is compiled once; the last block repeats its last world, and what it adds is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np

#: Linux allows a process 65,530 mappings; a compiled program takes some dozen, and the one too many ends the process.
MAPPINGS = 30_000
#: Worlds computed by one call: large enough to share the dispatch, small enough for the cache.
BLOCK = 16


def make_room() -> None:
    """Forget compiled programs before there are too many of them; they come back from the cache on disk."""
    with suppress(OSError):  # no /proc
        if Path("/proc/self/maps").read_bytes().count(b"\n") > MAPPINGS:
            jax.clear_caches()


def in_float64(program: Callable[..., Any], *arguments: Any) -> Any:
    """Call a program in float64: NumPy in, NumPy out. Only this module switches precision."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, program(*arguments))


def held(tree: Any) -> Any:
    """The same arrays where programs run, in float64: for many calls on the same data."""
    with jax.enable_x64(True):
        return jax.device_put(tree)


def in_float32(program: Callable[..., Any], *arguments: Any) -> Any:
    """Call a program in float32: NumPy in (float64 is rounded), NumPy out."""

    def rounded(x: Any) -> Any:
        x = np.asarray(x)
        return x.astype(np.float32) if x.dtype == np.float64 else x

    return jax.tree.map(np.asarray, program(*jax.tree.map(rounded, arguments)))


#: Precision a program may run in -> how it is called.
CALLS: dict[str, Callable[..., Any]] = {"float64": in_float64, "float32": in_float32}


def take(batch: Any, rows: Sequence[int] | np.ndarray) -> Any:
    """Some worlds of a batched record, in the order of `rows`."""
    picked = np.asarray(rows, dtype=int)
    return jax.tree.map(lambda x: np.asarray(x)[picked], batch)


def positions(count: int, block: int) -> Sequence[np.ndarray]:
    """Positions 0..count-1 in blocks of one size; the last block repeats its last position."""
    return [np.minimum(np.arange(start, start + block), count - 1) for start in range(0, count, block)]


def in_blocks(
    program: Callable[..., Any], batched: tuple[Any, ...], block: int = BLOCK, precision: str = "float64"
) -> Any:
    """Run a program over blocks of the leading axis of its arguments, in float64 unless told otherwise.

    Parameters
    ----------
    program : callable
        Takes and returns pytrees whose leaves have the block as leading axis.
    batched : tuple of pytrees
        Arguments; leading axis = worlds, any number of them.
    """
    count = jax.tree.leaves(batched)[0].shape[0]
    done = []
    for rows in positions(count, block):
        keep = min(block, count - int(rows[0]))
        # a full block is a view, not a copy
        part = slice(int(rows[0]), int(rows[0]) + block) if keep == block else rows
        result = CALLS[precision](program, *jax.tree.map(lambda x, part=part: np.asarray(x)[part], batched))
        done.append(jax.tree.map(lambda x, keep=keep: x[:keep], result))
    return done[0] if len(done) == 1 else jax.tree.map(lambda *parts: np.concatenate(parts), *done)
