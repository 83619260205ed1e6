"""Streams, digests, cell ids."""

from __future__ import annotations

import hmac

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simbench import ids

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@given(st.binary(max_size=100), TEXT, st.integers(0, 2**40), TEXT)
def test_stream_is_hmac_of_canonical_json(master, family, replicate, stream):
    label = ids.canonical([family, replicate, stream])
    assert ids.stream_bytes(master, family, replicate, stream) == hmac.digest(master, label, "sha256")


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.integers(1, 40))
def test_reused_generator_draws_like_a_new_one(first, second, count):
    def fresh(key: bytes) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=np.frombuffer(key[:16], dtype="<u8")))

    ids.generator(first).integers(0, 7, count, dtype=np.uint32)  # leaves half-used words behind
    one, other = ids.generator(second), fresh(second)
    assert one.random() == other.random()
    assert np.array_equal(one.standard_normal(count), other.standard_normal(count))
    assert one.integers(0, 7, dtype=np.uint32) == other.integers(0, 7, dtype=np.uint32)


@given(st.binary(max_size=100), TEXT, st.lists(st.integers(0, 2**40), max_size=5), TEXT)
def test_streams_of_several_replicates_are_those_of_each(master, family, replicates, stream):
    each = [hmac.digest(master, ids.canonical([family, one, stream]), "sha256") for one in replicates]
    assert ids.streams(master, family, replicates, stream) == each


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=5))
def test_uniform_numbers_are_the_first_52_bits_of_each_stream(keys):
    assert ids.uniform(keys).tolist() == [((int.from_bytes(key[:8], "little") >> 12) + 0.5) / 2**52 for key in keys]


def test_uniform_numbers_are_inside_the_unit_interval():
    low, high = ids.uniform([b"\0" * 32, b"\xff" * 32])
    assert 0 < low < 1e-15 and 1 - 1e-15 < high < 1


def test_streams_differ_by_every_part_of_their_name():
    base = ids.stream_bytes(b"m", "clean", 0, "noise")
    others = [
        ids.stream_bytes(b"n", "clean", 0, "noise"), ids.stream_bytes(b"m", "Clean", 0, "noise"),
        ids.stream_bytes(b"m", "clean", 1, "noise"), ids.stream_bytes(b"m", "clean", 0, "noises"),
        ids.stream_bytes(b"m", 'clean",0,"', 0, "noise"),
    ]  # fmt: skip
    assert len({base, *others}) == 6


def test_digest_ignores_key_order_and_number_spelling():
    assert ids.digest({"b": 1, "a": [2.0, "x"]}) == ids.digest({"a": [2, "x"], "b": 1.0})
    assert ids.digest({"a": 1}) != ids.digest({"a": 2})


def test_not_a_number_has_no_canonical_form():
    with pytest.raises(ValueError):
        ids.canonical(float("nan"))


def test_backend_key_is_eight_bytes_of_its_own_stream():
    key = ids.backend_key(b"m", "clean", 3, "ols")
    assert key.dtype == np.uint32 and key.shape == (2,)
    assert key.tobytes() == ids.stream_bytes(b"m", "clean", 3, "backend:ols")[:8]


def test_cell_id_is_a_function_of_all_its_parts():
    parts = [("d", 0, "b"), ("e", 0, "b"), ("d", 1, "b"), ("d", 0, "c")]
    assert len({ids.cell_id(*part) for part in parts}) == 4
    assert ids.cell_id("d", 0, "b") == ids.cell_id("d", 0, "b")
