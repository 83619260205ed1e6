"""The Bayesian mix models a second time, in plain NumPy and loops: an oracle that shares no code with them.

A model goes by its name and a dict of its options; a point is a dict of z by parameter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.special import expit

YEAR = 365.25 / 7
HIERARCHY, PYMC, MERIDIAN = "geo-hierarchical", "pymc-marketing-style", "meridian-style"


# --- priors: a distribution of SciPy, and z -> (value, log of its slope)


def normal(mean, sd):
    return stats.norm(mean, sd), lambda z: (mean + sd * z, np.log(sd) + 0 * z)


def lognormal(mean, sd):
    return stats.lognorm(sd, scale=np.exp(mean)), lambda z: (np.exp(mean + sd * z), np.log(sd) + mean + sd * z)


def by_quantile(distribution):
    """z is the normal number of the same quantile, taken from whichever end is nearer."""

    def place(z):
        value = np.where(z < 0, distribution.ppf(stats.norm.cdf(z)), distribution.isf(stats.norm.sf(z)))
        return value, stats.norm.logpdf(z) - distribution.logpdf(value)

    return distribution, place


def half_normal(sd):
    return by_quantile(stats.halfnorm(scale=sd))


def falling(b):
    def place(z):
        value = -np.expm1(stats.norm.logsf(z) / b)  # quantile in closed form: SciPy's own loses digits near 1
        return value, stats.norm.logpdf(z) - stats.beta(1.0, b).logpdf(value)

    return stats.beta(1.0, b), place


def gamma(shape, rate):
    return stats.gamma(shape, scale=1 / rate), lambda z: (np.exp(z) / rate, z - np.log(rate))


def laplace(scale):
    return stats.laplace(scale=scale), lambda z: (scale * z, np.log(scale) + 0 * z)


def truncated_normal(mean, sd, low, high):
    """By chances of the normal itself: SciPy's quantile of a truncated one keeps nine digits six deviations out."""
    a, b, whole = (low - mean) / sd, (high - mean) / sd, stats.norm
    inside = whole.cdf(b) - whole.cdf(a) if a + b < 0 else whole.sf(a) - whole.sf(b)
    own = stats.truncnorm(a, b, loc=mean, scale=sd)

    def place(z):
        below, above = whole.cdf(a) + inside * whole.cdf(z), whole.sf(b) + inside * whole.sf(z)
        value = mean + sd * np.where(below < above, whole.ppf(below), whole.isf(above))
        return value, whole.logpdf(z) - own.logpdf(value)

    return own, place


def beta(a, b):
    return stats.beta(a, b), lambda z: (expit(z), logit_slope(z))


def logit_slope(z):
    return -np.logaddexp(0, z) - np.logaddexp(0, -z)


KINDS = {
    "normal": normal, "lognormal": lognormal, "half-normal": half_normal, "gamma": gamma, "laplace": laplace,
    "truncated-normal": truncated_normal, "beta": beta, "falling": falling,
}  # fmt: skip


def priors(name, o, brief):
    """The prior of every parameter that the model samples."""
    free = o.get("effects") == "free"
    if name == PYMC:
        own = {
            "effect": half_normal(2.0), "retention": falling(3.0), "steepness": gamma(3.0, 1.0),
            "season": laplace(1.0), "noise": half_normal(2.0),
        }  # fmt: skip
    elif name == MERIDIAN:
        own = {
            "effect": lognormal(0.2, 0.9), "retention": falling(1.0),
            "half_at": truncated_normal(0.8, 0.8, 0.1, 10.0), "noise": half_normal(5.0),
        }  # fmt: skip
    else:
        mean, sd = brief.context.prior_roas_mean, brief.context.prior_roas_sd
        sigma = np.sqrt(np.log(1 + (sd / mean) ** 2))
        own = {
            "effect": lognormal(np.log(mean) - sigma**2 / 2, sigma),
            "half_at": lognormal(np.log(o["half_at_median"]), o["half_at_sigma"]),
            "noise": half_normal(o["noise_sd"]),
        }
        retention, scale = beta(o["retention_a"], o["retention_b"]), lognormal(0.7, 0.7)
        own |= {
            "geometric": {"retention": retention},
            "delayed": {"retention": retention, "peak": half_normal(2.0)},
            "weibull-pdf": {"shape": lognormal(0.4, 0.5), "scale": scale},
            "weibull-cdf": {"shape": lognormal(0.0, 0.5), "scale": scale},
        }[o["carry_over"]]
        if o["curve"] == "hill":
            own["slope"] = lognormal(np.log(o["slope_median"]), o["slope_sigma"])
        if name == "robust":
            own |= {"plain": normal(0.0, 1.0), "freedom": gamma(2.0, 0.1)}
        if name == "time-varying":
            own |= {"swing": half_normal(o["swing_sd"]), "path": normal(0.0, 1.0)}
        if name == HIERARCHY:
            own["spread"] = half_normal(o["spread_sd"])
        if name == HIERARCHY and o["noise"] == "by-size":
            own["averaging"] = falling(1.0)
        if name == HIERARCHY and o["tiers"] > 1:
            own |= {"tier": normal(0.0, 1.0), "between": half_normal(o["between_sd"])}
    return {parameter: prior for parameter, prior in own.items() if not (free and parameter == "effect")}


