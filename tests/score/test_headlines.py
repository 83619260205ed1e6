"""The leaderboard: what is averaged over what, what a failure costs, who is ranked."""

# ruff: noqa: E501  (a row of scores is one line)
from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simbench.errors import BadInput
from simbench.score.comparison import compare
from simbench.score.headlines import leaderboard
from simbench.score.statistics import mean_interval, ratio_interval

HEADLINES = {
    "recovery": ("contribution", "all", "error"),
    "calibration": ("contribution", "all", "interval score 90%"),
    "coverage": ("contribution", "all", "coverage 90%"),
    "forecast": ("forecast", "all", "crps"),
    "regret": ("decision", "problem:0", "regret"),
    "gain": ("decision", "problem:0", "gain"),
    "cost": ("cost", "all", "seconds"),
}
BACKENDS = ("oracle", "prior-only", "seasonal-naive", "good", "bad")


def run(worlds: int = 10, scenarios=("clean",), backends=BACKENDS, family=None, seed: int = 0) -> pd.DataFrame:
    """Score rows of contenders of known quality; `good` is better than `bad` in every world."""
    rng = np.random.default_rng(seed)
    quality = {"oracle": 0.0, "prior-only": 0.6, "seasonal-naive": 0.6, "good": 0.2, "bad": 0.4}
    rows = []
    for scenario in scenarios:
        for replicate in range(worlds):
            luck, gain = rng.uniform(0.8, 1.2), rng.uniform(0.1, 0.3)
            for backend in backends:
                level = quality.get(backend, 0.3) * luck
                values = {
                    "recovery": level, "calibration": 3 * level, "coverage": 0.8, "forecast": level + 0.1,
                    "regret": level * gain, "gain": gain, "cost": 1 + replicate,
                }  # fmt: skip
                for name, (estimand, unit, metric) in HEADLINES.items():
                    ok = backend != "seasonal-naive" or name in ("forecast", "cost", "gain")
                    rows.append((scenario, (family or {}).get(scenario, scenario), replicate, backend, estimand, unit, metric,
                                 values[name] if ok else np.nan, "ok" if ok else "not answered", ""))  # fmt: skip
    names = ["scenario", "family", "replicate", "backend", "estimand", "unit", "metric", "value", "status", "reason"]
    return pd.DataFrame(rows, columns=names)


def fail(
    frame: pd.DataFrame, backend: str, replicates, scenario: str = "clean", reason: str = "timeout"
) -> pd.DataFrame:
    """The same run in which some cells have no answer."""
    at = (frame.backend == backend) & frame.replicate.isin(list(replicates)) & (frame.scenario == scenario)
    cells = (
        frame[at]
        .drop_duplicates(["scenario", "replicate"])
        .assign(estimand="", unit="", metric="", value=np.nan, status="failed", reason=reason)
    )
    return pd.concat([frame[~at], cells], ignore_index=True)


def changed(frame: pd.DataFrame, backend: str, name: str, replicates, **to) -> pd.DataFrame:
    estimand, unit, metric = HEADLINES[name]
    at = (frame.backend == backend) & frame.replicate.isin(list(replicates)) & (frame.estimand == estimand)
    at &= (frame.unit == unit) & (frame.metric == metric)
    frame = frame.copy()
    for column, value in to.items():
        frame.loc[at, column] = value
    return frame


def values(frame: pd.DataFrame, backend: str, name: str, scenario: str = "clean") -> np.ndarray:
    estimand, unit, metric = HEADLINES[name]
    at = (frame.backend == backend) & (frame.estimand == estimand) & (frame.unit == unit) & (frame.metric == metric)
    return frame[at & (frame.scenario == scenario)].sort_values("replicate").value.to_numpy()


def standing(frame: pd.DataFrame, backend: str, board=None, **options):
    told = leaderboard(frame, **options)
    (found,) = [one for one in (board(told) if board else told.suite).standings if one.backend == backend]
    return found


