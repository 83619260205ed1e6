"""What a scenario changes of another, in few words: key paths with what stood there and what stands there now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Any, NamedTuple

import numpy as np

from simbench.report.numbers import number
from simbench.world.scenario import OWN, Distribution, Scenario, points, quantile
from simbench.world.scenario_files import CHOOSERS, EXCLUSIVE
from simbench.world.scenario_numbers import Table, support

#: Not compared, as what a file says of itself: names, which are part of the path, and windows, which follow from weeks.
LEFT_OUT = {"name", "windows"}
#: What is told of a distribution without ends: these quantiles.
ENDS = np.array([0.05, 0.95])
#: Names and entries that are told one by one; more are counted.
FEW = 3


class Part(NamedTuple):
    """One step of a key path."""

    key: str
    among: tuple[str, ...] = ()  #: all names of the list, where `key` is one of them


class Change(NamedTuple):
    """One difference; None where nothing stands."""

    path: tuple[Part, ...]
    before: Any
    after: Any


class Said(NamedTuple):
    """One or more differences of the same kind in words."""

    path: str
    text: str


def changes(base: Scenario, scenario: Scenario) -> list[Change]:
    """Every difference between two scenarios, in the order of the file.

    Where a table is of another kind, keys of its old kind are not told, nor are defaults of the new one.

    Examples
    --------
    >>> from simbench.world.scenario import read_scenario
    >>> told(changes(read_scenario("clean"), read_scenario("geo-20")))[0]
    Said(path='geo.count', text='1 -> 20')
    """
    return list(_changes(base, scenario, ()))


def _changes(before: Any, after: Any, path: tuple[Part, ...]) -> Iterator[Change]:
    if before == after:
        return
    if _is_table(before) and _is_table(after):
        for key in _keys(after, LEFT_OUT if path else LEFT_OUT | OWN):
            known, value = key in type(before).model_fields, getattr(after, key)
            if known or value != type(after).model_fields[key].default:
                yield from _changes(getattr(before, key) if known else None, value, (*path, Part(key)))
    elif _is_list(before) and _is_list(after):
        old, new = ({entry.name: entry for entry in entries} for entries in (before, after))
        for name in {**old, **new}:
            names = tuple(new if name in new else old)
            yield from _changes(old.get(name), new.get(name), (*path, Part(name, names)))
    elif after is not None or not _excluded(path):
        yield Change(path, before, after)


def _keys(table: Table, left_out: Set[str]) -> list[str]:
    """Keys of a table, the one that says its kind first."""
    return sorted((key for key in type(table).model_fields if key not in left_out), key=lambda key: key not in CHOOSERS)


def _is_table(value: Any) -> bool:
    return isinstance(value, Table) and not isinstance(value, Distribution)


def _is_list(value: Any) -> bool:
    """A list of tables that go by name; an empty one counts."""
    return isinstance(value, tuple) and all(_is_table(entry) and hasattr(entry, "name") for entry in value)


def _excluded(path: Sequence[Part]) -> bool:
    """A key that went because another took its place: the other one is told."""
    return any(path[-1].key in group for group in EXCLUSIVE)


# --- value by value


class Difference(NamedTuple):
    """One key path whose value differs, in words; "-" where nothing stands."""

    key: str
    before: str
    after: str


def leaves(scenario: Scenario) -> dict[str, Any]:
    """Every value of a scenario by its key path, defaults too, but nothing that a file says of itself.

    Entries of lists go by their `name`, else by position; a distribution and a list of values are one value.

    Examples
    --------
    >>> from simbench.world.scenario import read_scenario
    >>> leaves(read_scenario("clean"))["noise.share"]
    0.05
    """
    tables = ((key, getattr(scenario, key)) for key in type(scenario).model_fields if key not in OWN)
    return dict(leaf for key, value in tables for leaf in _leaves(key, value))


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if _is_table(value):
        for key in type(value).model_fields:
            if key != "name":  # part of the path
                yield from _leaves(f"{path}.{key}", getattr(value, key))
    elif isinstance(value, tuple) and any(map(_is_table, value)):
        for place, entry in enumerate(value):
            yield from _leaves(f"{path}.{getattr(entry, 'name', place)}", entry)
    elif value not in (None, ()):
        yield path, value


def differences(base: Scenario, scenario: Scenario) -> list[Difference]:
    """Every key path whose value differs between two scenarios: nothing is left out or taken together.

    Examples
    --------
    >>> from simbench.world.scenario import read_scenario
    >>> differences(read_scenario("clean"), read_scenario("wandering-baseline"))[0]
    Difference(key='demand.trend.kind', before='linear', after='random-walk')
    """
    before, after = leaves(base), leaves(scenario)
    differing = (key for key in {**after, **before} if before.get(key) != after.get(key))
    return [_difference(key, before.get(key), after.get(key)) for key in differing]


def _difference(key: str, before: Any, after: Any) -> Difference:
    old, new = ("-" if value is None else _text(value) for value in (before, after))
    return Difference(key, old, f"another {new}" if old == new else new)  # long lists that differ in the middle


# --- differences of one kind, together


def alike(found: Sequence[Change]) -> list[list[Change]]:
    """Differences that differ in names only, for example of several channels, in the order of the first."""
    groups: dict[Any, list[Change]] = {}
    for change in found:
        keys = tuple("*" if part.among else part.key for part in change.path)
        kinds = [type(side) if _is_table(side) else side is None for side in (change.before, change.after)]
        groups.setdefault((keys, *kinds), []).append(change)
    return list(groups.values())


def label(group: Sequence[Change]) -> str:
    """The key path of a group: ``channels.(tv, radio).spend.cv``; ``*`` is every name there."""
    return ".".join(_step(parts) for parts in zip(*(change.path for change in group), strict=True))


def _step(parts: Sequence[Part]) -> str:
    names = list(dict.fromkeys(part.key for part in parts))
    among = {name for part in parts for name in part.among}
    if len(names) == 1:
        return names[0]
    if len(names) == len(among):
        return "*"
    return f"({', '.join(names)})" if len(names) <= FEW else f"({len(names)} of {len(among)})"


def told(found: Sequence[Change]) -> list[Said]:
    """Differences in words: what stood there, and what stands there now; those that are alike as one."""
    return [said for group in alike(found) for said in _told(group)]


def _told(group: Sequence[Change]) -> list[Said]:
    befores, afters = [change.before for change in group], [change.after for change in group]
    before, after = together(befores), together(afters)
    if before == after and len(group) > 1:  # values that changed places: as ranges they would say nothing
        return [said for change in group for said in _told([change])]
    if before == after:  # long lists that differ in the middle
        return [Said(label(group), f"-> another {after}")]
    new, gone = befores == [None] * len(group), afters == [None] * len(group)
    return [Said(label(group), f"= {after}" if new else "taken out" if gone else f"{before} -> {after}")]


# --- values


def together(values: Sequence[Any]) -> str:
    """Values of several places as one: numbers and distributions as a range, tables key by key."""
    said = list(dict.fromkeys(map(_text, values)))
    if len(said) == 1:
        return said[0]
    if None in values:
        return f"none or {together([value for value in values if value is not None])}"
    if all(_is_number(value) for value in values):
        return _range(values)
    if all(isinstance(value, tuple) for value in values):
        return f"{together([float(len(value)) for value in values])} entries"
    if len({type(value) for value in values}) == 1 and _is_table(values[0]):
        return _tables(values)
    return " or ".join(said[:FEW] + ["..."] * (len(said) > FEW))


def _tables(tables: Sequence[Any]) -> str:
    """Tables of one type: their kind, then what any of them says beyond the defaults; all of it if that is nothing."""
    fields = type(tables[0]).model_fields
    keys = _keys(tables[0], LEFT_OUT)
    beyond = [key for key in keys if any(getattr(table, key) not in (None, fields[key].default) for table in tables)]
    said = ((key, together([_kind(getattr(table, key)) for table in tables])) for key in beyond or keys)
    return ", ".join(text if key in CHOOSERS else f"{key.replace('_', ' ')} {text}" for key, text in said)


def _kind(value: Any) -> Any:
    """The kind of a table inside a table: more would be too much."""
    return next((getattr(value, key) for key in CHOOSERS if hasattr(value, key)), value) if _is_table(value) else value


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if _is_table(value):
        return _tables([value])
    if isinstance(value, tuple):
        entries = [_text(entry) for entry in value]
        return f"[{', '.join(entries if len(entries) <= FEW + 1 else [entries[0], '...', entries[-1]])}]"
    return number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Distribution) or (isinstance(value, int | float) and not isinstance(value, bool))


def ends(value: Any) -> tuple[float, float]:
    """Lowest and highest of a number of a file; of a distribution without ends its 5% and 95% quantiles."""
    low, high, attained = support(value)
    if not attained:
        low, high = (float(f"{end:.3g}") for end in quantile(value, ENDS))
    return low, high


def _range(values: Sequence[Any]) -> str:
    lows, highs = zip(*map(ends, values), strict=True)
    low, high = number(min(lows)), number(max(highs))
    return low if low == high else f"{low} to {high}"


# --- what varies


def drawn(found: Sequence[Change]) -> list[Said]:
    """Ranges of all that a scenario changes and that is drawn anew for each replicate."""
    random = [inner for change in found for inner in _distributions(change.path, change.after)]
    return [Said(label(group), _range([change.after for change in group])) for group in alike(random)]


def _distributions(path: tuple[Part, ...], value: Any) -> Iterator[Change]:
    if isinstance(value, Distribution):
        yield Change(path, None, value)
    elif isinstance(value, tuple):
        names = tuple(getattr(entry, "name", str(place)) for place, entry in enumerate(value))
        for name, entry in zip(names, value, strict=True):
            yield from _distributions((*path, Part(name, names)), entry)
    elif isinstance(value, Table):
        for key in type(value).model_fields:
            yield from _distributions((*path, Part(key)), getattr(value, key))


def swept(scenario: Scenario) -> Said | None:
    """The key of a sweep and its values, as its points spell them; None without a sweep."""
    if scenario.sweep is None:
        return None
    labels = [point.name[len(scenario.name) + 1 : -1] for point in points(scenario)]
    return Said(scenario.sweep.key, ", ".join(labels))
