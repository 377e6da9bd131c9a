"""Everything that people ask and order over HTTP, on the whole system: the same as by message."""

import xml.etree.ElementTree as ET
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from contracts.message import Message
from contracts.transaction import TransactionView
from infra.clock import SYSTEM
from infra.ids import new_id
from sagas.definitions import SAMPLE_INTAKE
from services.transaction.handlers.orders import ORDERS
from tests.fixtures.manifests import manifest
from tests.fixtures.system import Whole, whole_system

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("saga-tools")]

AT = "/api/v1/transactions"
BULK = "/api/v1/transaction-orders"
SAGAS = "/api/v1/sagas"
OK, ACCEPTED, FORBIDDEN, NOT_FOUND, CONFLICT, UNPROCESSABLE = 200, 202, 403, 404, 409, 422
NOT_IMPLEMENTED = 501


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Whole]:
    """Give a system; every test has its own barcodes."""
    async with whole_system(tmp_path_factory.mktemp("tools"), isolated=True) as whole:
        yield whole


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stored(whole: Whole) -> TransactionView:
    """Give an intake that completed."""
    return await whole.take("stored.csv", manifest("STORED", 2))


async def get(whole: Whole, path: str, expected: int = OK, **asked: Any) -> Any:  # noqa: ANN401 - JSON
    """Ask, and give the answer's JSON."""
    answer = await whole.http.get(path, params=asked)
    assert answer.status_code == expected, answer.text
    return answer.json()


async def post(whole: Whole, path: str, expected: int = OK, **said: Any) -> Any:  # noqa: ANN401 - JSON
    """Order, and give the answer's JSON."""
    headers = {"Prefer": "wait=30"}
    answer = await whole.http.post(path, json={"reason": "said so", **said}, headers=headers)
    assert answer.status_code == expected, answer.text
    return answer.json()


async def post_plain(whole: Whole, path: str, expected: int, **said: Any) -> Any:  # noqa: ANN401 - JSON
    """Send what takes no reason, and give the answer's JSON."""
    answer = await whole.http.post(path, json=said, headers={"Prefer": "wait=30"})
    assert answer.status_code == expected, answer.text
    return answer.json()


async def begin(whole: Whole, name: str) -> str:
    """Hand in a manifest, and give its transaction."""
    answer = await whole.submit(f"{name}.csv", manifest(name, 1))
    found: str = answer.json()["transaction_id"]
    return found


async def listed(whole: Whole, number: int, **asked: Any) -> None:  # noqa: ANN401 - query fields
    """Wait until so many transactions are listed, and no more."""
    until = SYSTEM.monotonic() + 60
    while (found := (await get(whole, AT, **asked))["total"]) != number:
        assert SYSTEM.monotonic() < until, f"{found} are {asked}, not {number}"
        await SYSTEM.sleep(0.05)


# Looking


async def test_the_state_is_shown_as_it_was(whole: Whole, stored: TransactionView) -> None:
    """Now, after an entry, and at a time; neither an entry nor a time that is not there."""
    path = f"{AT}/{stored.transaction_id}"
    now = await get(whole, f"{path}/state")
    assert (now["seq"], now["transitions"]) == (stored.seq, stored.transitions)
    assert now["state"]["status"] == "completed"
    transitions = (await get(whole, f"{path}/history"))["transitions"]
    first = transitions[0]
    for then in (
        await get(whole, f"{path}/state", seq=first["seq"]),
        await get(whole, f"{path}/state", at=first["at"]),
    ):
        assert (then["seq"], then["transitions"]) == (first["seq"], 1)
        assert then["state"]["steps"]["validate"]["status"] == "asked"
        assert then["state"]["steps"]["register"]["status"] == "waiting"

    problem = await get(whole, f"{path}/state", NOT_FOUND, seq=stored.seq + 1_000)
    assert problem["code"] == "transaction.state_not_found"
    problem = await get(whole, f"{path}/state", NOT_FOUND, at="2020-01-01T00:00:00Z")
    assert problem["code"] == "transaction.not_found"


