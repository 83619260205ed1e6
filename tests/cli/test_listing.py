"""`simbench list`: families, what is chosen of them, and the pages that are written from the files."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.calls import call, printed, refused, told, widest

from simbench.backends.registry import READING_RULES, RULES
from simbench.cli import listing
from simbench.report.taxonomy import page
from simbench.world.realism import Finding
from simbench.world.scenario import read_scenario, scenario_names

#: A family, its root first; and those of it that break more than one assumption.
SHOCKS = ("loop-collapse", "loop-competitor", "loop-peak")
SMALL = ["smoke-clean", *SHOCKS, "loop-steady", "smoke-chasing", "smoke-s-shaped"]


def first_column(text: str) -> list[str]:
    """Names of the first table, indented as they are; lines that go on in another column are left out."""
    lines = text.removesuffix("simbench show NAME tells more about each.\n").split("\n\n")[0].splitlines()[2:]
    width = text.index("breaks")
    return [line[:width].rstrip() for line in lines if line[:width].strip()]


def test_families_stand_together_behind_their_root() -> None:
    text = printed("list")
    names = first_column(text)
    assert {name.strip() for name in names} == set(scenario_names())
    roots = [name for name in names if not name.startswith(" ")]
    assert roots == sorted(roots) and roots == sorted(name for name in roots if read_scenario(name).base is None)
    family = names[names.index("smoke-clean") :]
    assert family[: len(SMALL)] == [SMALL[0], *(f"  {name}" for name in SMALL[1:])]
    assert widest(text) <= 100


def test_rules_of_thumb_stand_apart_once_each() -> None:
    text = printed("list")
    models, rules = text.split("rule of thumb")[-2:]
    assert "\nols " in models and "\nstatus-quo" not in models and "roi-70-30" not in models
    assert [line.split()[0] for line in rules.splitlines() if "claims, model" in line] == list(READING_RULES)
    assert "\nstatus-quo " in rules and "tag:model-rule" in rules
    assert {item["name"] for item in told("list")["backends"]} >= set(RULES)


def test_a_sweep_is_one_line_with_its_values() -> None:
    text = " ".join(printed("list", "--breaks", "uncorrelated-spend").split())
    assert "sweep of spend.correlation: 0, 0.5, 0.9, 0.99" in text and "collinear[" not in text


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--family", "smoke-clean"), SMALL),
        (("--family", "smoke-clean", "--breaks", "effect-shape"), ["smoke-s-shaped"]),
        (("--family", "smoke-clean", "--breaks", ""), ["smoke-clean"]),
        (("--suite", "smoke", "--breaks", "exogenous-spend"), ["smoke-chasing"]),
        (("--family", "smoke-clean", "--breaks", "compound"), [name for name in SMALL if name in SHOCKS]),
        (("--family", "smoke-clean", "--breaks", "additive"), []),
    ],
)
def test_some_scenarios(options: tuple[str, ...], names: list[str]) -> None:
    text = printed("list", *options)
    assert all(name in text for name in names or ["no scenario is all of that"])
    assert "seasonal-naive" not in text and "jin2017" not in text
    assert {row["name"] for row in told("list", *options)["scenarios"]} == set(names)


def test_a_family_without_its_root_is_named() -> None:
    names = first_column(printed("list", "--family", "smoke-clean", "--breaks", "effect-shape"))
    assert names == ["(smoke-clean)", "  smoke-s-shaped"]


def test_a_scenario_that_was_superseded_says_so() -> None:
    row = {"scenario": "old", "family": "old", "name": "old", "breaks": "", "weeks": 104, "channels": 3, "geos": 1}
    row |= {"title": "Once", "sweep": "", "superseded_by": "new"}
    other = row | {"scenario": "swept", "name": "swept[52]", "weeks": 52, "sweep": "time.weeks", "superseded_by": ""}
    lines = list(listing._lines([row, other, other | {"name": "swept[104]", "weeks": 104}]))
    assert lines[0] == ("old", "-", "104", "3", "1", "Once; superseded by new")
    assert lines[1] == ("  swept", "-", "52-104", "3", "1", "Once; sweep of time.weeks: 52, 104")


def test_a_scenario_that_was_superseded_warns_whoever_draws_or_runs_it(tmp_path: Path) -> None:
    text = 'schema_version = 1\nname = "old"\nbase = "smoke-clean"\nbreaks = ""\nsuperseded_by = "smoke-clean"\n'
    (tmp_path / "old.toml").write_text(text + '[sweep]\nkey = "noise.share"\nvalues = [0.1, 0.2]\n')
    warning = "warning: old is superseded by smoke-clean\n"
    store = ("--store", tmp_path / "run", "--backend", "seasonal-naive", "--dry-run")
    for verb in (
        ("draw", f"{tmp_path / 'old.toml'}[0.1]", "--out", tmp_path / "out"),
        ("run", tmp_path / "old.toml", *store),
    ):
        result = call(*verb)
        assert result.exit_code == 0 and result.stderr == warning and "warning" not in result.stdout
    assert "warning" not in call("run", "smoke-clean", *store).stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--family", "claen"), "--family: 'claen' is not known; did you mean 'clean'?"),
        (("--breaks", "effect-shap"), "--breaks: 'effect-shap' is not known; did you mean 'effect-shape'?"),
        (("--suite", "smoky"), "--suite: 'smoky' is not known; did you mean 'smoke'?"),
        (("--taxonomy", "--suite", "smoke"), "--taxonomy: is of all scenarios"),
        (("--taxonomy", "--realism"), "--taxonomy: is of all scenarios"),
    ],
)
def test_words_that_are_not_known(options: tuple[str, ...], said: str) -> None:
    assert said in refused("list", *options)


def test_the_taxonomy_is_printed_as_it_is() -> None:
    text = page([read_scenario(name) for name in scenario_names()])
    assert printed("list", "--taxonomy") == text
    assert told("list", "--taxonomy") == {"schema_version": 1, "page": text}


def test_realism_of_some_scenarios(monkeypatch: pytest.MonkeyPatch) -> None:
    from simbench.world import realism

    def one(scenario: object) -> list[Finding]:
        return [Finding(scenario.name, "noise", "", 0.05, 0.0, 0.1, True, "by hand")]  # type: ignore[attr-defined]

    monkeypatch.setattr(realism, "realism", one)
    text = printed("list", "--realism", "--suite", "smoke")
    assert (
        text.startswith("# Realism")
        and "3 of 3 worlds lie inside" in text
        and "| `smoke-s-shaped` | - | 0.05 |" in text
    )
    answer = told("list", "--realism", "--suite", "smoke")
    assert answer["page"] == text and answer["findings"][0]["source"] == "by hand"
    assert [found["scenario"] for found in answer["findings"]] == ["smoke-chasing", "smoke-clean", "smoke-s-shaped"]
