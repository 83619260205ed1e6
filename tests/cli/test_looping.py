"""``loop``: what it prints, what it leaves, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import worlds
from cli.calls import call, refused

from simbench.report import loops

#: A model in a file: square roots, every channel alike.
ROOTS = '''
import numpy as np

def roots(key, brief):
    """Effects that grow with the root of spend; half as much again in one draw as in the other."""
    factor = np.array([0.8, 1.2])
    spend = np.asarray(brief.panel.spend).sum(axis=(0, 1))
    windows = len(brief.questions.windows)
    curve = np.sqrt(np.asarray(brief.questions.multipliers)) * np.sqrt(spend)[:, None]
    return {
        "contribution": factor[:, None, None] * np.tile(50 * np.sqrt(spend), (windows, 1)),
        "curve": factor[:, None, None] * 50 * curve,
        "response": tuple(factor[:, None, None] * 50 * np.sqrt(p.levels) for p in brief.questions.problems),
    }
'''
POLICIES = ("oracle", "status-quo", "equal", "greedy", "thompson")


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A loop as typed, with a model of the user's own in a host process."""
    folder = tmp_path_factory.mktemp("lived")
    world = worlds.written(folder, worlds.plain())
    (folder / "mine.py").write_text(ROOTS)
    named = [word for name in POLICIES for word in ("--policy", name)]
    arguments = ["loop", str(world), *named, "--model", f"{folder}/mine.py:roots", "--replicates", "3"]
    return folder, [*arguments, "--quarters", "2", "--store", str(folder / "out")]


def test_a_loop_prints_regret_with_intervals_and_keeps_the_trail(lived):
    folder, arguments = lived
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    board = result.output.split("\n\n")[0].splitlines()
    rows = {line.split()[0]: line for line in board if line.split()[0] in POLICIES}
    assert list(rows) == sorted(rows, key=lambda name: float(rows[name].split()[1])) and set(rows) == set(POLICIES)
    assert float(rows["oracle"].split()[1]) == 0.0 and rows["greedy"].count("[") == 2
    assert all(len(line) <= 100 for line in lines if not line.startswith("kept in"))
    trail = pd.read_csv(folder / "out" / "decisions.csv")
    assert len(trail) == len(POLICIES) * 3 * 2 * 2 and (trail.status == "decided").all()
    kept = pd.read_csv(folder / "out" / "policies.csv").set_index("policy")
    assert rows["greedy"].split()[1] == f"{kept.regret['greedy']:.1f}"
    money = trail.groupby(["policy", "replicate"])[["usual"]].sum()
    regret = trail.drop_duplicates(["policy", "replicate", "epoch"]).groupby(["policy", "replicate"]).regret.sum()
    expected = (100 * regret / money.usual).groupby("policy").mean()
    np.testing.assert_allclose(kept.regret[expected.index], expected, atol=1e-9)
    assert {path.stem for path in (folder / "out").iterdir()} == set(loops.FILES)


def test_the_risk_of_plans_is_printed_with_ranks(lived):
    """Beside the status quo, the worst tenth of three worlds being the worst of them."""
    folder, arguments = lived
    told = call(*arguments).output.split("\n\n")
    (block,) = [part for part in told if part.startswith("risk ") and "mean / sd" in part.splitlines()[0]]
    rows = {line.split()[0]: line.split() for line in block.splitlines()[2:]}
    assert set(rows) == set(POLICIES) - {"status-quo"}
    kept = pd.read_csv(folder / "out" / "risk.csv").set_index("policy")
    for name, words in rows.items():
        row = kept.loc[name]
        lost, ratio = f"{100 * row['lost']:.0f}%", f"{row['mean / sd']:.2f}"
        numbers = (f"{row['mean']:.1f}", f"{row['worst tenth']:.1f}", lost, ratio)
        ranks = (f"({row[f'rank {column}']})" for column in ("mean", "worst tenth", "lost", "mean / sd"))
        assert words[1:] == [word for pair in zip(numbers, ranks, strict=True) for word in pair]
    assert kept.loc["oracle", "rank mean"] == 1 and sorted(kept["rank worst tenth"]) == [1, 2, 3, 4]


