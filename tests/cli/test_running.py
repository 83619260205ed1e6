"""``run``: what it prints, what it leaves, what it refuses, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import worlds
from cli import calls
from cli.calls import blocks, call, printed, refused, told
from click.testing import CliRunner

import simbench as sb
from simbench.cli.boards import print_boards, unanswered, verdict
from simbench.cli.running import seconds
from simbench.report.printed import figure
from simbench.report.tables import spanned
from simbench.score.headlines import leaderboard

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = ("recovery", "forecast", "decision", "calibration")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> calls.Small:
    return calls.small_run(tmp_path_factory.getbasetemp())


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return worlds.written(tmp_path, worlds.plain())


# --- what is printed


def rows_of(text: str) -> dict[str, list[str]]:
    """The rows of the first board, by contender."""
    lines = text.split("\n\n")[0].splitlines()[2:]
    return {line.split()[0]: line.split()[1:] for line in lines}


def test_the_board_has_numbers_intervals_and_ranks(kept: calls.Small) -> None:
    """Cell by cell what the table says."""
    assert kept.code == 0 and f"kept in {kept.folder}\n" in kept.text
    rows, table = rows_of(kept.text), sb.table(kept.folder)
    assert list(rows) == list(table.backend) and len(rows) == 6
    for _, row in table.iterrows():
        expected = []
        for question in QUESTIONS:
            low, high = row[f"{question}_low"], row[f"{question}_high"]
            spread = f"±{figure((high - low) / 2)}" if low == low else ""
            ranks = row[f"{question}_rank_low"], row[f"{question}_rank_high"]
            expected += [figure(row[question]) + spread, spanned(*ranks)]
        assert rows[row.backend][:8] == expected
    assert rows["ols"][0].count("±") == 1 and rows["ols"][-1] == "3"
    assert rows["oracle"][:2] == ["0.00±0.00", "-"]  # it knows, so it has no rank
    assert "mine@main" in rows and rows["mine@main"][2] == "-"
    assert "95% t intervals (fewer than 20 worlds)" in kept.text


def test_a_page_is_no_wider_than_it_says(kept: calls.Small) -> None:
    lines = [line for line in kept.text.splitlines() if not line.startswith("kept in")]
    assert max(map(len, lines)) <= 100 and not any(line.endswith(" ") for line in lines)


@pytest.mark.parametrize("length", [20, 40, 90, 200])
def test_names_of_any_length_leave_the_numbers_whole(kept: calls.Small, length: int) -> None:
    long = ("numpyro-nuts[draws=500]@" + "x" * length)[:length]
    frame = sb.scores(kept.folder)
    frame = frame.assign(backend=frame.backend.cat.rename_categories({"ols": long}))
    found = leaderboard(frame)
    with CliRunner().isolation() as (out, _, _):
        print_boards(found)
        text = out.getvalue().decode()
    assert calls.widest(text) <= 100
    whole, beside = text.split("\n\n")[0].splitlines(), text.split("\n\n")[2].splitlines()
    for lines in (whole, beside):
        assert long in "".join(line.split(" ")[0] for line in lines[2:])
    row = next(line.split() for line in whole if line.startswith(long[:12]))
    told_ = sb.table(found).set_index("backend").loc[long]
    for question in QUESTIONS:
        half = (told_[f"{question}_high"] - told_[f"{question}_low"]) / 2
        assert f"{figure(told_[question])}±{figure(half)}" in row
    assert f"{told_['width']:.2f}" in next(line.split() for line in beside if line.startswith(long[:12]))


def test_json_has_the_same_numbers_and_stable_keys(kept: calls.Small) -> None:
    answer = told(*kept.arguments)
    assert list(answer) == ["schema_version", "run", "suite", "scenarios", "decisions", "classes", "notes"]
    assert answer["run"] == str(kept.folder)
    ends = ("", "_low", "_high", "_rank_low", "_rank_high", "_unranked")
    keys = {question + end for question in (*QUESTIONS, "cost") for end in ends}
    keys |= {"scenario", "backend", "coverage", "width", "silent_failures", "confident_errors", "moved"}
    table = sb.table(kept.folder).set_index("backend")
    for row in answer["suite"]:
        assert set(row) == {*keys, "worlds", "failures", "representable"}
        assert (row["worlds"], row["failures"], row["representable"]) == (3, 0, True)  # a control
        for question in QUESTIONS:
            value = table.loc[row["backend"], question]
            assert row[question] == (None if pd.isna(value) else value)
    assert [row["scenario"] for row in answer["scenarios"]] == ["test-world"] * 6
    assert next(row for row in answer["suite"] if row["backend"] == "mine@main")["forecast"] is None


# --- only what is missing


def test_a_second_run_asks_nobody(kept: calls.Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*arguments: object, **options: object) -> None:
        raise AssertionError("a host was wanted")

    before = blocks(kept.folder)
    monkeypatch.setattr("simbench.run.execute.Supervisor", nobody)
    monkeypatch.setattr("simbench.run.chunk.draw_transformed", nobody)
    assert printed(*kept.arguments) == kept.text
    assert blocks(kept.folder) == before
    with pytest.raises(AssertionError, match="a host was wanted"):  # the guard would notice
        call(*kept.arguments, "--replicates", "4")


def test_a_dry_run_says_what_it_would_take_and_does_nothing(
    kept: calls.Small, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before, files = blocks(kept.folder), sorted(tmp_path.iterdir())
    answer = told("run", world, "--backend", "ols", "--backend", "oracle", "--dry-run", "--replicates", "5")
    assert list(answer) == ["schema_version", "folder", "jobs", "cells"]
    assert answer["folder"] == "simbench-runs/test-world"
    first = answer["cells"][1]
    assert list(first) == [
        "scenario", "backend", "cells", "stored", "missing", "minutes", "memory_mb", "disk_mb",
    ]  # fmt: skip
    assert (first["backend"], first["cells"], first["missing"], first["minutes"]) == ("ols", 5, 5, None)
    assert first["disk_mb"] > 0
    again = told(*kept.arguments, "--replicates", "5", "--dry-run")
    ols = next(row for row in again["cells"] if row["backend"] == "ols")
    assert (ols["stored"], ols["missing"]) == (3, 2) and ols["minutes"] > 0 and ols["memory_mb"] > 50
    text = printed(*kept.arguments, "--replicates", "5", "--dry-run")
    assert "12 of 30 cells are missing" in text and "on 1 hosts" in text and "MB on disk" in text
    assert calls.widest(text) <= 100
    assert sorted(tmp_path.iterdir()) == files and blocks(kept.folder) == before


def test_only_some_scenarios_of_a_suite(tmp_path: Path) -> None:
    dry = ("--backend", "oracle", "--dry-run", "--store", tmp_path / "r")
    answer = told("run", "smoke", *dry, "--only", "smoke-chasing")
    assert [(row["scenario"], row["cells"]) for row in answer["cells"]] == [("smoke-chasing", 8)]
    assert "did you mean 'smoke-clean'?" in refused("run", "smoke", *dry, "--only", "smoke-clear")
    points = told("run", "collinear", *dry, "--only", "collinear[0.9]", "--replicates", "2")
    assert [(row["scenario"], row["cells"]) for row in points["cells"]] == [("collinear[0.9]", 2)]


def test_another_origin_is_another_scenario(kept: calls.Small, tmp_path: Path) -> None:
    mine = kept.arguments[-1]
    world = kept.arguments[1]
    store = ("--store", tmp_path / "r")
    answer = told("run", world, "--backend", mine, "--replicates", "1", "--transform", "origin:-6", *store)
    assert [row["scenario"] for row in answer["scenarios"]] == ["test-world@origin:-6"]
    text = printed("inspect", "test-world@origin:-6/0/mine@main", "--run", tmp_path / "r")
    assert "Brief: 54 weeks" in text


# --- what is refused


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("claen",), "did you mean 'clean'?"),
        (("clean", "--backend", "old"), "did you mean 'ols'?"),
        (("clean", "--backend", "ols[ordre=3]"), "did you mean 'order'?"),
        (("clean", "--backend", "tag:quick"), "nobody has the tag 'quick'"),
        (("clean", "--backend", "none.py:fit"), "cannot be read"),
        (("collinear[0.7]",), "no such point"),
        (("smoke", "--only", "clean"), "'clean' is not among them"),
        (("clean", "--transform", "orign:-6"), "did you mean 'origin'?"),
        (("clean", "--transform", "origin:6"), "origin"),
        (("clean", "--transform", "origin:-6000"), "keeps"),
        (("clean", "--time-limit", "soon"), "90s, 8m or 1h"),
        (("clean", "--cell-limit", "0"), "90s, 8m or 1h"),
        (("clean", "--cell-limit", "-3s"), "90s, 8m or 1h"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_drawn(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refused("run", *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--replicates", "--jobs", "--memory"])
def test_numbers_that_cannot_be(option: str) -> None:
    result = call("run", "clean", option, "0")
    assert result.exit_code == 2 and option in result.stderr


def test_times() -> None:
    assert [seconds("x", text) for text in ("90", "90s", "1.5m", "2h", " 3s ")] == [90, 90, 90, 7200, 3]


def test_limits_reach_the_run(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def execute(p: object, folder: Path, **options: object) -> object:
        seen.update(options, folder=folder)
        raise KeyboardInterrupt

    monkeypatch.setattr("simbench.run.execute.execute", execute)
    limits = ("--cell-limit", "2m", "--memory", "512", "--time-limit", "1h", "--jobs", "3")
    result = call("run", world, "--backend", "oracle", *limits, "--store", tmp_path / "there")
    assert result.exit_code == 130 and result.stderr == "interrupted\n"
    assert (seen["limits"].seconds, seen["limits"].memory) == (120.0, 512 << 20)  # type: ignore[attr-defined]
    assert (seen["time_limit"], seen["jobs"], seen["folder"]) == (3600.0, 3, tmp_path / "there")


# --- how it ends


def test_no_time_is_nothing_measured(world: Path, tmp_path: Path) -> None:
    arguments = ("run", world, "--backend", "ols", "--store", tmp_path / "r", "--time-limit", "0.001s")
    result = call(*arguments)
    assert result.exit_code == 3
    assert result.stdout == f"nothing was measured; run again to go on: {tmp_path / 'r'}\n"
    answer = told(*arguments, code=3)
    assert answer["suite"] == [] and answer["notes"] == ["nothing was measured"]


def test_failures_beyond_the_allowed_share(kept: calls.Small, tmp_path: Path) -> None:
    fails = f"{calls.backend_file(tmp_path, calls.FAILS)}:fails"
    arguments = ("run", kept.arguments[1], "--replicates", "2", "--jobs", "1", "--store", tmp_path / "r")
    alone = call(*arguments, "--backend", fails)
    assert alone.exit_code == 3 and "fails failed in 2 cells: error." in alone.stdout
    both = call(*arguments, "--backend", fails, "--backend", kept.arguments[-1])
    assert both.exit_code == 4
    assert "No rank of fails: failed in 100% of test-world" in both.stdout
    assert "Not run, so nothing is imputed by them: prior-only, seasonal-naive." in both.stdout


def test_what_a_contender_is_not_made_for_is_no_failure() -> None:
    assert unanswered("geo", "unsupported", 480) == "geo does not support 480 cells."
    assert unanswered("slow", "timeout", 1) == "slow failed in 1 cell: timeout."


def scored(*cells: tuple[str, str, str, float]) -> pd.DataFrame:
    """Score rows of (backend, status, reason, value), a replicate each."""
    rows = [("w", i, *cell, "error") for i, cell in enumerate(cells)]
    return pd.DataFrame(rows, columns=["scenario", "replicate", "backend", "status", "reason", "value", "metric"])


def test_exit_codes_follow_from_the_score_rows() -> None:
    nan = float("nan")
    good, bad = ("a", "ok", "", 1.0), ("a", "failed", "timeout", nan)
    other, excused = ("b", "ok", "", 1.0), ("a", "failed", "unsupported", nan)
    assert verdict(scored()) == 3 and verdict(scored(bad, bad)) == 3
    assert verdict(scored(excused)) == 3
    assert verdict(scored(good, excused, excused)) == 0
    assert verdict(scored(*[good] * 19, bad)) == 0  # one in twenty is allowed
    assert verdict(scored(*[good] * 18, bad)) == 4
    assert verdict(scored(*[other] * 99, bad)) == 4  # a share of its own cells, not of the run's
    plans = scored(good, good).assign(metric=["regret", "below optimum"])
    assert verdict(plans.assign(value=[0.1, 0.0])) == 0
    assert verdict(plans.assign(value=[-0.1, 1.0])) == 5  # worth more than the bound: the optimum is wrong
    twice = scored(good, bad)
    assert verdict(pd.concat([twice, twice[twice.backend == "a"]])) == 4


INTERRUPTED = """
import pathlib, time

def slow(key, brief):
    pathlib.Path(__file__).with_name(f"asked-{time.time_ns()}").touch()
    time.sleep(60)
"""


def test_interrupted_it_ends_at_once_and_says_so(kept: calls.Small, tmp_path: Path) -> None:
    """A real process, interrupted while a contender is at work."""
    file = calls.backend_file(tmp_path, INTERRUPTED)
    arguments = ["run", kept.arguments[1], "--backend", f"{file}:slow", "--store", str(tmp_path / "r"), "--jobs", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command, pipe = [sys.executable, "-m", "simbench", *arguments], subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        until = time.monotonic() + 100
        while not list(tmp_path.glob("asked-*")):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=30)
    assert process.returncode == 130 and out == "" and said.splitlines()[-1] == "interrupted"
    assert len(list(tmp_path.glob("asked-*"))) == 1
