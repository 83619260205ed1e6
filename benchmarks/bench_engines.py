"""Posteriors a minute, ours beside PyMC-Marketing's, on panels of one recipe and two cores for both.

`make peers` installs the library; without it only our side runs. `make speed` writes the table of docs/engines.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / ".cache" / "peers" / "pymc-marketing" / "bin" / "python"
sys.path.insert(0, str(ROOT / "benchmarks" / "peers"))

import standard  # noqa: E402

CORES = 2
ASKED = "samples=250,ess=1000,rounds=12"
#: Curved posteriors with long tails: longer trajectories in shorter rounds let more panels come to an end.
LONG = "leapfrogs=16,longer=16,samples=100,ess=1000,rounds=12"
#: Name -> panels that each core fits.
OURS = {
    f"pymc-marketing-style-hmc[{LONG}]": 64,
    f"pymc-marketing-style-hmc[{ASKED}]": 64,
    f"pymc-marketing-style-hmc[leapfrogs=6,longer=6,{ASKED},effects=free]": 64,
    "pymc-marketing-style-laplace": 128,
    "pymc-marketing-style-laplace[pool=500]": 128,
    f"national-hmc[{ASKED}]": 64,
    "national-laplace": 128,
    "national-auto": 64,
}
#: Panels that the library fits one after the other, its quicker way.
PEER_PANELS = 4
FOUND: dict[str, Any] = {}


def ours(name: str, panels: int, folder: Path) -> dict:
    """Two processes, a core each, that start together; what both did."""
    files = [folder / f"{core}.json" for core in range(CORES)]
    command = [sys.executable, str(ROOT / "benchmarks" / "fit_many.py"), name]
    hosts = [
        subprocess.Popen(
            ["taskset", "-c", str(core), *command, str(1 + core * panels), str(panels), str(file)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for core, file in enumerate(files)
    ]  # fmt: skip
    for host in hosts:
        assert host.stdout.readline() == "ready\n"
    for host in hosts:
        host.stdin.write("go\n")
        host.stdin.flush()
    assert [host.wait() for host in hosts] == [0] * CORES
    told = [json.loads(file.read_text()) for file in files]
    seconds = max(each["seconds"]["all"] for each in told)
    ess = [x for each in told for x in each["return ess"]]
    return {
        "name": name,
        "fits": sum(each["fits"] for each in told),
        "seconds": seconds,
        "fits a minute": 60 * sum(each["fits"] for each in told) / seconds,
        "return ESS a minute": 60 * sum(ess) / seconds if ess else None,
        "median return ESS": float(np.median(ess)) if ess else None,
        "fewest": min(ess) if ess else None,
        "converged": float(np.mean([each["converged"] for each in told])),
        "first answer": max(each["seconds"]["first answer"] for each in told),
        "import": max(each["seconds"]["import"] for each in told),
        "memory": max(each["peak memory, GB"] for each in told),
    }


def peer(folder: Path, method: str, seed: int) -> dict:
    """One fit of the library on one panel."""
    source, target = folder / f"speed-{seed}.json", folder / f"peer-{seed}.json"
    standard.write(source, {"panel": standard.speed_panel(seed)})
    command = [
        str(PEER),
        str(ROOT / "benchmarks" / "peers" / "fit_pymc_marketing.py"),
        str(source),
        str(target),
        method,
    ]
    subprocess.run(["taskset", "-c", "0,1", *command], check=True)
    return standard.read(target)


@pytest.mark.skipif(not PEER.exists(), reason="make peers installs PyMC-Marketing")
@pytest.mark.parametrize(("method", "panels"), [("parallel", PEER_PANELS), ("vectorized", 1)])
def test_fits_of_the_library(benchmark, tmp_path, method, panels):
    """Build, compile, warm-up and draws of 4 x (1000 + 1000), each in a fresh process."""

    def every() -> list[dict]:
        return [peer(tmp_path, method, 1 + i) for i in range(panels)]

    FOUND[method] = benchmark.pedantic(every, rounds=1, iterations=1)
    assert all(told["min_ess_roas"] > 0 for told in FOUND[method])


@pytest.mark.parametrize("name", OURS)
def test_many_fits_of_ours(benchmark, tmp_path, name):
    """Fits with answers, two processes, programs compiled."""
    told = benchmark.pedantic(ours, (name, OURS[name], tmp_path), rounds=1, iterations=1)
    FOUND[name] = told
    benchmark.extra_info.update(told)
    assert told["fits"] == CORES * OURS[name]


def test_beside_each_other():
    """Ratios of what a user waits for; written where `make speed` looks for them."""
    target = ROOT / ".cache" / "speed.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(FOUND, indent=1, default=float))
    assert FOUND, "nothing was measured"
