"""The client: alone, it reads what simbench writes and writes what simbench reads."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from protocol import small

from simbench import client
from simbench.protocol.answers import read_answer, validate
from simbench.protocol.asked import asked_of
from simbench.protocol.meaning import allocations
from simbench.protocol.task import seed_of, write_task
from simbench.records import Failure

ROOT = Path(__file__).resolve().parent.parent
CLIENT = ROOT / "simbench" / "client.py"
EXAMPLE = ROOT / "examples" / "vendor_backend.py"


def task_of(folder, brief, labels):
    return write_task(folder / "task", [brief], labels, [small.key(3)], ["a"])


@pytest.mark.parametrize("geos", [1, 3])
def test_every_number_of_a_brief_arrives(tmp_path, geos):
    brief, labels = small.brief(4, geos=geos, hidden=5)
    (read,) = client.read_task(task_of(tmp_path, brief, labels))
    origin, panel, questions = int(brief.panel.origin), brief.panel, brief.questions
    assert (read.id, read.seed) == ("a", seed_of(small.key(3)))
    assert read.channels == labels.channels and read.geos == labels.geos
    assert read.dates[0] == "2022-01-03" and len(read.dates) == origin
    assert read.future_dates[0] == "2023-02-27" and len(read.future_dates) == len(questions.future.lever)
    np.testing.assert_array_equal(read.kpi, panel.kpi[:origin])
    np.testing.assert_array_equal(read.population, panel.population)
    for c, name in enumerate(labels.channels):
        np.testing.assert_array_equal(read.spend[name], panel.spend[:origin, :, c])
        np.testing.assert_array_equal(read.future_spend[name], questions.future.spend[:, :, c])
    assert set(read.cap) == set(read.future_cap) == {"search"}
    np.testing.assert_array_equal(read.cap["search"], panel.lever[:origin, :, 1])
    np.testing.assert_array_equal(read.controls["price"], panel.controls[:origin, :, 0])
    np.testing.assert_array_equal(read.future_controls["price"], questions.future.controls[:26, :, 0])
    np.testing.assert_array_equal(read.questions["windows"], questions.windows)
    assert read.context["unit_value"] == brief.context.unit_value
    for told, problem in zip(read.problems, questions.problems, strict=True):
        np.testing.assert_array_equal([unit["levels"] for unit in told["units"]], problem.levels)
    plans = client.read_plans(read)
    for plan, name in zip(questions.plans, labels.plans, strict=True):
        for c, channel in enumerate(labels.channels):
            np.testing.assert_array_equal(plans[name][channel], plan[:, :, c])


@pytest.mark.parametrize("geos", [1, 3])
def test_weeks_without_a_kpi_and_claims_arrive(tmp_path, geos):
    brief, labels = small.brief(4, geos=geos)
    panel = brief.panel
    gone = np.isin(np.arange(len(panel.mask)), [0, 7, 8])
    dirty = panel._replace(
        mask=np.where(gone, 0.0, 1.0), kpi=np.where(gone[:, None], 0.0, panel.kpi), claims=0.5 * panel.spend
    )
    (read,) = client.read_task(task_of(tmp_path, brief._replace(panel=dirty), labels))
    np.testing.assert_array_equal(read.kpi, np.where(gone[:, None], np.nan, panel.kpi))
    assert tuple(read.claims) == labels.channels
    for c, name in enumerate(labels.channels):
        np.testing.assert_array_equal(read.claims[name], 0.5 * panel.spend[:, :, c])
        np.testing.assert_array_equal(read.spend[name], panel.spend[:, :, c])
    (clean,) = client.read_task(task_of(tmp_path / "clean", brief, labels))
    assert clean.claims == {} and set(clean.spend) == set(read.spend)


@pytest.mark.parametrize("geos", [1, 3])
def test_contacts_arrive_where_they_are_counted(tmp_path, geos):
    brief, labels = small.brief(4, geos=geos)
    panel, questions, each = brief.panel, brief.questions, np.array([9.0, 0.5, 0.0])
    later = questions.future._replace(exposure=each * questions.future.spend)
    counted = brief._replace(
        panel=panel._replace(exposure=each * panel.spend), questions=questions._replace(future=later)
    )
    (read,) = client.read_task(task_of(tmp_path, counted, labels))
    assert tuple(read.exposure) == tuple(read.future_exposure) == labels.channels[:2]
    for c, name in enumerate(labels.channels[:2]):
        np.testing.assert_array_equal(read.exposure[name], each[c] * panel.spend[..., c])
        np.testing.assert_array_equal(read.future_exposure[name], each[c] * questions.future.spend[..., c])
    (plain,) = client.read_task(task_of(tmp_path / "plain", brief, labels))
    assert plain.exposure == plain.future_exposure == {} and set(plain.spend) == set(read.spend)


def test_the_least_answer_goes_round(tmp_path):
    brief, labels = small.brief(4)
    names = labels.channels
    point, money = dict(zip(names, (0.1, 2e5, 3.0))), dict(zip(names, (7.0, 0.0, 1 / 3)))
    low = {name: value - 1 for name, value in reversed(point.items())}
    client.write_answer(
        tmp_path, "a", contribution=point, low=low, high={name: 1e6 for name in names}, level=0.8, budget=money
    )
    answers = read_answer(tmp_path, "a", brief, labels)
    where = {round(float(level), 3): i for i, level in enumerate(answers.levels)}
    np.testing.assert_array_equal(answers.contribution[where[0.5], 0], [0.1, 2e5, 3.0])
    np.testing.assert_allclose(answers.contribution[where[0.1], 0], [-0.9, 2e5 - 1, 2.0], rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(answers.allocation[0], [7.0, 0.0, 1 / 3])
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_a_channel_left_out_is_seen_and_not_filled(tmp_path):
    brief, labels = small.brief(4)
    client.write_answer(
        tmp_path, "a", contribution={"tv": 1.0, "search": 2.0, "+radio, local": 0.0}, budget={"tv": 1.0}
    )
    assert "row 3, column budget: is empty" in read_answer(tmp_path, "a", brief, labels).detail


def test_draws_go_round_in_any_order_of_channels(tmp_path):
    brief, labels = small.brief(4)
    draws = np.random.default_rng(0).normal(size=(9, 2, 3))
    client.write_draws(tmp_path, "a", contribution=draws)
    client.write_draws(tmp_path, "b", contribution=draws[:, :, ::-1], channels=labels.channels[::-1])
    for name in ("a", "b"):
        np.testing.assert_array_equal(read_answer(tmp_path, name, brief, labels).contribution, draws)


def test_a_reason_goes_round(tmp_path):
    client.write_failure(tmp_path, "a", "unconverged", "R-hat 1.4")
    assert read_answer(tmp_path, "a", *small.brief(4)) == Failure("unconverged", "R-hat 1.4")


@pytest.mark.parametrize("geos", [1, 2])
def test_amounts_are_shared_as_the_host_shares_them_and_within_limits(tmp_path, geos):
    brief, labels = small.brief(4, geos=geos)
    (read,) = client.read_task(task_of(tmp_path, brief, labels))
    fixed, free = read.problems
    now = {unit["channel"]: unit["status_quo"] for unit in fixed["units"]}
    asked, some = asked_of(brief, labels), {name: 0.9 * money for name, money in now.items()}
    ours = allocations(np.array([some[name] for name in labels.channels]), asked)
    np.testing.assert_allclose(client.amounts(free, some), ours[1], rtol=1e-12)
    extreme = client.amounts(fixed, {"tv": 1e9, "search": 1.0, "+radio, local": 0.0})
    upper = np.array([unit["upper"] for unit in fixed["units"]])
    assert extreme[0] == upper[0] and (extreme <= upper).all() and extreme[2] == 0
    assert extreme.sum() == pytest.approx(fixed["budget"]["low"])


def test_arguments_are_the_two_folders():
    assert client.arguments(["--task", "a", "--answers", "b", "--fast"]) == (Path("a"), Path("b"))
    with pytest.raises(SystemExit):
        client.arguments(["--task", "a"])


def test_unsupported_ends_with_64(capsys):
    with pytest.raises(SystemExit) as end:
        client.unsupported("only geo panels")
    assert end.value.code == 64 and capsys.readouterr().err == "only geo panels\n"


def test_another_protocol_is_refused(tmp_path):
    (tmp_path / "task.json").write_text(json.dumps({"protocol": 2, "briefs": []}))
    with pytest.raises(ValueError, match="protocol 2; this client reads protocol 1"):
        list(client.read_task(tmp_path))


def test_it_needs_numpy_alone():
    found = set()
    for node in ast.walk(ast.parse(CLIENT.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    assert found - set(sys.stdlib_module_names) == {"numpy"}


def test_a_copy_works_without_simbench(tmp_path):
    brief, labels = small.brief(4)
    task = task_of(tmp_path, brief, labels)
    shutil.copy(CLIENT, tmp_path / "client.py")
    (tmp_path / "mine.py").write_text(EXAMPLE.read_text().replace("simbench.client", "client"))
    check = "import sys, runpy; runpy.run_path(sys.argv[1], run_name='__main__'); assert 'simbench' not in sys.modules"
    command = [sys.executable, "-c", check, str(tmp_path / "mine.py"), "--task", str(task), "--answers", "out"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert validate(task, tmp_path / "out") == ([], {"a": ("contribution", "forecast", "allocation")}, [])


def test_the_example_is_short_and_needs_the_client_alone():
    text = EXAMPLE.read_text()
    assert len(text.splitlines()) < 60
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports}
    assert modules == {"numpy", "simbench.client"}
