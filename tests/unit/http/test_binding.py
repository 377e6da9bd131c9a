"""Contracts as routes: what a request becomes, and what its answer becomes."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from contracts.catalog import COMMANDS, QUERIES
from contracts.errors import Refused, Unavailable
from contracts.event import ListEvents, Published, PublishLabEvent
from contracts.message import Command, Query
from contracts.sample import (
    BarcodeTaken,
    ChangeSampleStatus,
    GetSample,
    ListSamples,
    RegisterSample,
    RegisterSamples,
    SampleDetails,
    SampleStatus,
    SampleView,
)
from contracts.transaction import (
    Failure,
    GetTransaction,
    ListTransactions,
    SubmissionView,
    SubmitManifest,
    TransactionNotFound,
    TransactionStatus,
    TransactionView,
)
from contracts.types import Page, SampleId, SampleType, TransactionId, Zone
from infra.bus.bus import Pending
from infra.http.asking import Asking
from infra.http.binding import routes
from infra.http.routing import Route
from tests.unit.http.conftest import Asker, Connect, Keeper, Later

SAMPLE = UUID("0198c0de-0000-7000-8000-000000000001")
TRANSACTION = UUID("0198c0de-0000-7000-8000-000000000002")
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
DETAILS = {"barcode": "LAB-1", "name": "One", "sample_type": "DNA", "zone": "-80C"}
VIEW = SampleView(
    sample_id=SampleId(SAMPLE),
    status=SampleStatus.PENDING,
    details=SampleDetails(
        barcode="LAB-1", name="One", sample_type=SampleType.DNA, zone=Zone.ULTRA_LOW
    ),
    submission_id=None,
    registered_at=NOW,
    registered_by="ada",
    changed_at=NOW,
    seq=7,
)
CONTRACTS: tuple[type[Command[Any] | Query[Any]], ...] = (
    RegisterSample,
    RegisterSamples,
    ChangeSampleStatus,
    GetSample,
    ListSamples,
    ListEvents,
    PublishLabEvent,
    SubmitManifest,
    GetTransaction,
    ListTransactions,
)


def _transaction(status: TransactionStatus, failure: Failure | None = None) -> TransactionView:
    return TransactionView(
        transaction_id=TransactionId(TRANSACTION),
        saga_type="sample_intake",
        definition_version=1,
        status=status,
        steps=[],
        actor="ada",
        correlation="c",
        started_at=NOW,
        changed_at=NOW,
        ended_at=None,
        failure=failure,
        result={},
        transitions=1,
        seq=1,
    )


@pytest.fixture
def bound(asker: Asker, keeper: Keeper) -> list[Route]:
    """Give the routes of the contracts that these tests use."""
    return routes(CONTRACTS, Asking(ask=asker, files=keeper))


async def test_a_command_is_asked_and_its_result_answered(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """The body becomes the message; status, location and result become the answer."""
    asker.answers["sample.register"] = VIEW
    async with connect(bound) as client:
        response = await client.post("/api/v1/samples", json={"details": DETAILS})
    assert response.status_code == 201
    assert response.headers["Location"] == f"/api/v1/samples/{SAMPLE}"
    assert SampleView.model_validate_json(response.content) == VIEW
    (asked,) = asker.asked
    assert asked.message == RegisterSample(details=VIEW.details)
    assert (asked.actor, asked.message_id, asked.timeout_seconds) == ("anonymous", None, 10)


async def test_path_query_and_body_fill_one_message(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """Fields come from wherever the request has them."""
    asker.answers["sample.change_status"] = VIEW
    async with connect(bound) as client:
        response = await client.post(
            f"/api/v1/samples/{SAMPLE}/status?reason=it+thawed", json={"status": "rejected"}
        )
    assert response.status_code == 200
    assert asker.asked[0].message == ChangeSampleStatus(
        sample_id=SampleId(SAMPLE), status=SampleStatus.REJECTED, reason="it thawed"
    )


async def test_a_query_is_coerced_from_texts(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """Numbers and names of a query string become what the contract wants."""
    asker.answers["sample.list"] = Page[SampleView](items=[VIEW], total=1, page=2, page_size=5)
    async with connect(bound) as client:
        response = await client.get("/api/v1/samples?page=2&page_size=5&status=pending")
    assert response.status_code == 200
    assert response.json()["total"] == 1
    assert asker.asked[0].message == ListSamples(page=2, page_size=5, status=SampleStatus.PENDING)


async def test_a_query_that_repeats_a_field_gathers_its_values(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """A list is one text for each of its values, and stays a list where there is one."""
    asker.answers["transaction.list"] = Page[TransactionView](
        items=[], total=0, page=1, page_size=50
    )
    many = "status=failed&status=running&attribute=barcode:LAB-1&attribute=note:a%3Ab&step=reserve"
    async with connect(bound) as client:
        for query in (many, "status=failed", f"min_seq={TRANSACTION}:7", ""):
            assert (await client.get(f"/api/v1/transactions?{query}")).status_code == 200
        refused = await client.get("/api/v1/transactions?attribute=barcode&min_seq=7")
    assert [one.message for one in asker.asked] == [
        ListTransactions(
            status=[TransactionStatus.FAILED, TransactionStatus.RUNNING],
            attribute=["barcode:LAB-1", "note:a:b"],
            step="reserve",
        ),
        ListTransactions(status=[TransactionStatus.FAILED]),
        ListTransactions(min_seq=f"{TRANSACTION}:7"),
        ListTransactions(),
    ]
    assert refused.status_code == 422
    assert {e["field"] for e in refused.json()["errors"]} == {"attribute[0]", "min_seq"}


async def test_a_field_given_in_two_places_is_refused(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """A body that contradicts its path never reaches the service."""
    body = {"sample_id": str(SAMPLE), "status": "rejected", "reason": "it thawed"}
    async with connect(bound) as client:
        response = await client.post(f"/api/v1/samples/{SAMPLE}/status", json=body)
    assert response.status_code == 422
    assert [e["field"] for e in response.json()["errors"]] == ["sample_id"]
    assert asker.asked == []


async def test_a_refusal_is_a_problem_with_its_status(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """Code, status, sentence and the refusal's own fields come as problem details."""
    asker.answers["sample.register"] = Refused(
        BarcodeTaken(barcode="LAB-1", sample_id=SampleId(SAMPLE))
    )
    async with connect(bound) as client:
        response = await client.post("/api/v1/samples", json={"details": DETAILS})
    assert response.status_code == 409
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == "sample.barcode_taken"
    assert problem["sample_id"] == str(SAMPLE)
    assert len(problem["trace_id"]) == 32


