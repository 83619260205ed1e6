"""Briefs: what an analyst may see, built from a drawn path; and tables of it.

Everything here works on a whole batch of replicates at once (leading axis R) and in NumPy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np

from simbench.errors import BadInput
from simbench.problems import ProblemSpec as ProblemSpec
from simbench.problems import problem_of as problem_of
from simbench.problems import shares as shares
from simbench.records import KINDS, Brief, Context, Future, Labels, Panel, Questions, Sizes

Array = Any


class Spec(NamedTuple):
    """What is asked, before there are data: the same for every replicate."""

    windows: tuple[tuple[int, int], ...]
    multipliers: tuple[float, ...]
    levels: int
    margin: float
    horizon: int
    problems: tuple[ProblemSpec, ...]
    sizes: Sizes


def status_quo_weeks(weeks: int, horizon: int) -> np.ndarray:
    """The past weeks that stand for the next `horizon` ones: the same weeks of last year.

    Where history is shorter than a year, the last weeks of it; a longer horizon repeats them.
    """
    year = 52 if weeks >= 52 else min(weeks, horizon)
    return weeks - year + np.arange(horizon) % year


def default_plans(status_quo: Array) -> Array:
    """Plans [R, P, Hd, G, C]: status quo, +20%, -20%, each channel off."""
    channels = status_quo.shape[-1]
    factors = np.concatenate(
        [np.ones((1, channels)), np.full((1, channels), 1.2), np.full((1, channels), 0.8), 1 - np.eye(channels)]
    )
    return status_quo[:, None] * factors[None, :, None, None, :]


def plan_names(channels: Sequence[str]) -> tuple[str, ...]:
    """Names of the default plans, in their order."""
    return ("status quo", "+20%", "-20%", *(f"{channel} off" for channel in channels))


def calendar_of(first_day: date, t: Array) -> np.ndarray:
    """Fraction of the year passed at weeks `t` after the week of `first_day`, in [0, 1)."""
    offset = (first_day.timetuple().tm_yday - 1) / 7
    return np.mod((t + offset) / (365.25 / 7), 1.0)


def questions_of(spec: Spec, panel: Panel, future: Future, weeks: int) -> Questions:
    """Everything a contender is asked about a batch of panels."""
    replicates = panel.lever.shape[0]
    status_quo = panel.lever[:, status_quo_weeks(weeks, spec.horizon)]
    windows = np.array(spec.windows, dtype=np.int32)
    return Questions(
        windows=np.broadcast_to(windows, (replicates, *windows.shape)).copy(),
        multipliers=np.broadcast_to(np.array(spec.multipliers), (replicates, len(spec.multipliers))).copy(),
        margin=np.full(replicates, spec.margin),
        future=future,
        plans=default_plans(status_quo),
        problems=tuple(problem_of(p, status_quo, panel.population, spec.levels, spec.margin) for p in spec.problems),
        sizes=spec.sizes,
    )


def context_of(
    panel: Panel, weeks: int, unit_value: Array, kind: Sequence[int], bought: Array, national_only: Array, prior: Array
) -> Context:
    """Prior knowledge; scales from the training window only."""
    every = lambda x: np.broadcast_to(np.asarray(x), (len(panel.kpi), *np.shape(x))).copy()  # noqa: E731
    return Context(
        *scales_of(panel, weeks),
        unit_value=np.asarray(unit_value, dtype=float),
        national_only=every(np.asarray(national_only, dtype=float)),
        kind=every(np.asarray(kind, dtype=np.int32)),
        bought=every(np.asarray(bought, dtype=float)),
        prior_roas_mean=every(prior[0]),
        prior_roas_sd=every(prior[1]),
    )


def scales_of(panel: Panel, weeks: int) -> tuple[Array, Array]:
    """Mean weekly national KPI [R], of the weeks in which it was recorded, and mean weekly spend [R, C]."""
    kpi = panel.kpi[:, :weeks].sum(axis=-1)
    return np.average(kpi, axis=1, weights=panel.mask[:, :weeks]), panel.spend[:, :weeks].sum(axis=2).mean(axis=1)


def one(batch: Any, i: int) -> Any:
    """Replicate `i` of a batched record."""
    import jax

    return jax.tree.map(lambda x: x[i], batch)


def stack(records: Sequence[Any]) -> Any:
    """Records of one shape as one batched record."""
    import jax

    return jax.tree.map(lambda *x: np.stack(x), *records)


def timeline(panel: Panel, future: Future) -> tuple[Array, Array]:
    """Panel and future laid on weeks [0, N): lever [N, G, C] (zero from the origin on) and controls.

    Rows of the panel at or after its origin are ignored, whatever they hold.
    """
    ahead = future.controls.shape[0]
    return laid_out(panel, panel.lever, None, ahead), laid_out(panel, panel.controls, future.controls, ahead)


def laid_out(panel: Panel, past: Array, later: Array | None, ahead: int) -> Array:
    """A series of the panel [T, ...], and what is given of it from the origin on, on weeks [0, T + ahead); else 0."""
    import jax.numpy as jnp
    from jax import lax

    seen = (jnp.arange(past.shape[0]) < panel.origin).reshape(-1, *(1,) * (past.ndim - 1))
    path = jnp.concatenate([jnp.where(seen, past, 0.0), jnp.zeros((ahead, *past.shape[1:]))])
    if later is None:
        return path
    return lax.dynamic_update_slice_in_dim(path, later.astype(path.dtype), panel.origin, axis=0)


def dates(labels: Labels, weeks: Array) -> np.ndarray:
    """First day of each week, as datetime64[D]."""
    return np.datetime64(labels.start, "D") + 7 * np.asarray(weeks).astype(int)


def counts_contacts(brief: Brief) -> np.ndarray:
    """Whether a channel's contacts are counted [C]: any stands in the panel of one brief."""
    panel = brief.panel
    known = np.zeros_like(panel.lever) if panel.exposure is None else panel.exposure
    return np.asarray((known[: int(panel.origin)] > 0).any(axis=(0, 1)))


