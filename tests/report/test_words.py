"""Words say what the numbers say."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from simbench.report.words import (
    ChannelTruth,
    Move,
    ProblemTruth,
    TruthFacts,
    card,
    changes,
    facts,
    listed,
    number,
    percent,
    phrase,
    sentences,
    short,
)
from simbench.report.words import clean as plain
from simbench.world.scenario import Scenario, read_scenario, scenario_names

#: Said by a file of itself.
OWN = {
    "schema_version", "name", "base", "breaks", "sweep", "title", "summary", "source", "who_should_win", "unrealistic",
    "superseded_by",
}  # fmt: skip
WITH_BASE = [name for name in scenario_names() if read_scenario(name).base]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"), (0.0123, "0.012"), (0.6, "0.60"), (5.678, "5.68"), (45.67, "45.7"), (812.4, "812"),
        (1234.0, "1,234"), (45_678, "45.7k"), (999_499, "999k"), (999_600, "1.00 million"),
        (-2_345_678, "-2.35 million"), (3.2e9, "3.20 billion"), (math.nan, "unknown"),
    ],
)  # fmt: skip
def test_short_numbers(value: float, said: str) -> None:
    assert short(value) == said


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.274, "27%"),
        (0.0312, "3.1%"),
        (0.0995, "10%"),
        (0.0004, "0.04%"),
        (0.0, "0%"),
        (-0.2, "-20%"),
        (1.5, "150%"),
    ],
)
def test_percentages(share: float, said: str) -> None:
    assert percent(share) == said


def test_lists() -> None:
    assert [listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_distributions_and_tables_are_written_shortly() -> None:
    tv = read_scenario("clean").channels[0]
    assert number(tv.roas) == "lognormal 1.3 (sigma 0.4)"
    assert number(tv.saturation.half_at) == "0.6 to 1.6"
    assert number(9000.0) == "9,000"
    assert phrase(tv.spend, "lever") == "flighted, weekly 9,000, cv 0.25, on 6, off 4"
    assert phrase(tv.carry_over, "length") == "geometric, retention 0.3 to 0.8"


def test_text_of_a_file_cannot_command_a_terminal() -> None:
    assert plain("a\x1b[31mred\n  b\x07") == "a?[31mred b?"


def test_card_says_what_a_scenario_is() -> None:
    told = card(read_scenario("confounded-search"))
    assert told["breaks"] == "exogenous-search"
    assert told["breaks_meaning"] == "paid search does not follow demand or other media"
    assert told["family"] == "clean" and len(told["digest"]) == 64
    assert [channel["name"] for channel in told["channels"]][-1] == "brand-search"
    assert told["channels"][-1]["spend"].endswith("(bought)")
    assert card(read_scenario("collinear"))["points"] == [
        "collinear[0]", "collinear[0.5]", "collinear[0.9]", "collinear[0.99]",
    ]  # fmt: skip


def test_card_says_how_a_scenario_is_seen(clean: Any, dirty: Any) -> None:
    assert card(clean.scenario)["measure"] == []
    assert card(dirty.scenario)["measure"] == [
        "unit, channels tv, factor 0.001", "kpi-tracking-loss, week 100, share 0.4", "missing, share 0.2",
        "claims, channels paid-social, coverage 0.9, weeks 4",
    ]  # fmt: skip


def test_facts_do_not_depend_on_what_is_seen(clean: Any, dirty: Any) -> None:
    assert facts(dirty, 1) == facts(clean, 1)


MOVED = """schema_version = 1
name = "moved"
base = "clean"
breaks = "compound"
[demand]
promotions = { every = 8, weeks = 2, low = 0.1, high = 0.3, elasticity = 2 }
breaks = [{ name = "lockdown", kind = "spell", week = 60, weeks = 12, factor = 0.7, fade = 8 }]
competitors = [{ name = "rival", kind = "shocks", a_year = 3, weeks = 4, depth = 0.2 }]
events = [{ name = "black-friday", seen = false }]
[[controls]]
name = "price"
effect = -100
seen = false
"""


def test_card_says_what_moves_demand_and_what_nobody_sees(tmp_path: Path) -> None:
    (tmp_path / "moved.toml").write_text(MOVED)
    assert card(read_scenario(tmp_path / "moved.toml"))["demand"][3:] == [
        "break lockdown: spell, week 60, weeks 12, factor 0.7, fade 8",
        "competitor rival: shocks, a year 3, weeks 4, depth 0.2 (hidden)",
        "promotions of 2 weeks in every 8, discounts from 0.1 to 0.3, elasticity 2",
        "event black-friday, lift 0.2 to 0.4 (hidden)",
        "control price: ar, mean 10, sd 0.5, rho 0.8, effect -100 (hidden)",
    ]


def test_every_shipped_scenario_has_a_card() -> None:
    for name in scenario_names():
        assert card(read_scenario(name))["channels"]


def numbered(scenario: Scenario) -> dict[str, Any]:
    """What a scenario says, flat, from its plain tables."""

    def flat(path: str, value: Any) -> dict[str, Any]:
        if isinstance(value, dict) and "dist" not in value:
            inner = [flat(f"{path}.{key}", item) for key, item in value.items() if key != "name"]
        elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
            inner = [flat(f"{path}.{item.get('name', place)}", item) for place, item in enumerate(value)]
        else:
            return {path: value}
        return {key: item for part in inner for key, item in part.items()}

    told = scenario.model_dump(exclude_none=True, exclude=OWN)
    return {key: item for name, value in told.items() for key, item in flat(name, value).items() if item != ()}


@pytest.mark.parametrize("name", WITH_BASE)
def test_card_leaves_out_nothing_that_a_scenario_changes(name: str) -> None:
    scenario = read_scenario(name)
    base, now = numbered(read_scenario(str(scenario.base))), numbered(scenario)
    told = card(scenario)
    assert told["base"] == scenario.base
    assert {change.key for change in told["changes"]} == {k for k in {**base, **now} if base.get(k) != now.get(k)}
    for change in told["changes"]:
        assert (change.before == "-") == (change.key not in base) and (change.after == "-") == (change.key not in now)
        assert change.before != change.after and max(map(len, change)) < 80
    assert (told["sweep"] != "") == (scenario.sweep is not None) and (told["changes"] or told["sweep"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wandering-baseline", ("demand.trend.sd", "-", "0.015")),
        ("geo-20", ("geo.effect_sd", "0", "0.3")),
        ("geo-national-tv", ("channels.tv.national_only", "no", "yes")),
        ("site-visits", ("controls.site-visits.of_media", "-", "60")),
        ("s-shaped", ("channels.tv.saturation.slope", "0.8 to 1.6", "2.5 to 3")),
        ("orduz-hidden", ("demand.promotions.seen", "yes", "no")),
    ],
)
def test_card_tells_what_stood_there_and_what_stands_there_now(name: str, expected: tuple[str, str, str]) -> None:
    assert expected in card(read_scenario(name))["changes"]


def test_card_of_a_sweep_and_of_one_without_a_base() -> None:
    told = card(read_scenario("collinear"))
    assert told["sweep"] == "spend.correlation: 0, 0.5, 0.9, 0.99" and told["spend_correlation"] == "0.9"
    point = card(read_scenario("collinear[0.5]"))
    assert point["sweep"] == "" and ("spend.correlation", "-", "0.5") in point["changes"]
    clean = card(read_scenario("clean"))
    assert (clean["base"], clean["changes"], clean["sweep"]) == ("", [], "")


def test_card_tells_what_breaks_the_usual_assumptions() -> None:
    """Of scenarios without a base nothing is told by comparison: it has to stand in the lines themselves."""
    geo = card(read_scenario("geo-national-tv"))
    assert geo["geo_spread"] == "population sd 0.8, level sd 0.2, spend sd 0.4, effect sd 0.3"
    assert geo["channels"][0]["effect"].endswith("; one budget for the nation")
    assert geo["problems"] == ["fixed", "free, budget free", "by-geo, scope geo, lower 0.5, upper 1.5"]
    assert card(read_scenario("long-lag"))["channels"][0]["carry_over"].startswith("geometric, length ")
    visits = card(read_scenario("site-visits"))["demand"][-1]
    assert visits == "control site-visits: ar, mean 100, sd 2, rho 0.5, effect 0, of media 60"


def test_facts_are_those_of_the_truth(clean: Any) -> None:
    told, truth, panel = facts(clean, 1), clean.truths[1], clean.briefs[1].panel
    assert told.replicate == 1 and told.kpi == "revenue" and told.horizon == 26
    assert told.media_share == pytest.approx(truth.all_off[0] / panel.kpi.sum(), rel=1e-12)
    assert sum(channel.share for channel in told.channels) == pytest.approx(told.media_share, rel=1e-9)
    tv = told.channels[0]
    assert tv.roas == pytest.approx(truth.answers.contribution[0, 0] / truth.paid[0, 0], rel=1e-12)
    fixed = told.problems[0]
    assert sum(m.now for m in fixed.moves) == pytest.approx(sum(m.best for m in fixed.moves), rel=1e-9)
    assert fixed.certified and fixed.separable and fixed.gain > 0
    said = " ".join(sentences(told))
    assert f"Media brought {percent(told.media_share)} of revenue: tv {percent(tv.share)} (ROAS {tv.roas:.2f}" in said
    assert f"earns {short(fixed.gain)} more" in said and "proven to within 0.001% of media spend" in said
    assert "Turning a channel off" not in said  # nothing is bought, nothing reacts: one reading


def channel(name: str, **changed: Any) -> ChannelTruth:
    base = ChannelTruth(name, False, 1000.0, 0.1, 500.0, 2.0, 1.1, 0.5, 1000.0, 1000.0)
    return base._replace(**changed)


def told(*channels: ChannelTruth, problem: ProblemTruth | None = None, **changed: Any) -> str:
    base = TruthFacts(0, "revenue", 26, 10_000.0, 0.2, 0.0, channels, (problem,) if problem else ())
    return " ".join(sentences(base._replace(**changed)))


def test_readings_that_differ_are_told() -> None:
    said = told(channel("tv", path_held=900.0), channel("search", bought=True))
    assert "also changes what search buys" in said and "tv 1,000 against 900" in said
    assert "search 1,000 against" not in said
    said = told(channel("tv", responding=1002.0))
    assert "no more than 0.2% apart" in said


def test_conversions_have_a_cost() -> None:
    assert "tv 10% (ROAS 2.00, 0.50 per incremental conversion, marginal 1.10)" in told(
        channel("tv"), kpi="conversions"
    )


def test_idle_channels_and_interaction_are_told() -> None:
    said = told(channel("tv", paid=0.0), interaction=-300.0)
    assert "tv spent nothing" in said and "300 less than the sum of the parts" in said


PROBLEM = ProblemTruth(
    "fixed", "the same budget", 100.0, 7.0, 1e-9, True, True, (Move("a", 60.0, 20.0), Move("b", 40.0, 80.0))
)


def test_a_move_of_money() -> None:
    said = told(channel("a"), problem=PROBLEM)
    assert "Next 26 weeks, the same budget: the best plan moves 40.0 from a to b, and earns 7.00 more (7.0% of" in said


def test_a_smaller_budget() -> None:
    problem = PROBLEM._replace(budget="any budget", moves=(Move("a", 60.0, 20.0), Move("b", 40.0, 40.0)))
    assert "the best plan spends 40% less in all, less on a, and earns" in told(channel("a"), problem=problem)


def test_a_cap_is_called_one() -> None:
    problem = PROBLEM._replace(moves=(Move("a", 60.0, 20.0), Move("search", 40.0, 80.0, cap=True)))
    assert "moves 40.0 from a to search (its cap), and earns" in told(channel("a"), problem=problem)


def test_nothing_to_gain() -> None:
    problem = PROBLEM._replace(moves=(Move("a", 60.0, 60.0), Move("b", 40.0, 40.0)))
    assert "nothing better than the status quo is possible" in told(channel("a"), problem=problem)
    assert changes(problem) == ([], [])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"gap": 2.5, "certified": False}, "at most 2.5% of media spend more is possible"),
        ({"gap": math.inf, "certified": False}, "the best of a search, without a bound that proves it"),
        ({"gap": 0.02, "certified": True}, "proven to within 0.02% of media spend"),
    ],
)
def test_what_is_proven(changed: dict[str, Any], said: str) -> None:
    assert said in told(channel("a"), problem=PROBLEM._replace(**changed))
