"""The closed loop: decide, live, look again."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Annotated, NamedTuple

import jax
import jax.monitoring
import numpy as np
import pandas as pd
import pytest
import worlds

from simbench.briefs import one
from simbench.decide.loop import loop
from simbench.decide.players import (
    DISCOUNT,
    PLAYERS,
    TESTED,
    Choice,
    Player,
    feasible,
    greedy,
    greedy_with_test,
    one_draw,
    returns_drawn,
    ruled,
    silent,
)
from simbench.decide.sight import Policy
from simbench.errors import BadInput
from simbench.records import Answers, Failure
from simbench.report import loops
from simbench.run.looping import DEFAULT, epochs_of, plain, players_named
from simbench.run.looping import loop as run_loop
from simbench.run.plan import quarters_of
from simbench.world.living import relived
from simbench.world.scenario import read_scenario, read_suite

QUARTERS, REPLICATES = 3, 2


def believes(brief, draws: int = 8) -> Answers:
    """A model of square roots: later channels are worth more; what a draw gives one, it takes from the next."""
    problem, channels = brief.questions.problems[0], brief.panel.spend.shape[-1]
    factor = 1.0 + np.linspace(-0.4, 0.4, draws)[:, None] * (-1.0) ** np.arange(channels)
    worth = (1.0 + np.arange(channels)) * 40.0
    spend = np.asarray(brief.panel.spend).sum(axis=(0, 1))
    last = np.asarray(brief.panel.spend)[int(brief.questions.windows[-1][0]) :].sum(axis=(0, 1))
    roots = worth[:, None] * np.sqrt(np.asarray(problem.levels))
    told = np.stack([worth * np.sqrt(spend), worth * np.sqrt(last)])
    curve = (worth * np.sqrt(spend))[:, None] * np.sqrt(np.asarray(brief.questions.multipliers))
    return Answers(
        contribution=factor[:, None] * told, curve=factor[..., None] * curve, response=(factor[..., None] * roots,)
    )


class Model:
    """An `Ask` that remembers what it was asked."""

    def __init__(self, fails=lambda call, lane: False):
        self.fails, self.briefs, self.keys = fails, [], []

    def __call__(self, brief, keys):
        self.briefs.append(brief)
        self.keys.append(keys)
        call = len(self.briefs)
        return [Failure("error", "no") if self.fails(call, i) else believes(one(brief, i)) for i in range(len(keys))]


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    return read_scenario(worlds.written(tmp_path_factory.mktemp("loop"), worlds.plain()))


NAMES = (
    "oracle", "status-quo", "greedy", "thompson", "greedy-with-test", "bandit", "contingency", "quarterly-cut-by-model",
)  # fmt: skip


@pytest.fixture(scope="module")
def played(scenario):
    model = Model()
    return loop(scenario, players_named(NAMES), model, replicates=REPLICATES, epochs=QUARTERS), model


def test_nobody_beats_the_best_there_is_and_who_does_nothing_misses_it(played):
    lives, _ = played
    usual = lives.decided[0].problem.status_quo.sum(axis=-1).reshape(lives.profit.shape)
    assert lives.regret.min() >= -1e-6 * usual.max(), "no plan has negative regret beyond the gap"
    assert (lives.regret[:, NAMES.index("status-quo")] > 1e-3 * usual.max()).all()
    for made in lives.decided:
        assert (made.bound - made.optimum <= 1e-5 * usual).all(), "separable worlds are certified"


def test_amounts_can_be_spent_and_no_money_is_lost_or_made(played):
    """Spent, kept and budgets add up, quarter by quarter."""
    lives, _ = played
    reserve = np.zeros(lives.profit.shape)
    for made in lives.decided:
        problem, shape = made.problem, lives.profit.shape
        spent, usual = made.amounts.sum(axis=-1), problem.status_quo.sum(axis=-1).reshape(shape)
        np.testing.assert_allclose(made.reserve, reserve, atol=1e-6 * usual.max())
        np.testing.assert_allclose(problem.budget.reshape(*shape, 2)[..., 1], usual + reserve, rtol=1e-9)
        assert (spent <= usual + reserve + 1e-6 * usual).all() and (spent >= 0.85 * usual * (1 - 1e-9)).all()
        flat = made.amounts.reshape(-1, made.amounts.shape[-1])
        assert (flat >= problem.lower - 1e-9).all() and (flat <= problem.upper * (1 + 1e-9)).all()
        reserve = reserve + usual - spent
    kept = NAMES.index("contingency")
    assert lives.decided[1].reserve[kept].max() > 0, "a contingency keeps money while sales hold"


def test_the_model_is_asked_about_every_life_and_sees_its_own_spend(played):
    """Once a quarter about all lives with a model, and in the end about all; a life's panel is what it spent."""
    lives, model = played
    acting = [k for k, name in enumerate(NAMES) if PLAYERS[name].model]
    assert [len(keys) for keys in model.keys] == [
        REPLICATES,
        *[len(acting) * REPLICATES] * QUARTERS,
        len(NAMES) * REPLICATES,
    ]
    last = model.briefs[-1]
    for quarter, made in enumerate(lives.decided):
        weeks = slice(made.week, made.week + 13)
        seen = np.asarray(last.panel.spend)[:, weeks].sum(axis=(1, 2)).reshape(made.amounts.shape)
        np.testing.assert_allclose(seen, made.amounts, rtol=1e-9, err_msg=f"quarter {quarter + 1}")


