"""What the configuration says of e-mails holds in the service that sends them, while it runs."""

import asyncio

from contracts.notification import DeliveryState
from infra.clock import SYSTEM
from infra.runtime import Blueprint
from services.config.service import build as build_config
from services.config.settings import Settings as ConfigSettings
from services.notification.domain import EMAIL_OFF
from services.notification.settings import Live
from tests.fixtures.laboratory import Laboratory, laboratory
from tests.fixtures.smtp import MailServer, mail_server
from tests.integration.config_client.test_client import WAIT_SECONDS, set_to
from tests.integration.test_notification_service import ADA, BOB, blueprint, emails, order, until

__all__ = ["laboratory", "mail_server"]

SERVICE = "notification-service"


async def test_emails_are_switched_off_and_tried_as_often_as_is_told(
    laboratory: Laboratory, mail_server: MailServer
) -> None:
    """The one that is due while they are off says why it failed; on again, two attempts are two."""
    mail_server.says[BOB] = ["451 come back later"] * 10
    await laboratory.start(Blueprint("config", build_config, ConfigSettings(http_port=0)))
    running = await laboratory.start(blueprint(mail_server))
    live = running.service.live
    assert live is not None
    await set_to(laboratory.bus, {"email_enabled": False, "max_retry_attempts": 1}, service=SERVICE)
    async with asyncio.timeout(WAIT_SECONDS):
        while live.current != Live(email_enabled=False, max_retry_attempts=1):
            await SYSTEM.sleep(0.005)
    refused = emails(await until(laboratory, await laboratory.bus.ask(order(ADA))))[ADA]
    assert (refused.state, refused.detail) == (DeliveryState.FAILED, EMAIL_OFF)
    assert mail_server.mails == []
    await set_to(laboratory.bus, {"email_enabled": True}, service=SERVICE)
    async with asyncio.timeout(WAIT_SECONDS):
        while live.current != Live(max_retry_attempts=1):
            await SYSTEM.sleep(0.005)
    given_up = emails(await until(laboratory, await laboratory.bus.ask(order(BOB))))[BOB]
    assert given_up.state is DeliveryState.FAILED
    assert mail_server.asked[BOB] == 2
