"""What a fit and its answers cost, by weeks, channels, geos and draws: one process, one core.

    python -m benchmarks.evidence.cost

Each row changes one number of a common size. A first call, in which programs are traced and compiled or found in the
cache, is timed apart.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from benchmarks.evidence import common
from simbench.backends.bayes import fit
from simbench.backends.nation import nation
from simbench.backends.registry import backend_named
from simbench.blocks import in_blocks
from simbench.briefs import brief_from_table, stack


class Size(NamedTuple):
    """How large a panel is, and how many draws answer."""

    weeks: int = 104
    channels: int = 5
    geos: int = 1
    draws: int = 200


NATIONAL, BY_GEO = Size(), Size(geos=20)
ROWS: dict[str, list[Size]] = {
    "national": [
        NATIONAL,
        *(NATIONAL._replace(weeks=weeks) for weeks in (52, 208, 520)),
        *(NATIONAL._replace(channels=channels) for channels in (2, 10, 20)),
        *(NATIONAL._replace(draws=draws) for draws in (50, 800)),
        NATIONAL._replace(geos=20),  # a sum over geos
    ],
    "geo-hierarchical": [BY_GEO, *(BY_GEO._replace(geos=geos) for geos in (5, 50)), BY_GEO._replace(channels=10)],
}


def brief_of(size: Size, seed: int) -> Any:
    """A panel of noise around lagged, saturated spend, a season and a level."""
    random = np.random.default_rng(seed)
    week = np.arange(size.weeks)
    tables = []
    for geo in range(size.geos):
        spend = random.gamma(3.0, 1000.0, (size.weeks, size.channels)) * random.uniform(0.5, 2.0, size.channels)
        late = sum(0.5**lag * np.vstack([np.zeros((lag, size.channels)), spend])[: size.weeks] for lag in range(8))
        brought = (20_000.0 / size.channels * late / (late + late.mean(axis=0))).sum(axis=1)
        kpi = 20_000.0 + 2_000.0 * np.sin(2 * np.pi * week / 52.18) + brought + 1_500.0 * random.normal(size=size.weeks)
        table = pd.DataFrame(spend, columns=[f"spend_{c}" for c in range(size.channels)])
        dates = np.datetime64("2020-01-06", "D") + 7 * week
        tables.append(table.assign(date=dates, kpi=kpi, geo=f"g{geo:02d}"))
    spends = [f"spend_{c}" for c in range(size.channels)]
    by_geo = {"geo": "geo"} if size.geos > 1 else {}
    brief, _ = brief_from_table(pd.concat(tables), date="date", kpi="kpi", spend=spends, **by_geo)
    questions = brief.questions
    return brief._replace(questions=questions._replace(sizes=replace(questions.sizes, draws=size.draws)))


def cost(name: str, size: Size, worlds: int) -> list[str]:
    """One row: milliseconds a world of the fit and of all else that answers take; draws it took; the first call."""
    backend = backend_named(f"{name}-hmc")
    briefs, keys = [brief_of(size, seed) for seed in range(worlds)], list(common.keys_of(worlds, 1))
    began = time.perf_counter()
    backend.answer(briefs[: backend.block], keys[: backend.block])
    first = time.perf_counter() - began
    began = time.perf_counter()
    replies = [
        r
        for i in range(0, worlds, backend.block)
        for r in backend.answer(briefs[i : i + backend.block], keys[i : i + backend.block])
    ]
    whole = time.perf_counter() - began
    model = common.model_of(name)
    engine, precision = common.default_engine(name, "hmc")
    stages, lanes = fit.programs(model, engine), 1 if model.geos else common.LANES
    seen = briefs if model.geos else [nation(brief) for brief in briefs]

    def fitted() -> fit.Fit:
        data = in_blocks(stages.data, (stack(seen),), lanes, precision)
        return fit.fitted(stages, engine, np.stack(keys), data, lanes, precision)

    fitted()
    began = time.perf_counter()
    told = fitted()
    alone = time.perf_counter() - began
    steps = float(np.mean([points.shape[1] for points in told.points]))
    content = float(np.mean([reply.diagnostics.converged for reply in replies]))
    block = min(backend.block, worlds)
    return [
        f"{name}: " + ", ".join(f"{field} {value}" for field, value in size._asdict().items()), f"{worlds}",
        f"{1e3 * alone / worlds:.0f}", f"{1e3 * max(whole - alone, 0.0) / worlds:.0f}", f"{steps:.0f}",
        f"{np.median(told.ess_return):.0f}", f"{content:.0%}", f"{first - whole * block / worlds:.1f}",
    ]  # fmt: skip


HEAD = [
    "model and size", "worlds", "fit, ms a world", "answers, ms a world", "steps a chain kept",
    "fewest effective draws of a return: median", "content", "first call less a block, s",
]  # fmt: skip


def main() -> None:
    """Write the table."""
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--worlds", type=int, default=32)
    ask.add_argument("--geo-worlds", type=int, default=6)
    options = ask.parse_args()
    common.settings()
    began, rows = time.perf_counter(), []
    for name, sizes in ROWS.items():
        for size in sizes:
            rows.append(cost(name, size, options.worlds if name == "national" else options.geo_worlds))
            print(rows[-1], flush=True)
            jax.clear_caches()
    text = common.told("python -m benchmarks.evidence.cost", time.perf_counter() - began) + common.table(HEAD, rows)
    common.written("cost", text)


if __name__ == "__main__":
    main()
