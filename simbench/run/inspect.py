"""One cell of a run, whole: what was seen, what is true, what was answered, decided and scored."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from simbench.briefs import one
from simbench.errors import BadInput
from simbench.records import Answers, Brief, Cost, Decisions, Failure, Labels, Truth
from simbench.run import cells, store
from simbench.run.results import EntryTold, Run, SourceTold, called, derived, opened, remade, shelf_of
from simbench.score.representable import representable
from simbench.score.rows import STATUS

if TYPE_CHECKING:
    import pandas as pd


class CellTold(NamedTuple):
    """Everything stored of one cell."""

    source: SourceTold
    entry: EntryTold
    replicate: int
    identity: str
    brief: Brief
    truth: Truth
    labels: Labels
    reply: Answers | Failure
    cost: Cost
    decisions: Decisions | None
    rows: pd.DataFrame  #: ``estimand, unit, name, metric, value, status``
    log: str
    file: Path

    @property
    def representable(self) -> bool | None:
        """Whether the contender's class contains the scenario's world; None where it does not say."""
        return representable(self.source.breaks, self.entry.handles)


def inspect(run: str | Path | Run, cell: str) -> CellTold:
    """Read one cell.

    Parameters
    ----------
    run : Run, folder or "latest"
    cell : str
        ``"scenario/replicate/backend"``, for example ``"smoke-clean/3/ols"``.

    Raises
    ------
    BadInput
        If the run has no such cell; the message names what it has.
    """
    run = opened(run)
    source, replicate, entry = cell_named(run, cell)
    place = store.shelf(shelf_of(run.folder, entry.folder, source.folder)).get(replicate)
    if place is None:
        raise BadInput(cell, "was not answered in this run", "simbench run again does what is missing")
    content = cells.stored_answers(place)
    worlds = remade(run, source, [replicate])[0]
    found = derived(run, source, entry, place)
    reply: Any = content["failures"].get(str(replicate))
    cost, decisions = Cost(*content["costs"].get(str(replicate), [float("nan")] * 3)), None
    for group in content["groups"]:
        if replicate in group.replicates:
            i = group.replicates.index(replicate)
            reply, cost = one(group.answers, i), one(group.cost, i)
    rows = []
    for group in found["groups"]:
        if replicate in group["replicates"]:
            i = group["replicates"].index(replicate)
            decisions = one(group["decisions"], i)
            rows = [
                (estimand, unit, called(source, unit), metric, value, STATUS[status])
                for (estimand, unit, metric), value, status in zip(
                    group["names"], group["value"][i], group["status"][i], strict=True
                )
            ]
    import pandas as pd

    frame = pd.DataFrame(rows, columns=["estimand", "unit", "name", "metric", "value", "status"])
    return CellTold(
        source, entry, replicate, content["cells"][str(replicate)], one(worlds.brief, 0), one(worlds.truth, 0),
        worlds.labels, reply, cost, decisions, frame, content["logs"].get(str(replicate), ""), place,
    )  # fmt: skip


def cell_named(run: Run, cell: str) -> tuple[SourceTold, int, EntryTold]:
    """The parts of ``scenario/replicate/backend``; a backend's name may hold slashes."""
    right = "scenario/replicate/backend, for example " + "/".join(
        (run.sources[0].name, "0", run.entries[0].name) if run.sources and run.entries else ("clean", "0", "ols")
    )
    scenario, _, rest = cell.partition("/")
    number, _, backend = rest.partition("/")
    if not number.isdigit() or not backend:
        raise BadInput(cell, "is no cell", right)
    sources = {s.name: s for s in run.sources}
    entries = {e.name: e for e in run.entries}
    for word, known in ((scenario, sources), (backend, entries)):
        if word not in known:
            near = get_close_matches(word, known, 1)
            right_ = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(known)}"
            raise BadInput(cell, f"{word!r} is not in this run", right_)
    if int(number) not in sources[scenario].replicates:
        raise BadInput(
            cell, f"replicate {number} is not in this run", f"it has {store.ranges(sources[scenario].replicates)}"
        )
    return sources[scenario], int(number), entries[backend]
