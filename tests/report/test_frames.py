"""Frames hold the numbers of the records, each under its names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import simbench as sb
from simbench.report.frames import REAL, TEXT, WHOLE, frame, scenarios, truth_frame
from simbench.world.scenario import read_scenario, scenario_digest


def test_scenarios_are_listed_with_their_digests() -> None:
    listed = scenarios().set_index("name")
    assert listed.loc["clean", "digest"] == scenario_digest(read_scenario("clean"))[:16]
    assert listed.loc["geo-20", "geos"] == 20
    assert listed.loc["collinear[0.9]", "breaks"] == "uncorrelated-spend"
    assert "collinear" not in listed.index and listed.index.is_unique
    for name in listed.index:
        assert read_scenario(name).sweep is None


def test_frame_of_worlds_has_the_briefs(clean: Any) -> None:
    rows = frame(clean)
    assert rows.columns[0] == "replicate" and set(rows.replicate) == {0, 1}
    second = rows[rows.replicate == 1]
    np.testing.assert_array_equal(second.kpi, clean.brief.panel.kpi[1].ravel())
    np.testing.assert_array_equal(second["spend_paid-social"], clean.brief.panel.spend[1, :, 0, 3])
    assert str(second.date.iloc[0].date()) == "2021-01-04"


def test_one_brief_needs_labels(clean: Any) -> None:
    assert len(frame(clean.briefs[0], clean.labels)) == 156
    with pytest.raises(sb.BadInput, match="labels"):
        frame(clean.briefs[0])
    with pytest.raises(sb.BadInput, match="no frame"):
        frame(3)  # type: ignore[arg-type]


def cell(rows: Any, **where: Any) -> float:
    for column, value in where.items():
        rows = rows[rows[column] == value]
    (value,) = rows.value
    return float(value)


def test_truth_frame_finds_every_number(clean: Any) -> None:
    rows, truth, brief = truth_frame(clean), clean.truths[1], clean.briefs[1]
    assert list(rows.columns) == ["replicate", *TEXT, *WHOLE, *REAL]
    rows = rows[rows.replicate == 1]
    whole, last = clean.labels.windows
    held = {"reading": "decision-held", "channel": "radio"}
    assert cell(rows, estimand="contribution", window=last, **held) == truth.answers.contribution[1, 1]
    roas = truth.answers.contribution[0, 1] * brief.context.unit_value / truth.paid[0, 1]
    assert cell(rows, estimand="roas", window=whole, **held) == pytest.approx(roas, rel=1e-12)
    assert cell(rows, estimand="paid", window=last, channel="tv") == truth.paid[1, 0]
    assert cell(rows, estimand="curve", channel="tv", multiplier=1.5) == truth.answers.curve[0, 6]
    assert cell(rows, estimand="impulse", channel="radio", lag=3) == truth.answers.impulse[1, 3]
    assert cell(rows, estimand="baseline", week=155) == truth.answers.baseline[155]
    assert cell(rows, estimand="kpi", week=156 + 25) == truth.kpi_future[25, 0]
    assert cell(rows, estimand="plan value", plan="radio off") == truth.answers.plan_value[4]
    response = {"estimand": "response", "problem": "free", "unit": "paid-social", "level": 7}
    assert cell(rows, **response) == truth.answers.response[1][3, 7]
    amount = rows[(rows.estimand == "response") & (rows.problem == "free") & (rows.unit == "paid-social")].amount
    np.testing.assert_array_equal(amount, brief.questions.problems[1].levels[3])
    assert cell(rows, estimand="best amount", problem="fixed", unit="tv") == truth.optima[0].amounts[0]
    assert cell(rows, estimand="upper bound", problem="fixed") == truth.optima[0].upper_bound


def test_a_truth_alone_leaves_out_what_only_the_brief_knows(clean: Any) -> None:
    rows = frame(clean.truths[0], clean.labels)
    assert not (rows.estimand == "roas").any() and rows.multiplier.isna().all()
    assert (rows.estimand == "curve").sum() == clean.truth.answers.curve[0].size
    with pytest.raises(sb.BadInput, match="batch"):
        frame(clean.truth, clean.labels)


def test_worlds_without_truth_have_no_truth_frame() -> None:
    with pytest.raises(sb.BadInput, match="without truth"):
        truth_frame(sb.draw("clean", truth=False))
