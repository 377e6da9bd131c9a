"""Versions over HTTP: whole bodies, entity tags, second addresses, changes that wait."""

from typing import Annotated, Any

import pytest
from pydantic import ConfigDict, Field, JsonValue

from contracts.message import Command, Http, Query, edit, get
from contracts.types import View
from infra.http.asking import Asking
from infra.http.binding import routes
from infra.http.routing import Route, Router
from tests.unit.http.conftest import Asker, Connect, Keeper

SECRET = "canary-7f3a"  # noqa: S105 - made up, to be looked for


class Shelf(View):
    """What stands on a shelf."""

    name: str
    version: int
    change_request: str | None = None


class Nothing(View):
    """An answer without a version."""

    name: str


class SetShelf(
    Command[Shelf],
    type="shelf.set",
    http=edit("PUT", "/shelves/{room}/{name}", root=True, also=("/rooms/{room}/shelves/{name}",)),
):
    """Set what stands on a shelf."""

    model_config = ConfigDict(hide_input_in_errors=True)

    room: str
    name: str
    value: Annotated[int, Field(ge=0)]
    expected_version: Annotated[int, Field(ge=0)] | None = None


class FillShelves(
    Command[Shelf],
    type="shelf.fill",
    http=edit("PUT", "/shelves/{room}/all/bulk", root=True, body="values"),
):
    """Set all shelves of a room."""

    room: str
    values: dict[str, JsonValue]
    mode: str = "merge"
    expected_version: int | None = None


class DeleteShelf(
    Command[Shelf], type="shelf.delete", http=edit("DELETE", "/shelves/{room}/{name}", root=True)
):
    """Take a shelf away."""

    room: str
    name: str
    expected_version: int | None = None


class LookShelf(
    Query[Shelf | Nothing],
    type="shelf.look",
    http=get("/shelves/{room}/{name}", root=True, etag="version", known="known"),
):
    """Show a shelf."""

    room: str
    name: str
    known: int | None = None
    wait_seconds: float = 0.0


class Release(Query[Shelf], type="shelf.release", http=get("/s", also=("/s/{version}",))):
    """Show a release, the newest or one of them."""

    version: int | None = None


CONTRACTS: tuple[type[Command[Any] | Query[Any]], ...] = (
    SetShelf,
    FillShelves,
    DeleteShelf,
    LookShelf,
    Release,
)


@pytest.fixture
def bound(asker: Asker, keeper: Keeper) -> list[Route]:
    """Give the routes of the contracts above, each of which answers with version 7."""
    shelf = Shelf(name="a", version=7)
    asker.answers = {contract.contract.type: shelf for contract in CONTRACTS}
    return routes(CONTRACTS, Asking(ask=asker, files=keeper))


