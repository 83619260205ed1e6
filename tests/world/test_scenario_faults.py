from __future__ import annotations

import copy
import json
import re
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world.scenario_text import SMALL, refused, replaced, write

from simbench.errors import BadInput
from simbench.world.scenario import (
    numbers,
    points,
    quantile,
    read_scenario,
    scenario_digest,
    scenario_names,
)

# --- faults --------------------------------------------------------------------------------------

#: What is changed in SMALL ("old => new", or "+ new" put in before [noise]), and what the error says.
FAULTS = r"""
cv = 0.2, on => cvv = 0.2, on
    channels.tv.spend.cvv: unknown key | did you mean 'cv'?
[noise] => [nois]
    nois: unknown key | did you mean 'noise'?
title = => titel =
    titel | did you mean 'title'?
weekly = 10.0, cv = 0.2, on = 3 => weekly = 10.0, cv = 0.2
    channels.tv.spend.on: missing
schema_version = 1 => schema_version = 2
    version 2 is unknown | schema_version = 1
schema_version = 1 => schema_version = true
    version True is unknown
"small" => "Small One"
    name: 'Small One' is refused | 'my-scenario'
breaks = "" => breaks = "exogenous-spent"
    breaks: | did you mean 'exogenous-spend'?
breaks = "" =>
    breaks: missing
weeks = 60 => weeks = 60\nperiod_days = 1
    time.period_days: 1 is not supported | sb.to_weeks
weeks = 60 => weeks = 5001
    time.weeks: 5001 is refused | 5000
weeks = 60 => weeks = 60.0
    time.weeks: 60.0 is refused | integer
weeks = 60 => weeks = 60\nstart = "2021-1-4"
    time.start: '2021-1-4' is not a date
weeks = 60 => weeks = 60\nstart = "2021-W01-1"
    '2021-W01-1' is not a date
[time] => [geo]\ncount = 1001\n[time]
    geo.count: 1001 | 1000
[time] => [geo]\nlevel_sd = -1\n[time]
    geo.level_sd: -1 is out of range | [0, inf)
level = 100.0 => level = nan
    demand.level: nan is refused | finite
level = 100.0 => level = inf
    demand.level: inf is refused | finite
level = 100.0 => level = 1e16
    demand.level: 1e+16 is too large
level = 100.0 => level = "100"
    demand.level: '100' is not a number
level = 100.0 => level = true
    demand.level: True is not a number
level = 100.0 => level = 0
    demand.level: 0 is out of range | (0, inf)
per_year = 0.02 => per_year = -0.5
    demand.trend.per_year | zero demand
per_year = 0.02 => per_year = 1.1
    demand.trend.per_year | from week -52
per_year = 0.02 => per_year = { dist = 'normal', mean = 0, sd = 0.01 }
    per_year | zero demand
kind = "linear", per_year = 0.02 => kind = "piecewise", knots = [10], per_year = [0.1]
    demand.trend.per_year: 1 slopes for 1 knots
kind = "linear", per_year = 0.02 => kind = "piecewise", knots = [20, 10], per_year = [0, 0, 0]
    demand.trend.knots | do not rise
kind = "linear", per_year = 0.02 => kind = "piecewise", knots = [200], per_year = [0, 0]
    demand.trend.knots | between -52 and 111
kind = "linear", per_year = 0.02 => kind = "piecewise", knots = [60], per_year = [0.0, -1.1]
    demand.trend.per_year | zero demand
amplitude = 0.2 => amplitude = 0.5
    demand.season.amplitude | amplitude < 0.5
amplitude = 0.2 => amplitude = { dist = 'uniform', low = 0, high = 0.6 }
    demand.season.amplitude
order = 4 => order = 11
    demand.season.order: 11
kind = "random", order = 4, amplitude = 0.2 => kind = "fixed", cosine = [0.1], sine = [0.1, 0.2]
    demand.season.sine: 2 sines for 1 cosines
kind = "random", order = 4, amplitude = 0.2 => kind = "fixed", cosine = [0.8], sine = [-0.7]
    demand.season.cosine | zero demand
+ [demand.shock]\nrho = 1\nsd = 0.1
    demand.shock.rho: 1 is out of range
2021-06-01 => 2031-06-01
    demand.events.sale.dates: '2031-06-01' is outside | 2023-02-26
2021-06-01 => 2019-06-01
    is outside the simulated weeks | 2020-01-06
effect = -2 => effect = -2\nof_media = 1
    controls.price.of_media: media move it, and it moves the KPI: a circle | effect = 0
effect = -2 => effect = 0\nof_media = 1
    controls.price.of_media: 'search' reacts to demand or sales | budgets that follow a plan
lift = 0.3 => lift = -1
    demand.events.sale.lift: -1 is out of range
["2021-06-01"] => []
    demand.events.sale.dates | at least 1 entries
weeks = 60 => weeks = 40
    demand.season.part_of_a_year: 40 weeks show only a part of it | 52 weeks or more
+ [[demand.breaks]]\nname = 'b'\nkind = 'level'\nweek = 112\nfactor = 0.8
    demand.breaks.b.week: the break can lie outside | between -52 and 111
+ [[demand.breaks]]\nname = 'b'\nkind = 'level'\nweek = { dist = 'normal', mean = 9, sd = 1 }\nfactor = 0.8
    demand.breaks.b.week: the break can lie outside
+ [[demand.breaks]]\nname = 'b'\nkind = 'spell'\nweek = {dist = 'uniform', low = 1, high = 100}\nweeks = 13\nfactor = 2
    demand.breaks.b.weeks: the spell can be longer than what is left | at most 12
+ [[demand.breaks]]\nname = 'b'\nkind = 'level'\nweek = 1\nfactor = 0
    demand.breaks.b.factor: 0 is out of range | (0, inf)
+ [[demand.breaks]]\nname = 'b'\nkind = 'level'\nweek = 1\nfactor = 2\nweeks = 3
    demand.breaks.b.weeks: unknown key
+ [[demand.competitors]]\nname = 'rival'\nkind = 'shocks'\na_year = 2\nweeks = 3\ndepth = 1
    demand.competitors.rival.depth: 1 is out of range | [0, 1)
+ [[demand.competitors]]\nname = 'rival'\nkind = 'share'\nrho = 0.5
    demand.competitors.rival.kind: 'share' is not known | 'share-of-voice'
+ [[demand.competitors]]\nname = 'rival'\nkind = 'spend'\nweekly = 0\nrho = 0.5\nsd = 1\neffect = 1
    demand.competitors.rival.weekly: 0 is out of range | (0, inf)
+ [[demand.competitors]]\nname = 'price'\nkind = 'share-of-voice'\nrho = 0.5\nsd = 1\neffect = 1
    demand.competitors.price.name: 'price' is a control too
+ [[controls]]\nname = 'sale'\nsd = 1\neffect = 1
    demand.events.sale.name: 'sale' is a control too
+ [demand.promotions]\nevery = 4\nweeks = 5\nlow = 0.1\nhigh = 0.2\nelasticity = 2
    demand.promotions.weeks: promotions can be longer than the time between them | weeks <= every
+ [demand.promotions]\nevery = 4\nweeks = 2\nlow = 0.3\nhigh = 0.2\nelasticity = 2
    demand.promotions.low: can exceed high
+ [[controls]]\nname='promotion'\nsd=1\neffect=1\n[demand.promotions]\nevery=4\nweeks=2\nlow=0\nhigh=0\nelasticity=2
    controls.promotion.name: 'promotion' is the column of promotions too
[[controls]] => [[controls]]\nname = "price"\nsd = 1\neffect = 1\n[[controls]]
    2 times
name = "price" => name = "price"\nkind = "white"
    controls.price.kind: 'white' | ar
name = "price" => name = "pri.ce"
    controls.pri.ce.name: 'pri.ce' is refused | a letter, then
name = "search" => name = "tv"
    channels: 'tv' occurs 2 times
kind = "tv" => kind = "tvs"
    channels.tv.kind: 'tvs' is not known | did you mean 'tv'?
rule = "flighted" => rule = "flighty"
    channels.tv.spend.rule: 'flighty' | 'flighted'?
rule = "flighted",  =>
    channels.tv.spend.rule: missing
halo = 0.5 => halo = 0.5, lever = "set"
    channels.search.spend.lever: 'set' | bought
on = 3 => on = 0
    channels.tv.spend.on: 0 is refused
on = 3 => on = 3, window = 2
    channels.tv.spend.window: unknown key | weekly
kind = "geometric" => kind = "geometrical"
    channels.tv.carry_over.kind | 'geometric'?
retention = 0.5 => retention = 0.5, half_life = 1
    retention and half_life given together
"geometric", retention = 0.5 => "geometric"
    carry_over.retention: nothing given | exactly one
retention = 0.5 => retention = 1
    channels.tv.carry_over.retention: 1 is out of range | [0, 1)
retention = 0.5 => retention = { dist = 'normal', mean = 0.5, sd = 0.1 }
    normal can reach 1 | [0, 1)
retention = 0.5 => retention = { dist = 'uniform', low = 0, high = 1 }
    uniform can reach 1
retention = 0.5 => retention = { dist = 'choice', values = [-0.1, 0.1] }
    choice can fall below 0
retention = 0.5 => retention = 0.5, length = 105
    channels.tv.carry_over.length: 105
"geometric", retention = 0.5 => "delayed", retention = 0.5, peak = 13
    channels.tv.carry_over.peak | peak < length = 13
kind = "hill" => kind = "hil"
    channels.tv.saturation.kind: 'hil' | did you mean 'hill'?
half_at = 1.0, slope => half_at = 0, slope
    channels.tv.saturation.half_at: 0 is out of range
"exponential", half_at = 1.0 => "power", exponent = 1.5
    exponent: 1.5 | (0, 1]
slope = 1.2 => slope = 1.2, scaled_by = "mean"
    channels.tv.saturation.scaled_by: 'mean' is not known | mean-active, max, money
effect = 8.0 => effect = 8.0\nroas = 1
    roas and effect given together
effect = 8.0 =>
    channels.search.roas: nothing given | exactly one of roas, effect
effect = 8.0 => effect = 8.0\nprior = { sd = 0 }
    channels.search.prior.sd: 0 is out of range
sigma = 0.4 => sigma = -1
    channels.tv.roas.sigma: -1 is out of range
dist = "lognormal" => dist = "log-normal"
    channels.tv.roas.dist | 'lognormal'?
dist = "lognormal",  =>
    channels.tv.roas.dist: missing
median = 1.5,  =>
    channels.tv.roas.median: missing
median = 1.5 => mean = 1.5
    channels.tv.roas.mean: unknown key | allowed: dist, median, sigma
retention = 0.5 => retention = { dist = 'uniform', low = 0.4, high = 0.4 }
    retention.low | low < high
halo = 0.5 => halo = 0.5, follows = ['search']
    search -> search is a circle
halo = 0.5 => halo = 0.5, follows = ['tvv']
    'tvv' is no channel | did you mean 'tv'?
TV_SPEND => rule = "always-on", weekly = 10.0, cv = 0.2, quarterly = { strength = 1, low = 1.5, high = 1.8 }
    channels.tv.spend.quarterly.low: the bounds leave out the plan itself | low <= 1 <= high
TV_SPEND => rule = "always-on", weekly = 10.0, cv = 0.2, quarterly = { strength = 1, high = 0.9 }
    channels.tv.spend.quarterly.low: the bounds leave out the plan itself
TV_SPEND => rule = "always-on", weekly = 10.0, cv = 0.2, cycle = 1
    channels.tv.spend.cycle: there is no [spend.cycle] | cycle = 0
TV_SPEND => rule = "always-on", weekly = 10.0, cv = 0.2, anticipation = 0.3
    channels.tv.spend.anticipation: there is no [demand.promotions] | anticipation = 0
TV_SPEND => rule = "always-on", weekly = 10.0, cv = 0.2, from_week = 112
    channels.tv.spend.from_week: 112 is never reached | before 112
TV_SPEND => rule = "always-on", weekly = 10.0, cv = 0.2, steps = [{ name = "up", week = 112, factor = 2 }]
    channels.tv.spend.steps.up.week: the step at 112 changes nothing | within -52 to 111
TV_SPEND => rule = "always-on", weekly = 10.0, cv = 0.2, steps = [{ name = "up", week = -60, weeks = 8, factor = 2 }]
    channels.tv.spend.steps.up.week: the step at -60 changes nothing
effect = 8.0 => effect = 8.0\nnational_only = true
    channels.search.national_only: true in a national world | geo.count > 1
[time] => [geo]\neffect_sd = 0.1\n[time]
    geo.effect_sd: a nation has no geos that differ | count > 1
+ [[demand.competitors]]\nname = 'rival'\nkind = 'entrant'\nweek = 112\nweeks = 9\ndepth = 0.2
    demand.competitors.rival.week: it never enters | 111 or before
+ SYNERGY\nname='a'\nchannels=['tv','search']SYNERGY\nname='b'\nchannels=['search','tv']
    synergies.b.channels: 'a' is of search and tv too | every pair once
+ [spend]\ncorrelation = 0.5
    spend.correlation: 0 channels
TV_SPEND => rule = "demand-chasing", weekly = 10.0, cv = 0.2, strength = 1, low = 1.2
    low <= 1 <= high
TV_SPEND => rule = "recorded", file = "/etc/a.csv", column = "a"
    channels.tv.spend.file: '/etc/a.csv' is refused
TV_SPEND => rule = "recorded", file = "data/../../a.csv", column = "a"
    is refused | scenario's folder
+ [kpi]\nvalue = 2
    kpi.value: 2 for a KPI that is money
+ [kpi]\nmargin = 1.1
    kpi.margin: 1.1 is out of range | (0, 1]
+ [kpi]\nunit = 'sales'
    kpi.unit: 'sales' is not known | revenue, conversions
share = 0.05 => share = 0.05\nsd = 1
    noise.share: share and sd given together
share = 0.05 =>
    noise.share: nothing given | exactly one of share, r_squared, sd
share = 0.05 => r_squared = 0
    noise.r_squared: 0 is out of range | (0, 1]
kind = "gaussian"\nshare = 0.05 => kind = "poisson"
    kpi.unit: noise.kind = 'poisson' counts | unit = 'conversions'
kind = "gaussian"\nshare = 0.05 => kind = "negative-binomial"\ndispersion = 3\nzero = 1
    noise.zero: 1 is out of range | [0, 1)
kind = "gaussian" => kind = "poisson"
    noise.share: unknown key | allowed: kind, zero
kind = "gaussian" => kind = "gaussian"\npower = 0.5\nmultiplicative = true
    noise.power: given beside multiplicative
kind = "gaussian" => kind = "student-t"\ndf = 2
    noise.df: 2 is out of range
kind = "gaussian" => kind = "ar1"\nrho = 0.1\nmultiplicative = true
    noise.multiplicative
+ [questions]\nwindow = []
    questions.window | did you mean 'windows'?
+ [questions]\nwindows = [[10, 61]]
    windows outside the data: [10, 61]
+ [questions]\nwindows = [[10, 10]]
    windows outside the data
+ [questions]\nwindows = [[10]]
    questions.windows.0
+ [questions]\nmultipliers = [0, 2]
    questions.multipliers | 0 and 1
+ [questions]\nmultipliers = [1, 0]
    questions.multipliers
+ [questions]\nimpulse_lags = 28
    questions.impulse_lags: 28 | tail + 1 = 27
+ [questions]\nlevels = 4
    questions.levels: 4 is refused
+ [[questions.problems]]\nname = 'a'\nscope = 'geo'
    questions.problems.a.scope | geo.count > 1
+ [[questions.problems]]\nname = 'a'\nbudget = 'half'
    questions.problems.a.budget: 'half' is no budget
+ [[questions.problems]]\nname = 'a'\nbudget = [1, 0.5]
    low 1 is above high 0.5
+ [[questions.problems]]\nname = 'a'\nlower = 3
    lower 3 is above upper 2
+ [[questions.problems]]\nname = 'a'\nupper = 0.8
    a.budget: no plan fits
+ [[questions.problems]]\nname = 'a'\nupper = 'any'
    a.upper: 'any' is no bound
+ [[questions.problems]]\nname = 'a'\ngroups = [{ channels = ['tb'] }]
    problems.a.groups.0.channels: 'tb' is no channel | did you mean 'tv'?
+ [[questions.problems]]\nname = 'a'\ngroups = [{ channels = ['tv', 'tv'] }]
    'tv' occurs twice
+ [[questions.problems]]\nname = 'a'\ngroups = [{ channels = ['tv'], low = 2, high = 1 }]
    groups.0.low: low 2 is above high 1
+ [[questions.problems]]\nname = 'a'\n[[questions.problems]]\nname = 'a'
    2 times
+ [sweep]\nkey = 'noise.shar'\nvalues = [0.1]
    did you mean 'noise.share'?
+ [sweep]\nkey = 'name'\nvalues = ['a']
    unknown key 'name'
+ [sweep]\nkey = 'channels.tv'\nvalues = [1]
    unknown key
+ [sweep]\nkey = 'noise.share'\nvalues = [0.1, -1]
    [-1]: noise.share: -1 is out
+ [sweep]\nkey = 'noise.share'\nvalues = [0.1, 0.10]
    two values look alike
+ [sweep]\nkey = 'noise.share'\nvalues = []
    sweep.values
level = 100.0 => level = 100.0\nlevel = 3
    cannot be parsed
breaks = "" => breaks = ""\nbase = "claen"
    base: 'claen' is no such scenario | 'clean'?
breaks = "" => breaks = ""\nbase = "../clean"
    is no scenario's name
breaks = "" => breaks = ""\nbase = "small"
    small -> small is a circle
"""
TV_SPEND = 'rule = "flighted", weekly = 10.0, cv = 0.2, on = 3, off = 2'


