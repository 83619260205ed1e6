"""The static form of a scenario, and the numbers and innovations of its replicates.

A :class:`Form` is everything that fixes shapes and code; worlds of one form share one compiled
program, whatever their numbers. Numbers and innovations are NumPy, keyed as docs/worlds.md,
section 2 says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np

from simbench import ids
from simbench.world.scenario import Scenario, family, quantile, recorded_paths
from simbench.world.scenario_checks import COUNTS

#: Futures over which a plan is valued where its worth depends on future shocks; twice that many
#: are drawn: one set to find the optimum on, one to value every plan on.
FUTURES = 64
QUARTER = 13  #: weeks
#: Tables of a file that make the world, and those that only change what is seen of it.
TRUE = ("geo", "demand", "spend", "controls", "channels", "synergies", "kpi", "noise")
SEEN = ("measure",)
#: Kind of a competitor -> law of its weekly innovations; kinds that follow a script have none.
COMPETITOR_LAWS = {"shocks": "uniform", "share-of-voice": "normal", "spend": "normal"}


class ChannelForm(NamedTuple):
    """What is static about a channel."""

    name: str
    rule: str
    follows: tuple[int, ...]  #: positions of the channels a bought one captures demand from
    window: int  #: weeks of KPI a chasing rule looks at
    averaged: int  #: weeks of KPI a share of sales is taken of
    carry_over: str
    length: int
    normalised: bool
    saturation: str
    scaled_by: str
    settles_first: bool  #: saturation before carry-over
    by_roas: bool  #: effect scale solved from a ROAS, not given
    effectiveness: str = ""  #: how the effect changes over time
    fading: bool = False  #: a shift that ends
    priced: bool = False  #: contacts change their price
    seasonal: bool = False  #: spend goes with the season of demand
    cycles: bool = False  #: and with the budget cycle
    anticipates: bool = False  #: and with promotions to come
    peaks: bool = False  #: and with events
    starts: bool = False  #: and not before a week
    steps: tuple[tuple[str, bool], ...] = ()  #: and changes by steps: name, whether it ends
    reactions: tuple[str, ...] = ()  #: rules that look at the KPI: "chasing", "quarterly", "of-sales"
    national_only: bool = False  #: one lever, by population

    @property
    def bought(self) -> bool:
        """Clicks and cost follow demand; the lever is a cap."""
        return self.rule == "demand-capturing"


class Form(NamedTuple):
    """What is static about a scenario."""

    pre: int
    weeks: int
    holdout: int
    horizon: int
    tail: int
    geos: int
    trend: str
    knots: int
    season: str
    order: int
    shock: bool
    events: tuple[str, ...]
    breaks: tuple[tuple[str, str], ...]  #: (name, kind) each
    competitors: tuple[tuple[str, str], ...]  #: (name, kind) each
    promotions: bool
    controls: tuple[str, ...]
    descended: tuple[str, ...]  #: controls that media move
    hidden: tuple[str, ...]  #: controls, competitors, events (and "promotion") that analysts do not see
    channels: tuple[ChannelForm, ...]
    noise: str
    multiplicative: bool
    power: bool  #: the noise's size follows the mean
    noise_by: str  #: "share", "r_squared" or "sd"; "" where the law says it
    synergies: tuple[tuple[str, int, int], ...] = ()  #: name and both channels
    tiers: tuple[tuple[str, int, bool], ...] = ()  #: name, geos, whether it is launched later
    cycle: bool = False

    @property
    def future(self) -> int:
        """F: weeks simulated after the origin."""
        return max(self.holdout, self.horizon) + self.tail

    @property
    def total(self) -> int:
        """P + N: weeks simulated in all."""
        return self.pre + self.weeks + self.future

    @property
    def lags(self) -> int:
        """Length of the longest carry-over kernel."""
        return max(channel.length for channel in self.channels)

    @property
    def span(self) -> int:
        """Weeks from the origin on in which a plan acts, at most: later weeks of the tail feel no lever."""
        return self.horizon + min(self.tail, self.lags - 1)

    @property
    def feedback(self) -> bool:
        """The advertiser's rules look at the KPI."""
        return any(channel.reactions for channel in self.channels)

    @property
    def buys(self) -> bool:
        """Some channel's spend follows demand."""
        return any(channel.bought for channel in self.channels)

    @property
    def interacts(self) -> bool:
        """What one channel brings depends on what others do."""
        return self.buys or bool(self.synergies)

    @property
    def walks(self) -> tuple[bool, ...]:
        """Channels whose effect walks at random."""
        return tuple(channel.effectiveness == "random-walk" for channel in self.channels)

    @property
    def walk_streams(self) -> tuple[str, ...]:
        """Streams of those walks."""
        return tuple(f"effectiveness.{c.name}" for c in self.channels if c.effectiveness == "random-walk")

    @property
    def memory(self) -> int:
        """Weeks of KPI the rules remember."""
        quarters = any("quarterly" in channel.reactions for channel in self.channels)
        return max([3 * QUARTER - 1 if quarters else 1, *(max(c.window, c.averaged) for c in self.channels)])

    @property
    def stochastic(self) -> bool:
        """What a plan brings depends on shocks that have not happened yet."""
        return self.buys

    @property
    def columns(self) -> tuple[str, ...]:
        """Control columns that analysts see, in order."""
        promotion = ("promotion",) if self.promotions else ()
        every = (*self.controls, *(name for name, _ in self.competitors), *promotion, *self.events)
        return tuple(name for name in every if name not in self.hidden)

    @property
    def competitor_streams(self) -> dict[str, str]:
        """Streams of competitors that act at random, and their laws."""
        laws = ((name, COMPETITOR_LAWS.get(kind)) for name, kind in self.competitors)
        return {f"demand.competitors.{name}": law for name, law in laws if law is not None}

    @property
    def demand_streams(self) -> dict[str, str]:
        """Streams of the demand that nobody foresees, and their laws: what is seen is told ahead."""
        streams = {"demand.trend": "normal"} if self.trend == "random-walk" else {}
        if self.shock:
            streams["demand.shock"] = "normal"
        unseen = {f"demand.competitors.{name}" for name in self.hidden}
        return streams | {stream: law for stream, law in self.competitor_streams.items() if stream in unseen}

    @property
    def future_streams(self) -> dict[str, str]:
        """Streams that are drawn anew in coupled futures, and their laws."""
        if not self.stochastic:
            return {}
        return self.demand_streams | {f"spend.{channel.name}": "normal" for channel in self.channels if channel.bought}

    @property
    def fresh_streams(self) -> dict[str, str]:
        """Streams of all weekly paths that nobody foresees, and their laws; the noise apart."""
        controls = [f"controls.{name}" for name in self.controls if name in self.hidden]
        return self.demand_streams | dict.fromkeys([*controls, *self.walk_streams], "normal")


