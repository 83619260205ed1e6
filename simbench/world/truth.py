"""Draw worlds, tell their truth, value plans.

``draw(scenario, replicates)`` gives briefs and truths; ``value`` tells what amounts are worth.
Every number is float64, computed in fixed-size blocks by programs compiled once a form.
Conventions: docs/design.md, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache
from math import factorial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from simbench import briefs, ids
from simbench.blocks import in_blocks
from simbench.briefs import ProblemSpec, Spec
from simbench.errors import BadInput
from simbench.estimands import answer, answer_additive, late_effect, within
from simbench.records import Answers, Brief, Future, Labels, Panel, Questions, Reading, Sizes, Truth
from simbench.world.base import Noise, Observation, State, World, edited, rollout
from simbench.world.forms import Form, form_of, given_of, innovations_of, numbers_of
from simbench.world.panel import Memory, at, kept, memory_at, undisturbed, world_of
from simbench.world.scenario import Scenario, family, points, read_scenario
from simbench.world.worth import Book, book_of, optima_of

Array = Any

FrozenMean = Callable[[Array, Array, Any], tuple[Array, Array]]  #: (scale, add, frozen) -> (mu, paid)
#: Exact Shapley values need 2^C counterfactuals a window.
SHAPLEY_CHANNELS = 8
LANES = 16


class Drawn(NamedTuple):
    """Replicates of one scenario. Arrays are batched (leading axis R); `one` takes one out."""

    scenario: Scenario
    labels: Labels
    replicates: tuple[int, ...]
    brief: Brief
    truth: Truth | None
    secret: Secret

    @property
    def briefs(self) -> list[Brief]:
        """One brief a replicate."""
        return [briefs.one(self.brief, i) for i in range(len(self.replicates))]

    @property
    def truths(self) -> list[Truth]:
        """One truth a replicate."""
        if self.truth is None:
            raise BadInput("Drawn.truths", "drawn without truth", "draw(..., truth=True)")
        return [briefs.one(self.truth, i) for i in range(len(self.replicates))]


class Secret(NamedTuple):
    """What only the world knows (batched): never part of a brief."""

    form: Form
    noise: Noise
    keys: tuple[bytes, ...]  #: one random stream a replicate, for searches
    start: State  #: at week 0
    now: State  #: at the origin
    path: Observation  #: [R, P+T+H, ...]


# --- drawing


@lru_cache(maxsize=64)
def draw_program(form: Form) -> Callable[[Noise], tuple[State, Memory, Observation, Array]]:
    """Compiled: a block of noise -> state at week 0, memory at the origin, path, controls."""
    world, seen_weeks = world_of(form), form.pre + form.weeks + form.holdout

    def run(noise: Noise) -> tuple[State, Memory, Observation, Array]:
        state = world.init(noise)
        if form.feedback:
            path = world.stretch(state, rollout(world, state, world.plan, seen_weeks)[1].lever)[1]
        else:
            path = undisturbed(form, state, seen_weeks)
        start, now = (memory_at(form, state, path, week) for week in (form.pre, form.pre + form.weeks))
        return at(kept(state), start), now, path, state["told"]["controls"]

    per_world: Any = Noise(0, 0, None)  # type: ignore[arg-type]  # axes, not arrays
    return jax.jit(jax.vmap(run, in_axes=(per_world,)))


def noise_of(scenario: Scenario, form: Form, replicates: Sequence[int], master: bytes) -> Noise:
    """Numbers and innovations of some replicates, batched."""
    numbers = numbers_of(scenario, replicates, master)
    innovations = innovations_of(form, family(scenario), replicates, master, numbers.get("noise.df"))
    return Noise(numbers, innovations, given_of(scenario, form))


def draw(
    source: str | Path | Scenario,
    replicates: int | Sequence[int] = 1,
    *,
    truth: bool = True,
    master: bytes = ids.OPEN_MASTER,
) -> Drawn:
    """Draw replicates of a scenario: briefs for contenders, truths for the scorer.

    Parameters
    ----------
    source : str, path or Scenario
        A shipped name (``"clean"``, ``"collinear[0.9]"``), a file, or a scenario already read.
    replicates : int or sequence of int
        How many (numbers 0..n-1), or which.
    truth : bool
        False leaves the truth out (drawing alone is many times quicker).
    master : bytes
        Master key of the random streams.

    Returns
    -------
    Drawn

    Raises
    ------
    BadInput
        If the scenario is wrong, is a sweep (name one of its points), or draws a world that
        cannot be: the message names the replicate.

    Examples
    --------
    >>> import simbench as sb
    >>> drawn = sb.draw("clean", replicates=2)
    >>> drawn.truths[0].answers.contribution.shape[-1] == len(drawn.labels.channels)
    True
    """
    scenario = source if isinstance(source, Scenario) else read_scenario(source)
    if scenario.sweep is not None:
        raise BadInput(
            scenario.name, "is a sweep of several worlds", f"name one of its points, e.g. {points(scenario)[0].name}"
        )
    numbers = tuple(range(replicates)) if isinstance(replicates, int) else tuple(replicates)
    if not numbers or min(numbers) < 0:
        raise BadInput("replicates", f"{replicates!r}", "a number of replicates >= 1, or their numbers >= 0")
    form = form_of(scenario)
    noise = noise_of(scenario, form, numbers, master)
    batched = (Noise(noise.numbers, noise.innovations, {}),)
    program = draw_program(form)
    start, memory, path, controls = in_blocks(lambda n: program(Noise(n.numbers, n.innovations, noise.given)), batched)
    refuse_impossible(scenario, numbers, path)
    now = at(start, memory)
    keys = tuple(ids.stream_bytes(master, family(scenario), r, "search") for r in numbers)
    secret = Secret(form, noise, keys, start, now, path)
    brief = brief_of(scenario, form, noise, now, path, controls)
    told = truth_of(scenario, secret, brief) if truth else None
    return Drawn(scenario, labels_of(scenario, form), numbers, brief, told, secret)


def refuse_impossible(scenario: Scenario, replicates: Sequence[int], path: Observation) -> None:
    """A world whose spend or KPI is not a finite number, or whose spend is negative, is refused."""
    for name, values in (("spend", path.paid), ("KPI", path.kpi)):
        bad = ~np.isfinite(values).reshape(len(replicates), -1).all(axis=1)
        if bad.any():
            raise BadInput(
                scenario.name,
                f"replicate {replicates[int(bad.argmax())]} draws a {name} that is not finite",
                "tame its numbers",
            )
    if (path.paid < 0).any():
        raise BadInput(scenario.name, "draws negative spend", "weekly >= 0 and a smaller cv")


# --- briefs


def spec_of(scenario: Scenario, form: Form) -> Spec:
    """What the scenario asks, in shares of the status quo."""
    asked, names = scenario.questions, [channel.name for channel in scenario.channels]

    def problem(p: Any) -> ProblemSpec:
        shares = {"fixed": (1.0, 1.0), "free": None}
        budget = shares[p.budget] if isinstance(p.budget, str) else (float(p.budget[0]), float(p.budget[1]))
        groups = tuple((tuple(names.index(c) for c in g.channels), float(g.low), float(g.high)) for g in p.groups)
        return ProblemSpec(p.name, p.scope, budget, float(p.lower), float(p.upper_share), groups)

    return Spec(
        windows=windows_of(scenario),
        multipliers=tuple(asked.multipliers),
        levels=asked.levels,
        margin=float(scenario.kpi.margin),
        horizon=form.horizon,
        problems=tuple(problem(p) for p in asked.problems),
        sizes=Sizes(tail=form.tail, impulse_lags=asked.impulse_lags, draws=asked.draws),
    )


def windows_of(scenario: Scenario) -> tuple[tuple[int, int], ...]:
    """The windows asked about; the reader has put the whole panel first."""
    return tuple((window[0], window[1]) for window in scenario.questions.windows or ())


def labels_of(scenario: Scenario, form: Form) -> Labels:
    """Names and dates of a scenario's briefs."""
    channels = tuple(channel.name for channel in scenario.channels)
    geos = tuple(f"geo-{g + 1:03d}" for g in range(form.geos)) if form.geos > 1 else ("national",)
    units = {"national": channels, "geo": tuple(f"{g}/{c}" for g in geos for c in channels)}
    return Labels(
        channels=channels,
        geos=geos,
        controls=(*form.controls, *form.events),
        start=(date.fromisoformat(scenario.time.start) - date(1970, 1, 1)).days,
        windows=tuple(f"weeks {a}-{b - 1}" for a, b in windows_of(scenario)),
        plans=briefs.plan_names(channels),
        problems=tuple(p.name for p in scenario.questions.problems),
        units=tuple(units[p.scope] for p in scenario.questions.problems),
        kpi=scenario.kpi.unit,
    )


