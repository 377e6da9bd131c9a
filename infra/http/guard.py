"""Keeps web pages of other sites from using a person's browser against the laboratory.

Without authentication the network is the only wall, and a browser stands inside it: any page can
send forms to loopback, and a name that is made to resolve to loopback can read answers. No request
of a program is hindered.
"""

from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from starlette.requests import Request

from contracts.errors import Refused
from infra.http.problem import ForeignSite

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Looks at the headers with which a browser tells where a request comes from."""

    def __init__(self, host_names: frozenset[str] | None = None) -> None:
        """Accept these names in `Host`; None accepts every name."""
        self._host_names = host_names

    @classmethod
    def of(cls, host: str) -> Self:
        """Guard a server bound to `host`: on loopback under loopback's names only."""
        return cls(LOOPBACK_NAMES if is_loopback(host) else None)

    def check(self, request: Request) -> None:
        """Let a request pass.

        Raises:
            Refused: a page of another site sent it, or it came under a name not this server's.
        """
        host = request.headers.get("host", "")
        if self._host_names is not None and _name(host) not in self._host_names:
            raise Refused(ForeignSite(site=host[:100]))
        if request.method in _SAFE:
            return
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise Refused(ForeignSite(site=origin[:100]))


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach a server that is bound to `host`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
