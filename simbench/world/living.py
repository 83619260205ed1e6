"""Drawn worlds that go on under somebody else's levers: what the closed loop lives in.

The last weeks of a panel are lived again, an epoch at a time: a quarter, or a few weeks. Up to the first of them
everything is as drawn; from there on the advertiser's rules are off, physics reacts to the levers given, and noise
and demand are those of the draw, so that whoever decides meets the same luck (docs/design.md, 4.14).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np

from simbench import briefs, ids, optimum
from simbench.blocks import in_blocks, in_float64, take
from simbench.briefs import ProblemSpec
from simbench.errors import BadInput
from simbench.estimands import plan_of
from simbench.optimum import constraints_of
from simbench.records import Answers, Brief, Labels, Problem
from simbench.world.base import Noise, Observation, State
from simbench.world.cells import bounded
from simbench.world.forms import QUARTER, Form
from simbench.world.history import history_program
from simbench.world.measure import Known, measured
from simbench.world.panel import Memory, at, world_of
from simbench.world.scenario import Scenario, recorded_paths
from simbench.world.scenario_problems import ProblemTable
from simbench.world.seen import brief_of
from simbench.world.truth import draw
from simbench.world.worth import TOLERANCE, Book, best_found, book_of, evaluator, worth_of_amounts

Array = Any
#: Weeks of data before the first decision, at least: two years.
HISTORY = 104
#: Weeks an epoch may have: whole epochs make a year, so that each has its own weeks of the year before.
EPOCHS = (1, 2, 4, 13, 26, 52)


class Living(NamedTuple):
    """Lanes of worlds, all at the same week, each in a life of its own. Arrays are batched (leading axis L)."""

    scenario: Scenario
    labels: Labels
    master: bytes
    replicates: tuple[int, ...]  #: of every lane
    form: Form
    noise: Noise
    keys: tuple[bytes, ...]
    start: State  #: at week 0
    now: State
    path: Observation  #: [L, P+T+H, ...] as lived; zero from now on
    controls: Array  #: [L, P+N, K] of all weeks
    usual: Array  #: [L, 52, G, C] levers of the year before the first decision
    epoch: int = 0  #: decisions that were made so far

    @property
    def every(self) -> int:
        """Weeks of an epoch: what a decision is about."""
        return self.form.horizon

    @property
    def weeks(self) -> int:
        """Weeks lived since week 0."""
        return int(self.now["week"][0]) - self.form.pre


class Verdict(NamedTuple):
    """What the choice of an epoch was worth, given the lane's own state. Money [L] against the usual plan."""

    optimum: Array
    bound: Array  #: nothing is worth more; infinite where none is proven
    value: Array  #: of what was chosen


# --- birth


def relived(scenario: Scenario, epochs: int, every: int = QUARTER) -> Scenario:
    """The scenario with a panel long enough to live its last epochs again, asked about one at a time.

    Parameters
    ----------
    scenario : Scenario
    epochs : int
        Decisions to come.
    every : int
        Weeks from one to the next, of :data:`EPOCHS`.

    Raises
    ------
    BadInput
        If there are no epochs or they make no year, the scenario is a sweep, or recorded spend ends before they do.
    """
    if scenario.sweep is not None:
        raise BadInput(scenario.name, "is a sweep of several worlds", "one of its points")
    if every not in EPOCHS:
        raise BadInput("every", f"{every} weeks", f"one of {', '.join(map(str, EPOCHS))}")
    if epochs < 1:
        raise BadInput("quarters", f"are {epochs}", "1 or more")
    weeks = max(scenario.time.weeks, HISTORY + every * epochs)
    rows = min((len(path) for path in recorded_paths(scenario).values()), default=weeks)
    if rows < weeks:
        what = f"are too many for {scenario.name}: with two years before them {weeks} weeks, and its data have {rows}"
        raise BadInput("quarters", what, f"at most {(rows - HISTORY) // QUARTER}")
    time = scenario.time.model_copy(update={"weeks": weeks, "horizon": every, "holdout": every})
    windows, problems = ((0, weeks), (weeks - 52, weeks)), (ProblemTable(name="epoch"),)
    asked = scenario.questions.model_copy(update={"windows": windows, "problems": problems})
    return scenario.model_copy(update={"time": time, "questions": asked})


def born(
    scenario: Scenario,
    replicates: Sequence[int],
    epochs: int,
    lives: int = 1,
    master: bytes = ids.OPEN_MASTER,
    every: int = QUARTER,
) -> Living:
    """Worlds at the week of the first decision, each in as many lanes as there are lives to lead.

    Parameters
    ----------
    scenario : Scenario
    replicates : sequence of int
    epochs : int
        Decisions to come.
    lives : int
        Lanes go by life first: lane = life x R + position of the replicate.
    every : int
        Weeks of an epoch.

    Raises
    ------
    BadInput
        As :func:`simbench.world.truth.draw` and :func:`relived`.
    """
    told = relived(scenario, epochs, every)
    drawn = draw(told, list(replicates), truth=False, master=master, origin=-every * epochs)
    secret, rows = drawn.secret, np.tile(np.arange(len(drawn.replicates)), lives)
    first = secret.form.pre + secret.weeks
    path = take(secret.path, rows)
    usual = path.lever[:, first - 52 : first].copy()
    for part in path:
        part[:, first:] = 0.0
    noise = secret.noise._replace(
        numbers=take(secret.noise.numbers, rows), innovations=take(secret.noise.innovations, rows)
    )
    return Living(
        told, drawn.labels, master, tuple(drawn.replicates[i] for i in rows), secret.form, noise,
        tuple(secret.keys[i] for i in rows), take(secret.start, rows), take(secret.now, rows), path,
        take(secret.controls, rows), usual,
    )  # fmt: skip


