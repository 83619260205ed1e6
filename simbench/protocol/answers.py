"""The folder of answers: one file a brief, a CSV at the least, an npz at the most. Format: docs/protocol.md."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import numpy as np

from simbench.backends.replies import checked
from simbench.errors import BadInput
from simbench.optimum import far_off, unit_words
from simbench.protocol.asked import Asked, asked_in, asked_of
from simbench.protocol.meaning import from_arrays, from_columns
from simbench.protocol.parsing import Parsed, parse
from simbench.protocol.reading import MOST, Fault, Faults, printable
from simbench.protocol.task import read_ids
from simbench.records import Answers, Brief, Failure, Labels

KINDS = (".csv", ".json", ".npz")


class Validation(NamedTuple):
    """Everything that is wrong in a folder of answers, what was understood, and what looks like a slip."""

    faults: list[Fault]
    understood: dict[str, tuple[str, ...]]  #: id of a brief -> what is answered; () where nothing can be used
    warnings: list[Fault]  #: these answers count as they are


def read_answer(folder: str | Path, brief_id: str, brief: Brief, labels: Labels) -> Answers | Failure:
    """What a folder answers to one brief.

    Parameters
    ----------
    folder : str or Path
        Folder of answers.
    brief_id : str
        Id of the brief in the task.
    brief : Brief
        What was asked.
    labels : Labels
        The names that the task told.

    Returns
    -------
    Answers or Failure
        Bad content is a Failure that names file, place, fault and what would be right; it never raises.
    """
    asked, place = asked_of(brief, labels), Path(folder)
    faults = Faults(brief_id)
    file = answer_file(place, brief_id, faults)
    parsed = None if file is None else parse(file, asked, faults)
    if faults.found or parsed is None:
        first = str(faults.found[0])
        more = f" (and {len(faults.found) - 1} more)" if len(faults.found) > 1 else ""
        nonfinite = all("not finite" in fault.what for fault in faults.found)
        return Failure("nonfinite" if nonfinite else "error", first + more)
    if parsed.failure is not None:
        return parsed.failure
    return checked(
        brief, from_columns(parsed.columns, brief, asked) if parsed.columns else from_arrays(parsed.arrays, brief)
    )


def answered(folder: Path, brief_id: str) -> list[str]:
    """Names of the files that answer a brief; one, unless something is wrong."""
    return [brief_id + kind for kind in KINDS if os.path.lexists(folder / (brief_id + kind))]


def answer_file(folder: Path, brief_id: str, faults: Faults) -> Path | None:
    """The one file that answers a brief."""
    names = answered(folder, brief_id)
    if len(names) == 1:
        faults.file = names[0]
        return folder / names[0]
    if names:
        faults.add("", f"is answered by {' and '.join(names)}", "one file a brief")
    else:
        faults.add("", "is not answered", f"a file {brief_id}.csv, .json or .npz")
    return None


def validate(task: str | Path, answers: str | Path) -> Validation:
    """Look through a folder of answers: every fault, what is understood of each brief, and what looks like a slip.

    Parameters
    ----------
    task, answers : str or Path
        The task folder and the folder of answers to it.

    Raises
    ------
    BadInput
        If one of them is no such folder.
    """
    task, folder = Path(task), Path(answers)
    ids = read_ids(task)
    if not folder.is_dir():
        raise BadInput(str(folder), "is no folder", "a folder of answers")
    faults: list[Fault] = []
    warnings: list[Fault] = []
    understood: dict[str, tuple[str, ...]] = {}
    for name in ids:
        told, asked = Faults(name), asked_in(task / name)
        file = answer_file(folder, name, told)
        parsed = None if file is None else parse(file, asked, told)
        faults += told.found
        understood[name] = ()
        if parsed is not None and not told.found:
            understood[name] = parsed.understood
            warnings += slips(parsed, asked, told.file)
    ours = {name + kind for name in ids for kind in KINDS}
    partial = (".partial", ".tmp")
    strays = [file.name for file in folder.iterdir() if file.name not in ours and not file.name.startswith(".")]
    for stray in sorted(name for name in strays if not name.endswith(partial))[:MOST]:
        near = get_close_matches(stray, sorted(ours), 1)
        right = f"did you mean {near[0]}?" if near else "files named after the ids of task.json"
        faults.append(Fault(printable(stray, 80), "", "answers no brief of the task", right))
    return Validation(faults, understood, warnings)


def slips(parsed: Parsed, asked: Asked, file: str) -> list[Fault]:
    """Allocations that look like money in another unit than the status quo."""
    found = []
    for p, choice in enumerate(asked.choices):
        place, given = f"allocation_{p}", parsed.arrays
        if p == 0 and "budget" in parsed.columns:  # other problems take its proportions alone
            place, given = "column budget", {"column budget": parsed.columns["budget"]}
        sums = float(np.sum(given.get(place, np.nan))), sum(choice.status_quo)
        if far_off(*sums):
            what, right = unit_words(*sums)
            found.append(Fault(file, place, f"amounts {what}", right))
    return found
