"""Scenario files: from TOML to checked, resolved, frozen models, their points, numbers and digest.

A file is parsed under limits that no hostile file gets past, merged with its base, and checked; every
fault is one :class:`BadInput` that names file, key, value and what would be right (docs/design.md 3a).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from os.path import isfile  # unlike that of pathlib, it has no fault of its own: a name too long is no file
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args

import numpy as np
from pydantic import Field

from simbench import ids
from simbench.errors import BadInput
from simbench.world.scenario_files import checked, merged, parsed, shown
from simbench.world.scenario_model import QuestionsTable, Scenario
from simbench.world.scenario_numbers import Distribution, Table, Uniform, nearest, quantile
from simbench.world.scenario_words import BREAKS, KebabCase, Version

__all__ = [
    "BREAKS", "VERSIONS", "Distribution", "Scenario", "Suite", "SuiteEntry", "base_of", "family", "json_schema",
    "numbers", "points", "quantile", "read_scenario", "read_suite", "recorded_paths", "scenario_digest",
    "scenario_folder", "scenario_names", "suite_names",
]  # fmt: skip

#: A mechanism whose formulas change gets a new number, and every scenario a new digest. Steps of `measure`
#: carry their own, which count where a file has such a step.
VERSIONS = {"demand": 1, "spend": 1, "media": 1, "noise": 1, "geo": 1, "estimands": 1}

PROSE = ("title", "summary", "source", "who_should_win", "unrealistic", "superseded_by")
#: Said by each file for itself, never inherited, and no part of what a world is.
OWN = frozenset({"schema_version", "name", "base", "breaks", "sweep", *PROSE})
_POINT = re.compile(r"(?s)(.+)\[([^\[\]]*)\]")


class SuiteEntry(NamedTuple):
    """One scenario of a suite (a sweep is one entry a point)."""

    name: str
    scenario: Scenario
    replicates: int


class Suite(NamedTuple):
    """A list of scenarios with replicate counts."""

    name: str
    title: str
    replicates: int
    scenarios: tuple[SuiteEntry, ...]
    quarters: int | None = None  #: that the closed loop lives again; None: the suite does not say


# --- reading ---------------------------------------------------------------------------------------


def scenario_folder() -> Path:
    """Where the shipped scenarios are: in the installed package, else beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_scenarios"
    return installed if installed.is_dir() else package.parent / "scenarios"


def scenario_names() -> tuple[str, ...]:
    """Names of the shipped scenarios."""
    return tuple(sorted(path.stem for path in scenario_folder().glob("*.toml")))


def suite_names() -> tuple[str, ...]:
    """Names of the shipped suites."""
    return tuple(sorted(path.stem for path in (scenario_folder() / "suites").glob("*.toml")))


def read_scenario(source: str | Path) -> Scenario:
    """Read, resolve and check a scenario.

    Parameters
    ----------
    source : str or Path
        A shipped name (``"clean"``), a file (``"mine.toml"``, ``.json`` too), or either with the point
        of a sweep (``"collinear[0.9]"``).

    Raises
    ------
    BadInput
        One line that names file, key, value and what would be right.

    Examples
    --------
    >>> read_scenario("clean").time.weeks
    156
    """
    return _read(source, (scenario_folder(),))


def read_suite(source: str | Path) -> Suite:
    """Read a suite by name or file; sweeps become one entry a point.

    Scenarios are looked for in the suite's folder, in the one above it, and among the shipped.

    Raises
    ------
    BadInput
        If the suite or one of its scenarios is wrong.
    """
    path = _path(source, (scenario_folder() / "suites",), "suite", suite_names())
    where, table = str(path), parsed(path)
    suite = checked(_SuiteFile, table, where)
    folders = (path.parent, path.parent.parent, scenario_folder())
    entries = []
    for item in suite.scenarios:
        try:
            scenario = _read(item.name, folders)
        except BadInput as error:
            raise BadInput(f"{where}: scenarios.{item.name}", str(error)) from None
        replicates = suite.replicates if item.replicates is None else item.replicates
        entries += [SuiteEntry(point.name, point, replicates) for point in points(scenario)]
    repeated = {entry.name for entry in entries if [e.name for e in entries].count(entry.name) > 1}
    if repeated:
        raise BadInput(f"{where}: scenarios", f"'{min(repeated)}' occurs twice", "every scenario once")
    return Suite(suite.name, suite.title, suite.replicates, tuple(entries), suite.quarters)