def test_headlines_are_means_over_worlds_with_t_intervals():
    frame = run()
    told = standing(frame, "good")
    for name in ("recovery", "calibration"):
        expected, found = mean_interval(values(frame, "good", name)), getattr(told, name).estimate
        assert found.value == pytest.approx(expected.value) and found.n == 10
        # the joint bootstrap has the classical standard error up to its own noise
        assert found.high - found.low == pytest.approx(expected.high - expected.low, rel=0.08)
    relative = values(frame, "good", "forecast") / values(frame, "seasonal-naive", "forecast")
    assert told.forecast.estimate.value == pytest.approx(relative.mean())
    assert told.decision.estimate.value == pytest.approx(
        ratio_interval(values(frame, "good", "regret"), values(frame, "good", "gain")).value
    )
    assert told.cost.estimate.value == 5.5
    assert (told.worlds, told.failures, told.recovery.imputed) == (10, 0, 0)
    assert leaderboard(frame).intervals.startswith("95% t intervals")
    assert leaderboard(run(20)).intervals.startswith("95% bootstrap")


def test_the_suite_is_the_plain_mean_over_scenarios():
    frame = pd.concat([run(12), run(4, ("other",), seed=1)], ignore_index=True)
    told = leaderboard(frame)
    assert [board.scenario for board in told.scenarios] == ["clean", "other"]
    parts = [mean_interval(values(frame, "bad", "recovery", name)).value for name in ("clean", "other")]
    assert standing(frame, "bad").recovery.estimate.value == pytest.approx(np.mean(parts))
    assert standing(frame, "bad", lambda t: t.scenarios[1]).recovery.estimate.value == pytest.approx(parts[1])


def test_ranks_leave_out_the_oracle_and_who_does_not_answer():
    told = {one.backend: one for one in leaderboard(run()).suite.standings}
    assert [told[name].recovery.rank for name in ("good", "bad", "prior-only")] == [1, 2, 3]
    assert (told["good"].recovery.rank_low, told["good"].recovery.rank_high) == (1, 1)  # better in every world
    assert told["oracle"].recovery.unranked == "knows the truth" and np.isnan(told["oracle"].recovery.rank)
    assert told["seasonal-naive"].recovery.unranked == "not answered"
    assert told["seasonal-naive"].forecast.estimate.value == pytest.approx(1)


# --- failures


def test_failures_are_imputed_from_their_own_cell_and_never_dropped():
    """Losses twice the reference's, coverage 0, the worse of two decisions; the mean gets worse."""
    frame = fail(run(40), "good", [3])
    told, before = standing(frame, "good"), standing(run(40), "good")
    assert told.failures == 1 and told.recovery.imputed == 1
    at = np.arange(40) == 3
    for name in ("recovery", "calibration"):
        expected = np.where(at, 2 * values(frame, "prior-only", name), values(run(40), "good", name)).mean()
        assert getattr(told, name).estimate.value == pytest.approx(expected)
    relative = values(run(40), "good", "forecast") / values(frame, "seasonal-naive", "forecast")
    assert told.forecast.estimate.value == pytest.approx(np.where(at, 2.0, relative).mean())
    assert told.coverage.value == pytest.approx(0.8 * 39 / 40)
    gain = values(frame, "bad", "gain")
    lost = np.maximum(gain, values(frame, "prior-only", "regret"))
    expected = np.where(at, lost, values(run(40), "good", "regret")).sum() / gain.sum()
    assert told.decision.estimate.value == pytest.approx(expected)
    for name in ("recovery", "calibration", "forecast", "decision"):
        assert getattr(told, name).estimate.value > getattr(before, name).estimate.value
    assert told.cost.estimate.n == 39


def test_a_failed_decision_is_the_worse_of_reference_and_prior_only():
    harmful = run()
    gain = values(harmful, "bad", "gain")
    prior = changed(harmful, "prior-only", "regret", [0], value=3 * gain[0])
    for frame, lost in ((harmful, gain[0]), (prior, 3 * gain[0])):
        told = standing(fail(frame, "good", [0]), "good").decision.estimate.value
        assert told == pytest.approx((lost + values(harmful, "good", "regret")[1:].sum()) / gain.sum())


@pytest.mark.parametrize(
    ("lost", "said"),
    [(2, ""), (3, "failed in 8% of its cells"), (9, "failed in 22% of clean")],
)
def test_too_many_failures_cost_the_rank_and_not_the_number(lost, said):
    told = standing(fail(run(40), "good", range(lost)), "good")
    assert told.recovery.unranked == said and np.isnan(told.recovery.rank) == bool(said)
    assert np.isfinite(told.recovery.estimate.value)


