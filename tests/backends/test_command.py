"""Programs as contenders: what they answer, how they fail, and that nothing of them stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from protocol import small

from simbench.backends.command import command_backend, from_command
from simbench.errors import BadInput
from simbench.records import Answers, Failure

ROOT = Path(__file__).resolve().parent.parent.parent
BRIEFS = [small.brief(seed)[0] for seed in range(5)]
KEYS = [small.key(seed) for seed in range(5)]

#: Answers every brief by the sum of its KPI; tests put their own ends to it.
HEAD = """
import os, subprocess, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from simbench.client import arguments, read_task, unsupported, write_answer
task, answers = arguments()
calls = Path({calls!r})
with open(calls, "a") as file:
    file.write("call %d\\n" % len(list(task.iterdir())))
call = len(calls.read_text().splitlines())
briefs = list(read_task(task))
def answer(brief):
    write_answer(answers, brief.id, contribution={{name: brief.kpi.sum() + c for c, name in enumerate(brief.channels)}})
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A backend of a program's text; a second value counts its calls."""
    monkeypatch.setenv("PYTHONPATH", "")
    calls = tmp_path / "calls"

    def made(text: str, **options):
        file = tmp_path / "program.py"
        file.write_text(HEAD.format(root=str(ROOT), calls=str(calls)) + textwrap.dedent(text))
        return command_backend("program", [sys.executable, str(file)], **options)

    made.calls = lambda: len(calls.read_text().splitlines()) if calls.exists() else 0
    return made


def right(answers, brief) -> bool:
    return isinstance(answers, Answers) and np.allclose(
        answers.contribution[0, 0] - np.arange(3), brief.panel.kpi.sum()
    )