def form_of(scenario: Scenario) -> Form:
    """The static form of a resolved scenario (one sweep point, not a sweep)."""
    time, demand = scenario.time, scenario.demand
    names = [channel.name for channel in scenario.channels]
    set_channels = tuple(i for i, c in enumerate(scenario.channels) if c.spend.rule != "demand-capturing")

    def channel_form(channel: Any) -> ChannelForm:
        spend, carry_over = channel.spend, channel.carry_over
        bought = spend.rule == "demand-capturing"
        follows = getattr(spend, "follows", None)
        return ChannelForm(
            name=channel.name,
            rule=spend.rule,
            follows=() if not bought else set_channels if follows is None else tuple(names.index(f) for f in follows),
            window=int(getattr(spend, "window", 1)),
            averaged=int(getattr(getattr(spend, "of_sales", None), "window", 1)),
            carry_over=carry_over.kind,
            length=1 if carry_over.kind == "none" else int(carry_over.length),
            normalised=carry_over.normalised,
            saturation=channel.saturation.kind,
            scaled_by=channel.saturation.scaled_by,
            settles_first=channel.order == "saturation-first",
            by_roas=channel.roas is not None,
            effectiveness="" if channel.effectiveness is None else channel.effectiveness.kind,
            fading=getattr(channel.effectiveness, "weeks", None) is not None,
            priced=channel.price is not None,
            seasonal=getattr(spend, "season", 0.0) != 0.0,
            cycles=getattr(spend, "cycle", 0.0) != 0.0,
            anticipates=getattr(spend, "anticipation", 0.0) != 0.0,
            peaks=getattr(spend, "peaks", 0.0) != 0.0,
            starts=getattr(spend, "from_week", None) is not None,
            steps=tuple((step.name, step.weeks is not None) for step in getattr(spend, "steps", ())),
            reactions=spend.reactions,
            national_only=channel.national_only,
        )

    season = demand.season
    order = season.order if season.kind == "random" else len(season.cosine) if season.kind == "fixed" else 0
    noise = scenario.noise
    by = next((key for key in ("share", "r_squared", "sd") if getattr(noise, key, None) is not None), "")
    maybe_seen = (*scenario.controls, *demand.competitors, *demand.events)
    hidden = tuple(entry.name for entry in maybe_seen if not entry.seen)
    if demand.promotions is not None and not demand.promotions.seen:
        hidden += ("promotion",)
    return Form(
        pre=time.pre_history, weeks=time.weeks, holdout=time.holdout, horizon=time.horizon, tail=time.tail,
        geos=scenario.geo.count, trend=demand.trend.kind, knots=len(getattr(demand.trend, "knots", ())),
        season=season.kind, order=order, shock=demand.shock is not None,
        events=tuple(event.name for event in demand.events),
        breaks=tuple((each.name, each.kind) for each in demand.breaks),
        competitors=tuple((each.name, each.kind) for each in demand.competitors),
        promotions=demand.promotions is not None, controls=tuple(c.name for c in scenario.controls),
        descended=tuple(c.name for c in scenario.controls if c.of_media != 0.0), hidden=hidden,
        channels=tuple(channel_form(channel) for channel in scenario.channels),
        noise=noise.kind, multiplicative=getattr(noise, "multiplicative", False),
        power=getattr(noise, "power", 0.0) != 0.0, noise_by=by,
        synergies=tuple((s.name, names.index(s.channels[0]), names.index(s.channels[1])) for s in scenario.synergies),
        tiers=tuple((tier.name, tier.geos, tier.launch is not None) for tier in scenario.geo.tiers),
        cycle=scenario.spend.cycle is not None,
    )  # fmt: skip


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every number of a scenario (float, int or distribution) with its key path."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return
    if isinstance(value, (int, float)) or hasattr(value, "dist"):
        yield path, value
    elif isinstance(value, (tuple, list)):
        for i, item in enumerate(value):
            yield from leaves(item, f"{path}.{getattr(item, 'name', i)}")
    else:
        for key in type(value).model_fields:
            yield from leaves(getattr(value, key), f"{path}.{key}" if path else key)


