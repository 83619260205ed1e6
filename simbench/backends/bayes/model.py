"""A Bayesian mix model as data.

Weekly KPI of each geo, in units of its own scale::

    y  =  plain columns x coefficients + sum_c amplitude_c x path_c x curve(carry-over of lever_c) + noise

What the words of a :class:`Model` mean is said here once; docs/models.md has the formulas.
"""

from __future__ import annotations

from typing import NamedTuple

from simbench.backends.base import DATA_ALONE
from simbench.backends.bayes.prior import Prior


class Parameter(NamedTuple):
    """Sampled numbers of one name."""

    name: str
    per: str  #: how many: one of the keys of :func:`counts`
    prior: Prior  #: kind "expected-return": lognormal with the moments that the analyst expects of each channel


class Plain(NamedTuple):
    """Prior standard deviations of the columns that are linear; 0 = no such column."""

    level: float
    trend: float  #: a year
    season: float  #: each cosine and sine; 0 where the season is a sampled parameter
    control: float


class Model(NamedTuple):
    """A model; every field is static."""

    name: str
    parameters: tuple[Parameter, ...]
    plain: Plain
    carry_over: str = "geometric"  #: a kernel of transforms.py, normalised
    lags: int = 13  #: weeks in which spend acts, its own included
    curve: str = "hill"  #: a saturation of transforms.py
    order: int = 2  #: yearly Fourier pairs
    kpi: str = "mean"  #: scale of the KPI: "mean" (less 1), "max" (not centred) or "standard" (mean 0, sd 1)
    media: str = "spend"  #: what acts: "spend", or "exposure": contacts, of channels whose are counted
    lever: str = "mean"  #: scale of a lever: "mean" or "median" of its weeks with any, or "max"
    controls: str = "standard"  #: "standard" (mean 0, sd 1) or "raw"
    calendar: bool = False  #: the season follows the calendar instead of the number of the week
    centred: bool = True  #: media less their mean over the seen weeks
    effect: str = "return"  #: what is sampled: "return" (ROAS) or "coefficient" (amplitude)
    tail: bool = True  #: a return counts what arrives after the seen weeks too
    noise: str = "normal"  #: or "student"
    collapsed: bool = True  #: plain coefficients are integrated out (normal noise only)
    free: Prior | None = (
        None  #: effects that are normal, of either sign, and integrated out; kind "expected" or "normal"
    )
    geos: bool = False  #: each geo has its own coefficients, and effects that vary around the common ones
    tiers: int = 1  #: groups of geos by population with returns of their own
    bases: int = 0  #: waves that an effect's path over time is made of; 0 = constant effects
    length: float = 52.0  #: weeks over which a path changes


def counts(model: Model, channels: int, controls: int) -> dict[str, int]:
    """Sizes by what a parameter is "per"."""
    return {
        "one": 1,
        "channel": channels,
        "season": 2 * model.order,
        "plain": columns(model, controls),
        "tier": model.tiers * channels,
        "path": model.bases * channels,
    }


def columns(model: Model, controls: int) -> int:
    """Number of plain columns."""
    plain = model.plain
    return (plain.level > 0) + (plain.trend > 0) + 2 * model.order * (plain.season > 0) + controls * (plain.control > 0)


def parameter(model: Model, name: str) -> Parameter | None:
    """A model's parameter of that name."""
    return next((each for each in model.parameters if each.name == name), None)


def handles_of(model: Model) -> frozenset[str]:
    """Broken assumptions that a model's form contains, priors aside; docs/scores.md has the rule.

    What it contains in part is left out: Student-t errors are no autocorrelated ones, a smooth path is no jump, and
    a KPI with missing weeks is not one measured with error.
    """
    own = {
        "effect-shape": parameter(model, "slope") is not None,  # Hill with a slope above 1
        "positive-effect": model.free is not None,
        "homogeneous-geos": model.geos,
    }
    return DATA_ALONE | {word for word, contained in own.items() if contained}


def size(model: Model, channels: int, controls: int) -> int:
    """Length of a point z."""
    number = counts(model, channels, controls)
    return sum(number[each.per] for each in model.parameters)
