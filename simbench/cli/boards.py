"""The boards that run, score, report and demo print, and the exit code that a run deserves."""

from __future__ import annotations

import textwrap
from typing import Any

from simbench.cli.common import FAILURES, INTEGRITY, NOTHING, PASS, emit, page, table
from simbench.cli.common import one_line as clean

#: A contender that fails in more than this share of its cells is not to be ranked.
ALLOWED_FAILURES = 0.05
#: Shorter words for narrow columns.
HEADS = {"calibration": "calibr."}
#: Letters that a name gets on a line at the least.
NARROWEST = 12
LEGEND = """
recovery      sum over channels of |contribution - true| / sum of |true|; 0 is perfect
forecast      holdout CRPS over {unit}; the oracle's is the noise floor
decision      share of the attainable gain that was missed; 0 the optimum, 1 the status quo
calibration   interval score of 90% intervals / sum of |true|; lower is better
#             rank, or the interval of ranks that resampled worlds give
cover         share of true contributions inside 90% intervals; s/cell: median seconds; n: worlds"""

#: Columns of decisions that a page has room for.
TOGETHER = 8
DECIDED = """worst tenth: mean regret of the worst 10% of worlds; worst kind: the scenario with the largest mean
harm: worlds in which the reference decision had been better; efficiency gain: of media-driven KPI
information / regret: worth of knowing the truth, by the contender's own draws / what it really lost
best mean, plug-in, risk-aware, cautious: regret of other ways to act on the same answers"""


def print_board(run: Any, *, as_json: bool, decisions: bool = False, problem: str | None = None) -> int:
    """Print a run's leaderboard and where it is kept, on request its decisions; the exit code it deserves."""
    from simbench.report.tables import classes, notes, records
    from simbench.report.tables import decisions as acted
    from simbench.report.tables import table as headlines
    from simbench.run.results import scores
    from simbench.score.headlines import leaderboard

    frame = scores(run)
    code = verdict(frame)
    if not len(frame):
        return nothing(run, as_json=as_json)
    found = leaderboard(frame, problem)
    if as_json:
        emit({
            "run": str(run.folder), "suite": records(headlines(found)),
            "scenarios": records(headlines(found, by_scenario=True)), "decisions": records(acted(found)),
            "classes": records(classes(found)), "notes": notes(found),
        })  # fmt: skip
        return code
    print_boards(found)
    if decisions:
        print_decisions(found)
    print_classes(found)
    console = page()
    for said in remarks(found, frame, run.cut):
        console.print(said)
    console.print(f"\nkept in {run.folder}", soft_wrap=True)
    return code


def nothing(run: Any, *, as_json: bool) -> int:
    """Say that a run holds no scores; the exit code for that."""
    if as_json:
        none: dict[str, list[Any]] = {name: [] for name in ("suite", "scenarios", "decisions", "classes")}
        emit({"run": str(run.folder), **none, "notes": ["nothing was measured"]})
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


def print_decisions(found: Any) -> None:
    """What acting on each contender's answers came to, over the whole suite."""
    from simbench.report.stakes import stakes, stakes_cells

    frame, console = stakes(found), page()
    told = stakes_cells(frame[frame["scenario"] == ""], plus_minus)
    if told is None:
        return
    for columns in (slice(1, TOGETHER), slice(TOGETHER, None)):  # a page is narrower than a table of all of them
        console.print()
        head = [told.head[0], *told.head[columns]]
        console.print(table(head, [[folded(r[0], 30), *r[columns]] for r in told.rows], right=head[1:]))
    console.print(DECIDED)


def print_classes(found: Any) -> None:
    """Headlines apart for the scenarios in a contender's class and those out of it, where there are both."""
    from simbench.report.tables import class_cells, classes

    told, console = class_cells(classes(found), plus_minus), page()
    if told is None:
        return
    console.print()
    console.print(table(told.head, [[folded(row[0], 30), *row[1:]] for row in told.rows], right=told.head[1:]))
    console.print("in class: scenarios that break nothing, or what the contender's model can do without")
    console.print("out of class: the others, never averaged with them; who has no handles does not say")


def plus_minus(row: Any, name: str) -> str:
    """A number and half of its interval."""
    from simbench.report.printed import figure

    half = (row[f"{name}_high"] - row[f"{name}_low"]) / 2
    return figure(row[name]) + (f"\u00b1{figure(half)}" if half == half else "")


def board(title: str, told: Any) -> Any:
    """One leaderboard as a table to print."""
    from simbench.report.printed import figure
    from simbench.report.tables import RANKED, seconds, spanned

    failed = bool((told["failures"] > 0).any())
    head = [""]
    for question in RANKED:
        head += [HEADS.get(question, question), "#"]
    head += ["cover", "s/cell", "n", *(["failed"] if failed else [])]
    rows = []
    for _, row in told.iterrows():
        line = [clean(row["backend"])]
        for question in RANKED:
            ranks = row[f"{question}_rank_low"], row[f"{question}_rank_high"]
            line += [plus_minus(row, question), spanned(*ranks)]
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
    for (scenario, backend), rows in impossible(frame).groupby(["scenario", "backend"], observed=True):
        said.append(f"{backend} on {scenario}: {len(rows)} plans beat the optimum. That is a fault of simbench.")
    ordinary = ("not answered", "knows the truth")
    said += [
        f"{line[0].upper()}{line[1:]}."
        for line in unranked(found.suite.standings)
        if not any(w in line for w in ordinary)
    ]
    failed = frame[frame.status == "failed"].groupby(["backend", "reason"], observed=True).size()
    said += [unanswered(backend, reason, count) for (backend, reason), count in failed.items()]
    pace = found.suite.agreement
    if pace.n > 2 and pace.value == pace.value:
        said.append(f"Forecast rank against recovery rank: Kendall's tau {pace.value:.2f} over {pace.n} contenders.")
    return ["", *map(clean, said)] if said else []


def unanswered(backend: str, reason: str, count: int) -> str:
    """So many cells without an answer; what a contender says it is not made for is no failure."""
    from simbench.score.tables import EXCUSED

    cells = f"{count} cell{'s' * (count > 1)}"
    return f"{backend} does not support {cells}." if reason in EXCUSED else f"{backend} failed in {cells}: {reason}."


def impossible(frame: Any) -> Any:
    """Rows of plans that are worth more than the proven bound, or than an unproven optimum: its fault, not a merit."""
    return frame[(frame.metric == "below optimum") & (frame.value > 0)]


def verdict(frame: Any) -> int:
    """Exit code of a run from its score rows: is the optimum sound, anything measured, how many cells failed."""
    from simbench.score.tables import EXCUSED

    if not len(frame) or not frame.value.notna().any():
        return NOTHING
    if len(impossible(frame)):
        return INTEGRITY
    cells = frame[["backend", "scenario", "replicate", "status", "reason"]].drop_duplicates()
    failed = cells[(cells.status == "failed") & ~cells.reason.isin(EXCUSED)]
    count = frame.groupby("backend", observed=True)[["scenario", "replicate"]].apply(lambda g: len(g.drop_duplicates()))
    share = failed.groupby("backend", observed=True).size().reindex(count.index, fill_value=0) / count
    return FAILURES if (share > ALLOWED_FAILURES).any() else PASS