def brief_of(scenario: Scenario, form: Form, noise: Noise, now: State, path: Observation, controls: Array) -> Brief:
    """What the analyst sees of a drawn batch."""
    replicates = path.kpi.shape[0]
    panel_weeks = slice(form.pre, form.pre + form.weeks)
    holdout = slice(form.pre + form.weeks, form.pre + form.weeks + form.holdout)
    t = noise.given["t"]
    seen = controls
    if form.events:  # dates of events are public: one 0/1 column each
        happens = np.broadcast_to(noise.given["events"].T, (replicates, form.total, len(form.events)))
        seen = np.concatenate([controls, happens], axis=-1)
    seen = np.repeat(seen[:, :, None, :], form.geos, axis=2)
    calendar = np.broadcast_to(briefs.calendar_of(date.fromisoformat(scenario.time.start), t), (replicates, form.total))
    panel = Panel(
        origin=np.full(replicates, form.weeks, dtype=np.int32),
        lever=path.lever[:, panel_weeks],
        spend=path.paid[:, panel_weeks],
        exposure=None,
        kpi=path.kpi[:, panel_weeks],
        controls=seen[:, panel_weeks],
        calendar=calendar[:, panel_weeks].copy(),
        population=now["told"]["population"],
        mask=np.ones((replicates, form.weeks)),
    )
    future = Future(
        lever=path.lever[:, holdout],
        spend=path.paid[:, holdout],
        exposure=None,
        controls=seen[:, form.pre + form.weeks :],
        calendar=calendar[:, form.pre + form.weeks :].copy(),
    )
    channels = scenario.channels
    context = briefs.context_of(
        panel,
        form.weeks,
        noise.numbers["kpi.value"],
        briefs.kind_codes([c.kind for c in channels]),
        [c.bought for c in form.channels],
        [c.national_only for c in channels],
        (np.array([c.prior.mean for c in channels]), np.array([c.prior.sd for c in channels])),
    )
    return Brief(panel, briefs.questions_of(spec_of(scenario, form), panel, future, form.weeks), context)


