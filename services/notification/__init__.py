"""Notifications: people are told what happened, in the application and by e-mail.

Owns: what was told to whom, and whether it arrived. Accepts: an order to tell people. Announces:
requested, delivered, failed. Never: decides when people are told (sagas do), or makes anyone wait
for a mail server.
"""
