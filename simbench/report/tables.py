"""The leaderboard of a run as a pandas table that can also be printed in a paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from simbench.protocol.files import csv_text, json_text
from simbench.report.markdown import escaped as markdown
from simbench.report.printed import Cells, between, figure, latex_table, markdown_table
from simbench.report.stakes import NOTES, stakes, stakes_cells
from simbench.report.words import clean
from simbench.run.results import Run, opened, scores
from simbench.score import comparison
from simbench.score.headlines import Board, Headline, Leaderboard, Parted, Standing, leaderboard
from simbench.score.losses import ORACLE
from simbench.score.statistics import Estimate

#: The questions of a leaderboard, in order, and what their number is.
QUESTIONS = {
    "recovery": "sum over channels of |contribution - true| / sum of |true|",
    "forecast": "fair CRPS of the weekly national holdout over that of seasonal-naive",
    "decision": "share of the attainable gain that was missed: 0 the optimum, 1 the status quo",
    "calibration": "interval score of 90% intervals of contributions / sum of |true|",
    "cost": "median seconds a cell, compilation apart",
}
#: Those that rank by how good an answer is, not by how long it took.
RANKED = ("recovery", "forecast", "decision", "calibration")
FORMATS = ("md", "csv", "tex", "json")
#: Questions that are also told apart by class.
BY_CLASS = ("recovery", "decision")
#: Where there is no handle to tell a class by.
UNSAID = "does not say"


class Table(pd.DataFrame):  # type: ignore[misc]  # pandas is not typed here
    """A leaderboard: numbers in pandas, and text for papers where it is exported.

    One row a contender (and scenario, ``""`` is the suite). For each question of
    :data:`QUESTIONS` a column with its number and, behind it, ``_low, _high`` (95%), ``_rank_low,
    _rank_high`` (95%, NaN if unranked) and ``_unranked`` (why). Then ``coverage``, ``width``,
    ``silent_failures``, ``confident_errors``, ``moved``, ``worlds``, ``failures``, ``representable``
    (the contender's class contains all scenarios of the row; missing where it contains some, or where
    nobody says).
    """

    @property
    def _constructor(self) -> Any:
        return pd.DataFrame  # a part of it is an ordinary frame

    def to_latex(self, buf: Any = None, **options: Any) -> Any:
        """LaTeX with booktabs rules: intervals in the cell, the best in bold where its rank interval is alone."""
        return _given(latex_table(cells(self)), buf)

    def to_markdown(self, buf: Any = None, **options: Any) -> Any:
        """A Markdown table; the best in bold where its rank interval is alone."""
        return _given(markdown_table(cells(self)), buf)


def _given(text: str, buf: Any) -> str | None:
    if buf is None:
        return text
    if hasattr(buf, "write"):
        buf.write(text)
    else:
        Path(buf).write_text(text, encoding="utf-8")
    return None


# --- numbers


def board(run: str | Path | Run, problem: str | None = None) -> Leaderboard:
    """The leaderboard of a run; see :func:`simbench.score.headlines.leaderboard`."""
    return leaderboard(scores(run), problem)


def table(run: str | Path | Run | Leaderboard, *, by_scenario: bool = False, problem: str | None = None) -> Table:
    """Headlines of a run with intervals and ranks.

    Parameters
    ----------
    run : Run, folder, "latest" or Leaderboard
    by_scenario : bool
        A row a scenario and contender, instead of the suite as a whole.
    problem : str, optional
        The allocation problem that counts as the decision; the first that is called ``fixed``, else the first.

    Returns
    -------
    Table
        A pandas.DataFrame whose ``to_latex()`` and ``to_markdown()`` are made for papers.
    """
    found = run if isinstance(run, Leaderboard) else board(run, problem)
    boards = found.scenarios if by_scenario else (found.suite,)
    rows = pd.DataFrame([row_of(each, standing) for each in boards for standing in each.standings])
    return Table(rows.astype({"representable": "boolean"}))


def row_of(each: Board, standing: Standing) -> dict[str, Any]:
    """One contender's numbers as a flat record."""
    row: dict[str, Any] = {"scenario": each.scenario, "backend": standing.backend}
    for question in QUESTIONS:
        told: Headline = getattr(standing, question)
        row |= {
            question: told.estimate.value, f"{question}_low": told.estimate.low, f"{question}_high": told.estimate.high,
            f"{question}_rank_low": told.rank_low, f"{question}_rank_high": told.rank_high,
            f"{question}_unranked": told.unranked,
        }  # fmt: skip
    for name in ("coverage", "width", "silent_failures", "confident_errors", "moved"):
        row[name] = getattr(standing, name).value
    return row | {
        "worlds": standing.worlds, "failures": standing.failures, "representable": standing.representable,
    }  # fmt: skip


