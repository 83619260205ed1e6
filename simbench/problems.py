"""Allocation problems: from shares and rules of a file to amounts of money, for a batch of replicates.

A problem's levers are cut into *pieces* (geos, stretches of weeks, ways of flighting); a unit is one
channel in one piece. Formulas: docs/estimands.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from simbench.records import Form, Problem

Array = Any
#: How the money of a unit is laid over weeks, where `pacing` is no number of weeks.
LAST_YEAR, FLAT, STEADY_OR_PULSED = "last-year", "flat", "steady-or-pulsed"
#: What the shares of a group are shares of: last year's total, or the total that is decided.
STATUS_QUO, PLAN = "status-quo", "plan"


class GroupSpec(NamedTuple):
    """Units whose money together stays within limits."""

    channels: tuple[int, ...]
    low: float  #: share
    high: float | None  #: share; None = as much as bounds allow
    geos: tuple[int, ...] = ()  #: () = all
    of: str = STATUS_QUO  #: or PLAN
    low_money: float | None = None  #: in place of the share
    high_money: float | None = None


class ChannelSpec(NamedTuple):
    """Bounds of one channel's own; None = the problem's."""

    channel: int
    lower: float | None = None  #: share of the status quo
    upper: float | None = None
    lower_money: float | None = None  #: of the whole channel
    upper_money: float | None = None


class ProblemSpec(NamedTuple):
    """An allocation problem in shares of the status quo, before there is money."""

    name: str
    scope: str  #: "national" or "geo"
    budget: tuple[float, float] | None  #: shares of the status-quo total; None = free
    lower: float  #: share of each unit's status quo
    upper: float
    groups: tuple[Any, ...]  #: each a GroupSpec, or its first fields
    channels: tuple[ChannelSpec, ...] = ()
    budget_money: tuple[float, float] | None = None  #: in place of `budget`
    pacing: str | int = LAST_YEAR  #: or the weeks of a stretch that has amounts of its own
    pulse: tuple[int, int] = (2, 2)  #: weeks on and weeks off of a pulsed flighting
    weeks: int | None = None  #: weeks that are decided; None = the horizon


class Piece(NamedTuple):
    """Levers that hold one unit of every channel."""

    name: str  #: "" where there is only one
    slot: int  #: place on the first axis of `Problem.unit`
    weeks: Array  #: [n] int
    geos: slice
    even: bool  #: the same money every week, else as the status quo


def pieces(spec: ProblemSpec, geos: Sequence[str], horizon: int) -> list[Piece]:
    """The pieces of a problem: one for the nation as it was, else one a geo, a stretch of weeks or a flighting."""
    weeks = np.arange(horizon if spec.weeks is None else spec.weeks)
    every = slice(0, len(geos))
    if spec.pacing == STEADY_OR_PULSED:
        on, off = spec.pulse
        return [
            Piece("steady", 0, weeks, every, True), Piece("pulsed", 1, weeks[weeks % (on + off) < on], every, True),
        ]  # fmt: skip
    if spec.scope == "geo":
        return [Piece(name, 0, weeks, slice(g, g + 1), spec.pacing == FLAT) for g, name in enumerate(geos)]
    if isinstance(spec.pacing, str) or spec.pacing >= len(weeks):
        return [Piece("", 0, weeks, every, spec.pacing == FLAT)]
    starts = range(0, len(weeks), spec.pacing)
    stretches = [weeks[start : start + spec.pacing] for start in starts]
    return [Piece(stretch_name(part), 0, part, every, False) for part in stretches]


def stretch_name(weeks: Array) -> str:
    """What a stretch of weeks of the horizon is called; the first is week 1."""
    first, last = weeks[0] + 1, weeks[-1] + 1
    return f"week {first}" if first == last else f"weeks {first}-{last}"


def unit_names(spec: ProblemSpec, channels: Sequence[str], geos: Sequence[str], horizon: int) -> tuple[str, ...]:
    """Names of a problem's units, piece by piece: ``tv``, ``geo-001/tv``, ``tv/weeks 1-13``, ``tv/pulsed``."""
    by_geo = spec.scope == "geo"
    return tuple(
        "/".join(filter(None, (piece.name, channel) if by_geo else (channel, piece.name)))
        for piece in pieces(spec, geos, horizon)
        for channel in channels
    )


