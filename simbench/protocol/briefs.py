"""A brief as files: the one format of `simbench draw` and of task folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simbench import briefs
from simbench.protocol.files import csv_text, json_text
from simbench.records import KINDS, Brief, Labels, Problem

if TYPE_CHECKING:
    import pandas as pd

#: Every file of a brief, in words.
README = """\
One simulated advertiser, as an analyst sees it. All files are UTF-8; CSV files are comma separated.

panel.csv       what happened: one row a week and geo. kpi, empty where nobody recorded it; spend_CHANNEL in
                money; cap_CHANNEL, the money allowed, where demand decides what is spent of it; exposure_CHANNEL,
                the contacts that were bought, where they are counted; claim_CHANNEL, the KPI that a platform
                credits to itself, where platforms do; control_NAME; population.
future.csv      the weeks after the panel, to forecast: the same columns without kpi and claims.
plans.csv       plans for the weeks after the panel: money a week, geo and channel (for a channel with a
                cap: the cap). "status quo" is what plans are compared with. A text that begins with + or -
                has an apostrophe before it, so that no spreadsheet computes it.
context.json    what every analyst knows: channels and their kinds, value of one KPI unit in money, mean KPI
                and spend a week, what is believed of returns beforehand.
questions.json  what is asked: windows (weeks counted from 0, the last one excluded), multipliers of a
                channel's spend, margin (share of the KPI's value that is profit before media), tail (weeks
                after a window in which its effect still counts), impulse lags, draws of an answer.
problems.json   choices of amounts for the weeks after the panel: units and the weeks they pay for, money of the
                status quo, bounds, levels to answer the response at, the budget, limits on groups of units, and,
                where there are any, "rows": coefficient x amount, summed over units, stays within its limits. An
                amount is spread over its weeks and geos as the status quo plan spreads it; where that is zero,
                evenly over weeks and by population over geos. Weeks that no unit pays for stay as they are in
                the status quo plan.
spread.csv      where it is there: a problem of which that is not so, and the share of an amount that each week,
                geo and channel gets.
