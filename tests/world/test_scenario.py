from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world.scenario_text import SMALL, child, refused, replaced, write

from simbench.errors import BadInput
from simbench.records import KINDS
from simbench.world import scenario as reader
from simbench.world.forms import form_of
from simbench.world.scenario import (
    BREAKS,
    Scenario,
    family,
    json_schema,
    numbers,
    points,
    quantile,
    read_scenario,
    read_suite,
    recorded_paths,
    scenario_digest,
    scenario_folder,
    scenario_names,
    suite_names,
)
from simbench.world.scenario_media import Kind
from simbench.world.scenario_numbers import (
    Beta,
    Choice,
    Gamma,
    LogNormal,
    LogUniform,
    Normal,
    Uniform,
    support,
)

ROOT = Path(__file__).resolve().parents[2]

# --- the words -----------------------------------------------------------------------------------


def test_kinds_are_those_of_the_records() -> None:
    assert get_args(Kind) == KINDS


def test_reading_needs_no_heavy_library() -> None:
    code = (
        "import sys, simbench.world.scenario as s; s.read_scenario('clean');"
        "print(sorted({'jax', 'numpyro', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# --- a file as it is read ------------------------------------------------------------------------


def test_fields_and_defaults(tmp_path: Path) -> None:
    scenario = read_scenario(write(tmp_path, SMALL))
    time = scenario.time
    assert (time.weeks, time.pre_history, time.holdout, time.horizon, time.tail) == (60, 52, 26, 26, 26)
    assert (time.start, time.future, scenario.geo.count) == ("2021-01-04", 52, 1)
    assert scenario.demand.shock is None and scenario.spend.correlation is None
    tv, search = scenario.channels
    assert (tv.spend.lever, search.spend.lever, search.spend.cap, search.spend.follows) == (
        "set",
        "bought",
        2.0,
        None,
    )
    assert (tv.carry_over.length, tv.carry_over.normalised, tv.carry_over.half_life) == (13, True, None)
    assert (search.carry_over.length, search.carry_over.normalised) == (1, True)
    assert (tv.saturation.scaled_by, tv.order, tv.national_only) == ("mean-active", "carry-over-first", False)
    assert (tv.prior.mean, tv.prior.sd, tv.effect, search.roas) == (1.0, 1.0, None, None)
    assert (scenario.kpi.unit, scenario.kpi.value, scenario.kpi.margin) == ("revenue", 1.0, 0.5)
    asked = scenario.questions
    assert asked.windows == ((0, 60), (8, 60))
    assert asked.multipliers == (0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2)
    assert (asked.impulse_lags, asked.draws, asked.levels) == (14, 256, 21)
    fixed, free = asked.problems
    assert (fixed.name, fixed.scope, fixed.budget, fixed.budget_shares) == (
        "fixed",
        "national",
        "fixed",
        (1, 1),
    )
    assert (free.name, free.budget, free.lower, free.upper_share, free.groups) == (
        "free",
        "free",
        0.0,
        2.0,
        (),
    )
    assert free.budget_shares == (0.0, np.inf)


def test_numbers_written_as_whole_numbers_are_floats(tmp_path: Path) -> None:
    scenario = read_scenario(write(tmp_path, SMALL))
    assert isinstance(scenario.controls[0].effect, float)
    same = read_scenario(write(tmp_path, replaced("effect = -2", "effect = -2.0")))
    assert scenario_digest(scenario) == scenario_digest(same)


def test_dates_need_no_quotes(tmp_path: Path) -> None:
    text = replaced('["2021-06-01"]', "[2021-06-01]").replace("weeks = 60", "weeks = 60\nstart = 2021-01-04")
    scenario = read_scenario(write(tmp_path, text))
    assert scenario == read_scenario(write(tmp_path, SMALL))


def test_a_scenario_is_frozen(tmp_path: Path) -> None:
    scenario = read_scenario(write(tmp_path, SMALL))
    with pytest.raises(ValueError, match="frozen"):
        scenario.time.weeks = 3  # type: ignore[misc]


def test_json_means_the_same(tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    path.write_text(json.dumps(tomllib.loads(SMALL)))
    assert read_scenario(path).model_dump() == read_scenario(write(tmp_path, SMALL)).model_dump()


@pytest.mark.parametrize(
    ("windows", "resolved"),
    [
        ("[[10, 20]]", ((0, 60), (10, 20))),
        ("[[10, 20], [0, 60]]", ((0, 60), (10, 20))),
        ("[]", ((0, 60),)),
    ],
)
def test_the_whole_panel_is_always_the_first_window(tmp_path: Path, windows: str, resolved: tuple) -> None:
    scenario = read_scenario(write(tmp_path, f"{SMALL}\n[questions]\nwindows = {windows}"))
    assert scenario.questions.windows == resolved


def test_no_last_year_in_a_single_year(tmp_path: Path) -> None:
    scenario = read_scenario(write(tmp_path, replaced("weeks = 60", "weeks = 52")))
    assert scenario.questions.windows == ((0, 52),)


def test_no_upper_bound_where_curves_have_a_ceiling(tmp_path: Path) -> None:
    text = SMALL + '\n[[questions.problems]]\nname = "far"\nbudget = "free"\nupper = "none"'
    (problem,) = read_scenario(write(tmp_path, text)).questions.problems
    assert (problem.upper, problem.upper_share) == ("none", 5.0)


def test_groups_and_open_budgets(tmp_path: Path) -> None:
    text = SMALL + '\n[[questions.problems]]\nname = "floor"\nbudget = [0.8, 1]\n' + (
        'groups = [{ channels = ["tv"], low = 0.3 }]'
    )  # fmt: skip
    (problem,) = read_scenario(write(tmp_path, text)).questions.problems
    assert problem.budget_shares == (0.8, 1.0)
    assert (problem.groups[0].channels, problem.groups[0].low, problem.groups[0].high) == (("tv",), 0.3, None)


EVERY_FORM = {
    "spend": [
        "rule = 'always-on', weekly = 1, cv = 0.3",
        "rule = 'flighted', weekly = 1, cv = 0.3, on = 1, off = 1, lever = 'set'",
        "rule = 'pulsed', weekly = 1, cv = 0, floor = 0.1, height = 2, period = 9.5",
        "rule = 'seasonal', weekly = 1, phase = 0.25, sd = 0.5",
        "rule = 'demand-chasing', weekly = 1, cv = 0.3, strength = 0.8, window = 4, low = 0.4, high = 2",
        "rule = 'demand-capturing', weekly = 1, cv = 0, strength = 1, cap = 3, follows = ['search']",
    ],
    "carry_over": [
        "kind = 'none'",
        "kind = 'geometric', half_life = 2",
        "kind = 'delayed', retention = 0.5, peak = 3, length = 8",
        "kind = 'weibull-pdf', shape = 2, scale = 3",
        "kind = 'weibull-cdf', shape = 2, scale = 3, normalised = false",
        "kind = 'binomial', retention = 0.5",
    ],
    "saturation": [
        "kind = 'logistic', half_at = 1",
        "kind = 'michaelis-menten', half_at = 1, scaled_by = 'max'",
        "kind = 'tanh', half_at = 1, scaled_by = 'money'",
        "kind = 'power', exponent = 1",
        "kind = 'log', half_at = 2",
        "kind = 'none'",
    ],
}


@pytest.mark.parametrize(("part", "form"), [(part, form) for part, forms in EVERY_FORM.items() for form in forms])
def test_every_form_of_a_channel(tmp_path: Path, part: str, form: str) -> None:
    text = re.sub(rf"^{part} = .*$", f"{part} = {{ {form} }}", SMALL, count=1, flags=re.M)
    table = getattr(read_scenario(write(tmp_path, text)).channels[0], part)
    for key, value in tomllib.loads(f"x = {{ {form} }}")["x"].items():
        assert getattr(table, key) == (tuple(value) if isinstance(value, list) else value)


DRAWN = "{ dist = 'uniform', low = 0.1, high = 0.9 }"
RIVAL = "[[demand.competitors]]\nname = 'rival'\n"
PROMOTIONS = "[demand.promotions]\nevery = 8\nweeks = 2\nlow = 0.1\nhigh = 0.3\n"
COUNTED = "[kpi]\nunit = 'conversions'\nvalue = 20\n[noise]\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            'kind = "linear", per_year = 0.02',
            'kind = "piecewise", knots = [10, 30], per_year = [0.1, 0, -0.1]',
        ),
        ('kind = "linear", per_year = 0.02', 'kind = "random-walk", sd = 0.01'),
        (
            'kind = "random", order = 4, amplitude = 0.2',
            'kind = "fixed", cosine = [0.1, 0], sine = [0.1, 0.05]',
        ),
        ('kind = "gaussian"', 'kind = "gaussian"\nmultiplicative = true'),
        ('kind = "gaussian"', 'kind = "student-t"\ndf = 4'),
        ('kind = "gaussian"', 'kind = "ar1"\nrho = 0.4'),
        ("share = 0.05", "r_squared = 0.9"),
        ("share = 0.05", "sd = { dist = 'gamma', shape = 2, scale = 3 }"),
        ("[noise]", "[demand.shock]\nrho = 0.9\nsd = 0.1\n[noise]"),
        ("[noise]", f"[[demand.breaks]]\nname = 'b'\nkind = 'level'\nweek = 30\nfactor = {DRAWN}\n[noise]"),
        (
            "[noise]",
            f"[[demand.breaks]]\nname = 'b'\nkind = 'spell'\nweek = -9\nweeks = 121\nfactor = {DRAWN}\n[noise]",
        ),
        ("[noise]", f"{RIVAL}kind = 'shocks'\na_year = 2\nweeks = 3\ndepth = {DRAWN}\n[noise]"),
        ("[noise]", f"{RIVAL}kind = 'share-of-voice'\nrho = 0.5\nsd = 1\neffect = {DRAWN}\nseen = true\n[noise]"),
        ("[noise]", f"{RIVAL}kind = 'spend'\nweekly = 9\nrho = 0.5\nsd = 1\neffect = {DRAWN}\nseen = true\n[noise]"),
        ("[noise]", f"{RIVAL}kind = 'entrant'\nweek = -5\nweeks = 4\ndepth = {DRAWN}\nseen = true\n[noise]"),
        ("[noise]", f"{PROMOTIONS}elasticity = 2\n[noise]"),
        ("[noise]", f"{PROMOTIONS}elasticity = 2\nseen = false\n[noise]"),
        ("lift = 0.3", "lift = 0.3\nseen = false"),
        ("effect = -2", "effect = -2\nseen = false"),
        ("amplitude = 0.2 }", "amplitude = 0.2, part_of_a_year = true }"),
        ('kind = "gaussian"', f'kind = "gaussian"\npower = {DRAWN}'),
        ('[noise]\nkind = "gaussian"\nshare = 0.05', f"{COUNTED}kind = 'poisson'\nzero = {DRAWN}"),
        ('[noise]\nkind = "gaussian"\nshare = 0.05', f"{COUNTED}kind = 'negative-binomial'\ndispersion = 3"),
    ],
)
def test_every_form_of_demand_and_noise(tmp_path: Path, old: str, new: str) -> None:
    scenario = read_scenario(write(tmp_path, replaced(old, new)))
    assert scenario_digest(scenario) != scenario_digest(read_scenario(write(tmp_path, SMALL)))


