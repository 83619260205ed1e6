"""The closed loop: decide an epoch, live it, look again. An epoch is a quarter, unless asked for otherwise.

All replicates of all policies advance side by side, an epoch at a time; a policy sees the panel that its
own spend has made. Regret of an epoch is that of its choice, in the state in which it was made
(docs/design.md, 4.14).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from simbench import ids
from simbench.blocks import take
from simbench.briefs import stack
from simbench.decide.players import Choice, Moment, Player, feasible, silent, unknown
from simbench.decide.sight import QUARTER
from simbench.errors import BadInput, Damaged
from simbench.records import Answers, Brief, Failure, Labels, Problem
from simbench.world import living
from simbench.world.scenario import Scenario, family

Array = Any
#: (batched briefs [n], keys [n, 2]) -> n replies of the model, in order.
Ask = Callable[[Brief, Array], Sequence[Answers | Failure]]
Say = Callable[[str, int, int], None]
#: Answers that decisions read; the rest is forgotten at once.
READ = ("contribution", "curve", "response", "response_paid")
#: A choice worth more than the proven bound by more than this share of the spend is a fault of the optimum.
BEYOND = 1e-5


class Decided(NamedTuple):
    """What was decided in one epoch. Axes: policy K, replicate R, unit U, channel C."""

    week: int  #: of the panel, the first of the epoch
    problem: Problem  #: batched [K x R]
    mix: Array  #: [K, R, U] what was spent in the epoch before, as a multiple of its usual plan
    amounts: Array  #: [K, R, U]
    returns: Array  #: [K, R, C] money back for money spent, as whoever decided believed; NaN: no belief
    promise: Array  #: [K, R] money promised against the usual plan; NaN: nothing
    because: Array  #: [K, R] further numbers that were acted on, as JSON; empty: none
    optimum: Array  #: [K, R] money against the usual plan, in the state of the lane
    bound: Array
    value: Array
    reserve: Array  #: [K, R] money kept before
    failed: Array  #: [K, R] True where the model did not answer: the usual plan was kept


class Identified(NamedTuple):
    """How well the model tells what each channel brought last year, as shares of what all brought in truth [K, R]."""

    error: Array  #: sum over channels of |median - truth|
    width: Array  #: sum over channels of the width of the 90% interval


class Lives(NamedTuple):
    """A scenario lived under several policies."""

    scenario: Scenario
    labels: Labels
    policies: tuple[str, ...]
    replicates: tuple[int, ...]
    decided: tuple[Decided, ...]  #: one an epoch
    profit: Array  #: [K, R] realised over all epochs, noise and all
    before: Identified  #: at the first decision, the same in every life
    after: Identified  #: after the last epoch
    hidden: tuple[str, ...] = ()  #: policies that nobody asked for, lived to compare others with: no row of any table

    @property
    def usual(self) -> Array:
        """Money of the usual plan over all epochs [K, R]."""
        shape = self.profit.shape
        return np.sum([one.problem.status_quo.sum(axis=-1).reshape(shape) for one in self.decided], axis=0)

    @property
    def regret(self) -> Array:
        """Regret [E, K, R] of every epoch's choice, in money."""
        return np.stack([one.optimum - one.value for one in self.decided])


class Asked(NamedTuple):
    """How a model is asked about lanes."""

    ask: Ask
    root: str  #: family of the worlds
    master: bytes

    def of(self, brief: Brief, rows: Array, replicates: Sequence[int], epoch: int) -> tuple[Answers | None, Array]:
        """What decisions read of the answers about some lanes [n], and which of them failed [n].

        Lanes that failed have some other lane's answers; None if all did. Replicates of an epoch share
        their key, whoever decides.
        """
        keys = np.stack([ids.backend_key(self.master, self.root, r, f"loop:{epoch}") for r in replicates])
        replies = list(self.ask(take(brief, rows), keys))
        failed = np.array([not acted_on(reply) for reply in replies])
        if failed.all():
            return None, failed
        first = replies[int(np.argmin(failed))]
        kept = [first if lost else reply for reply, lost in zip(replies, failed, strict=True)]
        only = [Answers(**{field: getattr(reply, field) for field in READ}) for reply in kept]
        return stack(only), failed