"""


def brief_files(brief: Brief, labels: Labels) -> dict[str, str]:
    """File name -> text, for one brief."""
    spread = spread_frame(brief, labels)
    return {
        "panel.csv": csv_text(briefs.frame(brief, labels)),
        "future.csv": csv_text(future_frame(brief, labels)),
        "plans.csv": csv_text(plans_frame(brief, labels)),
        "context.json": json_text(context_of(brief, labels)),
        "questions.json": json_text(questions_of(brief, labels)),
        "problems.json": json_text({"problems": problems_of(brief, labels)}),
        **({} if spread.empty else {"spread.csv": csv_text(spread)}),
    }


def future_frame(brief: Brief, labels: Labels) -> pd.DataFrame:
    """The holdout: one row a week and geo, spend as it will be and what it buys, controls."""
    import pandas as pd

    future, origin = brief.questions.future, int(brief.panel.origin)
    weeks, geos, counted = future.lever.shape[0], len(labels.geos), briefs.counts_contacts(brief)
    columns: dict[str, Any] = {
        "date": np.repeat(briefs.dates(labels, origin + np.arange(weeks)), geos),
        "geo": np.tile(np.array(labels.geos, dtype=object), weeks),
    }
    for c, name in enumerate(labels.channels):
        columns[f"spend_{name}"] = np.asarray(future.spend[:, :, c]).ravel()
        if brief.context.bought[c]:
            columns[f"cap_{name}"] = np.asarray(future.lever[:, :, c]).ravel()
        if counted[c]:
            columns[f"exposure_{name}"] = np.asarray(future.exposure)[:, :, c].ravel()
    for k, name in enumerate(labels.controls):
        columns[f"control_{name}"] = np.asarray(future.controls[:weeks, :, k]).ravel()
    columns["population"] = np.tile(np.asarray(brief.panel.population), weeks)
    return pd.DataFrame(columns)


def plans_frame(brief: Brief, labels: Labels) -> pd.DataFrame:
    """Plans in long form: `week` counts from the origin."""
    import pandas as pd

    plans, origin = np.asarray(brief.questions.plans), int(brief.panel.origin)
    weeks = range(plans.shape[1])
    axes = (labels.plans, weeks, labels.geos, labels.channels)
    rows = pd.MultiIndex.from_product(axes, names=["plan", "week", "geo", "channel"]).to_frame(index=False)
    rows.insert(2, "date", briefs.dates(labels, origin + rows["week"].to_numpy()))
    return rows.assign(money=plans.ravel())


def spread_frame(brief: Brief, labels: Labels) -> pd.DataFrame:
    """Where the money of a unit goes, in long form, of the problems whose units do not follow the status quo plan."""
    import pandas as pd

    parts = []
    for name, names, problem in zip(labels.problems, labels.units, brief.questions.problems, strict=True):
        unit, weight = np.asarray(problem.unit), np.asarray(problem.weight)
        now = np.where(unit >= 0, np.asarray(problem.status_quo)[unit] * weight, 0.0).sum(axis=0) + problem.base
        if np.allclose(now, brief.questions.plans[0], rtol=1e-6, atol=1e-9 * np.abs(now).max(initial=0.0)):
            continue
        slot, week, geo, channel = np.nonzero((unit >= 0) & (weight > 0))
        at = slot, week, geo, channel
        of_units, geos, channels = (np.array(x, dtype=object) for x in (names, labels.geos, labels.channels))
        columns = {
            "problem": name, "unit": of_units[unit[at]], "week": week, "geo": geos[geo], "channel": channels[channel],
            "share": weight[at],
        }  # fmt: skip
        parts.append(pd.DataFrame(columns).assign(order=unit[at]).sort_values(["order", "week", "geo"], kind="stable"))
    return pd.concat(parts, ignore_index=True).drop(columns="order") if parts else pd.DataFrame()


def context_of(brief: Brief, labels: Labels) -> dict[str, Any]:
    """What every analyst knows, by name."""
    context = brief.context
    channels = [
        {
            "name": name, "kind": KINDS[int(context.kind[c])], "bought": bool(context.bought[c]),
            "national_only": bool(context.national_only[c]), "spend_scale": context.spend_scale[c],
            "prior_roas_mean": context.prior_roas_mean[c], "prior_roas_sd": context.prior_roas_sd[c],
        }
        for c, name in enumerate(labels.channels)
    ]  # fmt: skip
    return {
        "kpi": labels.kpi, "unit_value": context.unit_value, "kpi_scale": context.kpi_scale, "period_days": 7,
        "geos": list(labels.geos), "controls": list(labels.controls), "channels": channels,
    }  # fmt: skip


def questions_of(brief: Brief, labels: Labels) -> dict[str, Any]:
    """Windows, multipliers and the static numbers of the questions."""
    asked = brief.questions
    return {
        "weeks": int(brief.panel.origin), "windows": asked.windows, "multipliers": asked.multipliers,
        "margin": asked.margin, "tail": asked.sizes.tail, "impulse_lags": asked.sizes.impulse_lags,
        "draws": asked.sizes.draws, "holdout": len(asked.future.lever), "horizon": asked.plans.shape[1],
        "plans": list(labels.plans), "problems": list(labels.problems),
    }  # fmt: skip


def problems_of(brief: Brief, labels: Labels) -> list[dict[str, Any]]:
    """Allocation problems in money, by name."""
    told = []
    for name, names, problem in zip(labels.problems, labels.units, brief.questions.problems, strict=True):
        units = [
            {
                "name": unit, "channel": None if c is None else labels.channels[c],
                "geo": None if g is None else labels.geos[g], "weeks": [weeks[0], weeks[-1] + 1],
                "status_quo": problem.status_quo[u], "lower": problem.lower[u], "upper": problem.upper[u],
                "levels": problem.levels[u],
            }
            for u, (unit, c, g, weeks) in enumerate(zip(names, *touched(problem), paid_weeks(problem), strict=True))
        ]  # fmt: skip
        rows = list(zip(np.asarray(problem.groups), problem.group_low, problem.group_high, strict=True))
        groups = [
            {"units": [names[u] for u in np.flatnonzero(row)], "low": low, "high": high}
            for row, low, high in rows
            if is_membership(row)
        ]
        others = [{"coefficients": row, "low": low, "high": high} for row, low, high in rows if not is_membership(row)]
        low, high = problem.budget
        told.append({
            "name": name, "margin": problem.margin, "budget": {"low": low, "high": high},
            "units": units, "groups": groups, **({"rows": others} if others else {}),
        })  # fmt: skip
    return told


def is_membership(row: np.ndarray) -> bool:
    """A sum of some units' money, and not of all of it in some proportion."""
    return bool(np.isin(row, (0.0, 1.0)).all())


def touched(problem: Problem) -> tuple[list[int | None], list[int | None]]:
    """The channel and the geo of each unit; None where it has several."""
    owner = np.asarray(problem.unit)
    where = [(owner == u).any(axis=(0, 1)) for u in range(len(problem.status_quo))]  # [G, C] each
    channels = [_only(np.flatnonzero(pairs.any(axis=0))) for pairs in where]
    return channels, [_only(np.flatnonzero(pairs.any(axis=1))) for pairs in where]


def paid_weeks(problem: Problem) -> list[np.ndarray]:
    """The weeks of the horizon that each unit pays for."""
    owner = np.asarray(problem.unit)
    return [np.flatnonzero((owner == u).any(axis=(0, 2, 3))) for u in range(len(problem.status_quo))]


def _only(found: np.ndarray) -> int | None:
    return int(found[0]) if len(found) == 1 else None
