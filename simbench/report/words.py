"""Scenarios and truths in words: plain text and plain dicts, no layout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from simbench.report.changes import differences, swept
from simbench.report.numbers import number as number
from simbench.world.scenario import BREAKS, Scenario, base_of, family, points, scenario_digest
from simbench.world.scenario_numbers import Table

#: Differences below this share are not worth a sentence.
NOTABLE = 0.005


# --- numbers and phrases


def short(value: float) -> str:
    """Three digits that say how much: 1.23 million, 45.7k, 812, 0.041."""
    size = abs(value)
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else ("more than can be said" if value > 0 else "no limit")
    for limit, unit, word in ((999.5e6, 1e9, " billion"), (999.5e3, 1e6, " million"), (9995.0, 1e3, "k")):
        if size >= limit:
            return f"{_digits(value / unit)}{word}"
    return _digits(value)


def _digits(value: float) -> str:
    size = abs(value)
    if size >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 9.995 else f"{value:.2f}" if size >= 0.0995 else f"{value:.2g}"


def percent(share: float) -> str:
    """A share as a percentage: 27%, 3.1%, 0.04%."""
    size = abs(100 * share)
    if not math.isfinite(size):
        return "an unknown share"
    return f"{100 * share:.0f}%" if size >= 9.95 else f"{100 * share:.1f}%" if size >= 0.095 else f"{100 * share:.2g}%"


def clean(text: str) -> str:
    """Text of a file on one line, without characters that a terminal would obey."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else "?" for c in text).split())


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def phrase(table: Any, *left_out: str) -> str:
    """A table of the file on one line: its kind or name, then what it says beyond the defaults."""
    chooser = next((key for key in ("kind", "rule", "name") if hasattr(table, key)), "")
    said = [getattr(table, chooser)] if chooser else []
    for key, field in type(table).model_fields.items():
        value = getattr(table, key)
        if key not in (chooser, *left_out) and value is not None and value != field.default:
            said.append(f"{key.replace('_', ' ')} {_item(value)}")
    return ", ".join(said)