async def test_an_unwell_service_says_when_to_come_again(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """503 carries `Retry-After`."""
    asker.answers["sample.list"] = Refused(Unavailable(what="It", retry_after_seconds=2))
    async with connect(bound) as client:
        response = await client.get("/api/v1/samples")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")


async def test_a_stored_command_without_an_answer_is_an_operation(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """The caller learns where the outcome will be."""
    asker.answers["sample.register"] = Pending(str(SAMPLE))
    async with connect(bound) as client:
        response = await client.post("/api/v1/samples", json={"details": DETAILS})
    assert response.status_code == 202
    assert response.headers["Location"] == f"/api/v1/operations/{SAMPLE}"
    assert response.json() == {"operation_id": str(SAMPLE), "status": "pending"}


@pytest.mark.parametrize(
    ("prefer", "timeout_seconds", "applied"),
    [
        ("wait=3", 3, "wait=3"),
        ("respond-async", 0, "respond-async"),
        ("respond-async, wait=5", 5, "wait=5"),
        ("wait=100000", 60, "wait=60"),
        ("handling=lenient; x=1, wait=2", 2, "wait=2"),
        ("wait=soon", 10, None),
    ],
)
async def test_the_caller_says_how_long_to_wait(
    *,
    asker: Asker,
    bound: list[Route],
    connect: Connect,
    prefer: str,
    timeout_seconds: float,
    applied: str | None,
) -> None:
    """`Prefer` bounds the wait, and the answer tells what was taken of it."""
    asker.answers["sample.register"] = VIEW
    async with connect(bound) as client:
        response = await client.post(
            "/api/v1/samples", json={"details": DETAILS}, headers={"Prefer": prefer}
        )
    assert asker.asked[0].timeout_seconds == timeout_seconds
    assert response.headers.get("Preference-Applied") == applied


async def test_a_key_names_the_same_message_for_one_actor_and_command(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """A repeated key is the same message; by another actor or on another command it is not."""
    asker.answers = {"sample.register": VIEW, "sample.change_status": VIEW}
    key = {"Idempotency-Key": "k"}
    change = {"status": "rejected", "reason": "it thawed"}
    async with connect(bound) as client:
        for headers in (key, key, key | {"X-Actor": "ada"}):
            await client.post("/api/v1/samples", json={"details": DETAILS}, headers=headers)
        await client.post(f"/api/v1/samples/{SAMPLE}/status", json=change, headers=key)
    first, again, other_actor, other_command = [asked.message_id for asked in asker.asked]
    assert first == again
    assert len({first, other_actor, other_command}) == 3
    assert str(UUID(str(first))) == first


@pytest.mark.parametrize("header", ["Idempotency-Key", "X-Actor"])
@pytest.mark.parametrize("value", ["", "x" * 129, "tab\there"])
async def test_a_key_or_actor_that_is_no_name_is_refused(
    *, asker: Asker, bound: list[Route], connect: Connect, header: str, value: str
) -> None:
    """What cannot be a name is not guessed at."""
    async with connect(bound) as client:
        response = await client.post(
            "/api/v1/samples", json={"details": DETAILS}, headers={header: value}
        )
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == header
    assert asker.asked == []


async def test_actor_and_correlation_travel_with_the_message(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """Who asks, and within which story, is told to whoever answers; the story is echoed."""
    asker.answers["sample.get"] = VIEW
    headers = {"X-Actor": "ada", "X-Correlation-Id": "story-1"}
    async with connect(bound) as client:
        response = await client.get(f"/api/v1/samples/{SAMPLE}", headers=headers)
    assert (asker.asked[0].actor, asker.asked[0].correlation) == ("ada", "story-1")
    assert response.headers["X-Correlation-Id"] == "story-1"


async def _submit(client: httpx.AsyncClient, prefer: str | None) -> httpx.Response:
    headers = {"Prefer": prefer} if prefer else {}
    body = {"file": {"name": "m.csv", "text": "barcode\nLAB-1\n"}}
    return await client.post("/api/v1/submissions", json=body, headers=headers)


async def test_a_submission_is_taken_without_a_wait_for_its_end(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """Who does not ask to wait gets 202 and the transaction's address."""
    taken = SubmissionView(transaction_id=TransactionId(TRANSACTION), repeated=False)
    asker.answers["transaction.submit_manifest"] = taken
    async with connect(bound) as client:
        response = await _submit(client, None)
    assert response.status_code == 202
    assert response.headers["Location"] == f"/api/v1/transactions/{TRANSACTION}"
    assert len(asker.asked) == 1


@pytest.mark.parametrize(
    ("view", "status", "member"),
    [
        (_transaction(TransactionStatus.COMPLETED), 200, {"status": "completed"}),
        (_transaction(TransactionStatus.RUNNING), 202, {"status": "running"}),
        (
            _transaction(
                TransactionStatus.COMPENSATED,
                Failure(
                    step="reserve", code="storage.full", title="Full", status=409, detail="No."
                ),
            ),
            409,
            {"code": "storage.full", "step": "reserve", "transaction_status": "compensated"},
        ),
    ],
)
async def test_who_waits_for_a_submission_gets_its_end(
    *,
    asker: Asker,
    bound: list[Route],
    connect: Connect,
    view: TransactionView,
    status: int,
    member: dict[str, str],
) -> None:
    """Completed is 200, still running 202, and what failed is the problem that made it fail."""
    asker.answers["transaction.submit_manifest"] = SubmissionView(
        transaction_id=TransactionId(TRANSACTION), repeated=False
    )
    asker.answers["transaction.get"] = view
    async with connect(bound) as client:
        response = await _submit(client, "wait=20")
    assert response.status_code == status
    assert response.headers["Location"] == f"/api/v1/transactions/{TRANSACTION}"
    assert response.headers["Preference-Applied"] == "wait=20"
    assert response.json().items() >= member.items()
    query = asker.asked[1].message
    assert isinstance(query, GetTransaction)
    assert query.transaction_id == TRANSACTION
    assert 0 < query.wait_seconds <= 20
    assert asker.asked[1].timeout_seconds > query.wait_seconds


async def test_a_taken_submission_stays_taken_where_it_cannot_be_watched(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """A refused follow-up does not turn a stored command into an error."""
    taken = SubmissionView(transaction_id=TransactionId(TRANSACTION), repeated=False)
    asker.answers["transaction.submit_manifest"] = taken
    asker.answers["transaction.get"] = Refused(
        TransactionNotFound(transaction_id=TransactionId(TRANSACTION))
    )
    async with connect(bound) as client:
        response = await _submit(client, "wait=1")
    assert response.status_code == 202
    assert response.json() == {"transaction_id": str(TRANSACTION), "repeated": False}


async def test_a_bug_is_told_by_its_trace_id_alone(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """An unexpected exception is a 500 problem that gives nothing of the exception away."""
    asker.answers["sample.get"] = RuntimeError("mongodb://ada:secret@db")
    async with connect(bound) as client:
        response = await client.get(f"/api/v1/samples/{SAMPLE}")
    assert response.status_code == 500
    assert response.json()["code"] == "service.unexpected"
    assert len(response.json()["trace_id"]) == 32
    assert "secret" not in response.text


async def test_requests_are_answered_beside_each_other(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """A caller that waits holds nobody else back."""
    release = asyncio.Event()

    async def slow() -> Published:
        await release.wait()
        return Published(id="1", type="t", stream="LAB", seq=1)

    asker.answers = {"event.publish": Later(slow), "sample.get": VIEW}
    body: dict[str, Any] = {"type": "sensor.temperature_read", "data": {}}
    async with connect(bound) as client, asyncio.TaskGroup() as group:
        waiting = group.create_task(client.post("/api/v1/events", json=body))
        quick = await client.get(f"/api/v1/samples/{SAMPLE}")
        assert quick.status_code == 200
        assert not waiting.done()
        release.set()
    assert waiting.result().status_code == 201


def test_every_binding_of_the_catalog_has_one_place(asker: Asker, keeper: Keeper) -> None:
    """All contracts together make a table; those without a binding are left out."""
    contracts = (*COMMANDS.values(), *QUERIES.values())
    made = routes(contracts, Asking(ask=asker, files=keeper))
    assert {route.operation for route in made} == {
        c.contract.type for c in contracts if c.contract.http is not None
    }