def test_the_examples_of_the_page_are_scenarios(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "worlds.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", page, flags=re.S)
    told = {tomllib.loads(example)["name"]: example for example in examples}
    columns = {name: form_of(read_scenario(write(tmp_path, text, name))).columns for name, text in told.items()}
    assert columns == {"rival-and-promotions": ("promotion", "black-friday"), "next-year": ("price", "black-friday")}


# --- inheritance ---------------------------------------------------------------------------------


def test_a_child_overrides_key_by_key(tmp_path: Path) -> None:
    path = child(tmp_path, "[time]\nweeks = 70\n[[channels]]\nname = 'tv'\nsaturation = { slope = 3 }")
    scenario, parent = read_scenario(path), read_scenario(tmp_path / "small.toml")
    assert (scenario.time.weeks, scenario.time.start) == (70, parent.time.start)
    assert scenario.questions.windows == ((0, 70), (18, 70))
    assert (scenario.channels[0].saturation.slope, scenario.channels[0].saturation.half_at) == (3.0, 1.0)
    assert scenario.channels[1] == parent.channels[1] and scenario.demand == parent.demand
    assert (family(scenario), scenario.base, scenario.name) == ("small", "small", "child")


def test_windows_asked_for_are_inherited(tmp_path: Path) -> None:
    write(tmp_path, SMALL + "\n[questions]\nwindows = [[5, 9]]\ndraws = 100")
    scenario = read_scenario(child(tmp_path, "[time]\nweeks = 70"))
    assert (scenario.questions.windows, scenario.questions.draws) == (((0, 70), (5, 9)), 100)