def test_one_compiled_program_serves_all_epochs(scenario):
    """Nothing is traced anew after the first: neither the world, nor the optimum, nor a model that is compiled."""
    events, counts, model = [], [], Model()
    fit = jax.jit(lambda brief: sum(x.sum() for x in jax.tree.leaves(brief.panel)))

    def ask(brief, keys):
        for i in range(len(keys)):
            fit(one(brief, i)).block_until_ready()
        return model(brief, keys)

    def count(event: str, seconds: float, **_) -> None:
        events.append(event)

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        loop(
            scenario, players_named(NAMES), ask, replicates=REPLICATES, epochs=4,
            say=lambda text, done, total: counts.append(sum("trace" in event for event in events)),
        )  # fmt: skip
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    assert counts[0] > 0 and len(counts) == 5, "the model is traced before the first decision"
    assert counts[1:] == counts[1:2] * 4


def test_replicates_share_keys_whoever_decides(played):
    """Lives of a replicate are paired; quarters and replicates have keys of their own."""
    _, model = played
    for keys in model.keys[1:-1]:
        by_life = keys.reshape(-1, REPLICATES, 2)
        assert (by_life == by_life[0]).all()
    assert len({tuple(key) for keys in model.keys for key in keys}) == REPLICATES * (QUARTERS + 1)


def test_a_model_that_fails_keeps_the_usual_plan_and_is_counted(scenario):
    greedy = players_named(["greedy"])
    lives = loop(scenario, greedy, Model(lambda call, lane: call == 3 and lane == 1), replicates=2, epochs=2)
    assert [made.failed.tolist() for made in lives.decided] == [[[False, False]], [[False, True]]]
    made = lives.decided[1]
    np.testing.assert_allclose(made.amounts[0, 1], made.problem.status_quo[1])
    assert np.abs(made.amounts[0, 0] - made.problem.status_quo[0]).max() > 1
    trail = loops.decisions([lives])
    assert (trail.status != "decided").sum() == 2  # channels of that one decision
    lost = loop(scenario, greedy, Model(lambda call, lane: True), replicates=1, epochs=2)
    assert lost.decided[0].failed.all() and np.isnan(lost.after.error).all()
    np.testing.assert_allclose(lost.decided[0].amounts[0], lost.decided[0].problem.status_quo)


def test_a_model_without_curves_is_one_that_fails(scenario):
    """Who forecasts only, or answers quantiles, is nobody to act on."""
    for change in ({"response": None}, {"curve": None}, {"levels": np.linspace(0.05, 0.95, 8)}):

        def ask(brief, keys, change=change):
            return [believes(one(brief, i))._replace(**change) for i in range(len(keys))]

        lives = loop(scenario, players_named(["greedy"]), ask, replicates=1, epochs=1)
        assert lives.decided[0].failed.all()
        np.testing.assert_allclose(lives.decided[0].amounts[0], lives.decided[0].problem.status_quo)


