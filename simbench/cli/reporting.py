"""Verbs that tell what a run found: report, compare; and the board that run and score print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from simbench.cli.common import NOTHING, emit, example, free, json_option, page, table
from simbench.errors import BadInput

#: Shorter words for narrow columns.
HEADS = {"calibration": "calibr."}
LEGEND = """
recovery      sum over channels of |contribution - true| / sum of |true|; 0 is perfect
forecast      holdout CRPS over that of {unit}; the oracle's is the noise floor
decision      share of the attainable gain that was missed; 0 the optimum, 1 the status quo
calibration   interval score of 90% intervals / sum of |true|; lower is better
#             rank, or the interval of ranks that resampled worlds give
cover         share of true contributions inside 90% intervals; s/cell: median seconds; n: worlds"""


def print_board(run: Any, *, as_json: bool) -> int:
    """Print a run's leaderboard and where it is kept; the exit code it deserves."""
    from simbench.cli.running import verdict
    from simbench.report.tables import notes, records
    from simbench.report.tables import table as headlines
    from simbench.run.results import scores
    from simbench.score.headlines import leaderboard

    frame = scores(run)
    code = verdict(frame)
    if not len(frame):
        if as_json:
            emit({"run": str(run.folder), "suite": [], "scenarios": [], "notes": ["nothing was measured"]})
        else:
            page().print(f"nothing was measured; run again to go on: {run.folder}")
        return NOTHING
    found = leaderboard(frame)
    if as_json:
        emit({
            "run": str(run.folder), "suite": records(headlines(found)),
            "scenarios": records(headlines(found, by_scenario=True)), "notes": notes(found),
        })  # fmt: skip
        return code
    print_boards(found)
    console = page()
    for said in remarks(found, frame, run.cut):
        console.print(said)
    console.print(f"\nkept in {run.folder}")
    return code


def print_boards(found: Any) -> None:
    """The suite as a whole, then scenario by scenario, and what the columns mean."""
    from simbench.report.tables import table as headlines

    console = page()
    whole = headlines(found)
    several = len(found.scenarios) > 1
    title = f"All {len(found.scenarios)} scenarios" if several else found.scenarios[0].scenario
    console.print(board(title, whole))
    if several:
        each = headlines(found, by_scenario=True)
        order = list(whole["backend"])  # one order for all, so that a row is found where it was
        for one in found.scenarios:
            own = each[each["scenario"] == one.scenario]
            console.print()
            console.print(board(one.scenario, own.sort_values("backend", key=lambda names: names.map(order.index))))
    unit = "seasonal-naive" if found.forecast_unit.startswith("CRPS") else found.forecast_unit
    console.print(LEGEND.format(unit=unit))
    console.print(f"Means over worlds \u00b1 half of {found.intervals}.")


def board(title: str, told: Any) -> Any:
    """One leaderboard as a table to print."""
    from simbench.report.tables import RANKED, figure, seconds, spanned

    failed = bool((told["failures"] > 0).any())
    head = [title]
    for question in RANKED:
        head += [HEADS.get(question, question), "#"]
    head += ["cover", "s/cell", "n", *(["failed"] if failed else [])]
    rows = []
    for _, row in told.iterrows():
        line = [row["backend"]]
        for question in RANKED:
            half = (row[f"{question}_high"] - row[f"{question}_low"]) / 2
            spread = f"\u00b1{figure(half)}" if half == half else ""
            line += [figure(row[question]) + spread, spanned(row[f"{question}_rank_low"], row[f"{question}_rank_high"])]
        line += [figure(row["coverage"]), seconds(row["cost"]), row["worlds"], *([row["failures"]] if failed else [])]
        rows.append(line)
    return table(head, rows, right=head[1:])


