"""A contender before it is configured: its name, its options, and how it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from simbench.backends.base import Backend
from simbench.errors import BadInput


class Option(NamedTuple):
    """One number or word that a user may set where the contender is named."""

    name: str
    default: bool | int | float | str
    meaning: str
    unit: str = ""  #: "weeks", "money", "draws"; empty for a pure number or a word
    source: str = ""  #: where the default comes from
    choices: tuple[str, ...] = ()  #: the words allowed; empty = any
    low: float | None = None  #: lowest number allowed
    high: float | None = None  #: highest number allowed


class Contender(NamedTuple):
    """What the registry holds. `make` takes every option by name and gives the Backend."""

    name: str
    title: str  #: one line: what it is
    make: Callable[..., Backend]
    options: tuple[Option, ...] = ()
    source: str = ""  #: paper or project
    answers: str = "everything"  #: which questions it answers, in words


def configured(contender: Contender, given: Mapping[str, Any]) -> Backend:
    """The Backend of a contender with the given options, the others at their defaults.

    Its name carries every option that differs from its default, in the contender's own order.

    Raises
    ------
    BadInput
        If an option is unknown (the message names the nearest), of the wrong type or out of range.
    """
    known = {option.name: option for option in contender.options}
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1)
            right = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known) or 'no options'}"
            raise BadInput(contender.name, f"has no option {name!r}", right)
    config = {
        name: read_option(contender.name, option, given[name]) if name in given else option.default
        for name, option in known.items()
    }
    changed = [f"{name}={_said(config[name])}" for name, option in known.items() if config[name] != option.default]
    made = contender.make(**config)
    return made._replace(name=contender.name + (f"[{','.join(changed)}]" if changed else ""), config=config)


def read_option(where: str, option: Option, value: Any) -> Any:
    """A value as the option's type; text from a command line is read as one."""
    place, kind = f"{where}[{option.name}]", type(option.default)
    try:
        read = _truth(value) if kind is bool else kind(value)
        if kind is int and not isinstance(value, str) and read != value:
            raise ValueError
    except (TypeError, ValueError):
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
        raise BadInput(place, f"{value!r}", words[kind]) from None
    if option.choices and read not in option.choices:
        near = get_close_matches(str(read), option.choices, 1)
        right = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(option.choices)}"
        raise BadInput(place, f"{read!r}", right)
    low, high = option.low, option.high
    if kind in (int, float) and not ((low is None or read >= low) and (high is None or read <= high)):
        bounds = " and ".join(
            text for text in (f"at least {low:g}" if low is not None else "", f"at most {high:g}" if high is not None else "") if text
        )
        raise BadInput(place, f"{read!r}", bounds)
    return read


def _truth(value: Any) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() not in words:
        raise ValueError
    return words[str(value).lower()]


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