# --- truth


def held_mean(world: World, state: State, factual: Array) -> FrozenMean:
    """mu under edited levers, all others held; where `frozen`, the demand of bought channels too."""
    demand = world.stretch(state, factual)[1].demand

    def mean(scale: Array, add: Array, frozen: Array) -> tuple[Array, Array]:
        path = world.stretch(state, scale * factual + add, None if frozen is False else (frozen, demand))[1]
        return path.mean, path.paid

    return mean


def responding_mean(world: World, form: Form, state: State, periods: int) -> FrozenMean:
    """mu when the advertiser's rules run on the KPI of the edited arm, with the same noise."""
    before = jnp.zeros((form.pre, form.geos, len(form.channels)))

    def mean(scale: Array, add: Array, frozen: Array) -> tuple[Array, Array]:
        policy = edited(world.plan, jnp.concatenate([before, scale]), jnp.concatenate([before, add]))
        path = rollout(world, state, policy, periods)[1]
        return path.mean, path.paid

    return mean


def coalitions(channels: int) -> tuple[np.ndarray, np.ndarray]:
    """All subsets [2^C, C] and the exact Shapley weights [C, 2^C] of their values."""
    subsets = (np.arange(2**channels)[:, None] >> np.arange(channels)) & 1
    size = subsets.sum(axis=1)
    joining = np.array([factorial(s) * factorial(channels - s - 1) for s in range(channels)]) / factorial(channels)
    weights = np.where(subsets.T == 1, joining[np.maximum(size - 1, 0)], -joining[np.minimum(size, channels - 1)])
    return subsets, weights


