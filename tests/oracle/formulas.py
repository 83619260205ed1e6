"""Streams, numbers, demand, planned spend, kernels and curves: docs/worlds.md, sections 2 and 4 to 6."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from . import dual

MASTER = hashlib.sha256(b"simbench open worlds 1").digest()
YEAR = 365.25 / 7  # weeks
FUTURES = 64  # K: the first 64 find an optimum, the second 64 value plans


def stream(master: bytes, family: str, replicate: int, name: str) -> bytes:
    """The bytes of a named stream (section 2)."""
    text = json.dumps([family, replicate, name], separators=(",", ":"), ensure_ascii=False)
    return hmac.new(master, text.encode("utf-8"), hashlib.sha256).digest()


def quantile(number: Any, u: float) -> float:
    """The value of a distribution at u."""
    kind = number.dist
    if kind == "uniform":
        return number.low + (number.high - number.low) * u
    if kind == "log-uniform":
        return number.low * (number.high / number.low) ** u
    if kind == "normal":
        return number.mean + number.sd * NormalDist().inv_cdf(u)
    if kind == "lognormal":
        return number.median * math.exp(number.sigma * NormalDist().inv_cdf(u))
    if kind == "beta":
        return float(special.betaincinv(number.a, number.b, u))
    if kind == "gamma":
        return float(special.gammaincinv(number.shape, u)) * number.scale
    if kind == "choice":
        return number.values[math.floor(u * len(number.values))]
    raise AssertionError(f"no formula for {kind}")


class Draws(NamedTuple):
    """The random side of one replicate."""

    master: bytes
    family: str
    replicate: int

    def number(self, path: str, value: Any) -> float:
        """A number of the file: itself, or the quantile of its distribution."""
        if not hasattr(value, "dist"):
            return float(value)
        raw = stream(self.master, self.family, self.replicate, "parameter:" + path)
        u = (math.floor(int.from_bytes(raw[:8], "little") / 2**12) + 0.5) / 2**52
        return float(quantile(value, u))

    def numbers(self, path: str, values: Any) -> list[float]:
        """A list of numbers, each under its index."""
        return [self.number(f"{path}.{i}", value) for i, value in enumerate(values)]

    def generator(self, name: str) -> np.random.Generator:
        """A fresh generator for a stream."""
        raw = stream(self.master, self.family, self.replicate, name)
        key = [int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:16], "little")]
        return np.random.Generator(np.random.Philox(key=np.array(key, dtype=np.uint64)))

    def redrawn(self, name: str, e: np.ndarray, F: int, future: int | None, uniform: bool = False) -> np.ndarray:
        """The innovations `e`, the last F replaced by row `future` of the stream's futures."""
        if future is None:
            return e
        generator = self.generator(f"future.{name}")
        rows = (generator.random if uniform else generator.standard_normal)((2 * FUTURES, F))
        return np.concatenate([e[: len(e) - F], rows[future]])


def autoregression(e: np.ndarray, rho: float, sd: float) -> np.ndarray:
    """Stationary AR(1) along the leading axis."""
    u = np.empty_like(e)
    u[0] = sd * e[0]
    for n in range(1, len(e)):
        u[n] = rho * u[n - 1] + sd * math.sqrt(1 - rho**2) * e[n]
    return u


def trend(draws: Draws, model: Any, t: np.ndarray, P: int, e: np.ndarray | None) -> np.ndarray:
    """trend_n (section 4); `e` are the innovations of a random walk."""
    at = "demand.trend"
    if model.kind == "none":
        return np.ones(len(t))
    if model.kind == "linear":
        return 1 + draws.number(f"{at}.per_year", model.per_year) * t / YEAR
    if model.kind == "piecewise":
        slopes = draws.numbers(f"{at}.per_year", model.per_year)
        edges = [-math.inf, *draws.numbers(f"{at}.knots", model.knots), math.inf]

        def risen(to: float) -> float:
            """The integral of the slope from 0 to `to`."""
            low, high, sign = (0.0, to, 1.0) if to >= 0 else (to, 0.0, -1.0)
            weeks = (max(0.0, min(high, b) - max(low, a)) for a, b in pairwise(edges))
            return sign * sum(slope * inside for slope, inside in zip(slopes, weeks)) / YEAR

        return np.array([1 + risen(float(week)) for week in t])
    if model.kind == "random-walk":
        walk = draws.number(f"{at}.sd", model.sd) * np.cumsum(e, axis=0)
        return np.exp(walk - walk[P])
    raise AssertionError(model.kind)


