"""Briefs for tests of the protocol, made from a table: nothing is compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from simbench.briefs import brief_from_table
from simbench.records import Brief, Labels

CHANNELS = ("tv", "search", "+radio, local")


def brief(seed: int = 0, weeks: int = 60, geos: int = 1, hidden: int = 0) -> tuple[Brief, Labels]:
    """A brief with three channels, the last of a name that needs quotes; `hidden` weeks at the end are masked."""
    random = np.random.default_rng(seed)
    rows = []
    for week in range(weeks):
        for geo in range(geos):
            spend = random.gamma(2.0, 50.0, len(CHANNELS)) * (random.random(len(CHANNELS)) > 0.2)
            date = pd.Timestamp("2022-01-03") + pd.Timedelta(days=7 * week)
            rows.append({
                "week": date, "geo": f"g{geo}", "people": 1e5 * (geo + 1),
                "sales": 1000 + 2 * np.sqrt(spend).sum() + random.normal(0, 20), "price": random.normal(10, 1),
                **dict(zip(CHANNELS, spend)),
            })  # fmt: skip
    where: dict[str, Any] = {"geo": "geo", "population": "people"} if geos > 1 else {}
    made, labels = brief_from_table(
        pd.DataFrame(rows), date="week", kpi="sales", spend=list(CHANNELS), controls=["price"], margin=0.4, **where
    )
    panel, context, questions = made.panel, made.context, made.questions
    # the middle channel is bought: its cap is not what is spent
    lever = panel.lever * np.array([1.0, 1.5, 1.0])
    made = made._replace(
        panel=panel._replace(lever=lever), context=context._replace(bought=np.array([0.0, 1.0, 0.0])),
        questions=questions._replace(
            future=questions.future._replace(lever=questions.future.lever * np.array([1.0, 1.5, 1.0]))
        ),
    )  # fmt: skip
    return (_with_hidden(made, hidden) if hidden else made), labels


def _with_hidden(made: Brief, hidden: int) -> Brief:
    def longer(x: Any) -> Any:
        return np.concatenate([x, np.full((hidden, *np.shape(x)[1:]), np.nan)])

    panel = made.panel
    grown = {name: longer(getattr(panel, name)) for name in ("lever", "spend", "kpi", "controls", "calendar")}
    return made._replace(panel=panel._replace(mask=np.append(panel.mask, np.zeros(hidden)), **grown))


def key(number: int) -> Any:
    """A random key."""
    return np.array([number, 7], dtype=np.uint32)
