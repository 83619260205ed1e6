"""The main job: worlds drawn, contenders asked, answers stored, decided on, valued and scored.

Only what is missing is done. The driver draws, values and scores; contenders answer in host
processes, except plain functions of this very process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from simbench import ids
from simbench.blocks import take
from simbench.briefs import one
from simbench.codec import pack
from simbench.records import Cost
from simbench.run import cells, store
from simbench.run.asking import asked
from simbench.run.cells import Reply
from simbench.run.chunk import Chunk
from simbench.run.hosts import cores as usable_cores
from simbench.run.oracle import oracle
from simbench.run.plan import DEFAULT, Entry, Plan, Source, plan
from simbench.run.results import Run, remember, scores_shelf, shelf_of
from simbench.run.supervisor import Limits, Supervisor
from simbench.world.scenario import family
from simbench.world.truth import Drawn

Array = Any
Say = Callable[[str, int, int], None]  #: (what is being done, cells done, cells in all)

#: Finished cells of slow contenders are stored at least this often, in seconds.
PATIENCE = 5.0
#: Chunks of worlds kept in memory before the driver waits for contenders: the more, the longer a host stays with one
#: contender and its programs; where time may run out, scenarios are rather finished one after the other.
AHEAD, AHEAD_HURRIED = 16, 2
NO_COST = Cost(np.nan, np.nan, np.nan)


def silent(text: str, done: int, total: int) -> None:
    """Progress that nobody sees."""


class Pending:
    """Cells of one contender in one chunk: those that came back and are not stored yet."""

    def __init__(self, chunk: Chunk, entry: Entry, replicates: Sequence[int], folder: Path) -> None:
        self.chunk, self.entry, self.replicates = chunk, entry, tuple(replicates)
        self.folder = folder
        self.came: list[Reply] = []
        self.left, self.since = len(self.replicates), time.monotonic()

    def add(self, reply: Reply) -> None:
        """One more cell came back."""
        self.came.append(reply)
        self.left -= 1
        if self.left == 0 or time.monotonic() - self.since > PATIENCE:
            self.flush()

    def flush(self) -> None:
        """Store what came back, and what follows from it."""
        if self.came:
            ready, self.came = {reply.replicate: reply for reply in self.came}, []
            for part in store.parts(list(ready)):
                settle(self.folder, self.chunk, self.entry, [ready[replicate] for replicate in part])
        self.since = time.monotonic()


def settle(folder: Path, chunk: Chunk, entry: Entry, replies: Sequence[Reply]) -> None:
    """Store a block of replies, and the decisions and scores that follow from what was stored."""
    answers, scores = (shelf(folder, entry.folder, chunk.source.folder) for shelf in (shelf_of, scores_shelf))
    place = cells.keep_answers(answers, chunk.source, entry, replies)
    rows = cells.derive(chunk.worlds, cells.stored_answers(place), chunk.value_of, entry.name, chunk.source.name)
    store.put(scores, place.name, pack(rows), lasting=False)


def asked_for(
    p: Plan, folder: Path, rounds: Sequence[Sequence[int]]
) -> Iterator[tuple[Source, list[int], dict[int, list[int]]]]:
    """Chunks with something missing: (source, replicates, entry position -> its missing replicates)."""
    there = {
        (s.folder, e.folder): set(store.shelf(shelf_of(folder, e.folder, s.folder)))
        for s in p.sources
        for e in p.entries
    }
    asked = {source.folder: set(source.replicates) for source in p.sources}
    for numbers in rounds:
        for source in p.sources:
            wanted = [r for r in numbers if r in asked[source.folder]]
            missing = {
                i: [r for r in wanted if r not in there[source.folder, entry.folder]]
                for i, entry in enumerate(p.entries)
            }
            missing = {i: found for i, found in missing.items() if found}
            if missing:
                yield source, sorted(set().union(*missing.values())), missing


def rounds_of(p: Plan, hurried: bool) -> list[list[int]]:
    """Replicate numbers in the order they are worked on: small rounds first where time may run out."""
    numbers = sorted({r for source in p.sources for r in source.replicates})
    size, out = 2 if hurried else store.CELLS, []
    while numbers:
        out.append(numbers[:size])
        numbers = numbers[size:]
        size = min(2 * size, store.CELLS)
    return out


def run(
    sources: Any,
    backends: Sequence[Any] = DEFAULT,
    *,
    replicates: int | None = None,
    only: Sequence[str] = (),
    transforms: Sequence[str] = ("",),
    store: str | Path | None = None,
    jobs: int | None = None,
    limits: Limits | None = None,
    time_limit: float | None = None,
    master: bytes = ids.OPEN_MASTER,
    say: Say = silent,
) -> Run:
    """Draw worlds, ask contenders, score their answers; what is stored already is not done again.

    Parameters
    ----------
    sources : suite, scenario, or a list of them; names, paths or values
    backends : list
        Names (``"ols[trend=none]"``, ``"tag:fast"``, ``"oracle"``), files (``"mine.py:fit"``),
        Backends, or plain functions ``(key, brief) -> answers``. Functions are asked in this process.
    replicates : int, optional
        Worlds a scenario; a suite's own number, else 4. All contenders see the same ones.
    only, transforms
        See :func:`simbench.run.plan.plan`.
    store : path, optional
        Folder of the run; ``simbench-runs/<name>`` if not given.
    jobs : int, optional
        Host processes; one a core if not given.
    limits : Limits, optional
        Wall clock and memory of a cell.
    time_limit : float, optional
        Seconds after which no more is begun; whole replicates count, the others are left for later.
    say : callable
        Told about progress.

    Returns
    -------
    Run
        A handle on the folder; :func:`simbench.scores` and :func:`simbench.table` take it.

    Raises
    ------
    BadInput
        For anything that is not known or cannot be; nothing has been done by then.
    """
    p = plan(sources, backends, replicates=replicates, only=only, transforms=transforms, master=master)
    return execute(p, folder_of(p, store), jobs=jobs, limits=limits, time_limit=time_limit, say=say)


def folder_of(p: Plan, given: str | Path | None) -> Path:
    """Where a run is kept."""
    return Path(given) if given is not None else Path("simbench-runs") / p.suite


def execute(
    p: Plan,
    folder: Path,
    *,
    jobs: int | None = None,
    limits: Limits | None = None,
    time_limit: float | None = None,
    say: Say = silent,
) -> Run:
    """Do what is missing of a plan; see :func:`run`."""
    began = time.monotonic()
    todo = list(asked_for(p, folder, rounds_of(p, time_limit is not None)))
    total = sum(len(found) for _, _, missing in todo for found in missing.values())
    whole = remember(p, folder, complete=not todo)
    if not todo:
        return whole
    progress = Progress(total, say)
    deadline = None if time_limit is None else began + time_limit
    ahead = AHEAD if deadline is None else AHEAD_HURRIED
    with ExitStack() as stack:
        hosts: Supervisor | None = None
        if any(p.entries[i].backend and p.entries[i].backend.spec for _, _, missing in todo for i in missing):  # type: ignore[union-attr]
            hosts = stack.enter_context(Supervisor(jobs or cores(), limits or Limits()))
        waiting: dict[int, Pending] = {}
        stack.callback(flush_all, waiting)
        tickets, cut = count(), False
        for source, numbers, missing in todo:
            if late(deadline):
                cut = True
                break
            progress.say(f"drawing {source.name}")
            chunk = Chunk(source, numbers, p.master, folder)
            briefs = chunk.worlds.brief
            for i, wanted in missing.items():
                pending = Pending(chunk, p.entries[i], wanted, folder)
                ticket = next(tickets)
                waiting[ticket] = pending
                rows = [chunk.replicates.index(r) for r in wanted]
                backend = p.entries[i].backend
                if backend is not None and backend.spec is not None and hosts is not None:
                    keys = keys_of(p.master, source, pending.entry, wanted)
                    hosts.submit(ticket, backend.spec, take(briefs, rows), keys)
                else:
                    progress.say(f"{pending.entry.name} on {source.name}")
                    for reply in here(p.master, pending, chunk, rows):
                        pending.add(reply)
                        progress.done()
                    del waiting[ticket]
                collect(hosts, waiting, progress, deadline, until=ahead * len(p.entries))
        collect(hosts, waiting, progress, deadline, until=0)
        cut = cut or bool(waiting)
    return remember(p, folder, complete=not cut)


class Progress:
    """Counts cells and tells about them."""

    def __init__(self, total: int, say: Say) -> None:
        self.count, self.total, self._say, self.text = 0, total, say, ""

    def say(self, text: str) -> None:
        """What is being done now."""
        self.text = text
        self._say(text, self.count, self.total)

    def done(self) -> None:
        """One more cell."""
        self.count += 1
        self._say(self.text, self.count, self.total)


def flush_all(waiting: dict[int, Pending]) -> None:
    """Store all that came back."""
    for pending in waiting.values():
        pending.flush()


def late(deadline: float | None) -> bool:
    """The time is up."""
    return deadline is not None and time.monotonic() >= deadline


def cores() -> int:
    """Cores this process may use."""
    return len(usable_cores())


def collect(
    hosts: Supervisor | None, waiting: dict[int, Pending], progress: Progress, deadline: float | None, until: int
) -> None:
    """Take in what hosts have answered; wait while more than `until` chunks are out."""
    while hosts is not None and waiting and not late(deadline):
        block = len(waiting) > until
        came = 0
        for done in hosts.outcomes(timeout=1.0 if block else 0.0):
            came += 1
            pending = waiting[done.ticket]
            pending.add(Reply(pending.replicates[done.position], done.reply, done.cost, done.log))
            progress.text = f"{pending.entry.name} on {pending.chunk.source.name}"
            progress.done()
            if pending.left == 0:
                del waiting[done.ticket]
        if not block and not came:
            return
        for pending in waiting.values():
            if pending.came and time.monotonic() - pending.since > PATIENCE:
                pending.flush()


def keys_of(master: bytes, source: Source, entry: Entry, replicates: Sequence[int]) -> Array:
    """Keys [n, 2] of cells: of the world and the contender's plain name, so that options are compared in pairs."""
    name = str(entry.identity["name"]).partition("[")[0]
    return np.stack([ids.backend_key(master, family(source.scenario), r, name) for r in replicates])


