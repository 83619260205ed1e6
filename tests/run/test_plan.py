"""What a run consists of: names become sources and columns, and each has one identity."""

from __future__ import annotations

from pathlib import Path

import pytest
import worlds
from hypothesis import given
from hypothesis import strategies as st

from simbench import ids
from simbench.backends.base import python_backend
from simbench.errors import BadInput
from simbench.run.plan import BREAKABLE, REPLICATES, entries_of, plan, slug, source_of, suite_title
from simbench.world.scenario import read_scenario, read_suite


def mine(key, brief):
    """Nobody's answer."""
    return {}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return worlds.written(tmp_path, worlds.plain())


# --- sources


def test_a_suite_has_its_own_numbers_and_a_scenario_four() -> None:
    smoke = plan("smoke", ["oracle"])
    assert [(s.name, len(s.replicates)) for s in smoke.sources] == [
        (entry.scenario.name, entry.replicates) for entry in read_suite("smoke").scenarios
    ]
    assert [len(s.replicates) for s in plan("clean", ["oracle"]).sources] == [REPLICATES]
    assert {s.replicates for s in plan("smoke", ["oracle"], replicates=3).sources} == {(0, 1, 2)}


def test_a_sweep_stands_for_its_points() -> None:
    names = [s.name for s in plan("collinear", ["oracle"]).sources]
    assert names == ["collinear[0]", "collinear[0.5]", "collinear[0.9]", "collinear[0.99]"]
    assert [s.name for s in plan("collinear[0.9]", ["oracle"]).sources] == ["collinear[0.9]"]
    assert len({s.digest for s in plan("collinear", ["oracle"]).sources}) == 4


def test_what_is_named_twice_comes_once(world: Path) -> None:
    twice = plan(["clean", "clean", world, str(world)], ["oracle", "oracle", "ols", "ols"], transforms=["", ""])
    assert [s.name for s in twice.sources] == ["clean", "test-world"]
    assert [e.name for e in twice.entries] == ["oracle", "ols"]


