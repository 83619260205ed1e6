"""What a file of an answer says: columns by channel or arrays by name, each looked at."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simbench.backends.replies import FINITE, left, levels_fault
from simbench.protocol.asked import EACH_PROBLEM, Asked, axes, field_of, shapes
from simbench.protocol.files import ACTIVE
from simbench.protocol.reading import (
    CSV_BYTES,
    SLACK,
    Faults,
    array_of,
    number_of,
    printable,
    quoted,
    read_bytes,
    read_json,
    read_npz,
    read_rows,
)
from simbench.records import REASONS, Diagnostics, Failure

Array = Any

COLUMNS = ("channel", "contribution", "low", "high", "level", "budget")
#: Probability of an interval whose level is not given.
LEVEL = 0.9
#: Quantile levels are never more.
MOST_LEVELS = 199
#: More of what a program says about itself is not kept.
DETAIL = 2000
DIAGNOSTICS = tuple(f"diagnostics_{name}" for name in Diagnostics._fields)


class Parsed(NamedTuple):
    """What a file holds: a failure, columns by channel, or arrays by name."""

    failure: Failure | None
    columns: Mapping[str, Array]  #: column -> [C], only those answered
    arrays: Mapping[str, Array]  #: array of `asked.shapes`, levels, diagnostics_NAME

    @property
    def understood(self) -> tuple[str, ...]:
        """What was answered, in words."""
        if self.failure is not None:
            return (f"{self.failure.reason}: {self.failure.detail}",)
        words = [word for word in ("contribution", "budget") if word in self.columns]
        if "low" in self.columns:
            words.insert(1, "interval")
        return (*words, *dict.fromkeys(field_of(name) for name in self.arrays if name not in DIAGNOSTICS))


def parse(file: Path, asked: Asked, faults: Faults) -> Parsed | None:
    """What a file answers; None where nothing of it can be used."""
    longest = max(asked.draws, MOST_LEVELS)
    largest = {name: 8 * longest * int(np.prod(shape, dtype=int)) for name, shape in shapes(asked).items()}
    largest |= dict.fromkeys(DIAGNOSTICS, 8) | {"levels": 8 * longest, "channels": 1024 * len(asked.channels)}
    size = sum(largest.values())
    if file.suffix == ".csv":
        content = read_bytes(file, CSV_BYTES, faults)
        return None if content is None else _columns(content, asked, faults)
    if file.suffix == ".json":
        content = read_bytes(file, 4 * size + SLACK, faults)
        told = None if content is None else read_json(content, faults)
        if told is None:
            return None
        return _failure(told, faults) if "reason" in told else _fields(told, asked, faults)
    content = read_bytes(file, size + SLACK, faults)
    return None if content is None else _fields(read_npz(content, largest, faults), asked, faults)


def _failure(told: Mapping[str, Any], faults: Faults) -> Parsed:
    reason, detail = told.get("reason"), told.get("detail", "")
    for name in told:
        if name not in ("reason", "detail"):
            faults.add(quoted(name), "stands beside a reason", "either an answer or a reason")
    if reason not in REASONS:
        faults.add("reason", f"is {quoted(reason)}", f"one of {', '.join(REASONS)}")
        reason = "error"
    if not isinstance(detail, str):
        faults.add("detail", f"is a {type(detail).__name__}", "text")
        detail = ""
    return Parsed(Failure(reason, printable(detail, DETAIL)), {}, {})


def _columns(content: bytes, asked: Asked, faults: Faults) -> Parsed | None:
    rows = read_rows(content, COLUMNS, 2 * len(asked.channels) + 100, faults)
    if rows is None:
        return None
    place_of: dict[str, int] = {}
    cells: dict[str, list[float | None]] = {name: [None] * len(asked.channels) for name in COLUMNS[1:]}
    if rows and "channel" not in rows[0][1]:
        faults.add("row 1", "has no column channel", f"columns of {', '.join(COLUMNS)}")
        return None
    for line, row in rows:
        name = row["channel"]
        if name.startswith("'") and name[1:].startswith(ACTIVE):
            name = name[1:]
        if name not in asked.channels:
            near = get_close_matches(name[:60], asked.channels, 1)
            right = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(asked.channels)}"
            faults.add(f"row {line}, column channel", f"unknown channel {quoted(name)}", right)
            continue
        if name in place_of:
            faults.add(
                f"row {line}, column channel",
                f"{name!r} comes twice, first in row {place_of[name]}",
                "one row a channel",
            )
            continue
        place_of[name] = line
        for column in COLUMNS[1:]:
            if column in row:
                cells[column][asked.channels.index(name)] = number_of(
                    row[column], f"row {line}, column {column}", faults
                )
    return _complete(cells, place_of, asked, faults)


def _complete(
    cells: Mapping[str, list[float | None]], place_of: Mapping[str, int], asked: Asked, faults: Faults
) -> Parsed | None:
    """Columns that every channel answers, and that fit together."""
    if faults.found:  # a cell that cannot be read would be told again as an empty one
        return None
    missing = [name for name in asked.channels if name not in place_of]
    if missing:
        faults.add("column channel", f"{missing[0]!r} is missing", "one row a channel")
        return None
    given = {name: column for name, column in cells.items() if any(value is not None for value in column)}
    if not given.keys() - {"level"}:
        faults.add("", "answers nothing", "contribution or budget for every channel")
    for name, column in given.items():
        for c, value in enumerate(column):
            if value is None and name != "level":
                place = f"row {place_of[asked.channels[c]]}, column {name}"
                faults.add(place, "is empty", f"a number for every channel, or no column {name}")
    for one, other in (("low", "high"), ("high", "low"), ("low", "contribution")):
        if one in given and other not in given:
            faults.add(f"column {one}", f"stands without {other}", "contribution, low and high")
    if faults.found:
        return None
    level = [LEVEL if value is None else value for value in cells["level"]]
    columns = {name: np.array(column, dtype=float) for name, column in given.items() if name != "level"}
    if "low" in columns:
        columns["level"] = np.array(level)
    for name, c in ((name, c) for c, name in enumerate(asked.channels)):
        row = f"row {place_of[name]}"
        if "low" in columns and not columns["low"][c] <= columns["contribution"][c] <= columns["high"][c]:
            faults.add(row, "has a contribution outside its own interval", "low <= contribution <= high")
        if "low" in columns and not 0 < level[c] < 1:
            faults.add(f"{row}, column level", f"is {level[c]:g}", "a probability between 0 and 1, such as 0.9")
        if "budget" in columns and columns["budget"][c] < 0:
            faults.add(f"{row}, column budget", f"is {columns['budget'][c]:g}", "money, 0 or more")
    return Parsed(None, columns, {})


def _fields(told: Mapping[str, Any], asked: Asked, faults: Faults) -> Parsed:
    """Arrays of an npz or JSON answer, each looked at."""
    wanted, order = shapes(asked), _order(told.get("channels"), asked, faults)
    known = (*wanted, *DIAGNOSTICS, "levels", "channels")
    arrays: dict[str, Array] = {}
    for name, value in told.items():
        if name == "channels" or faults.full:
            continue
        if name not in known:
            near = get_close_matches(name[:60], known, 1)
            right = f"did you mean {near[0]!r}?" if near else "fields of docs/protocol.md"
            faults.add(quoted(name), "is an unknown field", right)
            continue
        array = value if isinstance(value, np.ndarray) else array_of(value, name, faults)
        if array is not None and array.dtype.kind != "f":
            faults.add(name, "holds text", "numbers")
        elif array is not None and name in DIAGNOSTICS:
            if array.size != 1 or np.isinf(array).any():
                faults.add(name, f"has shape {array.shape}" if array.size != 1 else "is not finite", "one number")
            else:
                arrays[name] = array.reshape(())
        elif array is not None:
            fitting = array if name == "levels" else _fitting(array, name, asked, order, faults)
            arrays |= {} if fitting is None else {name: fitting}
    _together(arrays, asked, faults)
    return Parsed(None, {}, arrays)


def _order(names: Any, asked: Asked, faults: Faults) -> Array | None:
    """Positions that bring channel axes into the order of the brief; None where they are."""
    if names is None:
        return None
    told = names.tolist() if isinstance(names, np.ndarray) else names
    if not isinstance(told, list) or not all(isinstance(name, str) for name in told):
        faults.add("channels", "is no list of names", f"each of {', '.join(asked.channels)} once")
        return None
    if sorted(told) != sorted(asked.channels):
        faults.add("channels", f"are {quoted(', '.join(told))}", f"each of {', '.join(asked.channels)} once")
        return None
    return np.array([told.index(name) for name in asked.channels])


def _fitting(array: Array, name: str, asked: Asked, order: Array | None, faults: Faults) -> Array | None:
    shape, words = shapes(asked)[name], axes(asked, name)
    free = "draw" not in words
    if array.ndim != len(words) or array.shape[array.ndim - len(shape) :] != shape:
        told = ", ".join(["draws"] * (not free) + list(map(str, shape)))
        faults.add(name, f"has shape {array.shape}", f"({told}), the axes {', '.join(words) or 'none'}")
        return None
    wrong = np.isinf(array) if field_of(name) not in FINITE else ~np.isfinite(array)
    if wrong.any() and not left(field_of(name), array):
        at = ", ".join(f"{word} {i}" for word, i in zip(words, np.argwhere(wrong)[0], strict=True))
        faults.add(f"{name}[{at}]", "is not finite", "finite numbers")
        return None
    return array if order is None or "channel" not in words else np.take(array, order, axis=words.index("channel"))


def _together(arrays: Mapping[str, Array], asked: Asked, faults: Faults) -> None:
    """What no single array shows: equal draws, every problem, levels."""
    answered = [name for name in arrays if name in shapes(asked)]
    draws = {name: len(arrays[name]) for name in answered if field_of(name) != "allocation"}
    if len(set(draws.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in draws.items())
        faults.add("", f"fields differ in draws: {told}", "as many of each, for draws are joint")
    count = next(iter(draws.values()), None)
    wrong = levels_fault(arrays["levels"], count) if "levels" in arrays else ""
    if wrong:
        faults.add("levels", wrong, "increasing probabilities, one a quantile")
    elif "levels" not in arrays and count is not None and not 1 <= count <= asked.draws:
        faults.add("", f"has {count} draws", f"1 to {asked.draws}")
    if faults.found:  # what could not be read would be told again as missing
        return
    if not answered:
        faults.add("", "answers nothing", "at least one field")
    for field in dict.fromkeys(field_of(name) for name in answered):
        missing = [f"{field}_{p}" for p in range(len(asked.choices)) if f"{field}_{p}" not in arrays]
        if field in EACH_PROBLEM and missing:
            faults.add(missing[0], "is missing", f"{field} of every problem, or of none")
