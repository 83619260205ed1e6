"""One call of a backend, in a host or in the driver: whatever it does, every brief gets a reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from simbench.backends.base import Backend
from simbench.backends.replies import checked
from simbench.errors import BadInput
from simbench.records import REASONS, Answers, Brief, Failure
from simbench.run import hosts

Array = Any

#: Letters of a failure's detail that are kept.
DETAIL = 2000


def asked(
    backend: Backend,
    briefs: Sequence[Brief],
    keys: Sequence[Array],
    through: tuple[type[BaseException], ...] = (),
) -> list[Answers | Failure]:
    """Replies of one call, each `Answers` in float32 or a `Failure`, whatever the backend does.

    `through` are errors that are not the backend's: they are raised on (Ctrl-C in the driver's own process).
    """
    refused = [refusal(backend, brief) for brief in briefs]
    wanted = [i for i, reply in enumerate(refused) if reply is None]
    came: list[Any] = []
    try:
        came = list(backend.answer([briefs[i] for i in wanted], [keys[i] for i in wanted])) if wanted else []
        if len(came) != len(wanted):
            came = [Failure("error", f"{len(came)} answers to {len(wanted)} briefs")] * len(wanted)
    except through:
        raise
    except BaseException as error:
        if len(wanted) > 1:  # whose fault is it?
            came = [asked(backend, [briefs[i]], [keys[i]], through)[0] for i in wanted]
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
