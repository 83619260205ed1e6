"""Pictures of runs: one cell against the truth, and a score along a sweep. Drawn to files only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simbench.errors import BadInput
from simbench.records import Answers, Failure
from simbench.report.plots import INK, PALETTE, QUIET, amount, check_plot
from simbench.report.words import clean
from simbench.run.inspect import CellTold
from simbench.run.results import Run, opened, scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = Any
#: Central share of an answer's draws that a band shows.
BAND = 0.9
MARKERS = "osD^vPX*"
#: Files without the time they were written at: the same run gives the same bytes.
UNDATED: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
POINT = re.compile(r"(?P<sweep>[a-z0-9-]+)\[(?P<value>[^\[\]]*)\]")


@contextmanager
def drawing(file: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure that is written to a file at the end, whole or not at all."""
    check_plot(file)
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "font.size": 9, "axes.edgecolor": QUIET, "axes.labelcolor": INK, "text.color": INK, "xtick.color": QUIET,
        "ytick.color": QUIET, "axes.linewidth": 0.7, "axes.spines.top": False, "axes.spines.right": False,
        "axes.titlelocation": "left", "axes.titlesize": 10, "svg.hashsalt": "simbench", "svg.fonttype": "none",
        "axes.grid": True, "grid.color": "#ececec", "axes.axisbelow": True, "legend.frameon": False,
    }  # fmt: skip
    with rc_context(style):
        figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        temporary = file.with_name(f".{file.name}.partial{file.suffix}")
        try:
            figure.savefig(temporary, metadata=UNDATED.get(file.suffix))
            temporary.replace(file)
        except OSError as error:
            raise BadInput(str(file), f"cannot be written ({error.strerror})", "a folder that exists") from None
        finally:
            temporary.unlink(missing_ok=True)


def spread(draws: Array, levels: Array | None) -> tuple[Array, Array, Array]:
    """Lower end, middle and upper end of draws [D, ...], or of quantiles at `levels`."""
    draws = np.asarray(draws, dtype=float)
    if levels is not None:
        order = np.asarray(levels, dtype=float)
        ends = [np.abs(order - level).argmin() for level in ((1 - BAND) / 2, 0.5, (1 + BAND) / 2)]
        return draws[ends[0]], draws[ends[1]], draws[ends[2]]
    low, high = (np.quantile(draws, level, axis=0) for level in ((1 - BAND) / 2, (1 + BAND) / 2))
    return low, np.median(draws, axis=0), high


