"""Questions about the weeks from the origin on: plans, responses and the worth of amounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .physics import World, rollout

if TYPE_CHECKING:
    from .oracle import Case


def status_quo(world: World, panel: np.ndarray) -> np.ndarray:
    """plans[0] from the factual levers [T, G, C] of the panel: last year's same weeks, [Hd, G, C]."""
    T = world.T
    if T >= 52:
        return np.array([panel[T - 52 + h % 52] for h in range(world.Hd)])
    if world.Hd <= T:
        return panel[T - world.Hd :].copy()
    return np.array([panel[h % T] for h in range(world.Hd)])


class Units(NamedTuple):
    """An allocation problem in money: plan = sum_u amount_u * weight_u."""

    weight: np.ndarray  # [U, Hd, G, C]
    status_quo: np.ndarray  # [U]
    levels: np.ndarray  # [U, L]
    lower: np.ndarray  # [U]
    upper: np.ndarray  # [U]
    budget: np.ndarray  # [2] lowest and highest total
    groups: np.ndarray  # [N, U]
    group_bounds: np.ndarray  # [N, 2]


def units_of(one: Case, problem: Any, plan: np.ndarray) -> Units:
    """Units, their status quo and the levels asked."""
    if problem.pacing != "last-year":
        return paced(one, problem, plan)
    world, (Hd, G, C) = one.world, plan.shape
    weights, amounts = [], []
    pairs = [(slice(None), c) for c in range(C)]
    if problem.scope == "geo":
        pairs = [(slice(g, g + 1), c) for g in range(G) for c in range(C)]
    for geos, c in pairs:
        own = np.zeros((Hd, G, C))
        own[:, geos, c] = plan[:, geos, c]
        amounts.append(own.sum())
        if amounts[-1] == 0:
            own[:, geos, c] = world.share[geos] / world.share[geos].sum() / Hd
        weights.append(own / own.sum())
    quo = np.array(amounts)
    upper = 5.0 if problem.upper == "none" else problem.upper
    L = int(one.scenario.questions.levels)
    steps = np.array([(step / (L - 1)) ** 2 for step in range(L)])
    low, high = {"fixed": (1.0, 1.0), "free": (0.0, upper)}.get(problem.budget, problem.budget)
    names = [channel.name for channel in world.channels]
    members = [[float(names[c] in group.channels) for _, c in pairs] for group in problem.groups]
    groups, bounds = rows_of(problem.groups, members, quo.sum(), problem.lower * quo, upper * quo)
    return Units(
        np.array(weights), quo, (upper * quo)[:, None] * steps, problem.lower * quo, upper * quo,
        np.array([low, high]) * quo.sum(), np.array(groups).reshape(-1, len(pairs)), np.array(bounds).reshape(-1, 2),
    )  # fmt: skip


def rows_of(groups: Any, members: Any, total: float, lower: np.ndarray, upper: np.ndarray) -> tuple[list, list]:
    """Rows [U] and (lowest, highest) of groups; an end that is not given is the furthest that the bounds reach."""
    rows: list[np.ndarray] = []
    bounds: list[list[float]] = []
    for group, own in zip(groups, members, strict=True):
        own = np.asarray(own, float)
        money = [group.low_money, group.high_money]
        if group.of == "plan":
            if group.low > 0:  # sum over the group - low x sum over all >= 0
                rows.append(own - group.low)
                bounds.append([0.0, max(0.0, np.maximum(rows[-1] * lower, rows[-1] * upper).sum())])
            if group.high is not None:
                rows.append(own - group.high)
                bounds.append([min(0.0, np.minimum(rows[-1] * lower, rows[-1] * upper).sum()), 0.0])
            shares = [0.0, None]
        else:
            shares = [group.low * total, None if group.high is None else group.high * total]
        if group.of != "plan" or money != [None, None]:
            low, high = (share if amount is None else amount for share, amount in zip(shares, money, strict=True))
            rows.append(own)
            bounds.append([low, max(low, own @ upper) if high is None else high])
    return rows, bounds


