"""How often each client may ask. Nothing of a client is kept longer than its rate needs it: seconds."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

_MOST = 10_000
"""Clients that are kept in mind; of more, the ones that asked longest ago are forgotten."""


class Rates:
    """A token bucket for each client: it holds a second's worth of requests (at least one), and is refilled evenly.

    Args:
        per_second: requests; 0: no limit.
        clock: seconds, never going back.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._most = max(1.0, per_second)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Take a token for a request from the address `client`: 0.0; or, where none is left, the seconds until there is one."""
        if not self._rate:
            return 0.0
        now, key = self._clock(), neighbourhood(client)
        held = self._held(*self._buckets.get(key, (self._most, now)), now)
        wait = 0.0 if held >= 1 else (1 - held) / self._rate
        self._buckets[key] = (held if wait else held - 1, now)
        self._buckets.move_to_end(key)
        self._forget(now)
        return wait

    def _held(self, tokens: float, at: float, now: float) -> float:
        return min(self._most, tokens + (now - at) * self._rate)

    def _forget(self, now: float) -> None:
        """Drop those at the front whose bucket is full again, as a new client's would be, and what is too many."""
        while self._buckets:
            key, bucket = next(iter(self._buckets.items()))
            if self._held(*bucket, now) < self._most and len(self._buckets) <= _MOST:
                return
            del self._buckets[key]

    def __len__(self) -> int:
        return len(self._buckets)


def neighbourhood(client: str) -> str:
    """Whom the address `client` is counted with: itself; of IPv6 the /64 that a single client commands whole."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped:
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    return client
