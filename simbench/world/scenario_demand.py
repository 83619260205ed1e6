"""The demand of a scenario file: what would be sold without media, and what analysts see of it (docs/worlds.md, 4)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from simbench.world.scenario_numbers import (
    Fraction,
    NonNegative,
    OpenFraction,
    Positive,
    Real,
    Reals,
    Table,
    Value,
    Within,
    fault,
    highest,
    lowest,
    support,
    unique,
)
from simbench.world.scenario_words import Date, Name

#: A number of weeks that is at least one.
Weeks = Annotated[Value, Within("[1, 5000]")]

# --- trend and season ------------------------------------------------------------------------------


class NoTrend(Table):
    """Demand without a trend."""

    kind: Literal["none"]


class LinearTrend(Table):
    """A straight line; `per_year` is a share of the level at week 0."""

    kind: Literal["linear"]
    per_year: Real


class PiecewiseTrend(Table):
    """Straight pieces between `knots` (weeks), each with its slope `per_year`."""

    kind: Literal["piecewise"]
    knots: Annotated[tuple[int, ...], Field(strict=False, min_length=1, max_length=99)]
    per_year: Reals

    @model_validator(mode="after")
    def _agree(self) -> PiecewiseTrend:
        if len(self.per_year) != len(self.knots) + 1:
            raise fault(f"{len(self.per_year)} slopes for {len(self.knots)} knots", "one slope more", "per_year")
        if any(later <= earlier for earlier, later in pairwise(self.knots)):
            raise fault(f"{list(self.knots)!r:.60} do not rise", "knots in order of time", "knots")
        return self


class RandomWalkTrend(Table):
    """Exponential of a random walk; `sd` is its weekly step."""

    kind: Literal["random-walk"]
    sd: NonNegative


class Season(Table):
    """A season of the year; `part_of_a_year` allows panels too short to show all of it."""

    part_of_a_year: bool = False


class NoSeason(Table):
    """Demand without a season."""

    kind: Literal["none"]


class RandomSeason(Season):
    """A season of random shape; `amplitude` (a share of demand) scales a wave of mean square 1/2."""

    kind: Literal["random"]
    order: Annotated[int, Field(ge=1, le=10)]
    amplitude: NonNegative

    @model_validator(mode="after")
    def _positive(self) -> RandomSeason:
        if highest(self.amplitude) * math.sqrt(self.order) >= 1.0:
            most = f"amplitude * sqrt(order) < 1, here amplitude < {1 / math.sqrt(self.order):.4g}"
            raise fault("the season can reach zero demand", most, "amplitude")
        return self


class FixedSeason(Season):
    """A season of given harmonics of the year, shares of demand."""

    kind: Literal["fixed"]
    cosine: Reals
    sine: Reals

    @model_validator(mode="after")
    def _positive(self) -> FixedSeason:
        if len(self.cosine) != len(self.sine):
            raise fault(f"{len(self.sine)} sines for {len(self.cosine)} cosines", "equally many", "sine")
        swing = sum(
            math.hypot(max(map(abs, support(a)[:2])), max(map(abs, support(b)[:2])))
            for a, b in zip(self.cosine, self.sine, strict=True)
        )
        if swing >= 1.0:
            raise fault("the season can reach zero demand", "sum of sqrt(cosine^2 + sine^2) < 1", "cosine")
        return self


# --- what moves demand beside them: each a factor ---------------------------------------------------


class Shock(Table):
    """Demand that nobody observes: exponential of an AR(1)."""

    rho: Fraction
    sd: NonNegative


class Event(Table):
    """Weeks that hold one of the `dates` sell 1 + `lift` times as much."""

    name: Name
    dates: Annotated[tuple[Date, ...], Field(strict=False, min_length=1, max_length=1000)]
    lift: Annotated[Value, Within("(-1, inf)")]
    seen: bool = True  #: analysts get a 0/1 column


class LevelBreak(Table):
    """Demand is `factor` times as high from `week` on."""

    name: Name
    kind: Literal["level"]
    week: Real
    factor: Positive


class SpellBreak(Table):
    """Demand is `factor` times as high for `weeks` weeks, and back to normal within `fade` more."""

    name: Name
    kind: Literal["spell"]
    week: Real
    weeks: Weeks
    factor: Positive
    fade: NonNegative = 0.0  #: weeks


class CompetitorShocks(Table):
    """A competitor's actions, `a_year` of them, each of which takes the share `depth` of demand for `weeks` weeks."""

    name: Name
    kind: Literal["shocks"]
    a_year: NonNegative
    weeks: Weeks
    depth: Fraction
    seen: bool = False  #: analysts get a 0/1 column


