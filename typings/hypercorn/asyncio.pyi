from collections.abc import Awaitable, Callable
from typing import Literal

from hypercorn.config import Config

async def serve(
    app: Callable[..., Awaitable[None]],
    config: Config,
    *,
    mode: Literal["asgi", "wsgi"] | None = None,
) -> None: ...
