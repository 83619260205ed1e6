"""The errors a user of simbench sees: bad input, and what is stored but damaged."""

from __future__ import annotations


class BadInput(ValueError):
    """Something the user gave is wrong: where, what, and what would be right.

    Parameters
    ----------
    where : str
        File and key path, argument or column.
    what : str
        The fault, with the offending value.
    right : str, optional
        What would be accepted instead.
    """

    def __init__(self, where: str, what: str, right: str = "") -> None:
        self.where, self.what, self.right = where, what, right
        super().__init__(f"{where}: {what}" + (f"; {right}" if right else ""))


class Damaged(BadInput):
    """Something stored is not what was written."""
