"""What a run will take, before it is begun: cells, minutes, memory and disk.

Costs are those of cells that the same run, or another one beside it, has already measured; where
nothing was measured nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simbench.codec import unpack
from simbench.errors import BadInput
from simbench.problems import pieces
from simbench.run import store
from simbench.run.plan import Entry, Plan, Source
from simbench.run.results import RUNS, shelf_of

if TYPE_CHECKING:
    import pandas as pd


def dry_run(p: Plan, folder: Path, jobs: int) -> pd.DataFrame:
    """Cells of a plan by source and contender, and what the missing ones are likely to take.

    Parameters
    ----------
    p : Plan
    folder : Path
        Of the run; need not exist.
    jobs : int
        Hosts that share the work.

    Returns
    -------
    pandas.DataFrame
        ``scenario, backend, cells, stored, missing, minutes, memory_mb, disk_mb``. `minutes` is
        wall clock of the missing cells over `jobs` hosts, compilation included; NaN where this
        contender was never measured. `disk_mb` of a contender never stored is an upper bound: all
        questions answered with all draws.
    """
    import pandas as pd

    rows = []
    for source in p.sources:
        for entry in p.entries:
            there = set(store.shelf(shelf_of(folder, entry.folder, source.folder))) & set(source.replicates)
            missing = len(source.replicates) - len(there)
            seconds, compiling, memory, size = measured(folder, entry, source)
            share = jobs if entry.backend is not None and entry.backend.spec else 1
            wall = (missing * seconds + (compiling if missing else 0.0)) / share
            rows.append({
                "scenario": source.name, "backend": entry.name, "cells": len(source.replicates), "stored": len(there),
                "missing": missing, "minutes": wall / 60, "memory_mb": memory / 1e6, "disk_mb": missing * size / 1e6,
            })  # fmt: skip
    return pd.DataFrame(rows)


def measured(folder: Path, entry: Entry, source: Source) -> tuple[float, float, float, float]:
    """Median seconds a cell, compile seconds, highest memory and bytes a cell, as far as known."""
    costs, sizes = [], []
    for place in stored_before(folder, entry, source):
        try:
            content = unpack(place.read_bytes())  # not `store.read`: an estimate sets nothing aside
        except (BadInput, OSError):
            continue
        sizes.append(place.stat().st_size / max(len(content["cells"]), 1))
        costs += [np.stack([np.asarray(x, float) for x in group["cost"]], axis=1) for group in content["groups"]]
    if not costs:
        return np.nan, np.nan, np.nan, most_bytes(source)
    cost = np.concatenate(costs)
    return (
        float(np.median(cost[:, 0])), float(np.nanmax(cost[:, 1], initial=0.0)),
        float(np.nanmax(cost[:, 2], initial=0.0)), float(np.mean(sizes)),
    )  # fmt: skip


def stored_before(folder: Path, entry: Entry, source: Source, most: int = 4) -> Iterator[Path]:
    """A few blocks of a contender: about this source, else another one, here or in the runs beside."""
    roots = [folder, *sorted(path for path in RUNS.glob("*") if path != folder)]
    for root in roots:
        shelves = [shelf_of(root, entry.folder, source.folder), *sorted((root / "answers" / entry.folder).glob("*"))]
        found = [place for shelf in dict.fromkeys(shelves) for place in dict.fromkeys(store.shelf(shelf).values())]
        if found:
            yield from found[:most]
            return


def most_bytes(source: Source) -> float:
    """Bytes of a cell that answers everything with all draws, in float32."""
    from simbench.world.forms import form_of
    from simbench.world.seen import spec_of

    form = form_of(source.scenario)
    spec: Any = spec_of(source.scenario, form)
    channels, windows = len(form.channels), len(spec.windows)
    units = [channels * len(pieces(problem, [""] * form.geos, form.horizon)) for problem in spec.problems]
    numbers = (
        2 * windows * channels + channels * (len(spec.multipliers) + spec.sizes.impulse_lags) + form.weeks
        + form.geos * (channels + form.holdout) + 3 + channels + 2 * sum(units) * spec.levels
    )  # fmt: skip
    return 4.0 * spec.sizes.draws * numbers
