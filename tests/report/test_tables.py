"""The leaderboard as a table: what papers, spreadsheets and programs get."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli import calls
from hypothesis import given
from hypothesis import strategies as st

import simbench as sb
from simbench.report import printed, tables
from simbench.report.printed import figure, latex, markdown
from simbench.report.tables import FORMATS, records, seconds, spanned, written
from simbench.score.headlines import Leaderboard, leaderboard

COLUMNS = ["scenario", "family", "replicate", "backend", "estimand", "unit", "metric", "value", "status", "reason"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> calls.Small:
    return calls.small_run(tmp_path_factory.getbasetemp())


def rows(errors: dict[str, float], scenarios: tuple[str, ...] = ("one",), worlds: int = 25) -> pd.DataFrame:
    """Score rows of contenders of known quality, the same luck for all; no forecast, no decision."""
    generator, out = np.random.default_rng(3), []
    for scenario in scenarios:
        for replicate in range(worlds):
            luck = generator.uniform(0.9, 1.1)
            for backend, error in errors.items():
                head = (scenario, scenario, replicate, backend)
                out.append((*head, "contribution", "all", "error", error * luck, "ok", ""))
                out.append((*head, "cost", "all", "seconds", 0.5, "ok", ""))
    return pd.DataFrame(out, columns=COLUMNS)


def table_of(errors: dict[str, float], **options: object) -> tables.Table:
    return sb.table(leaderboard(rows(errors, **options)))  # type: ignore[arg-type]


ODD = "a_b & 50% | {x} #1 ~^ <y> \\z$ *w* `v`"


# --- numbers


def test_the_table_has_the_numbers_of_the_score_rows(kept: calls.Small) -> None:
    """Means of recovery by hand, from the rows."""
    table, frame = sb.table(kept.folder), sb.scores(kept.folder)
    own = frame[(frame.estimand == "contribution") & (frame.unit == "all") & (frame.metric == "error")]
    for backend, error in own.groupby("backend", observed=True).value.mean().items():
        found = table.set_index("backend").recovery[backend]
        assert found == pytest.approx(error, nan_ok=True)
    assert set(table.scenario) == {""} and (table.worlds == 3).all() and (table.failures == 0).all()
    assert table.set_index("backend").recovery_unranked["oracle"] == "knows the truth"


def test_by_scenario_is_a_row_each(kept: calls.Small) -> None:
    each = sb.table(kept.folder, by_scenario=True)
    assert list(each.scenario) == ["test-world"] * 6
    np.testing.assert_array_equal(each.recovery, sb.table(kept.folder).recovery)  # one scenario is the suite
    two = table_of({"a": 0.2, "b": 0.4}, scenarios=("one", "two"))
    both = sb.table(leaderboard(rows({"a": 0.2, "b": 0.4}, scenarios=("one", "two"))), by_scenario=True)
    assert list(both.scenario) == ["one", "one", "two", "two"]
    assert two.recovery[0] == pytest.approx(both[both.backend == "a"].recovery.mean())


def test_a_part_of_a_table_is_an_ordinary_frame(kept: calls.Small) -> None:
    part = sb.table(kept.folder)[["backend", "recovery"]]
    assert type(part) is pd.DataFrame and len(part) == 6


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.123, "0.12"), (-0.001, "0.00"), (-0.5, "-0.50"), (99.999, "100.00"), (123.4, "123"), (float("nan"), "-"),
     (float("inf"), "-")],
)  # fmt: skip
def test_figures(value: float, said: str) -> None:
    assert figure(value) == said


def test_ranks_and_times() -> None:
    assert [spanned(1, 1), spanned(2, 12), spanned(1.5, 1.5), spanned(np.nan, np.nan)] == ["1", "2-12", "1.5", "-"]
    assert [seconds(x) for x in (0.000218, 0.5, 12.345, 250.0, np.nan)] == ["0.00022", "0.5", "12", "250", "-"]


# --- LaTeX


def cells_of(text: str) -> list[list[str]]:
    """Rows of every tabular, split at signs that separate columns."""
    lines = [line for line in text.splitlines() if line.endswith(r" \\")]
    return [re.split(r"(?<!\\) & ", line[:-3]) for line in lines]


def test_latex_has_rules_and_balanced_columns(kept: calls.Small) -> None:
    text = sb.table(kept.folder).to_latex()
    lines = text.splitlines()
    assert lines[0] == r"\begin{tabular}{lrrrrrrrr}" and lines[-1] == r"\end{tabular}"
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert len(lines) == 12 and {len(cells) for cells in cells_of(text)} == {9}
    wide = sb.table(kept.folder, by_scenario=True).to_latex()
    assert wide.startswith(r"\begin{tabular}{llrrrrrrrr}") and {len(cells) for cells in cells_of(wide)} == {10}


def test_latex_prints_names_as_they_are() -> None:
    text = table_of({ODD: 0.2, "plain": 0.4}).to_latex()
    row = cells_of(text)[1]
    assert len(row) == 9 and row[0] == latex(ODD)
    assert latex("a_b & 50%") == r"a\_b \& 50\%"
    assert latex("x\n\\end{tabular}\x1b[2J") == r"x \textbackslash{}end\{tabular\}?[2J"
    bare = re.sub(r"\\[&%$#_{}]|\\text[a-z]+\{\}", "", latex(ODD))
    assert not set(bare) & set("&%$#_{}~^\\<>|")


@given(st.text(max_size=30))
def test_latex_of_any_text_is_balanced(text: str) -> None:
    """Nothing of a name is left that LaTeX would obey, and nothing of it is lost."""
    told = latex(text)
    plain = told
    for sign, command in printed.ESCAPES.items():
        if sign not in "\\{}":
            plain = plain.replace(command, sign)
    plain = plain.replace(r"\{", "{").replace(r"\}", "}").replace(r"\textbackslash{}", "\\")
    assert plain == " ".join("".join(c if c.isprintable() or c.isspace() else "?" for c in text).split())
    left = re.sub(r"\\[&%$#_{}]|\\text[a-z]+\{\}", "", told)
    assert not set(left) & set("&%$#_{}~^\\<>|") and "\n" not in told


def test_latex_has_the_minus_of_mathematics() -> None:
    frame = rows({"a": 0.2, "b": 0.4}, worlds=3)
    frame.loc[(frame.backend == "b") & (frame.replicate == 0) & (frame.metric == "error"), "value"] = -5.0
    text = sb.table(leaderboard(frame)).to_latex()
    (row,) = [row for row in cells_of(text) if row[0] == "b"]
    assert row[1].startswith("$-$") and row[1].count("$-$") == 2 and row[2] == "--"
    assert cells_of(table_of({"minus-5": 0.2}).to_latex())[1][0] == "minus-5"  # a name's hyphen stays


def test_the_best_is_bold_only_where_it_is_alone() -> None:
    assert r"\textbf{0.20" in table_of({"a": 0.2, "b": 0.4}).to_latex()
    same = table_of({"a": 0.2, "b": 0.2, "c": 0.4})
    assert list(same.recovery_rank_low[:2]) == [1.5, 1.5]  # they share the first place
    assert r"\textbf" not in same.to_latex() and "**" not in same.to_markdown()
    frame = rows({"a": 0.2, "b": 0.21})
    noise = np.random.default_rng(1).uniform(0.5, 1.5, len(frame))
    frame["value"] = np.where(frame.metric == "error", frame.value * noise, frame.value)
    close = sb.table(leaderboard(frame))
    assert close.recovery_rank_high.max() == 2 and r"\textbf" not in close.to_latex()


# --- Markdown


def test_markdown_is_a_table_whatever_the_names() -> None:
    text = table_of({ODD: 0.2, "plain": 0.4}).to_markdown()
    lines = text.splitlines()
    assert len(lines) == 4 and lines[1].startswith("| --- | ---: |")
    for line in lines:
        without = re.sub(r"\\[\\|`*<]", "", line)
        assert without.count("|") == 10 and "<" not in without
    assert lines[2].startswith(f"| {markdown(ODD)} | **0.20")
    assert markdown("a|b") == r"a\|b" and markdown("a\\|b\nc") == r"a\\\|b c"


def test_exports_go_to_files_and_buffers(kept: calls.Small, tmp_path: Path) -> None:
    table, buffer = sb.table(kept.folder), io.StringIO()
    assert table.to_markdown(buffer) is None and buffer.getvalue() == table.to_markdown()
    assert table.to_latex(tmp_path / "t.tex", index=False) is None
    assert (tmp_path / "t.tex").read_text(encoding="utf-8") == table.to_latex()


# --- in class and out of class


def parted() -> Leaderboard:
    """`a` contains the first of two scenarios, `b` both; `c` does not say, but the first is a control."""
    frame = rows({"a": 0.2, "b": 0.4, "c": 0.3, "oracle": 0.0}, scenarios=("one", "two"), worlds=6)
    known = {("a", "two"): False, ("c", "two"): None}
    said = [known.get(pair, True) for pair in zip(frame.backend, frame.scenario, strict=True)]
    return leaderboard(frame.assign(representable=pd.array(said, dtype="boolean")))


def test_classes_have_a_frame_of_their_own() -> None:
    found = parted()
    told, each = tables.classes(found).set_index("backend"), sb.table(found, by_scenario=True)
    assert list(told.index) == ["a", "c", "b", "oracle"] and list(told.unsaid) == [0, 1, 0, 0]
    assert list(told.in_class) == [1, 1, 2, 2] and list(told.out_of_class) == [1, 0, 0, 0]
    by_hand = each.set_index(["backend", "scenario"])
    for place, name in (("in_class", "one"), ("out_of_class", "two")):
        for end in ("", "_low", "_high"):
            assert told.loc["a", f"recovery_{place}{end}"] == by_hand.loc[("a", name), f"recovery{end}"]
    assert np.isnan(told.loc["c", "recovery_out_of_class"]) and np.isnan(told.loc["a", "decision_in_class"])
    assert tables.classes(leaderboard(rows({"a": 0.2}))).empty


def test_the_table_of_classes_stands_between_the_others() -> None:
    text = written(parted(), "md")
    head, _, *lines = text.split("\n\n")[1].splitlines()
    assert head == "| contender | in class | recovery | decision | out of class | recovery | decision |"
    cells = {line.split(" | ")[0].strip("| "): line.strip("| ").split(" | ")[1:] for line in lines}
    assert list(cells) == ["a", "c", "b"]  # the oracle knows the truth
    assert (cells["a"][0], cells["a"][3], cells["b"][3]) == ("1", "1", "0")
    assert cells["c"][3:] == ["does not say", "-", "-"] and cells["b"][4] == "-"
    row = tables.classes(parted()).iloc[0]
    low, high = (figure(row[f"recovery_in_class_{end}"]) for end in ("low", "high"))
    assert cells["a"][1] == f"{figure(row.recovery_in_class)} [{low}, {high}]"
    assert "\n- in class: scenarios that break nothing" in text and "never averaged with them" in text
    tex = written(parted(), "tex")
    assert tex.count(r"\begin{tabular}") == 3 and "does not say & -- & --" in tex


def test_where_everything_is_in_class_the_table_is_left_out(kept: calls.Small) -> None:
    """A control alone: the leaderboard says it all."""
    assert tables.class_cells(tables.classes(kept.folder)) is None
    assert "\n- in class: every scenario is in the class of every contender\n" in written(kept.folder, "md")
    plain = written(leaderboard(rows({"a": 0.2, "b": 0.4})), "md")  # rows that say nothing of it
    assert "in class" not in plain


def test_exports_say_who_is_in_class() -> None:
    found = parted()
    answer = json.loads(written(found, "json"), parse_constant=pytest.fail)
    said = {(row["backend"], row["scenario"]): row["representable"] for row in answer["scenarios"]}
    assert (said["a", "one"], said["a", "two"], said["b", "two"], said["c", "two"]) == (True, False, True, None)
    assert {row["backend"]: row["representable"] for row in answer["suite"]}["a"] is None  # of one, not of the other
    assert [row["backend"] for row in answer["classes"]] == ["a", "c", "b", "oracle"]
    assert answer["classes"][1]["recovery_out_of_class"] is None and answer["classes"][1]["unsaid"] == 1
    read = list(csv.DictReader(io.StringIO(written(found, "csv"))))
    assert {row["representable"] for row in read if row["backend"] == "a" and row["scenario"]} == {"True", "False"}
    assert {row["representable"] for row in read if row["backend"] == "c"} == {"True", ""}


# --- a run's tables whole


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_every_contender_twice(kept: calls.Small, form: str) -> None:
    text = written(kept.folder, form)
    assert text.endswith("\n") and all(text.count(name) >= 2 for name in ("ols", "prior-only", "mine@main"))


def test_notes_are_comments_in_latex_and_a_list_in_markdown(kept: calls.Small) -> None:
    for line in written(kept.folder, "tex").split("\\end{tabular}\n")[3].strip().splitlines():
        assert line.startswith("% ")
    assert "\n- 95% t intervals (fewer than 20 worlds); rank intervals" in written(kept.folder, "md")


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1", "@sum", "\tx"])
def test_a_spreadsheet_runs_no_name(name: str) -> None:
    found = leaderboard(rows({name: 0.2, "b": 0.4}))
    read = list(csv.DictReader(io.StringIO(written(found, "csv"))))
    assert read[0]["backend"] == "'" + name and float(read[0]["recovery"]) == sb.table(found).recovery[0]
    frame = rows({"a": 0.2, "b": 0.4})
    frame["value"] -= 10.0
    numbers = list(csv.DictReader(io.StringIO(written(leaderboard(frame), "csv"))))
    assert float(numbers[0]["recovery"]) < 0  # a number is no formula


def test_json_has_null_where_there_is_no_number(kept: calls.Small) -> None:
    answer = json.loads(written(kept.folder, "json"), parse_constant=pytest.fail)
    assert list(answer) == ["schema_version", "suite", "scenarios", "decisions", "classes", "notes"]
    first = records(sb.table(kept.folder))
    assert answer["suite"] == first
    naive = next(row for row in first if row["backend"] == "seasonal-naive")
    assert naive["recovery"] is None and naive["recovery_unranked"] == "not answered"
    assert type(naive["worlds"]) is int and type(naive["forecast"]) is float


def test_compare_finds_columns_by_the_beginning_of_their_digest(kept: calls.Small) -> None:
    whole = sb.compare(kept.folder, "mine@main", "ols")
    pd.testing.assert_frame_equal(sb.compare(kept.folder, "mine@m", "ols"), whole)
    with pytest.raises(sb.BadInput, match="'mine' is not in these scores"):
        sb.compare(kept.folder, "mine", "ols")
