"""Answers from elsewhere: what a run's task asks, and what comes back as a column."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli import calls

import simbench as sb
from simbench.client import read_task, write_draws
from simbench.errors import BadInput
from simbench.protocol.answers import read_answer, validate
from simbench.protocol.task import opaque_ids, read_ids
from simbench.records import Failure
from simbench.run.foreign import column_name, keys_of, score_answers, write_run_task
from simbench.run.results import opened


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> calls.Small:
    return calls.small_run(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def task(kept: calls.Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run_task(kept.folder, tmp_path_factory.mktemp("task") / "task")


def name_of(run: Path, replicate: int) -> str:
    """What the task calls a replicate."""
    return opaque_ids(keys_of(opened(run).sources[0]))[replicate]


def answered(task: Path, folder: Path, skip: tuple[str, ...] = ()) -> Path:
    """Draws of a contender that knows the spend and nothing else."""
    folder.mkdir()
    for brief in read_task(task):
        if brief.id not in skip:
            spend = np.array([brief.spend[channel].sum() for channel in brief.channels])
            windows = len(brief.questions["windows"])
            draws = spend * np.linspace(0.5, 1.5, 256)[:, None, None] * np.ones((256, windows, 1))
            write_draws(folder, brief.id, contribution=draws)
    return folder


def test_the_task_asks_about_the_worlds_of_the_run(kept: calls.Small, task: Path) -> None:
    assert set(read_ids(task)) == {name_of(kept.folder, replicate) for replicate in range(3)}
    briefs = {brief.id: brief for brief in read_task(task)}
    for replicate in range(3):
        seen = sb.inspect(kept.folder, f"test-world/{replicate}/ols").brief
        asked = briefs[name_of(kept.folder, replicate)]
        np.testing.assert_array_equal(asked.kpi, np.asarray(seen.panel.kpi)[:60])
        np.testing.assert_array_equal(asked.spend["video"], np.asarray(seen.panel.spend)[:60, :, 1])


def test_the_order_tells_nothing_and_every_brief_has_a_seed(task: Path) -> None:
    assert read_ids(task) == sorted(read_ids(task))  # of names that tell nothing
    seeds = [entry["seed"] for entry in json.loads((task / "task.json").read_text())["briefs"]]
    assert len(set(seeds)) == 3


def test_a_column_is_scored_as_if_it_had_been_asked(kept: calls.Small, task: Path, tmp_path: Path) -> None:
    """The same numbers from a function that answers in this process, and from files."""

    def shares(key, brief):
        panel = brief.panel
        spend = (np.asarray(panel.spend) * np.asarray(panel.mask)[:, None, None]).sum(axis=(0, 1))
        windows = len(brief.questions.windows)
        return {"contribution": spend * np.linspace(0.5, 1.5, 256)[:, None, None] * np.ones((256, windows, 1))}

    run = calls.copied(kept, tmp_path)
    score_answers(run, answered(task, tmp_path / "answers"), "files")
    sb.run(kept.arguments[1], [shares], replicates=3, store=run)
    frame = sb.scores(run)
    kept_columns = ["replicate", "estimand", "unit", "metric"]
    files, asked = (
        frame[(frame.backend == name) & (frame.estimand != "cost")].set_index(kept_columns)
        for name in ("files", "shares")
    )
    assert len(files) > 100 and (files.status == asked.status.reindex(files.index)).all()
    np.testing.assert_allclose(files.value, asked.value.reindex(files.index), rtol=1e-6)


def test_scores_are_those_of_the_answers_read_by_hand(kept: calls.Small, task: Path, tmp_path: Path) -> None:
    run, folder = calls.copied(kept, tmp_path), answered(task, tmp_path / "answers")
    assert validate(task, folder).faults == []
    frame = sb.scores(score_answers(run, folder, "vendor"))
    errors = frame[(frame.backend == "vendor") & (frame.estimand == "contribution") & (frame.metric == "error")]
    for replicate, value in zip(errors.replicate, errors.value, strict=True):
        seen = sb.inspect(run, f"test-world/{replicate}/vendor")
        by_hand = read_answer(folder, name_of(run, replicate), seen.brief, seen.labels)
        assert not isinstance(by_hand, Failure)
        median = np.median(by_hand.contribution[:, 0], axis=0)
        true = seen.truth.answers.contribution[0]
        assert value == pytest.approx(np.abs(median - true).sum() / np.abs(true).sum(), rel=1e-6)
        np.testing.assert_array_equal(seen.reply.contribution, by_hand.contribution.astype(np.float32))


def test_what_is_not_answered_is_a_failure_with_a_sentence(kept: calls.Small, task: Path, tmp_path: Path) -> None:
    run = calls.copied(kept, tmp_path)
    gap = name_of(run, 1)
    folder = answered(task, tmp_path / "answers", skip=(gap,))
    (folder / f"{name_of(run, 2)}.npz").write_bytes(b"nothing of the kind")
    told = score_answers(run, folder)
    assert told.entries[-1].name == "answers"  # the folder's name
    frame = sb.scores(told)
    own = frame[frame.backend == "answers"]
    assert sorted(own[own.status == "failed"].replicate) == [1, 2] and set(own[own.status == "ok"].replicate) == {0}
    assert "is not answered" in sb.inspect(run, "test-world/1/answers").reply.detail
    assert sb.table(run).set_index("backend").failures["answers"] == 2


def test_other_answers_under_a_name_are_another_column(kept: calls.Small, task: Path, tmp_path: Path) -> None:
    run, folder = calls.copied(kept, tmp_path), answered(task, tmp_path / "answers")
    score_answers(run, folder, "vendor")
    before = calls.blocks(run)
    assert len(score_answers(run, folder, "vendor").entries) == 7 and calls.blocks(run) == before
    (folder / f"{name_of(run, 0)}.npz").unlink()
    names = [entry.name for entry in score_answers(run, folder, "vendor").entries]
    assert len(names) == 8 and sum(name.startswith("vendor@") for name in names) == 2


@pytest.mark.parametrize("name", ["oracle", "ols", "numpyro-nuts", "mine", "mine@main", "", " ", "a\x1b[2J", "a\nb"])
def test_names_that_a_column_cannot_have(kept: calls.Small, name: str) -> None:
    with pytest.raises(BadInput, match=r"^name: "):
        column_name(opened(kept.folder), name)
    assert column_name(opened(kept.folder), "[red]x é") == "[red]x é"


def test_a_folder_that_answers_nothing(kept: calls.Small, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no folder"):
        score_answers(kept.folder, tmp_path / "none")
    (tmp_path / "brief-0000000000000000.csv").write_text("channel,contribution\n")
    with pytest.raises(BadInput, match="answers no brief of this run"):
        score_answers(kept.folder, tmp_path)
    assert len(opened(kept.folder).entries) == 6
