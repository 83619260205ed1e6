"""What an analyst sees of a drawn world, and what is asked about it, at any origin."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from simbench import briefs
from simbench.briefs import Spec
from simbench.errors import BadInput
from simbench.problems import ChannelSpec, GroupSpec, ProblemSpec, Words, words_of
from simbench.records import KINDS, Brief, Future, Labels, Panel, Sizes
from simbench.world.base import Noise, Observation, State
from simbench.world.forms import Form
from simbench.world.scenario import Scenario
from simbench.world.scenario_checks import geo_names
from simbench.world.scenario_problems import Bounds, Group, ProblemTable, share_of

Array = Any
#: The shortest history that is asked about.
LEAST_WEEKS = 8


def weeks_before(origin: int, weeks: int) -> int:
    """Weeks of data before an origin of 0 or -k weeks, counted from the end of a panel of `weeks`.

    Raises
    ------
    BadInput
        If it is no whole number, lies after the panel, or leaves fewer than `LEAST_WEEKS`.
    """
    earliest = min(LEAST_WEEKS - weeks, 0)
    right = f"a whole number from {earliest} to 0: a panel of {weeks} weeks keeps {LEAST_WEEKS} or more"
    if isinstance(origin, bool) or not isinstance(origin, (int, np.integer)) or not earliest <= origin <= 0:
        raise BadInput("origin", repr(origin), right)
    return weeks + int(origin)


def spec_of(scenario: Scenario, form: Form, origin: int = 0) -> Spec:
    """What the scenario asks at an origin of 0 or -k weeks, in shares of the status quo."""
    asked = scenario.questions
    return Spec(
        windows=windows_of(scenario, form.weeks + origin),
        multipliers=tuple(asked.multipliers),
        levels=asked.levels,
        margin=float(scenario.kpi.margin),
        horizon=form.horizon,
        problems=tuple(problem_spec(scenario, p) for p in asked.problems),
        sizes=Sizes(tail=form.tail, impulse_lags=asked.impulse_lags, draws=asked.draws),
    )


def problem_spec(scenario: Scenario, asked: ProblemTable) -> ProblemSpec:
    """One problem by positions of channels and geos."""
    names, geos = [channel.name for channel in scenario.channels], geo_names(scenario.geo.count)
    starts = np.cumsum([0, *(tier.geos for tier in scenario.geo.tiers)])
    of_tier = {tier.name: tuple(range(a, a + tier.geos)) for tier, a in zip(scenario.geo.tiers, starts, strict=False)}

    def group(g: Group) -> GroupSpec:
        channels = tuple(map(names.index, names if g.channels is None else g.channels))
        chosen = tuple(map(geos.index, g.geos or ())) + sum((of_tier[tier] for tier in g.tiers or ()), ())
        high, low_money, high_money = map(number, (g.high, g.low_money, g.high_money))
        return GroupSpec(channels, float(g.low), high, chosen, g.of, low_money, high_money)

    def number(x: Any) -> float | None:
        return None if x is None else float(share_of(x))

    def bounds(one: Bounds) -> ChannelSpec:
        given = (one.lower, one.upper, one.lower_money, one.upper_money)
        return ChannelSpec(names.index(one.name), *map(number, given))

    low, high = asked.budget_shares
    return ProblemSpec(
        asked.name, asked.scope, None if asked.budget == "free" else (float(low), float(high)), float(asked.lower),
        float(asked.upper_share), tuple(map(group, asked.groups)), tuple(map(bounds, asked.channels)),
        None if asked.budget_money is None else (asked.budget_money[0], asked.budget_money[1]), asked.pacing,
        (asked.pulse.on, asked.pulse.off), asked.weeks,
    )  # fmt: skip


def problem_words(scenario: Scenario, form: Form) -> tuple[Words, ...]:
    """What each problem and its parts are called."""
    channels, geos = [channel.name for channel in scenario.channels], geo_names(form.geos)
    asked = scenario.questions.problems
    return tuple(words_of(problem_spec(scenario, problem), channels, geos, form.horizon) for problem in asked)


def windows_of(scenario: Scenario, weeks: int) -> tuple[tuple[int, int], ...]:
    """The windows asked about after some weeks of data; the reader has put the whole panel first.

    One that would end after the data moves back as a whole, to end with them (the last year stays
    a last year), and begins with week 0 at the earliest.
    """

    def moved(start: int, stop: int) -> tuple[int, int]:
        back = max(stop - weeks, 0)
        return max(start - back, 0), stop - back

    return tuple(moved(window[0], window[1]) for window in scenario.questions.windows or ())


def labels_of(scenario: Scenario, form: Form, origin: int = 0) -> Labels:
    """Names and dates of a scenario's briefs at an origin of 0 or -k weeks."""
    channels = tuple(channel.name for channel in scenario.channels)
    geos, asked = geo_names(form.geos), problem_words(scenario, form)
    return Labels(
        channels=channels,
        geos=geos,
        controls=form.columns,
        start=(date.fromisoformat(scenario.time.start) - date(1970, 1, 1)).days,
        windows=tuple(f"weeks {a}-{b - 1}" for a, b in windows_of(scenario, form.weeks + origin)),
        plans=briefs.plan_names(channels),
        problems=tuple(words.problem for words in asked),
        units=tuple(words.units for words in asked),
        kpi=scenario.kpi.unit,
    )


