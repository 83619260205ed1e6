"""Blocks on disk: whole or not there, found by their names, never different from what was written."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from simbench.codec import pack, unpack
from simbench.errors import BadInput, Damaged
from simbench.records import Answers, Cost, Failure, Labels, Optimum, Sizes
from simbench.run import store
from simbench.run.cells import Worlds, keep_worlds, stored_worlds

ROOT = Path(__file__).resolve().parents[2]
CONTENT = {
    "numbers": np.arange(6, dtype=np.float32).reshape(2, 3),
    "answers": Answers(contribution=np.ones((4, 2, 3)), response=(np.zeros((4, 3, 5)), np.ones((4, 3, 5)))),
    "failures": {"3": Failure("timeout", "took longer than 5 s")},
    "list": [1, 2.5, "three", None, True, (4, 5)],
    "cost": Cost(np.array([0.1]), np.array([np.nan]), np.array([1e9])),
    "sizes": Sizes(26, 14, 256),
}


def same(one, other):
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@given(st.sets(st.integers(0, 10_000), min_size=1, max_size=32))
def test_names_tell_the_replicates(numbers):
    assert store.numbers(store.ranges(sorted(numbers))) == tuple(sorted(numbers))
    assert len(store.ranges(sorted(numbers))) < 200


def test_a_block_comes_back_as_it_was(tmp_path):
    place = store.write(tmp_path, [0, 1, 2, 7], CONTENT)
    assert place.name.startswith("0-2_7.")
    assert same(store.read(place), CONTENT)
    assert store.shelf(tmp_path) == dict.fromkeys([0, 1, 2, 7], place)
    assert [file.name for file in tmp_path.iterdir()] == [place.name]


def test_a_replicate_in_two_blocks_is_read_from_one(tmp_path):
    one, two = store.write(tmp_path, [0, 1], {"x": 1}), store.write(tmp_path, [1, 2], {"x": 2})
    found = store.shelf(tmp_path)
    assert found == {0: one, 1: one, 2: two}


@given(data=st.data())
@settings(max_examples=300)
def test_damage_is_found(tmp_path_factory, data):
    """A changed, cut or lengthened block is an error and set aside; it never reads differently."""
    folder = tmp_path_factory.mktemp("damage")
    place = store.write(folder, [0], CONTENT)
    whole = place.read_bytes()
    kind = data.draw(st.sampled_from(["flip", "cut", "longer"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    spoilt = {
        "flip": whole[:at] + bytes([whole[at] ^ (1 << data.draw(st.integers(0, 7)))]) + whole[at + 1 :],
        "cut": whole[:at],
        "longer": whole + b"x",
    }[kind]
    place.write_bytes(spoilt)
    with pytest.raises(Damaged, match="not what was written"):
        store.read(place)
    assert store.shelf(folder) == {}


@given(st.binary(max_size=400))
def test_bytes_from_elsewhere_are_refused(content):
    with pytest.raises(BadInput):
        unpack(content)


@given(st.integers(0, 10_000), st.integers(0, 7))
@settings(max_examples=200)
def test_a_flipped_bit_of_packed_records_is_an_error_or_nothing(at, bit):
    whole = pack(CONTENT)
    at %= len(whole)
    try:
        read = unpack(whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :])
    except BadInput:
        return
    assert same(read, CONTENT)


def test_objects_are_not_packed():
    with pytest.raises(BadInput, match="arrays of numbers"):
        pack({"x": np.array([object()])})


def test_worlds_stored_before_a_field_was_kept_are_read_alone_and_not_joined(tmp_path):
    """Truths of an earlier day lack what no money brings: alone they are read, beside newer ones drawn anew."""
    labels = Labels((), (), (), 0, (), (), (), (), "revenue")

    def keep(replicates, **more):
        best = Optimum(*(np.arange(2.0) for _ in range(9)), **more)
        keep_worlds(tmp_path, Worlds(replicates, Cost(*(np.ones(2),) * 3), best, labels))  # type: ignore[arg-type]

    keep((0, 1))
    keep((2, 3), reference_kpi=np.zeros(2), idle_kpi=np.arange(2.0))
    assert stored_worlds(tmp_path, (1, 0)).truth.idle_kpi is None
    np.testing.assert_array_equal(stored_worlds(tmp_path, (3,)).truth.idle_kpi, [1])
    assert stored_worlds(tmp_path, (1, 2)) is None


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    """A write that ends half-way is one clear error: no final name, no litter, and later writes work."""
    program = (
        "import resource, signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from simbench.run import store\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n    store.write(Path(sys.argv[1]), [0], {'x': np.zeros(100_000)})\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
        "print(store.write(Path(sys.argv[1]), [1], {'x': np.zeros(10)}).name)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], env=environment, capture_output=True, text=True
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("BadInput") and "cannot be written (File too large)" in first, done
    assert [file.name for file in tmp_path.iterdir()] == [second]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 20_000


class Shelf(RuleBasedStateMachine):
    """A shelf under writing, damage, half-written files and re-reading, against a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.home = tempfile.TemporaryDirectory()
        self.folder = Path(self.home.name)
        self.truth: dict[int, float] = {}

    def teardown(self) -> None:
        self.home.cleanup()

    @rule(numbers=st.sets(st.integers(0, 40), min_size=1, max_size=8))
    def write(self, numbers: set[int]) -> None:
        missing = sorted(set(numbers) - set(store.shelf(self.folder)))
        if missing:
            store.write(self.folder, missing, {str(n): n * 1.5 for n in missing})
            self.truth |= {n: n * 1.5 for n in missing}

    @rule(number=st.integers(0, 40))
    def die_while_writing(self, number: int) -> None:
        (self.folder / f".{number}.0123456789abcdef.npz.77.partial").write_bytes(b"half")

    @rule(number=st.integers(0, 40), at=st.integers(0, 10_000))
    def damage(self, number: int, at: int) -> None:
        place = store.shelf(self.folder).get(number)
        if place is not None:
            content = bytearray(place.read_bytes())
            content[at % len(content)] ^= 1
            place.write_bytes(bytes(content))
            lost = store.numbers(place.name.split(".")[0])
            with pytest.raises(Damaged):
                store.read(place)
            for n in lost:
                del self.truth[n]

    @invariant()
    def holds_what_was_written(self) -> None:
        found = store.shelf(self.folder)
        assert set(found) == set(self.truth)
        for n, place in found.items():
            assert store.read(place)[str(n)] == self.truth[n]


TestShelf = Shelf.TestCase
TestShelf.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