def faulty(change: str) -> str:
    """SMALL with a change of FAULTS."""
    change = change.replace("\\n", "\n").replace("TV_SPEND", TV_SPEND)
    change = change.replace("SYNERGY", "\n[[synergies]]\nstrength = 1")
    if change.startswith("+ "):
        return replaced("[noise]", f"{change[2:]}\n[noise]")
    old, new = change.split(" =>")
    return replaced(old, new.removeprefix(" "))


CHANGES = FAULTS.strip().split("\n")


@pytest.mark.parametrize(("change", "fragments"), list(zip(CHANGES[::2], CHANGES[1::2], strict=True)))
def test_faults_are_named(tmp_path: Path, change: str, fragments: str) -> None:
    message = refused(write(tmp_path, faulty(change)))
    for fragment in fragments.strip().split(" | "):
        assert fragment in message
    assert message.startswith(str(tmp_path / "small.toml"))


def test_missing_tables_are_named(tmp_path: Path) -> None:
    assert "noise: missing" in refused(write(tmp_path, SMALL[: SMALL.index("[noise]")]))
    without = SMALL[: SMALL.index("[[channels]]")] + SMALL[SMALL.index("[noise]") :]
    assert "channels: missing" in refused(write(tmp_path, without))


def test_several_faults_are_counted(tmp_path: Path) -> None:
    text = replaced("level = 100.0", "level = -1").replace("share = 0.05", 'share = "x"')
    text = text.replace("effect = -2", "effect = [1]")
    message = refused(write(tmp_path, text))
    assert "demand.level: -1 is out of range" in message
    assert message.endswith("(and 2 more)")