def placed(name, o, brief, point):
    """Values by parameter, the log of their density, and the log of the slope of value in z."""
    own = priors(name, o, brief)
    assert set(own) == set(point), set(own) ^ set(point)
    values, density, slope = {}, 0.0, 0.0
    for parameter, (distribution, value_of) in own.items():
        values[parameter], steep = value_of(np.asarray(point[parameter], float))
        density += distribution.logpdf(values[parameter]).sum()
        slope += steep.sum()
    return values, density, slope


# --- media


def kernel(kind, lags, numbers):
    raw = []
    for lag in range(lags):
        if kind == "geometric":
            raw.append(numbers["retention"] ** lag)
        elif kind == "delayed":
            raw.append(numbers["retention"] ** ((lag - numbers["peak"]) ** 2))
        elif kind == "weibull-pdf":
            raw.append(stats.weibull_min(numbers["shape"], scale=numbers["scale"]).pdf(lag + 1))
        else:  # what is left of each week's effect a week later
            kept = stats.weibull_min(numbers["shape"], scale=numbers["scale"]).sf(lag)
            raw.append(kept * (raw[-1] if raw else 1.0))
    return np.array(raw) / sum(raw)


def hill(v, half_at, slope):
    tiny = 1e-12 * half_at  # below it the curve is a straight line
    if v < tiny:
        return hill(tiny, half_at, slope) * v / tiny
    return 1 / (1 + (half_at / v) ** slope)


def saturated(kind, v, numbers):
    """One week's input on the curve of its channel."""
    if "steepness" in numbers:
        return np.tanh(numbers["steepness"] * v / 2)
    if kind == "hill":
        return hill(v, numbers["half_at"], numbers.get("slope", 1.0))
    if kind == "logistic":
        return 2 / (1 + 3.0 ** (-v / numbers["half_at"])) - 1
    return 1 - 0.5 ** (v / numbers["half_at"])


def wave(o, week, periods, origin):
    """What each base of a path is worth in a week: a Gaussian process by its sines (Riutort-Mayol and others 2023)."""
    half_width = periods / 2 + 1.5 * o["length"]
    at = min(week, origin - 1) - periods / 2  # nothing is known of what comes after the last week
    values = []
    for base in range(1, o["bases"] + 1):
        frequency = np.pi * base / (2 * half_width)
        spectrum = o["length"] * np.sqrt(2 * np.pi) * np.exp(-((o["length"] * frequency) ** 2) / 2)
        values.append(np.sqrt(spectrum / half_width) * np.sin(frequency * (at + half_width)))
    return np.array(values)


def media(name, o, brief, geo, values):
    """What each channel brings [T, C] in scaled KPI where its return (or coefficient) is 1."""
    _, scale, weeks, channels = *kpi_scale(name, geo.kpi), *geo.lever.shape
    lags = {PYMC: 8, MERIDIAN: 9}.get(name, 13)
    unit_of = {PYMC: np.max, MERIDIAN: np.median}.get(name, np.mean)
    periods = len(brief.panel.kpi) + len(brief.questions.future.calendar)
    out = np.zeros((weeks, channels))
    for c in range(channels):
        x = geo.lever[:, c]
        if not (x > 0).any():
            continue
        x = x / unit_of(x[x > 0])
        per_channel = ("retention", "peak", "shape", "scale", "half_at", "slope", "steepness", "swing")
        numbers = {parameter: values[parameter][c] for parameter in per_channel if parameter in values}
        weight = kernel(o.get("carry_over", "geometric"), lags, numbers)
        curve = np.zeros(weeks + lags - 1)
        for week in range(len(curve)):
            carried = sum(weight[lag] * x[week - lag] for lag in range(lags) if 0 <= week - lag < weeks)
            curve[week] = saturated(o.get("curve", "hill"), carried, numbers)
            if "path" in values:
                own = values["path"].reshape(channels, o["bases"])[c]
                curve[week] *= np.exp(numbers["swing"] * own @ wave(o, week, periods, weeks))
        out[:, c] = curve[:weeks]
        if name != PYMC:  # the return counts what arrives later too, or does not
            reached = curve[:weeks].sum() if name == MERIDIAN else curve.sum()
            out[:, c] *= geo.spend[:, c].sum() / (brief.context.unit_value * scale) / reached
    return out if name in (PYMC, MERIDIAN) else out - out.mean(axis=0)


def effects(name, o, brief, values, g):
    """Mean and standard deviation [C] of the returns of a geo, given the parameters."""
    if o.get("effects") == "free":
        context = brief.context
        return (0.0, 2.0) if name == PYMC else (context.prior_roas_mean, context.prior_roas_sd)
    if name != HIERARCHY:
        return values["effect"], 0.0
    own = values["effect"]
    if o["tiers"] > 1:
        people = brief.panel.population
        larger = sum(people > people[g])
        tier = larger // int(np.ceil(len(people) / o["tiers"]))
        own = own * np.exp(values["between"] * values["tier"].reshape(o["tiers"], -1)[tier])
    return own, own * values["spread"]


