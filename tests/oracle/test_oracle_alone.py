"""The oracle on its own: its imports, closed forms, and derivatives against differences."""

from __future__ import annotations

import ast
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from simbench.world.scenario import read_scenario

from . import decisions, dual, formulas, oracle, physics
from .dual import Dual
from .random_scenarios import FEW, LAYOUTS, RECORDED, random_scenario, recorded_csv, weekly_csv

HERE = Path(__file__).parent
DRAWS = formulas.Draws(formulas.MASTER, "alone", 0)
ALLOWED = "simbench.world.scenario"

WORLD = """
schema_version = 1
name = "alone"
breaks = ""
time = {weeks = 12, pre_history = 4, holdout = 3, horizon = 5, tail = 6}
demand = {level = 100.0}
noise = {kind = "gaussian", sd = 1.0}
questions = {windows = [], multipliers = [0.0, 0.5, 1.0, 2.0], impulse_lags = 5, levels = 5}
"""


def read(folder: Path, text: str, rows: str = "") -> Any:
    """A scenario from text, its recorded spend beside it."""
    (folder / "world.toml").write_text(text)
    (folder / RECORDED).write_text(rows)
    return read_scenario(folder / "world.toml")


def kernel(**fields: Any) -> np.ndarray:
    return formulas.kernel(DRAWS, "", SimpleNamespace(**{"normalised": True, **fields}))


def curve(**fields: Any) -> Any:
    return formulas.saturation(DRAWS, "", SimpleNamespace(**fields))


