"""A score of your own: a function of one cell."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from simbench.errors import BadInput
from simbench.records import Answers, Brief, Decisions, Truth
from simbench.score.rows import Case, Column, Metric, cells, column

Score = Callable[[Brief, Truth, Answers, Decisions], float | Mapping[str, float]]


def from_function(fn: Score, name: str | None = None) -> Metric:
    """Make a metric of a function of one cell.

    Parameters
    ----------
    fn : callable
        (brief, truth, answers, decisions) of one cell -> a number, or a mapping of names to numbers.
        Arrays have no replicate axis; those of `answers` begin with the draws. NaN is undefined.
    name : str, optional
        Of the metric; the function's own name otherwise. It is the `estimand` of its columns, whose
        `metric` is ``"value"``, or the name in the mapping.

    Returns
    -------
    Metric

    Raises
    ------
    BadInput
        When the columns are computed: if the function raises, or returns something else.
    """
    title = str(name or getattr(fn, "__name__", "metric"))

    def columns(case: Case) -> Iterator[Column]:
        found = [_numbers(title, fn, one(case, i)) for i in range(cells(case))]
        for key in dict.fromkeys(key for values in found for key in values):
            yield column(title, "all", key, np.array([values.get(key, np.nan) for values in found]))

    return Metric(title, columns)


def one(case: Case, i: int) -> Case:
    """One cell of a case: records without the replicate axis."""
    import jax

    return jax.tree.map(lambda x: np.asarray(x)[i], case)


def _numbers(title: str, fn: Score, case: Case) -> dict[str, float]:
    where = f"metric {title}"
    try:
        value = fn(case.brief, case.truth, case.answers, case.decisions)
    except Exception as error:
        raise BadInput(where, f"raised {type(error).__name__}: {error}", "a function that returns a number") from error
    named: Mapping[Any, Any] = value if isinstance(value, Mapping) else {"value": value}
    for key, number in named.items():
        if not isinstance(key, str):
            raise BadInput(where, f"names a value {key!r:.60}", "a text")
        if isinstance(number, np.ndarray) and number.shape == ():
            number = number[()]
        if not isinstance(number, numbers.Real | np.bool_):
            raise BadInput(where, f"returned {number!r:.60} for {key!r}", "a number, or a mapping of names to numbers")
    return {key: float(number) for key, number in named.items()}
