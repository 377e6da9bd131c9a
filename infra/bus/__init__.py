"""The bus: commands, queries, events and replies over NATS JetStream, retries and dead letters.

Streams and consumers are declared once (`streams.py`) and made by the provisioner alone; services
bind to what is there. It knows what a message looks like and where it travels, and nothing of what
it means.
"""
