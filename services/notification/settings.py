"""What the notification service is told from outside, at its start and while it runs."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from contracts.types import EmailAddress
from infra.runtime.told import Told
from infra.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from `TRACSEQ_NOTIFICATION_...`."""

    model_config = SettingsConfigDict(
        env_prefix="TRACSEQ_NOTIFICATION_", frozen=True, extra="ignore"
    )

    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8085
    smtp_host: str | None = None
    """The mail server; without one every e-mail is recorded as failed, with that reason."""
    smtp_port: Annotated[int, Field(ge=1, le=65_535)] = 587
    smtp_from: EmailAddress = "tracseq@localhost"
    smtp_starttls: bool = True
    """Speak to no server that cannot be spoken to in secret; false for one on this machine."""
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    """For each answer of the server."""
    connections_max: Annotated[int, Field(ge=1, le=64)] = 4
    """Connections to the mail server at once."""
    under_way_max: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """E-mails waiting for their next attempt at once; beyond it the log is not read on."""
    attempts_max: Annotated[int, Field(ge=1, le=1_000)] = 20
    retry_first_seconds: Annotated[float, Field(gt=0)] = 1.0
    """The longest first wait; each next one may be twice as long, and a random part is waited."""
    retry_max_seconds: Annotated[float, Field(gt=0)] = 300.0
    give_up_seconds: Annotated[float, Field(gt=0)] = 3_600.0
    """How long after its first attempt an e-mail is tried again."""

    @model_validator(mode="after")
    def _keep_password_secret(self) -> Self:
        if (self.smtp_username is None) != (self.smtp_password is None):
            raise ValueError("smtp_username and smtp_password go together: set both, or neither")
        if self.smtp_password is not None and not self.smtp_starttls:
            raise ValueError(
                "smtp_password is sent over STARTTLS only: leave smtp_starttls on, "
                "or set neither smtp_username nor smtp_password"
            )
        return self


class Live(Told):
    """What the configuration of `notification-service` says, at any time."""

    email_enabled: bool = True
    """Whether e-mails are sent; one that is due while they are not is recorded as failed."""
    max_retry_attempts: Annotated[int, Field(ge=0, le=1_000)] | None = None
    """How often an e-mail is tried again; null leaves it to `attempts_max`."""