def paced(one: Case, problem: Any, plan: np.ndarray) -> Units:
    """Units of a national problem by stretches of weeks, or steady and pulsed; channels of the first piece first."""
    Hd, G, C = plan.shape
    weeks, total = np.arange(Hd), plan.sum(axis=(0, 1))
    names, owner = [channel.name for channel in one.world.channels], []
    weights, quo, least, most = [], [], [], []
    if mixed := problem.pacing == "steady-or-pulsed":
        pieces = [weeks >= 0, weeks % (problem.pulse.on + problem.pulse.off) < problem.pulse.on]
    else:
        pieces = [weeks // problem.pacing == k for k in range(-(-Hd // problem.pacing))]
    for k, piece in enumerate(pieces):
        for c in range(C):
            own = np.zeros((Hd, G, C))
            own[piece, :, c] = plan[:, :, c].mean(axis=0) if mixed else plan[piece, :, c]
            if own.sum() == 0:
                own[piece, :, c] = one.world.share
            now, even = plan[piece, :, c].sum(), total[c] * piece.mean()
            weights.append(own / own.sum())
            owner.append(c)
            quo.append((total[c] if k == 0 else 0.0) if mixed else now)
            least.append(0.0 if mixed else problem.lower * min(now, even))
            most.append(problem.upper * (total[c] if mixed else max(now, even)))
    members = np.array(owner)
    own = [np.isin(members, [names.index(name) for name in group.channels]) for group in problem.groups]
    groups, bounds = rows_of(problem.groups, own, total.sum(), np.array(least), np.array(most))
    if mixed:
        groups += [members == c for c in range(C)]
        bounds += [[problem.lower * total[c], problem.upper * total[c]] for c in range(C)]
    low, high = {"fixed": (1.0, 1.0)}.get(problem.budget, problem.budget)
    return Units(
        np.array(weights), np.array(quo), np.zeros((len(quo), 0)), np.array(least), np.array(most),
        np.array([low, high]) * total.sum(), np.array(groups, float).reshape(-1, len(quo)),
        np.array(bounds, float).reshape(-1, 2),
    )  # fmt: skip


def slack(units: Units, amounts: np.ndarray) -> float:
    """How far amounts are inside the constraints; negative where one is violated."""
    total, members = amounts.sum(), units.groups @ amounts
    sides = [
        amounts - units.lower, units.upper - amounts, [total - units.budget[0], units.budget[1] - total],
        members - units.group_bounds[:, 0], units.group_bounds[:, 1] - members,
    ]  # fmt: skip
    return float(min(np.min(side, initial=np.inf) for side in sides))


def feasible_amounts(units: Units, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random amounts [count, U] inside bounds and budget (groups not looked at)."""
    found = []
    for _ in range(count):
        x = rng.random(len(units.upper))
        total = rng.uniform(units.budget[0], min(units.budget[1], units.upper.sum()))
        short, long = -20.0, 20.0  # bisect for lower + (upper - lower) x^(e^exponent) to sum to the total
        for _ in range(200):
            middle = (short + long) / 2
            amounts = units.lower + (units.upper - units.lower) * x ** np.exp(middle)
            short, long = (middle, long) if amounts.sum() > total else (short, middle)
        found.append(amounts)
    return np.array(found)


def plan_of(units: Units, amounts: np.ndarray) -> np.ndarray:
    """Levers [..., Hd, G, C] of amounts [..., U]."""
    return np.tensordot(amounts, units.weight, axes=1)


def played(one: Case, plans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """KPI gained over plans[0] and money spent in every future, [K, B], of plans [B, Hd, G, C]."""
    world, origin = one.world, one.world.P + one.world.T
    lever = np.zeros((len(world.q), len(plans), *plans.shape[2:]))
    lever[:origin] = one.held[:origin]
    lever[origin : origin + world.Hd] = np.swapaxes(plans, 0, 1)
    gained, spent = [], []
    for future in one.futures:
        roll = rollout(future, lever, start=origin, past=one.factual)
        mu = roll.mu[origin : origin + world.Hd + world.tail]
        gained.append((mu - mu[:, :1]).sum(axis=(0, 2)))
        spent.append(roll.paid[origin : origin + world.Hd].sum(axis=(0, 2, 3)))
    return np.array(gained), np.array(spent)


def worth(one: Case, plans: np.ndarray) -> np.ndarray:
    """V(plan) - V(plans[0]) in money in every future, [K, B]."""
    gained, spent = played(one, plans)
    return one.world.margin * one.world.unit_value * gained - (spent - spent[:, :1])


def error_of_mean(x: np.ndarray) -> np.ndarray:
    """Monte Carlo error of a mean over futures, the leading axis."""
    return x.std(axis=0, ddof=1) / np.sqrt(len(x)) if len(x) > 1 else np.zeros(x.shape[1:])


def decided(one: Case) -> dict[str, Any]:
    """Plans and their values, problems and their responses, the forecast; errors where futures are many."""
    world, origin = one.world, one.world.P + one.world.T
    quo = status_quo(world, one.factual.lever[world.P : origin, 0])
    plans = [quo, 1.2 * quo, 0.8 * quo]
    for c in range(len(world.channels)):
        off = quo.copy()
        off[:, :, c] = 0
        plans.append(off)
    value = worth(one, np.array(plans))
    problems = [units_of(one, problem, quo) for problem in one.scenario.questions.problems]
    responses, costs = [], []
    for units in problems:
        U, L = units.levels.shape
        amounts = np.repeat(units.status_quo[None], U * L, axis=0)
        for u in range(U):
            amounts[u * L : (u + 1) * L, u] = units.levels[u]
        gained, spent = (x.reshape(-1, U, L) for x in played(one, plan_of(units, amounts)))
        responses.append(gained - gained[:, :, :1])
        costs.append(spent - spent[:, :, :1])  # of all channels: what is induced is charged too
    return {
        "forecast": one.outlook.mu[origin : origin + world.H, 0],
        "kpi_future": one.factual.kpi[origin : origin + world.H, 0],
        "plans": np.array(plans),
        "plan_value": value.mean(axis=0),
        "plan_value_error": error_of_mean(value),
        "problems": problems,
        "response": [x.mean(axis=0) for x in responses],
        "response_error": [error_of_mean(x) for x in responses],
        "response_paid": [x.mean(axis=0) for x in costs],
        "exact": len(one.futures) == 1,
    }
