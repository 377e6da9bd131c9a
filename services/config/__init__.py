"""The configuration service: what every program is told, while it runs.

It owns the configuration of each service in each environment, as immutable releases whose log is
also the audit trail. It accepts edits, rollouts, templates, consent and schemas; it announces that
something changed, and the broker pushes each release from the log to those who run it. It never
lets half an edit be seen, keeps no secret in the clear, and never changes a release.
"""
