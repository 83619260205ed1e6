"""Log prior densities and means of the KPI by PyMC-Marketing's own default model, at given points.

    python log_prior_pymc_marketing.py INPUT.json OUTPUT.json

The input holds `panel` and `points` as standard.py writes them. The output holds `log_prior`: for each parameter the
log density summed over its entries [points], by constrained value and without a Jacobian; `kpi` [T] as the library
scales it, and `mean` [5, T], the mean of that at the first five points; `versions`.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import standard
from pymc.model.transform.conditioning import remove_value_transforms
from pymc_marketing.mmm import GeometricAdstock, LogisticSaturation
from pymc_marketing.mmm.multidimensional import MMM
from pytensor.graph.traversal import ancestors

#: The library's name of each of our parameters.
NAMES = {
    "intercept": "intercept_contribution",
    "control": "gamma_control",
    "fourier": "gamma_fourier",
    "retention": "adstock_alpha",
    "lam": "saturation_lam",
    "beta": "saturation_beta",
    "noise": "y_sigma",
}
MEANS = 5


def table(panel: dict[str, Any]) -> tuple[pd.DataFrame, pd.Series, list[str], list[str]]:
    """What the library fits: a table with `date`, channels and controls, the KPI, and the names of both."""
    spend, controls = np.array(panel["spend"]), np.array(panel["controls"])
    channels = [f"channel {index}" for index in range(spend.shape[1])]
    names = [f"control {index}" for index in range(controls.shape[1])]
    columns = pd.DataFrame(np.hstack([spend, controls]), columns=channels + names)
    columns.insert(0, "date", pd.to_datetime(standard.dates(panel)))
    return columns, pd.Series(panel["kpi"], name="y"), channels, names


def default_model(channels: list[str], controls: list[str]) -> MMM:
    """The documented default with eight weeks of carry-over, logistic saturation and two yearly harmonics."""
    return MMM(
        date_column="date",
        target_column="y",
        channel_columns=channels,
        control_columns=controls,
        adstock=GeometricAdstock(l_max=8),
        saturation=LogisticSaturation(),
        yearly_seasonality=2,
    )


def main(source: str, target: str) -> None:
    """Evaluate the points of one file into another."""
    content = standard.read(source)
    columns, kpi, channels, controls = table(content["panel"])
    library = default_model(channels, controls)
    library.build_model(columns, kpi)

    # Without its transforms the library's model takes constrained values, and its densities have no Jacobian.
    model = remove_value_transforms(library.model)
    points = [{NAMES[name]: np.array(value) for name, value in point.items()} for point in content["points"]]
    assert {variable.name for variable in model.free_RVs} == set(NAMES.values())

    log_prior = {}
    for ours, theirs in NAMES.items():
        density = model.compile_logp(vars=[model[theirs]], jacobian=False)
        log_prior[ours] = [float(density(point)) for point in points]

    (mean,) = [node for node in ancestors([model["y"]]) if node.name == "mu"]
    (mean,) = model.replace_rvs_by_values([mean])
    curve = model.compile_fn(mean, inputs=model.value_vars, on_unused_input="ignore")
    means = [curve(point) for point in points[:MEANS]]

    scaled = np.asarray(kpi) / float(library.scalers["_target"])
    versions = {name: version(name) for name in ("pymc-marketing", "pymc")}
    answers = {"log_prior": log_prior, "kpi": scaled, "mean": means, "versions": versions}
    standard.write(target, standard.rounded(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
