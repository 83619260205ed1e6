"""The program a host process runs: it makes backends, asks them about briefs and sends back what they say.

Started by :class:`simbench.run.hosts.Host` as ``python -m simbench.run.worker SETTINGS``. Requests and
replies go through two pipes of their own; whatever a backend prints goes elsewhere.
"""

from __future__ import annotations

import faulthandler
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import jax
import numpy as np

from simbench.backends.base import Backend, by_shape
from simbench.backends.registry import backend_named
from simbench.backends.replies import checked
from simbench.briefs import one, stack
from simbench.codec import pack, unpack
from simbench.errors import BadInput
from simbench.records import REASONS, Answers, Brief, Failure
from simbench.run import hosts
from simbench.run.hosts import HEADER, MARK

Array = Any

#: Letters of a failure's detail that are sent.
DETAIL = 2000
#: Durations that JAX reports while it makes a program (all of one call may overlap).
COMPILING = "/jax/core/compile/"


def main() -> None:
    """Serve until the driver closes its end."""
    settings = json.loads(sys.argv[1])
    os.environ.pop("PYTHONPATH", None)  # programs that a backend runs have modules of their own
    if settings["path"] is not None:
        os.environ["PYTHONPATH"] = settings["path"]
    sys.path.extend(folder for folder in settings["modules"] if folder not in sys.path)  # what the driver can import
    hosts.pin(settings["core"])
    requests, replies = settings["requests"], settings["replies"]
    for end in (requests, replies):
        os.set_inheritable(end, False)
    # a host that is ended says where it was
    faulthandler.enable()
    faulthandler.register(signal.SIGTERM, chain=True)
    inbox: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
    hosts.prepare_process(settings["cache"])
    hosts.limit_memory(settings["memory"])
    threading.Thread(target=listen, args=(requests, inbox), daemon=True).start()
    watch = Compiling()
    made: dict[str, Any] = {}
    send(replies, 0, b"")
    while True:
        number, message = inbox.get()
        send(replies, number, b"")  # taken up
        reply = respond(message, made, watch)
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # a backend may have closed it
                stream.flush()
        send(replies, number, reply)


def listen(requests: int, inbox: queue.SimpleQueue[tuple[int, bytes]]) -> None:
    """Put messages into the inbox; when the driver is gone, end this process and all it started."""
    with suppress(Exception), open(requests, "rb", closefd=False) as stream:
        while head := stream.read(HEADER.size):
            _, number, length = HEADER.unpack(head)
            inbox.put((number, stream.read(length)))
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def send(replies: int, number: int, message: bytes) -> None:
    """Write a whole message."""
    left = memoryview(HEADER.pack(MARK, number, len(message)) + message)
    while left:
        left = left[os.write(replies, left) :]


class Compiling:
    """Seconds that JAX spends on making programs."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        jax.monitoring.register_event_duration_secs_listener(self._heard)

    def _heard(self, event: str, duration_secs: float, **_: Any) -> None:
        if event.startswith(COMPILING):
            end = time.perf_counter()
            start = end - duration_secs
            # tracing a program traces those inside it: the outer span is told last
            while self._spans and self._spans[-1][0] >= start:
                self._spans.pop()
            self._spans.append((start, end))

    def since(self, began: float) -> float:
        """Seconds since a moment; everything before is forgotten."""
        total = sum(end - max(start, began) for start, end in self._spans if end > began)
        self._spans.clear()
        return total


def respond(message: bytes, made: dict[str, Backend], watch: Compiling) -> bytes:
    """The reply to a request: a backend's block once it is made, or the replies to a batch of briefs."""
    request = unpack(message)
    spec = request["spec"]
    # the last resort, without Python's help: the driver is gone and the backend hangs in C
    faulthandler.dump_traceback_later(request["seconds"], exit=True, file=2)
    try:
        if "keys" in request:
            return pack(answered(made[spec], request["brief"], request["keys"], watch))
        made[spec] = backend_named(spec)
        return pack({"block": int(made[spec].block)})
    except BaseException as error:
        return pack({"failure": failure_of(error)})
    finally:
        faulthandler.cancel_dump_traceback_later()


