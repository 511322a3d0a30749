"""A seal on what is kept of a run: where a bit rots on the disk, that is found when it is read, not believed.

A sealed line is JSON like any other, with a first member `seal`; a sealed text is TOML with a first line of comment. What older
versions kept carries none, and is taken as it is. A seal tells damage, not malice: anybody can make one.
"""

import hashlib
from dataclasses import dataclass

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr

_LETTERS = 16


@dataclass(frozen=True, slots=True)
class _Frame:
    """What stands before and behind the letters of a seal."""

    before: bytes
    behind: bytes

    def sealed(self, body: bytes) -> bytes:
        return self._of(body) + body

    def opened(self, data: bytes, where: str) -> bytes | None:
        """What was sealed in `data`; None where that was never sealed."""
        length = len(self.before) + _LETTERS + len(self.behind)
        seal, body = data[:length], data[length:]
        around = seal[: len(self.before)] + seal[len(self.before) + _LETTERS :]
        wrong = sum(one != other for one, other in zip(around, self.before + self.behind, strict=False))
        if len(seal) < length or wrong > 1:  # more than one letter is another
            return None
        if seal != self._of(body):
            raise UserError(
                tr("{where} is damaged: it is not what was written (checksum).", where=where),
                tr("Restore it from a copy. If you changed it yourself, take off the seal at its beginning."),
            )
        return body

    def _of(self, body: bytes) -> bytes:
        return self.before + hashlib.sha256(body).hexdigest()[:_LETTERS].encode() + self.behind


_MEMBER = _Frame(b'{"seal":"', b'",')
_LINE = _Frame(b"# seal ", b" of what follows: take this line off where you change it by hand\n")


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
