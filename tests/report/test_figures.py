"""Pictures of runs: what is drawn is what is stored, and nothing is left where nothing can be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import worlds
from cli import calls
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

import simbench as sb
from simbench.records import Answers
from simbench.report import figures
from simbench.report.figures import contributions, curves, holdout, parts_of, plot_cell, spread
from simbench.score.statistics import mean_interval

SWEEP = 'sweep = { key = "noise.share", values = [0.05, 0.5] }\n'


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> calls.Small:
    return calls.small_run(tmp_path_factory.getbasetemp())


def credit(key: Any, brief: Any) -> dict[str, Any]:
    """Every channel is credited with what was spent on it."""
    spend = np.asarray(brief.context.spend_scale) * float(np.asarray(brief.panel.mask).sum())
    return {"contribution": np.tile(spend, (1, len(brief.questions.windows), 1))}


def louder(key: Any, brief: Any) -> dict[str, Any]:
    """Credit, and some of the noise."""
    return {"contribution": credit(key, brief)["contribution"] * (1 + np.asarray(brief.panel.kpi).std() / 1e3)}


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run of a sweep of two points."""
    place = tmp_path_factory.mktemp("sweep")
    text = worlds.plain(name="steps").replace("[time]", SWEEP + "[time]", 1)
    return sb.run(worlds.written(place, text), [credit, louder], replicates=3, store=place / "r")


