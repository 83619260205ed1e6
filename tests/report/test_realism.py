"""The realism page: findings of two scenarios by hand, and docs/realism.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import worlds

from simbench.report.realism import cell, page, ranges_table
from simbench.world.realism import Finding, Range, ranges, realism
from simbench.world.scenario import points, read_scenario, scenario_names

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PUBLISHED = (
    Range("noise", 0.02, 0.075, "somebody | 1999"),
    Range("roas", -0.1, 2.0, "somebody else", "tv"),
    Range("roas", 0.2, 3.0, "a third", "paid-social"),
)


def finding(scenario: str, quantity: str, value: float, unit: str = "", inside: bool = True) -> Finding:
    return Finding(scenario, quantity, unit, value, 0.0, 1.0, inside, "")


FOUND = [
    finding("plain", "noise", 0.05),
    finding("plain", "roas", 1.25, "tv"),
    finding("plain", "roas", 2.5, "social"),
    finding("odd", "noise", 0.2, inside=False),
    finding("odd", "roas", 4.0, "tv", inside=False),
    finding("odd", "roas", 5.0, "social", inside=False),
]
PAGE = """## What is published

| quantity | channels | range | source |
| --- | --- | --- | --- |
| noise | all | 0.02 to 0.075 | somebody \\| 1999 |
| roas | tv | -0.1 to 2 | somebody else |
| roas | paid-social | 0.2 to 3 | a third |

## Scenarios

1 of 2 worlds lie inside all ranges; what lies outside is bold.

| scenario | noise | roas |
| --- | ---: | ---: |
| `plain` | 0.05 | 1.25 to 2.50 |
| `odd` | **0.20** | **4.00 to 5.00** |

## Outside

- `odd` (noise, roas of tv and social): A world of its own.
"""


def test_the_page() -> None:
    text = page(FOUND, {"plain": "", "odd": "A world of its own."}, PUBLISHED, 3)
    assert text.startswith("# Realism") and "the median over\n3 worlds" in text
    assert text[text.index("## What") :] == PAGE


def test_a_scenario_that_does_not_say_why_is_told_so() -> None:
    assert "- `odd` (noise, roas of tv and social): **says nothing of it**\n" in page(FOUND, {}, PUBLISHED, 3)
    many = [finding("odd", "roas", 9.0, f"channel-{c}", inside=False) for c in range(5)]
    assert "`odd` (roas of 5 channels)" in page(many, {}, PUBLISHED, 3)
    swept = [finding(f"odd[{point}]", "noise", 0.2, inside=False) for point in (1, 2)]
    assert "- `odd[1]` (noise), `odd[2]` (noise): Why.\n" in page(swept, {"odd[1]": "Why."}, PUBLISHED, 3)
    assert page(FOUND[:3], {}, PUBLISHED, 3).endswith("## Outside\n\nnone\n")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((), "-"),
        ((0.0,), "0.00"),
        ((1e-17,), "0.00"),
        ((0.0411,), "0.041"),
        ((-0.0312, 0.7), "-0.031 to 0.70"),
        ((12.3456,), "12.35"),
    ],
)
def test_cells(values: tuple[float, ...], text: str) -> None:
    assert cell([finding("plain", "roas", value, "tv") for value in values]) == text


def test_two_small_scenarios_are_told_in_full(tmp_path: Path) -> None:
    plain = read_scenario(worlds.written(tmp_path, worlds.plain()))
    loud = plain.model_copy(update={"name": "loud", "noise": plain.noise.model_copy(update={"share": 0.5})})
    text = page([*realism(plain, 2), *realism(loud, 2)], {"loud": "Noise of half the KPI."}, ranges(), 2)
    assert re.search(rf"^\| `{plain.name}` \| ", text, re.MULTILINE)
    (row,) = re.findall(r"^\| `loud` \|.*$", text, re.MULTILINE)
    assert re.match(r"\| `loud` \| \*\*[-\d.]+\*\* \| \*\*0\.[45]\d\*\* \|", row)
    assert "Noise of half the KPI." in text.split("## Outside")[1]


def test_the_page_in_docs_has_every_world_and_the_ranges_there_are() -> None:
    kept = (DOCS / "realism.md").read_text(encoding="utf-8")
    anew = "write it anew with: simbench list --realism > docs/realism.md"
    assert ranges_table(ranges()) in kept, anew
    names = [point.name for name in scenario_names() for point in points(read_scenario(name))]
    assert re.findall(r"^\| `(.+?)` \|", kept, re.MULTILINE) == names, anew