def test_same_amounts_are_the_same_life(scenario):
    """Two policies that do the same earn the same, to the last bit of noise."""
    twin = PLAYERS["status-quo"]._replace(name="twin")
    lives = loop(scenario, [PLAYERS["status-quo"], twin], None, replicates=2, epochs=2)
    np.testing.assert_array_equal(lives.profit[0], lives.profit[1])
    np.testing.assert_array_equal(lives.regret[:, 0], lives.regret[:, 1])


def test_nobody_sees_what_is_to_come(scenario):
    """Whoever decides is shown the weeks that were lived, each once for all, and none to come."""
    seen: list = []

    def spy(moment):
        seen.append(moment)
        amounts = feasible(moment, moment.problem.status_quo * (0.9 + 0.1 * (len(seen) % 2)))
        return Choice(amounts, np.full((1, 2), np.nan), np.full(1, np.nan), silent(moment))

    loop(scenario, [Player("spy", spy, False, "")], None, replicates=1, epochs=3)
    for quarter, moment in enumerate(seen):
        weeks = int(moment.brief.panel.origin[0])
        assert weeks == 104 + 13 * quarter and moment.epoch == quarter
        assert not moment.brief.panel.kpi[:, weeks:].any() and not moment.brief.panel.spend[:, weeks:].any()
    later, earlier = seen[2].brief.panel, seen[1].brief.panel
    np.testing.assert_array_equal(later.kpi[:, :117], earlier.kpi[:, :117])


# --- players


def test_what_a_rule_moved_stays_moved(scenario):
    """A rule begins with its mix of the quarter before, at the money that is usual now."""

    def leaning(sight):
        return sight.problem.status_quo * np.array([1.1, 1.0])

    player = ruled("leaning", Policy("leaning", leaning, False, ""), False)
    lives = loop(scenario, [player], None, replicates=1, epochs=3, least=1.0)
    for quarter, made in enumerate(lives.decided):
        usual = made.problem.status_quo[0]
        wanted = usual * np.array([1.1 ** (quarter + 1), 1.0])
        np.testing.assert_allclose(made.amounts[0, 0], wanted * usual.sum() / wanted.sum(), rtol=1e-6)


def test_thompson_acts_on_one_draw_and_is_greedy_without_doubt(played, scenario):
    lives, _ = played
    greedy, thompson = (lives.decided[0].amounts[NAMES.index(name)] for name in ("greedy", "thompson"))
    assert np.abs(greedy - thompson).max() > 1e-3 * greedy.max(), "a factor on all curves changes the total"

    def certain(brief, keys):
        return [one_draw_of(believes(one(brief, i))) for i in range(len(keys))]

    sure = loop(scenario, players_named(["greedy", "thompson"]), certain, replicates=1, epochs=1)
    np.testing.assert_allclose(*sure.decided[0].amounts)


def one_draw_of(answers: Answers) -> Answers:
    return jax.tree.map(lambda x: np.repeat(x[3:4], 8, axis=0), answers)


def test_a_draw_is_that_draw():
    answers = Answers(contribution=np.arange(24.0).reshape(2, 4, 3))
    np.testing.assert_array_equal(one_draw(answers, np.array([1, 3])).contribution, [[[3, 4, 5]], [[21, 22, 23]]])


def test_a_planned_test_moves_a_twentieth_of_the_money(scenario):
    """To one channel after the other, then from one after the other; the others pay, or get, by what they have."""
    seen: list = []

    def spy(moment):
        seen.append(moment)
        return greedy(moment)

    def alike(brief, keys):  # channels of one worth: amounts within their limits, so that there is room to move
        told = [believes(one(brief, i)) for i in range(len(keys))]
        return [each._replace(response=(each.response[0] / np.array([1.0, 2.0])[:, None],)) for each in told]

    loop(scenario, [Player("spy", spy, True, "")], alike, replicates=2, epochs=1)
    channels, chosen = 2, greedy(seen[0]).amounts
    total = chosen.sum(axis=1)
    assert ((chosen > 0.06 * total[:, None]) & (chosen < seen[0].problem.upper - 0.06 * total[:, None])).all()
    for epoch in range(2 * channels):
        tested, sign = epoch % channels, 1 if epoch < channels else -1
        wanted = chosen.copy()
        wanted[:, tested] += sign * TESTED * total
        wanted[:, 1 - tested] -= sign * TESTED * total
        amounts = greedy_with_test(seen[0]._replace(epoch=epoch)).amounts
        np.testing.assert_allclose(amounts, wanted, rtol=1e-6, err_msg=f"decision {epoch + 1}")


