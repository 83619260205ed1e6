"""What stands beside the headlines: errors that nobody was warned of, and who is beaten in everything."""

from __future__ import annotations

import math
from typing import Any

from simbench.score.headlines import Board, Standing

#: Questions that make the Pareto view; what a contender does not answer counts as worst.
QUESTIONS = ("recovery", "forecast", "decision", "calibration", "cost")
HEAD = ("contender", "width 90%", "silent failures", "confident errors", "moved from prior")


def rows(board: Board) -> list[tuple[str, ...]]:
    """For each contender: width of its intervals, failures without warning, distance from the prior.

    A silent failure is a channel whose truth is outside the 99% interval and whose error is above half
    of truth or spend, while all diagnostics are green; without diagnostics it is not assessable, and
    the confident errors beside it count the same whatever the diagnostics say.
    """

    def share(value: float) -> str:
        return "-" if math.isnan(value) else f"{value:.0%}"

    def number(value: float) -> str:
        return "-" if math.isnan(value) else f"{value:.2f}"

    told = [
        (
            standing.backend, number(standing.width.value), share(standing.silent_failures.value),
            share(standing.confident_errors.value), number(standing.moved.value),
        )
        for standing in board.standings
        if standing.backend != "oracle"
    ]  # fmt: skip
    return [row for row in told if any(cell != "-" for cell in row[1:])]


def front(board: Board) -> list[str]:
    """The Pareto front: contenders that nobody beats in one question without losing another."""
    asked = [standing for standing in board.standings if standing.backend != "oracle"]
    values = {standing.backend: [losses(standing, question) for question in QUESTIONS] for standing in asked}

    def beaten(mine: list[float], theirs: list[float]) -> bool:
        pairs = list(zip(mine, theirs, strict=True))
        return all(b <= a for a, b in pairs) and any(b < a for a, b in pairs)

    return [
        name for name, own in values.items()
        if not any(beaten(own, other) for who, other in values.items() if who != name)
    ]  # fmt: skip


def losses(standing: Standing, question: str) -> float:
    """A contender's number; infinite where it has none or no rank."""
    told: Any = getattr(standing, question)
    return math.inf if told.unranked or math.isnan(told.estimate.value) else float(told.estimate.value)
