"""Bodies and files: what is read, what is refused before it costs anything, what is kept."""

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import pytest

from contracts.sample import RegisterSample
from contracts.transaction import SubmissionView, SubmitManifest
from contracts.types import TransactionId
from infra.http.asking import Asking
from infra.http.binding import routes
from infra.http.body import Limits
from infra.http.routing import Route
from tests.unit.http.conftest import Asker, Connect, Keeper

CSV = b"barcode,name\nLAB-1,One\n"
LIMITS = Limits(json_bytes_max=4_096, upload_bytes_max=200_000)
TAKEN = SubmissionView(
    transaction_id=TransactionId(UUID("0198c0de-0000-7000-8000-000000000002")), repeated=False
)


@pytest.fixture
def bound(asker: Asker, keeper: Keeper) -> list[Route]:
    """Give a route that takes a file and one that takes none, with small limits."""
    asker.answers["transaction.submit_manifest"] = TAKEN
    asking = Asking(ask=asker, files=keeper, limits=LIMITS)
    return routes((SubmitManifest, RegisterSample), asking)


def _submitted(asker: Asker) -> SubmitManifest:
    (asked,) = asker.asked
    assert isinstance(asked.message, SubmitManifest)
    return asked.message


async def test_an_uploaded_file_is_kept_and_referred_to(
    asker: Asker, keeper: Keeper, bound: list[Route], connect: Connect
) -> None:
    """A file part is stored by its content; the other parts are the other fields."""
    data = {"partial": "true", "emails": ["a@lab.org", "b@lab.org"]}
    files = {"file": ("m.csv", CSV, "text/csv")}
    async with connect(bound) as client:
        response = await client.post("/api/v1/submissions", data=data, files=files)
    assert response.status_code == 202
    command = _submitted(asker)
    assert keeper.kept == {command.file.sha256: CSV}
    assert command.file.sha256 == hashlib.sha256(CSV).hexdigest()
    assert (command.file.name, command.file.size_bytes) == ("m.csv", len(CSV))
    assert command.file.media_type == "text/csv"
    assert command.partial
    assert command.emails == ["a@lab.org", "b@lab.org"]


async def test_a_query_completes_a_form(asker: Asker, bound: list[Route], connect: Connect) -> None:
    """`?partial=true` beside an upload is the same as a form field."""
    files = {"file": ("m.csv", CSV)}
    async with connect(bound) as client:
        await client.post("/api/v1/submissions?partial=true", files=files)
    assert _submitted(asker).partial


@pytest.mark.parametrize(
    ("given", "content"),
    [
        ({"text": "µL\n"}, "µL\n".encode()),
        ({"base64": base64.b64encode(b"\x00\xff").decode()}, b"\x00\xff"),
        ({"json": [{"a": 1}]}, b'[{"a":1}]'),
    ],
)
async def test_a_file_may_stand_inside_json(
    *,
    asker: Asker,
    keeper: Keeper,
    bound: list[Route],
    connect: Connect,
    given: dict[str, Any],
    content: bytes,
) -> None:
    """Text, base64 and JSON become the content of a file."""
    body = {"file": {"name": "m.csv"} | given}
    async with connect(bound) as client:
        response = await client.post("/api/v1/submissions", json=body)
    assert response.status_code == 202
    assert keeper.kept == {_submitted(asker).file.sha256: content}


async def test_a_file_that_is_kept_already_is_named_by_its_reference(
    asker: Asker, keeper: Keeper, bound: list[Route], connect: Connect
) -> None:
    """A ready reference is passed on, and nothing is stored."""
    body = {"file": {"sha256": "a" * 64, "size_bytes": 3, "name": "m.csv"}}
    async with connect(bound) as client:
        await client.post("/api/v1/submissions", json=body)
    assert _submitted(asker).file.sha256 == "a" * 64
    assert keeper.kept == {}


