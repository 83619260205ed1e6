"""What must agree across the tables of a scenario, on the worst numbers it can draw."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from simbench.world.scenario_numbers import fault, highest, lowest, nearest, support, unique

if TYPE_CHECKING:
    from simbench.world.scenario_model import Scenario
    from simbench.world.scenario_problems import Group, ProblemTable

WEEKS_A_YEAR = 365.25 / 7
COUNTS = ("poisson", "negative-binomial")


def check(scenario: Scenario) -> None:
    """Raise a fault for the first thing that does not agree."""
    unique(scenario.controls, "controls")
    unique(scenario.channels, "channels")
    unique(scenario.synergies, "synergies")
    unique(scenario.measure, "measure")
    for each in CHECKS:
        each(scenario)


def _columns(scenario: Scenario) -> None:
    """Every control, competitor and event, and the promotions, may be a column: their names differ."""
    demand = scenario.demand
    taken = {} if demand.promotions is None else {"promotion": "the column of promotions"}
    parts = (
        ("controls", "a control", scenario.controls),
        ("demand.competitors", "a competitor", demand.competitors),
        ("demand.events", "an event", demand.events),
    )
    for key, what, entries in parts:
        for name in (entry.name for entry in entries):
            if name in taken:
                raise fault(f"'{name}' is {taken[name]} too", "names must differ", f"{key}.{name}.name")
            taken[name] = what


def _trend(scenario: Scenario) -> None:
    trend = scenario.demand.trend
    if trend.kind not in ("linear", "piecewise"):
        return
    first, last = -scenario.time.pre_history, scenario.time.weeks + scenario.time.future - 1
    knots, slopes = ((), (trend.per_year,)) if trend.kind == "linear" else (trend.knots, trend.per_year)
    if knots and not first < knots[0] <= knots[-1] < last:
        right = f"between {first} and {last}, the simulated weeks"
        raise fault(f"knots {list(knots)!r:.60} lie outside", right, "demand.trend.knots")
    pieces = list(zip(pairwise((first, *knots, last)), slopes, strict=True))

    def change(end: int) -> float:  # the lowest that the trend can do between weeks 0 and `end`
        total = 0.0
        for (start, stop), slope in pieces:
            weeks = min(stop, max(end, 0)) - max(start, min(end, 0))
            if weeks > 0:
                total += weeks * (lowest(slope) if end > 0 else -highest(slope))
        return total / WEEKS_A_YEAR

    if min(1.0 + change(end) for end in (first, *knots, last)) <= 0.0:
        right = f"a positive trend from week {first} to week {last}"
        raise fault("the trend can reach zero demand", right, "demand.trend.per_year")


def _season(scenario: Scenario) -> None:
    season, weeks = scenario.demand.season, scenario.time.weeks
    if season.kind != "none" and weeks < 52 and not season.part_of_a_year:
        right = "52 weeks or more, or part_of_a_year = true: no model can tell such a season from a trend"
        raise fault(f"{weeks} weeks show only a part of it", right, "demand.season.part_of_a_year")


def _events(scenario: Scenario) -> None:
    time = scenario.time
    start = datetime.date.fromisoformat(time.start)
    first = start - datetime.timedelta(weeks=time.pre_history)
    last = start + datetime.timedelta(weeks=time.weeks + time.future, days=-1)
    for event in scenario.demand.events:
        for date in event.dates:
            if not first <= datetime.date.fromisoformat(date) <= last:
                right = f"dates from {first} to {last}, or a longer [time]"
                raise fault(f"'{date}' is outside the simulated weeks", right, f"demand.events.{event.name}.dates")


def _breaks(scenario: Scenario) -> None:
    first, end = -scenario.time.pre_history, scenario.time.weeks + scenario.time.future
    for each in scenario.demand.breaks:
        key = f"demand.breaks.{each.name}"
        if lowest(each.week) < first or highest(each.week) > end - 1:
            right = f"between {first} and {end - 1}, the simulated weeks"
            raise fault("the break can lie outside", right, f"{key}.week")
        left = end - highest(each.week)
        if each.kind == "spell" and highest(each.weeks) > left:
            right = f"at most {left:g}, or kind = 'level' for one that never ends"
            raise fault("the spell can be longer than what is left", right, f"{key}.weeks")
    for rival in scenario.demand.competitors:
        if rival.kind == "entrant" and lowest(rival.week) > end - 1:
            right = f"{end - 1} or before, the last simulated week"
            raise fault("it never enters", right, f"demand.competitors.{rival.name}.week")


def _descendants(scenario: Scenario) -> None:
    reacting = next((c.name for c in scenario.channels if c.spend.reactions or c.spend.lever == "bought"), None)
    for control in scenario.controls:
        if control.of_media != 0.0 and reacting is not None:
            right = "budgets that follow a plan: what media bring must be known before the KPI is"
            raise fault(f"'{reacting}' reacts to demand or sales", right, f"controls.{control.name}.of_media")


def _counts(scenario: Scenario) -> None:
    if scenario.noise.kind in COUNTS and scenario.kpi.unit == "revenue":
        right = "unit = 'conversions', and the value of one"
        raise fault(f"noise.kind = '{scenario.noise.kind}' counts, and money is no count", right, "kpi.unit")


def _correlation(scenario: Scenario) -> None:
    members = [channel for channel in scenario.channels if channel.spend.rule == "correlated"]
    correlation, key = scenario.spend.correlation, "spend.correlation"
    if len(members) < 2:
        if correlation is not None:
            raise fault(f"{len(members)} channels have rule = 'correlated'", "no correlation, or two", key)
        return
    if correlation is None:
        raise fault(f"missing for {len(members)} channels with rule = 'correlated'", "a correlation", key)
    least, attained = -1.0 / (len(members) - 1), support(correlation)[2]
    if lowest(correlation) < least or (lowest(correlation) == least and attained):
        raise fault(
            f"{lowest(correlation):g} is out of range",
            f"above {least:.4g}: {len(members)} channels cannot all be less alike",
            key,
        )
    if scenario.time.weeks <= len(members):
        right = f"more than {len(members)}, the number of correlated channels"
        raise fault(f"{scenario.time.weeks} weeks are too few", right, "time.weeks")


def _plans(scenario: Scenario) -> None:
    """What a plan follows is there, and what changes it does so in weeks that are simulated."""
    demand, end = scenario.demand, scenario.time.weeks + scenario.time.future
    for channel in scenario.channels:
        spend, key = channel.spend, f"channels.{channel.name}.spend"
        for word, missing, right in (
            ("cycle", scenario.spend.cycle is None and "is no [spend.cycle]", "its rho and sd, or cycle = 0"),
            ("anticipation", demand.promotions is None and "is no [demand.promotions]", "them, or anticipation = 0"),
            ("season", demand.season.kind == "none" and "is no season of demand", "a [demand.season], or season = 0"),
            ("peaks", not demand.events and "are no [[demand.events]]", "an event with its dates, or peaks = 0"),
        ):
            if missing and getattr(spend, word, 0.0) != 0.0:
                raise fault(f"there {missing}", right, f"{key}.{word}")
        if channel.price is not None and channel.price.season != 0.0 and demand.season.kind == "none":
            right = "a [demand.season], or season = 0"
            raise fault("there is no season of demand", right, f"channels.{channel.name}.price.season")
        first = getattr(spend, "from_week", None)
        if first is not None and first >= end:
            right = f"before {end}, the end of the simulated weeks"
            raise fault(f"{first:g} is never reached: no money at all", right, f"{key}.from_week")
        for step in getattr(spend, "steps", ()):
            last = float("inf") if step.weeks is None else step.week + step.weeks
            if step.week >= end or last <= -scenario.time.pre_history:
                right = f"within {-scenario.time.pre_history} to {end - 1}, the simulated weeks"
                raise fault(f"the step at {step.week:g} changes nothing", right, f"{key}.steps.{step.name}.week")


def _national(scenario: Scenario) -> None:
    for channel in scenario.channels:
        if channel.national_only and scenario.geo.count == 1:
            place = f"channels.{channel.name}.national_only"
            raise fault("true in a national world", "false, or geo.count > 1", place)


def _tiers(scenario: Scenario) -> None:
    for tier in scenario.geo.tiers:
        if tier.launch is not None and not 0 <= tier.launch < scenario.time.weeks:
            right = f"a week of the panel, 0 to {scenario.time.weeks - 1}"
            raise fault(f"{tier.launch:g} is outside the data", right, f"geo.tiers.{tier.name}.launch")


def _synergies(scenario: Scenario) -> None:
    names = [channel.name for channel in scenario.channels]
    pairs: dict[frozenset[str], str] = {}
    for synergy in scenario.synergies:
        key = f"synergies.{synergy.name}.channels"
        _named(synergy.channels, names, key)
        first = pairs.setdefault(frozenset(synergy.channels), synergy.name)
        if first != synergy.name:
            pair = " and ".join(synergy.channels)
            raise fault(f"'{first}' is of {pair} too", "every pair once, in either order", key)
        unbounded = [c.name for c in scenario.channels if c.name in synergy.channels and not c.saturation.ceiling]
        if unbounded:
            right = "channels whose saturation has a ceiling"
            raise fault(f"'{unbounded[0]}' has a saturation without a ceiling", right, key)


def _effectiveness(scenario: Scenario) -> None:
    first, last = -scenario.time.pre_history, scenario.time.weeks + scenario.time.future - 1
    for channel in scenario.channels:
        model, key = channel.effectiveness, f"channels.{channel.name}.effectiveness"
        if model is None:
            continue
        if model.kind == "random-walk" and channel.order == "saturation-first":
            right = "order = 'carry-over-first': a walk acts in the week in which the effect arrives"
            raise fault("'random-walk' of a channel that saturates first", right, f"{key}.kind")
        if model.kind == "shift" and not first <= model.week <= last:
            raise fault(f"{model.week:g} is outside the simulated weeks", f"{first} to {last}", f"{key}.week")


def _follows(scenario: Scenario) -> None:
    names = [channel.name for channel in scenario.channels]
    follows = {
        channel.name: channel.spend.follows or ()
        for channel in scenario.channels
        if channel.spend.rule == "demand-capturing"
    }
    for name, others in follows.items():
        for other in others:
            if other not in names:
                raise fault(f"'{other}' is no channel", nearest(other, names), f"channels.{name}.spend.follows")
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = " -> ".join((*path[path.index(name) :], name))
            raise fault(f"{circle} is a circle", "follow without a circle", f"channels.{name}.spend.follows")
        if name not in done:
            for other in follows.get(name, ()):
                visit(other, (*path, name))
            done.add(name)

    for name in follows:
        visit(name, ())


def _measure(scenario: Scenario) -> None:
    names, weeks = [channel.name for channel in scenario.channels], scenario.time.weeks
    claiming: set[str] = set()
    for step in scenario.measure:
        key, channels = f"measure.{step.name}", getattr(step, "channels", None) or ()
        _named(channels, names, f"{key}.channels")
        for word, most in (("week", weeks - 1), ("count", weeks)):
            if getattr(step, word, 0) > most:
                raise fault(f"{getattr(step, word)} for {weeks} weeks of data", f"at most {most}", f"{key}.{word}")
        if step.kind == "claims":
            again = claiming.intersection(channels or names)
            if again:
                raise fault(f"'{min(again)}' claims in a step before", "every channel once", f"{key}.channels")
            claiming.update(channels or names)


def _windows(scenario: Scenario) -> None:
    weeks, questions = scenario.time.weeks, scenario.questions
    for start, stop in questions.windows or ():
        if not 0 <= start < stop <= weeks:
            right = f"[start, stop] with 0 <= start < stop <= {weeks}"
            raise fault(f"windows outside the data: [{start}, {stop}]", right, "questions.windows")
    if questions.impulse_lags > scenario.time.tail + 1:
        right = f"at most tail + 1 = {scenario.time.tail + 1}"
        raise fault(f"{questions.impulse_lags} is too long", right, "questions.impulse_lags")


def _problems(scenario: Scenario) -> None:
    names = [channel.name for channel in scenario.channels]
    unbounded = [channel.name for channel in scenario.channels if not channel.saturation.ceiling]
    for problem in scenario.questions.problems:
        key = f"questions.problems.{problem.name}"
        if problem.scope == "geo" and scenario.geo.count == 1:
            raise fault("'geo' in a national world", "geo.count > 1, or scope = 'national'", f"{key}.scope")
        open_above = [(f"{key}.upper", unbounded)] if problem.upper == "none" else []
        for one in problem.channels:
            _named([one.name], names, f"{key}.channels.{one.name}.name")
            if one.upper == "none":
                open_above.append((f"{key}.channels.{one.name}.upper", [c for c in unbounded if c == one.name]))
        for place, found in open_above:
            if found:
                right = f"a number: {', '.join(found[:5])} has a saturation without a ceiling"
                raise fault("'none' leaves the best plan infinite", right, place)
        for position, group in enumerate(problem.groups):
            _group(scenario, problem.scope, group, names, f"{key}.groups.{position}")
        _pacing(scenario, problem, key)


def _group(scenario: Scenario, scope: str, group: Group, names: Sequence[str], key: str) -> None:
    _named(group.channels or (), names, f"{key}.channels")
    parts = (("geos", geo_names(scenario.geo.count), "geo"), ("tiers", [t.name for t in scenario.geo.tiers], "tier"))
    for word, known, what in parts:
        asked = getattr(group, word)
        if asked is not None:
            if scope != "geo":
                raise fault(f"{word} in a problem of the nation", "scope = 'geo'", f"{key}.{word}")
            _named(asked, known, f"{key}.{word}", what)


def _pacing(scenario: Scenario, problem: ProblemTable, key: str) -> None:
    horizon = scenario.time.horizon
    weeks = horizon if problem.weeks is None else problem.weeks
    if weeks > horizon:
        raise fault(f"{weeks} weeks are decided", f"at most time.horizon = {horizon}", f"{key}.weeks")
    if isinstance(problem.pacing, int) and problem.pacing > weeks:
        raise fault(f"a stretch of {problem.pacing} weeks", f"at most {weeks}, the weeks decided", f"{key}.pacing")
    if problem.pacing == "steady-or-pulsed" and problem.pulse.on >= weeks:
        raise fault(f"{problem.pulse.on} weeks on of {weeks}", "fewer than are decided", f"{key}.pulse.on")


def geo_names(count: int) -> tuple[str, ...]:
    """Names of the geos of a scenario."""
    return tuple(f"geo-{g + 1:03d}" for g in range(count)) if count > 1 else ("national",)


def _named(asked: Sequence[str], names: Sequence[str], place: str, what: str = "channel") -> None:
    for name in asked:
        if name not in names:
            raise fault(f"'{name}' is no {what}", nearest(name, names), place)
        if asked.count(name) > 1:
            raise fault(f"'{name}' occurs twice", f"every {what} once", place)


CHECKS = (
    _columns, _trend, _events, _breaks, _descendants, _counts, _correlation, _plans, _national, _tiers,
    _follows, _synergies, _effectiveness, _measure, _windows, _problems, _season,
)  # fmt: skip
