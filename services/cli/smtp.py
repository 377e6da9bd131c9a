"""Which mail server `--smtp-url` means, as the notification service is told it."""

from urllib.parse import urlsplit

from services.cli.outcome import CliError, usage_error

PORTS = {"smtp": 25, "smtp+starttls": 587}
_PREFIX = "TRACSEQ_NOTIFICATION_SMTP"


def smtp_environment(url: str) -> dict[str, str]:
    """Give the environment variables for `smtp://HOST[:PORT]` or `smtp+starttls://HOST[:PORT]`.

    Raises:
        CliError: it is neither, or names a user: a command line can be read by everybody.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in PORTS or not host or parts.path not in {"", "/"}:
        raise _refused("is no mail server", "Write smtp://HOST:PORT or smtp+starttls://HOST:PORT.")
    if parts.username is not None or parts.password is not None:
        remedy = f"Set {_PREFIX}_USERNAME and {_PREFIX}_PASSWORD in the environment instead."
        raise _refused("names a user, and others can read command lines", remedy)
    return {
        f"{_PREFIX}_HOST": host,
        f"{_PREFIX}_PORT": str(port or PORTS[parts.scheme]),
        f"{_PREFIX}_STARTTLS": str(parts.scheme == "smtp+starttls").lower(),
    }


def _refused(problem: str, remedy: str) -> CliError:
    # The value is not repeated: it may hold a password.
    return usage_error("--smtp-url", "...", problem, remedy)
