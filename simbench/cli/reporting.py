"""Verbs that tell what a run found: report, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from simbench.cli.boards import folded, nothing, print_board
from simbench.cli.common import NOTHING, PASS, emit, example, free, json_option, page, table
from simbench.errors import BadInput

#: What is compared unless every score is asked for: estimand and metric.
COMPARED = {
    ("contribution", "error"), ("forecast", "crps"), ("decision", "regret"), ("contribution", "interval score 90%"),
    ("cost", "seconds"),
}  # fmt: skip


@click.command(
    epilog=example(
        "simbench report latest --decisions",
        "simbench report latest --decisions --problem free",
        "simbench report latest --format tex --out table.tex",
        "simbench report simbench-runs/smoke --format csv",
    )
)
@click.argument("run_", metavar="RUN", default="latest")
@click.option("--format", "form", type=click.Choice(["md", "csv", "tex", "json"]), help="Print a table for elsewhere.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write instead of printing.")
@click.option("--decisions", is_flag=True, help="Show on the terminal, too, what acting on the answers came to.")
@click.option("--problem", metavar="NAME", help="The allocation problem that counts; by default fixed, else the first.")
@json_option
@click.pass_context
def report(
    context: click.Context,
    run_: str,
    form: str | None,
    out: Path | None,
    decisions: bool,
    problem: str | None,
    as_json: bool,
) -> None:
    """Tell what a run found: leaderboards with intervals, ranks and failures.

    Without --format for the terminal; md, csv, tex (booktabs) and json are for papers and programs.
    """
    from simbench.protocol.files import write_text
    from simbench.report.tables import written
    from simbench.run.hosts import prepare_process
    from simbench.run.results import opened, scores
    from simbench.score.headlines import leaderboard

    if as_json and out is None and form not in (None, "json"):
        raise BadInput("--json", f"and --format {form} are two things to print", "one of them, or --out")
    prepare_process()
    found = opened(run_)
    if out is not None and form is None:
        form = {".md": "md", ".csv": "csv", ".tex": "tex", ".json": "json"}.get(out.suffix)
        if form is None:
            raise BadInput(str(out), "says no format by its name", "--format md, csv, tex or json")
    if form is None:
        context.exit(print_board(found, as_json=as_json, decisions=decisions, problem=problem))
    if out is not None:
        free(out, force=True)
    frame = scores(found)
    if not len(frame):
        context.exit(nothing(found, as_json=as_json))
    text = written(leaderboard(frame, problem), form)
    if out is None:
        click.echo(text, nl=False)
        return
    write_text(out, text)
    if as_json:
        emit({"file": str(out)})
    else:
        page().print(f"wrote {out}", soft_wrap=True)


@click.command(
    epilog=example(
        "simbench compare latest ols numpyro-nuts", "simbench compare RUN mine@main mine@branch --by-scenario"
    )
)
@click.argument("run_", metavar="RUN")
@click.argument("a")
@click.argument("b")
@click.option("--by-scenario", is_flag=True, help="Scenario by scenario instead of all of them together.")
@click.option("--all", "everything", is_flag=True, help="Every score, not only the headlines.")
@json_option
@click.pass_context
def compare(
    context: click.Context, run_: str, a: str, b: str, by_scenario: bool, everything: bool, as_json: bool
) -> None:
    """Compare two columns of a run on the same cells: paired differences with intervals."""
    from simbench.report.tables import compare as paired
    from simbench.report.tables import records
    from simbench.run.hosts import prepare_process
    from simbench.run.results import opened

    prepare_process()
    run = opened(run_)
    frame = paired(run, a, b, by_scenario=by_scenario)
    if not everything:
        frame = frame[[pair in COMPARED for pair in zip(frame.estimand, frame.metric, strict=True)]]
    if as_json:
        emit({"differences": records(frame)})
        context.exit(PASS if len(frame) else NOTHING)
    console = page()
    if not len(frame):
        console.print(
            "there is no score that both have" + ("" if everything else " among the headlines; --all shows every score")
        )
        context.exit(NOTHING)
    rows = [([row.scenario] if by_scenario else []) + _difference(run, row) for row in frame.itertuples()]
    names = [folded(name, 20) for name in (a, b)]
    head = [*(["scenario"] if by_scenario else []), "score", *names, "difference", "smallest", "first better", "n"]
    console.print(table(head, rows, right=head[1 + by_scenario :]))
    console.print("\nDifferences are first less second over the same cells, \u00b1 half of a 95% interval.")
    console.print("smallest: the difference that so many worlds (n) would show four times in five.")


def _difference(run: Any, row: Any) -> list[Any]:
    """One score of two columns, as cells of a table."""
    from simbench.report.printed import figure
    from simbench.report.tables import seconds
    from simbench.run.results import called

    def said(value: float) -> str:
        return seconds(value) if row.estimand == "cost" else figure(value, 3)

    units = {called(source, row.unit) for source in run.sources if row.scenario in ("", source.name)}
    unit = "" if row.unit == "all" else units.pop() if len(units) == 1 else row.unit
    return [
        " ".join(word for word in (row.estimand, unit, row.metric) if word), said(row.a), said(row.b),
        f"{said(row.difference)}\u00b1{said((row.high - row.low) / 2)}", said(row.smallest),
        f"{row.a_better:.0%}" if row.a_better == row.a_better else "-", row.n,
    ]  # fmt: skip