async def test_a_whole_log_is_verified_and_replays_alike(
    whole: Whole, stored: TransactionView
) -> None:
    """The head is the hash of the newest entry, which an auditor writes down."""
    path = f"{AT}/{stored.transaction_id}"
    transitions = (await get(whole, f"{path}/history"))["transitions"]
    verified = await get(whole, f"{path}/verify")
    replayed = await get(whole, f"{path}/replay")

    assert verified["whole"]
    assert verified["problem"] is None
    assert (verified["entries"], verified["head"]) == (len(transitions), transitions[-1]["hash"])
    assert replayed["same"]
    assert replayed["transitions"] == len(transitions)


async def test_pictures_are_drawn_in_both_ways(whole: Whole, stored: TransactionView) -> None:
    """Of a transaction and of a definition: a Mermaid flowchart, and well-formed SVG."""
    for path in (f"{AT}/{stored.transaction_id}/diagram", f"{SAGAS}/sample_intake/diagram"):
        mermaid = await get(whole, path)
        assert mermaid["format"] == "mermaid"
        assert "flowchart" in mermaid["content"]
        svg = await get(whole, path, format="svg")
        assert ET.fromstring(svg["content"]).tag.endswith("svg")  # noqa: S314 - our own drawing
        assert "sample_intake" in svg["title"]
    await get(whole, f"{SAGAS}/sample_intake/diagram", UNPROCESSABLE, format="crayon")
    problem = await get(whole, f"{SAGAS}/sample_intake/diagram", NOT_FOUND, version=9)
    assert problem["code"] == "transaction.type_unknown"


async def test_every_saga_is_listed_with_what_it_lacks(whole: Whole) -> None:
    """The intake has no faults, and everyone whom it asks stands."""
    items = {one["saga_type"]: one for one in (await get(whole, SAGAS))["items"]}
    intake = items["sample_intake"]
    assert (intake["hash"], intake["starts_with"]) == (
        SAMPLE_INTAKE.hash,
        "transaction.submit_manifest",
    )
    assert (intake["runnable"], intake["missing_services"], intake["faults"]) == (True, [], [])
    assert intake["steps"] == [step.name for step in SAMPLE_INTAKE.steps]


async def test_what_if_runs_what_was_recorded_once_more(
    whole: Whole, stored: TransactionView
) -> None:
    """Under its own version every transaction comes out as it did."""
    place = f"{stored.transaction_id}:{stored.seq}"
    await get(whole, AT, min_seq=place)
    found = await get(whole, f"{SAGAS}/sample_intake/what-if", version=1, newest=50)
    assert found["transactions"] == found["same"] >= 1
    assert found["changed"] == []
    assert found["outcomes"]["recorded"] == found["outcomes"]["under"]
    assert found["outcomes"]["recorded"][stored.status] >= 1
    await get(whole, f"{SAGAS}/sample_intake/what-if", UNPROCESSABLE)
    await get(whole, f"{SAGAS}/sample_intake/what-if", NOT_FOUND, version=9)


async def test_nothing_is_shown_of_what_is_not_there(whole: Whole) -> None:
    """Each question is answered with the same problem; one that is no id is refused."""
    for tool in ("state", "verify", "replay", "diagram", "history", "export"):
        problem = await get(whole, f"{AT}/{new_id()}/{tool}", NOT_FOUND)
        assert problem["code"] == "transaction.not_found"
        await get(whole, f"{AT}/nonsense/{tool}", UNPROCESSABLE)


# Telling


async def test_a_transaction_is_paused_and_goes_on_over_http(whole: Whole) -> None:
    """It holds the answer that comes meanwhile; an order that makes no sense is a conflict."""
    async with whole.without("template"):
        saga_id = await begin(whole, "PAUSED")
        tried = await post(whole, f"{AT}/{saga_id}/pause", dry_run=True)
        assert (tried["before"], tried["after"]) == ("running", "paused")
        paused = await post(whole, f"{AT}/{saga_id}/pause")
        assert (paused["order"], paused["after"], paused["dry_run"]) == ("pause", "paused", False)
    problem = await post(whole, f"{AT}/{saga_id}/pause", CONFLICT)
    assert problem["code"] == "transaction.order_refused"
    until = SYSTEM.monotonic() + 60
    while not (await get(whole, f"{AT}/{saga_id}"))["result"]:
        assert SYSTEM.monotonic() < until
        await SYSTEM.sleep(0.05)
    view = await get(whole, f"{AT}/{saga_id}")
    assert (view["status"], list(view["result"])) == ("paused", ["validate"])

    await post(whole, f"{AT}/{saga_id}/resume")
    ended = await get(whole, f"{AT}/{saga_id}", wait_seconds=30)
    assert ended["status"] == "completed"