@pytest.mark.parametrize(
    ("text", "get", "expected"),
    [
        ("carry_over = { kind = 'delayed', retention = 0.5, peak = 2 }", lambda c: c.carry_over.peak, 2.0),
        (
            "carry_over = { half_life = 3 }",
            lambda c: (c.carry_over.retention, c.carry_over.half_life),
            (None, 3.0),
        ),
        ("carry_over = { length = 20 }", lambda c: (c.carry_over.retention, c.carry_over.length), (0.5, 20)),
        ("effect = 3", lambda c: (c.roas, c.effect), (None, 3.0)),
        ("roas = 2", lambda c: c.roas, 2.0),
        ("roas = { median = 3 }", lambda c: (c.roas.median, c.roas.sigma), (3.0, 0.4)),
        ("roas = { dist = 'normal', mean = 1, sd = 2 }", lambda c: (c.roas.mean, c.roas.sd), (1.0, 2.0)),
        ("spend = { rule = 'always-on', weekly = 3, cv = 0 }", lambda c: c.spend.weekly, 3.0),
        ("spend = { weekly = 3 }", lambda c: (c.spend.weekly, c.spend.on), (3.0, 3)),
        ("kind = 'radio'", lambda c: (c.kind, c.spend.on), ("radio", 3)),
    ],
)
def test_merging_of_a_channel(tmp_path: Path, text: str, get: Any, expected: Any) -> None:
    path = child(tmp_path, f"[[channels]]\nname = 'tv'\n{text}")
    assert get(read_scenario(path).channels[0]) == expected


def test_a_table_of_another_kind_replaces_the_whole(tmp_path: Path) -> None:
    path = child(tmp_path, "[[channels]]\nname = 'tv'\nsaturation = { kind = 'tanh' }")
    assert "channels.tv.saturation.half_at: missing" in refused(path)


