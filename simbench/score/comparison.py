"""Two contenders on the cells that both have: paired, every score at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simbench.errors import BadInput
from simbench.score import statistics as st
from simbench.score.catalogue import loss
from simbench.score.tables import Table, code, read

if TYPE_CHECKING:
    import pandas as pd

Array = Any


def compare(frame: pd.DataFrame, a: str, b: str, *, by_scenario: bool = False) -> pd.DataFrame:
    """Paired differences of two contenders over the cells that both answered.

    Scenarios of one family share their worlds: over several scenarios a replicate number counts
    once, with the mean of its differences. Single channels are compared within one scenario only.

    Parameters
    ----------
    frame : pandas.DataFrame
        Score rows, as for :func:`~simbench.score.headlines.leaderboard`.
    a, b : str
        Names of contenders.
    by_scenario : bool
        One table a scenario, below each other, instead of all of them pooled.

    Returns
    -------
    pandas.DataFrame
        ``scenario, estimand, unit, metric, a, b`` (means), ``difference`` (mean of a - b), ``low,
        high`` (95%), ``cells``, ``n`` (independent worlds), ``smallest`` (difference that so many
        worlds show), ``a_better`` (share of worlds in which a is better, a tie counts half).

    Raises
    ------
    BadInput
        If one of the two is not in the frame.
    """
    import pandas as pd

    table = read(frame)
    for name in (a, b):
        if name not in table.backends:
            raise BadInput("compare", f"{name!r} is not in these scores", f"one of {', '.join(table.backends)}")
    groups = range(len(table.scenarios)) if by_scenario else [None]
    rows = [row for group in groups for row in compared(table, a, b, group)]
    names = (
        "scenario", "estimand", "unit", "metric", "a", "b", "difference", "low", "high", "cells", "n", "smallest",
        "a_better",
    )  # fmt: skip
    return pd.DataFrame(rows, columns=list(names))


def compared(table: Table, a: str, b: str, scenario: int | None) -> list[tuple[Any, ...]]:
    """Rows of one table; all scenarios together if `scenario` is None."""
    keys, pair = paired_columns(table, a, b, scenario)
    if not keys:
        return []
    where = slice(None) if scenario is None else table.scenario == scenario
    pair, cluster = pair[:, :, where], table.cluster[where]
    both = np.isfinite(pair).all(axis=0)  # [columns, N]
    clusters = np.unique(cluster)
    member = (cluster[:, None] == clusters).astype(np.float64)

    def by_cluster(x: Array) -> Array:  # [columns, N] -> means [columns, clusters]
        total, size = np.where(both, x, 0.0) @ member, both @ member
        return np.divide(total, size, out=np.full(total.shape, np.nan), where=size > 0)

    lost = np.stack([np.stack([loss(e, m, pair[k, i]) for k in (0, 1)]) for i, (e, _, m) in enumerate(keys)], axis=1)
    wins = np.where(np.isfinite(lost).all(axis=0), (1 - np.sign(lost[0] - lost[1])) / 2, np.nan)
    means, differences, won = (
        [by_cluster(x) for x in pair],
        by_cluster(pair[0] - pair[1]),
        by_cluster(np.nan_to_num(wins)),
    )
    name = "" if scenario is None else table.scenarios[scenario]
    told = st.mean_intervals(differences)
    smallest, rows = st.smallest_differences(differences), []
    for i, key in enumerate(keys):
        at = np.isfinite(differences[i])
        if not at.any():
            continue
        value, low, high, n = (x[i] for x in told)
        share = float(won[i][at].mean()) if np.isfinite(wins[i][both[i]]).all() else np.nan
        rows.append((
            name, *key, float(means[0][i][at].mean()), float(means[1][i][at].mean()), float(value), float(low),
            float(high), int(both[i].sum()), int(n), float(smallest[i]), share,
        ))  # fmt: skip
    return rows


def paired_columns(table: Table, a: str, b: str, scenario: int | None) -> tuple[list[tuple[str, str, str]], Array]:
    """The scores that both have, and their values [2, columns, N]."""
    words, codes = table.words, table.codes
    ok = codes["status"] == code(words, "status", "ok")
    sides = [table.backends.index(a), table.backends.index(b)]
    rows = np.flatnonzero(ok & np.isin(codes["backend"], sides))
    if scenario is not None:
        rows = rows[table.scenario[codes["world"][rows]] == scenario]
    elif len(table.scenarios) > 1:
        pooled = np.array([unit == "all" or unit.startswith("problem:") for unit in words["unit"]])
        rows = rows[pooled[codes["unit"][rows]]]
    shape = tuple(len(words[name]) for name in ("estimand", "unit", "metric"))
    flat = np.ravel_multi_index(tuple(codes[name][rows] for name in ("estimand", "unit", "metric")), shape)
    found, column = np.unique(flat, return_inverse=True)
    pair = np.full((2, len(found), table.asked.shape[1]), np.nan)
    side = (codes["backend"][rows] == sides[1]).astype(int) if a != b else np.zeros(len(rows), dtype=int)
    pair[side, column, codes["world"][rows]] = table.value[rows]
    if a == b:
        pair[1] = pair[0]
    keys = [
        (words["estimand"][e], words["unit"][u], words["metric"][m])
        for e, u, m in zip(*np.unravel_index(found, shape), strict=True)
    ]
    return keys, pair