def decisions(run: str | Path | Run | Leaderboard, problem: str | None = None) -> pd.DataFrame:
    """What acting on the answers came to: regret, its tail, harm, promises, and other readings of the same answers.

    Parameters
    ----------
    run : Run, folder, "latest" or Leaderboard
    problem : str, optional
        As for :func:`table`.

    Returns
    -------
    pandas.DataFrame
        One row a contender and scenario, ``""`` is the suite; columns: :data:`simbench.report.stakes.COLUMNS`, each
        with ``_low, _high`` (95%), then ``worst_scenario`` and ``regret_imputed`` (cells). Regrets and the promise gap
        are shares of media spend, the efficiency gain is per cent; formulas in docs/scores.md.
    """
    return stakes(run if isinstance(run, Leaderboard) else board(run, problem))


def classes(run: str | Path | Run | Leaderboard, problem: str | None = None) -> pd.DataFrame:
    """Recovery and decision of each contender, apart for the scenarios in its class and those out of it.

    Parameters
    ----------
    run : Run, folder, "latest" or Leaderboard
    problem : str, optional
        As for :func:`table`.

    Returns
    -------
    pandas.DataFrame
        ``backend``; ``in_class`` (scenarios), ``recovery_in_class`` and ``decision_in_class``, each with
        ``_low, _high`` (95%); the same with ``out_of_class``; ``unsaid``: scenarios of which the contender
        does not say. Empty where nothing is known of anybody's class.
    """
    found = run if isinstance(run, Leaderboard) else board(run, problem)
    return pd.DataFrame([class_row(one) for one in found.classes])


def class_row(one: Parted) -> dict[str, Any]:
    """One contender's two parts as a flat record."""
    row: dict[str, Any] = {"backend": one.backend}
    for name, part in (("in_class", one.inside), ("out_of_class", one.outside)):
        row[name] = part.scenarios
        for question in BY_CLASS:
            told: Estimate = getattr(part, question)
            key = f"{question}_{name}"
            row |= {key: told.value, f"{key}_low": told.low, f"{key}_high": told.high}
    return row | {"unsaid": one.unsaid}


def compare(run: str | Path | Run, a: str, b: str, *, by_scenario: bool = False) -> pd.DataFrame:
    """Paired differences of two contenders over the cells that both answered, every score at once.

    Parameters
    ----------
    run : Run, folder or "latest"
    a, b : str
        Columns of the run; the beginning of a digest will do, as in ``mine@1a2b``.
    by_scenario : bool
        One table a scenario instead of all of them pooled.

    Returns
    -------
    pandas.DataFrame
        ``scenario, estimand, unit, metric, a, b`` (means), ``difference`` (a - b), ``low, high`` (95%),
        ``cells``, ``n`` (worlds), ``smallest`` (the difference so many worlds would show), ``a_better``.
    """
    run = opened(run)
    names = [entry.name for entry in run.entries]

    def column(text: str) -> str:
        near = [name for name in names if name.startswith(text) and "@" in text]
        return near[0] if text not in names and len(near) == 1 else text

    return comparison.compare(scores(run), column(a), column(b), by_scenario=by_scenario)


# --- text


def spanned(low: float, high: float) -> str:
    """A rank interval: "1", "2-4", "1.5" where two share the first place; "-" where unranked."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "-"
    return f"{round(low, 1):g}" if low == high else f"{round(low, 1):g}-{round(high, 1):g}"


def alone(row: Any, question: str) -> bool:
    """First in rank, and its rank interval holds nobody else's place."""
    return bool(row[f"{question}_rank_low"] == 1 and row[f"{question}_rank_high"] == 1)


def cells(told: pd.DataFrame) -> Cells:
    """The table as text: value and interval, n and failures."""
    several = bool((told["scenario"] != "").any())
    head = [*(["scenario"] if several else []), "contender", *RANKED, "coverage 90%", "s a cell", "worlds", "failures"]
    rows, best = [], []
    for _, row in told.iterrows():
        line, top = ([row["scenario"]] if several else []) + [row["backend"]], [False] * (1 + several)
        for question in RANKED:
            line.append(between(row, question))
            top.append(alone(row, question))
        line += [figure(row["coverage"]), seconds(row["cost"]), str(row["worlds"]), str(row["failures"])]
        rows.append([str(x) for x in line])
        best.append(top + [False] * 4)
    return Cells(head, rows, best)


