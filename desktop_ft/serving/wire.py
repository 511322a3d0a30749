"""HTTP/1.1 on an open connection: a request's head and body come in, an answer goes out.

Strict where other servers are lenient: what two readers could understand differently is refused (RFC 9112, sections 2, 5 and 6).
"""

import asyncio
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from desktop_ft.core.language import tr
from desktop_ft.serving.refusal import Refused

HEAD_BYTES = 1 << 14
"""Longest head: request line and headers."""
_MOST_HEADERS = 100
_MOST_PARAMETERS = 20
_MOST_DIGITS = 15
_CHUNK = 1 << 16
_END = b"\r\n\r\n"
_REQUEST = re.compile(rb"([A-Z]{1,20}) (/[\x21-\x7e]*) HTTP/1\.([01])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\x80-\xff\t]*)")
_ONCE = ("content-length", "content-type", "host", "authorization", "transfer-encoding", "expect")


class Gone(Exception):
    """The client has closed the connection in the middle of its request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a request says before its body.

    Attributes:
        headers: by name in small letters; one given twice is joined by commas.
        length: bytes of the body; None where it was not said.
        keep_alive: whether the client may ask again on this connection.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    length: int | None
    keep_alive: bool


async def read_head(reader: asyncio.StreamReader, first: bytes) -> Head:
    """The head of a request whose `first` bytes have come already.

    Raises:
        Refused: it is too large, or not HTTP. Gone: it stopped in the middle.
    """
    if not first.isupper():
        raise _malformed(tr("the first line is not METHOD /PATH HTTP/1.1"))
    try:
        text = first + await reader.readuntil(_END)
    except asyncio.LimitOverrunError as error:
        raise Refused(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            tr("The request's head has more than {limit} bytes.", limit=HEAD_BYTES),
            tr("Send fewer or shorter headers."),
        ) from error
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise Gone from error
    line, *lines = text.removesuffix(_END).split(b"\r\n")
    asked = _REQUEST.fullmatch(line)
    if asked is None:
        raise _malformed(tr("the first line is not METHOD /PATH HTTP/1.1"))
    headers = _headers(lines)
    newer = asked[3] == b"1"
    if newer and "host" not in headers:
        raise _malformed(tr("there is no header Host"))
    path, query = _target(asked[2].decode("ascii"))
    connection = {each.strip().lower() for each in headers.get("connection", "").split(",")}
    return Head(
        method=asked[1].decode("ascii"),
        path=path,
        query=query,
        headers=headers,
        length=_length(headers),
        keep_alive=newer and "close" not in connection,
    )


def _headers(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > _MOST_HEADERS:
        raise Refused(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            tr("The request has more than {limit} headers.", limit=_MOST_HEADERS),
            tr("Send fewer headers."),
        )
    found: dict[str, str] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise _malformed(tr("a header is not NAME: VALUE"))
        name, value = header[1].decode("ascii").lower(), header[2].decode("latin-1").strip(" \t")
        if name in found and name in _ONCE:
            raise _malformed(tr("the header {name} is there twice", name=name))
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _target(target: str) -> tuple[str, dict[str, str]]:
    try:
        parts = urlsplit(f"http://host{target}")
        return unquote(parts.path), dict(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS))
    except ValueError as error:
        raise _malformed(tr("its address cannot be read")) from error


def _length(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length")
    if "transfer-encoding" in headers:
        if length is not None:
            raise _malformed(tr("it has both Content-Length and Transfer-Encoding"))
        raise Refused(
            HTTPStatus.LENGTH_REQUIRED,
            tr("A body in chunks is not taken."),
            tr("Send it in one piece, with the header Content-Length."),
        )
    if length is None:
        return None
    if not (length.isascii() and length.isdigit() and len(length) <= _MOST_DIGITS):
        raise _malformed(tr("its Content-Length is no number of bytes"))
    return int(length)


def _malformed(why: str) -> Refused:
    return Refused(
        HTTPStatus.BAD_REQUEST,
        tr("The request is not HTTP/1.1: {why}.", why=why),
        tr("Ask with curl or another HTTP client: POST /predict with a picture as the body."),
    )


class Body:
    """What follows a head. Nothing of it is read before it is asked for.

    Args:
        grow: called with the bytes of each part that comes, before it is kept; may refuse.
    """

    def __init__(
        self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, grow: Callable[[int], None]
    ) -> None:
        self.left = head.length or 0
        self._continue = head.headers.get("expect", "").lower() == "100-continue" and self.left > 0
        self._reader, self._writer, self._grow = reader, writer, grow

    async def read(self) -> bytes:
        """All of it.

        Raises:
            Refused: as `grow`. Gone: it stopped in the middle.
        """
        if self._continue:
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        content = bytearray()
        while self.left:
            try:
                part = await self._reader.read(min(self.left, _CHUNK))
            except ConnectionError as error:
                raise Gone from error
            if not part:
                raise Gone
            self.left -= len(part)
            self._grow(len(part))
            content += part
        return bytes(content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer: HTTP's number, a JSON document, and headers besides the usual ones."""

    status: HTTPStatus
    document: Mapping[str, Any]
    headers: Mapping[str, str]

    @classmethod
    def of(cls, document: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> "Reply":
        """What was asked for."""
        return cls(status=status, document=document, headers={})

    @classmethod
    def refusing(cls, refused: Refused) -> "Reply":
        """The sentences of a refusal."""
        headers = {"Allow": refused.allow} if refused.allow else {}
        if refused.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(refused.retry_after_s)))
        if refused.status is HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        return cls(status=refused.status, document={"error": refused.what, "cure": refused.cure}, headers=headers)

    def content(self, *, keep_alive: bool, bodiless: bool = False) -> bytes:
        """The bytes that are sent; `bodiless`: without the document, as HEAD asks for."""
        body = json.dumps(self.document, allow_nan=False).encode() + b"\n"
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "keep-alive" if keep_alive else "close",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **self.headers,
        }
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode("latin-1") + _END + (b"" if bodiless else body)
