"""Leases: which of several processes does a piece of work that one at a time should do.

A lease keeps work from being done in two places; it keeps nothing from being done twice. Safety
comes from the compare-and-set of the logs, and the epoch of a lease tells old owners from new ones.
"""
