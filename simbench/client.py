"""A client for programs that answer task folders: copy this one file, or import it. It needs NumPy alone.

    from simbench.client import arguments, read_task, write_answer

    task, answers = arguments()
    for brief in read_task(task):
        write_answer(answers, brief.id, contribution={name: ... for name in brief.channels})

Files and columns: docs/protocol.md.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

Array = Any

PROTOCOL = 1
#: Exit code of a program that cannot answer such briefs at all.
UNSUPPORTED = 64


class Brief(NamedTuple):
    """One advertiser: T weeks of history, H weeks ahead, G geos (one, "national", unless there are more)."""

    id: str
    seed: int  #: for random numbers, in [0, 2^31)
    channels: tuple[str, ...]
    geos: tuple[str, ...]
    dates: tuple[str, ...]  #: first day of each of the T weeks
    kpi: Array  #: [T, G], NaN in weeks in which nobody recorded it
    spend: dict[str, Array]  #: channel -> money [T, G]
    cap: dict[str, Array]  #: bought channel -> money allowed [T, G]
    controls: dict[str, Array]  #: name -> [T, G]
    population: Array  #: [G]
    future_dates: tuple[str, ...]
    future_spend: dict[str, Array]  #: channel -> [H, G]
    future_cap: dict[str, Array]  #: bought channel -> [H, G]
    future_controls: dict[str, Array]  #: name -> [H, G]
    context: dict[str, Any]  #: context.json
    questions: dict[str, Any]  #: questions.json
    problems: list[dict[str, Any]]  #: problems.json
    folder: Path
    claims: dict[str, Array]  #: channel -> KPI that its platform credits to itself [T, G]; empty where none does
    exposure: dict[str, Array]  #: channel -> contacts bought [T, G]; where they are counted
    future_exposure: dict[str, Array]  #: the same channels -> [H, G]


def arguments(argv: Sequence[str] | None = None) -> tuple[Path, Path]:
    """The folders of a call ``PROGRAM --task DIR --answers DIR``; other arguments are left to the program."""
    parser = argparse.ArgumentParser(description="Answers a task folder of simbench.")
    parser.add_argument("--task", type=Path, required=True, metavar="DIR", help="the task folder")
    parser.add_argument("--answers", type=Path, required=True, metavar="DIR", help="where answers go")
    given, _ = parser.parse_known_args(argv)
    return given.task, given.answers


def read_task(task: str | Path) -> Iterator[Brief]:
    """The briefs of a task folder, one after the other.

    Raises
    ------
    ValueError
        If the folder is of a protocol that this client does not know.
    """
    told = _json(Path(task) / "task.json")
    if told.get("protocol") != PROTOCOL:
        raise ValueError(f"{task}: protocol {told.get('protocol')!r}; this client reads protocol {PROTOCOL}")
    for entry in told["briefs"]:
        yield read_brief(Path(task) / entry["id"], entry["id"], entry["seed"])


def read_brief(folder: str | Path, name: str = "brief", seed: int = 0) -> Brief:
    """The brief in a folder of a task, or in one that ``simbench draw`` wrote."""
    folder = Path(folder)
    context, questions = _json(folder / "context.json"), _json(folder / "questions.json")
    geos = tuple(context["geos"])
    panel, ahead = (_columns(folder / f"{word}.csv") for word in ("panel", "future"))

    def values(table: dict[str, list[str]], column: str) -> Array:
        return np.array([cell or "nan" for cell in table[column]], dtype=float).reshape(-1, len(geos))

    def named(table: dict[str, list[str]], start: str) -> dict[str, Array]:
        return {column[len(start) :]: values(table, column) for column in table if column.startswith(start)}

    return Brief(
        id=name, seed=seed, channels=tuple(channel["name"] for channel in context["channels"]), geos=geos,
        dates=tuple(panel["date"][:: len(geos)]), kpi=values(panel, "kpi"), spend=named(panel, "spend_"),
        cap=named(panel, "cap_"), controls=named(panel, "control_"), population=values(panel, "population")[-1],
        future_dates=tuple(ahead["date"][:: len(geos)]), future_spend=named(ahead, "spend_"),
        future_cap=named(ahead, "cap_"), future_controls=named(ahead, "control_"), context=context,
        questions=questions, problems=_json(folder / "problems.json")["problems"], folder=folder,
        claims=named(panel, "claim_"), exposure=named(panel, "exposure_"), future_exposure=named(ahead, "exposure_"),
    )  # fmt: skip


def read_plans(brief: Brief) -> dict[str, dict[str, Array]]:
    """Plan -> channel -> money [weeks ahead, G]; the first plan is the status quo."""
    table = _columns(brief.folder / "plans.csv")
    money = np.array(table["money"], dtype=float)
    money = money.reshape(len(brief.questions["plans"]), -1, len(brief.geos), len(brief.channels))
    return {
        plan: {channel: money[p, :, :, c] for c, channel in enumerate(brief.channels)}
        for p, plan in enumerate(brief.questions["plans"])
    }


# --- answers


def read_spread(brief: Brief) -> dict[str, dict[str, Array]]:
    """Problem -> unit -> share of its amount [weeks, geos], of the problems in spread.csv; {} where there is none."""
    if not (brief.folder / "spread.csv").is_file():
        return {}
    columns = _columns(brief.folder / "spread.csv")
    told: dict[str, dict[str, Array]] = {}
    shape = brief.questions["horizon"], len(brief.geos)
    for problem, unit, week, geo, share in zip(*(columns[k] for k in ("problem", "unit", "week", "geo", "share"))):
        units = told.setdefault(problem, {})
        unit = unit[1:] if unit[:1] == "'" and unit[1:2] in "=+-@" else unit  # as problems.json has it
        units.setdefault(unit, np.zeros(shape))[int(week), brief.geos.index(geo)] = float(share)
    return told


def write_answer(
    answers: str | Path,
    brief_id: str,
    *,
    contribution: Mapping[str, float] | None = None,
    low: Mapping[str, float] | None = None,
    high: Mapping[str, float] | None = None,
    level: float | None = None,
    budget: Mapping[str, float] | None = None,
) -> None:
    """The least answer: one row a channel. Everything is by channel name.

    Parameters
    ----------
    answers : folder of answers
    brief_id : ``brief.id``
    contribution : KPI units that would be missing without the channel's spend in the first window
    low, high : ends of an interval for it
    level : probability of the interval, 0.9 if not given
    budget : money for the channel in the first problem
    """
    given = {"contribution": contribution, "low": low, "high": high, "budget": budget}
    columns = {name: column for name, column in given.items() if column is not None}
    channels = list(dict.fromkeys(name for column in columns.values() for name in column))
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["channel", *columns, *(["level"] if level is not None else [])])
    for name in channels:
        numbers = [repr(float(column[name])) if name in column else "" for column in columns.values()]
        writer.writerow([name, *numbers, *([repr(float(level))] if level is not None else [])])
    _write(Path(answers), f"{brief_id}.csv", lambda file: file.write(table.getvalue().encode()))


def write_draws(answers: str | Path, brief_id: str, *, channels: Sequence[str] | None = None, **arrays: Array) -> None:
    """The most: any array of docs/protocol.md by name, draws first, ``allocation_0`` and so on for each problem.

    `channels` tells the order of channel axes where it is not that of ``brief.channels``.
    """
    held = {name: np.asarray(array, dtype=float) for name, array in arrays.items()}
    order = {} if channels is None else {"channels": np.array(list(channels), dtype=str)}
    _write(Path(answers), f"{brief_id}.npz", lambda file: np.savez_compressed(file, **held, **order))  # type: ignore[arg-type]


def write_failure(answers: str | Path, brief_id: str, reason: str, detail: str = "") -> None:
    """Why there is no answer: timeout, error, nonfinite, unconverged, memory or unsupported."""
    told = json.dumps({"reason": reason, "detail": detail})
    _write(Path(answers), f"{brief_id}.json", lambda file: file.write(told.encode()))


def unsupported(reason: str) -> NoReturn:
    """End the program: it answers none of these briefs, for a reason of one line."""
    print(reason, file=sys.stderr)
    sys.exit(UNSUPPORTED)


def amounts(problem: Mapping[str, Any], budget: Mapping[str, float]) -> Array:
    """Money for each unit of a problem from money by channel, as near as its limits allow.

    Units of a channel share its money as the status quo does; then all of it is scaled, each amount
    kept within the unit's limits, until the total is within the problem's. Limits on groups are not
    looked at.
    """
    units = problem["units"]
    now, lower, upper = (np.array([unit[key] for unit in units]) for key in ("status_quo", "lower", "upper"))
    owner = np.array([unit["channel"] for unit in units])
    mine = owner[:, None] == owner
    total = mine @ now
    share = np.where(total > 0, now / np.where(total > 0, total, 1.0), 1.0 / mine.sum(axis=1))
    wanted = np.array([budget[name] for name in owner]) * share
    target = np.clip(wanted.sum(), problem["budget"]["low"], problem["budget"]["high"])
    low, high = -60.0, 60.0  # powers of two
    for _ in range(100):
        middle = (low + high) / 2
        if np.clip(2**middle * wanted, lower, upper).sum() > target:
            high = middle
        else:
            low = middle
    return np.clip(2**low * wanted, lower, upper)


def _write(folder: Path, name: str, write: Callable[[Any], Any]) -> None:
    """Write beside the place, then rename: whoever looks sees a whole file or none."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.{os.getpid()}.partial"
    with open(temporary, "wb") as file:
        write(file)
    os.replace(temporary, folder / name)


def _json(file: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return told


def _columns(file: Path) -> dict[str, list[str]]:
    with open(file, newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}
