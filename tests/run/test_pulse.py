"""Who computes and who sleeps: looked up of real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from simbench.run.pulse import LOOKS, Pulse, signs

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")

LIMIT = 0.4
SLEEP = "import time; print(flush=True); time.sleep(60)"
THREADS = "import threading, time\ndef spin():\n    while True: pass\n"
#: Something that computes, seen from a process whose own thread sleeps.
BUSY = {
    "itself": "print(flush=True)\nwhile True: pass",
    "a thread": THREADS + "threading.Thread(target=spin, daemon=True).start()\n" + SLEEP,
    "a child": "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'while True: pass'])\n" + SLEEP,
}


@contextmanager
def running(code):
    """A Python program in a session of its own, from when it prints something."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    with process:
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def hung(pid, seconds, limit=LIMIT):
    """Whether it is ever said to have hung, looking often."""
    pulse, until = Pulse(pid, limit), time.monotonic() + seconds
    while time.monotonic() < until:
        if pulse.hung():
            return True
        time.sleep(limit / LOOKS / 4)
    return False


def test_a_sleeping_process_has_hung_when_the_time_is_up_and_not_before():
    with running(SLEEP) as pid:
        assert not hung(pid, 0.8 * LIMIT)
        began = time.monotonic()
        assert hung(pid, 20 * LIMIT) and time.monotonic() - began >= LIMIT


@pytest.mark.parametrize("who", BUSY)
def test_whoever_computes_keeps_it_alive(who):
    with running(BUSY[who]) as pid:
        assert not hung(pid, 3 * LIMIT)


def test_one_that_was_stopped_is_not_blamed():
    with running(SLEEP) as pid:
        os.kill(pid, signal.SIGSTOP)
        while signs(pid)[1] is False:
            time.sleep(0.01)
        assert not hung(pid, 3 * LIMIT)
        os.kill(pid, signal.SIGCONT)
        assert hung(pid, 20 * LIMIT)


def test_a_long_time_between_two_looks_counts_as_a_short_one():
    with running(SLEEP) as pid:
        pulse = Pulse(pid, 0.1)
        for _ in range(3):
            time.sleep(0.2)
            assert not pulse.hung()


def test_nobody_hangs_where_nothing_can_be_read():
    with running(SLEEP) as pid:
        pass
    assert not hung(pid, 3 * LIMIT)


def test_cpu_time_is_that_of_the_process_and_of_all_it_started():
    child = "import time\nwhile time.process_time() < 0.5: pass"
    with running(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])\n{SLEEP}") as pid:
        spent, _ = signs(pid)
    assert spent / os.sysconf("SC_CLK_TCK") >= 0.45
