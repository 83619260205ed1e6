"""Draw worlds, tell their truth, value plans.

``draw(scenario, replicates)`` gives briefs and truths; ``value`` tells what amounts are worth.
Every number is float64, computed in fixed-size blocks by programs compiled once a form.
Conventions: docs/design.md, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from simbench import briefs, ids
from simbench.blocks import in_blocks
from simbench.briefs import ProblemSpec, Spec
from simbench.errors import BadInput
from simbench.estimands import Mean, answer, answer_additive, within
from simbench.records import Answers, Brief, Future, Labels, Panel, Questions, Reading, Sizes, Truth
from simbench.world.base import Noise, Observation, State, World, edited, rollout
from simbench.world.forms import Form, calendar_of, form_of, given_of, innovations_of, numbers_of
from simbench.world.panel import world_of
from simbench.world.scenario import Scenario, family, read_scenario
from simbench.world.worth import Book, book_of, optima_of

Array = Any

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
def draw_program(form: Form) -> Callable[[Noise], tuple[State, State, Observation, Array]]:
    """Compiled: a block of noise -> states at week 0 and at the origin, path, controls."""
    world, seen_weeks = world_of(form), form.pre + form.weeks + form.holdout

    def run(noise: Noise) -> tuple[State, State, Observation, Array]:
        state = world.init(noise)
        controls = state["told"]["controls"]
        if form.feedback:
            lever = rollout(world, state, world.plan, seen_weeks)[1].lever
        else:
            lever = state["told"]["planned"][:seen_weeks]
        start, before = world.stretch(state, lever[: form.pre])
        now, panel = world.stretch(start, lever[form.pre : form.pre + form.weeks])
        _, after = world.stretch(now, lever[form.pre + form.weeks :])
        path = jax.tree.map(lambda *parts: jnp.concatenate(parts), before, panel, after)
        return start, now, path, controls

    return jax.jit(jax.vmap(run, in_axes=(Noise(0, 0, None),)))


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
        raise BadInput(scenario.name, "is a sweep of several worlds", f"name one of its points, e.g. {scenario.name}[{scenario.sweep.values[0]}]")
    numbers = tuple(range(replicates)) if isinstance(replicates, int) else tuple(replicates)
    if not numbers or min(numbers) < 0:
        raise BadInput("replicates", f"{replicates!r}", "a number of replicates >= 1, or their numbers >= 0")
    form = form_of(scenario)
    noise = noise_of(scenario, form, numbers, master)
    batched = (Noise(noise.numbers, noise.innovations, {}),)
    program = draw_program(form)
    start, now, path, controls = in_blocks(lambda n: program(Noise(n.numbers, n.innovations, noise.given)), batched)
    refuse_impossible(scenario, numbers, path)
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
            raise BadInput(scenario.name, f"replicate {replicates[int(bad.argmax())]} draws a {name} that is not finite", "tame its numbers")
    if (path.paid < 0).any():
        raise BadInput(scenario.name, "draws negative spend", "weekly >= 0 and a smaller cv")


# --- briefs


def spec_of(scenario: Scenario, form: Form) -> Spec:
    """What the scenario asks, in shares of the status quo."""
    asked, names = scenario.questions, [channel.name for channel in scenario.channels]

    def problem(p: Any) -> ProblemSpec:
        budget = {"fixed": (1.0, 1.0), "free": None}.get(p.budget, p.budget) if isinstance(p.budget, str) else tuple(p.budget)
        groups = tuple((tuple(names.index(c) for c in g.channels), float(g.low), float(g.high)) for g in p.groups)
        return ProblemSpec(p.name, p.scope, budget, float(p.lower), float(p.upper_share), groups)

    return Spec(
        windows=windows_of(scenario), multipliers=tuple(asked.multipliers), levels=asked.levels, margin=float(scenario.kpi.margin),
        horizon=form.horizon, problems=tuple(problem(p) for p in asked.problems),
        sizes=Sizes(tail=form.tail, impulse_lags=asked.impulse_lags, draws=asked.draws),
    )  # fmt: skip


def windows_of(scenario: Scenario) -> tuple[tuple[int, int], ...]:
    """The windows asked about; the whole panel first."""
    weeks = scenario.time.weeks
    asked = scenario.questions.windows
    if asked is None:
        asked = ((weeks - 52, weeks),) if weeks > 52 else ()
    return ((0, weeks), *(tuple(w) for w in asked if tuple(w) != (0, weeks)))


def labels_of(scenario: Scenario, form: Form) -> Labels:
    """Names and dates of a scenario's briefs."""
    from datetime import date

    channels = tuple(channel.name for channel in scenario.channels)
    geos = tuple(f"geo-{g + 1:03d}" for g in range(form.geos)) if form.geos > 1 else ("national",)
    units = {"national": channels, "geo": tuple(f"{g}/{c}" for g in geos for c in channels)}
    return Labels(
        channels=channels, geos=geos, controls=(*form.controls, *form.events),
        start=(date.fromisoformat(scenario.time.start) - date(1970, 1, 1)).days,
        windows=tuple(f"weeks {a}-{b - 1}" for a, b in windows_of(scenario)),
        plans=("status quo", "+20%", "-20%", *(f"{c} off" for c in channels)),
        problems=tuple(p.name for p in scenario.questions.problems),
        units=tuple(units[p.scope] for p in scenario.questions.problems), kpi=scenario.kpi.unit,
    )  # fmt: skip


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
    calendar = np.broadcast_to(calendar_of(scenario.time.start, t), (replicates, form.total))
    panel = Panel(
        origin=np.full(replicates, form.weeks, dtype=np.int32), lever=path.lever[:, panel_weeks], spend=path.paid[:, panel_weeks],
        exposure=None, kpi=path.kpi[:, panel_weeks], controls=seen[:, panel_weeks], calendar=calendar[:, panel_weeks].copy(),
        population=now["told"]["population"], mask=np.ones((replicates, form.weeks)),
    )  # fmt: skip
    future = Future(
        lever=path.lever[:, holdout], spend=path.paid[:, holdout], exposure=None,
        controls=seen[:, form.pre + form.weeks :], calendar=calendar[:, form.pre + form.weeks :].copy(),
    )  # fmt: skip
    channels = scenario.channels
    context = briefs.context_of(
        panel, form.weeks, noise.numbers["kpi.value"], briefs.kind_codes([c.kind for c in channels]),
        [c.bought for c in form.channels], [c.national_only for c in channels],
        (np.array([c.prior.mean for c in channels]), np.array([c.prior.sd for c in channels])),
    )  # fmt: skip
    return Brief(panel, briefs.questions_of(spec_of(scenario, form), panel, future, form.weeks), context)