def test_the_status_quo_is_lived_and_not_shown_unless_asked_for(lived, tmp_path):
    """Same risk and same regret as with it among the policies, and no row of it anywhere."""
    folder, arguments = lived
    at = arguments.index("status-quo")
    result = call(*arguments[: at - 1], *arguments[at + 1 : -1], str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    assert not any(line.startswith("status-quo") for line in result.output.splitlines())
    call(*arguments)
    for name in loops.FILES:
        without, whole = (pd.read_csv(path / f"{name}.csv") for path in (tmp_path / "out", folder / "out"))
        pd.testing.assert_frame_equal(without, whole[whole.policy != "status-quo"].reset_index(drop=True))
    alone = call(*arguments[:2], "--policy", "equal", *arguments[at + 7 : -1], str(tmp_path / "alone"))
    assert "vs status-quo" in alone.output and "risk" in alone.output


def test_policies_take_options_and_epochs_are_as_long_as_asked(lived, tmp_path):
    folder, arguments = lived
    policy = "revenue-share[share=0]"
    options = ["--policy", policy, "--model", f"{folder}/mine.py:roots", "--replicates", "1", "--every", "26"]
    result = call(*arguments[:2], *options, "--store", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    trail = pd.read_csv(tmp_path / "out" / "decisions.csv")
    assert set(trail.policy) == {policy} and list(trail.week.unique()) == [104, 130]
    assert trail.amount.sum() == pytest.approx(0.85 * trail.usual.sum(), rel=1e-6), "as little as may be spent"


def test_json_has_the_same_numbers(lived):
    folder, arguments = lived
    result = call(*arguments, "--json")
    told = json.loads(result.output)
    assert (
        result.exit_code == 0 and told["model"] == "roots" and {row["policy"] for row in told["risk"]} <= set(POLICIES)
    )
    board = pd.read_csv(folder / "out" / "policies.csv").set_index("policy")
    for column in ("regret", "difference", "against oracle", "money moved", "error after", "width after"):
        assert all({f"{column} low", f"{column} high"} <= set(row) for row in told["policies"]), column
    for row in told["policies"]:
        assert row["regret"] == pytest.approx(board.regret[row["policy"]], abs=1e-9)


def test_a_model_that_fails_is_told_by_the_exit_code(lived, tmp_path):
    _, arguments = lived
    (tmp_path / "no.py").write_text("def fails(key, brief):\n    raise ValueError('no idea')\n")
    changed = [f"{tmp_path}/no.py:fails" if word.endswith("mine.py:roots") else word for word in arguments]
    result = call(*changed[:-1], str(tmp_path / "out"))
    assert result.exit_code == 4, result.output
    trail = pd.read_csv(tmp_path / "out" / "decisions.csv")
    lost = trail[trail.policy.isin(["greedy", "thompson"])]
    assert (lost.status == "model failed: usual plan").all()
    np.testing.assert_allclose(lost.amount, lost.usual, rtol=1e-6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("loop", "smoke", "--policy", "tompson"), "thompson"),
        (("loop", "smoke", "--model", "no-such-model"), "no-such-model"),
        (("loop", "smok"), "smoke"),
        (("loop", "smoke", "--policy", "oracle", "--policy", "oracle"), "twice"),
        (("loop", "smoke", "--policy", "contingency[share=2]"), "contingency[share]"),
        (("loop", "smoke", "--every", "5"), "every: 5 weeks"),
        (("loop", "recorded", "--quarters", "8"), "quarters: are too many for recorded"),
    ],
)
def test_what_is_not_known_is_refused(words, said, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in refused(*words)
    assert not list(tmp_path.iterdir()), "nothing was begun"
