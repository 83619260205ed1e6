"""docs/scores.md speaks of every score, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from decide.curve_cases import asked_of, made
from score.cases import case

import simbench as sb
from simbench.backends.base import DATA_ALONE
from simbench.decide import readings
from simbench.optimum import draws as draws_of_curves
from simbench.report import stakes
from simbench.score import decision, diagnostics, draws, losses, outcomes
from simbench.score import headlines as boards
from simbench.score.catalogue import SCORES
from simbench.score.rows import FLOOR, STATUS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scores.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("estimand", sorted({estimand for estimand, _ in SCORES}))
def test_every_score_is_on_the_page(estimand):
    quoted = set(re.findall(r"`([^`\n]+)`", PAGE)) | {f"coverage {level}" for level in ("50%", "80%", "90%")}
    words = {word for text in quoted for word in (text, *text.split(" / "))}
    assert {metric for of, metric in SCORES if of == estimand} <= words
    assert re.search(rf"\b{re.escape(estimand)}\b", PAGE.lower())


def test_every_status_is_on_the_page():
    assert all(f"`{status}`" in PAGE for status in STATUS)


def test_assumptions_about_data_alone_are_on_the_page():
    section = PAGE.split("## In class and out of class")[1].split("\n## ")[0]
    assert set(re.findall(r"`([^`]+)`", section)) >= DATA_ALONE


def test_the_numbers_of_the_page_are_those_of_the_code():
    assert (FLOOR, decision.LEAST_GAIN, decision.BEYOND, draws.ENERGY_DRAWS, losses.PENALTY) == (0.005, 0.01, 4, 64, 2)
    assert (boards.MOST_FAILED, boards.MOST_FAILED_THERE, boards.LEAST_ANSWERED) == (0.05, 0.2, 0.9)
    assert (diagnostics.SURE, diagnostics.MATERIAL) == (0.99, 0.5)
    assert (decision.SURE, decision.ROUNDING, outcomes.TAIL) == (0.8, 1e-6, 0.1)
    for said in ("0.5% of it", "at least 80%, else the reference", "a millionth of spend", "worst 10% of worlds",
                 "below 1% of spend", "4 Monte Carlo errors", "at most 64", "2 x that of `prior-only`",
                 "5% failures in the suite or 20% in a scenario", "under 90% of the suite"):  # fmt: skip
        assert said in " ".join(PAGE.split()), said


def test_readings_are_those_of_the_page():
    said = " ".join(PAGE.split())
    assert (readings.WORST, readings.FEWEST, readings.MOST_KNOWN, readings.FEWEST_KNOWN) == (0.2, 64, 64, 16)
    assert (readings.NUMBERS // 256, readings.KNOWN // 64, draws_of_curves.CLIMBED) == (10, 8, 32)
    for words in ("worst fifth of the draws", "more than ten units", "at least 64", "more than 32 units",
                  "64 evenly spaced", "more than eight units, at least 16",
                  *(f"`{column}`" for column in stakes.COLUMNS)):  # fmt: skip
        assert words in said, words


def example(word: str) -> str:
    (source,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE, re.S) if word in block)
    return source


def test_the_example_runs():
    scope: dict[str, object] = {}
    exec(example("worst_channel"), scope)
    (column,) = scope["metric"].columns(case(np.random.default_rng(0)))  # type: ignore[attr-defined]
    assert column.estimand == "worst_channel" and (column.value > 0).all()


def test_the_example_of_tests_runs(monkeypatch):
    asked: list[object] = []
    monkeypatch.setattr(sb, "score", lambda run, metrics: asked.extend(metrics))
    exec(example("worth_of_tests"), {})
    one = made(0, worlds=1)
    brief, answers = asked_of(*one)
    (metric,) = asked
    assert 0 < metric(brief, None, answers, None) < 100  # type: ignore[operator]
