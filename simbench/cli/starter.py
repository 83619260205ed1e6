"""New scenario files: one to begin with, or a world around the spend of a user's own file."""

from __future__ import annotations

import csv
import json
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, NamedTuple

from simbench.cli.common import free, one_line
from simbench.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

#: Media return this much money for each unit spent (median), and make this share of the KPI.
ROAS, SHARE = 1.5, 0.25
#: Weeks kept for the holdout, where the file is long enough to spare them.
HOLDOUT, FEWEST = 26, 16
SPEND_NAME = re.compile(r"(?i:spend)|_S$")
#: Words by which a column is known as a channel; the first that occurs says its kind.
KINDS = {
    "tv": "tv", "television": "tv", "radio": "radio", "audio": "radio", "print": "print",
    "newspaper": "print",
    "ooh": "out-of-home", "outdoor": "out-of-home", "video": "online-video", "youtube": "online-video",
    "display": "display", "banner": "display", "social": "paid-social", "facebook": "paid-social",
    "instagram": "paid-social", "meta": "paid-social", "tiktok": "paid-social", "search": "generic-search",
    "google": "generic-search", "sem": "generic-search", "affiliate": "affiliate", "email": "email",
    "newsletter": "email",
}  # fmt: skip


class Started(NamedTuple):
    """What was written, and what the user should know about it."""

    scenario: Path
    data: Path | None
    notes: tuple[str, ...]


def starter(name: str, out: Path, *, force: bool = False) -> Started:
    """Write a commented scenario that inherits from `clean`."""
    from simbench.world.scenario import BREAKS

    axes = fill(
        ", ".join(axis for axis in BREAKS if axis), 96, initial_indent="# ", subsequent_indent="# ",
        break_on_hyphens=False,
    )  # fmt: skip
    check_name(name)
    return _written(out, name, aligned(STARTER.format(name=name, axes=axes)), None, (), force)


def check_name(name: str) -> None:
    """Refuse a name that no scenario can have, or that a shipped one has."""
    from simbench.world.scenario import scenario_names

    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or len(name) > 80:
        raise BadInput("name", f"'{name[:80]}'", "lower case letters, digits and single hyphens, e.g. 'my-world'")
    if name in scenario_names():
        raise BadInput("name", f"'{name}' is a shipped scenario", "a name of its own")


def recorded(
    name: str,
    spend: Path,
    out: Path,
    *,
    columns: Sequence[str] = (),
    date: str | None = None,
    force: bool = False,
) -> Started:
    """Write a scenario whose spend is that of a weekly CSV file, and a copy of its columns.

    Parameters
    ----------
    name : str
        Kebab case; the files are ``NAME.toml`` and ``NAME-spend.csv``.
    spend : Path
        One row a week, or one a week and geo (summed over geos).
    out : Path
        Folder for both files.
    columns : sequence of str
        Spend columns; guessed from their names if none are given.
    date : str, optional
        The date column; guessed if missing.

    Raises
    ------
    BadInput
        If the file is wrong (see :func:`simbench.tables.read_weekly`), too short, or has no spend.
    """
    check_name(name)
    notes: list[str] = []
    if not columns:
        columns = guessed(spend, date)
        notes.append(f"took as spend: {', '.join(columns)} (--columns names others)")
    frame = weekly(spend, columns, date, notes)
    idle = [column for column in columns if not frame[column].any()]
    columns = [column for column in columns if column not in idle]
    notes += [f"left out, nothing was spent: {', '.join(idle)}"] if idle else []
    if not columns:
        raise BadInput(str(spend), "nothing was spent in any column", "columns with spend")
    if len(frame) < FEWEST:
        raise BadInput(str(spend), f"{len(frame)} weeks are too few", f"at least {FEWEST}")
    names = channel_names(columns)
    data = frame[list(columns)].set_axis(names, axis=1)
    data.insert(0, "date", frame.iloc[:, 0].dt.strftime("%Y-%m-%d"))
    text = _recorded_text(name, data, dict(zip(names, columns, strict=True)), spend.name)
    table = data.to_csv(index=False, lineterminator="\n", float_format="%.10g")
    return _written(out, name, text, table, notes, force)


def _written(out: Path, name: str, text: str, table: str | None, notes: Sequence[str], force: bool) -> Started:
    """Write both files after they were read back, each beside its place and renamed."""
    from simbench.world.scenario import read_scenario, scenario_digest

    contents = {f"{name}.toml": text} | ({f"{name}-spend.csv": table} if table else {})
    for file in contents:
        free(out / file, force=force)
    with tempfile.TemporaryDirectory(prefix=".simbench-", dir=out) as beside:
        for file, content in contents.items():
            (Path(beside) / file).write_text(content, encoding="utf-8")
        scenario_digest(read_scenario(Path(beside) / f"{name}.toml"))
        for file in contents:
            (Path(beside) / file).replace(out / file)
    return Started(out / f"{name}.toml", out / f"{name}-spend.csv" if table else None, tuple(notes))


