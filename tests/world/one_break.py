"""What a scenario may change besides its prose, by the assumption it says it breaks."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatch

from simbench.report.changes import differences
from simbench.world.scenario import Scenario, base_of

DIRT = ("measure",)
#: Word of `breaks` -> key paths below which its scenarios may differ from their control; `*` is any one name.
ALLOWED: dict[str, tuple[str, ...]] = {
    "enough-data": ("time.weeks", "questions.windows", "controls"),  # windows follow from the weeks
    # a rule that follows sales does harm only where something that nobody sees moves them, or that is hidden now
    "exogenous-spend": ("channels.*.spend", "demand.shock", "demand.promotions.seen"),
    "fixed-budgets": ("channels.*.spend.quarterly", "demand.shock"),
    "unanticipated-spend": ("channels.*.spend.anticipation", "demand.promotions"),  # promotions to anticipate
    # a search channel beside the others, and demand, seen and unseen, that pays for it
    "exogenous-search": ("channels.brand-search", "demand.shock"),
    # what moves together has a plan that can: always on, or of the rule `correlated`
    "uncorrelated-spend": ("channels.*.spend", "spend"),
    "spend-variation": ("channels.*.spend",),
    "generated-spend": ("channels.*.spend",),
    "known-carry-over": ("channels.*.carry_over",),
    "short-run-effect": ("channels.*.carry_over",),
    "known-saturation": ("channels.*.saturation",),
    "effect-shape": ("channels.*.saturation",),
    "order-of-operations": ("channels.*.order",),
    "constant-effect": ("channels.*.effectiveness", "channels.*.price"),
    "positive-effect": ("channels.*.roas",),
    "comparable-channels": ("channels.*.spend.weekly", "channels.*.roas"),
    "established-channels": ("channels.*.spend.from_week", "channels.*.spend.steps"),
    "additive": ("synergies",),
    "no-breaks": ("demand.breaks",),
    "stationary-baseline": ("demand.trend",),
    "known-season": ("demand.events",),
    "exogenous-price": ("demand.promotions", "channels.*.spend.anticipation"),  # planned together with media
    "no-competitor": ("demand.competitors",),
    "proper-controls": ("controls",),
    "gaussian-noise": ("noise",),
    "exact-kpi": DIRT,
    "exact-spend": DIRT,
    "honest-claims": DIRT,
    "no-outliers": (*DIRT, "channels.*.spend.steps"),
    "homogeneous-geos": ("geo", "channels.*.national_only", "questions.problems.by-geo"),  # money moves between geos
    # the same money in other units of the KPI, so that effects of controls go with the level
    "monetary-kpi": ("kpi", "demand.level", "controls.*.effect"),
    "continuous-kpi": ("kpi", "noise", "demand.level", "controls.*.effect"),
    "ordinary-units": ("demand.level", "channels.*.spend.weekly", "controls.*.effect"),
    "strong-media": ("demand.level", "controls.*.effect"),
    "identifiable": ("channels.*.saturation", "channels.*.effectiveness"),  # of the twin
}
#: Of both brand stocks, as they say.
BRAND = {
    "channels.*.order": "a brand keeps what was reached, bent already",
    "channels.*.roas": "a return would be solved over the tail",
    "channels.*.effect": "so that effects are given",
}
#: Scenario -> key paths beyond these, each for a reason.
BESIDES: dict[str, dict[str, str]] = {
    "brand-stock": BRAND,
    "brand-stock-long": {**BRAND, "time.tail": "asks about a longer tail, as it says"},
    "conversions": {"questions.problems.brand-floor": "asks one more problem, as it says"},
    "dearer-contacts-seen": {"channels.*.exposure_seen": "shows the contacts that became dearer, as it says"},
    "decisions-pulsing": {"questions.problems": "asks about pulses, as it says"},
    "growing-noise": {"demand.season.amplitude": "a larger season, with which noise can grow, as it says"},
    "hidden-peak": {"channels.*.spend.peaks": "spend rises before the peak, as it says"},
    "jin2017-60y": {"time.weeks": "sixty years, as it says", "questions.windows": "follow from the weeks"},
    "ladder-length": {"demand.events.black-friday": "leaves its event out, whose dates end, as it says"},
    "loop-steady": {"time.weeks": "four years to live in, as it says", "questions.windows": "follow from the weeks"},
    "moving-holidays": {
        "channels.*.spend.season": "media that move with the season, as it says",
        "channels.*.spend.peaks": "and with the holidays",
    },
    "pandemic": {"channels.*.spend.steps": "spend moves with demand, as it says"},
    "placebo": {"channels.radio.spend.season": "the useless channel looks like the season, as it says"},
    "small-giant": {"channels.email": "the small channel is one beside the others, as it says"},
    # four worlds of one symptom, without a control: a child takes the cause of its base back and puts its own in
    "doubled-competitor": {"channels.*.saturation": "", "channels.*.roas": "", "demand.trend": ""},
    "doubled-demand-fall": {"channels.*.saturation": "", "channels.*.roas": ""},
    "doubled-wear-out": {
        "channels.*.saturation": "", "channels.*.roas": "", "demand.trend": "", "demand.season.amplitude": "",
    },
}  # fmt: skip


def control_of(scenario: Scenario) -> Scenario | None:
    """The nearest control that a scenario descends from; its base, where its family has none; None without a base."""
    first = parent = base_of(scenario)
    while parent is not None and parent.breaks != "":
        parent = base_of(parent)
    return first if parent is None else parent


def changed_keys(scenario: Scenario) -> list[str]:
    """Key paths whose value is not that of the control."""
    control = control_of(scenario)
    return [] if control is None else [change.key for change in differences(control, scenario)]


def below(key: str, prefix: str) -> bool:
    """Whether a key path is `prefix`, or lies below it."""
    steps, keys = prefix.split("."), key.split(".")
    return len(keys) >= len(steps) and all(fnmatch(key, step) for key, step in zip(keys, steps, strict=False))


def outside(keys: Iterable[str], prefixes: Iterable[str]) -> list[str]:
    """The key paths that lie below none of the prefixes."""
    allowed = tuple(prefixes)
    return [key for key in keys if not any(below(key, prefix) for prefix in allowed)]
