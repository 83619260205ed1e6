"""The channels of a scenario file: how money is spent, and what it does (docs/worlds.md, 5 and 6)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from simbench.world.scenario_numbers import (
    Fraction,
    NonNegative,
    OpenFraction,
    Plain,
    PlainPositive,
    Positive,
    Real,
    Table,
    Value,
    Within,
    exactly_one,
    fault,
    highest,
    lowest,
    unique,
)
from simbench.world.scenario_words import Kind, Name, Names

Weeks = Annotated[int, Field(ge=1, le=5000)]

# --- spend: `weekly` is money a week while active, `cv` its coefficient of variation --------------


def _keep_the_plan(rule: Quarterly | DemandChasing) -> None:
    """Refuse bounds of a factor that never let it be 1."""
    if highest(rule.low) > 1.0 or lowest(rule.high) < 1.0:
        raise fault("the bounds leave out the plan itself", "low <= 1 <= high", "low")


class Step(Table):
    """Money times `factor` from `week` on, for `weeks` weeks or for good; 0 is a channel gone dark."""

    name: Name
    week: Plain
    weeks: PlainPositive | None = None
    factor: NonNegative


class Quarterly(Table):
    """Money follows the growth of the last full quarter over the one before, for a quarter."""

    strength: Real
    low: NonNegative = 0.85
    high: Positive = 1.2

    @model_validator(mode="after")
    def _around_one(self) -> Quarterly:
        _keep_the_plan(self)
        return self


class OfSales(Table):
    """Money is a fixed share of the mean KPI of the last `window` weeks."""

    window: Annotated[int, Field(ge=1, le=520)] = 4


class SetSpend(Table):
    """The advertiser decides what is spent; what changes a plan, whatever its rule (docs/worlds.md, 5)."""

    lever: Literal["set"] = "set"
    season: Real = 0.0  #: power of the season of demand
    cycle: Real = 0.0  #: power of the budget cycle that channels share
    anticipation: Real = 0.0  #: change of the logarithm for every promotion week among the next three
    peaks: Real = 0.0  #: power of what the events of this week and the next do to demand
    from_week: Plain | None = None  #: no money before
    steps: Annotated[tuple[Step, ...], Field(strict=False, max_length=20)] = ()
    quarterly: Quarterly | None = None
    of_sales: OfSales | None = None

    @model_validator(mode="after")
    def _steps(self) -> SetSpend:
        unique(self.steps, "steps")
        return self

    @property
    def reactions(self) -> tuple[str, ...]:
        """Rules that look at the KPI, in the order of their factors."""
        given = {
            "chasing": getattr(self, "rule", "") == "demand-chasing",
            "quarterly": self.quarterly is not None,
            "of-sales": self.of_sales is not None,
        }
        return tuple(name for name, is_given in given.items() if is_given)


class AlwaysOn(SetSpend):
    """Lognormal spend every week."""

    rule: Literal["always-on"]
    weekly: NonNegative
    cv: NonNegative


class Flighted(SetSpend):
    """`on` weeks of spend, `off` weeks without."""

    rule: Literal["flighted"]
    weekly: NonNegative
    cv: NonNegative
    on: Weeks
    off: Weeks


class Pulsed(SetSpend):
    """Half waves of `height` above a `floor`, both in units of `weekly`."""

    rule: Literal["pulsed"]
    weekly: NonNegative
    cv: NonNegative
    floor: NonNegative
    height: NonNegative
    period: Positive  #: weeks


class Seasonal(SetSpend):
    """A yearly sine and white noise, stretched to [0, `weekly`]."""

    rule: Literal["seasonal"]
    weekly: NonNegative
    phase: Real  #: years
    sd: NonNegative  #: of the white noise beside a sine of amplitude 1


class Correlated(SetSpend):
    """One of a group of channels that move together by `spend.correlation`."""

    rule: Literal["correlated"]
    weekly: NonNegative
    cv: Annotated[Value, Within("[0, 0.25]")]


class Recorded(SetSpend):
    """A column of a weekly CSV file beside the scenario; row 0 is week 0."""

    rule: Literal["recorded"]
    file: Annotated[str, Field(min_length=1, max_length=200)]
    column: Annotated[str, Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _beside(self) -> Recorded:
        steps = self.file.replace("\\", "/").split("/")
        if ".." in steps or steps[0] == "" or ":" in self.file or not self.file.endswith(".csv"):
            raise fault(f"'{self.file[:60]}' is refused", "a .csv file in the scenario's folder", "file")
        return self


class DemandChasing(SetSpend):
    """A plan that the advertiser multiplies by recent sales against their mean."""

    rule: Literal["demand-chasing"]
    weekly: NonNegative
    cv: NonNegative
    strength: Real
    window: Annotated[int, Field(ge=1, le=520)] = 10  #: weeks of the KPI that the rule looks back on
    low: NonNegative = 0.5
    high: Positive = 3.0

    @model_validator(mode="after")
    def _around_one(self) -> DemandChasing:
        _keep_the_plan(self)
        return self


class DemandCapturing(Table):
    """Demand decides what is spent, up to a cap."""

    lever: Literal["bought"] = "bought"
    rule: Literal["demand-capturing"]
    weekly: NonNegative
    cv: NonNegative
    strength: Real
    halo: NonNegative = 0.0
    cap: Positive = 2.0  #: in units of `weekly`
    follows: Names | None = None  #: None = every `set` channel

    reactions: ClassVar[tuple[str, ...]] = ()  #: nobody decides anew


SpendRule = Annotated[
    AlwaysOn | Flighted | Pulsed | Seasonal | Correlated | Recorded | DemandChasing | DemandCapturing,
    Field(discriminator="rule"),
]

# --- carry-over: `retention` is the share of the effect left a week later -------------------------


class NoCarryOver(Table):
    """The effect arrives in the week of the spend."""

    length: ClassVar[int] = 1
    normalised: ClassVar[bool] = True
    kind: Literal["none"]


class Kernel(Table):
    """Weights over the last `length` weeks."""

    length: Annotated[int, Field(ge=1, le=104)] = 13  #: weeks
    normalised: bool = True


class Geometric(Kernel):
    """A constant share is left every week."""

    kind: Literal["geometric"]
    retention: Fraction | None = None
    half_life: Positive | None = None  #: weeks

    @model_validator(mode="after")
    def _one(self) -> Geometric:
        exactly_one(self, "retention", "half_life")
        return self


class Delayed(Kernel):
    """A bell around `peak`."""

    kind: Literal["delayed"]
    retention: OpenFraction
    peak: NonNegative  #: weeks

    @model_validator(mode="after")
    def _inside(self) -> Delayed:
        if highest(self.peak) >= self.length:
            raise fault("the peak can fall outside the kernel", f"peak < length = {self.length}", "peak")
        return self


class Weibull(Kernel):
    """A Weibull density, or the survival that Weibull hazards leave."""

    kind: Literal["weibull-pdf", "weibull-cdf"]
    shape: Positive
    scale: Positive  #: weeks


class Binomial(Kernel):
    """A power of the remaining share of `length`."""

    kind: Literal["binomial"]
    retention: OpenFraction


class BrandStock(Kernel):
    """A quick fade, and a `slow_share` of the effect that builds a brand and fades with a long half-life."""

    kind: Literal["brand-stock"]
    length: Annotated[int, Field(ge=1, le=520)] = 156  #: weeks
    retention: Fraction
    slow_share: OpenFraction
    slow_half_life: Positive  #: weeks


CarryOver = Annotated[NoCarryOver | Geometric | Delayed | Weibull | Binomial | BrandStock, Field(discriminator="kind")]

# --- saturation: `half_at` is in units of the input scale ------------------------------------------


class Curve(Table):
    """A saturation; `ceiling` says whether it is bounded."""

    ceiling: ClassVar[bool] = True
    scaled_by: Literal["mean-active", "max", "money"] = "mean-active"


class Hill(Curve):
    """v^s / (v^s + h^s), s = `slope`; S-shaped for s > 1."""

    kind: Literal["hill"]
    half_at: Positive
    slope: Positive


class HalfAt(Curve):
    """A curve with a ceiling and nothing but `half_at` to choose."""

    kind: Literal["logistic", "exponential", "michaelis-menten", "tanh"]
    half_at: Positive


class Power(Curve):
    """v^exponent, without a ceiling."""

    ceiling: ClassVar[bool] = False
    kind: Literal["power"]
    exponent: Annotated[Value, Within("(0, 1]")]


class Log(Curve):
    """log(1 + v/h) / log 2, without a ceiling."""

    ceiling: ClassVar[bool] = False
    kind: Literal["log"]
    half_at: Positive


class Segments(Curve):
    """Two segments of customers, equally large: one half convinced at `half_at`, the other at `far` times that."""

    kind: Literal["segments"]
    half_at: Positive
    far: Annotated[Value, Within("[1, inf)")]


class ReachFrequency(Curve):
    """Reach times the response to frequency: one contact a person at `contact_at`, half respond at `frequency`."""

    kind: Literal["reach-frequency"]
    contact_at: Positive
    frequency: Positive


class NoSaturation(Curve):
    """A straight line."""

    ceiling: ClassVar[bool] = False
    kind: Literal["none"]


Saturation = Annotated[
    Hill | HalfAt | Power | Log | Segments | ReachFrequency | NoSaturation, Field(discriminator="kind")
]

# --- effectiveness: how the effect of the same money changes over time; 1 at week 0 or outside -----


class Decay(Table):
    """A share is lost every year."""

    kind: Literal["decay"]
    per_year: Annotated[Value, Within("(-inf, 1)")]


class Shift(Table):
    """Times `factor` from `week` on, for `weeks` weeks or for good; below 0 money does harm."""

    kind: Literal["shift"]
    week: Plain
    weeks: PlainPositive | None = None
    factor: Real


class Walk(Table):
    """A random walk of the logarithm that is expected to stay where it is; `sd` is its weekly step."""

    kind: Literal["random-walk"]
    sd: NonNegative


class WearOut(Table):
    """Creative wears out with a `half_life` and is made anew every `refresh` weeks."""

    kind: Literal["wear-out"]
    half_life: Positive
    refresh: Positive


Effectiveness = Annotated[Decay | Shift | Walk | WearOut, Field(discriminator="kind")]


class Price(Table):
    """What a contact costs: grows by `per_year`, and with the season of demand to a power."""

    per_year: Annotated[Value, Within("(-1, inf)")] = 0.0
    season: Real = 0.0


# --- channel ---------------------------------------------------------------------------------------


class Prior(Table):
    """What every analyst believes of a channel's ROAS beforehand."""

    mean: Plain = 1.0
    sd: PlainPositive = 1.0


class Channel(Table):
    """One channel: `roas` in KPI value per money, or `effect` in KPI units a week (docs/worlds.md, 6).

    With `exposure_seen` analysts see beside its spend how many contacts it bought.
    """

    name: Name
    kind: Kind
    spend: SpendRule
    carry_over: CarryOver
    saturation: Saturation
    order: Literal["carry-over-first", "saturation-first"] = "carry-over-first"
    roas: Real | None = None
    effect: Real | None = None
    effectiveness: Effectiveness | None = None
    price: Price | None = None
    exposure_seen: bool = False
    prior: Prior = Prior()
    national_only: bool = False

    @model_validator(mode="after")
    def _one(self) -> Channel:
        exactly_one(self, "roas", "effect")
        return self
