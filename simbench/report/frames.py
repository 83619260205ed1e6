"""Tidy pandas frames of scenarios, briefs and truths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simbench import briefs
from simbench.errors import BadInput
from simbench.records import Answers, Brief, Labels, Optimum, Truth

if TYPE_CHECKING:
    import pandas as pd

    from simbench.world.truth import Drawn

#: Columns of a truth frame, in this order; what does not apply is empty.
TEXT = ("estimand", "reading", "window", "problem", "plan", "channel", "unit", "geo")
WHOLE = ("week", "lag", "level")
REAL = ("multiplier", "amount", "value", "mc_se")
HELD = "decision-held"

Axis = tuple[str, Sequence[Any]]


def scenarios() -> pd.DataFrame:
    """The shipped scenarios, one row a world that can be drawn (a sweep is one row a point).

    Returns
    -------
    pandas.DataFrame
        ``name, scenario`` (the file; a point has its sweep's), ``family, base, breaks, weeks, channels, geos, digest``
        (16 digits of it), ``title, sweep`` (its key, "" without one) and ``superseded_by``.

    Examples
    --------
    >>> "clean" in set(scenarios().name)
    True
    """
    import pandas as pd

    from simbench.world.scenario import family, points, read_scenario, scenario_digest, scenario_names

    rows = [
        {
            "name": world.name, "scenario": name, "family": family(world), "base": scenario.base or "",
            "breaks": world.breaks, "weeks": world.time.weeks, "channels": len(world.channels),
            "geos": world.geo.count, "digest": scenario_digest(world)[:16], "title": world.title,
            "sweep": "" if scenario.sweep is None else scenario.sweep.key, "superseded_by": world.superseded_by,
        }
        for name, scenario in ((name, read_scenario(name)) for name in scenario_names())
        for world in points(scenario)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def frame(source: Brief | Truth | Drawn, labels: Labels | None = None) -> pd.DataFrame:
    """A tidy frame of what an analyst sees, or of a truth.

    Parameters
    ----------
    source : Brief, Truth or Drawn
        A `Drawn` gives its briefs, with a column `replicate`; its truths: :func:`truth_frame`.
    labels : Labels
        Names and dates (``drawn.labels``); a `Drawn` has its own.

    Returns
    -------
    pandas.DataFrame
        Of a brief: one row a week and geo. Of a truth: see :func:`truth_frame`.

    Raises
    ------
    BadInput
        If labels are missing or the record is a batch.

    Examples
    --------
    >>> import simbench as sb
    >>> sb.frame(sb.draw("clean", truth=False)).columns[:4].tolist()
    ['replicate', 'date', 'geo', 'kpi']
    """
    if isinstance(source, Truth):
        return truth_frame(source, labels)
    if isinstance(source, Brief):
        return briefs.frame(source, _given(labels, "frame"))
    drawn = _drawn(source, "frame")
    return _by_replicate(drawn, [briefs.frame(brief, drawn.labels) for brief in drawn.briefs])


def truth_frame(source: Truth | Drawn, labels: Labels | None = None, brief: Brief | None = None) -> pd.DataFrame:
    """A truth as one long frame: a row a number.

    Parameters
    ----------
    source : Truth or Drawn
        A `Drawn` gives all its truths, with a column `replicate`.
    labels : Labels
        Names and dates; a `Drawn` has its own.
    brief : Brief, optional
        The questions that the truth answers: fills `multiplier`, `amount` and the ROAS.

    Returns
    -------
    pandas.DataFrame
        ``estimand, reading, window, problem, plan, channel, unit, geo`` (text, "" where it does not
        apply), ``week, lag, level`` (whole numbers or missing), ``multiplier, amount, value, mc_se``.
        KPI units; marginals are KPI units per money; ROAS, plan values and optima are money.
        `mc_se` is missing where a value is exact.

    Raises
    ------
    BadInput
        If labels are missing, the truth is a batch, or the worlds were drawn without truth.

    Examples
    --------
    >>> import simbench as sb
    >>> told = sb.truth_frame(sb.draw("clean"))
    >>> bool((told.estimand == "contribution").any())
    True
    """
    if isinstance(source, Truth):
        return _truth(source, _given(labels, "truth_frame"), brief)
    drawn = _drawn(source, "truth_frame")
    pairs = zip(drawn.truths, drawn.briefs, strict=True)
    return _by_replicate(drawn, [_truth(truth, drawn.labels, brief) for truth, brief in pairs])


def _given(labels: Labels | None, where: str) -> Labels:
    if labels is None:
        raise BadInput(where, "labels are missing", f"{where}(record, drawn.labels)")
    return labels


def _drawn(source: Any, where: str) -> Drawn:
    if not hasattr(source, "replicates"):
        raise BadInput(where, f"{type(source).__name__!r} has no frame", "a Brief, a Truth or a Drawn")
    return source


def _by_replicate(drawn: Drawn, frames: Sequence[Any]) -> pd.DataFrame:
    import pandas as pd

    for replicate, one in zip(drawn.replicates, frames, strict=True):
        one.insert(0, "replicate", replicate)
    return pd.concat(frames, ignore_index=True)


def _truth(truth: Truth, labels: Labels, brief: Brief | None) -> pd.DataFrame:
    import pandas as pd

    if np.ndim(truth.all_off) != 1:
        raise BadInput("truth_frame", "a batch of truths", "give one truth, or the Drawn")
    parts = [*_history(truth, labels, brief), *_future(truth, labels, brief)]
    table = pd.concat(parts, ignore_index=True)
    for name in (*TEXT, *WHOLE, *REAL):
        if name not in table:
            table[name] = "" if name in TEXT else np.nan
    table[list(TEXT)] = table[list(TEXT)].fillna("").astype(str)
    table[list(WHOLE)] = table[list(WHOLE)].astype("Int64")
    return table[[*TEXT, *WHOLE, *REAL]]


def _block(estimand: str, values: Any, *axes: Axis, **more: Any) -> pd.DataFrame:
    """Rows of one array; every axis is (column, what it counts)."""
    import pandas as pd

    values = np.asarray(values, dtype=float)
    counted = pd.MultiIndex.from_product([list(axis[1]) for axis in axes], names=[axis[0] for axis in axes])
    rows = counted.to_frame(index=False).assign(estimand=estimand, value=values.ravel())
    whole = (1,) * (len(axes) - values.ndim) + values.shape  # axes of one entry may be left out
    return rows.assign(**{name: np.broadcast_to(extra, whole).ravel() for name, extra in more.items()})


def _history(truth: Truth, labels: Labels, brief: Brief | None) -> Iterator[pd.DataFrame]:
    answers = truth.answers
    windows, channels = ("window", labels.windows), ("channel", labels.channels)
    first = ("window", labels.windows[:1])
    readings = (HELD, answers), ("responding", truth.responding), ("path-held", truth.path_held)
    for name, reading in readings:
        at = ("reading", [name])
        yield _block("contribution", reading.contribution, windows, channels, at)
        yield _block("marginal", reading.marginal, windows, channels, at)
        if brief is not None:
            worth, paid = float(brief.context.unit_value), np.asarray(truth.paid, dtype=float)
            bought = np.where(paid > 0, paid, np.nan)
            yield _block("roas", worth * np.asarray(reading.contribution) / bought, windows, channels, at)
            yield _block("marginal roas", worth * np.asarray(reading.marginal), windows, channels, at)
    yield _block("paid", truth.paid, windows, channels)
    if truth.shapley is not None:
        yield _block("shapley", truth.shapley, windows, channels)
    yield _block("all off", truth.all_off, windows)
    yield _block("cut off", truth.cut_off, windows, channels)
    curve = np.asarray(answers.curve)
    levels = ("level", range(curve.shape[1]))
    known = {} if brief is None else {"multiplier": brief.questions.multipliers}
    yield _block("curve", curve, first, channels, levels, **known)
    impulse, baseline = np.asarray(answers.impulse), np.asarray(answers.baseline)
    yield _block("impulse", impulse, first, channels, ("lag", range(impulse.shape[1])))
    yield _block("baseline", baseline, ("week", range(len(baseline))))
    yield _block("contribution by geo", answers.contribution_geo, first, ("geo", labels.geos), channels)


def _future(truth: Truth, labels: Labels, brief: Brief | None) -> Iterator[pd.DataFrame]:
    answers, errors, origin = truth.answers, truth.mc_se, len(np.asarray(truth.answers.baseline))
    ahead = ("week", range(origin, origin + len(truth.kpi_future)))
    geos = ("geo", labels.geos)
    yield _block("forecast", answers.forecast, ahead, geos)
    yield _block("kpi", truth.kpi_future, ahead, geos)
    yield _block("plan value", answers.plan_value, ("plan", labels.plans), mc_se=_error(errors.plan_value))
    for p, (problem, best) in enumerate(zip(labels.problems, truth.optima, strict=True)):
        at, units = ("problem", [problem]), ("unit", labels.units[p])
        yield from _responses(answers, errors, p, at, units, brief)
        yield from _optimum(best, at, units)


def _error(errors: Any) -> Any:
    return np.nan if errors is None else errors


def _responses(
    answers: Answers, errors: Answers, p: int, at: Axis, units: Axis, brief: Brief | None
) -> Iterator[pd.DataFrame]:
    named = ("response", answers.response, errors.response), (
        "response paid", answers.response_paid, errors.response_paid,
    )  # fmt: skip
    for name, values, error in named:
        if values is not None:
            levels = ("level", range(np.shape(values[p])[1]))
            known = {} if brief is None else {"amount": brief.questions.problems[p].levels}
            se = _error(None if error is None else error[p])
            yield _block(name, values[p], at, units, levels, mc_se=se, **known)


def _optimum(best: Optimum, at: Axis, units: Axis) -> Iterator[pd.DataFrame]:
    yield _block("reference amount", best.reference, at, units)
    yield _block("best amount", best.amounts, at, units)
    yield _block("reference value", best.reference_value, at)
    yield _block("best value", best.value, at, mc_se=best.mc_se)
    yield _block("upper bound", best.upper_bound, at)
    yield _block("certified", best.certified, at)
    yield _block("separable", best.separable, at)
    yield _block("grid floor", best.grid_floor, at)
    if best.reference_kpi is not None:
        yield _block("reference kpi", best.reference_kpi, at)
        yield _block("idle kpi", best.idle_kpi, at)
