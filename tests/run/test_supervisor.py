"""Hosts: who works on what, what is left behind, and messages that are not to be believed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simbench.backends.loading import module_of
from simbench.backends.registry import backend_named
from simbench.blocks import take
from simbench.briefs import one, stack
from simbench.errors import BadInput
from simbench.records import Answers, Failure
from simbench.run import hosts
from simbench.run.supervisor import Limits, Supervisor, company, read
from simbench.run.worker import Compiling

ROOT = Path(__file__).resolve().parents[2]
ZOO = Path(__file__).with_name("zoo.py")
zoo = module_of(ZOO)[0]
BRIEF, KEYS = zoo.batch(24)
LIMITS = Limits(seconds=30.0, memory=1 << 30, first=120.0, grace=0.3)


def spec(name):
    return f"{ZOO}:{name}"


def submit(supervisor, ticket, name, count, first=0):
    rows = range(first, first + count)
    supervisor.submit(ticket, name, take(BRIEF, rows), KEYS[rows.start : rows.stop])


def gone(pid, seconds=5.0):
    """No process has this number (or only its remains), soon."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def processes(outcomes):
    """Numbers that hosts printed."""
    return [int(done.log.split()[-1]) for done in outcomes]


def test_one_host_is_kept_and_two_share_a_batch():
    with Supervisor(2, LIMITS) as supervisor:
        submit(supervisor, "a", spec("slow"), 16)
        first = list(supervisor.outcomes())
        submit(supervisor, "b", spec("slow"), 1)
        again = list(supervisor.outcomes())
        assert supervisor.waiting() == 0
    assert sorted(done.position for done in first) == list(range(16))
    assert len(set(processes(first))) == 2 and set(processes(again)) < set(processes(first))
    assert all(gone(pid) for pid in processes(first))
    assert all(0.3 <= done.cost.seconds < 1.0 and done.cost.compile_seconds == 0 for done in first)


def test_quick_cells_are_asked_together_and_slow_ones_alone(monkeypatch):
    asked = []
    ask = hosts.Host.ask
    monkeypatch.setattr(hosts.Host, "ask", lambda self, *given: asked.append(given) or ask(self, *given))
    with Supervisor(1, LIMITS) as supervisor:
        for name, count, calls in [("honest", 24, 3), ("honest", 24, 1), ("slow", 3, 4)]:
            asked.clear()
            submit(supervisor, name, spec(name), count)
            assert len(list(supervisor.outcomes())) == count
            assert len(asked) == calls


def test_a_host_that_grows_is_replaced_and_one_that_does_not_is_kept():
    with Supervisor(1, LIMITS._replace(grown=40 << 20)) as supervisor:
        submit(supervisor, "grows", spec("grows"), 1)
        list(supervisor.outcomes())
        for ticket in range(3):
            submit(supervisor, ticket, spec("grows"), 3)
        pids = processes(supervisor.outcomes())
        assert len(set(pids)) > 1
        submit(supervisor, "kept", spec("honest"), 1)
        list(supervisor.outcomes())
        before = supervisor._slots[0].host.process.pid
        for ticket in range(3):
            submit(supervisor, ticket, spec("honest"), 4)
            list(supervisor.outcomes())
        assert supervisor._slots[0].host.process.pid == before


def test_native_blocks_in_any_company_equal_this_process():
    """Cells go out in blocks; costs tell compilation apart."""
    with Supervisor(1, LIMITS) as supervisor:
        submit(supervisor, "all", "ols", 20)
        submit(supervisor, "some", "ols", 3, first=4)
        done = {(d.ticket, d.position): d for d in supervisor.outcomes()}
    assert len(done) == 23
    for position in range(3):
        mine, theirs = (jax.tree.leaves(done[key].reply) for key in (("some", position), ("all", 4 + position)))
        assert all(a.tobytes() == b.tobytes() for a, b in zip(mine, theirs, strict=True))
    briefs = [one(BRIEF, i) for i in range(2)]
    for here, i in zip(backend_named("ols").answer(briefs, list(KEYS[:2])), range(2), strict=True):
        for a, b in zip(jax.tree.leaves(here), jax.tree.leaves(done["all", i].reply), strict=True):
            assert b.dtype == np.float32
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(np.nan_to_num(a)).max())
    assert done["all", 0].cost.compile_seconds > 0 and done["all", 15].cost == done["all", 0].cost
    assert done["all", 19].cost.compile_seconds < done["all", 0].cost.compile_seconds / 5
    assert 5e7 < done["all", 0].cost.peak_bytes < 3e9


