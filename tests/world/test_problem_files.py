"""Allocation problems in scenario files: what is read, and every contradiction with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import worlds

from simbench.errors import BadInput
from simbench.problems import ChannelSpec, GroupSpec
from simbench.world.forms import form_of
from simbench.world.scenario import points, read_scenario, scenario_digest
from simbench.world.seen import labels_of, spec_of

GEO = 'scope = "geo"\n'
TIERS = '[[geo.tiers]]\nname = "large"\ngeos = 1\n[[geo.tiers]]\nname = "small"\ngeos = 2\n'


def text(keys: str, geos: int = 1, name: str = "one", extra: str = "") -> str:
    return worlds.plain(geos=geos, extra=f'{extra}[[questions.problems]]\nname = "p"\n{keys}\n', name=name)


def read(folder: Path, keys: str, **options):
    scenario = read_scenario(worlds.written(folder, text(keys, **options)))
    return spec_of(scenario, form_of(scenario)).problems[0], scenario


def test_everything_that_can_be_asked(tmp_path):
    spec, scenario = read(
        tmp_path,
        GEO + 'budget_money = 900\nlower = 0.5\nupper = 3\npacing = "flat"\nweeks = 6\n'
        'channels = [{ name = "video", upper = "none", lower_money = 2 }, { name = "tv", upper_money = 7.5 }]\n'
        'groups = [{ tiers = ["small"], low = 0.2 },'
        '{ channels = ["video"], geos = ["geo-001", "geo-003"], high = 0.6 }]',
        geos=3, extra=TIERS,
    )  # fmt: skip
    assert spec.budget_money == (900.0, 900.0) and (spec.lower, spec.upper) == (0.5, 3.0)
    assert (spec.pacing, spec.weeks, spec.scope) == ("flat", 6, "geo")
    assert spec.channels == (ChannelSpec(1, None, 5.0, 2.0, None), ChannelSpec(0, None, None, None, 7.5))
    assert spec.groups == (GroupSpec((0, 1), 0.2, None, (1, 2)), GroupSpec((1,), 0.0, 0.6, (0, 2)))
    assert labels_of(scenario, form_of(scenario)).units[0][:3] == ("geo-001/tv", "geo-001/video", "geo-002/tv")


def test_groups_in_money_and_of_the_plan(tmp_path):
    spec, _ = read(
        tmp_path,
        'groups = [{ channels = ["tv"], of = "plan", low = 0.4, high_money = 70.0 },'
        '{ channels = ["video"], low_money = 3, high = 0.5 }]',
    )
    assert spec.groups == (
        GroupSpec((0,), 0.4, None, of="plan", high_money=70.0), GroupSpec((1,), 0.0, 0.5, low_money=3.0),
    )  # fmt: skip


def test_stretches_and_pulses(tmp_path):
    spec, scenario = read(tmp_path, "pacing = 4")
    assert spec.pacing == 4
    assert labels_of(scenario, form_of(scenario)).units[0][-2:] == ("tv/weeks 9-10", "video/weeks 9-10")
    spec, _ = read(tmp_path, 'pacing = "steady-or-pulsed"\npulse = { on = 1, off = 3 }')
    assert (spec.pacing, spec.pulse, spec.budget) == ("steady-or-pulsed", (1, 3), (1.0, 1.0))


def test_what_is_said_by_default_is_no_part_of_the_digest(tmp_path):
    said = 'budget = "fixed"\nlower = 0.0\nupper = 2.0\npacing = "last-year"\nchannels = []\ngroups = []\n'
    plain, explicit = (read_scenario(worlds.written(tmp_path, text(keys))) for keys in ("", said))
    assert scenario_digest(plain) == scenario_digest(explicit)
    other = read_scenario(worlds.written(tmp_path, text("pacing = 5")))
    assert scenario_digest(other) != scenario_digest(plain)


def test_a_child_may_say_in_money_what_its_base_says_in_shares(tmp_path):
    read(tmp_path, 'budget = "free"\nchannels = [{ name = "tv", lower = 0.5, upper = 1.5 }]', name="base")
    child = (
        'schema_version = 1\nname = "child"\nbase = "base"\nbreaks = ""\n[[questions.problems]]\nname = "p"\n'
        'budget_money = [1, 2]\n[[questions.problems.channels]]\nname = "tv"\nupper_money = 9\n'
    )
    (problem,) = read_scenario(worlds.written(tmp_path, child)).questions.problems
    assert problem.budget_money == (1.0, 2.0)
    assert (problem.channels[0].lower, problem.channels[0].upper, problem.channels[0].upper_money) == (0.5, None, 9.0)


def test_a_sweep_over_a_bound_of_a_channel(tmp_path):
    sweep = '[sweep]\nkey = "questions.problems.p.channels.tv.upper_money"\nvalues = [5.0, 50.0]\n'
    _, scenario = read(tmp_path, 'channels = [{ name = "tv", upper_money = 1.0 }]', extra=sweep)
    assert [point.questions.problems[0].channels[0].upper_money for point in points(scenario)] == [5.0, 50.0]


@pytest.mark.parametrize(
    ("keys", "fragment"),
    [
        ('budget = "fixed"\nbudget_money = 5', "p.budget_money: budget and budget_money given together"),
        ("budget_money = [5, 1]", "p.budget_money: low 5 is above high 1"),
        ("budget_money = -5", "p.budget_money: -5 is no budget"),
        ('channels = [{ name = "tv", upper = 1, upper_money = 5 }]', "tv.upper_money: upper and upper_money given"),
        ('channels = [{ name = "tv", lower_money = 6, upper_money = 5 }]', "tv.lower_money: 6 is above the upper"),
        ('channels = [{ name = "tv", lower = 2, upper = 1 }]', "tv.lower: 2 is above the upper bound 1"),
        ('channels = [{ name = "tv", lower = 3 }]', "p.channels.tv.lower: lower 3 is above upper 2"),
        ('channels = [{ name = "tw", lower = 1 }]', "p.channels.tw.name: 'tw' is no channel; did you mean 'tv'?"),
        ('channels = [{ name = "tv" }, { name = "tv" }]', "p.channels: 'tv' occurs 2 times"),
        ('channels = [{ name = "tv", top = 3 }]', "p.channels.tv.top: unknown key"),
        ("groups = [{ low = 0.5 }]", "p.groups.0.channels: a group of nothing"),
        ('groups = [{ channels = ["tv"], low = 0.5, high = 0.4 }]', "p.groups.0.low: low 0.5 is above high 0.4"),
        ('groups = [{ channels = ["tv"], low_money = 5, high_money = 4 }]', "p.groups.0.low_money: low_money 5 is"),
        ('groups = [{ channels = ["tv"], low = 0.5, low_money = 4 }]', "p.groups.0.low_money: low and low_money given"),
        ('groups = [{ channels = ["tv"], high = 0.5, high_money = 4 }]', "p.groups.0.high_money: high and high_mo"),
        ('groups = [{ channels = ["tv"], of = "plan", high = 1.5 }]', "p.groups.0.high: 1.5 of the plan's own total"),
        ('groups = [{ channels = ["tv"], of = "plan", low_money = 4 }]', "p.groups.0.of: 'plan' without a share"),
        ('groups = [{ channels = ["tv"], of = "plans" }]', "p.groups.0.of"),
        ('groups = [{ geos = ["geo-001"] }]', "p.groups.0.geos: geos in a problem of the nation"),
        ("pacing = 11", "p.pacing: a stretch of 11 weeks; at most 10, the weeks decided"),
        ("pacing = 4\nweeks = 3", "p.pacing: a stretch of 4 weeks; at most 3"),
        ("pacing = 0", "p.pacing: 0 is no pacing"),
        ('pacing = "weekly"', "p.pacing: 'weekly' is no pacing"),
        ("pulse = { on = 3 }", "p.pulse: pacing is 'last-year'"),
        ('pacing = "steady-or-pulsed"\npulse = { on = 10, off = 1 }', "p.pulse.on: 10 weeks on of 10"),
        ("weeks = 11", "p.weeks: 11 weeks are decided; at most time.horizon = 10"),
    ],
)  # fmt: skip
def test_contradictions_are_named_with_their_place(tmp_path, keys, fragment):
    with pytest.raises(BadInput) as caught:
        read(tmp_path, keys)
    assert f"questions.problems.{fragment}" in str(caught.value) or f"questions.problems.p.channels.{fragment}" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("keys", "fragment"),
    [
        ('groups = [{ geos = ["geo-004"] }]', "p.groups.0.geos: 'geo-004' is no geo"),
        ('groups = [{ tiers = ["smal"] }]', "p.groups.0.tiers: 'smal' is no tier; did you mean 'small'?"),
        ('groups = [{ tiers = ["small"], geos = ["geo-001"] }]', "p.groups.0.tiers: geos and tiers given together"),
        ('groups = [{ geos = ["geo-001", "geo-001"] }]', "'geo-001' occurs twice; every geo once"),
        ("pacing = 5", "p.pacing: 5 for every geo"),
    ],
)
def test_contradictions_about_geos(tmp_path, keys, fragment):
    with pytest.raises(BadInput) as caught:
        read(tmp_path, GEO + keys, geos=3, extra=TIERS)
    assert fragment in str(caught.value)
