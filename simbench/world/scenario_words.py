"""The words of a scenario file: axes, kinds of channels, names, dates."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from simbench.world.scenario_numbers import fault, nearest

#: The assumption that a scenario breaks ("" = none, "compound" = several), and what it says.
BREAKS = {
    "": "control: nothing is broken",
    "compound": "several assumptions at once",
    "enough-data": "there are enough weeks for the number of channels",
    "exogenous-spend": "budgets do not follow sales",
    "fixed-budgets": "budgets are not reset each quarter from past growth",
    "unanticipated-spend": "spend is not timed on promotions to come",
    "exogenous-search": "paid search does not follow demand or other media",
    "uncorrelated-spend": "channels move independently of each other",
    "spend-variation": "spend varies enough to show its effect",
    "known-carry-over": "the effect fades as the usual kernels say, within their length",
    "known-saturation": "response bends as the usual curves say",
    "effect-shape": "response is concave but for a first bend, without a threshold that matters",
    "order-of-operations": "carry-over comes before saturation",
    "constant-effect": "effectiveness does not change over time",
    "no-breaks": "levels and tracking do not jump",
    "stationary-baseline": "the baseline follows a smooth trend",
    "known-season": "season and holidays are regular and of ordinary size",
    "exogenous-price": "price and promotions are not planned together with media",
    "no-competitor": "competitors do not act",
    "additive": "channels neither help nor hinder each other",
    "positive-effect": "every channel sells something",
    "gaussian-noise": "noise is independent, normal and of constant size",
    "exact-kpi": "the KPI is complete and measured without error",
    "exact-spend": "reported spend is what was paid",
    "honest-claims": "nobody reports more than what media brought",
    "no-outliers": "no week's spend is out of all proportion",
    "established-channels": "every channel ran throughout",
    "comparable-channels": "channels are of comparable size and return",
    "homogeneous-geos": "geos respond alike",
    "monetary-kpi": "the KPI is money",
    "ordinary-units": "money and KPI come in units of ordinary size",
    "proper-controls": "no control is itself an effect of media",
    "short-run-effect": "media build no lasting brand",
    "continuous-kpi": "the KPI is no small count",
    "identifiable": "no other world gives the same data and other answers",
    "generated-spend": "spend follows one of the rules that simbench knows",
    "strong-media": "media make a sizeable share of sales",
}

#: What every analyst knows about a channel; the order is that of `records.KINDS`.
Kind = Literal[
    "tv", "radio", "print", "out-of-home", "online-video", "display", "paid-social",
    "generic-search", "brand-search", "affiliate", "email", "other",
]  # fmt: skip


def _known_break(value: str) -> str:
    if value not in BREAKS:
        raise fault(f"'{value[:40]}' is not on the list", nearest(value, BREAKS))
    return value


def _weeks_only(value: Any) -> Any:
    if type(value) is not int or value != 7:
        raise fault(f"{value!r:.40} is not supported", "7: sum daily data to weeks first, with sb.to_weeks")
    return value


def _version(value: Any) -> Any:
    if type(value) is not int or value != 1:
        raise fault(f"version {value!r:.40} is unknown", "schema_version = 1")
    return value


def _bare_date(value: Any) -> Any:
    # TOML knows dates without quotes; both spellings mean the same
    return value.isoformat() if type(value) is datetime.date else value


def _real_date(value: str) -> str:
    try:
        year = datetime.date.fromisoformat(value).year
    except ValueError:
        year = 0
    # 2021-W01-1 is a date too, but not one that everybody reads
    if not (1900 <= year <= 2200 and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)):
        raise fault(f"'{value[:40]}' is not a date", "an ISO date from 1900 to 2200, e.g. '2021-01-04'")
    return value


Date = Annotated[str, BeforeValidator(_bare_date), AfterValidator(_real_date)]
KEBAB_CASE = r"^[a-z0-9]+(-[a-z0-9]+)*$"
#: no dots (key paths are split at them), no spaces; a letter first, so that it is no list position
NAME = r"^[A-Za-z][A-Za-z0-9_-]*$"
#: What the patterns say, for errors.
PATTERNS = {
    KEBAB_CASE: "small letters and digits with single hyphens between, e.g. 'my-scenario'",
    NAME: "a letter, then letters, digits, - and _",
}
KebabCase = Annotated[str, Field(pattern=KEBAB_CASE, max_length=80)]
Name = Annotated[str, Field(pattern=NAME, max_length=64)]
Names = Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=200)]
Version = Annotated[int, BeforeValidator(_version)]
PeriodDays = Annotated[int, BeforeValidator(_weeks_only)]
Break = Annotated[str, AfterValidator(_known_break), Field(json_schema_extra={"enum": list(BREAKS)})]