def test_long_values_are_shortened(tmp_path: Path) -> None:
    message = refused(write(tmp_path, replaced("level = 100.0", f'level = "{"x" * 900}"')))
    assert "xxx..." in message and len(message) < 300


def test_circles_of_captured_demand(tmp_path: Path) -> None:
    bought = "spend = { rule = 'demand-capturing', weekly = 1, cv = 0, strength = 1, follows = ['search'] }"
    text = re.sub(r"^spend = .*$", bought, SMALL, count=1, flags=re.M)
    assert read_scenario(write(tmp_path, text)).channels[0].spend.follows == ("search",)
    message = refused(write(tmp_path, text.replace("halo = 0.5", "halo = 0.5, follows = ['tv']")))
    assert "tv -> search -> tv is a circle" in message


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (TV_SPEND, 'rule = "always-on", weekly = 1.0, cv = 0.2, season = 1', "channels.tv.spend.season"),
        ("effect = 8.0", "effect = 8.0\nprice = { season = { dist = 'uniform', low = 0, high = 1 } }",
         "channels.search.price.season"),
    ],
)  # fmt: skip
def test_nothing_follows_a_season_that_is_not_there(tmp_path: Path, old: str, new: str, place: str) -> None:
    text = replaced(old, new)
    assert read_scenario(write(tmp_path, text)).demand.season.kind == "random"
    flat = text.replace('kind = "random", order = 4, amplitude = 0.2', 'kind = "none"')
    message = refused(write(tmp_path, flat))
    assert f"small.toml: {place}: there is no season of demand" in message and "season = 0" in message


