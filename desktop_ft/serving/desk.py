"""What may be asked of the server, by whom, and what is said."""

import asyncio
import hmac
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

import desktop_ft
from desktop_ft.core.backbone import ResizeRule
from desktop_ft.core.exporting import FileInput, FilePrecision
from desktop_ft.core.language import tr
from desktop_ft.export.metadata import BACKBONE, INPUT, PRECISION, RECIPE_SHA256, VERSION, WEIGHTS_LICENCE
from desktop_ft.serving import answerer, bodies
from desktop_ft.serving.clients import Rates, neighbourhood
from desktop_ft.serving.limits import MB, Limits
from desktop_ft.serving.refusal import Refused
from desktop_ft.serving.wire import Body, Head, Reply

_DIGITS = 6
_STATUS = {"too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "not-an-image": HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
"""HTTP's number for a single picture that cannot be read, by the kind of its problem; 400 for all others."""


class Model(answerer.Model, Protocol):
    """What is served: it also says what it is."""

    rule: ResizeRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Who may ask.

    Attributes:
        token: what a request must bring as a bearer token; "": nothing.
        hosts: the names by which a request may call the server, and from which a web page may; none: any. A page of somebody else
            that points a name of its own at this machine (DNS rebinding) calls it by that name.
    """

    token: str = ""
    hosts: frozenset[str] = frozenset()


class Desk:
    """Takes requests to `model` and answers them.

    Attributes:
        stopping: whether the server is about to end; health says so.
        refused: how many requests were refused, by HTTP's number.
    """

    def __init__(self, name: str, model: Model, work: answerer.Answerer, limits: Limits, rules: Rules) -> None:
        self.stopping = False
        self.refused: Counter[int] = Counter()
        self._name, self._model, self._work, self._limits, self._rules = name, model, work, limits, rules
        self._rates = Rates(limits.rate)
        self._began = time.monotonic()
        self._routes: dict[str, tuple[str, Callable[[Head, Body, str], Awaitable[Reply]]]] = {
            "/health": ("GET", self._health),
            "/model": ("GET", self._about),
            "/predict": ("POST", self._predict),
        }

    def in_a_hurry(self, client: str) -> Refused | None:
        """Count one more request from the address `client`, whatever it turns out to be: why it is one too many, or None."""
        if wait := self._rates.wait(client):
            return Refused(
                HTTPStatus.TOO_MANY_REQUESTS,
                tr("More than {rate:g} requests a second came from one address.", rate=self._limits.rate),
                tr("Ask more slowly, or send several pictures in one request."),
                retry_after_s=wait,
            )
        return None

    async def reply(self, head: Head, body: Body, client: str) -> Reply:
        """The answer to a request of the address `client`.

        Raises:
            Refused: there is none. UserError: the model cannot be computed. Gone: the client is.
        """
        self._must_call_us_by_name(head)
        if head.path not in self._routes:
            raise Refused(
                HTTPStatus.NOT_FOUND,
                tr("There is nothing at this address."),
                tr("Ask for {paths}.", paths=", ".join(self._routes)),
            )
        method, answer = self._routes[head.path]
        if head.method != method:
            raise Refused(
                HTTPStatus.METHOD_NOT_ALLOWED,
                tr("{path} takes {method} only.", path=head.path, method=method),
                tr("Ask with {method}.", method=method),
                allow=method,
            )
        if head.path != "/health":
            self._must_bring_the_token(head)
        if method == "GET" and body.left:
            raise Refused(HTTPStatus.BAD_REQUEST, tr("{path} takes no body.", path=head.path), tr("Ask without one."))
        return await answer(head, body, client)

    def _must_call_us_by_name(self, head: Head) -> None:
        called = head.headers.get("host", "").lower()
        if self._rules.hosts and host_of(called) not in self._rules.hosts:
            raise Refused(
                HTTPStatus.FORBIDDEN,
                tr("The server is for this machine alone, and was called by another name."),
                tr("Call it localhost, or by the address that it printed."),
            )
        origin = head.headers.get("origin")
        if self._rules.hosts and origin is not None and host_of(origin.lower().partition("://")[2]) not in self._rules.hosts:
            raise Refused(
                HTTPStatus.FORBIDDEN,
                tr("The server is for this machine alone, and a web page from elsewhere asked it."),
                tr("Ask from a program, or start the server with a --host that pages may reach."),
            )

    def _must_bring_the_token(self, head: Head) -> None:
        if not self._rules.token:
            return
        scheme, _, brought = head.headers.get("authorization", "").partition(" ")
        # Compared in a time that does not tell how much of it was right.
        right = hmac.compare_digest(brought.strip().encode("latin-1"), self._rules.token.encode())
        if not (right and scheme.lower() == "bearer"):
            raise Refused(
                HTTPStatus.UNAUTHORIZED,
                tr("The request brings no token, or another one."),
                tr("Send the header Authorization: Bearer TOKEN, with the token in the server's --token-file."),
            )

    async def _health(self, head: Head, body: Body, client: str) -> Reply:
        document = {
            "status": "stopping" if self.stopping else "ok",
            "model": self._name,
            "classes": len(self._model.classes),
            "uptime_s": round(time.monotonic() - self._began, 1),
            "answered": self._work.answered,
            "queue": self._work.waiting,
            "refused": {str(status): count for status, count in sorted(self.refused.items())},
        }
        return Reply.of(document, HTTPStatus.SERVICE_UNAVAILABLE if self.stopping else HTTPStatus.OK)

    async def _about(self, head: Head, body: Body, client: str) -> Reply:
        told, rule = self._model.metadata, self._model.rule
        return Reply.of(
            {
                "model": self._name,
                "classes": self._model.classes,
                "input": {"crop": rule.crop, "resize": rule.resize, "interpolation": rule.interpolation.value},
                "takes": told.get(INPUT, FileInput.TENSOR.value),
                "precision": told.get(PRECISION, FilePrecision.FLOAT32.value),
                "threshold": self._model.threshold,
                "weights_licence": told.get(WEIGHTS_LICENCE, ""),
                "backbone": told.get(BACKBONE, ""),
                "recipe_sha256": told.get(RECIPE_SHA256, ""),
                "exported_by": told.get(VERSION, ""),
                "version": desktop_ft.__version__,
            }
        )

    async def _predict(self, head: Head, body: Body, client: str) -> Reply:
        most = int(self._limits.body_mb * MB)
        if head.length is None:
            raise Refused(
                HTTPStatus.LENGTH_REQUIRED,
                tr("The request does not say how long its body is."),
                tr("Send the header Content-Length, as HTTP clients do by themselves."),
            )
        if head.length > most:
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                tr("The body is larger than {limit:g} MB.", limit=self._limits.body_mb),
                tr("Send fewer or smaller pictures, or start the server with a larger --body-mb."),
            )
        top = _top(head.query)
        read = bodies.reader_for(head.headers.get("content-type", ""))
        batch = await asyncio.to_thread(read, await body.read(), self._limits.pictures)
        answers = await self._work.ask(batch.pictures, neighbourhood(client))
        if not batch.single:
            return Reply.of({"answers": [self._entry(answer, top) for answer in answers]})
        (answer,) = answers
        if answer.problem:
            status = _STATUS.get(answer.kind, HTTPStatus.BAD_REQUEST)
            raise Refused(status, answer.problem, answer.cure, told=tr("The picture cannot be answered."))
        return Reply.of(self._said(answer, top))

    def _entry(self, answer: answerer.Answer, top: int | None) -> dict[str, Any]:
        if answer.problem:
            return {"name": answer.name, "problem": answer.problem, "cure": answer.cure}
        return {"name": answer.name} | self._said(answer, top)

    def _said(self, answer: answerer.Answer, top: int | None) -> dict[str, Any]:
        by_class = sorted(zip(answer.probabilities, self._model.classes, strict=True), key=lambda pair: -pair[0])
        return {
            "answer": self._model.classes[answer.predicted],
            "confidence": round(answer.probabilities[answer.predicted], _DIGITS),
            "sure": answer.sure,
            "probabilities": {name: round(value, _DIGITS) for value, name in by_class[:top]},
        }


def host_of(called: str) -> str:
    """The name in a header Host, without the port; an address of IPv6 without its brackets."""
    if called.startswith("["):
        return called[1:].partition("]")[0]
    return called.partition(":")[0]


def _top(query: Mapping[str, str]) -> int | None:
    if unknown := [name for name in query if name != "top"]:
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            tr("There is no parameter {name}.", name=unknown[0][:40]),
            tr("Ask for /predict, or /predict?top=3."),
            told=tr("There is no such parameter."),
        )
    text = query.get("top")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 7 and int(text) > 0):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            tr("{top} is no number of classes.", top=f"top={text[:20]}"),
            tr("Ask for /predict?top=3."),
            told=tr("{top} is no number of classes.", top="top"),
        )
    return int(text)
