"""A whole contender in one file, as a vendor would write it: NumPy and the client, nothing else.

Ridge regression of KPI on trend, season, controls and the square root of carried-over spend; a bootstrap of residuals
gives draws. Money moves half-way to where effects are largest."""

import numpy as np

from simbench.client import amounts, arguments, read_task, write_draws

RIDGE, RETENTIONS = 0.2, (0.0, 0.2, 0.4, 0.6, 0.8)


def media(spend, retention):  # square root of geometric carry-over of spend [weeks, channels]
    stock = np.zeros(spend.shape)
    for week, money in enumerate(spend):
        stock[week] = (1 - retention) * money + retention * stock[week - 1]  # before the first week: zero
    return np.sqrt(stock)


def answer(brief):  # draws of contribution and forecast, amounts for every problem
    random, weeks, count = np.random.default_rng(brief.seed), len(brief.kpi), len(brief.channels)
    past, later = (np.stack([x[c].sum(axis=1) for c in brief.channels], 1) for x in (brief.spend, brief.future_spend))
    scale, t = past.max(axis=0) + 1e-9, np.arange(weeks + len(later))
    waves = [wave(k * t / 52.18 * 2 * np.pi) for k in (1, 2) for wave in (np.sin, np.cos)]
    known = [np.concatenate([x, brief.future_controls[c]]).mean(axis=1) for c, x in brief.controls.items()]
    plain = np.stack([t**0, t / 52, *waves, *known], axis=1)
    kpi, penalty = brief.kpi.sum(axis=1), np.diag([1e-6] * plain.shape[1] + [RIDGE] * count)
    kpi[np.isnan(kpi)] = np.nanmean(kpi)  # weeks that nobody recorded

    def design(retention):
        return np.hstack([plain, media(np.concatenate([past, later]) / scale, retention)])

    def fit(x, y):
        return np.linalg.solve(x.T @ x + penalty, x.T @ y)

    def error(retention):
        return ((kpi - (x := design(retention)[:weeks]) @ fit(x, kpi)) ** 2).sum()

    best, each = np.full(count, 0.4), np.eye(count, dtype=bool)
    for one in [*each, *each]:  # one channel's carry-over after the other
        best = min((np.where(one, retention, best) for retention in RETENTIONS), key=error)
    x, ahead = np.split(design(best), [weeks])
    fitted, spare = x @ fit(x, kpi), weeks - x.shape[1] - count
    noise = random.choice(kpi - fitted, (brief.questions["draws"], len(t))) * np.sqrt(weeks / spare)
    betas = np.stack([fit(x, fitted + e[:weeks]) for e in noise])
    effect, spent = np.maximum(betas[:, -count:], 0.0), np.concatenate([past, 0 * later]) / scale  # no harm, no more
    cut = (spent * ((t < a) | (t >= b))[:, None] for a, b in brief.questions["windows"])
    gone = [(media(spent, best) - media(off, best)).sum(axis=0) * effect for off in cut]
    pull = (effect.mean(axis=0) / np.sqrt(scale)) ** 2 + 1e-12  # e sqrt(money) is best paid as e squared
    budget = dict(zip(brief.channels, (pull / pull.sum() + past.sum(axis=0) / past.sum()) * past[-52:].sum() / 4))
    forecast = (betas @ ahead.T + noise[:, weeks:])[:, :, None] * brief.population / brief.population.sum()
    chosen = {f"allocation_{p}": amounts(problem, budget) for p, problem in enumerate(brief.problems)}
    return {"contribution": np.stack(gone, 1), "forecast": forecast, **chosen}


if __name__ == "__main__":
    task, answers = arguments()
    for brief in read_task(task):
        write_draws(answers, brief.id, **answer(brief))
