"""National models on any panel: they see sums over geos, and what is asked by geo is spread afterwards.

A geo answers to its own money as the nation does, in proportion: ``share * national(money / share)`` with
the geo's share of the status quo. The rest of the KPI is spread by population.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from simbench.backends.base import Backend
from simbench.records import Answers, Brief, Failure, Problem

Array = Any
Key = Any
NOT_ALIKE = "units of one channel whose levels are not in proportion: a national model cannot tell their geos apart"


class Split(NamedTuple):
    """How the units [U] of a problem are made of the nation's [V]."""

    of: Array  #: [U] the unit of the nation
    share: Array  #: [U] of its money


def of_the_nation(backend: Backend) -> Backend:
    """The same contender, asked about the sums over geos of every panel."""

    def answer(briefs: Sequence[Brief], keys: Sequence[Key]) -> list[Answers | Failure]:
        fine = [i for i, brief in enumerate(briefs) if in_proportion(brief)]
        told = backend.answer([nation(briefs[i]) for i in fine], [keys[i] for i in fine])
        replies = {i: spread(briefs[i], reply) for i, reply in zip(fine, told, strict=True)}
        return [replies.get(i, Failure("unsupported", NOT_ALIKE)) for i in range(len(briefs))]

    return backend._replace(answer=answer)


def split_of(problem: Problem) -> Split:
    """Units that touch the same channels in the same weeks, in different geos, are one unit of the nation."""
    owner, now = np.asarray(problem.unit), np.asarray(problem.status_quo)
    touched: dict[bytes, int] = {}
    of = np.array([touched.setdefault((owner == u).any(axis=2).tobytes(), len(touched)) for u in range(len(now))])
    total = _merged(of, now)[of]
    evenly = 1.0 / np.bincount(of)[of]  # where there is no money
    return Split(of, np.where(total > 0, now / np.where(total > 0, total, 1.0), evenly))


def in_proportion(brief: Brief) -> bool:
    """Whether the levels of every unit are its share of the nation's."""
    return all(
        np.allclose(problem.levels, share[:, None] * _merged(of, problem.levels)[of], rtol=1e-6, atol=0.0)
        for problem in brief.questions.problems
        for of, share in [split_of(problem)]
    )


def _merged(of: Array, x: Array) -> Array:
    """Sums [V, ...] over the units [U, ...] that are one unit of the nation."""
    return np.eye(of.max(initial=-1) + 1)[of].T @ np.asarray(x)


def nation(brief: Brief) -> Brief:
    """The brief with one geo: money and KPI are summed, controls are weighted by population."""
    if brief.panel.kpi.shape[1] == 1:
        return brief
    panel, questions, _ = brief
    people = panel.population / panel.population.sum()

    def summed(x: Array) -> Array:  # [..., G, C]
        return None if x is None else x.sum(axis=-2, keepdims=True)

    def usual(x: Array) -> Array:  # [n, G, K]
        return np.einsum("ngk,g->nk", x, people)[:, None]

    future = questions.future
    return brief._replace(
        panel=panel._replace(
            lever=summed(panel.lever), spend=summed(panel.spend), exposure=summed(panel.exposure),
            kpi=panel.kpi.sum(axis=1, keepdims=True), controls=usual(panel.controls),
            population=panel.population.sum(keepdims=True), claims=summed(panel.claims),
        ),
        questions=questions._replace(
            future=future._replace(
                lever=summed(future.lever), spend=summed(future.spend), exposure=summed(future.exposure),
                controls=usual(future.controls),
            ),
            plans=summed(questions.plans),
            problems=tuple(_of_nation(problem, split_of(problem)) for problem in questions.problems),
        ),
    )  # fmt: skip


def _of_nation(problem: Problem, split: Split) -> Problem:
    unit, share = np.asarray(problem.unit), np.append(split.share, 0.0)  # no unit is -1, the last
    of = np.append(split.of, -1)
    rows = np.asarray(problem.groups)
    members = _merged(split.of, rows.T).T / np.bincount(split.of)
    whole = np.isclose(rows, members[:, split.of], rtol=0.0, atol=1e-12).all(axis=1)  # some geos bind no nation
    return problem._replace(
        base=problem.base.sum(axis=-2, keepdims=True),
        unit=of[unit].max(axis=2, keepdims=True).astype(np.int32),
        weight=(share[unit] * problem.weight).sum(axis=2, keepdims=True),
        status_quo=_merged(split.of, problem.status_quo),
        levels=_merged(split.of, problem.levels),
        lower=_merged(split.of, problem.lower),
        upper=_merged(split.of, problem.upper),
        groups=np.where(whole[:, None], members, 1.0 * (members > 0)),
        group_low=np.where(whole, problem.group_low, -np.inf),
        group_high=np.where(whole, problem.group_high, np.inf),
    )


def spread(brief: Brief, reply: Answers | Failure) -> Answers | Failure:
    """The reply about the nation as one to the brief itself. Contributions by geo are not answered."""
    if isinstance(reply, Failure) or brief.panel.kpi.shape[1] == 1:
        return reply
    people = brief.panel.population / brief.panel.population.sum()
    splits = [split_of(problem) for problem in brief.questions.problems]

    def by_unit(told: Sequence[Array] | None, axis: int) -> tuple[Array, ...] | None:
        if told is None:
            return None
        return tuple(
            np.take(x, of, axis) * np.expand_dims(share, tuple(range(1, x.ndim - axis)))
            for x, (of, share) in zip(told, splits, strict=True)
        )

    return reply._replace(
        contribution_geo=None,
        forecast=None if reply.forecast is None else reply.forecast * people,
        response=by_unit(reply.response, 1),
        response_paid=by_unit(reply.response_paid, 1),
        allocation=by_unit(reply.allocation, 0),
    )
