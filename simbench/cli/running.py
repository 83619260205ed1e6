"""Verbs that ask contenders: run, demo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from simbench.cli.board import LEGEND, leaderboard, records
from simbench.cli.common import (
    FAILURES,
    NOTHING,
    PASS,
    emit,
    example,
    json_option,
    page,
    progress,
)

#: A backend that fails in more than this share of the worlds is not to be ranked.
ALLOWED_FAILURES = 0.05


@click.command(
    epilog=example(
        "simbench run clean",
        "simbench run clean 'collinear[0.9]' --backend ols --backend spend-share --replicates 8",
        "simbench run smoke",
    )
)
@click.argument("sources", nargs=-1, required=True, metavar="SCENARIO...")
@click.option("--backend", "backends", multiple=True, help="A contender; may be repeated. [default: ols, spend-share]")
@click.option("--replicates", type=click.IntRange(min=1), help="Worlds a scenario. [default: 4, or the suite's]")
@json_option
@click.pass_context
def run(
    context: click.Context,
    sources: tuple[str, ...],
    backends: tuple[str, ...],
    replicates: int | None,
    as_json: bool,
) -> None:
    """Draw worlds, ask contenders, score their answers.

    SCENARIO is a shipped name, a file, a point of a sweep, or a suite. Exit code 4: a contender failed in
    more than 5% of the worlds; 3: nothing could be scored.
    """
    import simbench as sb
    from simbench.backends.registry import backend_named
    from simbench.run.execute import Run
    from simbench.run.hosts import prepare_process
    from simbench.world.scenario import read_scenario, read_suite, suite_names

    prepare_process()
    contenders = [backend_named(name) for name in dict.fromkeys(backends or ("ols", "spend-share"))]
    jobs: list[tuple[Any, int]] = []
    for source in dict.fromkeys(sources):
        if source in suite_names():
            jobs += [(entry.scenario, replicates or entry.replicates) for entry in read_suite(source).scenarios]
        else:
            jobs.append((read_scenario(source), replicates or 4))
    parts = []
    with progress("running", quiet=as_json) as say:
        for scenario, count in jobs:
            say(scenario.name)
            parts.append(sb.run([scenario], contenders, replicates=count))
    result = Run(tuple(d for part in parts for d in part.drawn), tuple(c for part in parts for c in part.cells))
    frame, rows = sb.table(result), sb.scores(result)
    if as_json:
        emit({"table": records(frame), "scores": rows.to_dict("records")})
    else:
        console = page()
        console.print(leaderboard(frame))
        console.print(LEGEND)
    context.exit(verdict(rows, result))


def verdict(rows: Any, result: Any) -> int:
    """Exit code of a run: anything measured, and how many cells failed."""
    measured = rows.value.notna().any()
    cells: dict[str, list[bool]] = {}
    for cell in result.cells:
        reason = getattr(cell.reply, "reason", None)
        cells.setdefault(cell.backend, []).append(reason not in (None, "unsupported"))
    if not measured:
        return NOTHING
    return FAILURES if any(sum(failed) > ALLOWED_FAILURES * len(failed) for failed in cells.values()) else PASS


@click.command(epilog=example("simbench demo", "simbench demo --csv weekly.csv --columns tv,radio"))
@click.option("--csv", "file", type=click.Path(path_type=Path), help="Your own weekly file, for the third world.")
@click.option("--columns", help="Its spend columns, separated by commas; guessed if not given.")
@click.option("--replicates", type=click.IntRange(min=2), default=8, show_default=True, help="Worlds a scenario.")
@json_option
def demo(file: Path | None, columns: str | None, replicates: int, as_json: bool) -> None:
    """Show what simbench does, on three kinds of worlds.

    Writes the picture simbench-demo.png into the current folder (and replaces it).
    """
    from simbench.cli.demonstration import demonstrate
    from simbench.run.hosts import prepare_process

    prepare_process()
    wanted: Sequence[str] = [column.strip() for column in (columns or "").split(",") if column.strip()]
    demonstrate(file, wanted, replicates, as_json=as_json)
