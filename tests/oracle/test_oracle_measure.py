"""What is seen through dirt, against the oracle: every kind of step, in any order, at any origin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from simbench.world.scenario import family, read_scenario
from simbench.world.truth import draw

from . import formulas, measure, oracle
from .random_scenarios import FEW, RECORDED, random_measure, random_scenario, recorded_csv
from .test_oracle_truth import faults

STRUCTURES = int(os.environ.get("SIMBENCH_ORACLE_STRUCTURES", FEW))
KINDS = (
    "spend-error", "fee", "unit", "outliers", "spend-tracking-loss", "kpi-error", "kpi-tracking-loss", "missing",
    "backfilled", "late-booking", "privacy", "claims",
)  # fmt: skip


def test_every_seed_meets_every_kind() -> None:
    assert [kind for seed in range(10) for kind in KINDS if f'kind = "{kind}"' not in random_measure(seed)] == []


@pytest.mark.parametrize("seed", range(20))
def test_what_is_seen_equals_oracle(seed: int, tmp_path: Path) -> None:
    (tmp_path / "world.toml").write_text(random_scenario(seed, STRUCTURES) + random_measure(seed, STRUCTURES))
    (tmp_path / RECORDED).write_text(recorded_csv(seed))
    scenario, replicate = read_scenario(tmp_path / "world.toml"), seed % 3
    case = oracle.case(scenario, replicate)
    draws = formulas.Draws(formulas.MASTER, family(scenario), replicate)
    for back in (0, 7):
        brief = draw(scenario, [replicate], truth=False, origin=-back).briefs[0]
        expected = measure.seen(case, draws, scenario.time.weeks - back)
        panel, context = brief.panel, brief.context
        pairs = {name: (getattr(panel, name), expected[name]) for name in ("kpi", "mask")}
        pairs |= {name: (getattr(context, name), expected[name]) for name in ("kpi_scale", "spend_scale")}
        for c, channel in enumerate(case.world.channels):  # one by one: a unit of thousands must not hide an error
            for name in ("lever", "spend", "claims", "exposure"):
                if (getattr(panel, name) is None) != (expected[name] is None):
                    pairs[name] = (getattr(panel, name), expected[name])
                elif expected[name] is not None:
                    pairs[f"{name} {channel.name}"] = (getattr(panel, name)[..., c], expected[name][..., c])
            if panel.exposure is not None:
                ahead = brief.questions.future.exposure, expected["contacts ahead"]
                pairs[f"contacts ahead {channel.name}"] = tuple(x[..., c] for x in ahead)
        assert faults(pairs) == [], back
