"""The national model a second time, in plain NumPy and loops: an oracle that shares no code with it."""

from __future__ import annotations

import numpy as np

LAGS = 13
YEAR = 365.25 / 7


def kernel(retention):
    raw = np.array([retention**lag for lag in range(LAGS)])
    return raw / raw.sum()


def carried(x, retention, weeks):
    """Carry-over of one national series on weeks [0, weeks), nothing before and nothing after it."""
    weight, out = kernel(retention), np.zeros(weeks)
    for week in range(weeks):
        for lag in range(LAGS):
            if 0 <= week - lag < len(x):
                out[week] += weight[lag] * x[week - lag]
    return out


def hill(v, half_at, slope):
    return np.array([0.0 if x == 0 else 1 / (1 + (half_at / x) ** slope) for x in v])


def media(brief, roas, retention, half_at, slope):
    """Effects [T, C] of a national brief's channels, in shares of the mean weekly KPI."""
    weeks, columns = len(brief.panel.kpi), []
    for c in range(len(roas)):
        x = brief.panel.lever[:, 0, c]
        curve = hill(carried(x / x[x > 0].mean(), retention[c], weeks + LAGS - 1), half_at[c], slope[c])
        whole = roas[c] * brief.panel.spend[:, 0, c].sum() / (brief.context.unit_value * brief.context.kpi_scale)
        columns.append(whole * curve[:weeks] / curve.sum())
    return np.column_stack(columns)


def plain_columns(brief, priors):
    """Level, trend, season and controls [T, p], times their prior standard deviations."""
    n = np.arange(len(brief.panel.kpi))
    columns = [np.full(len(n), priors.level_sd), priors.trend_sd * (n - n.mean()) / 52]
    angles = [2 * np.pi * n * k / YEAR for k in range(1, priors.order + 1)]
    columns += [priors.season_sd * (wave - wave.mean()) for f in (np.cos, np.sin) for wave in map(f, angles)]
    for k in range(brief.panel.controls.shape[-1]):
        x = brief.panel.controls[:, 0, k]
        columns.append(priors.control_sd * (x - x.mean()) / x.std())
    return np.column_stack(columns)


def mean(brief, priors, parameters):
    """Mean KPI [T] in shares of its scale, for one draw of the parameters."""
    effect = media(brief, *parameters[:4]).sum(axis=1)
    return 1 + plain_columns(brief, priors) @ parameters.plain + effect - effect.mean()


def log_likelihood(brief, priors, columns, noise):
    """Log density of the KPI given media [T, C] and noise, the plain coefficients integrated out."""
    plain, effect = plain_columns(brief, priors), columns.sum(axis=1)
    rest = brief.panel.kpi[:, 0] / brief.context.kpi_scale - 1 - (effect - effect.mean())
    covariance = noise**2 * np.eye(len(rest)) + plain @ plain.T
    return -0.5 * (np.linalg.slogdet(covariance)[1] + rest @ np.linalg.solve(covariance, rest))


def with_kpi(brief, series):
    """The brief with another national KPI."""
    return brief._replace(panel=brief.panel._replace(kpi=series[:, None]))
