"""The document store: read models that people list. Derived from logs, rebuilt at any time.

The only place that knows MongoDB. What stands in a document is decided by the services; truth is
never kept here, and nothing may depend on what real MongoDB would not do.
"""
