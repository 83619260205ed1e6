"""The demonstration: one world told in full, then two contenders in three kinds of worlds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from simbench.cli.board import LEGEND, leaderboard, records
from simbench.cli.common import emit, page, progress, table
from simbench.errors import BadInput

PICTURE = Path("simbench-demo.png")
SCENARIOS = ("clean", "confounded-search")  #: and one around recorded spend
CONTENDERS = ("ols", "spend-share")
#: What it means to be best -> (headline of the table, estimand and metric of the score rows).
BEST = {
    "Closest to the true contributions": ("recovery error", "contribution", "error"),
    "Best forecast": ("forecast crps", "forecast", "crps"),
    "Best decision": ("normalised regret", "decision", "regret"),
}


def demonstrate(file: Path | None, columns: Sequence[str], replicates: int, *, as_json: bool = False) -> None:
    """Print the demonstration section by section.

    Parameters
    ----------
    file : Path, optional
        The user's weekly file; the shipped one if missing.
    columns : sequence of str
        Its spend columns; guessed if empty.
    replicates : int
        Worlds a scenario.
    """
    import simbench as sb
    from simbench.backends.registry import backend_named
    from simbench.report.words import facts, sentences

    began, console = time.perf_counter(), page()
    say = (lambda *_, **__: None) if as_json else console.print
    with tempfile.TemporaryDirectory(prefix="simbench-") as folder:
        world, notes = own_world(file, columns, Path(folder))  # a faulty file is refused before anything is drawn

        say("1. A world whose truth is known", style="bold")
        with progress("drawing clean", quiet=as_json):
            drawn = sb.draw("clean", 1)
        told = facts(drawn)
        scenario = drawn.scenario
        say(
            f"Scenario {scenario.name}: {scenario.title.lower()}, {scenario.time.weeks} weeks."
            f" {_flat(scenario.summary)}"
        )
        say(f"Who should win: {_flat(scenario.who_should_win)}")
        say(picture(drawn))

        say("\n2. What the truth says, and the best decision", style="bold")
        for said in sentences(told):
            say(said)
        say()
        say(best_plan(told))

        say(
            f"\n3. {len(CONTENDERS)} contenders, {len(SCENARIOS) + 1} scenarios, {replicates} worlds each",
            style="bold",
        )
        for note in notes:
            say(note)
        backends = [backend_named(name) for name in CONTENDERS]
        parts = []
        with progress("running", quiet=as_json) as show:
            for source in (*SCENARIOS, world):
                show(source if isinstance(source, str) else source.stem)
                parts.append(sb.run([source], backends, replicates=replicates))
        result = type(parts[0])(
            tuple(d for part in parts for d in part.drawn), tuple(c for part in parts for c in part.cells)
        )
    frame, rows = sb.table(result), sb.scores(result)
    findings = conclusions(frame, rows)
    if as_json:
        emit({"truth": told, "table": records(frame), "conclusions": findings})
        return
    say(leaderboard(frame))
    say(LEGEND)
    say("\n4. What that means", style="bold")
    for said in findings:
        say(said)
    say(f"\ndone in {time.perf_counter() - began:.1f} s; next: simbench list")


def own_world(file: Path | None, columns: Sequence[str], folder: Path) -> tuple[Path, list[str]]:
    """The third world: spend of the user's file, or of the shipped one."""
    from simbench.cli.starter import recorded
    from simbench.world.scenario import scenario_folder

    if file is not None:
        started = recorded("your-spend", file, folder, columns=columns)
        return started.scenario, [f"your-spend is built around the spend in {file.name}", *started.notes]
    shipped = scenario_folder() / "data" / "recorded-spend.csv"
    started = recorded("recorded-spend", shipped, folder, columns=columns or ("tv", "radio", "online-video"))
    return started.scenario, [f"recorded-spend is built around the spend in {shipped.name}; --csv FILE takes yours"]


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


def conclusions(frame: Any, rows: Any) -> list[str]:
    """Sentences on who was best where, from the scores alone."""
    scenarios = list(dict.fromkeys(frame.scenario))
    best = {
        doing: {scenario: winner(frame, rows, scenario, *columns) for scenario in scenarios}
        for doing, columns in BEST.items()
    }
    said = []
    for doing, where in best.items():
        names = sorted({name for name in where.values() if name})
        parts = [f"{name} in {_and([s for s in scenarios if where[s] == name])}" for name in names]
        unclear = [scenario for scenario in scenarios if not where[scenario]]
        parts += [f"no clear difference in {_and(unclear)}"] if unclear else []
        said.append(f"{doing}: {'; '.join(parts)}.")
    told, true = (list(best[doing].values()) for doing in ("Best forecast", "Closest to the true contributions"))
    apart = [s for s, one, other in zip(scenarios, told, true, strict=True) if one and other and one != other]
    if apart:
        said.append(f"The better forecaster was the worse at attribution in {_and(apart)}.")
    for name in CONTENDERS:
        regret = frame[frame.backend == name].set_index("scenario")["normalised regret"]
        lost = [scenario for scenario in scenarios if regret[scenario].value > 1 + 1e-9]
        if lost:
            said.append(f"On average, acting on {name} earned less than the status quo in {_and(lost)}.")
    return [*said, *calibration(frame)]


def winner(frame: Any, rows: Any, scenario: str, headline: str, estimand: str, metric: str) -> str:
    """Who has the lowest headline in a scenario; "" if the paired 95% interval to the next has 0."""
    from simbench.score.statistics import mean_interval

    own = frame[frame.scenario == scenario]
    order = sorted(zip((e.value for e in own[headline]), own.backend, strict=True))
    if len(order) < 2 or any(value != value for value, _ in order):
        return ""
    (_, best), (_, second) = order[:2]
    kept = rows[(rows.scenario == scenario) & (rows.estimand == estimand) & (rows.metric == metric)]
    unit = "all" if estimand != "decision" else next(iter(kept.unit), "")
    kept = kept[kept.unit == unit].pivot(index="replicate", columns="backend", values="value")
    apart = mean_interval(kept[second] - kept[best])
    return best if apart.low > 0 else ""


def calibration(frame: Any) -> list[str]:
    """How often 90% intervals held the truth."""
    said = []
    for name in CONTENDERS:
        own = frame[frame.backend == name]
        told = [
            f"{coverage.value:.0%} in {scenario}"
            for scenario, coverage in zip(own.scenario, own["coverage 90%"], strict=True)
            if coverage.n
        ]
        if told:
            said.append(f"Share of true contributions inside the 90% intervals of {name}: {_and(told)}.")
    return said


def _and(words: Sequence[str]) -> str:
    from simbench.report.words import listed

    return listed(list(words))
