"""Rules of thumb as contenders: they answer what they would do with the money, and nothing else.

A rule that reads returns comes in two arms, by platforms' claims and by a model that is asked first. A rule makes no
claim about how worlds work, so that it has no handles: nobody can say that a world is in its class.
"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from functools import partial
from inspect import Parameter, signature
from typing import Any

import numpy as np

from simbench import ids
from simbench.backends.base import Backend, Key, called, python_backend
from simbench.backends.contender import Contender, Option
from simbench.backends.registry import backend_named, core_identity
from simbench.decide.beliefs import by_claims, by_model
from simbench.decide.policies import POLICIES, Policy, Rule, Sight
from simbench.decide.sight import allowed
from simbench.records import Answers, Brief, Failure, Problem

Array = Any
#: The model that rules believe unless told otherwise.
MODEL = "national-laplace"
_MODELS: dict[str, Backend] = {}
ON = Option("on", MODEL, "the contender whose returns are believed")


def allocated(rule: Rule, answers: Answers | None, key: Key, brief: Brief) -> Answers:
    """What a rule does in every problem of a brief, within the limits of each.

    Parameters
    ----------
    answers : Answers or None
        Of the model whose returns are believed; None: the platforms' claims are.
    """
    returns, weekly = by_claims(brief) if answers is None else by_model(brief, answers)
    # a cell's key has 8 bytes, a generator takes 16
    generator = ids.generator(2 * np.asarray(key, dtype="<u4").tobytes())

    def chosen(problem: Problem) -> Array:
        return allowed(problem, rule(Sight(brief, problem, returns, weekly, answers, generator)))

    return Answers(allocation=tuple(chosen(problem) for problem in brief.questions.problems))


def options_of(rule: Rule) -> tuple[Option, ...]:
    """The further parameters of a rule as options; their annotations say what they mean."""
    kinds = typing.get_type_hints(rule, include_extras=True)
    return tuple(
        Option(name, parameter.default, meaning, source="practitioners' rule", low=0.0, high=next(iter(high), None))
        for name, parameter in signature(rule).parameters.items()
        if parameter.kind is Parameter.KEYWORD_ONLY
        for meaning, *high in [kinds[name].__metadata__]
    )


def by_itself(policy: Policy, name: str, title: str) -> Contender:
    """The contender of a rule that looks at the panel and at claims alone."""

    def make(**chosen: Any) -> Backend:
        return python_backend(name, partial(allocated, partial(policy.rule, **chosen), None), tags=("rule",))

    return Contender(name, title, make, options_of(policy.rule), "docs/policies.md", "its allocation")


def model_named(on: str) -> Backend:
    """The backend of a name, one a process: what a model has compiled serves every rule that believes it."""
    made = backend_named(on)
    return _MODELS.setdefault(ids.digest(core_identity(made)), made) if made.code else made


def on_a_model(policy: Policy, name: str, title: str) -> Contender:
    """The contender of a rule that believes what a model answers to the same brief under the same key.

    The model gets all briefs at once; where it fails, so does the rule.
    """

    def make(on: str, **chosen: Any) -> Backend:
        model, rule = model_named(on), partial(policy.rule, **chosen)

        def answer(briefs: Sequence[Brief], keys: Sequence[Key]) -> list[Answers | Failure]:
            replies = model.answer(briefs, keys)
            return [
                reply if isinstance(reply, Failure) else called(partial(allocated, rule, reply), key, brief)
                for reply, brief, key in zip(replies, briefs, keys, strict=True)
            ]

        return Backend(
            name, "1", {"model": core_identity(model)}, answer, model.block, model.supports,
            frozenset({"model-rule"}), frozenset(), model.precision,
        )  # fmt: skip

    return Contender(name, title, make, (ON, *options_of(policy.rule)), "docs/policies.md", "its allocation")


def _made() -> dict[str, Contender]:
    found = {}
    for policy in POLICIES:
        if not policy.arms:
            found[policy.name] = by_itself(policy, policy.name, policy.about)
            continue
        claims, model = f"{policy.name}-by-claims", f"{policy.name}-by-model"
        found[claims] = by_itself(policy, claims, f"{policy.about}; by what platforms claim")
        found[model] = on_a_model(policy, model, f"{policy.about}; by what a model answers")
    return found


#: Contenders by name.
CONTENDERS = _made()


def __getattr__(name: str) -> Contender:
    """The contender of a name in capitals, such as ``EQUAL``; digits after a first letter stand as they are."""
    for each, contender in CONTENDERS.items():
        if name == each.replace("-", "_").upper():
            return contender
    raise AttributeError(name)