@pytest.fixture(scope="module")
def linear(played):
    """(quarters, generator, noise as a share of sales) -> a brief of steady season and growth, and the returns."""
    _, model = played
    brief = one(model.briefs[-1], 0)
    doubt, value = np.full(2, 0.75), float(brief.context.unit_value)

    def made(quarters: int, generator: np.random.Generator, noise: float):
        returns = 1.5 + doubt * generator.standard_normal(2)
        money, season = 1000 * generator.gamma(4, 0.25, (quarters, 2)), np.resize([9000, 10000, 11000, 12000], quarters)
        sales = season + 50 * np.arange(quarters) + money @ returns
        sales = sales + noise * sales.mean() * generator.standard_normal(quarters)
        weeks = 13 * quarters
        panel = brief.panel._replace(
            spend=np.repeat(money / 13, 13, axis=0)[:, None], kpi=np.repeat(sales / 13 / value, 13)[:, None],
            mask=np.ones(weeks), origin=np.int32(weeks),
        )  # fmt: skip
        context = brief.context._replace(prior_roas_mean=np.full(2, 1.5), prior_roas_sd=doubt)
        return brief._replace(panel=panel, context=context), returns

    return made


def seeded(k: int) -> bytes:
    return k.to_bytes(32, "little")


def test_the_bandit_learns_a_straight_line(linear):
    """Quarters tell the returns; where none was recorded, nothing but what was expected is known."""
    brief, returns = linear(32, np.random.default_rng(1), 0.0)
    drawn = returns_drawn(brief, seeded(1), 2000, 1.0)
    np.testing.assert_allclose(drawn.mean(axis=0), returns, atol=0.05)
    silent = brief._replace(panel=brief.panel._replace(mask=np.zeros(len(brief.panel.mask))))
    drawn = returns_drawn(silent, seeded(1), 4000)
    np.testing.assert_allclose(drawn.mean(axis=0), 1.5, atol=0.05)
    np.testing.assert_allclose(drawn.std(axis=0), 0.75, atol=0.03)


def test_who_forgets_stays_in_doubt(linear):
    """Without a discount doubt falls as quarters grow; with one it levels off, the higher the more is forgotten."""

    def doubt(quarters: int, discount: float) -> float:
        briefs = [linear(quarters, np.random.default_rng(k), 0.03)[0] for k in range(40)]
        return float(np.mean([returns_drawn(brief, seeded(7), 400, discount).std(axis=0) for brief in briefs]))

    lengths = (16, 32, 64, 128)
    all_kept, forgotten = ([doubt(quarters, discount) for quarters in lengths] for discount in (1.0, 0.9))
    assert all(later < 0.8 * sooner for sooner, later in pairwise(all_kept))
    assert forgotten[3] == pytest.approx(forgotten[2], rel=0.05) and forgotten[3] > 2 * all_kept[3]
    falling = [doubt(64, discount) for discount in (0.8, 0.9, 0.95, 1.0)]
    assert falling == sorted(falling, reverse=True) and falling[0] > 1.1 * falling[1]


@pytest.mark.parametrize("quarters", [8, 16, 32])
@pytest.mark.parametrize(("discount", "most"), [(1.0, 0.95), (DISCOUNT, 1.0)])
@pytest.mark.parametrize("noise", [0.05, 0.1])
def test_nine_in_ten_returns_are_within_the_bandits_intervals(linear, quarters, discount, most, noise):
    """Of a world that stands still, as who forgets nothing supposes; who forgets leaves room for change besides."""
    within = []
    for k in range(300):
        brief, returns = linear(quarters, np.random.default_rng(k), noise)
        low, high = np.quantile(returns_drawn(brief, seeded(k), 400, discount), [0.05, 0.95], axis=0)
        within += [(low <= returns) & (returns <= high)]
    assert 0.85 <= np.mean(within) <= most