def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures as they are when they are written."""
    seen: list[Figure] = []
    save = Figure.savefig

    def watched(self: Figure, *arguments: Any, **options: Any) -> Any:
        seen.append(self)
        return save(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", watched)
    return seen


# --- a cell


@pytest.mark.parametrize(("suffix", "begins"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_every_kind_of_file(kept: calls.Small, suffix: str, begins: bytes, tmp_path: Path) -> None:
    told = sb.inspect(kept.folder, "test-world/0/ols")
    file = tmp_path / f"cell{suffix}"
    assert plot_cell(told, file) == file and file.read_bytes().startswith(begins)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    first = file.read_bytes()
    assert plot_cell(told, file).read_bytes() == first  # the same cell is the same file
    assert suffix != ".svg" or b"ols on test-world, replicate 0" in first


def test_contributions_are_those_of_the_cell(kept: calls.Small) -> None:
    told, axes = sb.inspect(kept.folder, "test-world/1/ols"), Figure().subplots()
    contributions(axes, told, told.reply)
    true, answered = (line.get_xdata() for line in axes.lines)
    np.testing.assert_array_equal(true, told.truth.answers.contribution[0])
    draws = np.asarray(told.reply.contribution, dtype=float)[:, 0]
    np.testing.assert_allclose(answered, np.median(draws, axis=0))
    (band,) = (part for part in axes.collections if isinstance(part, LineCollection))
    ends = np.array([segment[:, 0] for segment in band.get_segments()])
    np.testing.assert_allclose(ends.T, np.quantile(draws, [0.05, 0.95], axis=0))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["tv", "video"]


def test_the_holdout_is_national(kept: calls.Small) -> None:
    told, axes = sb.inspect(kept.folder, "test-world/1/ols"), Figure().subplots()
    holdout(axes, told, told.reply)
    observed, middle = (line.get_ydata() for line in axes.lines)
    np.testing.assert_array_equal(observed, told.truth.kpi_future.sum(axis=-1))
    national = np.asarray(told.reply.forecast, dtype=float).sum(axis=-1)
    np.testing.assert_allclose(middle, np.median(national, axis=0))
    assert axes.lines[0].get_xdata()[0] == 60  # the first week after the panel


def test_quantiles_of_geos_are_not_added_up(kept: calls.Small) -> None:
    told = sb.inspect(kept.folder, "test-world/1/ols")
    levels = np.array([0.05, 0.5, 0.95])
    one = np.quantile(told.reply.forecast, levels, axis=0)
    for forecast, lines in ((one, 2), (np.repeat(one, 2, axis=-1), 1)):
        axes = Figure().subplots()
        holdout(axes, told, Answers(forecast=forecast, levels=levels))
        assert len(axes.lines) == lines
    np.testing.assert_array_equal(spread(one, levels)[1], one[1])


def test_what_is_not_answered_is_not_drawn(kept: calls.Small, tmp_path: Path) -> None:
    told = sb.inspect(kept.folder, "test-world/0/seasonal-naive")
    axes = Figure().subplots()
    contributions(axes, told, told.reply)
    assert len(axes.lines) == 1
    panels = list(Figure().subplots(1, 2))
    curves(panels, told, told.reply)
    assert [len(panel.lines) for panel in panels] == [1, 1]
    assert not any(isinstance(part, PolyCollection) for panel in panels for part in panel.collections)
    assert plot_cell(told, tmp_path / "cell.png").is_file()


def test_nothing_is_left_of_a_picture_that_fails(
    kept: calls.Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = sb.inspect(kept.folder, "test-world/0/ols")
    for name, said in (("cell.bmp", "no picture"), ("no/cell.png", "cannot be written")):
        with pytest.raises(sb.BadInput, match=said):
            plot_cell(told, tmp_path / name)
    monkeypatch.setattr(figures, "curves", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        plot_cell(told, tmp_path / "cell.png")
    assert list(tmp_path.iterdir()) == []


# --- a sweep


def test_a_ladder_shows_means_and_intervals(steps: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = drawn(monkeypatch)
    file = sb.ladder(steps, "contribution/all/error", tmp_path / "ladder.png")
    assert file.read_bytes().startswith(b"\x89PNG") and [path.name for path in tmp_path.iterdir()] == ["ladder.png"]
    (axes,) = seen[0].axes
    frame = sb.scores(steps)
    own = frame[(frame.estimand == "contribution") & (frame.unit == "all") & (frame.metric == "error")]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["credit", "louder"]
    for line, band, backend in zip(axes.lines, axes.collections, ("credit", "louder"), strict=True):
        np.testing.assert_allclose(line.get_xdata(), [0.05, 0.5], atol=0.01)
        for i, scenario in enumerate(("steps[0.05]", "steps[0.5]")):
            values = own[(own.backend == backend) & (own.scenario == scenario)].value.to_numpy()
            assert len(values) == 3
            told = mean_interval(values)
            assert line.get_ydata()[i] == pytest.approx(values.mean())
            np.testing.assert_allclose(band.get_segments()[i][:, 1], [told.low, told.high])


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("contribution/all/eror", "for example contribution/all/error"),
        ("contribution/error", "estimand/unit/metric"),
        ("decision/all/regret", "decision/problem:0/regret"),
    ],
)
def test_scores_that_are_not_there(steps: Any, tmp_path: Path, metric: str, said: str) -> None:
    with pytest.raises(sb.BadInput, match=said):
        sb.ladder(steps, metric, tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_a_ladder_needs_a_sweep(kept: calls.Small, steps: Any, tmp_path: Path) -> None:
    with pytest.raises(sb.BadInput, match="a run of a sweep, such as collinear"):
        sb.ladder(kept.folder, "contribution/all/error", tmp_path / "x.png")
    with pytest.raises(sb.BadInput, match="sweep = one of steps"):
        sb.ladder(steps, "contribution/all/error", tmp_path / "x.png", sweep="stairs")
    with pytest.raises(sb.BadInput, match="no picture"):
        sb.ladder(steps, "contribution/all/error", tmp_path / "x.txt", sweep="steps")
    assert list(tmp_path.iterdir()) == []


def test_a_score_is_named_by_three_parts() -> None:
    assert parts_of("decision/problem:1/regret") == ("decision", "problem:1", "regret")
    assert parts_of("mine/all/money/week") == ("mine", "all", "money/week")
