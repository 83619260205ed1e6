"""The page of the protocol says what is so: its examples run, its tables name what there is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from protocol import small

from simbench import records
from simbench.protocol.answers import read_answer, validate
from simbench.protocol.asked import asked_of, field_of, shapes
from simbench.protocol.meaning import QUANTILES
from simbench.protocol.parsing import COLUMNS, DIAGNOSTICS
from simbench.protocol.task import write_task
from simbench.records import Answers, Failure

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"<!-- runs: (.*?) -->\n```\w*\n(.*?)```", PAGE, re.DOTALL))
FAULTS = EXAMPLES["faults"].replace("ID.csv", "one.csv").splitlines()
BRIEF, LABELS = small.brief(8)
NAMED = LABELS._replace(channels=("tv", "search", "radio"))


@pytest.fixture
def task(tmp_path):
    return write_task(tmp_path / "task", [BRIEF], NAMED, [small.key(8)], ["one"])


def test_the_quick_start_runs(task, tmp_path):
    program = EXAMPLES["program"]
    assert len([line for line in program.splitlines() if line.strip()]) <= 10
    (tmp_path / "my_model.py").write_text(program)
    command = [sys.executable, "my_model.py", "--task", str(task), "--answers", "answers"]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    assert validate(task, tmp_path / "answers") == ([], {"one": ("contribution", "interval")}, [])


def test_the_least_answer_is_one(tmp_path):
    (tmp_path / "one.csv").write_text(EXAMPLES["answer ID.csv"] + "radio,1,1,1,,0\n")
    answers = read_answer(tmp_path, "one", BRIEF, NAMED)
    assert isinstance(answers, Answers) and answers.allocation[0][0] == 250000
    assert EXAMPLES["answer ID.csv"].splitlines()[0] == ",".join(COLUMNS)


def test_a_reason_is_one(tmp_path):
    (tmp_path / "one.json").write_text(EXAMPLES["answer ID.json"])
    assert read_answer(tmp_path, "one", BRIEF, NAMED) == Failure("unsupported", "fewer than two years of data")


def test_faults_look_like_that(task, tmp_path):
    folder = tmp_path / "answers"
    folder.mkdir()
    (folder / "one.csv").write_text('channel,contribution\ntv,"1,5"\nserch,2\nradio,1\n')
    assert [str(fault) for fault in validate(task, folder).faults] == FAULTS


def rows(title: str) -> list[list[str]]:
    section = PAGE.split(f"\n## {title}\n" if f"\n## {title}\n" in PAGE else f"\n### {title}\n")[1]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def words(text: str) -> list[str]:
    return re.findall(r"`(\w+)`", text)


def test_every_column_of_a_brief_is_told(task):
    told: dict[str, set[str]] = {}
    file = ""
    for row in rows("The task folder"):
        file = row[0] or file
        told.setdefault(file, set()).update(words(row[1]))
    written = {"future.csv": set(), "panel.csv": set()}
    for name in ("panel", "future", "plans"):
        header = (task / "one" / f"{name}.csv").read_text().splitlines()[0].split(",")
        written[f"{name}.csv"] = {
            re.sub(r"^(spend|cap|claim|exposure)_.*", r"\1_CHANNEL", re.sub(r"^control_.*", "control_NAME", c))
            for c in header
        }
    absent = {"claim_CHANNEL", "exposure_CHANNEL"}
    assert told["panel.csv"] - absent == written["panel.csv"] and told["plans.csv"] == written["plans.csv"]
    assert written["future.csv"] == written["panel.csv"] - {"kpi"}
    for name in ("context", "questions"):
        held = json.loads((task / "one" / f"{name}.json").read_text())
        assert told[f"{name}.json"] == set(held) - {"schema_version"}
    problem = json.loads((task / "one" / "problems.json").read_text())["problems"][0]
    assert told["problems.json"] - {"rows"} == set(problem)  # rows: only where a group is a share of the plan


def test_every_array_is_told():
    told = {word for row in rows("ID.npz or ID.json: every field by name") for word in words(row[0])}
    arrays = {f"{field_of(n)}_P" if field_of(n) != n else n for n in shapes(asked_of(BRIEF, LABELS))}
    short = {DIAGNOSTICS[0], *(f"_{name}" for name in records.Diagnostics._fields[1:])}
    assert told == arrays | short | {"levels", "channels"}
    fields = {field_of(name.replace("_P", "_0")) for name in arrays}
    assert fields == set(Answers._fields) - {"levels", "diagnostics"}


def test_every_column_and_level_of_a_csv_is_told():
    assert [word for row in rows("ID.csv: one row a channel") for word in words(row[0])] == list(COLUMNS)
    assert " ".join(f"{p:g}".lstrip("0") for p in QUANTILES) in PAGE
    assert all(f"`{reason}`" in PAGE for reason in records.REASONS)
