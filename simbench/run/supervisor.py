"""Hosts watched: whatever a contender does, every cell gets exactly one outcome and the run goes on.

A thread a slot drives one host process at a time (:mod:`simbench.run.hosts`). A batch is asked in
pieces, so that several slots share it; a piece that ends its host, takes too long or answers nonsense
is asked again cell by cell, and a cell that does so alone is a `Failure`: a result, not retried.
A host of simbench's own contenders, which compute and never wait, is watched: one that sleeps over a
piece has hung. That is no cell's doing, so the piece is asked once more, whole, in a fresh process;
if this sleeps too, its cells are failures.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from simbench.backends.registry import NATIVE, split
from simbench.backends.replies import checked
from simbench.blocks import take
from simbench.briefs import one
from simbench.codec import pack, unpack
from simbench.errors import BadInput
from simbench.records import REASONS, Answers, Brief, Cost, Failure
from simbench.run import hosts
from simbench.run.hosts import Broken, Host, Hung

Array = Any

#: Seconds of work that are asked for at once, where that is more than a block.
PIECE = 0.5
#: Letters of what was printed that are kept of a cell that was answered; of a failed one it is all there is.
SHORT_LOG = 2000
#: Times a host may fail to start in a row.
ATTEMPTS = 3
#: Cells asked for at once, at most.
MOST = 256
#: What a failure adds where the piece has been asked twice.
TWICE = "; the same when asked again in a fresh process. `simbench inspect` shows where it waits"


class Limits(NamedTuple):
    """What a contender may take."""

    seconds: float = 600.0  #: wall clock a cell
    memory: int = 6 << 30  #: bytes above what a host has at its start
    grown: int = 5 << 28  #: a host that has grown by so many bytes is replaced before another contender is asked
    first: float = 300.0  #: extra seconds where there is something to import or to compile
    grace: float = 5.0  #: seconds between asking a process to end and ending it
    sleep: float = 30.0  #: seconds without CPU time after which a host of simbench's own contenders hangs


class Done(NamedTuple):
    """The outcome of one cell."""

    ticket: Any
    position: int  #: in the batch
    reply: Answers | Failure
    cost: Cost
    log: str  #: the last that the backend printed in the call the cell was answered in


class Work:
    """A batch that was submitted, and the positions nobody has been asked about."""

    def __init__(self, ticket: Any, spec: str, brief: Brief, keys: Array) -> None:
        leaves, structure = jax.tree.flatten(brief)
        self.ticket, self.spec, self.brief, self.keys = ticket, spec, brief, keys
        self.company = company(spec)
        self.counts = {len(x) for x in leaves}
        self.kind = (spec, structure, tuple(np.shape(x)[1:] for x in leaves))  #: what has to be compiled once
        self.left = deque(range(len(keys)))
        self.alone: deque[int] = deque()  #: to be asked one at a time

    def __len__(self) -> int:
        return len(self.left) + len(self.alone)


class Slot:
    """A place for one host, and what its host has learnt."""

    def __init__(self, core: int) -> None:
        self.core = core
        self.spec = ""  #: what it works on
        self.host: Host | None = None
        self.began = 0.0  #: when it began with what it does
        self.lost = 0  #: hosts in a row that died before they were asked
        self.clear()

    def clear(self) -> None:
        """There is no host yet."""
        self.company: str | None = None  #: whom the host serves
        self.last = ""  #: whom it asked last
        self.blocks: dict[str, int] = {}  #: spec -> block of the backends it has made
        self.seen: set[Any] = set()  #: kinds of work it has programs for
        self.start, self.peak = 0.0, 0.0

    def end(self, grace: float = 0.0) -> str:
        """End the host, if there is one; gives what it printed."""
        log = self.host.end(grace) if self.host is not None else ""
        self.host = None
        self.clear()
        return log


def company(spec: str) -> str:
    """Whom a host may serve: all of simbench's own, or one foreigner, who may change its process.

    A rule that believes a foreigner's model (its option `on`) is one.
    """
    who, options, _ = split(spec)
    return "" if {who, options.get("on", who)} <= set(NATIVE) else spec


class Supervisor:
    """Asks contenders in host processes. A context manager: on leaving it, all hosts are ended at once.

    Parameters
    ----------
    slots : int
        Host processes at a time.
    limits : Limits
    cores : list of int, optional
        Slot k stays on core k; those this process may use if not given. With more slots than cores
        they are shared, and seconds mean little.
    """

    def __init__(self, slots: int, limits: Limits, *, cores: Sequence[int] | None = None) -> None:
        if slots < 1:
            raise BadInput("slots", f"are {slots}", "at least 1")
        own = list(cores) if cores is not None else hosts.cores()
        self._limits = limits
        self._slots = [Slot(own[k % len(own)]) for k in range(slots)]
        self._threads = [threading.Thread(target=self._serve, args=(slot,), daemon=True) for slot in self._slots]
        self._changed = threading.Condition()  # guards works, counts and what was learnt
        self._works: list[Work] = []
        self._unmade: dict[str, Failure] = {}
        self._pace: dict[str, float] = {}  # seconds a cell
        self._price: dict[str, float] = {}  # seconds until a new host has answered for the first time
        self._waiting = 0
        self._closing = False
        self._came: queue.SimpleQueue[Done | Exception] = queue.SimpleQueue()

    def __enter__(self) -> Supervisor:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        with self._changed:
            self._closing = True
            for slot in self._slots:
                if slot.host is not None:
                    slot.host.kill()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(self._limits.grace + 5.0)

    def submit(self, ticket: Any, spec: str, brief: Brief, keys: Array) -> None:
        """Ask a contender about a batch; returns at once.

        Parameters
        ----------
        ticket : hashable
            Comes back with every outcome.
        spec : str
            The words the registry makes the backend from.
        brief : Brief
            Batched: leading axis n of every array.
        keys : array [n, 2] of uint32

        Raises
        ------
        BadInput
            If keys and briefs are not equally many, or the words are none.
        """
        work = Work(ticket, spec, brief, np.asarray(keys))
        if work.counts != {len(keys)}:
            raise BadInput("submit", f"{len(keys)} keys to briefs of leading axes {sorted(work.counts)}", "one a brief")
        with self._changed:
            self._waiting += len(work)
            self._works.append(work)
            self._changed.notify_all()

    def waiting(self) -> int:
        """Cells whose outcome has not been taken."""
        with self._changed:
            return self._waiting

    def outcomes(self, timeout: float | None = None) -> Iterator[Done]:
        """Outcomes as they come, each cell once, until all are there or `timeout` seconds have passed."""
        until = None if timeout is None else time.monotonic() + timeout
        while self.waiting():
            try:
                left = None if until is None else max(0.0, until - time.monotonic())
                came = self._came.get() if left is None else self._came.get(timeout=left)
            except queue.Empty:
                return
            if isinstance(came, Exception):
                raise came
            with self._changed:
                self._waiting -= 1
            yield came

    # --- what a slot's thread does

    def _serve(self, slot: Slot) -> None:
        try:
            while (work := self._next(slot)) is not None:
                self._advance(slot, work)
        except Exception as error:  # a fault of this file, or no host can be started
            self._came.put(error)
        finally:
            slot.end()

    def _next(self, slot: Slot) -> Work | None:
        """The work a slot takes up: more of the same, else what its host can do, what nobody does, or to help.

        One contender after the other, not one scenario: scenarios share shapes, and so programs.
        """
        with self._changed:
            slot.spec = ""
            self._changed.notify_all()
            while not self._closing:
                self._works = [work for work in self._works if work]
                busy = {other.spec for other in self._slots}
                for fits in (
                    lambda work: work.spec == slot.last,
                    lambda work: work.spec in slot.blocks and work.spec not in busy,  # noqa: B023  called at once
                    lambda work: work.spec not in busy,  # noqa: B023
                    lambda work: self._worth_helping(work.spec),
                ):
                    for work in self._works:
                        if fits(work):
                            slot.spec = work.spec
                            return work
                self._changed.wait()
        return None

    def _worth_helping(self, spec: str) -> bool:
        """There is more to do than another host needs to get ready."""
        left = sum(len(work) for work in self._works if work.spec == spec)
        return spec not in self._pace or left * self._pace[spec] > self._price[spec]

    def _advance(self, slot: Slot, work: Work, again: list[int] | None = None) -> None:
        """Ask about one piece of a batch, or `again` about one that hung, and tell what came of it."""
        slot.began = time.monotonic()
        positions = again or []
        if work.spec in self._unmade:
            self._fail(work, positions + self._take(work, len(work)), self._unmade[work.spec])
            return
        try:
            self._make(slot, work)
            positions = positions or self._take(work, self._piece(slot, work))
            if positions:  # else other slots were quicker
                self._ask(slot, work, positions)
                slot.lost = 0
        except Broken as broken:
            seconds, log = time.monotonic() - slot.began, slot.end(self._limits.grace)
            hung = isinstance(broken, Hung)
            failure = Failure(broken.reason, broken.detail + TWICE * hung)
            if hung and positions != again:  # the same once more in a fresh process: this slot has no host now
                self._advance(slot, work, positions)
            elif not broken.taken and slot.lost < ATTEMPTS:  # it died before it was asked
                slot.lost += 1
                self._put_back(work, positions)
            elif not positions:
                self._unmade[work.spec] = failure
                self._fail(work, self._take(work, len(work)), failure, seconds, log)
            elif len(positions) > 1 and not hung:  # whose fault was it?
                self._put_back(work, positions)
            else:
                self._fail(work, positions, failure, seconds, log)

    def _make(self, slot: Slot, work: Work) -> None:
        """See to it that the slot has a fit host that has made the backend; raises Broken."""
        spec = work.spec
        # programs pile up, and so do their mappings, of which Linux allows 65,530; in the middle of a contender's
        # work a new host would make them all again
        worn = slot.peak - slot.start > self._limits.grown * (2 if spec == slot.last else 1)
        if slot.host is None or worn or slot.company != work.company or not slot.host.fit():
            slot.end()
            self._start(slot)
            slot.company = work.company
        if spec not in slot.blocks:
            reply = self._say(slot, {"spec": spec}, self._limits.first)
            if isinstance(reply.get("failure"), Failure):
                raise Broken(*reply["failure"])
            if not isinstance(reply.get("block"), int) or reply["block"] < 1:
                raise Broken("error", f"block is {reply.get('block')!r}, not a whole number of cells")
            slot.blocks[spec] = reply["block"]
        slot.last = spec

    def _start(self, slot: Slot) -> None:
        for _ in range(ATTEMPTS):
            with self._changed:  # no host is started once all are being ended
                if self._closing:
                    raise Broken("error", "the run was ended")
                slot.host = Host(slot.core, self._limits.memory)
            try:
                slot.host.listen()
                return
            except Broken as broken:
                fault = f"{broken.detail}\n{slot.end()}"
        raise RuntimeError(f"no host process could be started: {fault}")

    def _piece(self, slot: Slot, work: Work) -> int:
        """Cells to ask about at once: a block, or half a second's worth once it is known how many these are."""
        block = slot.blocks[work.spec]
        if work.kind not in slot.seen:
            return block
        return block * max(1, int(min(PIECE / max(self._pace[work.spec], 1e-6), MOST) / block))

    def _take(self, work: Work, count: int) -> list[int]:
        """Positions for one piece: a suspect alone, else the next ones."""
        with self._changed:
            if work.alone:
                return [work.alone.popleft()]
            return [work.left.popleft() for _ in range(min(count, len(work.left)))]

    def _put_back(self, work: Work, positions: list[int]) -> None:
        """Positions to be asked about again, each alone."""
        with self._changed:
            work.alone.extend(positions)
            if work not in self._works:
                self._works.insert(0, work)

    def _ask(self, slot: Slot, work: Work, positions: list[int]) -> None:
        """Ask about some cells and tell the replies; raises Broken."""
        limits, fresh, count = self._limits, work.kind not in slot.seen, len(positions)
        ready, slot.began = time.monotonic() - slot.began, time.monotonic()
        # a piece of several blocks is a guess that they are quick: it has the time of one
        seconds = limits.seconds * min(count, slot.blocks[work.spec]) + limits.first * fresh
        request = {"spec": work.spec, "brief": take(work.brief, positions), "keys": work.keys[positions]}
        reply = self._say(slot, request, seconds)
        try:
            replies, costs = read(reply, work.brief, positions)
        except Exception as error:  # whatever it sent
            raise Broken("error", f"the host answered nonsense: {type(error).__name__}: {error}") from None
        assert slot.host is not None
        log = slot.host.log()
        with self._changed:
            slot.seen.add(work.kind)
            slot.peak = max(cost.peak_bytes for cost in costs)
            slot.start = slot.start or slot.peak
            pace = sum(cost.seconds for cost in costs) / count
            if fresh:
                self._price[work.spec] = ready + time.monotonic() - slot.began - pace * count
            self._pace[work.spec] = pace
        self._tell(work, positions, replies, costs, log)
        if any(isinstance(reply, Failure) and reply.reason == "memory" for reply in replies):
            slot.end()

    def _say(self, slot: Slot, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a request and read the reply; raises Broken."""
        assert slot.host is not None
        message = pack({**request, "seconds": seconds + self._limits.grace + 1.0})
        # a foreigner may wait for a service, and a CPU for another device: only the clock tells that these hang
        computes = slot.company == "" and jax.default_backend() == "cpu"
        try:
            reply = unpack(slot.host.ask(message, seconds, self._limits.sleep if computes else None))
        except BadInput as error:
            raise Broken("error", f"the host answered nonsense: {error}") from None
        if not isinstance(reply, dict):
            raise Broken("error", f"the host answered nonsense: a {type(reply).__name__}")
        return reply

    def _tell(
        self, work: Work, positions: Sequence[int], replies: Sequence[Any], costs: Sequence[Cost], log: str
    ) -> None:
        for position, reply, cost in zip(positions, replies, costs, strict=True):
            text = log if isinstance(reply, Failure) else log[-SHORT_LOG:]
            self._came.put(Done(work.ticket, position, reply, cost, text))

    def _fail(self, work: Work, positions: list[int], failure: Failure, seconds: float = np.nan, log: str = "") -> None:
        cost = Cost(seconds, np.nan, np.nan)
        self._tell(work, positions, [failure] * len(positions), [cost] * len(positions), log)


def read(reply: dict[str, Any], batch: Brief, positions: Sequence[int]) -> tuple[list[Answers | Failure], list[Cost]]:
    """Replies and costs of a host's message, one a position; it is checked again, for the host ran foreign code.

    Raises
    ------
    Exception
        Of any kind, if the message is not of that form.
    """
    told: list[tuple[int, Answers | Failure]] = []
    for rows, answers in reply["groups"]:
        for k, row in enumerate(rows):
            answer = one(answers, k)
            verdict = checked(one(batch, positions[row]), answer)
            told.append((row, verdict if isinstance(verdict, Failure) else answer))
    for row, failure in reply["failures"]:
        if not isinstance(failure, Failure) or failure.reason not in REASONS:
            raise ValueError(f"{failure!r} is no failure")
        told.append((row, failure))
    costs = [Cost(*map(float, cost)) for cost in reply["costs"]]
    if sorted(row for row, _ in told) != list(range(len(positions))) or len(costs) != len(positions):
        raise ValueError(f"{len(told)} replies and {len(costs)} costs to {len(positions)} briefs")
    return [answer for _, answer in sorted(told, key=lambda pair: pair[0])], costs
