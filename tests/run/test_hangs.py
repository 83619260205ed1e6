"""Hosts that fall asleep over their work: asked once more, then a failure; nobody else is suspected."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from simbench.backends.loading import module_of
from simbench.backends.registry import NATIVE
from simbench.blocks import take
from simbench.records import Answers
from simbench.run.supervisor import Limits, Supervisor

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="sleep is told by /proc")

ZOO = Path(__file__).with_name("zoo.py")
zoo = module_of(ZOO)[0]
BRIEF, KEYS = zoo.batch(8)
LIMITS = Limits(seconds=10.0, memory=1 << 30, first=10.0, grace=0.3, sleep=0.5)


def submit(supervisor, name, count):
    supervisor.submit(name, f"{ZOO}:{name}", take(BRIEF, range(count)), KEYS[:count])


def asked(name, count, slots=1, limits=LIMITS):
    """Outcomes by position, each there once."""
    with Supervisor(slots, limits) as supervisor:
        submit(supervisor, name, count)
        done = list(supervisor.outcomes())
        assert supervisor.waiting() == 0
    assert sorted(one.position for one in done) == list(range(count))
    return sorted(done, key=lambda one: one.position)


@pytest.fixture
def native(monkeypatch):
    """Beasts in a host of simbench's own contenders."""
    names = ("sleeps", "naps", "works", "lets_work", "sleeps_once", "sleeps_then_leaves", "sleeps_when_made")
    for name in names:
        monkeypatch.setitem(NATIVE, f"{ZOO}:{name}", "")


@pytest.fixture
def mark(tmp_path, monkeypatch):
    """The file in which a beast notes that it has slept."""
    monkeypatch.setenv("ZOO_MARK", str(tmp_path / "mark"))
    return tmp_path / "mark"


def test_who_sleeps_twice_is_a_failure_that_says_where(native):
    for one in asked("sleeps", 2):
        assert one.reply.reason == "timeout"
        assert "no CPU time used for 0.5 s; the same when asked again in a fresh process" in one.reply.detail
        assert "in sleeps" in one.log and 0.5 <= one.cost.seconds < 5.0


def test_who_sleeps_when_it_is_made_fails_in_every_cell(native):
    for one in asked("sleeps_when_made", 3):
        assert one.reply.reason == "timeout" and "a fresh process" in one.reply.detail, one.reply


@pytest.mark.parametrize("slots", [1, 2])
def test_what_hung_once_is_asked_again_whole_in_a_fresh_process(native, mark, slots):
    done = asked("sleeps_once", 8, slots)
    assert all(isinstance(one.reply, Answers) for one in done), done[0].reply
    assert all(one.log.startswith("4 cells in ") for one in done)
    assert mark.read_text() not in {one.log.split()[-1] for one in done}


def test_what_hung_and_then_crashed_is_asked_cell_by_cell(native, mark):
    done = asked("sleeps_then_leaves", 4)
    assert all(isinstance(one.reply, Answers) and one.log.startswith("1 cells in ") for one in done), done[0].reply


@pytest.mark.parametrize("name", ["works", "lets_work"])
def test_who_computes_for_longer_is_not_suspected(native, name):
    (one,) = asked(name, 1)
    assert isinstance(one.reply, Answers), one.reply


def test_a_nap_below_the_limit_is_allowed(native):
    (one,) = asked("naps", 1, limits=LIMITS._replace(sleep=4.0))
    assert isinstance(one.reply, Answers), one.reply


def test_a_strangers_wait_is_no_hang():
    (one,) = asked("naps", 1)
    assert isinstance(one.reply, Answers), one.reply


def test_a_host_without_work_may_sleep(native):
    with Supervisor(1, LIMITS) as supervisor:
        pids = []
        for _ in range(2):
            submit(supervisor, "works", 1)
            pids += [int(one.log) for one in supervisor.outcomes()]
            time.sleep(3 * LIMITS.sleep)
    assert len(pids) == 2 and pids[0] == pids[1]


def test_a_host_that_was_stopped_goes_on_where_it_was(native):
    with Supervisor(1, LIMITS) as supervisor:
        submit(supervisor, "works", 1)
        while supervisor._slots[0].host is None or not supervisor._slots[0].blocks:
            assert list(supervisor.outcomes(timeout=0.05)) == []
        pid = supervisor._slots[0].host.process.pid
        os.kill(pid, signal.SIGSTOP)
        assert list(supervisor.outcomes(timeout=3 * LIMITS.sleep)) == []
        os.kill(pid, signal.SIGCONT)
        (one,) = supervisor.outcomes()
    assert isinstance(one.reply, Answers) and int(one.log) == pid, one.reply