def season(draws: Draws, model: Any, t: np.ndarray) -> np.ndarray:
    """season_n (section 4)."""
    if model.kind == "none":
        return np.ones(len(t))
    if model.kind == "random":
        a, b = draws.generator("demand.season").standard_normal(2 * model.order).reshape(2, model.order)
        length = math.sqrt(sum((a[k - 1] ** 2 + b[k - 1] ** 2) / k**2 for k in range(1, model.order + 1)))
        amplitude = draws.number("demand.season.amplitude", model.amplitude)
        a = [amplitude * a[k - 1] / k / length for k in range(1, model.order + 1)]
        b = [amplitude * b[k - 1] / k / length for k in range(1, model.order + 1)]
    else:
        a = draws.numbers("demand.season.cosine", model.cosine)
        b = draws.numbers("demand.season.sine", model.sine)
    wave = np.ones(len(t))
    for k, weight in enumerate(a, start=1):
        wave += weight * np.cos(2 * math.pi * k * t / YEAR)
    for k, weight in enumerate(b, start=1):
        wave += weight * np.sin(2 * math.pi * k * t / YEAR)
    return wave


def events(draws: Draws, models: Any, t: np.ndarray, start: date) -> tuple[np.ndarray, np.ndarray]:
    """Weeks of each event [n, E] and events_n [n]: a week with two dates of one event is lifted once."""
    happening, lifted = np.zeros((len(t), len(models))), np.ones(len(t))
    for i, model in enumerate(models):
        days = [(as_date(day) - start).days for day in model.dates]
        lift = draws.number(f"demand.events.{model.name}.lift", model.lift)
        for n, week in enumerate(t):
            if any(7 * week <= day <= 7 * week + 6 for day in days):
                happening[n, i] = 1
                lifted[n] *= 1 + lift
    return happening, lifted


def breaks(draws: Draws, models: Any, t: np.ndarray) -> np.ndarray:
    """breaks_n (section 4)."""
    factors = np.ones(len(t))
    for model in models:
        at = f"demand.breaks.{model.name}"
        week, factor = draws.number(f"{at}.week", model.week), draws.number(f"{at}.factor", model.factor)
        for n, now in enumerate(t):
            lasting = float(now >= week)
            if model.kind == "spell":
                end = week + draws.number(f"{at}.weeks", model.weeks)
                if now >= end:
                    lasting = max(0.0, 1 - (now - end + 1) / (draws.number(f"{at}.fade", model.fade) + 1))
            factors[n] *= 1 + (factor - 1) * lasting
    return factors


def competitor(draws: Draws, model: Any, t: np.ndarray, F: int, future: int | None) -> tuple[np.ndarray, np.ndarray]:
    """a_n, s_n or c_n of a competitor, and what it does to demand, [n] each (section 4)."""
    at, weeks, path = f"demand.competitors.{model.name}", len(t), np.zeros(len(t))

    def number(field: str) -> float:
        return draws.number(f"{at}.{field}", getattr(model, field))

    if model.kind == "entrant":
        path = np.minimum(1.0, np.maximum(0.0, (t - number("week") + 1) / number("weeks")))
        return path, 1 - number("depth") * path
    if model.kind == "shocks":
        u, started = draws.redrawn(at, draws.generator(at).random(weeks), F, future, uniform=True), None
        for n in range(weeks):
            started = n if u[n] < number("a_year") / YEAR else started
            path[n] = started is not None and n - started < number("weeks")
        return path, 1 - number("depth") * path
    e = draws.redrawn(at, draws.generator(at).standard_normal(weeks), F, future)
    if model.kind == "spend":
        path = number("weekly") * np.exp(autoregression(e, number("rho"), number("sd")))
        return path, (path / number("weekly")) ** -number("effect")
    odds = number("share") / (1 - number("share")) * np.exp(autoregression(e, number("rho"), number("sd")))
    path = odds / (1 + odds)
    return path, np.exp(-number("effect") * (path - number("share")))