def test_every_default_policy_is_known_and_at_least_eight_play():
    assert len(players_named(DEFAULT)) >= 8
    with pytest.raises(BadInput, match="thompson"):
        players_named(["tompson"])


@pytest.mark.parametrize(
    ("players", "ask", "least", "match"),
    [
        ([], None, 0.85, "policies: none"),
        (["oracle", "oracle"], None, 0.85, "twice"),
        (["greedy"], None, 0.85, "greedy"),
        (["oracle"], None, 1.5, "least"),
    ],
)
def test_what_cannot_be_played_is_refused(scenario, players, ask, least, match):
    with pytest.raises(BadInput, match=match):
        loop(scenario, players_named(players), ask, replicates=1, epochs=1, least=least)


# --- how long, and how often


def test_every_shock_of_the_suite_comes_between_the_first_decision_and_the_end():
    """As `simbench loop loop` lives it; a shock before the first decision is nothing to decide about."""
    suite, shocked = read_suite("loop"), set()
    assert quarters_of("loop") == suite.quarters
    for entry in suite.scenarios:
        told = relived(entry.scenario, epochs_of(quarters_of("loop"), 13))
        first = told.time.weeks - 13 * suite.quarters
        changes = [channel.effectiveness for channel in told.channels if channel.effectiveness is not None]
        starts = [change.week for change in changes if change.kind == "shift"]
        starts += [rival.week for rival in told.demand.competitors]
        assert all(first + 13 <= week < told.time.weeks - 13 for week in starts), entry.name
        shocked |= {entry.name} if starts else set()
    assert shocked == {"loop-collapse", "loop-competitor", "loop-peak"}


def test_quarters_are_the_suites_own_unless_asked_for(tmp_path):
    assert quarters_of("smoke") == quarters_of("clean") == quarters_of(read_scenario("clean")) == 4
    assert quarters_of(["smoke", "loop"]) == 8
    assert [epochs_of(4, every) for every in (13, 4, 1, 26)] == [4, 13, 52, 2]
    with pytest.raises(BadInput, match="quarters: are 3, no whole number of times 4 weeks; a multiple of 4"):
        epochs_of(3, 4)
    with pytest.raises(BadInput, match="every: 3 weeks; one of 1, 2, 4, 13"):
        run_loop("smoke", ["oracle"], every=3, store=tmp_path)
    with pytest.raises(BadInput, match="quarters: are 0"):
        run_loop("smoke", ["oracle"], quarters=0, store=tmp_path)


def test_recorded_spend_limits_the_quarters_by_their_name(tmp_path):
    """Data of 182 weeks leave six quarters after two years."""
    with pytest.raises(BadInput, match=r"quarters: are too many for recorded.*182.*at most 6"):
        run_loop("recorded", ["oracle"], quarters=8, store=tmp_path)
    assert not list(tmp_path.iterdir())
    assert relived(read_scenario("recorded"), 6).time.weeks == 182


@pytest.mark.parametrize("every", [1, 4])
def test_epochs_may_be_shorter_than_a_quarter(scenario, every):
    """Six decisions, each about its own weeks: of the same weeks a year before, and spent in them."""
    names, model = ("oracle", "greedy", "thompson", "bandit", "quarterly-cut-by-model"), Model()
    lives = loop(scenario, players_named(names), model, replicates=1, epochs=6, every=every)
    last, usual = model.briefs[-1], []
    lever = np.asarray(last.panel.lever).sum(axis=2)
    for epoch, made in enumerate(lives.decided):
        assert made.week == 104 + every * epoch
        weeks, before = (slice(made.week + back, made.week + back + every) for back in (0, -52))
        np.testing.assert_allclose(lever[:, weeks].sum(axis=1), made.amounts[:, 0], rtol=1e-9)
        np.testing.assert_allclose(lever[:, before].sum(axis=1), made.problem.status_quo, rtol=1e-9)
        usual.append(made.problem.status_quo.sum(axis=-1))
    assert (lives.regret[:, 1:] >= -1e-6 * np.max(usual)).all() and (lives.regret[:, 1:] > 1e-3 * np.max(usual)).any()
    np.testing.assert_allclose(lives.usual[:, 0], np.sum(usual, axis=0))
    assert len({str(jax.tree.map(lambda x: np.shape(x)[1:], brief)) for brief in model.briefs}) == 1


