"""What an exported calendar of ours says beside what every program understands.

An event has no words for who comes, for supervision or for a no-show. An export,
which is the practice's own and has full names anyway, says them in properties
of its own, so that our import makes of it what it was. A feed never does.
"""

import json
from dataclasses import dataclass

from sync_ui.domain import zones
from sync_ui.domain.event import Kind, Status
from sync_ui.domain.ics_lines import Component
from sync_ui.domain.ics_write import content_line
from sync_ui.domain.reading import one_line

PREFIX = "X-SYNC-CALENDAR-"

KINDS = {
    Kind.SESSION: "Session",
    Kind.MEETING: "Meeting",
    Kind.SUPERVISION: "Supervision",
    Kind.TIME_OFF: "Time off",
    Kind.OTHER: "Other",
}


@dataclass(frozen=True, slots=True)
class OwnWords:
    """An appointment's kind, status, title, zone (IANA) and clients: first, last name, ID."""

    kind: Kind
    status: Status
    zone: str
    title: str = ""
    clients: tuple[tuple[str, str, str], ...] = ()

    @property
    def summary(self) -> str:
        """“Jane Smith & Mark Smith”, else the title, else the kind."""
        names = " & ".join(f"{first} {last}".strip() for first, last, _ in self.clients)
        return names or self.title or KINDS[self.kind]


def write(words: OwnWords) -> str:
    """The lines for the event, line breaks included."""
    said = [("KIND", words.kind.value), ("STATUS", words.status.value), ("ZONE", words.zone)]
    if words.title:
        said.append(("TITLE", words.title))
    said += [("CLIENT", json.dumps(client, ensure_ascii=False)) for client in words.clients]
    return "".join(content_line(PREFIX + name, text) for name, text in said)


def read(component: Component) -> OwnWords | None:
    """What the event says of itself; None without such words, and where they are outdated.

    Another program may have renamed the event, or made another one of it, and
    kept the properties that it does not know.
    """
    try:
        words = OwnWords(
            kind=Kind(_text(component, "KIND")),
            status=Status(_text(component, "STATUS")),
            zone=zones.named(_text(component, "ZONE")) or "",
            title=_text(component, "TITLE"),
            clients=tuple(_client(each.text) for each in component.all(f"{PREFIX}CLIENT")),
        )
    except (ValueError, TypeError, RecursionError):
        return None
    summary = one_line(component.text("SUMMARY"))
    return words if words.zone and summary.endswith(one_line(words.summary)) else None


def _text(component: Component, name: str) -> str:
    return one_line(component.text(PREFIX + name))


def _client(text: str) -> tuple[str, str, str]:
    """Raises ValueError for what is no client."""
    first, last, internal_id = map(str, json.loads(text))
    if not one_line(first):
        raise ValueError
    return one_line(first), one_line(last), one_line(internal_id)
