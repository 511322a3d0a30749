"""Downloading of weights: on request only, over https only, checked against the publisher's hash. Imports no torch."""

import errno
import hashlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from desktop_ft import __version__, places
from desktop_ft.api import Backbone, WeightsOrigin, WeightsSource
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.language import marked, tr

if TYPE_CHECKING:
    from http.client import HTTPException
    from urllib.request import OpenerDirector

_TIMEOUT_S = 6.0
_CHUNK = 1 << 18
_LATER = marked("Try again later.")
# Publishers give sizes rounded to 10 KB or so.
_SIZE_TOLERANCE = 0.02
_SLACK = 1 << 16
# Where they give none: a parameter takes four bytes, and a head that is not built here may come along.
_MOST_BYTES = 8
_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


class Response(Protocol):
    """What an opener gives: a readable stream with headers, to be closed."""

    @property
    def headers(self) -> Any:
        """The answer's headers."""

    def read1(self, size: int, /) -> bytes:
        """Up to `size` bytes as soon as there are any; b"" at the end."""

    def close(self) -> None:
        """Let go of the connection."""


Opener = Callable[[str, float], Response]


def cached_path(backbone: Backbone) -> Path:
    """Where the downloaded weights of `backbone` lie, or would lie: each in a folder of its own, as many publishers
    give all their files one name.
    """
    folder = re.sub(r"[^\w.-]", "_", backbone.spec.name).lstrip(".") or "_"
    name = unquote(urlsplit(backbone.spec.weights.url).path).rpartition("/")[2]
    return places.cache() / "weights" / folder / (name or "weights")


def record_of(path: Path) -> Path:
    """Where the SHA-256 of a downloaded file is remembered."""
    return path.with_name(path.name + ".json")


def by_hand(source: WeightsSource) -> str:
    """How a person comes by weights that are fetched by hand."""
    return tr(
        "Fetch the file yourself from {url}, then choose it as weights of your own: `--weights FILE`, or on the Model page.",
        url=source.url,
    )


