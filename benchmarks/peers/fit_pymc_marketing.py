"""What one fit by PyMC-Marketing costs, start to end, and the return on ad spend that it finds.

    python fit_pymc_marketing.py INPUT.json OUTPUT.json [parallel | vectorized] [SEED]

The documented default model, sampled by NumPyro: 4 chains of 1000 warm-up steps and 1000 draws, on all cores that the
process may use. `parallel`, the library's default, gives each chain a device of its own; `vectorized` steps all chains
in one program. The output holds `seconds` of each part of a user's wait, `roas` mean and sd [C] over the weeks of the
input, without what arrives later, the effective sample sizes and R-hat of the chains, peak memory and versions.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from importlib.metadata import version

BEGAN = time.perf_counter()

import arviz  # noqa: E402
import numpy as np  # noqa: E402
import pymc.sampling.jax  # noqa: E402, F401
import standard  # noqa: E402
from log_prior_pymc_marketing import NAMES, default_model, table  # noqa: E402

IMPORTED = time.perf_counter()
PACKAGES = ("pymc-marketing", "pymc", "numpyro", "jax", "numpy")


def main(source: str, target: str, chain_method: str = "parallel", seed: str = "1") -> None:
    """Fit the panel of one file and write what it cost into another."""
    panel = standard.read(source)["panel"]
    columns, kpi, channels, controls = table(panel)

    start = time.perf_counter()
    library = default_model(channels, controls)
    library.build_model(columns, kpi)
    built = time.perf_counter()
    library.fit(
        columns,
        kpi,
        nuts_sampler="numpyro",
        chains=4,
        draws=1000,
        tune=1000,
        progressbar=False,
        random_seed=int(seed),
        nuts_sampler_kwargs={"chain_method": chain_method},
    )
    fitted = time.perf_counter()

    posterior, statistics = library.idata.posterior, library.idata.sample_stats
    contribution = posterior["channel_contribution"].sum("date") * float(library.scalers["_target"])
    roas = contribution / np.sum(panel["spend"], axis=0)
    size = arviz.ess(posterior, var_names=list(NAMES.values()))
    convergence = arviz.rhat(posterior, var_names=list(NAMES.values()))
    done = time.perf_counter()

    answers = {
        "chain_method": chain_method,
        "cores": len(os.sched_getaffinity(0)),
        "seconds": {
            "import": IMPORTED - BEGAN,
            "build": built - start,
            "fit": fitted - built,
            "of the fit: sampler with its compilation": posterior.attrs["sampling_time"],
            "summary": done - fitted,
        },
        "roas": {"mean": roas.mean(("chain", "draw")).values, "sd": roas.std(("chain", "draw")).values},
        "min_ess_roas": float(arviz.ess(roas.to_dataset(name="roas"))["roas"].min()),
        "min_ess": min(float(size[name].min()) for name in size),
        "max_rhat": max(float(convergence[name].max()) for name in convergence),
        "mean_leapfrog_steps": float(statistics["n_steps"].mean()),
        "divergences": int(statistics["diverging"].sum()),
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "versions": {name: version(name) for name in PACKAGES},
    }
    standard.write(target, standard.rounded(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
