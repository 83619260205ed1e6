"""What came back: is it an answer to this brief?"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np

from simbench.records import Answers, Brief, Diagnostics, Failure

Array = Any

#: Answers that must be finite; the others may hold NaN where a quantity is undefined.
FINITE = frozenset({"contribution", "baseline", "forecast", "plan_value", "response", "allocation", "promise"})
#: Answers that may be NaN throughout for a problem: it is left to the common allocator.
LEFT = frozenset({"allocation", "promise"})
#: Quantile levels that a submission of quantiles has at least.
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


def shapes(brief: Brief) -> dict[str, tuple[Any, ...]]:
    """Shape of every field of `Answers` to a brief, without the leading draws axis.

    Fields that hold one array a problem have a tuple of shapes. `allocation` has no draws axis.
    """
    questions, (weeks, geos, channels) = brief.questions, np.shape(brief.panel.lever)
    windows = len(questions.windows)
    responses = tuple(tuple(np.shape(p.levels)) for p in questions.problems)
    return {
        "contribution": (windows, channels),
        "marginal": (windows, channels),
        "curve": (channels, len(questions.multipliers)),
        "impulse": (channels, questions.sizes.impulse_lags),
        "baseline": (weeks,),
        "contribution_geo": (geos, channels),
        "forecast": (len(questions.future.lever), geos),
        "plan_value": (len(questions.plans),),
        "response": responses,
        "response_paid": responses,
        "allocation": tuple(tuple(np.shape(p.status_quo)) for p in questions.problems),
        "promise": tuple(() for _ in questions.problems),
    }


def checked(brief: Brief, reply: Any) -> Answers | Failure:
    """The reply as `Answers` with NumPy arrays, or a `Failure` that says what is wrong with it.

    Parameters
    ----------
    brief : Brief
        What was asked.
    reply : Answers, mapping of fields, or Failure
        Fields that are None are not answered. All draws axes are equally long: the suite's number
        of draws or fewer, 1 for a point estimate, or one a quantile where `levels` is given.
    """
    if isinstance(reply, Failure):
        return reply
    given = reply._asdict() if isinstance(reply, Answers) else reply
    if not isinstance(given, Mapping):
        return Failure("error", f"answered with a {type(reply).__name__}, not with Answers or a mapping of its fields")
    unknown = [str(name) for name in given if name not in Answers._fields]
    if unknown:
        near = get_close_matches(unknown[0], Answers._fields, 1)
        return Failure("error", f"unknown field {unknown[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    taken: dict[str, Any] = {}
    draws: dict[str, int] = {}
    nonfinite = ""
    for name, shape in shapes(brief).items():
        value = given.get(name)
        if value is None:
            continue
        several = name in ("response", "response_paid", "allocation", "promise")
        if several and (not isinstance(value, tuple | list) or len(value) != len(shape)):
            return Failure("error", f"{name} must be {len(shape)} arrays, one a problem")
        parts: list[tuple[Any, tuple[int, ...]]] = list(zip(value, shape, strict=True)) if several else [(value, shape)]
        arrays = []
        for part, wanted in parts:
            array = numbers(part)
            if array is None:
                return Failure("error", f"{name} is not an array of real numbers")
            free = name == "allocation"
            if array.ndim != len(wanted) + (not free) or array.shape[array.ndim - len(wanted) :] != wanted:
                axes = wanted if free else ("draws", *wanted)
                return Failure("error", f"{name} has shape {array.shape}, not ({', '.join(map(str, axes))})")
            if not free:
                draws[name] = array.shape[0]
            if name in FINITE and not np.isfinite(array).all() and not left(name, array):
                nonfinite = nonfinite or f"{name} is not finite"
            arrays.append(array)
        taken[name] = tuple(arrays) if several else arrays[0]
    if len(set(draws.values())) > 1:
        return Failure("error", "fields differ in draws: " + ", ".join(f"{k} {n}" for k, n in draws.items()))
    if not taken:
        return Failure("error", "answered nothing")
    levels = given.get("levels")
    if levels is not None:
        array = numbers(levels)
        fault = levels_fault(array, next(iter(draws.values()), None))
        if fault:
            return Failure("error", fault)
        taken["levels"] = array
    if given.get("diagnostics") is not None:
        told = diagnostics_of(given["diagnostics"])
        if isinstance(told, Failure):
            return told
        taken["diagnostics"] = told
    count, limit = next(iter(draws.values()), 1), brief.questions.sizes.draws
    if levels is None and not 1 <= count <= limit:
        return Failure("error", f"{count} draws; at most {limit} are asked for")
    return Failure("nonfinite", nonfinite) if nonfinite else Answers(**taken)


def left(name: str, array: Array) -> bool:
    """Whether an array of one problem says that its contender does not decide there itself."""
    return name in LEFT and bool(np.isnan(array).all())


def numbers(value: Any) -> Array | None:
    """A real array, or None."""
    try:
        array = np.asarray(value)
    except Exception:  # ragged, or a class of the contender's own that misbehaves
        return None
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)
    return array if array.dtype.kind == "f" else None


def levels_fault(levels: Array | None, count: int | None) -> str:
    """What is wrong with quantile levels; empty if nothing is."""
    if levels is None or levels.ndim != 1 or not ((levels > 0) & (levels < 1)).all() or (np.diff(levels) <= 0).any():
        return "levels must be increasing numbers between 0 and 1"
    if count is not None and count != len(levels):
        return f"{len(levels)} levels and {count} quantiles"
    missing = [level for level in LEVELS if not np.isclose(levels, level, atol=1e-6).any()]
    return f"levels lack {missing[0]:g}; at least {', '.join(f'{x:g}' for x in LEVELS)}" if missing else ""


def diagnostics_of(value: Any) -> Diagnostics | Failure:
    """Diagnostics as floats, NaN where not given."""
    given = value._asdict() if isinstance(value, Diagnostics) else value
    if not isinstance(given, Mapping) or set(given) - set(Diagnostics._fields):
        return Failure("error", f"diagnostics must have fields of {', '.join(Diagnostics._fields)}")
    try:
        told = {name: float(np.asarray(given.get(name, np.nan)).reshape(())) for name in Diagnostics._fields}
    except (TypeError, ValueError):
        return Failure("error", "diagnostics must be single numbers")
    return Diagnostics(**{name: np.float64(x) for name, x in told.items()})
