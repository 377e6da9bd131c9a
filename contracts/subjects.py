"""The grammar of subjects and the names of streams. The only place where a subject is spelt.

`tracseq.<kind>.<owner>.<verb>`; ids stand in log, saga and dead-letter subjects only.
"""

import hashlib
import re
from urllib.parse import quote, unquote
from uuid import UUID

from contracts.message import Contract, Kind

ROOT = "tracseq"

COMMANDS = "COMMANDS"
EVENTS = "EVENTS"
REPLIES = "REPLIES"
LAB = "LAB"
DEAD = "DEAD"
ADVISORIES = "ADVISORIES"

FILES_BUCKET = "files"
ARCHIVE_BUCKET = "archive"
OUTCOMES_BUCKET = "outcomes"
SNAPSHOTS_BUCKET = "snapshots"
LEASES_BUCKET = "leases"
CONFIG_CLIENTS_BUCKET = "config_clients"

SAGA_PARTITIONS = 4
"""For ever: it says where a saga lives. Recorded when a broker is provisioned."""
SAGA_LEASES = "saga"
"""The group of leases on the saga partitions, one each."""

_PLAIN = re.compile("[A-Za-z0-9_-]*")
_SAFE = "!#$&'()+,/:;=?@[]^`{|}~"
"""Printable ASCII but dot, star, greater-than (which subjects give a meaning), quote, percent."""


def of(contract: Contract, *, site: str = "main") -> str:
    """Give the subject of a contract's messages; `site` counts for lab events only."""
    if contract.kind is Kind.LAB:
        return f"{ROOT}.lab.{site}.{contract.type}"
    return f"{ROOT}.{contract.kind}.{contract.type}"


def commands_of(service: str) -> str:
    """Give the filter for every command of a service."""
    return f"{ROOT}.cmd.{service}.>"


def events_of(owner: str) -> str:
    """Give the filter for every event of an owner."""
    return f"{ROOT}.evt.{owner}.>"


def every(kind: str) -> str:
    """Give the filter for everything of a kind: `cmd`, `evt`, `lab`, `rpl` or `dlq`."""
    return f"{ROOT}.{kind}.>"


def log_stream(service: str) -> str:
    """Name the stream that holds the logs of a service."""
    return f"LOG_{service.upper()}"


def log_subjects(service: str) -> str:
    """Give the filter for every log of a service."""
    return f"{ROOT}.log.{service}.>"


def log_of(service: str, aggregate: str, key: UUID | str) -> str:
    """Give the subject of one aggregate's log."""
    return f"{ROOT}.log.{service}.{aggregate}.{token(key)}"


def token(key: UUID | str) -> str:
    """Write a key as one token: what would split it, or select others, is percent-encoded."""
    text = str(key)
    return text if _PLAIN.fullmatch(text) else quote(text, safe=_SAFE).replace(".", "%2E")


def key_in(token_: str) -> str:
    """Read what `token` wrote."""
    return unquote(token_)


def config_release(service: str, environment: str) -> str:
    """Give the key of the log of releases of one service in one environment."""
    return f"{service}={environment}"


def config_log(service: str, environment: str) -> str:
    """Give the subject of that log; its last message is the release in force."""
    return log_of("config", "release", config_release(service, environment))


def config_pushed(service: str = "*", environment: str = "*") -> str:
    """Give the subject on which the broker repeats a release once it is in the log."""
    both = "*" if "*" in {service, environment} else token(config_release(service, environment))
    return f"{ROOT}.push.config.{both}"


def breaker_advice(service: str) -> str:
    """Give the subject on which the instances of a service tell each other of their breakers."""
    return f"{ROOT}.advice.{service}.breaker"


def saga_stream(partition: int) -> str:
    """Name the stream of a saga partition."""
    return f"SAGA_{partition}"


def saga_subjects(partition: int, what: str = ">") -> str:
    """Give the filter for a partition, or for its `log.>`, `timer.>` or `due.>`."""
    return f"{ROOT}.saga.{partition}.{what}"


def saga_partition(saga_id: UUID) -> int:
    """Say which partition a saga lives in, for ever."""
    return saga_id.int % SAGA_PARTITIONS


def saga_log(saga_id: UUID) -> str:
    """Give the subject of one saga's log."""
    return f"{ROOT}.saga.{saga_partition(saga_id)}.log.{saga_id}"


def saga_timer(saga_id: UUID, slot: str) -> str:
    """Give the subject that holds one timer of a saga; a second publish there replaces it.

    The slot is the step that waits, or `saga` for the saga's own deadline; `>` filters for all.
    """
    return f"{ROOT}.saga.{saga_partition(saga_id)}.timer.{saga_id}.{slot}"


def saga_due(saga_id: UUID, slot: str) -> str:
    """Give the subject on which the timer of a slot of a saga fires."""
    return f"{ROOT}.saga.{saga_partition(saga_id)}.due.{saga_id}.{slot}"


def reply(saga_type: str, saga_id: UUID) -> str:
    """Give the subject for outcomes of the steps of one saga, within its partition."""
    return f"{ROOT}.rpl.{saga_partition(saga_id)}.{saga_type}"


def replies_to(partition: int) -> str:
    """Give the filter for every outcome that a saga of a partition waits for."""
    return f"{ROOT}.rpl.{partition}.>"


def replies_consumer(partition: int) -> str:
    """Name the durable with which the owner of a partition takes outcomes."""
    return f"transaction-replies-{partition}"


def due_consumer(partition: int) -> str:
    """Name the durable with which the owner of a partition takes timers that fired."""
    return f"transaction-due-{partition}"


def lease_group(group: str) -> str:
    """Give the key that records how many leases a group has, in the bucket of leases."""
    return f"count.{token(group)}"


def lease(group: str, number: int) -> str:
    """Give the key of one lease."""
    return f"{token(group)}.{number}"


def lease_member(group: str, instance: str) -> str:
    """Give the key with which an instance announces that it takes part."""
    return f"member.{token(group)}.{token(instance)}"


def in_bucket(bucket: str, key: str) -> str:
    """Give the subject under which a bucket keeps a key, or a filter of keys."""
    return f"$KV.{bucket}.{key}"


def dead(consumer: str) -> str:
    """Give the subject for what a consumer could not handle."""
    return f"{ROOT}.dlq.{consumer}"


def commands_consumer(service: str) -> str:
    """Name the durable with which a service takes its commands."""
    return f"{service}-commands"


def fingerprint(text: str) -> str:
    """Give a short name for a text: 12 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