def test_noise_given_otherwise_drops_the_share(tmp_path: Path) -> None:
    noise = read_scenario(child(tmp_path, "noise = { r_squared = 0.8 }")).noise
    assert (noise.share, noise.r_squared, noise.kind) == (None, 0.8, "gaussian")


def test_new_names_are_appended(tmp_path: Path) -> None:
    text = "[[channels]]\nname = 'tv'\nroas = 2\n[[channels]]\nname = 'mail'\nkind = 'email'\neffect = 0\n"
    text += "spend = { rule = 'always-on', weekly = 1, cv = 0 }\ncarry_over = { kind = 'none' }\n"
    text += "saturation = { kind = 'none' }\n[[demand.events]]\nname = 'fair'\ndates = [2021-09-01]\nlift = 0.1"
    scenario = read_scenario(child(tmp_path, text))
    assert [channel.name for channel in scenario.channels] == ["tv", "search", "mail"]
    assert [event.name for event in scenario.demand.events] == ["sale", "fair"]


def test_a_name_twice_in_the_child_is_refused(tmp_path: Path) -> None:
    path = child(tmp_path, "[[channels]]\nname = 'tv'\nroas = 2\n[[channels]]\nname = 'tv'\nroas = 3")
    assert "occurs 2 times" in refused(path) or "missing" in refused(path)


def test_prose_breaks_and_sweep_are_not_inherited(tmp_path: Path) -> None:
    write(tmp_path, SMALL + "\n[sweep]\nkey = 'noise.share'\nvalues = [0.1, 0.2]")
    scenario = read_scenario(child(tmp_path, ""))
    assert (scenario.title, scenario.sweep) == ("", None)
    path = write(tmp_path, 'schema_version = 1\nname = "b"\nbase = "small"', "b")
    assert "breaks: missing" in refused(path)


def test_the_family_is_the_root(tmp_path: Path) -> None:
    child(tmp_path, "")
    grandchild = read_scenario(child(tmp_path, "[time]\nholdout = 13", base="child", name="grandchild"))
    assert (family(grandchild), grandchild.time.holdout) == ("small", 13)


def test_a_base_may_be_shipped(tmp_path: Path) -> None:
    scenario = read_scenario(child(tmp_path, "[noise]\nshare = 0.1", base="clean"))
    assert (family(scenario), scenario.noise.share, len(scenario.channels)) == ("clean", 0.1, 5)


def test_circles_of_bases_are_named(tmp_path: Path) -> None:
    child(tmp_path, "", base="b", name="a")
    child(tmp_path, "", base="c", name="b")
    path = child(tmp_path, "", base="a", name="c")
    assert "c -> a -> b -> c is a circle" in refused(path)


def test_a_fault_of_the_base_names_the_base(tmp_path: Path) -> None:
    write(tmp_path, replaced("share = 0.05", "share = -1"))
    assert f"{tmp_path / 'small.toml'}: noise.share" in refused(child(tmp_path, ""))


# --- points of a sweep ---------------------------------------------------------------------------


def swept(folder: Path, key: str, values: str, text: str = SMALL) -> tuple[Scenario, ...]:
    return points(read_scenario(write(folder, f"{text}\n[sweep]\nkey = '{key}'\nvalues = {values}")))


def test_points_change_one_number(tmp_path: Path) -> None:
    low, high = swept(tmp_path, "channels.search.spend.strength", "[0, 0.5]")
    assert (low.name, high.name, low.sweep) == ("small[0]", "small[0.5]", None)
    assert (low.channels[1].spend.strength, high.channels[1].spend.strength) == (0.0, 0.5)
    assert low.channels[0] == high.channels[0] and family(low) == family(high) == "small"
    assert low.title == "A small one"
    assert points(low) == (low,)
    assert scenario_digest(low) != scenario_digest(high)


@pytest.mark.parametrize(
    ("key", "values", "get", "expected"),
    [
        ("time.weeks", "[52, 60]", lambda s: s.questions.windows, [((0, 52),), ((0, 60), (8, 60))]),
        ("channels.search.spend.halo", "[1]", lambda s: s.channels[1].spend.halo, [1.0]),
        ("channels.search.roas", "[1]", lambda s: (s.channels[1].roas, s.channels[1].effect), [(1.0, None)]),
        ("noise.r_squared", "[0.5]", lambda s: (s.noise.share, s.noise.r_squared), [(None, 0.5)]),
        ("demand.events.sale.lift", "[0.1, 0.2]", lambda s: s.demand.events[0].lift, [0.1, 0.2]),
        ("channels.tv.roas.median", "[2]", lambda s: s.channels[0].roas.median, [2.0]),
        ("channels.tv.order", "['saturation-first']", lambda s: s.channels[0].order, ["saturation-first"]),
        ("questions.multipliers.1", "[0.1, 0.2]", lambda s: s.questions.multipliers[1], [0.1, 0.2]),
        (
            "channels.tv.saturation", "[{ kind = 'tanh', half_at = 1 }, { slope = 2 }]",
            lambda s: s.channels[0].saturation.kind, ["tanh", "hill"],
        ),
    ],
)  # fmt: skip
def test_what_can_be_swept(tmp_path: Path, key: str, values: str, get: Any, expected: list) -> None:
    assert [get(point) for point in swept(tmp_path, key, values)] == expected


