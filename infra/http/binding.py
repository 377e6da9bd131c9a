"""Contracts become routes: one generic endpoint per contract, which knows no contract by name.

A request becomes the message, the message is asked, the answer becomes the response. Whatever can
be known before the first request (fields, templates, serialisers) is worked out before it.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from string import Formatter
from typing import Any, NoReturn, TypeGuard, cast
from urllib.parse import quote

import structlog
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from contracts.errors import InvalidInput, Problem, Refused
from contracts.message import Command, Http, Message, Query, result_of
from infra.bus.bus import Pending
from infra.http import headers
from infra.http.asking import UPLOADS_MAX, Asking
from infra.http.body import Draft, Reader, Upload
from infra.http.headers import Preference
from infra.http.invalid import invalid_input
from infra.http.operations import pending_response
from infra.http.problem import problem_response
from infra.http.routing import API_PREFIX, Endpoint, Route
from infra.http.sealing import STAND_IN, Sealer, wants_seal
from infra.http.versions import is_known, not_modified, tag_of, take_versions
from infra.telemetry.tracing import current_trace_id

AnyMessage = Command[Any] | Query[Any]
JSON = "application/json"

_log = structlog.get_logger(__name__)


def routes(contracts: Iterable[type[Message]], asking: Asking) -> list[Route]:
    """Make the route of every command and query that has an HTTP binding; leave the others out."""
    shared = _Shared(asking, asyncio.Semaphore(UPLOADS_MAX), Sealer(asking))
    made: list[Route] = []
    for message in contracts:
        http = message.contract.http
        if http is None or not _is_asked(message):
            continue
        endpoint = _endpoint(message, shared)
        made += [
            Route(
                method=http.method,
                path=path,
                endpoint=endpoint,
                operation=message.contract.type,
            )
            for path in http.paths(API_PREFIX)
        ]
    return made


def _is_asked(message: type[Message]) -> TypeGuard[type[AnyMessage]]:
    return issubclass(message, (Command, Query))


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all routes that are made together use."""

    asking: Asking
    uploads: asyncio.Semaphore
    sealer: Sealer


