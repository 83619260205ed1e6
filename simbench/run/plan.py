"""What a run consists of: sources of worlds, contenders, and the cells between them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from simbench import ids
from simbench.backends.base import Backend
from simbench.backends.registry import backends_named, identity
from simbench.errors import BadInput
from simbench.world.scenario import (
    Scenario,
    points,
    read_scenario,
    read_suite,
    scenario_digest,
    scenario_names,
    suite_names,
)
from simbench.world.scenario_numbers import nearest
from simbench.world.scenario_words import BREAKS
from simbench.world.truth import transform_of

#: The contender that knows the truth: made by the runner, never asked.
ORACLE = "oracle"
#: Who is asked where nobody says otherwise.
DEFAULT = (ORACLE, "tag:fast")
#: What a suite's file has and a scenario's has not.
LISTS = re.compile(r"^scenarios\s*=", re.MULTILINE)
#: Assumptions that a scenario can break, and a contender handle.
BREAKABLE = tuple(word for word in BREAKS if word)
#: Worlds a scenario where neither the caller nor a suite says how many.
REPLICATES = 4
#: Quarters of the closed loop where neither does.
QUARTERS = 4


class Source(NamedTuple):
    """A scenario, seen through one transform of its briefs, and which worlds of it are wanted."""

    scenario: Scenario
    transform: str  #: canonical text; "" = as drawn
    replicates: tuple[int, ...]
    digest: str  #: of the scenario, the transform and the master key
    folder: str  #: its name on disk

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.scenario.name + (f"@{self.transform}" if self.transform else "")


class Entry(NamedTuple):
    """A contender as a column of a run."""

    name: str  #: the column
    backend: Backend | None  #: None: the oracle
    identity: dict[str, Any]
    folder: str

    @property
    def cells(self) -> int:
        """Cells a call."""
        return self.backend.block if self.backend else 16

    @property
    def handles(self) -> tuple[str, ...]:
        """The broken assumptions that its class contains: the oracle's contains every world."""
        if self.backend is None:
            return BREAKABLE if self.name == ORACLE else ()
        return tuple(sorted(self.backend.handles))


class Plan(NamedTuple):
    """Everything a run wants to know, before anything is done."""

    suite: str
    sources: tuple[Source, ...]
    entries: tuple[Entry, ...]
    master: bytes


def slug(name: str) -> str:
    """A name as part of a file name, at most 60 characters."""
    return re.sub(r"[^A-Za-z0-9._=+-]+", "-", name).strip("-.")[:60] or "x"


def source_of(scenario: Scenario, transform: str, replicates: Sequence[int], master: bytes) -> Source:
    """A source with its identity."""
    told: dict[str, Any] = {"scenario": scenario_digest(scenario), "transform": transform}
    if master != ids.OPEN_MASTER:
        told["master"] = ids.file_digest(master)
    found = ids.digest(told)
    name = scenario.name + (f"+{transform}" if transform else "")
    return Source(scenario, transform, tuple(replicates), found, f"{slug(name)}.{found[:16]}")


def check_handles(backend: Backend) -> None:
    """Refuse handles that are no assumption a scenario can break: here backends and worlds are both known.

    Raises
    ------
    BadInput
        That names the word, and the nearest that is one.
    """
    for word in sorted(backend.handles):
        if word not in BREAKABLE:
            what = f"{word!r} is no assumption that a scenario can break"
            raise BadInput(f"handles of {backend.name}", what, nearest(word, BREAKABLE))


def entry_of(backend: Backend | None) -> Entry:
    """A contender with its identity; None is the oracle."""
    if backend is not None:
        check_handles(backend)
    told = {"name": ORACLE, "version": "1"} if backend is None else identity(backend)
    if backend is not None and not backend.code:  # nobody can tell whether it is what it was: never resumed
        told["once"] = f"{os.getpid()} {time.time_ns()}"
    name = ORACLE if backend is None else backend.name
    return Entry(name, backend, told, f"{slug(name)}.{ids.digest(told)[:16]}")


def entries_of(backends: Sequence[Any]) -> tuple[Entry, ...]:
    """Contenders by name, path, function or value; the oracle by its reserved name.

    Raises
    ------
    BadInput
        If a name is not known, two columns have the same name, or a contender handles what nobody can break.
    """
    if isinstance(backends, str) or not isinstance(backends, Sequence):
        raise BadInput("backends", f"{backends!r} is one", "a list")
    asked = [name for name in backends if not (isinstance(name, str) and name == ORACLE)]
    entries = [entry_of(None)] * (len(asked) < len(backends)) + [entry_of(b) for b in backends_named(asked)]
    if not entries:
        raise BadInput("backends", "none is named", f"for example {', '.join(DEFAULT)}")
    return tuple(entries)