# --- truth


def held_mean(world: World, form: Form, state: State, factual: Array, *, frozen: bool) -> Mean:
    """mu under edited levers, all others held; `frozen` freezes the demand of bought channels too."""
    demand = world.stretch(state, factual)[1].demand if frozen else None

    def mean(scale: Array, add: Array) -> tuple[Array, Array]:
        path = world.stretch(state, scale * factual + add, demand)[1]
        return path.mean, path.paid

    return mean


def responding_mean(world: World, form: Form, state: State, periods: int) -> Mean:
    """mu when the advertiser's rules run on the KPI of the edited arm, with the same noise."""
    before = jnp.zeros((form.pre, form.geos, len(form.channels)))

    def mean(scale: Array, add: Array) -> tuple[Array, Array]:
        policy = edited(world.plan, jnp.concatenate([before, scale]), jnp.concatenate([before, add]))
        path = rollout(world, state, policy, periods)[1]
        return path.mean, path.paid

    return mean


def reading(mean: Mean, questions: Questions, origin: int, shape: tuple[int, int, int]) -> Reading:
    """Contribution and marginal [W, C] of one mean, by the definitions of `estimands.answer`."""
    periods, geos, channels = shape
    weeks, past = jnp.arange(periods), within(jnp.arange(periods), 0, origin)
    whole = jnp.broadcast_to(past[:, None, None], shape)
    still = jnp.zeros(shape)
    factual = mean(whole, still)[0]

    def effect(lane: tuple[Array, Array]) -> tuple[Array, Array]:
        window, channel = lane
        inside = within(weeks, window[0], window[1])[:, None, None] * jax.nn.one_hot(channel, channels)
        counted = within(weeks, window[0], window[1] + questions.sizes.tail)
        off = mean(whole * (1.0 - inside), still)[0]
        _, (mu, paid) = jax.jvp(lambda s: mean(s, still), (whole,), (whole * inside,))
        bought = (paid * inside).sum()
        gained = (mu.sum(axis=-1) * counted).sum()
        contribution = ((factual - off).sum(axis=-1) * counted).sum()
        return contribution, jnp.where(bought > 0, gained / jnp.where(bought > 0, bought, 1.0), jnp.nan)

    count = questions.windows.shape[0]
    lanes = (jnp.repeat(questions.windows, channels, axis=0), jnp.tile(jnp.arange(channels), count))
    contribution, marginal = jax.lax.map(effect, lanes, batch_size=LANES)
    return Reading(contribution.reshape(count, channels), marginal.reshape(count, channels))


def coalitions(channels: int) -> tuple[np.ndarray, np.ndarray]:
    """All subsets [2^C, C] and the exact Shapley weights [C, 2^C] of their values."""
    from math import factorial

    subsets = (np.arange(2**channels)[:, None] >> np.arange(channels)) & 1
    size = subsets.sum(axis=1)
    joining = np.array([factorial(s) * factorial(channels - s - 1) for s in range(channels)]) / factorial(channels)
    weights = np.where(subsets.T == 1, joining[np.maximum(size - 1, 0)], -joining[np.minimum(size, channels - 1)])
    return subsets, weights