def test_who_cannot_be_made_fails_in_every_cell_and_the_run_goes_on():
    words = {
        spec("not_a_contender"): "cannot be called with a key and a brief",
        spec("ends_when_made"): "process ended with code 5",
        "ols[order=many]": "a whole number",
    }
    with Supervisor(2, LIMITS) as supervisor:
        for name in (*words, *words, spec("honest")):
            submit(supervisor, name, name, 2)
        done = list(supervisor.outcomes())
    assert len(done) == 14
    for outcome in done:
        if outcome.ticket == spec("honest"):
            assert isinstance(outcome.reply, Answers)
        else:
            assert outcome.reply.reason == "error" and words[outcome.ticket] in outcome.reply.detail


def test_what_is_not_supported_is_not_asked(tmp_path):
    file = tmp_path / "picky.py"
    file.write_text(
        "from simbench.backends.base import python_backend\n"
        "picky = python_backend('picky', lambda key, brief: 1 / 0, supports=lambda brief: 'too small')\n"
    )
    with Supervisor(1, LIMITS) as supervisor:
        submit(supervisor, 1, f"{file}:picky", 2)
        assert [done.reply for done in supervisor.outcomes()] == 2 * [Failure("unsupported", "too small")]


def test_an_idle_host_that_dies_is_nobodys_fault():
    with Supervisor(1, LIMITS) as supervisor:
        submit(supervisor, 1, spec("honest"), 2)
        list(supervisor.outcomes())
        pid = supervisor._slots[0].host.process.pid
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)
        submit(supervisor, 2, spec("honest"), 1)
        assert all(isinstance(done.reply, Answers) for done in supervisor.outcomes())
        assert supervisor._slots[0].host.process.pid != pid


def test_a_busy_host_killed_from_outside_is_an_outcome():
    with Supervisor(1, LIMITS) as supervisor:
        submit(supervisor, 1, spec("hangs"), 1)
        while supervisor._slots[0].host is None or not supervisor._slots[0].blocks:
            assert list(supervisor.outcomes(timeout=0.05)) == []
        time.sleep(0.1)
        os.kill(supervisor._slots[0].host.process.pid, signal.SIGKILL)
        (done,) = supervisor.outcomes()
    assert done.reply == Failure("error", "process ended by signal 9 (SIGKILL)")


def test_outcomes_stop_when_time_is_up_and_leaving_does_not_wait():
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Supervisor(2, LIMITS) as supervisor:
        submit(supervisor, 1, spec("hangs"), 2)
        assert list(supervisor.outcomes(timeout=0.0)) == []
        while any(slot.host is None for slot in supervisor._slots):
            assert list(supervisor.outcomes(timeout=0.05)) == []
        pids = [slot.host.process.pid for slot in supervisor._slots]
        assert supervisor.waiting() == 2
        raise KeyboardInterrupt
    assert all(gone(pid) for pid in pids)
    assert time.monotonic() - began < 20.0


DRIVER = """
import sys, time
from simbench.backends.loading import module_of
from simbench.run.supervisor import Limits, Supervisor
from pathlib import Path
brief, keys = module_of(Path(sys.argv[1]))[0].batch(1)
with Supervisor(1, Limits(1.0, 1 << 30, first=1.0, grace=0.3)) as supervisor:
    supervisor.submit(1, sys.argv[1] + ":" + sys.argv[2], brief, keys)
    while not supervisor._slots[0].blocks:
        time.sleep(0.01)
    time.sleep(0.2)
    print(supervisor._slots[0].host.process.pid, flush=True)
    list(supervisor.outcomes())
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("number", "beast"),
    [
        (signal.SIGKILL, "hangs"),
        (signal.SIGKILL, "hangs_in_c"),  # nobody in the host can hear that the driver is gone: its own clock ends it
        (signal.SIGINT, "hangs"),
    ],
)
def test_a_driver_that_ends_takes_its_hosts_along(number, beast):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(ZOO), beast], env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with driver:
        pid = int(driver.stdout.readline())
        assert not gone(pid, 0.1)
        driver.send_signal(number)
        assert gone(pid)
        driver.wait(10)


def test_a_hosts_own_settings(tmp_path, monkeypatch):
    """One core and thread, the driver's modules, no core dumps, a limit of memory, and PYTHONPATH as it was."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "module_of_the_driver.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path / "own")
    file = tmp_path / "tells.py"
    file.write_text(
        "import os, resource, simbench, module_of_the_driver\n"
        "def tells(key, brief):\n"
        "    threads = os.environ['OMP_NUM_THREADS'] + os.environ['NPROC']\n"
        "    print(simbench.__file__, threads, os.environ.get('PYTHONPATH'),\n"
        "          len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else 1,\n"
        "          resource.getrlimit(resource.RLIMIT_CORE)[0], resource.getrlimit(resource.RLIMIT_AS)[0], sep='|')\n"
        "    return {'plan_value': [[0.0] * len(brief.questions.plans)]}\n"
    )
    with Supervisor(1, LIMITS) as supervisor:
        submit(supervisor, 1, f"{file}:tells", 1)
        (done,) = supervisor.outcomes()
    where, threads, path, core_count, dump, space = done.log.strip().split("|")
    assert Path(where) == ROOT / "simbench" / "__init__.py"
    assert (threads, core_count, dump) == ("11", "1", "0") and path == str(os.environ.get("PYTHONPATH"))
    if sys.platform == "linux":
        assert LIMITS.memory < int(space) < 4 * LIMITS.memory