def remarks(found: Any, frame: Any, cut: bool) -> list[str]:
    """What a reader of the boards must know besides: missing references, failures, missing ranks."""
    from simbench.report.tables import unranked

    said = []
    if cut:
        said.append("The time limit ended this run: only whole replicates count; run again to go on.")
    if found.missing_references:
        said.append(f"Not run, so nothing is imputed by them: {', '.join(found.missing_references)}.")
    if found.suite.left_out:
        said.append(f"{found.suite.left_out} worlds had less than 1% of media spend to gain: not in the decision.")
    ordinary = ("not answered", "knows the truth")
    said += [f"{line[0].upper()}{line[1:]}." for line in unranked(found.suite.standings) if not any(w in line for w in ordinary)]
    failed = frame[frame.status == "failed"].groupby(["backend", "reason"], observed=True).size()
    said += [f"{backend}: {count} cells {reason}." for (backend, reason), count in failed.items() if count]
    pace = found.suite.agreement
    if pace.n > 2 and pace.value == pace.value:
        said.append(f"Forecast rank against recovery rank: Kendall's tau {pace.value:.2f} over {pace.n} contenders.")
    return ["", *said] if said else []


@click.command(
    epilog=example(
        "simbench report latest", "simbench report latest --format tex --out table.tex", "simbench report simbench-runs/smoke --format csv"
    )
)
@click.argument("run_", metavar="RUN", default="latest")
@click.option("--format", "form", type=click.Choice(["md", "csv", "tex", "json"]), help="Print a table for elsewhere.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write instead of printing.")
@json_option
@click.pass_context
def report(context: click.Context, run_: str, form: str | None, out: Path | None, as_json: bool) -> None:
    """Tell what a run found: leaderboards with intervals, ranks and failures.

    Without --format for the terminal; md, csv, tex (booktabs) and json are for papers and programs.
    """
    from simbench.protocol.files import write_text
    from simbench.report.tables import written
    from simbench.run.hosts import prepare_process
    from simbench.run.results import opened

    prepare_process()
    found = opened(run_)
    if out is not None and form is None:
        form = {".md": "md", ".csv": "csv", ".tex": "tex", ".json": "json"}.get(out.suffix)
        if form is None:
            raise BadInput(str(out), "says no format by its name", "--format md, csv, tex or json")
    if form is None:
        context.exit(print_board(found, as_json=as_json))
    text = written(found, form)
    if out is None:
        click.echo(text, nl=False)
        return
    free(out, force=True)
    write_text(out, text)
    if as_json:
        emit({"file": str(out)})
    else:
        page().print(f"wrote {out}")


@click.command(epilog=example("simbench compare latest ols numpyro-nuts", "simbench compare RUN mine@main mine@branch --by-scenario"))
@click.argument("run_", metavar="RUN")
@click.argument("a")
@click.argument("b")
@click.option("--by-scenario", is_flag=True, help="Scenario by scenario instead of all of them together.")
@click.option("--all", "everything", is_flag=True, help="Every score, not only the headlines.")
@json_option
def compare(run_: str, a: str, b: str, by_scenario: bool, everything: bool, as_json: bool) -> None:
    """Compare two columns of a run on the same cells: paired differences with intervals."""
    from simbench.report.tables import compare as paired
    from simbench.report.tables import figure, records
    from simbench.run.hosts import prepare_process

    prepare_process()
    frame = paired(run_, a, b, by_scenario=by_scenario)
    if not everything:
        main = [("contribution", "error"), ("forecast", "crps"), ("decision", "regret"), ("contribution", "interval score 90%"),
                ("cost", "seconds")]  # fmt: skip
        frame = frame[[(e, m) in main for e, m in zip(frame.estimand, frame.metric, strict=True)]]
    if as_json:
        emit({"differences": records(frame)})
        return
    rows = []
    for r in frame.itertuples():
        name = " ".join(x for x in (r.estimand, "" if r.unit == "all" else r.unit, r.metric) if x)
        half = (r.high - r.low) / 2
        first = [r.scenario or "all"] if by_scenario else []
        rows.append([
            *first, name, figure(r.a, 3), figure(r.b, 3), f"{figure(r.difference, 3)}\u00b1{figure(half, 3)}",
            figure(r.smallest, 3), f"{r.a_better:.0%}" if r.a_better == r.a_better else "-", r.n,
        ])  # fmt: skip
    head = [*(["scenario"] if by_scenario else []), "score", a, b, "difference", "smallest", "first better", "n"]
    console = page()
    console.print(table(head, rows, right=head[1 + by_scenario :]))
    console.print("\nDifferences are first less second over the same cells, \u00b1 half of a 95% interval.")
    console.print("smallest: the difference that so many worlds (n) would show four times in five.")