def test_what_begins_in_the_weeks_ahead_is_no_fault(tmp_path: Path) -> None:
    late = 'steps = [{ name = "up", week = 111, factor = 2 }, { name = "before", week = -60, weeks = 9, factor = 2 }]'
    spend = f'rule = "always-on", weekly = 10.0, cv = 0.2, from_week = 111, {late}'
    assert read_scenario(write(tmp_path, replaced(TV_SPEND, spend))).channels[0].spend.from_week == 111


def correlated(count: int, correlation: str) -> str:
    channel = SMALL[SMALL.index("[[channels]]") : SMALL.index("[[channels]]", SMALL.index("[[channels]]") + 1)]
    channel = re.sub(r"spend = .*", 'spend = { rule = "correlated", weekly = 1, cv = 0.2 }', channel)
    many = "".join(channel.replace('"tv"\nkind', f'"tv{i}"\nkind') for i in range(count))
    spend = f"[spend]\ncorrelation = {correlation}\n" if correlation else ""
    return SMALL.replace("[[channels]]", f"{many}\n[[channels]]", 1).replace("[noise]", f"{spend}[noise]")


@pytest.mark.parametrize(
    ("count", "correlation", "fragment"),
    [
        (2, "", "spend.correlation: missing for 2 channels"),
        (1, "0.5", "1 channels have rule = 'correlated'"),
        (3, "-0.5", "-0.5 is out of range; above -0.5"),
        (3, "1", "spend.correlation: 1 is out of range"),
        (3, "{ dist = 'uniform', low = -0.6, high = 0 }", "-0.6 is out of range"),
        (3, "-0.49", ""),
        (2, "-0.99", ""),
        (3, "{ dist = 'beta', a = 2, b = 2 }", ""),
        (1, "", ""),
    ],
)
def test_feasible_correlations(tmp_path: Path, count: int, correlation: str, fragment: str) -> None:
    path = write(tmp_path, correlated(count, correlation))
    if fragment:
        assert fragment in refused(path)
    else:
        assert len(read_scenario(path).channels) == count + 2


