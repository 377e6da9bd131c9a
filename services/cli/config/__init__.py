"""`tracseq config`: what is set where and why; change it, roll it out, approve it, prove it.

Every command asks the edge, as anybody could; those that read files need no system at all. A secret
is never taken from the command line, which others can see, and leaves this machine sealed.
"""

from services.cli.commands import Group, Part

_HERE = "services.cli.config"
GROUP = Group(
    "config",
    "Configuration of the services: look, change, roll out, approve, prove.",
    (
        Part(f"{_HERE}.looking", ("get", "list", "explain")),
        Part(f"{_HERE}.changes", ("history", "diff")),
        Part(f"{_HERE}.edits", ("set", "delete", "rollback")),
        Part(f"{_HERE}.files", ("export", "import")),
        Part(f"{_HERE}.rollout", ("rollout",)),
        Part(f"{_HERE}.requests", ("requests", "approve")),
        Part(f"{_HERE}.programs", ("clients", "schema")),
        Part(f"{_HERE}.templates", ("template",)),
        Part(f"{_HERE}.keys", ("keys",)),
        Part(f"{_HERE}.audit", ("audit",)),
        Part(f"{_HERE}.verify", ("verify",)),
    ),
)
