"""Configuration as a running program has it: one immutable typed snapshot, pushed while it runs.

It reads the log of the configuration service and listens to it; it changes nothing.
"""