def discounts(draws: Draws, model: Any, weeks: int) -> np.ndarray:
    """d_n of promotions (section 4)."""
    every, lasting, low, high = (
        draws.number(f"demand.promotions.{field}", getattr(model, field)) for field in ("every", "weeks", "low", "high")
    )
    drawn, path = draws.generator("demand.promotions").random((weeks, 2)), np.zeros(weeks)
    for k in range(math.ceil(weeks / every)):
        begins = k * every + drawn[k, 0] * (every - lasting)
        for n in range(weeks):
            if begins <= n < begins + lasting:
                path[n] = low + (high - low) * drawn[k, 1]
    return path


def as_date(day: Any) -> date:
    """A date of a file, written as text or as a TOML date."""
    return day if isinstance(day, date) else date.fromisoformat(day)


def bumps(e: np.ndarray, cv: float) -> np.ndarray:
    """LN(cv) (section 5)."""
    variance = math.log(1 + cv**2)
    return np.exp(math.sqrt(variance) * e - variance / 2)


def planned(draws: Draws, channel: Any, t: np.ndarray, recorded: dict[str, np.ndarray]) -> np.ndarray:
    """X_nc (section 5) of every rule but `correlated`."""
    rule, at = channel.spend, f"channels.{channel.name}.spend"

    def number(field: str) -> float:
        return draws.number(f"{at}.{field}", getattr(rule, field))

    if rule.rule == "recorded":
        rows = recorded[channel.name]
        last, year = len(rows) - 1, 52 if len(rows) >= 52 else len(rows)
        path = np.empty(len(t))
        for n, week in enumerate(t):
            if week < 0:
                week = week % year
            elif week > last:
                week = week - year * math.ceil((week - last) / year)
            path[n] = rows[int(week)]
        return path
    generator = draws.generator(f"spend.{channel.name}")
    u, e = generator.random(), generator.standard_normal(len(t))
    if rule.rule in ("always-on", "demand-chasing"):
        return number("weekly") * bumps(e, number("cv"))
    if rule.rule == "flighted":
        cycle = number("on") + number("off")
        active = (t + math.floor(u * cycle)) % cycle < number("on")
        return np.where(active, number("weekly") * bumps(e, number("cv")), 0.0)
    if rule.rule == "pulsed":
        wave = np.maximum(0, np.sin(2 * math.pi * (t / number("period") + u)))
        return number("weekly") * (number("floor") + number("height") * wave) * bumps(e, number("cv"))
    if rule.rule == "seasonal":
        v = np.sin(2 * math.pi * (t / YEAR + number("phase"))) + number("sd") * e
        return number("weekly") * (v - v.min()) / (v.max() - v.min())
    if rule.rule == "demand-capturing":
        return np.full(len(t), number("weekly") * number("cap"))
    raise AssertionError(rule.rule)


