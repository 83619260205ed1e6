"""The records every room speaks: frozen pytrees of arrays, no logic.

Axis order, everywhere: draws D, replicate R, time T, geo G, channel C; units U,
levels L, weeks of the decision horizon Hd. The geo axis always exists: a national
panel has one geo. Names and dates live in :class:`Labels`, outside every pytree.
A field that is ``None`` is "not there" (or, in :class:`Answers`, "not answered").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from jax.tree_util import register_static

Array = Any  # numpy.ndarray outside a compiled program, jax.Array inside one

KINDS = (
    "tv", "radio", "print", "out-of-home", "online-video", "display", "paid-social",
    "generic-search", "brand-search", "affiliate", "email", "other",
)  # fmt: skip


@register_static
@dataclass(frozen=True)
class Sizes:
    """Static numbers of the questions: they fix shapes, so they are no arrays."""

    tail: int  #: weeks after a window in which its effect still counts
    impulse_lags: int  #: length of the impulse answer
    draws: int  #: joint draws a contender should return


@register_static
@dataclass(frozen=True)
class Form:
    """Static, public facts of an allocation problem."""

    disjoint: bool  #: no two units touch the same lever (channel, geo), at any week


class Panel(NamedTuple):
    """What happened, as the analyst sees it. Rows at or after ``origin`` are masked."""

    origin: Array  #: int32, the number of observed weeks
    lever: Array  #: [T, G, C] money decided (spend where set, the cap where bought)
    spend: Array  #: [T, G, C] money spent
    exposure: Array | None  #: [T, G, C] contacts bought; 0 where a channel's are not counted, None where none's are
    kpi: Array  #: [T, G]
    controls: Array  #: [T, G, K]
    calendar: Array  #: [T] fraction of the year passed, in [0, 1)
    population: Array  #: [G]
    mask: Array  #: [T] 1 where the KPI was recorded; where it is 0 before the origin, the KPI reads 0 and spend is seen
    experiments: Any = None
    claims: Array | None = None  #: [T, G, C] KPI that a platform credits to itself; 0 where none does, or not yet
    paths: Any = None


class Future(NamedTuple):
    """What is given about the weeks from the origin on."""

    lever: Array  #: [H, G, C]
    spend: Array  #: [H, G, C] the holdout's realised spend
    exposure: Array | None  #: [H, G, C] contacts that the holdout's spend buys
    controls: Array  #: [F, G, K], F = max(H, Hd) + tail
    calendar: Array  #: [F]


class Problem(NamedTuple):
    """A choice of amounts a[U] >= 0: ``plan(a) = base + sum_s a[unit_s] * weight_s``."""

    base: Array  #: [Hd, G, C] money that is not up for decision
    unit: Array  #: [S, Hd, G, C] int32, -1 where no unit
    weight: Array  #: [S, Hd, G, C]
    status_quo: Array  #: [U]
    levels: Array  #: [U, L] money; levels[:, 0] = 0
    lower: Array  #: [U]
    upper: Array  #: [U]
    budget: Array  #: [2] lowest and highest total
    groups: Array  #: [N, U] coefficients: 0/1 membership, or membership less a share of the plan's total
    group_low: Array  #: [N]
    group_high: Array  #: [N]
    margin: Array  #: share of the KPI's value that is profit before media
    form: Form


class Questions(NamedTuple):
    """What every contender is asked."""

    windows: Array  #: [W, 2] int32, first and past-the-last week; windows[0] = the whole panel
    multipliers: Array  #: [M]
    margin: Array
    future: Future
    plans: Array  #: [P, Hd, G, C]; plans[0] = status quo
    problems: tuple[Problem, ...]
    sizes: Sizes


class Context(NamedTuple):
    """What every analyst knows beforehand; never a function of the draw."""

    kpi_scale: Array  #: mean weekly national KPI of the training window
    spend_scale: Array  #: [C] mean weekly national spend of the training window
    unit_value: Array  #: money per KPI unit
    national_only: Array  #: [C] 0/1
    kind: Array  #: [C] int32, position in KINDS
    bought: Array  #: [C] 0/1
    prior_roas_mean: Array  #: [C]
    prior_roas_sd: Array  #: [C]


class Brief(NamedTuple):
    """All that an analyst may see."""

    panel: Panel
    questions: Questions
    context: Context


class Labels(NamedTuple):
    """Names and dates of a brief; strings never enter a compiled program."""

    channels: tuple[str, ...]
    geos: tuple[str, ...]
    controls: tuple[str, ...]
    start: int  #: first day of week 0, in days since 1970-01-01
    windows: tuple[str, ...]
    plans: tuple[str, ...]
    problems: tuple[str, ...]
    units: tuple[tuple[str, ...], ...]  #: names of each problem's units
    kpi: str  #: what a KPI unit is: "revenue" or "conversions"


class Diagnostics(NamedTuple):
    """How a fit says it went; NaN = not given."""

    rhat_max: Array
    ess_min: Array
    divergences: Array
    khat_max: Array
    converged: Array
    status: Array


class Answers(NamedTuple):
    """A contender's answers: draw d of every field is one joint draw (leading axis D)."""

    contribution: Array | None = None  #: [D, W, C] KPI units
    marginal: Array | None = None  #: [D, W, C] KPI units per unit of money
    curve: Array | None = None  #: [D, C, M] KPI units, against multiplier 0
    impulse: Array | None = None  #: [D, C, L] share of the effect arrived by lag l
    baseline: Array | None = None  #: [D, T] KPI units with no paid media in windows[0]
    contribution_geo: Array | None = None  #: [D, G, C]
    forecast: Array | None = None  #: [D, H, G] predictive, noise included
    plan_value: Array | None = None  #: [D, P] money against plans[0]
    response: tuple[Array, ...] | None = None  #: each [D, U, L] KPI against amount 0
    response_paid: tuple[Array, ...] | None = None  #: each [D, U, L] money; None = the amount
    allocation: tuple[Array, ...] | None = None  #: each [U]; no draws axis
    promise: tuple[Array, ...] | None = None  #: each [D] own claim for own allocation
    levels: Array | None = None  #: [D] when D are quantile levels, not draws
    diagnostics: Diagnostics | None = None


