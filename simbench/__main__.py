"""``python -m simbench``."""

from __future__ import annotations

from simbench.cli import main

if __name__ == "__main__":
    main(prog_name="simbench")