def changed(
    draws: Draws,
    scenario: Any,
    channel: Any,
    path: np.ndarray,
    t: np.ndarray,
    promotions: np.ndarray,
    lifted: np.ndarray,
) -> np.ndarray:
    """X_nc after season, cycle, promotions to come, events, a first week and steps (section 5)."""
    rule, at = channel.spend, f"channels.{channel.name}.spend"
    if rule.lever == "bought":
        return path
    path = path * season(draws, scenario.demand.season, t) ** draws.number(f"{at}.season", rule.season)
    if scenario.spend.cycle is not None:
        rho, sd = (draws.number(f"spend.cycle.{key}", getattr(scenario.spend.cycle, key)) for key in ("rho", "sd"))
        wave = autoregression(draws.generator("cycle").standard_normal(len(t)), rho, sd)
        path = path * np.exp(draws.number(f"{at}.cycle", rule.cycle) * wave)
    ahead = np.array([np.count_nonzero(promotions[n + 1 : n + 4] > 0) for n in range(len(t))])
    path = path * np.exp(draws.number(f"{at}.anticipation", rule.anticipation) * ahead)
    power = draws.number(f"{at}.peaks", rule.peaks)
    for n in range(len(t)):
        for week in (n, n + 1):
            if week < len(t):
                path[n] *= lifted[week] ** power
    if rule.from_week is not None:
        path = np.where(t < rule.from_week, 0.0, path)
    for step in rule.steps:
        factor = draws.number(f"{at}.steps.{step.name}.factor", step.factor)
        for n, week in enumerate(t):
            if week >= step.week and (step.weeks is None or week < step.week + step.weeks):
                path[n] = path[n] * factor
    return path


def effectiveness(draws: Draws, channel: Any, t: np.ndarray, P: int) -> np.ndarray:
    """m_nc (section 6)."""
    model, at = channel.effectiveness, f"channels.{channel.name}.effectiveness"
    if model is None:
        return np.ones(len(t))
    if model.kind == "decay":
        return np.array([(1 - draws.number(f"{at}.per_year", model.per_year)) ** (week / YEAR) for week in t])
    if model.kind == "shift":
        factor = draws.number(f"{at}.factor", model.factor)
        last = math.inf if model.weeks is None else model.week + model.weeks
        return np.array([factor if model.week <= week < last else 1.0 for week in t])
    if model.kind == "wear-out":
        half_life, refresh = (draws.number(f"{at}.{key}", getattr(model, key)) for key in ("half_life", "refresh"))
        return np.array([2.0 ** -((week % refresh) / half_life) for week in t])
    if model.kind == "random-walk":
        sd = draws.number(f"{at}.sd", model.sd)
        walk = np.cumsum(draws.generator(f"effectiveness.{channel.name}").standard_normal(len(t)))
        return np.array([math.exp(sd * (walk[n] - walk[P]) - sd**2 * abs(week) / 2) for n, week in enumerate(t)])
    raise AssertionError(model.kind)


def contacts(draws: Draws, scenario: Any, channel: Any, t: np.ndarray) -> np.ndarray:
    """What a unit of money buys (section 6)."""
    if channel.price is None:
        return np.ones(len(t))
    at = f"channels.{channel.name}.price"
    growth, power = (draws.number(f"{at}.{key}", getattr(channel.price, key)) for key in ("per_year", "season"))
    return 1 / ((1 + growth) ** (t / YEAR) * season(draws, scenario.demand.season, t) ** power)


def correlated(draws: Draws, scenario: Any, t: np.ndarray) -> dict[str, np.ndarray]:
    """X_nc of the channels with rule `correlated`, drawn as one group."""
    P, T, correlation = scenario.time.pre_history, scenario.time.weeks, scenario.spend.correlation
    members = [channel for channel in scenario.channels if channel.spend.rule == "correlated"]
    uniforms = []
    for channel in members:
        generator = draws.generator(f"spend.{channel.name}")
        generator.random()
        uniforms.append(generator.random(len(t)))
    if not members:
        return {}
    likeness = draws.number("spend.correlation", 0.0 if correlation is None else correlation)
    U = np.stack(uniforms, axis=1)
    panel = U[P : P + T]
    a = panel.mean(axis=0)
    B = np.linalg.cholesky((panel - a).T @ (panel - a) / T)
    size = len(members)
    A = np.linalg.cholesky(np.full((size, size), likeness) + (1 - likeness) * np.eye(size))
    z = np.stack([A @ np.linalg.solve(B, row - a) for row in U])
    paths = {}
    for i, channel in enumerate(members):
        at = f"channels.{channel.name}.spend"
        weekly = draws.number(f"{at}.weekly", channel.spend.weekly)
        cv = draws.number(f"{at}.cv", channel.spend.cv)
        paths[channel.name] = weekly * np.maximum(0, 1 + cv * z[:, i])
    return paths