# --- a user's file


def guessed(path: Path, date: str | None) -> list[str]:
    """Columns that look like spend: by the word or Robyn's ending, else by the name of a medium."""
    header, rows = _peek(path, [])
    numeric = [
        name for i, name in enumerate(header)
        if name != date and sum(_is_number(row[i]) for row in rows) > len(rows) / 2
    ]  # fmt: skip
    found = [name for name in numeric if SPEND_NAME.search(name)] or [name for name in numeric if kind_of(name)]
    if not found:
        listed = ", ".join(one_line(name) for name in numeric[:15]) or "none"
        raise BadInput(str(path), "no column looks like spend", f"--columns a,b,c; columns with numbers: {listed}")
    return found


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def kind_of(column: str) -> str | None:
    """Kind of a channel by the words in its column's name; None if no word is known."""
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", column).lower())
    return next((KINDS[word] for word in words if word in KINDS), None)


def channel_names(columns: Sequence[str]) -> list[str]:
    """Names for channels after their columns, without the word for spend; none twice."""
    names: list[str] = []
    for column in columns:
        bare = re.sub(r"(?i:^spend[_\- ]+|[_\- ]+spend$)|_S$", "", column)
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", bare).strip("-_")
        plain = (plain if re.match(r"[A-Za-z]", plain) else f"channel-{plain}".rstrip("-"))[:56]
        taken = sum(other == plain or re.fullmatch(re.escape(plain) + r"-\d+", other) is not None for other in names)
        names.append(f"{plain}-{taken + 1}" if taken else plain)
    return names