def test_one_name_for_two_scenarios_is_refused(world: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    changed = worlds.written(other, worlds.plain(value=3.0))
    with pytest.raises(BadInput, match="'test-world' names two scenarios"):
        plan([world, changed], ["oracle"])
    same = worlds.written(other, worlds.plain())
    assert len(plan([world, same], ["oracle"]).sources) == 1


def test_a_suite_in_a_file_is_a_suite(tmp_path: Path) -> None:
    file = tmp_path / "two.toml"
    text = 'schema_version = 1\nname = "two"\ntitle = "Two"\nreplicates = 2\n'
    file.write_text(text + 'scenarios = [{ name = "clean" }, { name = "smoke-clean", replicates = 5 }]\n')
    assert [(s.name, len(s.replicates)) for s in plan(file, ["oracle"]).sources] == [("clean", 2), ("smoke-clean", 5)]


def test_transforms_are_sources_of_their_own() -> None:
    found = plan("clean", ["oracle"], transforms=["", "origin:-13", " origin:-13 "]).sources
    assert [s.name for s in found] == ["clean", "clean@origin:-13"]
    assert len({s.digest for s in found}) == 2 and len({s.folder for s in found}) == 2
    alone = plan("clean", ["oracle"], transforms="origin:-13", only="clean")  # one is as good as a list
    assert [s.name for s in alone.sources] == ["clean@origin:-13"]


def test_identity_is_of_content_not_of_place(world: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    files = (world, worlds.written(there, worlds.plain()))
    a, b = (source_of(read_scenario(file), "", (0,), ids.OPEN_MASTER) for file in files)
    assert (a.digest, a.folder) == (b.digest, b.folder)
    scenario = read_scenario(world)
    seeded = source_of(scenario, "", (0,), b"another key of thirty-two bytes.")
    changed = source_of(read_scenario(worlds.written(there, worlds.plain(value=3.0))), "", (0,), ids.OPEN_MASTER)
    assert len({a.digest, seeded.digest, changed.digest}) == 3
    assert source_of(scenario, "", (0, 1), ids.OPEN_MASTER).digest == a.digest  # more worlds are the same source


# --- contenders


def test_contenders_by_name_file_and_function(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("def fit(key, brief):\n    'x'\n    return {}\n")
    entries = entries_of(["ols", "oracle", f"{file}:fit@one", mine])
    assert [e.name for e in entries] == ["oracle", "ols", "fit@one", "mine"]
    assert entries[0].backend is None and all(e.backend is not None for e in entries[1:])
    assert len({e.folder for e in entries}) == 4
    before = entries[2].identity
    file.write_text("def fit(key, brief):\n    'y'\n    return {}\n")
    assert entries_of([f"{file}:fit@one"])[0].identity != before


def test_a_label_alone_makes_no_other_contender_but_another_column() -> None:
    a, b = entries_of(["ols@one"])[0], entries_of(["ols@two"])[0]
    assert a.identity == b.identity and a.folder != b.folder and (a.name, b.name) == ("ols@one", "ols@two")


# --- what is refused


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"sources": []}, "sources: none is named"),
        ({"sources": "claen"}, "did you mean 'clean'?"),
        ({"sources": "nowhere.toml"}, "cannot be read"),
        ({"backends": []}, "backends: none is named"),
        ({"backends": "ols"}, "is one; a list"),
        ({"backends": ["olss"]}, "did you mean 'ols'?"),
        ({"replicates": 0}, "at least 1"),
        ({"only": ["clear"]}, "did you mean 'clean'?"),
        ({"only": ["xyz"]}, "one of clean"),
        ({"transforms": []}, "transforms: none is named"),
        ({"transforms": ["orign:-3"]}, "did you mean 'origin'?"),
    ],
)
def test_what_is_wrong_is_told(arguments: dict, said: str) -> None:
    with pytest.raises(BadInput) as fault:
        plan(**{"sources": "clean", "backends": ["ols"], **arguments})
    assert said in str(fault.value)


@pytest.mark.parametrize(
    ("handles", "said"),
    [
        (["effect-shap"], "handles of own: 'effect-shap' is no assumption that a scenario can break; "
                          "did you mean 'effect-shape'?"),
        (["additive", "Additive"], "did you mean 'additive'?"),
        ([""], "'' is no assumption"),
        (["no word at all"], "allowed: compound, enough-data"),
    ],
)  # fmt: skip
def test_a_handle_that_nobody_can_break_is_told(handles: list[str], said: str) -> None:
    with pytest.raises(BadInput) as fault:
        plan("clean", ["ols", python_backend("own", mine, handles=handles)])
    assert said in str(fault.value)


def test_what_contenders_handle_is_sorted_and_the_oracle_handles_all() -> None:
    own = python_backend("own", mine, handles={"effect-shape", "additive"})
    assert [e.handles for e in entries_of([own, mine, "oracle"])] == [BREAKABLE, ("additive", "effect-shape"), ()]
    assert "" not in BREAKABLE and "compound" in BREAKABLE


# --- names on disk


@given(st.text())
def test_a_name_on_disk_is_one_plain_name(name: str) -> None:
    made = slug(name)
    assert 0 < len(made) <= 60 and "/" not in made and made not in (".", "..") and made.isascii()
    assert slug(made) == made


def test_a_run_is_called_after_its_sources(world: Path) -> None:
    assert suite_title(["smoke"]) == "smoke" and suite_title(["a", world]) == "a+test-world"
    assert suite_title([read_scenario(world)]) == "test-world"


def test_the_nearest_name_may_be_that_of_a_suite():
    with pytest.raises(BadInput, match=r"'smokee': no such suite or scenario; did you mean 'smoke'\?"):
        plan("smokee", ["ols"])
