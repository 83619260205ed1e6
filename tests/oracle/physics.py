"""A drawn world and its week-by-week simulation, many arms at once: docs/worlds.md, sections 5 and 6."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import dual
from .dual import Dual


class Channel(NamedTuple):
    """What the physics needs to know of one channel."""

    name: str
    bought: bool
    follows: tuple[int, ...]  # positions of the channels a bought one follows
    weights: np.ndarray  # [L] carry-over by lag
    curve: Callable  # saturation
    carry_over_first: bool
    strength: float  # of capturing or of chasing
    halo: float
    chase: tuple[int, float, float] | None  # window, low, high
    quarterly: tuple[float, float, float] | None  # strength, low, high
    of_sales: int | None  # weeks of KPI
    scale: float


class World(NamedTuple):
    """One replicate. The leading axis of every path is n = t + P, of length P + N."""

    P: int
    T: int
    H: int
    Hd: int
    tail: int
    population: np.ndarray  # [G] in millions
    share: np.ndarray  # [G]
    level: np.ndarray  # [G] level_g * level
    q: np.ndarray  # [n]
    base: np.ndarray  # [n, G]
    controls: np.ndarray  # [n, K] all columns that analysts see
    calendar: np.ndarray  # [n]
    plan: np.ndarray  # [n, C] national X
    appetite: np.ndarray  # [n, C] weekly LN_n(cv) of a bought channel, else 0
    allot: np.ndarray  # [G, C]
    tier: np.ndarray  # [n, G] planned money of a geo's tier
    m: np.ndarray  # [n, C] effectiveness
    rate: np.ndarray  # [n, C] contacts for money
    synergies: tuple[tuple[int, int, float], ...]
    effect: np.ndarray  # [G, C]
    channels: tuple[Channel, ...]
    unit_value: float
    margin: float
    beta: np.ndarray  # [C]
    reference: float = 1.0
    observe: Callable = lambda mu, n: mu  # (mu [a, G], week n) -> kpi [a, G]

    @property
    def levers(self) -> np.ndarray:
        """Planned levers [n, 1, G, C]."""
        return (self.plan[:, None, :] * self.allot * self.tier[:, :, None])[:, None]


class Roll(NamedTuple):
    """What happened in every arm a: [n, a, G, C], or [n, a, G] for mu and kpi. Dual where asked so."""

    lever: Any
    demand: Any
    paid: Any
    shape: Any  # contribution for beta = 1
    mu: Any
    kpi: Any


def follow_order(channels: tuple[Channel, ...]) -> list[int]:
    """Positions such that every channel comes after all it follows."""
    order: list[int] = []
    while len(order) < len(channels):
        left = [c for c in range(len(channels)) if c not in order]
        order.append(next(c for c in left if set(channels[c].follows) <= set(order)))
    return order


def rollout(
    world: World, base, scale=1.0, add=0.0, chase: bool = False, frozen=None, start: int = 0, past=None
) -> Roll:
    """Simulate `lever = base * m * scale + add`, week by week.

    Parameters
    ----------
    world : World
    base, scale, add : array or Dual
        Broadcast to [n, a, G, C]. `m` is the multiplier of the demand-chasing rule, 1 unless `chase`.
    chase : bool
        Whether the advertiser's rules run, each arm on its own KPI.
    frozen : array [n, 1, G, C], optional
        Demand of bought channels; None lets it react.
    start, past : int, Roll
        Begin at position `start`, after the first weeks of `past` (one arm).
    """
    n_all, G, C = len(world.q), len(world.share), len(world.channels)
    arms = np.broadcast_shapes(*(np.shape(dual.value_of(x)) for x in (base, scale, add)))[1]
    moving = any(isinstance(x, Dual) for x in (base, scale, add))

    def empty(*more: int):
        zeros = np.zeros((n_all, arms, G, *more))
        return Dual(zeros, zeros.copy()) if moving else zeros

    def spread(x):
        shape = (n_all, arms, G, C)
        if isinstance(x, Dual):
            return Dual(np.broadcast_to(x.value, shape), np.broadcast_to(x.tangent, shape))
        return np.broadcast_to(x, shape)

    base, scale, add = spread(base), spread(scale), spread(add)
    lever, demand, paid, shape, stock = empty(C), empty(C), empty(C), empty(C), empty(C)
    mu, kpi = empty(), empty()
    if start:
        for path, known in zip((lever, demand, paid, shape, mu, kpi), past):
            path[:start] = known[:start]
    order = follow_order(world.channels)

    def entering(c: int, n: int) -> Any:
        """What enters the carry-over of channel c in week n."""
        v = paid[n, :, :, c] * (world.rate[n, c] / (world.channels[c].scale * world.share))
        return v if world.channels[c].carry_over_first else world.channels[c].curve(v) * world.m[n, c]

    for n in range(start):
        for c in order:
            stock[n, :, :, c] = entering(c, n)
    for n in range(start, n_all):
        for c in order:
            channel = world.channels[c]
            plan = base[n, :, :, c]
            if chase:
                plan = plan * multiplier(world, channel, kpi, n)
            lever[n, :, :, c] = plan * scale[n, :, :, c] + add[n, :, :, c]
            paid[n, :, :, c] = lever[n, :, :, c]
            if channel.bought:
                if frozen is not None:
                    demand[n, :, :, c] = frozen[n, :, :, c]
                else:
                    followed = (world.beta[f] * shape[n, :, :, f] for f in channel.follows)
                    interest = sum(followed, np.zeros((arms, G))) / (world.share * world.level * world.q[n])
                    plain = world.allot[:, c] * world.appetite[n, c] * world.q[n] ** channel.strength
                    demand[n, :, :, c] = dual.power(1 + interest, channel.halo) * plain
                paid[n, :, :, c] = dual.smaller(lever[n, :, :, c], demand[n, :, :, c])
            stock[n, :, :, c] = entering(c, n)
            first = max(0, n - len(channel.weights) + 1)
            carried = dual.weighted(channel.weights[: n + 1 - first][::-1], stock[first : n + 1, :, :, c])
            answer = channel.curve(carried) * world.m[n, c] if channel.carry_over_first else carried
            shape[n, :, :, c] = answer * (world.effect[:, c] * world.share)
        mu[n] = sum((world.beta[c] * shape[n, :, :, c] for c in range(C)), world.base[n])
        for a, b, gamma in together(world):
            mu[n] = mu[n] + shape[n, :, :, a] * shape[n, :, :, b] * (gamma / world.share)
        kpi[n] = world.observe(mu[n], n)
    return Roll(lever, demand, paid, shape, mu, kpi)


def together(world: World) -> list[tuple[int, int, float]]:
    """Pairs of channels that help each other, and the size of it."""
    return [(a, b, strength * abs(world.beta[a] * world.beta[b]) ** 0.5) for a, b, strength in world.synergies]


def multiplier(world: World, channel: Channel, kpi: Any, n: int) -> Any:
    """m_n of the rules that look at the KPI, [a, 1]; n is a position, the panel begins at P."""
    arms, floor = dual.value_of(kpi).shape[1], 1e-9 * world.reference

    def mean(first: int, past: int) -> Any:
        """The mean KPI of positions [first, past)."""
        weeks = [np.full(arms, world.reference) if i < 0 else over_geos(kpi[i]) for i in range(first, past)]
        return dual.larger(sum(weeks[1:], weeks[0]) / (past - first), floor)

    m: Any = np.ones(arms)
    if channel.chase is not None:
        window, low, high = channel.chase
        ratio = dual.power(mean(n - 1, n) / mean(n - window, n), channel.strength)
        m = m * dual.smaller(dual.larger(ratio, low), high)
    if channel.quarterly is not None:
        strength, low, high = channel.quarterly
        start = n - (n - world.P) % 13
        growth = dual.power(mean(start - 13, start) / mean(start - 26, start - 13), strength)
        m = m * dual.smaller(dual.larger(growth, low), high)
    if channel.of_sales is not None:
        m = m * (mean(n - channel.of_sales, n) / world.reference)
    return m[:, None]


def over_geos(x: Any) -> Any:
    """Sum over the last axis."""
    return Dual(x.value.sum(-1), x.tangent.sum(-1)) if isinstance(x, Dual) else x.sum(-1)
