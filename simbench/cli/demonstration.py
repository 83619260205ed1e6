"""The demonstration: one world told in full, then every contender on the suite smoke."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from simbench.cli.common import counted, emit, page, progress, table
from simbench.errors import BadInput

PICTURE = Path("simbench-demo.png")
STORE = Path("simbench-runs")
SUITE = "smoke"
CONTENDERS = (
    "oracle", "prior-only", "spend-share", "seasonal-naive", "ols", "robyn-style",
    "numpyro-nuts[chains=4,warmup=250,samples=250]",
)  # fmt: skip
#: Where the complete example of a vendor's program is, in a checkout.
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "vendor_backend.py"
#: What it means to be best -> question of the leaderboard.
BEST = {
    "Closest to the true contributions": "recovery",
    "Best forecast": "forecast",
    "Best decision": "decision",
}


def contenders() -> list[str]:
    """Everyone who takes part: simbench's own, and the example of a vendor's program where there is one."""
    import shlex
    import sys

    program = f"command:{shlex.quote(sys.executable)} {shlex.quote(str(EXAMPLE))}"
    return [*CONTENDERS, *([program] if EXAMPLE.is_file() else [])]


def demonstrate(file: Path | None, columns: Sequence[str], replicates: int, *, as_json: bool = False) -> None:
    """Print the demonstration section by section.

    Parameters
    ----------
    file : Path, optional
        The user's weekly file: a world around its spend takes the place of the suite.
    columns : sequence of str
        Its spend columns; guessed if empty.
    replicates : int
        Worlds a scenario.
    """
    import simbench as sb
    from simbench.cli.boards import print_boards, remarks
    from simbench.report.tables import notes, records
    from simbench.report.tables import table as headlines
    from simbench.report.words import facts, sentences
    from simbench.run.results import scores
    from simbench.score.headlines import leaderboard
    from simbench.world.scenario import read_suite

    began, console = time.perf_counter(), page()
    say = (lambda *_, **__: None) if as_json else console.print
    with tempfile.TemporaryDirectory(prefix="simbench-") as folder:
        # a faulty file is refused before anything is drawn
        sources, said = (SUITE, []) if file is None else own_world(file, columns, Path(folder))
        shown = read_suite(SUITE).scenarios[0].scenario if file is None else sb.read_scenario(sources)

        say("1. A world whose truth is known", style="bold")
        with progress(f"drawing {shown.name}", quiet=as_json):
            drawn = sb.draw(shown, 1)
        truth = facts(drawn)
        say(f"Scenario {shown.name}: {shown.title.lower()}, {shown.time.weeks} weeks. {_flat(shown.summary)}")
        for line in said:
            say(line)
        say(picture(drawn))

        say("\n2. What the truth says, and the best decision", style="bold")
        for line in sentences(truth):
            say(line)
        say()
        say(best_plan(truth))

        with counted(quiet=as_json) as tell:
            store = STORE / ("demo" if file is None else "demo-csv")
            run = sb.run(sources, contenders(), replicates=replicates, store=store, say=tell)
        frame = scores(run)
    found = leaderboard(frame)
    findings = conclusions(found, frame)
    if as_json:
        emit({
            "truth": truth, "suite": records(headlines(found)),
            "scenarios": records(headlines(found, by_scenario=True)),
            "notes": notes(found), "conclusions": findings, "run": str(run.folder),
        })  # fmt: skip
        return
    count = len(found.suite.standings)
    say(f"\n3. {count} contenders, {len(found.scenarios)} scenarios, {replicates} worlds each", style="bold")
    print_boards(found)
    for line in remarks(found, frame, run.cut):
        say(line)
    say("\n4. What that means", style="bold")
    for line in findings:
        say(line)
    say(f"\ndone in {time.perf_counter() - began:.1f} s; kept in {run.folder}; next: simbench list")


def own_world(file: Path, columns: Sequence[str], folder: Path) -> tuple[Path, list[str]]:
    """A scenario around the spend of the user's file, and what was noted about it."""
    from simbench.cli.starter import recorded

    started = recorded("your-spend", file, folder, columns=columns)
    return started.scenario, [f"your-spend is built around the spend in {file.name}", *started.notes]