async def test_an_order_with_the_same_key_is_carried_out_once(whole: Whole) -> None:
    """The second is answered as the first was."""
    async with whole.without("template"):
        saga_id = await begin(whole, "KEYED")
        headers = {"Idempotency-Key": "one-order", "Prefer": "wait=30"}
        answers = [
            await whole.http.post(
                f"{AT}/{saga_id}/cancel", json={"reason": "late"}, headers=headers
            )
            for _ in range(2)
        ]
        assert [one.status_code for one in answers] == [OK, OK]
        assert answers[0].json() == answers[1].json()
        assert answers[0].json()["after"] == "cancelled"
        history = await get(whole, f"{AT}/{saga_id}/history")
        assert len(history["transitions"]) == 2


async def test_orders_that_make_no_sense_are_told_so(whole: Whole, stored: TransactionView) -> None:
    """Each as a problem: a conflict, an unknown transaction, a missing reason."""
    path = f"{AT}/{stored.transaction_id}"
    for order, said in (
        ("resume", {}),
        ("cancel", {}),
        ("compensate", {}),
        ("retry", {"step": "store"}),
        ("skip", {}),
        ("complete", {"output": {"a": 1}}),
        ("migrate", {"version": 1}),
    ):
        problem = await post(whole, f"{path}/{order}", CONFLICT, **said)
        assert problem["code"] == "transaction.order_refused", problem
        assert str(stored.transaction_id) in problem["detail"]
        await post(whole, f"{AT}/{new_id()}/{order}", NOT_FOUND, **said)
        without = await whole.http.post(f"{path}/{order}", json=said)
        assert without.status_code == UNPROCESSABLE
    problem = await post(whole, f"{path}/migrate", NOT_FOUND, version=7)
    assert problem["code"] == "transaction.type_unknown"


async def test_a_signal_that_nobody_awaits_is_a_conflict(
    whole: Whole, stored: TransactionView
) -> None:
    """Its path names the transaction and the signal."""
    path = f"{AT}/{stored.transaction_id}/signals/approval"
    answer = await whole.http.post(path, json={"data": {"approved": True}})
    assert answer.status_code == CONFLICT
    assert answer.json()["code"] == "transaction.signal_not_awaited"
    shouted = await whole.http.post(path.replace("approval", "No-Signal"), json={})
    assert shouted.status_code == UNPROCESSABLE


async def test_who_may_not_approve_is_forbidden_to(whole: Whole, stored: TransactionView) -> None:
    """Whoever asked for a disposal may not approve it; what is awaited, and of whom, is shown."""
    samples = await get(whole, "/api/v1/samples", submission_id=stored.transaction_id)
    said = {
        "sample_ids": [samples["items"][0]["sample_id"]],
        "approvers": ["ada", "grace", "lise"],
        "reason": "study has ended",
    }
    begun = await whole.http.post("/api/v1/samples/disposals", json=said)
    assert begun.status_code == ACCEPTED, begun.text
    path = begun.headers["Location"]
    until = SYSTEM.monotonic() + 60
    while (shown := await get(whole, path))["status"] != "awaiting":
        assert SYSTEM.monotonic() < until, shown
        await SYSTEM.sleep(0.05)
    assert shown["awaits"][0]["allowed"] == ["ada", "grace", "lise"]

    yes = {"data": {"approved": True}}
    answer = await whole.http.post(f"{path}/signals/approval", json=yes)
    assert answer.status_code == FORBIDDEN
    assert answer.json()["code"] == "transaction.signal_not_allowed"
    allowed = await whole.http.post(
        f"{path}/signals/approval", json=yes, headers={"X-Actor": "grace"}
    )
    assert (allowed.status_code, allowed.json()["order"]) == (OK, None)
    cancelled = await post(whole, f"{path}/cancel")
    assert cancelled["after"] == "compensating"


