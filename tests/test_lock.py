"""The lock of the shipped scenarios: all digests, and the numbers of two; `simbench lock --check` compares them all."""

from __future__ import annotations

import json

import pytest
import worlds

from simbench import lock
from simbench.errors import BadInput
from simbench.world import scenario
from simbench.world.scenario import json_schema, read_scenario, scenario_folder

SWEEP = '[sweep]\nkey = "noise.share"\nvalues = [0.1, 0.2]\n'


def test_every_shipped_scenario_is_locked_with_its_digest():
    assert lock.check(numbers=False) == []


@pytest.mark.parametrize("name", ["clean", "jin2017-2y"])
def test_the_numbers_have_not_moved(name):
    one = next(each for each in lock.shipped() if each.name == name)
    assert lock.compare(name, lock.read()[name]["numbers"], lock.summary(one)) == []


def test_what_the_panel_shows_is_locked_where_it_shows_it(tmp_path):
    """Claims, contacts and weeks that were not recorded: nothing else of the lock moves with their formulas."""
    claims = '[[measure]]\nname = "claims"\nkind = "claims"\ncoverage = {}\nweeks = 4\nchannels = ["a"]'

    def numbers(extra: str, channel: str = "") -> dict[str, float]:
        text = worlds.scenario(worlds.channel("a") + channel, worlds.channel("b"), extra=extra)
        return lock.summary(read_scenario(worlds.written(tmp_path, text)))

    plain, seen = numbers(""), numbers("", "exposure_seen = true")
    assert plain["mask"] == 60 * lock.REPLICATES and not {"claims", "exposure"} & set(plain)
    assert {key for key in seen if seen[key] != plain.get(key)} == {"exposure"} and seen["exposure"] > 0
    some, more = numbers(claims.format(0.5)), numbers(claims.format(0.6))
    assert {key for key in more if more[key] != some[key]} == {"claims"}
    assert more["claims"] == pytest.approx(1.2 * some["claims"]) and some["claims"] > 0
    missing = numbers('[[measure]]\nname = "gaps"\nkind = "missing"\nshare = 0.2')
    assert {key for key in missing if missing[key] != plain[key]} == {"mask", "kpi"} and missing["mask"] < plain["mask"]


SUCCEEDED = """schema_version = 1
name = "{}"
base = "clean"
breaks = ""
superseded_by = "{}"
"""


def test_a_successor_is_another_shipped_scenario(tmp_path, monkeypatch):
    clean = (scenario_folder() / "clean.toml").read_text()
    monkeypatch.setattr(scenario, "scenario_folder", lambda: tmp_path)
    monkeypatch.setattr(lock, "lock_path", lambda: tmp_path / "LOCK.json")

    def faults(**successors: str) -> dict[str, str]:
        (tmp_path / "clean.toml").write_text(clean)
        for name, successor in successors.items():
            (tmp_path / f"{name}.toml").write_text(SUCCEEDED.format(name, successor))
        (tmp_path / "swept.toml").write_text(SUCCEEDED.format("swept", "") + SWEEP)
        locked = {each.name: {"digest": scenario.scenario_digest(each)} for each in lock.shipped()}
        (tmp_path / "LOCK.json").write_text(json.dumps(locked))
        return {fault.scenario: fault.detail for fault in lock.check(numbers=False)}

    assert faults(old="clean", older="swept", oldest="swept[0.1]") == {}
    found = faults(old="claen", older="older", oldest="swept[0.3]")
    assert set(found) == {"old", "older", "oldest"}
    assert found["old"] == "is superseded by 'claen', which is no other shipped scenario"


def test_numbers_that_move_under_the_same_digest_are_named():
    locked = {"kpi": 100.0, "spend": 5.0}
    (fault,) = lock.compare("x", locked, {"kpi": 100.0, "spend": 5.00001})
    assert fault.moved and "spend moved from 5 to 5.00001" in fault.detail
    assert lock.compare("x", locked, {"kpi": 100.0 * (1 + 1e-9), "spend": 5.0}) == []
    (gone,) = lock.compare("x", locked, {"kpi": 100.0})
    assert gone.moved and gone.detail == "numbers are no longer summarised: spend"


def test_a_number_that_is_new_hides_none_that_moved():
    locked = {"kpi": 100.0, "spend": 5.0}
    (new,) = lock.compare("x", locked, locked | {"claims": 3.0})
    assert not new.moved and new.detail == "numbers are not locked yet: claims"
    assert [fault.moved for fault in lock.compare("x", locked, {"kpi": 101.0, "spend": 5.0, "claims": 3.0})] == [
        False,
        True,
    ]


def test_a_changed_missing_or_extra_entry_is_a_fault(tmp_path, monkeypatch):
    path = tmp_path / "LOCK.json"
    monkeypatch.setattr(lock, "lock_path", lambda: path)
    with pytest.raises(BadInput, match="is missing"):
        lock.read()
    entries = json.loads((scenario_folder() / "LOCK.json").read_text())
    entries["clean"]["digest"] = "0" * 64
    entries["gone"] = entries.pop("chasing")
    path.write_text(json.dumps(entries))
    faults = {fault.scenario: fault for fault in lock.check(numbers=False)}
    assert set(faults) == {"clean", "gone", "chasing"} and not any(fault.moved for fault in faults.values())


def test_editors_get_the_schema_that_the_reader_uses():
    assert json.loads((scenario_folder() / "scenario.schema.json").read_text()) == json_schema()


@pytest.mark.parametrize("one", lock.shipped(), ids=lambda one: one.name)
def test_the_three_readings_differ_only_where_they_should(one):
    """By the locked numbers, which `simbench lock --check` holds against the worlds themselves."""
    numbers, spends = lock.read()[one.name]["numbers"], [channel.spend for channel in one.channels]
    held = sum(value for key, value in numbers.items() if key.startswith("contribution "))
    for reading, differs in (
        ("responding", any(spend.reactions and getattr(spend, "strength", 1.0) != 0.0 for spend in spends)),
        ("path_held", any(spend.lever == "bought" for spend in spends)),
    ):
        apart = abs(numbers[reading] / held - 1)
        assert apart > 1e-4 if differs else apart < 1e-8, reading
