"""A handle on a run's folder: what it holds, and its score rows as a frame."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simbench import ids
from simbench.codec import pack, unpack
from simbench.errors import BadInput, Damaged
from simbench.run import store
from simbench.run.plan import Plan, Source
from simbench.score.representable import representable
from simbench.score.rows import STATUS

if TYPE_CHECKING:
    import pandas as pd

    from simbench.run.cells import Worlds

VERSION = 1
#: Where runs are kept unless the caller says otherwise.
RUNS = Path("simbench-runs")
#: Columns of a frame of scores, in this order.
COLUMNS = (
    "suite", "scenario", "family", "transform", "replicate", "backend", "estimand", "unit", "name", "metric", "value",
    "status", "reason", "representable",
)  # fmt: skip


class SourceTold(NamedTuple):
    """A source as a run remembers it."""

    name: str
    scenario: str
    family: str
    transform: str
    digest: str
    folder: str
    replicates: tuple[int, ...]
    file: str  #: the scenario's file, where it is not a shipped one
    units: dict[str, list[str]]  #: names of channels, geos, plans, problems
    breaks: str | None = None  #: the assumption that its scenario breaks; None: written before runs remembered it


class EntryTold(NamedTuple):
    """A contender as a run remembers it."""

    name: str  #: its column
    folder: str
    identity: dict[str, Any]
    handles: tuple[str, ...] = ()  #: broken assumptions that its class contains; none: it does not say

    @property
    def digest(self) -> str:
        """Of its identity, as far as the folder's name has it."""
        return self.folder.rpartition(".")[2]


class Run(NamedTuple):
    """A handle on a folder; nothing is in memory."""

    folder: Path
    suite: str
    sources: tuple[SourceTold, ...]
    entries: tuple[EntryTold, ...]
    cut: bool = False  #: a time limit ended it before all was done


def shelf_of(folder: Path, entry: str, source: str) -> Path:
    """Where the answers of one contender about one source are."""
    return folder / "answers" / entry / source


def scores_shelf(folder: Path, entry: str, source: str) -> Path:
    """Where the decisions and scores that follow from them are."""
    return folder / "scores" / entry / source


# --- remembering


def told_of(source: Source) -> SourceTold:
    """A source with what tables need to know of it."""
    from simbench.brief_changes import parse_transform
    from simbench.world.forms import form_of
    from simbench.world.scenario import family
    from simbench.world.seen import labels_of

    labels = labels_of(source.scenario, form_of(source.scenario), parse_transform(source.transform).origin)
    units = {"channel": labels.channels, "geo": labels.geos, "plan": labels.plans, "problem": labels.problems}
    return SourceTold(
        source.name, source.scenario.name, family(source.scenario), source.transform, source.digest, source.folder,
        source.replicates, file_of(source), {axis: list(names) for axis, names in units.items()},
        source.scenario.breaks,
    )  # fmt: skip


def file_of(source: Source) -> str:
    """Where a scenario that is not shipped can be read again; "" if it is shipped, or was never a file."""
    from simbench.world.scenario import scenario_folder

    file = source.scenario._file
    place = Path(file.partition("[")[0]) if file else None
    if place is None or not place.is_file() or place.resolve().parent == scenario_folder().resolve():
        return ""
    return str(place.resolve())


def remember(p: Plan, folder: Path, *, complete: bool) -> Run:
    """Write what a run consists of into its folder, beside what it held before.

    Parameters
    ----------
    complete : bool
        False: time ran out; only replicates that every contender has answered in every source count.
    """
    sources = [told_of(s) for s in p.sources]
    entries = [EntryTold(e.name, e.folder, e.identity, e.handles) for e in p.entries]
    if not complete:
        sources = [s._replace(replicates=whole(folder, sources, entries, s)) for s in sources]
    before = noted(folder) if (folder / "run.json").exists() else Run(folder, p.suite, (), ())
    suite = before.suite  # a folder keeps the name it was begun under
    now = {s.name: s.folder for s in sources}  # an edited scenario takes the place of what it was
    known = {s.folder: s for s in before.sources if now.get(s.name, s.folder) == s.folder}
    for source in sources:
        old = known[source.folder].replicates if source.folder in known else ()
        known[source.folder] = source._replace(replicates=tuple(sorted({*old, *source.replicates})))
    columns = {e.folder: e for e in (*before.entries, *entries)}
    manifest = {
        "version": VERSION,
        "suite": suite,
        "sources": [{**s._asdict(), "replicates": store.ranges(s.replicates)} for s in known.values()],
        "entries": [e._asdict() for e in columns.values()],
    }
    store.put(folder, "run.json", json.dumps(manifest, indent=1).encode())
    return Run(folder, suite, tuple(sources), tuple(entries), not complete)