class Words(NamedTuple):
    """What a problem and its parts are called."""

    problem: str
    units: tuple[str, ...]
    rows: tuple[str, ...]  #: of `Problem.groups`


def words_of(spec: ProblemSpec, channels: Sequence[str], geos: Sequence[str], horizon: int) -> Words:
    """Names for errors."""
    units, told = unit_names(spec, channels, geos, horizon), []
    for group in one_row_each(spec):
        parts = [channels[c] for c in group.channels], [geos[g] for g in group.geos]
        less = f" less {100 * share_of_plan(group):g}% of the plan" if group.of == PLAN else ""
        told.append(f"the group of {' in '.join(', '.join(part) for part in parts if part)}{less}")
    bound = _bound_as_a_whole(spec, len(units) // len(channels), len(channels))
    return Words(spec.name, units, (*told, *(f"channel {channels[c]}" for c in bound)))


def one_row_each(spec: ProblemSpec) -> list[GroupSpec]:
    """The groups of a problem, those that take several rows cut up: each end of a share of the plan, then money."""
    rows = []
    for group in (GroupSpec(*each) for each in spec.groups):
        if group.of == STATUS_QUO:
            rows.append(group)
            continue
        bare = GroupSpec(group.channels, 0.0, None, group.geos)
        if group.low > 0:
            rows.append(bare._replace(low=group.low, of=PLAN))
        if group.high is not None:
            rows.append(bare._replace(high=group.high, of=PLAN))
        if (group.low_money, group.high_money) != (None, None):
            rows.append(bare._replace(low_money=group.low_money, high_money=group.high_money))
    return rows


def share_of_plan(group: GroupSpec) -> float:
    """The one share of the plan of a group that takes one row."""
    return group.low if group.high is None else group.high


def row_of(
    group: GroupSpec, members: Array, total: Array, lower: Array, upper: Array
) -> tuple[Array, tuple[Array, Array]]:
    """Coefficients [U] of a group that takes one row, and what they may come to: lowest [R], highest [R].

    A share s of the plan is linear: the group's money less s times all money is at least, or at most, nothing. An
    end that is not asked for is what the bounds [R, U] allow.
    """
    row = np.asarray(members, dtype=float) - (share_of_plan(group) if group.of == PLAN else 0.0)
    up, down = np.maximum(row, 0.0), np.minimum(row, 0.0)
    least, most = lower @ up + upper @ down, upper @ up + lower @ down
    if group.of == PLAN:
        return row, (0.0 * total, np.maximum(most, 0.0)) if group.high is None else (
            np.minimum(least, 0.0),
            0.0 * total,
        )
    low = group.low * total if group.low_money is None else group.low_money + 0.0 * total
    if group.high_money is not None:
        return row, (low, group.high_money + 0.0 * total)
    return row, (low, np.maximum(low, most) if group.high is None else group.high * total)


def shares(lever: Array, population: Array) -> Array:
    """Weights that sum to 1 over weeks and geos [R, Hd, G, C]; by population where nothing was spent."""
    total = lever.sum(axis=(1, 2), keepdims=True)
    people = population / population.sum(axis=-1, keepdims=True)
    flat = np.broadcast_to(people[:, None, :, None] / lever.shape[1], lever.shape)
    return np.where(total > 0, lever / np.where(total > 0, total, 1.0), flat)


def problem_of(spec: ProblemSpec, status_quo: Array, population: Array, levels: int, margin: float) -> Problem:
    """A problem in money, around the status-quo levers [R, Hd, G, C] of a batch.

    Units are channels; where there are several pieces, all channels of the first piece come first.
    """
    replicates, horizon, geos, channels = status_quo.shape
    cut, decided = pieces(spec, [""] * geos, horizon), status_quo[:, : spec.weeks]
    column, units, slots = np.arange(channels), len(cut) * channels, 1 + max(piece.slot for piece in cut)
    unit = np.full((slots, horizon, geos, channels), -1, dtype=np.int32)
    weight = np.zeros((replicates, slots, horizon, geos, channels))
    spent = np.zeros((replicates, len(cut), channels))  # what is pulsed in place of steady money starts from none
    for k, piece in enumerate(cut):
        part, at = status_quo[:, piece.weeks, piece.geos], (piece.slot, piece.weeks, piece.geos)
        if piece.slot == 0:
            spent[:, k] = part.sum(axis=(1, 2))
        if piece.even:
            part = np.broadcast_to(decided[:, :, piece.geos].mean(axis=1, keepdims=True), part.shape)
        unit[at] = k * channels + column
        weight[:, *at] = shares(part, population[:, piece.geos])
    lower, upper, rows = _limits(spec, cut, spent)
    now = spent.reshape(replicates, units)
    total = now.sum(axis=-1)
    low, high = (
        (spec.budget_money[0] + 0.0 * total, spec.budget_money[1] + 0.0 * total)
        if spec.budget_money is not None
        else (np.zeros(replicates), upper.sum(axis=-1))
        if spec.budget is None
        else (spec.budget[0] * total, spec.budget[1] * total)
    )
    asked, owner = one_row_each(spec), np.tile(column, len(cut))
    place = np.repeat([piece.geos.start for piece in cut], channels)
    members = [np.isin(owner, group.channels) & (not group.geos or np.isin(place, group.geos)) for group in asked]
    made = [row_of(group, part, total, lower, upper) for group, part in zip(asked, members, strict=True)]
    groups = np.array([*(row for row, _ in made), *(owner == channel for channel, *_ in rows)], dtype=float)
    groups, ends = groups.reshape(-1, units), [limits for _, limits in made] + [limits for _, *limits in rows]
    group_low, group_high = np.array(ends, dtype=float).reshape(-1, 2, replicates).transpose(1, 2, 0)
    spaced = (np.arange(levels) / (levels - 1)) ** 2  # dense near zero, where curves bend
    base = np.array(status_quo)
    base[:, : spec.weeks] = 0.0
    return Problem(
        base=base,
        unit=np.broadcast_to(unit, (replicates, *unit.shape)),
        weight=weight,
        status_quo=now,
        levels=upper[:, :, None] * spaced,
        lower=lower,
        upper=upper,
        budget=np.stack([low, high], axis=-1),
        groups=np.broadcast_to(groups, (replicates, *groups.shape)).copy(),
        group_low=group_low,
        group_high=group_high,
        margin=np.full(replicates, margin),
        form=Form(disjoint=len(cut) == 1 or spec.scope == "geo"),
    )


def _limits(
    spec: ProblemSpec, cut: Sequence[Piece], spent: Array
) -> tuple[Array, Array, list[tuple[int, Array, Array]]]:
    """Bounds [R, U] of the units, and of channels as a whole: (channel, lowest [R], highest [R]).

    A share bounds each unit, money the whole channel. A stretch of weeks is bounded by shares of what it had, or would
    have had in an even year, whatever is wider. Steady and pulsed money of a channel are bounded together.
    """
    replicates, count, channels = spent.shape
    own = {one.channel: one for one in spec.channels}
    each = [own.get(c, ChannelSpec(c)) for c in range(channels)]
    share_low = np.array([spec.lower if one.lower is None else one.lower for one in each])
    share_high = np.array([spec.upper if one.upper is None else one.upper for one in each])
    mixed, whole, least, most = spec.pacing == STEADY_OR_PULSED, spent.sum(axis=1), spent, spent
    if mixed:
        least, most = 0.0 * spent, np.broadcast_to(whole[:, None], spent.shape)
    elif isinstance(spec.pacing, int) and count > 1:
        length = np.array([len(piece.weeks) for piece in cut])
        even = whole[:, None] * (length / length.sum())[:, None]
        least, most = np.minimum(spent, even), np.maximum(spent, even)
    lower, upper = share_low * least, share_high * most
    low, high = (share_low * whole, share_high * whole) if mixed else (lower.sum(axis=1), upper.sum(axis=1))
    for one in spec.channels:
        if one.lower_money is not None:
            low[:, one.channel] = one.lower_money
        if one.upper_money is not None:
            high[:, one.channel] = one.upper_money
    if count == 1:
        lower, upper = low[:, None], high[:, None]
    if mixed:
        upper = np.broadcast_to(high[:, None], spent.shape)
    rows = [(c, low[:, c], high[:, c]) for c in _bound_as_a_whole(spec, count, channels)]
    return lower.reshape(replicates, -1), upper.reshape(replicates, -1), rows


def _bound_as_a_whole(spec: ProblemSpec, count: int, channels: int) -> list[int]:
    """Channels of several units whose money together is bounded."""
    if spec.pacing == STEADY_OR_PULSED:
        return list(range(channels))
    return [one.channel for one in spec.channels if count > 1 and (one.lower_money, one.upper_money) != (None, None)]
