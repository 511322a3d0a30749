"""The server's connections: taken, held to their limits, and let go."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.serving.answerer import Answerer
from desktop_ft.serving.clients import neighbourhood
from desktop_ft.serving.desk import Desk, Model, Rules
from desktop_ft.serving.limits import MB, Limits
from desktop_ft.serving.refusal import Refused
from desktop_ft.serving.wire import HEAD_BYTES, Body, Gone, Head, Reply, read_head

_SOON_S = 1.0
_GRACE_S = 0.2
"""How long a client without a request may still begin one when the server ends: what it has sent may not have been read yet."""
_LINGER_S = 2.0
"""How long what a refused client still sends is thrown away: closed at once, it might never see why it was refused."""
_LINGERING = 64
"""Connections beyond the limit that may be told so at once; of more, the connection is cut."""
_BACKLOG = 512
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.host.partition("%")[0]).is_loopback

    @property
    def everywhere(self) -> bool:
        """Whether it is no single address."""
        return ipaddress.ip_address(self.host.partition("%")[0]).is_unspecified

    @property
    def url(self) -> str:
        """How it is called."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


@dataclass(slots=True, kw_only=True, eq=False)
class _Connection:
    task: "asyncio.Task[None]"
    whose: str
    idle: bool = True
    held: int = 0