def whole(
    folder: Path, sources: Sequence[SourceTold], entries: Sequence[EntryTold], source: SourceTold
) -> tuple[int, ...]:
    """Replicates of a source that are whole: there for every contender and every source that wants them."""
    kept = set(source.replicates)
    for other in sources:
        for entry in entries:
            there = store.shelf(shelf_of(folder, entry.folder, other.folder))
            kept = {r for r in kept if r in there or r not in other.replicates}
    return tuple(sorted(kept))


def opened(place: str | Path | Run) -> Run:
    """A run by its folder, or ``"latest"``: the one written last under ``simbench-runs``.

    Two versions of a contender get the beginning of their digest behind their name.

    Raises
    ------
    BadInput
        If there is no run.
    """
    if isinstance(place, Run):
        return place
    folder = latest() if str(place) == "latest" else Path(place)
    if not (folder / "run.json").is_file() and (RUNS / folder / "run.json").is_file():
        folder = RUNS / folder
    run = noted(folder)
    names = [e.name for e in run.entries]
    told_apart = tuple(
        e._replace(name=f"{e.name}@{e.digest[:8]}") if names.count(e.name) > 1 else e for e in run.entries
    )
    return run._replace(entries=told_apart)


def noted(folder: Path) -> Run:
    """What a folder's manifest says, names as they were given."""
    try:
        told = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if told["version"] != VERSION:
            raise BadInput(str(folder), f"is a run of version {told['version']}", f"version {VERSION}")
        sources = tuple(SourceTold(**{**s, "replicates": store.numbers(s["replicates"])}) for s in told["sources"])
        entries = tuple(EntryTold(**{**e, "handles": tuple(e.get("handles", ()))}) for e in told["entries"])
        return Run(folder, told["suite"], sources, entries)
    except OSError:
        raise BadInput(str(folder), "is no run", "a folder that simbench run has written, or latest") from None
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise Damaged(
            str(folder / "run.json"), f"cannot be read ({error})", "run again with --store elsewhere"
        ) from None


