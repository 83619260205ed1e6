"""Building blocks of a scenario file: tables, and numbers that may be distributions.

A ``Value`` is a number of the file: a float, or the distribution over worlds from which each replicate
draws one (docs/worlds.md, section 2). No jax here: a scenario is read by programs that never compute
a world.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

LARGEST = 1e15  #: no number of a file is larger than this


def fault(what: str, right: str = "", key: str = "") -> PydanticCustomError:
    """A fault that the reader shows as it stands, at `key` inside the faulty table."""
    return PydanticCustomError("scenario", "{what}", {"what": what, "right": right, "key": key})


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Say which of the allowed words was probably meant, and list them unless they are many."""
    allowed = [str(other) or '""' for other in allowed]
    close = difflib.get_close_matches(str(word)[:100], allowed, n=1, cutoff=0.5)
    listed = ", ".join(allowed[:15]) + (", ..." if len(allowed) > 15 else "")
    if close and len(allowed) > 15:
        return f"did you mean '{close[0]}'?"
    return (f"did you mean '{close[0]}'? " if close else "") + f"allowed: {listed or 'nothing'}"


class Table(BaseModel):
    """A table of the file: strict, frozen, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                raise fault("unknown key", nearest(key, cls.model_fields), str(key))
        return data


def unique(entries: Iterable[Any], key: str) -> None:
    """Refuse two entries of one name."""
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise fault(f"'{name}' occurs {names.count(name)} times", "names must differ", key)


def exactly_one(table: Table, *keys: str) -> None:
    """Refuse none and several of keys that exclude each other."""
    given = [key for key in keys if getattr(table, key) is not None]
    if len(given) != 1:
        what = f"{' and '.join(given)} given together" if given else "nothing given"
        raise fault(what, f"exactly one of {', '.join(keys)}", given[0] if given else keys[0])


# --- numbers -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Within:
    """Bounds written as an interval, "[0, 1)": for a float, or for all a distribution can draw."""

    interval: str

    def bounds(self) -> tuple[float, float]:
        """Both ends of the interval."""
        low, high = self.interval[1:-1].split(",")
        return float(low), float(high)

    def check(self, value: Any) -> Any:
        """Return `value` if it lies inside, else raise a fault that says why not."""
        low, high = self.bounds()
        bottom, top, attained = support(value)
        open_low, open_high = self.interval[0] == "(", self.interval[-1] == ")"
        shown = f"{value:g}" if isinstance(value, float) else value.dist
        if attained and max(abs(bottom), abs(top)) > LARGEST:
            raise fault(f"{shown} is too large", f"numbers reach to {LARGEST:g}")
        over = top > high or (top == high and attained and open_high)
        under = bottom < low or (bottom == low and attained and open_low)
        if isinstance(value, float) and (over or under):
            raise fault(f"{shown} is out of range", f"a number in {self.interval}")
        right = f"every number it draws must lie in {self.interval}"
        if over:
            raise fault(f"{shown} can {'reach' if open_high else 'exceed'} {high:g}", right)
        if under:
            raise fault(f"{shown} can {'reach' if open_low else 'fall below'} {low:g}", right)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        # closed bounds only: an open one has another spelling in each draft of JSON Schema
        ends = zip(("minimum", "maximum"), self.bounds(), strict=True)
        return {**handler(schema), **{key: end for key, end in ends if math.isfinite(end)}}


Plain = Annotated[float, Within("(-inf, inf)")]
PlainPositive = Annotated[float, Within("(0, inf)")]
Share = Annotated[float, Within("[0, inf)")]


def _below(low: float, high: float) -> None:
    if low >= high:
        raise fault(f"low {low:g} is not below high {high:g}", "low < high", "low")


class Uniform(Table):
    """Uniform between `low` and `high`."""

    dist: Literal["uniform"]
    low: Plain
    high: Plain

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        _below(self.low, self.high)
        return self


class LogUniform(Table):
    """Uniform in the logarithm."""

    dist: Literal["log-uniform"]
    low: PlainPositive
    high: PlainPositive

    @model_validator(mode="after")
    def _ordered(self) -> LogUniform:
        _below(self.low, self.high)
        return self


class Normal(Table):
    """Normal; unbounded, so only for numbers of either sign."""

    dist: Literal["normal"]
    mean: Plain
    sd: PlainPositive


class LogNormal(Table):
    """`median` * exp(`sigma` z)."""

    dist: Literal["lognormal"]
    median: PlainPositive
    sigma: Annotated[float, Within("(0, 10]")]


class Beta(Table):
    """Beta, between 0 and 1."""

    dist: Literal["beta"]
    a: PlainPositive
    b: PlainPositive


class Gamma(Table):
    """Gamma of mean `shape` * `scale`."""

    dist: Literal["gamma"]
    shape: PlainPositive
    scale: PlainPositive


class Choice(Table):
    """One of `values`, each equally likely."""

    dist: Literal["choice"]
    values: Annotated[tuple[Plain, ...], Field(strict=False, min_length=1, max_length=1000)]


Distribution = Uniform | LogUniform | Normal | LogNormal | Beta | Gamma | Choice
Value = Annotated[
    Annotated[float, Tag("number")]
    | Annotated[Annotated[Distribution, Field(discriminator="dist")], Tag("distribution")],
    Discriminator(lambda value: "distribution" if isinstance(value, (dict, Table)) else "number"),
]
Real = Annotated[Value, Within("(-inf, inf)")]
Positive = Annotated[Value, Within("(0, inf)")]
NonNegative = Annotated[Value, Within("[0, inf)")]
Fraction = Annotated[Value, Within("[0, 1)")]
OpenFraction = Annotated[Value, Within("(0, 1)")]
Reals = Annotated[tuple[Real, ...], Field(strict=False, min_length=1, max_length=100)]


def support(value: float | Distribution) -> tuple[float, float, bool]:
    """Lowest and highest value that can be drawn, and whether the ends themselves can."""
    if isinstance(value, Uniform | LogUniform):
        return value.low, value.high, True
    if isinstance(value, Choice):
        return min(value.values), max(value.values), True
    if isinstance(value, Normal):
        return -math.inf, math.inf, False
    if isinstance(value, LogNormal | Gamma):
        return 0.0, math.inf, False
    return (0.0, 1.0, False) if isinstance(value, Beta) else (value, value, True)


def lowest(value: float | Distribution) -> float:
    """Infimum of what can be drawn."""
    return support(value)[0]


def highest(value: float | Distribution) -> float:
    """Supremum of what can be drawn."""
    return support(value)[1]


def quantile(value: float | Distribution, u: np.ndarray) -> np.ndarray:
    """What a number of a file is worth at the uniform numbers `u` (docs/worlds.md, section 2).

    Parameters
    ----------
    value : float or Distribution
        A float is itself at every u.
    u : ndarray, any shape
        Numbers in (0, 1).

    Returns
    -------
    ndarray, the shape of `u`, float64
        Always inside the distribution's support.
    """
    # a u next to 1 rounds to 1, and a tiny quantile to 0: keep both off ends that are never drawn
    u = np.clip(np.asarray(u, dtype=np.float64), 2.0**-54, 1.0 - 2.0**-53)
    tiny = np.finfo(np.float64).tiny
    if isinstance(value, Uniform):
        return value.low + u * (value.high - value.low)
    if isinstance(value, LogUniform):
        return np.clip(value.low * (value.high / value.low) ** u, value.low, value.high)
    if isinstance(value, Choice):
        return np.asarray(value.values)[np.floor(u * len(value.values)).astype(np.int64)]
    if isinstance(value, float | int):
        return np.full(u.shape, float(value))
    from scipy import special

    if isinstance(value, Normal):
        return value.mean + value.sd * special.ndtri(u)
    if isinstance(value, LogNormal):
        return value.median * np.exp(value.sigma * special.ndtri(u))
    if isinstance(value, Gamma):
        return np.maximum(value.scale * special.gammaincinv(value.shape, u), tiny)
    return np.clip(special.betaincinv(value.a, value.b, u), tiny, 1.0 - 2.0**-53)
