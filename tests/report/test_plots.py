"""Pictures: files of the kind asked for, of the paths that were drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simbench.errors import BadInput
from simbench.report.plots import PALETTE, amount, check_plot, observed, paths_of, plot_world

pytest.importorskip("matplotlib")


def test_paths_leave_the_pre_history_out(clean: Any) -> None:
    paths = paths_of(clean, 1)
    panel = clean.briefs[1].panel
    assert (paths.weeks, len(paths.kpi)) == (156, 182)
    np.testing.assert_array_equal(paths.kpi[:156], panel.kpi[:, 0])
    np.testing.assert_array_equal(paths.spend[:156], panel.spend[:, 0])
    np.testing.assert_array_equal(paths.kpi[156:], clean.truths[1].kpi_future[:, 0])
    assert paths.dates[0] == np.datetime64("2021-01-04") and paths.dates[1] == np.datetime64("2021-01-11")
    held = (paths.base + paths.contribution.sum(axis=1))[156:]
    np.testing.assert_allclose(held, clean.truths[1].answers.forecast[:, 0], rtol=1e-12)


def test_paths_show_the_kpi_as_it_is_seen_and_all_else_as_it_was(clean: Any, dirty: Any, tmp_path: Path) -> None:
    one, other, panel = paths_of(clean, 1), paths_of(dirty, 1), dirty.briefs[1].panel
    gone = panel.mask == 0
    assert 0 < gone.sum() < 80 and np.isnan(other.kpi[:156][gone]).all()
    np.testing.assert_array_equal(other.kpi[:156][~gone], panel.kpi[~gone, 0])
    np.testing.assert_array_equal(other.kpi[156:], one.kpi[156:])
    for field in ("spend", "lever", "base", "contribution", "dates"):
        np.testing.assert_array_equal(getattr(other, field), getattr(one, field))
    plot_world(dirty, tmp_path / "world.svg", 1)


@pytest.mark.parametrize(("suffix", "begins"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_a_picture_is_written_whole(clean: Any, tmp_path: Path, suffix: str, begins: bytes) -> None:
    file = plot_world(clean, tmp_path / f"world{suffix}", 1)
    assert file.read_bytes().startswith(begins)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_picture_names_scenario_and_channels(clean: Any, tmp_path: Path) -> None:
    text = plot_world(clean, tmp_path / "world.svg").read_text()
    for word in ("clean", "control: nothing is broken", "holdout", "without media", *clean.labels.channels):
        assert word in text


def test_the_same_world_is_the_same_picture(clean: Any, tmp_path: Path) -> None:
    one, other = (plot_world(clean, tmp_path / name).read_bytes() for name in ("one.svg", "other.svg"))
    assert one == other


def test_other_formats_are_refused() -> None:
    with pytest.raises(BadInput, match=r"\.png or \.svg or \.pdf"):
        check_plot(Path("world.txt"))


def test_a_folder_that_is_not_there_is_refused(clean: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be written"):
        plot_world(clean, tmp_path / "nowhere" / "world.png")


def test_observed_range_is_that_of_quarterly_means() -> None:
    lever = np.concatenate([np.zeros(13), np.full(13, 4.0)])
    assert observed(lever) == pytest.approx((0.0, 2.0), abs=1e-12)
    assert observed(np.full(5, 3.0)) == pytest.approx((1.0, 1.0), rel=1e-12)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (0.5, "0.5"), (300, "300"), (2500, "2.5k"), (20_000, "20k"), (1.5e6, "1.5M"), (-3e9, "-3B")],
)
def test_axis_labels(value: float, said: str) -> None:
    assert amount(value) == said


def test_colours_differ() -> None:
    assert len(set(PALETTE)) == len(PALETTE) >= 8
