"""Verbs that read: ``inspect``, ``score``, ``task``, ``validate``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli import calls
from cli.calls import call, printed, refused, told

import simbench as sb

ROOT = Path(__file__).resolve().parents[2]
METRICS = """
import numpy as np

def total(brief, truth, answers, decisions):
    if answers.contribution is None:
        return float("nan")
    return float(np.asarray(answers.contribution)[:, 0].sum(axis=-1).mean())

def both(brief, truth, answers, decisions):
    return {"true": float(truth.answers.contribution[0].sum()), "=weeks": int(brief.panel.origin)}

def nothing(brief, truth, answers, decisions):
    return float("nan")

def broken(brief, truth, answers, decisions):
    return answers.nothing_of_the_kind

def text(brief, truth, answers, decisions):
    return "seven"

number = 3
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> calls.Small:
    return calls.small_run(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def broken(kept: calls.Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which a contender has failed."""
    place = tmp_path_factory.mktemp("broken")
    fails = f"{calls.backend_file(place, calls.FAILS)}:fails"
    call("run", kept.arguments[1], "--replicates", "1", "--jobs", "1", "--store", place / "r", "--backend", fails)
    return place / "r"


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    file = tmp_path / "my.py"
    file.write_text(METRICS)
    return file


# --- inspect


def test_a_cell_in_words(kept: calls.Small) -> None:
    text = printed("inspect", "test-world/1/ols", "--run", kept.folder)
    seen = sb.inspect(kept.folder, "test-world/1/ols")
    assert text.startswith("ols on test-world, replicate 1\nBrief: 60 weeks, 2 channels; asked for 256 draws\n")
    assert f"Stored in {seen.file}\n" in text and "Took " in text and "In the contender's class: yes\n" in text
    draws, true = seen.reply.contribution[:, 0], sb.draw(kept.arguments[1], [1]).truths[0].answers.contribution[0]
    for c, name in enumerate(("tv", "video")):
        low, high = np.quantile(draws[:, c].astype(float), [0.05, 0.95])
        row = [name, f"{true[c]:,.0f}", f"{np.median(draws[:, c]):,.0f}", f"{low:,.0f}", "to", f"{high:,.0f}"]
        assert row in [line.split() for line in text.splitlines()]
    assert "Budget fixed, common allocation: tv " in text and "earns " in text and "promised " in text
    error = seen.rows[(seen.rows.estimand == "contribution") & (seen.rows.metric == "total error")].value.item()
    assert ["contribution", "all", "total", "error", f"{error:.4g}"] in [line.split() for line in text.splitlines()]
    short = [line for line in text.splitlines() if not line.startswith("Stored in")]
    assert max(map(len, short)) <= 100


def test_a_point_estimate_has_no_interval(kept: calls.Small) -> None:
    text = printed("inspect", "test-world/0/mine@main", "--run", kept.folder)
    assert next(line for line in text.splitlines() if line.startswith("tv ")).endswith("  -")
    assert "not answered" in text and "no uncertainty" in text and "Budget" not in text


def test_a_cell_as_json(kept: calls.Small) -> None:
    answer = told("inspect", "test-world/2/ols", "--run", kept.folder)
    assert list(answer) == [
        "schema_version", "cell", "identity", "file", "failure", "answers", "cost", "decisions", "scores", "log",
        "truth", "brief", "plot", "representable",
    ]  # fmt: skip
    assert answer["representable"] is True
    seen = sb.inspect(kept.folder, "test-world/2/ols")
    np.testing.assert_array_equal(answer["answers"]["contribution"], seen.reply.contribution)
    assert answer["answers"]["levels"] is None and answer["failure"] is None and answer["plot"] is None
    assert len(answer["brief"]) >= 60 and answer["brief"][0]["date"].count("-") == 2
    assert {row["estimand"] for row in answer["truth"]} >= {"contribution", "curve", "best amount"}
    assert any(row["value"] is None for row in answer["scores"])  # what is not answered is null, not NaN


def test_a_failed_cell_tells_why(broken: Path, tmp_path: Path) -> None:
    text = printed("inspect", "test-world/0/fails", "--run", broken)
    assert "No answer: error. ValueError: no idea [bold]at all" in text
    log = text.split("Log (its end):\n")[1].splitlines()
    assert log[0] == "before ?]0;title? [red]red[/red] :smile:" and log[1] == "    indented"
    answer = told("inspect", "test-world/0/fails", "--run", broken)
    assert answer["failure"] == {"reason": "error", "detail": "ValueError: no idea [bold]at all"}
    assert answer["answers"] is None and answer["scores"] == [] and "\x1b]0;title" in answer["log"]
    picture = tmp_path / "cell.png"
    assert "it failed (error)" in refused("inspect", "test-world/0/fails", "--run", broken, "--plot", picture)
    assert not picture.exists()


def test_a_cell_as_a_picture(kept: calls.Small, tmp_path: Path) -> None:
    picture = tmp_path / "cell.png"
    cell = ("inspect", "test-world/0/ols", "--run", kept.folder, "--plot")
    assert f"saved {picture}\n" in printed(*cell, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert told(*cell, picture)["plot"] == str(picture)  # a picture is replaced
    assert "no picture" in refused(*cell, tmp_path / "cell.bmp")
    assert "does not exist" in refused(*cell, tmp_path / "no" / "cell.png")
    assert [path.name for path in tmp_path.iterdir()] == ["cell.png"]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("test-world/0/olss", "did you mean 'ols'?"),
        ("test-word/0/ols", "did you mean 'test-world'?"),
        ("test-world/7/ols", "it has 0-2"),
        ("test-world/ols", "scenario/replicate/backend, for example test-world/0/oracle"),
        ("test-world", "is no cell"),
        ("test-world/-1/ols", "is no cell"),
        ("test-world/0/", "is no cell"),
    ],
)
def test_cells_that_are_not_there(kept: calls.Small, cell: str, said: str) -> None:
    assert said in refused("inspect", cell, "--run", kept.folder)


def test_a_damaged_block_is_exit_code_5(kept: calls.Small, tmp_path: Path) -> None:
    run = calls.copied(kept, tmp_path)
    place = run / sb.inspect(run, "test-world/0/ols").file.relative_to(run)
    calls.damage(place)
    assert "run again" in refused("inspect", "test-world/0/ols", "--run", run, code=5)
    assert not place.exists() and len(list(place.parent.glob("*.damaged"))) == 1
    assert "was not answered" in refused("inspect", "test-world/0/ols", "--run", run)
    (run / "run.json").write_text("{")
    assert "cannot be read" in refused("report", run, code=5)


# --- runs


def test_latest_is_the_run_written_last(kept: calls.Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there is no run" in refused("report")
    for when, name in enumerate(("newer", "older")):
        shutil.copytree(kept.folder, tmp_path / "simbench-runs" / name)
        os.utime(tmp_path / "simbench-runs" / name / "run.json", (1e9 - when, 1e9 - when))
    assert told("report")["run"] == "simbench-runs/newer"
    assert told("report", "latest")["run"] == "simbench-runs/newer"
    assert told("report", "older")["run"] == "simbench-runs/older"  # the name alone will do
    assert "Stored in simbench-runs/newer/" in printed("inspect", "test-world/0/ols")
    assert "is no run" in refused("report", tmp_path)


def test_a_real_process_reads_the_latest_run(kept: calls.Small, tmp_path: Path) -> None:
    (tmp_path / "simbench-runs").mkdir()
    (tmp_path / "simbench-runs" / "it").symlink_to(kept.folder)
    command = [sys.executable, "-m", "simbench", "report", "latest", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and done.stderr == ""
    assert json.loads(done.stdout)["suite"] == told("report", kept.folder)["suite"]


# --- score


def test_scores_of_ones_own_ask_nobody(kept: calls.Small, metrics: Path, tmp_path: Path) -> None:
    """The file of the contender is gone, and no host is needed."""
    run = calls.copied(kept, tmp_path)
    mine = kept.folder.parent / "mine.py"
    before, content = calls.blocks(run), mine.read_bytes()
    mine.unlink()
    try:
        answer = told("score", run, "--metric", f"{metrics}:total", "--metric", f"{metrics}:both")
        text = printed("score", run, "--metric", f"{metrics}:total", "--metric", f"{metrics}:both")
    finally:
        mine.write_bytes(content)
    assert calls.blocks(run) == before
    assert list(answer) == ["schema_version", "run", "scores"]
    frame = pd.DataFrame(answer["scores"])
    values = frame[frame.estimand == "total"].set_index(["backend", "replicate"]).value
    for backend in ("oracle", "ols", "mine@main"):
        for replicate in range(3):
            reply = sb.inspect(run, f"test-world/{replicate}/{backend}").reply
            by_hand = reply.contribution[:, 0].astype(float).sum(axis=-1).mean()
            assert values[backend, replicate] == pytest.approx(by_hand, rel=1e-6)
    own = frame[frame.estimand == "both"]
    assert set(own.metric) == {"true", "=weeks"} and set(own[own.metric == "=weeks"].value) == {60.0}
    lines = [line.split() for line in text.splitlines()]
    mean = values["ols"].mean()
    assert ["test-world", "ols", "total", f"{mean:.4g}", "3"] in lines
    assert ["test-world", "ols", "both", "=weeks", "60", "3"] in lines


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("broken", "metric broken: raised AttributeError: 'Answers' object"),
        ("text", "metric text: returned 'seven'"),
        ("number", "is a int"),
        ("absent", "has no 'absent'"),
    ],
)
def test_metrics_that_cannot_be(kept: calls.Small, metrics: Path, name: str, said: str, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    assert said in refused("score", kept.folder, "--metric", f"{metrics}:{name}", "--out", out)
    assert not out.exists()


def test_metrics_are_named_by_file_and_function(kept: calls.Small, metrics: Path) -> None:
    assert "FILE.py:NAME" in refused("score", kept.folder, "--metric", "total")
    assert "cannot be read" in refused("score", kept.folder, "--metric", "none.py:total")
    assert "(oracle on test-world)" in refused("score", kept.folder, "--metric", f"{metrics}:broken")
    one = ("--metric", f"{metrics}:total")
    assert "two give total" in refused("score", kept.folder, *one, *one)


def test_a_metric_without_a_number_is_nothing_measured(kept: calls.Small, metrics: Path) -> None:
    result = call("score", kept.folder, "--metric", f"{metrics}:nothing")
    assert (result.exit_code, result.stdout) == (3, "nothing was measured\n")


def test_every_score_row_as_csv(kept: calls.Small, metrics: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    frame = sb.scores(kept.folder)
    assert f"wrote {len(frame):,} rows to {out}\n" in printed("score", kept.folder, "--out", out)
    read = pd.read_csv(out, keep_default_na=False, dtype=str)
    read["value"], read["replicate"] = [float(text or "nan") for text in read.value], read.replicate.astype(int)
    assert list(read) == list(frame)
    assert {"'+20%", "'-20%"} <= set(read.name)  # a spreadsheet would run them
    assert (read.value < 0).any() and frame.name.isin(["+20%"]).any()
    texts = [name for name in read if name not in ("value", "replicate")]
    back = read.assign(**{name: read[name].str.removeprefix("'") for name in texts})
    as_text = dict.fromkeys(texts, str)
    pd.testing.assert_frame_equal(back.astype(as_text), frame.astype(as_text), check_exact=True)
    printed("score", kept.folder, "--metric", f"{metrics}:both", "--out", out)
    assert set(pd.read_csv(out).metric) == {"true", "'=weeks"}
    assert "cannot be written" in refused("score", kept.folder, "--out", tmp_path / "no" / "scores.csv")


def test_score_without_options_is_the_board(kept: calls.Small) -> None:
    assert printed("score", kept.folder) == printed("report", kept.folder)


# --- answers from elsewhere


@pytest.fixture(scope="module")
def answered(kept: calls.Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's task, and what a vendor's program answered: folders ``task`` and ``answers``."""
    place = tmp_path_factory.mktemp("vendor")
    text = printed("task", kept.folder, "--out", place / "task")
    assert "wrote 3 briefs" in text and "simbench validate" in text
    (place / "answers").mkdir()
    program = [sys.executable, str(ROOT / "examples" / "vendor_backend.py")]
    arguments = ["--task", str(place / "task"), "--answers", str(place / "answers")]
    subprocess.run([*program, *arguments], check=True, timeout=100, env={"PYTHONPATH": str(ROOT)})
    return place


def test_a_task_tells_nothing_it_should_not(kept: calls.Small, answered: Path, tmp_path: Path) -> None:
    everything = "\n".join(path.read_text() for path in answered.rglob("task/**/*") if path.is_file())
    manifest = json.loads((kept.folder / "run.json").read_text())
    for word in ("test-world", manifest["sources"][0]["digest"], "small-run", "replicate"):
        assert word not in everything
    again = tmp_path / "again"
    assert told("task", kept.folder, "--out", again) == {"schema_version": 1, "task": str(again), "briefs": 3}
    for path in again.rglob("*.*"):
        assert path.read_bytes() == (answered / "task" / path.relative_to(again)).read_bytes()
    assert "exists already" in refused("task", kept.folder, "--out", again)


def test_sound_answers_have_no_fault(answered: Path) -> None:
    text = printed("validate", answered / "task", answered / "answers")
    assert text == "3 briefs: contribution, forecast, allocation\nno fault\n"
    answer = told("validate", answered / "task", answered / "answers")
    assert list(answer) == ["schema_version", "faults", "understood", "warnings"]
    assert answer["faults"] == answer["warnings"] == [] and len(answer["understood"]) == 3
    assert "is no folder" in refused("validate", answered / "task", answered / "none")
    assert "cannot be read" in refused("validate", answered / "answers", answered / "answers")


def test_money_in_thousands_is_a_warning_and_no_fault(answered: Path, tmp_path: Path) -> None:
    answers = Path(shutil.copytree(answered / "answers", tmp_path / "answers"))
    first = sorted(answers.iterdir())[0]
    arrays = dict(np.load(first, allow_pickle=False))
    np.savez(first, **{n: x / 1000 if n == "allocation_0" else x for n, x in arrays.items()})
    text = printed("validate", answered / "task", answers)
    assert f"warning: {first.name}: allocation_0: amounts come to " in text and text.endswith("no fault\n")
    answer = told("validate", answered / "task", answers)
    assert answer["faults"] == [] and [warning["place"] for warning in answer["warnings"]] == ["allocation_0"]


def test_spoilt_answers_are_explained(answered: Path, tmp_path: Path) -> None:
    answers = Path(shutil.copytree(answered / "answers", tmp_path / "answers"))
    first, second, third = sorted(answers.iterdir())
    first.with_suffix(".csv").write_text("channel,contribution\ntv,12\nvidio,3\n")
    first.unlink()
    second.write_bytes(b"nothing of the kind")
    third.rename(third.with_name("brief-of-another-task.npz"))
    result = call("validate", answered / "task", answers)
    assert result.exit_code == 2
    assert "did you mean 'video'?" in result.stdout and "is not answered" in result.stdout
    assert "brief-of-another-task.npz" in result.stdout and second.name in result.stdout
    answer = told("validate", answered / "task", answers, code=2)
    assert len(answer["faults"]) >= 4 and all(fault["file"] for fault in answer["faults"])
    assert result.stdout.splitlines()[-1] == f"{len(answer['faults'])} faults"


def test_answers_from_elsewhere_become_a_column(kept: calls.Small, answered: Path, tmp_path: Path) -> None:
    run = calls.copied(kept, tmp_path)
    answer = told("score", run, "--answers", answered / "answers", "--name", "[red]vendor")
    names = [row["backend"] for row in answer["suite"]]
    assert names.count("[red]vendor") == 1 and len(names) == 7
    assert "[red]vendor " in printed("report", run)
    assert "[red]vendor on test-world" in printed("inspect", "test-world/0/[red]vendor", "--run", run)
    before = calls.blocks(run)
    assert told("score", run, "--answers", answered / "answers", "--name", "[red]vendor") == answer
    assert calls.blocks(run) == before  # the same answers again are the same column


@pytest.mark.parametrize("name", ["oracle", "ols", "mine", "mine@main", "seasonal-naive", "numpyro-nuts"])
def test_a_column_cannot_take_a_contenders_name(kept: calls.Small, answered: Path, name: str) -> None:
    before = (kept.folder / "run.json").read_bytes()
    said = refused("score", kept.folder, "--answers", answered / "answers", "--name", name)
    assert f"{name!r} is another contender's" in said
    assert (kept.folder / "run.json").read_bytes() == before


def test_answers_that_cannot_be_taken(kept: calls.Small, answered: Path, tmp_path: Path) -> None:
    command = ("score", kept.folder, "--answers")
    assert "is no folder" in refused(*command, tmp_path / "none")
    assert "answers no brief of this run; files named brief-" in refused(*command, tmp_path)
    said = refused(*command, answered / "answers", "--name", "x\x1b]0;title\x07")
    assert "cannot be printed" in said and "\x1b" not in said
    call("run", kept.arguments[1], "--backend", "ols", "--store", tmp_path / "cut", "--time-limit", "0.001s")
    assert "a run that has briefs" in refused("score", tmp_path / "cut", "--answers", answered / "answers")
