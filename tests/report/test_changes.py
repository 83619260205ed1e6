"""What a file changes of its base, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from simbench.report.changes import changes, drawn, ends, swept, together, told
from simbench.world.scenario import Scenario, read_scenario
from simbench.world.scenario_numbers import Choice, LogNormal, Uniform

CLEAN = read_scenario("clean")
HEAD = 'schema_version = 1\nname = "changed"\nbase = "clean"\nbreaks = "compound"\n'


def said(scenario: Scenario, base: Scenario = CLEAN) -> list[str]:
    return [f"{path} {text}" for path, text in told(changes(base, scenario))]


def changed(folder: Path, text: str) -> Scenario:
    file = folder / "changed.toml"
    file.write_text(HEAD + text)
    return read_scenario(file)


def test_a_scenario_changes_nothing_of_itself(tmp_path: Path) -> None:
    assert changes(CLEAN, CLEAN) == [] == changes(CLEAN, changed(tmp_path, 'title = "Another title"\n'))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[noise]\nshare = 0.1", ["noise.share 0.05 -> 0.1"]),
        # the windows asked about follow from the weeks and are not told
        ("[time]\nweeks = 160", ["time.weeks 156 -> 160"]),
        # of two keys that exclude each other, the one that is there
        ("[noise]\nr_squared = 0.9", ["noise.r_squared = 0.9"]),
        # another kind first; what only the old one had is not told, nor what the new one has by default
        ('[noise]\nkind = "ar1"\nshare = 0.05\nrho = 0.5', ["noise.kind gaussian -> ar1", "noise.rho = 0.5"]),
        # a new table, and one that says nothing but what it is
        ("[demand]\nshock = { rho = 0.8, sd = 0.1 }", ["demand.shock = rho 0.8, sd 0.1"]),
        (
            '[[channels]]\nname = "tv"\nspend = { of_sales = {} }',
            ["channels.tv.spend.of_sales = window 4"],
        ),
        (
            '[[demand.breaks]]\nname = "shift"\nkind = "level"\nweek = 104\nfactor = 0.75',
            ["demand.breaks.shift = level, week 104, factor 0.75"],
        ),
        # lists and flags
        (
            '[[demand.events]]\nname = "black-friday"\ndates = ["2021-11-26"]\nseen = false',
            [
                "demand.events.black-friday.dates [2021-11-26, 2022-11-25, 2023-11-24, 2024-11-29] -> [2021-11-26]",
                "demand.events.black-friday.seen yes -> no",
            ],
        ),
    ],
)
def test_one_change(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert said(changed(tmp_path, text)) == expected


def test_channels_that_change_alike_are_told_together() -> None:
    assert said(read_scenario("s-shaped")) == ["channels.*.saturation.slope 0.8 to 1.6 -> 2.5 to 3"]
    assert said(read_scenario("collinear")) == [
        "spend.correlation = 0.9",
        "channels.*.spend.rule flighted or pulsed or always-on -> correlated",
        "channels.(tv, radio, online-video).spend.weekly 2,500 to 9,000 -> 1,250 to 5,400",
        "channels.(paid-social, generic-search).spend.cv 0.3 to 0.4 -> 0.25",
    ]


def test_many_names_are_counted(tmp_path: Path) -> None:
    rows = [f'[[channels]]\nname = "{channel.name}"\nroas = 1.0\n' for channel in CLEAN.channels[:4]]
    assert said(changed(tmp_path, "".join(rows))) == ["channels.(4 of 5).roas 0.621 to 3.28 -> 1"]


def test_values_that_change_places_are_told_one_by_one(tmp_path: Path) -> None:
    text = '[[channels]]\nname = "{}"\nspend = {{ weekly = {} }}\n'
    swapped = changed(tmp_path, text.format("tv", 2500.0) + text.format("radio", 9000.0))
    assert said(swapped) == ["channels.tv.spend.weekly 9,000 -> 2,500", "channels.radio.spend.weekly 2,500 -> 9,000"]


def test_long_lists_that_differ_inside_are_told_as_such(tmp_path: Path) -> None:
    dates = ["2021-03-01", "2021-0{}-01", "2022-03-01", "2023-03-01", "2024-03-01"]
    text = f'[[demand.events]]\nname = "fair"\nlift = 0.1\ndates = {dates}\n'.replace("'", '"')
    one, other = (changed(tmp_path, text.replace("{}", month)) for month in "67")
    assert said(other, one) == ["demand.events.fair.dates -> another [2021-03-01, ..., 2024-03-01]"]


def test_new_entries_of_one_kind_are_told_together(tmp_path: Path) -> None:
    step = '[[measure]]\nname = "{}"\nkind = "unit"\nfactor = {}\nchannels = ["tv"]\n'
    other = '[[measure]]\nname = "gaps"\nkind = "missing"\nshare = 0.1\n'
    dirty = changed(tmp_path, step.format("a", 0.5) + step.format("b", 4.0) + other)
    assert said(dirty) == ["measure.(a, b) = unit, channels [tv], factor 0.5 to 4", "measure.gaps = missing, share 0.1"]
    assert said(CLEAN, dirty) == ["measure.(a, b) taken out", "measure.gaps taken out"]


def test_a_new_channel_is_told_by_its_kinds() -> None:
    text = next(line for line in said(read_scenario("confounded-search")) if "brand-search" in line)
    assert text.startswith("channels.brand-search = brand-search, spend demand-capturing, carry over none, ")


def test_ranges_of_what_is_drawn(tmp_path: Path) -> None:
    assert drawn(changes(CLEAN, read_scenario("s-shaped"))) == [("channels.*.saturation.slope", "2.5 to 3")]
    inside = '[demand]\nshock = { rho = 0.8, sd = { dist = "uniform", low = 0.1, high = 0.2 } }\n'
    assert drawn(changes(CLEAN, changed(tmp_path, inside))) == [("demand.shock.sd", "0.1 to 0.2")]
    slope = '{ dist = "uniform", low = 0, high = 0.1 }'
    lists = f'[demand]\ntrend = {{ kind = "piecewise", knots = [9], per_year = [0, {slope}] }}\n'
    assert drawn(changes(CLEAN, changed(tmp_path, lists))) == [("demand.trend.per_year.1", "0 to 0.1")]
    assert drawn(changes(CLEAN, read_scenario("geo-20"))) == []


def test_a_sweep_is_its_key_and_the_values_of_its_points() -> None:
    assert swept(read_scenario("collinear")) == ("spend.correlation", "0, 0.5, 0.9, 0.99")
    assert swept(CLEAN) is None


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0, 1.0], "1"),
        ([3, 1, 2], "1 to 3"),
        ([0.5, Uniform(dist="uniform", low=0.1, high=0.4)], "0.1 to 0.5"),
        ([None, 26.0, 52.0], "none or 26 to 52"),
        ([True, False], "yes or no"),
        (["a", "b", "c", "d"], "a or b or c or ..."),
        ([(1.0, 2.0), (3.0,)], "1 to 2 entries"),
        ([(1.0, 2.0, 3.0, 4.0, 5.0)], "[1, ..., 5]"),
    ],
)
def test_values_as_one(values: list[object], text: str) -> None:
    assert together(values) == text


def test_ends_are_quantiles_where_there_are_none() -> None:
    assert ends(Choice(dist="choice", values=(3.0, 1.0))) == (1.0, 3.0)
    assert ends(LogNormal(dist="lognormal", median=1.0, sigma=0.4)) == (0.518, 1.93)
