"""Pictures of worlds. Matplotlib is imported on first use and draws to files only."""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simbench import briefs
from simbench.errors import BadInput
from simbench.report.words import clean
from simbench.world.scenario import BREAKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from simbench.world.truth import Drawn

Array = Any

#: Distinguishable with any colour vision, light and dark alternating (Okabe and Ito 2008; then Tol 2021).
PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00",
    "#882255", "#999933", "#332288", "#44aa99", "#aa4499", "#117733",
)  # fmt: skip
GROUND, INK, QUIET = "#d9d9d9", "#262626", "#6b6b6b"
FORMATS = (".png", ".svg", ".pdf")
#: Weeks over which spend is averaged to say which levels were observed.
QUARTER = 13
KEYS_A_ROW = 7


class Paths(NamedTuple):
    """National weekly paths of one replicate, panel and holdout; what the picture shows."""

    dates: Array  #: [T+H] first day of each week
    weeks: int  #: T
    spend: Array  #: [T+H, C] money
    lever: Array  #: [T+H, C] money decided
    kpi: Array  #: [T+H] as it is seen; NaN where nobody recorded it
    base: Array  #: [T+H]
    contribution: Array  #: [T+H, C] KPI units


def paths_of(drawn: Drawn, i: int = 0) -> Paths:
    """National paths of replicate `i`, without the pre-history."""
    path, form = drawn.secret.path, drawn.secret.form

    def seen(x: Array) -> Array:
        return np.asarray(x)[i, form.pre :].sum(axis=1)

    kpi, panel, weeks = seen(path.kpi), drawn.brief.panel, drawn.secret.weeks
    recorded = np.asarray(panel.mask)[i, :weeks] > 0
    kpi[:weeks] = np.where(recorded, np.asarray(panel.kpi)[i, :weeks].sum(axis=1), np.nan)
    spend, lever, base, contribution = (seen(x) for x in (path.paid, path.lever, path.base, path.contribution))
    return Paths(briefs.dates(drawn.labels, np.arange(len(kpi))), weeks, spend, lever, kpi, base, contribution)


def plot_world(drawn: Drawn, file: str | Path, i: int = 0) -> Path:
    """Draw spend, KPI and true response curves of one replicate.

    Parameters
    ----------
    drawn : Drawn
        With truth.
    file : str or Path
        ``.png``, ``.svg`` or ``.pdf``; an existing file is replaced.
    i : int
        Position of the replicate.

    Raises
    ------
    BadInput
        If the format is not known or matplotlib is missing.
    """
    file = Path(file)
    check_plot(file)
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    paths, colours = paths_of(drawn, i), list(islice(cycle(PALETTE), len(drawn.labels.channels)))
    style: dict[Any, Any] = {
        "font.size": 9, "axes.edgecolor": QUIET, "axes.labelcolor": INK, "text.color": INK,
        "xtick.color": QUIET, "ytick.color": QUIET, "axes.linewidth": 0.7,
        "axes.spines.top": False, "axes.spines.right": False,
        "axes.titlelocation": "left", "axes.titlesize": 10, "axes.titlepad": 8, "svg.hashsalt": "simbench",
        "svg.fonttype": "none", "axes.grid.axis": "y", "grid.color": "#ececec", "axes.axisbelow": True,
    }  # fmt: skip
    with rc_context(style):
        rows = -(-len(colours) // KEYS_A_ROW)
        height = 9.6 + 0.75 + 0.22 * rows  # inches; the head has room of its own
        layout = ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.1, rect=(0, 0, 1, 9.6 / height))
        figure = Figure(figsize=(11, height), dpi=120, layout=layout)
        FigureCanvasAgg(figure)
        top, middle, bottom = figure.subplots(3, 1, height_ratios=(1.0, 1.35, 1.45))
        middle.sharex(top)
        spend_panel(top, paths, colours)
        kpi_panel(middle, paths, colours, drawn.labels.kpi)
        curve_panel(bottom, drawn, paths, colours, i)
        head(figure, drawn, i, colours)
        temporary = file.with_name(f".{file.name}.partial{file.suffix}")
        try:
            figure.savefig(temporary, metadata={"Date": None} if file.suffix in (".svg",) else None)
            temporary.replace(file)
        except OSError as error:
            raise BadInput(str(file), f"cannot be written ({error.strerror})", "a folder that exists") from None
        finally:
            temporary.unlink(missing_ok=True)
    return file


