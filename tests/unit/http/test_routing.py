"""The table of routes: which endpoint stands where, without any request."""

import pytest
from starlette.requests import Request
from starlette.responses import Response

from contracts.message import Method
from infra.http.routing import Route, Router


async def _respond(_: Request) -> Response:
    return Response()


def _route(method: Method, path: str, operation: str = "x") -> Route:
    return Route(method=method, path=path, endpoint=_respond, operation=operation)


def test_a_parameter_takes_one_segment() -> None:
    """A template matches a path of its length and names what stands in it."""
    match = Router([_route("GET", "/a/{b}/c")]).match("/a/1 2/c")
    assert match is not None
    assert match.params == {"b": "1 2"}


@pytest.mark.parametrize("path", ["/a//c", "/a/1", "/a/1/c/", "/a/1/d", ""])
def test_what_does_not_fit_a_template_matches_nothing(path: str) -> None:
    """An empty segment, another length and another literal are no match."""
    assert Router([_route("GET", "/a/{b}/c")]).match(path) is None


def test_the_more_literal_path_wins_in_whatever_order_it_came() -> None:
    """A literal path stands before a template, and more literals before fewer."""
    routes = [
        _route("GET", "/a/{b}/{c}", "loose"),
        _route("GET", "/a/x/{c}", "closer"),
        _route("GET", "/a/x/y", "exact"),
    ]
    for order in (routes, routes[::-1]):
        router = Router(order)
        found = [router.match(path) for path in ("/a/x/y", "/a/x/z", "/a/w/y")]
        assert [m.methods["GET"].operation for m in found if m] == ["exact", "closer", "loose"]


def test_every_method_of_a_path_is_allowed_with_what_follows_from_it() -> None:
    """GET brings HEAD, and everything answers OPTIONS."""
    match = Router([_route("GET", "/a"), _route("POST", "/a")]).match("/a")
    assert match is not None
    assert match.allow == "GET, HEAD, OPTIONS, POST"


def test_two_routes_at_one_place_are_refused() -> None:
    """The table says which operation is in the way."""
    with pytest.raises(ValueError, match="bound to x already"):
        Router([_route("GET", "/a/{b}"), _route("GET", "/a/{b}", "y")])


def test_one_path_names_its_parameters_in_one_way() -> None:
    """Two methods of a path that spell a parameter differently are a mistake."""
    with pytest.raises(ValueError, match="names its parameters otherwise"):
        Router([_route("GET", "/a/{b}"), _route("POST", "/a/{c}")])
