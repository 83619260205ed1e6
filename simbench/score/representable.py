"""Whether a contender's class of models contains a scenario's world: computed from two lists of words, never typed."""

from __future__ import annotations

from collections.abc import Collection


def representable(breaks: str | None, handles: Collection[str]) -> bool | None:
    """Whether a model that handles some broken assumptions can represent a scenario that breaks one.

    Parameters
    ----------
    breaks : str or None
        The assumption that the scenario breaks: "" for a control, which is in everyone's class; "compound" for
        several at once, which is in nobody's who does not name it; None where that is not known.
    handles : collection of str
        The broken assumptions that the contender's class contains. Without any it does not say.

    Returns
    -------
    bool or None
        None: nobody says.

    Examples
    --------
    >>> representable("effect-shape", ["effect-shape"]), representable("additive", ["effect-shape"])
    (True, False)
    >>> representable("", []), representable("additive", [])
    (True, None)
    """
    if breaks == "":
        return True
    return None if breaks is None or not handles else breaks in handles