def plot_cell(told: CellTold, file: str | Path) -> Path:
    """Draw what one contender answered about one world against the truth.

    Contributions, response curves and the holdout; bands hold 90% of the draws.

    Parameters
    ----------
    told : CellTold
        As :func:`simbench.run.inspect.inspect` gives it.
    file : str or Path
        ``.png``, ``.svg`` or ``.pdf``; an existing file is replaced.

    Raises
    ------
    BadInput
        If the cell has no answer, the format is not known or matplotlib is missing.
    """
    if isinstance(told.reply, Failure):
        raise BadInput(
            f"{told.source.name}/{told.replicate}/{told.entry.name}",
            "has no answer to draw",
            f"it failed ({told.reply.reason})",
        )
    file = Path(file)
    channels = len(told.labels.channels)
    columns = min(channels, 4)
    rows = -(-channels // columns)
    with drawing(file, 11, 6.2 + 2.2 * rows) as figure:
        figure.suptitle(
            f"{clean(told.entry.name)} on {clean(told.source.name)}, replicate {told.replicate}",
            x=0.01, ha="left", fontweight="bold",
        )  # fmt: skip
        parts: Any = figure.subfigures(3, 1, height_ratios=(2.8, 2.2 * rows, 2.8))
        top, middle, bottom = parts
        contributions(top.subplots(), told, told.reply)
        middle.suptitle("Response by multiple of spend: true (dark), answered", x=0.01, ha="left", fontsize=10)
        panels = np.atleast_1d(middle.subplots(rows, columns)).ravel()
        for empty in panels[channels:]:
            empty.set_visible(False)
        curves(list(panels[:channels]), told, told.reply)
        holdout(bottom.subplots(), told, told.reply)
    return file


def contributions(axes: Axes, told: CellTold, reply: Answers) -> None:
    """True contributions of the whole panel, and the answered ones with their interval."""
    names, truth = told.labels.channels, np.asarray(told.truth.answers.contribution)[0]
    places = np.arange(len(names))
    axes.plot(truth, places, "|", color=INK, ms=18, mew=2, label="true")
    if reply.contribution is not None:
        low, middle, high = spread(np.asarray(reply.contribution)[:, 0], reply.levels)
        axes.hlines(places, low, high, color=PALETTE[0], lw=5, alpha=0.35)
        axes.plot(middle, places, "o", color=PALETTE[0], label="answered")
    axes.set_yticks(places, [clean(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)  # the first channel on top
    axes.set_title(f"Contribution in {told.labels.kpi}, whole panel")
    _money(axes.xaxis)
    _legend_above(axes)


def _legend_above(axes: Axes) -> None:
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)


def _money(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))


def curves(axes: list[Axes], told: CellTold, reply: Answers) -> None:
    """True and answered response of each channel, by multiple of its spend."""
    multipliers = np.asarray(told.brief.questions.multipliers)
    truth = np.asarray(told.truth.answers.curve)
    answered = None if reply.curve is None else spread(reply.curve, reply.levels)
    for c, name in enumerate(told.labels.channels):
        axes[c].plot(multipliers, truth[c], color=INK, lw=1.6)
        if answered is not None:
            low, middle, high = (part[c] for part in answered)
            axes[c].fill_between(multipliers, low, high, color=PALETTE[0], alpha=0.25, lw=0)
            axes[c].plot(multipliers, middle, color=PALETTE[0], lw=1.4)
        axes[c].set_title(clean(name), fontsize=9)
        _money(axes[c].yaxis)


def holdout(axes: Axes, told: CellTold, reply: Answers) -> None:
    """National KPI of the holdout as it came, and its forecast."""
    observed = np.asarray(told.truth.kpi_future).sum(axis=-1)
    weeks = np.arange(len(observed)) + int(told.brief.panel.origin)
    axes.plot(weeks, observed, color=INK, lw=1.2, marker=".", label="as it came")
    # quantiles of geos do not add up to quantiles of the total
    if reply.forecast is not None and (reply.levels is None or np.shape(reply.forecast)[-1] == 1):
        national = np.asarray(reply.forecast).sum(axis=-1)
        low, middle, high = spread(national, reply.levels)
        axes.fill_between(weeks, low, high, color=PALETTE[0], alpha=0.25, lw=0)
        axes.plot(weeks, middle, color=PALETTE[0], lw=1.4, label="forecast")
    axes.set_title(f"Holdout: {told.labels.kpi} a week")
    axes.set_xlabel("week")
    _money(axes.yaxis)
    _legend_above(axes)


def ladder(run: str | Path | Run, metric: str, file: str | Path, *, sweep: str = "") -> Path:
    """Draw a score against the swept value of a scenario: one line a contender, 95% intervals over worlds.

    Parameters
    ----------
    run : Run, folder or "latest"
        That holds two or more points of a sweep, such as ``collinear[0.0]`` and ``collinear[0.9]``.
    metric : str
        ``"contribution/all/error"``: estimand, unit and metric of a score row.
    file : str or Path
        ``.png``, ``.svg`` or ``.pdf``.
    sweep : str
        Which, if the run holds several.

    Raises
    ------
    BadInput
        If there is no such score or no sweep in the run.
    """
    from simbench.score.statistics import mean_interval

    file, run = Path(file), opened(run)
    estimand, unit, name = parts_of(metric)
    frame = scores(run)
    kept = frame[(frame.estimand == estimand) & (frame.unit == unit) & (frame.metric == name)]
    if not len(kept):
        told = frame[frame.estimand != ""][["estimand", "unit", "metric"]].drop_duplicates()
        near = get_close_matches(metric, ["/".join(parts) for parts in told.itertuples(index=False)], 3, cutoff=0.0)
        right = f"for example {', '.join(near)}" if near else "a run that measured something"
        raise BadInput("metric", f"{metric!r} is in no score row", right)
    found = [
        (match["sweep"], match["value"], text) for text in kept.scenario.unique() if (match := POINT.fullmatch(text))
    ]
    sweeps = sorted({name for name, _, _ in found})
    if not sweeps or (sweep and sweep not in sweeps) or (len(sweeps) > 1 and not sweep):
        right = f"sweep = one of {', '.join(sweeps)}" if sweeps else "a run of a sweep, such as collinear"
        raise BadInput("ladder", f"{sweep or 'no sweep'!s} is not clear", right)
    points = sorted(
        (_number(value, i), value, text) for i, (name, value, text) in enumerate(found) if name == (sweep or sweeps[0])
    )
    names = list(kept.backend.unique())
    places = np.array([place for place, _, _ in points])
    aside = 0.006 * (np.ptp(places) or 1.0)  # intervals beside each other, not on top of each other
    with drawing(file, 9, 5) as figure:
        axes = figure.subplots()
        for k, backend in enumerate(names):
            own = kept[kept.backend == backend]
            means = [mean_interval(own[own.scenario == text].value.to_numpy()) for _, _, text in points]
            if not any(np.isfinite(mean.value) for mean in means):
                continue
            x, colour = places + aside * (k - (len(names) - 1) / 2), PALETTE[k % len(PALETTE)]
            low, high = (np.array([getattr(mean, end) for mean in means]) for end in ("low", "high"))
            axes.plot(x, [m.value for m in means], color=colour, marker=MARKERS[k % len(MARKERS)], label=clean(backend))
            axes.vlines(x, low, high, color=colour, lw=1.2)
        axes.set_xticks(places, [value for _, value, _ in points])
        axes.set_xlabel(clean(sweep or sweeps[0]))
        axes.set_ylabel(clean(metric))
        axes.set_title(f"{clean(metric)} along {clean(sweep or sweeps[0])}: means over worlds, 95% intervals")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return file


def parts_of(metric: str) -> tuple[str, str, str]:
    """``"contribution/all/error"`` in its three parts."""
    parts = metric.split("/", 2)
    if len(parts) != 3:
        raise BadInput("metric", f"{metric!r}", "estimand/unit/metric, for example contribution/all/error")
    return parts[0], parts[1], parts[2]


def _number(value: str, position: int) -> float:
    try:
        return float(value)
    except ValueError:
        return float(position)
