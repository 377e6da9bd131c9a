"""Operations: the outcome of a command that was not answered while its caller waited."""

from dataclasses import dataclass

from contracts.errors import NotFound, Refusal
from infra.http.operations import operations_route
from tests.unit.http.conftest import Connect

ID = "0198c0de-0000-7000-8000-000000000001"


@dataclass(frozen=True)
class Ended:
    """A recorded outcome."""

    result: bytes | None = None
    refusal: Refusal | None = None


@dataclass
class Records:
    """Outcomes by command."""

    ended: dict[str, Ended]

    async def __call__(self, command_id: str) -> Ended | None:
        """Look one up."""
        return self.ended.get(command_id)


async def test_an_operation_without_outcome_is_pending(connect: Connect) -> None:
    """It answers 202 and says when to ask again."""
    async with connect([operations_route(Records({}))]) as client:
        response = await client.get(f"/api/v1/operations/{ID}")
    assert response.status_code == 202
    assert response.headers["Retry-After"] == "1"
    assert response.json() == {"operation_id": ID, "status": "pending"}


async def test_a_done_operation_has_the_result(connect: Connect) -> None:
    """The recorded answer comes as it was given."""
    records = Records({ID: Ended(result=b'{"seq":7}')})
    async with connect([operations_route(records)]) as client:
        response = await client.get(f"/api/v1/operations/{ID}")
    assert response.status_code == 200
    assert response.json() == {"operation_id": ID, "status": "done", "result": {"seq": 7}}


async def test_a_refused_operation_is_its_problem(connect: Connect) -> None:
    """The refusal has the status it would have had at once."""
    records = Records({ID: Ended(refusal=NotFound(what="box", key="7"))})
    async with connect([operations_route(records)]) as client:
        response = await client.get(f"/api/v1/operations/{ID}")
    assert response.status_code == 404
    assert response.json()["detail"].startswith("There is no box 7.")


async def test_what_is_no_id_is_no_operation(connect: Connect) -> None:
    """Nobody waits for an id that no command can have."""
    async with connect([operations_route(Records({}))]) as client:
        response = await client.get("/api/v1/operations/nonsense")
    assert response.status_code == 404
