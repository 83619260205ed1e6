"""Verbs that tell what a run found: report, compare; and the board that run and score print."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import click

from simbench.cli.common import NOTHING, PASS, emit, example, free, json_option, page, table
from simbench.cli.common import one_line as clean
from simbench.errors import BadInput

#: Shorter words for narrow columns.
HEADS = {"calibration": "calibr."}
#: What is compared unless every score is asked for: estimand and metric.
COMPARED = {
    ("contribution", "error"), ("forecast", "crps"), ("decision", "regret"), ("contribution", "interval score 90%"),
    ("cost", "seconds"),
}  # fmt: skip
#: Letters that a name gets on a line at the least.
NARROWEST = 12
LEGEND = """
recovery      sum over channels of |contribution - true| / sum of |true|; 0 is perfect
forecast      holdout CRPS over {unit}; the oracle's is the noise floor
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
        return nothing(run, as_json=as_json)
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
    console.print(f"\nkept in {run.folder}", soft_wrap=True)
    return code


def nothing(run: Any, *, as_json: bool) -> int:
    """Say that a run holds no scores; the exit code for that."""
    if as_json:
        emit({"run": str(run.folder), "suite": [], "scenarios": [], "notes": ["nothing was measured"]})
    else:
        page().print(f"nothing was measured; run again to go on: {run.folder}", soft_wrap=True)
    return NOTHING


def print_boards(found: Any) -> None:
    """The suite as a whole, then scenario by scenario, and what the columns mean."""
    from simbench.report import beside
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
    unit = found.forecast_unit.replace("CRPS of", "that of")
    console.print(LEGEND.format(unit=unit))
    console.print(f"Means over worlds \u00b1 half of {found.intervals}.")
    asides = beside.rows(found.suite)
    if asides:
        console.print()
        told = [[folded(row[0], 30), *row[1:]] for row in asides]
        console.print(table(beside.HEAD, told, right=beside.HEAD[1:]))
        console.print("silent failures: green diagnostics, truth outside 99%, error above half; -: not assessable")
    ahead = {*beside.front(found.suite), "oracle"}
    behind = [standing.backend for standing in found.suite.standings if standing.backend not in ahead]
    if behind:
        console.print(f"Behind one and the same contender in every question: {', '.join(map(clean, behind))}.")


def board(title: str, told: Any) -> Any:
    """One leaderboard as a table to print."""
    from simbench.report.tables import RANKED, figure, seconds, spanned

    failed = bool((told["failures"] > 0).any())
    head = [""]
    for question in RANKED:
        head += [HEADS.get(question, question), "#"]
    head += ["cover", "s/cell", "n", *(["failed"] if failed else [])]
    rows = []
    for _, row in told.iterrows():
        line = [clean(row["backend"])]
        for question in RANKED:
            half = (row[f"{question}_high"] - row[f"{question}_low"]) / 2
            spread = f"\u00b1{figure(half)}" if half == half else ""
            line += [figure(row[question]) + spread, spanned(row[f"{question}_rank_low"], row[f"{question}_rank_high"])]
        line += [figure(row["coverage"]), seconds(row["cost"]), row["worlds"], *([row["failures"]] if failed else [])]
        rows.append([str(cell) for cell in line])
    numbers = sum(2 + max(len(line[i]) for line in [head, *rows]) for i in range(1, len(head)))
    room = max(page().width - numbers, NARROWEST)  # what is left for names: numbers are never broken
    return table(
        [folded(title, room), *head[1:]], [[folded(line[0], room), *line[1:]] for line in rows], right=head[1:]
    )


def folded(name: str, room: int) -> str:
    """A name on as many lines as it needs."""
    return "\n".join(textwrap.wrap(clean(name), room))


def remarks(found: Any, frame: Any, cut: bool) -> list[str]:
    """What a reader of the boards must know besides: missing references, failures, missing ranks."""
    from simbench.report.tables import unranked

    said = []
    if cut:
        said.append("The time limit ended this run: only whole replicates count; run again to go on.")
    if found.missing_references:
        said.append(f"Not run, so nothing is imputed by them: {', '.join(found.missing_references)}.")
    if found.suite.left_out:
        count = found.suite.left_out
        said.append(f"{count} world{'s' * (count > 1)} had less than 1% of media spend to gain: not in the decision.")
    ordinary = ("not answered", "knows the truth")
    said += [
        f"{line[0].upper()}{line[1:]}."
        for line in unranked(found.suite.standings)
        if not any(w in line for w in ordinary)
    ]
    failed = frame[frame.status == "failed"].groupby(["backend", "reason"], observed=True).size()
    said += [
        f"{backend} failed in {count} cell{'s' * (count > 1)}: {reason}." for (backend, reason), count in failed.items()
    ]
    pace = found.suite.agreement
    if pace.n > 2 and pace.value == pace.value:
        said.append(f"Forecast rank against recovery rank: Kendall's tau {pace.value:.2f} over {pace.n} contenders.")
    return ["", *map(clean, said)] if said else []


@click.command(
    epilog=example(
        "simbench report latest",
        "simbench report latest --format tex --out table.tex",
        "simbench report simbench-runs/smoke --format csv",
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
        context.exit(print_board(found, as_json=as_json))
    if out is not None:
        free(out, force=True)
    frame = scores(found)
    if not len(frame):
        context.exit(nothing(found, as_json=as_json))
    text = written(leaderboard(frame), form)
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
    from simbench.report.tables import figure, seconds
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
