"""The language of the laboratory: every command, query, event and refusal, as on the wire.

Imports pydantic and the standard library only. It decides nothing and talks to nobody: whoever
needs to know what a message is called, who owns it, where it travels, what it answers and who may
send it reads it here and nowhere else.
"""
