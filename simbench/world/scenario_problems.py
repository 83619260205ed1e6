"""The allocation problems of a scenario file: bounds, budgets, groups and pacing (docs/estimands.md)."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from simbench.world.scenario_numbers import LARGEST, Share, Table, fault, unique
from simbench.world.scenario_words import Name, Names

Weeks = Annotated[int, Field(ge=1, le=520)]


class Group(Table):
    """Units of some channels, or of some geos, or both: their money stays within shares of a total, or within money."""

    channels: Names | None = None
    geos: Names | None = None
    tiers: Names | None = None
    low: Share = 0.0
    high: Share | None = None
    of: Literal["status-quo", "plan"] = "status-quo"
    low_money: Share | None = None
    high_money: Share | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Group:
        for key in ("low", "high"):
            if getattr(self, f"{key}_money") is not None and key in self.model_fields_set:
                raise fault(f"{key} and {key}_money given together", "a share or money", f"{key}_money")
            share = getattr(self, key)
            if self.of == "plan" and share is not None and share > 1:
                raise fault(f"{share:g} of the plan's own total", "a share of at most 1", key)
        for low, high, key in ((self.low, self.high, "low"), (self.low_money, self.high_money, "low_money")):
            if low is not None and high is not None and low > high:
                what = f"{key} {low:g} is above {key.replace('low', 'high')} {high:g}"
                raise fault(what, f"{key} <= {key.replace('low', 'high')}", key)
        if self.of == "plan" and not self.model_fields_set & {"low", "high"}:
            raise fault("'plan' without a share", "low or high, a share of the plan's total", "of")
        if self.geos is not None and self.tiers is not None:
            raise fault("geos and tiers given together", "one of them", "tiers")
        if self.channels is None and self.geos is None and self.tiers is None:
            raise fault("a group of nothing", "channels, geos or tiers", "channels")
        return self


def _pair(value: Any) -> tuple[float, ...]:
    """[low, high] as floats; () if it is none."""
    pair = tuple(value) if isinstance(value, (list, tuple)) else ()
    fine = len(pair) == 2 and all(type(end) in (int, float) and 0 <= end <= LARGEST for end in pair)
    if fine and pair[0] > pair[1]:
        raise fault(f"low {pair[0]:g} is above high {pair[1]:g}", "[low, high] with low <= high")
    return tuple(map(float, pair)) if fine else ()


def _budget(value: Any) -> Any:
    if value in ("fixed", "free") and isinstance(value, str):
        return value
    pair = _pair(value)
    if not pair:
        raise fault(f"{value!r:.40} is no budget", "'fixed', 'free' or [low, high], shares of the status quo")
    return pair


def _money(value: Any) -> Any:
    pair = _pair([value, value] if type(value) in (int, float) else value)
    if not pair:
        raise fault(f"{value!r:.40} is no budget", "an amount of money, or [low, high]")
    return pair


def _upper(value: Any) -> Any:
    if value == "none" or (type(value) in (int, float) and 0 <= value <= LARGEST):
        return value
    raise fault(f"{value!r:.40} is no bound", "a share of the status quo, or 'none'")


def _pacing(value: Any) -> Any:
    if value in ("last-year", "flat", "steady-or-pulsed") or (type(value) is int and 1 <= value <= 520):
        return value
    raise fault(f"{value!r:.40} is no pacing", "'last-year', 'flat', 'steady-or-pulsed' or a number of weeks")


Pair = Annotated[tuple[float, ...], Field(strict=False, min_length=2, max_length=2)]
Upper = Annotated[float | Literal["none"], BeforeValidator(_upper)]


def share_of(upper: float | str) -> float:
    """An upper bound as a number; 5 where there is none, far beyond where a ceiling bites."""
    return 5.0 if isinstance(upper, str) else upper


class Bounds(Table):
    """Bounds of one channel in place of the problem's: shares of its status quo, or money."""

    name: Name
    lower: Share | None = None
    upper: Upper | None = None
    lower_money: Share | None = None
    upper_money: Share | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Bounds:
        for key in ("lower", "upper"):
            if getattr(self, key) is not None and getattr(self, f"{key}_money") is not None:
                raise fault(f"{key} and {key}_money given together", "a share or money", f"{key}_money")
        low, high = (self.lower, self.upper) if self.lower_money is None else (self.lower_money, self.upper_money)
        if low is not None and high is not None and low > share_of(high):
            key = "lower" if self.lower_money is None else "lower_money"
            raise fault(f"{low:g} is above the upper bound {share_of(high):g}", "lower <= upper", key)
        return self


class Pulse(Table):
    """Weeks with money and weeks without, in turn."""

    on: Weeks = 2
    off: Weeks = 2


class ProblemTable(Table):
    """A choice of amounts; bounds are shares of the status quo, or money where the key says so."""

    name: Name
    scope: Literal["national", "geo"] = "national"
    budget: Annotated[Literal["fixed", "free"] | Pair, BeforeValidator(_budget)] = "fixed"
    budget_money: Annotated[Pair, BeforeValidator(_money)] | None = None
    lower: Share = 0.0
    upper: Upper = 2.0
    channels: Annotated[tuple[Bounds, ...], Field(strict=False, max_length=200)] = ()
    groups: Annotated[tuple[Group, ...], Field(strict=False, max_length=200)] = ()
    pacing: Annotated[Literal["last-year", "flat", "steady-or-pulsed"] | int, BeforeValidator(_pacing)] = "last-year"
    pulse: Pulse = Pulse()
    weeks: Weeks | None = None

    @property
    def upper_share(self) -> float:
        """`upper` as a number."""
        return share_of(self.upper)

    @property
    def budget_shares(self) -> tuple[float, float]:
        """Lowest and highest total, shares of the status-quo total; what `budget_money` replaces."""
        if isinstance(self.budget, str):
            return (1.0, 1.0) if self.budget == "fixed" else (0.0, math.inf)
        return self.budget[0], self.budget[1]

    @model_validator(mode="after")
    def _feasible(self) -> ProblemTable:
        if self.lower > self.upper_share:
            raise fault(f"lower {self.lower:g} is above upper {self.upper_share:g}", "lower <= upper", "lower")
        low, high = self.budget_shares
        scaled = self.budget_money is None and not self.channels  # money and shares meet in a world
        if scaled and (self.lower > high or self.upper_share < low):
            raise fault("no plan fits the budget and the bounds", "lower <= budget <= upper", "budget")
        return self

    @model_validator(mode="after")
    def _agree(self) -> ProblemTable:
        unique(self.channels, "channels")
        if self.budget_money is not None and "budget" in self.model_fields_set:
            raise fault("budget and budget_money given together", "shares or money", "budget_money")
        for one in self.channels:
            lower = self.lower if one.lower is None else one.lower
            upper = self.upper_share if one.upper is None else share_of(one.upper)
            if one.lower_money is None and one.upper_money is None and lower > upper:
                raise fault(f"lower {lower:g} is above upper {upper:g}", "lower <= upper", f"channels.{one.name}.lower")
        if self.pacing != "steady-or-pulsed" and self.pulse != Pulse():
            raise fault(f"pacing is {self.pacing!r}", "pacing = 'steady-or-pulsed'", "pulse")
        if self.scope == "geo" and self.pacing not in ("last-year", "flat"):
            raise fault(f"{self.pacing!r} for every geo", "scope = 'national', 'last-year' or 'flat'", "pacing")
        return self
