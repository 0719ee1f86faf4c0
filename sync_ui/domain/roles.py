"""Who may do what: one table."""

from enum import StrEnum


class Role(StrEnum):
    ADMINISTRATOR = "administrator"
    SCHEDULER = "scheduler"
    CLINICIAN = "clinician"


class Permission(StrEnum):
    """`thing:action`; what is one's own needs no permission, only a role that has it."""

    OWN_SCHEDULE = "own_schedule:write"
    EVERY_SCHEDULE = "every_schedule:write"
    OWN_LINKS = "own_links:write"
    EVERY_LINK = "every_link:write"
    OWN_CLIENTS = "own_clients:read"
    EVERY_CLIENT = "every_client:write"
    IMPORTS = "imports:write"
    PEOPLE = "people:write"
    SETTINGS = "settings:write"


_CLINICIAN = frozenset({Permission.OWN_SCHEDULE, Permission.OWN_LINKS, Permission.OWN_CLIENTS})
_SCHEDULER = _CLINICIAN | {
    Permission.EVERY_SCHEDULE,
    Permission.EVERY_LINK,
    Permission.EVERY_CLIENT,
    Permission.IMPORTS,
}

_TABLE: dict[Role, frozenset[Permission]] = {
    Role.CLINICIAN: _CLINICIAN,
    Role.SCHEDULER: _SCHEDULER,
    Role.ADMINISTRATOR: _SCHEDULER | {Permission.PEOPLE, Permission.SETTINGS},
}


def may(role: Role, permission: Permission) -> bool:
    return permission in _TABLE[role]