def test_more_channels_than_weeks_cannot_be_correlated(tmp_path: Path) -> None:
    text = correlated(8, "0.5").replace("weeks = 60", "weeks = 8")
    assert "time.weeks: 8 weeks are too few" in refused(write(tmp_path, text))


@pytest.mark.parametrize("curve", ["kind = 'power', exponent = 0.5", "kind = 'log', half_at = 1", "kind = 'none'"])
def test_no_upper_bound_needs_a_ceiling(tmp_path: Path, curve: str) -> None:
    text = re.sub(r"^saturation = .*$", f"saturation = {{ {curve} }}", SMALL, count=1, flags=re.M)
    text += '\n[[questions.problems]]\nname = "far"\nbudget = "free"\nupper = '
    assert read_scenario(write(tmp_path, text + "3")).questions.problems[0].upper_share == 3.0
    message = refused(write(tmp_path, text + '"none"'))
    assert "questions.problems.far.upper" in message and "tv has a saturation without a ceiling" in message


# --- hostile files -------------------------------------------------------------------------------

HOSTILE = {
    "long key": (".".join(["a"] * 50_000)) + " = 1",
    "long keys": "\n".join(f"[t{i}]\n" + ".".join(["a"] * 490) + " = 1" for i in range(60)),
    "spaced keys": " . ".join(["a"] * 200) + " = 1",
    "quoted keys": ".".join(['""'] * 300) + " = 1",
    "headers": "\n".join(f"[b{i}." + ".".join(["a"] * 480) + "]" for i in range(60)),
    "nested arrays": "a = " + "[\n" * 30_000,
    "closed arrays": "a = " + "[" * 300 + "]" * 300,
    "nested tables": "b = " + "{a=" * 200 + "1" + "}" * 200,
    "nested headers": "[a.b.c.d.e.f.g.h.i.j.k.l.m]",
    "long line": "title = '" + "x" * 1000 + "'",
    "large": "# comment\n" * 7000,
    "twice": "a = 1\na = 2",
    "broken": "[[[",
    "control characters": "title = '\x00'",
    "huge integer": "schema_version = " + "9" * 900,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused(tmp_path: Path, case: str) -> None:
    message = refused(write(tmp_path, HOSTILE[case]))
    assert message.startswith(str(tmp_path))


def test_long_numbers_lists_and_prose_are_no_long_keys(tmp_path: Path) -> None:
    grid = ", ".join(f"{i / 20}" for i in range(101))
    text = SMALL.replace('"A small one"', '"See a. b. c. d. e. And so on... www.a-long.example.org."')
    scenario = read_scenario(write(tmp_path, f"{text}\n[questions]\nmultipliers = [{grid}]"))
    assert len(scenario.questions.multipliers) == 101


@pytest.mark.parametrize(
    "content",
    [
        "[1]",
        "{",
        '{"a": 1, "a": 2}',
        "[" * 60_000,
        '{"schema_version": NaN}',
        "1",
        '{"a": ' * 50 + "1" + "}" * 50,
    ],
)
def test_hostile_json_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    refused(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "x.toml", tmp_path / "none.toml", tmp_path, "a\0.toml", "x" * 5000 + ".toml"):
        refused(path)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.sampled_from(["clean", "collinear"]).flatmap(
    lambda name: st.text(max_size=5).map(lambda point: f"{name}[{point}]")
))  # fmt: skip
def test_any_name_is_a_scenario_or_bad_input(name: str) -> None:
    try:
        read_scenario(name)
    except BadInput:
        return
    assert name.split("[")[0] in scenario_names()


