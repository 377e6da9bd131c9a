"""Which endpoint answers a method and a path: a table made once, literal paths first.

Starlette's own router is not used: it asks every route in turn, and knows neither every method of a
path (for `Allow`) nor problem details. Nothing here runs an endpoint.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from contracts.message import Method

Endpoint = Callable[[Request], Awaitable[Response]]

API_PREFIX = "/api/v1"
"""Where the bindings of contracts stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One endpoint, and where it stands."""

    method: Method
    path: str
    """Path template from the root; `{name}` takes one whole segment."""
    endpoint: Endpoint
    operation: str
    """What metrics, logs and spans call it: a contract's type, or another of a small fixed set."""
    quiet: bool = False
    """Asked by machines all the time (probes, scrapes): its log line is for debugging only."""


Methods = Mapping[str, Route]


@dataclass(frozen=True, slots=True)
class Match:
    """What stands at a path."""

    methods: Methods
    params: dict[str, str]

    @property
    def allow(self) -> str:
        """Give the value of the `Allow` header: what is bound, and what follows from it."""
        methods = {*self.methods, "OPTIONS"}
        if "GET" in methods:
            methods.add("HEAD")
        return ", ".join(sorted(methods))


@dataclass(frozen=True, slots=True)
class _Template:
    segments: tuple[str | None, ...]
    """As in the path; None is a parameter."""
    names: tuple[tuple[int, str], ...]
    methods: dict[str, Route]

    def match(self, segments: list[str]) -> dict[str, str] | None:
        for mine, given in zip(self.segments, segments, strict=True):
            if (mine != given) if mine is not None else not given:
                return None
        return {name: segments[index] for index, name in self.names}


class Router:
    """The table; of two templates that fit a path the more literal one wins.

    Raises:
        ValueError: two routes have the same method and path, or name its parameters differently.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._literal: dict[str, dict[str, Route]] = {}
        self._by_length: dict[int, list[_Template]] = {}
        for route in routes:
            self._add(route)
        for templates in self._by_length.values():
            templates.sort(
                key=lambda template: tuple(segment is None for segment in template.segments)
            )

    def match(self, path: str) -> Match | None:
        """Find what stands at a path; None where nothing does."""
        methods = self._literal.get(path)
        if methods is not None:
            return Match(methods, {})
        segments = path.split("/")
        for template in self._by_length.get(len(segments), ()):
            params = template.match(segments)
            if params is not None:
                return Match(template.methods, params)
        return None

    def _add(self, route: Route) -> None:
        methods = self._methods_at(route)
        if route.method in methods:
            raise ValueError(
                f"{route.method} {route.path} is bound to {methods[route.method].operation} already"
            )
        methods[route.method] = route

    def _methods_at(self, route: Route) -> dict[str, Route]:
        given = route.path.split("/")
        names = tuple((i, part[1:-1]) for i, part in enumerate(given) if part.startswith("{"))
        if not names:
            return self._literal.setdefault(route.path, {})
        shape = tuple(None if part.startswith("{") else part for part in given)
        templates = self._by_length.setdefault(len(shape), [])
        for template in templates:
            if template.segments == shape:
                if template.names != names:
                    raise ValueError(
                        f"{route.path} names its parameters otherwise than its other methods do"
                    )
                return template.methods
        template = _Template(shape, names, {})
        templates.append(template)
        return template.methods
