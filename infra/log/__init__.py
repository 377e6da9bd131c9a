"""The log: one per aggregate, appended with compare-and-set, and the only truth there is.

It loads, folds, appends, follows and forwards; what an event means to an aggregate stands in the
domain.
"""
