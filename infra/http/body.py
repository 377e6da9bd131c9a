"""What a request says, as the raw values of a message: path, query, JSON, form, uploaded files.

Every size is bounded before it is read. Nothing is validated here beyond what reading needs, and no
file is kept before its message is known to be good.
"""

import base64
import binascii
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin
from urllib.parse import parse_qsl

import orjson
from pydantic_core import from_json
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from contracts.errors import FieldError, Malformed, Refused, TooLarge
from contracts.message import Http, Message
from contracts.types import FileRef
from infra.http.invalid import hides_input, shorten
from infra.http.problem import UnsupportedMediaType

QUERY_FIELDS_MAX = 200
FORM_FIELDS_MAX = 1_000
FORM_FIELD_BYTES_MAX = 64 * 1024
FORM_FILES_MAX = 10
FILE_NAME_CHARS_MAX = 255

UNSTORED = "0" * 64
"""The content name of a file that is not in the object store yet."""
_INLINE = ("text", "base64", "json")
_LONG_NUMBER = re.compile(rb"\d{19}")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may bring."""

    json_bytes_max: int = 2 * 1024 * 1024
    upload_bytes_max: int = 32 * 1024 * 1024
    """A whole form, its files included."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One file that came along, not kept yet."""

    ref: FileRef
    """Names it, with `UNSTORED` for the content."""
    read: Callable[[], Awaitable[bytes]]


@dataclass(slots=True)
class Draft:
    """A message that is not one yet."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    uploads: dict[str, Upload] = field(default_factory=dict[str, Upload])
    errors: list[FieldError] = field(default_factory=list[FieldError])
    """What was found wrong while reading."""
    hides: bool = False
    """Whether no value is given back: any of them may be a secret."""
    _form: FormData | None = None

    async def close(self) -> None:
        """Let go of the temporary files."""
        if self._form is not None:
            await self._form.close()

    def hold(self, form: FormData) -> None:
        """Keep a form's temporary files until `close`."""
        self._form = form

    def add(self, name: str, value: Any, *, where: str) -> None:  # noqa: ANN401 - raw input
        """Take one value; a second one from another part of the request is an error."""
        if name in self.values:
            remedy = "Give it in one place only: in the path, the query or the body."
            self.refuse(name, value, f"is given in the {where} and elsewhere", remedy)
        else:
            self.values[name] = value

    def refuse(self, name: str, value: object, problem: str, remedy: str) -> None:
        """Note what is wrong with one value."""
        given = None if value is None or self.hides else shorten(value)
        self.errors.append(FieldError(field=name, value=given, problem=problem, remedy=remedy))


