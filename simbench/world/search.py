"""The best amounts of worlds whose channels interact: many starts and a global search, worlds side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from simbench import ids, optimum
from simbench.blocks import BLOCK, held, in_blocks, in_float64, positions, take
from simbench.records import Problem
from simbench.world.cells import Futures
from simbench.world.forms import Form
from simbench.world.plans import screen_program, slopes_program

Array = Any
#: Random amounts that are screened, and how many of them are climbed from, on a few futures;
#: how many of the tops are climbed to their end, on all. Screening ranks: float32 will do.
SCREENED, GLANCE, CLIMBED, FINISHED = 512, 4, 4, 2
#: A climb ends at this share of the range of values: the first, and that of the best tops.
ROUGH, FINE = 1e-6, 1e-10


def searched(
    form: Form,
    futures: Futures,
    problem: Problem,
    worth: Array,
    keys: tuple[bytes, ...],
    constraints: optimum.Constraints,
    relaxed: Array,
) -> Array:
    """Best amounts [R, U] found in each world, on the futures given.

    Parameters
    ----------
    futures, problem, worth
        Batched.
    keys : tuple of bytes
        One random stream a world.
    relaxed : array [R, U]
        The best amounts as if channels did not interact: one of the starts, as is the status quo.
    """
    count, constraints = len(worth), optimum.checked(constraints)
    few = first_futures(futures, GLANCE)
    screened = np.stack([
        optimum.random_feasible(optimum.take(constraints, [i]), SCREENED, ids.generator(keys[i])) for i in range(count)
    ])  # fmt: skip
    seen = in_blocks(screen_program(form), (few, problem, worth, screened), precision="float32").astype(float)
    begin = np.stack([optimum.project(x, constraints) for x in (problem.status_quo, relaxed)], axis=1)
    world, place = best_apart(screened, seen, constraints, CLIMBED)
    starts = np.concatenate([*begin, screened[world, place]])
    world = np.concatenate([np.repeat(np.arange(count), 2), world])
    unit = np.ptp(seen, axis=1)
    unit = np.where(unit > 0, unit, np.maximum(np.abs(seen).max(axis=1), np.finfo(float).tiny))

    def climbed(futures: Futures, world: Array, starts: Array, *how: Any) -> tuple[Array, Array, Array]:
        return climb(form, (futures, problem, worth), constraints, unit, world, starts, *how)

    amounts, value, curvature = climbed(few, world, starts, ROUGH)
    mine = [np.flatnonzero(world == i) for i in range(count)]
    world, place = best_apart([amounts[rows] for rows in mine], [value[rows] for rows in mine], constraints, FINISHED)
    tops = np.array([mine[i][k] for i, k in zip(world, place, strict=True)])
    amounts, value, _ = climbed(futures, world, amounts[tops], FINE, curvature[tops])
    return amounts[[np.flatnonzero(world == i)[value[world == i].argmax()] for i in range(count)]]


def climb(
    form: Form,
    worlds: tuple[Futures, Problem, Array],
    constraints: optimum.Constraints,
    unit: Array,
    world: Array,
    starts: Array,
    tolerance: float,
    curvature: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Tops [S, U] near starts, each in its world [S], their values and curvature (:func:`simbench.optimum.ascend`)."""
    ask, limits = slopes(form, *worlds), optimum.take(constraints, world)
    return optimum.ascend(
        lambda rows, amounts: ask(world[rows], amounts), starts, limits, unit[world], tolerance, curvature=curvature
    )


def finished(
    form: Form,
    futures: Futures,
    problem: Problem,
    worth: Array,
    constraints: optimum.Constraints,
    relaxed: Array,
) -> Array:
    """The tops [R, U] near amounts that are proven to be among the best: no search is needed."""
    every, constraints = np.arange(len(worth)), optimum.checked(constraints)
    unit = np.maximum(problem.status_quo.sum(axis=-1), np.finfo(float).tiny)
    starts = optimum.project(relaxed, constraints)
    return climb(form, (futures, problem, worth), constraints, unit, every, starts, FINE)[0]


def first_futures(futures: Futures, count: int) -> Futures:
    """The first futures of each world: enough to tell good amounts from bad."""
    media, organic = futures.media, futures.organic
    return futures._replace(media=media._replace(wish=media.wish[:, :count]), organic=organic[:, :count])


def best_apart(
    amounts: Iterable[Array], value: Iterable[Array], constraints: optimum.Constraints, count: int
) -> tuple[Array, Array]:
    """World and place [S] of the best `count` of each world's amounts [B, U] that are not near each other."""
    found = [
        optimum.apart(*both, optimum.take(constraints, [i]), count)
        for i, both in enumerate(zip(amounts, value, strict=True))
    ]
    return np.repeat(np.arange(len(found)), [len(part) for part in found]), np.concatenate(found)


def slopes(form: Form, futures: Futures, problem: Problem, worth: Array) -> Any:
    """(worlds [b], amounts [b, U]) -> mean worth [b] and its gradient [b, U]."""
    program, room = slopes_program(form), BLOCK * (2 + CLIMBED)
    blocks = [held(take((futures, problem, worth), rows.tolist())) for rows in positions(len(worth), BLOCK)]

    def ask(worlds: Array, amounts: Array) -> tuple[Array, Array]:
        value, slope = np.empty(len(worlds)), np.empty(amounts.shape)
        for place, block in enumerate(blocks):
            rows = np.flatnonzero(worlds // BLOCK == place)
            if rows.size:
                lanes = np.resize(rows, room)  # one shape; what is beyond the rows is not computed
                found = in_float64(program, block, worlds[lanes] % BLOCK, amounts[lanes], len(rows))
                value[rows], slope[rows] = (x[: len(rows)] for x in found)
        return value, slope

    return ask


def searched_alone(
    form: Form,
    futures: Futures,
    problem: Problem,
    worth: Array,
    keys: tuple[bytes, ...],
    constraints: optimum.Constraints,
    relaxed: Array,
) -> Array:
    """:func:`searched` one world after the other, under any linear rows (SLSQP from every start)."""
    program, screen, best = slopes_program(form), screen_program(form), []
    for i in range(len(worth)):
        own, limits = take((futures, problem, worth), [i]), optimum.take(constraints, [i])

        def climb(amounts: Array, own: Any = own) -> tuple[float, Array]:
            value, slope = in_float64(program, own, np.zeros(1, int), amounts[None], 1)
            return float(value[0]), slope[0]

        def look(many: Array, own: Any = own) -> Array:
            return in_float64(screen, first_futures(own[0], GLANCE), *own[1:], many[None])[0]

        starts = np.concatenate([optimum.project(problem.status_quo[[i]], limits), relaxed[[i]]])
        generator = ids.generator(keys[i])
        solution = optimum.general(climb, limits, starts, np.inf, look, generator, points=SCREENED, best=CLIMBED)
        best.append(np.asarray(solution.amounts).reshape(-1))
    return np.stack(best)
