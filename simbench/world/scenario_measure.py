"""Dirt of a scenario file: how what is seen differs from what was (docs/worlds.md, 11)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from simbench.world.scenario_numbers import NonNegative, Positive, Table, Value, Within, fault, highest, lowest
from simbench.world.scenario_words import Name, Names

Portion = Annotated[Value, Within("[0, 1]")]
Week = Annotated[int, Field(ge=0, le=5000)]


class StepTable(Table):
    """One change of what is seen; steps are taken in the order of the file."""

    version: ClassVar[int] = 1  #: goes up when the kind's formula changes
    name: Name


class ChannelStepTable(StepTable):
    """A change of what is seen of some channels."""

    channels: Names | None = None  #: None = all


class SpendError(ChannelStepTable):
    """Lognormal error of mean 1, new every week, geo and channel; `sd` is its coefficient of variation."""

    kind: Literal["spend-error"]
    sd: NonNegative


class Fee(ChannelStepTable):
    """A `share` of the spend is reported on top of it."""

    kind: Literal["fee"]
    share: NonNegative


class Unit(ChannelStepTable):
    """Spend in another unit: 0.001 for thousands."""

    kind: Literal["unit"]
    factor: Positive


class Outliers(ChannelStepTable):
    """`count` weeks of each channel in which spend is seen `low` to `high` times as large."""

    kind: Literal["outliers"]
    count: Week
    low: Positive
    high: Positive

    @model_validator(mode="after")
    def _ordered(self) -> Outliers:
        if highest(self.low) > lowest(self.high):
            raise fault("low can exceed high", "low <= high", "low")
        return self


class SpendTrackingLoss(ChannelStepTable):
    """From `week` on a `share` of the spend is not seen."""

    kind: Literal["spend-tracking-loss"]
    week: Week
    share: Portion


class KpiError(StepTable):
    """Lognormal error of mean 1, new every week and geo; `sd` is its coefficient of variation."""

    kind: Literal["kpi-error"]
    sd: NonNegative


class KpiTrackingLoss(StepTable):
    """From `week` on a `share` of the KPI is not seen."""

    kind: Literal["kpi-tracking-loss"]
    week: Week
    share: Portion


class Missing(StepTable):
    """Weeks, each with probability `share`, whose KPI nobody recorded."""

    kind: Literal["missing"]
    share: Portion


class Backfilled(StepTable):
    """Weeks, each with probability `share`, that carry the mean of their neighbours' KPI instead of their own."""

    kind: Literal["backfilled"]
    share: Portion


class LateBooking(StepTable):
    """A `share` of every week's KPI is booked a week later."""

    kind: Literal["late-booking"]
    share: Portion


class Privacy(StepTable):
    """Laplace noise on the KPI, of `scale` in units of the reference KPI."""

    kind: Literal["privacy"]
    scale: NonNegative


class Claims(ChannelStepTable):
    """What platforms credit to themselves: a part of their effect, and of what would have been sold anyway."""

    kind: Literal["claims"]
    coverage: NonNegative  #: share of the effect within the window that is claimed
    weeks: Literal[1, 4]  #: the attribution window
    poaching: NonNegative = 0.0  #: share of the baseline that is claimed
    cv: NonNegative = 0.0
    delay: Annotated[int, Field(ge=0, le=520)] = 0  #: newest weeks that are not yet reported


Measure = Annotated[
    SpendError
    | Fee
    | Unit
    | Outliers
    | SpendTrackingLoss
    | KpiError
    | KpiTrackingLoss
    | Missing
    | Backfilled
    | LateBooking
    | Privacy
    | Claims,
    Field(discriminator="kind"),
]
