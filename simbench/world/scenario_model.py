"""The tables of a scenario file: what may be written (docs/design.md 3a, docs/worlds.md).

Time is counted in weeks, money and KPI are per week; `scenario_checks` holds what must agree across
tables, `scenario_demand` the demand, `scenario_media` the channels, `scenario_measure` how what is seen differs from
what was.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from simbench.world.scenario_checks import check
from simbench.world.scenario_demand import Control, Demand
from simbench.world.scenario_measure import Measure
from simbench.world.scenario_media import Channel
from simbench.world.scenario_numbers import (
    Fraction,
    NonNegative,
    Plain,
    PlainPositive,
    Positive,
    Real,
    Share,
    Table,
    Value,
    Within,
    exactly_one,
    fault,
    unique,
)
from simbench.world.scenario_problems import ProblemTable
from simbench.world.scenario_words import Break, Date, KebabCase, Name, PeriodDays, Version

Ahead = Annotated[int, Field(ge=1, le=520)]
OrNone = Annotated[int, Field(ge=0, le=520)]


# --- time, geo, spend ----------------------------------------------------------------------------


class Time(Table):
    """The clock: every span in weeks; `start` is the first day of week 0."""

    weeks: Annotated[int, Field(ge=8, le=5000)]
    pre_history: OrNone = 52
    holdout: Ahead = 26
    horizon: Ahead = 26
    tail: OrNone = 26
    start: Date = "2021-01-04"
    period_days: PeriodDays = 7

    @property
    def future(self) -> int:
        """F, weeks that are simulated after the panel."""
        return max(self.holdout, self.horizon) + self.tail


class Tier(Table):
    """The next `geos` geos: planned money by `spend`, and none before week `launch`."""

    name: Name
    geos: Annotated[int, Field(ge=1, le=1000)]
    spend: NonNegative = 1.0
    launch: Plain | None = None


class Geo(Table):
    """Geos and how unlike they are: sds of logarithms (docs/worlds.md, 3)."""

    count: Annotated[int, Field(ge=1, le=1000)] = 1
    population_sd: NonNegative = 0.0
    level_sd: NonNegative = 0.0
    spend_sd: NonNegative = 0.0
    effect_sd: NonNegative = 0.0
    tiers: Annotated[tuple[Tier, ...], Field(strict=False, max_length=20)] = ()

    @model_validator(mode="after")
    def _whole(self) -> Geo:
        unique(self.tiers, "tiers")
        members = sum(tier.geos for tier in self.tiers)
        if self.tiers and members != self.count:
            raise fault(f"{members} geos in tiers", f"count = {self.count} in all", "tiers")
        for key in ("population_sd", "level_sd", "spend_sd", "effect_sd"):
            if self.count == 1 and getattr(self, key) != 0.0:
                raise fault("a nation has no geos that differ", "0, or count > 1", key)
        return self


class Cycle(Table):
    """Budgets that rise and fall together: exponential of an AR(1)."""

    rho: Fraction
    sd: NonNegative


class Spend(Table):
    """What channels share: the correlation of those with rule `correlated`, and a budget cycle."""

    correlation: Annotated[Value, Within("(-1, 1)")] | None = None
    cycle: Cycle | None = None


class Synergy(Table):
    """Two channels that help (`strength` > 0) or hinder each other."""

    name: Name
    channels: Annotated[tuple[Name, ...], Field(strict=False, min_length=2, max_length=2)]
    strength: Real


# --- KPI, noise ----------------------------------------------------------------------------------


class Kpi(Table):
    """What is counted; `value` in money per unit, `margin` the share of it that is profit before media."""

    unit: Literal["revenue", "conversions"] = "revenue"
    value: PlainPositive = 1.0
    margin: Annotated[float, Within("(0, 1]")] = 0.5

    @model_validator(mode="after")
    def _money(self) -> Kpi:
        if self.unit == "revenue" and self.value != 1.0:
            raise fault(f"{self.value:g} for a KPI that is money", "1, or unit = 'conversions'", "value")
        return self


class SizedNoise(Table):
    """The noise's size: a share of the reference KPI, an R-squared, or an sd in KPI units."""

    share: NonNegative | None = None
    r_squared: Annotated[Value, Within("(0, 1]")] | None = None
    sd: NonNegative | None = None

    @model_validator(mode="after")
    def _one(self) -> SizedNoise:
        exactly_one(self, "share", "r_squared", "sd")
        return self