class History(NamedTuple):
    """Truth about windows of the past."""

    readings: tuple[Reading, ...]  #: one a flag asked for
    paid: Array  #: [W, C]
    shapley: Array | None  #: [W, C]
    all_off: Array  #: [W]
    cut_off: Array  #: [W, C]


def history_of(
    mean: FrozenMean, questions: Questions, origin: int, shape: tuple[int, int, int], flags: tuple[bool, ...]
) -> History:
    """Contribution and marginal under each flag, Shapley values, all-off, what the tail cuts off.

    All counterfactuals are lanes of one program, all derivatives of another: a window and channel
    switched off, and every coalition of channels. Definitions as in `estimands.answer`.
    """
    periods, _, channels = shape
    weeks, past, windows = jnp.arange(periods), within(jnp.arange(periods), 0, origin), questions.windows
    count, tail, each = windows.shape[0], questions.sizes.tail, jnp.eye(channels)
    inside = jax.vmap(lambda w: within(weeks, w[0], w[1]))(windows)  # [W, N]
    counted = jax.vmap(lambda w: within(weeks, w[0], w[1] + tail))(windows)
    late = jax.vmap(lambda w: within(weeks, w[1] + tail, periods))(windows)
    exact = channels <= SHAPLEY_CHANNELS
    subsets, weights = coalitions(channels) if exact else (np.zeros((1, channels)), None)
    still = jnp.zeros(shape)

    def switched(on: Array) -> Array:  # on [..., C] in every window -> scale [W, ..., N, C]
        return jax.vmap(lambda w: past[:, None] * (1.0 - w[:, None] * (1.0 - on[..., None, :])))(inside)

    off = switched(1.0 - each).reshape(-1, periods, channels)
    teams = switched(jnp.asarray(subsets, dtype=past.dtype)).reshape(-1, periods, channels)
    scales = jnp.concatenate([jnp.broadcast_to(past[:, None], (1, periods, channels)), *[off] * len(flags), teams])
    frozen = np.repeat([False, *flags, False], [1, *[len(off)] * len(flags), len(teams)])

    def total(lane: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        mu, paid = mean(jnp.broadcast_to(lane[0][:, None, :], shape), still, lane[1])
        return counted @ mu.sum(axis=-1), late @ mu.sum(axis=-1), inside @ paid.sum(axis=1)

    kpi, later, money = jax.lax.map(total, (scales, jnp.asarray(frozen)), batch_size=LANES)
    own = jnp.arange(count)

    def of_window(x: Array, first: int, arms: int) -> Array:  # lanes [W * arms] from `first` -> [W, arms]
        return x[first : first + count * arms].reshape(count, arms, count)[own, :, own]

    def slope(lane: tuple[Array, Array, Array]) -> Array:
        window, channel, frozen = lane
        push = jnp.broadcast_to((inside[window][:, None] * jax.nn.one_hot(channel, channels))[:, None, :], shape)
        whole = jnp.broadcast_to(past[:, None, None], shape)
        _, (mu, paid) = jax.jvp(lambda s: mean(s, still, frozen), (whole,), (push,))
        bought = (paid * push).sum()
        return jnp.where(bought > 0, counted[window] @ mu.sum(axis=-1) / jnp.where(bought > 0, bought, 1.0), jnp.nan)

    grid = np.stack(
        np.meshgrid(np.arange(len(flags)), np.arange(count), np.arange(channels), indexing="ij"), -1
    ).reshape(-1, 3)
    lanes = (jnp.asarray(grid[:, 1]), jnp.asarray(grid[:, 2]), jnp.asarray(np.array(flags)[grid[:, 0]]))
    marginal = jax.lax.map(slope, lanes, batch_size=LANES).reshape(len(flags), count, channels)
    readings = tuple(
        Reading(kpi[0][:, None] - of_window(kpi, 1 + i * len(off), channels), marginal[i]) for i in range(len(flags))
    )
    values = of_window(kpi, 1 + len(flags) * len(off), len(subsets))
    return History(
        readings,
        money[0],
        values @ weights.T if weights is not None else None,
        kpi[0] - values[:, 0],
        later[0][:, None] - of_window(later, 1, channels),
    )


@lru_cache(maxsize=64)
def history_program(form: Form) -> Callable[..., tuple[Answers, Reading, Reading, Array, Array | None, Array, Array]]:
    """Compiled: (state at week 0, levers of the panel, questions, context) of a block -> its answers."""
    world, periods = world_of(form), form.weeks + form.future
    shape = (periods, form.geos, len(form.channels))

    def run(state: State, lever: Array, questions: Questions, context: Any) -> Any:
        factual = jnp.concatenate([lever, jnp.zeros((form.future, *lever.shape[1:]))])
        if world.effects is not None:
            effects = world.effects(state, form.pre + jnp.arange(periods))
            answers = answer_additive(effects, factual, questions, context, form.weeks)
            primary = path_held = Reading(answers.contribution, answers.marginal)
            shapley, all_off = primary.contribution, primary.contribution.sum(axis=-1)
            inside = jax.vmap(lambda w: within(jnp.arange(periods), w[0], w[1]))(questions.windows)
            paid = jnp.einsum("wn,ngc->wc", inside, factual)
            later = late_effect(effects, factual, questions) if form.lags - 1 > form.tail else jnp.zeros_like(paid)
        else:
            mean = held_mean(world, state, factual)
            answers = answer(lambda scale, add: mean(scale, add, False), questions, context, form.weeks, periods)
            (primary, path_held), paid, shapley, all_off, later = history_of(
                mean, questions, form.weeks, shape, (False, True)
            )
        responding = primary
        if form.feedback:
            answering = responding_mean(world, form, state, periods)
            (responding,) = history_of(answering, questions, form.weeks, shape, (False,)).readings
        return answers, responding, path_held, paid, shapley, all_off, later

    return jax.jit(jax.vmap(run))


def book_in(secret: Secret, brief: Brief) -> Book:
    """The drawn worlds at their origins, ready to value plans (:func:`simbench.world.worth.value`)."""
    worth = brief.questions.margin * brief.context.unit_value
    return book_of(secret.form, secret.now, secret.noise, worth, secret.keys)


def truth_of(scenario: Scenario, secret: Secret, brief: Brief) -> Truth:
    """Every item of docs/design.md section 4 for a drawn batch."""
    form = secret.form
    program = history_program(form)
    answers, responding, path_held, paid, shapley, all_off, late = in_blocks(
        program, (secret.start, brief.panel.lever, brief.questions, brief.context)
    )
    book = book_in(secret, brief)
    names = tuple(problem.name for problem in scenario.questions.problems)
    answers, errors, optima = optima_of(book, brief, answers, names)
    holdout = slice(form.pre + form.weeks, None)
    return Truth(
        answers=answers,
        responding=responding,
        path_held=path_held,
        paid=paid,
        shapley=shapley,
        all_off=all_off,
        cut_off=late,
        mc_se=errors,
        kpi_future=secret.path.kpi[:, holdout],
        optima=optima,
    )
