"""What pages say of connections: how they fare, and which of them need somebody."""

from sync_ui.domain import servers
from sync_ui.models import Calendar, Connection, ConnectionState, Direction, ProviderName
from sync_ui.services import connections, links
from sync_ui.services.access import Actor
from sync_ui.services.sync import NEED_SOMEBODY

DIRECTIONS = {Direction.TWO_WAY: "Two-Way Sync", Direction.SEND_ONLY: "Send only"}

# Words, and the tone of the dot beside them.
WORDS = {
    ConnectionState.NEW: ("Not started yet", "none"),
    ConnectionState.WORKING: ("Works", "good"),
    ConnectionState.STOPPED: ("Stopped until you answer", "bad"),
    ConnectionState.SIGNED_OUT: ("Needs signing in again", "bad"),
    ConnectionState.LOST: ("Its calendar is gone", "bad"),
    ConnectionState.LEAVING: ("Removing what was written", "warn"),
    ConnectionState.ENDED: ("Disconnected", "none"),
}


def state(connection: Connection) -> tuple[str, str]:
    """In words, and in a tone of `ui.status`."""
    if connection.state is ConnectionState.WORKING and connection.failures:
        return "Trying again", "warn"
    if connection.state is ConnectionState.WORKING and connection.succeeded_at is None:
        return "Starting", "warn"
    return WORDS[connection.state]


def place(connection: Connection) -> str:
    """`iCloud`, `Google` or the server's name."""
    if connection.provider is ProviderName.GOOGLE:
        return "Google"
    return servers.name_of(connection.server)


def about(calendar: Calendar) -> dict[str, object]:
    """What Sync Calendar shows of the calendar's connections."""
    found = connections.of_calendar(calendar.id, ended=True)
    over = [each for each in found if each.state is ConnectionState.ENDED]
    return in_words() | {
        "connections": [each for each in found if each not in over],
        "earlier": over,
        "in_need": [each for each in found if each.state in NEED_SOMEBODY],
    }


def in_need(actor: Actor) -> dict[str, object]:
    """The actor's own connections that need somebody; those of others have pages of their own."""
    found = [
        each
        for each in connections.manageable(actor)
        if each.state in NEED_SOMEBODY and each.calendar.clinician_id == actor.clinician_id
    ]
    return in_words() | {"in_need": found}


def by_calendar(actor: Actor) -> dict[str, object]:
    """The connections that are not over, of each calendar (by its id) of the actor's."""
    found: dict[int, list[Connection]] = {}
    for each in connections.manageable(actor):
        if each.state is not ConnectionState.ENDED:
            found.setdefault(each.calendar_id, []).append(each)
    return in_words() | {"connected": found}


def in_words() -> dict[str, object]:
    """What templates call to speak of a connection."""
    return {
        "connection_state": state,
        "connection_place": place,
        "directions": DIRECTIONS,
        "calendar_key": links.key,
    }
