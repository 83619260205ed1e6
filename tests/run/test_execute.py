"""The main job on small worlds: asked once, stored, valued, scored; nothing lost, nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import worlds

import simbench as sb
from simbench.backends.base import Backend, everything
from simbench.backends.replies import checked
from simbench.briefs import one
from simbench.codec import unpack
from simbench.errors import BadInput, Damaged
from simbench.records import Answers, Failure
from simbench.run import cells, store
from simbench.run.forecast import dry_run
from simbench.run.inspect import inspect
from simbench.run.plan import plan
from simbench.run.results import opened
from simbench.run.supervisor import Limits

ROOT = Path(__file__).resolve().parents[2]
MINE = """
import numpy as np

def mine(key, brief):
    spend = np.asarray(brief.context.spend_scale)
    weeks = float(np.asarray(brief.panel.mask).sum())
    windows = len(brief.questions.windows)
    return {"contribution": np.tile(spend * weeks, (1, windows, 1)) * FACTOR}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return worlds.written(tmp_path_factory.mktemp("worlds"), worlds.plain())


def wide(frame, metric="error", estimand="contribution", unit="all"):
    kept = frame[(frame.metric == metric) & (frame.estimand == estimand) & (frame.unit == unit)]
    return kept.pivot(index="replicate", columns="backend", values="value")


def credit(key, brief):
    """Every channel is credited with its spend."""
    spend = np.asarray(brief.context.spend_scale) * float(np.asarray(brief.panel.mask).sum())
    return {"contribution": np.tile(spend, (1, len(brief.questions.windows), 1))}


@pytest.fixture(scope="module")
def told(world, tmp_path_factory):
    """A run of the oracle, a native contender, a function, and one that always fails."""

    def fails(key, brief):
        raise ValueError("no idea")

    folder = tmp_path_factory.mktemp("run") / "r"
    return sb.run(world, ["oracle", "ols", credit, fails], replicates=3, store=folder)


def test_the_oracle_is_perfect(told):
    frame = sb.scores(told)
    own = frame[frame.backend == "oracle"].set_index(["estimand", "unit", "metric"]).sort_index()
    assert np.allclose(own.loc[("contribution", "all", "error")].value, 0, atol=1e-12)
    for problem in ("problem:0", "problem:1"):
        regret = own.loc[("decision", problem, "regret")].value.to_numpy()
        assert (np.abs(regret) < 1e-6).all()
        shared = own.loc[("decision", problem, "common regret")].value.to_numpy()
        worlds_, _ = cells_of(told)
        best = worlds_.truth.optima[int(problem[-1])]
        spend = worlds_.brief.questions.problems[int(problem[-1])].status_quo.sum(axis=-1)
        allowed = (best.upper_bound - best.value + best.grid_floor) / spend + 1e-6
        assert (shared <= allowed).all() and (shared >= -1e-6).all()


def cells_of(run):
    run = opened(run)
    source = run.sources[0]
    found = cells.stored_worlds(run.folder / "worlds" / source.folder, source.replicates)
    return found, source


def test_a_failure_is_a_row_with_its_reason_and_hurts_nobody(told, world, tmp_path):
    frame = sb.scores(told)
    failed = frame[frame.backend == "fails"]
    assert len(failed) == 3 and set(failed.status) == {"failed"} and set(failed.reason) == {"error"}
    alone = sb.scores(sb.run(world, ["ols"], replicates=3, store=tmp_path / "alone"))
    np.testing.assert_array_equal(wide(alone)["ols"], wide(frame)["ols"])


def counted(key, brief):
    """Credit by spend, and a line in the file that the environment names."""
    with open(os.environ["CALLS"], "a", encoding="utf-8") as file:
        print(*key, file=file)
    if Path(os.environ["CALLS"]).read_text().count("\n") == int(os.environ.get("INTERRUPT", -1)):
        raise KeyboardInterrupt
    return credit(key, brief)


def test_what_is_stored_is_not_done_again(world, tmp_path, monkeypatch):
    calls = tmp_path / "calls"
    monkeypatch.setenv("CALLS", str(calls))
    for replicates, expected in ((2, 2), (2, 2), (5, 5)):
        run = sb.run(world, [counted], replicates=replicates, store=tmp_path / "r")
        assert len(calls.read_text().splitlines()) == expected
        assert sorted(wide(sb.scores(run)).index) == list(range(replicates))
    assert len(set(calls.read_text().splitlines())) == 5  # each world has a key of its own


