"""Names: what can be asked for, how it is configured, what it is identified by."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simbench import ids
from simbench.backends import registry
from simbench.backends.base import Backend, python_backend
from simbench.backends.contender import Contender, Option, configured, read_option
from simbench.backends.loading import contender_of, function_code, module_of, plugins
from simbench.backends.registry import (
    NATIVE,
    backend_named,
    backends_named,
    core_identity,
    identity,
    is_backend,
    listed,
    plain_name,
    split,
    tried,
)
from simbench.errors import BadInput
from simbench.records import Answers, Failure

FILE = '''"""Contenders of a test."""
from simbench.backends.base import python_backend
from simbench.backends.combine import first_ok
from simbench.backends.contender import Contender, Option

def mine(key, brief, share=0.5, rule="all", shrink=False, weeks=13):
    "Half of it."
    return {"contribution": None, "told": (share, rule, shrink, weeks)}

def one(brief):
    return None

whole = python_backend("whole", mine, tags=["odd"])
asked = Contender("asked", "by options", lambda depth: python_backend("x", mine), (Option("depth", 3, "levels"),))
both = first_ok(mine, "ols")
number = 3
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "models.py"
    path.write_text(FILE)
    return path


def refused(name: object) -> str:
    with pytest.raises(BadInput) as caught:
        backend_named(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- names


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ols", ("ols", {}, "")),
        ("ols[order=3, trend=none]", ("ols", {"order": "3", "trend": "none"}, "")),
        ("ols[]@new-1.2", ("ols", {}, "new-1.2")),
        ("a/b.py:mine[x=1]@main", ("a/b.py:mine", {"x": "1"}, "main")),
        ("/t@2/odd[1] dir/b.py:mine", ("/t@2/odd[1] dir/b.py:mine", {}, "")),
        ("command:ssh me@host fit[1]", ("command:ssh me@host fit[1]", {}, "")),
        ("command:Rscript fit.R @v2", ("command:Rscript fit.R", {}, "v2")),
    ],
)
def test_a_name_has_parts(text: str, parts: tuple[str, dict[str, str], str]) -> None:
    assert split(text) == parts


WORD = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=6)
VALUE = st.text("abcXYZ019.+-_/ ", min_size=1, max_size=8).map(str.strip).filter(bool)


@given(WORD, st.dictionaries(WORD, VALUE, max_size=3), st.sampled_from(["", "new", "2.0-b_1"]))
def test_what_is_put_together_comes_apart(name: str, options: dict[str, str], label: str) -> None:
    listing = ",".join(f"{key}={value}" for key, value in options.items())
    text = name + (f"[{listing}]" if options else "") + (f"@{label}" if label else "")
    assert split(text) == (name, options, label)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("olss", "did you mean 'ols'"),
        ("nobody", "one of numpyro-nuts"),
        ("ols[order=2", "do not close"),
        ("ols[order]", "is no option"),
        ("ols[order=2,order=3]", "given twice"),
        ("ols[ordre=2]", "did you mean 'order'"),
        ("ols[order=two]", "a whole number"),
        ("ols[trend=linaer]", "did you mean 'linear'"),
        ("ols@two words", "label"),
        ("ols@", "label"),
        ("oracle", "made by a run itself"),
        ("oracle@mine", "made by a run itself"),
        ("models.py", "FILE.py:NAME"),
        ("nowhere/models.py:mine", "cannot be read"),
        (3, "is a int"),
        (lambda key, brief: None, "without a name"),
        (Backend, "is a type"),
    ],
)
def test_a_wrong_name_is_one_clear_line(name: object, said: str) -> None:
    assert said in refused(name)


def test_a_label_is_part_of_the_column_and_not_of_the_identity() -> None:
    plain, named = backend_named("ols[order=3]"), backend_named("ols[order=3]@new")
    assert (named.name, named.spec) == ("ols[order=3]@new", "ols[order=3]@new")
    assert plain_name(named) == plain.name == "ols[order=3]" and identity(named) == identity(plain)


def test_several_names() -> None:
    fast = backends_named(["spend-share", "tag:fast", "ols"])
    assert fast[0].name == "spend-share" and {"ols"} < {b.name for b in fast}
    assert len({b.name for b in fast}) == len(fast) and all("fast" in b.tags for b in fast)
    assert [b.name for b in backends_named(["ols", "ols", "ols@b"])] == ["ols", "ols@b"]
    with pytest.raises(BadInput, match=r"nobody has the tag 'quick'; one of .*fast"):
        backends_named(["tag:quick"])


# --- files


def test_a_function_in_a_file(file: Path) -> None:
    made = backend_named(f"{file}:mine[share=0.25,shrink=yes]@main")
    assert made.name == "mine[share=0.25,shrink=true]@main"
    assert made.config == {"share": 0.25, "rule": "all", "shrink": True, "weeks": 13}
    (reply,) = made.answer([None], [None])  # type: ignore[list-item]
    assert isinstance(reply, Failure) and "'told'" in reply.detail  # it was asked, and its reply was looked at
    assert "whole number" in refused(f"{file}:mine[weeks=1.5]")


def test_a_file_is_found_from_anywhere(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    made = backend_named("models.py:mine[weeks=4]@x")
    assert made.spec == f"{file}:mine[weeks=4]@x"
    monkeypatch.chdir("/")
    again = backend_named(made.spec)
    assert (again.name, again.code, again.spec) == (made.name, made.code, made.spec)


def test_a_backend_and_a_contender_in_a_file(file: Path) -> None:
    whole, asked, both = (backend_named(f"{file}:{name}") for name in ("whole", "asked", "both"))
    assert whole.name == "whole" and whole.tags == {"odd"} and asked.config == {"depth": 3}
    assert both.name == "first_ok(mine|ols)" and both.spec == f"{file}:both"
    assert "it is configured where it is made" in refused(f"{file}:whole[a=1]")
    said = refused(f"{file}:other")
    assert "it has mine, one, whole, asked, both" in said
    assert "is a int" in refused(f"{file}:number")
    assert "a key and a brief" in refused(f"{file}:one")


def test_the_code_of_a_file_is_its_bytes(file: Path) -> None:
    """An edit counts at once, even one of the same length within the same second."""
    before = backend_named(f"{file}:mine")
    file.write_text(FILE.replace("share=0.5", "share=0.7"))
    after = backend_named(f"{file}:mine")
    assert (before.config["share"], after.config["share"]) == (0.5, 0.7) and before.code != after.code
    file.write_text(FILE)
    assert backend_named(f"{file}:mine").code == before.code
    assert not list(file.parent.rglob("*.pyc"))


def test_the_same_file_is_run_once(file: Path) -> None:
    assert module_of(file)[0] is module_of(file)[0]


@pytest.mark.parametrize("text", ["1 / 0", "import no_such_module", "raise SystemExit(3)", "def f(:"])
def test_a_file_that_cannot_be_loaded(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    assert "cannot be loaded" in refused(f"{path}:f")
    assert not [name for name in sys.modules if getattr(sys.modules[name], "__file__", None) == str(path)]


def test_two_files_with_one_name_need_labels(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "v2" / "models.py"
    other.parent.mkdir()
    other.write_text(FILE + "\n")
    with pytest.raises(BadInput, match="'mine' names two; labels"):
        backends_named([f"{file}:mine", f"{other}:mine"])
    assert [b.name for b in backends_named([f"{file}:mine", f"{other}:mine@new"])] == ["mine", "mine@new"]


# --- other packages

PLUGIN = {
    "good": "good_pack:model", "bad": "bad_pack:model", "gone": "no_such_pack:model", "lost": "good_pack:nothing",
    "ols": "good_pack:model", "odd": "good pack",
}  # fmt: skip


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "good_pack.py").write_text("def model(key, brief, depth=2):\n    'A model.'\n    return None\n")
    (tmp_path / "bad_pack.py").write_text("raise RuntimeError('needs a licence')\n")
    info = tmp_path / "vendor-1.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vendor\nVersion: 1.4\n")
    lines = "\n".join(f"{name} = {value}" for name, value in PLUGIN.items())
    (info / "entry_points.txt").write_text(f"[simbench.backends]\n{lines}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("good_pack", "bad_pack"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_listing_imports_nothing(packages: Path) -> None:
    items = {item.name: item for item in listed() if item.source == "vendor 1.4"}
    assert set(items) == set(PLUGIN) and "good_pack" not in sys.modules
    assert "simbench has" in items["ols"].fault and "MODULE:NAME" in items["odd"].fault
    assert items["good"].fault == items["bad"].fault == ""


def test_a_plug_in(packages: Path) -> None:
    made = backend_named("good[depth=3]@v")
    assert (made.name, made.spec, made.config) == ("good[depth=3]@v", "good[depth=3]@v", {"depth": 3})
    assert made.code != backend_named("ols").code
    assert backend_named("ols").config == {"order": 2, "trend": "linear"}  # simbench's own name stays its own


def test_a_broken_plug_in_stops_nothing(packages: Path) -> None:
    assert "needs a licence" in refused("bad") and "vendor 1.4" in refused("bad")
    assert "no_such_pack" in refused("gone") and "nothing" in refused("lost") and "MODULE:NAME" in refused("odd")
    found = {item.name: tried(item).fault for item in listed()}
    assert found["good"] == "" and "needs a licence" in found["bad"] and "no_such_pack" in found["gone"]
    with pytest.warns(UserWarning, match="left out of tag:fast.*licence"):
        assert "ols" in [b.name for b in backends_named(["tag:fast"])]


def test_two_packages_with_one_name(packages: Path) -> None:
    info = packages / "rival-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[simbench.backends]\ngood = good_pack:model\n")
    assert "the same name" in plugins()["good"].fault and "the same name" in refused("good")


# --- functions of this process


def doubled(key, brief):
    return helper(brief) * FACTOR


def helper(brief):
    return 2.0


FACTOR = 3.0
WEIGHTS = np.ones(3)


def weighted(key, brief):
    return WEIGHTS


def made_by(factor):
    def inner(key, brief):
        return factor

    return inner


def test_a_function_is_a_backend() -> None:
    made = backend_named(doubled)
    assert (made.name, made.spec, made.config) == ("doubled", None, {}) and len(made.code) == 64
    assert backend_named(doubled).code == made.code


def test_the_code_of_a_function_is_all_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    before = function_code(doubled)
    monkeypatch.setitem(globals(), "FACTOR", 4.0)
    assert function_code(doubled) != before
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    monkeypatch.setitem(globals(), "helper", made_by(1.0))
    assert function_code(doubled) != before
    assert function_code(made_by(1.0)) != function_code(made_by(2.0))


def test_a_function_that_holds_data_cannot_be_told() -> None:
    assert function_code(weighted) == "" and function_code(made_by(np.ones(2))) == "" and function_code(len) == ""
    with pytest.raises(BadInput, match="names two"):
        backends_named([made_by(np.ones(2)), made_by(np.ones(3))])


def test_a_function_of_a_notebook() -> None:
    """Cells have no file: their source is what the interpreter keeps of them."""
    program = """