def test_a_peak_is_of_the_call_and_not_of_the_parent():
    big = np.ones(400 << 20, dtype=np.uint8)  # a child's own ru_maxrss would begin with this
    with Supervisor(1, LIMITS) as supervisor:
        submit(supervisor, 1, spec("honest"), 1)
        (done,) = supervisor.outcomes()
    assert 5e7 < done.cost.peak_bytes < big.nbytes


def test_whom_a_host_serves():
    assert company("ols") == company("spend-share[]") == company("ols[order=3]@new") == ""
    assert len({company(name) for name in ("ols", spec("honest"), spec("slow"), "other-package")}) == 4
    assert company("roi-70-30-by-model[on=ols,proven=2]") == ""
    assert company("roi-70-30-by-model[on=mine.py:model]") == "roi-70-30-by-model[on=mine.py:model]"


@pytest.mark.parametrize("count", [0, 3])
def test_keys_and_briefs_must_be_as_many(count):
    supervisor = Supervisor(1, LIMITS)
    with pytest.raises(BadInput, match="one a brief"):
        supervisor.submit(1, "ols", take(BRIEF, range(2)), KEYS[:count])
    with pytest.raises(BadInput, match="brackets"):
        supervisor.submit(1, "ols[order", take(BRIEF, range(2)), KEYS[:2])
    with pytest.raises(BadInput, match="at least 1"):
        Supervisor(0, LIMITS)


# --- messages


def message(rows, count):
    """A well-formed reply about some positions."""
    good = Answers(contribution=np.ones((1, *np.shape(BRIEF.questions.windows)[1:2], 2), dtype=np.float32))
    groups = [[list(rows), stack([good] * len(rows))]] if rows else []
    failures = [[i, Failure("error", "no")] for i in range(count) if i not in rows]
    return {"groups": groups, "failures": failures, "costs": np.ones((count, 3))}


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_a_whole_message_is_read_in_order(case):
    count, rows = case
    replies, costs = read(message(sorted(rows, reverse=True), count), BRIEF, list(range(count)))
    assert [isinstance(reply, Answers) for reply in replies] == [i in rows for i in range(count)]
    assert len(costs) == count


@pytest.mark.parametrize(
    "change",
    [
        lambda m: {},
        lambda m: {**m, "failures": []},
        lambda m: {**m, "failures": 2 * m["failures"]},
        lambda m: {**m, "failures": [[7, Failure("error", "no")]]},
        lambda m: {**m, "failures": [[2, Failure("bored", "no")]]},
        lambda m: {**m, "failures": [[2, "no"]]},
        lambda m: {**m, "costs": m["costs"][:1]},
        lambda m: {**m, "costs": "cheap"},
        lambda m: {**m, "groups": [[[0, 5], m["groups"][0][1]]]},
        lambda m: {**m, "groups": [[[0, 0], m["groups"][0][1]]]},
        lambda m: {**m, "groups": 3},
    ],
)
def test_a_message_that_is_not_whole_is_refused(change):
    good = message([0, 1], 3)
    read(good, BRIEF, [0, 1, 2])
    with pytest.raises(Exception):  # noqa: B017  of any kind
        read(change(good), BRIEF, [0, 1, 2])


def test_a_wrong_answer_in_a_message_is_its_own_failure():
    whole = message([0, 1], 2)
    whole["groups"][0][1].contribution[1] = np.nan
    replies, _ = read(whole, BRIEF, [0, 1])
    assert isinstance(replies[0], Answers) and replies[1].reason == "nonfinite"


def test_spans_of_compilation_that_overlap_count_once():
    watch, now = Compiling(), time.perf_counter()
    watch._spans = [(now - 5.0, now - 4.0)]
    watch._heard("/jax/core/compile/inner", 0.5)
    watch._heard("/jax/core/compile/outer", 2.0)
    watch._heard("/jax/other", 9.0)
    assert watch.since(now - 4.5) == pytest.approx(2.5, abs=0.1)
    assert watch.since(0.0) == 0.0


def test_ends_in_words():
    assert hosts.ending(3) == "process ended with code 3"
    assert hosts.ending(-9) == "process ended by signal 9 (SIGKILL)"
