"""README says what is so: samples, links, commands and the Python example."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import readme_samples

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

SMALL = """# title
<!-- sample: demo -->
```text
model  error
ridge  0.25 in 1.2 s
```
<!-- end -->
between
<!-- sample: test -->
```text
12 passed in 3.40s
```
<!-- end -->
"""


def checkout(folder: Path, *, demo: str, test: str = "...\n12 passed in 3.40s\n") -> Path:
    (folder / ".cache").mkdir()
    (folder / "README.md").write_text(SMALL)
    (folder / ".cache" / "demo.txt").write_text(demo)
    (folder / ".cache" / "test.txt").write_text(test)
    return folder


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ridge  0.25", "ridge 1,310.5"),
        ("ridge -0.25", "ridge 3e-05"),
        ("took 1.2 s", "took 350 ms"),
        ("12 passed in 3.40s", "140 passed, 2 warnings in 75.31s (0:01:15)"),
        ("━━━━┳━━━━", "━━━━━━━┳━━"),
        ("2024-01-01", "2026-11-22"),
        ("\x1b[1mridge\x1b[0m 1", "ridge 2"),
    ],
)
def test_numbers_times_and_widths_are_masked(one: str, other: str) -> None:
    assert readme_samples.masked(one) == readme_samples.masked(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("ridge 0.25", "lasso 0.25"), ("0.25", "nan"), ("1 2", "1"), ("12 passed", "12 failed")],
)
def test_words_and_columns_are_not_masked(one: str, other: str) -> None:
    assert readme_samples.masked(one) != readme_samples.masked(other)


def test_compare_accepts_other_numbers(tmp_path: Path) -> None:
    root = checkout(tmp_path, demo="model error\nridge 0.31 in 4.0 s\n", test="13 passed in 9.99s\n")
    assert readme_samples.main(["compare"], root) == 0


@pytest.mark.parametrize("demo", ["model error\nlasso 0.25 in 1.2 s\n", "model error\n", ""])
def test_compare_refuses_other_words(tmp_path: Path, demo: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert readme_samples.main(["compare"], checkout(tmp_path, demo=demo)) == 1
    assert "make readme" in capsys.readouterr().err


def test_compare_needs_every_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = checkout(tmp_path, demo="x")
    (root / ".cache" / "test.txt").unlink()
    assert readme_samples.main(["compare"], root) == 2
    assert "no output of test" in capsys.readouterr().err


def test_write_then_compare(tmp_path: Path) -> None:
    root = checkout(tmp_path, demo="backslash \\1 and a {brace}\n", test="noise\n\n7 passed in 1.00s\n")
    assert readme_samples.main(["write"], root) == 0
    text = (root / "README.md").read_text()
    assert readme_samples.samples(text) == {
        "demo": "backslash \\1 and a {brace}",
        "test": "7 passed in 1.00s",
    }
    assert text.startswith("# title\n") and "\nbetween\n" in text
    assert readme_samples.main(["compare"], root) == 0


def test_failed_tests_are_not_shown_off(tmp_path: Path) -> None:
    root = checkout(tmp_path, demo="x", test="1 failed, 6 passed in 1.00s\n")
    assert readme_samples.main(["write"], root) == 1
    assert (root / "README.md").read_text() == SMALL


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert readme_samples.main([]) == 2
    assert "compare" in capsys.readouterr().err


def test_readme_has_the_samples() -> None:
    assert set(readme_samples.samples(README)) == set(readme_samples.SAMPLES)


def test_links_lead_somewhere() -> None:
    dead = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                dead.append(f"{page.relative_to(ROOT)} -> {target}")
    assert dead == []


def test_readme_lists_the_commands_there_are() -> None:
    from simbench.cli import main

    section = README.split("## Commands")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `simbench (\w+)", section, re.MULTILINE)) == set(main.commands)


@pytest.mark.slow
def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    file = tmp_path / "example.py"
    file.write_text(example)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(file))
    assert capsys.readouterr().out.strip()
