"""The main job: worlds drawn, contenders asked, decisions made and valued, answers scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simbench import ids
from simbench.backends.base import Backend
from simbench.backends.registry import backend_named
from simbench.decide.allocate import chosen
from simbench.errors import BadInput
from simbench.records import Answers, Brief, Decisions, Failure
from simbench.score.metrics import METRICS, Metric, Row
from simbench.score.statistics import Estimate, mean_interval, ratio_interval
from simbench.world.scenario import Scenario, family
from simbench.world.truth import Drawn, book_in, draw
from simbench.world.worth import value


class Cell(NamedTuple):
    """One (scenario, replicate, backend): what was answered, decided and scored."""

    scenario: str
    replicate: int
    backend: str
    reply: Answers | Failure
    decisions: Decisions | None
    rows: tuple[Row, ...]


class Run(NamedTuple):
    """Drawn worlds and their cells."""

    drawn: tuple[Drawn, ...]
    cells: tuple[Cell, ...]


def run(
    sources: Sequence[str | Path | Scenario],
    backends: Sequence[str | Backend] = ("ols", "spend-share"),
    *,
    replicates: int = 4,
    metrics: Sequence[Metric] = METRICS,
    master: bytes = ids.OPEN_MASTER,
) -> Run:
    """Draw every scenario, ask every backend, score every answer.

    Parameters
    ----------
    sources : scenarios by name, path or value
    backends : names or Backends
    replicates : int
        Worlds a scenario; all backends see the same ones.

    Returns
    -------
    Run
    """
    if isinstance(sources, (str, Path)):
        raise BadInput("run", f"sources = {sources!r} is one name", "a list of scenarios")
    contenders = [backend_named(backend) for backend in backends]
    drawn, cells = [], []
    for source in sources:
        worlds = draw(source, replicates, master=master)
        drawn.append(worlds)
        for backend in contenders:
            cells += ask(worlds, backend, metrics, master)
    return Run(tuple(drawn), tuple(cells))


def ask(worlds: Drawn, backend: Backend, metrics: Sequence[Metric], master: bytes) -> list[Cell]:
    """All cells of one backend on one drawn scenario."""
    briefs, truths = worlds.briefs, worlds.truths
    root = family(worlds.scenario)
    keys = [ids.backend_key(master, root, replicate, backend.name) for replicate in worlds.replicates]
    refused = [backend.supports(brief) for brief in briefs]
    asked = [i for i, reason in enumerate(refused) if reason is None]
    replies: list[Answers | Failure] = [Failure("unsupported", reason or "") for reason in refused]
    for i, reply in zip(asked, backend.answer([briefs[i] for i in asked], [keys[i] for i in asked]), strict=True):
        replies[i] = reply
    decisions = decide(worlds, briefs, replies)
    cells = []
    for i, reply in enumerate(replies):
        told = decisions[i]
        rows: tuple[Row, ...] = ()
        if not isinstance(reply, Failure) and told is not None:
            rows = tuple(row for metric in metrics for row in metric(briefs[i], truths[i], reply, told))
        cells.append(Cell(worlds.scenario.name, worlds.replicates[i], backend.name, reply, told, rows))
    return cells


def decide(worlds: Drawn, briefs: Sequence[Brief], replies: Sequence[Answers | Failure]) -> list[Decisions | None]:
    """Amounts each reply leads to, valued in the worlds themselves (NaN where none is chosen)."""
    book, problems = book_in(worlds.secret, worlds.brief), worlds.brief.questions.problems
    amounts: list[list[Any]] = []
    values = np.full((len(briefs), len(problems)), np.nan)
    for p, problem in enumerate(problems):
        picks = [None if isinstance(reply, Failure) else chosen(briefs[i], reply, p) for i, reply in enumerate(replies)]
        filled = np.stack([problem.status_quo[i] if pick is None else pick for i, pick in enumerate(picks)])
        worth = value(book, problem, filled)
        values[:, p] = np.where([pick is None for pick in picks], np.nan, worth)
        amounts.append(picks)
    return [
        None if isinstance(reply, Failure) else Decisions(tuple(picks[i] for picks in amounts), values[i])
        for i, reply in enumerate(replies)
    ]


def scores(result: Run) -> Any:
    """All score rows as a tidy pandas frame; a failed cell is one row with its reason."""
    import pandas as pd

    channels = {d.scenario.name: d.labels.channels for d in result.drawn}
    problems = {d.scenario.name: d.labels.problems for d in result.drawn}
    records = []
    for cell in result.cells:
        head = {"scenario": cell.scenario, "replicate": cell.replicate, "backend": cell.backend}
        if isinstance(cell.reply, Failure):
            records.append(
                {**head, "estimand": "", "unit": "", "metric": "", "value": np.nan, "status": cell.reply.reason}
            )
        for row in cell.rows:
            names = problems[cell.scenario] if row.estimand == "decision" else channels[cell.scenario]
            unit = "all" if row.unit < 0 else names[row.unit]
            records.append(
                {
                    **head,
                    "estimand": row.estimand,
                    "unit": unit,
                    "metric": row.metric,
                    "value": row.value,
                    "status": row.status,
                }
            )
    return pd.DataFrame.from_records(records)


def table(result: Run) -> Any:
    """Headlines with error bars: one row a scenario and backend.

    Recovery, forecast, normalised regret (ratio of sums) and coverage; 95% t intervals over
    worlds, `n` worlds, failures counted.
    """
    import pandas as pd

    frame, rows = scores(result), []
    for (scenario, backend), group in frame.groupby(["scenario", "backend"], sort=False):
        whole = group[group.unit == "all"].set_index(["estimand", "metric"])["value"]
        first = group[
            (group.estimand == "decision") & (group.unit == next(iter(group[group.estimand == "decision"].unit), ""))
        ]

        def pick(estimand: str, metric: str, whole: Any = whole) -> Estimate:
            return mean_interval(whole.get((estimand, metric), np.array([])))

        regret = ratio_interval(first[first.metric == "regret"].value, first[first.metric == "gain"].value)
        rows.append({
            "scenario": scenario, "backend": backend,
            "recovery error": pick("contribution", "error"), "forecast crps": pick("forecast", "crps"),
            "normalised regret": regret, "coverage 90%": pick("contribution", "coverage 90%"),
            "worlds": group.replicate.nunique(), "failed": int((group.estimand == "").sum()),
        })  # fmt: skip
    return pd.DataFrame(rows)
