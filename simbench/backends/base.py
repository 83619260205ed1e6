"""Backend: a contender with one verb, and the lift that makes one of a pure function."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from simbench.backends.jointly import asked_too, planned, told_apart
from simbench.backends.replies import checked
from simbench.blocks import BLOCK, in_blocks
from simbench.briefs import one, stack
from simbench.errors import BadInput
from simbench.estimands import Effects, answer_additive
from simbench.records import Answers, Brief, Failure

Array = Any
Key = Any  #: [2] uint32, the data of a JAX key
Author = Callable[[Array, Brief], Answers]  #: what the author of a native model writes

#: Draws are answered this many at a time: one vmap over all would leave the cache.
DRAWS_TOGETHER = 16
#: Assumptions about data alone. Breaking one leaves a world inside the form that held it before and biases no fit, so
#: that a model handles them all, unless it reads claims, or takes for granted that channels are alike.
DATA_ALONE = frozenset({
    "enough-data", "uncorrelated-spend", "spend-variation", "generated-spend", "strong-media", "established-channels",
    "comparable-channels", "monetary-kpi", "ordinary-units", "honest-claims",
})  # fmt: skip


class Backend(NamedTuple):
    """A contender. The runner knows only `answer`."""

    name: str
    version: str
    config: Mapping[str, Any]
    answer: Callable[[Sequence[Brief], Sequence[Key]], list[Answers | Failure]]
    block: int  #: cells a call; part of identity
    supports: Callable[[Brief], str | None]  #: a reason means skip; from shapes and kinds only
    tags: frozenset[str]
    handles: frozenset[str]  #: broken assumptions its class contains; empty: it does not say. docs/scores.md
    precision: str = "float64"
    code: str = ""  #: digest of the code behind it; the registry fills it in
    spec: str | None = None  #: the words another process can make it from; None: only this process can


def everything(brief: Brief) -> str | None:
    """Supports every brief."""
    return None


def jax_backend(
    name: str,
    author: Author,
    *,
    version: str = "1",
    config: Mapping[str, Any] | None = None,
    block: int = BLOCK,
    together: bool = True,
    precision: str = "float64",
    supports: Callable[[Brief], str | None] = everything,
    tags: Sequence[str] = ("native", "fast"),
    handles: Collection[str] = (),
) -> Backend:
    """Lift a pure function ``(key, brief) -> Answers`` to a backend.

    It is traced once a shape and vmapped over a padded block of worlds. A world whose answer is
    not finite becomes a `Failure`; its neighbours stand.

    Parameters
    ----------
    name : str
    author : callable
        Pure and traceable by JAX.
    block : int
        Cells a call; the same cell gives bit-identical answers in any company at this size.
    together : bool
        Worlds of a block side by side; if not, one after the other: for loops whose length differs.
    precision : {"float64", "float32"}
        float32 only where shown equal.

    Returns
    -------
    Backend
    """

    def lane(key: Array, brief: Brief) -> Answers:
        return author(jax.random.wrap_key_data(key), brief)

    def in_turn(keys: Array, briefs: Brief) -> Answers:
        return jax.lax.map(lambda cell: lane(*cell), (keys, briefs))

    program = jax.jit(jax.vmap(lane) if together else in_turn)

    def ask(keys: Array, batch: Brief) -> list[Answers | Failure]:
        answers = in_blocks(program, (keys, batch), block, precision)
        return [one(answers, row) for row in range(len(keys))]

    return Backend(
        name, version, dict(config or {}), served(name, ask), block, supports, frozenset(tags), frozenset(handles),
        precision,
    )  # fmt: skip


def python_backend(
    name: str,
    author: Callable[[Key, Brief], Any],
    *,
    version: str = "1",
    config: Mapping[str, Any] | None = None,
    supports: Callable[[Brief], str | None] = everything,
    tags: Sequence[str] = (),
    handles: Collection[str] = (),
) -> Backend:
    """Lift an ordinary function ``(key, brief) -> answers`` to a backend.

    It is called once a world, with NumPy arrays, and may raise: that is the `Failure` of this world.

    Parameters
    ----------
    name : str
    author : callable
        `key` is two uint32 numbers (``numpy.random.default_rng(key)`` takes them). It returns
        `Answers`, a mapping of its fields to arrays, or a `Failure`.

    Returns
    -------
    Backend
    """

    def answer(briefs: Sequence[Brief], keys: Sequence[Key]) -> list[Answers | Failure]:
        if len(briefs) != len(keys):
            raise BadInput(name, f"{len(briefs)} briefs and {len(keys)} keys", "one key a brief")
        return [called(author, key, brief) for key, brief in zip(keys, briefs, strict=True)]

    return Backend(name, version, dict(config or {}), answer, 1, supports, frozenset(tags), frozenset(handles))


def called(author: Callable[[Key, Brief], Any], key: Key, brief: Brief) -> Answers | Failure:
    """The checked reply of an ordinary function; what it raises is a failure of this world."""
    try:
        return checked(brief, author(key, brief))
    except MemoryError as error:
        return Failure("memory", str(error) or "out of memory")
    except Exception as error:
        return Failure("error", f"{type(error).__name__}: {error}")


def served(name: str, ask: Callable[[Array, Brief], Sequence[Answers | Failure]]) -> Callable[..., Any]:
    """The verb of a backend that is asked about briefs of one shape at a time.

    Parameters
    ----------
    ask : callable
        (keys [R, 2], briefs with a leading axis R) -> R replies; each is checked before it is handed on.
    """

    def answer(briefs: Sequence[Brief], keys: Sequence[Key]) -> list[Answers | Failure]:
        if len(briefs) != len(keys):
            raise BadInput(name, f"{len(briefs)} briefs and {len(keys)} keys", "one key a brief")
        replies: dict[int, Answers | Failure] = {}
        for members in by_shape(briefs).values():
            told = ask(np.stack([keys[i] for i in members]), stack([briefs[i] for i in members]))
            replies |= {i: checked(briefs[i], reply) for i, reply in zip(members, told, strict=True)}
        return [replies[i] for i in range(len(briefs))]

    return answer


def by_shape(briefs: Sequence[Brief]) -> dict[Any, list[int]]:
    """Positions of briefs that one program can serve: equal shapes and tree structure."""
    groups: dict[Any, list[int]] = {}
    for i, brief in enumerate(briefs):
        leaves, structure = jax.tree.flatten(brief)
        groups.setdefault((structure, tuple(np.shape(x) for x in leaves)), []).append(i)
    return groups


def answer_draws(effects: Callable[[Any], Effects], draws: Any, lever: Array, brief: Brief) -> Answers:
    """Answers [D, ...] of a sum of curves, one draw of its parameters at a time.

    Where units of a problem share levers, it decides on them itself: `allocation` and `promise` are answered, NaN for
    the other problems, which are left to the common allocator.

    Parameters
    ----------
    effects : callable
        One draw -> Effects on weeks [0, N).
    draws : pytree
        Leading axis D.
    lever : array [N, G, C]
    """
    panel, questions, context = brief
    amounts = planned(effects, draws, lever, brief)
    asked = questions if amounts is None else questions._replace(plans=asked_too(brief, amounts))

    def each(draw: Any) -> Answers:
        return answer_additive(effects(draw), lever, asked, context, panel.origin)

    answers = jax.lax.map(each, draws, batch_size=DRAWS_TOGETHER)
    return answers if amounts is None else told_apart(answers, brief, amounts)


def predict(answers: Answers, noise: Array) -> Answers:
    """Add the model's own noise [D, H, G] to its forecast of the mean."""
    return answers._replace(forecast=answers.forecast + noise)


def draws_of(key: Array, mean: Array, factor: Array, draws: int) -> Array:
    """Normal draws [D, p] with a mean [p] and a covariance factor [p, p] (L L' = covariance)."""
    return mean + jax.random.normal(key, (draws, mean.shape[0]), dtype=mean.dtype) @ factor.T
