"""The files of a run: worlds, what was answered, and what follows from it.

Answers are the record; decisions and scores can be made again from them at any time, and are as
soon as the code behind them has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simbench import ids
from simbench.blocks import take
from simbench.briefs import stack
from simbench.decide.allocate import Told, Value, decide
from simbench.errors import BadInput, Damaged
from simbench.records import Answers, Brief, Cost, Decisions, Failure, Labels, Truth
from simbench.run import store
from simbench.run.plan import Entry, Source
from simbench.score import METRICS
from simbench.score.rows import Case, Column, Metric

Array = Any
#: Fields of Answers without a draws axis.
SINGLE = ("allocation", "levels", "diagnostics")
#: Rooms whose code decides what scores follow from an answer.
DERIVING = ("decide", "optimum", "score")


class Worlds(NamedTuple):
    """Some replicates of one source: what an analyst sees, and the truth."""

    replicates: tuple[int, ...]
    brief: Brief  #: batched
    truth: Truth  #: batched
    labels: Labels


class Reply(NamedTuple):
    """What came back for one cell."""

    replicate: int
    reply: Answers | Failure
    cost: Cost
    log: str


class Group(NamedTuple):
    """Cells that answered the same fields, as batches; `worlds` are theirs."""

    replicates: tuple[int, ...]
    answers: Answers
    cost: Cost


# --- worlds


def keep_worlds(shelf: Path, worlds: Worlds) -> None:
    """Store drawn worlds."""
    content = {
        "replicates": list(worlds.replicates),
        "brief": worlds.brief,
        "truth": worlds.truth,
        "labels": worlds.labels,
    }
    store.write(shelf, worlds.replicates, content)


def stored_worlds(shelf: Path, replicates: Sequence[int]) -> Worlds | None:
    """Worlds from their shelf, in the order asked; None if one is not there, or some lack fields of others."""
    import jax

    found = store.shelf(shelf)
    if any(replicate not in found for replicate in replicates):
        return None
    try:
        blocks = {place: store.read(place) for place in dict.fromkeys(found[r] for r in replicates)}
    except Damaged:
        return None
    rows: dict[Path, list[int]] = {}
    for replicate in replicates:
        rows.setdefault(found[replicate], []).append(replicate)
    parts: list[Any] = []
    order: list[int] = []
    for place, wanted in rows.items():
        block = blocks[place]
        position = [block["replicates"].index(replicate) for replicate in wanted]
        parts.append(tuple(take(block[name], position) for name in ("brief", "truth")))
        order += wanted
    labels = next(iter(blocks.values()))["labels"]
    if len({jax.tree.structure(part) for part in parts}) > 1:
        return None
    brief, truth = parts[0] if len(parts) == 1 else joined(parts)
    back = [order.index(replicate) for replicate in replicates]
    if back != list(range(len(back))):
        brief, truth = take((brief, truth), back)
    return Worlds(tuple(replicates), brief, truth, labels)


def joined(parts: Sequence[Any]) -> Any:
    """Batched records of one structure, one after the other."""
    import jax

    return jax.tree.map(lambda *x: np.concatenate(x), *parts)


# --- answers


def keep_answers(shelf: Path, source: Source, entry: Entry, replies: Sequence[Reply]) -> Path:
    """Store what came back for some cells of one contender and source; failures are kept as well."""
    entry_digest = ids.digest(entry.identity)
    content = {
        "cells": {str(r.replicate): ids.cell_id(source.digest, r.replicate, entry_digest) for r in replies},
        "groups": [group._asdict() for group in grouped(replies)],
        "failures": {str(r.replicate): r.reply for r in replies if isinstance(r.reply, Failure)},
        "costs": {str(r.replicate): list(map(float, r.cost)) for r in replies if isinstance(r.reply, Failure)},
        "logs": {str(r.replicate): r.log for r in replies if r.log},
    }
    return store.write(shelf, [r.replicate for r in replies], content)


def grouped(replies: Sequence[Reply]) -> list[Group]:
    """Answers batched by structure and shape."""
    import jax

    groups: dict[Any, list[Reply]] = {}
    for reply in replies:
        if not isinstance(reply.reply, Failure):
            leaves, structure = jax.tree.flatten(reply.reply)
            groups.setdefault((structure, tuple((x.shape, str(x.dtype)) for x in map(np.asarray, leaves))), []).append(
                reply
            )
    return [
        Group(
            tuple(r.replicate for r in members),
            stack([r.reply for r in members]),
            Cost(*(np.array([float(r.cost[i]) for r in members]) for i in range(len(Cost._fields)))),
        )
        for members in groups.values()
    ]


def stored_answers(place: Path, source: Source | None = None, entry: Entry | None = None) -> dict[str, Any]:
    """A block of answers; with a source and an entry, its cells must be theirs.

    Raises
    ------
    Damaged
        If the bytes are not what was written, or the cells are of another source or contender.
    """
    content = store.read(place)
    if source is not None and entry is not None:
        entry_digest = ids.digest(entry.identity)
        for replicate, found in content["cells"].items():
            if found != ids.cell_id(source.digest, int(replicate), entry_digest):
                raise Damaged(str(place), f"replicate {replicate} is of another scenario or contender", "another store")
    content["groups"] = [Group(tuple(g["replicates"]), expanded(g["answers"]), g["cost"]) for g in content["groups"]]
    return content


def expanded(answers: Answers) -> Answers:
    """Batched answers in which a field with one draw beside others with many is repeated, without a copy."""
    import jax

    fields = {name: x for name, x in answers._asdict().items() if x is not None and name not in SINGLE}
    draws = max((leaf.shape[1] for leaf in jax.tree.leaves(fields)), default=1)

    def repeated(x: Array) -> Array:
        return x if x.shape[1] == draws else np.broadcast_to(x, (len(x), draws, *x.shape[2:]))

    return answers._replace(**{name: jax.tree.map(repeated, x) for name, x in fields.items()})


# --- what follows from answers


@lru_cache(maxsize=1)
def deriving_code() -> str:
    """Digest of the code that makes decisions and scores."""
    root = Path(__file__).resolve().parents[1]
    files = sorted(path for room in DERIVING for path in (root / room).rglob("*.py"))
    return ids.digest({str(path.relative_to(root)): ids.file_digest(path.read_bytes()) for path in files})


def case_of(worlds: Worlds, group: Group, decisions: Decisions) -> Case:
    """What metrics see of a group; float64, so that nothing is lost in sums."""
    rows = [worlds.replicates.index(replicate) for replicate in group.replicates]
    brief, truth = take((worlds.brief, worlds.truth), rows)
    return Case(brief, truth, group.answers, decisions, group.cost)


def derive(
    worlds: Worlds,
    content: Mapping[str, Any],
    value_of: Callable[[Sequence[int]], Value],
    contender: str,
    source: str,
) -> dict[str, Any]:
    """Decisions and scores of a block of answers.

    Parameters
    ----------
    worlds : Worlds
        At least those of the block.
    content : mapping
        As :func:`stored_answers` gives it.
    value_of : callable
        Replicates -> what the worlds give for amounts in each problem.
    contender, source : str
        Their names, for warnings.
    """
    groups = []
    for group in content["groups"]:
        rows = [worlds.replicates.index(replicate) for replicate in group.replicates]
        told = Told(contender, tuple(f"{source}/{r}" for r in group.replicates), worlds.labels.problems)
        decisions = decide(take(worlds.brief, rows), group.answers, value_of(group.replicates), told)
        columns = scored(case_of(worlds, group, decisions), METRICS)
        groups.append({
            "replicates": list(group.replicates), "decisions": decisions,
            "names": [[c.estimand, c.unit, c.metric] for c in columns],
            "value": np.stack([c.value for c in columns], axis=1),
            "status": np.stack([c.status for c in columns], axis=1),
        })  # fmt: skip
    failed = [[int(r), failure.reason, failure.detail] for r, failure in content["failures"].items()]
    return {"code": deriving_code(), "groups": groups, "failed": failed}


def scored(case: Case, metrics: Sequence[Metric]) -> list[Column]:
    """All columns of some metrics."""
    columns = [column for metric in metrics for column in metric.columns(case)]
    seen: set[tuple[str, str, str]] = set()
    for column in columns:
        name = (column.estimand, column.unit, column.metric)
        if name in seen:
            raise BadInput("metrics", f"two give {'/'.join(name)}", "every column once")
        seen.add(name)
    return columns
