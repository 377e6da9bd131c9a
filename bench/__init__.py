"""Measurements: this project beside raw floors and hand-written peers, alternating in one run.

Ratios count, not absolute figures: the machine's speed drifts. Nothing here is a test.
"""