Replicates = Annotated[int, Field(ge=1, le=100_000)]


class _SuiteItem(Table):
    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+(\[[^\[\]]*\])?$", max_length=200)]
    replicates: Replicates | None = None


class _SuiteFile(Table):
    schema_version: Version
    name: KebabCase
    title: str = ""
    replicates: Replicates
    quarters: Annotated[int, Field(ge=1, le=100)] | None = None
    scenarios: Annotated[tuple[_SuiteItem, ...], Field(strict=False, min_length=1, max_length=1000)]


def _read(source: str | Path, folders: Sequence[Path]) -> Scenario:
    text = str(source)
    match = _POINT.fullmatch(text)
    path = _path(match[1] if match else source, folders, "scenario", scenario_names())
    scenario = _load(path, ())
    labelled = {point.name: point for point in points(scenario)}
    if match is None:
        return scenario
    name = f"{scenario.name}[{_spelling(match[2])}]"
    if scenario.sweep is None or name not in labelled:
        allowed = labelled if scenario.sweep else [scenario.name]
        raise BadInput(text[:100], "no such point of a sweep", nearest(name, allowed))
    return labelled[name]


def _path(source: str | Path, folders: Sequence[Path], what: str, names: Sequence[str]) -> Path:
    """The file of a name or path; names are looked for in `folders`."""
    text = str(source)
    if isinstance(source, Path) or text.endswith((".toml", ".json")):
        return Path(source)
    if re.fullmatch(r"[a-z0-9-]+", text) and len(text) <= 100:
        for folder in folders:
            if (folder / f"{text}.toml").is_file():
                return folder / f"{text}.toml"
    raise BadInput(f"'{text[:100]}'", f"no such {what}", f"{nearest(text, names)}; or the path of a .toml file")


def _load(path: Path, above: tuple[Path, ...]) -> Scenario:
    """A file merged with its base, which has to be a scenario of its own right."""
    where, table = str(path), parsed(path)
    base = table.get("base")
    parent = None
    if base is not None:
        if not isinstance(base, str) or not re.fullmatch(r"[a-z0-9-]{1,80}", base):
            raise BadInput(f"{where}: base", f"{shown(base)} is no scenario's name", "e.g. 'clean'")
        beside = (path.parent, scenario_folder())
        names = sorted({*scenario_names(), *(file.stem for file in path.parent.glob("*.toml"))})
        try:
            found = _path(base, beside, "scenario", names)
        except BadInput as error:
            raise BadInput(f"{where}: base", f"{error.where} is {error.what}", error.right) from None
        chain = [step.resolve() for step in (*above, path)]
        if found.resolve() in chain:
            circle = " -> ".join(step.stem for step in [*chain[chain.index(found.resolve()) :], found])
            raise BadInput(f"{where}: base", f"{circle} is a circle", "a base that does not come back")
        parent = _load(found, (*above, path))
        table = merged(_sparse(parent), table)
    scenario = _scenario(table, where)
    scenario._file, scenario._family = where, family(parent) if parent else scenario.name
    scenario._folders = (path.parent, *(parent._folders if parent else ()))
    _find_recorded(scenario, where)
    return scenario


def _sparse(scenario: Scenario) -> dict[str, Any]:
    """What a child inherits: every key that differs from its default."""
    table = scenario.model_dump(exclude_defaults=True, exclude_none=True, exclude=set(OWN))
    asked = scenario.questions.windows
    if asked is not None and "questions" in table:
        # resolved windows follow from the weeks, which a child may change: hand on only what was asked for
        del table["questions"]["windows"]
        if asked != _windows(scenario.time.weeks, None):
            table["questions"]["windows"] = asked[1:]
    return table


def _windows(weeks: int, asked: Any) -> tuple[tuple[int, ...], ...]:
    """The windows asked about; the whole panel is always the first."""
    if asked is None:
        asked = ((weeks - 52, weeks),) if weeks > 52 else ()
    return ((0, weeks), *(tuple(window) for window in asked if tuple(window) != (0, weeks)))


