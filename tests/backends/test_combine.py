"""Backends made of backends."""

from __future__ import annotations

import numpy as np
import pytest
import worlds

from simbench.backends.base import Backend, everything
from simbench.backends.combine import first_ok
from simbench.backends.conformance import FAILED, check
from simbench.backends.registry import backend_named, core_identity
from simbench.errors import BadInput
from simbench.records import Answers, Diagnostics, Failure
from simbench.world.truth import draw

KEYS = [np.array([i, 7], dtype=np.uint32) for i in range(3)]
UNSURE = Diagnostics(*(np.float64(x) for x in (1.2, 40.0, 3.0, np.nan, 0.0, 1.0)))


@pytest.fixture(scope="module")
def briefs(tmp_path_factory):
    return draw(worlds.written(tmp_path_factory.mktemp("combine"), worlds.plain()), 3, truth=False).briefs


class Fake:
    """Answers the worlds it knows by its own number, and remembers whom it was asked about."""

    def __init__(self, name, number, knows, supports=everything):
        self.asked, self.keys = [], []

        def answer(briefs, keys):
            self.asked.append([float(brief.context.kpi_scale) for brief in briefs])
            self.keys += [tuple(key) for key in keys]
            return [
                Answers(plan_value=np.full((1, 1), number), diagnostics=UNSURE)
                if float(brief.context.kpi_scale) in knows
                else Failure("error", name)
                for brief in briefs
            ]

        self.backend = Backend(name, "1", {}, answer, 2, supports, frozenset({name, "all"}), frozenset({name}))


def test_only_those_that_failed_are_asked_again(briefs):
    scale = [float(brief.context.kpi_scale) for brief in briefs]
    a, b, c = Fake("a", 1.0, scale[:1]), Fake("b", 2.0, scale[:2]), Fake("c", 3.0, [])
    replies = first_ok(a.backend, b.backend, c.backend).answer(briefs, KEYS)
    assert a.asked == [scale] and b.asked == [scale[1:]] and c.asked == [scale[2:]]
    assert b.keys == [tuple(KEYS[1]), tuple(KEYS[2])]  # every world keeps its key
    assert [getattr(reply, "plan_value", None) for reply in replies[:2]] == [1.0, 2.0]
    assert replies[2] == Failure("error", "c")
    assert replies[0].diagnostics is UNSURE  # not converged is an answer


def test_who_does_not_support_a_world_is_not_asked(briefs):
    scale = [float(brief.context.kpi_scale) for brief in briefs]
    never = Fake("never", 1.0, scale, supports=lambda brief: "geo panels only")
    other = Fake("other", 2.0, scale[:1])
    replies = first_ok(other.backend, never.backend).answer(briefs, KEYS)
    assert never.asked == [] and replies[1] == Failure("error", "other")  # the fit that failed says more
    both = first_ok(never.backend, never.backend)
    assert both.supports(briefs[0]) == "geo panels only"
    assert both.answer(briefs[:1], KEYS[:1]) == [Failure("unsupported", "never: geo panels only")]
    assert first_ok(never.backend, other.backend).supports(briefs[0]) is None


def test_what_it_is():
    made = first_ok("ols[order=3]", "spend-share")
    ols, share = backend_named("ols[order=3]"), backend_named("spend-share")
    assert made.name == "first_ok(ols[order=3]|spend-share)" and made.spec is None
    assert made.config == {"members": [core_identity(ols), core_identity(share)]}
    assert made.block == 16 and made.precision == "float64" and "fast" in made.tags
    assert made.handles == ols.handles & share.handles and len(made.code) == 64  # nobody knows who will answer
    a, b = Fake("a", 1.0, []).backend, Fake("b", 1.0, []).backend._replace(precision="float32")
    assert first_ok(a, b).tags == {"all"} and first_ok(a, b).handles == set()
    assert first_ok(a, b).precision == "float64/float32" and first_ok(a, b).code == ""


def test_it_keeps_the_laws_of_its_members(briefs):
    assert [each for each in check(first_ok("spend-share", "ols"), briefs) if each.status == FAILED] == []


def test_refused():
    with pytest.raises(BadInput, match="two or more"):
        first_ok("ols")
    with pytest.raises(BadInput, match="did you mean 'ols'"):
        first_ok("olss", "ols")
    with pytest.raises(BadInput, match="one key a brief"):
        first_ok("ols", "spend-share").answer([], KEYS)