def check_plot(file: Path) -> None:
    """Refuse a format that is not known, and say how to get matplotlib where it is missing."""
    from importlib.util import find_spec

    if file.suffix not in FORMATS:
        raise BadInput(str(file), f"'{file.suffix}' is no picture that simbench writes", " or ".join(FORMATS))
    if find_spec("matplotlib") is None:
        raise BadInput(str(file), "a picture needs matplotlib", "pip install 'simbench[plot]'")


def head(figure: Figure, drawn: Drawn, i: int, colours: list[str]) -> None:
    """Name, title, what the scenario breaks, and the colours of the channels."""
    from matplotlib.patches import Patch

    scenario, inch = drawn.scenario, 1.0 / figure.get_figheight()
    meaning = BREAKS[scenario.breaks]
    broken = meaning if scenario.breaks in ("", "compound") else f'breaks the assumption that "{meaning}"'
    said = f"{clean(scenario.title)}, replicate {drawn.replicates[i]}: {broken}"
    figure.text(0.012, 1 - 0.15 * inch, clean(scenario.name), fontsize=15, fontweight="bold", va="top")
    figure.text(0.012, 1 - 0.48 * inch, said, fontsize=10, color=QUIET, va="top")
    keys = zip(drawn.labels.channels, colours, strict=True)
    figure.legend(
        handles=[Patch(facecolor=colour, label=name) for name, colour in keys],
        loc="upper left", bbox_to_anchor=(0.006, 1 - 0.68 * inch), ncols=KEYS_A_ROW, frameon=False,
        handlelength=1.1, handleheight=0.9, columnspacing=1.5,
    ).set_in_layout(False)  # fmt: skip


def spend_panel(axes: Axes, paths: Paths, colours: list[str]) -> None:
    """Weekly spend, stacked by channel."""
    _stack(axes, paths, paths.spend, np.zeros(len(paths.kpi)), colours)
    axes.set_title("Spend a week")
    axes.set_ylim(0)
    axes.tick_params(labelbottom=False)
    _finish(axes, paths, label=True)


def kpi_panel(axes: Axes, paths: Paths, colours: list[str], unit: str) -> None:
    """Observed KPI over its true parts."""
    edges = _edges(paths)
    axes.stairs(paths.base, edges, fill=True, color=GROUND, lw=0)
    _stack(axes, paths, paths.contribution, paths.base, colours)
    middle = paths.dates + np.timedelta64(84, "h")
    axes.plot(middle, paths.kpi, color=INK, lw=0.9, marker=".", ms=2.6, label=f"{unit} as observed")
    axes.set_title(f"{unit.capitalize()} a week: what is seen, over its true parts")
    lowest = min(0.0, float(paths.base.min()))
    axes.set_ylim(lowest)
    axes.annotate(
        "without media",
        (0.0, 0.0),
        xycoords="axes fraction",
        xytext=(8, 8),
        textcoords="offset points",
        color=QUIET,
    )
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8.5, borderaxespad=0.2)
    _finish(axes, paths, label=False)


def _edges(paths: Paths) -> Array:
    return np.append(paths.dates, paths.dates[-1] + np.timedelta64(7, "D")).astype("datetime64[D]")


def _stack(axes: Axes, paths: Paths, parts: Array, ground: Array, colours: list[str]) -> None:
    """Parts [T+H, C] stacked on a ground, one step a week."""
    edges = _edges(paths)
    tops = ground[:, None] + np.cumsum(parts, axis=1)
    for c, colour in enumerate(colours):
        axes.stairs(tops[:, c], edges, baseline=tops[:, c] - parts[:, c], fill=True, color=colour, lw=0)


