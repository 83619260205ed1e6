"""Traced programs kept on disk: another process takes them, and nobody takes the wrong one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simbench.backends import registry, traced
from simbench.blocks import in_float32, in_float64
from simbench.records import Sizes

X = {"a": np.linspace(0.0, 1.0, 5), "b": (np.arange(3), None)}


@pytest.fixture
def folder(tmp_path):
    traced.keep_in(tmp_path / "traced")
    yield tmp_path / "traced"
    traced.keep_in(None)


@traced.known
class Pair(NamedTuple):
    """A record of a test."""

    first: Any
    second: Any


class Counted:
    """A program that counts how often it was traced."""

    def __init__(self, factor=2.0):
        self.factor, self.count = factor, 0

    def __call__(self, x, size):
        self.count += 1
        return {"sum": self.factor * x["a"].sum() + x["b"][0], "sine": Pair(jnp.sin(x["a"]), None)}, size.draws


def called(program, *what, precision=in_float64, x=X, sizes=(1, 2, 3)):
    return precision(traced.traced(program, *what), x, Sizes(*sizes))


def expected(factor=2.0):
    return {"sum": factor * 2.5 + np.arange(3), "sine": Pair(np.sin(X["a"]), None)}, np.array(3)


def test_a_program_is_traced_once_for_all(folder):
    one, other = Counted(), Counted()
    for program in (one, other):
        told = called(program, "counted")
        jax.tree.map(np.testing.assert_allclose, told, expected())
        assert jax.tree.structure(told) == jax.tree.structure(expected())
    assert (one.count, other.count) == (1, 0)
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"what": ("other",)},
        {"x": {"a": X["a"][:4], "b": X["b"]}},
        {"x": {"a": X["a"], "b": (np.arange(3.0), None)}},
        {"x": {"a": X["a"], "b": (np.arange(3), None), "c": np.ones(1)}},
        {"sizes": (1, 2, 4)},
        {"precision": in_float32},
    ],
    ids=["name", "shape", "type", "tree", "static", "precision"],
)
def test_whatever_differs_is_another_program(folder, changed):
    called(Counted(), "counted")
    other = Counted()
    called(other, *changed.pop("what", ("counted",)), **changed)
    assert other.count == 1 and len(list(folder.iterdir())) == 2


def test_other_code_is_another_program(folder, monkeypatch):
    called(Counted(), "counted")
    monkeypatch.setattr(registry, "native_code", lambda: "other")
    other = Counted()
    called(other, "counted")
    assert other.count == 1


def test_precision_is_that_of_the_call(folder):
    (told, _), (rounded, _) = (called(Counted(), "counted", precision=p) for p in (in_float64, in_float32))
    assert told["sine"][0].dtype == np.float64 and rounded["sine"][0].dtype == np.float32


@pytest.mark.parametrize("spoilt", [b"", b"no program", b"PK\x03\x04" * 100])
def test_a_spoilt_file_is_written_anew(folder, spoilt):
    called(Counted(), "counted")
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(spoilt)
    again = Counted()
    jax.tree.map(np.testing.assert_allclose, called(again, "counted"), expected())
    assert again.count == 1 and len(file.read_bytes()) == len(whole)


def test_where_nothing_can_be_written_everything_works(tmp_path):
    (tmp_path / "file").write_text("in the way")
    traced.keep_in(tmp_path / "file" / "folder")
    try:
        program = Counted()
        jax.tree.map(np.testing.assert_allclose, called(program, "counted"), expected())
        assert program.count == 1
    finally:
        traced.keep_in(None)


def test_who_was_not_told_where_keeps_nothing(tmp_path):
    program = traced.traced(Counted(), "counted")
    jax.tree.map(np.testing.assert_allclose, in_float64(program, X, Sizes(1, 2, 3)), expected())
    assert not list(tmp_path.iterdir())


HOST = """
import json, sys
from pathlib import Path
import jax, numpy as np
from simbench.backends import traced
from simbench.backends.registry import backend_named
from simbench.briefs import stack
from simbench.world.truth import draw
traced.keep_in(Path(sys.argv[1]))
traces, export = [], traced.export.export
traced.export.export = lambda program: traces.append(1) or export(program)
brief = draw("clean", 1, truth=False).briefs[0]
backend = backend_named("national-hmc[warmup=20,samples=10,rounds=1]")
(reply,) = backend.answer([brief], [np.array([1, 2], np.uint32)])
print(json.dumps({"mean": reply.contribution.mean(axis=0).tolist(), "traces": len(traces)}))
"""


def test_another_process_takes_them_and_answers_the_same(tmp_path):
    """With a real contender: all its stages but the first are there, and none is traced again."""
    caches = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    command = [sys.executable, "-c", HOST, str(tmp_path)]
    ask = partial(subprocess.run, command, capture_output=True, text=True, check=True, env=os.environ | caches)
    one = json.loads(ask().stdout)
    kept = sorted(file.name for file in tmp_path.iterdir() if file.is_file())
    two = json.loads(ask().stdout)
    assert one["mean"] == two["mean"]
    assert len(kept) == one["traces"] == 5 and two["traces"] == 0
    assert kept == sorted(file.name for file in tmp_path.iterdir() if file.is_file())