def test_one_bad_scenario_costs_the_rank_in_the_suite():
    frame = run(20, ("a", "b", "c", "d", "e"))
    assert not standing(fail(frame, "good", range(4), "b"), "good").recovery.unranked
    assert standing(fail(frame, "good", range(5), "b"), "good").recovery.unranked == "failed in 25% of b"


def test_unsupported_and_unanswered_cells_are_not_imputed():
    for lost, said in ((4, ""), (5, "answered 88% of the cells")):
        told = standing(fail(run(40), "good", range(lost), reason="unsupported"), "good")
        assert (told.recovery.imputed, told.failures, told.recovery.unranked) == (0, 0, said)
        assert told.recovery.estimate.value == pytest.approx(values(run(40), "good", "recovery")[lost:].mean())
        silent = changed(run(40), "good", "recovery", range(lost), value=np.nan, status="not answered")
        assert standing(silent, "good").recovery.unranked == said and not standing(silent, "good").decision.unranked


def test_a_quantity_that_only_one_contender_finds_undefined_is_a_missing_answer():
    frame = changed(run(40), "good", "recovery", [0], value=np.nan, status="undefined")
    assert standing(frame, "good").recovery.imputed == 1
    nobody = run(40)
    for backend in BACKENDS:
        nobody = changed(nobody, backend, "recovery", [0], value=np.nan, status="undefined")
    told = standing(nobody, "good").recovery
    assert (told.imputed, told.unranked, told.estimate.n) == (0, "", 39)


def test_missing_references_are_said_and_nothing_is_imputed_without_them():
    frame = run(40, backends=("good", "bad"))
    told = leaderboard(frame)
    assert told.missing_references == ("prior-only", "seasonal-naive") and told.forecast_unit == "mean weekly KPI"
    assert standing(frame, "good").forecast.estimate.value == pytest.approx(values(frame, "good", "forecast").mean())
    assert not standing(frame, "good").recovery.unranked
    lost = standing(fail(frame, "good", [0]), "good")
    assert (
        lost.recovery.unranked == "failed where there is no reference to impute from" and lost.recovery.estimate.n == 39
    )
    assert np.isnan(lost.decision.rank)
    assert leaderboard(run()).forecast_unit == "CRPS of seasonal-naive"


def test_worlds_without_gain_are_left_out_and_counted():
    frame = run()
    for backend in BACKENDS:
        frame = changed(frame, backend, "gain", [2, 5], value=0.001)
    told = leaderboard(frame)
    assert told.suite.left_out == 2
    keep = [r for r in range(10) if r not in (2, 5)]
    regret, gain = values(frame, "good", "regret")[keep], values(frame, "good", "gain")[keep]
    found = standing(frame, "good").decision
    assert found.estimate.value == pytest.approx(regret.sum() / gain.sum()) and not found.unranked


# --- what is resampled


def test_scenarios_of_a_family_share_their_worlds():
    """Two scenarios with the same numbers: the interval is that of one, not sqrt(2) narrower."""
    one = run(30)
    twin = pd.concat([one, one.assign(scenario="twin", family="clean")], ignore_index=True)
    apart = pd.concat([one, run(30, ("other",), seed=9)], ignore_index=True)

    def width(frame):
        told = standing(frame, "bad").recovery.estimate
        return told.high - told.low

    assert width(twin) == pytest.approx(width(one), rel=1e-9)
    assert width(apart) < 0.85 * width(one)


def test_dependent_channels_do_not_narrow_the_interval():
    """Channels that repeat one another add rows, not worlds."""
    frame = run(30)
    rng = np.random.default_rng(1)
    hit = dict(enumerate((rng.random(30) < 0.7).astype(float)))
    at = frame.metric == "coverage 90%"
    frame.loc[at, "value"] = frame[at].replicate.map(hit)
    channels = [frame[at].assign(unit=f"channel:{c}", metric="inside 90%") for c in range(5)]
    told = standing(pd.concat([frame, *channels], ignore_index=True), "good").coverage
    sd = np.std(list(hit.values()), ddof=1) / np.sqrt(30)
    assert told.high - told.low == pytest.approx(2 * 2.045 * sd, rel=0.12)


def test_coverage_is_exact_where_all_worlds_agree():
    frame = run(8)
    frame.loc[frame.metric == "coverage 90%", "value"] = 1.0
    told = standing(frame, "good").coverage
    assert (told.value, told.high, told.n) == (1.0, 1.0, 8) and told.low == pytest.approx(0.025 ** (1 / 8))


