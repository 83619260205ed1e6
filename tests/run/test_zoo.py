"""Contenders that misbehave: each cell gets its own outcome, and nobody else's changes."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import jax
import numpy as np
import pytest

from simbench.backends.loading import module_of
from simbench.blocks import take
from simbench.records import Answers, Failure
from simbench.run.supervisor import Limits, Supervisor

ZOO = Path(__file__).with_name("zoo.py")
zoo = module_of(ZOO)[0]
BRIEF, KEYS = zoo.batch(16)
PATIENT = Limits(seconds=30.0, memory=1 << 30, first=120.0, grace=0.3)
HURRIED = Limits(seconds=0.7, memory=1 << 30, first=0.5, grace=0.3)
TAME = {"ols": 6, "honest": 16}
#: Beast -> cells asked about. `scribbles_late` harms whoever is next in its host.
BEASTS = {
    "leaves": 2, "kills_itself": 2, "crashes": 1, "prints_much": 2, "leaves_a_child": 1, "scribbles": 1,
    "forges": 1, "scribbles_late": 3, "closes_stdout": 2, "closes_everything": 1,
    "strange": len(zoo.WRONG),
}  # fmt: skip


def asked(batches, limits, slots=2):
    """(ticket, position) -> Done; every ticket is the name of a backend."""
    done = {}
    with Supervisor(slots, limits) as supervisor:
        for name, count in batches.items():
            spec = name if name == "ols" else f"{ZOO}:{name}"
            supervisor.submit(name, spec, take(BRIEF, range(count)), KEYS[:count])
        for one in supervisor.outcomes():
            assert (one.ticket, one.position) not in done
            done[one.ticket, one.position] = one
        assert supervisor.waiting() == 0
    assert Counter(name for name, _ in done) == batches
    return done


def same(one, other):
    """Two replies are equal to the last bit."""
    mine, theirs = (jax.tree.flatten(reply) for reply in (one.reply, other.reply))
    return isinstance(one.reply, Answers) and mine[1] == theirs[1] and all(
        a.dtype == b.dtype == np.float32 and a.tobytes() == b.tobytes() for a, b in zip(mine[0], theirs[0], strict=True)
    )  # fmt: skip


def gone(pid):
    """No process has this number, or only its remains."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture(scope="module")
def quiet():
    return asked(TAME, PATIENT)


@pytest.fixture(scope="module")
def wild():
    # the tame ones last: every beast has been in a slot before them or beside them
    return asked({**BEASTS, **TAME}, PATIENT)


def test_the_tame_ones_do_not_notice(quiet, wild):
    for name, count in TAME.items():
        for position in range(count):
            assert same(quiet[name, position], wild[name, position]), (name, position)


def test_a_stranger_has_a_process_of_its_own(quiet):
    done = asked({"changes_the_process": 1, "ols": 2}, PATIENT, slots=1)
    assert same(done["changes_the_process", 0], quiet["honest", 0])
    assert same(done["ols", 0], quiet["ols", 0]) and same(done["ols", 1], quiet["ols", 1])


@pytest.mark.parametrize(
    ("beast", "words"),
    [
        ("leaves", "process ended with code 3"),
        ("kills_itself", "process ended by signal 9"),
        ("crashes", "process ended by signal 11"),
        ("scribbles", "answered nonsense"),
        ("forges", "answered nonsense"),
        ("closes_everything", "process ended"),
    ],
)
def test_who_ends_its_process_fails_in_every_cell(wild, beast, words):
    for position in range(BEASTS[beast]):
        reply = wild[beast, position].reply
        assert isinstance(reply, Failure) and reply.reason == "error" and words in reply.detail, reply


def test_the_last_words_are_kept(wild):
    assert "the last words" in wild["kills_itself", 1].log
    assert "Segmentation fault" in wild["crashes", 0].log and "in crashes" in wild["crashes", 0].log


@pytest.mark.parametrize("beast", ["prints_much", "leaves_a_child", "closes_stdout", "scribbles_late"])
def test_who_answers_well_is_taken_at_its_word(wild, quiet, beast):
    assert same(wild[beast, 0], quiet["honest", 0])


def test_much_that_is_printed_is_dropped(wild):
    assert 0 < len(wild["prints_much", 0].log) < 1 << 13
    assert len(wild["prints_much", 1].log) == 1 << 16


def test_a_child_left_behind_is_ended(wild):
    child = int(wild["leaves_a_child", 0].log.split()[1])
    assert gone(child)


WRONG = [
    ("raises", "error", "RuntimeError: no"),
    ("quits", "error", "SystemExit: 7"),
    ("answers_nan", "nonfinite", "contribution is not finite"),
    ("answers_inf", "nonfinite", "contribution is not finite"),
    ("answers_beyond_float32", "nonfinite", "beyond the range of float32"),
    ("wrong_shape", "error", "contribution has shape"),
    ("too_many_draws", "error", "100000 draws"),
    ("unknown_field", "error", "did you mean 'contribution'?"),
    ("complex_numbers", "error", "not an array of real numbers"),
    ("objects", "error", "not an array of real numbers"),
    ("strange_failure", "error", "xxx"),
    ("takes_memory", "memory", "allocate"),
]


@pytest.mark.parametrize(("name", "reason", "words"), WRONG)
def test_wrong_answers_say_what_is_wrong(wild, name, reason, words):
    position = [beast.__name__ for beast in zoo.WRONG].index(name)
    reply = wild["strange", position].reply
    assert isinstance(reply, Failure) and reply.reason == reason and words in reply.detail, reply
    assert len(reply.detail) <= 2000


def test_every_wrong_answer_is_tried():
    assert ["honest", *(name for name, _, _ in WRONG)] == [beast.__name__ for beast in zoo.WRONG]


def test_a_beast_for_some_worlds_only(quiet):
    done = asked({"sometimes": 12}, HURRIED)
    for position in range(12):
        reply = done["sometimes", position].reply
        match position % 6:
            case 0 | 5:
                assert isinstance(reply, Answers)
            case 1:
                assert reply == Failure("error", "RuntimeError: no")
            case 2:
                assert reply == Failure("error", "process ended with code 3")
            case 3:
                assert reply.reason == "timeout"
            case 4:
                assert reply.reason == "nonfinite"
    for position in (0, 5, 6, 11):
        assert same(done["sometimes", position], quiet["honest", position])


def test_who_hangs_is_ended_in_time_and_says_where():
    done = asked({"hangs": 1, "hangs_in_c": 1}, HURRIED)
    for (name, _), one in done.items():
        assert one.reply.reason == "timeout" and one.cost.seconds < 5.0, name
    assert "in hangs" in done["hangs", 0].log


def test_nothing_is_left_running(wild):
    mine = str(os.getpid())
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rpartition(")")[2].split()[1]
            words = stat.with_name("cmdline").read_bytes()
        except OSError:
            continue
        assert not (parent == mine and b"simbench.run.worker" in words)