async def test_a_promised_address_stands_at_the_root_and_a_second_one_below(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """Both fill the same message."""
    async with connect(bound) as client:
        for path in ("/shelves/lab/a", "/api/v1/rooms/lab/shelves/a"):
            assert (await client.put(path, json={"value": 2})).status_code == 200
        assert (await client.put("/api/v1/shelves/lab/a", json={"value": 2})).status_code == 404
    assert [one.message for one in asker.asked] == [SetShelf(room="lab", name="a", value=2)] * 2


async def test_a_second_address_may_name_more_than_the_first(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """What stands in the one path is left to the query in the other."""
    async with connect(bound) as client:
        for path in ("/api/v1/s", "/api/v1/s/3", "/api/v1/s?version=3"):
            assert (await client.get(path)).status_code == 200
    third = Release(version=3)
    assert [one.message for one in asker.asked] == [Release(), third, third]


async def test_one_address_tells_all_of_its_methods(bound: list[Route], connect: Connect) -> None:
    """Contracts that share a path are one resource."""
    async with connect(bound) as client:
        response = await client.post("/shelves/lab/a")
    assert response.status_code == 405
    assert response.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS, PUT"


async def test_a_whole_body_is_one_field_and_the_rest_stands_in_the_address(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """Members of the body may have any name, also those of other fields."""
    values: dict[str, JsonValue] = {"mode": "fast", "room": "x", "depth": [1, {"a": None}]}
    async with connect(bound) as client:
        response = await client.put("/shelves/lab/all/bulk?mode=replace", json=values)
    assert response.status_code == 200
    assert asker.asked[0].message == FillShelves(room="lab", values=values, mode="replace")


async def test_a_number_is_kept_as_it_was_sent(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """However long it is; one that no number can hold is refused, and not made another."""
    headers = {"Content-Type": "application/json"}
    async with connect(bound) as client:
        for body in (b'{"a": 12345678901234567890123, "b": 0.1}', b'{"a": 1e400}'):
            await client.put("/shelves/lab/all/bulk", content=body, headers=headers)
    (asked,) = asker.asked
    assert getattr(asked.message, "values", None) == {"a": 12345678901234567890123, "b": 0.1}


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"[1]", "application/json", 422),
        (b"7", "application/json", 422),
        (b"", "application/json", 422),
        (b"{", "application/json", 400),
        (b"[" * 500 + b"1" * 20 + b"]" * 500, "application/json", 400),
        (b"--x", "multipart/form-data; boundary=x", 415),
        (b"a=1", "application/x-www-form-urlencoded", 415),
    ],
)
async def test_a_whole_body_that_does_not_fit_is_refused(
    *,
    asker: Asker,
    bound: list[Route],
    connect: Connect,
    body: bytes,
    media_type: str,
    status: int,
) -> None:
    """The field it would be is named, or the kind that is read."""
    async with connect(bound) as client:
        response = await client.put(
            "/shelves/lab/all/bulk", content=body, headers={"Content-Type": media_type}
        )
    assert response.status_code == status
    assert asker.asked == []
    if status == 422:
        assert [error["field"] for error in response.json()["errors"]] == ["values"]
    if status == 415:
        assert response.json()["accepted"] == "application/json"


@pytest.mark.parametrize("given", ['"7"', 'W/"7"', '  "7" '])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_if_match_is_the_version_that_was_seen(
    *, asker: Asker, bound: list[Route], connect: Connect, given: str, method: str
) -> None:
    """Strong, weak, with spaces around: it fills the field, with and without a body."""
    body = {"value": 1} if method == "PUT" else None
    async with connect(bound) as client:
        response = await client.request(
            method, "/shelves/lab/a", headers={"If-Match": given}, json=body
        )
    assert (response.status_code, response.headers["ETag"]) == (200, '"7"')
    assert getattr(asker.asked[0].message, "expected_version", None) == 7


async def test_if_match_any_takes_any_version(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """A star says nothing about the version."""
    async with connect(bound) as client:
        await client.delete("/shelves/lab/a", headers={"If-Match": "*"})
    assert asker.asked[0].message == DeleteShelf(room="lab", name="a")


@pytest.mark.parametrize(
    "given", ["7", '"x"', '"7", "8"', '"07"', '"-1"', '"' + "9" * 40 + '"', ""]
)
async def test_a_condition_that_cannot_be_read_is_refused(
    *, asker: Asker, bound: list[Route], connect: Connect, given: str
) -> None:
    """A condition is never dropped in silence; the answer says what one looks like."""
    async with connect(bound) as client:
        changed = await client.delete("/shelves/lab/a", headers={"If-Match": given})
        looked = await client.get("/shelves/lab/a", headers={"If-None-Match": given})
    for response, header in ((changed, "If-Match"), (looked, "If-None-Match")):
        assert response.status_code == 422
        (error,) = response.json()["errors"]
        assert (error["field"], error["value"]) == (header, given)
        assert '"7"' in error["remedy"]
    assert asker.asked == []


async def test_conditions_in_two_lines_are_one_list(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """The second line is not overlooked."""
    lines = [("If-Match", '"7"'), ("If-Match", '"8"')]
    async with connect(bound) as client:
        response = await client.delete("/shelves/lab/a", headers=lines)
    assert response.status_code == 422
    assert response.json()["errors"][0]["value"] == '"7", "8"'
    assert asker.asked == []


async def test_a_condition_given_twice_is_refused(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """The header and the field it fills cannot contradict each other."""
    body = {"value": 1, "expected_version": 6}
    async with connect(bound) as client:
        response = await client.put("/shelves/lab/a", json=body, headers={"If-Match": '"7"'})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["expected_version"]
    assert asker.asked == []


async def test_a_change_takes_no_if_none_match(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """It would be a condition that nobody looks at; the answer says what to send."""
    async with connect(bound) as client:
        response = await client.delete("/shelves/lab/a", headers={"If-None-Match": "*"})
    assert response.status_code == 422
    assert 'If-Match: "0"' in response.json()["errors"][0]["remedy"]
    assert asker.asked == []


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({}, "", 200),
        ({"If-None-Match": '"7"'}, "", 304),
        ({"If-None-Match": 'W/"7"'}, "", 304),
        ({"If-None-Match": "*"}, "", 304),
        ({"If-None-Match": '"6"'}, "", 200),
        ({}, "?known=7", 304),
        ({}, "?known=6&wait_seconds=1", 200),
    ],
)
async def test_who_has_the_version_is_not_sent_it_again(
    *,
    bound: list[Route],
    connect: Connect,
    headers: dict[str, str],
    query: str,
    status: int,
) -> None:
    """304 without a body where the answer's version is the known one; its tag is always there."""
    async with connect(bound) as client:
        response = await client.get(f"/shelves/lab/a{query}", headers=headers)
        head = await client.head(f"/shelves/lab/a{query}", headers=headers)
    assert (response.status_code, head.status_code) == (status, status)
    assert response.headers["ETag"] == head.headers["ETag"] == '"7"'
    assert bool(response.content) == (status == 200)


async def test_an_answer_without_a_version_has_no_tag(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """Of two kinds of answer only one is versioned; the other is always sent."""
    asker.answers["shelf.look"] = Nothing(name="a")
    async with connect(bound) as client:
        response = await client.get("/shelves/lab/a", headers={"If-None-Match": "*"})
    assert (response.status_code, "ETag" in response.headers) == (200, False)


async def test_a_change_that_waits_for_consent_is_accepted_and_not_done(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """202, with the answer that says what it waits for."""
    asker.answers["shelf.set"] = Shelf(name="a", version=7, change_request="c-1")
    async with connect(bound) as client:
        response = await client.put("/shelves/lab/a", json={"value": 1})
    assert (response.status_code, response.json()["change_request"]) == (202, "c-1")
    assert "Location" not in response.headers


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", {"value": SECRET}),
        ("", {"value": {"deep": SECRET}, "expected_version": SECRET}),
        ("", {"value": 1, "unknown": SECRET}),
        ("?value=1", {"value": SECRET}),
        ("", {"value": 1, "room": SECRET}),
    ],
)
async def test_a_model_that_hides_its_input_gives_none_of_it_back(
    *, asker: Asker, bound: list[Route], connect: Connect, query: str, body: dict[str, Any]
) -> None:
    """The field, the problem and the remedy are told; any value may be a secret."""
    async with connect(bound) as client:
        response = await client.put(f"/shelves/lab/a{query}", json=body)
    assert response.status_code == 422
    assert all("value" not in error for error in response.json()["errors"])
    assert all(error["remedy"] for error in response.json()["errors"])
    assert SECRET not in response.text
    assert asker.asked == []


def test_two_names_for_one_part_of_an_address_are_a_mistake(asker: Asker) -> None:
    """Contracts that share an address agree on what its parts are called."""

    class Other(Query[Shelf], type="shelf.other", http=Http("POST", "/s/{number}")):
        """Call it otherwise."""

        number: int

    table = routes((Release, Other), Asking(ask=asker))
    with pytest.raises(ValueError, match="names its parameters otherwise"):
        Router(table)