def acted_on(reply: Answers | Failure) -> bool:
    """Whether decisions can be made on a reply: draws of contributions and of curves."""
    if isinstance(reply, Failure) or reply.levels is not None:
        return False
    return all(part is not None for part in (reply.contribution, reply.curve, reply.response))


def loop(
    scenario: Scenario,
    players: Sequence[Player],
    ask: Ask | None,
    *,
    replicates: int | Sequence[int] = 8,
    epochs: int = 4,
    every: int = QUARTER,
    least: float = 0.85,
    master: bytes = ids.OPEN_MASTER,
    say: Say = lambda text, done, total: None,
) -> Lives:
    """Live the last epochs of a scenario under each policy.

    Parameters
    ----------
    scenario : Scenario
        No sweep. Its panel is made longer where fewer than two years would be left before the first decision.
    players : sequence of Player
    ask : callable or None
        (batched briefs [n], keys [n, 2]) -> n replies of the model; None where no player has one.
    replicates : int or sequence of int
    epochs : int
        Decisions.
    every : int
        Weeks from one to the next, of :data:`simbench.world.living.EPOCHS`.
    least : float
        Share of an epoch's budget that has to be spent; the rest may be kept and spent later.
    say : callable
        Told about progress.

    Returns
    -------
    Lives

    Raises
    ------
    BadInput
        If nobody is named or one twice, a player needs a model and there is none, or as
        :func:`simbench.world.living.born`.
    Damaged
        If a choice is worth more than the proven bound: a fault of the optimum.
    """
    refuse(players, ask, least)
    numbers = tuple(range(replicates)) if isinstance(replicates, int) else tuple(replicates)
    lanes = living.born(scenario, numbers, epochs, len(players), master, every)
    asked = None if ask is None else Asked(ask, family(scenario), master)
    rows = np.arange(len(players) * len(numbers)).reshape(len(players), -1)
    reserve, decided = np.zeros(rows.size), []
    mix = np.ones((rows.size, len(lanes.labels.channels)))
    before = identified(lanes, asked, rows[:1], least)
    for epoch in range(epochs):
        say(f"decision {epoch + 1} of {scenario.name}", epoch, epochs)
        problem = living.choice(lanes, least, reserve)
        one = epoch_of(lanes, problem, players, asked, rows, reserve, mix)
        decided.append(one)
        amounts, usual = one.amounts.reshape(rows.size, -1), problem.status_quo
        mix = np.divide(amounts, usual, out=np.ones_like(usual), where=usual > 0)
        lanes = living.lived(lanes, problem, amounts)
        # unspent money keeps its value: what an epoch does not use, a later one may
        reserve = np.maximum(reserve + usual.sum(axis=-1) - amounts.sum(axis=-1), 0.0)
    say(f"looking back on {scenario.name}", epochs, epochs)
    after = identified(lanes, asked, rows, least)
    earned = living.profit(lanes)[:, -every * epochs :].sum(axis=-1).reshape(rows.shape)
    names = tuple(player.name for player in players)
    spread = Identified(*(np.broadcast_to(x, rows.shape) for x in before))
    return Lives(scenario, lanes.labels, names, numbers, tuple(decided), earned, spread, after)


def refuse(players: Sequence[Player], ask: Ask | None, least: float) -> None:
    """What cannot be played."""
    names = [player.name for player in players]
    if not names or len(set(names)) < len(names):
        raise BadInput("policies", "one is named twice" if names else "none is named", "each once")
    needing = [player.name for player in players if player.model]
    if needing and ask is None:
        raise BadInput("model", "none is named", f"a model for {needing[0]!r} to act on")
    if not 0.0 <= least <= 1.0:
        raise BadInput("least", f"{least}", "a share from 0 to 1")


