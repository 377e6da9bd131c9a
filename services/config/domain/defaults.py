"""The values that a laboratory begins with, by service, and what each may be.

They are set once, in the layer `default`, for a service that was never configured; afterwards they
are ordinary values.
"""

from typing import Any

_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_FLAG = {"type": "boolean"}


def _count(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


DEFAULTS: dict[str, dict[str, tuple[Any, dict[str, Any]]]] = {
    "auth-service": {
        "jwt_expiry_hours": (24, _count(1, 720)),
        "max_login_attempts": (5, _count(1, 100)),
        "session_timeout_minutes": (30, _count(1, 1_440)),
        "enable_2fa": (False, _FLAG),
    },
    "sample-service": {
        "max_batch_size": (1_000, _count(1, 100_000)),
        "auto_approve_threshold": (0.9, _SHARE),
        "default_storage_temp": (-80, {"type": "number", "minimum": -273, "maximum": 200}),
        "enable_barcode_validation": (True, _FLAG),
    },
    "enhanced-storage-service": {
        "temperature_check_interval_minutes": (5, _count(1, 1_440)),
        "capacity_warning_threshold": (0.8, _SHARE),
        "capacity_critical_threshold": (0.95, _SHARE),
        "ai_optimization_enabled": (True, _FLAG),
    },
    "enhanced-rag-service": {
        "default_model": ("llama3.2:3b", {"type": "string", "minLength": 1, "maxLength": 200}),
        "confidence_threshold": (0.7, _SHARE),
        "max_document_size_mb": (50, _count(1, 10_000)),
        "enable_caching": (True, _FLAG),
    },
    "notification-service": {
        "email_enabled": (True, _FLAG),
        "sms_enabled": (False, _FLAG),
        "slack_enabled": (True, _FLAG),
        "max_retry_attempts": (3, _count(1, 1_000)),
    },
    "event-service": {
        "max_event_retention_days": (30, _count(1, 3_650)),
        "batch_processing_size": (100, _count(1, 10_000)),
        "enable_event_replay": (True, _FLAG),
    },
    "api-gateway": {
        "rate_limit_per_minute": (1_000, _count(1, 10_000_000)),
        "enable_cors": (True, _FLAG),
        "request_timeout_seconds": (30, _count(1, 3_600)),
        "enable_request_logging": (True, _FLAG),
    },
}


def schema(service: str) -> dict[str, Any]:
    """Give the JSON Schema of the values that a service begins with."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {key: kind for key, (_, kind) in DEFAULTS.get(service, {}).items()},
    }
