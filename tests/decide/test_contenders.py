"""Rules as contenders: what they ask, what they answer, and what they are identified by."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import worlds
from decide.sights import brief_of, steady

import simbench as sb
from simbench import ids
from simbench.backends import registry
from simbench.backends.base import Backend, python_backend
from simbench.backends.registry import NATIVE, RULES, backend_named, identity, tagged
from simbench.briefs import one
from simbench.decide import contenders
from simbench.decide.contenders import CONTENDERS, on_a_model, options_of
from simbench.decide.policies import POLICIES
from simbench.errors import BadInput
from simbench.optimum import constraints_of, project
from simbench.records import Answers, Failure
from simbench.score.headlines import leaderboard
from simbench.world.truth import draw

ROOT = Path(__file__).resolve().parents[2]
KEYS = [np.array([k, 7], dtype=np.uint32) for k in range(3)]
PAGE = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def briefs():
    return [brief_of(steady([50.0, 30.0, 20.0]) * factor) for factor in (1.0, 2.0, 3.0)]


def returning(*returns):
    """An answer under which channels return so much."""

    def author(key, brief):
        spend = brief.panel.spend.sum(axis=(0, 1))
        return {"contribution": (np.array(returns) * spend / brief.context.unit_value)[None, None]}

    return author


def believing(monkeypatch, model, name="roi-70-30"):
    """The rule's backend over any model."""
    monkeypatch.setattr(contenders, "backend_named", lambda on: model)
    policy = next(policy for policy in POLICIES if policy.name == name)
    return on_a_model(policy, f"{name}-by-model", "").make(on="any")


# --- names


def test_the_registry_names_every_rule_and_no_other():
    assert list(CONTENDERS) == sorted(RULES, key=list(CONTENDERS).index) and set(CONTENDERS) == set(RULES)
    assert set(registry.READING_RULES) == {policy.name for policy in POLICIES if policy.arms}
    assert all(name in NATIVE and backend_named(name).name == name for name in RULES)


def test_tags_tell_rules_from_models():
    rules, on_models = ({backend.name for backend in tagged(tag)} for tag in ("rule", "model-rule"))
    assert rules | on_models == set(RULES)
    assert on_models == {name for name in RULES if name.endswith("-by-model")}
    assert not {backend.name for backend in tagged("fast")} & set(RULES)


def test_every_number_of_a_rule_is_an_option():
    assert [option.name for option in options_of(next(p.rule for p in POLICIES if p.name == "roi-70-30"))] == [
        "proven", "share"]  # fmt: skip
    assert all(option.meaning for contender in CONTENDERS.values() for option in contender.options)
    made = backend_named("roi-70-30-by-claims[proven=2.5]")
    assert made.name == "roi-70-30-by-claims[proven=2.5]" and made.config == {"proven": 2.5, "share": 0.7}
    with pytest.raises(BadInput, match="at most 1"):
        backend_named("roi-70-30-by-claims[share=1.5]")


# --- answers


@pytest.mark.parametrize("name", [name for name in RULES if not name.endswith("-by-model")])
def test_a_rule_answers_amounts_that_are_allowed_and_nothing_else(name, briefs):
    for brief, reply in zip(briefs, backend_named(name).answer(briefs, KEYS), strict=True):
        assert {field for field in Answers._fields if getattr(reply, field) is not None} == {"allocation"}
        for problem, amounts in zip(brief.questions.problems, reply.allocation, strict=True):
            batch = sb.briefs.stack([problem])
            np.testing.assert_allclose(project(amounts[None], constraints_of(batch))[0], amounts, rtol=1e-9)


def test_a_model_is_asked_once_about_all_briefs_under_their_keys(monkeypatch, briefs):
    calls = []

    def answer(asked, keys):
        calls.append((list(asked), list(keys)))
        return [Answers(**returning(4.0, 3.0, 1.0)(key, brief)) for key, brief in zip(keys, asked, strict=True)]

    model = Backend("m", "1", {}, answer, 5, lambda brief: "no", frozenset(), frozenset({"effect-shape"}), "float32")
    made = believing(monkeypatch, model)
    replies = made.answer(briefs, KEYS)
    assert calls == [(briefs, KEYS)]
    for k, reply in enumerate(replies):
        np.testing.assert_allclose(reply.allocation[0] / 13 / (k + 1), [43.75, 26.25, 30.0])
        assert reply.contribution is None
    assert (made.block, made.precision, made.supports(briefs[0])) == (5, "float32", "no")
    assert made.handles == frozenset()


