"""A transport in place of the network that fails as it is told: for tests of what happens then.

Faults are taken in order, one for each request; where none is left, the answer is 200. It never
touches a network.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx

from infra.clock import SYSTEM, Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What becomes of one request."""

    delay_seconds: float = 0.0
    """Waited before anything else."""
    error: type[httpx.TransportError] | None = None
    """Raised in place of an answer, such as `httpx.ConnectError`."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


HANGS = Fault(delay_seconds=3_600.0)
"""An answer that nobody waits for."""
REFUSED = Fault(error=httpx.ConnectError)
BROKEN_OFF = Fault(error=httpx.ReadError)


class FaultyTransport(httpx.AsyncBaseTransport):
    """Give it to an `httpx.AsyncClient` or an `HttpClientWithCircuitBreaker`."""

    def __init__(
        self, faults: Iterable[Fault] = (), *, otherwise: Fault | None = None, clock: Clock = SYSTEM
    ) -> None:
        """Take `faults` in order, then `otherwise` (an answer of 200) for ever."""
        self.faults = deque(faults)
        self.otherwise = otherwise or Fault()
        """May be exchanged at any time: a system falls ill and recovers."""
        self.requests = list[httpx.Request]()
        """What arrived."""
        self._clock = clock

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Do to this request what is next."""
        self.requests.append(request)
        fault = self.faults.popleft() if self.faults else self.otherwise
        if fault.delay_seconds:
            await self._clock.sleep(fault.delay_seconds)
        if fault.error is not None:
            raise fault.error(f"{request.url}: a fault as ordered", request=request)
        return httpx.Response(
            fault.status, headers=fault.headers, content=fault.body, request=request
        )
