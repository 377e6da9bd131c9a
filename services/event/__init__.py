"""The timeline: everything that happened in the laboratory, and what could not be handled.

Owns: nothing that is decided; its read model is derived from what all others announce. Accepts:
raw facts from the bench over HTTP, and an operator's word on dead letters. Never: changes what
happened, or judges a raw fact beyond its contract.
"""