def sha256(path: Path) -> str:
    """Hex digest of a file.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            tr("{file} cannot be read ({error}).", file=path, error=error.strerror), tr("Check its permissions.")
        ) from error


def download(
    backbone: Backbone,
    *,
    progress: Callable[[int, int], None] | None = None,
    cancel: threading.Event | None = None,
    opener: Opener | None = None,
) -> Path:
    """Fetch the published weights of `backbone` and remember their SHA-256. Returns where they lie.

    What is there already is fetched again and replaced. Nothing stays behind of a download that does not end well.

    Args:
        progress: told bytes done and bytes in all.
        opener: opens an address with a timeout in seconds; None: https, following redirects to https only.

    Raises:
        UserError: nothing to download, no network, or not the file that its publisher describes.
        Cancelled: `cancel` was set.
    """
    from http.client import HTTPException  # the window starts without it

    source, name = backbone.spec.weights, backbone.spec.name
    if source.origin is not WeightsOrigin.DOWNLOAD:
        cure = tr("They come with {package}.", package=source.package) if source.package else tr("They come with no file.")
        if source.origin is WeightsOrigin.BY_HAND:
            cure = by_hand(source)
        raise UserError(tr("The weights of {name} are not to be downloaded.", name=name), cure)
    _insist_on_https(source.url)
    target = cached_path(backbone)
    partial: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        response = (opener or _open)(source.url, _TIMEOUT_S)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".partial-", delete=False) as file:
            partial = Path(file.name)
            digest = _receive(response, file, backbone, progress, cancel)
            file.flush()
            os.fsync(file.fileno())
        record = {"sha256": digest, "bytes": partial.stat().st_size, "url": source.url, "licence": source.licence}
        # The record first: weights without one are never taken for downloaded.
        _replace(record_of(target), json.dumps(record, indent=1).encode())
        partial.replace(target)
    except (OSError, HTTPException) as error:
        raise _failed(backbone, error) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
    return target


def _receive(
    response: Response,
    file: Any,
    backbone: Backbone,
    progress: Callable[[int, int], None] | None,
    cancel: threading.Event | None,
) -> str:
    """Stream `response` into `file`; returns the SHA-256. Size and hash are those that the publisher gives, or it raises."""
    source, name = backbone.spec.weights, backbone.spec.name
    digest, done = hashlib.sha256(), 0
    try:
        length = response.headers.get("Content-Length") or ""
        announced = int(length) if length.isdecimal() else 0
        largest = round((source.bytes or _MOST_BYTES * backbone.spec.parameters) * (1 + _SIZE_TOLERANCE)) + _SLACK
        while True:
            if cancel is not None and cancel.is_set():
                raise Cancelled
            chunk = response.read1(_CHUNK)
            if not chunk:
                break
            done += len(chunk)
            if done > largest:
                raise _too_large(backbone, largest)
            file.write(chunk)
            digest.update(chunk)
            if progress:
                progress(done, announced or source.bytes)
    finally:
        response.close()
    if announced and done != announced:
        raise UserError(
            tr(
                "The download of {name} broke off after {done} of {all}; it was not kept.",
                name=name,
                done=_mb(done),
                all=_mb(announced),
            ),
            tr(_LATER),
        )
    if not digest.hexdigest().startswith(source.sha256_prefix):
        raise UserError(
            tr("The download of {name} has another SHA-256 than its publisher gives; it was not kept.", name=name), tr(_LATER)
        )
    return digest.hexdigest()


def _too_large(backbone: Backbone, largest: int) -> UserError:
    name, size = backbone.spec.name, backbone.spec.weights.bytes
    if size:
        what = tr(
            "The download of {name} is larger than the {size} that its publisher gives; it was not kept.",
            name=name,
            size=_mb(size),
        )
    else:
        what = tr(
            "The download of {name} is larger than any weights of it, {size}; it was not kept.", name=name, size=_mb(largest)
        )
    return UserError(what, tr(_LATER))


def https_opener() -> "OpenerDirector":
    """What opens addresses as Python's own does, but follows a redirect to https only."""
    import urllib.request  # the window starts without it

    class HttpsOnly(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
            _insist_on_https(newurl)
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    return urllib.request.build_opener(HttpsOnly)


def _open(url: str, timeout: float) -> Response:
    from urllib.request import Request

    request = Request(url, headers={"User-Agent": f"desktop-ft/{__version__}"})  # noqa: S310 (https: checked by the caller)
    response: Response = https_opener().open(request, timeout=timeout)
    return response


def _insist_on_https(url: str) -> None:
    if urlsplit(url).scheme != "https":
        raise UserError(
            tr("{url} is not an https address; weights are fetched over https only.", url=url[:200]),
            tr("Report it to the plugin's author."),
        )


def _replace(path: Path, content: bytes) -> None:
    """Write all of `content` or nothing."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".partial-", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise


def _failed(backbone: Backbone, error: "OSError | HTTPException") -> UserError:
    from urllib.error import HTTPError

    source, name = backbone.spec.weights, backbone.spec.name
    host = urlsplit(source.url).hostname
    if isinstance(error, HTTPError):
        error.close()
        return UserError(
            tr("{host} answered {code} for the weights of {name}.", host=host, code=error.code, name=name), tr(_LATER)
        )
    if isinstance(error, OSError) and (error.filename or error.errno in _DISK_FAULTS):
        folder = cached_path(backbone).parent
        return UserError(
            tr("The weights of {name} cannot be kept in {folder} ({error}).", name=name, folder=folder, error=error.strerror),
            tr("Make room or give access there."),
        )
    return UserError(
        tr(
            "The weights of {name} are not on this machine ({size}, from {host}), and the network cannot be reached.",
            name=name,
            size=_mb(source.bytes) if source.bytes else tr("size not known"),
            host=host,
        ),
        tr("Connect to the internet and try again, choose a weights file of your own, or train from scratch."),
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