def shapley_of(mean: Mean, questions: Questions, origin: int, shape: tuple[int, int, int]) -> tuple[Array | None, Array]:
    """Shapley values [W, C] (None beyond `SHAPLEY_CHANNELS`) and the all-off effect [W]."""
    periods, geos, channels = shape
    weeks, past = jnp.arange(periods), within(jnp.arange(periods), 0, origin)
    exact = channels <= SHAPLEY_CHANNELS
    subsets, weights = coalitions(channels) if exact else (np.stack([np.zeros(channels), np.ones(channels)]), None)
    still = jnp.zeros(shape)

    def worth(window: Array) -> Array:
        inside, counted = within(weeks, window[0], window[1]), within(weeks, window[0], window[1] + questions.sizes.tail)

        def value(on: Array) -> Array:
            scale = past[:, None] * (1.0 - inside[:, None] * (1.0 - on))
            return (mean(jnp.broadcast_to(scale[:, None, :], shape), still)[0].sum(axis=-1) * counted).sum()

        return jax.lax.map(value, jnp.asarray(subsets, dtype=past.dtype), batch_size=LANES)

    values = jax.lax.map(worth, questions.windows)
    return (values @ weights.T if weights is not None else None), values[:, -1] - values[:, 0]


@lru_cache(maxsize=64)
def history_program(form: Form) -> Callable[..., tuple[Answers, Reading, Reading, Array, Array | None, Array, Array]]:
    """Compiled: (state at week 0, factual levers, questions, context) of a block -> its answers."""
    world = world_of(form)
    periods = form.weeks + form.future
    shape = (periods, form.geos, len(form.channels))

    def run(state: State, lever: Array, questions: Questions, context: Any) -> Any:
        factual = jnp.concatenate([lever, jnp.zeros((form.future, *lever.shape[1:]))])
        held = held_mean(world, form, state, factual, frozen=False)
        inside = jax.vmap(lambda w: within(jnp.arange(periods), w[0], w[1]))(questions.windows)
        if world.effects is not None:
            weeks = form.pre + jnp.arange(periods)
            answers = answer_additive(world.effects(state, weeks), factual, questions, context, form.weeks)
            primary = Reading(answers.contribution, answers.marginal)
            paid, shapley, all_off = factual, answers.contribution, answers.contribution.sum(axis=-1)
            path_held = primary
        else:
            answers = answer(held, questions, context, form.weeks, periods)
            primary = Reading(answers.contribution, answers.marginal)
            paid = held(jnp.broadcast_to(within(jnp.arange(periods), 0, form.weeks)[:, None, None], shape), jnp.zeros(shape))[1]
            shapley, all_off = shapley_of(held, questions, form.weeks, shape)
            path_held = reading(held_mean(world, form, state, factual, frozen=True), questions, form.weeks, shape)
        if form.feedback:
            responding = reading(responding_mean(world, form, state, periods), questions, form.weeks, shape)
        else:
            responding = primary
        spent = jnp.einsum("wn,ngc->wc", inside, paid)
        late = cut_off(held, questions, form.weeks, shape)
        return answers, responding, path_held, spent, shapley, all_off, late

    return jax.jit(jax.vmap(run))


def cut_off(mean: Mean, questions: Questions, origin: int, shape: tuple[int, int, int]) -> Array:
    """Effect [W, C] that arrives after the tail and before the simulation ends."""
    periods, geos, channels = shape
    weeks, past = jnp.arange(periods), within(jnp.arange(periods), 0, origin)
    whole, still = jnp.broadcast_to(past[:, None, None], shape), jnp.zeros(shape)
    factual = mean(whole, still)[0].sum(axis=-1)

    def late(lane: tuple[Array, Array]) -> Array:
        window, channel = lane
        inside = within(weeks, window[0], window[1])[:, None, None] * jax.nn.one_hot(channel, channels)
        off = mean(whole * (1.0 - inside), still)[0].sum(axis=-1)
        return ((factual - off) * within(weeks, window[1] + questions.sizes.tail, periods)).sum()

    count = questions.windows.shape[0]
    lanes = (jnp.repeat(questions.windows, channels, axis=0), jnp.tile(jnp.arange(channels), count))
    return jax.lax.map(late, lanes, batch_size=LANES).reshape(count, channels)


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
        answers=answers, responding=responding, path_held=path_held, paid=paid, shapley=shapley, all_off=all_off,
        cut_off=late, mc_se=errors, kpi_future=secret.path.kpi[:, holdout], optima=optima,
    )  # fmt: skip