def latest() -> Path:
    """The folder of the run written last."""
    found = sorted(RUNS.glob("*/run.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise BadInput("latest", f"there is no run under {RUNS}", "simbench run smoke")
    return found[-1].parent


# --- reading


def blocks(run: Run) -> Iterator[tuple[SourceTold, EntryTold, Path, tuple[int, ...]]]:
    """Every stored block of answers that the run counts, with the replicates that are read from it."""
    for source in run.sources:
        wanted = set(source.replicates)
        for entry in run.entries:
            places: dict[Path, list[int]] = {}
            for replicate, place in store.shelf(shelf_of(run.folder, entry.folder, source.folder)).items():
                if replicate in wanted:
                    places.setdefault(place, []).append(replicate)
            for place, replicates in places.items():
                yield source, entry, place, tuple(replicates)


def derived(run: Run, source: SourceTold, entry: EntryTold, place: Path) -> dict[str, Any]:
    """Decisions and scores of a block; made again if the code behind them has changed or they are damaged."""
    from simbench.run import cells

    file = scores_shelf(run.folder, entry.folder, source.folder) / place.name
    try:
        found = unpack(file.read_bytes())
        if found["code"] == cells.deriving_code():
            return found
    except (OSError, BadInput, KeyError, TypeError):
        pass
    content = cells.stored_answers(place)
    replicates = [int(r) for r in content["cells"]]
    worlds, value_of = remade(run, source, replicates)
    found = cells.derive(worlds, content, value_of, entry.name, source.name)
    store.put(file.parent, file.name, pack(found), lasting=False)
    return found


def again(source: SourceTold) -> Source:
    """The source that a run remembers, read anew.

    Raises
    ------
    BadInput
        If its scenario is not what it was.
    """
    from simbench.run.plan import source_of
    from simbench.world.scenario import points, read_scenario

    scenario = points(read_scenario(source.file or source.scenario))
    named = [point for point in scenario if point.name == source.scenario] or list(scenario)
    found = source_of(named[0], source.transform, source.replicates, ids.OPEN_MASTER)
    if found.digest != source.digest:
        raise BadInput(source.name, "has changed since this run", "run again: it is another scenario now")
    return found


def remade(run: Run, source: SourceTold, replicates: Sequence[int]) -> tuple[Worlds, Callable[[Sequence[int]], Any]]:
    """Stored worlds, and a way to value plans in them."""
    from simbench.run.chunk import Chunk

    chunk = Chunk(again(source), replicates, ids.OPEN_MASTER, run.folder)
    return chunk.worlds, chunk.value_of


def scores(run: str | Path | Run) -> pd.DataFrame:
    """All score rows of a run as a tidy frame.

    Parameters
    ----------
    run : Run, folder or "latest"

    Returns
    -------
    pandas.DataFrame
        One row a number: ``suite, scenario, family, transform, replicate, backend, estimand, unit,
        name, metric, value, status, reason, representable``. `unit` is ``"all"`` or an axis and a
        position, ``"channel:2"``; `name` is what that is called. A cell without an answer is one row
        with status ``"failed"`` and its reason. `representable`: the contender's class contains the
        scenario's world (:func:`~simbench.score.representable.representable`); missing where it does not say.
    """
    import pandas as pd

    run = opened(run)
    plain = ("replicate", "value", "representable")
    words: dict[str, dict[str, int]] = {name: {} for name in COLUMNS if name not in plain}
    parts = [part for block in blocks(run) for part in rows_of(run, words, *block)]
    joined = {name: np.concatenate([part[name] for part in parts]) if parts else np.zeros(0) for name in COLUMNS}
    told = {
        name: pd.Categorical.from_codes(column.astype(np.int32), list(words[name])) if name in words else column
        for name, column in joined.items()
    }
    return pd.DataFrame(told).astype({"representable": "boolean"})


def rows_of(
    run: Run,
    words: dict[str, dict[str, int]],
    source: SourceTold,
    entry: EntryTold,
    place: Path,
    replicates: tuple[int, ...],
) -> Iterator[dict[str, Any]]:
    """Columns of one block, texts as codes of `words`: only replicates read from it, so that none counts twice."""
    found = derived(run, source, entry, place)
    head = {
        "suite": run.suite, "scenario": source.name, "family": source.family, "transform": source.transform,
        "backend": entry.name,
    }  # fmt: skip
    inside = np.array(representable(source.breaks, entry.handles), dtype=np.float64)  # NaN where nobody says

    def code(name: str, text: str) -> int:
        return words[name].setdefault(text, len(words[name]))

    for group in found["groups"]:
        keep = [i for i, r in enumerate(group["replicates"]) if r in replicates]
        value, status = group["value"][keep], group["status"][keep]
        n, k = value.shape
        told = {"status": np.array([code("status", text) for text in STATUS])[status.ravel()]}
        for name, text in {**head, "reason": ""}.items():
            told[name] = np.full(n * k, code(name, text))
        for position, name in enumerate(("estimand", "unit", "metric")):
            told[name] = np.tile([code(name, column[position]) for column in group["names"]], n)
        told["name"] = np.tile([code("name", called(source, column[1])) for column in group["names"]], n)
        told["replicate"], told["value"] = np.repeat(np.array(group["replicates"])[keep], k), value.ravel()
        told["representable"] = np.full(n * k, inside)
        yield told
    failed = [(r, reason) for r, reason, _ in found["failed"] if r in replicates]
    if failed:
        n = len(failed)
        texts = {**head, "estimand": "", "unit": "", "name": "", "metric": "", "status": "failed"}
        yield {
            **{name: np.full(n, code(name, text)) for name, text in texts.items()},
            "replicate": np.array([r for r, _ in failed]), "value": np.full(n, np.nan),
            "reason": np.array([code("reason", reason) for _, reason in failed]),
            "representable": np.full(n, inside),
        }  # fmt: skip


def called(source: SourceTold, unit: str) -> str:
    """What a unit is called: ``"channel:2"`` -> ``"radio"``."""
    axis, colon, position = unit.partition(":")
    names = source.units.get(axis, [])
    return names[int(position)] if colon and int(position) < len(names) else unit