def _finish(axes: Axes, paths: Paths, *, label: bool) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FuncFormatter

    axes.grid(True, axis="y")
    edges = _edges(paths)
    axes.set_xlim(edges[0], edges[-1])
    locator = AutoDateLocator(minticks=4, maxticks=10)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))
    if paths.weeks < len(paths.dates):
        start = paths.dates[paths.weeks]
        axes.axvspan(start, edges[-1], color="white", alpha=0.45, lw=0, zorder=3)
        axes.axvline(start, color=INK, lw=0.9, ls=(0, (4, 3)), zorder=4)
        if label:
            axes.annotate(
                "holdout", (start, 1.0), xycoords=("data", "axes fraction"), xytext=(4, -2),
                textcoords="offset points", va="top", fontsize=9, color=INK, zorder=5,
            )  # fmt: skip


def amount(value: float) -> str:
    """An axis label: 1.5M, 2k, 300, 0.4."""
    size = abs(value)
    for limit, unit, word in ((1e9, 1e9, "B"), (1e6, 1e6, "M"), (1e3, 1e3, "k")):
        if size >= limit:
            return f"{value / unit:g}{word}"
    return f"{value:,.10g}"


def curve_panel(axes: Axes, drawn: Drawn, paths: Paths, colours: list[str], i: int) -> None:
    """True response curves in money, observed levels shaded, the present marked."""
    from matplotlib.patheffects import withStroke
    from matplotlib.ticker import FuncFormatter
    from scipy.interpolate import Akima1DInterpolator

    brief, truth = drawn.briefs[i], drawn.truths[i]
    multipliers, weeks = np.asarray(brief.questions.multipliers), paths.weeks
    curves = np.asarray(truth.answers.curve) / weeks
    capped, furthest = [], 0.0
    for c, (name, colour) in enumerate(zip(drawn.labels.channels, colours, strict=True)):
        present = float(paths.lever[:weeks, c].mean())
        if present <= 0 or not np.isfinite(curves[c]).all():
            continue
        furthest = max(furthest, multipliers[-1] * present)
        capped += [name] if brief.context.bought[c] else []
        response = Akima1DInterpolator(multipliers, curves[c], method="makima")
        fine = np.linspace(0.0, multipliers[-1], 200)
        low, high = observed(paths.lever[:weeks, c])
        inside = np.clip(np.linspace(low, high, 100), 0.0, multipliers[-1])
        axes.plot(inside * present, response(inside), color=colour, lw=9, alpha=0.25, solid_capstyle="round")
        axes.plot(fine * present, response(fine), color=colour, lw=1.8)
        axes.plot(present, response(1.0), "o", color=colour, ms=6.5, mec="white", mew=1.1, zorder=5)
        axes.annotate(
            name, (fine[-1] * present, response(fine[-1])), xytext=(5, 0), textcoords="offset points",
            color=darker(colour), va="center", zorder=6,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )  # fmt: skip
    axes.set_title(f"True response: {drawn.labels.kpi} a week by mean spend a week")
    axes.text(
        1.0, 1.02, "dot: as it was   band: quarterly means that were observed", transform=axes.transAxes,
        ha="right", va="bottom", color=QUIET, fontsize=8.5,
    )  # fmt: skip
    axes.set_xlim(0, 1.1 * furthest if furthest > 0 else None)
    axes.grid(True, axis="y")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))
    if capped:
        axes.set_xlabel(f"for {', '.join(capped)}: its cap")


def darker(colour: str) -> str:
    """A colour mixed with ink, so that text in it can be read on white."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = 0.7 * np.array(to_rgb(colour)) + 0.3 * np.array(to_rgb(INK))
    return str(to_hex((red, green, blue)))


def observed(lever: Array) -> tuple[float, float]:
    """Lowest and highest quarterly mean of a weekly path, in units of its mean."""
    span = min(QUARTER, len(lever))
    means = np.convolve(lever, np.full(span, 1 / span), mode="valid")
    return float(means.min() / lever.mean()), float(means.max() / lever.mean())
