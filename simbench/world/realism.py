"""How a scenario compares with real marketing data: a few quantities, and the ranges published for them.

Quantities: docs/worlds.md, section 12. Ranges, each with its source: ``data/realism.toml`` beside the scenarios.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from simbench.world.scenario import Scenario, scenario_folder
from simbench.world.truth import Drawn, draw

Array = Any
REPLICATES = 8


class Range(NamedTuple):
    """What is published of one quantity."""

    quantity: str
    low: float
    high: float
    source: str
    kind: str = ""  #: of channel, where ranges differ by it


class Finding(NamedTuple):
    """One quantity of one scenario beside its range."""

    scenario: str
    quantity: str
    unit: str  #: a channel, or "" for the whole
    value: float  #: median over replicates
    low: float
    high: float
    inside: bool
    source: str


@cache
def ranges() -> tuple[Range, ...]:
    """The published ranges."""
    with (scenario_folder() / "data" / "realism.toml").open("rb") as file:
        return tuple(Range(**row) for row in tomllib.load(file)["ranges"])


# --- quantities: each from national weekly paths of all replicates


class Paths(NamedTuple):
    """National paths of the panel, and the truth about it; R replicates."""

    kpi: Array  #: [R, T] as it was, not as it is seen
    mean: Array  #: [R, T]
    spend: Array  #: [R, T, C]
    contribution: Array  #: [R, C]
    marginal: Array  #: [R, C]
    media: Array  #: [R] what all channels together bring
    value: Array  #: [R] money a unit of KPI


def paths_of(drawn: Drawn) -> Paths:
    """The paths of a drawn batch, whose scenario was asked about with truth."""
    path, form, truth = drawn.secret.path, drawn.secret.form, drawn.truth
    assert truth is not None
    weeks = slice(form.pre, form.pre + form.weeks)
    kpi, mean, spend = (np.asarray(x)[:, weeks].sum(axis=2) for x in (path.kpi, path.mean, path.paid))
    answers: Any = truth.answers
    value = np.asarray(drawn.brief.context.unit_value)
    return Paths(kpi, mean, spend, answers.contribution[:, 0], answers.marginal[:, 0], truth.all_off[:, 0], value)


def lagged(x: Array) -> Array:
    """Correlation with the week before, over axis 1; NaN where nothing moves."""
    centred = x - x.mean(axis=1, keepdims=True)
    size = (centred**2).sum(axis=1)
    return np.where(size > 0, (centred[:, 1:] * centred[:, :-1]).sum(axis=1) / np.where(size > 0, size, 1.0), np.nan)


def _correlation(p: Paths) -> Array:
    channels, largest = p.spend.shape[2], []
    for spend in p.spend:
        moving = spend.std(axis=0) > 0
        pairs = np.corrcoef(spend[:, moving].T) if moving.sum() > 1 else np.eye(1)
        largest.append(np.abs(pairs[np.triu_indices(len(pairs), 1)]).max(initial=0.0))
    return np.array(largest) if channels > 1 else np.full(len(p.spend), np.nan)


def _shares(p: Paths) -> Array:
    return p.spend.sum(axis=1) / p.spend.sum(axis=(1, 2))[:, None]


def _roas(p: Paths) -> Array:
    spent = p.spend.sum(axis=1)
    return p.value[:, None] * p.contribution / np.where(spent > 0, spent, np.nan)


#: Quantity -> of the paths: [R], or [R, C] for one number a channel.
QUANTITIES: dict[str, Callable[[Paths], Array]] = {
    "r_squared": lambda p: 1 - (p.kpi - p.mean).var(axis=1) / p.kpi.var(axis=1),
    "noise": lambda p: (p.kpi - p.mean).std(axis=1) / p.kpi.mean(axis=1),
    "kpi_autocorrelation": lambda p: lagged(p.kpi),
    "kpi_variation": lambda p: p.kpi.std(axis=1) / p.kpi.mean(axis=1),
    "media_share": lambda p: p.media / p.kpi.sum(axis=1),
    "media_cost": lambda p: p.spend.sum(axis=(1, 2)) / (p.value * p.kpi.sum(axis=1)),
    "smallest_spend_share": lambda p: _shares(p).min(axis=1),
    "largest_spend_share": lambda p: _shares(p).max(axis=1),
    "spend_correlation": _correlation,
    "spend_autocorrelation": lambda p: lagged(p.spend),
    "zero_share": lambda p: (p.spend == 0).mean(axis=1).max(axis=1),
    "elasticity": lambda p: p.marginal * p.spend.sum(axis=1) / p.kpi.sum(axis=1)[:, None],
    "roas": _roas,
}


def realism(scenario: Scenario, replicates: int = REPLICATES) -> list[Finding]:
    """Every quantity of a scenario beside its published range: medians over replicates.

    Examples
    --------
    >>> from simbench.world.scenario import read_scenario
    >>> {finding.quantity for finding in realism(read_scenario("clean"), 2)} == set(QUANTITIES)
    True
    """
    return findings(draw(scenario, replicates))


def findings(drawn: Drawn) -> list[Finding]:
    """The same of worlds already drawn, with their truth."""
    told, scenario, found = paths_of(drawn), drawn.scenario, []
    for published in ranges():
        values = np.atleast_2d(QUANTITIES[published.quantity](told).T).T  # [R, 1 or C]
        by_channel = values.shape[1] > 1 or published.quantity in ("roas", "elasticity", "spend_autocorrelation")
        for column in range(values.shape[1]):
            channel = scenario.channels[column] if by_channel else None
            if published.kind and (channel is None or channel.kind != published.kind):
                continue
            known = values[:, column][np.isfinite(values[:, column])]
            if len(known):
                value = float(np.median(known))
                found.append(Finding(
                    scenario.name, published.quantity, "" if channel is None else channel.name, value,
                    published.low, published.high, published.low <= value <= published.high, published.source,
                ))  # fmt: skip
    return found
