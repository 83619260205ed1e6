"""Drawn worlds as files that a person can open: briefs, and on request their truths.

A folder is written beside its place and renamed into it, so that there is never half a folder.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from simbench.errors import BadInput
from simbench.protocol.briefs import (
    README,
    brief_files,
    context_of,
    future_frame,
    plans_frame,
    problems_of,
    questions_of,
)
from simbench.protocol.files import ACTIVE, as_json, csv_text, harmless, json_text, write_text, write_whole
from simbench.report.frames import truth_frame

if TYPE_CHECKING:
    from simbench.world.truth import Drawn

__all__ = [
    "ACTIVE", "README", "as_json", "brief_files", "check_folder", "context_of", "future_frame", "harmless",
    "plans_frame", "problems_of", "questions_of", "write_folder", "write_text",
]  # fmt: skip

OURS = re.compile(r"brief-[0-9]{4,}|truth")
#: Estimands that share the file optimum.csv.
OPTIMUM = frozenset({
    "reference amount", "best amount", "reference value", "best value", "upper bound", "certified",
    "separable", "grid floor", "reference kpi", "idle kpi",
})  # fmt: skip


def write_folder(drawn: Drawn, out: str | Path, *, with_truth: bool = False, force: bool = False) -> Path:
    """Write one folder a replicate, ``brief-0001`` and so on.

    Parameters
    ----------
    drawn : Drawn
    out : str or Path
        A folder that does not exist yet.
    with_truth : bool
        Add ``truth/0001`` and so on, ``truth/truth.json`` with scenario, digest and optima.
        Without it nothing in the folder tells the scenario or its truth.
    force : bool
        Replace a folder that this function wrote.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    BadInput
        If `out` exists (or, with `force`, holds anything else), cannot be written, or the worlds
        were drawn without truth.
    """
    check_folder(Path(out), force=force)

    def fill(place: Path) -> None:
        for number, brief in enumerate(drawn.briefs, 1):
            folder = place / f"brief-{number:04d}"
            folder.mkdir()
            for name, text in {"README.txt": README, **brief_files(brief, drawn.labels)}.items():
                write_text(folder / name, text)
        if with_truth:
            _write_truth(drawn, place / "truth")

    write_whole(Path(out), fill)
    return Path(out)


def check_folder(out: Path, *, force: bool) -> None:
    """Refuse to write over anything, except with `force` over a folder written here."""
    if not os.path.lexists(out):
        return
    if not force:
        raise BadInput(str(out), "exists already", "another folder, or --force to replace it")
    if out.is_symlink() or not out.is_dir() or not all(OURS.fullmatch(entry.name) for entry in out.iterdir()):
        raise BadInput(str(out), "holds something that simbench draw did not write", "another folder")


# --- truths


def _write_truth(drawn: Drawn, folder: Path) -> None:
    from simbench.world.scenario import scenario_digest

    truths, entries = drawn.truths, []
    for number, (replicate, brief, truth) in enumerate(zip(drawn.replicates, drawn.briefs, truths, strict=True), 1):
        place = folder / f"{number:04d}"
        place.mkdir(parents=True)
        table = truth_frame(truth, drawn.labels, brief)
        file_of = table.estimand.map(lambda estimand: "optimum" if estimand in OPTIMUM else estimand)
        for name, rows in table.groupby(file_of, sort=False):
            used = [c for c in rows if c == "value" or not (rows[c].isna() | (rows[c] == "")).all()]
            write_text(place / f"{str(name).replace(' ', '-')}.csv", csv_text(rows[used]))
        optima = {
            problem: {"units": list(units), **best._asdict()}
            for problem, units, best in zip(drawn.labels.problems, drawn.labels.units, truth.optima, strict=True)
        }
        entries.append({"brief": f"brief-{number:04d}", "replicate": replicate, "optima": optima})
    scenario = drawn.scenario
    told = {"scenario": scenario.name, "digest": scenario_digest(scenario), "replicates": entries}
    write_text(folder / "truth.json", json_text(told))