# --- what is linear, and the data


class Geo(NamedTuple):
    """Series of the seen weeks of one geo, or of the nation."""

    kpi: np.ndarray
    spend: np.ndarray
    lever: np.ndarray
    controls: np.ndarray


def seen(name, brief):
    """The geos that the model tells apart."""
    panel, weeks = brief.panel, int(brief.panel.origin)
    series = [x[:weeks] for x in (panel.kpi, panel.spend, panel.lever, panel.controls)]
    if name == HIERARCHY:
        return [Geo(*(x[:, g] for x in series)) for g in range(len(panel.population))]
    return [Geo(*(x.sum(axis=1) for x in series[:3]), np.average(series[3], axis=1, weights=panel.population))]


def kpi_scale(name, kpi):
    """What is taken off the KPI, and what it is then divided by."""
    if name == PYMC:
        return 0.0, kpi.max()
    return kpi.mean(), kpi.std() if name == MERIDIAN else kpi.mean()


def standard(x):
    return (x - x.mean()) / x.std() if x.std() > 1e-9 * abs(x.mean()) else 0 * x


def season(order, year):
    """Cosines, then sines [T, 2 order] of the fraction of the year."""
    waves = [f(2 * np.pi * k * year) for f in (np.cos, np.sin) for k in range(1, order + 1)]
    return np.array(waves).reshape(2 * order, len(year)).T


def plain_columns(name, o, geo):
    """Level, trend, season, controls [T, p], times their prior standard deviations."""
    n, controls = np.arange(len(geo.kpi)), list(geo.controls.T)
    one, line, waves = np.ones(len(n)), n / 52, list(season(o.get("order", 2), n / YEAR).T)
    if name == PYMC:
        return 2.0 * np.column_stack([one, *controls])
    if name == MERIDIAN:
        return 5.0 * np.column_stack([one, *(standard(x) for x in (line, *waves, *controls))])
    columns = [o["level_sd"] * one, o["trend_sd"] * (line - line.mean())]
    columns += [o["season_sd"] * (x - x.mean()) for x in waves]
    return np.column_stack([*columns, *(o["control_sd"] * standard(x) for x in controls)])


# --- the density


class Given(NamedTuple):
    """The scaled KPI of a geo less what is known of it given the parameters, and what is linear [T, k]."""

    rest: np.ndarray
    plain: np.ndarray
    block: np.ndarray  #: media that are normal around their mean, times their sd


def given(name, o, brief, values):
    """Geo by geo."""
    out = []
    for g, geo in enumerate(seen(name, brief)):
        off, scale = kpi_scale(name, geo.kpi)
        unit = media(name, o, brief, geo, values)
        own, sd = effects(name, o, brief, values, g)
        rest = (geo.kpi - off) / scale - (own * unit).sum(axis=1)
        if "season" in values:
            rest -= season(2, brief.panel.calendar[: len(rest)]) @ values["season"]
        plain = plain_columns(name, o, geo)
        if "plain" in values:
            rest -= plain @ values["plain"]
        out.append(Given(rest, plain, sd * unit))
    return out


def noise_of(brief, values, g):
    """Standard deviation of a week's error in a geo: it falls with the geo's population, or does not."""
    people = brief.panel.population
    larger = people[g] / np.prod(people) ** (1 / len(people)) if "averaging" in values else 1.0
    return values["noise"][0] / larger ** values.get("averaging", [0.0])[0]


def log_likelihood(name, o, brief, values):
    """Log density of the seen KPI, the coefficients of what is linear integrated out (not for `robust`)."""
    total = 0.0
    for g, (rest, plain, block) in enumerate(given(name, o, brief, values)):
        noise = noise_of(brief, values, g)
        if name == "robust":
            total += stats.t(values["freedom"][0], scale=noise).logpdf(rest).sum()
        else:
            total += log_normal(rest, np.concatenate([plain, block], axis=1), noise)
    return total


def log_normal(x, columns, noise):
    """Log density of x under N(0, noise^2 I + columns columns').

    By Cholesky's loops in extended precision: the covariance is as badly conditioned as the noise is small.
    """
    columns = columns.astype(np.longdouble)
    left, rest = columns @ columns.T + np.eye(len(x)) * np.longdouble(noise) ** 2, x.astype(np.longdouble)
    total = np.longdouble(0.0)
    for k in range(len(x)):
        total -= 0.5 * (np.log(2 * np.pi * left[k, k]) + rest[k] ** 2 / left[k, k])
        slope = left[k + 1 :, k] / left[k, k]
        rest[k + 1 :] -= slope * rest[k]
        left[k + 1 :, k + 1 :] -= np.outer(slope, left[k, k + 1 :])
    return float(total)


def log_density(name, o, brief, point):
    """Log density of a point z and the seen KPI."""
    values, density, slope = placed(name, o, brief, point)
    return density + slope + log_likelihood(name, o, brief, values)
