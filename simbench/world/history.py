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
from simbench.world.media import set_effects
from simbench.world.panel import expected, world_of

Array = Any

#: (scale, add, frozen, what set channels bring where that is known) -> (mu, paid)
FrozenMean = Callable[[Array, Array, Any, Any], tuple[Array, Array]]
#: Exact Shapley values need 2^C counterfactuals a window.
SHAPLEY_CHANNELS = 8
LANES = 16


def held_mean(world: World, state: State, factual: Array) -> FrozenMean:
    """mu under edited levers, all others held; where `frozen`, the demand of bought channels too."""
    demand = world.stretch(state, factual)[1].demand

    def mean(scale: Array, add: Array, frozen: Array, known: Array | None) -> tuple[Array, Array]:
        fixed = None if frozen is False else (frozen, demand)
        path = world.stretch(state, scale * factual + add, fixed, known)[1]
        return path.mean, path.paid

    return mean


def responding_mean(world: World, form: Form, state: State, periods: int) -> FrozenMean:
    """mu when the advertiser's rules run on the KPI of the edited arm, with the same noise."""
    before = jnp.zeros((form.pre, form.geos, len(form.channels)))

    def mean(scale: Array, add: Array, frozen: Array, known: None) -> tuple[Array, Array]:
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
    curve: Array  #: [C, M]; None without `effects`


def history_of(
    mean: FrozenMean,
    effects: Callable[[Array], Array] | None,
    questions: Questions,
    origin: Array,
    shape: tuple[int, int, int],
    flags: tuple[bool, ...],
) -> History:
    """Contribution and marginal under each flag, Shapley values, all-off, what the tail cuts off, curves.

    All counterfactuals are lanes of one program, all derivatives of another: some channels as they were, the
    others edited (a window switched off, or the first one scaled). Definitions as in `estimands.answer`. `effects`
    tells what set channels bring under a scale [N, G, C], each by its own lever alone: computed once an edit
    and not once a lane. Without it, there are no Shapley values and no curves.
    """
    periods, _, channels = shape
    weeks, past, windows = jnp.arange(periods), within(jnp.arange(periods), 0, origin), questions.windows
    count, tail, each = windows.shape[0], questions.sizes.tail, np.eye(channels)
    inside = jax.vmap(lambda w: within(weeks, w[0], w[1]))(windows)  # [W, N]
    counted = jax.vmap(lambda w: within(weeks, w[0], w[1] + tail))(windows)
    late = jax.vmap(lambda w: within(weeks, w[1] + tail, periods))(windows)
    exact = effects is not None and channels <= SHAPLEY_CHANNELS
    subsets, weights = coalitions(channels) if exact else (np.zeros((1, channels)), None)
    still = jnp.zeros(shape)

    def full(scale: Array) -> Array:  # [N] or [N, C] -> [N, G, C]
        return jnp.broadcast_to(scale.reshape(periods, 1, -1), shape)

    multipliers = jnp.asarray(questions.multipliers if effects is not None else np.zeros(0))
    kept = jnp.concatenate([jnp.zeros(count), multipliers])  # of the money of each edit's window [E]
    of = np.concatenate([np.arange(count), np.zeros(len(multipliers), int)])
    whole, changed = full(past), jax.vmap(lambda k, w: full(past * (1.0 + (k - 1.0) * w)))(kept, inside[of])
    usual: Any = None
    brought: Any = None
    rising: Any = None
    if effects is not None:
        usual, brought = effects(whole), jax.lax.map(effects, changed)
        rising = jax.lax.map(lambda w: jax.jvp(effects, (whole,), (full(w),))[1], inside)

    factual, paid = mean(whole, still, False, usual)
    # which channels are on in a window [A, C]: all but one, coalitions
    arms = np.concatenate([*[1.0 - each] * len(flags), subsets])
    held = np.repeat([*flags, False], [*[channels] * len(flags), len(subsets)])
    scaled = np.tile(1.0 - each, (len(multipliers), 1))
    edits = np.repeat(np.arange(len(of)), [*[len(arms)] * count, *[channels] * len(multipliers)])
    lanes = (
        jnp.asarray(edits),
        jnp.asarray(of[edits]),
        jnp.asarray(np.concatenate([*[arms] * count, scaled]) > 0),
        jnp.asarray(np.concatenate([*[held] * count, np.zeros(len(scaled), bool)])),
    )

    def total(lane: tuple[Array, Array, Array, Array]) -> tuple[Array, Array]:
        edit, window, on, frozen = lane
        known = None if effects is None else jnp.where(on, usual, brought[edit])
        mu, _ = mean(jnp.where(on, whole, changed[edit]), still, frozen, known)
        lost = (factual - mu).sum(axis=-1)  # week by week: the sums themselves are a thousand times larger
        return counted[window] @ lost, late[window] @ lost

    every, later = jax.lax.map(total, lanes, batch_size=LANES)
    off = count * len(arms)  # lanes of windows switched off; the others are of the curves
    lost, later = (x[:off].reshape(count, -1) for x in (every, later))  # [W, A]

    def slopes(frozen: bool) -> Array:
        _, along = jax.linearize(lambda s, k: mean(s, still, frozen, k), whole, usual)

        def slope(lane: tuple[Array, Array]) -> Array:
            window, channel = lane
            own = jax.nn.one_hot(channel, channels)
            push = full(inside[window][:, None] * own)
            mu, paid = along(push, None if effects is None else rising[window] * own)
            gained, bought = counted[window] @ mu.sum(axis=-1), (paid * push).sum()
            return jnp.where(bought > 0, gained / jnp.where(bought > 0, bought, 1.0), jnp.nan)

        grid = np.indices((count, channels)).reshape(2, -1)
        return jax.lax.map(slope, tuple(jnp.asarray(grid)), batch_size=LANES).reshape(count, channels)

    *alone, values = jnp.split(lost, channels * np.arange(1, len(flags) + 1), axis=1)
    return History(
        tuple(Reading(arm, slopes(flag)) for flag, arm in zip(flags, alone, strict=True)),
        jnp.einsum("wn,ngc->wc", inside, paid),
        -values @ weights.T if weights is not None else None,
        values[:, 0],
        later[:, :channels],
        curve_of(every[off:].reshape(-1, channels), multipliers) if effects is not None else None,
    )