def read_anything(text: str, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            scenario = read_scenario(path)
            for point in points(scenario):
                assert re.fullmatch("[0-9a-f]{64}", scenario_digest(point))
        except BadInput:
            return
        u = np.array([1e-9, 0.5, 1 - 1e-9])
        assert all(np.isfinite(quantile(number, u)).all() for number in numbers(scenario).values())


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200), st.integers(0, len(SMALL)), st.integers(0, 40))
def test_any_text_is_a_scenario_or_bad_input(text: str, at: int, cut: int) -> None:
    read_anything(text, ".toml")
    read_anything(SMALL[:at] + text[:20] + SMALL[at + cut :], ".toml")


def places(value: Any, path: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


WHOLE = tomllib.loads(SMALL) | {
    "questions": {"windows": [[0, 9]], "problems": [{"name": "a", "budget": [0, 1], "groups": []}]},
    "sweep": {"key": "noise.share", "values": [0.1]},
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(
        ["none", "hill", "choice", "normal", "recorded", "correlated", "tv", "search", "free", "2021-01-04"]
    ),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["kind", "rule", "dist", "name", "low", "x"]), inner, max_size=4),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(places(WHOLE)[1:]), ANYTHING)
def test_any_value_is_fine_or_bad_input(place: tuple, value: Any) -> None:
    table = copy.deepcopy(WHOLE)
    holder: Any = table
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    read_anything(json.dumps(table), ".json")
