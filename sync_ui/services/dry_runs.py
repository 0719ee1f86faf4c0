"""What a first pass would do, before anything is written."""

from dataclasses import dataclass

from sync_ui import clock
from sync_ui.domain.reconcile import Owed
from sync_ui.services import busy, connections, copies, providers
from sync_ui.services.access import Actor
from sync_ui.services.providers import ask
from sync_ui.services.push import duties


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would happen, if nothing changed until then.

    `foreign` entries stand in the calendar that is written to and stay as they
    are; `all_day` ones of the busy calendars are skipped.
    """

    write: int
    remove: int
    foreign: int
    busy: int
    all_day: int


def dry_run(actor: Actor, connection_id: int) -> DryRun:
    """What a first pass would do; nothing is written, here or there. Raises Unavailable."""
    connection = connections.one(actor, connection_id)
    calendar_id, mark = connection.outside_id, copies.mark(connection.calendar)
    ticked = [each.outside_id for each in connection.busy_calendars]
    window = busy.window_of(connection)
    owed = duties(connection, copies.wanted(connection, clock.now()))
    with providers.calling(connection) as provider:
        there = ask(lambda: provider.changes(calendar_id, None)).entries
        spans = [
            span
            for outside_id in ticked
            for found in ask(lambda: provider.busy(outside_id, None, window)).spans.values()  # noqa: B023 - called at once
            for span in found
        ]
    standing = {entry.id: entry.told and entry.told.digest for entry in there}
    all_day = sum(span.all_day for span in spans)
    return DryRun(
        write=sum(
            duty.told is not None and standing.get(duty.entry_id) != duty.told.digest
            for duty in owed
        ),
        remove=sum(duty.owed is Owed.REMOVE for duty in owed),
        foreign=sum(entry.mark != mark for entry in there),
        busy=len(spans) - all_day,
        all_day=all_day,
    )
