"""Subjects: the golden list of where everything travels. They are spelt out nowhere else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from contracts import catalog, subjects
from contracts.message import Command, Kind

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden/subjects.txt"
LITERAL = re.compile(r"\btracseq\.(cmd|qry|evt|lab|log|saga|rpl|dlq)\.")
SAGA = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def grammar() -> dict[str, str]:
    """Give an example of every subject, filter and stream name that is no message's own."""
    return {
        "commands of a service": subjects.commands_of("sample"),
        "consumer of a service's commands": subjects.commands_consumer("sample"),
        "events of an owner": subjects.events_of("sample"),
        "every dead letter": subjects.every("dlq"),
        "dead letters of a consumer": subjects.dead("sample-commands"),
        "stream of a service's logs": subjects.log_stream("sample"),
        "logs of a service": subjects.log_subjects("sample"),
        "log of an aggregate": subjects.log_of("sample", "barcode", "LAB.2026"),
        "stream of a saga partition": subjects.saga_stream(3),
        "saga partition": subjects.saga_subjects(3),
        "saga partition, due timers": subjects.saga_subjects(3, "due.>"),
        "log of a saga": subjects.saga_log(SAGA),
        "timer of a saga": subjects.saga_timer(SAGA, "register"),
        "due timer of a saga": subjects.saga_due(SAGA, "register"),
        "replies to a saga": subjects.reply("sample_intake", SAGA),
        "replies to a saga partition": subjects.replies_to(3),
        "consumer of a partition's replies": subjects.replies_consumer(3),
        "consumer of a partition's due timers": subjects.due_consumer(3),
        "count of a group's leases": subjects.lease_group(subjects.SAGA_LEASES),
        "lease on a saga partition": subjects.lease(subjects.SAGA_LEASES, 3),
        "advice on a service's breakers": subjects.breaker_advice("sample"),
        "member of a group": subjects.lease_member(subjects.SAGA_LEASES, "lab.example-8088"),
    }


def listed() -> list[str]:
    """Write the list as the golden file has it."""
    messages = {t: subjects.of(m.contract) for t, m in sorted(catalog.MESSAGES.items())}
    return [f"{what}: {subject}" for what, subject in {**grammar(), **messages}.items()]


def test_subjects_are_what_they_always_were(*, update_goldens: bool) -> None:
    """A subject is for ever: streams hold messages under it and bridges filter by it."""
    known = GOLDEN.read_text(encoding="utf-8").splitlines() if GOLDEN.exists() else []
    names = {line.partition(": ")[0] for line in known}
    new = [line for line in listed() if line.partition(": ")[0] not in names]
    if update_goldens and new:
        GOLDEN.write_text("\n".join([*known, *new]) + "\n", encoding="utf-8")
        known += new
    lost = [line for line in known if line not in listed()]
    assert lost == [], "subjects changed or vanished; keep them, or make a new type beside the old"
    assert [line for line in listed() if line not in known] == [], (
        "subjects without a golden line: run pytest tests/contracts --update-goldens"
    )


def test_a_subject_has_one_token_for_each_part() -> None:
    """Kind, owner and verb are one token each, so filters by kind and owner work."""
    for type_, message in catalog.MESSAGES.items():
        tokens = subjects.of(message.contract, site="room_1").split(".")
        prefix = ["tracseq", str(message.message_kind)]
        if message.message_kind is Kind.LAB:
            prefix.append("room_1")
        assert tokens == [*prefix, *type_.split(".")]
        assert len(type_.split(".")) == 2
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", type_)


def test_every_command_is_within_its_services_filter() -> None:
    """The consumer of a service gets each of its commands and nobody else's."""
    for message in catalog.MESSAGES.values():
        subject = subjects.of(message.contract)
        prefix = subjects.commands_of(message.contract.owner).removesuffix(">")
        assert subject.startswith(prefix) == issubclass(message, Command)


def test_a_saga_stays_in_its_partition() -> None:
    """Log, timers and due timers of one saga share a stream, and its replies a consumer."""
    for number in range(2 * subjects.SAGA_PARTITIONS):
        saga_id = UUID(int=number)
        prefix = subjects.saga_subjects(subjects.saga_partition(saga_id)).removesuffix(">")
        for subject in (
            subjects.saga_log(saga_id),
            subjects.saga_timer(saga_id, "t"),
            subjects.saga_due(saga_id, "t"),
        ):
            assert subject.startswith(prefix)
        replies = subjects.replies_to(subjects.saga_partition(saga_id)).removesuffix(">")
        assert subjects.reply("sample_intake", saga_id).startswith(replies)


def spelt(source: str) -> list[str]:
    """List the texts in code that spell a subject; docstrings only explain."""
    tree = ast.parse(source)
    explained = {id(node) for node in _docstrings(tree)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in explained
        and LITERAL.search(node.value)
    ]


def _docstrings(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def test_subjects_are_spelt_nowhere_else() -> None:
    """Code asks `contracts.subjects`; only the golden list has them as text."""
    found = {
        str(path.relative_to(ROOT)): spelt(path.read_text(encoding="utf-8"))
        for folder in ("contracts", "infra", "sagas", "services")
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    assert {path: texts for path, texts in found.items() if texts} == {}


def test_a_spelt_subject_would_be_found() -> None:
    """The search above sees texts and parts of f-strings, and leaves docstrings alone."""
    code = '"""About {0}."""\nx = "{0}"\ny = f"{0}{{x}}"\n'.format(
        "tracseq" + ".cmd.sample.register"
    )
    assert len(spelt(code)) == 2