def test_what_a_model_cannot_answer_its_rule_cannot(monkeypatch, briefs):
    def author(key, brief):
        if key[0] == 1:
            return Failure("timeout", "too long")
        return returning(4.0, 3.0, 1.0)(key, brief) if key[0] == 0 else {"forecast": np.ones((1, 13, 1))}

    first, second, third = believing(monkeypatch, python_backend("m", author)).answer(briefs, KEYS)
    assert isinstance(first, Answers) and second == Failure("timeout", "too long")
    assert third.reason == "error" and "no contribution" in third.detail


# --- identity


def test_the_identity_of_a_rule_on_a_model_holds_the_model(monkeypatch):
    made = backend_named("roi-70-30-by-model[on=ols]")
    assert made.config["on"] == "ols" and made.config["model"]["code"] == registry.native_code()
    assert made.code == registry.rules_code() != registry.native_code()
    before = ids.digest(identity(made))
    assert before != ids.digest(identity(backend_named("roi-70-30-by-model")))
    monkeypatch.setattr(registry, "native_code", lambda: "edited")
    assert ids.digest(identity(backend_named("roi-70-30-by-model[on=ols]"))) != before
    assert backend_named("roi-70-30-by-claims").code == registry.rules_code()


def test_the_code_of_rules_is_all_of_this_room_that_they_import():
    for file in registry.OF_RULES:
        text = (ROOT / "simbench" / file).read_text(encoding="utf-8")
        named = set(re.findall(r"^from simbench\.decide\.(\w+) import", text, re.MULTILINE))
        for line in re.findall(r"^from simbench\.decide import (.*)$", text, re.MULTILINE):
            named |= set(line.split(", "))
        assert {f"decide/{name}.py" for name in named} <= set(registry.OF_RULES)


def test_one_model_serves_all_rules_of_a_process():
    assert contenders.model_named("ols") is contenders.model_named("ols")
    assert contenders.model_named("ols") is not contenders.model_named("ols[order=3]")


# --- boards


def test_rules_and_models_share_a_board(tmp_path):
    names = ["status-quo", "random-feasible", "proportional-to-returns-by-model[on=ols]", "ols"]
    run = sb.run(worlds.written(tmp_path, worlds.plain()), names, replicates=3, store=tmp_path / "run")
    board = leaderboard(sb.scores(run)).suite
    first, *rest = board.standings
    assert {first.backend, *(each.backend for each in rest)} == set(names)
    assert all(each.failures == 0 for each in board.standings)
    assert first.backend == "ols"  # who recovers stands first, the others by what they decide
    decided = [each.decision.estimate.value for each in rest]
    assert decided == sorted(decided)
    assert all((each.recovery.unranked, each.decision.unranked) == ("not answered", "") for each in rest)
    assert next(each for each in rest if each.backend == "status-quo").decision.estimate.value == pytest.approx(1.0)


# --- the page


def test_a_shipped_world_has_a_competitor_to_match():
    """The page's number is that of its money; the fixed total stays, the free one follows."""
    drawn = draw("decisions-total", 6, truth=False)
    money = drawn.brief.panel.controls[:, :156, 0, drawn.labels.controls.index("rival")]
    keys = [KEYS[0]] * 6
    answers = backend_named("competitor-matching[control=2]").answer([one(drawn.brief, r) for r in range(6)], keys)
    now, before = money[:, -13:].mean(axis=1), money[:, -65:-52].mean(axis=1)
    totals = np.array([[amounts.sum() for amounts in answer.allocation] for answer in answers])
    usual = np.stack([problem.status_quo.sum(axis=1) for problem in drawn.brief.questions.problems], axis=1)
    assert drawn.labels.problems == ("fixed", "free") and np.ptp(now / before) > 0.2
    np.testing.assert_allclose(totals[:, 0], usual[:, 0], rtol=1e-9)
    np.testing.assert_allclose(totals[:, 1] / usual[:, 1], np.clip(1.2 * now / before - 0.2, 0, 2), rtol=1e-9)


def test_the_example_of_the_page_runs(briefs):
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    scope: dict[str, object] = {}
    exec(source, scope)
    brief = brief_of(steady([50.0, 30.0, 20.0]), claims=steady([10.0, 30.0, 30.0]), value=2.0)  # 0.4, 2, 3
    reply = python_backend("cautious", scope["cautious"]).answer([brief], KEYS[:1])[0]
    np.testing.assert_allclose(reply.allocation[0] / 13, [25.0, 30.0 + 12.5, 20.0 + 12.5])


def test_the_commands_of_the_page_are_understood():
    names = re.findall(r"--backend '?([\w:\[\]=.,-]+)'?", PAGE)
    assert {"tag:rule", "ols", "roi-70-30-by-model[on=ols]", "roi-70-30-by-claims[proven=2.5]"} <= set(names)
    for name in names:
        if not name.startswith("tag:") and ".py" not in name:
            backend_named(name)