def test_a_point_is_read_by_name(tmp_path: Path) -> None:
    swept(tmp_path, "noise.share", "[0.1, 0.2]")
    path = tmp_path / "small.toml"
    assert read_scenario(f"{path}[0.2]").noise.share == 0.2
    assert read_scenario(f"{path}[0.20]").name == "small[0.2]"
    assert "small[0.1], small[0.2]" in refused(f"{path}[0.3]")
    assert "no such point" in refused("clean[0.3]")
    assert [point.name for point in points(read_scenario("collinear"))] == [
        "collinear[0]", "collinear[0.5]", "collinear[0.9]", "collinear[0.99]",
    ]  # fmt: skip
    assert read_scenario("collinear[0.9]").spend.correlation == 0.9


# --- numbers and quantiles -----------------------------------------------------------------------


def test_paths_of_all_numbers(tmp_path: Path) -> None:
    text = replaced('kind = "linear", per_year = 0.02', 'kind = "piecewise", knots = [9], per_year = [0.1, 0.2]')
    found = numbers(read_scenario(write(tmp_path, text)))
    assert {path: value for path, value in found.items() if not path.startswith(("channels", "geo"))} == {
        "demand.level": 100.0, "demand.trend.per_year.0": 0.1, "demand.trend.per_year.1": 0.2,
        "demand.season.amplitude": 0.2, "demand.events.sale.lift": 0.3, "controls.price.mean": 0.0,
        "controls.price.sd": 1.0, "controls.price.rho": 0.0, "controls.price.effect": -2.0,
        "controls.price.of_media": 0.0,
        "noise.share": 0.05, "noise.power": 0.0,
    }  # fmt: skip
    assert [path for path in found if path.startswith("channels.search")] == [
        *(f"channels.search.spend.{key}" for key in ("weekly", "cv", "strength", "halo", "cap")),
        "channels.search.saturation.half_at", "channels.search.effect",
    ]  # fmt: skip
    assert found["channels.tv.roas"] == LogNormal(dist="lognormal", median=1.5, sigma=0.4)


U = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
Z = np.array([-1.2815515655446004, -0.6744897501960817, 0.0, 0.6744897501960817, 1.2815515655446004])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3.0, np.full(5, 3.0)),
        (Uniform(dist="uniform", low=-1.0, high=3.0), 4 * U - 1),
        (LogUniform(dist="log-uniform", low=1.0, high=100.0), 100**U),
        (Normal(dist="normal", mean=2.0, sd=3.0), 2 + 3 * Z),
        (LogNormal(dist="lognormal", median=2.0, sigma=0.5), 2 * np.exp(0.5 * Z)),
        (Beta(dist="beta", a=1.0, b=1.0), U),
        (Beta(dist="beta", a=2.0, b=1.0), np.sqrt(U)),
        (Gamma(dist="gamma", shape=1.0, scale=2.0), -2 * np.log1p(-U)),
        (Choice(dist="choice", values=(5.0, 7.0)), np.array([5, 5, 7, 7, 7])),
    ],
)
def test_quantiles(value: Any, expected: np.ndarray) -> None:
    np.testing.assert_allclose(quantile(value, U), expected, rtol=1e-12)
    assert quantile(value, U.reshape(1, 5)).shape == (1, 5)
    assert quantile(value, U).dtype == np.float64


positive = st.floats(1e-3, 1e3)
DISTRIBUTIONS = st.one_of(
    st.tuples(positive, positive).map(lambda p: Uniform(dist="uniform", low=p[0], high=p[0] + p[1])),
    st.tuples(positive, positive).map(lambda p: LogUniform(dist="log-uniform", low=p[0], high=p[0] + p[1])),
    st.tuples(positive, st.floats(1e-3, 10)).map(lambda p: LogNormal(dist="lognormal", median=p[0], sigma=p[1])),
    st.tuples(positive, positive).map(lambda p: Beta(dist="beta", a=p[0], b=p[1])),
    st.tuples(positive, positive).map(lambda p: Gamma(dist="gamma", shape=p[0], scale=p[1])),
    st.tuples(positive, positive).map(lambda p: Normal(dist="normal", mean=p[0], sd=p[1])),
)
unit = st.floats(0, 1)


@settings(max_examples=200, deadline=None)
@given(DISTRIBUTIONS, unit, unit)
def test_quantiles_rise_and_stay_inside(value: Any, u: float, v: float) -> None:
    low, high = quantile(value, np.array(sorted([u, v])))
    assert np.isfinite([low, high]).all() and low <= high
    bottom, top, attained = support(value)
    assert bottom <= low and high <= top
    if not attained:
        assert bottom < low and high < top


# --- digest --------------------------------------------------------------------------------------


