"""Commands: the same services, for scripts and for whoever runs the host.

Each prints one result on stdout, errors on stderr with an exit code, and asks
nothing when its input is no terminal.
"""

from flask import Flask

from sync_ui.cli import (
    appointments,
    audit,
    backups,
    connections,
    keys,
    links,
    network,
    serving,
    users,
)

COMMANDS = (
    serving.serve,
    serving.work,
    serving.fill_demo,
    serving.check_health,
    users.user,
    audit.audit,
    network.network,
    appointments.appointments_group,
    links.link,
    connections.connection,
    keys.keys_group,
    backups.backup,
    backups.restore,
)


def register_commands(app: Flask) -> None:
    for command in COMMANDS:
        app.cli.add_command(command)