def gone(process: int) -> bool:
    """A process has ended (one that nobody has waited for yet counts)."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_answers_come_back_in_order(program):
    backend = program("for brief in reversed(briefs): answer(brief)")
    assert all(right(a, b) for a, b in zip(backend.answer(BRIEFS, KEYS), BRIEFS, strict=True))
    assert program.calls() == 1


def test_a_call_holds_a_block(program):
    backend = program("for brief in briefs: answer(brief)", block=2)
    assert backend.block == 2
    assert all(right(a, b) for a, b in zip(backend.answer(BRIEFS, KEYS), BRIEFS, strict=True))
    assert program.calls() == 3


def test_a_brief_is_the_same_in_any_company(program):
    backend = program("""
        for brief in briefs:
            told = brief.seed + sum(map(ord, brief.id))
            write_answer(answers, brief.id, contribution={name: told for name in brief.channels})
    """)
    together = backend.answer(BRIEFS[:3], KEYS[:3])
    alone = [*backend.answer(BRIEFS[:1], KEYS[:1]), *backend.answer(BRIEFS[1:3], KEYS[1:3])]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.contribution, other.contribution)


def test_64_is_unsupported_with_its_reason(program):
    backend = program("print('loading', file=sys.stderr); unsupported('no monthly data')")
    assert backend.answer(BRIEFS[:2], KEYS[:2]) == [Failure("unsupported", "no monthly data")] * 2
    assert program.calls() == 1


def test_another_code_is_an_error_after_a_second_call(program):
    backend = program("print('first'); print('why it failed', file=sys.stderr); sys.exit(3)")
    (failure,) = backend.answer(BRIEFS[:1], KEYS[:1])
    assert failure == Failure("error", "the program ended with code 3: why it failed")
    assert program.calls() == 2


def test_answers_before_a_crash_count_and_the_others_are_sent_again(program):
    backend = program("""
        for n, brief in enumerate(briefs):
            answer(brief)
            if call == 1 and n == 1:
                os.abort()
    """)
    assert all(right(a, b) for a, b in zip(backend.answer(BRIEFS, KEYS), BRIEFS, strict=True))
    assert program.calls() == 2


def test_later_calls_hold_only_what_is_missing(program, tmp_path):
    backend = program("answer(briefs[0]); sys.exit(1)")
    replies = backend.answer(BRIEFS, KEYS)
    assert [right(a, b) for a, b in zip(replies, BRIEFS)] == [True] * 5
    # a task folder holds task.json, README.txt and a folder a brief; after two calls each brief goes alone
    assert (tmp_path / "calls").read_text().splitlines() == ["call 7", "call 6", "call 3", "call 3", "call 3"]


def test_a_program_that_answers_nobody_is_not_asked_about_everybody(program, tmp_path):
    backend = program("sys.exit(1)")
    replies = backend.answer(BRIEFS, KEYS)
    assert {reply.detail for reply in replies} == {"the program ended with code 1 and no message"}
    assert len((tmp_path / "calls").read_text().splitlines()) == 3


def test_no_answer_and_no_fault_is_an_error(program):
    backend = program("answer(briefs[0])")
    replies = backend.answer(BRIEFS[:2], KEYS[:2])
    assert right(replies[0], BRIEFS[0])
    assert replies[1] == Failure("error", "the program ended well, but left no answer to this brief")
    assert program.calls() == 1


def test_a_killed_program_says_by_what(program):
    backend = program("os.kill(os.getpid(), 9)")
    assert backend.answer(BRIEFS[:1], KEYS[:1]) == [
        Failure("error", "the program was ended by signal 9 and no message")
    ]


def test_garbage_on_its_outputs_does_no_harm(program):
    backend = program("""
        for brief in briefs: answer(brief)
        for stream in (1, 2):
            os.write(stream, bytes(range(256)) * 4000)
        os.write(2, b"x" * 100000 + b"\\n\\x1b[2Jlast\\n")
        if len(briefs) == 1: os.unlink(answers / (briefs[0].id + ".csv")); sys.exit(5)
    """)
    assert all(right(a, b) for a, b in zip(backend.answer(BRIEFS, KEYS), BRIEFS, strict=True))
    (failure,) = backend.answer(BRIEFS[:1], KEYS[:1])
    assert failure.detail.endswith("[2Jlast") and failure.detail.isprintable() and len(failure.detail) < 2000


def test_a_hostile_answer_is_a_failure_of_its_own(program):
    backend = program("""
        for brief in briefs: answer(brief)
        (answers / (briefs[1].id + ".csv")).write_bytes(b"\\0" * 99)
        (answers / (briefs[2].id + ".csv")).unlink()
        os.mkfifo(answers / (briefs[2].id + ".csv"))
    """)
    replies = backend.answer(BRIEFS, KEYS)
    assert [right(a, b) for a, b in zip(replies, BRIEFS)] == [True, False, False, True, True]
    assert "is NUL" in replies[1].detail and "is no file" in replies[2].detail


SLEEPER = """
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path({pids!r}).write_text("%d %d" % (os.getpid(), child.pid))
answer(briefs[0])
"""


def test_too_long_is_a_timeout_and_leaves_no_orphan(program, tmp_path):
    pids = tmp_path / "pids"
    backend = program(SLEEPER.format(pids=str(pids)) + "\ntime.sleep(600)", seconds=1.5, grace=0.2)
    replies = backend.answer(BRIEFS[:2], KEYS[:2])
    assert right(replies[0], BRIEFS[0]) and replies[1] == Failure("timeout", "the program took longer than 1.5 s")
    assert all(gone(int(pid)) for pid in pids.read_text().split())
    assert program.calls() == 1


def test_a_program_may_use_the_grace_to_end_well(program):
    backend = program(
        """
        import signal
        def end(*_):
            for brief in briefs: answer(brief)
            sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        time.sleep(600)
        """,
        seconds=1.5,
        grace=20.0,
    )
    assert right(backend.answer(BRIEFS[:1], KEYS[:1])[0], BRIEFS[0])


def test_what_it_leaves_running_is_ended_and_not_heard(program, tmp_path):
    pids, late = tmp_path / "pids", "import sys, time; time.sleep(0.3); open(sys.argv[1], 'w').write('channel')"
    backend = program(f"""
        child = subprocess.Popen([sys.executable, "-c", {late!r}, str(answers / (briefs[1].id + ".csv"))])
        Path({str(pids)!r}).write_text(str(child.pid))
        answer(briefs[0])
    """)
    replies = backend.answer(BRIEFS[:2], KEYS[:2])
    assert right(replies[0], BRIEFS[0]) and "left no answer" in replies[1].detail
    assert gone(int(pids.read_text()))


def test_it_ends_with_whoever_started_it(program, tmp_path):
    """Even one who is killed and can do nothing about it."""
    pids = tmp_path / "pids"
    program(SLEEPER.format(pids=str(pids)) + "\ntime.sleep(600)")
    host = tmp_path / "host.py"
    host.write_text(
        "import sys\nfrom protocol import small\nfrom simbench.backends.command import command_backend\n"
        "command_backend('x', [sys.executable, sys.argv[1]]).answer([small.brief(0)[0]], [small.key(0)])\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    process = subprocess.Popen([sys.executable, str(host), str(tmp_path / "program.py")], env=environment)
    try:
        for _ in range(600):
            if pids.exists() and len(pids.read_text().split()) == 2:
                break
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_an_interruption_ends_it(program, tmp_path, monkeypatch):
    pids = tmp_path / "pids"
    backend = program(SLEEPER.format(pids=str(pids)) + "\ntime.sleep(600)")

    def interrupt():
        while not (pids.exists() and len(pids.read_text().split()) == 2):
            time.sleep(0.02)
        while not all(gone(int(pid)) for pid in pids.read_text().split()):  # a busy interpreter can lose one: again
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(30)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        backend.answer(BRIEFS[:1], KEYS[:1])
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_it_sees_a_clean_environment_and_neutral_names(program, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    seen = tmp_path / "seen"
    backend = program(f"""
        import json
        brief, home = briefs[0], os.listdir(os.environ["HOME"])
        told = dict(os.environ), brief.channels, brief.geos, list(brief.controls), home
        Path({str(seen)!r}).write_text(json.dumps(told))
        answer(briefs[0])
    """)
    backend.answer(BRIEFS[:1], KEYS[:1])
    environment, channels, geos, controls, home = json.loads(seen.read_text())
    assert set(environment) - {"LC_CTYPE"} <= {"PATH", "HOME", "LANG", "PYTHONPATH"}  # Python itself sets LC_CTYPE
    assert environment["HOME"] != os.environ.get("HOME") and home == []
    assert channels == ["channel-1", "channel-2", "channel-3"] and geos == ["national"] and controls == ["control-1"]


def test_a_program_that_is_not_there(tmp_path):
    (failure,) = command_backend("x", [str(tmp_path / "nothing")]).answer(BRIEFS[:1], KEYS[:1])
    assert failure.reason == "error" and "No such file" in failure.detail


# --- by name


def test_a_command_is_named_by_its_script_and_known_by_its_bytes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text("one")
    one = from_command(f"command:{sys.executable} model.py --depth 'a b'")
    assert one.name == "model" and "command" in one.tags
    assert one.spec == f"command:{sys.executable} {tmp_path / 'model.py'} --depth 'a b'"
    monkeypatch.chdir("/")
    again = from_command(one.spec)
    assert (again.name, again.config, again.code, again.spec) == (one.name, one.config, one.code, one.spec)
    (tmp_path / "model.py").write_text("two")
    assert from_command(one.spec).code != one.code
    assert from_command(one.spec.replace("a b", "c")).config != one.config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("command:", "names no program"),
        ("command:'open", "no closing quotation"),
        ("command:no-such-program-here x", "program 'no-such-program-here' is not there"),
    ],
)
def test_a_command_that_is_none(text, message):
    with pytest.raises(BadInput, match=message):
        from_command(text)


def test_a_program_needs_words():
    with pytest.raises(BadInput, match="no program is named"):
        command_backend("x", [])
    with pytest.raises(BadInput, match="one key a brief"):
        command_backend("x", ["y"]).answer(BRIEFS, KEYS[:1])


@pytest.mark.slow
def test_the_example_does_an_honest_job(monkeypatch):
    """On the control it is closer to the truth than what everybody believes beforehand, and feasible."""
    from simbench.world.truth import draw

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    drawn = draw("clean", 8)
    keys = [small.key(number) for number in range(8)]
    backend = from_command(f"command:{sys.executable} {ROOT / 'examples' / 'vendor_backend.py'}")
    replies = backend.answer(drawn.briefs, keys)
    errors, believed, covered = [], [], []
    for reply, brief, truth in zip(replies, drawn.briefs, drawn.truths, strict=True):
        true, context = truth.answers.contribution[0], brief.context
        prior = context.prior_roas_mean * brief.panel.spend.sum(axis=(0, 1)) / context.unit_value
        low, median, high = np.quantile(reply.contribution[:, 0], [0.05, 0.5, 0.95], axis=0)
        errors.append(np.abs(median - true).sum() / np.abs(true).sum())
        believed.append(np.abs(prior - true).sum() / np.abs(true).sum())
        covered.append(((true >= low) & (true <= high)).mean())
        assert reply.allocation[0].sum() == pytest.approx(brief.questions.problems[0].budget[0])
    assert np.mean(errors) < 0.9 * np.mean(believed) and np.mean(covered) > 0.4
