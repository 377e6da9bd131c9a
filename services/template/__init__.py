"""Manifests: the tables with which laboratories announce their samples, read and validated.

Owns: which columns a manifest may have, and what each cell may hold. Accepts: a file to validate
for a submission, or to check without one. Answers: the valid rows, and what is wrong with the
others, told so that a person can mend it. Never: registers a sample, reserves a place, or keeps
anything but the rows that it hands on.
"""
