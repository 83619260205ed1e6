"""The closed loop with a model in host processes, and the folder that tells what was decided."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from simbench import ids
from simbench.backends.base import Backend
from simbench.backends.contender import settled
from simbench.backends.registry import backend_named, split
from simbench.briefs import one
from simbench.decide.contenders import options_of
from simbench.decide.loop import Ask, Lives
from simbench.decide.loop import loop as live
from simbench.decide.players import PLAYERS, Player, ruled
from simbench.decide.sight import QUARTER
from simbench.errors import BadInput
from simbench.records import Answers, Brief, Failure
from simbench.run.asking import asked
from simbench.run.execute import Say, cores, silent
from simbench.run.plan import listed, quarters_of, scenarios_of, suite_title
from simbench.run.supervisor import Limits, Supervisor
from simbench.world.living import EPOCHS, relived
from simbench.world.scenario_numbers import nearest

Array = Any
#: Who plays where nobody is named: the extremes, those who act on a model, and rules of thumb.
DEFAULT = (
    "oracle", "status-quo", "equal", "greedy", "thompson", "greedy-with-test", "test-learn-scale-by-model", "bandit",
    "proportional-to-returns-by-claims", "return-falling-by-claims", "return-falling-by-model",
    "quarterly-cut-by-claims", "quarterly-cut-by-model", "contingency",
)  # fmt: skip
#: Who is always lived: what policies earn is told beside it.
REFERENCE = "status-quo"
#: The model that policies act on, and that looks back at the end.
MODEL = "national-laplace"


class Looped(NamedTuple):
    """A suite lived through."""

    folder: Path
    model: str
    lives: tuple[Lives, ...]


def players_named(names: Sequence[str]) -> list[Player]:
    """Policies of the loop by name; rules with options: ``quarterly-cut-by-claims[cut=0.3]``.

    Raises
    ------
    BadInput
        If one is not known (the message names the nearest), or an option is unknown or out of range.
    """
    return [player_named(name) for name in names]


def player_named(name: str) -> Player:
    """A policy of the loop; as :func:`players_named`."""
    who, given, label = split(name, "policy")
    if who not in PLAYERS:
        raise BadInput("policy", f"{who!r} is not known", nearest(who, list(PLAYERS)))
    if label:
        raise BadInput(f"policy {name!r}", "has a label", "NAME[option=value,...]")
    found = PLAYERS[who]
    named, chosen = settled(who, () if found.policy is None else options_of(found.policy.rule), given)
    return found if found.policy is None else ruled(named, found.policy, found.model, chosen)


def epochs_of(quarters: int, every: int) -> int:
    """Decisions in some quarters, one every so many weeks.

    Raises
    ------
    BadInput
        If they are no whole number of epochs. What no loop can have, `relived` refuses.
    """
    weeks = QUARTER * quarters
    if every in EPOCHS and weeks % every:
        right = f"a multiple of {math.lcm(QUARTER, every) // QUARTER}"
        raise BadInput("quarters", f"are {quarters}, no whole number of times {every} weeks", right)
    return weeks // max(every, 1)


@contextmanager
def supervised(backend: Backend, jobs: int, limits: Limits) -> Iterator[Ask]:
    """An `Ask` whose backend works in host processes, if another process can make it; else in this one."""
    if backend.spec is None:
        yield plain(backend)
        return
    with Supervisor(jobs, limits) as hosts:

        def ask(brief: Brief, keys: Array) -> list[Answers | Failure]:
            hosts.submit("loop", str(backend.spec), brief, keys)
            replies: dict[int, Answers | Failure] = {}
            while len(replies) < len(keys):
                replies |= {done.position: done.reply for done in hosts.outcomes(timeout=1.0)}
            return [replies[i] for i in range(len(keys))]

        yield ask


def plain(backend: Backend) -> Ask:
    """An `Ask` of a backend in this process."""

    def ask(brief: Brief, keys: Array) -> list[Answers | Failure]:
        replies: list[Answers | Failure] = []
        for i in range(0, len(keys), backend.block):
            rows = range(i, min(i + backend.block, len(keys)))
            replies += asked(backend, [one(brief, r) for r in rows], [keys[r] for r in rows], (KeyboardInterrupt,))
        return replies

    return ask


def loop(
    sources: Any,
    policies: Sequence[str] = DEFAULT,
    model: Any = MODEL,
    *,
    replicates: int | None = None,
    quarters: int | None = None,
    every: int = QUARTER,
    least: float = 0.85,
    store: str | Path | None = None,
    jobs: int | None = None,
    limits: Limits | None = None,
    master: bytes = ids.OPEN_MASTER,
    say: Say = silent,
) -> Looped:
    """Let policies decide the next weeks' media, live them, refit and decide again, on every scenario of a suite.

    Parameters
    ----------
    sources : suite, scenario, or a list of them; names, paths or values
    policies : sequence of str
        Names in :data:`simbench.decide.players.PLAYERS`, with options where they are rules. The status quo is lived
        besides, as what others are compared with.
    model : name, function or Backend
        What policies with a model act on; it also tells how well effects are identified in the end.
    replicates : int, optional
        Worlds a scenario; a suite's own number, else 4.
    quarters : int, optional
        Quarters that are lived again; a suite's own number, else 4. A panel that leaves less than two years before
        the first decision is made longer.
    every : int
        Weeks from one decision to the next: 13, or another of :data:`simbench.world.living.EPOCHS`.
    least : float
        Share of an epoch's budget that has to be spent.
    store : path, optional
        Folder for ``decisions.csv``, ``policies.csv`` and ``risk.csv``; ``simbench-loops/<name>`` if not given.

    Returns
    -------
    Looped

    Raises
    ------
    BadInput
        For anything that is not known or cannot be; nothing has been done by then.
    """
    from simbench.report.loops import write

    players, backend = players_named(policies), backend_named(model)
    hidden = () if not players or REFERENCE in {player.name for player in players} else (REFERENCE,)
    players += players_named(hidden)
    wanted = scenarios_of(sources, replicates)
    epochs = epochs_of(quarters_of(sources) if quarters is None else quarters, every)
    for scenario, _ in wanted:
        relived(scenario, epochs, every)  # what cannot be lived is refused before anything is
    folder = Path(store) if store is not None else Path("simbench-loops") / suite_title(listed(sources))
    lives = []
    with supervised(backend, jobs or cores(), limits or Limits()) as ask:
        for scenario, count in wanted:
            lived = live(
                scenario, players, ask, replicates=count, epochs=epochs, every=every, least=least, master=master,
                say=say,
            )  # fmt: skip
            lives.append(lived._replace(hidden=hidden))
    looped = Looped(folder, backend.name, tuple(lives))
    write(looped)
    return looped
