"""What a reader of answers has to know of a brief: names and sizes, from the record or from its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simbench.errors import BadInput
from simbench.protocol.briefs import touched
from simbench.records import Brief, Labels

#: Fields of Answers that hold one array a problem.
EACH_PROBLEM = ("response", "response_paid", "allocation", "promise")


class Choice(NamedTuple):
    """One allocation problem."""

    units: int
    levels: int
    channel: tuple[int, ...]  #: position of each unit's channel; -1 where it has none of its own
    status_quo: tuple[float, ...]
    budget: tuple[float, float]


class Asked(NamedTuple):
    """What is asked of one brief."""

    channels: tuple[str, ...]
    geos: int
    weeks: int  #: of the panel, as far as it is seen
    windows: int
    multipliers: int
    impulse_lags: int
    holdout: int
    plans: int
    draws: int
    choices: tuple[Choice, ...]


def asked_of(brief: Brief, labels: Labels) -> Asked:
    """What a brief asks."""
    questions = brief.questions
    choices = [
        Choice(
            len(problem.status_quo), np.shape(problem.levels)[1],
            tuple(-1 if c is None else c for c in touched(problem)[0]),
            tuple(map(float, problem.status_quo)), (float(problem.budget[0]), float(problem.budget[1])),
        )
        for problem in questions.problems
    ]  # fmt: skip
    return Asked(
        channels=tuple(labels.channels), geos=len(labels.geos), weeks=int(brief.panel.origin),
        windows=len(questions.windows), multipliers=len(questions.multipliers),
        impulse_lags=questions.sizes.impulse_lags, holdout=len(questions.future.lever),
        plans=len(questions.plans), draws=questions.sizes.draws, choices=tuple(choices),
    )  # fmt: skip


def asked_in(folder: Path) -> Asked:
    """What the brief in a folder asks.

    Raises
    ------
    BadInput
        If its files are not those of a task.
    """
    try:
        context, questions, problems = (
            json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            for name in ("context", "questions", "problems")
        )
        names = tuple(channel["name"] for channel in context["channels"])
        return Asked(
            channels=names, geos=len(context["geos"]), weeks=questions["weeks"], windows=len(questions["windows"]),
            multipliers=len(questions["multipliers"]), impulse_lags=questions["impulse_lags"],
            holdout=questions["holdout"], plans=len(questions["plans"]), draws=questions["draws"],
            choices=tuple(_choice(problem, names) for problem in problems["problems"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise BadInput(str(folder), f"cannot be read ({type(error).__name__}: {error})", "a brief of a task") from None


def _choice(problem: dict[str, Any], names: tuple[str, ...]) -> Choice:
    units = problem["units"]
    return Choice(
        len(units), len(units[0]["levels"]),
        tuple(-1 if unit["channel"] is None else names.index(unit["channel"]) for unit in units),
        tuple(unit["status_quo"] for unit in units), (problem["budget"]["low"], problem["budget"]["high"]),
    )  # fmt: skip


def shapes(asked: Asked) -> dict[str, tuple[int, ...]]:
    """Arrays of a full answer by their names in a file: shape without the leading draws axis.

    `allocation_0` and so on have no draws axis.
    """
    channels = len(asked.channels)
    told: dict[str, tuple[int, ...]] = {
        "contribution": (asked.windows, channels),
        "marginal": (asked.windows, channels),
        "curve": (channels, asked.multipliers),
        "impulse": (channels, asked.impulse_lags),
        "baseline": (asked.weeks,),
        "contribution_geo": (asked.geos, channels),
        "forecast": (asked.holdout, asked.geos),
        "plan_value": (asked.plans,),
    }
    for p, choice in enumerate(asked.choices):
        curve = (choice.units, choice.levels)
        told |= {f"response_{p}": curve, f"response_paid_{p}": curve}
        told |= {f"allocation_{p}": (choice.units,), f"promise_{p}": ()}
    return told


def axes(asked: Asked, name: str) -> tuple[str, ...]:
    """What the axes of an array are called, draws included."""
    known = {
        "contribution": ("window", "channel"), "marginal": ("window", "channel"), "curve": ("channel", "multiplier"),
        "impulse": ("channel", "lag"), "baseline": ("week",), "contribution_geo": ("geo", "channel"),
        "forecast": ("week", "geo"), "plan_value": ("plan",), "response": ("unit", "level"),
        "response_paid": ("unit", "level"), "allocation": ("unit",), "promise": (),
    }  # fmt: skip
    field = field_of(name)
    return known[field] if field == "allocation" else ("draw", *known[field])


def field_of(name: str) -> str:
    """The field of Answers that an array belongs to: ``response_0`` -> ``response``."""
    field, _, number = name.rpartition("_")
    return field if number.isdigit() and field in EACH_PROBLEM else name
