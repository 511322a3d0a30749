"""A seal on what is kept of a run: where a bit rots on the disk, that is found when it is read, not believed.

A sealed line is JSON like any other, with a first member `seal`; a sealed text is TOML with a first line of comment. What older
versions kept carries none, and is taken as it is. A seal tells damage, not malice: anybody can make one.
"""

import hashlib
from dataclasses import dataclass

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr

_LETTERS = 16
_MOST_WRONG = 2
"""What looks like a seal but for so many letters is a damaged one; what never was one differs in more."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """What stands before and behind the letters of a seal."""

    before: bytes
    behind: bytes
    cure: str

    def sealed(self, body: bytes) -> bytes:
        return self._of(body) + body

    def opened(self, data: bytes, where: str) -> bytes | None:
        """What was sealed in `data`; None where that was never sealed."""
        length = len(self.before) + _LETTERS + len(self.behind)
        seal, body = data[:length], data[length:]
        if seal == self._of(body):
            return body
        around = seal[: len(self.before)] + seal[len(self.before) + _LETTERS :]
        wrong = sum(one != other for one, other in zip(around, self.before + self.behind, strict=False))
        if len(seal) < length or wrong > _MOST_WRONG:
            return None
        raise UserError(tr("{where} is damaged: it is not what was written (checksum).", where=where), tr(self.cure))

    def _of(self, body: bytes) -> bytes:
        return self.before + hashlib.sha256(body).hexdigest()[:_LETTERS].encode() + self.behind


_MEMBER = _Frame(b'{"seal":"', b'",', marked("Restore it from a copy, or make it anew."))
_LINE = _Frame(
    b"# seal ",
    b" of what follows: take this line off where you change it by hand\n",
    marked("Restore it from a copy. If you changed it yourself, take off the seal at its beginning."),
)


def seal_line(line: bytes) -> bytes:
    """`line`, a JSON object with members, with its seal."""
    return _MEMBER.sealed(line.removeprefix(b"{"))


def open_line(line: bytes, where: str) -> bytes:
    """The JSON object that was sealed in `line`, which `where` names in errors.

    Raises:
        UserError: it is not what was sealed.
    """
    body = _MEMBER.opened(line, where)
    return line if body is None else b"{" + body


def seal_text(text: bytes) -> bytes:
    """`text`, TOML, with its seal."""
    return _LINE.sealed(text)


def open_text(text: bytes, where: str) -> bytes:
    """The TOML that was sealed in `text`, which `where` names in errors.

    Raises:
        UserError: it is not what was sealed.
    """
    body = _LINE.opened(text, where)
    return text if body is None else body