def kernel(draws: Draws, at: str, model: Any) -> np.ndarray:
    """Carry-over weights by lag (section 6.2)."""
    if model.kind == "none":
        return np.ones(1)
    L = int(model.length)

    def number(field: str) -> float:
        return draws.number(f"{at}.{field}", getattr(model, field))

    def retention() -> float:
        if model.kind == "geometric" and model.half_life is not None:
            return 0.5 ** (1 / number("half_life"))
        return number("retention")

    if model.kind == "geometric":
        w = [retention() ** lag for lag in range(L)]
    elif model.kind == "delayed":
        w = [retention() ** ((lag - number("peak")) ** 2) for lag in range(L)]
    elif model.kind == "weibull-pdf":
        k, s = number("shape"), number("scale")
        w = [k / s * ((lag + 1) / s) ** (k - 1) * math.exp(-(((lag + 1) / s) ** k)) for lag in range(L)]
    elif model.kind == "weibull-cdf":
        k, s = number("shape"), number("scale")
        w = [math.prod(math.exp(-((i / s) ** k)) for i in range(1, lag + 1)) for lag in range(L)]
    elif model.kind == "brand-stock":
        quick = np.array([number("retention") ** lag for lag in range(L)])
        slow = np.array([0.5 ** (lag / number("slow_half_life")) for lag in range(L)])
        return (1 - number("slow_share")) * quick / quick.sum() + number("slow_share") * slow / slow.sum()
    elif model.kind == "binomial":
        w = [(1 - lag / L) ** (1 / retention() - 1) for lag in range(L)]
    else:
        raise AssertionError(model.kind)
    weights = np.array(w)
    return weights / weights.sum() if model.normalised else weights


def steady(curve: Callable, edge: float) -> Callable:
    """`curve`, continued by a straight line through the origin below `edge`."""
    height = float(curve(edge))

    def continued(v):
        return dual.where(dual.value_of(v) < edge, v * (height / edge), curve(dual.larger(v, edge)))

    return continued


def saturation(draws: Draws, at: str, model: Any) -> Callable:
    """S(v) (section 6.3), on plain and on dual numbers."""
    if model.kind == "none":
        return lambda v: v

    def number(field: str) -> float:
        return draws.number(f"{at}.{field}", getattr(model, field))

    if model.kind == "power":
        exponent = number("exponent")
        return steady(lambda v: dual.power(v, exponent), 1e-12)
    if model.kind == "reach-frequency":
        at_one, f = number("contact_at"), number("frequency")

        def reached_and_convinced(v):
            contacts = dual.larger(v / at_one, 1e-12)
            reach = 1 - dual.exp(-1.0 * contacts)
            return (v / at_one) / (contacts / reach + f)

        return reached_and_convinced
    h = number("half_at")
    if model.kind == "segments":
        return lambda v: (v / (v + h)) / 2 + (v / (v + h * number("far"))) / 2
    if model.kind == "hill":
        s = number("slope")
        return steady(lambda v: dual.power(v, s) / (dual.power(v, s) + h**s), 1e-12 * h)
    if model.kind == "logistic":
        k = math.log(3) / h
        return lambda v: (1 - dual.exp(-k * v)) / (1 + dual.exp(-k * v))
    if model.kind == "exponential":
        return lambda v: 1 - dual.exp(-v * (math.log(2) / h))
    if model.kind == "michaelis-menten":
        return lambda v: v / (v + h)
    if model.kind == "tanh":
        return lambda v: dual.tanh(v * (math.atanh(0.5) / h))
    if model.kind == "log":
        return lambda v: dual.log(1 + v / h) / math.log(2)
    raise AssertionError(model.kind)