def here(master: bytes, pending: Pending, chunk: Chunk, rows: Sequence[int]) -> Iterator[Reply]:
    """Replies made in this process: the oracle's, and those of plain functions."""
    backend, worlds = pending.entry.backend, chunk.worlds
    if backend is None:
        drawn = take_drawn(chunk.drawn, rows)
        answers = oracle(drawn, take(worlds.brief, rows), take(worlds.truth, rows))
        for i, replicate in enumerate(pending.replicates):
            yield Reply(replicate, one(answers, i), NO_COST, "")
        return
    keys = keys_of(master, chunk.source, pending.entry, pending.replicates)
    for i in range(0, len(rows), backend.block):
        briefs = [one(worlds.brief, row) for row in rows[i : i + backend.block]]
        began = time.perf_counter()
        replies = asked(backend, briefs, list(keys[i : i + backend.block]), through=(KeyboardInterrupt,))
        cost = Cost((time.perf_counter() - began) / len(briefs), 0.0, np.nan)
        for k, reply in enumerate(replies):
            yield Reply(pending.replicates[i + k], reply, cost, "")


def take_drawn(drawn: Drawn, rows: Sequence[int]) -> Drawn:
    """Some worlds of a drawn batch."""
    secret, noise = drawn.secret, drawn.secret.noise
    some = secret._replace(
        noise=noise._replace(numbers=take(noise.numbers, rows), innovations=take(noise.innovations, rows)),
        keys=tuple(secret.keys[row] for row in rows),
        start=take(secret.start, rows),
        now=take(secret.now, rows),
        path=take(secret.path, rows),
        controls=take(secret.controls, rows),
    )
    replicates = tuple(drawn.replicates[row] for row in rows)
    return drawn._replace(replicates=replicates, brief=take(drawn.brief, rows), truth=None, secret=some)