async def test_a_file_name_is_a_name_and_no_path(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """Folders of either system and what cannot be printed are left out."""
    body = {"file": {"name": "C:\\lab\\..\\../m\u0007.csv", "text": ""}}
    async with connect(bound) as client:
        await client.post("/api/v1/submissions", json=body)
    assert _submitted(asker).file.name == "m.csv"


@pytest.mark.parametrize(
    ("file", "field"),
    [
        ({"name": "m.csv", "text": "a", "base64": "YQ=="}, "file"),
        ({"name": "m.csv", "text": "a", "size": 1}, "file"),
        ({"text": "a"}, "file.name"),
        ({"name": "m.csv", "base64": "not base64!"}, "file.base64"),
        ({"name": "m.csv", "text": 3}, "file.text"),
        ("m.csv", "file"),
    ],
)
async def test_an_inline_file_that_cannot_be_read_is_named(
    bound: list[Route], connect: Connect, file: object, field: str
) -> None:
    """Exactly the member at fault is told, once."""
    async with connect(bound) as client:
        response = await client.post("/api/v1/submissions", json={"file": file})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


async def test_nothing_is_kept_of_a_message_that_does_not_fit(
    asker: Asker, keeper: Keeper, bound: list[Route], connect: Connect
) -> None:
    """A wrong field beside a good file leaves no file behind."""
    files = {"file": ("m.csv", CSV)}
    async with connect(bound) as client:
        response = await client.post(
            "/api/v1/submissions", data={"partial": "perhaps"}, files=files
        )
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "partial"
    assert (asker.asked, keeper.kept) == ([], {})


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"other": ("m.csv", CSV)}, "takes no file"),
        ([("file", ("a.csv", CSV)), ("file", ("b.csv", CSV))], "is given more than once"),
        ({"file": (None, "barcode")}, "is no file"),
    ],
)
async def test_a_form_with_the_wrong_files_is_refused(
    bound: list[Route], connect: Connect, files: Mapping[str, Any] | list[Any], problem: str
) -> None:
    """An unknown file part, a second file and a text in a file's place are each told."""
    async with connect(bound) as client:
        response = await client.post("/api/v1/submissions", files=files)
    assert response.status_code == 422
    assert problem in [error["problem"] for error in response.json()["errors"]]


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=b"])
async def test_a_body_that_declares_too_much_is_refused_unread(
    bound: list[Route], connect: Connect, content_type: str
) -> None:
    """The declared length alone is enough: nothing of the body is taken."""
    taken: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        taken.append(b"x")
        yield b"x"

    headers = {"Content-Type": content_type, "Content-Length": "999999999"}
    async with connect(bound) as client:
        response = await client.post("/api/v1/submissions", content=body(), headers=headers)
    assert response.status_code == 413
    assert response.json()["size_bytes"] == 999999999
    assert taken == []


@pytest.mark.parametrize(
    ("content_type", "limit"),
    [
        ("application/json", LIMITS.json_bytes_max),
        ("multipart/form-data; boundary=b", LIMITS.upload_bytes_max),
    ],
)
async def test_a_body_without_a_length_is_read_up_to_the_bound(
    *, keeper: Keeper, bound: list[Route], connect: Connect, content_type: str, limit: int
) -> None:
    """A stream that goes on for ever is refused soon after the bound."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="m"\r\n\r\n'
        yield head if content_type.startswith("multipart") else b"{"
        while True:
            sent += 1_000
            yield b" " * 1_000

    async with connect(bound) as client:
        response = await client.post(
            "/api/v1/submissions", content=endless(), headers={"Content-Type": content_type}
        )
    assert response.status_code == 413
    assert response.json()["size_bytes_max"] == limit
    assert sent <= limit + 1_000
    assert keeper.kept == {}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "line 1"),
        (b'{"details": NaN}', "no JSON"),
        (b'"text"', "no object"),
        (b"\xff", "no JSON"),
        (b"[" * 2_000, "no JSON"),
    ],
)
async def test_a_body_that_is_no_json_object_is_malformed(
    bound: list[Route], connect: Connect, body: bytes, says: str
) -> None:
    """The problem says what cannot be read, and where."""
    headers = {"Content-Type": "application/json"}
    async with connect(bound) as client:
        response = await client.post("/api/v1/samples", content=body, headers=headers)
    assert response.status_code == 400
    assert response.json()["code"] == "request.malformed"
    assert says in response.json()["detail"]


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_of_another_kind_is_refused(
    bound: list[Route], connect: Connect, content_type: str | None
) -> None:
    """What a form of another site could send without a question is not read."""
    headers = {"Content-Type": content_type} if content_type else {}
    async with connect(bound) as client:
        response = await client.post("/api/v1/samples", content=b"{}", headers=headers)
    assert response.status_code == 415
    assert response.json()["accepted"] == "application/json or multipart/form-data"


async def test_a_form_without_a_boundary_is_malformed(bound: list[Route], connect: Connect) -> None:
    """A form that cannot be taken apart is a 400."""
    headers = {"Content-Type": "multipart/form-data"}
    async with connect(bound) as client:
        response = await client.post("/api/v1/submissions", content=b"--b", headers=headers)
    assert response.status_code == 400
    assert "boundary" in response.json()["detail"]
