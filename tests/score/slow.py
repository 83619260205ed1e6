"""Scores of one cell by plain loops: another way to the same numbers."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import scoringrules
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq
from scipy.stats import kendalltau

from simbench.score.rows import Case


def weibull(draws: Any, p: float) -> float:
    return float(np.quantile(np.asarray(draws, dtype=float), p, method="weibull"))


def crps(draws: Any, z: float) -> float:
    return float(scoringrules.crps_ensemble(z, np.asarray(draws, dtype=float), estimator="fair"))


def interval_score(draws: Any, z: float, level: float) -> float:
    ends = (weibull(draws, (1 - level) / 2), weibull(draws, (1 + level) / 2))
    return float(scoringrules.interval_score(z, *ends, 1 - level))


def crossing(path: Any, share: float) -> float:
    previous = 0.0
    for lag, arrived in enumerate(path):
        if arrived >= share:
            return lag + (share - previous) / (arrived - previous)
        previous = arrived
    return len(path)


def waiting(path: Any) -> float:
    ends = [0.0, *path]
    return sum(1 - (a + b) / 2 for a, b in pairwise(ends))


def curve_error(grid: Any, told: Any, right: Any, low: float, high: float) -> tuple[float, float]:
    square = whole = 0.0
    for k in range(len(grid) - 1):
        if low <= grid[k] and grid[k + 1] <= high:
            width = (grid[k + 1] - grid[k]) / 2
            square += width * ((told[k] - right[k]) ** 2 + (told[k + 1] - right[k + 1]) ** 2)
            whole += width * (right[k] ** 2 + right[k + 1] ** 2)
    return square, whole


def last_zero(of: Any, top: float) -> float:
    """The largest root of a continuous function on [0, top]; the end it points to where it has none."""
    x = np.linspace(0, top, 4001)
    y = of(x)
    if y[-1] > 0:
        return top
    above = np.flatnonzero(y > 0)
    return brentq(of, x[above[-1]], x[above[-1] + 1]) if len(above) else 0.0


def scores(case: Case) -> dict[str, float]:
    """Most scores of one cell: records without the replicate axis."""
    brief, truth, answers, decisions, cost = case
    told, context, questions = truth.answers, brief.context, brief.questions
    found: dict[str, float] = {}
    origin, worth = int(brief.panel.origin), float(context.unit_value)
    kpi = sum(float(brief.panel.kpi[t].sum()) for t in range(origin))
    channels = told.contribution.shape[1]
    errors, sizes, weighted, covered = [], [], [], {0.5: 0, 0.8: 0, 0.9: 0}
    boxes = widths = spread = confident = 0.0
    for c in range(channels):
        draws, z = [float(x) for x in answers.contribution[:, 0, c]], float(told.contribution[0, c])
        middle, unit = float(np.median(draws)), f"channel:{c}"
        errors.append(abs(middle - z))
        sizes.append(abs(z))
        found[f"contribution/{unit}/median"] = middle
        found[f"contribution/{unit}/share points"] = 100 * (middle - z) / kpi
        found[f"contribution/{unit}/relative error"] = (middle - z) / abs(z) if abs(z) > 0.005 * kpi else math.nan
        log_error = math.log(max(middle, 0.005 * kpi) / max(z, 0.005 * kpi))
        found[f"contribution/{unit}/log error"] = log_error
        paid = float(truth.paid[0, c])
        found[f"roas/{unit}/error"] = worth * (middle - z) / paid if paid > 0 else math.nan
        found[f"roas/{unit}/log error"] = log_error if paid > 0 else math.nan
        for level in covered:
            inside = weibull(draws, (1 - level) / 2) <= z <= weibull(draws, (1 + level) / 2)
            covered[level] += inside / channels
        boxes += interval_score(draws, z, 0.9)
        widths += weibull(draws, 0.95) - weibull(draws, 0.05)
        spread += crps(draws, z)
        found[f"contribution/{unit}/pit"] = (sum(x < z for x in draws) + 0.5) / (len(draws) + 1)
        weighted.append((abs(middle - z) / 2 + sum((1 - x) / 2 * interval_score(draws, z, x) for x in covered)) / 3.5)
        outside = not weibull(draws, 0.005) <= z <= weibull(draws, 0.995)
        large = abs(z) > 0.005 * kpi and abs(middle - z) > 0.5 * abs(z)
        confident += (outside and (large or worth * abs(middle - z) > 0.5 * paid)) / channels
    mass = sum(sizes)
    totals = [sum(float(x) for x in row) for row in answers.contribution[:, 0]]
    found["contribution/all/error"] = sum(errors) / mass
    found["contribution/all/total error"] = abs(np.median(totals) - told.contribution[0].sum()) / mass
    shares = [
        [max(float(x), 0.0) for x in values]
        for values in (np.median(answers.contribution[:, 0], axis=0), told.contribution[0])
    ]
    found["contribution/all/share distance"] = (
        sum(abs(a / sum(shares[0]) - b / sum(shares[1])) for a, b in zip(*shares)) / 2
    )
    for level, share in covered.items():
        found[f"contribution/all/coverage {level:.0%}"] = share
    found["contribution/all/interval score 90%"] = boxes / mass
    found["contribution/all/width 90%"] = widths / mass
    found["contribution/all/crps"] = spread / mass
    found["contribution/all/weighted interval score"] = sum(weighted) / mass
    found["contribution/all/confident error"] = confident

    slopes = worth * np.median(answers.marginal[:, 0], axis=0), worth * told.marginal[0]
    for c in range(channels):
        found[f"marginal roas/channel:{c}/error"] = slopes[0][c] - slopes[1][c]
    found["marginal roas/all/rank agreement"] = kendalltau(*slopes).statistic
    found["marginal roas/all/best found"] = float(slopes[0].argmax() == slopes[1].argmax())
    found["marginal roas/all/error"] = sum(truth.paid[0] * abs(slopes[0] - slopes[1])) / sum(truth.paid[0] * slopes[1])

    grid = questions.multipliers
    for part, ends in (("inside", (0, 1)), ("outside", (1, 9))):
        pairs = [
            curve_error(grid, np.median(answers.curve[:, c], axis=0), told.curve[c], *ends) for c in range(channels)
        ]
        for c, (square, whole) in enumerate(pairs):
            found[f"curve/channel:{c}/error {part}"] = math.sqrt(square / whole)
        found[f"curve/all/error {part}"] = math.sqrt(sum(p[0] for p in pairs) / sum(p[1] for p in pairs))
    for name, read in (
        ("half-life", lambda p: crossing(p, 0.5)),
        ("90% duration", lambda p: crossing(p, 0.9)),
        ("mean lag", waiting),
    ):
        off = []
        for c in range(channels):
            middle = float(np.median([read(path) for path in answers.impulse[:, c]]))
            off.append(middle - read(told.impulse[c]))
            found[f"{name}/channel:{c}/error"] = off[-1]
        found[f"{name}/all/error"] = float(np.mean(np.abs(off)))

    gap = [float(np.median(answers.baseline[:, t]) - told.baseline[t]) for t in range(origin)]
    spend = [float(brief.panel.spend[t].sum()) for t in range(origin)]
    found["baseline/all/leakage"] = sum(map(abs, gap)) / sum(abs(told.baseline[t]) for t in range(origin))
    found["baseline/all/correlation with spend"] = float(np.corrcoef(gap, spend)[0, 1])

    seen = truth.kpi_future.sum(axis=-1)
    ahead = answers.forecast.sum(axis=-1)
    weeks = range(len(seen))
    middle = [float(np.median(ahead[:, h])) for h in weeks]
    average = [float(np.mean(ahead[:, h])) for h in weeks]
    scale = kpi / origin
    found["forecast/all/crps"] = float(np.mean([crps(ahead[:, h], seen[h]) for h in weeks])) / scale
    found["forecast/all/wmape"] = sum(abs(m - y) for m, y in zip(middle, seen)) / sum(abs(seen))
    past = brief.panel.kpi[:origin].sum(axis=-1)
    lag = 52 if origin >= 104 else 1
    usual = np.mean([abs(past[t] - past[t - lag]) for t in range(lag, origin)])
    found["forecast/all/mase"] = float(np.mean([abs(m - y) for m, y in zip(middle, seen)]) / usual)
    found["forecast/all/smape"] = float(np.mean([2 * abs(m - y) / (abs(m) + abs(y)) for m, y in zip(middle, seen)]))
    found["forecast/all/rmse"] = math.sqrt(np.mean([(a - y) ** 2 for a, y in zip(average, seen)])) / scale
    found["forecast/all/r2"] = 1 - sum((a - y) ** 2 for a, y in zip(average, seen)) / sum((seen - seen.mean()) ** 2)
    found["forecast/all/bias"] = sum(a - y for a, y in zip(average, seen)) / sum(abs(seen))
    found["forecast/all/interval score 90%"] = (
        np.mean([interval_score(ahead[:, h], seen[h], 0.9) for h in weeks]) / scale
    )
    for level in covered:
        inside = [
            weibull(ahead[:, h], (1 - level) / 2) <= seen[h] <= weibull(ahead[:, h], (1 + level) / 2) for h in weeks
        ]
        found[f"forecast/all/coverage {level:.0%}"] = float(np.mean(inside))

    for i, (problem, best) in enumerate(zip(questions.problems, truth.optima)):
        own, common, unit = decisions.own[i], decisions.common[i], f"problem:{i}"
        spent = float(sum(problem.status_quo))
        found[f"decision/{unit}/regret"] = found[f"decision/{unit}/own regret"] = (best.value - own.value) / spent
        found[f"decision/{unit}/common regret"] = (best.value - common.value) / spent
        found[f"decision/{unit}/gain"] = (best.value - best.reference_value) / spent
        share = (best.value - own.value) / (best.value - best.reference_value)
        found[f"decision/{unit}/normalised regret"], found[f"decision/{unit}/captured gain"] = share, 1 - share
        found[f"decision/{unit}/promise gap"] = (own.promise - own.value) / spent
        for name, one in (
            ("own", own), ("common", common), ("plug-in", decisions.plug_in[i]), ("risk-aware", decisions.risk_aware[i])
        ):  # fmt: skip
            found[f"decision/{unit}/{name} regret"] = (best.value - one.value) / spent
            found[f"decision/{unit}/{name} promise gap"] = (one.promise - one.value) / spent
            found[f"decision/{unit}/{name} harm"] = float(one.value < best.reference_value)
        found[f"decision/{unit}/harm"] = float(own.value < best.reference_value)
        found[f"decision/{unit}/worth of uncertainty"] = (common.value - decisions.plug_in[i].value) / spent
        found[f"decision/{unit}/uplift probability"] = own.sure
        done = own.value if own.sure >= 0.8 else best.reference_value
        found[f"decision/{unit}/cautious regret"] = (best.value - done) / spent
        found[f"decision/{unit}/efficiency gain"] = 100 * (
            (own.kpi - best.idle_kpi) / (best.reference_kpi - best.idle_kpi) - 1
        )
        found[f"decision/{unit}/perfect information"] = decisions.perfect[i] / spent
        off: dict[str, list[float]] = {"break-even spend": [], "half-marginal spend": []}
        for u in range(len(problem.status_quo)):
            top = problem.levels[u, -1]
            points = []
            for curve in (answers.response[i][:, u].mean(axis=0), told.response[i][u]):
                slope = PchipInterpolator(problem.levels[u], curve).derivative()
                highest = slope(np.linspace(0, top, 20001)).max()
                points.append(
                    (
                        last_zero(lambda x, s=slope: questions.margin * worth * s(x) - 1, top),
                        last_zero(lambda x, s=slope, h=highest: s(x) - h / 2, top),
                    )
                )
            for name, a, b in zip(off, *points):
                off[name].append(abs(a - b) / top)
        for name, values in off.items():
            found[f"{name}/{unit}/error"] = float(np.mean(values))

    quo = float(questions.plans[0].sum())
    gaps = [float(answers.plan_value[:, p].mean() - told.plan_value[p]) / quo for p in range(1, len(told.plan_value))]
    for p, gap_ in enumerate(gaps, 1):
        found[f"plan/plan:{p}/error"] = gap_
    found["plan/all/error"] = float(np.mean(np.abs(gaps)))
    found["plan/all/sign agreement"] = float(
        np.mean([answers.plan_value[:, p].mean() * told.plan_value[p] > 0 for p in range(1, len(told.plan_value))])
    )
    found["cost/all/seconds"], found["cost/all/peak GB"] = float(cost.seconds), float(cost.peak_bytes) / 1e9
    return found
