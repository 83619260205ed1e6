"""Log prior densities, coefficients and means of the KPI by Meridian's own default national model, at given points.

    python log_prior_meridian.py INPUT.json OUTPUT.json

The input holds `panel` and `points` as standard.py writes them. The output holds `log_prior`: for each parameter the
log density summed over its entries [points], by constrained value and without a Jacobian; `kpi` [T] as the library
scales it; of the first five points `mean` [5, T], the mean of that KPI, and `beta` [5, C], the coefficients that the
returns imply; `versions`.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
import pandas as pd
import standard
from meridian.data.data_frame_input_data_builder import DataFrameInputDataBuilder
from meridian.model.model import Meridian
from meridian.model.posterior_sampler import PosteriorMCMCSampler
from meridian.model.spec import ModelSpec

#: The library's name of each of our parameters.
NAMES = {
    "level": "knot_values",
    "control": "gamma_c",
    "retention": "alpha_m",
    "half_at": "ec_m",
    "roas": "roi_m",
    "noise": "sigma",
}
MEANS = 5


def default_model(panel: dict[str, Any]) -> Meridian:
    """The national model of a panel, all as it is by default; media are measured by what was spent."""
    spend, controls = np.array(panel["spend"]), np.array(panel["controls"])
    channels = [f"channel {index}" for index in range(spend.shape[1])]
    names = [f"control {index}" for index in range(controls.shape[1])]
    columns = pd.DataFrame(np.hstack([spend, controls]), columns=channels + names)
    columns["time"] = standard.dates(panel).astype(str)
    columns["kpi"] = panel["kpi"]
    builder = DataFrameInputDataBuilder(kpi_type="revenue").with_kpi(columns).with_controls(columns, names)
    return Meridian(builder.with_media(columns, channels, channels, channels).build(), ModelSpec())


def main(source: str, target: str) -> None:
    """Evaluate the points of one file into another."""
    content = standard.read(source)
    library = default_model(content["panel"])
    priors = library.model_context.prior_broadcast
    points = [{name: np.array(value) for name, value in point.items()} for point in content["points"]]
    for point in points:
        point["level"] = point["level"][None]

    log_prior = {}
    for ours, theirs in NAMES.items():
        density = getattr(priors, theirs).log_prob
        log_prior[ours] = [float(np.sum(density(point[ours]))) for point in points]

    joint = PosteriorMCMCSampler(model_context=library.model_context)._get_joint_dist_unpinned()
    means, coefficients = [], []
    for point in points[:MEANS]:
        given = {theirs: point[ours] for ours, theirs in NAMES.items()}
        parts, _ = joint.sample_distributions(seed=jax.random.key(0), **given)
        means.append(np.asarray(parts.y.mean())[0])
        coefficients.append(np.asarray(parts.beta_m.mean()))

    versions = {name: version(name) for name in ("google-meridian", "tfp-nightly", "jax")}
    scaled = np.asarray(library.model_context.kpi_scaled)[0]
    answers = {"log_prior": log_prior, "kpi": scaled, "mean": means, "beta": coefficients, "versions": versions}
    standard.write(target, standard.rounded(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
