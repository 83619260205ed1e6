"""Which backends there are, by name: simbench's own, those of other packages, and files."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from simbench.backends.base import Backend
from simbench.backends.contender import Contender, configured
from simbench.errors import BadInput

#: simbench's own contenders: name -> where its Contender is. Imported on first use.
NATIVE: dict[str, str] = {
    "ols": "simbench.backends.baselines:OLS",
    "spend-share": "simbench.backends.baselines:SPEND_SHARE",
}


def contender_named(name: str) -> Contender:
    """The contender of a plain name.

    Raises
    ------
    BadInput
        If nobody has that name; the message names the nearest.
    """
    if name not in NATIVE:
        near = get_close_matches(name, NATIVE, 1)
        raise BadInput(
            "backend", f"{name!r} is not known", f"did you mean {near[0]!r}?" if near else f"one of {', '.join(NATIVE)}"
        )
    module, _, attribute = NATIVE[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def split(text: str) -> tuple[str, Mapping[str, Any]]:
    """``name[a=1,b=word]`` -> name and options.

    Raises
    ------
    BadInput
        If the brackets are not such a list.
    """
    name, bracket, rest = text.partition("[")
    if not bracket:
        return name, {}
    if not rest.endswith("]"):
        raise BadInput(f"backend {text!r}", "has no closing bracket", f"{name}[option=value]")
    options: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in rest[:-1].split(","))):
        key, equals, value = part.partition("=")
        if not equals or key.strip() in options:
            raise BadInput(f"backend {text!r}", f"{part!r} is no option, or is given twice", f"{name}[option=value]")
        options[key.strip()] = value.strip()
    return name, options


def backend_named(name: str | Backend) -> Backend:
    """The backend of a name such as ``ols[trend=none]``; a Backend is handed through.

    Raises
    ------
    BadInput
        If nobody has that name, or the options are wrong.
    """
    if isinstance(name, Backend):
        return name
    plain, options = split(name)
    return configured(contender_named(plain), options)._replace(spec=name)
