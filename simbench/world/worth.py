"""What plans are worth, and the certified optimum of each allocation problem.

A plan's worth is ``margin x unit value x KPI - money spent`` over the decision horizon and its
tail, given the world's state at the origin (docs/design.md, 4.9-4.10). Where spend follows
demand, the response depends on shocks to come: the mean over coupled futures, the optimum found
on one set of them and valued, like every plan, on another.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from simbench import optimum
from simbench.blocks import BLOCK, in_blocks, in_float64, take
from simbench.errors import BadInput
from simbench.estimands import plan_of, response_plans
from simbench.optimum import constraints_of
from simbench.problems import Words
from simbench.records import Answers, Brief, Optimum, Problem
from simbench.world.base import Noise, State
from simbench.world.cells import Futures, bounded, cells_program
from simbench.world.forms import FUTURES, Form
from simbench.world.joint import joint_optimum
from simbench.world.kpi import kpi_mechanism
from simbench.world.media import foreseen
from simbench.world.panel import ahead, expected, redrawn
from simbench.world.plans import plans_program
from simbench.world.search import finished, searched, searched_alone

Array = Any
#: Optimum and upper bound must agree to this share of the status quo's media spend.
TOLERANCE = 1e-6
#: Up to this many worlds are asked one by one instead of as a padded block.
FEW = 4
#: Amounts that are valued together.
TOGETHER = 5

# --- the worth of plans


@lru_cache(maxsize=64)
def futures_program(form: Form) -> Callable[[State, Noise], Futures]:
    """Compiled: (state at the origin, its noise) -> 2 K coupled futures."""

    def run(state: State, noise: Noise) -> Futures:
        def future(k: Array) -> tuple[Array, Array]:
            new = {name: noise.innovations[f"future.{name}"][k] for name in form.future_streams}
            other = redrawn(form, state, noise, new)
            organic, wish = other["demand"]["organic"], other["media"]["media"].wish
            return ahead(organic, state["week"], form.future), ahead(wish, state["week"], form.future)

        organic, wish = jax.lax.map(future, jnp.arange(2 * FUTURES))
        media = expected(form, state, state["week"])["media"]["media"]
        path, rate = (None if x is None else ahead(x, state["week"], form.future) for x in (media.path, media.rate))
        return Futures(media._replace(wish=wish, path=path, rate=rate), state["media"]["memory"], organic)

    return jax.jit(run)


@lru_cache(maxsize=64)
def fresh_program(form: Form) -> Callable[[State, Noise, dict[str, Array], Array], Array]:
    """Compiled: (states at the origin, noise, new innovations [D, H], what media bring [H, G, C]) -> KPI [D, H, G].

    Of a block of worlds. What media bring is that of the spend the brief gives.
    """

    def run(state: State, noise: Noise, fresh: dict[str, Array], contribution: Array) -> Array:
        weeks = state["week"] + jnp.arange(form.holdout)

        def future(new: dict[str, Array]) -> Array:
            other, brought = redrawn(form, state, noise, new), contribution
            if any(form.walks):  # an effect that walks at random is applied in the week in which it arrives
                walked, was = (each["media"]["media"].path[weeks][:, None, :] for each in (other, state))
                brought = contribution * jnp.where(np.array(form.walks), walked / was, 1.0)
            signals = {"weeks": weeks, "base": other["demand"]["base"][weeks], "contribution": brought}
            return kpi_mechanism(form).step(other["kpi"], signals)[1]["kpi"]

        return jax.vmap(future)(fresh)

    per_world: Any = Noise(0, 0, None)  # type: ignore[arg-type]  # axes, not arrays
    return jax.jit(jax.vmap(run, in_axes=(0, per_world, 0, 0)))


# --- the truth of decisions


class Book(NamedTuple):
    """A batch of worlds at their origins, ready to value plans."""

    form: Form
    futures: Futures  #: batched
    worth: Array  #: [R] margin x unit value
    keys: tuple[bytes, ...]  #: one random stream a world, for the global search


def book_of(form: Form, now: State, noise: Noise, worth: Array, keys: tuple[bytes, ...]) -> Book:
    """Futures of every world of a batch."""
    program = futures_program(form)

    def world(i: int) -> Futures:
        state, numbers, innovations = jax.tree.map(lambda x: x[i], (now, noise.numbers, noise.innovations))
        return in_float64(program, state, Noise(numbers, innovations, noise.given))

    if form.stochastic:
        parts = [world(i) for i in range(len(worth))]
        futures = jax.tree.map(lambda *x: np.stack(x), *parts)
    else:
        origin = int(now["week"][0])
        weeks, media = slice(origin, origin + form.future), now["media"]["media"]
        if any(form.walks):
            media = in_float64(jax.vmap(lambda m: foreseen(form, m, origin)), media)
        path, rate = (None if x is None else x[:, weeks] for x in (media.path, media.rate))
        futures = Futures(
            media._replace(wish=media.wish[:, None, weeks], path=path, rate=rate),
            now["media"]["memory"],
            now["demand"]["organic"][:, None, weeks],
        )
    return Book(form, futures, worth, keys)


def half(futures: Futures, second: bool) -> Futures:
    """The futures to find the optimum on, or (second) those every plan is valued on; batched."""
    size = futures.organic.shape[1]
    if size == 1:
        return futures
    keep = slice(size // 2, None) if second else slice(0, size // 2)
    return futures._replace(
        media=futures.media._replace(wish=futures.media.wish[:, keep]), organic=futures.organic[:, keep]
    )


def evaluator(book: Book, problem: Problem, second: bool) -> Callable[[Array], optimum.Evaluate]:
    """worlds -> Evaluate over them: cells of the units' net value, in blocks of one shape.

    What has been asked of the same worlds before is not computed again: problems that differ in
    budget or groups only begin with the same levels.
    """
    program, futures = cells_program(book.form), half(book.futures, second)
    asked: dict[bytes, optimum.Cells] = {}

    def of(worlds: Array) -> optimum.Evaluate:
        own = jax.tree.map(lambda x: x[worlds], (futures, problem, book.worth))
        block = BLOCK if len(worlds) > FEW else 1

        def evaluate(levels: Array) -> optimum.Cells:
            key = np.asarray(worlds).tobytes() + levels.tobytes()
            if key not in asked:
                count = levels.shape[-1]
                wide = 1 << max(3, (count - 1).bit_length())  # few shapes, few compilations
                padded = np.concatenate([levels, np.repeat(levels[..., -1:], wide - count, axis=-1)], axis=-1)
                value, slope, steepest, flattest = in_blocks(program, (*own, padded), block)
                cells = value[..., :count], slope[..., :count], steepest[..., : count - 1], flattest[..., : count - 1]
                asked[key] = optimum.Cells(*cells)
            return asked[key]

        return evaluate

    return of


def worth_of_amounts(book: Book, problem: Problem, amounts: Array) -> Array:
    """Worth [R, B, K] of amounts [R, B, U], less what no amount changes; on the second futures."""
    return earned(book, problem, amounts)[0]


def earned(book: Book, problem: Problem, amounts: Array) -> tuple[Array, Array]:
    """Worth and KPI [R, B, K] of amounts [R, B, U], less what no amount changes; on the second futures."""
    if not book.form.interacts and problem.form.disjoint:
        evaluate = evaluator(book, problem, second=True)(np.arange(len(book.worth)))
        net = evaluate(np.swapaxes(amounts, 1, 2)).value.sum(axis=1)[..., None]
        paid = amounts.sum(axis=-1)[..., None]  # nothing is bought: what is decided is paid
        return net, (net + paid) / book.worth[:, None, None]
    program, futures = plans_program(book.form), half(book.futures, second=True)
    net, brought = [], []
    for i in range(len(book.worth)):
        own, ask = (jax.tree.map(lambda x, i=i: x[i], part) for part in (futures, problem))
        kpi, paid = in_float64(program, own, in_float64(plan_of, ask, amounts[i]))
        net.append(book.worth[i] * kpi - paid)
        brought.append(kpi)
    return np.stack(net), np.stack(brought)


def value(book: Book, problem: Problem, amounts: Array) -> Array:
    """Money [R] that amounts [R, U] are worth against the status quo.

    Parameters
    ----------
    book : Book
        A drawn batch at its origin (:func:`book_of`).
    problem : Problem
        Batched.
    """
    both = worth_of_amounts(book, problem, np.stack([problem.status_quo, amounts], axis=1)).mean(axis=-1)
    return both[:, 1] - both[:, 0]


def values(book: Book, problem: Problem, amounts: Array) -> tuple[Array, Array]:
    """Money and KPI [R, B] that amounts [R, B, U] bring against the status quo; as :func:`value`, all in one call."""
    # few shapes, few compilations: as many together as an optimum is told with
    padded = np.repeat(problem.status_quo[:, None], max(1, TOGETHER - amounts.shape[1]), axis=1)
    net, kpi = (x.mean(axis=-1) for x in earned(book, problem, np.concatenate([padded, amounts], axis=1)))
    ahead = padded.shape[1]
    return net[:, ahead:] - net[:, :1], kpi[:, ahead:] - kpi[:, :1]


def same_curves(one: Problem, other: Problem) -> bool:
    """Two problems ask for the same response: only budgets or groups differ."""
    fields = ("unit", "weight", "status_quo", "levels", "base", "lower", "upper")
    return all(np.array_equal(getattr(one, f), getattr(other, f)) for f in fields)


def twin_of(problems: tuple[Problem, ...], i: int) -> int | None:
    """An earlier problem with the same curves as problem `i`."""
    return next((j for j in range(i) if same_curves(problems[j], problems[i])), None)


def expected_answers(book: Book, brief: Brief, answers: Answers) -> tuple[Answers, Answers]:
    """Plan values and responses as means over futures, and their Monte Carlo errors.

    Where channels interact; where they do not, the history has answered them with its curves.
    """
    if not book.form.interacts:
        return answers, Answers()
    program, futures, count = plans_program(book.form), half(book.futures, second=True), len(book.worth)

    def means(paths: Array) -> tuple[Array, Array]:  # [R, K, ...] -> mean and its error over futures
        error = paths.std(axis=1, ddof=1) / np.sqrt(paths.shape[1]) if book.form.stochastic else 0.0 * paths[:, 0]
        return paths.mean(axis=1), error

    def run(plans: Array) -> tuple[Array, Array]:
        parts = [in_float64(program, jax.tree.map(lambda x, i=i: x[i], futures), plans[i]) for i in range(count)]
        return np.stack([p[0] for p in parts]), np.stack([p[1] for p in parts])  # [R, B, K]

    kpi, paid = run(brief.questions.plans)
    net = book.worth[:, None, None] * kpi - paid
    plan_value, plan_error = means(np.swapaxes(net - net[:, :1], 1, 2))
    response: list[Array] = []
    spent: list[Array] = []
    errors: list[Array] = []
    spent_errors: list[Array] = []
    for i, problem in enumerate(brief.questions.problems):
        twin = twin_of(brief.questions.problems, i)
        if twin is not None:
            for kept in (response, spent, errors, spent_errors):
                kept.append(kept[twin])
            continue
        plans = in_float64(jax.vmap(response_plans), problem)
        units, levels = problem.levels.shape[1:]
        kpi, paid = (
            x.reshape(count, units, levels, -1) for x in run(plans.reshape(count, units * levels, *plans.shape[3:]))
        )
        for store, store_error, x in ((response, errors, kpi), (spent, spent_errors, paid)):
            middle, error = means(np.moveaxis(x - x[:, :, :1], -1, 1))
            store.append(middle)
            store_error.append(error)
    told = answers._replace(plan_value=plan_value, response=tuple(response), response_paid=tuple(spent))
    if not book.form.stochastic:
        return told, Answers()
    return told, Answers(plan_value=plan_error, response=tuple(errors), response_paid=tuple(spent_errors))


def optimum_of(
    book: Book,
    problem: Problem,
    response: Array,
    paid: Array | None,
    name: Words,
    of: Callable[[Array], optimum.Evaluate],
) -> Optimum:
    """The certified optimum of one problem in every world of a batch; `of` as :func:`evaluator`."""
    constraints, count = constraints_of(problem), len(book.worth)
    refuse_infeasible(constraints, name, problem.status_quo)
    if not problem.form.disjoint:
        return optimum_of_joint(book, problem, constraints)
    relaxed = optimum.separable(of(np.arange(count)), constraints, tolerance=TOLERANCE / 10, select=of)
    amounts = relaxed.amounts
    if book.form.interacts:
        amounts = best_found(book, problem, constraints, amounts, relaxed.upper_bound)
    reference = optimum.project(problem.status_quo, constraints)
    common = optimum.allocate(problem.levels, response, paid, book.worth, constraints)
    told = np.stack([problem.status_quo, reference, amounts, common, np.zeros_like(common)], axis=1)
    worth, kpi = earned(book, problem, told)
    now, kept, best, read, _ = np.moveaxis(worth.mean(axis=-1), 1, 0)
    kpi = kpi.mean(axis=-1) - kpi[:, :1].mean(axis=-1)
    better = read > best  # two candidates, both found without the second futures: keep the better one
    best, amounts = np.maximum(best, read), np.where(better[:, None], common, amounts)
    gained = np.where(better[:, None], worth[:, 3], worth[:, 2]) - worth[:, 1]
    bound = np.maximum(relaxed.upper_bound, best)
    if book.form.interacts:
        bound = np.where(bounded(book.form, book.futures.media), bound, np.inf)
    gap = bound - best
    spent = problem.status_quo.sum(axis=-1)
    return Optimum(
        separable=np.full(count, float(not book.form.interacts)), reference=reference, reference_value=kept - now,
        amounts=amounts, value=best - now, upper_bound=bound - now, certified=(gap <= TOLERANCE * spent).astype(float),
        mc_se=gained.std(axis=-1, ddof=1) / np.sqrt(gained.shape[-1]) if gained.shape[-1] > 1 else np.zeros(count),
        grid_floor=best - read, reference_kpi=kpi[:, 1], idle_kpi=kpi[:, 4],
    )  # fmt: skip


def optimum_of_joint(book: Book, problem: Problem, constraints: optimum.Constraints) -> Optimum:
    """The optimum where units share levers: no curve of one unit alone, so no grid of curves either."""
    count, futures = len(book.worth), half(book.futures, second=False)
    reference = optimum.project(problem.status_quo, constraints)
    if book.form.interacts:
        amounts = best_found(book, problem, constraints, reference)
        gap = np.full(count, np.inf)
    else:
        found = joint_optimum(book.form, futures, problem, book.worth, book.keys, constraints, TOLERANCE)
        amounts, gap = found.amounts, found.upper_bound - found.value
    told = np.stack([problem.status_quo, reference, amounts, np.zeros_like(amounts)], axis=1)
    worth, kpi = earned(book, problem, told)
    now, kept, best, _ = np.moveaxis(worth.mean(axis=-1), 1, 0)
    kpi = kpi.mean(axis=-1) - kpi[:, :1].mean(axis=-1)
    worse = kept > best  # on the futures that plans are valued on
    amounts, best = np.where(worse[:, None], reference, amounts), np.maximum(kept, best)
    gained = np.where(worse[:, None], 0.0, worth[:, 2] - worth[:, 1])
    spent = problem.status_quo.sum(axis=-1)
    return Optimum(
        separable=np.zeros(count), reference=reference, reference_value=kept - now, amounts=amounts, value=best - now,
        upper_bound=best + gap - now, certified=(gap <= TOLERANCE * spent).astype(float),
        mc_se=gained.std(axis=-1, ddof=1) / np.sqrt(gained.shape[-1]) if gained.shape[-1] > 1 else np.zeros(count),
        grid_floor=np.full(count, np.nan), reference_kpi=kpi[:, 1], idle_kpi=kpi[:, 3],
    )  # fmt: skip


def best_found(
    book: Book, problem: Problem, constraints: optimum.Constraints, relaxed: Array, bound: Array | float = np.inf
) -> Array:
    """Best amounts [R, U] of worlds whose channels interact; no search where the relaxed ones meet their bound [R]."""
    form, futures, worth, amounts = book.form, half(book.futures, second=False), book.worth, relaxed.copy()
    if len(constraints.groups):
        return searched_alone(form, futures, problem, worth, book.keys, constraints, amounts)
    gap = bound - worth_of_amounts(book, problem, amounts[:, None]).mean(axis=-1)[:, 0]
    proven = bounded(form, book.futures.media) & (gap <= TOLERANCE * problem.status_quo.sum(axis=-1))
    for rows, sure in ((np.flatnonzero(proven), True), (np.flatnonzero(~proven), False)):
        if rows.size:
            coming, asked, each, near = take((futures, problem, worth, amounts), rows.tolist())
            limits, keys = optimum.take(constraints, rows), tuple(book.keys[i] for i in rows)
            amounts[rows] = (
                finished(form, coming, asked, each, limits, near)
                if sure
                else searched(form, coming, asked, each, keys, limits, near)
            )
    return amounts


def refuse_infeasible(constraints: optimum.Constraints, name: Words, status_quo: Array) -> None:
    """A problem without a feasible plan is refused with the constraint that cannot be met."""
    # where the status quo [R, U] can be done there is a plan
    for i in np.flatnonzero(~optimum.feasible.holds(status_quo, constraints)):
        fault = optimum.infeasible(optimum.take(constraints, [i]), name.units, name.rows)
        if fault:
            raise BadInput(f"questions.problems.{name.problem}", fault, "bounds that leave a feasible plan")


def optima_of(
    book: Book, brief: Brief, answers: Answers, names: tuple[Words, ...]
) -> tuple[Answers, Answers, tuple[Optimum, ...]]:
    """Answers about the future as means over futures, their errors, and each problem's optimum."""
    told, errors = expected_answers(book, brief, answers)
    problems = brief.questions.problems
    paid = told.response_paid or (None,) * len(problems)
    evaluators: list[Callable[[Array], optimum.Evaluate]] = []
    for i, problem in enumerate(problems):
        twin = twin_of(problems, i)
        evaluators.append(evaluator(book, problem, second=True) if twin is None else evaluators[twin])
    optima = tuple(
        optimum_of(book, problem, told.response[i], paid[i], names[i], evaluators[i])  # type: ignore[index]
        for i, problem in enumerate(problems)
    )
    return told, errors, optima
