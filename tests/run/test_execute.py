"""The main job on small worlds."""

from __future__ import annotations

import numpy as np
import pytest
import worlds

from simbench.backends.base import Backend, everything
from simbench.errors import BadInput
from simbench.records import Answers, Failure
from simbench.run.execute import run, scores, table


def fake(name, reply):
    """A backend that answers every brief by a function of it."""
    return Backend(
        name, "1", {}, lambda briefs, keys: [reply(brief) for brief in briefs], 1, everything, frozenset(), frozenset()
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return worlds.written(tmp_path_factory.mktemp("run"), worlds.plain())


@pytest.fixture(scope="module")
def result(path):
    from simbench.world.truth import draw

    secret = draw(path, 3)
    told = iter(secret.truths * 2)

    def knows(brief):
        truth = next(told)
        draws = {f: getattr(truth.answers, f)[None] for f in ("contribution", "marginal", "forecast", "plan_value")}
        return Answers(**draws, allocation=tuple(best.amounts for best in truth.optima))

    def curves(brief):
        truth = next(told)
        return Answers(response=tuple(r[None] for r in truth.answers.response))

    return run(
        [path],
        [fake("knows", knows), fake("curves", curves), "ols", fake("fails", lambda brief: Failure("error", "always"))],
        replicates=3,
    )


def test_who_knows_the_truth_makes_no_error(result):
    frame = scores(result).set_index(["backend", "estimand", "unit", "metric"]).sort_index()
    assert np.allclose(frame.loc[("knows", "contribution", "all", "error")].value, 0)
    assert np.allclose(frame.loc[("knows", "decision", "fixed", "regret")].value, 0, atol=1e-9)
    assert np.allclose(frame.loc[("knows", "roas", "tv", "error")].value, 0)
    assert (frame.loc[("knows", "contribution", "all", "coverage 90%")].status == "no uncertainty").all()


def test_who_answers_curves_is_allocated_by_the_common_allocator(result):
    frame = scores(result).set_index(["backend", "estimand", "unit", "metric"]).sort_index()
    regret, gain = (frame.loc[("curves", "decision", "fixed", m)].value.to_numpy() for m in ("regret", "gain"))
    assert (regret >= -1e-9).all() and (regret <= 0.001 * gain + 1e-6).all()  # the grid floor
    assert (frame.loc[("curves", "contribution", "all", "error")].status == "not answered").all()


def test_regret_is_never_negative_and_failures_are_counted(result):
    frame = scores(result)
    regret = frame[(frame.metric == "regret") & (frame.status == "ok")].value
    assert len(regret) and (regret >= -1e-6).all()
    assert (frame[frame.backend == "fails"].status == "error").all() and len(frame[frame.backend == "fails"]) == 3
    headline = table(result).set_index("backend")
    assert headline.loc["fails", "failed"] == 3 and headline.loc["ols", "failed"] == 0
    assert headline.loc["ols", "recovery error"].n == 3


def test_a_single_name_is_not_a_list(path):
    with pytest.raises(BadInput, match="a list of scenarios"):
        run(str(path))