class Reader:
    """Reads requests for one kind of message; made once per contract."""

    def __init__(self, message: type[Message], http: Http, limits: Limits) -> None:
        self._limits = limits
        self._has_body = http.method in {"POST", "PUT", "PATCH"}
        self._whole = http.body
        self._sealed = http.seals
        self._hides = hides_input(message)
        fields = {name: _plain(info.annotation) for name, info in message.model_fields.items()}
        self._lists = frozenset(
            n for n, kinds in fields.items() if any(get_origin(k) is list for k in kinds)
        )
        self._files = frozenset(n for n, kinds in fields.items() if FileRef in kinds)

    async def read(self, request: Request, params: Mapping[str, str]) -> Draft:
        """Collect what a request says; whoever calls closes the draft.

        Raises:
            Refused: it is too large, of a kind that is not read, or cannot be read.
        """
        draft = Draft(dict(params), hides=self._hides)
        if request.scope["query_string"]:
            self._add_texts(draft, _query(request), where="query")
        if self._has_body:
            await self._read_body(draft, request)
        return draft

    async def _read_body(self, draft: Draft, request: Request) -> None:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type == "multipart/form-data" and self._whole is None:
            await self._read_form(draft, request)
            return
        body = await _read_bounded(request, self._limits.json_bytes_max)
        if not body:
            return
        if media_type != "application/json" and not media_type.endswith("+json"):
            accepted = "application/json"
            accepted += " or multipart/form-data" if self._whole is None else ""
            raise Refused(
                UnsupportedMediaType(given=shorten(media_type or "(none)"), accepted=accepted)
            )
        if self._whole is not None:
            draft.add(self._whole, _parse(body), where="body")
            return
        for name, value in _parse_object(body).items():
            if (
                name in self._files
                and isinstance(value, dict)
                and any(key in value for key in _INLINE)
            ):
                self._add_inline(draft, name, value)  # pyright: ignore[reportUnknownArgumentType] - raw JSON
            else:
                draft.add(name, value, where="body")

    async def _read_form(self, draft: Draft, request: Request) -> None:
        chunks = _bounded(request, self._limits.upload_bytes_max)
        parser = MultiPartParser(
            request.headers,
            chunks,
            max_files=FORM_FILES_MAX,
            max_fields=FORM_FIELDS_MAX,
            max_part_size=FORM_FIELD_BYTES_MAX,
        )
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise Refused(Malformed(what=f"The form cannot be read: {error.message}")) from None
        draft.hold(form)
        texts: list[tuple[str, str]] = []
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                self._add_file(draft, name, value)
            else:
                texts.append((name, value))
        self._add_texts(draft, texts, where="form")

    def _add_texts(self, draft: Draft, pairs: list[tuple[str, str]], *, where: str) -> None:
        grouped: dict[str, list[str]] = {}
        for name, value in pairs:
            grouped.setdefault(name, []).append(value)
        for name, values in grouped.items():
            if name in self._lists:
                draft.add(name, values, where=where)
            elif name == self._sealed and where == "query":
                remedy = "Send it in the body: addresses are written down by whatever they pass."
                draft.refuse(name, None, "stands in the address", remedy)
            elif name in self._files:
                remedy = (
                    "Send it as a file part of a form (with a filename), or inside a JSON body."
                )
                draft.refuse(name, values[0], "is no file", remedy)
            elif len(values) > 1:
                draft.refuse(name, values[1], f"is given {len(values)} times", "Give it once.")
            else:
                draft.add(name, values[0], where=where)

    def _add_file(self, draft: Draft, name: str, file: UploadFile) -> None:
        file_name = _file_name(file.filename or "")
        if name not in self._files:
            known = ", ".join(sorted(self._files)) or "none"
            draft.refuse(
                name, file_name, "takes no file", f"Leave it out; file parts are: {known}."
            )
        elif not file_name:
            draft.refuse(name, None, "has no file", "Choose a file: its part needs a filename.")
        else:
            media_type = (file.content_type or "application/octet-stream")[:FILE_NAME_CHARS_MAX]
            self._add_upload(
                draft, name, _unstored(file_name, file.size or 0, media_type), file.read
            )

    def _add_inline(self, draft: Draft, name: str, value: dict[str, Any]) -> None:
        given = [key for key in _INLINE if key in value]
        unknown = value.keys() - {"name", "media_type", *_INLINE}
        file_name = _file_name(value["name"]) if isinstance(value.get("name"), str) else ""
        if unknown or len(given) != 1:
            remedy = 'Give {"name": ..., and one of "text", "base64" or "json": ...}.'
            draft.refuse(name, sorted(unknown) or given, "is no inline file", remedy)
            return
        if not file_name:
            draft.refuse(
                f"{name}.name", value.get("name"), "is no file name", "Give a name, such as m.csv."
            )
            return
        data = _inline_bytes(given[0], value[given[0]])
        if data is None:
            remedy = "Give text as a string, base64 as RFC 4648 writes it."
            draft.refuse(f"{name}.{given[0]}", value[given[0]], "cannot be read", remedy)
            return

        async def read() -> bytes:
            return data

        media_type = str(value.get("media_type", _MEDIA_TYPES[given[0]]))[:FILE_NAME_CHARS_MAX]
        self._add_upload(draft, name, _unstored(file_name, len(data), media_type), read)

    @staticmethod
    def _add_upload(
        draft: Draft, name: str, ref: FileRef, read: Callable[[], Awaitable[bytes]]
    ) -> None:
        if name in draft.uploads:
            draft.refuse(name, ref.name, "is given more than once", "Send one file.")
            return
        draft.uploads[name] = Upload(ref, read)
        draft.add(name, ref, where="body")


_MEDIA_TYPES = {
    "text": "text/plain",
    "base64": "application/octet-stream",
    "json": "application/json",
}


def _plain(annotation: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any annotation
    """Give the types that an annotation allows, without `Annotated` and apart from each other."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) is None or get_origin(annotation) in {list, dict, tuple}:
        return (annotation,)
    return tuple(kind for inner in get_args(annotation) for kind in _plain(inner))


def _unstored(name: str, size_bytes: int, media_type: str) -> FileRef:
    return FileRef(sha256=UNSTORED, size_bytes=size_bytes, name=name, media_type=media_type)


def _file_name(given: str) -> str:
    """Give the last part of a path of either system, printable and not too long."""
    name = given.replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in name if char.isprintable()).strip()[-FILE_NAME_CHARS_MAX:]


def _inline_bytes(form: str, value: Any) -> bytes | None:  # noqa: ANN401 - raw input
    if form == "json":
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    if not isinstance(value, str):
        return None
    if form == "text":
        return value.encode()
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def _query(request: Request) -> list[tuple[str, str]]:
    try:
        raw = request.scope["query_string"].decode("ascii")
        return parse_qsl(
            raw, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX, errors="strict"
        )
    except ValueError:
        what = (
            f"The query cannot be read: it is no UTF-8, or has more than {QUERY_FIELDS_MAX} fields."
        )
        raise Refused(Malformed(what=what)) from None


def _parse(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        document = orjson.loads(body)
        # It makes a float of a whole number that is too long for it; a value is kept as it is sent.
        return from_json(body) if _LONG_NUMBER.search(body) else document
    except ValueError as error:
        raise Refused(Malformed(what=f"The body is no JSON: {error}.")) from None


def _parse_object(body: bytes) -> dict[str, Any]:
    document = _parse(body)
    if not isinstance(document, dict):
        raise Refused(Malformed(what="The body is JSON but no object: send {...}."))
    return document  # pyright: ignore[reportUnknownVariableType] - JSON objects have string keys


async def _read_bounded(request: Request, bytes_max: int) -> bytes:
    return b"".join([chunk async for chunk in _bounded(request, bytes_max)])


async def _bounded(request: Request, bytes_max: int) -> AsyncGenerator[bytes, None]:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > bytes_max:
        raise Refused(TooLarge(size_bytes=int(declared[:20]), size_bytes_max=bytes_max))
    size_bytes = 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes > bytes_max:
            raise Refused(TooLarge(size_bytes=size_bytes, size_bytes_max=bytes_max))
        yield chunk