def _scenario(table: Mapping[str, Any], where: str) -> Scenario:
    scenario: Scenario = checked(Scenario, table, where)
    windows = _windows(scenario.time.weeks, scenario.questions.windows)
    questions: QuestionsTable = scenario.questions.model_copy(update={"windows": windows})
    return scenario.model_copy(update={"questions": questions})


# --- points of a sweep -----------------------------------------------------------------------------


def points(scenario: Scenario) -> tuple[Scenario, ...]:
    """One scenario for each value of the sweep, named ``"collinear[0.9]"``; without a sweep, itself.

    Raises
    ------
    BadInput
        If the sweep's key is unknown, or a value is not allowed there.
    """
    sweep, where = scenario.sweep, scenario._file or scenario.name
    if sweep is None:
        return (scenario,)
    full = scenario.model_dump(exclude=set(OWN))
    own = {"schema_version": 1, **{key: getattr(scenario, key) for key in ("name", "base", "breaks", *PROSE)}}
    found = []
    for position, value in enumerate(sweep.values):
        changed = _changed(full, sweep.key.split("."), value)
        if changed is None:
            keys = list(_keys(full, ""))
            raise BadInput(f"{where}: sweep.key", f"unknown key '{sweep.key[:80]}'", nearest(sweep.key, keys))
        label = f"[{_label(value, position)}]"
        point = _scenario({**own, **merged(_sparse(scenario), changed)}, where + label)
        point = point.model_copy(update={"name": scenario.name + label})
        point._file, point._family, point._folders = where, family(scenario), scenario._folders
        _find_recorded(point, where + label)
        found.append(point)
    names = [point.name for point in found]
    if len(set(names)) < len(names):
        raise BadInput(f"{where}: sweep.values", "two values look alike", "every value once")
    return tuple(found)


def _label(value: Any, position: int) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return str(value).lower() if isinstance(value, bool) else str(position)
    short = value if isinstance(value, str) else f"{value:g}"
    return short if isinstance(value, str) or float(short) == value else repr(value)


def _spelling(label: str) -> str:
    """A point's label as points spell it: 0.90 and 9e-1 are 0.9."""
    try:
        return _label(float(label), 0)
    except ValueError:
        return label


def _changed(table: Any, keys: Sequence[str], value: Any) -> Any:
    """The smallest table that changes one key of `table`; None if there is no such key."""
    if not keys:
        return value
    head, rest = keys[0], keys[1:]
    if isinstance(table, dict):
        inner = _changed(table[head], rest, value) if head in table else None
        return None if inner is None else {head: inner}
    for position, row in enumerate(table if isinstance(table, list | tuple) else ()):
        name = row.get("name", str(position)) if isinstance(row, dict) else str(position)
        if name == head and (inner := _changed(row, rest, value)) is not None:
            if isinstance(row, dict) and "name" in row:
                return [{"name": name, **inner}] if rest else None
            return [*table[:position], inner, *table[position + 1 :]]
    return None


def _keys(table: Any, path: str) -> Iterator[str]:
    """Every key path below `table` that a sweep may name."""
    if isinstance(table, dict):
        for key, value in table.items():
            if key != "name":
                yield f"{path}{key}"
                yield from _keys(value, f"{path}{key}.")
    for position, row in enumerate(table if isinstance(table, list | tuple) else ()):
        label = row.get("name", str(position)) if isinstance(row, dict) else str(position)
        if label == str(position):  # an entry with a name is changed key by key
            yield f"{path}{label}"
        yield from _keys(row, f"{path}{label}.")


# --- what a scenario is ----------------------------------------------------------------------------


def family(scenario: Scenario) -> str:
    """Name at the root of the `base` chain: scenarios of a family share their random streams."""
    return scenario._family or scenario.name


def base_of(scenario: Scenario) -> Scenario | None:
    """The scenario that a file begins from, read anew; None for one without a base.

    Raises
    ------
    BadInput
        If it is gone or wrong.
    """
    folders = (*scenario._folders[:1], scenario_folder())
    return None if scenario.base is None else _read(scenario.base, folders)


def numbers(scenario: Scenario) -> dict[str, float | Distribution]:
    """Every number that may be a distribution, by key path (docs/worlds.md, section 2).

    Examples
    --------
    >>> numbers(read_scenario("clean"))["noise.share"]
    0.05
    """
    return dict(_numbers(scenario, ""))


