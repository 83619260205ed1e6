"""Scores of the user's own: stored answers, no refitting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simbench.backends.loading import module_of
from simbench.errors import BadInput
from simbench.run import cells
from simbench.run.results import COLUMNS, Run, blocks, called, derived, opened, remade, scores
from simbench.score.representable import representable
from simbench.score.rows import STATUS, Metric
from simbench.score.user import from_function

if TYPE_CHECKING:
    import pandas as pd


def metric_named(text: str) -> Metric:
    """The metric of ``FILE.py:NAME``: a `Metric`, or a function ``(brief, truth, answers, decisions)``.

    Raises
    ------
    BadInput
        If the file or the name is not there, or is neither.
    """
    file, _, name = text.rpartition(":")
    if not file.endswith(".py") or not name:
        raise BadInput("metric", f"{text!r}", "FILE.py:NAME")
    module, _ = module_of(Path(file).expanduser().absolute())
    if not hasattr(module, name):
        raise BadInput(file, f"has no {name!r}", "the name of a function in it")
    return _metric(getattr(module, name), text)


def _metric(value: Metric | Callable[..., Any], where: str) -> Metric:
    if isinstance(value, Metric):
        return value
    if not callable(value):
        raise BadInput(where, f"is a {type(value).__name__}", "a function (brief, truth, answers, decisions)")
    return from_function(value)


def score(run: str | Path | Run, metrics: Sequence[Metric | Callable[..., Any]] | None = None) -> pd.DataFrame:
    """Score the stored answers of a run; nobody is asked again.

    Parameters
    ----------
    run : Run, folder or "latest"
    metrics : sequence, optional
        Metrics of your own: functions ``(brief, truth, answers, decisions)`` of one cell that return a
        number or a mapping of numbers. Without them: all of simbench's own.

    Returns
    -------
    pandas.DataFrame
        As :func:`simbench.scores`, rows of these metrics only.
    """
    import pandas as pd

    if metrics is None:
        return scores(run)
    run, wanted = opened(run), [_metric(metric, "metrics") for metric in metrics]
    rows: list[tuple[Any, ...]] = []
    for source, entry, place, replicates in blocks(run):
        content, found = cells.stored_answers(place), derived(run, source, entry, place)
        worlds = remade(run, source, [int(r) for r in content["cells"]])[0]
        head = (run.suite, source.name, source.family, source.transform)
        inside = representable(source.breaks, entry.handles)
        for group, made in zip(content["groups"], found["groups"], strict=True):
            try:
                columns = cells.scored(cells.case_of(worlds, group, made["decisions"]), wanted)
            except BadInput as error:
                raise BadInput(error.where, f"{error.what} ({entry.name} on {source.name})", error.right) from error
            for column in columns:
                told = (column.estimand, column.unit, called(source, column.unit), column.metric)
                rows += [
                    (*head, replicate, entry.name, *told, column.value[i], STATUS[column.status[i]], "", inside)
                    for i, replicate in enumerate(group.replicates)
                    if replicate in replicates
                ]
        rows += [
            (*head, int(r), entry.name, "", "", "", "", np.nan, "failed", failure.reason, inside)
            for r, failure in content["failures"].items()
            if int(r) in replicates
        ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"representable": "boolean"})
