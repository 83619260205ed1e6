"""Drawn worlds as files that a person can open: briefs, and on request their truths.

A folder is written beside its place and renamed into it, so that there is never half a folder.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simbench import briefs
from simbench.errors import BadInput
from simbench.records import KINDS, Brief, Labels
from simbench.report.frames import truth_frame

if TYPE_CHECKING:
    import pandas as pd

    from simbench.world.truth import Drawn

SCHEMA_VERSION = 1
#: A spreadsheet would run a cell that begins with one of these.
ACTIVE = ("=", "+", "-", "@", "\t", "\r")
OURS = re.compile(r"brief-[0-9]{4,}|truth")
#: Estimands that share the file optimum.csv.
OPTIMUM = frozenset({
    "reference amount", "best amount", "reference value", "best value", "upper bound", "certified",
    "separable", "grid floor",
})  # fmt: skip

README = """\
One simulated advertiser, as an analyst sees it. All files are UTF-8; CSV files are comma separated.

panel.csv       what happened: one row a week and geo. kpi; spend_CHANNEL in money; cap_CHANNEL, the money
                allowed, where demand decides what is spent of it; control_NAME; population of the geo.
future.csv      the weeks after the panel, to forecast: the same columns without kpi.
plans.csv       plans for the weeks after the panel: money a week, geo and channel (for a channel with a
                cap: the cap). "status quo" is what plans are compared with. A text that begins with + or -
                has an apostrophe before it, so that no spreadsheet computes it.
context.json    what every analyst knows: channels and their kinds, value of one KPI unit in money, mean KPI
                and spend a week, what is believed of returns beforehand.
questions.json  what is asked: windows (weeks counted from 0, the last one excluded), multipliers of a
                channel's spend, margin (share of the KPI's value that is profit before media), tail (weeks
                after a window in which its effect still counts), impulse lags, draws of an answer.
problems.json   choices of amounts for the weeks after the panel: units, money of the status quo, bounds,
                levels to answer the response at, the budget, limits on groups of units. An amount is spread
                over weeks and geos as the status quo plan spreads it; where that is zero, evenly over weeks
                and by population over geos.
