"""Briefs changed in ways whose effect on the answers is known beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np

from simbench.records import Brief

Array = Any
#: Weeks that are hidden at the end of a panel.
HIDDEN = 5
SERIES = ("lever", "spend", "exposure", "kpi", "controls", "calendar", "claims")
MONEY_OF_PROBLEM = ("base", "status_quo", "levels", "lower", "upper", "budget", "group_low", "group_high")


def _times(record: Any, factor: float, *names: str) -> Any:
    """A record with some of its fields multiplied; those that are None stay so."""
    return record._replace(
        **{name: getattr(record, name) * factor for name in names if getattr(record, name) is not None}
    )


def in_money(brief: Brief, factor: float) -> Brief:
    """The same world with money in other units; experiments are left out."""
    panel, questions, context = brief
    return Brief(
        _times(panel, factor, "lever", "spend")._replace(experiments=None),
        _times(questions, factor, "plans")._replace(
            future=_times(questions.future, factor, "lever", "spend"),
            problems=tuple(_times(problem, factor, *MONEY_OF_PROBLEM) for problem in questions.problems),
        ),
        _times(context, factor, "spend_scale", "unit_value"),
    )


def in_contacts(brief: Brief, factor: float) -> Brief:
    """The same world with contacts counted in other units."""
    panel, questions, _ = brief
    return brief._replace(
        panel=_times(panel, factor, "exposure"),
        questions=questions._replace(future=_times(questions.future, factor, "exposure")),
    )


def in_kpi(brief: Brief, factor: float) -> Brief:
    """The same world with the KPI in other units; experiments are left out."""
    panel, questions, context = brief
    value = context.unit_value / factor
    return Brief(
        _times(panel, factor, "kpi", "claims")._replace(experiments=None),
        questions,
        _times(context, factor, "kpi_scale")._replace(unit_value=value),
    )


def reversed_channels(brief: Brief) -> Brief:
    """The same world with its channels in reverse order; plans and units keep theirs, experiments are left out."""
    panel, questions, context = brief

    def turned(record: Any, *names: str) -> Any:
        flips = {name: getattr(record, name)[..., ::-1] for name in names if getattr(record, name) is not None}
        return record._replace(**flips)

    per_channel = ("spend_scale", "national_only", "kind", "bought", "prior_roas_mean", "prior_roas_sd")
    return Brief(
        turned(panel, "lever", "spend", "exposure", "claims")._replace(experiments=None),
        turned(questions, "plans")._replace(
            future=turned(questions.future, "lever", "spend", "exposure"),
            problems=tuple(turned(problem, "base", "unit", "weight") for problem in questions.problems),
        ),
        turned(context, *per_channel),
    )


def with_origin(brief: Brief, filling: float) -> Brief:
    """The last weeks hidden: masked, and `filling` in every series."""
    cut = int(brief.panel.origin) - HIDDEN
    windows = np.minimum(brief.questions.windows, cut).astype(np.int32)
    windows[windows[:, 0] >= cut, 0] = cut - 1  # no window stays empty
    mask = np.array(brief.panel.mask)
    mask[cut:] = 0
    spoilt = {}
    for name in SERIES:
        series = getattr(brief.panel, name)
        if series is not None:
            spoilt[name] = np.array(series)
            spoilt[name][cut:] = filling
    panel = brief.panel._replace(origin=np.int32(cut), mask=mask, **spoilt)
    return brief._replace(panel=panel, questions=brief.questions._replace(windows=windows))


def cut_short(brief: Brief) -> Brief:
    """The same brief without its masked weeks."""
    panel, origin = brief.panel, int(brief.panel.origin)
    kept = {name: getattr(panel, name)[:origin] for name in (*SERIES, "mask") if getattr(panel, name) is not None}
    return brief._replace(panel=panel._replace(**kept))


def impossible(brief: Brief) -> Brief:
    """A world of which nothing is known: KPI, spend and scales are no numbers."""

    def none_of(record: Any, *names: str) -> Any:
        return record._replace(**{name: np.full_like(getattr(record, name), np.nan) for name in names})

    return brief._replace(
        panel=none_of(brief.panel, "kpi", "lever", "spend"),
        context=none_of(brief.context, "kpi_scale", "spend_scale", "unit_value"),
    )
