"""The answer of every search in this room."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import NDArray

#: What `Solution.method` counts: how the best amounts were found and bounded.
METHODS = ("dual", "branch", "grid", "rows", "starts", "tangent")
DUAL, BRANCH, GRID, ROWS, STARTS, TANGENT = range(len(METHODS))


class Solution(NamedTuple):
    """The best amounts found, and what is proven about them."""

    amounts: NDArray  #: [R, U] feasible
    value: NDArray  #: [R] what they are worth
    upper_bound: NDArray  #: [R] no feasible amounts are worth more; never below value
    certified: NDArray  #: [R] bool, upper_bound - value is within the tolerance
    method: NDArray  #: [R] int, position in METHODS