class Server:
    """Serves a model until it is stopped.

    Args:
        name: of the model, as it is told.
        listening: a socket from `listen`; closed at the end.
        token: what requests must bring; "": nothing.
        tell: called with a sentence for what is refused; nothing that a client sent is in it, nor its address.

    Attributes:
        answered: pictures, when it has ended. refused: requests, by HTTP's number.
    """

    def __init__(
        self,
        name: str,
        model: Model,
        listening: socket.socket,
        limits: Limits,
        *,
        token: str = "",
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._limits = limits
        self._listening = listening
        self._tell = tell
        address = address_of(listening)
        hosts = _LOOPBACK | {address.host} if address.loopback else frozenset[str]()
        self._work = Answerer(model, limits)
        self._desk = Desk(name, model, self._work, limits, Rules(token=token, hosts=hosts))
        self._connections: set[_Connection] = set()
        self._lingering = 0
        self._held = 0

    @property
    def answered(self) -> int:
        """Pictures that were answered so far."""
        return self._work.answered

    @property
    def refused(self) -> dict[int, int]:
        """Requests that were refused so far, by HTTP's number."""
        return dict(sorted(self._desk.refused.items()))

    async def serve(self, stop: Awaitable[object]) -> None:
        """Answer until `stop` is done; then what has been asked already, and no more."""
        async with self._work:
            taking = await asyncio.start_server(self._take, sock=self._listening, limit=HEAD_BYTES, backlog=_BACKLOG)
            try:
                await stop
            finally:
                self._desk.stopping = True
                taking.close()
                await self._end()

    async def _end(self) -> None:
        if idle := [each.task for each in self._connections if each.idle]:
            await asyncio.wait(idle, timeout=_GRACE_S)
        for each in self._connections:
            if each.idle:
                each.task.cancel()
        while tasks := [each.task for each in self._connections]:
            await asyncio.wait(tasks)  # each request has its own time limit, which ends this too

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A new connection, to its end."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is taken in a task of its own")
        try:
            peer = writer.get_extra_info("peername")
            if peer is None:
                return  # gone before it was looked at
            whose = neighbourhood(peer[0])
            if (refused := self._too_many(whose)) is not None:
                await self._turn_away(refused, reader, writer)
                return
            connection = _Connection(task=task, whose=whose)
            self._connections.add(connection)
            try:
                await self._converse(connection, peer[0], reader, writer)
            finally:
                self._connections.discard(connection)
        except (ConnectionError, TimeoutError, asyncio.CancelledError):
            writer.transport.abort()  # nobody listens any more, or the server ends
        finally:
            writer.close()

    def _too_many(self, whose: str) -> Refused | None:
        """Why one more connection of `whose` is not taken; None where it is."""
        most, each = self._limits.connections, self._limits.address_connections
        if len(self._connections) >= most:
            status, what = HTTPStatus.SERVICE_UNAVAILABLE, tr("More than {limit} connections are open.", limit=most)
        elif each and sum(other.whose == whose for other in self._connections) >= each:
            status = HTTPStatus.TOO_MANY_REQUESTS
            what = tr("More than {limit} connections of this address are open.", limit=each)
        else:
            return None
        return Refused(status, what, tr("Ask again in a moment."), retry_after_s=_SOON_S)

    async def _turn_away(self, refused: Refused, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._note(refused)
        if self._lingering >= _LINGERING:
            writer.transport.abort()
            return
        self._lingering += 1
        try:
            writer.write(Reply.refusing(refused).content(keep_alive=False))
            await _let_go(reader, writer)
        finally:
            self._lingering -= 1

    async def _converse(
        self, connection: _Connection, client: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Request by request of the address `client`."""
        while True:
            connection.idle = True
            try:
                async with asyncio.timeout(_GRACE_S if self._desk.stopping else self._limits.idle):
                    first = await reader.read(1)
            except TimeoutError:
                return
            connection.idle = False
            if not first:
                return
            try:
                goes_on, content = await self._exchange(connection, first, client, reader, writer)
            except Gone:
                return
            finally:
                self._held -= connection.held
                connection.held = 0
            writer.write(content)
            async with asyncio.timeout(self._limits.timeout):
                await writer.drain()
            if not goes_on:
                await _let_go(reader, writer)
                return

    async def _exchange(
        self, connection: _Connection, first: bytes, client: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[bool, bytes]:
        """One request: whether another one may follow, and what is sent in answer."""
        head: Head | None = None
        body: Body | None = None
        hurried = self._desk.in_a_hurry(client)  # before its head is judged: what is no request at all counts, too

        def grow(count: int) -> None:
            self._held += count
            connection.held += count
            if self._held > self._limits.bodies_mb * MB:
                raise _no_room()

        try:
            async with asyncio.timeout(self._limits.timeout):
                head = await read_head(reader, first)
                body = Body(head, reader, writer, grow)
                if hurried is not None:
                    raise hurried
                reply = await self._desk.reply(head, body, client)
        except TimeoutError:
            reply = self._refusing(_too_slow(came=body is not None and not body.left))
        except Refused as refused:
            reply = self._refusing(hurried or refused)
        except Gone:
            raise
        except UserError as error:
            reply = self._refusing(_not_computed(error))
        except Exception as error:  # a fault of ours: this client is told, and all others go on
            reply = self._refusing(_fault(error))
        read = head is not None and body is not None and not body.left
        goes_on = read and head is not None and head.keep_alive and not self._desk.stopping
        return goes_on, reply.content(keep_alive=goes_on, bodiless=head is not None and head.method == "HEAD")

    def _refusing(self, refused: Refused) -> Reply:
        self._note(refused)
        return Reply.refusing(refused)

    def _note(self, refused: Refused) -> None:
        self._desk.refused[refused.status.value] += 1
        self._tell(f"{refused.status.value}: {refused.told}")


async def _let_go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that no more comes, and throw away what the client still sends, for a while."""
    with contextlib.suppress(TimeoutError, ConnectionError, OSError):
        async with asyncio.timeout(_LINGER_S):
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            while await reader.read(HEAD_BYTES):
                pass


def _too_slow(*, came: bool) -> Refused:
    if came:
        return Refused(
            HTTPStatus.SERVICE_UNAVAILABLE,
            tr("The answer took too long: too much is asked at once."),
            tr("Ask again in a moment."),
            retry_after_s=_SOON_S,
        )
    return Refused(
        HTTPStatus.REQUEST_TIMEOUT, tr("The request took too long to come."), tr("Send it faster, or a smaller picture.")
    )


def _no_room() -> Refused:
    return Refused(
        HTTPStatus.SERVICE_UNAVAILABLE,
        tr("Too many large requests are being taken at once."),
        tr("Ask again in a moment."),
        retry_after_s=_SOON_S,
    )


def _not_computed(error: UserError) -> Refused:
    return Refused(
        HTTPStatus.SERVICE_UNAVAILABLE,
        error.what,
        error.cure,
        told=tr("The model cannot be computed."),
        retry_after_s=_SOON_S,
    )


def _fault(error: Exception) -> Refused:
    return Refused(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        tr("The server failed: {error}.", error=type(error).__name__),
        tr("Tell the developers what you asked; other requests are answered."),
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at `port` (0: one that is free) of `host`, a name or address of this machine.

    Raises:
        UserError: this machine has no such address, or the port is taken or not allowed.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise _cannot_listen(host, port, error) from error
    try:
        # Where a server has just ended its port is free again at once; Windows would let two listen there.
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise _cannot_listen(host, port, error) from error
    return listening


def _cannot_listen(host: str, port: int, error: Exception) -> UserError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UserError(
        tr("Nobody can be served at {host}, port {port}: {why}.", host=host, port=port, why=why),
        tr("Take another --port (0: any that is free), or an address of this machine as --host."),
    )


def address_of(listening: socket.socket) -> Address:
    """Where `listening` listens."""
    host, port = listening.getsockname()[:2]
    return Address(host=host, port=port)
