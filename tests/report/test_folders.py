"""Folders: everything an analyst may see, nothing of the truth, never half of it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simbench.errors import BadInput
from simbench.protocol import briefs as protocol_briefs
from simbench.report import folders
from simbench.report.folders import as_json, check_folder, harmless, write_folder
from simbench.report.frames import truth_frame
from simbench.world.scenario import scenario_digest

FILES = {
    "README.txt", "panel.csv", "future.csv", "plans.csv", "context.json", "questions.json", "problems.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def written(clean: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(clean, tmp_path_factory.mktemp("worlds") / "out")


def test_one_folder_a_replicate(written: Path) -> None:
    assert sorted(path.name for path in written.iterdir()) == ["brief-0001", "brief-0002"]
    for folder in written.iterdir():
        assert {path.name for path in folder.iterdir()} == FILES


def test_tables_hold_the_brief(written: Path, clean: Any) -> None:
    brief, folder = clean.briefs[1], written / "brief-0002"
    panel, future = pd.read_csv(folder / "panel.csv"), pd.read_csv(folder / "future.csv")
    assert panel.date.iloc[0] == "2021-01-04" and future.date.iloc[0] == "2024-01-01"
    np.testing.assert_array_equal(panel.kpi, brief.panel.kpi[:, 0])
    np.testing.assert_array_equal(panel["spend_tv"], brief.panel.spend[:, 0, 0])
    np.testing.assert_array_equal(future["spend_tv"], brief.questions.future.spend[:, 0, 0])
    np.testing.assert_array_equal(future["control_price"], brief.questions.future.controls[:26, 0, 0])
    assert set(panel) - set(future) == {"kpi"}
    plans = pd.read_csv(folder / "plans.csv")
    more = plans[plans.plan == "'+20%"].pivot(index="week", columns="channel", values="money")
    np.testing.assert_allclose(more["radio"], 1.2 * brief.questions.plans[0, :, 0, 1], rtol=1e-12)


def test_tables_hold_what_is_seen(dirty: Any, tmp_path: Path) -> None:
    folder, brief = write_folder(dirty, tmp_path / "seen", with_truth=False) / "brief-0002", dirty.briefs[1]
    panel, gone = pd.read_csv(folder / "panel.csv"), brief.panel.mask == 0
    np.testing.assert_array_equal(panel.kpi.isna(), gone)
    np.testing.assert_array_equal(panel.kpi[~gone], brief.panel.kpi[~gone, 0])
    np.testing.assert_array_equal(panel["spend_tv"], brief.panel.spend[:, 0, 0])
    np.testing.assert_array_equal(panel["claim_paid-social"], brief.panel.claims[:, 0, 3])
    assert (panel["claim_tv"] == 0).all() and "claim_tv" not in pd.read_csv(folder / "future.csv")


def test_json_holds_the_questions(written: Path, clean: Any) -> None:
    brief, folder = clean.briefs[0], written / "brief-0001"
    context, questions, problems = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("context", "questions", "problems")
    )
    assert {context["schema_version"], questions["schema_version"], problems["schema_version"]} == {1}
    assert context["channels"][3]["name"] == "paid-social" and context["channels"][3]["kind"] == "paid-social"
    assert context["channels"][3]["spend_scale"] == brief.context.spend_scale[3]
    assert questions["windows"] == [[0, 156], [104, 156]] and questions["margin"] == 0.6
    fixed = problems["problems"][0]
    assert fixed["name"] == "fixed" and fixed["budget"]["low"] == fixed["budget"]["high"]
    assert [unit["name"] for unit in fixed["units"]] == list(clean.labels.channels)
    assert fixed["units"][0]["levels"] == list(brief.questions.problems[0].levels[0])


def numbers_in(text: str) -> set[str]:
    """Every number, to nine digits: among thousands of numbers some agree by chance in six."""
    return {f"{float(number):.9g}" for number in re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", text)}


def test_nothing_tells_the_scenario_or_its_truth(written: Path, clean: Any) -> None:
    text = "\n".join(path.read_text() for path in written.rglob("*") if path.is_file())
    digest = scenario_digest(clean.scenario)
    assert clean.scenario.name not in text and clean.scenario.title not in text
    assert digest not in text and digest[:8] not in text
    assert "seed" not in text and "truth" not in text
    told = truth_frame(clean)
    public = told.estimand.isin(["paid", "reference amount"])  # money that was spent, the status quo
    secret = {f"{value:.9g}" for value in told[~public].value.dropna() if len(f"{value:.9g}".strip("-0.")) >= 8}
    assert len(secret) > 500
    assert secret & numbers_in(text) == set()


def test_truth_is_added_on_request(clean: Any, tmp_path: Path) -> None:
    out = write_folder(clean, tmp_path / "out", with_truth=True)
    told = json.loads((out / "truth" / "truth.json").read_text())
    assert told["scenario"] == "clean" and told["digest"] == scenario_digest(clean.scenario)
    assert [entry["brief"] for entry in told["replicates"]] == ["brief-0001", "brief-0002"]
    assert told["replicates"][1]["optima"]["fixed"]["amounts"] == list(clean.truths[1].optima[0].amounts)
    rows = pd.read_csv(out / "truth" / "0002" / "contribution.csv")
    first = rows[(rows.reading == "decision-held") & (rows.window == clean.labels.windows[0])]
    np.testing.assert_array_equal(first.value, clean.truths[1].answers.contribution[0])
    optimum = pd.read_csv(out / "truth" / "0001" / "optimum.csv")
    assert {"best amount", "upper bound", "certified"} <= set(optimum.estimand)


def test_nothing_is_overwritten_silently(clean: Any, tmp_path: Path) -> None:
    out = write_folder(clean, tmp_path / "out", with_truth=True)
    with pytest.raises(BadInput, match="exists already"):
        write_folder(clean, out)
    write_folder(clean, out, force=True)
    assert sorted(path.name for path in out.iterdir()) == ["brief-0001", "brief-0002"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_force_replaces_only_what_was_written_here(clean: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(BadInput, match="did not write"):
        write_folder(clean, tmp_path, force=True)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(BadInput, match="did not write"):
        check_folder(link, force=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_fault_half_way_leaves_nothing(clean: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(protocol_briefs, "plans_frame", full)
    with pytest.raises(BadInput, match="No space left"):
        write_folder(clean, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cell", ["=1+1", "+20%", "-20%", "@home", "\tx", "\rx"])
def test_no_cell_is_a_formula(cell: str, tmp_path: Path) -> None:
    table = harmless(pd.DataFrame({"name": [cell, "tv"], "money": [-1.5, 2.0], cell: [0, 1]}))
    assert list(table["name"]) == [f"'{cell}", "tv"]
    assert list(table.columns) == ["name", "money", f"'{cell}"]
    assert list(table["money"]) == [-1.5, 2.0]


def test_no_text_cell_of_a_folder_is_a_formula(written: Path) -> None:
    for path in written.rglob("*.csv"):
        with path.open(newline="") as handle:
            for row in csv.reader(handle):
                for cell in row:
                    assert not cell.startswith(folders.ACTIVE) or float(cell) < 0


def test_json_has_no_nan() -> None:
    told = json.loads(as_json({"a": np.array([1.0, np.nan]), "b": (np.float64("inf"), np.int64(3), True, None)}))
    assert told == {"a": [1.0, None], "b": [None, 3, True, None]}