def test_rank_intervals_hold_an_open_race_and_a_clear_one():
    rng = np.random.default_rng(3)
    frame = run(25, backends=("a", "b", "prior-only"))
    at = frame.metric == "error"
    frame.loc[at, "value"] = rng.uniform(0.4, 0.6, at.sum())
    frame.loc[at & (frame.backend == "prior-only"), "value"] += 0.5
    told = {one.backend: one.recovery for one in leaderboard(frame).suite.standings}
    assert all((told[x].rank_low, told[x].rank_high) == (1, 2) for x in "ab")
    assert (told["prior-only"].rank_low, told["prior-only"].rank_high) == (3, 3)


# --- in class and out of class


def classed(frame: pd.DataFrame, **known: dict[str, bool | None]) -> pd.DataFrame:
    """The same run with a column that says whose class contains which scenario."""
    pairs = zip(frame.backend, frame.scenario, strict=True)
    said = [known.get(backend.replace("-", "_"), {}).get(scenario) for backend, scenario in pairs]
    return frame.assign(representable=pd.array(said, dtype="boolean"))


def three() -> pd.DataFrame:
    """Three scenarios of which `good` contains two, `bad` one; nobody says anything of the others."""
    frame = pd.concat([run(12, (name,), seed=i) for i, name in enumerate("abc")], ignore_index=True)
    return classed(frame, good={"a": True, "b": True, "c": False}, bad={"a": True, "b": False, "c": False})


def test_in_class_and_out_of_class_are_never_averaged_together():
    """Each part is the mean over its own scenarios; the board is as without the column."""
    frame = three()
    told = {one.backend: one for one in leaderboard(frame).classes}
    for backend, inside, outside in (("good", "ab", "c"), ("bad", "a", "bc")):
        for part, scenarios in ((told[backend].inside, inside), (told[backend].outside, outside)):
            assert part.scenarios == len(scenarios) and part.recovery.n == part.decision.n == 12 * len(scenarios)
            means = [values(frame, backend, "recovery", s).mean() for s in scenarios]
            assert part.recovery.value == pytest.approx(np.mean(means))
            ratios = [
                values(frame, backend, "regret", s).sum() / values(frame, backend, "gain", s).sum() for s in scenarios
            ]
            assert part.decision.value == pytest.approx(np.mean(ratios))
    plain = frame.drop(columns="representable")
    assert repr(leaderboard(plain).suite) == repr(leaderboard(frame).suite)


def test_a_part_of_one_scenario_is_its_board():
    """Numbers and intervals: the same statistics over fewer scenarios."""
    frame = three()
    found = {one.backend: one for one in leaderboard(frame).classes}
    for backend, part, position in (("bad", found["bad"].inside, 0), ("good", found["good"].outside, 2)):
        own = standing(frame, backend, lambda told, s=position: told.scenarios[s])
        assert (part.recovery, part.decision) == (own.recovery.estimate, own.decision.estimate)


def test_who_does_not_say_is_in_neither_part():
    found = leaderboard(three())
    told = {one.backend: one for one in found.classes}
    assert [one.backend for one in found.classes] == [one.backend for one in found.suite.standings]
    assert (told["good"].unsaid, told["prior-only"].unsaid) == (0, 3)
    for part in (told["prior-only"].inside, told["prior-only"].outside):
        assert part.scenarios == 0 and part.recovery.n == 0 and np.isnan(part.recovery.value)
    assert leaderboard(run()).classes == ()  # nothing is known of anybody's class
    assert leaderboard(classed(run())).classes == ()


def test_scenarios_that_a_contender_was_not_asked_about_do_not_count():
    """Refused, or never asked: no scenario of its class."""
    frame = three()
    refused = fail(frame, "good", range(12), "b", reason="unsupported")
    never = frame[(frame.backend != "good") | (frame.scenario != "b")]
    for part in (refused, never):
        (told,) = [one for one in leaderboard(part).classes if one.backend == "good"]
        assert (told.inside.scenarios, told.outside.scenarios, told.inside.recovery.n) == (1, 1, 12)
    failed = fail(frame, "good", range(12), "b")
    (told,) = [one for one in leaderboard(failed).classes if one.backend == "good"]
    imputed = 2 * values(frame, "prior-only", "recovery", "b").mean()
    own = values(frame, "good", "recovery", "a").mean()
    assert told.inside.scenarios == 2 and told.inside.recovery.value == pytest.approx((imputed + own) / 2)