def test_a_function_that_holds_what_nobody_can_tell_is_asked_again(world, tmp_path):
    calls = []

    def closed(key, brief):
        calls.append(1)
        return credit(key, brief)

    for expected in (2, 4):
        run = sb.run(world, [closed], replicates=2, store=tmp_path / "r")
        assert len(calls) == expected and len(wide(sb.scores(run))) == 2


def test_a_cell_stored_twice_counts_once(world, tmp_path):
    """Two blocks that overlap, as two drivers at once may leave them: no row is there twice."""
    run = sb.run(world, [credit], replicates=3, store=tmp_path / "r")
    (place,) = (tmp_path / "r" / "answers").rglob("*.npz")
    (group,) = cells.stored_answers(place)["groups"]
    again = [cells.Reply(2 + i, one(group.answers, 2 - i), one(group.cost, 2), "again") for i in (0, 1)]
    p = plan(world, [credit], replicates=4)
    cells.keep_answers(place.parent, p.sources[0], p.entries[0], again)
    frame = sb.scores(sb.run(world, [credit], replicates=4, store=tmp_path / "r"))
    assert len(list(place.parent.glob("*.npz"))) == 2 and opened(run).entries[0].name == "credit"
    assert not frame.duplicated(["replicate", "backend", "estimand", "unit", "metric"]).any()
    assert sorted(wide(frame).index) == [0, 1, 2, 3]


