"""Small random scenario files that cover every mechanism of docs/worlds.md.

What fixes shapes and code (sizes, rules, kinds) depends on ``seed % structures`` alone, so that many seeds
share compiled programs; every number, date and distribution depends on the seed.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np

RECORDED = "recorded.csv"  # the file that rule `recorded` reads, beside the scenario


class Layout(NamedTuple):
    """Sizes, noise and spend rules of a structure; `follows` by position of the following channel."""

    weeks: int
    pre_history: int
    holdout: int
    horizon: int
    tail: int
    geos: int
    noise: str
    rules: tuple[str, ...]
    follows: tuple[tuple[int, tuple[str, ...]], ...] = ()
    longest: int = 8  # kernel


BOUGHT_TWICE = ("demand-capturing", "demand-capturing")
LAYOUTS = (
    Layout(56, 10, 8, 54, 4, 1, "growing", ("pulsed", "recorded", "seasonal", "always-on"), longest=40),
    Layout(40, 20, 10, 6, 12, 3, "multiplicative", ("flighted", "correlated", "correlated")),
    Layout(30, 8, 6, 8, 6, 1, "student-t", ("demand-chasing", "flighted", "demand-chasing")),
    Layout(24, 6, 6, 30, 5, 1, "negative-binomial", ("always-on", *BOUGHT_TWICE), ((2, ("c1", "c0")),)),
    Layout(30, 8, 6, 8, 6, 2, "ar1", ("demand-chasing", "demand-capturing", "flighted")),
    Layout(26, 7, 5, 9, 6, 2, "poisson", ("demand-chasing", "flighted")),
    Layout(52, 5, 4, 10, 4, 1, "student-t", ("recorded",), longest=40),
    Layout(80, 12, 6, 9, 7, 1, "ar1", ("correlated", "demand-chasing", "pulsed", "correlated"), longest=40),
    Layout(24, 6, 6, 8, 5, 4, "multiplicative", (*BOUGHT_TWICE, "demand-chasing"), ((0, ("c2",)), (1, ("c0",)))),
    Layout(60, 10, 8, 10, 8, 2, "gaussian", ("demand-capturing", "always-on")),
    Layout(20, 5, 4, 6, 4, 4, "student-t", ("seasonal", "flighted")),
    Layout(40, 20, 10, 6, 12, 1, "multiplicative", ("pulsed", "demand-capturing", "demand-chasing", "seasonal")),
)
FEW = 6  #: structures that between them meet every mechanism
CARRY_OVERS = ("geometric", "weibull-pdf", "none", "delayed", "weibull-cdf", "binomial", "brand-stock")
SATURATIONS = (
    "hill", "power", "exponential", "michaelis-menten", "logistic", "tanh", "none", "log", "hill", "segments",
    "reach-frequency",
)  # fmt: skip
EFFECTIVENESS = ("", "random-walk", "shift", "decay", "wear-out", "spell")
TRENDS = ("none", "linear", "random-walk", "piecewise")
SEASONS = ("random", "none", "fixed")
SIZES = ("share", "r_squared", "sd")
COUNTS = ("poisson", "negative-binomial")


class Numbers(NamedTuple):
    """Numbers of a file: mostly plain, sometimes a distribution."""

    rng: np.random.Generator

    def __call__(self, low: float, high: float, kind: str = "bounded") -> Any:
        """A number or distribution around [low, high]; kind: bounded, positive, fraction, real."""
        rng, middle = self.rng, (low + high) / 2
        plain = round(float(rng.uniform(low, high)), 4)
        if rng.random() < 0.7:
            return plain
        options: list[dict[str, Any]] = [
            {"dist": "uniform", "low": low, "high": high},
            {"dist": "choice", "values": [low, plain, high]},
        ]
        if low > 0:
            options.append({"dist": "log-uniform", "low": low, "high": high})
        if kind in ("positive", "real"):
            options.append({"dist": "lognormal", "median": abs(middle) + 0.01, "sigma": 0.2})
            options.append({"dist": "gamma", "shape": 20.0, "scale": abs(middle) / 20 + 0.001})
        if kind == "real":
            options.append({"dist": "normal", "mean": middle, "sd": (high - low) / 6})
        if kind == "fraction":
            options.append({"dist": "beta", "a": 12.0 * middle, "b": 12.0 * (1 - middle)})
        return options[rng.integers(len(options))]


def random_scenario(seed: int, structures: int = FEW) -> str:
    """A valid scenario file as TOML text; rule `recorded` reads ``recorded_csv(seed)`` as RECORDED."""
    structure = seed % structures
    layout, kinds = LAYOUTS[structure % len(LAYOUTS)], np.random.default_rng([1, structure])
    rng = np.random.default_rng([2, seed])
    number, start = Numbers(rng), date(2019, 1, 1) + timedelta(days=int(rng.integers(1500)))
    parts: dict[str, Any] = {
        "schema_version": 1,
        "name": f"random-{seed}",
        "breaks": "compound",
        "time": times(layout, start),
        "demand": demand(layout, structure, kinds, number, start),
        "controls": [control(k, number) for k in range(int(kinds.integers(3)))],
        "channels": [channel(layout, c, structure, kinds, number) for c in range(len(layout.rules))],
        "noise": noise(layout.noise, SIZES[(structure + structure // 3) % 3], number),
        "questions": questions(layout),
    }
    if parts["demand"]["events"]:
        chosen = [each for each in parts["channels"] if each["spend"]["rule"] != "demand-capturing"]
        chosen[0]["spend"]["peaks"] = Numbers(np.random.default_rng([5, seed]))(-0.5, 1.5)
    parts["demand"] |= moves(layout, structure, Numbers(np.random.default_rng([4, seed])))
    if layout.geos > 1:
        parts["geo"] = {
            "count": layout.geos,
            **{f"{name}_sd": number(0.1, 0.5, "positive") for name in ("population", "level", "spend", "effect")},
        }
    parts["spend"] = {"correlation": number(-0.3, 0.9)} if layout.rules.count("correlated") > 1 else {}
    parts["spend"]["cycle"] = {"rho": number(0.3, 0.9, "fraction"), "sd": number(0.05, 0.3, "positive")}
    parts["channels"] = [followable(each, parts["demand"]) for each in parts["channels"]]
    bounded = [c["name"] for c in parts["channels"] if c["saturation"]["kind"] not in ("power", "log", "none")]
    if structure % len(LAYOUTS) in (2, 4, 8) and len(bounded) > 1:  # one without, two with bought channels
        pair = [bounded[0], bounded[-1]]
        parts["synergies"] = [{"name": "both", "channels": pair, "strength": number(-0.2, 0.4)}]
    if layout.geos > 2:
        parts["geo"]["tiers"] = tiers(layout, number)
    if structure % 2 or layout.noise in COUNTS:
        parts["kpi"] = {"unit": "conversions", "value": round(float(rng.uniform(2, 40)), 2), "margin": 0.4}
    return "\n".join(section(key, value) for key, value in parts.items())


def followable(channel: dict[str, Any], demand: dict[str, Any]) -> dict[str, Any]:
    """The channel without what follows a season or promotions that demand does not have."""
    season = () if demand["season"]["kind"] != "none" else ("season",)
    gone = season if "promotions" in demand else (*season, "anticipation")
    parts = {key: channel[key] for key in ("spend", "price") if key in channel}
    return channel | {name: {key: part[key] for key in part if key not in gone} for name, part in parts.items()}


def tiers(layout: Layout, number: Numbers) -> list[dict[str, Any]]:
    """Two tiers, the second launched later."""
    return [
        {"name": "large", "geos": 1, "spend": number(1.0, 2.0, "positive")},
        {"name": "small", "geos": layout.geos - 1, "spend": number(0.4, 1.0), "launch": layout.weeks // 4},
    ]


def changed(spend: dict[str, Any], layout: Layout, turn: int, number: Numbers) -> dict[str, Any]:
    """What changes a plan, by turns."""
    if turn % 3 == 0:
        spend |= {"season": number(-1.0, 2.0), "cycle": number(-1.0, 1.5), "anticipation": number(-0.3, 0.5)}
    if turn % 4 == 1:
        steps = [{"name": "dark", "week": 3, "weeks": 4, "factor": 0.0}]
        spend["steps"] = [*steps, {"name": "up", "week": layout.weeks // 2, "factor": number(1.2, 2.0)}]
    if turn % 5 == 2:
        spend["from_week"] = 5
    if turn % 4 == 2:
        spend["quarterly"] = {"strength": number(0.3, 1.5), "low": number(0.6, 0.9), "high": number(1.1, 1.6)}
    if turn % 5 == 4:
        spend["of_sales"] = {"window": 1 + turn % 6}
    return spend


def effectiveness(kind: str, layout: Layout, number: Numbers) -> dict[str, Any]:
    """How an effect changes."""
    if kind == "random-walk":
        return {"kind": kind, "sd": number(0.02, 0.1, "positive")}
    if kind == "decay":
        return {"kind": kind, "per_year": number(-0.2, 0.5)}
    if kind == "wear-out":
        return {"kind": kind, "half_life": number(4.0, 12.0, "positive"), "refresh": number(6.0, 20.0, "positive")}
    ends = {"weeks": 6} if kind == "spell" else {}
    return {"kind": "shift", "week": layout.weeks - 4, "factor": number(-0.5, 1.6), **ends}


def random_measure(seed: int, structures: int = FEW) -> str:
    """Steps of `measure` for ``random_scenario(seed)``, every kind once or twice, in random order."""
    layout, rng = LAYOUTS[seed % structures % len(LAYOUTS)], np.random.default_rng([4, seed])
    number, names = Numbers(rng), [f"c{c}" for c in range(len(layout.rules))]

    def some() -> dict[str, Any]:
        chosen = [name for name in names if rng.random() < 0.6]
        return {"channels": chosen} if chosen else {}

    def week() -> int:
        return int(rng.integers(layout.weeks))

    def claimed() -> dict[str, Any]:
        return {
            "kind": "claims", "coverage": number(0.2, 1.5, "positive"), "weeks": int(rng.choice([1, 4])),
            "poaching": number(0.0, 0.05), "cv": number(0.0, 0.4), "delay": int(rng.integers(3)),
        }  # fmt: skip

    steps: list[dict[str, Any]] = [
        {"kind": "spend-error", "sd": number(0.0, 0.3)} | some(),
        {"kind": "fee", "share": number(0.0, 0.3)} | some(),
        {"kind": "unit", "factor": number(0.001, 2.0, "positive")} | some(),
        {"kind": "outliers", "count": int(rng.integers(4)), "low": number(2.0, 5.0), "high": number(6.0, 20.0)}
        | some(),
        {"kind": "spend-tracking-loss", "week": week(), "share": number(0.0, 0.6)} | some(),
        {"kind": "kpi-error", "sd": number(0.0, 0.2)},
        {"kind": "kpi-tracking-loss", "week": week(), "share": number(0.1, 0.6, "fraction")},
        *({"kind": "missing", "share": number(0.0, high)} for high in (0.2, 1.0)),
        *({"kind": "backfilled", "share": number(0.0, high)} for high in (0.3, 1.0)),
        {"kind": "late-booking", "share": number(0.0, 0.4)},
        {"kind": "privacy", "scale": number(0.0, 0.1)},
        claimed() | {"channels": names[:1]},
        *([claimed() | {"channels": names[2:]}] if len(names) > 2 else []),
    ]
    order = rng.permutation(len(steps))
    return section("measure", [{"name": f"step{i}", **steps[i]} for i in order])


def recorded_csv(seed: int) -> str:
    """The recorded spend of a scenario: one column, now and then without spend."""
    rng = np.random.default_rng([3, seed])
    rows = max(layout.weeks for layout in LAYOUTS if "recorded" in layout.rules) + int(rng.integers(0, 6))
    spend = np.where(rng.random(rows) < 0.8, rng.gamma(4.0, 12.0, rows), 0.0)
    return weekly_csv("spend", spend)


def weekly_csv(column: str, amounts: Any) -> str:
    """A file of weekly amounts, one column beside the date."""
    monday = date(2019, 1, 7)
    rows = (f"{monday + timedelta(weeks=week)},{amount:.3f}" for week, amount in enumerate(amounts))
    return "\n".join([f"date,{column}", *rows]) + "\n"


def section(key: str, value: Any) -> str:
    """A top-level table, list of tables, or plain key of the file."""
    if isinstance(value, dict):
        return "\n".join([f"[{key}]", *(f"{name} = {toml(item)}" for name, item in value.items()), ""])
    if isinstance(value, list):
        return "\n".join(section(f"[{key}]", item) for item in value)
    return f"{key} = {toml(value)}"


def toml(value: Any) -> str:
    """One TOML value; tables inline."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return repr(value.item() if isinstance(value, np.generic) else value)


