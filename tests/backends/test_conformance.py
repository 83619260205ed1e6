"""What every backend must do, over the registry; and that each check catches its fault."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
import worlds

from simbench.backends.base import Backend, everything, python_backend
from simbench.backends.changed import in_kpi, in_money, reversed_channels
from simbench.backends.conformance import FAILED, LAWS, NOT_APPLICABLE, PASSED, Asked, answered, ask, check
from simbench.backends.registry import NATIVE, backend_named
from simbench.errors import BadInput
from simbench.records import Answers
from simbench.world.truth import draw

#: Options that make a slow contender quick, by the end of its name; whoever is not named is checked as it is.
SMALL = {
    "averaged-hmc": "[warmup=40,samples=40,rounds=1,carry_overs=geometric+delayed,curves=hill]",
    "averaged-laplace": "[pool=200,carry_overs=geometric,curves=hill+logistic]",
    "geo-hierarchical-nuts": "[chains=4,warmup=150,samples=150]",
    "-hmc": "[warmup=40,samples=40,rounds=1]",
    "-laplace": "[pool=200]",
    "-nuts": "[chains=2,warmup=60,samples=60]",
    "national-auto": "[pool=200,warmup=40,samples=40,rounds=1]",
    "robyn-style": "[trials=2,generations=10,population=20]",
    "-by-model": "[on=ols]",
}
DRAWS = 64
KEY = np.array([1, 7], dtype=np.uint32)
FIXED = '[[questions.problems]]\nname = "fixed"'


def small(name):
    """A contender's name with the options that make it quick."""
    return name + next((options for end, options in SMALL.items() if name.endswith(end)), "")


def fewer_draws(brief):
    from dataclasses import replace

    return brief._replace(questions=brief.questions._replace(sizes=replace(brief.questions.sizes, draws=DRAWS)))


@pytest.fixture(scope="module")
def nation(tmp_path_factory):
    path = worlds.written(tmp_path_factory.mktemp("nation"), worlds.plain(extra=FIXED))
    return [fewer_draws(brief) for brief in draw(path, 3, truth=False).briefs]


@pytest.fixture(scope="module")
def geos(tmp_path_factory):
    path = worlds.written(tmp_path_factory.mktemp("geos"), worlds.plain(geos=3, extra=FIXED))
    return [fewer_draws(brief) for brief in draw(path, 2, truth=False).briefs]


@pytest.mark.parametrize("name", sorted(NATIVE))
def test_every_native_contender_keeps_the_laws(name, nation, geos):
    checks = check(backend_named(small(name)), [*nation, *geos])
    assert [each for each in checks if each.status == FAILED] == []
    assert sum(each.status == PASSED for each in checks) >= 10


def counted(briefs):
    """The same briefs with contacts of the first channel, dearer week by week."""

    def bought(x):
        return np.array([3.0, 0.0]) * x / 1.01 ** np.arange(len(x))[:, None, None]

    return [
        brief._replace(
            panel=brief.panel._replace(exposure=bought(brief.panel.spend)),
            questions=brief.questions._replace(
                future=brief.questions.future._replace(exposure=bought(brief.questions.future.spend))
            ),
        )
        for brief in briefs
    ]  # fmt: skip


def test_a_contender_keeps_the_laws_where_contacts_are_counted(nation):
    checks = {each.name: each for each in check(backend_named("ols"), counted(nation))}
    assert [each for each in checks.values() if each.status == FAILED] == []
    assert checks["other contacts"].status == PASSED


def test_who_takes_contacts_answers_about_money(nation):
    """The laws that a model of contacts might break, without those that compile for another shape."""
    backend, briefs, keys = backend_named("national-laplace[pool=200,media=exposure]"), counted(nation)[:1], [KEY]
    asked = Asked(backend, briefs, keys, answered(ask(backend, briefs, keys)), 0.0)
    for law in ("other money", "other contacts", "channel order", "after the origin"):
        LAWS[law](asked)  # raises where it does not hold


# --- every check catches its fault


def answers_of(brief, scale=1.0):
    """A point estimate that keeps the laws: spend at the expected return."""
    panel, questions, context = brief
    paid = np.stack([panel.spend[a:b].sum(axis=(0, 1)) for a, b in questions.windows])
    return {"contribution": (scale * paid * context.prior_roas_mean / context.unit_value)[None]}


def faults(author, briefs, **options):
    """Names of the checks that fail for a plain function."""
    return {each.name for each in check(python_backend("fake", author, **options), briefs) if each.status == FAILED}


