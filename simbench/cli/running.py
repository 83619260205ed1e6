"""Verbs that ask contenders: run, demo."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from simbench.cli.common import counted, emit, example, json_option, page, warn_of_successors
from simbench.errors import BadInput

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@click.command(
    epilog=example(
        "simbench run smoke --backend ols --backend spend-share",
        "simbench run core --replicates 2 --time-limit 20m",
        "simbench run clean --backend 'ols[trend=none]' --backend mine.py:fit@draft --transform origin:-13",
        "simbench run core --backend tag:fast --dry-run",
    )
)
@click.argument("sources", nargs=-1, required=True, metavar="SUITE|SCENARIO...")
@click.option(
    "--backend", "backends", multiple=True,
    help="A contender: NAME, NAME[option=value], tag:NAME, FILE.py:NAME or 'command:PROGRAM'; may be repeated."
    " [default: oracle and tag:fast]",
)  # fmt: skip
@click.option("--replicates", type=click.IntRange(min=1), help="Worlds a scenario. [default: the suite's, else 4]")
@click.option("--only", multiple=True, metavar="SCENARIO", help="Of a suite, only this scenario; may be repeated.")
@click.option(
    "--transform", "transforms", multiple=True, help="Ask under a transform, such as origin:-13; may be repeated."
)
@click.option("--store", type=click.Path(path_type=Path), help="Folder of the run. [default: simbench-runs/NAME]")
@click.option("--jobs", type=click.IntRange(min=1), help="Host processes. [default: one a core]")
@click.option("--time-limit", help="Begin nothing after this time, such as 90s, 8m or 1h; whole replicates count.")
@click.option("--cell-limit", help="Wall clock a cell may take. [default: 10m]")
@click.option("--memory", type=click.IntRange(min=64), help="Megabytes a contender may take. [default: 4096]")
@click.option("--dry-run", is_flag=True, help="Only say cells, minutes, memory and disk.")
@json_option
@click.pass_context
def run(
    context: click.Context,
    sources: tuple[str, ...],
    backends: tuple[str, ...],
    replicates: int | None,
    only: tuple[str, ...],
    transforms: tuple[str, ...],
    store: Path | None,
    jobs: int | None,
    time_limit: str | None,
    cell_limit: str | None,
    memory: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Draw worlds, ask contenders, store and score their answers; only what is missing is done.

    A suite or scenario by name or file, or a point of a sweep. The folder of the run is printed; a run
    that was killed or cut goes on where it stopped. Exit code 4: a contender failed in more than 5% of
    its cells; 3: nothing could be scored.
    """
    from simbench.run.execute import cores, execute, folder_of
    from simbench.run.hosts import prepare_process
    from simbench.run.plan import DEFAULT, plan
    from simbench.run.supervisor import Limits

    limits = Limits()
    if cell_limit is not None:
        limits = limits._replace(seconds=seconds("--cell-limit", cell_limit))
    if memory is not None:
        limits = limits._replace(memory=memory << 20)
    limit = None if time_limit is None else seconds("--time-limit", time_limit)
    p = plan(sources, backends or DEFAULT, replicates=replicates, only=only, transforms=transforms or ("",))
    warn_of_successors(source.scenario for source in p.sources)
    folder = folder_of(p, store)
    if dry_run:
        _dry(p, folder, jobs or cores(), as_json)
        return
    prepare_process()
    with counted(quiet=as_json) as say:
        done = execute(p, folder, jobs=jobs, limits=limits, time_limit=limit, say=say)
    from simbench.cli.boards import print_board

    context.exit(print_board(done, as_json=as_json))


def seconds(option: str, text: str) -> float:
    """``"90s"``, ``"8m"``, ``"1h"`` or a plain number of seconds."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh]?)", text.strip())
    if not match or float(match[1]) <= 0:
        raise BadInput(option, f"{text!r}", "a time such as 90s, 8m or 1h")
    return float(match[1]) * UNITS[match[2] or "s"]


def _dry(p: Any, folder: Path, jobs: int, as_json: bool) -> None:
    import math

    from simbench.cli.common import table
    from simbench.run.forecast import dry_run as estimate

    frame = estimate(p, folder, jobs)
    rows = frame.to_dict("records")
    if as_json:
        emit({"folder": str(folder), "jobs": jobs, "cells": rows})
        return

    def figure(value: float, digits: int = 0) -> str:
        return "?" if math.isnan(value) else f"{value:,.{digits}f}"

    console = page()
    columns = ("scenario", "contender", "cells", "stored", "missing", "minutes", "memory MB", "disk MB")
    console.print(table(columns, [
        (r["scenario"], r["backend"], r["cells"], r["stored"], r["missing"], figure(r["minutes"], 1),
         figure(r["memory_mb"]), figure(r["disk_mb"], 1)) for r in rows
    ], right=columns[2:]))  # fmt: skip
    missing, unknown = int(frame.missing.sum()), int(frame[frame.missing > 0].minutes.isna().sum())
    said = f"{missing} of {int(frame.cells.sum())} cells are missing: {frame.minutes.sum():.1f} minutes on {jobs} hosts"
    said += f", {frame.disk_mb.sum():,.1f} MB on disk"
    console.print(said + (f"; {unknown} rows were never measured (?)" if unknown else ""))


@click.command(epilog=example("simbench demo", "simbench demo --csv weekly.csv --columns tv,radio"))
@click.option("--csv", "file", type=click.Path(path_type=Path), help="Your own weekly file, for a world of your own.")
@click.option("--columns", help="Its spend columns, separated by commas; guessed if not given.")
@click.option("--replicates", type=click.IntRange(min=2), default=8, show_default=True, help="Worlds a scenario.")
@json_option
def demo(file: Path | None, columns: str | None, replicates: int, as_json: bool) -> None:
    """Show what simbench does: run, score and report the suite smoke.

    Writes the picture simbench-demo.png and the run simbench-runs/demo into the current folder.
    """
    from simbench.cli.demonstration import demonstrate
    from simbench.run.hosts import prepare_process

    prepare_process()
    wanted: Sequence[str] = [column.strip() for column in (columns or "").split(",") if column.strip()]
    demonstrate(file, wanted, replicates, as_json=as_json)