def contacts_of(scenario: Scenario, now: State, path: Observation) -> Array | None:
    """Contacts [R, P+T+H, G, C] that were paid for, at the price of week 0; 0 where a channel's are not shown.

    None where no channel's are.
    """
    shown = np.array([channel.exposure_seen for channel in scenario.channels])
    if not shown.any():
        return None
    rate = now["media"]["media"].rate
    bought = path.paid if rate is None else path.paid * rate[:, : path.paid.shape[1], None]
    return np.where(shown, bought, 0.0)


def brief_of(scenario: Scenario, form: Form, noise: Noise, now: State, path: Observation, controls: Array) -> Brief:
    """What the analyst sees of a drawn batch at the moment `now`."""
    replicates, origin = path.kpi.shape[0], int(now["week"][0])
    weeks = origin - form.pre
    holdout, later = slice(origin, origin + form.holdout), slice(origin, origin + form.future)
    t = noise.given["t"]
    seen = controls
    public = [i for i, name in enumerate(form.events) if name in form.columns]
    if public:  # dates of these events are known: one 0/1 column each
        happens = np.broadcast_to(noise.given["events"][public].T, (replicates, form.total, len(public)))
        seen = np.concatenate([controls, happens], axis=-1)
    seen = np.repeat(seen[:, :, None, :], form.geos, axis=2)
    calendar = np.broadcast_to(briefs.calendar_of(date.fromisoformat(scenario.time.start), t), (replicates, form.total))
    contacts = contacts_of(scenario, now, path)

    def observed(x: Array) -> Array:  # the panel's rows; nothing of the weeks from the origin on
        rows = np.array(x[:, form.pre : form.pre + form.weeks])
        rows[:, weeks:] = 0.0
        return rows

    panel = Panel(
        origin=np.full(replicates, weeks, dtype=np.int32),
        lever=observed(path.lever),
        spend=observed(path.paid),
        exposure=None if contacts is None else observed(contacts),
        kpi=observed(path.kpi),
        controls=observed(seen),
        calendar=observed(calendar),
        population=now["told"]["population"],
        mask=observed(np.ones((replicates, form.total))),
    )
    future = Future(
        lever=path.lever[:, holdout],
        spend=path.paid[:, holdout],
        exposure=None if contacts is None else contacts[:, holdout],
        controls=seen[:, later],
        calendar=calendar[:, later].copy(),
    )
    channels = scenario.channels
    context = briefs.context_of(
        panel,
        weeks,
        noise.numbers["kpi.value"],
        [KINDS.index(c.kind) for c in channels],
        [c.bought for c in form.channels],
        [c.national_only for c in channels],
        (np.array([c.prior.mean for c in channels]), np.array([c.prior.sd for c in channels])),
    )
    spec = spec_of(scenario, form, weeks - form.weeks)
    return Brief(panel, briefs.questions_of(spec, panel, future, weeks), context)
