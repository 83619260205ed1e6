"""What acting on answers came to, over worlds: against plain loops, and what a failure costs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simbench.report.stakes import COLUMNS, PRINTED, stakes, stakes_cells
from simbench.score.headlines import leaderboard
from simbench.score.statistics import mean_interval

COLUMN = ["scenario", "family", "replicate", "backend", "estimand", "unit", "metric", "value", "status", "reason"]
QUALITY = {"oracle": 0.0, "prior-only": 0.6, "good": 0.2, "bad": 0.5}


def run(worlds: int = 20, scenarios: tuple[str, ...] = ("clean",), seed: int = 0, **left_out: str) -> pd.DataFrame:
    """Score rows of decisions; regrets have a heavy tail; `left_out`: metrics that a contender does not answer."""
    rng, rows = np.random.default_rng(seed), []
    for place, scenario in enumerate(scenarios):
        for replicate in range(worlds):
            luck, gain = rng.exponential() * (1 + place), rng.uniform(0.1, 0.3)
            for backend, level in QUALITY.items():
                regret = level * luck
                told = {
                    "gain": gain, "regret": regret, "harm": float(regret > gain), "promise gap": level * rng.normal(),
                    "efficiency gain": 100 * (gain - regret), "perfect information": level * rng.uniform(0, 1),
                    "common regret": 1.1 * regret, "plug-in regret": 1.2 * regret, "risk-aware regret": 0.9 * regret,
                    "cautious regret": min(regret, gain),
                }  # fmt: skip
                for metric, value in told.items():
                    ok = metric != left_out.get(backend)
                    rows.append((
                        scenario, scenario, replicate, backend, "decision", "problem:0", metric,
                        value if ok else np.nan, "ok" if ok else "not answered", "",
                    ))  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMN)


def values(frame: pd.DataFrame, backend: str, metric: str, scenario: str) -> np.ndarray:
    at = (frame.backend == backend) & (frame.metric == metric) & (frame.scenario == scenario)
    return frame[at].sort_values("replicate").value.to_numpy()


def outcome(frame: pd.DataFrame, backend: str, scenario: str = ""):
    told = leaderboard(frame)
    board = told.suite if not scenario else next(one for one in told.scenarios if one.scenario == scenario)
    assert [one.backend for one in board.outcomes] == [one.backend for one in board.standings]
    return next(one for one in board.outcomes if one.backend == backend)


def worst_tenth(parts: list[np.ndarray]) -> float:
    """Every scenario has the same weight; the worst worlds one by one until a tenth is full."""
    weighted = sorted(((x, 1 / len(part)) for part in parts for x in part), reverse=True)
    left = room = 0.1 * len(parts)
    total = 0.0
    for value, weight in weighted:
        total += min(weight, left) * value
        left -= min(weight, left)
    return total / room


def test_plain_means_and_the_headline():
    frame = pd.concat([run(25), run(20, ("other",), seed=3)], ignore_index=True)
    found, board = outcome(frame, "good"), leaderboard(frame)
    headline = next(one for one in board.suite.standings if one.backend == "good").decision.estimate
    assert found.normalised == headline
    for metric, told in (
        ("regret", found.regret), ("harm", found.harm), ("promise gap", found.promise_gap),
        ("efficiency gain", found.efficiency), ("common regret", found.common), ("plug-in regret", found.plug_in),
        ("risk-aware regret", found.risk_aware), ("cautious regret", found.cautious),
    ):  # fmt: skip
        means = [values(frame, "good", metric, s).mean() for s in ("clean", "other")]
        assert told.value == pytest.approx(np.mean(means)), metric
        assert told.low <= told.value <= told.high and told.n == 45
    alone = mean_interval(values(frame, "good", "regret", "clean"))
    there = outcome(frame, "good", "clean").regret
    assert (there.high - there.low) == pytest.approx(alone.high - alone.low, rel=0.15)


def test_the_worst_tenth_of_worlds():
    frame = pd.concat([run(25), run(13, ("other",), seed=3)], ignore_index=True)
    parts = [values(frame, "bad", "regret", s) for s in ("clean", "other")]
    found = outcome(frame, "bad")
    assert found.tail.value == pytest.approx(worst_tenth(parts))
    assert found.tail.low < found.tail.value < found.tail.high and found.tail.value > found.regret.value
    assert outcome(frame, "bad", "other").tail.value == pytest.approx(worst_tenth(parts[1:]))


def test_the_worst_kind_of_scenario_takes_a_sweep_as_one():
    """Points of a sweep are averaged first: one bad point does not make the sweep the worst kind."""
    frame = run(20, ("calm", "sweep[1]", "sweep[2]", "steady"))
    means = {s: values(frame, "bad", "regret", s).mean() for s in ("calm", "sweep[1]", "sweep[2]", "steady")}
    kinds = {"calm": means["calm"], "sweep": (means["sweep[1]"] + means["sweep[2]"]) / 2, "steady": means["steady"]}
    found = outcome(frame, "bad")
    assert found.worst_scenario == max(kinds, key=kinds.__getitem__)
    assert found.worst.value == pytest.approx(max(kinds.values()))
    twisted = frame.assign(scenario=frame.scenario.replace("steady", "sweep@origin:-13"))
    kinds = {"calm": means["calm"], "sweep": np.mean([means[s] for s in ("sweep[1]", "sweep[2]", "steady")])}
    assert outcome(twisted, "bad").worst.value == pytest.approx(max(kinds.values()))


def test_honesty_is_a_ratio_of_sums_over_worlds_that_have_both():
    frame = run(20)
    told, real = (values(frame, "good", x, "clean") for x in ("perfect information", "common regret"))
    assert outcome(frame, "good").honesty.value == pytest.approx(told.sum() / real.sum())
    frame.loc[(frame.backend == "good") & (frame.metric == "perfect information") & (frame.replicate < 5), "status"] = (
        "no uncertainty"
    )
    found = outcome(frame, "good").honesty
    assert found.value == pytest.approx(told[5:].sum() / real[5:].sum()) and found.n == 15
    none = outcome(run(20, good="perfect information"), "good")
    assert np.isnan(none.honesty.value) and none.honesty.n == 0
    assert np.isnan(outcome(frame, "oracle").honesty.value)  # nothing was lost


def test_a_failure_costs_what_the_headline_says():
    """The worse of the reference decision and prior-only, in every reading; its harm; its efficiency."""
    frame = run(20)
    lost = (frame.backend == "good") & (frame.replicate == 4)
    cell = frame[lost].head(1).assign(estimand="", unit="", metric="", value=np.nan, status="failed", reason="timeout")
    found = outcome(pd.concat([frame[~lost], cell], ignore_index=True), "good")
    at = np.arange(20) == 4
    gain, prior = (values(frame, *x, "clean")[4] for x in (("good", "gain"), ("prior-only", "regret")))
    for metric, told in (
        ("regret", found.regret),
        ("plug-in regret", found.plug_in),
        ("cautious regret", found.cautious),
    ):
        own = np.where(at, max(gain, prior), values(frame, "good", metric, "clean"))
        assert told.value == pytest.approx(own.mean()), metric
    assert found.harm.value == pytest.approx(np.where(at, prior > gain, values(frame, "good", "harm", "clean")).mean())
    least = min(values(frame, "prior-only", "efficiency gain", "clean")[4], 0)
    own = np.where(at, least, values(frame, "good", "efficiency gain", "clean"))
    assert found.efficiency.value == pytest.approx(own.mean())
    assert found.imputed == 1 and found.promise_gap.n == 19


def test_where_prior_only_does_not_decide_a_failure_counts_as_the_reference_decision():
    frame = run(20)
    silent = (frame.backend == "prior-only") & (frame.metric != "gain")
    frame.loc[silent, ["value", "status"]] = np.nan, "not answered"
    lost = (frame.backend == "good") & (frame.replicate == 4)
    cell = frame[lost].head(1).assign(estimand="", unit="", metric="", value=np.nan, status="failed", reason="timeout")
    found, at = outcome(pd.concat([frame[~lost], cell], ignore_index=True), "good"), np.arange(20) == 4
    for metric, told, kept in (
        ("regret", found.regret, values(frame, "good", "gain", "clean")[4]),
        ("harm", found.harm, 0.0),
        ("efficiency gain", found.efficiency, 0.0),
    ):
        own = np.where(at, kept, values(frame, "good", metric, "clean"))
        assert told.value == pytest.approx(own.mean()), metric
    assert found.imputed == 1


def test_the_table_of_decisions():
    frame = run(20, ("one", "two"), bad="promise gap")
    told = stakes(leaderboard(frame))
    assert list(told.scenario) == [""] * 4 + ["one"] * 4 + ["two"] * 4
    assert {*COLUMNS, "worst_scenario", "regret_imputed"} <= set(told)
    cells = stakes_cells(told[told.scenario == ""])
    assert cells is not None and cells.head == ["contender", *PRINTED, "worst kind"]
    rows = {row[0]: dict(zip(cells.head, row, strict=True)) for row in cells.rows}
    assert set(rows) == {"prior-only", "good", "bad"}  # the oracle knows the truth
    found = outcome(frame, "good")
    assert rows["good"]["worst tenth %"] == f"{100 * found.tail.value:.2f}"
    assert rows["good"]["efficiency gain %"].startswith(f"{found.efficiency.value:.2f} [")
    assert rows["good"]["information / regret"] == f"{found.honesty.value:.2f}"
    assert rows["bad"]["promise gap %"] == "-" and rows["bad"]["worst kind"] == "two"
    nobody = stakes(leaderboard(frame[frame.metric == "gain"]))
    assert stakes_cells(nobody) is None