def suite_title(sources: Sequence[Any]) -> str:
    """The name of a run over sources."""
    return slug(
        "+".join(s.name if isinstance(s, Scenario) else Path(str(s)).name.removesuffix(".toml") for s in sources)
    )


def plan(
    sources: str | Path | Scenario | Sequence[str | Path | Scenario],
    backends: Sequence[Any] = DEFAULT,
    *,
    replicates: int | None = None,
    only: Sequence[str] = (),
    transforms: Sequence[str] = ("",),
    master: bytes = ids.OPEN_MASTER,
) -> Plan:
    """The cells of a run: every source under every transform, every contender.

    Parameters
    ----------
    sources : suites and scenarios by name, path or value
        A sweep stands for all its points.
    backends : list of names, paths, functions or Backends
    replicates : int, optional
        Worlds a scenario; a suite's own number, else 4.
    only : sequence of str
        Of a suite, only these scenarios.
    transforms : sequence of str
        ``"origin:-13"`` and the like (:func:`simbench.brief_changes.parse_transform`); ``""`` is as drawn.

    Raises
    ------
    BadInput
        For a name that is not known; nothing has been drawn by then.
    """
    only, transforms = ([x] if isinstance(x, str) else list(x) for x in (only, transforms))
    if not transforms:
        raise BadInput("transforms", "none is named", 'a transform, or "" for worlds as drawn')
    wanted = {scenario.name: (scenario, count) for scenario, count in scenarios_of(sources, replicates)}
    unknown = [name for name in only if name not in wanted]
    if unknown:
        near = get_close_matches(unknown[0], wanted, 1)
        right = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(wanted)}"
        raise BadInput("only", f"{unknown[0]!r} is not among them", right)
    kept = [pair for name, pair in wanted.items() if not only or name in only]
    found: dict[str, Source] = {}
    for text in transforms:
        for scenario, count in kept:
            one = source_of(scenario, transform_of(scenario, text).text, range(count), master)
            found.setdefault(one.folder, one)
    return Plan(suite_title(listed(sources)), tuple(found.values()), entries_of(backends), master)


def listed(sources: Any) -> list[Any]:
    """Suites and scenarios as a list, if one stands alone."""
    return [sources] if isinstance(sources, (str, Path, Scenario)) else list(sources)


def scenarios_of(sources: Any, replicates: int | None = None) -> list[tuple[Scenario, int]]:
    """The scenarios that suites and scenarios name, each once, a sweep as its points; and worlds of each.

    Raises
    ------
    BadInput
        For a name that is not known, or that names two.
    """
    if not listed(sources):
        raise BadInput("sources", "none is named", "a suite or a scenario")
    if replicates is not None and replicates < 1:
        raise BadInput("replicates", f"{replicates}", "at least 1")
    wanted: dict[str, tuple[Scenario, int]] = {}
    for source in listed(sources):
        for scenario, count in _scenarios(source):
            before, _ = wanted.setdefault(scenario.name, (scenario, replicates or count))
            if before is not scenario and scenario_digest(before) != scenario_digest(scenario):
                raise BadInput("sources", f"{scenario.name!r} names two scenarios", "another name for one of them")
    return list(wanted.values())


def _scenarios(source: Any) -> list[tuple[Scenario, int]]:
    if not isinstance(source, Scenario) and _is_suite(source):
        return [(entry.scenario, entry.replicates) for entry in read_suite(source).scenarios]
    if isinstance(source, str) and source not in scenario_names():
        near = get_close_matches(source, [*suite_names(), *scenario_names()], 1)
        if near and near[0] in suite_names():
            raise BadInput(repr(source), "no such suite or scenario", f"did you mean {near[0]!r}?")
    scenario = source if isinstance(source, Scenario) else read_scenario(source)
    return [(point, REPLICATES) for point in points(scenario)]


def quarters_of(sources: Any) -> int:
    """Quarters that the closed loop lives again: the most that a suite among the sources asks for, else 4."""
    suites = [read_suite(x) for x in listed(sources) if not isinstance(x, Scenario) and _is_suite(x)]
    return max((suite.quarters for suite in suites if suite.quarters), default=QUARTERS)


def _is_suite(source: str | Path) -> bool:
    if str(source) in suite_names():
        return str(source) not in scenario_names()
    path = Path(source)
    return (
        path.suffix == ".toml"
        and path.is_file()
        and LISTS.search(path.read_text(encoding="utf-8", errors="replace")) is not None
    )