"""

Write = Callable[[Path], None]


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
    place = Path(os.path.abspath(out))
    check_folder(Path(out), force=force)
    temporary, old = (place.with_name(f".{place.name}.{word}-{os.getpid()}") for word in ("partial", "old"))
    try:
        temporary.mkdir(parents=True)
        for number, brief in enumerate(drawn.briefs, 1):
            folder = temporary / f"brief-{number:04d}"
            folder.mkdir()
            for name, write in brief_files(brief, drawn.labels).items():
                write(folder / name)
        if with_truth:
            _write_truth(drawn, temporary / "truth")
        if place.exists():
            place.rename(old)
        temporary.rename(place)
    except OSError as error:
        raise BadInput(str(out), f"cannot be written ({error.strerror})", "another folder") from None
    finally:
        for leftover in (temporary, old):
            shutil.rmtree(leftover, ignore_errors=True)
    return Path(out)


def check_folder(out: Path, *, force: bool) -> None:
    """Refuse to write over anything, except with `force` over a folder written here."""
    if not os.path.lexists(out):
        return
    if not force:
        raise BadInput(str(out), "exists already", "another folder, or --force to replace it")
    if out.is_symlink() or not out.is_dir() or not all(OURS.fullmatch(entry.name) for entry in out.iterdir()):
        raise BadInput(str(out), "holds something that simbench draw did not write", "another folder")


def write_text(file: Path, text: str) -> None:
    """Write a file beside its place, then rename: it is whole or not there."""
    temporary = file.with_name(f".{file.name}.partial-{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise BadInput(str(file), f"cannot be written ({error.strerror})", "a folder that exists") from None
    finally:
        temporary.unlink(missing_ok=True)


def as_json(value: Any) -> str:
    """JSON of plain and NumPy values; what is not a finite number becomes null."""
    return json.dumps(_plain(value), indent=1, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# --- a brief


def brief_files(brief: Brief, labels: Labels) -> dict[str, Write]:
    """File name -> what writes it, for one brief."""
    return {
        "README.txt": lambda file: write_text(file, README),
        "panel.csv": _table(briefs.frame(brief, labels)),
        "future.csv": _table(future_frame(brief, labels)),
        "plans.csv": _table(plans_frame(brief, labels)),
        "context.json": _json(context_of(brief, labels)),
        "questions.json": _json(questions_of(brief, labels)),
        "problems.json": _json({"problems": problems_of(brief, labels)}),
    }


def _table(frame: pd.DataFrame) -> Write:
    def write(file: Path) -> None:
        harmless(frame).to_csv(file, index=False, date_format="%Y-%m-%d", lineterminator="\n")

    return write


def harmless(frame: pd.DataFrame) -> pd.DataFrame:
    """Text cells and column names that a spreadsheet would run get an apostrophe."""

    def quiet(cell: Any) -> Any:
        return f"'{cell}" if isinstance(cell, str) and cell.startswith(ACTIVE) else cell

    text = {name: frame[name].map(quiet) for name in frame if frame[name].dtype.kind not in "fiubM"}
    return frame.assign(**text).rename(columns=quiet)


def _json(content: Mapping[str, Any]) -> Write:
    return lambda file: write_text(file, as_json({"schema_version": SCHEMA_VERSION, **content}) + "\n")


def future_frame(brief: Brief, labels: Labels) -> pd.DataFrame:
    """The holdout: one row a week and geo, spend as it will be, controls."""
    import pandas as pd

    future, origin = brief.questions.future, int(brief.panel.origin)
    weeks, geos = future.lever.shape[0], len(labels.geos)
    columns: dict[str, Any] = {
        "date": np.repeat(briefs.dates(labels, origin + np.arange(weeks)), geos),
        "geo": np.tile(np.array(labels.geos, dtype=object), weeks),
    }
    for c, name in enumerate(labels.channels):
        columns[f"spend_{name}"] = np.asarray(future.spend[:, :, c]).ravel()
        if brief.context.bought[c]:
            columns[f"cap_{name}"] = np.asarray(future.lever[:, :, c]).ravel()
    for k, name in enumerate(labels.controls):
        columns[f"control_{name}"] = np.asarray(future.controls[:weeks, :, k]).ravel()
    columns["population"] = np.tile(np.asarray(brief.panel.population), weeks)
    return pd.DataFrame(columns)


def plans_frame(brief: Brief, labels: Labels) -> pd.DataFrame:
    """Plans in long form: `week` counts from the origin."""
    import pandas as pd

    plans, origin = np.asarray(brief.questions.plans), int(brief.panel.origin)
    weeks = range(plans.shape[1])
    axes = (labels.plans, weeks, labels.geos, labels.channels)
    rows = pd.MultiIndex.from_product(axes, names=["plan", "week", "geo", "channel"]).to_frame(index=False)
    rows.insert(2, "date", briefs.dates(labels, origin + rows["week"].to_numpy()))
    return rows.assign(money=plans.ravel())


def context_of(brief: Brief, labels: Labels) -> dict[str, Any]:
    """What every analyst knows, by name."""
    context = brief.context
    channels = [
        {
            "name": name, "kind": KINDS[int(context.kind[c])], "bought": bool(context.bought[c]),
            "national_only": bool(context.national_only[c]), "spend_scale": context.spend_scale[c],
            "prior_roas_mean": context.prior_roas_mean[c], "prior_roas_sd": context.prior_roas_sd[c],
        }
        for c, name in enumerate(labels.channels)
    ]  # fmt: skip
    return {
        "kpi": labels.kpi, "unit_value": context.unit_value, "kpi_scale": context.kpi_scale, "period_days": 7,
        "geos": list(labels.geos), "controls": list(labels.controls), "channels": channels,
    }  # fmt: skip


def questions_of(brief: Brief, labels: Labels) -> dict[str, Any]:
    """Windows, multipliers and the static numbers of the questions."""
    asked = brief.questions
    return {
        "windows": asked.windows, "multipliers": asked.multipliers, "margin": asked.margin,
        "tail": asked.sizes.tail, "impulse_lags": asked.sizes.impulse_lags, "draws": asked.sizes.draws,
        "horizon": asked.plans.shape[1], "plans": list(labels.plans), "problems": list(labels.problems),
    }  # fmt: skip


def problems_of(brief: Brief, labels: Labels) -> list[dict[str, Any]]:
    """Allocation problems in money, by name."""
    told = []
    for name, names, problem in zip(labels.problems, labels.units, brief.questions.problems, strict=True):
        units = [
            {
                "name": unit, "status_quo": problem.status_quo[u], "lower": problem.lower[u],
                "upper": problem.upper[u], "levels": problem.levels[u],
            }
            for u, unit in enumerate(names)
        ]  # fmt: skip
        groups = [
            {"units": [names[u] for u in np.flatnonzero(member)], "low": low, "high": high}
            for member, low, high in zip(problem.groups, problem.group_low, problem.group_high, strict=True)
        ]
        low, high = problem.budget
        told.append({
            "name": name, "margin": problem.margin, "budget": {"low": low, "high": high},
            "units": units, "groups": groups,
        })  # fmt: skip
    return told


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
            _table(rows[used])(place / f"{str(name).replace(' ', '-')}.csv")
        optima = {
            problem: {"units": list(units), **best._asdict()}
            for problem, units, best in zip(drawn.labels.problems, drawn.labels.units, truth.optima, strict=True)
        }
        entries.append({"brief": f"brief-{number:04d}", "replicate": replicate, "optima": optima})
    scenario = drawn.scenario
    _json({"scenario": scenario.name, "digest": scenario_digest(scenario), "replicates": entries})(
        folder / "truth.json"
    )
