"""A run's headlines as a table to print, and as records."""

from __future__ import annotations

import math
from typing import Any

from simbench.cli.common import table

#: Headline columns, in order.
HEADLINES = ("recovery error", "forecast crps", "normalised regret", "coverage 90%")
LEGEND = """
recovery error     sum over channels of |contribution - true| / sum of |true|; 0 is perfect
forecast crps      holdout error over that of the same week a year ago; 0 is perfect
normalised regret  share of the attainable gain that was missed; 0 the optimum, 1 the status quo
coverage 90%       share of true contributions inside 90% intervals; - where none were given
Means over worlds \u00b1 95% t intervals."""


def records(frame: Any) -> list[dict[str, Any]]:
    """Rows of a table as plain records, keys in snake case."""
    return [
        {name.replace(" ", "_").replace("%", ""): value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def leaderboard(frame: Any) -> Any:
    """The headlines of a run as a table to print."""
    failed = bool((frame["failed"] > 0).any())
    columns = ("scenario", "contender", *HEADLINES, "worlds", *(("failed",) if failed else ()))
    rows = [
        (row["scenario"], row["backend"], *(estimate(row[name]) for name in HEADLINES), row["worlds"],
         *((row["failed"],) if failed else ()))
        for row in frame.to_dict("records")
    ]  # fmt: skip
    return table(columns, rows, right=columns[2:])


def estimate(told: Any) -> str:
    """A mean and half its interval, to the same digits."""
    value, half = float(told.value), float(told.high) - float(told.value)
    if not math.isfinite(value):
        return "-"
    digits = 2 if max(abs(value), half if math.isfinite(half) else 0.0) < 10 else 0
    said = f"{value:.{digits}f}"
    return f"{said} \u00b1 {half:.{digits}f}" if math.isfinite(half) else said
