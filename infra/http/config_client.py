"""Configuration over HTTP, for programs that are not on the bus: entity tags and long polls.

What is in force is held as on the bus, and starts from the same file. Nobody is told what such a
program runs, so it takes no part in staged rollouts. It retries for ever, behind a circuit breaker.
"""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

import orjson
import structlog
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.breaker import CircuitBreakerConfig
from infra.clock import SYSTEM, Clock
from infra.config.configuration import Configuration, Identity, LiveT
from infra.http.breaking_client import NO_ANSWER, HttpClientWithCircuitBreaker

START_SECONDS = 2.0
"""How long a start waits for the configuration service."""
POLL_SECONDS = 30.0
"""How long one request waits for another release."""
ANSWER_SECONDS = 10.0
"""How long an answer may take beyond that."""
RETRY_SECONDS = 2.0
"""Between two attempts while the service is away."""
PATIENT = CircuitBreakerConfig(
    request_timeout=POLL_SECONDS + ANSWER_SECONDS,
    max_concurrent_requests=2,
    recovery_timeout=RETRY_SECONDS,
    success_threshold=1,
)

log = structlog.get_logger(__name__)


class ConfigServiceSettings(BaseSettings):
    """Where the configuration service is."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    config_service_url: Annotated[str, Field(pattern=r"^https?://")] = "http://127.0.0.1:8091"
    """`CONFIG_SERVICE_URL`."""


class HttpConfigClient(Configuration[LiveT]):
    """The configuration of one program that speaks HTTP."""

    def __init__(
        self,
        model: type[LiveT],
        identity: Identity,
        *,
        url: str | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        """Begin with the defaults; `start` reads, `run` keeps up.

        `url` of the configuration service, else what `CONFIG_SERVICE_URL` says.
        """
        super().__init__(model, identity, clock=clock)
        self._client = HttpClientWithCircuitBreaker(
            "config",
            PATIENT,
            base_url=url or ConfigServiceSettings().config_service_url,
            clock=clock,
        )
        place = quote(identity.service, safe=""), quote(identity.environment, safe="")
        self._path = "/api/v1/services/{}/environments/{}/release".format(*place)
        self._newest = 0
        """The newest version that was seen, taken or refused."""
        self._away = False

    async def start(self) -> None:
        """Put into force what can be had within the bound: the newest release, the file, nothing.

        Never fails: what is not to be had is logged.
        """
        if not await self._ask(wait_seconds=0, budget_seconds=START_SECONDS):
            self.take_file()

    async def run(self) -> None:
        """Wait for each next release, for ever."""
        while True:
            await self.keep()
            budget_seconds = POLL_SECONDS + ANSWER_SECONDS
            if not await self._ask(wait_seconds=POLL_SECONDS, budget_seconds=budget_seconds):
                await self._clock.sleep(RETRY_SECONDS)

    async def close(self) -> None:
        """Close every connection; what is in force stays."""
        await self._client.__aexit__(None, None, None)

    async def _ask(self, *, wait_seconds: float, budget_seconds: float) -> bool:
        """Ask for another release than the one that is known; False where none can be had."""
        try:
            response = await self._client.get(
                self._path,
                params={"wait_seconds": wait_seconds},
                headers={"If-None-Match": f'"{self._newest}"'},
                budget_seconds=budget_seconds,
            )
        except NO_ANSWER as error:
            return self._is_away(str(error) or type(error).__name__)
        if response.status_code == HTTPStatus.OK:
            return self._hear(response.content)
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            self._away = False
            self.confirm()
            return True
        return self._is_away(f"it answered {response.status_code}")

    def _hear(self, body: bytes) -> bool:
        self._away = False
        try:
            release = orjson.loads(body)["release"]
            version = int(release["version"])
        except (ValueError, KeyError, TypeError) as error:
            return self._is_away(f"its answer is no release: {error!r}")
        if version > self._newest:
            self._newest = version
            self.take(release, "http")
        return True

    def _is_away(self, why: str) -> bool:
        if not self._away:
            log.warning(
                "config.service_away",
                service=self.identity.program,
                error=why,
                consequence="what is in force stays, and it is asked again",
            )
        self._away = True
        return False
