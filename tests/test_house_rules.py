"""Rules of the house that no single file shows: each checked on the source, each tried on a fault."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "simbench"
SOURCES = sorted(PACKAGE.rglob("*.py"))

LONGEST_FILE = 450
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "yaml"}
HASHING_MODULES = {"hashlib", "hmac", "random"}
SEEDING_CALLS = {
    "Philox", "PCG64", "PCG64DXSM", "MT19937", "SFC64", "SeedSequence", "Generator", "RandomState",
    "default_rng", "PRNGKey",
}  # fmt: skip
RANDOM_TYPES = {"Generator", "BitGenerator", "Philox"}
UNFINISHED = ("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK")
MACHINE_PATH = re.compile(r"(?<![\w./])/(?:" + "wo" + "rk|ro" + r"ot|home/\w+|Users/\w+)/")
TEXT_SUFFIXES = {
    ".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".cff", ".json", ".csv", ".cfg", ".sh", ".html", ".js",
    ".css", ".typed",
}  # fmt: skip
TEXT_NAMES = {"Makefile", "run", "LICENSE", ".gitignore"}
NOT_OURS = {"__pycache__", "build", "dist", "simbench-runs", "simbench-demo"}


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a chain of attributes, "" of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def imported_modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def unsafe_code(tree: ast.AST) -> Iterator[str]:
    """What can run code that a file brings with it."""
    for node in ast.walk(tree):
        for name in imported_modules(node):
            if name.split(".")[0] in UNSAFE_MODULES:
                yield f"{node.lineno}: imports {name}"
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        if name in ("eval", "exec", "compile", "__import__"):
            yield f"{node.lineno}: calls {name}"
        if name.endswith(("pickle.load", "pickle.loads", "to_pickle", "read_pickle")):
            yield f"{node.lineno}: calls {name}"
        if name in ("np.load", "numpy.load") and not any(
            word.arg == "allow_pickle" and isinstance(word.value, ast.Constant) and word.value.value is False
            for word in node.keywords
        ):
            yield f"{node.lineno}: {name} without allow_pickle=False"


def global_randomness(tree: ast.AST) -> Iterator[str]:
    """Functions of NumPy's global generator, by any spelling."""
    for node in ast.walk(tree):
        for name in imported_modules(node):
            if name.startswith("numpy.random.") and name.rpartition(".")[2] not in RANDOM_TYPES:
                yield f"{node.lineno}: imports {name}"
        if isinstance(node, ast.Attribute):
            name = dotted(node)
            allowed = RANDOM_TYPES | SEEDING_CALLS
            if re.fullmatch(r"(np|numpy)\.random\.\w+", name) and name.rpartition(".")[2] not in allowed:
                yield f"{node.lineno}: {name}"


def hashing_or_seeding(tree: ast.AST) -> Iterator[str]:
    """What only ids.py may do: digests, generators, keys made from numbers."""
    for node in ast.walk(tree):
        for name in imported_modules(node):
            if name.split(".")[0] in HASHING_MODULES:
                yield f"{node.lineno}: imports {name}"
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name.rpartition(".")[2] in SEEDING_CALLS or name.endswith("random.key"):
                yield f"{node.lineno}: calls {name}"


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Public functions, classes and methods without a docstring."""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield f"{node.lineno}: {node.name}"
        for method in node.body if isinstance(node, ast.ClassDef) else ():
            is_public = isinstance(method, ast.FunctionDef) and not method.name.startswith("_")
            if is_public and not ast.get_docstring(method):
                yield f"{method.lineno}: {node.name}.{method.name}"


def unfit_text(text: str) -> Iterator[str]:
    """Paths of somebody's machine, and marks of unfinished work."""
    for number, line in enumerate(text.splitlines(), 1):
        if MACHINE_PATH.search(line):
            yield f"{number}: a machine's path"
        for word in UNFINISHED:
            if re.search(rf"\b{word}\b", line):
                yield f"{number}: {word}"