def _numbers(table: Table, path: str) -> Iterator[tuple[str, float | Distribution]]:
    for key in type(table).model_fields:
        value, place, is_number = getattr(table, key), f"{path}{key}", _is_number(type(table), key)
        for label, item in _items(value):
            if is_number and item is not None:
                yield place + label, item
            elif isinstance(item, Table) and not isinstance(item, Distribution):
                yield from _numbers(item, f"{place}{label}.")


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, tuple):
        for position, item in enumerate(value):
            yield f".{getattr(item, 'name', position)}", item
    else:
        yield "", value


@cache
def _is_number(model: type[Table], key: str) -> bool:
    def mentions(annotation: Any) -> bool:
        return annotation is Uniform or any(mentions(part) for part in get_args(annotation))

    return mentions(model.model_fields[key].annotation)


def recorded_paths(scenario: Scenario) -> dict[str, np.ndarray]:
    """Recorded weekly spend by channel, float64 [rows]: the columns that rule `recorded` names.

    Raises
    ------
    BadInput
        If a file is missing, wrong (see :func:`simbench.tables.read_weekly`) or shorter than the panel.
    """
    from simbench.tables import read_weekly

    paths = {}
    for channel in scenario.channels:
        if channel.spend.rule != "recorded":
            continue
        path, column = _recorded_path(scenario, channel.spend.file), channel.spend.column
        values = read_weekly(path, columns=[column], nonnegative=[column])[column].to_numpy(dtype=np.float64)
        if len(values) < scenario.time.weeks:
            right = f"at least time.weeks = {scenario.time.weeks} rows"
            raise BadInput(str(path), f"weeks outside the data: it has {len(values)} rows", right)
        paths[channel.name] = values
    return paths


def _recorded_path(scenario: Scenario, name: str) -> Path:
    """A file beside the scenario or one of its bases; beside the scenario if it is nowhere."""
    folders = scenario._folders or (Path(),)
    return next((folder / name for folder in folders if isfile(folder / name)), folders[0] / name)


def _find_recorded(scenario: Scenario, where: str) -> None:
    """Refuse a file of recorded spend that is not there; what stands in it is read when it is needed."""
    for channel in scenario.channels:
        if channel.spend.rule == "recorded":
            path = _recorded_path(scenario, channel.spend.file)
            if not isfile(path):
                place = f"{where}: channels.{channel.name}.spend.file"
                raise BadInput(place, f"'{channel.spend.file}' is not there", f"a file in {path.parent}")


def scenario_digest(scenario: Scenario) -> str:
    """What the scenario *is*, as 64 hexadecimal digits.

    Prose, name, base and the order of keys do not count; every number, the family (it keys the random
    streams), recorded spend and the versions of the mechanisms do.

    Raises
    ------
    BadInput
        If recorded spend cannot be read.
    """
    spend = {name: ids.file_digest(path.astype("<f8").tobytes()) for name, path in recorded_paths(scenario).items()}
    table = scenario.model_dump(exclude_defaults=True, exclude_none=True, exclude=set(OWN))
    versions = VERSIONS | {f"measure.{step.kind}": step.version for step in scenario.measure}
    return ids.digest({"scenario": table, "family": family(scenario), "recorded": spend, "versions": versions})


def json_schema() -> dict[str, Any]:
    """JSON Schema of a scenario *file*, for editors; the reader has the last word.

    A file may leave to its base whatever it does not say, so only its own name and version are required.
    """
    schema = _plain_schema(Scenario.model_json_schema())
    top = {"$schema": "http://json-schema.org/draft-07/schema#", **schema}
    return {**top, "required": ["schema_version", "name", "breaks"]}


def _plain_schema(node: Any) -> Any:
    """Only what every draft of JSON Schema says in the same words."""
    if isinstance(node, list):
        return [_plain_schema(item) for item in node if item != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    plain: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":  # its keys are the file's, not the schema's
            plain[key] = {name: _plain_schema(item) for name, item in value.items()}
        elif key == "oneOf":  # a table that leaves its kind to the base fits several
            plain["anyOf"] = _plain_schema(value)
        elif key == "const":
            plain.update({"const": value, "enum": [value]})
        elif key not in ("required", "discriminator", "title") and not (key == "default" and value is None):
            plain[key] = _plain_schema(value)
    return plain
