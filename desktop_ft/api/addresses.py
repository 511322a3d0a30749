"""Which addresses a plugin may tell things to."""

from urllib.parse import SplitResult, urlsplit

_HERE = ("localhost", "127.0.0.1", "::1")


def is_here(address: str) -> bool:
    """Whether `address` is of this machine itself."""
    split = _split(address)
    return split is not None and split.hostname in _HERE


def why_not_told(address: str) -> tuple[str, str] | None:
    """Why `address` must not be told anything: what is wrong with it, as "is …" or "holds …", and its cure; None where it may.

    What leaves this machine is encrypted, and no password lies open in the environment or in a list of processes.
    """
    split = _split(address)
    if split is None:
        return "is not an https address.", "Write it as https://host/path."
    if split.scheme != "https" and not (split.scheme == "http" and is_here(address)):
        return "is not an https address.", "Only this machine itself is told without encryption."
    if split.username is not None:
        return "holds a name or a password.", "Give the address a secret path instead."
    return None


def _split(address: str) -> SplitResult | None:
    """The parts of `address`; None where it cannot be told apart, or names no machine."""
    try:
        split = urlsplit(address)
        return split if split.hostname and split.port != 0 else None
    except ValueError:
        return None