def text_files(root: Path) -> Iterator[Path]:
    """The project's own text: no environments, caches, builds or runs."""
    for path in sorted(root.iterdir()):
        if path.is_dir():
            if path.name not in NOT_OURS and (path.name == ".ci" or not path.name.startswith(".")):
                yield from text_files(path)
        elif path.suffix in TEXT_SUFFIXES or path.name in TEXT_NAMES:
            yield path


def over(files: list[Path], rule, *, parsed: bool = True) -> list[str]:
    """Every fault that a rule finds in files, as `file:line: what`."""
    faults = []
    for path in files:
        text = path.read_text(encoding="utf-8")
        faults += [f"{path.relative_to(ROOT)}:{fault}" for fault in rule(ast.parse(text) if parsed else text)]
    return faults


def test_no_code_that_comes_with_data() -> None:
    assert over(SOURCES, unsafe_code) == []


def test_no_global_randomness() -> None:
    assert over(SOURCES, global_randomness) == []


def test_only_ids_hashes_and_seeds() -> None:
    assert over([path for path in SOURCES if path != PACKAGE / "ids.py"], hashing_or_seeding) == []


def test_one_door_to_double_precision() -> None:
    files = [path.name for path in SOURCES if "enable_x64" in path.read_text(encoding="utf-8")]
    assert len(files) <= 1, files


def test_files_fit_in_the_head() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_public_names_say_what_they_are() -> None:
    assert over(SOURCES, undocumented) == []


def test_no_machine_paths_and_no_unfinished_marks() -> None:
    files = list(text_files(ROOT))
    assert {ROOT / "README.md", ROOT / ".ci" / "run", Path(__file__).resolve()} <= set(files)
    assert over(files, unfit_text, parsed=False) == []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (unsafe_code, "import pickle"),
        (unsafe_code, "from joblib import load"),
        (unsafe_code, "import yaml"),
        (unsafe_code, "eval('1')"),
        (unsafe_code, "exec(text)"),
        (unsafe_code, "np.load(path)"),
        (unsafe_code, "np.load(path, allow_pickle=True)"),
        (unsafe_code, "table.to_pickle(path)"),
        (global_randomness, "np.random.seed(1)"),
        (global_randomness, "noise = numpy.random.normal(size=3)"),
        (global_randomness, "from numpy.random import normal"),
        (hashing_or_seeding, "import hashlib"),
        (hashing_or_seeding, "from hmac import digest"),
        (hashing_or_seeding, "np.random.default_rng(3)"),
        (hashing_or_seeding, "Generator(Philox(1))"),
        (hashing_or_seeding, "jax.random.PRNGKey(0)"),
        (hashing_or_seeding, "jax.random.key(0)"),
        (undocumented, "def draw(): return 1"),
        (undocumented, "class Panel:\n    'A panel.'\n    def weeks(self): return 1"),
    ],
)
def test_a_fault_is_caught(rule, source: str) -> None:
    assert list(rule(ast.parse(source)))


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (unsafe_code, "np.load(path, allow_pickle=False)\nmodel.eval()\nre.compile('a')"),
        (global_randomness, "def draw(generator: np.random.Generator): return generator.random()"),
        (hashing_or_seeding, "keys = jax.random.wrap_key_data(data)\njax.random.normal(keys)"),
        (undocumented, "def _inner(): return 1\ndef outer():\n    'Say.'\n    def inside(): return 1"),
    ],
)
def test_honest_code_passes(rule, source: str) -> None:
    assert list(rule(ast.parse(source))) == []


@pytest.mark.parametrize("line", ["see /" + "wo" + "rk/main/file", "# " + UNFINISHED[0] + " later", "/ho" + "me/me/x"])
def test_unfit_text_is_caught(line: str) -> None:
    assert list(unfit_text(line))


@pytest.mark.parametrize("line", ["docs/" + "wo" + "rk/notes.md", "https://a.b/ro" + "ot/x", "method", "~/runs"])
def test_fit_text_passes(line: str) -> None:
    assert list(unfit_text(line)) == []
