"""The taxonomy says what the files say, and docs/taxonomy.md is it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simbench.errors import BadInput
from simbench.report.taxonomy import FORMULAS, SECTIONS, page
from simbench.world.scenario import BREAKS, Scenario, read_scenario, scenario_names

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
SHIPPED = [read_scenario(name) for name in scenario_names()]


def row(text: str, name: str) -> list[str]:
    """Cells of a scenario's row."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"| `{name}`"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_page_in_docs_is_written_from_the_files() -> None:
    kept = (DOCS / "taxonomy.md").read_text(encoding="utf-8")
    assert kept == page(SHIPPED), "write it anew with: simbench list --taxonomy > docs/taxonomy.md"


def test_every_word_has_a_formula_in_a_section_that_exists() -> None:
    assert list(FORMULAS) == list(BREAKS)
    headings = re.findall(r"^## (\d+)\. (.+)$", (DOCS / "worlds.md").read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {
        int(number): f"{number}-{re.sub(r'[^a-z -]', '', title.lower()).replace(' ', '-')}"
        for number, title in headings
    }
    for formula in FORMULAS.values():
        assert formula.text and formula.sections
        for number in formula.sections:
            assert SECTIONS[number] == anchors[number]


def test_axes_stand_in_the_order_of_the_words() -> None:
    text = page(SHIPPED)
    axes = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert axes == [word for word in BREAKS if word not in ("", "compound")]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Axes", "Compound worlds", "Controls"]


def test_every_scenario_stands_once_where_it_belongs() -> None:
    text = page(SHIPPED)
    for scenario in SHIPPED:
        assert text.count(f"| `{scenario.name}` |") == 1
    clean = read_scenario("clean")
    few = page([clean])
    assert few.count("no scenario yet") == len(BREAKS) - 1
    assert row(few.split("## Controls")[1], "clean")[1] == "no base: 156 weeks, 5 channels, 1 geo"


def test_a_row_tells_changes_range_source_and_what_is_unrealistic() -> None:
    text = page(SHIPPED)
    collinear = row(text, "collinear")
    assert collinear[1].startswith("`clean` with `channels.\\*.") is False  # code is no place for escapes
    assert collinear[1].startswith(
        "`clean` with `channels.*.spend.rule` flighted or pulsed or always-on -> correlated;"
    )
    assert collinear[2] == "`spend.correlation` 0, 0.5, 0.9, 0.99"  # told once: the sweep sets it
    assert collinear[3] == read_scenario("collinear").source
    assert row(text, "geo-20")[1].endswith("; and 2 more")
    assert row(text, "recorded")[4] == read_scenario("recorded").unrealistic


def test_text_of_a_file_stays_in_its_cell(tmp_path: Path) -> None:
    odd = changed(
        tmp_path, 'source = "a | b"\nsuperseded_by = "odd-2"\nsweep = { key = "noise.share", values = [0.1] }\n'
    )
    cells = row(page([*SHIPPED, odd]), "odd")
    assert cells == [
        "`odd`, superseded by odd-2",
        "`clean` with nothing but the sweep",
        "`noise.share` 0.1",
        r"a \| b",
        "",
    ]


def changed(folder: Path, text: str) -> Scenario:
    (folder / "odd.toml").write_text(f'schema_version = 1\nname = "odd"\nbase = "clean"\nbreaks = ""\n{text}')
    return read_scenario(folder / "odd.toml")


def test_every_base_has_to_be_there() -> None:
    with pytest.raises(BadInput, match="s-shaped: base: 'clean' is not among the scenarios"):
        page([read_scenario("s-shaped")])
