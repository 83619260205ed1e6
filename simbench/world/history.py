"""What the past brought: every counterfactual about windows of the panel, of the world itself.

Definitions as in :mod:`simbench.estimands` (docs/design.md, section 4); the readings of an
intervention, Shapley values and what the tail cuts off are told here only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import factorial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from simbench.estimands import answer, answer_additive, late_effect, within
from simbench.records import Answers, Context, Questions, Reading
from simbench.world.base import State, World, edited, rollout
from simbench.world.forms import Form
from simbench.world.panel import expected, world_of

Array = Any

FrozenMean = Callable[[Array, Array, Any], tuple[Array, Array]]  #: (scale, add, frozen) -> (mu, paid)
#: Exact Shapley values need 2^C counterfactuals a window.
SHAPLEY_CHANNELS = 8
LANES = 16


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
    mean: FrozenMean, questions: Questions, origin: Array, shape: tuple[int, int, int], flags: tuple[bool, ...]
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
    """Compiled: (states at week 0, panel levers, questions, contexts) of a block, weeks of data -> its answers."""
    world, periods = world_of(form), form.weeks + form.future
    shape = (periods, form.geos, len(form.channels))

    def run(state: State, lever: Array, questions: Questions, context: Context, origin: Array) -> Any:
        state = expected(form, state, form.pre + origin)
        factual = jnp.concatenate([lever, jnp.zeros((form.future, *lever.shape[1:]))])
        if world.effects is not None:
            effects = world.effects(state, form.pre + jnp.arange(periods))
            answers = answer_additive(effects, factual, questions, context, origin)
            primary = path_held = Reading(answers.contribution, answers.marginal)
            shapley, all_off = primary.contribution, primary.contribution.sum(axis=-1)
            inside = jax.vmap(lambda w: within(jnp.arange(periods), w[0], w[1]))(questions.windows)
            paid = jnp.einsum("wn,ngc->wc", inside, factual)
            later = late_effect(effects, factual, questions) if form.lags - 1 > form.tail else jnp.zeros_like(paid)
        else:
            mean = held_mean(world, state, factual)
            past = questions._replace(plans=questions.plans[:1], problems=())  # plans: from the origin on, in `worth`
            answers = answer(lambda scale, add: mean(scale, add, False), past, context, origin, periods)
            (primary, path_held), paid, shapley, all_off, later = history_of(
                mean, questions, origin, shape, (False, True)
            )
        responding = primary
        if form.feedback:
            answering = responding_mean(world, form, state, periods)
            (responding,) = history_of(answering, questions, origin, shape, (False,)).readings
        return answers, responding, path_held, paid, shapley, all_off, later

    return jax.jit(jax.vmap(run, in_axes=(0, 0, 0, 0, None)))
