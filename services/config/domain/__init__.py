"""The rules of configuration, pure: layers become releases, releases follow each other.

`layers` resolves, `release` is the aggregate and decides on edits, `rollout` moves a change from
some instances to all, `request`, `template` and `schema` are the aggregates beside it. Nothing
here reads a clock, opens a secret or talks to anyone.
"""
