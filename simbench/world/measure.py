"""Dirt: it changes what is seen of a drawn world, never what is true (docs/worlds.md, section 11).

A step is a pure function of the panel; those of a file are taken in its order. Truth, plans, problems and
the holdout are made before, of the clean brief.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from simbench import ids
from simbench.briefs import scales_of
from simbench.records import Brief, Panel
from simbench.world.base import Observation, State, under
from simbench.world.forms import SEEN, Form, numbers_of
from simbench.world.scenario import Scenario, family
from simbench.world.seen import LEAST_WEEKS

Array = Any


class Known(NamedTuple):
    """What the world knows and nobody sees."""

    form: Form
    now: State  #: at the origin
    path: Observation  #: [R, P+T+H, ...]

    def during(self, x: Array) -> Array:
        """The panel's weeks [R, T, ...] of a path."""
        return x[:, self.form.pre : self.form.pre + self.form.weeks]


class Step(NamedTuple):
    """One step, and all that it may use beside the panel."""

    numbers: Mapping[str, Array]  #: [R] by key
    named: Array  #: [C] whether it concerns a channel
    draws: Array  #: [R, ...] as its :class:`Kind` says; None where nothing is drawn
    known: Known

    def number(self, key: str, axes: int) -> Array:
        """A number as [R, 1, ...], to meet arrays of so many axes."""
        return self.numbers[key].reshape(-1, *(1,) * (axes - 1))


def lognormal(e: Array, cv: Array) -> Array:
    """Factors of mean 1 and coefficient of variation `cv`, from normals."""
    variance = np.log1p(cv**2)
    return np.exp(np.sqrt(variance) * e - variance / 2)


# --- spend: all of these multiply it, and the lever with it


def spend_times(panel: Panel, step: Step, factor: Array) -> Panel:
    """Spend and lever of the step's channels times a factor that broadcasts to [R, T, G, C]."""
    factor = np.where(step.named, factor, 1.0)
    return panel._replace(lever=panel.lever * factor, spend=panel.spend * factor)


def spend_error(panel: Panel, step: Step) -> Panel:
    """Spend times lognormal factors."""
    return spend_times(panel, step, lognormal(step.draws, step.number("sd", 4)))


def fee(panel: Panel, step: Step) -> Panel:
    """Spend with a share of it on top."""
    return spend_times(panel, step, 1.0 + step.number("share", 4))


def unit(panel: Panel, step: Step) -> Panel:
    """Spend in another unit."""
    return spend_times(panel, step, step.number("factor", 4))


def outliers(panel: Panel, step: Step) -> Panel:
    """Some weeks of each channel out of all proportion, in all geos together."""
    place, size = np.moveaxis(step.draws, 1, 0)  # [R, T, C] each
    low, high, count = (step.number(key, 3) for key in ("low", "high", "count"))
    hit = place.argsort(axis=1).argsort(axis=1) < count
    return spend_times(panel, step, np.where(hit, low + (high - low) * size, 1.0)[:, :, None])


def spend_tracking_loss(panel: Panel, step: Step) -> Panel:
    """A share of the spend not seen from some week on."""
    return spend_times(panel, step, left(panel, step)[:, :, None, None])


def left(panel: Panel, step: Step) -> Array:
    """What is still seen [R, T] of a series that loses a share from some week on."""
    lost = np.arange(panel.kpi.shape[1]) >= step.number("week", 2)
    return np.where(lost, 1.0 - step.number("share", 2), 1.0)


# --- KPI


def kpi_error(panel: Panel, step: Step) -> Panel:
    """KPI times lognormal factors."""
    return panel._replace(kpi=panel.kpi * lognormal(step.draws, step.number("sd", 3)))


def kpi_tracking_loss(panel: Panel, step: Step) -> Panel:
    """A share of the KPI not seen from some week on."""
    return panel._replace(kpi=panel.kpi * left(panel, step)[:, :, None])


def struck(panel: Panel, step: Step) -> Array:
    """Recorded weeks [R, T] hit with probability `share`; the `LEAST_WEEKS` with the largest draws never are."""
    recorded = panel.mask > 0
    draws = np.where(recorded, step.draws, -1.0)
    spared = np.sort(draws, axis=1)[:, -LEAST_WEEKS, None]
    return recorded & (draws < step.number("share", 2)) & (draws < spared)


def missing(panel: Panel, step: Step) -> Panel:
    """Weeks whose KPI nobody recorded."""
    return panel._replace(mask=np.where(struck(panel, step), 0.0, panel.mask))


def backfilled(panel: Panel, step: Step) -> Panel:
    """Weeks that carry the mean of the nearest ones, before and after, that kept their own KPI."""
    hit, t = struck(panel, step), np.arange(panel.kpi.shape[1])
    kept = (panel.mask > 0) & ~hit
    before = np.maximum.accumulate(np.where(kept, t, -1), axis=1)
    after = np.minimum.accumulate(np.where(kept, t, len(t))[:, ::-1], axis=1)[:, ::-1]
    # at either end there is one neighbour only
    before, after = np.where(before < 0, after, before), np.where(after == len(t), before, after)
    both = [np.take_along_axis(panel.kpi, week[:, :, None], axis=1) for week in (before, after)]
    return panel._replace(kpi=np.where(hit[:, :, None], (both[0] + both[1]) / 2, panel.kpi))


