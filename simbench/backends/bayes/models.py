"""The models, each with its priors and where these come from. docs/models.md has them in formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from simbench.backends.bayes.model import Model, Parameter, Plain
from simbench.backends.bayes.prior import Prior
from simbench.backends.contender import Option
from simbench.records import Brief

#: The priors of the national model and of all that are made from it.
OPTIONS = (
    Option("retention_a", 3.0, "first number of the Beta prior of retention", source="Jin and others 2017", low=0.01),
    Option("retention_b", 3.0, "second number of the Beta prior of retention", source="Jin and others 2017", low=0.01),
    Option("half_at_median", 0.93, "input at which half the effect is reached, lognormal",
           "mean active spend", "moments of Meridian's TruncatedNormal(0.8, 0.8, 0.1, 10)", low=1e-3),
    Option("half_at_sigma", 0.54, "its spread on the log scale", source="as its median", low=1e-3),
    Option("slope_median", 1.22, "slope of Hill, lognormal", source="Robyn's range 0.5 to 3 as central 95%", low=1e-3),
    Option("slope_sigma", 0.46, "its spread on the log scale", source="as its median", low=1e-3),
    Option("level_sd", 0.1, "normal, around the mean weekly KPI", "mean KPI", "weak: the mean is a scale", low=1e-6),
    Option("trend_sd", 0.1, "normal, growth a year", "mean KPI", "few brands grow over 20% a year", low=1e-6),
    Option("season_sd", 0.1, "normal, each cosine and sine", "mean KPI", "amplitudes of 10-50%", low=1e-6),
    Option("control_sd", 0.1, "normal, a standardised control", "mean KPI", "weak: 10% of the KPI", low=1e-6),
    Option("noise_sd", 0.2, "half-normal, weekly noise", "mean KPI", "weak: 2-8% are usual", low=1e-6),
    Option("order", 2, "yearly Fourier pairs", "pairs", low=0, high=26),
)  # fmt: skip

#: Forms of carry-over and saturation.
FORMS = (
    Option("carry_over", "geometric", "how spend acts over time", source="Jin and others 2017; Robyn for Weibull",
           choices=("geometric", "delayed", "weibull-pdf", "weibull-cdf")),
    Option("curve", "hill", "how spend saturates", source="Jin and others 2017; PyMC-Marketing for the logistic",
           choices=("hill", "logistic", "exponential")),
    Option("media", "spend", "what acts: money, or contacts where they are counted", source="Meridian; PyMC-Marketing",
           choices=("spend", "exposure")),
)  # fmt: skip


class Entry(NamedTuple):
    """A model as it is listed."""

    title: str
    make: Callable[..., Model]  #: takes its options by name
    options: tuple[Option, ...]
    source: str
    supports: Callable[[Brief], str | None] = lambda brief: None
    answers: str = "everything but contributions by geo"
    usual: tuple[tuple[str, int], ...] = ()  #: defaults of its engines' options, where they are its own


def _media(numbers: dict[str, Any], carry_over: str, curve: str) -> tuple[Parameter, ...]:
    from math import log

    normal = Prior("lognormal", (log(numbers["half_at_median"]), numbers["half_at_sigma"]))
    bends = [Parameter("half_at", "channel", normal)]
    if curve == "hill":
        bends.append(
            Parameter("slope", "channel", Prior("lognormal", (log(numbers["slope_median"]), numbers["slope_sigma"])))
        )
    retention = Parameter("retention", "channel", Prior("beta", (numbers["retention_a"], numbers["retention_b"])))
    carries = {
        "geometric": [retention],
        # Jin and others 2017: the peak anywhere in the first weeks; half-normal keeps most of it within a month
        "delayed": [retention, Parameter("peak", "channel", Prior("half-normal", (2.0,)))],
        # Robyn's ranges: shapes on both sides of 1, scales of a few weeks
        "weibull-pdf": [
            Parameter("shape", "channel", Prior("lognormal", (0.4, 0.5))),
            Parameter("scale", "channel", Prior("lognormal", (0.7, 0.7))),
        ],
        "weibull-cdf": [
            Parameter("shape", "channel", Prior("lognormal", (0.0, 0.5))),
            Parameter("scale", "channel", Prior("lognormal", (0.7, 0.7))),
        ],
    }
    return (*carries[carry_over], *bends)


def _noise(numbers: dict[str, Any]) -> Parameter:
    return Parameter("noise", "one", Prior("half-normal", (numbers["noise_sd"],)))


def _plain(numbers: dict[str, Any]) -> Plain:
    return Plain(numbers["level_sd"], numbers["trend_sd"], numbers["season_sd"], numbers["control_sd"])


RETURN = Parameter("effect", "channel", Prior("expected-return", ()))


def national(
    carry_over: str = "geometric", curve: str = "hill", effects: str = "positive", media: str = "spend", **numbers: Any
) -> Model:
    """Carry-over, then saturation, on a level with trend, season and controls; returns have the analyst's prior.

    ``effects="free"``: returns are normal with the analyst's mean and sd, of either sign, and integrated out
    with the rest that is linear. ``media="exposure"``: contacts act instead of money, at the price of their week;
    a return stays that of money. Sources: Jin and others 2017; Zhang and others 2024 (returns as parameters).
    """
    free = effects == "free"
    return Model(
        "national",
        (*(() if free else (RETURN,)), *_media(numbers, carry_over, curve), _noise(numbers)),
        _plain(numbers), carry_over=carry_over, curve=curve, order=numbers["order"], media=media,
        free=Prior("expected", ()) if free else None,
    )  # fmt: skip


def robust(carry_over: str = "geometric", curve: str = "hill", **numbers: Any) -> Model:
    """The national model with Student-t errors: a few odd weeks do not move it.

    Degrees of freedom Gamma(2, 0.1) (Juarez and Steel 2010). Nothing can be integrated out: the plain coefficients
    are sampled, on axes on which the data are independent.
    """
    own = (
        Parameter("plain", "plain", Prior("normal", (0.0, 1.0))),
        Parameter("freedom", "one", Prior("gamma", (2.0, 0.1))),
    )
    made = national(carry_over, curve, **numbers)
    return made._replace(name="robust", parameters=(*made.parameters, *own), noise="student", collapsed=False)


def time_varying(carry_over: str, curve: str, bases: int, length: float, swing_sd: float, **numbers: Any) -> Model:
    """The national model with effects that change smoothly over time.

    Each channel's effect is multiplied by the exponential of a Gaussian process (Hilbert-space approximation,
    Riutort-Mayol and others 2023) with half-normal amplitude; its return stays that of the whole panel. After
    the origin the last week's effect goes on. Compare Ng, Wang and Dai 2021 (paths of coefficients).
    """
    own = (
        Parameter("swing", "channel", Prior("half-normal", (swing_sd,))),
        Parameter("path", "path", Prior("normal", (0.0, 1.0))),
    )
    made = national(carry_over, curve, **numbers)
    return made._replace(name="time-varying", parameters=(*made.parameters, *own), bases=bases, length=length)


def geo_hierarchical(
    carry_over: str, curve: str, tiers: int, spread_sd: float, between_sd: float, noise: str, **numbers: Any
) -> Model:
    """One curve a channel for all geos; effects vary by geo around the common ones (partial pooling).

    A geo's effect is normal around the common one, with a relative sd that is half-normal; level, trend, season and
    controls are each geo's own. All this is integrated out. Noise, relative to a geo's KPI, falls with its population
    to a power between 0 and 1 (1/2: people buy independently), or is the same everywhere (``noise="alike"``). With
    several `tiers`, groups of geos by population have
    returns of their own, lognormal around the common one. After Sun and others 2017.
    """
    made = national(carry_over, curve, **numbers)
    own = [Parameter("spread", "channel", Prior("half-normal", (spread_sd,)))]
    if noise == "by-size":
        own.append(Parameter("averaging", "one", Prior("falling", (1.0,))))
    if tiers > 1:
        own += [
            Parameter("tier", "tier", Prior("normal", (0.0, 1.0))),
            Parameter("between", "channel", Prior("half-normal", (between_sd,))),
        ]
    return made._replace(name="geo-hierarchical", parameters=(*made.parameters, *own), geos=True, tiers=tiers)


def pymc_marketing_style(effects: str = "positive") -> Model:
    """The default model of PyMC-Marketing 0.19.2 (multidimensional.MMM), written anew.

    KPI and spend over their maximum; geometric carry-over of 8 weeks, normalised, retention Beta(1, 3); logistic
    saturation ``beta tanh(lambda v / 2)``, lambda Gamma(3, 1), beta HalfNormal(2); intercept N(0, 2); two yearly
    Fourier pairs of the calendar, Laplace(0, 1); controls as they are, N(0, 2); noise HalfNormal(2); no trend.
    ``effects="free"``: beta N(0, 2), of either sign, integrated out. Source: the library's source and documentation.
    """
    free = effects == "free"
    sampled = (Parameter("effect", "channel", Prior("half-normal", (2.0,))),)
    return Model(
        "pymc-marketing-style",
        (
            *(() if free else sampled),
            Parameter("retention", "channel", Prior("falling", (3.0,))),
            Parameter("steepness", "channel", Prior("gamma", (3.0, 1.0))),
            Parameter("season", "season", Prior("laplace", (1.0,))),
            Parameter("noise", "one", Prior("half-normal", (2.0,))),
        ),
        Plain(level=2.0, trend=0.0, season=0.0, control=2.0),
        lags=8, curve="logistic", kpi="max", lever="max", controls="raw", calendar=True, centred=False,
        effect="coefficient", free=Prior("normal", (0.0, 2.0)) if free else None,
    )  # fmt: skip


def meridian_style() -> Model:
    """The default national model of Meridian 2.1.0, written anew, with trend and season as controls.

    KPI standardised, media over the median of their non-zero weeks; geometric carry-over of 9 weeks, normalised,
    retention U(0, 1); Hill of slope 1, half-saturation TruncatedNormal(0.8, 0.8, 0.1, 10); ROI LogNormal(0.2, 0.9)
    of the seen weeks' spend, counted in these weeks; one knot N(0, 5); controls standardised, N(0, 5); noise
    HalfNormal(5). With one knot it has neither trend nor season: a straight line and two yearly Fourier pairs
    are given to it as controls, as its users do. Source: the library's source and documentation.
    """
    return Model(
        "meridian-style",
        (
            Parameter("effect", "channel", Prior("lognormal", (0.2, 0.9))),
            Parameter("retention", "channel", Prior("falling", (1.0,))),
            Parameter("half_at", "channel", Prior("truncated-normal", (0.8, 0.8, 0.1, 10.0))),
            Parameter("noise", "one", Prior("half-normal", (5.0,))),
        ),
        Plain(level=5.0, trend=5.0, season=5.0, control=5.0),
        lags=9, kpi="standard", lever="median", centred=False, tail=False,
    )  # fmt: skip


def several_geos(brief: Brief) -> str | None:
    """A hierarchy needs geos."""
    geos = brief.panel.kpi.shape[-1]
    return None if geos > 1 else "needs several geos; with one it is the model national"


MODELS: dict[str, Entry] = {
    "national": Entry(
        "carry-over and saturation, level, trend, season, controls; returns as the analyst expects",
        national,
        (*FORMS, Option("effects", "positive", "sign of returns", choices=("positive", "free")), *OPTIONS),
        "docs/models.md; Jin and others 2017; Zhang and others 2024",
    ),
    "robust": Entry(
        "the national model with Student-t errors", robust, (*FORMS, *OPTIONS), "docs/models.md; Juarez and Steel 2010",
    ),
    "time-varying": Entry(
        "the national model with effects that change smoothly", time_varying,
        (
            *FORMS,
            Option("bases", 6, "waves that a path is made of", "waves", low=1, high=40),
            Option("length", 52.0, "over which a path changes", "weeks", low=4.0),
            Option("swing_sd", 0.3, "half-normal, sd of the log of an effect over time", low=1e-3),
            *OPTIONS,
        ),
        "docs/models.md; Riutort-Mayol and others 2023; Ng, Wang and Dai 2021",
    ),
    "geo-hierarchical": Entry(
        "one curve a channel, effects that vary by geo around common ones", geo_hierarchical,
        (
            *FORMS,
            Option("tiers", 1, "groups of geos by population with returns of their own", "tiers", low=1, high=20),
            Option("spread_sd", 0.3, "half-normal, relative sd of effects between geos", low=1e-3),
            Option("between_sd", 0.3, "half-normal, sd of the log of returns between tiers", low=1e-3),
            Option("noise", "by-size", "how noise differs between geos", choices=("by-size", "alike")),
            *OPTIONS,
        ),
        "docs/models.md; Sun and others 2017", several_geos, "everything",
    ),
    "pymc-marketing-style": Entry(
        "the default model of PyMC-Marketing 0.19.2, written anew", pymc_marketing_style,
        (Option("effects", "positive", "sign of effects", choices=("positive", "free")),),
        "PyMC-Marketing 0.19.2", usual=(("leapfrogs", 9), ("longer", 9)),
    ),
    "meridian-style": Entry(
        "the default national model of Meridian 2.1.0, written anew", meridian_style, (), "Meridian 2.1.0",
    ),
}  # fmt: skip
