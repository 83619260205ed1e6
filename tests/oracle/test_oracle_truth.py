"""The generator against the oracle: every number of a brief and of its truth, on 50 random scenarios."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simbench.world.scenario import read_scenario
from simbench.world.truth import draw

from . import decisions, oracle, plans, search
from .random_scenarios import FEW, RECORDED, random_scenario, recorded_csv

SEEDS = range(50)
REPLICATES = 3
#: Every structure compiles its own programs: few by default, as many as wanted for a wider look.
STRUCTURES = int(os.environ.get("SIMBENCH_ORACLE_STRUCTURES", FEW))
TOLERANCE = 1e-9  # of the largest entry of an array


def faults(pairs: dict[str, tuple[Any, ...]]) -> list[str]:
    """Names and errors of the arrays that disagree; undefined entries must be undefined in both.

    A third array gives the scale where the largest entry can be nothing but rounding.
    """
    found = []
    for name, (ours, expected, *natural) in pairs.items():
        ours, expected = np.asarray(ours, dtype=np.float64), np.asarray(expected, dtype=np.float64)
        if ours.shape != expected.shape:
            found.append(f"{name}: shape {ours.shape}, oracle {expected.shape}")
            continue
        if not np.array_equal(np.isnan(ours), np.isnan(expected)):
            found.append(f"{name}: undefined at {np.argwhere(np.isnan(ours) != np.isnan(expected)).tolist()}")
            continue
        scale = np.nanmax(np.abs(np.asarray((natural or [expected])[0])), initial=0.0) or 1.0
        error = np.nanmax(np.abs(ours - expected), initial=0.0) / scale
        if not error <= TOLERANCE:
            found.append(f"{name}: {error:.2e}")
    return found


def seen(brief: Any, path: dict[str, np.ndarray], expected: dict[str, Any], T: int, H: int) -> dict[str, Any]:
    """What the analyst sees, beside what the oracle drew."""
    panel, questions, future, context = brief.panel, brief.questions, brief.questions.future, brief.context
    G = path["share"].shape[0]
    controls = np.repeat(path["controls"][:, None, :], G, axis=1)
    pairs = {
        "panel.origin": (panel.origin, T),
        "panel.lever": (panel.lever, path["lever"][:T]),
        "panel.spend": (panel.spend, path["paid"][:T]),
        "panel.kpi": (panel.kpi, path["kpi"][:T]),
        "panel.controls": (panel.controls, controls[:T]),
        "panel.calendar": (panel.calendar, path["calendar"][:T]),
        "panel.population": (panel.population, path["population"]),
        "panel.mask": (panel.mask, np.ones(T)),
        "future.lever": (future.lever, path["lever"][T : T + H]),
        "future.spend": (future.spend, path["paid"][T : T + H]),
        "future.controls": (future.controls, controls[T:]),
        "future.calendar": (future.calendar, path["calendar"][T:]),
        "plans": (questions.plans, expected["plans"]),
        "context.kpi_scale": (context.kpi_scale, path["kpi"][:T].sum(axis=1).mean()),
        "context.spend_scale": (context.spend_scale, path["paid"][:T].sum(axis=1).mean(axis=0)),
        "context.unit_value": (context.unit_value, path["unit_value"]),
        "context.bought": (context.bought, path["bought"]),
    }
    for i, (problem, units) in enumerate(zip(questions.problems, expected["problems"], strict=True)):
        pairs[f"problem {i} status_quo"] = (problem.status_quo, units.status_quo)
        pairs[f"problem {i} levels"] = (problem.levels, units.levels)
        pairs[f"problem {i} lower"] = (problem.lower, units.lower, units.status_quo)
        pairs[f"problem {i} upper"] = (problem.upper, units.upper)
        pairs[f"problem {i} budget"] = (problem.budget, units.budget)
        pairs[f"problem {i} groups"] = (problem.groups, units.groups)
        pairs[f"problem {i} group_low"] = (problem.group_low, units.group_bounds[:, 0], units.budget)
        pairs[f"problem {i} group_high"] = (problem.group_high, units.group_bounds[:, 1], units.budget)
        pairs[f"problem {i} base"] = (problem.base, 0 * expected["plans"][0])
        for u in range(len(units.status_quo)):
            share = np.where(problem.unit == u, problem.weight, 0.0).sum(axis=0)
            pairs[f"problem {i} weight {u}"] = (share, units.weight[u])
    return pairs


def known(truth: Any, expected: dict[str, Any]) -> dict[str, Any]:
    """What only the world knows, beside what the oracle computed."""
    answers = truth.answers
    pairs = {
        name: (getattr(answers, name), expected[name])
        for name in (
            "contribution", "marginal", "curve", "impulse", "baseline", "contribution_geo", "forecast",
            "plan_value",
        )
    }  # fmt: skip
    for reading in ("responding", "path_held"):
        for field in ("contribution", "marginal"):
            pairs[f"{reading}.{field}"] = (getattr(getattr(truth, reading), field), expected[reading][field])
    for field in ("paid", "shapley", "all_off", "kpi_future"):
        pairs[field] = (getattr(truth, field), expected[field])
    pairs["cut_off"] = (truth.cut_off, expected["cut_off"], expected["contribution"])
    if not expected["exact"]:
        value = expected["plan_value"]
        pairs["mc_se.plan_value"] = (truth.mc_se.plan_value, expected["plan_value_error"], value)
        for i, error in enumerate(expected["response_error"]):
            pairs[f"mc_se.response {i}"] = (truth.mc_se.response[i], error, expected["response"][i])
    for i, (response, cost) in enumerate(zip(expected["response"], expected["response_paid"], strict=True)):
        pairs[f"response {i}"] = (answers.response[i], response)
        if answers.response_paid is not None:
            pairs[f"response_paid {i}"] = (answers.response_paid[i], cost)
    return pairs


def best(case: Any, truth: Any, problems: list[Any], seed: int) -> list[str]:
    """The optimum of every problem: feasible, worth what it says, with nothing above its bound.

    Nothing is better on the futures that it was found on; by luck something may be on those that value plans.
    """
    found, rng = [], np.random.default_rng(seed)
    bought = any(channel.bought for channel in case.world.channels)
    interacts = bought or bool(case.world.synergies)
    there = oracle.case(case.scenario, seed % REPLICATES, first=0) if bought else case
    for i, (optimum, units) in enumerate(zip(truth.optima, problems, strict=True)):
        money = units.status_quo.sum()
        others = decisions.feasible_amounts(units, 60, rng)
        asked = np.concatenate([units.status_quo[None], [optimum.reference, optimum.amounts], others])
        feasible = np.array([decisions.slack(units, amounts) >= -1e-9 * money for amounts in asked])
        value = decisions.worth(case, decisions.plan_of(units, asked))
        expected = value.mean(axis=0)
        found += faults(
            {
                f"optimum {i} separable": (optimum.separable, float(not interacts)),
                f"optimum {i} reference_value": (optimum.reference_value, expected[1], money),
                f"optimum {i} value": (optimum.value, expected[2], money),
                f"optimum {i} mc_se": (
                    optimum.mc_se,
                    decisions.error_of_mean(value[:, 2] - value[:, 1]),
                    money,
                ),
            }
        )
        for name, amounts in (("reference", optimum.reference), ("amounts", optimum.amounts)):
            inside = decisions.slack(units, np.asarray(amounts))
            if inside < -1e-9 * money:
                found.append(f"optimum {i} {name}: not feasible by {-inside:.2e}")
        room = search.room(units.lower, units.upper, units.budget, units.groups, units.group_bounds)
        evolved = search.evolved(plans.valuer(case, units), room, seed, generations=15, population=30)
        worth, searched = plans.valuer(there, units), evolved
        if there is not case:
            searched = search.evolved(worth, room, seed, generations=15, population=30)
        claimed = float(worth(np.asarray(optimum.amounts)[None])[0])
        if searched.value > claimed + 1e-6 * money:
            found.append(f"optimum {i}: worth {claimed} where it was found, and a search finds {searched.value}")
        highest = max(expected[feasible].max(), evolved.value)
        if highest > optimum.upper_bound + 1e-6 * money:
            found.append(f"optimum {i} upper_bound: {optimum.upper_bound} below a plan worth {highest}")
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_truth_equals_oracle(seed: int, tmp_path: Path) -> None:
    (tmp_path / "world.toml").write_text(random_scenario(seed, STRUCTURES))
    (tmp_path / RECORDED).write_text(recorded_csv(seed))
    scenario = read_scenario(tmp_path / "world.toml")
    replicate = seed % REPLICATES
    case = oracle.case(scenario, replicate)
    expected, path = oracle.truth_of(case), oracle.paths_of(case)
    drawn = draw(scenario, replicates=[replicate])
    found = faults(seen(drawn.briefs[0], path, expected, scenario.time.weeks, scenario.time.holdout))
    found += faults(known(drawn.truths[0], expected))
    found += best(case, drawn.truths[0], expected["problems"], seed)
    assert found == []
