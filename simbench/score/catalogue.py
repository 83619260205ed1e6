"""Every score: what it is measured in, and which way is better. Formulas and sources: docs/scores.md."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = Any
#: Words of `Score.better`: a level such as "90%" is a target.
LOWER, HIGHER, ZERO, NEITHER = "lower", "higher", "zero", ""


class Score(NamedTuple):
    """What a column of numbers is."""

    unit: str
    better: str  #: lower, higher, zero, a level to hit, or "" (not a score)


SHARE_TRUE = "share of sum of |true contribution|"
SPEND = "share of status-quo media spend"
KPI = "share of mean weekly KPI"
SHARE = "share"
FLAG = "0 or 1"
_TIMES = ("half-life", "mean lag", "90% duration")
_READINGS = ("", "own ", "common ", "plug-in ", "risk-aware ")
_LEVELS = ("50%", "80%", "90%")

SCORES: dict[tuple[str, str], Score] = {
    ("contribution", "error"): Score(SHARE_TRUE, LOWER),
    ("contribution", "total error"): Score(SHARE_TRUE, LOWER),
    ("contribution", "share distance"): Score("total variation, 0 to 1", LOWER),
    ("contribution", "median"): Score("KPI units", NEITHER),
    ("contribution", "relative error"): Score("share of |truth|", ZERO),
    ("contribution", "share points"): Score("percent of KPI", ZERO),
    ("contribution", "log error"): Score("natural logarithm", ZERO),
    ("roas", "error"): Score("money per money", ZERO),
    ("roas", "relative error"): Score("share of |truth|", ZERO),
    ("roas", "log error"): Score("natural logarithm", ZERO),
    ("marginal roas", "error"): Score("money per money; of all channels, share of the spend-weighted |truth|", ZERO),
    ("marginal roas", "rank agreement"): Score("Kendall's tau-b", HIGHER),
    ("marginal roas", "best found"): Score(FLAG, HIGHER),
    ("curve", "error inside"): Score("share of the true curve's norm", LOWER),
    ("curve", "error outside"): Score("share of the true curve's norm", LOWER),
    **{(name, "error"): Score("weeks", ZERO) for name in _TIMES},
    ("baseline", "leakage"): Score("share of true baseline", LOWER),
    ("baseline", "correlation with spend"): Score("correlation", ZERO),
    ("break-even spend", "error"): Score("share of the asked range", LOWER),
    ("break-even spend", "same side"): Score("share of units", HIGHER),
    ("half-marginal spend", "error"): Score("share of the asked range", LOWER),
    ("half-marginal spend", "same side"): Score("share of units", HIGHER),
    **{(of, f"coverage {x}"): Score(SHARE, x) for of in ("contribution", "marginal roas", "forecast") for x in _LEVELS},
    ("contribution", "inside 90%"): Score(FLAG, "90%"),
    ("contribution", "interval score 90%"): Score(SHARE_TRUE, LOWER),
    ("contribution", "weighted interval score"): Score(SHARE_TRUE, LOWER),
    ("contribution", "width 90%"): Score(SHARE_TRUE, NEITHER),
    ("contribution", "crps"): Score(SHARE_TRUE, LOWER),
    ("contribution", "energy"): Score(SHARE_TRUE, LOWER),
    ("contribution", "pit"): Score("0 to 1, uniform if calibrated", NEITHER),
    ("forecast", "crps"): Score(KPI, LOWER),
    ("forecast", "wmape"): Score(SHARE, LOWER),
    ("forecast", "mase"): Score("mean seasonal change", LOWER),
    ("forecast", "smape"): Score("0 to 2", LOWER),
    ("forecast", "rmse"): Score(KPI, LOWER),
    ("forecast", "r2"): Score(SHARE, HIGHER),
    ("forecast", "bias"): Score("share of observed KPI", ZERO),
    ("forecast", "interval score 90%"): Score(KPI, LOWER),
    ("decision", "gain"): Score(SPEND, NEITHER),
    ("decision", "grid floor"): Score(SPEND, NEITHER),
    ("decision", "certified"): Score(FLAG, NEITHER),
    **{("decision", f"{x}regret"): Score(SPEND, LOWER) for x in (*_READINGS, "cautious ")},
    **{("decision", f"{x}promise gap"): Score(SPEND, ZERO) for x in _READINGS},
    **{("decision", f"{x}harm"): Score(FLAG, LOWER) for x in _READINGS},
    ("decision", "worth of uncertainty"): Score(SPEND, NEITHER),
    ("decision", "uplift probability"): Score("share of draws", NEITHER),
    ("decision", "efficiency gain"): Score("percent of media-driven KPI", HIGHER),
    ("decision", "perfect information"): Score(SPEND, NEITHER),
    ("decision", "normalised regret"): Score("share of attainable gain", LOWER),
    ("decision", "captured gain"): Score("share of attainable gain", HIGHER),
    ("decision", "projected"): Score(FLAG, LOWER),
    ("decision", "below optimum"): Score(FLAG, NEITHER),
    ("plan", "error"): Score(SPEND, ZERO),
    ("plan", "sign agreement"): Score("share of plans", HIGHER),
    ("cost", "seconds"): Score("seconds a cell", LOWER),
    ("cost", "compile seconds"): Score("seconds a call", LOWER),
    ("cost", "peak GB"): Score("gigabytes", LOWER),
    **{("diagnostics", x): Score("as given", NEITHER) for x in ("rhat", "ess", "divergences", "khat", "converged")},
    ("contribution", "confident error"): Score("share of channels", LOWER),
    ("contribution", "silent failure"): Score("share of channels", LOWER),
}


def loss(estimand: str, metric: str, value: Array) -> Array:
    """How bad a value is, lower is better: its distance from where it should be; NaN for what is no score."""
    better = SCORES.get((estimand, metric), Score("", NEITHER)).better
    value = np.asarray(value, dtype=np.float64)
    if better == LOWER:
        return value
    if better == HIGHER:
        return -value
    if better == ZERO:
        return np.abs(value)
    if better.endswith("%"):
        return np.abs(value - float(better[:-1]) / 100)
    return np.full(value.shape, np.nan)
