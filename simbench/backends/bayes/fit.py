"""A model fitted to many briefs by an engine: a few programs a shape, worlds in padded lanes.

Worlds go through every stage in lanes of one size. Those whose diagnostics fall short of the engine's
aim go on together, again in lanes of that size, so that nothing is compiled anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from simbench.backends.base import Backend, everything, served
from simbench.backends.bayes import density, straight
from simbench.backends.bayes.answers import answer_structure, structure_of
from simbench.backends.bayes.data import Data, data_of
from simbench.backends.bayes.diagnose import KHAT, RHAT, chains_agree
from simbench.backends.bayes.engine import Draws, Engine
from simbench.backends.bayes.model import Model, handles_of
from simbench.backends.nation import of_the_nation
from simbench.backends.traced import known, traced
from simbench.blocks import in_blocks, take
from simbench.briefs import one
from simbench.records import Answers, Brief, Diagnostics, Failure

Array = Any
known(Answers)


LOST = "no finite posterior: look for weeks without a number, or series far beyond the scale of the others"


class Programs(NamedTuple):
    """The stages of a fit, over worlds (leading axis of everything)."""

    data: Callable[..., Any]  #: (briefs) -> data; only this depends on what is not data
    begin: Callable[..., Any]  #: (keys, data) -> state
    advance: Callable[..., Any]  #: (data, state) -> (state, draws)
    judge: Callable[..., Any]  #: (data, points) -> R-hat and effective draws of parameters, effective draws of returns
    structure: Callable[..., Any]  #: (keys, points, data) -> structures


class Fit(NamedTuple):
    """Posterior points of worlds, and how far they are to be trusted (leading axis: worlds)."""

    points: Sequence[Array]  #: each [chains, samples, n]; worlds may differ in samples
    rhat: Array
    ess: Array  #: of the parameter with the fewest
    ess_return: Array  #: of the return with the fewest
    divergences: Array
    khat: Array


def returns(model: Model, z: Array, data: Data) -> Array:
    """Sum over the seen weeks' spend of what media bring, per unit of money [G C], at a point z [n].

    Effects that are integrated out stand at their mean given the rest.
    """
    parameters = density.placed(model, z, data)
    own, sd = density.effects(model, parameters, data)
    if model.free is not None or model.geos:
        own = own + sd * density.linear_given(model, parameters, data).block
    if model.effect == "coefficient":
        curve = density.curves(model, parameters, data)
        own = own * curve.sum(axis=-1) / data.worth
    return own.reshape(-1)


def programs(model: Model, engine: Engine) -> Programs:
    """The stages of a model and an engine, compiled on first use."""
    # traced, and differentiated, once for all places that ask it
    log_density = jax.jit(partial(straight.log_density, model))

    def target(data: Data) -> Callable[[Array], Array]:
        return lambda t: log_density(t, data)

    def begin(key: Array, data: Data) -> Any:
        size = density.dimension(model, data)
        return engine.begin(target(data), size, jax.random.wrap_key_data(key), data.kpi.dtype)

    def advance(data: Data, state: Any) -> tuple[Any, Draws]:
        state, draws = engine.advance(target(data), state)
        back = jax.vmap(jax.vmap(lambda t: straight.point_of(model, t, data)))
        return state, draws._replace(points=back(draws.points))

    def judge(data: Data, points: Array) -> tuple[Array, Array, Array]:
        every = points.reshape(-1, points.shape[-1])
        told = jax.lax.map(lambda z: returns(model, z, data), every, batch_size=64)
        told = told.reshape(*points.shape[:2], -1)
        n = points.shape[-1]
        rhat, ess = chains_agree(jnp.concatenate([points, told], axis=-1))
        # the return of a channel never used may be a constant
        known = jnp.concatenate([jnp.ones(n), data.active.reshape(-1)]) > 0
        rhat, ess = jnp.where(known, rhat, 1.0), jnp.where(known, ess, jnp.inf)
        return rhat.max(), ess.min(), ess[n:].min()

    def structure(key: Array, points: Array, data: Data) -> Any:
        return structure_of(model, jax.random.wrap_key_data(key), points, data)

    def stage(program: Callable[..., Any], together: bool = False) -> Callable[..., Any]:
        over = jax.vmap(program) if together else _in_turn(program)
        return traced(over, program.__name__, model, engine.name, engine.options)

    # the first calls LAPACK, which programs that were kept do not find again
    return Programs(
        jax.jit(_in_turn(lambda brief: data_of(brief, model))),
        stage(begin, engine.together), stage(advance, engine.together), stage(judge), stage(structure),
    )  # fmt: skip


def _in_turn(program: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *batched: jax.lax.map(lambda cell: program(*cell), batched)


@cache
def answers_of(curve: str) -> Callable[..., Any]:
    """(keys, structures, briefs) -> answers, one world after the other; for all models of a kind of curve."""

    def each(key: Array, structure: Any, brief: Brief) -> Answers:
        return answer_structure(curve, jax.random.wrap_key_data(key), structure, brief)

    return traced(_in_turn(each), "answers", curve)


def fitted(stages: Programs, engine: Engine, keys: Array, data: Data, lanes: int, precision: str) -> Fit:
    """Posterior points of a batch of worlds (leading axis R of every array)."""

    def run(program: Callable[..., Any], *batched: Any) -> Any:
        return in_blocks(program, batched, lanes, precision)

    state = run(stages.begin, keys, data)
    count = len(keys)
    points: list[Array] = [np.empty(0)] * count
    rhat, ess, ess_return = (np.full(count, np.nan) for _ in range(3))
    divergences, khat = np.zeros(count), np.full(count, np.nan)
    going = np.arange(count)
    for k in range(engine.rounds):
        own = take(data, list(going))
        state, draws = run(stages.advance, own, state)
        for row, i in enumerate(going):
            points[i] = np.concatenate([points[i], draws.points[row]], axis=1) if k else draws.points[row]
        divergences[going] += draws.divergences
        khat[going] = draws.khat
        if draws.points.shape[1] == 1:  # a pool: there are no chains to agree
            ess[going] = ess_return[going] = draws.ess
            break
        rhat[going], ess[going], ess_return[going] = run(stages.judge, own, np.stack([points[i] for i in going]))
        short = ~((rhat[going] <= RHAT) & (ess_return[going] >= engine.ess))
        short &= np.isfinite(rhat[going]) & (ess[going] > 1.0)  # what is not finite or stands still will stay so
        going, state = going[short], take(state, list(np.flatnonzero(short)))
        if not len(going):
            break
    return Fit(points, rhat, ess, ess_return, divergences, khat)


def evenly(points: Array, draws: int) -> Array:
    """So many points [D, n] of chains [M, S, n], spread evenly over all; of short chains some more than once."""
    every = points.reshape(-1, points.shape[-1])
    return every[(2 * np.arange(draws) + 1) * len(every) // (2 * draws)]


def diagnostics_of(engine: Engine, fit: Fit, i: int) -> Diagnostics:
    """How the fit of one world went."""
    if np.isfinite(fit.khat[i]) or not engine.exact:
        converged = fit.khat[i] <= KHAT
    else:
        converged = fit.rhat[i] <= RHAT and fit.ess_return[i] >= engine.ess
    told = (fit.rhat[i], fit.ess[i], fit.divergences[i], fit.khat[i], converged, not converged)
    return Diagnostics(*(np.float64(x) for x in told))


class Fitter(NamedTuple):
    """A model, an engine, and how their programs are called."""

    model: Model
    engine: Engine
    stages: Programs
    lanes: int  #: worlds side by side in a compiled program
    precision: str
    strict: bool = False  #: a fit that has not converged is a `Failure`

    def posterior(self, keys: Array, briefs: Brief) -> tuple[Data, Fit]:
        """What the model sees of a batch of worlds, and its posterior points."""
        data = in_blocks(self.stages.data, (briefs,), self.lanes, self.precision)
        return data, fitted(self.stages, self.engine, keys, data, self.lanes, self.precision)

    def replies(self, keys: Array, briefs: Brief, data: Data, fit: Fit) -> list[Answers | Failure]:
        """What posterior points answer, world by world."""
        told = [diagnostics_of(self.engine, fit, i) for i in range(len(keys))]
        chosen = [evenly(points, briefs.questions.sizes.draws) for points in fit.points]
        whole = [all(np.isfinite(x[i]).all() for x in jax.tree.leaves(data)) for i in range(len(keys))]
        replies: dict[int, Answers | Failure] = {}
        for i, points in enumerate(chosen):
            if not (whole[i] and np.isfinite(points).all()):
                replies[i] = Failure("nonfinite", LOST)
            elif self.strict and not told[i].converged:
                replies[i] = Failure("unconverged", f"k-hat {told[i].khat_max:.2f}, R-hat {told[i].rhat_max:.3f}")
        left = [i for i in range(len(keys)) if i not in replies]
        if left:
            brief, points = take(briefs, left), np.stack([chosen[i] for i in left])
            inner = (spun(keys[left], 1), points, take(data, left))
            structures = in_blocks(self.stages.structure, inner, self.lanes, self.precision)
            answers = answered(self.model, keys[left], structures, brief, self.precision)
            replies |= {i: each._replace(diagnostics=told[i]) for i, each in zip(left, answers, strict=True)}
        return [replies[i] for i in range(len(keys))]


def bayes_backend(
    name: str,
    model: Model,
    engine: Engine,
    *,
    block: int,
    lanes: int,
    precision: str,
    strict: bool = False,
    supports: Callable[[Brief], str | None] = everything,
    tags: Sequence[str] = (),
) -> Backend:
    """A contender of a model and an engine.

    Parameters
    ----------
    block : int
        Cells a call.
    lanes : int
        Worlds side by side in a compiled program.
    precision : {"float64", "float32"}
    strict : bool
        A fit that has not converged is a `Failure` instead of a flagged answer: the next of `first_ok` is asked.
    """
    fitter = Fitter(model, engine, programs(model, engine), lanes, precision, strict)

    def ask(keys: Array, briefs: Brief) -> list[Answers | Failure]:
        return fitter.replies(keys, briefs, *fitter.posterior(keys, briefs))

    made = Backend(name, "1", {}, served(name, ask), block, supports, frozenset(tags), handles_of(model), precision)
    return made if model.geos else of_the_nation(made)


def prior_backend(name: str, model: Model, *, block: int, precision: str) -> Backend:
    """A model before it has seen any KPI but its scale; the forecast is the prior predictive."""

    def draw(key: Array, brief: Brief) -> Any:
        data = data_of(brief, model)
        point_key, linear_key = jax.random.split(jax.random.wrap_key_data(key))
        points = density.prior_points(model, point_key, data, brief.questions.sizes.draws)
        return structure_of(model, linear_key, points, data, density.linear_prior)

    program = jax.jit(_in_turn(draw))

    def ask(keys: Array, briefs: Brief) -> list[Answers]:
        structures = in_blocks(program, (spun(keys, 1), briefs), block, precision)
        return answered(model, keys, structures, briefs, precision)

    tags = frozenset(("native", "fast"))
    made = Backend(name, "1", {}, served(name, ask), block, everything, tags, handles_of(model), precision)
    return of_the_nation(made)


def answered(model: Model, keys: Array, structures: Any, briefs: Brief, precision: str) -> list[Answers]:
    """Answers of structures, world by world."""
    answers = in_blocks(answers_of(model.curve), (spun(keys, 2), structures, briefs), 1, precision)
    return [one(answers, row) for row in range(len(keys))]


def spun(keys: Array, stage: int) -> Array:
    """Keys [R, 2] of another stage of the same cells."""
    return np.asarray(keys) ^ np.array([0, stage], dtype=np.uint32)