def answered(backend: Backend, batch: Brief, keys: Array, watch: Compiling) -> dict[str, Any]:
    """Replies to a batch of briefs and their costs, a block at a time.

    Returns
    -------
    dict
        `groups`: answers of one shape stacked (far quicker to pack than each alone) with their
        positions; `failures` with theirs; `costs` [n, 3] in the order of `Cost`.
    """
    briefs = [one(batch, i) for i in range(len(keys))]
    replies: list[Any] = []
    costs: list[tuple[float, float, float]] = []
    for start in range(0, len(keys), backend.block):
        part = slice(start, start + backend.block)
        hosts.forget_peak()
        began = time.perf_counter()
        came = asked(backend, briefs[part], list(keys[part]))
        seconds = time.perf_counter() - began
        compiling = min(seconds, watch.since(began))
        replies += came
        costs += [((seconds - compiling) / len(came), compiling, hosts.peak_bytes())] * len(came)
    failed = [i for i, reply in enumerate(replies) if isinstance(reply, Failure)]
    fine = [i for i, reply in enumerate(replies) if not isinstance(reply, Failure)]
    groups = [[fine[k] for k in members] for members in by_shape([replies[i] for i in fine]).values()]
    return {
        "groups": [[rows, stack([replies[i] for i in rows])] for rows in groups],
        "failures": [[i, replies[i]] for i in failed],
        "costs": np.array(costs),
    }


def asked(backend: Backend, briefs: Sequence[Brief], keys: Sequence[Array]) -> list[Answers | Failure]:
    """Replies of one call, each `Answers` in float32 or a `Failure`, whatever the backend does."""
    refused = [refusal(backend, brief) for brief in briefs]
    wanted = [i for i, reply in enumerate(refused) if reply is None]
    came: list[Any] = []
    try:
        came = list(backend.answer([briefs[i] for i in wanted], [keys[i] for i in wanted])) if wanted else []
        if len(came) != len(wanted):
            came = [Failure("error", f"{len(came)} answers to {len(wanted)} briefs")] * len(wanted)
    except BaseException as error:
        if len(wanted) > 1:  # whose fault is it?
            came = [asked(backend, [briefs[i]], [keys[i]])[0] for i in wanted]
        else:
            came = [failure_of(error)]
    told = dict(zip(wanted, came, strict=True))
    return [refused[i] or slim(brief, told[i]) for i, brief in enumerate(briefs)]


def refusal(backend: Backend, brief: Brief) -> Failure | None:
    """The `Failure` of a brief that the backend does not support, or None."""
    try:
        reason = backend.supports(brief)
        return None if reason is None else Failure("unsupported", str(reason)[:DETAIL])
    except BaseException as error:
        return failure_of(error)


def slim(brief: Brief, reply: Any) -> Answers | Failure:
    """The reply, checked, as float32: half as much to move and to store."""
    try:
        reply = checked(brief, reply)
        if isinstance(reply, Failure):
            reason = reply.reason if reply.reason in REASONS else "error"
            return classified(reason, str(reply.detail))
        with np.errstate(over="raise"):
            return jax.tree.map(lambda x: np.asarray(x).astype(np.float32), reply)
    except FloatingPointError:
        return Failure("nonfinite", "a number is beyond the range of float32")
    except BaseException as error:  # an array of the backend's own class
        return failure_of(error)


def failure_of(error: BaseException) -> Failure:
    """What was raised, as a `Failure`."""
    try:
        text = str(error) if isinstance(error, BadInput) else f"{type(error).__name__}: {error}"
    except BaseException:  # an error of the backend's own class that cannot be told
        text = type(error).__name__
    return classified("error", text)


def classified(reason: str, detail: str) -> Failure:
    """A `Failure` of bounded length; an error that speaks of memory is one of memory."""
    if reason == "error" and any(word in detail for word in hosts.OUT_OF_MEMORY):
        reason = "memory"
    return Failure(reason, detail[:DETAIL])


if __name__ == "__main__":
    main()
