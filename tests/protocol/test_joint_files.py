"""Problems whose units share levers, as vendors see and answer them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from protocol import small

from simbench.briefs import one
from simbench.client import amounts, read_brief, read_spread
from simbench.problems import GroupSpec, ProblemSpec, problem_of, unit_names
from simbench.protocol.answers import read_answer, validate
from simbench.protocol.asked import asked_in, asked_of
from simbench.protocol.task import neutral_labels, write_task
from simbench.records import Answers

BASE = ProblemSpec("", "national", (1.0, 1.0), 0.0, 2.0, ())
SPECS = (
    BASE._replace(name="quarters", pacing=13), BASE._replace(name="pulses", pacing="steady-or-pulsed", pulse=(2, 3)),
    BASE._replace(name="flat", pacing="flat", weeks=10), BASE._replace(name="soon", weeks=10),
)  # fmt: skip


@pytest.fixture(scope="module", params=[1, 3])
def asked(request):
    brief, labels = small.brief(4, geos=request.param)
    now, people = brief.questions.plans[:1], brief.panel.population[None]
    problems = tuple(one(problem_of(spec, now, people, 5, 0.4), 0) for spec in SPECS)
    units = tuple(unit_names(spec, labels.channels, labels.geos, now.shape[1]) for spec in SPECS)
    labels = labels._replace(problems=tuple(spec.name for spec in SPECS), units=units)
    return brief._replace(questions=brief.questions._replace(problems=problems)), labels


@pytest.fixture
def folder(asked, tmp_path):
    brief, labels = asked
    return write_task(tmp_path / "task", [brief], labels, [small.key(4)], ["one"]) / "one"


def test_the_weeks_of_a_unit_and_where_its_money_goes(asked, folder):
    _, labels = asked
    told = json.loads((folder / "problems.json").read_text())["problems"]
    assert [unit["weeks"] for unit in told[0]["units"]] == [[0, 13]] * 3 + [[13, 26]] * 3
    assert told[0]["units"][3]["name"] == "tv/weeks 14-26" and told[0]["units"][3]["channel"] == "tv"
    assert [unit["weeks"] for unit in told[3]["units"]] == [[0, 10]] * 3
    spread = pd.read_csv(folder / "spread.csv")
    assert set(spread.problem) == {"pulses", "flat"}  # the others follow the status quo plan
    sums = spread.groupby(["problem", "unit"]).share.sum()
    assert len(sums) == 6 + 3
    np.testing.assert_allclose(sums, 1.0)
    pulsed = spread[(spread.problem == "pulses") & (spread.unit == "tv/pulsed")]
    assert (pulsed.week % 5 < 2).all() and set(pulsed.channel) == {"tv"} and set(pulsed.geo) == set(labels.geos)
    assert spread[spread.problem == "flat"].week.max() == 9


def test_a_share_of_the_plan_is_told_as_a_row(tmp_path):
    """Tv is 40% of the plan at least, search 50 of money at most; nothing is told of rows where there are none."""
    brief, labels = small.brief(4)
    groups = (GroupSpec((0,), 0.4, None, of="plan"), GroupSpec((1,), 0.0, None, high_money=50.0))
    spec = BASE._replace(budget=None, groups=groups)
    problem = one(problem_of(spec, brief.questions.plans[:1], brief.panel.population[None], 5, 0.4), 0)
    plain = brief.questions.problems[1]
    asked = brief._replace(questions=brief.questions._replace(problems=(problem, plain)))
    place = write_task(tmp_path / "task", [asked], labels, [small.key(4)], ["one"]) / "one" / "problems.json"
    told, other = json.loads(place.read_text())["problems"]
    assert "rows" not in other
    assert told["groups"] == [{"units": ["search"], "low": 0.0, "high": 50.0}]
    (row,) = told["rows"]
    np.testing.assert_allclose(row["coefficients"], [0.6, -0.4, -0.4])
    assert (row["low"], row["high"]) == (0.0, pytest.approx(0.6 * problem.upper[0]))


def test_what_follows_the_status_quo_plan_needs_no_further_file(tmp_path):
    brief, labels = small.brief(4)
    assert not (write_task(tmp_path / "task", [brief], labels, [small.key(4)], ["one"]) / "one" / "spread.csv").exists()


def test_a_reader_knows_the_same_from_record_and_files(asked, folder):
    assert asked_in(folder) == asked_of(*asked)


def test_arrays_and_budgets_are_read(asked, folder, tmp_path):
    brief, labels = asked
    answers = tmp_path / "answers"
    answers.mkdir()
    random = np.random.default_rng(0)
    arrays = {}
    for p, problem in enumerate(brief.questions.problems):
        arrays |= {
            f"allocation_{p}": random.random(len(problem.status_quo)),
            f"response_{p}": random.random((3, *problem.levels.shape)),
        }
    np.savez(answers / "one.npz", **arrays)
    assert validate(folder.parent, answers).faults == []
    told = read_answer(answers, "one", brief, labels)
    assert isinstance(told, Answers)
    np.testing.assert_allclose(told.allocation[1], arrays["allocation_1"], rtol=1e-6)
    (answers / "one.npz").unlink()
    rows = "".join(f'"{name}",{money}\n' for name, money in zip(labels.channels, (10.0, 20.0, 30.0)))
    (answers / "one.csv").write_text(f"channel,budget\n{rows}")
    quarters, pulses, *_ = read_answer(answers, "one", brief, labels).allocation
    np.testing.assert_allclose(quarters.reshape(2, 3).sum(axis=0), [10.0, 20.0, 30.0], rtol=1e-6)
    assert (pulses[3:] == 0).all() and (pulses[:3] > 0).all()  # money by channel is spent steadily


def test_a_problem_may_be_left_to_the_common_allocator(asked, folder, tmp_path):
    """No number at all for a problem says so; half of one is a fault."""
    brief, labels = asked
    answers = tmp_path / "answers"
    answers.mkdir()
    arrays = {}
    for p, problem in enumerate(brief.questions.problems):
        left = 1.0 if p == 1 else np.nan
        arrays |= {f"allocation_{p}": left * problem.status_quo, f"promise_{p}": left * np.ones(3)}
    np.savez(answers / "one.npz", **arrays)
    assert validate(folder.parent, answers).faults == []
    told = read_answer(answers, "one", brief, labels)
    assert [bool(np.isnan(x).all()) for x in told.allocation] == [p != 1 for p in range(len(told.allocation))]
    arrays["allocation_1"][0] = np.nan
    np.savez(answers / "one.npz", **arrays)
    (fault,) = validate(folder.parent, answers).faults
    assert "allocation_1[unit 0]: is not finite" in str(fault)
    assert read_answer(answers, "one", brief, labels).reason == "nonfinite"


def test_names_that_tell_nothing_still_tell_units_apart(asked):
    units = neutral_labels(asked[0]).units
    assert units[0][:1] + units[0][3:4] == ("channel-1/weeks 1-13", "channel-1/weeks 14-26")
    assert units[1][:1] + units[1][3:4] == ("channel-1", "channel-1/pulsed")
    assert all(len(set(names)) == len(names) for names in units)


def test_the_client_reads_where_money_goes(asked, folder):
    brief, labels = asked
    read = read_brief(folder)
    spread = read_spread(read)
    assert set(spread) == {"pulses", "flat"}
    assert {name for units in spread.values() for name in units} == {*labels.units[1], *labels.units[2]}
    weight = np.where(brief.questions.problems[1].unit == 3, brief.questions.problems[1].weight, 0.0).sum(axis=0)
    np.testing.assert_allclose(spread["pulses"]["tv/pulsed"], weight[..., 0], rtol=1e-6)
    budget = dict.fromkeys(labels.channels, 100.0)
    quarters = amounts(read.problems[0], budget)
    assert quarters.shape == (6,) and quarters.sum() == pytest.approx(brief.questions.problems[0].budget[0], rel=1e-4)
