"""The pictures that a request's body holds: one as it is, or several as form or JSON."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, ValidationError

from desktop_ft.core.language import marked, tr
from desktop_ft.core.values import explain, plain_json
from desktop_ft.serving.refusal import Refused

_JSON, _FORM, _ANYTHING = "application/json", "multipart/form-data", "application/octet-stream"
_BOUNDARY = re.compile(r"""boundary=(?:"([^"\\]{1,70})"|([^\s;,"]{1,70}))""", re.IGNORECASE)
_NAME = re.compile(rb"""(?:^|[;\s])(filename|name)="((?:[^"\\]|\\.)*)\"""", re.IGNORECASE)
_PART_HEAD = 4096
_LONGEST_REASON = 200
_MARKS_A_PICTURE = 50
"""Brackets and commas that an entry may have, in its name above all: a body of nothing else becomes 30 times its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A picture as it was sent: what it was called ("": nothing), and its bytes; or, in `problem`, why it has none."""

    name: str = ""
    content: bytes = b""
    problem: str = ""
    cure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a body holds. `single`: it was one picture as it is, which gets an answer and not a list of one."""

    pictures: tuple[Sent, ...]
    single: bool = False


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = ""
    data: str


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    pictures: list[_Entry]


def reader_for(content_type: str) -> Callable[[bytes, int], Batch]:
    """What reads a body of this type; called with its bytes and the most pictures that it may hold.

    Raises:
        Refused: the type is no picture, form or JSON; and what the reader itself refuses.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _JSON:
        return _from_json
    if kind == _FORM:
        found = _BOUNDARY.search(content_type)
        if found is None:
            raise _unusable(tr("the form's Content-Type names no boundary"))
        boundary = (found[1] or found[2]).encode("latin-1")
        return lambda body, most: _from_form(body, most, boundary)
    if kind.startswith("image/") or kind == _ANYTHING:
        return _whole
    raise Refused(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        tr("A body of the type {type} is not taken.", type=kind[:40])
        if kind
        else tr("The request does not say what its body is."),
        tr("Send a picture with Content-Type: image/jpeg (or its own type), several as multipart/form-data or application/json."),
        told=tr("A body of this type is not taken."),
    )


def _whole(body: bytes, most: int) -> Batch:
    return Batch(pictures=(Sent(content=body),), single=True)


def _from_json(body: bytes, most: int) -> Batch:
    if sum(body.count(mark) for mark in (b"[", b"{", b",")) > _MARKS_A_PICTURE * (most + 1):
        raise _too_many(most)
    try:
        document = _Document.model_validate(plain_json(body))
    except ValidationError as error:
        raise _unusable(explain(error), told=tr("The body cannot be used.")) from error
    except ValueError as error:
        raise _unusable(tr("it is not JSON")) from error
    return _checked([_decoded(entry) for entry in document.pictures], most)


def _decoded(entry: _Entry) -> Sent:
    try:
        return Sent(name=entry.name, content=base64.b64decode(entry.data, validate=True))
    except (binascii.Error, ValueError):
        return Sent(name=entry.name, problem=marked("Is not base64."), cure=marked("Send the file's bytes in base64."))


def _from_form(body: bytes, most: int, boundary: bytes) -> Batch:
    return _checked(list(_parts(body, most, boundary)), most)


def _parts(body: bytes, most: int, boundary: bytes) -> Iterator[Sent]:
    """The parts of a form (RFC 7578), each a picture; `most` and one more are looked at."""
    mark = b"--" + boundary
    if not body.startswith(mark):
        raise _unusable(tr("the form does not begin with its boundary"))
    at = len(mark)
    for _ in range(most + 1):
        if body.startswith(b"--", at):
            return
        if not body.startswith(b"\r\n", at):
            raise _unusable(tr("a part of the form does not begin on a line of its own"))
        head_end = body.find(b"\r\n\r\n", at, at + _PART_HEAD)
        end = body.find(b"\r\n" + mark, at + 2) if head_end < 0 else body.find(b"\r\n" + mark, head_end + 2)
        if head_end < 0 or end < 0:
            raise _unusable(tr("a part of the form is cut off"))
        yield Sent(name=_name(body[at + 2 : head_end]), content=body[head_end + 4 : end])
        at = end + 2 + len(mark)


def _name(head: bytes) -> str:
    """What a part is called: its file's name, else its field's."""
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-disposition:"):
            found = {name.lower(): value for name, value in _NAME.findall(line)}
            name = found.get(b"filename") or found.get(b"name") or b""
            return re.sub(rb"\\(.)", rb"\1", name).decode("utf-8", "replace")
    raise _unusable(tr("a part of the form has no header Content-Disposition"))


def _checked(pictures: list[Sent], most: int) -> Batch:
    if len(pictures) > most:
        raise _too_many(most)
    if not pictures:
        raise _unusable(tr("it holds no picture"))
    return Batch(pictures=tuple(pictures))


def _too_many(most: int) -> Refused:
    return Refused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        tr("The request holds more than {most} pictures.", most=most),
        tr("Send them in several requests, or start the server with a larger --pictures."),
    )


def _unusable(why: str, told: str = "") -> Refused:
    return Refused(
        HTTPStatus.BAD_REQUEST,
        tr("The body cannot be used: {why}.", why=why[:_LONGEST_REASON]),
        tr("Send a picture as it is, a form of files, or JSON such as {example}.", example='{"pictures": [{"data": "BASE64"}]}'),
        told=told,
    )