def _endpoint(message: type[AnyMessage], shared: _Shared) -> Endpoint:
    reader = _MessageReader(message, shared)
    if issubclass(message, Command):
        return _CommandEndpoint(message, shared.asking, reader).respond
    return _QueryEndpoint(message, shared.asking, reader).respond


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who asks, and within which story."""

    actor: str
    correlation: str


class _MessageReader:
    """Makes messages of one kind out of requests."""

    def __init__(self, message: type[AnyMessage], shared: _Shared) -> None:
        self._message = message
        self._http = cast("Http", message.contract.http)
        self._reader = Reader(message, self._http, shared.asking.limits)
        self._files = shared.asking.files
        self._uploads = shared.uploads
        self._sealer = shared.sealer

    async def read(self, request: Request, caller: _Caller) -> AnyMessage:
        """Make the message, its files kept and its secret sealed.

        Raises:
            Refused: the request does not fit the contract, or is too large.
        """
        draft = await self._reader.read(request, request.path_params)
        try:
            take_versions(request, self._http, draft)
            sealed = self._http.seals
            if sealed is not None and wants_seal(draft.values, sealed):
                return await self._seal(draft, sealed, caller)
            message = self._build(draft, draft.values)
            return await self._keep(message, draft.uploads) if draft.uploads else message
        finally:
            await draft.close()

    async def _seal(self, draft: Draft, name: str, caller: _Caller) -> AnyMessage:
        """Make the message of a secret, which is nowhere but in the draft until it is sealed."""
        whose = self._build(draft, draft.values | {name: STAND_IN})
        value = await self._sealer.seal(
            whose, draft.values[name], actor=caller.actor, correlation=caller.correlation
        )
        return self._build(draft, draft.values | {name: value})

    def _build(self, draft: Draft, values: Mapping[str, Any]) -> AnyMessage:
        try:
            message = self._message.model_validate(values)
        except ValidationError as error:
            raise Refused(invalid_input(error, self._message, draft.errors)) from None
        if draft.errors:
            raise Refused(InvalidInput(count=len(draft.errors), errors=draft.errors))
        return message

    async def _keep(self, message: AnyMessage, uploads: dict[str, Upload]) -> AnyMessage:
        if self._files is None:
            raise RuntimeError(
                f"{message.contract.type} takes a file, and no file store was given to its routes"
            )
        kept: dict[str, Any] = {}
        for name, upload in uploads.items():
            async with self._uploads:
                data = await upload.read()
                ref = upload.ref
                kept[name] = await self._files.put(data, name=ref.name, media_type=ref.media_type)
        return message.model_copy(update=kept)


class _QueryEndpoint:
    """Answers a query."""

    def __init__(self, message: type[Query[Any]], asking: Asking, reader: _MessageReader) -> None:
        self._contract = message.contract
        self._asking = asking
        self._reader = reader
        self._result: TypeAdapter[Any] = TypeAdapter(result_of(message))
        self._http = cast("Http", message.contract.http)

    async def respond(self, request: Request) -> Response:
        """Ask, and give the answer; 304 where the caller has it."""
        actor = await self._asking.authorise(self._contract, request)
        caller = _Caller(actor, request.scope["tracseq.correlation"])
        query = cast("Query[Any]", await self._reader.read(request, caller))
        result = await _ask_query(self._asking, query, caller)
        tag = tag_of(self._http, result)
        if is_known(request, self._http, query, result):
            return not_modified(tag)
        body = self._result.dump_json(result)
        return _tagged(Response(body, self._http.status, media_type=JSON), tag)


class _CommandEndpoint:
    """Has a command done, and waits for its end as long as the caller wants to."""

    def __init__(self, message: type[Command[Any]], asking: Asking, reader: _MessageReader) -> None:
        self._contract = message.contract
        self._http = cast("Http", message.contract.http)
        self._asking = asking
        self._reader = reader
        self._result: TypeAdapter[Any] = TypeAdapter(result_of(message))
        self._follow_up = (
            _FollowUp(self._http.then, asking) if self._http.then is not None else None
        )
        template = self._http.location
        self._location = API_PREFIX + template if template is not None else None
        self._location_fields = [
            name for _, name, _, _ in Formatter().parse(template or "") if name
        ]

    async def respond(self, request: Request) -> Response:
        """Have it done; 202 with the operation's address where that outlasts the caller's wait."""
        actor = await self._asking.authorise(self._contract, request)
        message_id = headers.message_id(request, self._contract, actor)
        preference = headers.preference(request)
        caller = _Caller(actor, request.scope["tracseq.correlation"])
        command = cast("Command[Any]", await self._reader.read(request, caller))
        started = self._asking.clock.monotonic()
        try:
            result = await self._asking.ask(
                command,
                actor=caller.actor,
                correlation=caller.correlation,
                message_id=message_id,
                timeout_seconds=preference.wait_seconds,
            )
        except Pending as pending:
            response = pending_response(pending.operation_id)
        else:
            waited_seconds = self._asking.clock.monotonic() - started
            response = await self._answer(result, caller, preference, waited_seconds)
        if preference.applied is not None:
            response.headers["Preference-Applied"] = preference.applied
        return response

    async def _answer(
        self, result: object, caller: _Caller, preference: Preference, waited_seconds: float
    ) -> Response:
        response = None
        if self._follow_up is not None and preference.applied is not None:
            remaining_seconds = max(0.0, preference.wait_seconds - waited_seconds)
            response = await self._follow_up.respond(result, caller, remaining_seconds)
        if response is None:
            body = self._result.dump_json(result)
            response = Response(body, self._status_of(result), media_type=JSON)
            _tagged(response, tag_of(self._http, result))
        if self._location is not None:
            response.headers["Location"] = self._location.format_map(self._quoted(result))
        return response

    def _status_of(self, result: object) -> int:
        waits = self._http.accepted
        if waits is not None and getattr(result, waits, None) is not None:
            return HTTPStatus.ACCEPTED
        return self._http.status

    def _quoted(self, result: object) -> dict[str, str]:
        return {name: quote(str(getattr(result, name)), safe="") for name in self._location_fields}


class _FollowUp:
    """Asks on after a command was taken, until what it began ended or the caller's wait is over."""

    def __init__(self, query: type[Query[Any]], asking: Asking) -> None:
        self._query = query
        self._asking = asking
        self._result: TypeAdapter[Any] = TypeAdapter(result_of(query))
        self._waits = "wait_seconds" in query.model_fields

    async def respond(
        self, result: object, caller: _Caller, wait_seconds: float
    ) -> Response | None:
        """Give the end as a view or a problem, and 202 with the view where it has not ended.

        None where the view cannot be had.
        """
        values: dict[str, Any] = {
            name: getattr(result, name)
            for name in self._query.model_fields
            if hasattr(result, name)
        }
        if self._waits:
            values["wait_seconds"] = wait_seconds
        try:
            view = await _ask_query(self._asking, self._query.model_validate(values), caller)
        except Refused as refused:
            # The command was taken: that it cannot be watched now takes nothing from that.
            _log.warning(
                "follow_up_refused", query=self._query.contract.type, code=refused.refusal.spec.code
            )
            return None
        problem = _problem_of(view)
        if problem is not None:
            return problem_response(problem)
        return Response(self._result.dump_json(view), 200 if _ended(view) else 202, media_type=JSON)


def _tagged(response: Response, tag: str | None) -> Response:
    if tag is not None:
        response.headers["ETag"] = tag
    return response


async def _ask_query(asking: Asking, query: Query[Any], caller: _Caller) -> object:
    wait_seconds: float = getattr(query, "wait_seconds", 0.0)
    try:
        return await asking.ask(
            query,
            actor=caller.actor,
            correlation=caller.correlation,
            message_id=None,
            timeout_seconds=wait_seconds + asking.answer_seconds(),
        )
    except Pending as pending:
        _never_pending(query, pending)


def _never_pending(query: Query[Any], pending: Pending) -> NoReturn:
    raise RuntimeError(
        f"{query.contract.type} is a query, and only commands can be pending"
    ) from pending


def _problem_of(view: object) -> Problem | None:
    to_problem = getattr(view, "to_problem", None)
    problem = to_problem(current_trace_id()) if to_problem is not None else None
    return cast("Problem | None", problem)


def _ended(view: object) -> bool:
    """Say whether what a view shows has ended; a view whose status does not tell has."""
    return bool(getattr(getattr(view, "status", None), "ended", True))
