"""The application for commands that mend an installation which may not be fit to start."""

from collections.abc import Sequence

from flask import Flask

from sync_ui.cli import backups, keys

COMMANDS = (keys.keys_group, backups.restore)

# How each is called, behind `flask`.
CALLS = (("keys", "enter"), ("restore",))


def is_called(words: Sequence[str]) -> bool:
    """Whether the command line asks for one of them."""
    return any(tuple(words[1 : 1 + len(call)]) == call for call in CALLS)


def make() -> Flask:
    """No database is opened and nothing is made; these commands do so by themselves."""
    app = Flask("sync_ui")
    for command in COMMANDS:
        app.cli.add_command(command)
    return app
