import pytest

from sync_ui.domain.roles import Permission, Role, may

EVERYONE = set(Role)
OFFICE = {Role.ADMINISTRATOR, Role.SCHEDULER}
ADMINISTRATOR = {Role.ADMINISTRATOR}

WHO = {
    Permission.OWN_SCHEDULE: EVERYONE,
    Permission.OWN_LINKS: EVERYONE,
    Permission.OWN_CLIENTS: EVERYONE,
    Permission.EVERY_SCHEDULE: OFFICE,
    Permission.EVERY_LINK: OFFICE,
    Permission.EVERY_CLIENT: OFFICE,
    Permission.IMPORTS: OFFICE,
    Permission.PEOPLE: ADMINISTRATOR,
    Permission.SETTINGS: ADMINISTRATOR,
}


@pytest.mark.bar("Z1")
@pytest.mark.parametrize("permission", Permission)
def test_each_permission_belongs_to_these_roles_and_no_others(permission: Permission) -> None:
    assert {role for role in Role if may(role, permission)} == WHO[permission]


def test_no_permission_is_forgotten_here() -> None:
    assert set(WHO) == set(Permission)


@pytest.mark.parametrize("permission", Permission)
def test_a_permission_names_a_thing_and_an_action(permission: Permission) -> None:
    thing, action = permission.split(":")

    assert thing
    assert action in {"read", "write"}