def numbers_of(
    scenario: Scenario, replicates: Sequence[int], master: bytes, parts: Sequence[str] = TRUE
) -> dict[str, np.ndarray]:
    """Every number of some tables by key path, float64 [R]; distributions drawn each from its own stream."""
    root = family(scenario)
    drawn = {}
    for part in parts:
        for path, number in leaves(getattr(scenario, part), part):
            if hasattr(number, "dist"):
                u = ids.uniform(ids.streams(master, root, replicates, f"parameter:{path}"))
                drawn[path] = np.asarray(quantile(number, u), dtype=np.float64)
            else:
                drawn[path] = np.full(len(replicates), float(number))
    return drawn


def streams_of(form: Form) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Stream name -> (law, shape) of the innovations a form needs."""
    path = (form.total,)
    streams: dict[str, tuple[str, tuple[int, ...]]] = {}
    if form.season == "random":
        streams["demand.season"] = ("normal", (2 * form.order,))
    if form.trend == "random-walk":
        streams["demand.trend"] = ("normal", path)
    if form.shock:
        streams["demand.shock"] = ("normal", path)
    streams |= {name: (law, path) for name, law in form.competitor_streams.items()}
    if form.promotions:
        streams["demand.promotions"] = ("uniform", (form.total, 2))
    streams |= {f"controls.{name}": ("normal", path) for name in form.controls}
    for channel in form.channels:
        if channel.rule != "recorded":
            streams[f"spend.{channel.name}"] = ("uniform" if channel.rule == "correlated" else "normal", path)
    if form.cycle:
        streams["cycle"] = ("normal", path)
    streams |= {name: ("normal", path) for name in form.walk_streams}
    if form.geos > 1:
        streams["geo"] = ("normal", (2 * form.geos,))
        streams |= {f"geo.{channel.name}": ("normal", (2 * form.geos,)) for channel in form.channels}
    streams["noise"] = (noise_law(form), (form.total, form.geos))
    streams |= {f"future.{name}": (law, (2 * FUTURES, form.future)) for name, law in form.future_streams.items()}
    return streams


def noise_law(form: Form) -> str:
    """Law of the KPI noise's innovations; a count is its law's quantile at a uniform number."""
    return "uniform" if form.noise in COUNTS else "student-t" if form.noise == "student-t" else "normal"


def drawn_from(generator: np.random.Generator, law: str, shape: tuple[int, ...], df: float | None) -> np.ndarray:
    """Innovations of one law; Student-t of unit variance with `df` degrees of freedom."""
    if law == "uniform":
        return generator.random(shape)
    if law == "student-t" and df is not None:
        return generator.standard_t(df, shape) * np.sqrt((df - 2) / df)
    return generator.standard_normal(shape)


def innovations_of(
    form: Form, root: str, replicates: Sequence[int], master: bytes, df: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Innovations by stream, float64 [R, ...]; phases under ``phase.NAME`` [R]."""
    out: dict[str, np.ndarray] = {}
    for stream, (law, shape) in streams_of(form).items():
        block = np.empty((len(replicates), *shape))
        phases = np.empty(len(replicates))
        for i, key in enumerate(ids.streams(master, root, replicates, stream)):
            generator = ids.generator(key)
            if stream.startswith("spend."):
                phases[i] = generator.random()
            block[i] = drawn_from(generator, law, shape, None if df is None else df[i])
        out[stream] = block
        if stream.startswith("spend."):
            out[f"phase.{stream.removeprefix('spend.')}"] = phases
    return out


