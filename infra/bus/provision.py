"""The provisioner: makes the declared streams, consumers and buckets true, and touches nothing else.

Run before the services start. What cannot be changed in place is reported, never deleted and made anew.
"""

from dataclasses import dataclass, field

from nats.js.api import KeyValueConfig, ObjectStoreConfig, StorageType
from nats.js.errors import APIError, BadRequestError, NotFoundError

from contracts import subjects
from infra.bus.connection import Connection
from infra.bus.streams import BUCKETS, CONSUMERS, STREAMS


@dataclass(slots=True)
class Report:
    """What provisioning did."""

    created: list[str] = field(default_factory=list[str])
    updated: list[str] = field(default_factory=list[str])


class ProvisionError(RuntimeError):
    """Something declared cannot be made true; the text names it and says what to do."""


async def provision(connection: Connection, *, replicas: int = 1) -> Report:
    """Create or update everything that `streams.py` declares.

    Raises:
        ProvisionError: an existing stream or consumer differs in a way that JetStream cannot change.
    """
    report = Report()
    for stream in STREAMS:
        config = stream.config(replicas)
        try:
            await connection.js.stream_info(stream.name)
        except NotFoundError:
            await connection.js.add_stream(config)
            report.created.append(stream.name)
            continue
        try:
            await connection.js.update_stream(config)
        except (APIError, BadRequestError) as error:
            raise ProvisionError(
                f"stream {stream.name} differs from its declaration and cannot be changed in place: {error.description}. "
                "Move its messages to a new stream by hand, or declare what is there."
            ) from error
        report.updated.append(stream.name)
    for consumer in CONSUMERS:
        try:
            await connection.js.add_consumer(consumer.stream, consumer.config())
        except APIError as error:
            raise ProvisionError(
                f"consumer {consumer.name} cannot be made: {error.description}"
            ) from error
    for bucket in BUCKETS:
        try:
            await connection.js.key_value(bucket.name)
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
            report.created.append(f"bucket {bucket.name}")
    try:
        await connection.js.object_store(subjects.FILES_BUCKET)
    except NotFoundError:
        await connection.js.create_object_store(
            subjects.FILES_BUCKET,
            config=ObjectStoreConfig(
                description="Uploads and large parts of messages.", replicas=replicas
            ),
        )
        report.created.append(f"files {subjects.FILES_BUCKET}")
    return report