def simbench_imports(source: str) -> set[str]:
    """Modules of simbench that a source file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "simbench"}


# --- independence ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(p.name for p in HERE.glob("*.py") if not p.name.startswith("test_")))
def test_nothing_of_simbench_but_the_reader(name: str) -> None:
    source = (HERE / name).read_text()
    assert simbench_imports(source) <= {ALLOWED}
    names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    assert not names & {"importlib", "__import__", "exec", "jax"}


def test_the_reader_lends_only_its_scenario() -> None:
    used = {
        node.attr
        for node in ast.walk(ast.parse((HERE / "oracle.py").read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "reader"
    }
    assert used == {"family", "recorded_paths"}


def test_the_import_check_sees_every_spelling() -> None:
    assert simbench_imports("import simbench.ids") == {"simbench.ids"}
    assert simbench_imports("def f():\n    from simbench import transforms") == {"simbench.transforms"}
    assert simbench_imports("from simbench.world import scenario as reader") == {ALLOWED}


# --- kernels and curves ----------------------------------------------------------------------------


@pytest.mark.parametrize("retention", [0.1, 0.5, 0.8])
def test_geometric_mass(retention: float) -> None:
    weights = kernel(kind="geometric", retention=retention, half_life=None, length=400, normalised=False)
    assert weights.sum() == pytest.approx(1 / (1 - retention), rel=1e-13)


def test_half_life_is_a_retention() -> None:
    weights = kernel(kind="geometric", retention=None, half_life=2.0, length=9, normalised=False)
    assert weights[2] == pytest.approx(0.5, rel=1e-15)
    assert weights[8] == pytest.approx(0.0625, rel=1e-15)


def test_kernels_at_points_known_by_hand() -> None:
    assert kernel(kind="weibull-cdf", shape=1.0, scale=2.0, length=3, normalised=False) == pytest.approx(
        [1, math.exp(-0.5), math.exp(-1.5)], rel=1e-15
    )
    assert kernel(kind="weibull-pdf", shape=1.0, scale=2.0, length=2, normalised=False) == pytest.approx(
        [0.5 * math.exp(-0.5), 0.5 * math.exp(-1)], rel=1e-15
    )
    assert kernel(kind="binomial", retention=0.5, length=4, normalised=False) == pytest.approx([1, 0.75, 0.5, 0.25])
    assert kernel(kind="none") == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("retention", "peak", "slope", "beta", "at_one", "mean_lag"),
    [
        (0.6, 5.0, 1.0, 0.8, 0.6667, 5.00),
        (0.8, 3.0, 2.0, 0.6, 0.5769, 3.04),
        (0.8, 4.0, 2.0, 0.3, 0.2885, 4.01),
    ],
)
def test_constants_of_jin_2017(
    retention: float, peak: float, slope: float, beta: float, at_one: float, mean_lag: float
) -> None:
    weights = kernel(kind="delayed", retention=retention, peak=peak, length=13)
    assert weights.sum() == pytest.approx(1, rel=1e-15)
    assert weights @ np.arange(13) == pytest.approx(mean_lag, abs=0.005)
    hill = curve(kind="hill", half_at=0.2, slope=slope)
    assert beta * hill(np.float64(1.0)) == pytest.approx(at_one, abs=5e-5)


@pytest.mark.parametrize("kind", ["hill", "logistic", "exponential", "michaelis-menten", "tanh"])
def test_half_of_the_ceiling(kind: str) -> None:
    shape = curve(kind=kind, half_at=0.7, slope=1.7)
    assert shape(np.float64(0.7)) == pytest.approx(0.5, rel=1e-14)
    assert shape(np.float64(1e9)) == pytest.approx(1.0, rel=1e-8)
    assert shape(np.float64(0.0)) == 0


def test_curves_without_a_ceiling() -> None:
    assert curve(kind="log", half_at=2.0)(np.float64(2.0)) == pytest.approx(1.0, rel=1e-15)
    assert curve(kind="power", exponent=0.5)(np.float64(9.0)) == pytest.approx(3.0, rel=1e-15)
    assert curve(kind="none")(np.float64(9.0)) == 9.0


@pytest.mark.parametrize(
    "kind", ["hill", "logistic", "exponential", "michaelis-menten", "tanh", "log", "power", "none"]
)
@pytest.mark.parametrize("v", [0.05, 0.7, 3.0])
def test_slopes_of_curves(kind: str, v: float) -> None:
    shape, step = curve(kind=kind, half_at=0.7, slope=1.7, exponent=0.4), 1e-4
    exact = shape(Dual(np.array(v), np.array(1.0))).tangent
    near = [(shape(np.float64(v + k * step)) - shape(np.float64(v - k * step))) / (2 * k * step) for k in (1, 2)]
    assert exact == pytest.approx((4 * near[0] - near[1]) / 3, rel=1e-9)


def test_slopes_at_zero_are_finite() -> None:
    for shape in (curve(kind="hill", half_at=0.7, slope=0.5), curve(kind="power", exponent=0.4)):
        at_zero = shape(Dual(np.array(0.0), np.array(1.0)))
        assert at_zero.value == 0
        assert np.isfinite(at_zero.tangent)
        assert at_zero.tangent > 0


def test_a_kink_takes_the_upper_side() -> None:
    a, b = Dual(np.array([1.0, 2.0, 3.0]), np.ones(3)), np.array([2.0, 2.0, 2.0])
    assert list(dual.smaller(a, b).tangent) == [1, 0, 0]


# --- closed forms of whole worlds --------------------------------------------------------------------


def channel(name: str, spend: str, carry_over: str = '{kind = "none"}', saturation: str = "", more: str = "") -> str:
    saturation = saturation or '{kind = "none", scaled_by = "money"}'
    return (
        f'[[channels]]\nname = "{name}"\nkind = "tv"\nspend = {spend}\ncarry_over = {carry_over}\n'
        f"saturation = {saturation}\n{more}\n"
    )


def test_a_linear_world_is_beta_times_spend(tmp_path: Path) -> None:
    spend = '{rule = "always-on", weekly = 10.0, cv = 0.4}'
    text = WORLD + channel("a", spend, more="effect = 0.7") + channel("b", spend, more="roas = 2.5")
    truth = oracle.truth(read(tmp_path, text), 0)
    assert truth["contribution"] == pytest.approx(truth["paid"] * [0.7, 2.5], rel=1e-11)
    assert truth["marginal"] == pytest.approx(np.array([[0.7, 2.5]]), rel=1e-12)
    assert truth["curve"] == pytest.approx(truth["contribution"].T * [0, 0.5, 1, 2], rel=1e-11)
    assert truth["impulse"] == pytest.approx(np.ones((2, 5)), rel=1e-12)
    assert truth["baseline"] == pytest.approx(np.full(12, 100.0), rel=1e-13)
    for reading in ("responding", "path_held"):
        assert truth[reading]["contribution"] == pytest.approx(truth["contribution"], rel=1e-11)
    money = truth["problems"][0]
    assert truth["response"][0] == pytest.approx(money.levels * [[0.7], [2.5]], rel=1e-10)
    assert truth["response_paid"][0] == pytest.approx(money.levels, rel=1e-10)
    gain = truth["plans"].sum(axis=(1, 2)) - truth["plans"][0].sum(axis=(0, 1))
    assert truth["plan_value"] == pytest.approx(gain @ [0.5 * 0.7 - 1, 0.5 * 2.5 - 1], rel=1e-10)


def test_one_pulse_carries_over(tmp_path: Path) -> None:
    rows = weekly_csv("spend", [8.0 if week == 5 else 0.0 for week in range(52)])
    scenario = read(
        tmp_path,
        WORLD + channel(
            "a", f'{{rule = "recorded", file = "{RECORDED}", column = "spend"}}',
            '{kind = "geometric", retention = 0.5, length = 4, normalised = false}', more="effect = 3.0",
        ),
        rows,
    )  # fmt: skip
    seen, truth = oracle.paths(scenario, 0), oracle.truth(scenario, 0)
    media = (seen["mu"] - seen["base"])[:12, 0]
    assert media == pytest.approx([0, 0, 0, 0, 0, 24, 12, 6, 3, 0, 0, 0], abs=1e-12)
    assert truth["contribution"] == pytest.approx(np.array([[45.0]]), rel=1e-13)
    assert truth["impulse"] == pytest.approx(np.array([[8 / 15, 12 / 15, 14 / 15, 1, 1]]), rel=1e-13)


def test_order_of_carry_over_and_saturation(tmp_path: Path) -> None:
    rows = weekly_csv("spend", [8.0 if week == 5 else 0.0 for week in range(52)])
    spend = f'{{rule = "recorded", file = "{RECORDED}", column = "spend"}}'
    carry = '{kind = "geometric", retention = 0.5, length = 2, normalised = false}'
    curved = '{kind = "michaelis-menten", half_at = 1.0}'
    media = []
    for order in ("carry-over-first", "saturation-first"):
        text = WORLD + channel("a", spend, carry, curved, f'order = "{order}"\neffect = 30.0')
        seen = oracle.paths(read(tmp_path, text, rows), 0)
        media.append((seen["mu"] - seen["base"])[5:7, 0])
    assert media[0] == pytest.approx([15.0, 10.0], rel=1e-12)
    assert media[1] == pytest.approx([15.0, 7.5], rel=1e-12)


def test_recorded_spend_repeats_the_same_week_of_another_year(tmp_path: Path) -> None:
    scenario = SimpleNamespace(name="a", spend=SimpleNamespace(rule="recorded"))
    rows = np.arange(60.0)
    path = formulas.planned(DRAWS, scenario, np.arange(-3, 115), {"a": rows})
    assert list(path[:4]) == [49, 50, 51, 0]
    assert list(path[3 + 59 : 3 + 62]) == [59, 8, 9]
    assert list(path[3 + 111 : 3 + 114]) == [59, 8, 9]
    short = formulas.planned(DRAWS, scenario, np.arange(-3, 8), {"a": np.arange(4.0)})
    assert list(short) == [1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]


def test_correlation_is_exact(tmp_path: Path) -> None:
    spend = '{rule = "correlated", weekly = 50.0, cv = 0.2}'
    text = WORLD + "spend = {correlation = 0.6}\n" + "".join(channel(c, spend, more="roas = 1.0") for c in "abc")
    path = oracle.paths(read(tmp_path, text), 3)["paid"][:12, 0]
    assert np.corrcoef(path.T) == pytest.approx(0.6 + 0.4 * np.eye(3), abs=1e-12)


# --- random worlds -----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=range(len(LAYOUTS)))
def one(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    seed, folder = request.param, tmp_path_factory.mktemp("oracle")
    scenario = read(folder, random_scenario(seed, len(LAYOUTS)), recorded_csv(seed))
    return oracle.case(scenario, 0)


def test_shapley_shares_add_up(one: Any) -> None:
    answers = oracle.history(one)
    assert answers["shapley"].sum(axis=1) == pytest.approx(answers["all_off"], rel=1e-12)
    if not any(channel.bought for channel in one.world.channels) and not one.world.synergies:
        largest = np.abs(answers["contribution"]).max()
        assert answers["shapley"] == pytest.approx(answers["contribution"], rel=1e-10, abs=1e-12 * largest)


def test_readings_differ_only_where_something_reacts(one: Any) -> None:
    answers, channels = oracle.history(one), one.world.channels
    active = [channel for c, channel in enumerate(channels) if one.world.plan[:, c].any()]
    follows = any(c.chase or c.of_sales for c in active)
    reacts = {  # whether they must differ, and whether they may: a quarter's growth can be out of bounds in both arms
        "responding": (follows, follows or any(c.quarterly for c in active)),
        "path_held": (any(channel.halo > 0 for channel in active),) * 2,
    }
    largest = np.abs(answers["contribution"]).max()
    for reading, (must, may) in reacts.items():
        change = np.abs(answers[reading]["contribution"] - answers["contribution"]).max()
        assert must <= (change > 1e-11 * largest) <= may


def test_the_roas_is_met_on_the_planned_path(one: Any) -> None:
    world, P, T = one.world, one.world.P, one.world.T
    lever = world.levers.copy()
    lever[P + T :] = 0
    planned = physics.rollout(world, lever)
    draws = formulas.Draws(formulas.MASTER, one.scenario.name, 0)
    for c, model in enumerate(one.scenario.channels):
        if model.roas is None:
            assert world.beta[c] == draws.number(f"channels.{model.name}.effect", model.effect)
            continue
        without = lever.copy()
        without[P : P + T, :, :, c] = 0
        lost = (planned.mu - physics.rollout(world, without).mu)[P : P + T + world.tail].sum()
        paid = planned.paid[P : P + T, :, :, c].sum()
        roas = draws.number(f"channels.{model.name}.roas", model.roas)
        assert world.unit_value * lost == pytest.approx(roas * paid, rel=1e-10)


def test_marginals_are_the_limit_of_differences(one: Any) -> None:
    world, P, T = one.world, one.world.P, one.world.T
    answers, C = oracle.history(one), len(one.world.channels)
    stopped = np.ones((len(world.q), 1, 1, 1))
    stopped[P + T :] = 0
    for name, base, options in (
        ("held", one.held, {}),
        ("responding", world.levers, {"chase": True, "scale": stopped}),
        ("path_held", one.held, {"frozen": one.factual.demand}),
    ):
        exact = answers["marginal"][0] if name == "held" else answers[name]["marginal"][0]
        for c in range(C):
            flight = np.zeros_like(one.held)
            flight[P : P + T, :, :, c] = one.held[P : P + T, :, :, c]
            plain = physics.rollout(world, base, **options)
            gain = cost = 0.0
            for steps, weight in ((1, 4.0), (2, -1.0)):  # from above, as the definition says at a kink
                roll = physics.rollout(world, base, add=steps * 1e-5 * flight, **options)
                gain += weight * (roll.mu - plain.mu)[P : P + T + world.tail].sum()
                cost += weight * (roll.paid - plain.paid)[P : P + T, :, :, c].sum()
            near = np.nan if cost == 0 else gain / cost
            assert exact[c] == pytest.approx(near, rel=1e-6, nan_ok=True)


def test_plans_spend_what_they_say_and_are_worth_nothing_against_themselves(one: Any) -> None:
    answers = decisions.decided(one)
    assert answers["plan_value"][0] == 0
    for units, cost in zip(answers["problems"], answers["response_paid"]):
        plan = decisions.plan_of(units, units.status_quo)
        assert plan == pytest.approx(answers["plans"][0], rel=1e-12, abs=1e-12)
        if answers["exact"]:
            assert cost == pytest.approx(units.levels, rel=1e-9, abs=1e-9)


EVERYWHERE = (
    "geometric", "delayed", "weibull-pdf", "weibull-cdf", "binomial", "hill", "logistic", "exponential",
    "michaelis-menten", "tanh", "power", "log", "carry-over-first", "saturation-first", "linear",
    "piecewise", "random-walk", "random", "fixed", "always-on", "flighted", "pulsed", "seasonal",
    "correlated", "recorded", "demand-chasing", "demand-capturing", "gaussian", "student-t", "ar1",
    "mean-active", "max", "money", "conversions", "level", "spell", "shocks", "share-of-voice", "entrant", "spend",
    "poisson",    "negative-binomial",
    "brand-stock", "segments", "reach-frequency", "decay", "shift", "wear-out",
)  # fmt: skip
DISTRIBUTIONS = ("uniform", "log-uniform", "normal", "lognormal", "beta", "gamma", "choice")
KEYS = (
    "halo",
    "follows",
    "shock",
    "lift",
    "controls",
    "multiplicative",
    "power",
    "zero",
    "promotions",
    "seen = false",
    "seen = true",
    "half_life",
    "effect =",
    "roas",
    "[geo]",
    "tiers",
    "national_only",
    "synergies",
    "price",
    "season =",
    "cycle",
    "peaks",
    "from_week",
    "steps",
    "quarterly",
    "of_sales",
)


def test_random_scenarios_meet_every_mechanism() -> None:
    structures = "".join(random_scenario(seed) for seed in range(FEW))
    assert [word for word in EVERYWHERE if f'"{word}"' not in structures] == []
    assert [key for key in KEYS if key not in structures] == []
    numbers = "".join(random_scenario(seed) for seed in range(50))
    assert [word for word in DISTRIBUTIONS if f'"{word}"' not in numbers] == []