def frame(brief: Brief, labels: Labels) -> Any:
    """The panel as a tidy pandas frame: one row a week and geo, one column a series; NaN where no KPI was recorded.

    Raises
    ------
    BadInput
        If the brief is a batch; take one replicate first.
    """
    import pandas as pd

    panel = brief.panel
    if np.ndim(panel.origin):
        raise BadInput("frame", "a batch of briefs", "give one brief")
    origin, geos, counted = int(panel.origin), len(labels.geos), counts_contacts(brief)
    rows = {
        "date": np.repeat(dates(labels, np.arange(origin)), geos),
        "geo": np.tile(np.array(labels.geos, dtype=object), origin),
        "kpi": np.where(panel.mask[:origin, None] > 0, panel.kpi[:origin], np.nan).ravel(),
    }
    for c, name in enumerate(labels.channels):
        rows[f"spend_{name}"] = np.asarray(panel.spend[:origin, :, c]).ravel()
        if brief.context.bought[c]:
            rows[f"cap_{name}"] = np.asarray(panel.lever[:origin, :, c]).ravel()
        if counted[c]:
            rows[f"exposure_{name}"] = np.asarray(panel.exposure)[:origin, :, c].ravel()
        if panel.claims is not None:
            rows[f"claim_{name}"] = np.asarray(panel.claims[:origin, :, c]).ravel()
    for k, name in enumerate(labels.controls):
        rows[f"control_{name}"] = np.asarray(panel.controls[:origin, :, k]).ravel()
    rows["population"] = np.tile(np.asarray(panel.population), origin)
    return pd.DataFrame(rows)


# --- a user's own data


def default_spec(weeks: int, *, margin: float, horizon: int = 26, tail: int = 26, draws: int = 256) -> Spec:
    """What is asked where nobody says otherwise: two windows, a fixed and a free budget."""
    windows = ((0, weeks), (weeks - 52, weeks)) if weeks > 52 else ((0, weeks),)
    problems = tuple(
        ProblemSpec(name, "national", budget, 0.0, 2.0, ()) for name, budget in (("fixed", (1.0, 1.0)), ("free", None))
    )
    multipliers = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
    return Spec(windows, multipliers, 21, margin, horizon, problems, Sizes(tail, min(14, tail + 1), draws))