async def test_a_process_does_not_begin_without_whom_it_asks(whole: Whole) -> None:
    """The problem names the services, and the list of sagas does so before."""
    items = {one["saga_type"]: one for one in (await get(whole, SAGAS))["items"]}
    assert not items["run_completion"]["runnable"]
    said = {"run": "R1", "folder": "R1", "reviewers": ["grace"]}
    problem = await post_plain(whole, "/api/v1/sequencing/runs/completed", NOT_IMPLEMENTED, **said)
    assert problem["code"] == "transaction.services_missing"
    for service in items["run_completion"]["missing_services"]:
        assert service in problem["detail"]


async def test_a_transaction_is_forked_over_http(whole: Whole, stored: TransactionView) -> None:
    """The answer says where the fork is; what was done before is taken over."""
    path = f"{AT}/{stored.transaction_id}/fork"
    tried = await post(whole, path, ACCEPTED, at="notify", dry_run=True)
    assert tried["reused"] == ["validate", "register", "reserve", "store", "mark"]
    answer = await whole.http.post(path, json={"at": "notify", "reason": "once more"})
    assert answer.status_code == ACCEPTED
    fork = await get(whole, answer.headers["Location"], wait_seconds=30)
    assert (fork["status"], fork["forked_from"]) == ("completed", str(stored.transaction_id))
    problem = await post(whole, path, CONFLICT, at="nowhere")
    assert problem["code"] == "transaction.cannot_fork"


async def test_many_are_cancelled_by_one_order_over_http(whole: Whole) -> None:
    """Tried first, then given; its progress is shown where the answer says."""
    async with whole.without("template"):
        ids = {await begin(whole, f"MANY{number}") for number in range(4)}
        which = {"status": ["running"], "step": "validate"}
        await listed(whole, 4, **which)
        said = {"order": "cancel", "filter": which}
        tried = await post(whole, f"{AT}/orders", ACCEPTED, dry_run=True, **said)
        assert (tried["selected"], tried["done"], tried["refused"]) == (4, 4, {})
        await get(whole, f"{BULK}/{tried['bulk_id']}", NOT_FOUND)

        answer = await whole.http.post(
            f"{AT}/orders", json={"reason": "a flood", **said}, headers={"Prefer": "wait=30"}
        )
        assert answer.status_code == ACCEPTED
        shown = await get(whole, answer.headers["Location"])
        assert shown == answer.json()
        assert (shown["selected"], shown["done"], shown["finished"]) == (4, 4, True)
        assert {(await get(whole, f"{AT}/{one}"))["status"] for one in ids} == {"cancelled"}
        stopped = await post(whole, f"{BULK}/{UUID(shown['bulk_id'])}/cancel")
        assert stopped == shown

    # Who was told in between is nobody's business but the log's.
    for kind, number in (("ended", 1), ("ordered", 1), ("advanced", 0)):
        until = SYSTEM.monotonic() + 60
        event_type = f"transaction.bulk_{kind}"
        while (await get(whole, "/api/v1/events", type=event_type))["total"] != number:
            assert SYSTEM.monotonic() < until, event_type
            await SYSTEM.sleep(0.05)
    letters = (await get(whole, "/api/v1/dead-letters"))["items"]
    # An answer to a saga that was cancelled meanwhile may be among them; nothing else is.
    assert [one for one in letters if "transaction-replies" not in one["consumer"]] == []


# The description


async def test_everything_is_described(whole: Whole) -> None:
    """Every order, signal, fork, bulk order and tool has its path in the OpenAPI document."""
    paths = (await get(whole, "/openapi.json"))["paths"]
    orders: list[type[Message]] = list(ORDERS)
    for message in orders:
        http = message.contract.http
        assert http is not None
        assert http.method.lower() in paths[f"/api/v1{http.path}"]
    for path in (
        f"{AT}/{{transaction_id}}/signals/{{signal}}",
        f"{AT}/{{transaction_id}}/fork",
        f"{AT}/{{transaction_id}}/state",
        f"{AT}/{{transaction_id}}/verify",
        f"{AT}/{{transaction_id}}/replay",
        f"{AT}/{{transaction_id}}/diagram",
        f"{AT}/orders",
        f"{BULK}/{{bulk_id}}",
        f"{BULK}/{{bulk_id}}/cancel",
        SAGAS,
        f"{SAGAS}/{{saga_type}}/diagram",
        f"{SAGAS}/{{saga_type}}/what-if",
    ):
        assert path in paths
