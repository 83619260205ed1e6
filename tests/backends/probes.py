"""Contract probes: small fake contenders, one for each way of answering that the contract allows.

Each keeps the laws and can be scored; none is a good model. Named by path: see PROBES.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from simbench.backends.base import python_backend
from simbench.backends.contender import Contender, Option

LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
NORMAL = np.array([-1.645, -1.282, -0.674, 0.0, 0.674, 1.282, 1.645])


def credited(brief):
    """KPI [W, C] at the return expected beforehand."""
    panel, questions, context = brief
    paid = np.stack([panel.spend[start:stop].sum(axis=(0, 1)) for start, stop in questions.windows])
    return paid * context.prior_roas_mean / context.unit_value


def smallest_grows(brief):
    """Amounts [U] a problem: a tenth of all money goes to the channel that spent least."""
    smallest = int(np.argmin(brief.context.spend_scale))
    amounts = []
    for problem in brief.questions.problems:
        owner = np.array([np.nonzero(problem.unit == u)[-1][0] for u in range(len(problem.status_quo))])
        chosen = 0.9 * problem.status_quo
        freed, mine = problem.status_quo.sum() - chosen.sum(), owner == smallest
        chosen[mine] += freed / mine.sum()
        amounts.append(chosen)
    return tuple(amounts)


def point_estimate(key, brief):
    """One number a quantity."""
    return {"contribution": credited(brief)[None]}


def quantiles_only(key, brief):
    """Quantile levels instead of draws, and an allocation of its own."""
    contribution = credited(brief)
    spread = 1.0 + 0.2 * NORMAL[:, None, None]
    return {"contribution": contribution * spread, "levels": LEVELS, "allocation": smallest_grows(brief)}


def attribution(key, brief):
    """Credits the KPI above its lowest week in proportion to spend; answers nothing else."""
    seen = int(brief.panel.origin)
    recorded = brief.panel.mask[:seen, None] > 0
    kpi = np.where(recorded, brief.panel.kpi[:seen], 0.0).sum(axis=1)
    spend = brief.panel.spend[:seen].sum(axis=1)
    share = spend / np.maximum(spend.sum(axis=1, keepdims=True), 1e-300)
    credit = (kpi - kpi.min())[:, None] * share
    return {"contribution": np.stack([credit[start:stop].sum(axis=0) for start, stop in brief.questions.windows])[None]}


def national_on_geo(key, brief, retention=0.0):
    """Sums a geo panel, answers nationally, and spreads the forecast by population."""
    panel, questions, _ = brief
    people = panel.population / panel.population.sum()
    noise = 0.05 * np.random.default_rng(key).standard_normal((questions.sizes.draws, len(questions.future.spend)))
    recorded = np.flatnonzero(panel.mask[: int(panel.origin)])
    total = panel.kpi[recorded].sum(axis=1).mean() * (1.0 + noise)
    contribution = credited(brief) * (1.0 + 0.1 * noise[:, :1, None])
    return {"contribution": contribution, "forecast": total[:, :, None] * people}


def own_allocation(key, brief):
    """Decides and promises, without any curve."""
    amounts = smallest_grows(brief)
    gain = [
        (a - p.status_quo).sum() * 0.1 + 0.01 * p.status_quo.sum()
        for a, p in zip(amounts, brief.questions.problems, strict=True)
    ]
    return {"allocation": amounts, "promise": tuple(np.array([g]) for g in gain)}


def _slow(seconds):
    def author(key, brief):
        time.sleep(seconds)
        return point_estimate(key, brief)

    return python_backend("slow", author)


#: Takes its time: for hosts with a clock.
slow = Contender("slow", "waits, then answers", _slow, (Option("seconds", 5.0, "how long it waits", "seconds", low=0),))

#: Probes that answer at once, as other processes can name them.
PROBES = [
    f"{Path(__file__).resolve()}:{name}"
    for name in ("point_estimate", "quantiles_only", "attribution", "national_on_geo", "own_allocation")
]
SLOW = f"{Path(__file__).resolve()}:slow"
