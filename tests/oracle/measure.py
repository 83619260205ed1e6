"""What is seen of a world, step by step and cell by cell: docs/worlds.md, section 11."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from . import formulas
from .formulas import Draws
from .physics import together

if TYPE_CHECKING:
    from .oracle import Case

NEVER_HIT = 8  # weeks


def seen(one: Case, draws: Draws, origin: int) -> dict[str, Any]:
    """What the panel shows with `origin` weeks of data, and the scales that follow from it."""
    world, roll = one.world, one.factual
    P, T = world.P, world.T
    shown: dict[str, Any] = {
        "lever": roll.lever[P : P + T, 0].copy(), "spend": roll.paid[P : P + T, 0].copy(),
        "kpi": roll.kpi[P : P + T, 0].copy(), "mask": np.array([float(t < origin) for t in range(T)]), "claims": None,
    }  # fmt: skip
    contacts = bought(one)
    shown["exposure"] = None if contacts is None else contacts[P : P + T].copy()
    shown["contacts ahead"] = None if contacts is None else contacts[P + origin : P + origin + world.H]
    for step in one.scenario.measure:
        change(one, draws, step, shown, origin)
    for t in range(T):
        if shown["mask"][t] == 0:
            shown["kpi"][t] = 0
        if t >= origin:
            for name in ("lever", "spend", "claims", "exposure"):
                if shown[name] is not None:
                    shown[name][t] = 0
    recorded = [shown["kpi"][t].sum() for t in range(T) if shown["mask"][t] == 1]
    shown["kpi_scale"] = sum(recorded) / len(recorded)
    shown["spend_scale"] = sum(shown["spend"][t].sum(axis=0) for t in range(origin)) / origin
    return shown


def bought(one: Case) -> np.ndarray | None:
    """Contacts that analysts are told of [n, G, C]: money over the price of its week."""
    contacts = one.factual.paid[:, 0].copy()
    for c, channel in enumerate(one.scenario.channels):
        for n in range(len(contacts)):
            contacts[n, :, c] *= one.world.rate[n, c] if channel.exposure_seen else 0.0
    return contacts if any(channel.exposure_seen for channel in one.scenario.channels) else None


def change(one: Case, draws: Draws, step: Any, shown: dict[str, Any], origin: int) -> None:
    """One step of the file on what is shown, in place."""
    world, kind = one.world, step.kind
    T, (G, C) = world.T, world.allot.shape
    at = f"measure.{step.name}"

    def number(field: str) -> float:
        return draws.number(f"{at}.{field}", getattr(step, field))

    def normals(*shape: int) -> np.ndarray:
        return draws.generator(at).standard_normal(shape)

    channels = [c for c in range(C) if concerned(step, world.channels[c].name)]
    if kind in ("spend-error", "fee", "unit", "outliers", "spend-tracking-loss"):
        factor = np.ones((T, G, C))
        if kind == "spend-error":
            factor = formulas.bumps(normals(T, G, C), number("sd"))
        elif kind == "fee":
            factor += number("share")
        elif kind == "unit":
            factor *= number("factor")
        elif kind == "spend-tracking-loss":
            factor[step.week :] = 1 - number("share")
        else:
            u, v = draws.generator(at).random((2, T, C))
            for c in range(C):
                for t in sorted(range(T), key=lambda t, c=c: u[t, c])[: step.count]:
                    factor[t, :, c] = number("low") + (number("high") - number("low")) * v[t, c]
        for c in channels:
            shown["lever"][:, :, c] *= factor[:, :, c]
            shown["spend"][:, :, c] *= factor[:, :, c]
    elif kind == "kpi-error":
        shown["kpi"] *= formulas.bumps(normals(T, G), number("sd"))
    elif kind == "kpi-tracking-loss":
        shown["kpi"][step.week :] *= 1 - number("share")
    elif kind == "missing":
        for t in hit(shown, draws.generator(at).random(T), number("share"), origin):
            shown["mask"][t] = 0
    elif kind == "backfilled":
        gone = hit(shown, draws.generator(at).random(T), number("share"), origin)
        own = [t for t in range(origin) if shown["mask"][t] == 1 and t not in gone]
        filled = shown["kpi"].copy()
        for t in gone:
            near = [max((s for s in own if s < t), default=None), min((s for s in own if s > t), default=None)]
            filled[t] = np.mean([shown["kpi"][s] for s in near if s is not None], axis=0)
        shown["kpi"] = filled
    elif kind == "late-booking":
        share, now = number("share"), shown["kpi"].copy()
        for t in range(T):
            before = now[t - 1] if t > 0 else one.factual.kpi[max(world.P - 1, 0), 0]
            shown["kpi"][t] = (1 - share) * now[t] + share * before
    elif kind == "privacy":
        e = draws.generator(at).laplace(size=(T, G))
        for g in range(G):
            shown["kpi"][:, g] += number("scale") * world.reference * math.sqrt(world.share[g]) * e[:, g]
    elif kind == "claims":
        if shown["claims"] is None:
            shown["claims"] = np.zeros((T, G, C))
        luck = formulas.bumps(normals(T, G, C), number("cv"))
        for c in channels:
            for g in range(G):
                credited = credit(one, c, g, step.weeks, number("coverage"), number("poaching"))
                shown["claims"][:, g, c] = credited * luck[:, g, c]
        shown["claims"][max(origin - step.delay, 0) :, :, channels] = 0
    else:
        raise AssertionError(kind)


def concerned(step: Any, name: str) -> bool:
    """Whether a step speaks of a channel."""
    return getattr(step, "channels", None) is None or name in step.channels


def hit(shown: dict[str, Any], u: np.ndarray, share: float, origin: int) -> list[int]:
    """Weeks that are hit with probability `share`."""
    recorded = [t for t in range(origin) if shown["mask"][t] == 1]
    never = sorted(recorded, key=lambda t: -u[t])[:NEVER_HIT]
    return [t for t in recorded if u[t] < share and t not in never]


def credit(one: Case, c: int, g: int, window: int, coverage: float, poaching: float) -> np.ndarray:
    """What the platform of channel c credits to itself in geo g, before luck and delay, [T]."""
    world, channel = one.world, one.world.channels[c]
    paid = one.factual.paid[:, 0, g, c]
    v = paid * world.rate[:, c] / (channel.scale * world.share[g])
    entering = v if channel.carry_over_first else channel.curve(v) * world.m[:, c]
    credited = np.zeros(world.T)
    for t in range(world.T):
        n = world.P + t
        parts = [(lag, channel.weights[lag] * entering[n - lag]) for lag in range(len(channel.weights)) if lag <= n]
        whole = sum(part for _, part in parts)
        inside = sum(part for lag, part in parts if lag < window)
        shape = one.factual.shape[n, 0, g]
        effect = world.beta[c] * shape[c]
        for a, b, gamma in together(world):
            effect += gamma * shape[a] * shape[b] / world.share[g] / 2 if c in (a, b) else 0.0
        if whole > 0:
            credited[t] += coverage * max(effect, 0.0) * inside / whole
        if any(paid[m] > 0 for m in range(max(n - window + 1, 0), n + 1)):
            credited[t] += poaching * max(world.base[n, g], 0.0)
    return credited