def test_an_honest_function_passes(nation, geos):
    assert faults(lambda key, brief: answers_of(brief), [*nation, *geos]) == set()


def test_what_is_undefined_in_some_draws_is_no_fault(nation, geos):
    """In a few draws more or fewer neither: as chance has it."""
    assert faults(partial(marginals, lost=0.25), [*nation, *geos]) == set()
    assert faults(at_a_loss_by_chance, [*nation, *geos]) == set()


def test_what_is_decided_on_draws_that_nobody_sees_cannot_be_judged(nation):
    """An allocation that moves with the key may move with the order of channels; one that does not may not."""

    def leaning(chance):
        def author(key, brief):
            random = np.random.default_rng([*key, int(brief.panel.spend[0, 0, 0])] if chance else 0)
            first = 1.0 + 0.1 * random.random() if chance else brief.panel.spend[0, 0, 0]
            return {"allocation": [first * problem.status_quo for problem in brief.questions.problems]}

        return {each.name: each.status for each in check(python_backend("fake", author), nation)}

    assert leaning(True)["channel order"] == NOT_APPLICABLE and leaning(False)["channel order"] == FAILED


def reads_hidden_weeks(key, brief):
    return answers_of(brief, 1.0 + np.nan_to_num(brief.panel.spend[-1].sum(), nan=0.5))


def reads_what_nobody_recorded(key, brief):
    mean = np.nan_to_num(brief.panel.kpi[: brief.panel.origin].mean())
    return answers_of(brief, 1.0 + mean / brief.context.kpi_scale)


def reads_hidden_mask(key, brief):
    return answers_of(brief, 1.0 + len(brief.panel.mask))


def knows_currency(key, brief):
    return {"contribution": answers_of(brief)["contribution"] + 1e-3 * brief.panel.spend[: brief.panel.origin].sum()}


def marginals(key, brief, lost=0.0):
    """Marginals of an honest function, undefined in a share of the draws."""
    answers = answers_of(brief)
    marginal = np.ones((DRAWS, *answers["contribution"].shape[1:])) / brief.context.unit_value
    marginal[: int(lost * DRAWS)] = np.nan
    return {"contribution": np.repeat(answers["contribution"], DRAWS, axis=0), "marginal": marginal}


def at_a_loss_in_other_money(key, brief):
    return marginals(key, brief, 0.5 if brief.context.unit_value > 100 else 0.0)


def at_a_loss_by_chance(key, brief):
    return marginals(key, brief, 0.25 if brief.context.unit_value > 100 else 0.2)


def knows_kpi_units(key, brief):
    return {"contribution": answers_of(brief)["contribution"] + 1.0}


def prefers_first_channel(key, brief):
    answers = answers_of(brief)
    answers["contribution"][..., 0] *= 1.1
    return answers


def writes_into_the_brief(key, brief):
    brief.panel.spend[0] += 1.0
    return answers_of(brief)


def chance_of_its_own(key, brief, calls=[]):  # noqa: B006
    calls.append(1)
    return answers_of(brief, 1.0 + 1e-9 * len(calls))


def says_nothing(key, brief):
    return {"contribution": None}


def wrong_shape(key, brief):
    return {"contribution": answers_of(brief)["contribution"][..., :1]}


def national_shape_only(key, brief):
    if brief.panel.kpi.shape[1] > 1:
        raise ValueError("geos")
    return answers_of(brief)


