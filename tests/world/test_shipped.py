"""Every shipped scenario keeps the laws of the truth, agrees with the oracle and says where it is not realistic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from oracle import oracle
from world.one_break import ALLOWED, BESIDES, changed_keys, control_of, outside

from simbench import lock, optimum
from simbench.optimum.feasible import take
from simbench.world.forms import form_of
from simbench.world.realism import findings
from simbench.world.scenario import Scenario, read_scenario, read_suite, scenario_names
from simbench.world.truth import Drawn, book_in, draw
from simbench.world.worth import constraints_of, value

#: As many worlds as published ranges are compared with; a block computes them at the price of one.
REPLICATES = 8
FACTOR = 2.0**7  # a power of two: no rounding of its own
SHIPPED = {scenario.name: scenario for scenario in lock.shipped()}
#: The oracle is slow: worlds of more weeks x geos x channels than this are left to the smaller ones of their kind.
ORACLE_CELLS = 40_000


def changed(scenario: Scenario, **tables: Any) -> Scenario:
    """The same scenario of the same family with other tables."""
    return scenario.model_copy(update=tables)


def scaled(value: Any, factor: float) -> Any:
    """A number of a file, or a distribution, times a factor."""
    if value is None or isinstance(value, (int, float)):
        return None if value is None else value * factor
    keys = {
        "uniform": ("low", "high"), "log-uniform": ("low", "high"), "normal": ("mean", "sd"), "lognormal": ("median",),
        "gamma": ("scale",),
    }[value.dist]  # fmt: skip
    return value.model_copy(update={key: getattr(value, key) * factor for key in keys})


def in_other_money(scenario: Scenario, factor: float) -> Scenario:
    """The same worlds in another currency: money, and the KPI where that is money."""
    revenue = scenario.kpi.unit == "revenue"

    def channel(each: Any) -> Any:
        update: dict[str, Any] = {"spend": each.spend.model_copy(update={"weekly": scaled(each.spend.weekly, factor)})}
        if revenue:
            update["effect"] = scaled(each.effect, factor)
        if each.saturation.scaled_by == "money":
            update["saturation"] = each.saturation.model_copy(
                update={"half_at": scaled(each.saturation.half_at, factor)}
            )
        return each.model_copy(update=update)

    def problem(each: Any) -> Any:
        budget = each.budget_money and tuple(factor * end for end in each.budget_money)
        money = ("lower_money", "upper_money")
        channels = tuple(
            one.model_copy(update={key: scaled(getattr(one, key), factor) for key in money}) for one in each.channels
        )
        return each.model_copy(update={"budget_money": budget, "channels": channels})

    asked = scenario.questions.model_copy(update={"problems": tuple(map(problem, scenario.questions.problems))})
    tables: dict[str, Any] = {"channels": tuple(channel(each) for each in scenario.channels), "questions": asked}
    rivals = tuple(
        each.model_copy(update={"weekly": scaled(each.weekly, factor)}) if each.kind == "spend" else each
        for each in scenario.demand.competitors
    )
    level = scaled(scenario.demand.level, factor if revenue else 1.0)
    tables["demand"] = scenario.demand.model_copy(update={"level": level, "competitors": rivals})
    if revenue:
        tables["controls"] = tuple(
            each.model_copy(update={"effect": scaled(each.effect, factor)}) for each in scenario.controls
        )
        if getattr(scenario.noise, "sd", None) is not None:
            tables["noise"] = scenario.noise.model_copy(update={"sd": scaled(scenario.noise.sd, factor)})
    else:
        tables["kpi"] = scenario.kpi.model_copy(update={"value": scenario.kpi.value * factor})
    return changed(scenario, **tables)


@pytest.fixture(scope="module", params=SHIPPED)
def one(request) -> Drawn:
    """Each shipped scenario in turn: module scope lets all laws of one run beside each other."""
    return drawn_of(request.param)


def drawn_of(name: str) -> Drawn:
    return draw(SHIPPED[name], REPLICATES)


def of_its_form(scenario: Scenario) -> bool:
    """Whether this is the first shipped scenario of its form: the others run the same program."""
    return next(s for s in SHIPPED.values() if form_of(s) == form_of(scenario)).name == scenario.name


def close(mine: Any, theirs: Any, what: str, tolerance: float = 1e-9) -> None:
    size = np.nanmax(np.abs(np.asarray(mine)), initial=0.0)
    np.testing.assert_allclose(theirs, mine, rtol=tolerance, atol=tolerance * 1e-2 * size, err_msg=what)


def test_money_has_no_unit(one):
    scenario = one.scenario
    if any(channel.spend.rule == "recorded" for channel in scenario.channels):
        pytest.skip("its money stands in a file of its own")
    other = draw(in_other_money(scenario, FACTOR), REPLICATES)
    kpi = FACTOR if scenario.kpi.unit == "revenue" else 1.0
    a: Any = one.truth.answers
    b: Any = other.truth.answers
    for field, factor in (
        ("contribution", kpi), ("curve", kpi), ("baseline", kpi), ("forecast", kpi), ("impulse", 1.0),
        ("marginal", kpi / FACTOR), ("plan_value", FACTOR),
    ):  # fmt: skip
        close(factor * getattr(a, field), getattr(b, field), field)
    close(FACTOR * one.truth.paid, other.truth.paid, "paid")
    for problem, mine, theirs in zip(one.labels.problems, one.truth.optima, other.truth.optima, strict=True):
        close(FACTOR * mine.value, theirs.value, f"optimum of {problem}", 1e-6 if mine.certified.all() else 1e-3)


def test_a_channel_that_is_off_contributes_nothing(one):
    scenario = one.scenario
    off = len(scenario.channels) - 1
    if scenario.channels[off].spend.rule == "recorded":
        off = next(i for i, c in enumerate(scenario.channels) if c.spend.rule != "recorded")
    silent = scenario.channels[off].model_copy(
        update={"spend": scenario.channels[off].spend.model_copy(update={"weekly": 0.0})}
    )
    other = draw(
        changed(scenario, channels=(*scenario.channels[:off], silent, *scenario.channels[off + 1 :])), REPLICATES
    )
    truth = other.truth
    # a world that is run again and again, arm by arm, rounds each arm on its own
    rounding = 1e-14 * np.abs(truth.answers.contribution).max() if other.secret.form.interacts else 0.0
    assert (np.abs(truth.answers.contribution[..., off]) <= rounding).all() and (truth.paid[..., off] == 0).all()
    assert np.isnan(truth.answers.marginal[..., off]).all() and np.isnan(truth.answers.curve[:, off]).all()
    if other.secret.form.interacts or other.secret.form.feedback:
        return  # what others bring, or spend, may hang on it
    rest = [c for c in range(len(scenario.channels)) if c != off]
    close(one.truth.answers.contribution[..., rest], truth.answers.contribution[..., rest], "the others")


def test_channels_have_no_order(one):
    scenario = one.scenario
    if not of_its_form(scenario) or len(scenario.channels) > 10:
        pytest.skip("another scenario of the same program is permuted, or there is too much to compile")
    if any(channel.spend.rule == "correlated" for channel in scenario.channels):
        pytest.skip("correlated spend is drawn in the order of the file")
    other = draw(changed(scenario, channels=scenario.channels[::-1]), REPLICATES)
    # as it was: dirt is drawn in the order of the file
    close(one.secret.path.kpi, other.secret.path.kpi, "KPI")
    close(one.secret.path.paid, other.secret.path.paid[..., ::-1], "money")
    a: Any = one.truth.answers
    b: Any = other.truth.answers
    close(a.contribution, b.contribution[..., ::-1], "contribution")
    close(a.marginal, b.marginal[..., ::-1], "marginal")
    close(a.curve, b.curve[:, ::-1], "curve")
    for problem, mine, theirs in zip(one.labels.problems, one.truth.optima, other.truth.optima, strict=True):
        close(mine.value, theirs.value, f"optimum of {problem}", 1e-6 if mine.certified.all() else 1e-3)


def test_no_plan_is_worth_more_than_the_bound(one):
    book = book_in(one.secret, one.brief)
    for label, problem, best in zip(one.labels.problems, one.brief.questions.problems, one.truth.optima, strict=True):
        money = problem.status_quo.sum(axis=-1)
        each = (take(constraints_of(problem), [i]) for i in range(REPLICATES))
        asked = np.stack([optimum.random_feasible(c, 4, np.random.default_rng(i)) for i, c in enumerate(each)])
        for amounts in (best.amounts, best.reference, *np.moveaxis(asked, 1, 0)):
            worth = value(book, problem, amounts)
            assert (worth <= best.upper_bound + 1e-7 * money).all(), label
        close(best.value, value(book, problem, best.amounts), f"value of the optimum of {label}")
        separable = not one.secret.form.interacts and problem.form.disjoint
        assert (best.separable == separable).all(), label
        assert (best.certified == 1).all() or not separable, label


def test_who_is_outside_published_ranges_says_why(one):
    """One way: a file may say of itself what no range tells, for example that its spend is made up."""
    outside = [f"{each.quantity} {each.unit}: {each.value:.3g}" for each in findings(one) if not each.inside]
    assert one.scenario.unrealistic or not outside, outside


def test_the_oracle_draws_the_same_paths(one):
    form = one.secret.form
    if form.total * form.geos * len(form.channels) > ORACLE_CELLS:
        pytest.skip("too large for an oracle that goes week by week")
    path, seen = oracle.paths(one.scenario, 0), slice(form.pre, form.pre + form.weeks + form.holdout)
    mine = one.secret.path
    weeks = form.weeks + form.holdout
    for field, theirs in (("kpi", "kpi"), ("mean", "mu"), ("paid", "paid"), ("lever", "lever"), ("base", "base")):
        close(path[theirs][:weeks], getattr(mine, field)[0, seen], field)
    close(path["controls"][: form.weeks], one.brief.panel.controls[0, :, 0], "controls")


# --- worlds that stand for something


@pytest.mark.parametrize("pair", ["twins-curve", "twins-change"])
def test_twins_look_alike_and_want_other_plans(pair):
    one, other = drawn_of(f"{pair}-a"), drawn_of(f"{pair}-b")
    form = one.secret.form
    weeks = slice(form.pre, form.pre + form.weeks)
    mean, twin, kpi = (
        x[:, weeks].sum(axis=2) for x in (one.secret.path.mean, other.secret.path.mean, one.secret.path.kpi)
    )
    noise = (kpi - mean).std(axis=1, keepdims=True)
    assert (np.abs(mean - twin) < 0.02 * noise).all()
    np.testing.assert_array_equal(one.brief.panel.spend, other.brief.panel.spend)
    a, b = (x.truth.answers.marginal[:, 0] for x in (one, other))
    apart = np.maximum(a, b) / np.minimum(a, b) - 1
    assert (apart.max(axis=1) >= 0.3).all()
    at = one.labels.problems.index("fixed")
    best, theirs = (x.truth.optima[at] for x in (one, other))
    assert (best.certified == 1).all() and (theirs.certified == 1).all()
    moved = np.abs(best.amounts - theirs.amounts).sum(axis=1) / 2  # money that is elsewhere
    assert (moved >= 0.1 * one.brief.questions.problems[at].status_quo.sum(axis=1)).all()


def test_the_budget_doubled_and_conversions_fell_for_four_reasons():
    totals = {}
    for cause in ("saturation", "wear-out", "demand-fall", "competitor"):
        drawn = draw(SHIPPED[f"doubled-{cause}"], 20)
        spend, kpi = drawn.brief.panel.spend.sum(axis=(2, 3)), drawn.brief.panel.kpi.sum(axis=2)
        rise = spend[:, 104:].sum(axis=1) / spend[:, 52:104].sum(axis=1)
        quarters = kpi.reshape(20, 12, 13).sum(axis=2)
        falls = (np.diff(quarters[:, 8:], axis=1) < 0).all(axis=1)
        assert ((rise >= 1.9) & falls).mean() >= 0.8, cause
        assert (quarters[:, 11] < quarters[:, 7]).mean() >= 0.8, cause  # below the last quarter of half the budget
        at = drawn.labels.problems.index("free")
        best = drawn.truth.optima[at]
        assert (best.certified == 1).all()
        totals[cause] = best.amounts.sum(axis=1) / drawn.brief.questions.problems[at].status_quo.sum(axis=1)
    assert totals["wear-out"].max() < 0.1  # stop
    assert totals["saturation"].max() < 0.5  # cut
    assert totals["demand-fall"].min() > 2 * totals["saturation"].max()  # keep much more


def test_what_media_are_worth_does_not_hang_on_a_competitors_money():
    """Following it is no way to the best total: where it takes nothing, sales differ, and the optimum is the same."""
    one = drawn_of("decisions-total")
    (rival,) = one.scenario.demand.competitors
    harmless = one.scenario.demand.model_copy(update={"competitors": (rival.model_copy(update={"effect": 0.0}),)})
    alone = draw(changed(one.scenario, demand=harmless), REPLICATES)
    assert one.labels.controls == ("price", "rival", "black-friday") and one.labels.problems == ("fixed", "free")
    assert (np.abs(one.secret.path.mean / alone.secret.path.mean - 1).max(axis=(1, 2)) > 0.02).all()
    close(alone.truth.answers.contribution, one.truth.answers.contribution, "contribution")
    for problem, mine, theirs in zip(one.labels.problems, alone.truth.optima, one.truth.optima, strict=True):
        close(mine.value, theirs.value, f"optimum of {problem}", 1e-6)


def test_sixty_years_are_of_the_family_of_two():
    short, long = (SHIPPED[f"jin2017-{years}"] for years in ("2y", "60y"))
    assert short.time.weeks == 104 and long.time.weeks == 3120 and long._family == short._family


def test_the_same_brand_is_asked_about_two_tails():
    one, long = drawn_of("brand-stock"), draw(SHIPPED["brand-stock-long"], REPLICATES)
    for seen in ("spend", "kpi"):
        np.testing.assert_array_equal(getattr(one.brief.panel, seen), getattr(long.brief.panel, seen))
    slow = [i for i, c in enumerate(SHIPPED["brand-stock"].channels) if c.carry_over.kind == "brand-stock"]
    short, full = (x.truth.answers.contribution[..., slow] / x.truth.paid[..., slow] for x in (one, long))
    panel, year = np.moveaxis(full / short, 1, 0)  # long-run ROAS over that of half a year, as the file says
    assert (abs(panel - 1.09) < 0.015).all() and (abs(year - 1.23) < 0.025).all()
    others = [c for c in range(len(one.labels.channels)) if c not in slow]
    same = (x.truth.answers.contribution[..., others] for x in (one, long))
    close(next(same), next(same), "channels without a brand")


def test_heusch_all_is_its_four_switches_together():
    def spends(name):
        return {c.name: c.spend.model_dump(exclude_defaults=True) for c in SHIPPED[name].channels}

    off = spends("heusch")
    union = {channel: dict(plan) for channel, plan in off.items()}
    for switch in ("quarterly", "anticipation", "bursts", "chasing"):
        for channel, plan in spends(f"heusch-{switch}").items():
            changes = {key: value for key, value in plan.items() if off[channel].get(key) != value}
            assert not any(key in union[channel] and key not in off[channel] for key in changes), (switch, channel)
            union[channel] |= changes
    assert union == spends("heusch-all")


def test_core_has_one_scenario_for_each_failure():
    core = [entry.scenario for entry in read_suite("core").scenarios]
    assert 22 <= len(core) <= 27
    broken = [each.breaks for each in core if each.breaks not in ("", "compound")]
    assert len(set(broken)) >= 18


def says_one_thing(scenario: Scenario) -> bool:
    return scenario.breaks not in ("", "compound") and scenario.base is not None


ONE_BREAK = [scenario for scenario in SHIPPED.values() if says_one_thing(scenario)]


@pytest.mark.parametrize("scenario", ONE_BREAK, ids=lambda scenario: scenario.name)
def test_every_scenario_breaks_the_one_thing_it_says(scenario):
    """Every point of a sweep against the control of its family: a difference in scores has one cause."""
    keys, allowed = changed_keys(scenario), ALLOWED[scenario.breaks]
    besides = BESIDES.get(scenario.name.partition("[")[0], {})
    assert outside(keys, [*allowed, *besides]) == []
    inherited = control_of(scenario).breaks == scenario.breaks  # a family whose control breaks it already
    assert inherited or len(outside(keys, allowed)) < len(keys)


def test_no_allowance_outlives_its_use():
    """What no scenario needs any more would let a second break pass one day."""

    def unused(keys: list[str], prefixes: Iterable[str]) -> list[str]:
        return [prefix for prefix in prefixes if len(outside(keys, [prefix])) == len(keys)]

    for word, allowed in ALLOWED.items():
        keys = [key for each in ONE_BREAK if each.breaks == word for key in changed_keys(each)]
        assert unused(keys, allowed) == [], word
    for name, besides in BESIDES.items():
        keys = [key for each in ONE_BREAK if each.name.partition("[")[0] == name for key in changed_keys(each)]
        assert unused(outside(keys, ALLOWED[read_scenario(name).breaks]), besides) == [], name


def test_a_second_break_is_seen(tmp_path):
    text = 'schema_version = 1\nname = "two"\nbase = "competitor"\nbreaks = "no-competitor"\n'
    (tmp_path / "two.toml").write_text(text + "[noise]\nshare = 0.1\n")
    two = read_scenario(tmp_path / "two.toml")
    assert outside(changed_keys(two), ALLOWED["no-competitor"]) == ["noise.share"]
    (tmp_path / "two.toml").write_text(text)
    assert outside(changed_keys(read_scenario(tmp_path / "two.toml")), ALLOWED["no-competitor"]) == []


def test_full_is_every_shipped_scenario():
    assert [entry.scenario.name for entry in read_suite("full").scenarios] == [point.name for point in lock.shipped()]


def test_every_scenario_tells_its_own_story():
    told = [read_scenario(name) for name in scenario_names()]
    for scenario in told:
        assert scenario.summary and scenario.source and scenario.who_should_win and scenario.title, scenario.name
    assert len({scenario.summary for scenario in told}) == len(told)
