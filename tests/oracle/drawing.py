"""Drawing one replicate: numbers into a world, effect scales, noise: docs/worlds.md, sections 3 to 8."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import numpy as np

from . import formulas
from .formulas import Draws
from .physics import Channel, World, rollout, together


def draw(scenario: Any, draws: Draws, recorded: dict[str, np.ndarray], future: int | None = None) -> World:
    """A world before effect scales and noise; with `future`, shocks from week T on are that future's."""
    time, number = scenario.time, draws.number
    P, T, H, Hd, tail = time.pre_history, time.weeks, time.holdout, time.horizon, time.tail
    F = max(H, Hd) + tail
    t, start = np.arange(-P, T + F), formulas.as_date(time.start)
    population, level_g, allot, effect = geos(scenario, draws)
    share = population / population.sum()

    demand = scenario.demand
    level = level_g * number("demand.level", demand.level)
    walk = draws.redrawn("demand.trend", draws.generator("demand.trend").standard_normal(len(t)), F, future)
    happening, lifted = formulas.events(draws, demand.events, t, start)
    q = formulas.trend(draws, demand.trend, t, P, walk) * formulas.season(draws, demand.season, t) * lifted
    if demand.shock is not None:
        e = draws.redrawn("demand.shock", draws.generator("demand.shock").standard_normal(len(t)), F, future)
        rho, sd = number("demand.shock.rho", demand.shock.rho), number("demand.shock.sd", demand.shock.sd)
        q = q * np.exp(formulas.autoregression(e, rho, sd))
    controls, moved = np.empty((len(t), len(scenario.controls))), np.zeros(len(t))
    for k, model in enumerate(scenario.controls):
        at = f"controls.{model.name}"
        e = draws.generator(at).standard_normal(len(t))
        wave = formulas.autoregression(e, number(f"{at}.rho", model.rho), number(f"{at}.sd", model.sd))
        controls[:, k] = number(f"{at}.mean", model.mean) + wave
        moved += number(f"{at}.effect", model.effect) * wave
    base = share * (level * q[:, None] + moved[:, None])

    models, group = scenario.channels, formulas.correlated(draws, scenario, t)
    plan, appetite, m, rate = (np.zeros((len(t), len(models))) for _ in range(4))
    channels, tier = [], tiers(scenario, draws, t)
    names = [model.name for model in models]
    synergies = tuple(
        (*(names.index(name) for name in each.channels), number(f"synergies.{each.name}.strength", each.strength))
        for each in scenario.synergies
    )
    for c, model in enumerate(models):
        path = group[model.name] if model.name in group else formulas.planned(draws, model, t, recorded)
        plan[:, c] = formulas.changed(draws, scenario, model, path, t, np.zeros(len(t)))
        m[:, c], rate[:, c] = (
            formulas.effectiveness(draws, model, t, P), formulas.contacts(draws, scenario, model, t)
        )  # fmt: skip
        channel = channel_of(draws, c, models)
        national = (plan[:, c, None] * allot[:, c] * tier).sum(axis=1)
        if channel.bought:
            at, generator = f"channels.{model.name}.spend", draws.generator(f"spend.{model.name}")
            generator.random()
            e = draws.redrawn(f"spend.{model.name}", generator.standard_normal(len(t)), F, future)
            bumps = formulas.bumps(e, number(f"{at}.cv", model.spend.cv))
            appetite[:, c] = number(f"{at}.weekly", model.spend.weekly) * bumps
            national = np.minimum(national, appetite[:, c] * q**channel.strength)
        national = (national * rate[:, c])[P : P + T]
        channels.append(channel._replace(scale=input_scale(model.saturation.scaled_by, national)))

    offset = (start - date(start.year, 1, 1)).days / 7
    return World(
        P, T, H, Hd, tail, population, share, level, q, base, np.concatenate([controls, happening], axis=1),
        ((t + offset) / formulas.YEAR) % 1, plan, appetite, allot, tier, m, rate, synergies,
        effect, tuple(channels),
        float(scenario.kpi.value), float(scenario.kpi.margin), np.zeros(len(models)),
    )  # fmt: skip


def tiers(scenario: Any, draws: Draws, t: np.ndarray) -> np.ndarray:
    """Planned money of each geo's tier, [n, G] (section 3)."""
    factor, first = np.ones((len(t), int(scenario.geo.count))), 0
    for model in scenario.geo.tiers:
        members = slice(first, first + model.geos)
        factor[:, members] = draws.number(f"geo.tiers.{model.name}.spend", model.spend)
        if model.launch is not None:
            factor[t < model.launch, members] = 0.0
        first += model.geos
    return factor


def geos(scenario: Any, draws: Draws) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """pop_g and level_g [G], allot_gc and effect_gc [G, C] (section 3)."""
    model, G, C = scenario.geo, int(scenario.geo.count), len(scenario.channels)
    population, level, allot, effect = np.ones(G), np.ones(G), np.ones((G, C)), np.ones((G, C))
    if G == 1:
        return population, level, allot, effect
    sd = {
        name: draws.number(f"geo.{name}_sd", getattr(model, f"{name}_sd"))
        for name in ("population", "level", "spend", "effect")
    }
    e, e_level = draws.generator("geo").standard_normal(2 * G).reshape(2, G)
    population = np.exp(sd["population"] * e)
    share = population / population.sum()
    level = np.exp(sd["level"] * e_level - sd["level"] ** 2 / 2)
    for c, channel in enumerate(scenario.channels):
        e, e_effect = draws.generator(f"geo.{channel.name}").standard_normal(2 * G).reshape(2, G)
        weight = share if channel.national_only else share * np.exp(sd["spend"] * e)
        allot[:, c] = weight / weight.sum()
        effect[:, c] = np.exp(sd["effect"] * e_effect - sd["effect"] ** 2 / 2)
    return population, level, allot, effect


