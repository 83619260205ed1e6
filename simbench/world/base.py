"""World, rollout, policies, chain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from simbench.estimands import Effects

Array = Any
State = Mapping[str, Any]  #: "week" (position n), "signals" shared by all, and one slot a mechanism


class Noise(NamedTuple):
    """All that a world is made from; arrays, so that worlds of one form share one program."""

    numbers: Mapping[str, Array]  #: every number of the scenario by key path, as drawn
    innovations: Mapping[str, Array]  #: one named stream each, pre-history + T + F weeks
    given: Mapping[str, Array]  #: the same in every replicate: event weeks, recorded spend, weeks t


def under(numbers: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """The numbers below a key path, by the rest of their path."""
    return {path.removeprefix(prefix): value for path, value in numbers.items() if path.startswith(prefix)}


class Seen(NamedTuple):
    """What the advertiser knows when deciding a week: the calendar ahead and the KPI so far."""

    week: Array  #: position n of the week to decide
    planned: Array  #: [P+N, G, C] the plan, levers of every week
    kpi: Array  #: [M] observed national KPI of the last M weeks, newest last
    rules: Any  #: the numbers of the advertiser's own rules
    t: Array  #: the week, counted from the panel's first
    reference: Array  #: the KPI that was planned for


class Observation(NamedTuple):
    """One stretch of weeks; time is the first axis."""

    lever: Array  #: [n, G, C] money decided
    paid: Array  #: [n, G, C] money spent
    kpi: Array  #: [n, G] observed
    mean: Array  #: [n, G] mu
    base: Array  #: [n, G] the part without media
    contribution: Array  #: [n, G, C]
    demand: Array  #: [n, G, C] money a bought channel could have spent; 0 where set
    entering: Array  #: [n, G, C] what enters the carry-over


Policy = Callable[[Seen], Array]  # -> lever [G, C]


class World(NamedTuple):
    """A world as pure functions; they close over NumPy arrays and Python numbers only."""

    init: Callable[[Noise], State]
    plan: Callable[[Seen], Array]  #: the advertiser's own rules
    step: Callable[[State, Array], tuple[State, Observation]]  #: one week under lever [G, C]
    stretch: Callable[..., tuple[State, Observation]]  #: many weeks under levers [n, G, C] at once
    seen: Callable[[State], Seen]
    effects: Callable[[State, Array], Effects] | None  #: None where channels interact


class Mechanism(NamedTuple):
    """One part of a world, on its own slot of State.

    `init(noise, signals)` returns the slot and what it tells the others; `step(slot, signals)`
    takes a stretch of weeks (``signals["weeks"]`` [n]) and returns the slot after it and the
    signals it adds. `needs` and `gives` name signals: order in the chain = order of causes.
    """

    name: str
    init: Callable[[Noise, Mapping[str, Array]], tuple[Any, Mapping[str, Array]]]
    step: Callable[[Any, Mapping[str, Array]], tuple[Any, Mapping[str, Array]]]
    needs: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()


def chain(*mechanisms: Mechanism) -> tuple[Callable[[Noise], State], Callable[..., tuple[State, Mapping[str, Array]]]]:
    """Compose mechanisms; each sees the signals of those before it.

    Returns
    -------
    init : Noise -> State
    advance : (State, signals) -> (State, signals), over a stretch of weeks

    Raises
    ------
    ValueError
        If a mechanism needs a signal that none before it gives (a circle, or a wrong order).
    """
    known = {"weeks", "lever", "frozen", "known"}
    for mechanism in mechanisms:
        missing = [s for s in mechanism.needs if s not in known]
        if missing:
            raise ValueError(
                f"mechanism {mechanism.name!r} needs {missing} before anything gives it: a circle or a wrong order"
            )
        known.update(mechanism.gives)

    def init(noise: Noise) -> State:
        slots: dict[str, Any] = {}
        told: dict[str, Array] = {}
        for mechanism in mechanisms:
            slots[mechanism.name], new = mechanism.init(noise, told)
            told.update(new)
        return {"week": jnp.zeros((), jnp.int32), "told": told, **slots}

    def advance(state: State, signals: Mapping[str, Array]) -> tuple[State, Mapping[str, Array]]:
        after = dict(state)
        signals = {**signals, "told": state["told"]}
        for mechanism in mechanisms:
            after[mechanism.name], new = mechanism.step(state[mechanism.name], signals)
            signals = {**signals, **new}
        after["week"] = state["week"] + signals["weeks"].shape[0]
        return after, signals

    return init, advance


# --- policies


def held(path: Array) -> Policy:
    """Spend a given path [P+N, G, C], whatever happens."""
    return lambda seen: path[seen.week]


def edited(policy: Policy, scale: Array, add: Array) -> Policy:
    """``scale x (what the policy says) + add``; both [P+N, G, C] (or broadcastable in G)."""
    return lambda seen: scale[seen.week] * policy(seen) + add[seen.week]


def rollout(world: World, state: State, policy: Policy, periods: int) -> tuple[State, Observation]:
    """Run a world week by week from any state.

    Returns
    -------
    state : State
        After the last week.
    path : Observation
        Time first, `periods` weeks.
    """

    def week(state: State, _: None) -> tuple[State, Observation]:
        return world.step(state, policy(world.seen(state)))

    return jax.lax.scan(week, state, None, length=periods)
