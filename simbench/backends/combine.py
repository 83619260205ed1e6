"""Backends made of backends: a run still knows only `answer`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from simbench.backends.base import Backend, Key
from simbench.backends.registry import backend_named, combined_code, core_identity
from simbench.errors import BadInput
from simbench.records import Answers, Brief, Failure


def first_ok(*members: Any) -> Backend:
    """Ask the first member about every world, and each next one about those that failed so far.

    A world nobody answers keeps the last member's failure. Answers and diagnostics are the
    members' own: what is flagged as not converged is an answer, and stands.

    Parameters
    ----------
    *members : names, functions or Backends
        Two or more, such as ``first_ok("mine.py:laplace", "numpyro-nuts")``.

    Returns
    -------
    Backend
        Called ``first_ok(A|B)``; its config holds what its members are.

    Raises
    ------
    BadInput
        If a member is not known, or there is only one.
    """
    made = [backend_named(member) for member in members]
    if len(made) < 2:
        raise BadInput("first_ok", f"{len(made)} members", "two or more")

    def answer(briefs: Sequence[Brief], keys: Sequence[Key]) -> list[Answers | Failure]:
        if len(briefs) != len(keys):
            raise BadInput("first_ok", f"{len(briefs)} briefs and {len(keys)} keys", "one key a brief")
        replies: list[Answers | Failure] = [Failure("unsupported", "nobody was asked")] * len(briefs)
        for member in made:
            left = [i for i, reply in enumerate(replies) if isinstance(reply, Failure)]
            refused = {i: member.supports(briefs[i]) for i in left}
            asked = [i for i in left if refused[i] is None]
            for i in left:
                # a fit that failed tells more than a member that was not asked
                if refused[i] is not None and replies[i].reason == "unsupported":  # type: ignore[union-attr]
                    replies[i] = Failure("unsupported", f"{member.name}: {refused[i]}")
            if asked:
                told = member.answer([briefs[i] for i in asked], [keys[i] for i in asked])
                for i, reply in zip(asked, told, strict=True):
                    replies[i] = reply
        return replies

    return Backend(
        name=f"first_ok({'|'.join(member.name for member in made)})",
        version="1",
        config={"members": [core_identity(member) for member in made]},
        answer=answer,
        block=max(member.block for member in made),
        supports=_any_of([member.supports for member in made]),
        tags=frozenset.intersection(*(member.tags for member in made)),
        handles=frozenset.intersection(*(member.handles for member in made)),  # nobody knows who will answer
        precision="/".join(dict.fromkeys(member.precision for member in made)),
        code=combined_code([member.code for member in made]),
    )


def _any_of(supports: Sequence[Callable[[Brief], str | None]]) -> Callable[[Brief], str | None]:
    """Supported by any member; else the reasons of all."""

    def reason(brief: Brief) -> str | None:
        reasons = [supported(brief) for supported in supports]
        return None if None in reasons else "; ".join(dict.fromkeys(str(each) for each in reasons))

    return reason