def shuffled(table: Any) -> Any:
    if isinstance(table, dict):
        return {key: shuffled(table[key]) for key in reversed(table)}
    return [shuffled(item) for item in table] if isinstance(table, list) else table


def test_prose_name_order_and_defaults_do_not_count(tmp_path: Path) -> None:
    write(tmp_path, SMALL)
    digest = scenario_digest(read_scenario(tmp_path / "small.toml"))
    prose = "summary = 's'\nsource = 's'\nwho_should_win = 'w'\nunrealistic = 'u'\nsuperseded_by = 'x'\n"
    for text in (
        replaced('title = "A small one"', f"title = 'B'\n{prose}"),
        replaced('breaks = ""', 'breaks = "compound"'),
        replaced("weeks = 60", "weeks = 60\ntail = 26\nperiod_days = 7"),
        SMALL + "\n[questions]\nwindows = [[8, 60]]",
        SMALL + "\n[sweep]\nkey = 'noise.share'\nvalues = [0.1]",
        SMALL + "\n# a comment",
    ):
        assert scenario_digest(read_scenario(write(tmp_path, text, "other"))) == digest
    (tmp_path / "x.json").write_text(json.dumps(shuffled(tomllib.loads(SMALL))))
    assert scenario_digest(read_scenario(tmp_path / "x.json")) == digest
    assert scenario_digest(read_scenario(child(write(tmp_path, SMALL).parent, ""))) == digest
    path = child(tmp_path, 'sweep = { key = "noise.share", values = [0.05] }')
    assert scenario_digest(points(read_scenario(path))[0]) == digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("share = 0.05", "share = 0.06"),
        ("median = 1.5", "median = 1.6"),
        ("weeks = 60", "weeks = 61"),
        ('name = "small"', 'name = "other"'),  # the family keys the random streams
        ('kind = "tv"', 'kind = "radio"'),
        ("on = 3", "on = 4"),
        ('"2021-06-01"', '"2021-06-08"'),
        ("effect = 8.0", "effect = 8.0\nprior = { mean = 2 }"),
        ("[noise]", "[questions]\ndraws = 100\n[noise]"),
    ],
)
def test_every_number_counts(tmp_path: Path, old: str, new: str) -> None:
    before = scenario_digest(read_scenario(write(tmp_path, SMALL)))
    assert scenario_digest(read_scenario(write(tmp_path, replaced(old, new)))) != before


def test_versions_of_mechanisms_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = read_scenario(write(tmp_path, SMALL))
    before = scenario_digest(scenario)
    monkeypatch.setitem(reader.VERSIONS, "media", 2)
    assert scenario_digest(scenario) != before


# --- recorded spend ------------------------------------------------------------------------------

RECORDED = replaced(
    '{ rule = "flighted", weekly = 10.0, cv = 0.2, on = 3, off = 2 }',
    '{ rule = "recorded", file = "data/paths.csv", column = "tv" }',
)


def spend_file(folder: Path, rows: int = 70, last: float = 5.0) -> Path:
    days = np.datetime64("2021-01-04") + 7 * np.arange(rows)
    values = [*np.arange(rows - 1) * 10.0, last]
    (folder / "data").mkdir(exist_ok=True)
    path = folder / "data" / "paths.csv"
    path.write_text("date,tv\n" + "".join(f"{d},{v}\n" for d, v in zip(days, values, strict=True)))
    return path


def test_recorded_paths_are_read_beside_the_file(tmp_path: Path) -> None:
    spend_file(tmp_path)
    scenario = read_scenario(write(tmp_path, RECORDED))
    paths = recorded_paths(scenario)
    assert list(paths) == ["tv"] and paths["tv"].dtype == np.float64
    np.testing.assert_array_equal(paths["tv"], [*np.arange(69) * 10.0, 5.0])
    assert recorded_paths(read_scenario(write(tmp_path, SMALL))) == {}


def test_a_child_elsewhere_finds_the_file_of_its_base(tmp_path: Path) -> None:
    scenario = read_scenario(child(tmp_path, "[noise]\nshare = 0.1", base="recorded"))
    np.testing.assert_array_equal(recorded_paths(scenario)["tv"], recorded_paths(read_scenario("recorded"))["tv"])


def test_recorded_values_count_in_the_digest(tmp_path: Path) -> None:
    spend_file(tmp_path)
    scenario = read_scenario(write(tmp_path, RECORDED))
    before = scenario_digest(scenario)
    assert scenario_digest(scenario) == before
    spend_file(tmp_path, last=6.0)
    assert scenario_digest(scenario) != before


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        (
            lambda folder: spend_file(folder, rows=59),
            "weeks outside the data: it has 59 rows; at least time.weeks = 60",
        ),
        (lambda folder: spend_file(folder, last=-1.0), "-1 is negative"),
        (lambda folder: spend_file(folder).write_text("date,tw\n2021-01-04,1\n"), "did you mean 'tw'"),
    ],
)
def test_faults_of_recorded_spend(tmp_path: Path, change: Any, fragment: str) -> None:
    change(tmp_path)
    scenario = read_scenario(write(tmp_path, RECORDED))
    with pytest.raises(BadInput) as caught:
        recorded_paths(scenario)
    assert "paths.csv" in str(caught.value) and fragment in str(caught.value)


