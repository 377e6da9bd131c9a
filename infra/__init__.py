"""Plumbing: the bus, the log, the store, HTTP, telemetry; no rule of the laboratory stands here."""
