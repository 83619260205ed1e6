"""Verbs that tell what a run found: ``report``, ``compare``."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import worlds
from cli import calls
from cli.calls import call, printed, refused, told

import simbench as sb
from simbench.report.tables import records, written


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> calls.Small:
    return calls.small_run(tmp_path_factory.getbasetemp())


def credit(key, brief, factor=1.0):
    """Every channel is credited with what was spent on it."""
    spend = np.asarray(brief.context.spend_scale) * float(np.asarray(brief.panel.mask).sum())
    return {"contribution": np.tile(spend * factor, (1, len(brief.questions.windows), 1))}


# --- report


def test_report_is_what_run_said(kept: calls.Small) -> None:
    assert printed("report", kept.folder) == kept.text
    assert told("report", kept.folder) == told(*kept.arguments)


def test_decisions_are_shown_where_they_are_asked_for(kept: calls.Small) -> None:
    """The same page with one part more: who decides, in numbers of the frame."""
    page = printed("report", kept.folder, "--decisions")
    first, second, rest = page.partition("normalised")
    assert second and kept.text.startswith(first[: first.rindex("\n\n")])
    frame = sb.decisions(kept.folder)
    row = frame[(frame.scenario == "") & (frame.backend == "ols")].iloc[0]
    told = next(line for line in rest.splitlines() if line.startswith("ols")).split()
    assert told[3] == f"{100 * row.tail_regret:.2f}" and told[4] == f"{100 * row.worst_regret:.2f}"
    assert "worth of knowing the truth" in rest


def test_another_problem_may_be_the_one_that_counts(kept: calls.Small) -> None:
    answer = told("report", kept.folder, "--problem", "free")
    assert answer["decisions"] == records(sb.decisions(kept.folder, problem="free"))
    assert answer["decisions"] != told("report", kept.folder)["decisions"]
    message = refused("report", kept.folder, "--problem", "fre")
    assert "'fre' is asked in no scenario" in message and "one of fixed, free" in message


@pytest.mark.parametrize("form", ["md", "csv", "tex", "json"])
def test_every_format_is_printed_or_written(kept: calls.Small, form: str, tmp_path: Path) -> None:
    text = printed("report", kept.folder, "--format", form)
    assert text == written(kept.folder, form)
    file = tmp_path / f"table.{form}"
    assert f"wrote {file}\n" in printed("report", kept.folder, "--out", file)
    assert file.read_text(encoding="utf-8") == text
    other = tmp_path / "table.txt"
    assert told("report", kept.folder, "--format", form, "--out", other) == {"schema_version": 1, "file": str(other)}
    assert other.read_text(encoding="utf-8") == text
    assert {path.name for path in tmp_path.iterdir()} == {file.name, "table.txt"}


def test_json_as_a_format_is_json(kept: calls.Small) -> None:
    answer = json.loads(printed("report", kept.folder, "--format", "json"))
    whole = told("report", kept.folder)
    assert answer == {name: whole[name] for name in whole if name != "run"}


def test_csv_gives_the_numbers_back(kept: calls.Small) -> None:
    read = pd.read_csv(io.StringIO(printed("report", kept.folder, "--format", "csv")), dtype=str)
    table = sb.table(kept.folder)
    more = [name for name in sb.decisions(kept.folder) if name not in table]
    assert len(read) == 12 and list(read) == [*table, *more]
    for name in ("recovery", "decision_low", "cost", "worlds"):
        np.testing.assert_array_equal([float(text) for text in read[name][:6]], table[name])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "table.html"), "--format md, csv, tex or json"),
        (("--format", "csv", "--json"), "two things to print"),
        (("--out", "no/table.md"), "does not exist"),
        (("--out", ".", "--format", "md"), "is a folder"),
    ],
)
def test_reports_that_cannot_be(
    kept: calls.Small, arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refused("report", kept.folder, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_scores_has_no_report(kept: calls.Small, tmp_path: Path) -> None:
    run = tmp_path / "r"
    call("run", kept.arguments[1], "--backend", "ols", "--store", run, "--time-limit", "0.001s")
    for options in ((), ("--format", "csv"), ("--out", tmp_path / "x.tex")):
        result = call("report", run, *options)
        assert result.exit_code == 3 and result.stdout.startswith("nothing was measured")
    assert not (tmp_path / "x.tex").exists()
    assert told("report", run, code=3)["suite"] == []


def test_several_scenarios_have_a_board_each(tmp_path: Path) -> None:
    files = [worlds.written(tmp_path, worlds.plain(name=name)) for name in ("first", "second")]
    sb.run(files, [credit], replicates=2, store=tmp_path / "r")
    text = printed("report", tmp_path / "r")
    heads = [line.split()[:3] for line in text.splitlines() if "recovery" in line and "forecast" in line]
    assert [head[0] for head in heads] == ["All", "first", "second"] and heads[0][1] == "2"
    boards = told("report", tmp_path / "r")
    each = [row["recovery"] for row in boards["scenarios"]]
    assert boards["suite"][0]["recovery"] == pytest.approx(sum(each) / 2) and boards["suite"][0]["worlds"] == 4


# --- compare


def paired(frame: pd.DataFrame, a: str, b: str, estimand: str, unit: str, metric: str) -> np.ndarray:
    """Differences by replicate, from the score rows."""
    kept = frame[(frame.estimand == estimand) & (frame.unit == unit) & (frame.metric == metric)]
    wide = kept.pivot(index="replicate", columns="backend", values="value")
    return (wide[a] - wide[b]).to_numpy()


def test_compare_pairs_the_same_cells(kept: calls.Small) -> None:
    answer = told("compare", kept.folder, "ols", "spend-share")
    assert list(answer) == ["schema_version", "differences"]
    found = {(row["estimand"], row["unit"], row["metric"]): row for row in answer["differences"]}
    frame = sb.scores(kept.folder)
    keys = [("contribution", "all", "error"), ("forecast", "all", "crps"), ("decision", "problem:1", "regret")]
    for key in keys:
        by_hand = paired(frame, "ols", "spend-share", *key)
        half = 4.302652729911275 * by_hand.std(ddof=1) / np.sqrt(3)  # t quantile, 2 degrees of freedom
        row = found[key]
        assert row["difference"] == pytest.approx(by_hand.mean()) and row["n"] == row["cells"] == 3
        assert row["high"] - row["low"] == pytest.approx(2 * half)
        assert row["a_better"] == pytest.approx((by_hand < 0).mean())
    assert ("cost", "all", "seconds") in found and ("contribution", "all", "coverage 90%") not in found
    text = printed("compare", kept.folder, "ols", "spend-share")
    row = found["contribution", "all", "error"]
    half = (row["high"] - row["low"]) / 2
    said = ["contribution", "error", f"{row['a']:.3f}", f"{row['b']:.3f}", f"{row['difference']:.3f}±{half:.3f}"]
    assert said in [line.split()[:5] for line in text.splitlines()]
    assert "decision fixed regret" in text and "problem:" not in text  # problems by their names
    assert calls.widest(text) <= 100


def test_compare_everything_and_by_scenario(kept: calls.Small) -> None:
    few = told("compare", kept.folder, "ols", "prior-only")["differences"]
    many = told("compare", kept.folder, "ols", "prior-only", "--all")["differences"]
    assert len(many) > 3 * len(few) and {row["scenario"] for row in few} <= {"", "test-world"}
    each = told("compare", kept.folder, "ols", "prior-only", "--by-scenario")["differences"]
    assert {row["scenario"] for row in each} == {"test-world"}
    text = printed("compare", kept.folder, "ols", "prior-only", "--by-scenario")
    assert text.splitlines()[2].startswith("test-world  contribution error")


def test_compare_two_versions_of_a_file(kept: calls.Small, tmp_path: Path) -> None:
    """By label, and by the beginning of the digest where there is none."""
    world = kept.arguments[1]
    for label, factor in (("@main", 1.0), ("@branch", 3.0), ("", 1.0), ("", 2.0)):
        mine = calls.backend_file(tmp_path, factor=factor)
        sb.run(world, [f"{mine}:mine{label}"], replicates=3, store=tmp_path / "r", jobs=1)
    rows = told("compare", tmp_path / "r", "mine@main", "mine@branch")["differences"]
    row = next(row for row in rows if row["metric"] == "error")
    by_hand = paired(sb.scores(tmp_path / "r"), "mine@main", "mine@branch", "contribution", "all", "error")
    assert row["difference"] == pytest.approx(by_hand.mean()) and row["difference"] < 0 and row["n"] == 3
    said = refused("compare", tmp_path / "r", "mine", "mine@main")
    digests = [word.strip(",") for word in said.split() if word.startswith("mine@")]
    first, second = (name for name in digests if name not in ("mine@main", "mine@branch"))
    short = told("compare", tmp_path / "r", first[:9], second[:9])["differences"]
    assert short == told("compare", tmp_path / "r", first, second)["differences"] and short


def test_compare_needs_columns_that_are_there(kept: calls.Small) -> None:
    said = refused("compare", kept.folder, "ols", "olss")
    assert "'olss' is not in these scores" in said and "spend-share" in said and "mine@main" in said
    assert "is no run" in refused("compare", kept.folder.parent, "ols", "ols")


def test_compare_says_when_there_is_nothing_to_compare(kept: calls.Small, tmp_path: Path) -> None:
    fails = f"{calls.backend_file(tmp_path, calls.FAILS)}:fails"
    arguments = ("run", kept.arguments[1], "--replicates", "1", "--jobs", "1", "--store", tmp_path / "r")
    call(*arguments, "--backend", fails, "--backend", "oracle")
    result = call("compare", tmp_path / "r", "fails", "oracle")
    assert result.exit_code == 3 and result.stdout.startswith("there is no score that both have")
    assert told("compare", tmp_path / "r", "fails", "oracle", code=3)["differences"] == []