import linecache
from simbench.backends.registry import backend_named
cell = "def mine(key, brief):\\n    return scale\\n"
code = lambda: backend_named(mine).code
linecache.cache["<cell 1>"] = (len(cell), None, cell.splitlines(True), "<cell 1>")
scale = 1.0
exec(compile(cell, "<cell 1>", "exec"))
one = code(); scale = 2.0; two = code()
exec(compile("def mine(key, brief): return 1", "<nowhere>", "exec"))
print(len(one), one != two, repr(code()))
"""
    root = str(Path(registry.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root)
    assert done.stdout.split() == ["64", "True", "''"], done.stderr


def test_values_are_handed_through() -> None:
    made = python_backend("x", doubled)
    assert backend_named(made) is made
    assert backend_named(Contender("c", "", lambda: made)).name == "c"
    assert isinstance(contender_of(made, "x"), Backend)
    assert "reserved" in refused(python_backend("oracle", doubled))


# --- identity


def test_identity_is_canonical_and_complete() -> None:
    one, told = backend_named("ols[order=3]"), identity(backend_named("ols[order=3]"))
    assert told["config"] == {"order": 3, "trend": "linear"} and told["device"] == "cpu" and told["jax"]
    assert {*core_identity(one)} == {"name", "version", "config", "code", "block", "precision"}
    for changed in (
        one._replace(version="2"), one._replace(config={}), one._replace(code="x"), one._replace(block=4),
        one._replace(precision="float32"), one._replace(name="other"),
    ):  # fmt: skip
        assert ids.digest(identity(changed)) != ids.digest(told)
    with pytest.raises(BadInput, match="config cannot be told"):
        identity(one._replace(config={"x": np.nan}))


def test_the_code_of_natives_is_their_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = set(registry.RULES)
    assert {backend_named(name).code for name in NATIVE if name not in rules} == {registry.native_code()}
    assert {backend_named(name).code for name in rules} == {registry.rules_code()}
    package = tmp_path / "simbench"
    for name in (*registry.SHARED, *registry.OF_RULES, "backends/ridge.py", "optimum/feasible.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(name)
    monkeypatch.setattr(registry, "__file__", str(package / "backends" / "registry.py"))
    registry._files_digest.cache_clear()
    try:
        for file, moves in (("backends/ridge.py", 1), ("decide/policies.py", 2), ("optimum/feasible.py", 2)):
            before = registry.shared_code(), registry.native_code(), registry.rules_code()
            (package / file).write_text("changed")
            registry._files_digest.cache_clear()
            after = registry.shared_code(), registry.native_code(), registry.rules_code()
            assert [k for k in range(3) if before[k] != after[k]] == [moves]
    finally:
        monkeypatch.undo()
        registry._files_digest.cache_clear()


def test_is_backend() -> None:
    for name in ("ols", "ols[order=3]@x", "a.py:b", "command:x"):
        assert is_backend(name)
    for name in ("clean", "collinear[0.9]", "mine.toml", "a.py"):
        assert not is_backend(name)


# --- options


@pytest.mark.parametrize(
    ("option", "value", "read"),
    [
        (Option("n", 2, ""), "7", 7),
        (Option("n", 2, ""), 7.0, 7),
        (Option("x", 1.0, ""), "1e-3", 1e-3),
        (Option("x", 1.0, ""), 2, 2.0),
        (Option("b", False, ""), "Yes", True),
        (Option("b", True, ""), 0, False),
        (Option("w", "a", ""), "b", "b"),
        (Option("w", "a", "", choices=("a", "b")), "b", "b"),
        (Option("n", 2, "", low=1, high=7), "7", 7),
    ],
)
def test_an_option_is_read_as_its_type(option: Option, value: object, read: object) -> None:
    got = read_option("m", option, value)
    assert got == read and type(got) is type(option.default)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        (Option("n", 2, ""), "2.5", "a whole number"),
        (Option("n", 2, ""), 2.5, "a whole number"),
        (Option("n", 2, ""), float("inf"), "a whole number"),
        (Option("n", 2, ""), True, "a whole number"),
        (Option("n", 2, ""), None, "a whole number"),
        (Option("x", 1.0, ""), "nan", "a finite number"),
        (Option("x", 1.0, ""), "-inf", "a finite number"),
        (Option("x", 1.0, ""), float("nan"), "a finite number"),
        (Option("x", 1.0, ""), "", "a finite number"),
        (Option("b", False, ""), "perhaps", "true or false"),
        (Option("w", "a", ""), "", "a word"),
        (Option("w", "a", ""), 3, "a word"),
        (Option("w", "one", "", choices=("one", "two")), "tow", "did you mean 'two'"),
        (Option("w", "one", "", choices=("one", "two")), "zzz", "one of one, two"),
        (Option("n", 2, "", low=1), "0", "at least 1"),
        (Option("n", 2, "", high=3), "4", "at most 3"),
        (Option("n", 2, "", low=1, high=3), "4", "at least 1 and at most 3"),
    ],
)
def test_a_wrong_option_is_refused(option: Option, value: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_option("m", option, value)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-9, 9), st.booleans())
def test_a_configured_name_says_its_options_without_loss(x: float, n: int, b: bool) -> None:
    options = (Option("x", 1.0, ""), Option("n", 2, ""), Option("b", False, ""))
    contender = Contender("m", "", lambda **config: python_backend("any", lambda key, brief: Answers()), options)
    made = configured(contender, {"x": x, "n": n, "b": b})
    again = configured(contender, split(made.name)[1])
    assert again.config == made.config and again.name == made.name
