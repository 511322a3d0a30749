"""Errors that are told to a person."""


class UserError(Exception):
    """Something a person can put right: what is wrong (and where), and what to do about it.

    The command line prints it as one line and exits with 2; the window shows it in place.
    Two errors with the same words are equal, so that they can be tested and de-duplicated.
    """

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(what, cure)
        self.what = what
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.what} {self.cure}".strip()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UserError) and (self.what, self.cure) == (other.what, other.cure)

    def __hash__(self) -> int:
        return hash((self.what, self.cure))


class Cancelled(Exception):
    """The person asked for the work to stop; raised at the next safe point, never shown as an error."""