# --- tables


def test_the_trail_tells_every_decision(played, tmp_path):
    """A row a policy, replicate, quarter and channel; regret and money follow from it alone."""
    lives, _ = played
    trail = loops.decisions([lives])
    assert len(trail) == len(NAMES) * REPLICATES * QUARTERS * 2
    assert not trail.duplicated(["policy", "replicate", "epoch", "channel"]).any()
    each = trail.drop_duplicates(["policy", "replicate", "epoch"])
    np.testing.assert_allclose(each.optimum - each.value, each.regret, atol=1e-9)
    whole = each.groupby(["policy", "replicate"]).regret.sum()
    spend = trail.groupby(["policy", "replicate"]).usual.sum()
    board = loops.policies([lives]).set_index("policy")
    for name in NAMES:
        assert board.regret[name] == pytest.approx((100 * whole[name] / spend[name]).mean(), abs=1e-9)


def test_the_trail_has_the_numbers_that_every_default_policy_acted_on(scenario):
    """Returns of those who read them, draws and curves of those who act on a model; a written table says the same."""
    lives = loop(scenario, players_named(DEFAULT), Model(), replicates=2, epochs=2)
    trail = loops.decisions([lives])
    read = {name for name in DEFAULT if name.endswith(("-by-claims", "-by-model"))}
    read |= {"greedy", "thompson", "greedy-with-test", "bandit"}
    for policy, rows in trail.groupby("policy"):
        assert rows.returns.notna().all() if policy in read else rows.returns.isna().all(), policy
    for policy in ("greedy", "thompson", "greedy-with-test"):
        for _, rows in trail[trail.policy == policy].groupby(["replicate", "epoch"]):
            told = json.loads(rows.because.iloc[0])
            assert (rows.because == rows.because.iloc[0]).all() and len(told["marginal"]) == len(rows) == 2
            assert sum(told["gain"]) == pytest.approx(rows.promise.iloc[0], rel=1e-4)
            assert ("draw" in told) == (policy == "thompson") and ("tested" in told) == (policy == "greedy-with-test")
            # more of a channel where the next money brings more than it costs, as far as limits let it
            moved = rows.amount.to_numpy() - rows.usual.to_numpy()
            if policy == "greedy":
                assert moved[int(np.argmax(told["marginal"]))] >= 0
    draws = [json.loads(text)["draw"] for text in trail[trail.policy == "thompson"].because]
    assert set(draws) <= set(range(8)) and len(set(draws)) > 1
    assert (trail[trail.policy.isin(["oracle", "bandit", "equal"])].because == "").all()


class Telling(NamedTuple):
    """A policy that says what it acts on."""

    name: str
    rule: object
    arms: bool
    about: str
    because: object


def test_a_rule_may_say_which_numbers_it_acted_on(scenario):
    """As its options are set, in every replicate of its own; compact, and null where there is no number."""

    def rule(sight, *, part: Annotated[float, "of the money", 1.0] = 0.5):
        return sight.problem.status_quo * part

    def because(sight, *, part=0.5):
        return {"part": part, "spent": sight.brief.panel.spend.sum(axis=(0, 1)), "goal": np.array([np.nan, 1 / 3])}

    told = Telling("half", rule, False, "", because)
    players = [ruled("half", told, False), ruled("more", told, False, {"part": 0.9})]
    lives = loop(scenario, players, None, replicates=2, epochs=1, least=0.0)
    made = lives.decided[0]
    said = [[json.loads(text) for text in row] for row in made.because]
    assert [[each["part"] for each in row] for row in said] == [[0.5, 0.5], [0.9, 0.9]]
    assert said[0][0]["goal"] == [None, 0.333333] and " " not in made.because[0, 0]
    assert said[0][0]["spent"] != said[0][1]["spent"] and said[0][0]["spent"] == said[1][0]["spent"]
    usual = made.problem.status_quo.reshape(made.amounts.shape)
    np.testing.assert_allclose(made.amounts, usual * np.array([0.5, 0.9])[:, None, None], rtol=1e-6)