@pytest.mark.parametrize(
    ("author", "caught"),
    [
        (reads_hidden_weeks, "after the origin"),
        (reads_what_nobody_recorded, "not recorded"),
        (reads_hidden_mask, "shorter panel"),
        (knows_currency, "other money"),
        (at_a_loss_in_other_money, "other money"),
        (knows_kpi_units, "other KPI units"),
        (prefers_first_channel, "channel order"),
        (writes_into_the_brief, "brief untouched"),
        (chance_of_its_own, "same again"),
        (says_nothing, "answers"),
        (wrong_shape, "answers"),
        (national_shape_only, "3 geos, 60 weeks"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_fault_is_caught(author, caught, nation, geos):
    assert caught in faults(author, [*nation, *geos])


def backend_of(answer, supports=everything):
    return Backend("fake", "1", {}, answer, 1, supports, frozenset(), frozenset())


def takes_contacts_for_money(key, brief):
    share = brief.panel.exposure[: brief.panel.origin].sum() / brief.panel.spend[: brief.panel.origin].sum()
    return answers_of(brief, share)


def test_contacts_taken_for_money_are_caught(nation):
    assert "other contacts" in faults(takes_contacts_for_money, counted(nation))
    assert faults(lambda key, brief: answers_of(brief), counted(nation)) == set()


def test_company_that_matters_is_caught(nation):
    def answer(briefs, keys):
        return [Answers(contribution=len(briefs) * answers_of(brief)["contribution"]) for brief in briefs]

    checks = {each.name: each for each in check(backend_of(answer), nation)}
    assert checks["company"].status == FAILED and checks["same again"].status == PASSED


def test_a_backend_that_raises_takes_its_neighbours_along(nation):
    def answer(briefs, keys):
        if any(not np.isfinite(brief.context.kpi_scale) for brief in briefs):
            raise FloatingPointError("no scale")
        return [Answers(**answers_of(brief)) for brief in briefs]

    checks = {each.name: each for each in check(backend_of(answer), nation)}
    assert checks["impossible world"].status == FAILED
    assert "FloatingPointError" in checks["impossible world"].detail


def test_a_reply_too_few_is_caught(nation):
    checks = check(backend_of(lambda briefs, keys: []), nation)
    assert checks[1].status == FAILED and "0 replies" in checks[1].detail
    assert {each.status for each in checks[2:]} == {NOT_APPLICABLE}


def test_fields_that_come_and_go_are_caught(nation):
    def answer(briefs, keys):
        return [Answers(**answers_of(b), **({"levels": None} if i else forecast(b))) for i, b in enumerate(briefs)]

    def forecast(brief):
        return {"forecast": np.ones((1, len(brief.questions.future.spend), 1))}

    checks = check(backend_of(answer), nation)
    assert checks[1].status == FAILED and "differently" in checks[1].detail


def test_refusals_are_by_shape_and_in_words(nation, geos):
    def honest(key, brief):
        return answers_of(brief)

    def one_geo(brief):
        return None if brief.panel.kpi.shape[1] == 1 else "one geo only"

    checks = check(python_backend("fake", honest, supports=one_geo), [*nation, *geos])
    assert checks[-1].status == NOT_APPLICABLE and checks[-1].detail == "one geo only"
    by_value = lambda brief: None if np.isfinite(brief.panel.kpi).all() else "holes"  # noqa: E731
    assert faults(honest, nation, supports=by_value) == {"supports"}
    assert "supports" in faults(honest, nation, supports=lambda brief: False)
    assert faults(honest, nation, supports=lambda brief: "never") == {"answers"}


def test_noise_is_told_from_bias(nation):
    """Draws under new noise pass; a mean that moves by more than their standard error does not."""

    def sampled(bias):
        def author(key, brief):
            first = brief.panel.spend[0].sum() / brief.context.spend_scale[0]  # follows the order of channels
            random = np.random.default_rng([*key, int(1e6 * first) % 2**32])
            noise = 1.0 + bias * first + 0.1 * random.standard_normal((DRAWS, 1, 1))
            return {"contribution": noise * answers_of(brief)["contribution"]}

        return author

    assert faults(sampled(0.0), nation) == set()
    assert faults(sampled(2.0), nation) == {"channel order"}


def test_too_few_briefs(nation):
    with pytest.raises(BadInput, match="at least two"):
        check(backend_named("ols"), nation[:1])


# --- the page

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "backends.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))
NAMES = ["expected.py:expected", "straight.py:model", "shrunk.py:shrunk[weight=0.9]", "careful.py:careful"]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_of_the_page_keeps_the_laws(name, nation, geos, tmp_path):
    file = name.split(":")[0]
    (tmp_path / file).write_text(EXAMPLES[file])
    checks = check(backend_named(f"{tmp_path}/{name}"), [*nation, *geos])
    assert [each for each in checks if each.status == FAILED] == []


def test_the_page_names_every_example_field_and_check(nation):
    assert {name.split(":")[0] for name in NAMES} == set(EXAMPLES) and PAGE.count("```python") == len(NAMES)
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) >= set(Answers._fields)
    for each in check(backend_named("spend-share"), nation):
        assert f"\n| {each.name} |" in PAGE


# --- the changed briefs themselves


def test_changed_briefs_go_back_to_where_they_came_from(nation):
    brief = nation[0]
    for there in (
        reversed_channels(reversed_channels(brief)),
        in_money(in_money(brief, 1024.0), 1 / 1024.0),
        in_kpi(in_kpi(brief, 1024.0), 1 / 1024.0),
    ):
        for mine, theirs in zip(jax.tree.leaves(brief), jax.tree.leaves(there), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    turned = reversed_channels(brief)
    assert not np.array_equal(turned.panel.lever, brief.panel.lever)
