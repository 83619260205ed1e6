"""What amounts are worth, many plans and futures at once: `decisions.worth` without the loop over weeks.

From the origin on no rule of the advertiser runs, so a week's media depend on levers alone and whole paths are
computed channel by channel: carry-over is a matrix over weeks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import decisions, dual
from .physics import follow_order, together


def valuer(one: Any, units: decisions.Units) -> Callable[[np.ndarray], np.ndarray]:
    """amounts [B, U] -> V(amounts) - V(status quo) [B], the mean over the futures of a case."""
    world, origin = one.world, one.world.P + one.world.T
    weeks, Hd = world.Hd + world.tail, world.Hd
    ahead = slice(origin, origin + weeks)
    C, share = len(world.channels), world.share
    q = np.array([future.q[ahead] for future in one.futures])[:, :, None]  # [K, n, 1]
    appetite = np.array([future.appetite[ahead] for future in one.futures])  # [K, n, C]
    past, before, inside = one.factual.paid[:origin, 0], [], []
    for c, channel in enumerate(world.channels):
        v = past[:, :, c] * (world.rate[:origin, c, None] / (channel.scale * share))
        entered = v if channel.carry_over_first else channel.curve(v) * world.m[:origin, c, None]
        weights = np.concatenate([channel.weights, np.zeros(origin + weeks)])
        lag = np.arange(weeks)[:, None] + origin - np.arange(origin)[None]
        before.append(weights[lag] @ entered)  # [n, G] what earlier weeks left
        lag = np.arange(weeks)[:, None] - np.arange(weeks)[None]
        inside.append(np.where(lag >= 0, weights[np.maximum(lag, 0)], 0.0))

    def net(amounts: np.ndarray) -> np.ndarray:
        plan = np.zeros((len(amounts), weeks, len(share), C))
        plan[:, :Hd] = decisions.plan_of(units, amounts)
        shape: dict[int, Any] = {}
        spent: Any = 0.0
        for c in follow_order(world.channels):
            channel, paid = world.channels[c], plan[:, None, :, :, c]  # [B, K or 1, n, G]
            m, rate = (path[ahead, c, None] for path in (world.m, world.rate))
            if channel.bought:
                followed = sum((world.beta[f] * shape[f] for f in channel.follows), np.zeros_like(paid))
                interest = followed / (share * world.level * q)
                demand = world.allot[:, c] * appetite[:, :, c, None] * q**channel.strength
                paid = np.minimum(paid, dual.power(1 + interest, channel.halo) * demand)
            v = paid * (rate / (channel.scale * share))
            entered = v if channel.carry_over_first else channel.curve(v) * m
            carried = before[c] + inside[c] @ entered
            answer = channel.curve(carried) * m if channel.carry_over_first else carried
            shape[c] = answer * (world.effect[:, c] * share)
            spent = spent + paid[:, :, :Hd].sum(axis=(2, 3))
        mu = sum(world.beta[c] * shape[c].sum(axis=(2, 3)) for c in range(C))
        for a, b, gamma in together(world):
            mu = mu + (shape[a] * shape[b] * (gamma / share)).sum(axis=(2, 3))
        return (world.margin * world.unit_value * mu - spent).mean(axis=1)

    now = net(units.status_quo[None])[0]
    return lambda amounts: net(amounts) - now