def channel_of(draws: Draws, c: int, models: Any) -> Channel:
    """What the physics needs to know of channel c, its input scale still 1."""
    model, spend = models[c], models[c].spend
    bought, chasing = spend.rule == "demand-capturing", spend.rule == "demand-chasing"
    at = f"channels.{model.name}"
    strength, halo, follows, chase = 0.0, 0.0, (), None
    if bought or chasing:
        strength = draws.number(f"{at}.spend.strength", spend.strength)
    quarterly, of_sales = getattr(spend, "quarterly", None), getattr(spend, "of_sales", None)
    if quarterly is not None:
        quarterly = tuple(
            draws.number(f"{at}.spend.quarterly.{key}", getattr(quarterly, key)) for key in ("strength", "low", "high")
        )
    if chasing:
        low, high = (draws.number(f"{at}.spend.{end}", getattr(spend, end)) for end in ("low", "high"))
        chase = (int(spend.window), low, high)
    if bought:
        halo = draws.number(f"{at}.spend.halo", spend.halo)
        set_names = [other.name for other in models if other.spend.rule != "demand-capturing"]
        names = set_names if spend.follows is None else spend.follows
        follows = tuple(i for i, other in enumerate(models) if other.name in names)
    return Channel(
        name=model.name, bought=bought, follows=follows,
        weights=formulas.kernel(draws, f"{at}.carry_over", model.carry_over),
        curve=formulas.saturation(draws, f"{at}.saturation", model.saturation),
        carry_over_first=model.order == "carry-over-first",
        strength=strength, halo=halo, chase=chase, scale=1.0, quarterly=quarterly,
        of_sales=None if of_sales is None else int(of_sales.window),
    )  # fmt: skip


def input_scale(kind: str, national: np.ndarray) -> float:
    """scale_c (section 6.4)."""
    active = national[national > 0]
    if kind == "money" or len(active) == 0:
        return 1.0
    return float(active.mean() if kind == "mean-active" else active.max())


def with_effects(world: World, scenario: Any, draws: Draws) -> World:
    """beta: as given, or solved for the ROAS on the planned path."""
    P, T, C = world.P, world.T, len(world.channels)
    scale = np.ones((len(world.q), C + 1, 1, C))  # arm 0 as planned, arm 1 + c without channel c
    for c in range(C):
        scale[P : P + T, 1 + c, :, c] = 0
    scale[P + T :] = 0
    counted = slice(P, P + T + world.tail)
    beta, roas = np.zeros(C), np.full(C, np.nan)
    for c, model in enumerate(scenario.channels):
        if model.effect is not None:
            beta[c] = draws.number(f"channels.{model.name}.effect", model.effect)
        else:
            roas[c] = draws.number(f"channels.{model.name}.roas", model.roas)
    for _ in range(500):
        roll = rollout(world._replace(beta=beta), world.levers, scale)
        lost = (roll.shape[counted, :1] - roll.shape[counted]).sum(axis=(0, 2))  # [arm, C] for beta = 1
        pairs = sum(  # [arm] lost with synergies
            gamma * ((x[:, :1] - x) / world.share).sum(axis=(0, 2))
            for a, b, gamma in together(world._replace(beta=beta))
            for x in [roll.shape[counted, :, :, a] * roll.shape[counted, :, :, b]]
        )
        paid = roll.paid[P : P + T, 0].sum(axis=(0, 1))
        new = beta.copy()
        for c in range(C):
            if not np.isnan(roas[c]):
                induced = sum(beta[o] * lost[1 + c, o] for o in range(C) if o != c)
                induced += pairs[1 + c] if world.synergies else 0.0
                own = roas[c] * paid[c] / world.unit_value - induced
                new[c] = own / lost[1 + c, c] if paid[c] > 0 else 0.0
        settled = np.all(np.abs(new - beta) <= 1e-14 * np.abs(new))
        beta = (beta + new) / 2 if world.synergies and not settled else new
        if settled:
            return world._replace(beta=beta)
    raise AssertionError("the effect scales did not settle")


def with_noise(world: World, scenario: Any, draws: Draws) -> World:
    """The reference KPI, and the noise as a factor and a summand of mu (sections 7 and 8)."""
    P, T, share, model = world.P, world.T, world.share, scenario.noise
    planned = rollout(world, world.levers).mu[P : P + T, 0].sum(axis=-1)
    reference = float(planned.mean())
    if model.share is not None:
        sd = draws.number("noise.share", model.share) * reference
    elif model.r_squared is not None:
        fit = draws.number("noise.r_squared", model.r_squared)
        sd = math.sqrt(planned.var() * (1 - fit) / fit)
    else:
        sd = draws.number("noise.sd", model.sd)
    generator, shape = draws.generator("noise"), (len(world.q), len(share))
    if model.kind == "student-t":
        df = draws.number("noise.df", model.df)
        eta = generator.standard_t(df, shape) * math.sqrt((df - 2) / df)
    else:
        eta = generator.standard_normal(shape)
    if model.kind == "ar1":
        eta = formulas.autoregression(eta, draws.number("noise.rho", model.rho), 1.0)
    if model.multiplicative:
        s = sd / reference / math.sqrt((share**2).sum())
        return world._replace(reference=reference, noise_factor=np.exp(s * eta - s**2 / 2))
    return world._replace(reference=reference, noise_add=sd * np.sqrt(share) * eta)