# --- what is seen and asked


def unspoilt(living: Living) -> Brief:
    """What happened so far, as it was: what dirt changes is not changed yet, and what is asked is not asked."""
    return brief_of(living.scenario, living.form, living.noise, living.now, living.path, living.controls)


def choice(living: Living, least: float, reserve: Array) -> Problem:
    """What to spend in the coming epoch: batched.

    The unit of every limit is the spend of the same weeks in the year before the first decision,
    the same in every life, whatever it made of its own.

    Parameters
    ----------
    least : float
        Share of the epoch's budget that has to be spent; the rest may be kept.
    reserve : array [L]
        Money kept earlier, that may be spent on top.
    """
    spec = ProblemSpec("epoch", "national", (least, 1.0), 0.0, 2.0, ())
    asked, margin = living.scenario.questions, float(living.scenario.kpi.margin)
    problem = briefs.problem_of(spec, usual_levers(living), living.now["told"]["population"], asked.levels, margin)
    return problem._replace(budget=problem.budget + np.stack([np.zeros_like(reserve), reserve], axis=-1))


def usual_levers(living: Living) -> Array:
    """Levers [L, E, G, C] of the coming epoch as they were in the year before the first decision."""
    first = living.every * living.epoch % 52
    return living.usual[:, first : first + living.every]


def shown(living: Living, problem: Problem) -> Brief:
    """What an analyst sees now, asked about one choice: batched. Dirt is as the scenario says."""
    known = Known(living.form, living.now, living.path)
    seen = measured(living.scenario, living.replicates, living.master, known, unspoilt(living))
    usual = usual_levers(living)
    future = seen.questions.future._replace(lever=usual, spend=usual)
    asked = seen.questions._replace(future=future, plans=briefs.default_plans(usual), problems=(problem,))
    return seen._replace(questions=asked)


# --- life


@lru_cache(maxsize=64)
def epoch_program(form: Form) -> Callable[[State, Array], tuple[Memory, Observation]]:
    """Compiled: (states of a block, levers [B, E, G, C]) -> what time changed of them, and the weeks."""
    world = world_of(form)

    def run(state: State, lever: Array) -> tuple[Memory, Observation]:
        after, weeks = world.stretch(state, lever)
        return Memory(after["week"], after["media"]["memory"], after["kpi"]["recent"]), weeks

    return jax.jit(jax.vmap(run))


def lived(living: Living, problem: Problem, amounts: Array) -> Living:
    """The same lanes an epoch later, after amounts [L, U] were spent as the problem lays them out.

    Raises
    ------
    BadInput
        If a lane's spend or KPI is no longer finite.
    """
    levers = in_float64(jax.vmap(plan_of), problem, amounts)
    memory, weeks = in_blocks(epoch_program(living.form), (living.now, levers))
    if not (np.isfinite(weeks.kpi).all() and np.isfinite(weeks.paid).all()):
        raise BadInput(living.scenario.name, "lives to a spend or KPI that is not finite", "tame its numbers")
    first = living.form.pre + living.weeks
    path = jax.tree.map(np.array, living.path)
    for whole, part in zip(path, weeks, strict=True):
        whole[:, first : first + living.every] = part
    return living._replace(now=at(living.now, memory), path=path, epoch=living.epoch + 1)


# --- what is true


def best_of(living: Living, problem: Problem) -> tuple[Book, Array, Array]:
    """Plans of the epoch ready to be valued, the best amounts [L, U] there are, and what bounds their worth [L].

    The bound counts as :func:`simbench.world.worth.worth_of_amounts` does: less what no amount changes.
    """
    margin = np.asarray(problem.margin)
    worth = margin * np.asarray(living.noise.numbers["kpi.value"])
    book = book_of(living.form, living.now, living.noise, worth, living.keys)
    constraints, of = constraints_of(problem), evaluator(book, problem, second=True)
    found = optimum.separable(of(np.arange(len(worth))), constraints, tolerance=TOLERANCE / 10, select=of)
    if not living.form.interacts:
        return book, found.amounts, found.upper_bound
    bound = np.where(bounded(living.form, book.futures.media), found.upper_bound, np.inf)
    return book, best_found(book, problem, constraints, found.amounts, bound), bound


def judged(book: Book, problem: Problem, best: Array, bound: Array, amounts: Array) -> Verdict:
    """What amounts [L, U] are worth beside the best ones, in the state they were chosen in."""
    every = np.stack([problem.status_quo, best, amounts], axis=1)
    now, most, mine = np.moveaxis(worth_of_amounts(book, problem, every).mean(axis=-1), 1, 0)
    return Verdict(most - now, np.maximum(bound, most) - now, mine - now)


def brought(living: Living, rows: Array) -> Answers:
    """What media brought in the past that some lanes lived: the truth of the windows asked about, batched."""
    brief = take(unspoilt(living), rows)
    asked = (take(living.start, rows), brief.panel.lever, brief.questions, brief.context)
    return in_blocks(lambda *block: history_program(living.form)(*block, living.weeks)[0], asked)


def profit(living: Living) -> Array:
    """Margin x unit value x KPI - money spent in each week of the panel so far [L, T], noise and all."""
    first, numbers = living.form.pre, living.noise.numbers
    weeks = slice(first, first + living.weeks)
    worth = float(living.scenario.kpi.margin) * np.asarray(numbers["kpi.value"])
    return worth[:, None] * living.path.kpi[:, weeks].sum(axis=-1) - living.path.paid[:, weeks].sum(axis=(2, 3))
