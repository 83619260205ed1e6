"""A tidy frame of score rows as arrays: contenders by worlds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simbench.errors import BadInput
from simbench.score import statistics

if TYPE_CHECKING:
    import pandas as pd

Array = Any
NEEDED = ("scenario", "family", "replicate", "backend", "estimand", "unit", "metric", "value", "status")
#: Reasons of a cell without answer that are no failure: nobody promised to answer it.
EXCUSED = ("unsupported",)


class Table(NamedTuple):
    """Score rows with their texts as codes. K contenders, N worlds (scenario and replicate)."""

    backends: tuple[str, ...]  #: [K]
    scenarios: tuple[str, ...]  #: [S]
    scenario: Array  #: [N] position in `scenarios`
    cluster: Array  #: [N] position of (family, replicate): worlds that share their random numbers
    families: Array  #: [clusters] family of each
    words: dict[str, list[str]]  #: names behind the codes
    codes: dict[str, Array]  #: [rows] estimand, unit, metric, status, backend, world
    value: Array  #: [rows]
    asked: Array  #: [K, N] there is a row
    failed: Array  #: [K, N] no answer, and no excuse
    inside: Array  #: [K, S] int: 1 the contender's class contains the scenario, 0 it does not, -1 nobody says


class Picked(NamedTuple):
    """One column of all contenders and worlds [K, N]."""

    value: Array  #: NaN unless ok
    undefined: Array  #: the quantity does not exist, says the row


def read(frame: pd.DataFrame) -> Table:
    """Index a tidy frame of score rows; a column `transform` makes scenarios of its own.

    A column `representable` says whose class contains what; without it nobody says.

    Raises
    ------
    BadInput
        If a column is missing, or the frame has no row.
    """
    lacking = [name for name in NEEDED if name not in frame]
    if lacking:
        raise BadInput("score rows", f"have no column {lacking[0]!r}", f"columns {', '.join(NEEDED)}")
    if not len(frame):
        raise BadInput("score rows", "there are none", "scores of a run that answered something")
    words: dict[str, list[str]] = {}
    codes: dict[str, Array] = {}
    for name in (
        "scenario",
        "family",
        "backend",
        "estimand",
        "unit",
        "metric",
        "status",
        "transform",
        "reason",
        "name",
    ):
        if name in frame:
            words[name], codes[name] = coded(frame[name])
    where = codes["scenario"]
    if "transform" in words:
        where, words["scenario"] = with_transform(where, codes["transform"], words)
    replicate = frame["replicate"].to_numpy(dtype=np.int64)
    span = int(replicate.max()) + 1
    worlds, codes["world"] = np.unique(where.astype(np.int64) * span + replicate, return_inverse=True)
    family_of = np.zeros(len(words["scenario"]), dtype=np.int64)
    family_of[where] = codes["family"]
    scenario = worlds // span
    together, cluster = np.unique(family_of[scenario] * span + worlds % span, return_inverse=True)

    shape = (len(words["backend"]), len(worlds))
    asked, failed = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    asked[codes["backend"], codes["world"]] = True
    lost = np.flatnonzero(codes["status"] == code(words, "status", "failed"))
    if len(lost):
        excused = (
            np.isin(codes["reason"][lost], [code(words, "reason", r) for r in EXCUSED]) if "reason" in codes else False
        )
        failed[codes["backend"][lost], codes["world"][lost]] = ~excused & np.ones(len(lost), dtype=bool)
        asked[codes["backend"][lost], codes["world"][lost]] = failed[codes["backend"][lost], codes["world"][lost]]
    present = np.unique(scenario)
    inside = np.full((len(words["backend"]), len(present)), -1)
    if "representable" in frame:
        said = frame["representable"].astype("boolean").astype("Int64").fillna(-1).to_numpy(dtype=np.int64)
        inside[codes["backend"], np.searchsorted(present, where)] = said
    return Table(
        tuple(words["backend"]), tuple(words["scenario"][s] for s in present), np.searchsorted(present, scenario),
        cluster, together // span, words, codes, frame["value"].to_numpy(dtype=np.float64), asked, failed, inside,
    )  # fmt: skip


def coded(column: pd.Series) -> tuple[list[str], Array]:
    """Distinct texts of a column and their codes, unused categories left out; missing is ""."""
    import pandas as pd

    if not isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype("category")
    words, codes = [str(word) for word in column.cat.categories], column.cat.codes.to_numpy().astype(np.int64)
    if (codes < 0).any():
        codes, words = np.where(codes < 0, len(words), codes), [*words, ""]
    used = np.flatnonzero(np.bincount(codes, minlength=len(words)))
    place = np.zeros(len(words), dtype=np.int64)
    place[used] = np.arange(len(used))
    return [words[i] for i in used], place[codes]


def with_transform(where: Array, transform: Array, words: dict[str, list[str]]) -> tuple[Array, list[str]]:
    """Scenarios told apart by the transform of their briefs; a name that already says it stays."""
    pairs, codes = np.unique(where * len(words["transform"]) + transform, return_inverse=True)
    names = []
    for pair in pairs:
        name, changed = (words[k][i] for k, i in zip(("scenario", "transform"), divmod(pair, len(words["transform"]))))
        names.append(name if not changed or name.endswith(f"@{changed}") else f"{name}@{changed}")
    return codes, names


def code(words: dict[str, list[str]], name: str, text: str) -> int:
    """Position of a text among the words of a column; -1 if it is not there."""
    return words[name].index(text) if text in words.get(name, ()) else -1


def pick(table: Table, estimand: str, unit: str, metric: str) -> Picked:
    """One column [K, N]."""
    return pick_rows(table, rows_of(table, estimand, metric) & (table.codes["unit"] == code(table.words, "unit", unit)))


def rows_of(table: Table, estimand: str, metric: str) -> Array:
    """Which rows are of a score, whatever the unit."""
    words, codes = table.words, table.codes
    return (codes["metric"] == code(words, "metric", metric)) & (codes["estimand"] == code(words, "estimand", estimand))


def pick_rows(table: Table, rows: Array) -> Picked:
    """The column that some rows make, one of each contender and world."""
    at = np.flatnonzero(rows)
    backend, world = table.codes["backend"][at], table.codes["world"][at]
    value = np.full(table.asked.shape, np.nan)
    undefined = np.zeros(table.asked.shape, dtype=bool)
    status = table.codes["status"][at]
    good = status == code(table.words, "status", "ok")
    value[backend[good], world[good]] = table.value[at[good]]
    none = status == code(table.words, "status", "undefined")
    undefined[backend[none], world[none]] = True
    return Picked(value, undefined)


def resampled(table: Table, resamples: int = statistics.RESAMPLES) -> Array:
    """How often each (family, replicate) is in each resample [B, clusters]: jointly over each family."""
    counts = np.zeros((resamples, len(table.families)))
    for family in np.unique(table.families):
        members = np.flatnonzero(table.families == family)
        stream = statistics.fixed_stream(f"family:{table.words['family'][family]}")
        counts[:, members] = statistics.resample(len(members), stream, resamples)
    return counts
