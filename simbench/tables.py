"""A user's weekly CSV, read strictly: every fault is named with its row, nothing is repaired."""

from __future__ import annotations

import csv
import datetime
import difflib
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simbench.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

LARGEST_FILE = 32 * 2**20  #: bytes; ten years of 300 columns are 3 MB
DATE_NAMES = (
    "date", "date_week", "week", "time", "ds", "day", "week_start", "week_date", "week_starting", "period"
)  # fmt: skip
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]00:00(?::00(?:\.0+)?)?)?")
_NUMBER = re.compile(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*")


def read_weekly(
    path: str | Path,
    columns: Sequence[str] | None = None,
    date: str | None = None,
    nonnegative: Sequence[str] = (),
) -> pd.DataFrame:
    """Read a CSV file with one row a week.

    Parameters
    ----------
    path : str or Path
        Comma separated, UTF-8, a header, ISO dates (``2021-01-04``).
    columns : sequence of str, optional
        Columns wanted, all numeric. Default: every column; one without a single number stays text.
    date : str, optional
        The date column. Default: one that is called date, week, time or the like.
    nonnegative : sequence of str, optional
        Columns that may not fall below zero (spend).

    Returns
    -------
    pandas.DataFrame
        The date column (datetime64) first, then the columns (float64), one row a week, in order of time.

    Raises
    ------
    BadInput
        Missing file or column, text, NaN or infinity among numbers, dates that are no ISO dates, occur
        twice, fall back, leave weeks out or come daily.

    Examples
    --------
    >>> read_weekly("spend.csv", columns=["tv"], nonnegative=["tv"])  # doctest: +SKIP
    """
    import pandas as pd

    where = str(path)
    header, rows = _cells(Path(path), where)
    date = _date_column(header, date, where)
    days = _days([row[header.index(date)] for row in rows], f"{where}, column '{date}'")
    _check_weekly(days, f"{where}, column '{date}'", date)
    wanted = [name for name in (header if columns is None else columns) if name != date]
    for name in wanted:
        _known(name, header, where)
    for name in nonnegative:
        _known(name, wanted, where)
    data: dict[str, Any] = {date: pd.to_datetime([day.isoformat() for day in days])}
    for name in wanted:
        cells = [row[header.index(name)] for row in rows]
        if columns is None and name not in nonnegative and not any(_NUMBER.fullmatch(cell) for cell in cells):
            data[name] = cells
        else:
            data[name] = _numbers(cells, days, f"{where}, column '{name}'", name in nonnegative)
    return pd.DataFrame(data)


def to_weeks(frame: pd.DataFrame, date: str, first_day: str | None = None, drop_partial: bool = False) -> pd.DataFrame:
    """Sum daily rows to weeks.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row a day without gaps, in any order. Every other column is summed: spend and sales as they
        should be; divide a price or a rate by 7 afterwards.
    date : str
        The date column: ISO text or datetime64.
    first_day : str, optional
        A day on which a week begins, e.g. ``"2021-01-04"`` for weeks from Monday. Default: the first day.
    drop_partial : bool
        Leave out an incomplete week at either end. Such weeks are never padded.

    Returns
    -------
    pandas.DataFrame
        `date` (datetime64, first day of the week), then the sums. ``attrs["dropped"]`` names the
        incomplete weeks that were left out, as ``(first day, last day)``.

    Raises
    ------
    BadInput
        Days missing or twice, text or non-finite numbers, incomplete weeks unless `drop_partial`.

    Examples
    --------
    >>> import pandas as pd
    >>> daily = pd.DataFrame({"date": pd.date_range("2021-01-04", periods=14).astype(str), "tv": 1.0})
    >>> to_weeks(daily, date="date")["tv"].tolist()
    [7.0, 7.0]
    """
    import pandas as pd

    where = "to_weeks"
    names = [str(name) for name in frame.columns]
    _header(names, where)
    if len(frame) == 0:
        raise BadInput(where, "no rows", "one row a day")
    _known(date, names, where)
    frame = frame.set_axis(names, axis=1)
    dates = frame[date]
    if pd.api.types.is_datetime64_any_dtype(dates) and not dates.isna().any():
        dates = dates.dt.strftime("%Y-%m-%dT%H:%M:%S")
    unordered = _days([str(cell) for cell in dates], f"{where}, column '{date}'")
    _check_unique(unordered, "day", f"{where}, column '{date}'")
    order = sorted(range(len(unordered)), key=unordered.__getitem__)
    days = [unordered[position] for position in order]
    _check_steps(days, datetime.timedelta(days=1), "day", f"{where}, column '{date}'")
    anchor = days[0] if first_day is None else _days([first_day], f"{where}, first_day")[0]
    weeks = [(day - anchor).days // 7 for day in days]
    sizes = Counter(weeks)
    starts = {week: anchor + datetime.timedelta(weeks=week) for week in sizes}
    partial = [week for week, size in sizes.items() if size < 7]
    named = tuple(_span([day for day, at in zip(days, weeks, strict=True) if at == week]) for week in partial)
    if partial and not drop_partial:
        what = " and ".join(f"{first} to {last}" for first, last in named)
        raise BadInput(where, f"incomplete weeks: {what}", "drop_partial=True leaves them out")
    kept = [week for week in sizes if week not in partial]
    if not kept:
        raise BadInput(where, "no complete week", "seven days in a row")
    data: dict[str, Any] = {date: pd.to_datetime([starts[week].isoformat() for week in kept])}
    for name in names:
        if name != date:
            cells = [str(cell) for cell in frame[name]]
            values = _numbers(cells, unordered, f"{where}, column '{name}'", False)
            sums = dict.fromkeys(sizes, 0.0)
            for week, position in zip(weeks, order, strict=True):
                sums[week] += values[position]
            data[name] = [sums[week] for week in kept]
    result = pd.DataFrame(data)
    result.attrs["dropped"] = named
    return result


def _cells(path: Path, where: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV file, every row as long as the header."""
    try:
        with path.open("rb") as handle:
            content = handle.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise BadInput(where, "is too large", f"at most {LARGEST_FILE // 2**20} MiB")
        table = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(where, f"cannot be read ({error.strerror})", "a CSV file") from None
    except (ValueError, csv.Error) as error:
        raise BadInput(where, f"is no CSV file in UTF-8 ({str(error)[:80]})", "comma separated text") from None
    table = [row for row in table if row]  # blank lines
    if len(table) < 2:
        raise BadInput(where, "has no rows", "a header and one row a week")
    header = [name.strip() for name in table[0]]
    if len(header) == 1 and re.search(r"[;\t]", header[0]):
        raise BadInput(where, "has a single column", "commas between columns")
    _header(header, where)
    for number, row in enumerate(table[1:], 1):
        if len(row) != len(header):
            raise BadInput(f"{where}, row {number}", f"{len(row)} cells", f"{len(header)}, as in the header")
    return header, table[1:]


def _header(header: Sequence[str], where: str) -> None:
    for name, times in Counter(header).items():
        if times > 1:
            raise BadInput(where, f"column '{name}' occurs {times} times", "every name once")


def _known(name: str, header: Sequence[str], where: str) -> None:
    if name not in header:
        close = difflib.get_close_matches(str(name), header, n=1, cutoff=0.5)
        meant = f"did you mean '{close[0]}'? " if close else ""
        listed = ", ".join(header[:15]) + (", ..." if len(header) > 15 else "")
        raise BadInput(where, f"no column '{name}'", f"{meant}columns: {listed}")


def _date_column(header: Sequence[str], date: str | None, where: str) -> str:
    if date is not None:
        _known(date, header, where)
        return date
    found = {name.lower().replace(" ", "_"): name for name in reversed(header)}
    for name in DATE_NAMES:
        if name in found:
            return found[name]
    raise BadInput(where, "no date column", f"name it with date=..., columns: {', '.join(header[:15])}")


def _days(cells: Iterable[str], where: str) -> list[datetime.date]:
    days = []
    for number, cell in enumerate(cells, 1):
        match = _DATE.fullmatch(cell.strip())
        try:
            day = datetime.date.fromisoformat(match[1] if match else "")
        except ValueError:
            day = datetime.date.min
        if not 1900 <= day.year <= 2200:
            right = "an ISO date from 1900 to 2200, e.g. 2021-01-04"
            raise BadInput(f"{where}, row {number}", f"'{cell[:40]}' is no date", right)
        days.append(day)
    return days


def _numbers(cells: Sequence[str], days: Sequence[datetime.date], where: str, nonnegative: bool) -> list[float]:
    numbers = []
    for number, (cell, day) in enumerate(zip(cells, days, strict=True), 1):
        place = f"{where}, row {number} ({day})"
        value = float(cell) if _NUMBER.fullmatch(cell) else math.nan
        if not math.isfinite(value):
            shown = f"'{cell[:40]}'" if cell.strip() else "an empty cell"
            raise BadInput(place, f"{shown} is not a finite number", "a number such as 1234.5")
        if nonnegative and value < 0:
            raise BadInput(place, f"{value:g} is negative", "spend >= 0")
        numbers.append(value)
    return numbers


def _check_weekly(days: Sequence[datetime.date], where: str, date: str) -> None:
    steps = Counter((after - before).days for before, after in pairwise(days))
    if steps and steps.most_common(1)[0][0] == 1:
        monday = days[0] + datetime.timedelta(days=-days[0].weekday() % 7)
        call = f'sb.to_weeks(frame, date="{date}", first_day="{monday}")'
        raise BadInput(where, "the rows are days, not weeks", f"sum them first: {call}")
    _check_unique(days, "week", where)
    _check_steps(days, datetime.timedelta(days=7), "week", where)


def _check_unique(days: Sequence[datetime.date], unit: str, where: str) -> None:
    first_row: dict[datetime.date, int] = {}
    for number, day in enumerate(days, 1):
        if first_row.setdefault(day, number) != number:
            what = f"{day} occurs twice, in rows {first_row[day]} and {number}"
            raise BadInput(where, what, f"one row a {unit}: sum or choose one geo first")


def _check_steps(days: Sequence[datetime.date], step: datetime.timedelta, unit: str, where: str) -> None:
    """Refuse rows that are not one `step` apart, naming the first that is wrong, or what is missing."""
    missing: list[datetime.date] = []
    for number, (before, after) in enumerate(pairwise(days), 2):
        if after < before:
            raise BadInput(f"{where}, row {number}", f"{after} comes after {before}", "rows in order of time")
        if (after - before) % step:
            what = f"{after} is {(after - before).days} days after {before}"
            raise BadInput(f"{where}, row {number}", what, f"one row a {unit}")
        gap = before + step
        while gap < after and len(missing) <= 5:
            missing.append(gap)
            gap += step
    if missing:
        named = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise BadInput(where, f"missing {unit}s: {named}", f"one row for every {unit}")


def _span(days: Sequence[datetime.date]) -> tuple[str, str]:
    return days[0].isoformat(), days[-1].isoformat()
