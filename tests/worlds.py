"""Small worlds for tests: scenario files from a few words, written where a test wants them."""

from __future__ import annotations

from pathlib import Path

HEAD = """schema_version = 1
name = "{name}"
breaks = ""
source = "test"
who_should_win = "nobody: a test"
[time]
weeks = {weeks}
pre_history = 12
holdout = 8
horizon = 10
tail = 14
[demand]
level = {{ dist = "uniform", low = 800.0, high = 1200.0 }}
trend = {{ kind = "linear", per_year = 0.05 }}
season = {{ kind = "random", order = 2, amplitude = 0.2{short} }}
{shock}
[kpi]
unit = "conversions"
value = {value}
margin = 0.6
[noise]
kind = "gaussian"
share = 0.05
[geo]
count = {geos}
{extra}
"""
#: How unlike geos are, where there are several.
APART = "population_sd = 0.7\nlevel_sd = 0.2\nspend_sd = 0.4\neffect_sd = 0.3\n"

CHANNEL = """
[[channels]]
name = "{name}"
kind = "other"
spend = {{ {spend} }}
carry_over = {{ {carry_over} }}
saturation = {{ {saturation} }}
order = "{order}"
roas = {{ dist = "lognormal", median = 1.5, sigma = 0.4 }}
"""

FLIGHTED = 'rule = "flighted", weekly = {money}, cv = 0.3, on = 4, off = 3'
ALWAYS_ON = 'rule = "always-on", weekly = {money}, cv = 0.4'
CHASING = 'rule = "demand-chasing", weekly = {money}, cv = 0.3, strength = 2.0, window = 6'
BOUGHT = 'rule = "demand-capturing", weekly = {money}, cv = 0.2, strength = 1.0, halo = {halo}, cap = 1.3'
HILL = 'kind = "hill", half_at = 1.0, slope = { dist = "uniform", low = 0.7, high = 1.8 }'
S_SHAPE = 'kind = "hill", half_at = 1.2, slope = 3.0'


def channel(
    name: str,
    spend: str = ALWAYS_ON,
    *,
    money: float = 100.0,
    halo: float = 1.0,
    carry_over: str = 'kind = "geometric", retention = 0.5, length = 6',
    saturation: str = HILL,
    order: str = "carry-over-first",
) -> str:
    """One channel's table."""
    rule = spend.replace("{money}", repr(float(money))).replace("{halo}", repr(float(halo)))
    return CHANNEL.format(name=name, spend=rule, carry_over=carry_over, saturation=saturation, order=order)


def scenario(
    *channels: str,
    name: str = "test-world",
    weeks: int = 60,
    geos: int = 1,
    value: float = 2.0,
    shock: bool = False,
    extra: str = "",
    base: str = "",
) -> str:
    """A scenario's text; with `base` it draws the innovations of that family."""
    unseen = "shock = { rho = 0.7, sd = 0.1 }" if shock else ""
    apart = APART if geos > 1 else ""
    short = ", part_of_a_year = true" if weeks < 52 else ""
    head = HEAD.format(name=name, weeks=weeks, geos=geos, value=value, shock=unseen, short=short, extra=apart + extra)
    text = head + "".join(channels)
    return text.replace('breaks = ""', f'base = "{base}"\nbreaks = "compound"', 1) if base else text


def plain(money: float = 1.0, **options: object) -> str:
    """Two set channels without interaction."""
    return scenario(channel("tv", FLIGHTED, money=150 * money), channel("video", money=80 * money), **options)  # type: ignore[arg-type]


def bought(halo: float = 1.0, **options: object) -> str:
    """A flighted and a bought channel that captures the demand the first one brings."""
    parts = channel("tv", FLIGHTED, money=150.0), channel("search", BOUGHT, money=60.0, halo=halo)
    return scenario(*parts, shock=True, **options)  # type: ignore[arg-type]


def chasing(**options: object) -> str:
    """A flighted channel and one whose budget chases sales."""
    return scenario(channel("tv", FLIGHTED, money=150.0), channel("social", CHASING, money=80.0), **options)  # type: ignore[arg-type]


def written(folder: Path, text: str) -> Path:
    """The text as a file, named as it names itself."""
    name = text.split('name = "', 1)[1].split('"', 1)[0]
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path
