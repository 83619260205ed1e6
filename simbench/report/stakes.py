"""The table of decisions: what acting on each contender's answers came to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

from simbench.report.printed import Cells, between, figure
from simbench.score.losses import ORACLE
from simbench.score.statistics import Estimate

if TYPE_CHECKING:
    from simbench.score.headlines import Leaderboard

#: Column of the frame -> field of the outcome.
COLUMNS = {
    "normalised_regret": "normalised", "regret": "regret", "tail_regret": "tail", "worst_regret": "worst",
    "harm": "harm", "promise_gap": "promise_gap", "efficiency_gain": "efficiency", "honesty": "honesty",
    "best_mean_regret": "common", "plug_in_regret": "plug_in", "risk_aware_regret": "risk_aware",
    "cautious_regret": "cautious",
}  # fmt: skip
#: Columns that are printed, in order; shares as per cent where the name says so.
PRINTED = {
    "normalised regret": "normalised_regret", "regret %": "regret", "worst tenth %": "tail_regret",
    "worst kind %": "worst_regret", "harm %": "harm", "promise gap %": "promise_gap",
    "efficiency gain %": "efficiency_gain", "information / regret": "honesty", "best mean %": "best_mean_regret",
    "plug-in %": "plug_in_regret", "risk-aware %": "risk_aware_regret", "cautious %": "cautious_regret",
}  # fmt: skip
#: Columns that are told with their interval.
WITH_INTERVAL = ("normalised_regret", "regret", "efficiency_gain")
#: What a reader of the printed table must know.
NOTES = (
    "regret %: of media spend, mean over worlds; worst tenth: mean of the worst 10% of worlds; worst kind: the "
    "scenario with the largest mean (a sweep is one); harm %: worlds in which the reference decision had been better",
    "promise gap %: promised less realised, of media spend; efficiency gain %: media-driven KPI beyond that of the "
    "reference decision at the same total; information / regret: expected worth of perfect information by the "
    "contender's own draws / realised regret of its best mean, near 1 is honest",
    "best mean, plug-in, risk-aware, cautious %: regret of other ways to act on the same answers: the mean of draws, "
    "one curve in their middle, the worst fifth of draws, and only where 80% of draws promise a gain",
)


def stakes(found: Leaderboard) -> pd.DataFrame:
    """Outcomes of every board as a flat frame; see :func:`simbench.report.tables.decisions`."""
    rows = []
    for board in (found.suite, *found.scenarios):
        for one in board.outcomes:
            row: dict[str, Any] = {"scenario": board.scenario, "backend": one.backend}
            for column, field in COLUMNS.items():
                told: Estimate = getattr(one, field)
                row |= {column: told.value, f"{column}_low": told.low, f"{column}_high": told.high}
            rows.append({**row, "worst_scenario": one.worst_scenario, "regret_imputed": one.imputed})
    return pd.DataFrame(rows)


def stakes_cells(told: pd.DataFrame, said: Callable[[Any, str], str] = between) -> Cells | None:
    """The table of decisions as text; None where nobody decides. The oracle, which knows the truth, is left out."""
    lines = []
    for _, row in told.iterrows():
        if row["backend"] == ORACLE or not math.isfinite(row["regret"]):
            continue
        line = [str(row["backend"])]
        for title, name in PRINTED.items():
            scale = 100 if title.endswith("%") and name != "efficiency_gain" else 1
            scaled = {f"{name}{end}": scale * row[f"{name}{end}"] for end in ("", "_low", "_high")}
            line.append(said(scaled, name) if name in WITH_INTERVAL else figure(scaled[name]))
        lines.append([*line, str(row["worst_scenario"])])
    head = ["contender", *PRINTED, "worst kind"]
    return Cells(head, lines, [[False] * len(head) for _ in lines]) if lines else None