class GaussianNoise(SizedNoise):
    """Normal noise, independent over weeks; its sd grows with the mean to `power`."""

    kind: Literal["gaussian"]
    multiplicative: bool = False
    power: NonNegative = 0.0

    @model_validator(mode="after")
    def _one_size(self) -> GaussianNoise:
        if self.multiplicative and self.power != 0.0:
            raise fault("given beside multiplicative", "one of them: multiplicative noise follows the mean", "power")
        return self


class StudentNoise(SizedNoise):
    """Student-t noise of unit variance, independent over weeks."""

    kind: Literal["student-t"]
    df: Annotated[Value, Within("(2, inf)")]
    multiplicative: Literal[False] = False


class AutoregressiveNoise(SizedNoise):
    """AR(1) noise."""

    kind: Literal["ar1"]
    rho: Fraction
    multiplicative: Literal[False] = False


class PoissonNoise(Table):
    """A count whose variance is its mean; in the share `zero` of all weeks nothing is counted."""

    kind: Literal["poisson"]
    zero: Fraction = 0.0


class NegativeBinomialNoise(Table):
    """A count of mean mu and variance mu + mu^2 / `dispersion`, and weeks without any as for `poisson`."""

    kind: Literal["negative-binomial"]
    dispersion: Positive
    zero: Fraction = 0.0


Noise = Annotated[
    GaussianNoise | StudentNoise | AutoregressiveNoise | PoissonNoise | NegativeBinomialNoise,
    Field(discriminator="kind"),
]


# --- questions -----------------------------------------------------------------------------------


Window = Annotated[tuple[int, ...], Field(strict=False, min_length=2, max_length=2)]
MULTIPLIERS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
PROBLEMS = (ProblemTable(name="fixed"), ProblemTable(name="free", budget="free"))


class QuestionsTable(Table):
    """What every contender is asked; windows are [start, stop) in weeks."""

    windows: Annotated[tuple[Window, ...], Field(strict=False, max_length=100)] | None = None
    multipliers: Annotated[tuple[Share, ...], Field(strict=False, max_length=101)] = MULTIPLIERS
    impulse_lags: Annotated[int, Field(ge=1, le=521)] = 14
    draws: Annotated[int, Field(ge=1, le=10_000)] = 256
    levels: Annotated[int, Field(ge=5, le=1001)] = 21
    problems: Annotated[tuple[ProblemTable, ...], Field(strict=False, max_length=100)] = PROBLEMS

    @model_validator(mode="after")
    def _agree(self) -> QuestionsTable:
        rising = all(a < b for a, b in pairwise(self.multipliers))
        if not rising or not {0.0, 1.0} <= set(self.multipliers):
            what = f"{list(self.multipliers)!r:.60} is no grid"
            raise fault(what, "rising numbers, 0 and 1 among them", "multipliers")
        unique(self.problems, "problems")
        return self


class Sweep(Table):
    """A scenario for each value of one key."""

    key: Annotated[str, Field(min_length=1, max_length=300)]
    values: Annotated[tuple[Any, ...], Field(strict=False, min_length=1, max_length=100)]


# --- the whole file ------------------------------------------------------------------------------


class Scenario(Table):
    """A distribution over worlds, as one file names it (docs/design.md 3a)."""

    schema_version: Version
    name: KebabCase
    base: KebabCase | None = None
    breaks: Break
    title: str = ""
    summary: str = ""
    source: str = ""
    who_should_win: str = ""
    unrealistic: str = ""
    superseded_by: str = ""
    time: Time
    geo: Geo = Geo()
    demand: Demand
    controls: Annotated[tuple[Control, ...], Field(strict=False, max_length=200)] = ()
    spend: Spend = Spend()
    channels: Annotated[tuple[Channel, ...], Field(strict=False, min_length=1, max_length=200)]
    synergies: Annotated[tuple[Synergy, ...], Field(strict=False, max_length=100)] = ()
    kpi: Kpi = Kpi()
    noise: Noise
    measure: Annotated[tuple[Measure, ...], Field(strict=False, max_length=50)] = ()
    questions: QuestionsTable = QuestionsTable()
    sweep: Sweep | None = None

    _file: str = PrivateAttr(default="")
    _family: str = PrivateAttr(default="")
    _folders: tuple[Path, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _agree(self) -> Scenario:
        check(self)
        return self
