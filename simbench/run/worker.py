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
from contextlib import suppress
from typing import Any

import jax
import numpy as np

from simbench.backends import traced
from simbench.backends.base import Backend, by_shape
from simbench.backends.registry import backend_named
from simbench.briefs import one, stack
from simbench.codec import pack, unpack
from simbench.records import Brief, Failure
from simbench.run import hosts
from simbench.run.asking import asked, failure_of
from simbench.run.hosts import HEADER, MARK

Array = Any

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
    cache = hosts.prepare_process(settings["cache"])
    traced.keep_in(cache and cache / "traced")
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


if __name__ == "__main__":
    main()