def brief_from_table(
    table: Any,
    *,
    date: str,
    kpi: str,
    spend: Sequence[str],
    controls: Sequence[str] = (),
    geo: str | None = None,
    population: str | None = None,
    exposure: Mapping[str, str] | None = None,
    unit_value: float = 1.0,
    margin: float = 0.5,
) -> tuple[Brief, Labels]:
    """A brief of the user's own weekly data, so that any contender can be asked about it.

    There is no truth beside it. The weeks ahead are given as those of a year before: controls
    repeat, and the plan to beat is last year's spend.

    Parameters
    ----------
    table : pandas.DataFrame
        Weekly rows (one a geo), as :func:`simbench.tables.read_weekly` gives them.
    date, kpi : str
        Columns.
    spend, controls : sequence of str
        Columns; each spend column is a channel.
    geo, population : str, optional
        Columns; every geo needs a row in every week.
    exposure : mapping of str to str, optional
        Columns of contacts (impressions, rating points, clicks; any unit) by spend column, where they are counted.
    unit_value, margin : float
        Money per KPI unit, and the share of it that is profit before media.

    Raises
    ------
    BadInput
        Columns that are not there, numbers that are not finite, negative spend or contacts, contacts of
        what is no spend column, or weeks missing from a geo.
    """
    import pandas as pd

    counted = exposure or {}
    stray = [channel for channel in counted if channel not in spend]
    if stray:
        raise BadInput("exposure", f"{stray[0]!r} is no spend column", meant(stray[0], spend))
    wanted = [date, kpi, *spend, *counted.values(), *controls]
    wanted += [*([geo] if geo else []), *([population] if population else [])]
    missing = [column for column in wanted if column not in table.columns]
    if missing or not spend:
        raise BadInput(
            "table",
            f"has no column {missing[0]!r}" if missing else "no spend column is named",
            f"its columns are {', '.join(map(str, table.columns))}",
        )
    rows = table.assign(**{date: pd.to_datetime(table[date])})
    names = sorted(rows[geo].astype(str).unique()) if geo else ["national"]
    weeks = rows[date].drop_duplicates().sort_values()
    ordered = rows.assign(_geo=rows[geo].astype(str) if geo else "national").sort_values([date, "_geo"])
    if len(ordered) != len(weeks) * len(names) or ordered.duplicated([date, "_geo"]).any():
        raise BadInput(
            "table", f"{len(ordered)} rows for {len(weeks)} weeks and {len(names)} geos", "one row a week and geo"
        )
    if (weeks.diff().dropna() != pd.Timedelta(days=7)).any():
        raise BadInput(
            f"table.{date}",
            "weeks are missing or not seven days apart",
            "weekly rows without gaps; sb.to_weeks sums daily ones",
        )

    def values(columns: Sequence[str]) -> np.ndarray:  # [1, T, G, columns]
        found = ordered[list(columns)].to_numpy(dtype=float).reshape(1, len(weeks), len(names), len(columns))
        if not np.isfinite(found).all():
            column = columns[int(np.argwhere(~np.isfinite(found))[0][-1])]
            raise BadInput(f"table.{column}", "contains a number that is not finite", "fill or drop these weeks")
        return found

    def amounts(columns: Sequence[str], word: str) -> np.ndarray:
        found = values(columns)
        if (found < 0).any():
            column = columns[int(np.argwhere(found < 0)[0][-1])]
            raise BadInput(f"table.{column}", f"contains negative {word}", f"{word} >= 0")
        return found

    money, length = amounts(spend, "spend"), len(weeks)
    contacts = None
    if counted:
        contacts = np.zeros_like(money)
        contacts[..., [list(spend).index(name) for name in counted]] = amounts(list(counted.values()), "contacts")
    spec = default_spec(length, margin=margin)
    calendar = calendar_of(weeks.iloc[0].date(), np.arange(length + spec.horizon + spec.sizes.tail))[None]
    known = values(controls) if controls else np.zeros((*money.shape[:3], 0))
    ahead = status_quo_weeks(length, spec.horizon + spec.sizes.tail)
    panel = Panel(
        origin=np.array([length], dtype=np.int32),
        lever=money,
        spend=money,
        exposure=contacts,
        kpi=values([kpi])[..., 0],
        controls=known,
        calendar=calendar[:, :length],
        mask=np.ones((1, length)),
        population=values([population])[:, -1, :, 0] if population else np.full((1, len(names)), 1e6),
    )
    year = ahead[: spec.horizon]
    last_year = money[:, year]
    again = None if contacts is None else contacts[:, year]
    future = Future(last_year, last_year, again, known[:, ahead], calendar[:, length:])
    flags, channels = np.zeros(len(spend)), tuple(map(str, spend))
    kinds, prior = [KINDS.index("other")] * len(spend), np.ones((2, len(spend)))
    context = context_of(panel, length, np.array([unit_value]), kinds, flags, flags, prior)
    labels = Labels(
        channels=channels,
        geos=tuple(names),
        controls=tuple(map(str, controls)),
        start=(weeks.iloc[0] - pd.Timestamp("1970-01-01")).days,
        windows=tuple(f"weeks {a}-{b - 1}" for a, b in spec.windows),
        plans=plan_names(channels),
        problems=tuple(p.name for p in spec.problems),
        units=(channels,) * len(spec.problems),
        kpi=str(kpi),
    )
    return one(Brief(panel, questions_of(spec, panel, future, length), context), 0), labels


def meant(word: str, known: Iterable[str]) -> str:
    """Which of the known words was probably meant, else all of them."""
    near = get_close_matches(word, list(known), 1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"one of {', '.join(known)}"