class ShareOfVoice(Table):
    """A competitor's share of voice around `share`, AR(1) in its log-odds; it takes demand by `effect`."""

    name: Name
    kind: Literal["share-of-voice"]
    share: OpenFraction = 0.5
    rho: Fraction
    sd: NonNegative
    effect: Real
    seen: bool = False  #: analysts get a column of the shares


class Entrant(Table):
    """A competitor that enters in `week` and takes the share `depth` of demand, more every week for `weeks` weeks."""

    name: Name
    kind: Literal["entrant"]
    week: Real
    weeks: Weeks
    depth: Fraction
    seen: bool = False  #: analysts get a column of how far it has entered


class CompetitorSpend(Table):
    """A competitor's money around `weekly`, AR(1) in its logarithm; it takes demand by the elasticity `effect`."""

    name: Name
    kind: Literal["spend"]
    weekly: Positive
    rho: Fraction
    sd: NonNegative
    effect: Real
    seen: bool = False  #: analysts get a column of the money


class Promotions(Table):
    """One promotion in every `every` weeks; its discount is drawn between `low` and `high`."""

    every: Weeks
    weeks: Weeks
    low: Fraction
    high: Fraction
    elasticity: Real  #: of the logarithm of demand, per unit of discount
    seen: bool = True  #: analysts get a column `promotion` of the discounts

    @model_validator(mode="after")
    def _agree(self) -> Promotions:
        if highest(self.weeks) > lowest(self.every):
            raise fault("promotions can be longer than the time between them", "weeks <= every", "weeks")
        if highest(self.low) > lowest(self.high):
            raise fault("can exceed high", "low <= high", "low")
        return self


# --- demand and controls ----------------------------------------------------------------------------


class Demand(Table):
    """What would be sold without media: `level` in KPI units a week."""

    level: Positive
    trend: Annotated[NoTrend | LinearTrend | PiecewiseTrend | RandomWalkTrend, Field(discriminator="kind")] = NoTrend(
        kind="none"
    )
    season: Annotated[NoSeason | RandomSeason | FixedSeason, Field(discriminator="kind")] = NoSeason(kind="none")
    shock: Shock | None = None
    events: Annotated[tuple[Event, ...], Field(strict=False)] = ()
    breaks: Annotated[
        tuple[Annotated[LevelBreak | SpellBreak, Field(discriminator="kind")], ...], Field(strict=False, max_length=100)
    ] = ()
    competitors: Annotated[
        tuple[Annotated[CompetitorShocks | ShareOfVoice | Entrant | CompetitorSpend, Field(discriminator="kind")], ...],
        Field(strict=False, max_length=100),
    ] = ()
    promotions: Promotions | None = None

    @model_validator(mode="after")
    def _unique(self) -> Demand:
        for key in ("events", "breaks", "competitors"):
            unique(getattr(self, key), key)
        return self


class Control(Table):
    """A series of its own; `effect` in KPI units a week per unit of it."""

    name: Name
    kind: Literal["ar"] = "ar"
    mean: Real = 0.0
    sd: NonNegative
    rho: Fraction = 0.0
    effect: Real
    of_media: Real = 0.0  #: rises by this where media bring as much as `demand.level`: an effect, not a cause
    seen: bool = True  #: analysts get a column

    @model_validator(mode="after")
    def _no_circle(self) -> Control:
        if self.of_media != 0.0 and self.effect != 0.0:
            raise fault("media move it, and it moves the KPI: a circle", "effect = 0 beside of_media", "of_media")
        return self
