"""10,000 allocations on S-shaped curves beside SciPy's SLSQP: ``python -m benchmarks.allocations_table``.

Writes a section of docs/optimum.md. The curves are answered ones, 21 levels of 20 channels each, as draws of a
posterior or worlds of a run bring them: every world has a fixed total and a box for each channel. Ours is the common
allocator, `simbench.optimum.allocate`, all worlds in one call. SLSQP gets the same curves (SciPy's own PCHIP) with
their analytic slopes, amounts and values of size one, one world after the other, from two starts: equal amounts,
and a status quo. Seconds are those of one core.
"""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize import minimize

from benchmarks.evidence import common
from simbench import optimum
from simbench.optimum.curves import READ

PAGE = common.ROOT / "docs" / "optimum.md"


class Worlds(NamedTuple):
    """Answered curves and what may be spent."""

    levels: np.ndarray  # [R, U, L]
    kpi: np.ndarray  # [R, U, L]
    status_quo: np.ndarray  # [R, U]
    limits: optimum.Constraints


def worlds(count: int, units: int = 20, levels: int = 21) -> Worlds:
    """Hill curves with slopes of 1.2 to 3.5, half saturated at .4 to 2 times the status quo."""
    generator = np.random.default_rng(1)
    now = generator.lognormal(0, 0.5, (count, units))
    half = generator.uniform(0.4, 2.0, (count, units, 1)) * now[..., None]
    slope, height = generator.uniform(1.2, 3.5, half.shape), generator.uniform(1.0, 5.0, half.shape) * now[..., None]
    upper = 2.5 * now
    spaced = upper[..., None] * np.linspace(0, 1, levels) ** 2
    total, none = np.repeat(now.sum(axis=1, keepdims=True), 2, axis=1), np.zeros((count, 0))
    limits = optimum.Constraints(np.zeros_like(now), upper, total, np.zeros((0, units)), none, none)
    return Worlds(spaced, height / (1 + (half / np.maximum(spaced, 1e-12)) ** slope), now, limits)


def certified(asked: Worlds) -> tuple[optimum.Solution, float]:
    """The solutions behind `optimum.allocate`, in portions, and the seconds that `allocate` itself took."""
    start = time.process_time()
    amounts = optimum.allocate(asked.levels, asked.kpi, None, 1.0, asked.limits)
    seconds, count = time.process_time() - start, len(asked.levels)
    parts = []
    for rows in np.split(np.arange(count), range(256, count, 256)):
        cells = lambda some, rows=rows: optimum.pchip_cells(  # noqa: E731
            asked.levels[rows[some]], asked.kpi[rows[some]], None, 1.0
        )
        limits = optimum.take(asked.limits, rows)
        parts.append(optimum.separable(cells(np.arange(len(rows))), limits, tolerance=READ, select=cells))
    found = optimum.Solution(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    assert np.array_equal(found.amounts, amounts)
    return found, seconds


def climbed(asked: Worlds, world: int, start: np.ndarray) -> tuple[np.ndarray, float]:
    """What SLSQP finds from a start, and its seconds."""
    total, upper = asked.limits.budget[world, 0], asked.limits.upper[world]
    curves = [PchipInterpolator(x, y) for x, y in zip(asked.levels[world], asked.kpi[world], strict=True)]
    slopes = [curve.derivative() for curve in curves]

    def loss(share: np.ndarray) -> tuple[float, np.ndarray]:
        amounts = np.clip(share * total, 0.0, upper)
        value = sum(float(curve(a)) for curve, a in zip(curves, amounts, strict=True))
        return -value / total, -np.array([float(slope(a)) for slope, a in zip(slopes, amounts, strict=True)])

    begun = time.process_time()
    found = minimize(
        loss, start / total, jac=True, method="SLSQP", bounds=[(0.0, u / total) for u in upper],
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1.0, "jac": np.ones_like},
        options={"maxiter": 300, "ftol": 1e-10},
    )  # fmt: skip
    seconds = time.process_time() - begun
    return optimum.project(found.x[None] * total, optimum.take(asked.limits, [world]))[0], seconds


def value(asked: Worlds, amounts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Net value [n] of amounts [n, U] of some worlds."""
    cells = optimum.pchip_cells(asked.levels[rows], asked.kpi[rows], None, 1.0)
    return cells(np.repeat(amounts[..., None], 2, axis=-1)).value[..., 0].sum(axis=1)


def main() -> None:
    """Measure, then write the section."""
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--worlds", type=int, default=10_000)
    ask.add_argument("--sample", type=int, default=200, help="worlds for SLSQP")
    options = ask.parse_args()
    begun = time.monotonic()
    asked, rows = worlds(options.worlds), np.arange(options.sample)
    found, seconds = certified(asked)
    money, gap = asked.status_quo.sum(axis=1), found.upper_bound - found.value
    gain = found.value - value(asked, asked.status_quo, np.arange(options.worlds))
    lines = [[
        "simbench, all in one call", f"{1e3 * seconds / options.worlds:.2f}", f"{found.certified.mean():.2%}",
        f"{(gap / gain).max():.1e}, {(gap / money).max():.1e}", "", "", "",
    ]]  # fmt: skip
    equal = optimum.project(np.repeat(money[rows, None] / 20, 20, axis=1), optimum.take(asked.limits, rows))
    for name, starts in (("equal amounts", equal), ("the status quo", asked.status_quo[rows])):
        told = [climbed(asked, world, start) for world, start in zip(rows, starts, strict=True)]
        lost = (found.value[rows] - value(asked, np.array([a for a, _ in told]), rows)).clip(min=0.0)
        share = lost / gain[rows]
        lines.append([
            f"SLSQP from {name}", f"{1e3 * np.mean([s for _, s in told]):.2f}", "none", "",
            f"{(share > 0.01).mean():.0%}",
            f"{np.median(share):.1%}, {share.mean():.1%}, {share.max():.0%}", f"{(lost / money[rows]).mean():.1%}",
        ])  # fmt: skip
    head = [
        "20 channels, S-shaped", "ms an allocation", "certified", "largest gap: of the gain, of spend",
        "more than 1% of the gain lost", "gain lost: median, mean, most", "lost, of spend: mean",
    ]  # fmt: skip
    command = f"python -m benchmarks.allocations_table --worlds {options.worlds} --sample {options.sample}"
    common.written("allocations", common.told(command, time.monotonic() - begun) + common.table(head, lines), PAGE)
    print(common.table(head, lines))


if __name__ == "__main__":
    main()
