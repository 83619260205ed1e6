"""Numbers of a scenario file in words."""

from __future__ import annotations

from typing import Any


def number(value: Any) -> str:
    """A number of a scenario file, or the distribution it is drawn from."""
    kind = getattr(value, "dist", None)
    if kind is None:
        return f"{value:,.10g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
    if kind in ("uniform", "log-uniform"):
        return f"{number(value.low)} to {number(value.high)}" + (" (log)" if kind == "log-uniform" else "")
    if kind == "normal":
        return f"normal {number(value.mean)} (sd {number(value.sd)})"
    if kind == "lognormal":
        return f"lognormal {number(value.median)} (sigma {number(value.sigma)})"
    if kind == "choice":
        return "one of " + ", ".join(number(v) for v in value.values)
    rest = ", ".join(number(v) for v in value.model_dump(exclude={"dist"}).values())
    return f"{kind}({rest})"
