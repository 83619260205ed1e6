"""Answers from elsewhere: a run's briefs as a task folder, and what came back as a column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from simbench import ids
from simbench.backends.registry import NATIVE, RESERVED
from simbench.briefs import one
from simbench.errors import BadInput
from simbench.protocol.answers import read_answer, validate
from simbench.protocol.task import opaque_ids, write_task
from simbench.run import store
from simbench.run.asking import slim
from simbench.run.cells import Reply
from simbench.run.chunk import Chunk
from simbench.run.execute import NO_COST, settle
from simbench.run.plan import Entry, Plan, slug
from simbench.run.results import Run, SourceTold, again, opened, remember, shelf_of


def keys_of(source: SourceTold) -> list[Any]:
    """A key for each brief of a source; the brief's opaque id and seed come from it."""
    return [ids.backend_key(ids.OPEN_MASTER, source.digest, r, "task") for r in source.replicates]


def write_run_task(run: str | Path | Run, out: str | Path) -> Path:
    """Write all that contenders see in a run as one task folder, to be answered elsewhere.

    Nothing in it tells which scenario a brief is of. See docs/protocol.md.

    Raises
    ------
    BadInput
        If the folder exists or cannot be written.
    """
    run = opened(run)
    briefs, labels, keys = [], [], []
    for source in run.sources:
        chunk = Chunk(again(source), source.replicates, ids.OPEN_MASTER, run.folder)
        briefs += [one(chunk.worlds.brief, i) for i in range(len(source.replicates))]
        labels += [chunk.worlds.labels] * len(source.replicates)
        keys += keys_of(source)
    order = np.argsort(opaque_ids(keys))  # an order that tells nothing either
    names = opaque_ids(keys)
    return write_task(
        out, [briefs[i] for i in order], [labels[i] for i in order], [keys[i] for i in order], [names[i] for i in order]
    )


def column_name(run: Run, name: str) -> str:
    """A name for a column of answers: one that can be printed, and nobody's whose answers were not read from files."""
    if not name.strip() or not name.isprintable():
        raise BadInput("name", f"{name!r} cannot be printed", "letters and digits")
    asked = [entry for entry in run.entries if "answers" not in entry.identity]
    if name in {RESERVED, *NATIVE, *(entry.identity["name"] for entry in asked), *(entry.name for entry in asked)}:
        raise BadInput("name", f"{name!r} is another contender's", "a name of its own")
    return name


def score_answers(run: str | Path | Run, answers: str | Path, name: str = "") -> Run:
    """Take a folder of answers to a run's task into the run, as a column.

    Parameters
    ----------
    run : Run, folder or "latest"
    answers : path
        What a program or a person answered to the task folder of this run.
    name : str
        The column; the folder's name if not given.

    Raises
    ------
    BadInput
        If the folder holds no answer to any brief of this run, or the column's name is another contender's.
    """
    run, place = opened(run), Path(answers)
    if not place.is_dir():
        raise BadInput(str(answers), "is no folder", "the folder of answers")
    files = sorted(path for path in place.iterdir() if path.is_file())
    content = {path.name: ids.file_digest(path.read_bytes()) for path in files}
    called = column_name(run, name or place.resolve().name)
    identity = {"name": called, "version": "1", "answers": ids.digest(content)}
    entry = Entry(called, None, identity, f"{slug(called)}.{ids.digest(identity)[:16]}")
    names = {source.folder: opaque_ids(keys_of(source)) for source in run.sources}
    known = {brief for found in names.values() for brief in found}
    if not any(file.startswith(tuple(known)) for file in content):
        right = f"files named {min(known)}.csv and so on" if known else "a run that has briefs"
        raise BadInput(str(answers), "answers no brief of this run", right)
    again_ = []
    for told in run.sources:
        source = again(told)
        again_.append(source)
        chunk = Chunk(source, told.replicates, ids.OPEN_MASTER, run.folder)
        shelf = shelf_of(run.folder, entry.folder, source.folder)
        missing = [i for i, r in enumerate(told.replicates) if r not in store.shelf(shelf)]
        for start in range(0, len(missing), store.CELLS):
            rows = missing[start : start + store.CELLS]
            replies = []
            for i in rows:
                brief = one(chunk.worlds.brief, i)
                reply = slim(brief, read_answer(place, names[told.folder][i], brief, chunk.worlds.labels))
                replies.append(Reply(told.replicates[i], reply, NO_COST, ""))
            settle(run.folder, chunk, entry, replies)
    p = Plan(run.suite, tuple(again_), (entry,), ids.OPEN_MASTER)
    remember(p, run.folder, complete=True)
    return opened(run.folder)


__all__ = ["score_answers", "validate", "write_run_task"]