def times(layout: Layout, start: date) -> dict[str, Any]:
    """The clock."""
    return {
        "weeks": layout.weeks, "pre_history": layout.pre_history, "holdout": layout.holdout,
        "horizon": layout.horizon, "tail": layout.tail, "start": start.isoformat(),
    }  # fmt: skip


def demand(layout: Layout, structure: int, kinds: Any, number: Numbers, start: date) -> dict[str, Any]:
    """Level, trend, season, shock and events; counts are small."""
    rng = number.rng
    trend: dict[str, Any] = {"kind": TRENDS[structure % 4]}
    if trend["kind"] == "linear":
        trend["per_year"] = number(-0.2, 0.3)
    elif trend["kind"] == "piecewise":
        pieces = int(kinds.integers(2, 4))
        weeks = rng.choice(np.arange(-3, layout.weeks + 3), pieces, replace=False)
        trend["knots"] = [int(week) for week in sorted(weeks)]
        trend["per_year"] = [number(-0.2, 0.3) for _ in range(pieces + 1)]
    elif trend["kind"] == "random-walk":
        trend["sd"] = number(0.005, 0.03, "positive")
    season: dict[str, Any] = {"kind": SEASONS[(structure + structure // 3) % 3]}
    if season["kind"] == "random":
        season |= {"order": int(kinds.integers(1, 4)), "amplitude": number(0.05, 0.3)}
    elif season["kind"] == "fixed":
        order = int(kinds.integers(1, 4))
        season |= {wave: [number(-0.1, 0.15) for _ in range(order)] for wave in ("cosine", "sine")}
    if season["kind"] != "none" and layout.weeks < 52:
        season["part_of_a_year"] = True
    level = number(25.0, 60.0) if layout.noise in COUNTS else number(800.0, 1500.0, "positive")
    out = {"level": level, "trend": trend, "season": season}
    if kinds.random() < 0.6 or structure % len(LAYOUTS) == 1:
        out["shock"] = {"rho": number(0.3, 0.9, "fraction"), "sd": number(0.02, 0.1, "positive")}
    days = np.arange(-7 * layout.pre_history, 7 * (layout.weeks + max(layout.holdout, layout.horizon) + layout.tail))
    out["events"] = [
        {
            "name": f"event{i}",
            "dates": [(start + timedelta(days=int(day))).isoformat() for day in sorted(rng.choice(days, 4))],
            "lift": number(-0.2, 0.6),
            "seen": i == 0,
        }
        for i in range(int(kinds.integers(3)))
    ]
    return out


def moves(layout: Layout, structure: int, number: Numbers) -> dict[str, Any]:
    """Breaks or promotions, and two competitors, seen or hidden."""
    rival = {"name": "rival", "seen": structure % 3 == 2}
    if structure % 2:
        rival |= {
            "kind": "shocks", "a_year": number(2.0, 12.0, "positive"), "weeks": number(1.0, 4.0),
            "depth": number(0.05, 0.4, "fraction"),
        }  # fmt: skip
        promotions = {
            "every": number(5.0, 9.0), "weeks": number(1.0, 4.0), "low": number(0.0, 0.2), "high": number(0.2, 0.4),
            "elasticity": number(0.5, 3.0, "real"), "seen": structure % 3 != 0,
        }  # fmt: skip
        entrant = {
            "name": "entrant", "kind": "entrant", "seen": structure % 3 == 1, "depth": number(0.05, 0.4, "fraction"),
            "week": number(-layout.pre_history, layout.weeks), "weeks": number(1.0, 30.0),
        }  # fmt: skip
        return {"competitors": [rival, entrant], "promotions": promotions}
    rival |= {
        "kind": "share-of-voice", "share": number(0.3, 0.6, "fraction"), "rho": number(0.0, 0.9),
        "sd": number(0.1, 0.6, "positive"), "effect": number(-0.5, 1.5, "real"),
    }  # fmt: skip
    last = layout.weeks + max(layout.holdout, layout.horizon) + layout.tail - 8
    breaks = [
        {"name": "shift", "kind": "level", "week": number(-layout.pre_history, last), "factor": number(0.7, 1.2)},
        {
            "name": "outage", "kind": "spell", "week": number(-layout.pre_history, last), "weeks": number(1.0, 7.0),
            "factor": number(0.2, 0.9, "positive"), "fade": number(0.0, 4.0),
        },
    ]  # fmt: skip
    spender = {
        "name": "spender", "kind": "spend", "seen": structure % 3 == 1, "weekly": number(20.0, 200.0, "positive"),
        "rho": number(0.0, 0.9), "sd": number(0.1, 0.6, "positive"), "effect": number(-0.1, 0.4, "real"),
    }  # fmt: skip
    return {"competitors": [rival, spender], "breaks": breaks}


def control(k: int, number: Numbers) -> dict[str, Any]:
    """An AR(1) control; every second one is hidden."""
    return {
        "name": f"z{k}", "mean": number(-2.0, 5.0, "real"), "sd": number(0.5, 2.0, "positive"),
        "rho": number(0.0, 0.9), "effect": number(-20.0, 20.0, "real"), "seen": k % 2 == 0,
    }  # fmt: skip


def channel(layout: Layout, c: int, structure: int, kinds: Any, number: Numbers) -> dict[str, Any]:
    """One channel; kinds rotate so that FEW structures meet them all."""
    rule, turn = layout.rules[c], 3 * structure + c
    spend, money = spend_of(rule, layout, dict(layout.follows).get(c), kinds, number)
    scaled_by = ("mean-active", "max", "money", "mean-active")[(turn + structure // 4) % 4]
    unit = money if scaled_by == "money" else 1.0
    curve: dict[str, Any] = {
        "kind": SATURATIONS[turn % len(SATURATIONS)],
        "scaled_by": scaled_by,
    }
    if curve["kind"] == "power":
        curve["exponent"] = number(0.3, 0.95, "fraction")
    elif curve["kind"] == "reach-frequency":
        curve |= {"contact_at": number(0.2 * unit, unit, "positive"), "frequency": number(0.5, 3.0, "positive")}
    elif curve["kind"] != "none":
        curve["half_at"] = number(0.4 * unit, 2.5 * unit, "positive")
    if curve["kind"] == "segments":
        curve["far"] = number(1.0, 9.0)
    if curve["kind"] == "hill":
        curve["slope"] = number(0.6, 2.5, "positive")
    out = {
        "name": f"c{c}",
        "kind": "brand-search" if rule == "demand-capturing" else "tv",
        "spend": spend,
        "carry_over": carry_over(CARRY_OVERS[(turn + structure) % len(CARRY_OVERS)], layout, kinds, number),
        "saturation": curve,
        "order": ("carry-over-first", "saturation-first")[(turn + structure // 2) % 2],
    }
    if rule != "demand-capturing":
        out["spend"] = changed(spend, layout, turn, number)
    changes = EFFECTIVENESS[turn % len(EFFECTIVENESS)]
    if changes == "random-walk" and out["order"] == "saturation-first":
        changes = "decay"
    if changes:
        out["effectiveness"] = effectiveness(changes, layout, number)
    if turn % 4 == 3:
        out["price"] = {"per_year": number(-0.1, 0.4), "season": number(-1.0, 1.0)}
    if turn % 2:
        out["exposure_seen"] = True
    if layout.geos > 1 and turn % 2:
        out["national_only"] = True
    if scaled_by != "money" and turn % 3 == 1:
        out["effect"] = number(10.0, 80.0, "real")
    else:
        out["roas"] = number(0.3, 3.0, "real")
    return out


def spend_of(
    rule: str, layout: Layout, follows: tuple[str, ...] | None, kinds: Any, number: Numbers
) -> tuple[dict[str, Any], float]:
    """A spend rule, and about how much money a week it spends."""
    money = float(number.rng.choice([20.0, 50.0, 90.0]))
    spend: dict[str, Any] = {"rule": rule}
    if rule == "recorded":
        return {"rule": rule, "file": RECORDED, "column": "spend"}, money
    spend["weekly"] = number(0.8 * money, 1.2 * money, "positive") if number.rng.random() < 0.92 else 0.0
    if rule == "seasonal":
        return spend | {"phase": number(0.0, 1.0), "sd": number(0.0, 0.5)}, money
    spend["cv"] = number(*{"correlated": (0.05, 0.25), "demand-capturing": (0.2, 0.6)}.get(rule, (0.0, 0.6)))
    if rule == "flighted":
        rest = kinds.integers(18, 21) if layout.geos > 1 else kinds.integers(1, 5)
        spend |= {"on": int(kinds.integers(2, 5)), "off": int(rest)}
    elif rule == "pulsed":
        spend |= {"floor": number(0.0, 0.2), "height": number(0.8, 1.6), "period": number(4.0, 13.0)}
    elif rule == "demand-chasing":
        spend |= {
            "strength": number(0.3, 2.5, "real"), "window": int(kinds.integers(2, 9)),
            "low": number(0.5, 0.95), "high": number(1.05, 2.0),
        }  # fmt: skip
    elif rule == "demand-capturing":
        spend |= {
            "lever": "bought", "strength": number(0.3, 1.5), "halo": number(0.1, 0.8),
            "cap": number(0.8, 1.4),
        }  # fmt: skip
        if number.rng.random() < 0.2:  # demand meets the cap exactly, every week
            spend |= {"cv": 0.0, "strength": 0.0, "halo": 0.0, "cap": 1.0}
        if follows is not None:
            spend["follows"] = list(follows)
    return spend, money


def carry_over(kind: str, layout: Layout, kinds: Any, number: Numbers) -> dict[str, Any]:
    """A kernel, normalised or not."""
    if kind == "none":
        return {"kind": "none"}
    length = int(kinds.integers(2, layout.longest + 1))
    out: dict[str, Any] = {"kind": kind, "length": length, "normalised": bool(kinds.random() < 0.6)}
    if kind == "geometric" and length % 2:
        return out | {"half_life": number(0.4, 4.0, "positive")}
    if kind == "brand-stock":
        out |= {"slow_share": number(0.2, 0.7), "slow_half_life": number(5.0, 30.0, "positive")}
    if kind in ("geometric", "delayed", "binomial", "brand-stock"):
        out["retention"] = number(0.2, 0.85, "fraction")
    if kind == "delayed":
        out["peak"] = number(0.0, min(3.0, length - 0.5))
    if kind.startswith("weibull"):
        out |= {"shape": number(0.6, 2.5, "positive"), "scale": number(1.0, 4.0, "positive")}
    return out


def noise(kind: str, size: str, number: Numbers) -> dict[str, Any]:
    """KPI noise, or a count."""
    if kind in COUNTS:
        out: dict[str, Any] = {"kind": kind, "zero": number(0.0, 0.3)}
        return out if kind == "poisson" else out | {"dispersion": number(1.0, 20.0, "positive")}
    spread = {
        "share": number(0.01, 0.06, "positive"),
        "r_squared": number(0.5, 0.95),
        "sd": number(5.0, 50.0, "positive"),
    }
    out = {"kind": "gaussian" if kind in ("multiplicative", "growing") else kind, size: spread[size]}
    if kind == "multiplicative":
        out["multiplicative"] = True
    elif kind == "growing":
        out["power"] = number(0.3, 1.2, "positive")
    elif kind == "student-t":
        out["df"] = number(3.0, 8.0)
    elif kind == "ar1":
        out["rho"] = number(0.2, 0.8, "fraction")
    return out


def questions(layout: Layout) -> dict[str, Any]:
    """Windows at the start, inside and at the end; a geo problem where there are geos."""
    weeks, tail = layout.weeks, layout.tail
    problem: dict[str, Any] = {"name": "free", "budget": "free", "upper": 1.5}
    if len(layout.rules) > 1:
        own = {"of": "plan", "low": 0.2} if layout.weeks % 8 == 0 else {}
        problem["groups"] = [{"channels": ["c1"], "high": 0.4, **own}]
    if layout.geos > 1 and layout.geos % 2 == 0:
        problem = {"name": "places", "scope": "geo", "budget": [0.9, 1.2], "lower": 0.2}
    return {
        "windows": [[0, 4], [weeks // 3, weeks // 3 + 7], [weeks - 5, weeks]],
        "multipliers": [0.0, 0.5, 1.0, 1.5],
        "impulse_lags": min(tail + 1, 6),
        "levels": 5,
        "problems": [problem],
    }
