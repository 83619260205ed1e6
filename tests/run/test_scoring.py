"""Scores of the user's own: from stored answers, cell by cell, as simbench's own are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import calls

import simbench as sb
from simbench.errors import BadInput, Damaged
from simbench.records import Answers, Brief, Decisions, Truth
from simbench.run.scoring import metric_named, score
from simbench.score.rows import Metric


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> calls.Small:
    return calls.small_run(tmp_path_factory.getbasetemp())


def error(brief: Brief, truth: Truth, answers: Answers, decisions: Decisions) -> float:
    """simbench's own headline of recovery, written anew."""
    if answers.contribution is None:
        return float("nan")
    median = np.median(np.asarray(answers.contribution, dtype=float)[:, 0], axis=0)
    true = np.asarray(truth.answers.contribution)[0]
    return float(np.abs(median - true).sum() / np.abs(true).sum())


def regret(brief: Brief, truth: Truth, answers: Answers, decisions: Decisions) -> dict[str, float]:
    """Regret of the common allocation in money of the status quo's spend, for each problem."""
    return {
        str(i): (float(best.value) - float(decisions.common[i].value)) / float(np.sum(problem.status_quo))
        for i, (best, problem) in enumerate(zip(truth.optima, brief.questions.problems, strict=True))
    }


def wide(frame: Any, estimand: str, metric: str, unit: str = "all") -> Any:
    at = (frame.estimand == estimand) & (frame.metric == metric) & (frame.unit == unit)
    return frame[at].pivot(index="replicate", columns="backend", values="value").sort_index(axis=1)


def test_a_score_written_anew_is_simbenchs_own(kept: calls.Small) -> None:
    """Records are those of one cell: the same number comes out, whoever writes it."""
    own, ours = score(kept.folder, [error, regret]), sb.scores(kept.folder)
    mine, theirs = wide(own, "error", "value"), wide(ours, "contribution", "error")
    assert list(mine.columns) == ["mine@main", "ols", "oracle", "prior-only", "seasonal-naive", "spend-share"]
    for backend in mine:
        expected = theirs[backend] if backend in theirs else np.full(3, np.nan)
        np.testing.assert_allclose(mine[backend], expected, rtol=1e-5, atol=1e-12)
    for i in (0, 1):
        made = wide(own, "regret", str(i))[["ols", "oracle", "prior-only"]]
        at = wide(ours, "decision", "common regret", f"problem:{i}")[["ols", "oracle", "prior-only"]]
        np.testing.assert_allclose(made, at, rtol=1e-4, atol=1e-6)


def test_rows_are_those_of_every_cell(kept: calls.Small) -> None:
    frame = score(kept.folder, [error])
    assert list(frame) == list(sb.scores(kept.folder)) and len(frame) == 18
    assert not frame.duplicated(["backend", "replicate"]).any()
    naive = frame[frame.backend == "seasonal-naive"]
    assert set(naive.status) == {"undefined"} and naive.value.isna().all()


def test_without_metrics_it_is_scores(kept: calls.Small) -> None:
    assert sb.score(kept.folder).equals(sb.scores(kept.folder))


def test_a_failed_cell_keeps_its_row(kept: calls.Small, tmp_path: Path) -> None:
    def fails(key: Any, brief: Any) -> Any:
        raise ValueError("no idea")

    run = sb.run(kept.arguments[1], [fails], replicates=2, store=tmp_path / "r")
    frame = sb.score(run, [error])
    assert list(frame.status) == ["failed"] * 2 and list(frame.reason) == ["error"] * 2
    assert sorted(frame.replicate) == [0, 1]


def test_a_metric_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "my.py"
    file.write_text(
        "from simbench.score.user import from_function\n"
        "def plain(brief, truth, answers, decisions):\n    return 1.0\n"
        "named = from_function(plain, 'called otherwise')\nnumber = 3\n"
    )
    assert metric_named(f"{file}:plain").name == "plain"
    assert metric_named(f"{file}:named").name == "called otherwise"
    for text, said in (("plain", "FILE.py:NAME"), (f"{file}", "FILE.py:NAME"), (f"{file}:none", "has no 'none'"),
                       (f"{file}:number", "is a int"), ("none.py:plain", "cannot be read")):  # fmt: skip
        with pytest.raises(BadInput, match=said):
            metric_named(text)
    assert isinstance(metric_named(f"{file}:named"), Metric)


def test_who_was_scored_when_a_metric_failed_is_told(kept: calls.Small) -> None:
    def careless(brief: Any, truth: Any, answers: Any, decisions: Any) -> float:
        return float(answers.contribution.mean())

    with pytest.raises(BadInput, match=r"careless: raised AttributeError.*\(seasonal-naive on test-world\)"):
        score(kept.folder, [careless])
    with pytest.raises(BadInput, match="is a int"):
        score(kept.folder, [3])  # type: ignore[list-item]


def test_damaged_answers_are_told(kept: calls.Small, tmp_path: Path) -> None:
    run = calls.copied(kept, tmp_path)
    calls.damage(next((run / "answers").rglob("*.npz")))
    with pytest.raises(Damaged, match="run again"):
        score(run, [error])
    frame = score(run, [error])  # what was set aside counts as missing
    assert len(frame) == 15