class Reading(NamedTuple):
    """Contribution and marginal under another reading of an intervention."""

    contribution: Array  #: [W, C]
    marginal: Array  #: [W, C]


class Optimum(NamedTuple):
    """The truth of one allocation problem. Values are money against the status quo."""

    separable: Array  #: 0/1: the world is a sum of one curve a unit
    reference: Array  #: [U] the status quo projected into the feasible set
    reference_value: Array
    amounts: Array  #: [U] the best amounts found
    value: Array
    upper_bound: Array  #: no feasible amounts are worth more
    certified: Array  #: 0/1: upper_bound - value is within the tolerance
    mc_se: Array  #: Monte Carlo error of value - reference_value
    grid_floor: Array  #: lost by allocating on the true curves read off the levels
    reference_kpi: Array | None = None  #: KPI of the reference against the status quo; None: stored before it was kept
    idle_kpi: Array | None = None  #: KPI of amounts of zero against the status quo


class Truth(NamedTuple):
    """The same record without the draws axis, and what only the world knows."""

    answers: Answers
    responding: Reading
    path_held: Reading
    paid: Array  #: [W, C] money really spent
    shapley: Array | None  #: [W, C]
    all_off: Array  #: [W]
    cut_off: Array  #: [W, C] effect that arrives after the tail
    mc_se: Answers  #: Monte Carlo error of `answers`, None where exact
    kpi_future: Array  #: [H, G] as realised
    optima: tuple[Optimum, ...]


class Decision(NamedTuple):
    """What is done in one problem. NaN where nobody decides or nobody claims."""

    amounts: Array  #: [U]
    value: Array  #: money against the status quo, as the world values the amounts
    promise: Array  #: the contender's own claim for these amounts
    projected: Array  #: 1 where what was asked for could not be done and was moved to the nearest that can
    kpi: Array  #: KPI units against the status quo, as the world gives them for the amounts
    sure: Array  #: share of draws in which the answered curves promise more than the reference decision does


class Decisions(NamedTuple):
    """What each problem's answer leads to: one Decision a problem and reading of the answered curves."""

    own: tuple[Decision, ...]  #: the contender's own allocation
    common: tuple[Decision, ...]  #: best mean: the common allocator's on the mean over draws
    plug_in: tuple[Decision, ...]  #: ... on the one curve in the middle of the draws
    risk_aware: tuple[Decision, ...]  #: the best mean of the worst draws
    perfect: tuple[Array, ...]  #: expected worth of perfect information, money; NaN where curves have no draws


class Cost(NamedTuple):
    """What answering one cell took; NaN = not measured."""

    seconds: Array  #: wall clock a cell, compilation apart
    compile_seconds: Array  #: of the call the cell was answered in, shared by its cells
    peak_bytes: Array  #: highest resident memory of the process


class Failure(NamedTuple):
    """Why there is no answer."""

    reason: str  #: one of REASONS
    detail: str


REASONS = ("timeout", "error", "nonfinite", "unconverged", "memory", "unsupported")
