"""Drawing one replicate: numbers into a world, effect scales, noise: docs/worlds.md, sections 3 to 8."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import numpy as np
from scipy import stats

from . import dual, formulas
from .dual import Dual
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
    q = q * formulas.breaks(draws, demand.breaks, t)
    columns, moved = [], np.zeros(len(t))
    for model in scenario.controls:
        at = f"controls.{model.name}"
        e = draws.generator(at).standard_normal(len(t))
        wave = formulas.autoregression(e, number(f"{at}.rho", model.rho), number(f"{at}.sd", model.sd))
        columns += [number(f"{at}.mean", model.mean) + wave] if model.seen else []
        moved += number(f"{at}.effect", model.effect) * wave
    for model in demand.competitors:
        path, factor = formulas.competitor(draws, model, t, F, None if model.seen else future)
        columns += [path] if model.seen else []
        q = q * factor
    promoted = np.zeros(len(t))
    if demand.promotions is not None:
        promoted = path = formulas.discounts(draws, demand.promotions, len(t))
        columns += [path] if demand.promotions.seen else []
        q = q * np.exp(number("demand.promotions.elasticity", demand.promotions.elasticity) * path)
    columns += [happening[:, i] for i, model in enumerate(demand.events) if model.seen]
    controls = np.array(columns).reshape(-1, len(t)).T
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
        plan[:, c] = formulas.changed(draws, scenario, model, path, t, promoted, lifted)
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
        P, T, H, Hd, tail, population, share, level, q, base, controls,
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


def with_descendants(world: World, scenario: Any, draws: Draws) -> World:
    """Columns of controls that media move."""
    sizes = [draws.number(f"controls.{c.name}.of_media", c.of_media) for c in scenario.controls if c.seen]
    if not any(sizes):
        return world
    brought = (rollout(world, world.levers).mu[:, 0] - world.base).sum(axis=-1)
    controls = world.controls.copy()
    for k, size in enumerate(sizes):
        controls[:, k] += size * brought / draws.number("demand.level", scenario.demand.level)
    return world._replace(controls=controls)


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
            return with_descendants(world._replace(beta=beta), scenario, draws)
    raise AssertionError("the effect scales did not settle")


def with_noise(world: World, scenario: Any, draws: Draws) -> World:
    """The reference KPI, and what is observed of mu (sections 7 and 9)."""
    P, T, share, model = world.P, world.T, world.share, scenario.noise
    planned = rollout(world, world.levers).mu[P : P + T, 0].sum(axis=-1)
    reference = float(planned.mean())
    world, generator = world._replace(reference=reference), draws.generator("noise")
    shape = (len(world.q), len(share))
    if model.kind in ("poisson", "negative-binomial"):
        return world._replace(observe=counting(model, draws, generator.random(shape)))
    if model.share is not None:
        sd = draws.number("noise.share", model.share) * reference
    elif model.r_squared is not None:
        fit = draws.number("noise.r_squared", model.r_squared)
        sd = math.sqrt(planned.var() * (1 - fit) / fit)
    else:
        sd = draws.number("noise.sd", model.sd)
    if model.kind == "student-t":
        df = draws.number("noise.df", model.df)
        eta = generator.standard_t(df, shape) * math.sqrt((df - 2) / df)
    else:
        eta = generator.standard_normal(shape)
    if model.kind == "ar1":
        eta = formulas.autoregression(eta, draws.number("noise.rho", model.rho), 1.0)
    if model.multiplicative:
        s = sd / reference / math.sqrt((share**2).sum())
        return world._replace(observe=lambda mu, n: mu * np.exp(s * eta[n] - s**2 / 2))
    if model.kind == "gaussian" and model.power != 0.0:
        p = draws.number("noise.power", model.power)

        def growing(mu: Any, n: int) -> Any:
            size = dual.power(dual.larger(mu / (share * reference), 1e-9), p)
            return mu + size * (sd * np.sqrt(share) * eta[n])

        return world._replace(observe=growing)
    return world._replace(observe=lambda mu, n: mu + sd * np.sqrt(share) * eta[n])


def counting(model: Any, draws: Draws, eta: np.ndarray) -> Any:
    """kpi(mu [a, G], n) of a count: flat in mu almost everywhere."""
    zero = draws.number("noise.zero", model.zero)
    r = draws.number("noise.dispersion", model.dispersion) if model.kind == "negative-binomial" else None

    def observe(mu: Any, n: int) -> Any:
        m = np.maximum(dual.value_of(mu), 1e-9) / (1 - zero)
        u = np.broadcast_to((eta[n] - zero) / (1 - zero), m.shape)
        law = stats.poisson(m) if r is None else stats.nbinom(r, r / (r + m))
        k = np.where(u > 0, law.ppf(np.maximum(u, 1e-300)), 0.0)
        return Dual(k, np.zeros_like(k)) if isinstance(mu, Dual) else k

    return observe
