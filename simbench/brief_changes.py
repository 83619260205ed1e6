"""Transforms of a brief: when a world is asked, and what is seen of it, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from simbench.briefs import meant
from simbench.errors import BadInput
from simbench.records import Brief

Array = Any


def perturbed(brief: Brief, generator: np.random.Generator, sd: float = 0.05) -> Brief:
    """Spend of the past as if measured with error: each week, geo and channel x (1 + sd e), never below 0.

    Contacts are counted by somebody else, and stay.
    """
    factor = np.maximum(0.0, 1.0 + sd * generator.standard_normal(brief.panel.lever.shape))
    return with_spend(brief, brief.panel.lever * factor, brief.panel.spend * factor)


def placebo(brief: Brief, channel: int, shift: int) -> Brief:
    """One channel's past spend moved `shift` weeks in a circle: its timing tells nothing any more.

    Whole weeks move, all geos together and the contacts they bought with them, so that level,
    flighting, geo pattern and prices stay those of real spend.
    """
    origin = int(brief.panel.origin)

    def moved(x: Array) -> Array:
        out = np.array(x)
        out[:origin, :, channel] = np.roll(out[:origin, :, channel], shift, axis=0)
        return out

    other = with_spend(brief, moved(brief.panel.lever), moved(brief.panel.spend))
    contacts = brief.panel.exposure
    return other if contacts is None else other._replace(panel=other.panel._replace(exposure=moved(contacts)))


def with_spend(brief: Brief, lever: Array, spend: Array) -> Brief:
    """The same brief over other spend of the past.

    `spend_scale` follows, as whoever sees this spend would compute it; plans, problems and the
    spend given for the holdout stay, so that every answer is asked about the same money.
    """
    scale = spend[: int(brief.panel.origin)].sum(axis=1).mean(axis=0)
    return brief._replace(
        panel=brief.panel._replace(lever=lever, spend=spend), context=brief.context._replace(spend_scale=scale)
    )


class Transform(NamedTuple):
    """A named change of when a world is asked, or of what is seen of it."""

    name: str  #: one of TRANSFORMS; "" = as drawn
    text: str  #: canonical: one way to write each
    values: tuple[Any, ...] = ()  #: what stands after the name

    @property
    def origin(self) -> int:
        """Weeks the origin moves: 0 or less."""
        return self.values[0] if self.name == "origin" else 0


class Kind(NamedTuple):
    """What a transform's name stands for."""

    example: str
    right: str  #: what its values must be
    types: tuple[type, ...]  #: of its values
    allowed: Callable[..., bool]  #: of its values
    change: Callable[..., Brief] | None  #: (one brief, channels, generator, *values); None: drawn at another origin


#: Transforms by name. A new one is one more line.
TRANSFORMS = {
    "origin": Kind("origin:-13", "0 or -K, weeks before the panel's end", (int,), lambda k: k <= 0, None),
    "perturbed": Kind("perturbed:0.05", "a standard deviation above 0, at most 1", (float,), lambda sd: 0 < sd <= 1,
                      lambda brief, channels, generator, sd: perturbed(brief, generator, sd)),
    "placebo": Kind("placebo:tv:26", "a channel and weeks to shift it", (str, int), lambda name, shift: shift > 0,
                    lambda brief, channels, generator, name, shift: placebo(brief, channels.index(name), shift)),
}  # fmt: skip


def parse_transform(text: str) -> Transform:
    """Read ``"origin:-13"``, ``"perturbed:0.05"`` or ``"placebo:tv:26"``; ``""`` and an origin of 0 are as drawn.

    Raises
    ------
    BadInput
        If the name is not known (the nearest is named) or a value is wrong.
    """
    name, *words = (part.strip() for part in text.split(":"))
    if not text.strip():
        return Transform("", "")
    if name not in TRANSFORMS:
        raise BadInput("transform", f"{name!r} is not known", meant(name, TRANSFORMS))
    kind = TRANSFORMS[name]
    try:
        values = tuple(read(word) for read, word in zip(kind.types, words, strict=True))
        wrong = not kind.allowed(*values)
    except ValueError:
        wrong = True
    if wrong:
        raise BadInput("transform", f"{text!r} cannot be read", f"{kind.right}, such as {kind.example}")
    asked = Transform(name, ":".join([name, *map(str, values)]), values)
    return asked if asked.origin or kind.change else Transform("", "")
