"""Which backends there are, by name."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from simbench.backends.base import Backend
from simbench.backends.baselines import ols, spend_share
from simbench.errors import BadInput

NATIVE: dict[str, Callable[[], Backend]] = {"ols": ols, "spend-share": spend_share}


def backend_named(name: str | Backend) -> Backend:
    """The backend of a name; a Backend is handed through.

    Raises
    ------
    BadInput
        If nobody has that name; the message names the nearest.
    """
    if isinstance(name, Backend):
        return name
    if name not in NATIVE:
        near = get_close_matches(name, NATIVE, 1)
        raise BadInput(
            "backend", f"{name!r} is not known", f"did you mean {near[0]!r}?" if near else f"one of {', '.join(NATIVE)}"
        )
    return NATIVE[name]()
