"""Contenders that misbehave, loaded by path: each does one thing that must not break a run."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from simbench.backends.base import Backend, everything
from simbench.backends.contender import Contender
from simbench.briefs import brief_from_table, stack
from simbench.records import Failure
from simbench.run.hosts import HEADER, MARK


def honest(key, brief):
    """Numbers that depend on the key and on the brief."""
    draws = np.random.default_rng(key).normal(size=(3, *brief.questions.windows.shape[:1], len(brief.context.kind)))
    return {"contribution": draws * brief.context.kpi_scale}


def raises(key, brief):
    raise RuntimeError("no")


def quits(key, brief):
    sys.exit(7)


def leaves(key, brief):
    os._exit(3)


def kills_itself(key, brief):
    print("the last words")
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def crashes(key, brief):
    ctypes.string_at(0)


def hangs(key, brief):
    while True:
        pass


def hangs_in_c(key, brief):
    """Holds the interpreter's lock, and does not hear SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctypes.PyDLL(None).sleep(1000)


def takes_memory(key, brief):
    return {"contribution": np.ones(4 << 30, dtype=np.uint8)}


def prints_much(key, brief):
    """1 GB; from the second world on only a part of it, and then no answer."""
    line = b"x" * (1 << 20)
    for _ in range(64 if key[0] else 1024):
        os.write(1, line)
    return raises(key, brief) if key[0] else honest(key, brief)


def answers_nan(key, brief):
    return {"contribution": honest(key, brief)["contribution"] * np.nan}


def answers_inf(key, brief):
    return {"contribution": honest(key, brief)["contribution"] + np.inf}


def answers_beyond_float32(key, brief):
    return {"contribution": honest(key, brief)["contribution"] * 1e300}


def wrong_shape(key, brief):
    return {"contribution": honest(key, brief)["contribution"][..., :-1]}


def too_many_draws(key, brief):
    return {"contribution": np.zeros((10**5, *honest(key, brief)["contribution"].shape[1:]))}


def unknown_field(key, brief):
    return {"contributions": honest(key, brief)["contribution"]}


def complex_numbers(key, brief):
    return {"contribution": honest(key, brief)["contribution"] * 1j}


def objects(key, brief):
    return {"contribution": honest(key, brief)["contribution"].astype(object)}


def strange_failure(key, brief):
    return Failure("laziness", "x" * 10**6)


def leaves_a_child(key, brief):
    """The child says who it is, so that a test can look for it."""
    child = subprocess.Popen(["sleep", "600"])
    print(f"child {child.pid}")
    return honest(key, brief)


def write_everywhere(content):
    for descriptor in range(3, 64):
        with suppress(OSError):
            os.write(descriptor, content)


def scribbles(key, brief):
    """Writes to every descriptor it finds."""
    write_everywhere(b"garbage " * 100)
    return honest(key, brief)


def forges(key, brief):
    """Writes a message that looks right and is not what was asked for."""
    write_everywhere(HEADER.pack(MARK, 0, 0))
    return honest(key, brief)


def scribbles_late(key, brief):
    """Has answered when it begins to write."""

    def late():
        time.sleep(0.05)
        scribbles(key, brief)

    threading.Thread(target=late, daemon=True).start()
    return honest(key, brief)


def closes_stdout(key, brief):
    sys.stdout.close()
    os.close(1)
    return honest(key, brief)


def closes_everything(key, brief):
    os.closerange(3, 64)
    return honest(key, brief)


def changes_the_process(key, brief):
    """What it changes would be felt by whoever is asked next in its process."""
    from simbench.backends import baselines

    baselines.RETENTIONS = (0.9,)
    return honest(key, brief)


def sleeps(key, brief):
    """As a program does whose threads wait for one another."""
    time.sleep(1000)


def naps(key, brief):
    """Waits a while, as for a service."""
    time.sleep(1.2)
    return honest(key, brief)


def works(key, brief):
    """Uses CPU time for a while; says in which process."""
    print(os.getpid())
    end = time.process_time() + 1.2
    while time.process_time() < end:
        pass
    return honest(key, brief)


def lets_work(key, brief):
    """Sleeps while a program that it started computes."""
    code = "import time\nwhile time.process_time() < 1.2: pass"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
    return honest(key, brief)


def _in_fours(name, answer):
    """A backend that is asked about four cells at once."""
    return Backend(name, "1", {}, answer, 4, everything, frozenset(), frozenset())


def _sleep_the_first_time():
    """The file named by the environment says that somebody slept already, and who."""
    mark = Path(os.environ["ZOO_MARK"])
    if not mark.exists():
        mark.write_text(str(os.getpid()))
        time.sleep(1000)


def _sleeps_once(briefs, keys):
    _sleep_the_first_time()
    print(f"{len(briefs)} cells in {os.getpid()}")
    return [honest(key, brief) for key, brief in zip(keys, briefs, strict=True)]


def _sleeps_then_leaves(briefs, keys):
    """Ends its process unless it is asked about one alone."""
    _sleep_the_first_time()
    return os._exit(3) if len(briefs) > 1 else _sleeps_once(briefs, keys)


sleeps_once = _in_fours("sleeps_once", _sleeps_once)
sleeps_then_leaves = _in_fours("sleeps_then_leaves", _sleeps_then_leaves)


def slow(key, brief):
    """Says in which process it is."""
    print(os.getpid())
    time.sleep(0.3)
    return honest(key, brief)


HELD = []


def grows(key, brief):
    """Keeps 50 MB a cell."""
    print(os.getpid())
    HELD.append(np.ones(50 << 20, dtype=np.uint8))
    return honest(key, brief)


def strange(key, brief):
    """One of many wrong answers, by the first number of the key."""
    return WRONG[int(key[0])](key, brief)


def sometimes(key, brief):
    """Does what the first number of the key says."""
    return (honest, raises, leaves, hangs, answers_nan, honest)[int(key[0]) % 6](key, brief)


WRONG = (
    honest, raises, quits, answers_nan, answers_inf, answers_beyond_float32, wrong_shape, too_many_draws,
    unknown_field, complex_numbers, objects, strange_failure, takes_memory,
)  # fmt: skip


def not_a_contender(key):
    """Takes no brief."""


sleeps_when_made = Contender("sleeps_when_made", "sleeps before it can be asked", lambda: time.sleep(1000))
ends_when_made = Contender("ends_when_made", "ends its process before it is asked anything", lambda: os._exit(5))


def batch(count, weeks=30):
    """Briefs of made-up data and a key each."""
    import pandas as pd

    random = np.random.default_rng(5)
    briefs = []
    for _ in range(count):
        table = pd.DataFrame({"date": pd.date_range("2023-01-02", periods=weeks, freq="7D")})
        table["kpi"] = random.uniform(500, 900, weeks)
        table["tv"], table["radio"] = random.uniform(0, 100, (2, weeks))
        briefs.append(brief_from_table(table, date="date", kpi="kpi", spend=["tv", "radio"])[0])
    return stack(briefs), np.stack([np.arange(count), np.arange(count) + 7], axis=1).astype(np.uint32)
