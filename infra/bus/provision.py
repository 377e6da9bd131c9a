"""The provisioner: makes the declared streams, consumers and buckets true, and nothing else.

Run before the services start. What cannot be changed in place is reported, never deleted and made
anew: that would delete what lies there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nats.errors import Error as NatsError
from nats.js.api import (
    ConsumerConfig,
    KeyValueConfig,
    ObjectStoreConfig,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from contracts import subjects
from infra.bus.connection import Connection
from infra.bus.errors import BrokerUnavailable, MissingStream
from infra.bus.streams import (
    BUCKETS,
    CONSUMERS,
    FILE_STORES,
    LEASE_GROUPS,
    STREAMS,
    Bucket,
    Consumer,
    LeaseGroup,
    Stream,
)
from infra.settings import Profile

REPLICAS: Mapping[Profile, int] = {"dev": 1, "safe": 1, "ha": 3}
"""Copies of each stream, by profile: one of three machines may be lost."""
DUPLICATE_SECONDS = 120.0
"""The broker's own window in which a bucket recognises a message that is sent again."""


@dataclass(slots=True)
class Report:
    """What provisioning did; what was as declared is in neither list."""

    created: list[str] = field(default_factory=list[str])
    updated: list[str] = field(default_factory=list[str])


class ProvisionError(RuntimeError):
    """Something declared cannot be made true; the text names it and says what to do."""


async def provision(connection: Connection, *, replicas: int = 1) -> Report:
    """Create or update everything that `streams.py` declares; again changes nothing more.

    Raises:
        ProvisionError: what is there differs in a way that JetStream cannot change.
        BrokerUnavailable: NATS did not answer; run it again.
    """
    report = Report()
    try:
        # First: nothing is made for another number of partitions than there are.
        for group in LEASE_GROUPS:
            await _check_leases(connection, group)
        for stream in STREAMS:
            await _provision_stream(connection, stream, replicas, report)
        for consumer in CONSUMERS:
            await _provision_consumer(connection, consumer, report)
        for bucket in BUCKETS:
            await _provision_bucket(connection, bucket, replicas, report)
        for group in LEASE_GROUPS:
            await _provision_leases(connection, group, report)
        for store in FILE_STORES:
            await _provision_files(connection, store, replicas, report)
    except (NatsError, TimeoutError, OSError) as error:
        raise BrokerUnavailable(f"provisioning was cut off: {error!r}") from error
    return report


async def _provision_stream(
    connection: Connection, stream: Stream, replicas: int, report: Report
) -> None:
    config = stream.config(replicas)
    try:
        info = await connection.js.stream_info(stream.name)
    except NotFoundError:
        await connection.js.add_stream(config)
        report.created.append(stream.name)
        return
    if _differs(info.config.as_dict(), config.as_dict()):
        await _update_stream(connection, f"stream {stream.name}", config)
        report.updated.append(stream.name)


async def _update_stream(connection: Connection, what: str, declared: StreamConfig) -> None:
    try:
        await connection.js.update_stream(declared)
    except APIError as error:
        raise _immutable(what, error) from error


async def _provision_consumer(connection: Connection, consumer: Consumer, report: Report) -> None:
    what = f"consumer {consumer.name}"
    config = consumer.config()
    try:
        info = await connection.js.consumer_info(consumer.stream, consumer.name)
        present: ConsumerConfig | None = info.config
    except NotFoundError:
        present = None
    if present is not None and not _differs(present.as_dict(), config.as_dict()):
        return
    try:
        await connection.js.add_consumer(consumer.stream, config)
    except APIError as error:
        raise _immutable(what, error) from error
    (report.created if present is None else report.updated).append(what)


async def _provision_bucket(
    connection: Connection, bucket: Bucket, replicas: int, report: Report
) -> None:
    what = f"bucket {bucket.name}"
    try:
        info = await connection.js.stream_info(f"KV_{bucket.name}")
    except NotFoundError:
        await connection.js.create_key_value(
            KeyValueConfig(
                bucket=bucket.name,
                description=bucket.what,
                ttl=bucket.ttl_seconds or None,
                history=1,
                storage=StorageType.FILE,
                replicas=replicas,
                direct=True,
            )
        )
        report.created.append(what)
        return
    declared = info.config.evolve(
        description=bucket.what,
        max_age=bucket.ttl_seconds,
        # The broker refuses to recognise for longer than it keeps.
        duplicate_window=min(bucket.ttl_seconds or DUPLICATE_SECONDS, DUPLICATE_SECONDS),
        num_replicas=replicas,
    )
    if _differs(info.config.as_dict(), declared.as_dict()):
        await _update_stream(connection, what, declared)
        report.updated.append(what)


async def _check_leases(connection: Connection, group: LeaseGroup) -> bool:
    """Say whether the number of a group's leases is recorded."""
    try:
        raw = await connection.last(f"KV_{subjects.LEASES_BUCKET}", _leases_recorded(group))
    except MissingStream:
        return False
    if raw is None:
        return False
    objection = group.objection(raw.body)
    if objection is not None:
        raise ProvisionError(objection)
    return True


async def _provision_leases(connection: Connection, group: LeaseGroup, report: Report) -> None:
    if not await _check_leases(connection, group):
        await connection.publish(_leases_recorded(group), group.to_bytes())
        report.created.append(f"leases {group.name}")


def _leases_recorded(group: LeaseGroup) -> str:
    return subjects.in_bucket(subjects.LEASES_BUCKET, subjects.lease_group(group.name))


async def _provision_files(
    connection: Connection, store: Bucket, replicas: int, report: Report
) -> None:
    try:
        info = await connection.js.stream_info(f"OBJ_{store.name}")
    except NotFoundError:
        await connection.js.create_object_store(
            store.name, config=ObjectStoreConfig(description=store.what, replicas=replicas)
        )
        report.created.append(f"files {store.name}")
        return
    declared = info.config.evolve(description=store.what, num_replicas=replicas)
    if _differs(info.config.as_dict(), declared.as_dict()):
        await _update_stream(connection, f"files {store.name}", declared)
        report.updated.append(f"files {store.name}")


def _differs(present: Mapping[str, Any], declared: Mapping[str, Any]) -> bool:
    return any((present.get(name) or None) != (value or None) for name, value in declared.items())


def _immutable(what: str, error: APIError) -> ProvisionError:
    return ProvisionError(
        f"{what} differs from its declaration and cannot be changed in place: "
        f"{error.description}. Move what lies there by hand, or declare what is there."
    )
