"""The peer: a sample service as one writes it by hand with FastAPI and motor, as safe as ours.

Unique barcodes (index), idempotent (recorded outcome per key), the event published through an
outbox that stands in the sample's document and is relayed to NATS aside.
`python -m bench.peer NATS_URL MONGO_URL PORT` serves until it is told to stop.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC
from datetime import datetime as clock
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID, uuid5

import nats
import uvicorn
from fastapi import FastAPI, Header, HTTPException
from motor.motor_asyncio import AsyncIOMotorClient
from nats.js.api import StreamConfig
from pydantic import BaseModel, Field
from pymongo.errors import DuplicateKeyError

NAMESPACE = UUID("0190a0b0-0000-7000-8000-00000000beef")
RELAY_SECONDS = 0.05
RELAY_BATCH = 100


class NewSample(BaseModel):
    """What the peer takes: the same fields as ours."""

    barcode: Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9_.\-]{1,49}$")]
    name: str
    sample_type: str
    zone: str
    volume_ul: Decimal | None = None


def make(nats_url: str, mongo_url: str) -> FastAPI:
    """Put the peer together."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(mongo_url)
    database = client["peer"]

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        await database["samples"].create_index("barcode", unique=True)
        await database["samples"].create_index("pending")
        connection = await nats.connect(nats_url)
        js = connection.jetstream()
        await js.add_stream(StreamConfig(name="PEER_EVENTS", subjects=["peer.evt.>"]))
        relay = asyncio.create_task(_relay(database["samples"], js))
        yield
        relay.cancel()
        await connection.close()

    app = FastAPI(lifespan=lifespan)

    @app.post("/samples", status_code=201)
    async def register(
        sample: NewSample, idempotency_key: Annotated[str | None, Header()] = None
    ) -> dict[str, Any]:
        key = idempotency_key or os.urandom(16).hex()
        done = await database["outcomes"].find_one({"_id": key})
        if done is not None:
            return dict(done["answer"])
        sample_id = str(uuid5(NAMESPACE, key))
        answer = {"sample_id": sample_id, **json.loads(sample.model_dump_json())}
        now = clock.now(UTC)  # noqa: TID251 - the peer is written as people write such services
        event = {"type": "sample.registered", "data": answer, "at": now.isoformat()}
        try:
            await database["samples"].insert_one(
                {"_id": sample_id, **answer, "pending": 1, "outbox": [event]}
            )
        except DuplicateKeyError:
            known = await database["samples"].find_one({"_id": sample_id})
            if known is None:
                raise HTTPException(409, "barcode taken") from None
        await database["outcomes"].insert_one({"_id": key, "answer": answer})
        return answer

    return app


async def _relay(samples: Any, js: Any) -> None:  # noqa: ANN401 - motor and nats-py are untyped here
    while True:
        waiting = await samples.find({"pending": 1}).limit(RELAY_BATCH).to_list(RELAY_BATCH)
        for sample in waiting:
            for number, event in enumerate(sample["outbox"]):
                await js.publish(
                    "peer.evt.sample.registered",
                    json.dumps(event).encode(),
                    headers={"Nats-Msg-Id": f"{sample['_id']}:{number}"},
                )
            await samples.update_one({"_id": sample["_id"]}, {"$set": {"pending": 0, "outbox": []}})
        if not waiting:
            await asyncio.sleep(RELAY_SECONDS)  # noqa: TID251 - as above


if __name__ == "__main__":
    uvicorn.run(
        make(sys.argv[1], sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[3]),
        log_level="warning",
        access_log=False,
    )
