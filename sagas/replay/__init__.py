"""Recorded histories, run through today's definitions."""