def fresh_innovations(
    form: Form, root: str, replicates: Sequence[int], keys: Sequence[bytes], draws: int, df: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Innovations of the holdout drawn anew, by stream: float64 [R, D, H], noise [R, D, H, G].

    `keys`: one random stream a replicate, known to the world alone.
    """
    weeks: tuple[int, ...] = (draws, form.holdout)
    streams = {name: (law, weeks) for name, law in form.fresh_streams.items()}
    streams["noise"] = (noise_law(form), (*weeks, form.geos))

    def block(stream: str, law: str, shape: tuple[int, ...]) -> np.ndarray:
        return np.stack([
            drawn_from(
                ids.generator(ids.stream_bytes(key, root, replicate, f"fresh.{stream}")),
                law, shape, None if df is None else df[i],
            )
            for i, (replicate, key) in enumerate(zip(replicates, keys, strict=True))
        ])  # fmt: skip

    return {stream: block(stream, law, shape) for stream, (law, shape) in streams.items()}


def given_of(scenario: Scenario, form: Form) -> dict[str, np.ndarray]:
    """What no replicate changes: weeks t [P+N], event weeks [E, P+N], recorded spend [P+N]."""
    t = np.arange(-form.pre, form.weeks + form.future)
    start = date.fromisoformat(scenario.time.start)
    given: dict[str, np.ndarray] = {"t": t.astype(np.float64)}
    if form.events:
        happens = np.zeros((len(form.events), form.total))
        for i, event in enumerate(scenario.demand.events):
            for day in event.dates:
                week = (date.fromisoformat(day) - start).days // 7
                if -form.pre <= week < form.weeks + form.future:
                    happens[i, week + form.pre] = 1.0
        given["events"] = happens
    for name, rows in recorded_paths(scenario).items():
        given[f"recorded.{name}"] = repeated(np.asarray(rows, dtype=np.float64), t)
    return given


def repeated(rows: np.ndarray, t: np.ndarray) -> np.ndarray:
    """A recorded path at weeks `t`: its own rows, else the same week of the nearest year on record."""
    last, year = len(rows) - 1, min(52, len(rows))
    after = t - year * np.ceil((t - last) / year).astype(int)
    return rows[np.where(t < 0, t % year, np.where(t > last, after, t))]
