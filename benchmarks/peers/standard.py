"""The data and the points on which a peer library's model and ours are compared.

Pure NumPy and the standard library, so that this file runs in every environment. A panel is a dict: `start` (the date
of the first week), `spend` [T, C] in money, `kpi` [T], `controls` [T, K]; lists of floats with 12 significant digits,
so that what is written is what every library reads.

    python standard.py inputs FOLDER        write FOLDER/{pymc-marketing,meridian,speed}.json
    python standard.py gather FOLDER FILE   join inputs and answers of both libraries into one file
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LIBRARIES = ("pymc-marketing", "meridian")
POINTS = 100
DIGITS = 12


def rounded(value: Any) -> Any:
    """Numbers, arrays, lists and dicts as plain JSON values with 12 significant digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [rounded(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.{DIGITS}g}")
    return value


def dates(panel: dict[str, Any]) -> np.ndarray:
    """The first day of every week [T], datetime64[D]."""
    return np.datetime64(panel["start"], "D") + 7 * np.arange(len(panel["kpi"]))


def small_panel() -> dict[str, Any]:
    """104 weeks, 3 channels, 1 control: with dark weeks, a leap year, odd and even counts of weeks with spend."""
    generator = np.random.default_rng(20191230)
    weeks = 104
    spend = generator.gamma(3.0, 1.0, (weeks, 3)) * np.array([9_000.0, 2_500.0, 600.0])
    spend[:5, 0] = 0.0
    spend[generator.choice(weeks, 30, replace=False), 1] = 0.0
    spend[40:59, 2] = 0.0
    control = 10.0 + generator.normal(size=(weeks, 1))
    season = np.sin(2 * np.pi * np.arange(weeks) / 52.18)
    kpi = 90_000 + 12_000 * season - 3_000 * (control[:, 0] - 10) + spend @ np.array([0.8, 2.0, 4.0])
    kpi = kpi + 5_000 * generator.normal(size=weeks)
    return rounded({"start": "2019-12-30", "spend": spend.round(2), "kpi": kpi.round(2), "controls": control.round(4)})


def speed_panel(seed: int = 1) -> dict[str, Any]:
    """130 weeks, 5 channels, 2 controls, with `true_roas` [C]: the data set on which fits are timed.

    Geometric carry-over over 8 weeks, Hill curves with slopes .8 to 1.6, trend, two Fourier orders; media are 35% of
    the KPI and the mean explains 90% of its variance.
    """
    generator = np.random.default_rng(seed)
    weeks, channels, lags = 130, 5, 8
    time = np.arange(weeks)
    common = generator.normal(size=(weeks, 1))
    logs = 0.4 * common + 0.5 * generator.normal(size=(weeks, channels))
    spend = np.exp(logs) * generator.uniform(5_000, 40_000, channels)

    retention = generator.uniform(0.2, 0.8, channels)
    weights = retention ** np.arange(lags)[:, None]
    weights /= weights.sum(axis=0)
    history = np.vstack([np.zeros((lags - 1, channels)), spend])
    stock = sum(weights[lag] * history[lags - 1 - lag : lags - 1 - lag + weeks] for lag in range(lags))
    slope = generator.uniform(0.8, 1.6, channels)
    half_at = generator.uniform(0.6, 1.4, channels) * spend.mean(axis=0)
    curve = stock**slope / (stock**slope + half_at**slope)
    roas = generator.uniform(1.0, 2.5, channels)
    contribution = roas * spend.sum(axis=0) * curve / curve.sum(axis=0)

    controls = generator.normal(size=(weeks, 2))
    season = sum(
        generator.normal(0, 0.06) * wave(2 * np.pi * order * time / 52.18)
        for order in (1, 2)
        for wave in (np.sin, np.cos)
    )
    base = 1 + 0.1 * time / weeks + season + controls @ generator.normal(0, 0.05, 2)
    media = contribution.sum(axis=1)
    mean = media + media.mean() * (0.65 / 0.35) * base / base.mean()
    kpi = mean + np.sqrt(mean.var() * (1 / 0.9 - 1)) * generator.normal(size=weeks)
    return rounded(
        {
            "start": "2021-01-04",
            "spend": spend.round(2),
            "kpi": kpi.round(2),
            "controls": controls.round(6),
            "true_roas": roas,
        }
    )


def pymc_marketing_point(generator: np.random.Generator, channels: int, controls: int) -> dict[str, Any]:
    """A draw from the default priors of PyMC-Marketing, scaled units: retention, lam and beta [C], fourier [4]."""
    return {
        "intercept": generator.normal(0, 2),
        "control": generator.normal(0, 2, controls),
        "fourier": generator.laplace(0, 1, 4),
        "retention": generator.beta(1, 3, channels),
        "lam": generator.gamma(3, 1, channels),
        "beta": np.abs(generator.normal(0, 2, channels)),
        "noise": abs(generator.normal(0, 2)),
    }


def meridian_point(generator: np.random.Generator, channels: int, controls: int) -> dict[str, Any]:
    """A draw from the default priors of Meridian's national model with one knot: roas, retention and half_at [C]."""
    tries = generator.normal(0.8, 0.8, 50 * channels)
    return {
        "level": generator.normal(0, 5),
        "control": generator.normal(0, 5, controls),
        "retention": generator.uniform(0, 1, channels),
        "half_at": tries[(tries > 0.1) & (tries < 10)][:channels],
        "roas": generator.lognormal(0.2, 0.9, channels),
        "noise": abs(generator.normal(0, 5)),
    }


def points(draw: Callable[..., dict[str, Any]], panel: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """100 points of a panel's model."""
    generator = np.random.default_rng(seed)
    channels, controls = len(panel["spend"][0]), len(panel["controls"][0])
    return [rounded(draw(generator, channels, controls)) for _ in range(POINTS)]


def read(path: str | Path) -> dict[str, Any]:
    """A JSON file."""
    return json.loads(Path(path).read_text())


def write(path: str | Path, content: dict[str, Any]) -> None:
    """A JSON file: one line for every entry of the first two levels."""
    lines = []
    for key, value in content.items():
        text = json.dumps(value)
        if isinstance(value, dict):
            inner = ",\n".join(f"  {json.dumps(name)}: {json.dumps(item)}" for name, item in value.items())
            text = "{\n" + inner + "\n}"
        lines.append(f"{json.dumps(key)}: {text}")
    Path(path).write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main(verb: str, folder: str, file: str = "") -> None:
    """`inputs` and `gather` of the command line."""
    if verb == "inputs":
        Path(folder).mkdir(parents=True, exist_ok=True)
        panel = small_panel()
        for library, draw, seed in zip(LIBRARIES, (pymc_marketing_point, meridian_point), (101, 102), strict=True):
            write(f"{folder}/{library}.json", {"panel": panel, "points": points(draw, panel, seed)})
        write(f"{folder}/speed.json", {"panel": speed_panel()})
    elif verb == "gather":
        inputs = {library: read(f"{folder}/{library}.json") for library in LIBRARIES}
        answers = {library: read(f"{folder}/{library}-answers.json") for library in LIBRARIES}
        content = {library: {"points": inputs[library]["points"], **answers[library]} for library in LIBRARIES}
        write(file, {"panel": inputs[LIBRARIES[0]]["panel"], **content})
    else:
        sys.exit(f"unknown: {verb}")


if __name__ == "__main__":
    main(*sys.argv[1:])
