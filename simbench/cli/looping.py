"""The verb that lets policies decide, and decide again: loop."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from simbench.cli.common import FAILURES, PASS, counted, emit, example, json_option, page, table

LEGEND = """
regret     what each choice missed of its best plan, summed; % of the usual spend
{other}  more regret than that policy in the same worlds
oracle     realised profit beside that of the re-optimising oracle, same noise; % of the usual spend
moved      money moved by a decision, %
error      of what channels brought last year, as {model} tells it in the end
width      of its 90% intervals; both as shares of what all media brought
risk       realised profit beside the status quo's, same noise, % of the usual spend: mean, mean
           of the worst tenth of worlds, share of worlds that lost, mean by sd over worlds; in
           brackets the rank by each
95% intervals in square brackets; those of the other columns are in policies.csv and --json"""
#: A model that fails in more than this share of decisions is no model to act on.
ALLOWED_FAILURES = 0.05


@click.command(
    epilog=example(
        "simbench loop smoke",
        "simbench loop clean --quarters 12 --replicates 16 --model national-hmc",
        "simbench loop smoke --policy greedy --policy thompson --policy oracle --model mine.py:fit",
    )
)
@click.argument("sources", nargs=-1, required=True, metavar="SUITE|SCENARIO...")
@click.option("--policy", "policies", multiple=True, help="A policy by name; may be repeated. [default: fourteen]")
@click.option("--model", help="The contender that policies act on. [default: national-laplace]")
@click.option("--replicates", type=click.IntRange(min=1), help="Worlds a scenario. [default: the suite's, else 4]")
@click.option(
    "--quarters", type=click.IntRange(min=1, max=100), help="Quarters lived again. [default: the suite's, else 4]"
)
@click.option(
    "--every", metavar="WEEKS", type=int, default=13, show_default=True,
    help="Weeks from one decision to the next: 13, 4 or 1 (any of 1, 2, 4, 13, 26, 52).",
)  # fmt: skip
@click.option(
    "--least", type=click.FloatRange(0, 1), default=0.85, show_default=True,
    help="Share of an epoch's budget that has to be spent.",
)  # fmt: skip
@click.option("--store", type=click.Path(path_type=Path), help="Folder of the tables. [default: simbench-loops/NAME]")
@click.option("--jobs", type=click.IntRange(min=1), help="Host processes. [default: one a core]")
@json_option
@click.pass_context
def loop(
    context: click.Context,
    sources: tuple[str, ...],
    policies: tuple[str, ...],
    model: str | None,
    replicates: int | None,
    quarters: int | None,
    every: int,
    least: float,
    store: Path | None,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Let policies decide a quarter's media (or some weeks'), live it, refit and decide again.

    The last quarters of every panel are lived again in each policy's own way. Prints cumulative regret
    with intervals; decisions.csv holds every decision with the numbers it was based on.
    """
    from simbench.report.tables import records
    from simbench.run import looping
    from simbench.run.hosts import prepare_process

    prepare_process()
    with counted("decisions", quiet=as_json) as say:
        done = looping.loop(
            sources, policies or looping.DEFAULT, model or looping.MODEL, replicates=replicates, quarters=quarters,
            every=every, least=least, store=store, jobs=jobs, say=say,
        )  # fmt: skip
    from simbench.report import loops

    found, worst = loops.policies(done.lives), loops.risk(done.lives)
    code = FAILURES if (found.failed > ALLOWED_FAILURES).any() else PASS
    if as_json:
        emit({"loop": str(done.folder), "model": done.model, "policies": records(found), "risk": records(worst)})
        context.exit(code)
    show(found, worst, done.model)
    page().print(f"\nkept in {done.folder}: {', '.join(f'{name}.csv' for name in loops.FILES)}", soft_wrap=True)
    context.exit(code)


def show(found: Any, worst: Any, model: str) -> None:
    """Print a table of policies and one of their risk for every scenario, and what the columns are."""
    console = page()

    def number(value: float, digits: int = 1) -> str:
        return "-" if math.isnan(value) else f"{value:.{digits}f}"

    def interval(row: Any, column: str) -> str:
        ends = row[f"{column} low"], row[f"{column} high"]
        return number(row[column]) + ("" if math.isnan(ends[0]) else f" [{ends[0]:.2g}, {ends[1]:.2g}]")

    def ranked(row: Any, column: str, told: str) -> str:
        return told if math.isnan(row[column]) else f"{told} ({row[f'rank {column}']})"

    for name, rows in found.groupby("scenario", sort=False):
        other = rows.against.iloc[0]
        head = ("policy", "regret", f"vs {other}", "oracle", "moved", "error", "width")
        body = [
            (
                row.policy, interval(row, "regret"), interval(row, "difference"), number(row["against oracle"]),
                number(row["money moved"]), number(row["error after"], 2), number(row["width after"], 2),
            )
            for _, row in rows.iterrows()
        ]  # fmt: skip
        console.print(f"{name}, {int(rows.worlds.max())} worlds")
        console.print(table(head, body, right=head[1:]))
        before = (number(rows[f"{column} before"].iloc[0], 2) for column in ("error", "width"))
        console.print("before the first decision: error {}, width {}\n".format(*before))
        risk = ("risk", "mean", "worst tenth", "lost", "mean / sd")
        plans = [
            (
                row.policy, *(ranked(row, column, number(row[column])) for column in risk[1:3]),
                ranked(row, "lost", f"{100 * row.lost:.0f}%"), ranked(row, "mean / sd", number(row["mean / sd"], 2)),
            )
            for _, row in worst[worst.scenario == name].iterrows()
        ]  # fmt: skip
        if plans:
            console.print(table(risk, plans, right=risk[1:]))
            console.print()
    console.print(LEGEND.strip("\n").format(other=f"vs {found.against.iloc[0]}", model=model))