def test_editing_a_file_makes_a_new_column(world, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(MINE.replace("FACTOR", "1.0"))
    first = sb.run(world, [f"{file}:mine"], replicates=2, store=tmp_path / "r")
    file.write_text(MINE.replace("FACTOR", "2.0"))
    second = sb.run(world, [f"{file}:mine"], replicates=2, store=tmp_path / "r")
    errors = wide(sb.scores(tmp_path / "r"))
    assert errors.shape == (2, 2) and all(name.startswith("mine@") for name in errors)
    assert len(wide(sb.scores(first)).columns) == 1 == len(wide(sb.scores(second)).columns)
    assert not np.allclose(wide(sb.scores(first)), wide(sb.scores(second)))


def test_an_edited_scenario_takes_the_place_of_what_it_was(tmp_path):
    for share in ("0.05", "0.08"):
        world = worlds.written(tmp_path, worlds.plain().replace("share = 0.05", f"share = {share}"))
        sb.run(world, [credit], replicates=2, store=tmp_path / "r")
    frame = sb.scores(tmp_path / "r")
    assert not frame.duplicated(["scenario", "replicate", "backend", "estimand", "unit", "metric"]).any()
    assert len(opened(tmp_path / "r").sources) == 1 and sorted(wide(frame).index) == [0, 1]


def test_labels_tell_versions_apart(world, tmp_path):
    file = tmp_path / "mine.py"
    for label, factor in (("main", "1.0"), ("branch", "2.0")):
        file.write_text(MINE.replace("FACTOR", factor))
        sb.run(world, [f"{file}:mine@{label}"], replicates=3, store=tmp_path / "r")
    assert set(wide(sb.scores(tmp_path / "r"))) == {"mine@main", "mine@branch"}
    compared = sb.compare(tmp_path / "r", "mine@main", "mine@branch")
    assert len(compared)


def test_metrics_of_the_users_own_score_stored_answers(told):
    def total(brief, truth, answers, decisions):
        return {"total": float(np.asarray(answers.contribution)[:, 0].sum(axis=-1).mean())}

    frame = sb.score(told, metrics=[total])
    found = frame[frame.metric == "total"].pivot(index="replicate", columns="backend", values="value")
    true = cells_of(told)[0].truth.answers.contribution[:, 0].sum(axis=-1)
    np.testing.assert_allclose(found["oracle"], true)
    assert set(found) == {"oracle", "ols", "credit"}


def test_scores_are_made_again_when_their_code_has_changed_or_they_are_gone(told, tmp_path, monkeypatch):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(told.folder, folder)
    before = sb.scores(folder)
    for file in (folder / "scores").rglob("*.npz"):
        file.unlink()
    pd.testing.assert_frame_equal(sb.scores(folder), before)
    monkeypatch.setattr(cells, "deriving_code", lambda: "other code")
    pd.testing.assert_frame_equal(sb.scores(folder), before)
    assert all(unpack(file.read_bytes())["code"] == "other code" for file in (folder / "scores").rglob("*.npz"))


def test_a_damaged_block_is_told_and_made_again(world, tmp_path):
    run = sb.run(world, ["ols"], replicates=2, store=tmp_path / "r")
    before = sb.scores(run)
    (place,) = (tmp_path / "r" / "answers").rglob("*.npz")
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.write_bytes(bytes(content))
    with pytest.raises(Damaged, match="run again"):
        inspect(run, "test-world/0/ols")
    again = sb.run(world, ["ols"], replicates=2, store=tmp_path / "r")
    kept = ["estimand", "unit", "metric", "replicate", "value"]
    timeless = lambda frame: frame[frame.estimand != "cost"][kept].reset_index(drop=True)  # noqa: E731
    pd.testing.assert_frame_equal(timeless(sb.scores(again)), timeless(before))


def test_a_cell_can_be_seen_whole(told, world):
    seen = inspect(told, "test-world/1/ols")
    drawn = sb.draw(world, [1])
    np.testing.assert_array_equal(seen.brief.panel.kpi, drawn.briefs[0].panel.kpi)
    np.testing.assert_array_equal(seen.truth.answers.contribution, drawn.truths[0].answers.contribution)
    assert seen.reply.contribution.dtype == np.float32 and seen.cost.seconds > 0
    assert seen.decisions is not None and len(seen.rows) > 20
    failed = inspect(told, "test-world/1/fails")
    assert failed.reply == Failure("error", "ValueError: no idea") and failed.decisions is None
    with pytest.raises(BadInput, match="'olss' is not in this run"):
        inspect(told, "test-world/1/olss")
    with pytest.raises(BadInput, match="replicate 7"):
        inspect(told, "test-world/7/ols")


def test_answers_are_stored_as_they_came(told, world):
    """The stored answer of a native contender is that of asking it directly, in float32."""
    from simbench import ids
    from simbench.backends.registry import backend_named

    brief = sb.draw(world, [2]).briefs[0]
    (direct,) = backend_named("ols").answer([brief], [ids.backend_key(ids.OPEN_MASTER, "test-world", 2, "ols")])
    seen = inspect(told, "test-world/2/ols").reply
    np.testing.assert_array_equal(seen.contribution, direct.contribution.astype(np.float32))
    np.testing.assert_array_equal(seen.response[1], direct.response[1].astype(np.float32))


def test_another_origin_is_another_source(world, tmp_path):
    run = sb.run(world, ["oracle", "ols"], replicates=2, transforms=["", "origin:-6"], store=tmp_path / "r")
    frame = sb.scores(run)
    assert set(frame["transform"]) == {"", "origin:-6"}
    errors = frame[(frame.backend == "ols") & (frame.estimand == "contribution") & (frame.metric == "error")]
    assert errors.value.nunique() == 4
    exact = frame[(frame.backend == "oracle") & (frame.estimand == "contribution") & (frame.metric == "error")]
    assert np.allclose(exact.value, 0, atol=1e-12)


def test_a_time_limit_leaves_whole_replicates(world, tmp_path):
    def slow(key, brief):
        time.sleep(0.25)
        return credit(key, brief)

    def quick(key, brief):
        return credit(key, brief)

    first = sb.run(world, [quick], replicates=40, store=tmp_path / "r")
    assert not first.cut
    run = sb.run(world, [slow, quick], replicates=40, store=tmp_path / "r", time_limit=4.0)
    table = wide(sb.scores(run))
    assert run.cut and 0 < len(table) < 40 and table.notna().all().all()
    done = sb.run(world, [quick, slow], replicates=8, store=tmp_path / "r")
    assert len(wide(sb.scores(done))) == 8 and not done.cut


def test_a_dry_run_knows_what_is_missing(told, world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no runs beside
    p = plan(world, ["ols", credit], replicates=5)
    frame = dry_run(p, told.folder, jobs=2).set_index("backend")
    assert frame.loc["ols", "stored"] == 3 and frame.loc["ols", "missing"] == 2
    assert frame.loc["ols", "minutes"] > 0 and 0 < frame.loc["ols", "disk_mb"] < 10
    other = dry_run(plan(world, ["spend-share"], replicates=5), tmp_path / "none", jobs=2)
    assert np.isnan(other.minutes[0]) and other.disk_mb[0] > 0


def test_two_columns_of_one_name_are_refused(world, tmp_path):
    def other(key, brief):
        return {}

    other.__name__ = "credit"
    with pytest.raises(BadInput, match="'credit' names two"):
        sb.run(world, [credit, other], store=tmp_path / "r")
    with pytest.raises(BadInput, match="did you mean 'ols'"):
        sb.run(world, ["olss"], store=tmp_path / "r")
    assert not (tmp_path / "r").exists()


DRIVER = """
import sys
import simbench as sb
from simbench.run import execute
execute.PATIENCE = 0.2
sb.run(sys.argv[1], [sys.argv[2] + ":mine", sys.argv[2] + ":slowly"], replicates=30, store=sys.argv[3], jobs=2)
"""
SLOWLY = (
    MINE.replace("FACTOR", "1.0")
    + """

def slowly(key, brief):
    import time
    time.sleep(0.03)
    return mine(key, brief)
"""
)


@pytest.mark.slow
def test_killed_at_any_time_and_issued_again_it_is_whole(world, tmp_path):
    """kill -9 of the driver at six moments: afterwards the scores are those of a run left alone, each once."""
    file = tmp_path / "mine.py"
    file.write_text(SLOWLY)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", DRIVER, str(world), str(file)]
    assert subprocess.run([*command, str(tmp_path / "alone")], env=environment, timeout=200).returncode == 0
    generator = np.random.default_rng(7)
    counts = []
    for _ in range(6):
        process = subprocess.Popen([*command, str(tmp_path / "killed")], env=environment, start_new_session=True)
        try:
            process.wait(timeout=2.0 + 3.0 * generator.random())
            break
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shelves = [store.shelf(folder) for folder in (tmp_path / "killed" / "answers").glob("*/*")]
        counts.append(sum(map(len, shelves)))
    assert subprocess.run([*command, str(tmp_path / "killed")], env=environment, timeout=200).returncode == 0
    assert counts and counts == sorted(counts)  # nothing that was stored is lost
    alone, killed = sb.scores(tmp_path / "alone"), sb.scores(tmp_path / "killed")
    kept = ["scenario", "backend", "replicate", "estimand", "unit", "metric"]
    for frame in (alone, killed):
        assert not frame.duplicated(kept).any()
    timeless = [frame[frame.estimand != "cost"].sort_values(kept).reset_index(drop=True) for frame in (alone, killed)]
    pd.testing.assert_frame_equal(*[frame[[*kept, "value"]].astype({k: str for k in kept}) for frame in timeless])


def test_interrupted_by_the_keyboard_it_keeps_what_came(world, tmp_path, monkeypatch):
    calls = tmp_path / "calls"
    monkeypatch.setenv("CALLS", str(calls))
    monkeypatch.setenv("INTERRUPT", "3")
    with pytest.raises(KeyboardInterrupt):
        sb.run(world, [counted], replicates=6, store=tmp_path / "r")
    monkeypatch.setenv("INTERRUPT", "-1")
    sb.run(world, [counted], replicates=6, store=tmp_path / "r")
    assert len(calls.read_text().splitlines()) == 1 + 6
    assert len(wide(sb.scores(tmp_path / "r"))) == 6


def test_a_reply_that_is_no_answer_is_a_failure_with_a_sentence(world, tmp_path):
    def odd(key, brief):
        return {"contribution": np.ones((1, 1, 1))}

    run = sb.run(world, [odd], replicates=1, store=tmp_path / "r", limits=Limits())
    seen = inspect(run, "test-world/0/odd").reply
    assert isinstance(seen, Failure) and "has shape (1, 1, 1), not (draws, 2, 2)" in seen.detail
    assert one(np.arange(3), 1) == 1 and Answers().contribution is None


def test_a_backend_of_this_process_that_fails_for_one_world_takes_no_other_with_it(world, tmp_path):
    """The same care as in a host: who is to blame is asked alone, and a reply too few is a failure."""
    marked = sb.draw(world, [1], truth=False).briefs[0].panel.kpi[0, 0]

    def batch(briefs, keys):
        if any(brief.panel.kpi[0, 0] == marked for brief in briefs):
            raise ValueError("this one")
        return [checked(brief, credit(key, brief)) for key, brief in zip(keys, briefs, strict=True)]

    def few(briefs, keys):
        return []

    several = [
        Backend(name, "1", {}, answer, 4, everything, frozenset(), frozenset())
        for name, answer in (("picky", batch), ("few", few))
    ]
    run = sb.run(world, several, replicates=3, store=tmp_path / "r")
    replies = [inspect(run, f"test-world/{i}/picky").reply for i in range(3)]
    assert [isinstance(reply, Failure) for reply in replies] == [False, True, False]
    assert replies[1] == Failure("error", "ValueError: this one")
    assert inspect(run, "test-world/0/few").reply == Failure("error", "0 answers to 3 briefs")