def epoch_of(
    lanes: living.Living,
    problem: Problem,
    players: Sequence[Player],
    asked: Asked | None,
    rows: Array,
    reserve: Array,
    mix: Array,
) -> Decided:
    """What every player does with an epoch, and what it is worth."""
    brief, (book, best, limit) = living.shown(lanes, problem), living.best_of(lanes, problem)
    root, numbers = family(lanes.scenario), [lanes.replicates[i] for i in rows[0]]
    told = told_to(players, asked, brief, rows, numbers, lanes.epoch)
    failed, choices = np.stack([lost for _, lost in told]), []
    for player, own, (answers, lost) in zip(players, rows, told, strict=True):
        name = f"loop:{player.name}:{lanes.epoch}"
        streams = tuple(ids.streams(lanes.master, root, numbers, name))
        moment = Moment(
            take(brief, own), take(problem, own), answers, streams, reserve[own], lanes.epoch, mix[own], best[own]
        )
        choices.append(kept_where(lost, moment, player))
    chosen = Choice(*(np.stack(part) for part in zip(*choices, strict=True)))
    verdict = living.judged(book, problem, best, limit, chosen.amounts.reshape(rows.size, -1))
    beyond = verdict.value - verdict.bound > BEYOND * problem.status_quo.sum(axis=-1)
    if beyond.any():
        what = f"a choice of epoch {lanes.epoch + 1} is worth more than the proven bound"
        raise Damaged(lanes.scenario.name, what, "a fault of the optimum: please report it")
    optimum, bound, value = (x.reshape(rows.shape) for x in verdict)
    return Decided(
        lanes.weeks, problem, mix.reshape(chosen.amounts.shape), chosen.amounts, chosen.returns, chosen.promise,
        chosen.because, optimum, bound, value, reserve.reshape(rows.shape), failed,
    )  # fmt: skip


def told_to(
    players: Sequence[Player], asked: Asked | None, brief: Brief, rows: Array, replicates: Sequence[int], epoch: int
) -> list[tuple[Answers | None, Array]]:
    """What the model tells each player [R, D, ...], and in which replicates it failed [R]: one call for all."""
    nothing, acting = np.zeros(rows.shape[1], bool), [k for k, player in enumerate(players) if player.model]
    if asked is None or not acting:
        return [(None, nothing)] * len(players)
    answers, failed = asked.of(brief, rows[acting].ravel(), list(replicates) * len(acting), epoch)

    def of(k: int) -> tuple[Answers | None, Array]:
        if k not in acting:
            return None, nothing
        part = np.arange(rows.shape[1]) + acting.index(k) * rows.shape[1]
        return None if answers is None else take(answers, part), failed[part]

    return [of(k) for k in range(len(players))]


def kept_where(failed: Array, moment: Moment, player: Player) -> Choice:
    """The player's choice; the usual plan, as near as can be, where its model did not answer."""
    usual = np.asarray(moment.problem.status_quo, dtype=float)
    nothing = Choice(usual, unknown(moment), np.full(len(usual), np.nan), silent(moment))
    chosen = nothing if failed.all() else player.decide(moment)
    if not failed.any():
        return chosen
    kept = nothing._replace(amounts=feasible(moment, usual))
    return Choice(*(
        np.where(failed.reshape(-1, *(1,) * (np.ndim(x) - 1)), y, x) for x, y in zip(chosen, kept, strict=True)
    ))  # fmt: skip


def identified(lanes: living.Living, asked: Asked | None, rows: Array, least: float) -> Identified:
    """What the model tells about last year in some lanes [k, R], beside the truth of the spend that was lived."""
    nothing = np.full(rows.shape, np.nan)
    if asked is None:
        return Identified(nothing, nothing)
    flat = rows.ravel()
    numbers = [lanes.replicates[i] for i in flat]
    brief = living.shown(lanes, living.choice(lanes, least, np.zeros(len(lanes.replicates))))
    answers, failed = asked.of(brief, flat, numbers, lanes.epoch)
    if answers is None or answers.contribution is None:
        return Identified(nothing, nothing)
    truth = np.asarray(living.brought(lanes, flat).contribution)[:, -1]
    told = np.asarray(answers.contribution, dtype=float)[:, :, -1]
    size = np.abs(truth).sum(axis=-1)
    low, middle, high = np.quantile(told, [0.05, 0.5, 0.95], axis=1)
    error, width = np.abs(middle - truth).sum(axis=-1) / size, (high - low).sum(axis=-1) / size
    return Identified(*(np.where(failed, np.nan, x).reshape(rows.shape) for x in (error, width)))
