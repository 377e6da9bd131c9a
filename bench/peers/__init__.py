"""The saga engines that the benches compare with, each in processes of its own.

What runs in `.venv-bench` imports nothing of this project but `protocol` and the bare HTTP client:
the peers' libraries stay out of the project's environment, and the project out of theirs.
"""
