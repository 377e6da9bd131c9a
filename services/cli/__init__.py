"""The command line `tracseq`: one module per group of commands, one output for people and programs.

It decides nothing about the laboratory. What it wants done goes through the edge (HTTP) or the
broker, like everybody else's wishes; only `up` starts anything.
"""
