"""What a run will take: what was measured, else nothing is claimed but an upper bound on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import calls

from simbench.run import store
from simbench.run.forecast import dry_run, measured, most_bytes, stored_before
from simbench.run.plan import plan


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> calls.Small:
    return calls.small_run(tmp_path_factory.getbasetemp())


def planned(kept: calls.Small, *backends: Any, replicates: int = 5) -> Any:
    return plan(kept.arguments[1], list(backends), replicates=replicates)


def costs(kept: calls.Small, p: Any, i: int) -> np.ndarray:
    """Costs of a contender's cells, read from their block: seconds, compile seconds, bytes."""
    place = kept.folder / "answers" / p.entries[i].folder / p.sources[0].folder
    (file,) = place.glob("*.npz")
    return np.concatenate([np.stack(group["cost"], axis=1) for group in store.read(file)["groups"]])


def test_minutes_are_those_of_the_missing_cells(kept: calls.Small) -> None:
    p = planned(kept, "ols", "prior-only")
    one, two = (dry_run(p, kept.folder, jobs).set_index("backend") for jobs in (1, 2))
    for i, name in enumerate(("ols", "prior-only")):
        cost = costs(kept, p, i)
        expected = (2 * np.median(cost[:, 0]) + cost[:, 1].max()) / 60
        assert one.loc[name, "minutes"] == pytest.approx(expected)
        assert two.loc[name, "minutes"] == pytest.approx(expected / 2)
        assert one.loc[name, "memory_mb"] == pytest.approx(cost[:, 2].max() / 1e6)
        assert (one.loc[name, "cells"], one.loc[name, "stored"], one.loc[name, "missing"]) == (5, 3, 2)


def test_what_is_stored_takes_nothing(kept: calls.Small) -> None:
    (row,) = dry_run(planned(kept, "ols", replicates=3), kept.folder, 1).to_dict("records")
    assert (row["missing"], row["minutes"], row["disk_mb"]) == (0, 0.0, 0.0)
    (fewer,) = dry_run(planned(kept, "ols", replicates=2), kept.folder, 1).to_dict("records")
    assert (fewer["cells"], fewer["stored"], fewer["missing"]) == (2, 2, 0)


def test_disk_is_what_a_cell_took(kept: calls.Small) -> None:
    p = planned(kept, "ols")
    (row,) = dry_run(p, kept.folder, 1).to_dict("records")
    (file,) = (kept.folder / "answers" / p.entries[0].folder).rglob("*.npz")
    assert row["disk_mb"] == pytest.approx(2 * file.stat().st_size / 3 / 1e6)


def test_nothing_is_claimed_of_who_was_never_measured(
    kept: calls.Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # no runs beside
    p = planned(kept, "ols")
    (row,) = dry_run(p, tmp_path / "none", 1).to_dict("records")
    assert np.isnan(row["minutes"]) and np.isnan(row["memory_mb"])
    (file,) = (kept.folder / "answers" / p.entries[0].folder).rglob("*.npz")
    a_cell = file.stat().st_size / 3
    assert a_cell < most_bytes(p.sources[0]) < 3 * a_cell  # `ols` answers nearly everything
    assert row["disk_mb"] == pytest.approx(5 * most_bytes(p.sources[0]) / 1e6)
    assert not (tmp_path / "none").exists()


def test_runs_beside_count(kept: calls.Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    p = planned(kept, "ols")
    folder = Path("simbench-runs/new")
    assert list(stored_before(folder, p.entries[0], p.sources[0])) == []
    (tmp_path / "simbench-runs").mkdir()
    (tmp_path / "simbench-runs" / "old").symlink_to(kept.folder)
    seconds, compiling, memory, size = measured(folder, p.entries[0], p.sources[0])
    np.testing.assert_allclose(seconds, np.median(costs(kept, p, 0)[:, 0]))
    assert compiling > 0 and memory > 5e7 and size > 1e4
    (row,) = dry_run(p, folder, 1).to_dict("records")
    assert row["stored"] == 0 and row["minutes"] > 0  # known from elsewhere, but not done here


def test_an_estimate_sets_nothing_aside(kept: calls.Small, tmp_path: Path) -> None:
    run = calls.copied(kept, tmp_path)
    p = planned(kept, "ols")
    (file,) = (run / "answers" / p.entries[0].folder).rglob("*.npz")
    calls.damage(file)
    before = calls.blocks(run)
    assert len(dry_run(p, run, 1)) == 1 and calls.blocks(run) == before
