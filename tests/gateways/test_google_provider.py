"""Google fulfils what every provider has to: documented behaviour, not verified against Google."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from sync_ui.domain import outside_ics
from sync_ui.domain.outside import OutsideCalendar, Told
from sync_ui.domain.outside_ics import Place
from sync_ui.gateways.google import Google
from sync_ui.gateways.google_events import MARK
from tests.gateways.contract import (
    BERLIN,
    WINDOW,
    Elsewhere,
    Personal,
    ProviderContract,
    as_ics,
)
from tests.gateways.scripted_google import ScriptedGoogle


class _Elsewhere:
    """The account in Google's own pages."""

    def __init__(self, server: ScriptedGoogle) -> None:
        self._server = server

    def change(self, calendar_id: str, entry_id: str, told: Told) -> None:
        self._server.somebody_writes(
            self._server.calendars[calendar_id],
            entry_id,
            start=_when(told.starts),
            end=_when(told.ends),
            summary=told.summary,
            location=told.location,
            description=told.description,
        )

    def delete(self, calendar_id: str, entry_id: str) -> None:
        self._server.somebody_removes(self._server.calendars[calendar_id], entry_id)

    def have(self, calendar_id: str, event: Personal) -> None:
        for entry_id, times in _turns(event).items():
            self._server.somebody_writes(
                self._server.calendars[calendar_id],
                entry_id,
                **times,
                summary="Dentist",
                status="cancelled" if event.cancelled else "confirmed",
                transparency="transparent" if event.free else "opaque",
                attendees=[{"self": True, "responseStatus": "declined"}] if event.declined else [],
                extendedProperties={"private": {MARK: event.mark} if event.mark else {}},
            )

    def delete_calendar(self, calendar_id: str) -> None:
        del self._server.calendars[calendar_id]


def _when(moment: datetime | date) -> dict[str, str]:
    if not isinstance(moment, datetime):
        return {"date": moment.isoformat()}
    there = moment.astimezone(ZoneInfo(BERLIN)) if moment.tzinfo else moment
    told = there.replace(tzinfo=ZoneInfo(BERLIN))
    return {"dateTime": told.isoformat(), "timeZone": BERLIN}


def _turns(event: Personal) -> dict[str, dict[str, dict[str, str]]]:
    """When it takes place, by the id of each turn: Google repeats the event, the script cannot."""
    if not event.rule:
        return {event.id: {"start": _when(event.starts), "end": _when(event.ends)}}
    place = Place(BERLIN, WINDOW.starts_at.date())
    spans = outside_ics.spans(as_ics(event), WINDOW, place, ())
    return {
        f"{event.id}_{span.starts_at:%Y%m%dT%H%M%SZ}": {
            "start": _when(span.starts_at),
            "end": _when(span.ends_at),
        }
        for span in spans or ()
    }


class TestGoogle(ProviderContract):
    @pytest.fixture
    def provider(self, google: Google) -> Google:
        return google

    @pytest.fixture
    def elsewhere(self, google_server: ScriptedGoogle) -> Elsewhere:
        return _Elsewhere(google_server)

    @pytest.fixture
    def calendar(self, google: Google) -> OutsideCalendar:
        return google.make_calendar("Dr. Weber & Söhne <Praxis>", BERLIN)
