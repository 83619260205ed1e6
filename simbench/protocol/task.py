"""Task folders: briefs under opaque ids, for whoever answers in files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from simbench import ids
from simbench.briefs import plan_names
from simbench.errors import BadInput
from simbench.problems import stretch_name
from simbench.protocol.briefs import README, brief_files, paid_weeks, touched
from simbench.protocol.files import as_json, write_text, write_whole
from simbench.records import Brief, Labels

PROTOCOL = 1
#: Ids are file names: nothing that leads elsewhere, and nothing that two file systems see differently.
ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")

TOP = """\
A task of simbench: every folder is one advertiser. Answer as many as you can, in a folder of answers.

task.json lists the ids of the briefs, and a seed for each, for whoever needs random numbers.
The least answer to the brief ID is a file ID.csv with one row a channel:

    channel,contribution,low,high,level,budget

contribution  KPI units that would be missing without the channel's spend in the first window of questions.json
low, high     ends of an interval for it; level is the interval's probability, 0.9 if empty
budget        money that you would give the channel in the first problem of problems.json

Only `channel` and one more column are needed. Write under another name and rename when a file is complete.
The files of every folder:

"""


def opaque_ids(keys: Sequence[Any]) -> list[str]:
    """An id for each key [2] uint32: it tells nothing, and is the same in any company."""
    found: list[str] = []
    for key in keys:
        told = "brief-" + ids.digest(["brief", *(int(x) for x in np.asarray(key).ravel())])[:16]
        again = sum(1 for other in found if other.startswith(told))
        found.append(told + (f"-{again + 1}" if again else ""))
    return found


def seed_of(key: Any) -> int:
    """A whole number in [0, 2^31), small enough for every language, from a key [2] uint32."""
    return int(np.asarray(key).ravel()[0]) & 0x7FFFFFFF


def write_task(
    folder: str | Path,
    briefs: Sequence[Brief],
    labels: Labels | Sequence[Labels],
    keys: Sequence[Any],
    ids: Sequence[str],
) -> Path:
    """Write briefs as a task folder: equal arguments give equal bytes.

    Parameters
    ----------
    folder : str or Path
        A folder that does not exist yet.
    briefs : sequence of Brief
    labels : Labels, or one for each brief
    keys : sequence of [2] uint32
        Random keys of the briefs; each becomes a seed.
    ids : sequence of str
        Names of the briefs in the task, for example of `opaque_ids`.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    BadInput
        If lengths differ, an id is no file name or comes twice, or the folder exists or cannot be written.
    """
    every = [labels] * len(briefs) if isinstance(labels, Labels) else list(labels)
    if not len(briefs) == len(every) == len(keys) == len(ids):
        counts = f"{len(briefs)} briefs, {len(every)} labels, {len(keys)} keys and {len(ids)} ids"
        raise BadInput("write_task", counts, "one of each a brief")
    for i, name in enumerate(ids):
        if not ID.fullmatch(name) or name in ids[:i]:
            raise BadInput("write_task", f"id {name!r}", "each another, of letters a-z, digits and -")
    if os.path.lexists(folder):
        raise BadInput(str(folder), "exists already", "another folder")

    def fill(place: Path) -> None:
        task = [{"id": name, "seed": seed_of(key)} for name, key in zip(ids, keys, strict=True)]
        write_text(place / "task.json", as_json({"protocol": PROTOCOL, "briefs": task}) + "\n")
        write_text(place / "README.txt", TOP + README.split("\n\n", 1)[1])
        for name, brief, words in zip(ids, briefs, every, strict=True):
            (place / name).mkdir()
            for file, text in brief_files(brief, words).items():
                write_text(place / name / file, text)

    write_whole(Path(folder), fill)
    return Path(folder)


def read_ids(folder: str | Path) -> list[str]:
    """Ids of the briefs of a task folder, in its order.

    Raises
    ------
    BadInput
        If it is no task folder, or one of a version this release cannot read.
    """
    file = Path(folder) / "task.json"
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        version, found = told["protocol"], [entry["id"] for entry in told["briefs"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput(str(file), f"cannot be read ({type(error).__name__})", "a folder of write_task") from None
    if version != PROTOCOL:
        raise BadInput(str(file), f"is of protocol {version!r}", f"protocol {PROTOCOL}")
    wrong = [name for name in found if not isinstance(name, str) or not ID.fullmatch(name)]
    if wrong:
        raise BadInput(str(file), f"has the id {wrong[0]!r}", "letters a-z, digits and -")
    return found


def neutral_labels(brief: Brief) -> Labels:
    """Names that tell nothing, and dates from the calendar: where in the year the panel begins, not which year."""
    panel, questions = brief.panel, brief.questions
    _, geos, channels = np.shape(panel.lever)
    names = tuple(f"channel-{c + 1}" for c in range(channels))
    places = tuple(f"geo-{g + 1}" for g in range(geos)) if geos > 1 else ("national",)
    plans = plan_names(names)
    if len(plans) != len(questions.plans):
        plans = ("status quo", *(f"plan-{p + 1}" for p in range(1, len(questions.plans))))
    first = date(2021, 1, 1) + timedelta(days=round(float(panel.calendar[0]) * 365.25))
    return Labels(
        channels=names,
        geos=places,
        controls=tuple(f"control-{k + 1}" for k in range(np.shape(panel.controls)[-1])),
        start=(first - date(1970, 1, 1)).days,
        windows=tuple(f"weeks {a}-{b - 1}" for a, b in np.asarray(questions.windows)),
        plans=plans,
        problems=tuple(f"problem-{p + 1}" for p in range(len(questions.problems))),
        units=tuple(_unit_names(problem, names, places) for problem in questions.problems),
        kpi="revenue" if float(brief.context.unit_value) == 1 else "conversions",
    )


def _unit_names(problem: Any, channels: Sequence[str], geos: Sequence[str]) -> tuple[str, ...]:
    told, paid = [], paid_weeks(problem)
    last = max((weeks[-1] for weeks in paid), default=0)
    for u, (c, g, weeks) in enumerate(zip(*touched(problem), paid, strict=True)):
        channel, geo = "" if c is None else channels[c], "" if g is None or len(geos) == 1 else geos[g]
        whole, gaps = (weeks[0], weeks[-1]) == (0, last), len(weeks) <= weeks[-1] - weeks[0]
        stretch = "pulsed" if gaps else "" if whole else stretch_name(weeks)
        told.append("/".join(filter(None, (geo, channel, stretch))) or f"unit-{u + 1}")
    return tuple(told) if len(set(told)) == len(told) else tuple(f"unit-{u + 1}" for u in range(len(told)))
