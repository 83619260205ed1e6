"""README shows what the two commands print; here the samples are written, and compared with a real run.

    python tests/readme_samples.py write      put .cache/*.txt into README.md
    python tests/readme_samples.py compare    exit 1 if README shows something else, numbers aside

A sample stands between `<!-- sample: NAME -->` and `<!-- end -->`. The outputs are those that
`make demo` and `make test` leave in .cache.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

BLOCK = re.compile(r"(<!-- sample: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
#: Masks, in this order: what may differ between two honest runs.
MASKS = (
    (re.compile(r"\bin \d+(?:\.\d+)?\s?(?:s|seconds)\b(?: \(\d+:\d\d:\d\d\))?"), "in TIME"),
    (re.compile(r"\b\d+(?:\.\d+)?\s?(?:ms|s|min|seconds)\b"), "TIME"),
    (re.compile(r", \d+ warnings?\b"), ""),
    (re.compile(r"(?:(?<![\w#])[-+\u2212])?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?"), "#"),
    (re.compile(r"#(?:-#)+"), "#"),
    (re.compile(r"[-=_─━═]{2,}"), "--"),
    (re.compile(r"[ \t]+"), " "),
)


def whole(output: str) -> str:
    """All that was printed."""
    return output.rstrip()


def last_line(output: str) -> str:
    """The last line that says something: pytest's summary."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else ""


#: Sample -> (file with a real output, what of it README shows).
SAMPLES: dict[str, tuple[str, Callable[[str], str]]] = {
    "demo": (".cache/demo.txt", whole),
    "test": (".cache/test.txt", last_line),
}


def samples(readme: str) -> dict[str, str]:
    """Text inside the fences of each sample block."""
    return {match[2]: re.sub(r"\A```\w*\n|```\n?\Z", "", match[3]).rstrip() for match in BLOCK.finditer(readme)}


def with_samples(readme: str, shown: dict[str, str]) -> str:
    """README with the blocks of `shown` replaced; other blocks stay."""

    def block(match: re.Match[str]) -> str:
        if match[2] not in shown:
            return match[0]
        return f"{match[1]}```text\n{shown[match[2]]}\n```\n{match[4]}"

    return BLOCK.sub(block, readme)


def masked(text: str) -> list[str]:
    """Lines with numbers, times, rules and spacing made equal."""
    lines = []
    for line in ESCAPE.sub("", text).splitlines():
        for pattern, mark in MASKS:
            line = pattern.sub(mark, line)
        lines.append(line.strip())
    return [line for line in lines if line]


def loose(lines: list[str]) -> list[str]:
    """Masked lines as they may be on another processor, where chains of random numbers take other ways.

    Who is a little ahead may change: the order of rows does not count, nor the sentences on who was best.
    """
    start = next((i for i, line in enumerate(lines) if "What that means" in line), len(lines))
    return sorted(lines[:start])


def differences(readme: str, shown: dict[str, str]) -> list[str]:
    """A unified diff of masked lines for each sample that README shows otherwise; empty where all agree."""
    in_readme, lines = samples(readme), []
    for name, text in shown.items():
        if name not in in_readme:
            lines.append(f"README.md has no sample {name!r}")
            continue
        lines += difflib.unified_diff(
            loose(masked(in_readme[name])), loose(masked(text)), f"README.md: {name}", f"printed: {name}", lineterm=""
        )
    return lines


def printed(root: Path) -> dict[str, str]:
    """What the last runs printed, for each sample whose output file is there."""
    return {
        name: ESCAPE.sub("", show((root / file).read_text(encoding="utf-8")))
        for name, (file, show) in SAMPLES.items()
        if (root / file).is_file()
    }


def main(arguments: list[str], root: Path = ROOT) -> int:
    """`write` or `compare`; 0 = done or equal, 1 = different or failed tests, 2 = usage or no output."""
    if arguments not in (["write"], ["compare"]):
        print(__doc__, file=sys.stderr)
        return 2
    path, shown = root / "README.md", printed(root)
    readme = path.read_text(encoding="utf-8")
    missing = sorted(set(SAMPLES) - set(shown))
    if arguments == ["write"]:
        if re.search(r"\b(failed|errors?)\b", shown.get("test", "")):
            print(f"the last tests did not pass ({shown['test']}): nothing written", file=sys.stderr)
            return 1
        path.write_text(with_samples(readme, shown), encoding="utf-8")
        print(f"README.md: wrote {', '.join(sorted(shown)) or 'nothing'}")
        return 0
    if missing:
        print(f"no output of {', '.join(missing)}: run `make test` and `make demo` first", file=sys.stderr)
        return 2
    lines = differences(readme, shown)
    if lines:
        print("\n".join([*lines, "README.md shows something else: run `make readme`"]), file=sys.stderr)
        return 1
    print("README.md shows what the commands print")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