def _item(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(_item(v) for v in value)
    if hasattr(value, "dist") or not isinstance(value, Table):
        return number(value)
    return f"({phrase(value) or 'as usual'})"


# --- a scenario


def card(scenario: Scenario) -> dict[str, Any]:
    """What a scenario is, for a person and for ``--json``."""
    time, points_of, base, sweep = scenario.time, points(scenario), base_of(scenario), swept(scenario)
    return {
        "name": scenario.name,
        "title": clean(scenario.title),
        "summary": clean(scenario.summary),
        "breaks": scenario.breaks,
        "breaks_meaning": BREAKS[scenario.breaks],
        "who_should_win": clean(scenario.who_should_win),
        "unrealistic": clean(scenario.unrealistic),
        "source": clean(scenario.source),
        "superseded_by": clean(scenario.superseded_by),
        "family": family(scenario),
        "digest": scenario_digest(scenario),
        "base": "" if base is None else base.name,
        "changes": [] if base is None else differences(base, scenario),
        "sweep": "" if sweep is None else f"{sweep.path}: {sweep.text}",
        "points": [] if scenario.sweep is None else [point.name for point in points_of],
        "time": {key: getattr(time, key) for key in ("start", "weeks", "pre_history", "holdout", "horizon", "tail")},
        "geos": scenario.geo.count,
        "geo_spread": phrase(scenario.geo, "count", "tiers"),
        "tiers": [phrase(tier) for tier in scenario.geo.tiers],
        "budget_cycle": "" if scenario.spend.cycle is None else phrase(scenario.spend.cycle),
        "spend_correlation": "" if scenario.spend.correlation is None else number(scenario.spend.correlation),
        "synergies": [phrase(synergy) for synergy in scenario.synergies],
        "kpi": {"unit": scenario.kpi.unit, "value": scenario.kpi.value, "margin": scenario.kpi.margin},
        "demand": _demand(scenario),
        "noise": phrase(scenario.noise),
        "measure": [phrase(step, "name") for step in scenario.measure],
        "problems": [phrase(problem) for problem in scenario.questions.problems],
        "channels": [_channel(channel) for channel in scenario.channels],
    }


def _demand(scenario: Scenario) -> list[str]:
    demand = scenario.demand
    said = [f"level {number(demand.level)} {scenario.kpi.unit} a week"]
    said += [f"trend {phrase(demand.trend)}"] if demand.trend.kind != "none" else []
    said += [f"season {phrase(demand.season, 'part_of_a_year')}"] if demand.season.kind != "none" else []
    if demand.shock is not None:
        said.append(f"unseen shocks of sd {number(demand.shock.sd)}, rho {number(demand.shock.rho)}")
    said += [f"break {each.name}: {phrase(each, 'name')}" for each in demand.breaks]
    said += [f"competitor {each.name}: {phrase(each, 'name', 'seen')}{_sight(each)}" for each in demand.competitors]
    if demand.promotions is not None:
        every, weeks, low, high = (number(getattr(demand.promotions, key)) for key in ("every", "weeks", "low", "high"))
        moved = f"discounts from {low} to {high}, elasticity {number(demand.promotions.elasticity)}"
        said.append(f"promotions of {weeks} weeks in every {every}, {moved}{_sight(demand.promotions)}")
    said += [f"event {event.name}, lift {number(event.lift)}{_sight(event)}" for event in demand.events]
    said += [
        f"control {control.name}: {phrase(control, 'name', 'seen')}{_sight(control)}" for control in scenario.controls
    ]
    return said


def _sight(entry: Any) -> str:
    """A word about what analysts do not see."""
    return "" if entry.seen else " (hidden)"


def _channel(channel: Any) -> dict[str, str]:
    effect = f"effect {number(channel.effect)}" if channel.roas is None else f"ROAS {number(channel.roas)}"
    if channel.effectiveness is not None:
        effect += f"; over time {phrase(channel.effectiveness)}"
    if channel.price is not None:
        effect += f"; price {phrase(channel.price)}"
    if channel.exposure_seen:
        effect += "; contacts are seen"
    if channel.national_only:
        effect += "; one budget for the nation"
    return {
        "name": channel.name,
        "kind": channel.kind,
        "spend": phrase(channel.spend, "lever") + (" (bought)" if channel.spend.lever == "bought" else ""),
        "carry_over": phrase(channel.carry_over),
        "saturation": phrase(channel.saturation) + (", first" if channel.order == "saturation-first" else ""),
        "effect": effect,
    }


# --- a truth


class ChannelTruth(NamedTuple):
    """One channel over the whole panel. KPI units, and money through the value of a KPI unit."""

    name: str
    bought: bool
    contribution: float
    share: float  #: of the panel's KPI
    paid: float
    roas: float
    marginal_roas: float
    cost: float  #: money per KPI unit gained
    responding: float  #: contribution, when the advertiser's rules react
    path_held: float  #: contribution, when what other channels paid is frozen


class Move(NamedTuple):
    """Money of one unit over the decision horizon."""

    unit: str
    now: float  #: status quo, projected into what is feasible
    best: float
    cap: bool = False  #: the money is a cap: demand decides what is spent of it


#: What is said of the pacing of a problem.
PACING = {"last-year": "", "flat": ", the same every week", "steady-or-pulsed": ", steady or in pulses"}


class ProblemTruth(NamedTuple):
    """The best decision of one allocation problem; values are money against the reference decision."""

    name: str
    budget: str  #: "the same budget", "any budget", "80% to 120% of the budget"
    spend: float  #: of the status quo
    gain: float
    gap: float  #: no plan earns more than gain + gap; inf where nothing is proven
    certified: bool
    separable: bool
    moves: tuple[Move, ...]
    weeks: int = 0  #: that are decided; 0 = the horizon
    pacing: str = ""  #: how money is laid over weeks, where not as last year


class TruthFacts(NamedTuple):
    """What the truth of one replicate says."""

    replicate: int
    kpi: str
    horizon: int
    total: float  #: KPI of the panel
    media_share: float  #: all media off against factual, of the panel's KPI
    interaction: float  #: all off less the sum of contributions, KPI units
    channels: tuple[ChannelTruth, ...]
    problems: tuple[ProblemTruth, ...]


def facts(drawn: Any, i: int = 0) -> TruthFacts:
    """What replicate `i` of a `Drawn` is, in numbers."""
    brief, truth, scenario = drawn.briefs[i], drawn.truths[i], drawn.scenario
    worth = float(brief.context.unit_value)
    form, weeks = drawn.secret.form, drawn.secret.weeks
    total = float(np.sum(drawn.secret.path.kpi[i, form.pre : form.pre + weeks]))  # as it was, however it is seen
    contribution, paid = np.asarray(truth.answers.contribution[0]), np.asarray(truth.paid[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        roas, cost = worth * contribution / paid, paid / contribution
    channels = tuple(
        ChannelTruth(
            name, bool(brief.context.bought[c]), float(contribution[c]), float(contribution[c]) / total,
            float(paid[c]), float(roas[c]), worth * float(truth.answers.marginal[0, c]), float(cost[c]),
            float(truth.responding.contribution[0, c]), float(truth.path_held.contribution[0, c]),
        )
        for c, name in enumerate(drawn.labels.channels)
    )  # fmt: skip
    bought = {channel.name for channel in channels if channel.bought}
    problems = tuple(
        _problem(asked, problem, best, units, bought)
        for asked, problem, best, units in zip(
            scenario.questions.problems,
            brief.questions.problems,
            truth.optima,
            drawn.labels.units,
            strict=True,
        )
    )
    media = float(truth.all_off[0])
    return TruthFacts(
        drawn.replicates[i], scenario.kpi.unit, scenario.time.horizon, total, media / total,
        media - float(contribution.sum()), channels, problems,
    )  # fmt: skip


def _problem(asked: Any, problem: Any, best: Any, units: Sequence[str], bought: set[str]) -> ProblemTruth:
    low, high = asked.budget_shares
    budget = "any budget" if math.isinf(high) else f"{percent(low)} to {percent(high)} of the budget"
    budget = "the same budget" if low == high == 1.0 else budget
    if asked.budget_money is not None:
        budget = f"a budget of {' to '.join(short(end) for end in dict.fromkeys(asked.budget_money))}"
    moves = tuple(
        Move(unit, float(now), float(then), bool(bought.intersection(unit.split("/"))))
        for unit, now, then in zip(units, best.reference, best.amounts, strict=True)
    )
    return ProblemTruth(
        asked.name, budget, float(problem.status_quo.sum()),
        float(best.value - best.reference_value), float(best.upper_bound - best.value),
        bool(best.certified > 0.5), bool(best.separable > 0.5), moves, asked.weeks or 0,
        PACING.get(asked.pacing, f", {asked.pacing} weeks at a time"),
    )  # fmt: skip


def sentences(told: TruthFacts) -> list[str]:
    """What the truth says, one paragraph an item."""
    return [_media(told), *_readings(told), *(_decision(problem, told.horizon) for problem in told.problems)]


def _media(told: TruthFacts) -> str:
    counted = told.kpi != "revenue"

    def of(channel: ChannelTruth) -> str:
        if channel.paid <= 0:
            return f"{channel.name} spent nothing"
        cost = f", {short(channel.cost)} per incremental conversion" if counted and channel.contribution > 0 else ""
        returns = f"ROAS {_digits(channel.roas)}{cost}, marginal {_digits(channel.marginal_roas)}"
        return f"{channel.name} {percent(channel.share)} ({returns})"

    parts = "; ".join(of(channel) for channel in told.channels)
    said = f"Media brought {percent(told.media_share)} of {told.kpi}: {parts}."
    if abs(told.interaction) > NOTABLE * abs(told.media_share * told.total):
        more = "more" if told.interaction > 0 else "less"
        said += f" All of them together brought {short(abs(told.interaction))} {more} than the sum of the parts."
    return said


def _readings(told: TruthFacts) -> list[str]:
    """Where the three readings of "turn it off" differ."""
    bought = listed([channel.name for channel in told.channels if channel.bought])
    frozen, reacting = _differing(told, "path_held"), _differing(told, "responding")
    said = []
    if frozen:
        said.append(
            f"Turning a channel off also changes what {bought} buys. Contribution with that, against all "
            f"other spend frozen (path-held): {frozen}."
        )
    if reacting:
        said.append(
            "Turning a channel off also makes the advertiser's own rule react. Contribution with all other "
            f"levers held, against the rule running (responding): {reacting}."
        )
    return said


def _differing(told: TruthFacts, reading: str) -> str:
    pairs = [(channel.name, channel.contribution, getattr(channel, reading)) for channel in told.channels]
    apart = [abs(held - other) / max(abs(held), 1e-12) for _, held, other in pairs]
    if max(apart) <= NOTABLE:
        return f"no more than {percent(max(apart))} apart" if max(apart) > 1e-6 else ""
    return "; ".join(
        f"{name} {short(held)} against {short(other)}"
        for (name, held, other), share in zip(pairs, apart, strict=True)
        if share > NOTABLE
    )


def changes(problem: ProblemTruth) -> tuple[list[Move], list[Move]]:
    """Units that give and units that get money, the largest first; below 1% of spend is no change."""
    least = 0.01 * problem.spend
    ordered = sorted(problem.moves, key=lambda move: (-abs(move.best - move.now), move.unit))
    changed = [move for move in ordered if abs(move.best - move.now) > least]
    return [move for move in changed if move.best < move.now], [move for move in changed if move.best > move.now]


def _decision(problem: ProblemTruth, horizon: int) -> str:
    giving, getting = changes(problem)
    lead = f"Next {problem.weeks or horizon} weeks, {problem.budget}{problem.pacing}: "
    now, best = sum(move.now for move in problem.moves), sum(move.best for move in problem.moves)
    if not giving and not getting:
        return f"{lead}nothing better than the status quo is possible; {proof(problem)}."
    if abs(best - now) <= 0.01 * problem.spend:
        moved = sum(move.now - move.best for move in giving)
        act = f"moves {short(moved)} from {_names(giving)} to {_names(getting)}"
    else:
        parts = [f"{word} on {_names(moves)}" for word, moves in (("less", giving), ("more", getting)) if moves]
        change = percent(abs(best / now - 1)) if now > 0 else short(best)
        act = f"spends {change} {'less' if best < now else 'more'} in all, {' and '.join(parts)}"
    earned = f"and earns {short(problem.gain)} more ({percent(problem.gain / problem.spend)} of media spend)"
    return f"{lead}the best plan {act}, {earned}; {proof(problem)}."


def proof(problem: ProblemTruth) -> str:
    """How well the optimum is known."""
    if math.isinf(problem.gap):
        return "the best of a search, without a bound that proves it"
    share = max(problem.gap, 0.0) / problem.spend if problem.spend else 0.0
    gap = "0.001%" if share < 1e-5 else percent(share)
    return (
        f"proven to within {gap} of media spend"
        if problem.certified
        else f"at most {gap} of media spend more is possible"
    )


def _names(moves: Sequence[Move], most: int = 4) -> str:
    names = [f"{move.unit} (its cap)" if move.cap else move.unit for move in moves]
    return listed(names if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} others"])
