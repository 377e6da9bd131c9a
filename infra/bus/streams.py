"""Every stream, consumer and bucket, with every limit: what the provisioner makes true.

Services bind to these with `declare=False` and never create one themselves.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RePublish,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from contracts import catalog, subjects
from contracts.message import Kind

DAY_SECONDS = 86_400
ACK_WAIT_SECONDS = 1.5
"""Short, so that what a killed process held comes again within 2 s; long handlers say "alive"."""
DELIVER_MAX = 1_000
"""The broker's own cap: the project's middleware gives up long before (see `retry.py`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream and its limits; -1 or 0 where there is none."""

    name: str
    subjects: tuple[str, ...]
    what: str
    work_queue: bool = False
    max_age_days: float = 0
    max_bytes: int = -1
    duplicate_window_seconds: float = 120
    discard_new: bool = False
    deny_delete: bool = False
    atomic: bool = False
    schedules: bool = False
    republish: tuple[str, str] | None = None
    """Subject and where the broker repeats what was stored on it; to whoever listens, unstored."""

    def config(self, replicas: int) -> StreamConfig:
        """Say it as JetStream wants to hear it."""
        return StreamConfig(
            name=self.name,
            description=self.what,
            subjects=list(self.subjects),
            retention=RetentionPolicy.WORK_QUEUE if self.work_queue else RetentionPolicy.LIMITS,
            discard=DiscardPolicy.NEW if self.discard_new else DiscardPolicy.OLD,
            max_age=self.max_age_days * DAY_SECONDS,
            max_bytes=self.max_bytes,
            max_msgs=-1,
            storage=StorageType.FILE,
            num_replicas=replicas,
            duplicate_window=self.duplicate_window_seconds,
            deny_delete=self.deny_delete,
            allow_direct=True,
            allow_atomic=self.atomic or None,
            allow_msg_schedules=self.schedules or None,
            allow_msg_ttl=self.schedules or None,
            # The broker needs it for schedules, and sets it by itself.
            allow_rollup_hdrs=self.schedules,
            republish=None
            if self.republish is None
            else RePublish(src=self.republish[0], dest=self.republish[1]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """One durable pull consumer and its limits."""

    name: str
    stream: str
    filter: str
    ack_pending_max: int = 256
    """Messages handed out and not acknowledged, over all processes; each is begun at once."""

    def config(self) -> ConsumerConfig:
        """Say it as JetStream wants to hear it."""
        return ConsumerConfig(
            durable_name=self.name,
            filter_subject=self.filter,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_SECONDS,
            max_deliver=DELIVER_MAX,
            max_ack_pending=self.ack_pending_max,
            deliver_policy=DeliverPolicy.ALL,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One key-value bucket."""

    name: str
    what: str
    ttl_seconds: float = 0
    atomic: bool = field(default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseGroup:
    """So many leases of one kind: how many is recorded by the provisioner, and never changes."""

    name: str
    count: int

    def to_bytes(self) -> bytes:
        """Write how many there are, as it is recorded."""
        return json.dumps({"count": self.count}).encode()

    def objection(self, recorded: bytes | None) -> str | None:
        """Say what is wrong with what was recorded, and what to do; None where nothing is."""
        if not recorded:
            return f"nobody recorded how many leases {self.name} has: run `tracseq provision`"
        count = json.loads(recorded)["count"]
        if count == self.count:
            return None
        return (
            f"the broker was provisioned for {count} partitions of {self.name}, and this version "
            f"has {self.count}: run the version that fits, or begin with an empty broker"
        )


COMMAND_WINDOW_SECONDS = 600.0
"""How long the broker recognises a command that is sent again; later its recorded outcome does."""

EVENTS_WINDOW_SECONDS = 600.0
"""How long the broker recognises an event that is told again."""

LOG_OWNERS: tuple[str, ...] = tuple(
    sorted(
        {e.contract.owner for e in catalog.EVENTS.values()}
        - catalog.OWNERS_AHEAD
        - catalog.OWNERS_WITHOUT_LOG
        | {"transaction"}
    )
)
"""Owners of services that do not stand yet are left out, here and below: a consumer that nobody
reads would hold commands for days."""
COMMAND_OWNERS: tuple[str, ...] = tuple(
    sorted({c.contract.owner for c in catalog.COMMANDS.values()} - catalog.OWNERS_AHEAD)
)

REPUBLISHED = {
    "config": (
        f"{subjects.ROOT}.log.config.release.*",
        f"{subjects.ROOT}.push.config.{{{{wildcard(1)}}}}",
    )
}
"""Of whose logs, and where: only what was stored is told, unlike on the log's own subject."""

STREAMS: tuple[Stream, ...] = (
    *(
        Stream(
            name=subjects.log_stream(owner),
            subjects=(subjects.log_subjects(owner),),
            what=f"The truth of the {owner} service: one subject per aggregate.",
            deny_delete=True,
            atomic=True,
            republish=REPUBLISHED.get(owner),
        )
        for owner in LOG_OWNERS
    ),
    *(
        Stream(
            name=subjects.saga_stream(p),
            subjects=(subjects.saga_subjects(p),),
            what=f"Saga logs and their timers, partition {p} of {subjects.SAGA_PARTITIONS}.",
            atomic=True,
            schedules=True,
        )
        for p in range(subjects.SAGA_PARTITIONS)
    ),
    Stream(
        name=subjects.COMMANDS,
        subjects=(subjects.every(Kind.COMMAND),),
        what="Durable commands, until a service has dealt with them.",
        work_queue=True,
        max_age_days=7,
        max_bytes=4 << 30,
        discard_new=True,
        duplicate_window_seconds=COMMAND_WINDOW_SECONDS,
    ),
    Stream(
        name=subjects.EVENTS,
        subjects=(subjects.every(Kind.EVENT),),
        what="Facts for everyone.",
        max_age_days=90,
        deny_delete=True,
        atomic=True,
        duplicate_window_seconds=EVENTS_WINDOW_SECONDS,
    ),
    Stream(
        name=subjects.REPLIES,
        subjects=(subjects.every("rpl"),),
        what="Outcomes of saga steps.",
        work_queue=True,
        max_age_days=7,
        max_bytes=4 << 30,
        discard_new=True,
        duplicate_window_seconds=600,
    ),
    Stream(
        name=subjects.LAB,
        subjects=(subjects.every(Kind.LAB),),
        what="Raw facts from the bench.",
        max_age_days=365,
        duplicate_window_seconds=3_600,
    ),
    Stream(
        name=subjects.DEAD,
        subjects=(subjects.every("dlq"),),
        what="What a consumer could not handle, with the reason.",
        max_age_days=180,
        duplicate_window_seconds=600,
    ),
    Stream(
        name=subjects.ADVISORIES,
        subjects=(
            "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
            "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
        ),
        what="The safety net: deliveries that ended before middleware saw them.",
        max_age_days=14,
    ),
)

CONSUMERS: tuple[Consumer, ...] = (
    *(
        Consumer(
            name=subjects.commands_consumer(owner),
            stream=subjects.COMMANDS,
            filter=subjects.commands_of(owner),
        )
        for owner in COMMAND_OWNERS
    ),
    *(
        Consumer(
            name=subjects.replies_consumer(p),
            stream=subjects.REPLIES,
            filter=subjects.replies_to(p),
        )
        for p in range(subjects.SAGA_PARTITIONS)
    ),
    *(
        Consumer(
            name=subjects.due_consumer(p),
            stream=subjects.saga_stream(p),
            filter=subjects.saga_subjects(p, "due.>"),
        )
        for p in range(subjects.SAGA_PARTITIONS)
    ),
    Consumer(
        name="event-sweeper",
        stream=subjects.ADVISORIES,
        filter="$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
    ),
)

BUCKETS: tuple[Bucket, ...] = (
    Bucket(
        name=subjects.OUTCOMES_BUCKET,
        what="The recorded outcome of each command.",
        ttl_seconds=DAY_SECONDS,
    ),
    Bucket(name=subjects.SNAPSHOTS_BUCKET, what="Folded states of long logs, and positions."),
    Bucket(
        name=subjects.CONFIG_CLIENTS_BUCKET,
        what="Which instance runs which configuration; what is not renewed is gone.",
        ttl_seconds=60,
    ),
    # Without an age: what expires is said in a lease itself, and its epoch must outlive it.
    Bucket(name=subjects.LEASES_BUCKET, what="Who owns a partition, and since which epoch."),
)

FILE_STORES: tuple[Bucket, ...] = (
    Bucket(name=subjects.FILES_BUCKET, what="Uploads and large parts of messages."),
    Bucket(name=subjects.ARCHIVE_BUCKET, what="Logs of sagas that ended long ago, compressed."),
)

SAGA_LEASES = LeaseGroup(name=subjects.SAGA_LEASES, count=subjects.SAGA_PARTITIONS)
LEASE_GROUPS: tuple[LeaseGroup, ...] = (SAGA_LEASES,)


def consumer(name: str) -> Consumer:
    """Find a declared consumer.

    Raises:
        LookupError: none has this name.
    """
    for declared in CONSUMERS:
        if declared.name == name:
            return declared
    raise LookupError(f"no consumer {name!r} is declared in infra/bus/streams.py")


def summary() -> list[dict[str, Any]]:
    """List what is declared, for people to read."""
    return [{"stream": s.name, "subjects": list(s.subjects), "what": s.what} for s in STREAMS]