def _flat(text: str) -> str:
    return " ".join(text.split())


def picture(drawn: Any) -> str:
    """Draw the picture; say where it is, or why there is none."""
    if find_spec("matplotlib") is None:
        return "no picture: pip install 'simbench[plot]' brings matplotlib"
    from simbench.report.plots import plot_world

    try:
        plot_world(drawn, PICTURE)
    except BadInput as error:
        return f"no picture: {error}"
    return f"Its spend, KPI and response curves: {PICTURE}"


def best_plan(told: Any) -> Any:
    """Money by channel, now and at the optimum, of each problem."""
    from simbench.report.words import changes, percent, proof, short

    rows: list[tuple[str, ...]] = []
    for problem in told.problems:
        giving, getting = changes(problem)
        marks = {move.unit: "less" for move in giving} | {move.unit: "more" for move in getting}
        for k, move in enumerate(problem.moves):
            plan, mark = "" if k else problem.budget, marks.get(move.unit, "")
            rows.append((plan, move.unit, f"{move.now:,.0f}", f"{move.best:,.0f}", mark))
        now, best = sum(move.now for move in problem.moves), sum(move.best for move in problem.moves)
        earned = f"earns {short(problem.gain)}, {percent(problem.gain / problem.spend)} of spend"
        rows.append(("", "all", f"{now:,.0f}", f"{best:,.0f}", earned))
        rows += [("", "", "", "", proof(problem)), ("",) * 5]
    columns = ("plan", "channel", f"now, {told.horizon} weeks", "best", "")
    return table(columns, rows[:-1], right=columns[2:4])


def conclusions(found: Any, frame: Any) -> list[str]:
    """Sentences on who was best where, from the scores alone; said only where resampled worlds agree."""
    several = len(found.scenarios) > 1
    said = []
    first: dict[str, dict[str, str]] = {}
    for doing, question in BEST.items():
        first[question] = {board.scenario: leader(board, question) for board in found.scenarios}
        names = sorted({name for name in first[question].values() if name})
        parts = [f"{name} in {_and([s for s, who in first[question].items() if who == name])}" for name in names]
        unclear = [scenario for scenario, who in first[question].items() if not who]
        parts += [f"no clear difference in {_and(unclear)}"] if unclear else []
        said.append(f"{doing}: {'; '.join(parts)}.")
    for board in found.scenarios:
        harmful = [
            standing.backend for standing in board.standings
            if standing.backend != "oracle" and standing.decision.estimate.low > 1
        ]  # fmt: skip
        if harmful:
            said.append(f"Acting on {_and(harmful)} earned less than the status quo in {board.scenario}, beyond doubt.")
    covered = [
        f"{standing.backend} {standing.coverage.value:.0%}"
        for standing in found.suite.standings
        if standing.coverage.n and standing.coverage.value == standing.coverage.value
    ]
    said.append(f"Share of true contributions inside 90% intervals: {_and(covered)}.")
    worse = [b for b in beaten(found.suite, "prior-only", "recovery") if several or b]
    if worse:
        said.append(f"No closer to the truth than prior-only, which saw no sales at all: {_and(worse)}.")
    return said


def leader(board: Any, question: str) -> str:
    """Who is first, if the interval of its rank holds no other place; else ""."""
    for standing in board.standings:
        told = getattr(standing, question)
        if told.rank_low == 1 and told.rank_high == 1:
            return str(standing.backend)
    return ""


def beaten(board: Any, reference: str, question: str) -> list[str]:
    """Those whose number is not below that of a reference."""
    numbers = {standing.backend: getattr(standing, question).estimate.value for standing in board.standings}
    if reference not in numbers:
        return []
    return [name for name, value in numbers.items() if name != reference and value >= numbers[reference]]


def _and(words: Sequence[str]) -> str:
    from simbench.report.words import listed

    return listed(list(words))