def test_a_board_says_what_holds_of_all_its_scenarios():
    found = leaderboard(three())

    def said(board, backend):
        return next(one.representable for one in board.standings if one.backend == backend)

    assert [said(board, "bad") for board in found.scenarios] == [True, False, False]
    assert [said(found.suite, backend) for backend in ("good", "bad", "prior-only")] == [None] * 3
    one = classed(run(), good={"clean": True}, bad={"clean": False})
    assert [said(leaderboard(one).suite, backend) for backend in ("good", "bad", "oracle")] == [True, False, None]


# --- beside


def test_forecast_ranks_are_held_against_recovery_ranks():
    frame = run(20, backends=("prior-only", "seasonal-naive", "good", "bad", "oracle"))
    told = leaderboard(frame).suite.agreement
    assert (told.value, told.n) == (1.0, 3)
    at = (frame.metric == "crps") & (frame.backend != "seasonal-naive")
    frame.loc[at, "value"] = 1 - frame.loc[at, "value"]
    assert leaderboard(frame).suite.agreement.value == -1.0


def test_distance_moved_from_the_prior():
    frame = run(6)
    extra = []
    for backend, factor in (("prior-only", 1.0), ("good", 1.5)):
        for channel in range(2):
            part = frame[(frame.backend == backend) & (frame.metric == "error")]
            extra.append(part.assign(unit=f"channel:{channel}", metric="median", value=factor * (channel + 1.0)))
    told = {one.backend: one.moved for one in leaderboard(pd.concat([frame, *extra])).suite.standings}
    assert told["good"].value == pytest.approx(0.5) and told["prior-only"].value == 0 and told["bad"].n == 0


def test_flags_and_widths_stand_beside():
    frame = run(6)
    part = frame[(frame.backend == "good") & (frame.metric == "error")]
    extra = [
        part.assign(metric="silent failure", value=[0.0, 0.5, 0, 0, 0, 0]),
        part.assign(metric="confident error", value=0.25),
        part.assign(metric="width 90%", value=[1.0, 2, 3, 4, 50, 2]),
    ]
    told = standing(pd.concat([frame, *extra]), "good")
    assert told.silent_failures.value == pytest.approx(0.5 / 6) and told.confident_errors.value == 0.25
    assert told.width.value == 2.5


# --- the frame


def test_transforms_are_scenarios_of_their_own():
    frame = pd.concat([run(4).assign(transform=""), run(4, seed=1).assign(transform="origin:-13")], ignore_index=True)
    assert [board.scenario for board in leaderboard(frame).scenarios] == ["clean", "clean@origin:-13"]


def test_the_problem_called_fixed_counts_unless_told():
    frame = run(6)
    rest = frame[frame.estimand == "decision"].assign(unit="problem:1", name="fixed")
    rest.loc[rest.metric == "regret", "value"] *= 2
    both = pd.concat([frame.assign(name="free"), rest], ignore_index=True)
    plain = standing(frame, "good").decision.estimate.value
    assert standing(both, "good").decision.estimate.value == pytest.approx(2 * plain)
    assert standing(both, "good", problem="free").decision.estimate.value == pytest.approx(plain)
    assert standing(frame, "good", problem="problem:0").decision.estimate.value == pytest.approx(plain)


def test_order_of_rows_and_kind_of_columns_do_not_matter():
    frame = run(6, ("a", "b"), family={"b": "a"})
    texts = ("scenario", "family", "backend", "estimand", "unit", "metric", "status", "reason")
    coded = frame.sample(frac=1, random_state=0).astype(dict.fromkeys(texts, "category"))
    for name in texts:
        coded[name] = coded[name].cat.add_categories(["never used"])
    assert repr(leaderboard(coded)) == repr(leaderboard(frame))


def test_a_frame_that_is_none_is_told():
    with pytest.raises(BadInput, match="no column 'family'"):
        leaderboard(run(2).drop(columns="family"))
    with pytest.raises(BadInput, match="there are none"):
        leaderboard(run(2).iloc[:0])


# --- two contenders