def test_recorded_spend_that_is_not_there_is_a_fault_of_the_scenario(tmp_path: Path) -> None:
    message = refused(write(tmp_path, RECORDED))
    assert message.startswith(f"{tmp_path / 'small.toml'}: channels.tv.spend.file: 'data/paths.csv' is not there")
    assert message.endswith(f"a file in {tmp_path / 'data'}")
    swept = RECORDED + '[sweep]\nkey = "channels.tv.spend.file"\nvalues = ["data/paths.csv", "data/other.csv"]\n'
    spend_file(tmp_path)
    assert "small.toml[data/other.csv]: channels.tv.spend.file" in refused(write(tmp_path, swept))
    long = RECORDED.replace("data/paths.csv", f"{'€' * 190}.csv")  # longer in bytes than a file's name can be
    assert "is not there" in refused(write(tmp_path, long))


# --- shipped scenarios and suites ----------------------------------------------------------------


@pytest.mark.parametrize("name", scenario_names())
def test_shipped_scenarios(name: str) -> None:
    path = scenario_folder() / f"{name}.toml"
    scenario = read_scenario(name)
    assert scenario.name == name
    assert path.read_text().startswith("#:schema ")
    assert all(getattr(scenario, key).strip() for key in ("title", "summary", "source", "who_should_win"))
    assert scenario.breaks in BREAKS
    for point in points(scenario):
        assert len(scenario_digest(point)) == 64
        horizon = point.time.weeks + point.time.holdout
        assert all(len(rows) >= horizon for rows in recorded_paths(point).values())


def test_shipped_digests_differ() -> None:
    names: dict[str, list[str]] = {}
    for name in scenario_names():
        for point in points(read_scenario(name)):
            names.setdefault(scenario_digest(point), []).append(point.name)
    # one rung of a ladder is the world it starts from
    assert [same for same in names.values() if len(same) > 1] == [["clean", "ladder-noise[0.05]"]]


def test_what_the_shipped_scenarios_cover() -> None:
    shipped = {name: read_scenario(name) for name in scenario_names()}
    problems = [problem for scenario in shipped.values() for problem in scenario.questions.problems]
    assert any(problem.groups for problem in problems) and any(problem.scope == "geo" for problem in problems)
    assert {scenario.kpi.unit for scenario in shipped.values()} == {"revenue", "conversions"}
    assert (family(shipped["jin2017-2y"]), shipped["jin2017-2y"].base) == ("jin2017-2y", None)
    assert family(shipped["confounded-search"]) == "clean"
    controls = {scenario.name for scenario in shipped.values() if not scenario.breaks}
    assert {"clean", "smoke-clean", "redam"} <= controls
    # published worlds are no controls: each breaks something
    assert not {"heusch", "galois-a", "meridian-rf-geo", "jin2017-2y", "portfolio-pymc", "orduz-open"} & controls


def test_shipped_suites() -> None:
    assert set(suite_names()) == {"core", "decisions", "full", "ladders", "loop", "portfolio", "smoke"}
    smoke, full = read_suite("smoke"), read_suite("full")
    assert [entry.name for entry in smoke.scenarios] == ["smoke-clean", "smoke-chasing", "smoke-s-shaped"]
    # one chain: everything that is static is the same, so one program serves all three
    assert len({form_of(entry.scenario) for entry in smoke.scenarios}) == 1
    expected = {point.name for name in scenario_names() for point in points(read_scenario(name))}
    assert {entry.name for entry in full.scenarios} == expected
    assert {entry.replicates for entry in full.scenarios} == {20}
    assert all(entry.scenario.sweep is None for entry in full.scenarios)
    # every rung of a ladder is there, and worlds of three camps in equal numbers
    assert {len(points(read_scenario(name))) for name in scenario_names() if name.startswith("ladder-")} == {4}
    assert {entry.replicates for entry in read_suite("portfolio").scenarios} == {70}


SUITE = """
schema_version = 1
name = "mine"
replicates = 5
scenarios = [{ name = "small" }, { name = "collinear[0.9]", replicates = 7 }, { name = "clean" }]
"""


def test_a_suite_finds_scenarios_beside_it(tmp_path: Path) -> None:
    swept(tmp_path, "noise.share", "[0.1, 0.2]")
    suite = read_suite(write(tmp_path, SUITE, "suite"))
    assert [(entry.name, entry.replicates) for entry in suite.scenarios] == [
        ("small[0.1]", 5), ("small[0.2]", 5), ("collinear[0.9]", 7), ("clean", 5),
    ]  # fmt: skip
    (tmp_path / "suites").mkdir()
    below = read_suite(write(tmp_path / "suites", SUITE, "suite"))
    assert [entry.name for entry in below.scenarios] == [entry.name for entry in suite.scenarios]
    longer = read_suite(write(tmp_path, SUITE.replace("replicates = 5", "replicates = 5\nquarters = 8"), "suite"))
    assert (suite.quarters, longer.quarters) == (None, 8)


