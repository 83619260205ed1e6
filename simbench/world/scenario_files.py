"""A scenario file before it is a scenario: parsed under limits, merged with its base, faults explained.

No hostile file gets past the limits: parsing takes milliseconds, whatever it holds.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from simbench.errors import BadInput
from simbench.world.scenario_numbers import Table, nearest
from simbench.world.scenario_words import PATTERNS

LARGEST_FILE, LONGEST_LINE, DEEPEST = 64 * 1024, 1000, 12
#: Keys that exclude each other: one in the child drops the others of its base.
EXCLUSIVE = (
    ("roas", "effect"), ("retention", "half_life"), ("share", "r_squared", "sd"), ("budget", "budget_money"),
    ("lower", "lower_money"), ("upper", "upper_money"),
)  # fmt: skip
CHOOSERS = ("kind", "rule", "dist")

# tomllib's time grows with the square of a dotted key's length
_LONG_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++\s*+\.\s*+){16}""")
_Model = TypeVar("_Model", bound=Table)


def parsed(path: Path) -> dict[str, Any]:
    """The content of a file, within the limits of docs/design.md 3a."""
    where = str(path)
    try:
        with path.open("rb") as handle:
            content = handle.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(where[:200], f"cannot be read ({reason})", "a .toml file") from None
    if len(content) > LARGEST_FILE:
        raise BadInput(where, "is too large", f"at most {LARGEST_FILE // 1024} KiB")
    try:
        text = content.decode("utf-8-sig")
        table = _json(text) if path.suffix == ".json" else _toml(text)
    except RecursionError:
        raise BadInput(where, "is nested too deeply", f"at most {DEEPEST} levels") from None
    except ValueError as error:
        right = "JSON in UTF-8" if path.suffix == ".json" else "TOML in UTF-8"
        raise BadInput(where, f"cannot be parsed: {str(error)[:200]}", right) from None
    if not isinstance(table, dict):
        raise BadInput(where, "is no table", "keys and values")
    if _depth(table) > DEEPEST:
        raise BadInput(where, "is nested too deeply", f"at most {DEEPEST} levels")
    return table


def _toml(text: str) -> Any:
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONGEST_LINE:
            raise ValueError(f"line {number} has more than {LONGEST_LINE} characters")
        if _LONG_KEY.search(line):
            raise ValueError(f"line {number} has a key with more than 16 dots")
    return tomllib.loads(text)


def _json(text: str) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in items]
        if len(set(keys)) < len(keys):
            raise ValueError(f"key '{next(key for key in keys if keys.count(key) > 1)[:40]}' occurs twice")
        return dict(items)

    return json.loads(text, object_pairs_hook=pairs)


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level:  # no recursion: the value may be deeper than the stack
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        depth += 1
        if depth > DEEPEST:
            break
    return depth


# --- merging ---------------------------------------------------------------------------------------


def merged(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    """Child over parent: tables key by key, lists of tables by name, everything else replaced."""
    table = dict(parent)
    for key, value in child.items():
        for group in EXCLUSIVE:
            if key in group:
                for other in group:
                    if other not in child:
                        table.pop(other, None)
        inherited = table.get(key)
        if isinstance(value, dict) and isinstance(inherited, dict):
            other_kind = any(word in value and value[word] != inherited.get(word) for word in CHOOSERS)
            table[key] = value if other_kind else merged(inherited, value)
        elif inherited is not None and _named(value) and _named(inherited):
            table[key] = _merged_lists(inherited, value)
        else:
            table[key] = value
    return table


def _named(value: Any) -> bool:
    rows = value if isinstance(value, list | tuple) else ()
    return len(rows) > 0 and all(isinstance(row, dict) and isinstance(row.get("name"), str) for row in rows)


def _merged_lists(parent: Sequence[dict[str, Any]], child: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = {row["name"]: row for row in parent}
    seen, again = set(), []
    for row in child:
        if row["name"] in seen:
            again.append(row)  # a name used twice is for the checks to refuse
        else:
            rows[row["name"]] = merged(rows.get(row["name"], {}), row)
            seen.add(row["name"])
    return [*rows.values(), *again]


# --- faults ----------------------------------------------------------------------------------------


def checked(model: type[_Model], table: Mapping[str, Any], where: str) -> _Model:
    """The model of a table, or one :class:`BadInput` that names the first fault."""
    try:
        return model.model_validate(table)
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        key, what, right = _explained(first)
        path = ".".join((*_key_path(table, first["loc"], first["type"]), *([key] if key else [])))
        more = f" (and {len(others)} more)" if others else ""
        raise BadInput(f"{where}: {path}" if path else where, what, right + more) from None


def _explained(fault: Mapping[str, Any]) -> tuple[str, str, str]:
    """(key below the fault's place, what is wrong, what would be right)."""
    kind, value, context = fault["type"], fault.get("input"), fault.get("ctx", {})
    message = str(fault["msg"]).removeprefix("Input ").removeprefix("should be ")
    if kind == "scenario":
        return context["key"], context["what"], context["right"]
    if kind == "missing":
        return "", "missing", "it has no default"
    if kind == "union_tag_not_found":
        return context["discriminator"].strip("'"), "missing", "it says which keys the table has"
    if kind in ("union_tag_invalid", "literal_error"):
        key = context.get("discriminator", "").strip("'")
        value = value.get(key) if key and isinstance(value, dict) else value
        allowed = re.findall(r"'([^']*)'", context.get("expected_tags", context.get("expected", "")))
        if allowed:
            return key, f"{shown(value)} is not known", nearest(str(value), allowed)
        return key, f"{shown(value)} is not allowed here", f"only {message}"
    if kind == "float_type":
        return "", f"{shown(value)} is not a number", "a number or a distribution, { dist = ... }"
    if kind in ("too_short", "too_long"):
        few = kind == "too_short"
        right = f"at least {context['min_length']} entries" if few else f"at most {context['max_length']} entries"
        return "", f"{shown(value)} is refused", right
    return "", f"{shown(value)} is refused", PATTERNS.get(context.get("pattern", ""), message)


def _key_path(table: Any, location: Sequence[Any], kind: str) -> Iterator[str]:
    """The keys of a pydantic location; its marks of union members are no keys, entries go by name."""
    for position, part in enumerate(location):
        if isinstance(table, dict) and part in table:
            table = table[part]
            yield str(part)
        elif isinstance(table, list | tuple) and isinstance(part, int) and part < len(table):
            table = table[part]
            name = table.get("name") if isinstance(table, dict) else None
            yield name[:64] if isinstance(name, str) else str(part)
        elif kind == "missing" and position == len(location) - 1:
            yield str(part)


def shown(value: Any) -> str:
    """A value as it was written, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