def class_cells(told: pd.DataFrame, said: Callable[[Any, str], str] = between) -> Cells | None:
    """The table "in class and out of class" as text; None where nobody is out of class, so that it tells nothing new.

    Who answers neither question, and the oracle, which knows the truth, are left out.
    """
    groups = ("in_class", "out_of_class")
    asked = [f"{question}_{group}" for group in groups for question in BY_CLASS]
    rows = [row for _, row in told.iterrows() if row["backend"] != ORACLE and any(map(math.isfinite, row[asked]))]
    if not any(row["out_of_class"] or row["unsaid"] for row in rows):
        return None
    head, lines = ["contender"], []
    for group in groups:
        head += [group.replace("_", " "), *BY_CLASS]
    for row in rows:
        line = [str(row["backend"])]
        for group in groups:
            silent = group == "out_of_class" and row["unsaid"] and not row[group]
            line += [UNSAID if silent else str(row[group]), *(said(row, f"{name}_{group}") for name in BY_CLASS)]
        lines.append(line)
    return Cells(head, lines, [[False] * len(head) for _ in lines])


def seconds(value: float) -> str:
    """Time a cell took, two digits."""
    return "-" if not math.isfinite(value) else f"{value:.2g}" if value < 100 else f"{value:.0f}"


def written(run: str | Path | Run | Leaderboard, form: str) -> str:
    """A run's tables as text: the suite, then scenario by scenario.

    Parameters
    ----------
    run : Run, folder, "latest" or Leaderboard
    form : {"md", "csv", "tex", "json"}
    """
    found = run if isinstance(run, Leaderboard) else board(run)
    whole, each, parted = table(found), table(found, by_scenario=True), classes(found)
    acted = decisions(found)
    if form == "csv":
        rows = pd.concat([whole, each], ignore_index=True)
        return csv_text(rows.merge(acted, on=["scenario", "backend"], how="left"))
    if form == "json":
        told = {"suite": records(whole), "scenarios": records(each), "decisions": records(acted)}
        return json_text({**told, "classes": records(parted), "notes": notes(found)})
    besides = stakes_cells(acted[acted["scenario"] == ""]), class_cells(parted)
    printed = [cells(whole), *(part for part in besides if part), cells(each)]
    parts = [latex_table(part) if form == "tex" else markdown_table(part) for part in printed]
    mark = "%" if form == "tex" else ""
    said = "".join(f"{mark} {clean(line)}\n" if mark else f"- {markdown(line)}\n" for line in notes(found))
    return "\n".join([*parts, said])


def records(told: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain records; what is not a finite number is None."""

    def plain(value: Any) -> Any:
        if value is pd.NA:
            return None
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else None
        return value.item() if hasattr(value, "item") else value

    return [{name: plain(value) for name, value in row.items()} for row in told.to_dict("records")]


def notes(found: Leaderboard) -> list[str]:
    """What a reader of the tables must know."""
    said = [f"{question}: {meaning}" for question, meaning in QUESTIONS.items()]
    said[1] = f"forecast: fair CRPS of the weekly national holdout, in units of {found.forecast_unit}"
    said.append(f"{found.intervals}; rank intervals by resampling worlds; the best is marked only where it is alone")
    if found.missing_references:
        said.append(f"not run, so nothing is imputed by them: {', '.join(found.missing_references)}")
    if found.suite.left_out:
        count = found.suite.left_out
        said.append(f"{count} world{'s' * (count > 1)} had less than 1% of media spend to gain: not in the decision")
    if any(math.isfinite(one.regret.value) for one in found.suite.outcomes):
        said += NOTES
    if found.classes:
        said.append(in_class(found))
    said += unranked(found.suite.standings)
    return said


def in_class(found: Leaderboard) -> str:
    """What "in class" says in these tables."""
    if class_cells(classes(found)) is None:
        return "in class: every scenario is in the class of every contender"
    return (
        "in class: scenarios that break nothing, or an assumption that the contender's model can do without; out of "
        "class: the others, never averaged with them; a contender without handles does not say"
    )


def unranked(standings: Sequence[Standing]) -> list[str]:
    """Who has no rank in what, and why."""
    reasons: dict[str, list[str]] = {}
    for standing in standings:
        for question in RANKED:
            why = getattr(standing, question).unranked
            if why:
                reasons.setdefault(f"{standing.backend}: {why}", []).append(question)
    return [f"no rank of {who} ({', '.join(questions)})" for who, questions in reasons.items()]
