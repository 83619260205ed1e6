"""What answering took: wall clock, compilation apart, and memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from simbench.score.rows import Case, Column, Metric, column


def columns(case: Case) -> Iterator[Column]:
    """Seconds a cell, seconds of compilation in its call, and the highest memory in GB; undefined if not measured."""
    yield column("cost", "all", "seconds", case.cost.seconds)
    yield column("cost", "all", "compile seconds", case.cost.compile_seconds)
    yield column("cost", "all", "peak GB", np.asarray(case.cost.peak_bytes, dtype=np.float64) / 1e9)


COST = Metric("cost", columns)
