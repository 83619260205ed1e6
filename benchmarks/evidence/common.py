"""What both scripts share: settings, models and panels, quantities of interest, tables between markers."""

from __future__ import annotations

import os
import platform
import re
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import simbench as sb
from simbench.backends.bayes import density
from simbench.backends.bayes.engine import Engine
from simbench.backends.bayes.models import MODELS
from simbench.backends.bayes.pairs import WAYS, engine_of, pair

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "engines.md"
GEO = str(Path(__file__).with_name("geo-small.toml"))
#: Shares of the spend at which response curves are compared, besides 1.
MULTIPLIERS = (0.5, 1.5, 2.0)
LANES = 8


def settings() -> None:
    """One thread, and compiled programs kept between runs: as tests have it."""
    os.environ["NPROC"] = "1"
    jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def model_of(name: str, **changed: Any) -> Any:
    """A model with its default options."""
    entry = MODELS[name]
    return entry.make(**({option.name: option.default for option in entry.options} | changed))


def default_engine(model: str, way: str, **changed: Any) -> tuple[Engine, str]:
    """An engine with the options a model has by default, and the precision it runs in."""
    own = {option.name for option in WAYS[way].options}
    options = {option.name: option.default for option in pair(model, way).options if option.name in own} | changed
    precision = options.pop("precision", "float64")
    options.pop("strict", None)
    return engine_of(way, **options), precision


def briefs_of(scenario: str, replicates: list[int]) -> list[Any]:
    """Briefs of replicates of a scenario."""
    return list(sb.draw(scenario, replicates, truth=False).briefs)


def stacked(records: list[Any]) -> Any:
    """Records as one, with a leading axis."""
    return jax.tree.map(lambda *x: np.stack(x), *records)


def keys_of(count: int, seed: int) -> np.ndarray:
    """Keys [count, 2] of an engine."""
    return np.random.default_rng(seed).integers(0, 2**32, (count, 2), dtype=np.uint32)


def quantities(model: Any, parameters: Any, block: Any, data: Any) -> Any:
    """ROAS, marginal ROAS and points of the response curve of every channel [5 C], in money a unit of money.

    National, over the spend of the seen weeks and all weeks in which it acts. `block` are the coefficients of
    effects that a model may integrate out.
    """
    own, sd = density.effects(model, parameters, data)
    unit = density.amplitudes(model, parameters, data, density.curves(model, parameters, data))
    amplitude = unit * (own + sd * block if block.shape[1] else own)
    worth = (data.scale[:, None] * data.worth).sum(axis=0)

    def brought(share: Any) -> Any:  # by a share of all spend, over the whole of it
        curve = density.curves(model, parameters, data, share)
        return (data.scale[:, None] * amplitude * curve.sum(axis=-1)).sum(axis=0) / worth

    one = jnp.ones((), data.kpi.dtype)
    return jnp.concatenate([*jax.jvp(brought, (one,), (one,)), *(brought(share * one) for share in MULTIPLIERS)])


def at_points(model: Any, key: Any, points: Any, data: Any) -> Any:
    """Quantities [D, Q] of points z [D, n]; what is integrated out is drawn."""

    def one(cell: Any) -> Any:
        key, z = cell
        parameters = density.placed(model, z, data)
        _, block = density.linear_draw(model, jax.random.wrap_key_data(key), parameters, data)
        return quantities(model, parameters, block, data)

    keys = jax.random.key_data(jax.random.split(jax.random.wrap_key_data(key), len(points)))
    return jax.lax.map(one, (keys, points), batch_size=32)


def written(marker: str, text: str, page: Path = PAGE) -> None:
    """Put a text between the lines ``<!-- marker -->`` and ``<!-- /marker -->`` of a page."""
    old = page.read_text(encoding="utf-8")
    found = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.DOTALL)
    assert found.search(old), f"{page} has no place for {marker}"
    page.write_text(found.sub(lambda hit: hit[1] + text + hit[2], old), encoding="utf-8")


def told(command: str, seconds: float) -> str:
    """One line: when, by which command and where figures were taken."""
    cpu = next((x.split(":")[1].strip() for x in _lines("/proc/cpuinfo") if x.startswith("model name")), "unknown")
    versions = ", ".join(f"{name} {version(name)}" for name in ("simbench", "jax", "numpyro", "numpy"))
    return (
        f"{date.today().isoformat()}, `{command}`, {seconds / 60:.0f} minutes on one of {os.cpu_count()} cores "
        f"({cpu}), Python {platform.python_version()}, {versions}.\n\n"
    )


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown; the first column is text."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