def test_rules_take_the_options_of_contenders(scenario):
    """As they are named in `simbench run`; the name tells what is not as usual."""
    texts = ("quarterly-cut-by-model[cut=0.5]", "quarterly-cut-by-model", "competitor-matching[control=2, times=1.2]")
    cut, usual, competitor = players_named(texts)
    assert (cut.name, competitor.name) == (texts[0], "competitor-matching[control=2]") and cut.model
    lives = loop(scenario, [cut, usual], Model(), replicates=2, epochs=2, least=1.0)
    assert lives.policies == texts[:2]
    more, less = loops.moved(lives)
    np.testing.assert_allclose(more, 2 * less, atol=1e-9)
    assert less.max() > 1, "half is twice a quarter"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("quarterly-cut-by-claims[cutt=0.3]", "quarterly-cut-by-claims: has no option 'cutt'; did you mean 'cut'?"),
        ("quarterly-cut-by-claims[cut=2]", "quarterly-cut-by-claims[cut]: 2.0; at least 0 and at most 1"),
        ("greedy[cut=1]", "greedy: has no option 'cut'; it has no options"),
        ("equal@new", "has a label"),
        ("equal[", "policy 'equal[': has brackets that do not close"),
        ("quarterly-cut-by-clams[cut=0.3]", "quarterly-cut-by-claims"),
    ],
)
def test_options_that_no_policy_has_are_refused(name, said):
    with pytest.raises(BadInput) as caught:
        players_named([name])
    assert said in str(caught.value)


def test_boards_order_by_regret_and_compare_in_pairs(played):
    lives, _ = played
    board = loops.policies([lives])
    assert board.policy.iloc[0] == "oracle" and board.regret.is_monotonic_increasing
    regrets = loops.regret(lives)
    row = board.set_index("policy").loc["bandit"]
    difference = regrets[NAMES.index("bandit")] - regrets[NAMES.index("greedy")]
    assert row.difference == pytest.approx(difference.mean()) and row.worlds == REPLICATES
    both = loops.policies([lives, lives])
    assert set(both.scenario) == {"all", lives.scenario.name}
    pd.testing.assert_series_equal(both.regret[: len(NAMES)], board.regret, check_index=False)


def test_the_worst_tenth_is_no_better_than_the_mean(played):
    lives, _ = played
    worst = loops.risk([lives])
    assert (worst["worst tenth"] <= worst["mean"] + 1e-12).all() and "status-quo" not in set(worst.policy)
    k = NAMES.index("oracle")
    gain = 100 * (lives.profit[k] - lives.profit[NAMES.index("status-quo")]) / lives.usual[k]
    row = worst.set_index("policy").loc["oracle"]
    assert row["mean"] == pytest.approx(gain.mean()) and row["worst tenth"] == pytest.approx(gain.min())


def test_money_moved_is_half_of_what_was_shifted(played):
    lives, _ = played
    share = loops.moved(lives)
    assert np.abs(share[NAMES.index("status-quo")]).max() < 1e-9
    k = NAMES.index("greedy")
    before, total = 1.0, 0.0
    for made in lives.decided:
        usual = made.problem.status_quo.reshape(*made.amounts.shape)[k]
        factor = made.amounts[k] / usual
        total += 50 * (np.abs(factor - before) * usual).sum(axis=-1) / usual.sum(axis=-1)
        before = factor
    np.testing.assert_allclose(share[k], total / QUARTERS)


def test_a_plain_ask_answers_in_blocks_and_in_order(scenario):
    from simbench.backends.base import python_backend

    backend = python_backend("roots", lambda key, brief: believes(brief))._replace(block=2)
    lives = loop(scenario, players_named(["greedy"]), plain(backend), replicates=3, epochs=1)
    other = loop(scenario, players_named(["greedy"]), Model(), replicates=3, epochs=1)
    np.testing.assert_allclose(lives.decided[0].amounts, other.decided[0].amounts, rtol=1e-6)
