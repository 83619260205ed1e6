"""The lock of the shipped scenarios: digests, and numbers that must not move under them."""

from __future__ import annotations

import json

import pytest

from simbench import lock
from simbench.errors import BadInput
from simbench.world.scenario import json_schema, scenario_folder


def test_every_shipped_scenario_is_locked_with_its_digest():
    assert lock.check(numbers=False) == []


@pytest.mark.parametrize("name", ["clean", "jin2017-2y"])
def test_the_numbers_have_not_moved(name):
    scenario = next(scenario for scenario in lock.shipped() if scenario.name == name)
    assert lock.compare(name, lock.read()[name]["numbers"], lock.summary(scenario)) == []


def test_numbers_that_move_under_the_same_digest_are_named():
    locked = {"kpi": 100.0, "spend": 5.0}
    (fault,) = lock.compare("x", locked, {"kpi": 100.0, "spend": 5.00001})
    assert fault.moved and "spend moved from 5 to 5.00001" in fault.detail
    assert lock.compare("x", locked, {"kpi": 100.0 * (1 + 1e-9), "spend": 5.0}) == []
    assert lock.compare("x", locked, {"kpi": 100.0})[0].moved


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


@pytest.mark.parametrize("scenario", lock.shipped(), ids=lambda scenario: scenario.name)
def test_the_three_readings_differ_only_where_they_should(scenario):
    """By the locked numbers, which `simbench lock --check` holds against the worlds themselves."""
    numbers, spends = lock.read()[scenario.name]["numbers"], [channel.spend for channel in scenario.channels]
    held = sum(value for key, value in numbers.items() if key.startswith("contribution "))
    for reading, differs in (
        ("responding", any(spend.reactions and getattr(spend, "strength", 1.0) != 0.0 for spend in spends)),
        ("path_held", any(spend.lever == "bought" for spend in spends)),
    ):
        apart = abs(numbers[reading] / held - 1)
        assert apart > 1e-4 if differs else apart < 1e-8, reading