def late_booking(panel: Panel, step: Step) -> Panel:
    """A share of the KPI booked a week later; what came over from before the panel is the world's own."""
    share, last = step.number("share", 3), max(step.known.form.pre - 1, 0)
    before = np.concatenate([step.known.path.kpi[:, last : last + 1], panel.kpi[:, :-1]], axis=1)
    return panel._replace(kpi=(1.0 - share) * panel.kpi + share * before)


def privacy(panel: Panel, step: Step) -> Panel:
    """Laplace noise whose national variance does not depend on how the nation is cut into geos."""
    now = step.known.now
    width = step.numbers["scale"] * now["kpi"]["reference"]
    spread = width[:, None] * np.sqrt(now["told"]["share"])  # [R, G]
    return panel._replace(kpi=panel.kpi + spread[:, None] * step.draws)


# --- claims


def claims(panel: Panel, step: Step) -> Panel:
    """What platforms credit to themselves; 0 where a channel has no such step, and where not yet reported."""
    form, now, path = step.known
    weights, window = now["media"]["media"].weights, int(step.numbers["weeks"][0])  # the same in every world
    whole = arrived(step.known, weights, path.entering)
    timely = arrived(step.known, weights[:, :window], path.entering)
    inside = np.divide(timely, whole, out=np.zeros_like(whole), where=whole > 0)
    touched = arrived(step.known, np.ones((len(weights), window, len(form.channels))), path.paid) > 0
    effect, base = (np.maximum(step.known.during(x), 0.0) for x in (path.contribution, path.base))
    own = step.number("coverage", 4) * effect * inside
    poached = step.number("poaching", 4) * base[..., None] * touched
    told = (own + poached) * lognormal(step.draws, step.number("cv", 4))
    reported = np.arange(form.weeks) < panel.origin[:, None] - step.number("delay", 2)
    before = np.zeros_like(told) if panel.claims is None else panel.claims
    return panel._replace(claims=np.where(step.named, told * reported[:, :, None, None], before))


def arrived(known: Known, weights: Array, x: Array) -> Array:
    """Sum over lags [R, T, G, C] of weights [R, L, C] times a path [R, P+T+H, G, C]; nothing before the path."""
    lags, form = weights.shape[1], known.form
    full = np.concatenate([np.zeros((len(x), lags - 1, *x.shape[2:])), x], axis=1)
    first = lags - 1 + form.pre
    return sum(weights[:, lag, None, None] * full[:, first - lag :][:, : form.weeks] for lag in range(lags))


# --- the chain


class Kind(NamedTuple):
    """How a step changes the panel, and what it draws: an array of one law a replicate."""

    change: Callable[[Panel, Step], Panel]
    law: str = ""  #: a method of `numpy.random.Generator`; "" = nothing is drawn
    axes: str = ""  #: its shape, a letter an axis: T weeks, G geos, C channels, 2 draws


#: Steps by kind. A new one is one more line.
MEASURES = {
    "spend-error": Kind(spend_error, "standard_normal", "TGC"),
    "fee": Kind(fee),
    "unit": Kind(unit),
    "outliers": Kind(outliers, "random", "2TC"),
    "spend-tracking-loss": Kind(spend_tracking_loss),
    "kpi-error": Kind(kpi_error, "standard_normal", "TG"),
    "kpi-tracking-loss": Kind(kpi_tracking_loss),
    "missing": Kind(missing, "random", "T"),
    "backfilled": Kind(backfilled, "random", "T"),
    "late-booking": Kind(late_booking),
    "privacy": Kind(privacy, "laplace", "TG"),
    "claims": Kind(claims, "standard_normal", "TGC"),
}


def measured(scenario: Scenario, replicates: Sequence[int], master: bytes, known: Known, clean: Brief) -> Brief:
    """The brief of a drawn batch as it is seen through the steps of its scenario.

    Parameters
    ----------
    replicates : sequence of int
        Numbers of the worlds, in the order of the batch.
    known : Known
    clean : Brief
        As the world is. Its panel is changed, and the scales that follow from what the panel shows;
        questions stay.
    """
    if not scenario.measure:
        return clean
    numbers, panel = numbers_of(scenario, replicates, master, SEEN), clean.panel
    for entry in scenario.measure:
        kind = MEASURES[entry.kind]
        draws = drawn(kind, f"measure.{entry.name}", known.form, family(scenario), replicates, master)
        named = getattr(entry, "channels", None)
        concerned = np.array([named is None or channel.name in named for channel in known.form.channels])
        panel = kind.change(panel, Step(under(numbers, f"measure.{entry.name}."), concerned, draws, known))
    panel = panel._replace(kpi=np.where(panel.mask[..., None] > 0, panel.kpi, 0.0))
    kpi_scale, spend_scale = scales_of(panel, int(panel.origin[0]))
    return clean._replace(panel=panel, context=clean.context._replace(kpi_scale=kpi_scale, spend_scale=spend_scale))


def drawn(kind: Kind, stream: str, form: Form, root: str, replicates: Sequence[int], master: bytes) -> Array:
    """Draws [R, ...] of a step over all T weeks, whatever the origin: the same dirt in the same weeks."""
    if not kind.law:
        return None
    sizes = {"T": form.weeks, "G": form.geos, "C": len(form.channels), "2": 2}
    shape = tuple(sizes[axis] for axis in kind.axes)
    keys = ids.streams(master, root, replicates, stream)
    return np.stack([getattr(ids.generator(key), kind.law)(size=shape) for key in keys])
