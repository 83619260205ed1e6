"""A contender before it is configured: its name, its options, and how it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from math import isfinite
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

    Its name carries every option that differs from its default, in the contender's own order. What `make` put into
    the config itself stays: a backend made of another holds what that one is.

    Raises
    ------
    BadInput
        As :func:`settled`.
    """
    name, config = settled(contender.name, contender.options, given)
    made = contender.make(**config)
    return made._replace(name=name, config={**made.config, **config})


def settled(who: str, options: Sequence[Option], given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name with every option that differs from its default, and all options: those given, else defaults.

    Raises
    ------
    BadInput
        If an option is unknown (the message names the nearest), of the wrong type or out of range.
    """
    known = {option.name: option for option in options}
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1)
            right = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known) or 'no options'}"
            raise BadInput(who, f"has no option {name!r}", right)
    config = {
        name: read_option(who, option, given[name]) if name in given else option.default
        for name, option in known.items()
    }
    changed = [f"{name}={_said(config[name])}" for name, option in known.items() if config[name] != option.default]
    return who + (f"[{','.join(changed)}]" if changed else ""), config


def read_option(where: str, option: Option, value: Any) -> Any:
    """A value as the option's type; text from a command line is read as one.

    Raises
    ------
    BadInput
        If it is of another type, not finite, not among the choices, or out of range.
    """
    place, kind = f"{where}[{option.name}]", type(option.default)
    try:
        read = _READ[kind](value)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise BadInput(place, f"{value!r}", _WORDS[kind]) from None
    if option.choices and read not in option.choices:
        near = get_close_matches(str(read), option.choices, 1)
        right = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(option.choices)}"
        raise BadInput(place, f"{read!r}", right)
    low, high = option.low, option.high
    if (low is not None and read < low) or (high is not None and read > high):
        told = (f"{words} {bound:g}" for words, bound in (("at least", low), ("at most", high)) if bound is not None)
        raise BadInput(place, f"{read!r}", " and ".join(told))
    return read


def _truth(value: Any) -> bool:
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[str(value).lower()]


def _whole(value: Any) -> int:
    read = int(value)
    if isinstance(value, bool) or (not isinstance(value, str) and read != value):
        raise ValueError
    return read


def _number(value: Any) -> float:
    read = float(value)
    if isinstance(value, bool) or not isfinite(read):
        raise ValueError
    return read


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


_READ: dict[type, Callable[[Any], Any]] = {bool: _truth, int: _whole, float: _number, str: _word}
_WORDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a finite number", str: "a word"}


def _said(value: Any) -> str:
    """As it is written in a name; floats without loss."""
    if isinstance(value, bool):
        return str(value).lower()
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return repr(value) if isinstance(value, float) and float(short) != value else short
