"""The contract today: every way of answering that it allows passes `check`."""

from __future__ import annotations

import numpy as np
import pytest
import worlds
from backends import probes

from simbench import ids
from simbench.backends.conformance import FAILED, check
from simbench.backends.registry import backend_named, backends_named
from simbench.brief_changes import perturbed
from simbench.estimands import plan_of
from simbench.world.truth import draw

KEY = [np.array([3, 4], dtype=np.uint32)]
PROBLEMS = '[[questions.problems]]\nname = "fixed"\n[[questions.problems]]\nname = "free"\nbudget = "free"'


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return worlds.written(tmp_path_factory.mktemp("probes"), worlds.bought(extra=PROBLEMS))


@pytest.fixture(scope="module")
def briefs(path, tmp_path_factory):
    geo = PROBLEMS + '\n[[questions.problems]]\nname = "by-geo"\nscope = "geo"\nlower = 0.5\nupper = 1.5'
    other = worlds.written(tmp_path_factory.mktemp("geo"), worlds.plain(geos=3, extra=geo))
    return [*draw(path, 3, truth=False).briefs, *draw(other, 2, truth=False).briefs]


@pytest.mark.parametrize("spec", [*probes.PROBES, f"{probes.SLOW}[seconds=0.001]"], ids=lambda spec: spec.split(":")[1])
def test_a_probe_keeps_every_law(spec, briefs):
    checks = check(backend_named(spec), briefs)
    assert [each for each in checks if each.status == FAILED] == []
    assert len(checks) >= 12


def test_probes_can_be_columns_of_one_run():
    names = [backend.name for backend in backends_named([*probes.PROBES, probes.SLOW, "ols"])]
    assert names == [*(spec.split(":")[1] for spec in probes.PROBES), "slow", "ols"]
    assert all(backend_named(spec).spec == spec and backend_named(spec).code for spec in probes.PROBES)


def test_a_refit_on_a_perturbed_brief_answers_the_same_questions(briefs):
    """Stability under measurement error: answer, perturb, answer again, compare."""
    brief = briefs[0]
    for spec in (*probes.PROBES, "ols"):
        backend = backend_named(spec)
        generator = ids.generator(ids.stream_bytes(ids.OPEN_MASTER, "probe", 0, "perturbed"))
        first, second = (backend.answer([each], KEY)[0] for each in (brief, perturbed(brief, generator, 0.05)))
        if first.contribution is None:
            assert first.allocation is not None
            continue
        one, two = np.median(first.contribution, axis=0), np.median(second.contribution, axis=0)
        assert first.contribution.shape == second.contribution.shape and not np.array_equal(one, two)


def test_a_closed_loop_of_two_epochs(path):
    """Asked at an earlier origin, allocated, asked again at the end: one program, two answers and plans."""
    early, late = draw(path, 1, truth=False, origin=-13), draw(path, 1, truth=False)
    backend, spent = backend_named(f"{probes.PROBES[1]}"), []
    for drawn in (early, late):
        (brief,) = drawn.briefs
        (reply,) = backend.answer([brief], KEY)
        for problem, amounts in zip(brief.questions.problems, reply.allocation, strict=True):
            assert (amounts >= 0).all() and amounts.sum() == pytest.approx(problem.status_quo.sum())
        plan = np.asarray(plan_of(brief.questions.problems[0], reply.allocation[0]))
        assert plan.shape == brief.questions.plans.shape[1:] and (plan >= 0).all()
        spent.append(plan.sum())
    weeks = late.briefs[0].panel.lever.shape[0]
    assert int(early.briefs[0].panel.origin) == weeks - 13 and int(late.briefs[0].panel.origin) == weeks
    assert spent[0] != spent[1]
