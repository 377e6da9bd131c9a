"""Decisions over time: the processes that span services, and the pure engine that carries them.

Imports contracts only. Nothing here sends, stores, waits, looks at a clock or rolls dice: the same
definition, state and input always give the same transition, so a recorded history can be replayed.
"""
