"""The command line as a person meets it: help, happy paths, and one clear line for bad input."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli.calls import call, printed, refused, told

import simbench
from simbench import lock as locks
from simbench.cli import main
from simbench.cli.common import one_line
from simbench.errors import BadInput
from simbench.world.scenario import read_scenario, recorded_paths, scenario_names

ROOT = Path(__file__).resolve().parent.parent
VERBS = {
    "list", "show", "draw", "check", "run", "loop", "score", "report", "compare", "inspect", "task", "validate", "demo",
    "new", "schema", "lock", "doctor",
}  # fmt: skip


def real(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120, **options
    )


# --- help


def test_the_verbs() -> None:
    assert set(main.commands) == VERBS


@pytest.mark.parametrize("verb", [*sorted(VERBS), "new scenario", "new backend"])
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    for flag in ("--help", "-h"):
        text = printed(*verb.split(), flag)
        assert "Usage:" in text
    if verb != "new":
        assert f"simbench {verb}" in text.split("Example:")[1]
        assert "--json" in text


def test_version() -> None:
    assert printed("--version") == f"simbench {simbench.__version__}\n"


def test_help_and_import_load_nothing_heavy() -> None:
    heavy = ("jax", "numpy", "pandas", "pydantic", "scipy", "matplotlib", "rich")
    check = f"import sys; print([name for name in {heavy!r} if name in sys.modules])"
    assert real("-c", f"import simbench; simbench.__all__; {check}").stdout.strip() == "[]"
    assert real("-c", f"import simbench.cli; {check}").stdout.strip() == "[]"
    done = real("-m", "simbench", "--help")
    assert done.returncode == 0 and "Usage: simbench" in done.stdout
    assert "  Begin with:\n    simbench list\n" in done.stdout


# --- the public functions


def test_every_public_name_is_there() -> None:
    for name in simbench.__all__:
        assert getattr(simbench, name) is not None
    assert simbench.BadInput is BadInput
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = simbench.nothing_of_the_kind  # type: ignore[attr-defined]


def test_run_is_a_room_and_a_function() -> None:
    for first in ("import simbench.run.execute as e; e.run", "sb.run", "import simbench.score.rows as r; r.OK"):
        program = f"import simbench as sb\n{first}\nfrom simbench.run.execute import run\n"
        program += "for ask in (sb.run, sb.score):\n"
        program += "    try:\n        ask('nobody')\n    except sb.BadInput as error:\n        print(error)\n"
        said = real("-c", program).stdout
        assert "'nobody': no such scenario" in said and "nobody: is no run" in said


# --- list, show


def test_list() -> None:
    text = printed("list")
    for name in ("clean", "collinear", "core", "smoke", "ols", "spend-share"):
        assert name in text.split()
    answer = told("list")
    point = next(row for row in answer["scenarios"] if row["name"] == "collinear[0.9]")
    assert set(point) == {
        "name", "scenario", "family", "base", "breaks", "weeks", "channels", "geos", "digest", "title", "sweep",
        "superseded_by",
    }  # fmt: skip
    assert (point["scenario"], point["family"], point["sweep"]) == ("collinear", "clean", "spend.correlation")
    assert {suite["name"] for suite in answer["suites"]} == {
        "core",
        "decisions",
        "full",
        "ladders",
        "loop",
        "portfolio",
        "smoke",
    }
    assert {"name": "ols", "source": "simbench", "fault": ""} in answer["backends"]


@pytest.mark.parametrize("name", scenario_names())
def test_show_has_a_card_of_every_scenario(name: str) -> None:
    text = printed("show", name, "--no-truth")
    assert (f"against {read_scenario(name).base}" in text) == (read_scenario(name).base is not None)
    assert text.startswith(name) and "digest" in text and "truth" not in text.split("channel")[-1]
    assert max(len(line) for line in text.splitlines()) <= 100
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_show_tells_the_truth(tmp_path: Path) -> None:
    picture = tmp_path / "clean.png"
    text = printed("show", "clean", "--plot", picture)
    for part in ("The truth of replicate 0", "Media brought", "ROAS", "the same budget", f"saved {picture}"):
        assert part in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "exists already" in refused("show", "clean", "--plot", picture)
    answer = told("show", "clean", "--replicate", "1")
    assert answer["card"]["name"] == "clean" and answer["truth"]["replicate"] == 1
    assert answer["truth"]["channels"][0]["name"] == "tv"
    assert answer["truth"]["problems"][0]["certified"] is True


def test_show_a_sweep_lists_its_points() -> None:
    assert "collinear[0.99]" in printed("show", "collinear")
    assert "collinear[0]" in refused("show", "collinear", "--plot", "x.png")


def test_show_a_backend(tmp_path: Path) -> None:
    shown = told("show", "ols[order=3]@x")["backend"]
    assert shown["name"] == "ols[order=3]@x" and shown["config"] == {"order": 3, "trend": "linear"}
    order = next(option for option in shown["options"] if option["name"] == "order")
    assert (order["default"], order["value"], order["unit"], order["high"]) == (2, 3, "pairs", 26)
    text = printed("show", "ols")
    assert text.startswith("ols: least squares") and "linear, none" in text and "0..26 pairs" in text
    assert "uncorrelated-spend" in text and "float64" in text and "'ols[order=2]'" in text
    file = tmp_path / "mine.py"
    file.write_text("def mine(key, brief, share=0.5):\n    'Half of it.'\n")
    assert printed("show", f"{file}:mine[share=0.25]").startswith("mine[share=0.25]: Half of it.")
    assert "did you mean 'order'" in refused("show", "ols[ordre=3]")


def test_a_broken_plug_in_is_listed_with_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "vendor-1.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vendor\nVersion: 1.4\n")
    (info / "entry_points.txt").write_text("[simbench.backends]\nbroken = vendor_broken:model\n")
    (tmp_path / "vendor_broken.py").write_text("raise RuntimeError('needs a licence')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    item = next(item for item in told("list")["backends"] if item["name"] == "broken")
    assert item["source"] == "vendor 1.4" and "needs a licence" in item["fault"]
    assert "needs a licence" in " ".join(printed("list").split())
    assert "needs a licence" in refused("show", "broken")


# --- check, new backend


def test_a_new_backend_passes_check(tmp_path: Path) -> None:
    answer = told("new", "backend", "my_model", "--out", tmp_path)
    assert answer["backend"] == f"{tmp_path / 'my_model.py'}:my_model" and Path(answer["file"]).is_file()
    checked = told("check", answer["backend"])
    assert checked["ok"] and len(checked["checks"]) >= 12
    assert {each["status"] for each in checked["checks"]} == {"passed"}
    assert "exists already" in refused("new", "backend", "my_model", "--out", tmp_path)
    text = printed("new", "backend", "my_model", "--out", tmp_path, "--force")
    assert "simbench check" in text and "--backend" in text


def test_check_tells_what_fails(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def mine(key, brief):\n    return {'baseline': brief.panel.kpi.sum(axis=1)[None] + 1.0}\n")
    result = call("check", f"{file}:mine")
    assert result.exit_code == 1 and "1 of " not in result.stdout
    lines = {line.split("  ")[0]: line for line in result.stdout.splitlines()}
    assert "failed" in lines["other KPI units"] and "passed" in lines["company"]
    assert "did you mean 'ols'" in refused("check", "olss")
    file.write_text(
        "from simbench.backends.base import python_backend\nmine = python_backend('m', print, handles=['aditive'])\n"
    )
    assert "handles of m: 'aditive' is no assumption" in refused("check", f"{file}:mine")
    assert "'clean'" in refused("check", "ols", "--scenario", "claen")


@pytest.mark.parametrize(
    ("name", "said"),
    [("my-model", "no name of a Python function"), ("class", "no name"), ("ols", "is taken"), ("oracle", "is taken")],
)
def test_names_a_new_backend_cannot_have(name: str, said: str, tmp_path: Path) -> None:
    assert said in refused("new", "backend", name, "--out", tmp_path)
    assert "no folder" in refused("new", "backend", "fine", "--out", tmp_path / "no")
    assert list(tmp_path.iterdir()) == []


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "odd.toml"
    text = 'schema_version = 1\nname = "odd"\nbase = "clean"\nbreaks = ""\n'
    file.write_text(text + 'title = "[bold]x[/] :smile: \\u001b[31m"\n')
    first = printed("show", file, "--no-truth").splitlines()[0]
    assert first == "odd: [bold]x[/] :smile: ?[31m"


# --- draw, schema


def test_draw(tmp_path: Path) -> None:
    out = tmp_path / "worlds"
    answer = told("draw", "clean", "--replicates", "2", "--out", out)
    assert answer["briefs"] == ["brief-0001", "brief-0002"] and answer["truth"] is None
    assert (out / "brief-0002" / "panel.csv").is_file()
    assert "exists already" in refused("draw", "clean", "--out", out)
    assert "wrote 1 brief" in printed("draw", "clean", "--out", out, "--force")
    assert [path.name for path in out.iterdir()] == ["brief-0001"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("claen", "did you mean 'clean'?"),
        ("collinear", "one of its points"),
        ("collinear[0.7]", "no such point"),
        ("nowhere.toml", "cannot be read"),
    ],
)
def test_a_refused_draw_writes_nothing(tmp_path: Path, name: str, said: str) -> None:
    assert said in refused("draw", name, "--out", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_schema(tmp_path: Path) -> None:
    schema = json.loads(printed("schema"))
    assert "channels" in schema["properties"]
    file = tmp_path / "scenario.schema.json"
    assert told("schema", "--out", file) == {"schema_version": 1, "file": str(file)}
    assert json.loads(file.read_text()) == schema
    assert "exists already" in refused("schema", "--out", file)
    assert "does not exist" in refused("schema", "--out", tmp_path / "no" / "file.json")


# --- new scenario


def weekly(file: Path, rows: dict[str, list[Any]], *, step: int = 7, start: str = "2022-01-03") -> Path:
    first = date.fromisoformat(start)
    count = len(next(iter(rows.values())))
    lines = [",".join(["week", *rows])]
    for t in range(count):
        lines.append(",".join([str(first + timedelta(days=step * t)), *(str(column[t]) for column in rows.values())]))
    file.write_text("\n".join(lines) + "\n")
    return file


SPEND = {
    "TV spend": [1000.0 * (t % 3) for t in range(80)],
    "search_S": [50.0 + t for t in range(80)],
    "sales": [9000.0] * 80,
    "dark_spend": [0] * 80,
}


def test_new_scenario_around_a_file(tmp_path: Path) -> None:
    file = weekly(tmp_path / "mine.csv", SPEND)
    answer = told("new", "scenario", "my-world", "--spend", file, "--out", tmp_path)
    assert answer["notes"][0].startswith("took as spend: TV spend, search_S, dark_spend")
    assert answer["notes"][1] == "left out, nothing was spent: dark_spend"
    scenario = read_scenario(tmp_path / "my-world.toml")
    assert [(c.name, c.kind) for c in scenario.channels] == [("TV", "tv"), ("search", "generic-search")]
    assert (scenario.time.weeks, scenario.time.holdout, scenario.time.start) == (60, 20, "2022-01-03")
    paths = recorded_paths(scenario)
    assert list(paths["TV"]) == SPEND["TV spend"] and list(paths["search"]) == SPEND["search_S"]
    mean = sum(SPEND["TV spend"]) / 80 + sum(SPEND["search_S"]) / 80
    assert scenario.demand.level == pytest.approx(3 * 1.5 * mean, rel=1e-3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mine.csv",
        "my-world-spend.csv",
        "my-world.toml",
    ]
    assert "exists already" in refused("new", "scenario", "my-world", "--spend", file, "--out", tmp_path)
    text = printed(
        "new", "scenario", "my-world", "--spend", file, "--out", tmp_path, "--force", "--columns", "search_S"
    )
    assert f"simbench show {tmp_path / 'my-world.toml'}" in " ".join(text.split())
    assert [c.name for c in read_scenario(tmp_path / "my-world.toml").channels] == ["search"]


def test_the_new_world_has_the_spend_and_a_quarter_of_media(tmp_path: Path) -> None:
    file = weekly(tmp_path / "mine.csv", SPEND)
    printed("new", "scenario", "my-world", "--spend", file, "--out", tmp_path)
    truth = told("show", tmp_path / "my-world.toml")["truth"]
    assert truth["channels"][0]["paid"] == pytest.approx(sum(SPEND["TV spend"][:60]), rel=1e-9)
    assert 0.05 < truth["media_share"] < 0.6


def test_geos_of_a_file_are_summed(tmp_path: Path) -> None:
    lines = ["geo,time,tv_spend"]
    for geo, size in (("north", 1), ("south", 2)):
        for t in range(40):
            lines.append(f"{geo},{date(2022, 1, 3) + timedelta(weeks=t)},{size * (t + 1)}")
    file = tmp_path / "geo.csv"
    file.write_text("\n".join(lines))
    answer = told("new", "scenario", "by-geo", "--spend", file, "--out", tmp_path)
    assert answer["notes"][-1] == "summed over 2 values of column 'geo'"
    path = recorded_paths(read_scenario(tmp_path / "by-geo.toml"))["tv"]
    assert list(path) == [3.0 * (t + 1) for t in range(40)]
    file.write_text("\n".join(lines[:-1]))
    assert "occurs twice" in refused("new", "scenario", "by-geo-2", "--spend", file, "--out", tmp_path)
    file.write_text("\n".join([*lines[:60], lines[60].replace(",20", ",20x"), *lines[61:]]))
    assert "geo 'south'" in refused("new", "scenario", "by-geo-2", "--spend", file, "--out", tmp_path)


def test_bad_files_are_refused_in_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    days = weekly(tmp_path / "days.csv", SPEND, step=1)
    short = weekly(tmp_path / "short.csv", {"tv_spend": [1.0] * 15})
    bare = weekly(tmp_path / "bare.csv", {"a": [1.0] * 40, "b": [1.0] * 40})
    minus = weekly(tmp_path / "minus.csv", {"tv_spend": [1.0] * 39 + [-1.0]})
    idle = weekly(tmp_path / "idle.csv", {"tv_spend": [0.0] * 40})
    before = {path.name for path in tmp_path.iterdir()}
    for file, said in (
        (days, "to_weeks"), (short, "at least 16"), (bare, "columns with numbers: a, b"), (minus, "negative"),
        (idle, "nothing was spent"), (tmp_path / "none.csv", "cannot be read"),
    ):  # fmt: skip
        assert said in refused("new", "scenario", "my-world", "--spend", file, "--out", tmp_path)
    options = ("--spend", bare, "--out", tmp_path, "--columns", "tv")
    assert "no column 'tv'" in refused("new", "scenario", "my-world", *options)
    assert "lower case" in refused("new", "scenario", "My World", "--out", tmp_path)
    assert "shipped" in refused("new", "scenario", "clean", "--out", tmp_path)
    assert "no folder" in refused("new", "scenario", "my-world", "--out", tmp_path / "no")
    assert "--spend" in refused("new", "scenario", "my-world", "--columns", "a", "--out", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_starter_is_a_scenario(tmp_path: Path) -> None:
    printed("new", "scenario", "begin", "--out", tmp_path)
    assert read_scenario(tmp_path / "begin.toml").base == "clean"


def test_channel_names_are_plain_and_differ() -> None:
    from simbench.cli.starter import channel_names, kind_of

    columns = ["tv_S", "TV Spend", "spend_tv", "2nd radio", "=cmd|x", "Online Video spend"]
    assert channel_names(columns) == ["tv", "TV", "tv-2", "channel-2nd-radio", "cmd-x", "Online-Video"]
    assert [kind_of(c) for c in ("OnlineVideo_S", "facebook_I", "sales")] == [
        "online-video",
        "paid-social",
        None,
    ]


# --- lock, doctor


@pytest.mark.parametrize(
    ("faults", "arguments", "code", "wrote"),
    [
        ([], ["--check"], 0, False),
        ([locks.Fault("clean", False, "has another digest")], ["--check"], 1, False),
        ([locks.Fault("clean", True, "kpi moved")], ["--check"], 5, False),
        ([locks.Fault("clean", True, "kpi moved")], [], 5, False),
        ([locks.Fault("clean", True, "kpi moved")], ["--force"], 0, True),
        ([locks.Fault("clean", False, "is shipped but not locked")], [], 0, True),
    ],
)
def test_lock(
    faults: list[Any],
    arguments: list[str],
    code: int,
    wrote: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = []
    (tmp_path / "LOCK.json").write_text("{}")
    monkeypatch.setattr(locks, "lock_path", lambda: tmp_path / "LOCK.json")
    monkeypatch.setattr(locks, "check", lambda progress: faults)
    monkeypatch.setattr(locks, "write", lambda progress: written.append(True))
    result = call("lock", *arguments)
    assert result.exit_code == code and bool(written) == wrote
    assert all(fault.detail in result.stdout for fault in faults)
    answer = json.loads(call("lock", *arguments, "--json").stdout)
    assert answer["ok"] == (code == 0) and answer["written"] == wrote and len(answer["faults"]) == len(faults)


def test_doctor() -> None:
    names = [finding["name"] for finding in told("doctor")["findings"]]
    for name in (
        "python",
        "simbench",
        "jax",
        "platform",
        "cores",
        "usable cores",
        "scenarios",
        "compile cache",
        "lock",
    ):
        assert name in names
    lines = printed("doctor").splitlines()
    assert [line[: len(name)] for line, name in zip(lines, names, strict=True)] == names


def test_doctor_skips_what_a_system_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    from simbench import doctor

    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setitem(sys.modules, "resource", None)
    found = {finding.name: finding for finding in doctor.examine()}
    for name in ("usable cores", "memory limit", "open files"):
        assert found[name].value == f"skipped: {name} not on this system" and found[name].ok
    broken = doctor.look("x", lambda: str(1 / 0))
    assert not broken.ok and "ZeroDivisionError" in broken.value


def test_the_compile_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from simbench.run import hosts

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert hosts.compile_cache().parent == tmp_path / "simbench" / "jax"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert hosts.user_cache() == Path.home() / ".cache"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert hosts.user_cache() == Path.home() / "Library" / "Caches"
    one = hosts.compile_cache()
    monkeypatch.setattr(hosts, "cpu_flags", lambda: "another processor")
    assert hosts.compile_cache() != one


def test_a_cache_that_is_set_stays() -> None:
    import jax

    from simbench.run.hosts import prepare_process

    before = jax.config.jax_compilation_cache_dir
    assert prepare_process() == Path(before)
    assert jax.config.jax_compilation_cache_dir == before


# --- faults


def test_other_faults_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise RuntimeError(name)

    monkeypatch.setattr("simbench.world.scenario.read_scenario", broken)
    with pytest.raises(RuntimeError, match="clean"):
        call("show", "clean")


def test_one_line_whatever_was_typed() -> None:
    assert one_line("a\nb\x1b[2J\tc") == "a b?[2J c"
    assert "claen?[2J" in refused("show", "claen\x1b[2J\n")


def test_interrupted_is_130(tmp_path: Path) -> None:
    program = "import time\nfrom simbench.cli import main\n"
    program += "wait = lambda **_: (print('ready', flush=True), time.sleep(60))\n"
    program += "main.commands['doctor'].callback = wait\nmain(['doctor'])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and said == "interrupted\n"


def test_a_terminal_without_the_signs_gets_the_numbers() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    program = [sys.executable, "-m", "simbench", "show", "clean", "--no-truth"]
    done = subprocess.run(program, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0 and b"flighted, weekly" in done.stdout


def test_usage_errors_are_2() -> None:
    result = call("draw", "clean")
    assert result.exit_code == 2 and "--out" in result.stderr
    assert call("fly").exit_code == 2


# --- demo, tutorial


def test_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from simbench.cli import demonstration

    monkeypatch.chdir(tmp_path)
    # the whole of it is `make demo`
    monkeypatch.setattr(demonstration, "contenders", lambda: ["oracle", "ols", "spend-share", "seasonal-naive"])
    file = weekly(tmp_path / "mine.csv", SPEND)
    text = printed("demo", "--replicates", "2", "--csv", file)
    for part in (
        "1. A world",
        "2. What the truth",
        "3. 4 contenders, 1 scenarios, 2 worlds each",
        "4. What that means",
        "your-spend",
        "done in",
    ):
        assert part in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.csv", "simbench-demo.png", "simbench-runs"]
    assert max(len(line) for line in text.splitlines()) <= 100

    def timeless(output: str) -> list[str]:
        return output.splitlines()[:-1]

    assert timeless(printed("demo", "--replicates", "2", "--csv", file)) == timeless(text)


def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    weekly(tmp_path / "weekly.csv", {"tv": SPEND["TV spend"], "radio": SPEND["search_S"]})
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    commands = [line for language, block in blocks if not language for line in block.splitlines()]
    assert len(commands) > 8
    for line in commands:
        program, *arguments = shlex.split(line)
        assert program == "simbench"
        printed(*arguments)
    code = "\n".join(block for language, block in blocks if language == "python")
    (tmp_path / "tutorial.py").write_text(code)
    runpy.run_path(str(tmp_path / "tutorial.py"))


def test_demo_refuses_a_faulty_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "cannot be read" in refused("demo", "--csv", tmp_path / "none.csv")
    assert list(tmp_path.iterdir()) == []


def test_the_demo_says_who_was_best() -> None:
    import pandas as pd

    from simbench.cli.demonstration import conclusions
    from simbench.score.headlines import leaderboard

    generator, rows = np.random.default_rng(3), []

    def world(name: str, error: dict[str, float], crps: dict[str, float], missed: dict[str, float]) -> None:
        for replicate in range(12):
            for backend in error:
                told = [
                    ("contribution", "all", "error", error[backend]), ("forecast", "all", "crps", crps[backend]),
                    ("decision", "problem:0", "regret", missed[backend]),
                ]  # fmt: skip
                if backend == "ols":
                    told.append(("contribution", "all", "coverage 90%", 0.5))
                    told.append(("contribution", "all", "interval score 90%", 2.0))
                for estimand, unit, metric, value in told:
                    noise = 1 + 0.05 * generator.standard_normal()
                    rows.append((name, name, "", replicate, backend, estimand, unit, metric, value * noise, "ok", ""))
                rows.append((name, name, "", replicate, backend, "decision", "problem:0", "gain", 1.0, "ok", ""))

    head = ["scenario", "family", "transform", "replicate", "backend"]
    columns = [*head, "estimand", "unit", "metric", "value", "status", "reason"]
    naive = {"seasonal-naive": 1.0}
    one, two = {"ols": 0.3, "spend-share": 0.9, **naive}, {"ols": 1.5, "spend-share": 0.4, **naive}
    world("clean", one, {"ols": 0.4, "spend-share": 1.2, **naive}, {"ols": 0.5, "spend-share": 1.0, **naive})
    world("hard", two, {"ols": 0.4, "spend-share": 1.2, **naive}, {"ols": 1.6, "spend-share": 0.9, **naive})
    frame = pd.DataFrame(rows, columns=columns)
    said = conclusions(leaderboard(frame), frame)
    assert said == [
        "Closest to the true contributions: ols in clean; spend-share in hard.",
        "Best forecast: ols in clean and hard.",
        "Best decision: ols in clean; spend-share in hard.",
        "Acting on ols earned less than the status quo in hard, beyond doubt.",
        "Share of true contributions inside 90% intervals: ols 50%.",
    ]
