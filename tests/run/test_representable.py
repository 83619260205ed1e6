"""A run remembers what scenarios break and contenders handle, and every result says whether one holds the other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import worlds
from cli.calls import call, printed, told

import simbench as sb
from simbench.backends.base import python_backend
from simbench.run.results import Run, opened
from simbench.run.scoring import score

HANDLES = ("effect-shape",)


def credit(key, brief):
    """Every channel is credited with what was spent on it."""
    spend = np.asarray(brief.context.spend_scale) * float(np.asarray(brief.panel.mask).sum())
    return {"contribution": np.tile(spend, (1, len(brief.questions.windows), 1))}


def fails(key, brief):
    """Nobody's answer."""
    raise ValueError("no idea")


def one(brief, truth, answers, decisions):
    """A score of one's own."""
    return 1.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A control and two broken worlds; who handles one of them, who does not say, and who fails."""
    folder = tmp_path_factory.mktemp("worlds")
    files = []
    for name, breaks in (("control", ""), ("bent", "effect-shape"), ("helped", "additive")):
        text = worlds.plain(name=name).replace('breaks = ""', f'breaks = "{breaks}"', 1)
        files.append(worlds.written(folder, text))
    says = [python_backend(own.__name__ + "-says", own, handles=HANDLES) for own in (credit, fails)]
    return sb.run(files, ["oracle", credit, *says], replicates=2, store=folder / "r")


def reported(folder: Path) -> str:
    """The report of a run in which somebody fails."""
    result = call("report", folder)
    assert result.exit_code == 4, result.output
    return result.stdout


def by_cell(frame):
    """What each contender's rows say of each scenario; all of them the same."""
    said = frame[["backend", "scenario", "representable"]].astype(object).drop_duplicates()
    assert not said.duplicated(["backend", "scenario"]).any()
    return {(row.backend, row.scenario): None if pd.isna(row.representable) else row.representable
            for row in said.itertuples()}  # fmt: skip


@pytest.mark.parametrize("frame_of", [sb.scores, lambda run: score(run, [one])], ids=["scores", "own"])
def test_every_score_row_says_it(run: Run, frame_of) -> None:
    frame = frame_of(run)
    assert list(frame)[-1] == "representable" and frame.representable.dtype == "boolean"
    said = by_cell(frame)
    for name in ("credit-says", "fails-says"):  # failures too
        assert [said[name, s] for s in ("control", "bent", "helped")] == [True, True, False]
    assert [said["credit", s] for s in ("control", "bent", "helped")] == [True, None, None]
    assert all(said["oracle", s] is True for s in ("control", "bent", "helped"))


def test_a_cell_says_it(run: Run) -> None:
    cells = [sb.inspect(run, f"{s}/0/credit-says").representable for s in ("control", "bent", "helped")]
    assert cells == [True, True, False] and sb.inspect(run, "bent/0/credit").representable is None
    text = printed("inspect", "helped/0/credit-says", "--run", run.folder)
    assert "In the contender's class: no; the scenario breaks additive\n" in text
    assert "it does not say" in printed("inspect", "bent/0/credit", "--run", run.folder)


def test_a_run_remembers(run: Run) -> None:
    again = opened(run.folder)
    assert again.sources == run.sources and again.entries == run.entries
    assert [source.breaks for source in again.sources] == ["", "effect-shape", "additive"]
    assert {entry.name: entry.handles for entry in again.entries}["credit-says"] == HANDLES


def test_a_run_of_before_says_nothing_and_is_read_all_the_same(run: Run, tmp_path: Path) -> None:
    """Folders of runs stay readable: what they do not remember is not guessed."""
    folder = Path(shutil.copytree(run.folder, tmp_path / "old"))
    manifest = json.loads((folder / "run.json").read_text())
    for source, entry in zip(manifest["sources"], manifest["entries"], strict=False):
        del source["breaks"], entry["handles"]
    del manifest["entries"][3]["handles"]
    (folder / "run.json").write_text(json.dumps(manifest))
    frame = sb.scores(folder)
    assert frame.representable.isna().all() and frame.value.equals(sb.scores(run).value)
    assert "in class" not in reported(folder) and told("report", folder, code=4)["classes"] == []


def test_the_report_shows_both_parts(run: Run) -> None:
    text = reported(run.folder)
    table = text[text.index("contender    in class") :].splitlines()
    found = {line.split()[0]: line.split() for line in table[2:5]}
    assert found["credit-says"][1] == "2" and found["credit-says"][4] == "1"
    assert found["credit"][1] == "1" and " ".join(found["credit"][4:]) == "does not say - -"
    assert "oracle" not in found and "out of class: the others, never averaged with them" in text
    parts = {row["backend"]: row for row in told("report", run.folder, code=4)["classes"]}
    frame = sb.scores(run)
    error = frame[(frame.estimand == "contribution") & (frame.unit == "all") & (frame.metric == "error")]
    own = error[error.backend == "credit-says"].groupby("scenario", observed=True).value.mean()
    assert parts["credit-says"]["recovery_in_class"] == pytest.approx((own["control"] + own["bent"]) / 2)
    assert parts["credit-says"]["recovery_out_of_class"] == pytest.approx(own["helped"])
