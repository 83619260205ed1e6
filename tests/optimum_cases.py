"""The certified optimum of the oracle's problems, and what holds between it and an independent search."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from optimum_media import Media, curves
from oracle import decisions, oracle, plans, search
from oracle.problems import Terms, problem

from simbench import optimum
from simbench.optimum import METHODS
from simbench.world.scenario import Scenario
from simbench.world.truth import draw

SECOND = 64  #: futures from here on value plans, those before find the optimum
#: A search may find so much more than an optimum that was itself only searched, as a share of the money at stake.
EXCESS = 1e-6


class Case(NamedTuple):
    """One problem: what is claimed of it, and all that a search needs."""

    name: str
    value: Any  #: amounts [B, U] -> money [B], by the oracle's own formulas
    room: search.Room
    amounts: np.ndarray  #: [U] the optimum
    best: float  #: what they are worth, as claimed
    bound: float
    certified: bool
    method: str  #: how it was found
    proven: bool  #: whether a tight bound is claimed: the units do not interact
    money: float  #: what is at stake: the status quo's spend, or what can be spent
    gain: float  #: attainable beyond the status quo (an equal split where there is none)
    found_here: bool  #: the futures that value it are those that it was found on: nothing better is there by luck


def limits_of(room: search.Room) -> optimum.Constraints:
    """The same feasible set in the words of the package."""
    return optimum.one_world(room.lower, room.upper, room.budget, room.groups, *room.group_bounds.T)


def case_of(kind: str, units: int, seed: int) -> Case:
    """A problem of the oracle, solved."""
    asked = problem(kind, units, seed)
    limits = limits_of(asked.room)
    if isinstance(asked, Terms):
        found = optimum.separable(curves(Media(*(part[None] for part in asked[:4]))), limits)
    else:
        cells = optimum.pchip_cells(asked.levels, asked.kpi, None, asked.worth)
        found = optimum.separable(cells, limits)
    equal = optimum.project(np.full((1, units), asked.room.money / units), limits)
    best = float(found.value[0])
    return Case(
        f"{kind}, {units} units, {seed}", asked.value, asked.room, found.amounts[0], best, float(found.upper_bound[0]),
        bool(found.certified[0]), METHODS[found.method[0]], True, asked.room.money,
        best - float(asked.value(equal)[0]), True,
    )  # fmt: skip


def cases_of(scenario: Scenario, replicate: int, first: int = SECOND) -> list[Case]:
    """Every problem of a drawn world, valued by the oracle on 64 futures from number `first` on.

    On the first ones nothing is claimed but that the amounts are the best there.
    """
    drawn = draw(scenario, [replicate])
    one = oracle.case(scenario, replicate, first=first)
    world = one.world
    now = decisions.status_quo(world, one.factual.lever[world.P : world.P + world.T, 0])
    told = []
    for asked, label, best in zip(
        scenario.questions.problems, drawn.labels.problems, drawn.truths[0].optima, strict=True
    ):
        units = decisions.units_of(one, asked, now)
        room = search.room(units.lower, units.upper, units.budget, units.groups, units.group_bounds)
        value, amounts = plans.valuer(one, units), np.asarray(best.amounts)
        claimed = (float(best.value), float(best.upper_bound), bool(best.certified))
        told.append(Case(
            f"{scenario.name} {replicate}: {label}", value, room, amounts,
            *(claimed if first == SECOND else (float(value(amounts[None])[0]), np.inf, False)),
            "", bool(best.separable), float(units.status_quo.sum()), float(best.value - best.reference_value),
            first != SECOND or len(one.futures) == 1,
        ))  # fmt: skip
    return told


def faults(case: Case, found: search.Found) -> list[str]:
    """What is wrong between a claimed optimum and what a search has found; nothing, one hopes."""
    rounding = 1e-12 * (abs(case.best) + case.money)
    box = np.minimum(case.amounts - case.room.lower, case.room.upper - case.amounts).min()
    told = case.value(case.amounts[None])[0]
    close = 1e-4 * max(case.gain, 0.01 * case.money)
    checks = {
        "the optimum is not feasible": min(box, search.slack(case.amounts[None], case.room)[0]) < -1e-9 * case.money,
        f"the optimum is worth {told}, not {case.best}": abs(told - case.best) > 1e-9 * case.money,
        f"{found.value} is found above the bound {case.bound}": found.value > case.bound + rounding,
        f"{found.value} is found, more than the optimum's {case.best}": (
            not case.proven and case.found_here and found.value > case.best + EXCESS * case.money
        ),
        f"the gap is {case.bound - case.best}": case.proven and not case.bound - case.best <= close,
        "not certified": case.proven and not case.certified,
    }
    return [f"{case.name}: {text}" for text, wrong in checks.items() if wrong]