@pytest.mark.parametrize(
    ("old", "new", "fragment"),
    [
        ('name = "small"', 'name = "smal"', "scenarios.smal"),
        ('name = "small"', 'name = "clean"', "'clean' occurs twice"),
        ("replicates = 5", "replicates = 100001", "replicates: 100001"),
        ("replicates = 5", "", "replicates: missing"),
        ("replicates = 5", "replicates = 5\nquarters = 0", "quarters: 0"),
        ("replicates = 7", "replicate = 7", "scenarios.collinear[0.9].replicate: unknown key"),
        ("collinear[0.9]", "collinear[0.8]", "collinear[0.99]"),
        ('name = "small"', 'name = "../small"', "is refused"),
    ],
)
def test_faults_of_suites(tmp_path: Path, old: str, new: str, fragment: str) -> None:
    write(tmp_path, SMALL)
    with pytest.raises(BadInput) as caught:
        read_suite(write(tmp_path, SUITE.replace(old, new, 1), "suite"))
    assert fragment in str(caught.value)


@pytest.mark.parametrize("name", ["smok", "", "nothing like it", "a/b"])
def test_unknown_suites(name: str) -> None:
    with pytest.raises(BadInput, match=r"no such suite.*core, decisions, full, ladders, loop, portfolio, smoke"):
        read_suite(name)


def test_unknown_scenarios() -> None:
    assert "did you mean 'confounded-search'?" in refused("confounded-serch")


def test_shipped_files_of_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "simbench" / "_scenarios").mkdir(parents=True)
    write(tmp_path / "simbench" / "_scenarios", SMALL)
    monkeypatch.setattr(reader, "__file__", str(tmp_path / "simbench" / "world" / "scenario.py"))
    assert (scenario_names(), read_scenario("small").name) == (("small",), "small")


# --- schema --------------------------------------------------------------------------------------


def fits(schema: dict, value: Any, root: dict) -> bool:
    """Whether a value fits a schema: the few words of JSON Schema that simbench uses."""
    if "$ref" in schema:
        return fits(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root)
    if "anyOf" in schema and not any(fits(option, value, root) for option in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "integer": int,
        "number": (int, float),
    }
    if "type" in schema and (
        not isinstance(value, kinds[schema["type"]]) or (isinstance(value, bool) and schema["type"] != "boolean")
    ):
        return False
    if isinstance(value, dict):
        known = schema.get("properties", {})
        if not set(schema.get("required", ())) <= set(value):
            return False
        if schema.get("additionalProperties") is False and not set(value) <= set(known):
            return False
        return all(fits(known[key], item, root) for key, item in value.items() if key in known)
    if isinstance(value, list):
        few = len(value) < schema.get("minItems", 0) or len(value) > schema.get("maxItems", len(value))
        return not few and all(fits(schema.get("items", {}), item, root) for item in value)
    if isinstance(value, str):
        return re.search(schema.get("pattern", ""), value) is not None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return True


def keywords(node: Any, inside: str = "") -> set[str]:
    if isinstance(node, list):
        return {word for item in node for word in keywords(item)}
    if not isinstance(node, dict):
        return set()
    names = inside in ("properties", "$defs")
    return ({*node} if not names else set()) | {
        w for key, item in node.items() for w in keywords(item, "" if names else key)
    }


def test_the_schema_fits_all_shipped_files() -> None:
    schema = json_schema()
    for name in scenario_names():
        table = tomllib.loads((scenario_folder() / f"{name}.toml").read_text())
        assert fits(schema, table, schema), name
    assert fits(schema, tomllib.loads(SMALL), schema)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("weeks = 60", "week = 60"),
        ("weeks = 60", "weeks = 6000"),
        ('breaks = ""', 'breaks = "nothing"'),
        ('kind = "tv"', 'kind = "telly"'),
        ('rule = "flighted"', 'rule = "flight"'),
        ("level = 100.0", 'level = "much"'),
        ("median = 1.5", "mode = 1.5"),
        ('name = "small"', 'name = "Small"'),
        ("schema_version = 1", ""),
    ],
)
def test_the_schema_finds_faults(old: str, new: str) -> None:
    schema = json_schema()
    assert not fits(schema, tomllib.loads(replaced(old, new)), schema)


def test_the_schema_says_what_every_draft_understands() -> None:
    schema = json_schema()
    assert schema["$schema"].startswith("http://json-schema.org/draft-")
    used = keywords(schema)
    assert not used & {"prefixItems", "discriminator", "oneOf", "exclusiveMinimum", "exclusiveMaximum"}
    assert json.loads(json.dumps(schema)) == schema
    text = json.dumps(schema)
    assert {name.split('"')[0] for name in text.split('"#/$defs/')[1:]} <= set(schema["$defs"])
    assert text.count('"const"') <= text.count('"enum"')
