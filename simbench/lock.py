"""LOCK.json: the digest of every shipped scenario and a summary of its numbers.

Numbers that move while the digest stays are an error; a scenario that is corrected gets a new
name (docs/versioning.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simbench.errors import BadInput
from simbench.world.scenario import points, read_scenario, scenario_digest, scenario_folder, scenario_names

#: Replicates whose numbers are summarised.
REPLICATES = 2
#: Numbers may differ by this much between machines and library versions before they have "moved".
TOLERANCE = 1e-7


class Fault(NamedTuple):
    """One entry that does not hold. `moved`: numbers changed under the same digest."""

    scenario: str
    moved: bool
    detail: str


def lock_path() -> Path:
    """Where the lock of the shipped scenarios is."""
    return scenario_folder() / "LOCK.json"


def shipped() -> list[Any]:
    """Every shipped scenario, sweeps as their points, by name."""
    return [point for name in scenario_names() for point in points(read_scenario(name))]


def summary(scenario: Any) -> dict[str, float]:
    """Numbers of the first replicates that change when anything in a world does."""
    from simbench.world.truth import draw

    drawn = draw(scenario, REPLICATES)
    panel, truth = drawn.brief.panel, drawn.truth
    if truth is None:
        raise BadInput(scenario.name, "was drawn without truth", "draw(..., truth=True)")
    answers: Any = truth.answers  # a truth answers everything
    numbers = {
        "kpi": panel.kpi.sum(), "spend": panel.spend.sum(), "controls": panel.controls.sum(),
        "holdout": truth.kpi_future.sum(), "forecast": answers.forecast.sum(),
        "responding": truth.responding.contribution[:, 0].sum(), "path_held": truth.path_held.contribution[:, 0].sum(),
        "impulse": np.nansum(answers.impulse), "curve": np.nansum(answers.curve), "baseline": answers.baseline.sum(),
    }  # fmt: skip
    shown = {"claims": panel.claims, "mask": panel.mask, "exposure": panel.exposure}  # None where there are none
    numbers |= {key: path.sum() for key, path in shown.items() if path is not None}
    for c, channel in enumerate(drawn.labels.channels):
        numbers[f"contribution {channel}"] = answers.contribution[:, 0, c].sum()
        numbers[f"marginal {channel}"] = np.nansum(answers.marginal[:, 0, c])
    for problem, best in zip(drawn.labels.problems, truth.optima, strict=True):
        numbers[f"optimum {problem}"] = best.value.sum()
    return {key: float(f"{value:.10g}") for key, value in numbers.items()}


def compute(progress: Callable[[str], None] = lambda name: None) -> dict[str, dict[str, Any]]:
    """Digest and numbers of every shipped scenario."""
    lock = {}
    for scenario in shipped():
        progress(scenario.name)
        lock[scenario.name] = {"digest": scenario_digest(scenario), "numbers": summary(scenario)}
    return lock


def write(progress: Callable[[str], None] = lambda name: None) -> Path:
    """Write the lock anew."""
    path = lock_path()
    text = json.dumps(compute(progress), indent=1, sort_keys=True) + "\n"
    temporary = path.with_suffix(".json.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return path


def read() -> dict[str, dict[str, Any]]:
    """The lock as it stands.

    Raises
    ------
    BadInput
        If there is none or it is no JSON.
    """
    path = lock_path()
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise BadInput(str(path), "is missing", "simbench lock writes it") from None
    except json.JSONDecodeError as error:
        raise BadInput(str(path), f"is not JSON ({error})", "simbench lock writes it") from None


def check(progress: Callable[[str], None] = lambda name: None, *, numbers: bool = True) -> list[Fault]:
    """Faults of the lock against the scenarios as they are; empty when all is well.

    Parameters
    ----------
    numbers : bool
        False compares digests only, without drawing anything.
    """
    locked, faults = read(), []
    scenarios = {scenario.name: scenario for scenario in shipped()}
    faults += unsucceeded(list(scenarios.values()))
    faults += [Fault(name, False, "is locked but not shipped") for name in sorted(set(locked) - set(scenarios))]
    for name, scenario in scenarios.items():
        progress(name)
        if name not in locked:
            faults.append(Fault(name, False, "is shipped but not locked"))
        elif locked[name]["digest"] != scenario_digest(scenario):
            faults.append(Fault(name, False, "has another digest than the lock: a corrected scenario gets a new name"))
        elif numbers:
            faults += compare(name, locked[name]["numbers"], summary(scenario))
    return faults


def unsucceeded(scenarios: Sequence[Any]) -> list[Fault]:
    """Scenarios that are superseded by one that is not among them, or by themselves; a sweep goes by its file too."""
    names = {scenario.name for scenario in scenarios} | {file_of(scenario) for scenario in scenarios}
    return [
        Fault(scenario.name, False, f"is superseded by '{scenario.superseded_by}', which is no other shipped scenario")
        for scenario in scenarios
        if scenario.superseded_by and scenario.superseded_by not in names - {scenario.name, file_of(scenario)}
    ]


def file_of(scenario: Any) -> str:
    """Name of the file that a scenario or a point of its sweep stands in."""
    return str(scenario.name).partition("[")[0]


def compare(name: str, locked: dict[str, float], now: dict[str, float]) -> list[Fault]:
    """Numbers that moved, or went, although the digest did not; and those that are not locked yet."""
    gone, new = sorted(set(locked) - set(now)), sorted(set(now) - set(locked))
    faults = [Fault(name, True, f"numbers are no longer summarised: {', '.join(gone)}")] if gone else []
    faults += [Fault(name, False, f"numbers are not locked yet: {', '.join(new)}")] if new else []
    common = sorted(set(now) & set(locked))
    moved = [key for key in common if abs(now[key] - locked[key]) > TOLERANCE * max(abs(locked[key]), 1e-12)]
    return faults + [
        Fault(name, True, f"{key} moved from {locked[key]:.10g} to {now[key]:.10g} under the same digest")
        for key in moved
    ]