def test_comparisons_are_paired_over_common_cells():
    frame = fail(run(12), "good", [0, 1])
    told = compare(frame, "good", "bad").set_index(["estimand", "unit", "metric"])
    row = told.loc[HEADLINES["recovery"]]
    d = (values(run(12), "good", "recovery") - values(run(12), "bad", "recovery"))[2:]
    expected = mean_interval(d)
    assert (row.n, row.cells, row.a_better) == (10, 10, 1.0)
    assert (row.difference, row.low, row.high) == pytest.approx(expected[:3])
    assert row.difference == pytest.approx(row.a - row.b)
    assert told.loc[HEADLINES["gain"]].difference == 0 and np.isnan(told.loc[HEADLINES["gain"]].a_better)
    assert told.loc[HEADLINES["coverage"]].a_better == 0.5  # both equally far from 90%


def test_better_is_what_the_score_says():
    frame = run(5)
    part = frame[(frame.metric == "error") & frame.backend.isin(["good", "bad"])]
    signed = part.assign(estimand="forecast", metric="bias", value=np.where(part.backend == "good", -0.3, 0.2))
    higher = part.assign(estimand="forecast", metric="r2", value=np.where(part.backend == "good", 0.9, 0.2))
    told = compare(pd.concat([frame, signed, higher]), "good", "bad").set_index("metric")
    assert told.loc["bias"].a_better == 0 and told.loc["r2"].a_better == 1


def test_pooled_comparisons_count_a_world_once():
    one = run(8)
    twin = pd.concat([one, one.assign(scenario="twin", family="clean")], ignore_index=True)
    told = [
        compare(f, "good", "bad").set_index(["estimand", "unit", "metric"]).loc[HEADLINES["recovery"]]
        for f in (one, twin)
    ]
    assert (told[1].n, told[1].cells) == (8, 16) and told[0].high == pytest.approx(told[1].high)
    each = compare(twin, "good", "bad", by_scenario=True)
    assert list(each.scenario.unique()) == ["clean", "twin"]


def test_unknown_contenders_are_told():
    with pytest.raises(BadInput, match="'best' is not in these scores"):
        compare(run(2), "good", "best")


def test_a_handful_of_worlds_tells_no_interval_of_ranks():
    few, enough = (leaderboard(run(n)).suite.standings[0].recovery for n in (4, 5))
    assert np.isfinite(few.rank) and np.isnan(few.rank_low) and np.isnan(few.rank_high)
    assert np.isfinite(enough.rank_low) and np.isfinite(enough.rank_high)


def test_a_problem_that_prior_only_does_not_decide_is_imputed_by_the_reference_decision():
    """Where no curve can be allocated on, a failure costs the whole attainable gain; who does not answer is not ranked."""
    frame = run()
    silent = frame.backend.eq("prior-only") & frame.metric.eq("regret")
    frame.loc[silent, "value"], frame.loc[silent, "status"] = np.nan, "not answered"
    board = leaderboard(fail(frame, "bad", [0])).suite
    one = {standing.backend: standing.decision for standing in board.standings}
    whole = {standing.backend: standing.decision for standing in leaderboard(frame).suite.standings}
    assert one["bad"].imputed == 1 and "reference" not in one["bad"].unranked
    assert one["bad"].estimate.value > whole["bad"].estimate.value  # 1 in that world
    assert one["good"].estimate == whole["good"].estimate and one["good"].rank == 1
    assert one["prior-only"].unranked == "not answered" and np.isnan(one["prior-only"].estimate.value)


def test_scenarios_that_do_not_ask_a_problem_count_for_nobody():
    """Asked by name for a problem of one scenario alone, the others leave nothing unanswered."""
    frame = run(scenarios=("clean", "pacing"))
    frame["name"] = np.where(frame.unit.eq("problem:0"), np.where(frame.scenario.eq("pacing"), "quarters", "fixed"), "")
    board = leaderboard(frame, "quarters").suite
    told = {standing.backend: standing.decision for standing in board.standings}
    assert told["good"].unranked == "" and told["good"].rank == 1 and told["good"].estimate.n == 10
    assert board.left_out == 0
    alone = leaderboard(frame[frame.scenario == "pacing"], "quarters").suite
    assert told["bad"].estimate.value == {s.backend: s.decision for s in alone.standings}["bad"].estimate.value