def curve_of(lost: Array, multipliers: Array) -> Array:
    """Curve [C, M] from what is lost [M, C] where each channel's money is multiplied."""
    return (lost[jnp.argmin(jnp.abs(multipliers))] - lost).T


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
            mean, memory = held_mean(world, state, factual), state["media"]["memory"]
            at = form.pre + jnp.arange(periods)
            # plans: from the origin on, in `worth`; windows and curves: below, set channels once for all lanes
            past = questions._replace(
                plans=questions.plans[:1], problems=(), windows=questions.windows[:1], multipliers=np.ones(1)
            )
            answers = answer(lambda scale, add: mean(scale, add, False, None), past, context, origin, periods)
            (primary, path_held), paid, shapley, all_off, later, curve = history_of(
                mean,
                lambda scale: set_effects(form, state["media"]["media"], memory, scale * factual, at),
                questions,
                origin,
                shape,
                (False, True),
            )
            spends = paid[0][:, None] > 0
            answers = answers._replace(
                contribution=primary.contribution, marginal=primary.marginal, curve=jnp.where(spends, curve, jnp.nan)
            )
        responding = primary
        if form.feedback:
            answering = responding_mean(world, form, state, periods)
            (responding,) = history_of(answering, None, questions, origin, shape, (False,)).readings
        return answers, responding, path_held, paid, shapley, all_off, later

    return jax.jit(jax.vmap(run, in_axes=(0, 0, 0, 0, None)))
