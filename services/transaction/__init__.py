"""Transactions: the processes that span services, carried by sagas over events.

Owns: the log of every saga, its timers, and which transaction a manifest's content belongs to.
Accepts: submissions, the outcomes of steps, timers that fall due. Announces: started, step ended,
compensating, ended. Never: does a step's work itself, or decides outside the engine in `sagas`.
"""