def _peek(path: Path, columns: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Header and rows as text; whatever is wrong with the file, the strict reader explains it."""
    from simbench.tables import read_weekly

    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            rows = [row for row in csv.reader(handle) if row]
        header = [name.strip() for name in rows[0]]
        if all(len(row) == len(header) for row in rows):
            return header, rows[1:]
    except (OSError, ValueError, IndexError, csv.Error):
        pass
    read_weekly(path, columns=columns)
    raise BadInput(str(path), "cannot be read", "a weekly CSV file")


def weekly(path: Path, columns: Sequence[str], date: str | None, notes: list[str]) -> pd.DataFrame:
    """Weekly spend, strictly read; several rows a date are geos and are summed, which is noted."""
    from simbench.tables import DATE_NAMES, read_weekly

    header, rows = _peek(path, columns)
    named = [name for name in header if name.lower().replace(" ", "_") in DATE_NAMES]
    day = date or next(iter(named), None)
    at = header.index(day) if day in header else None
    if at is None or len({row[at] for row in rows}) == len(rows):
        return read_weekly(path, columns=columns, date=date, nonnegative=columns)
    split = _geo_column(header, rows, at)
    if split is None:
        return read_weekly(path, columns=columns, date=date, nonnegative=columns)
    geos = list(dict.fromkeys(row[split] for row in rows))
    frames = []
    with tempfile.TemporaryDirectory(prefix="simbench-") as folder:
        for geo in geos:
            part = Path(folder) / "geo.csv"
            with part.open("w", newline="", encoding="utf-8") as handle:
                csv.writer(handle).writerows([header, *(row for row in rows if row[split] == geo)])
            try:
                frames.append(read_weekly(part, columns=columns, date=day, nonnegative=columns))
            except BadInput as error:
                where = error.where.replace(str(part), f"{path}, {header[split]} '{geo}'")
                raise BadInput(where, error.what, error.right) from None
    if any(not frame.iloc[:, 0].equals(frames[0].iloc[:, 0]) for frame in frames):
        raise BadInput(str(path), "geos have different weeks", "the same weeks for every geo")
    total = frames[0]
    for frame in frames[1:]:
        total[list(columns)] += frame[list(columns)]
    notes.append(f"summed over {len(geos)} values of column '{one_line(header[split])}'")
    return total


def _geo_column(header: Sequence[str], rows: Sequence[Sequence[str]], at: int) -> int | None:
    """The column that tells several rows of one date apart, each value in equally many rows."""
    for i in range(len(header)):
        values = Counter(row[i] for row in rows)
        apart = len({(row[at], row[i]) for row in rows}) == len(rows)
        if i != at and apart and len(set(values.values())) == 1 and not all(map(_is_number, values)):
            return i
    return None


# --- texts


def _recorded_text(name: str, data: pd.DataFrame, columns: dict[str, str], source: str) -> str:
    holdout = min(HOLDOUT, len(data) // 4)
    means = data[list(columns)].mean()
    level = (1.0 - SHARE) / SHARE * ROAS * float(means.sum())
    channels = "".join(
        CHANNEL.format(
            name=channel, file=f"{name}-spend.csv", roas=ROAS, kind=kind_of(column) or "other",
            column=one_line(column)[:80], mean=f"{means[channel]:,.6g}",
        )
        for channel, column in columns.items()
    )  # fmt: skip
    text = RECORDED.format(
        name=name, source=json.dumps(one_line(source)[:200]), start=data["date"].iloc[0],
        weeks=len(data) - holdout, holdout=holdout, rows=len(data),
        level=f"{float(f'{level:.4g}'):.10g}", share=f"{SHARE:.0%}", channels=channels,
        short=", part_of_a_year = true" if len(data) - holdout < 52 else "",
    )  # fmt: skip
    return aligned(text)


def aligned(text: str, column: int = 30) -> str:
    """Comments behind keys begin in one column."""
    lines = (re.fullmatch(r"(\S.*?)\s+(# .*)", line) for line in text.split("\n"))
    return "\n".join(
        line if match is None or match[1].startswith("#") else f"{match[1]:<{column - 1}} {match[2]}"
        for match, line in zip(lines, text.split("\n"), strict=True)
    )


STARTER = """\
# A scenario: a distribution over worlds. Any number may be drawn anew in each replicate:
#   0.5   or   {{ dist = "uniform", low = 0.3, high = 0.8 }}   (also log-uniform, normal, lognormal, beta,
#   gamma, choice). `simbench schema --out scenario.schema.json` gives editors the list of all keys.
schema_version = 1
name = "{name}"
base = "clean"                # what is not said here is as in `simbench show clean`
breaks = ""                   # the one assumption that fails here; "" = none, "compound" = several:
{axes}
title = "One line about it"
summary = "What happens in this world, and why that is hard."
source = "Where its numbers come from"
who_should_win = "Which kind of model, and why."

[time]
weeks = 156                   # what an analyst sees; the holdout and the decisions come after

# [demand]
# level = 70000.0             # KPI units a week without media
# shock = {{ rho = 0.8, sd = 0.05 }}        # demand that nobody observes

# A channel of the base is changed by its name; a new name is a new channel and needs every key.
[[channels]]
name = "tv"
roas = {{ dist = "lognormal", median = 1.3, sigma = 0.4 }}

# [noise]
# kind = "gaussian"
# share = 0.05                # of the mean KPI

# [sweep]                     # one world for each value
# key = "channels.tv.roas"
# values = [0.5, 1.0, 2.0]
"""

RECORDED = """\
# A world around recorded spend: its correlations, gaps and peaks are real, its truth is known.
# Everything below can be changed; any number may be drawn, {{ dist = "uniform", low = 0.3, high = 0.8 }}.
schema_version = 1
name = "{name}"
breaks = "generated-spend"    # spend is not made by a rule
title = "Recorded spend"
summary = "Spend is read from a file; demand, effects and noise are simulated."
source = {source}
who_should_win = "Any model with carry-over and saturation: nothing but the shape of spend is unusual."

[time]
start = "{start}"        # the file has {rows} weeks from here
weeks = {weeks}                   # what an analyst sees
holdout = {holdout}                  # the rest of the file

[demand]
level = {level}               # KPI units a week without media: media make about {share} of the KPI
trend = {{ kind = "linear", per_year = {{ dist = "uniform", low = 0.0, high = 0.06 }} }}
season = {{ kind = "random", order = 2, amplitude = {{ dist = "uniform", low = 0.1, high = 0.25 }}{short} }}
{channels}
[kpi]
unit = "revenue"              # or "conversions", with value = money per conversion
margin = 0.6                  # share of revenue that is profit before media

[noise]
kind = "gaussian"
share = 0.05                  # of the mean KPI
"""

CHANNEL = """
[[channels]]
name = "{name}"               # column: {column}; mean {mean} a week
kind = "{kind}"
spend = {{ rule = "recorded", file = "{file}", column = "{name}" }}
carry_over = {{ kind = "geometric", retention = 0.4 }}
saturation = {{ kind = "hill", half_at = 1.0, slope = 1.2 }}     # half_at 1 = the mean active spend
roas = {{ dist = "lognormal", median = {roas}, sigma = 0.4 }}
"""
