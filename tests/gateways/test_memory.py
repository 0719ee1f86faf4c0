"""The provider in memory fulfils what the real ones do, and fails where a test says so."""

from dataclasses import replace

import pytest

from sync_ui.domain import outside_ics
from sync_ui.domain.outside import Entry, Expired, Later, SignedOut, Stale, Told
from sync_ui.domain.outside_ics import Place
from sync_ui.gateways.memory import Memory
from tests.gateways.contract import (
    BERLIN,
    COPY,
    MONDAY,
    OTHER,
    TUESDAY,
    WINDOW,
    Elsewhere,
    Personal,
    ProviderContract,
    as_ics,
)


class _Elsewhere:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def change(self, calendar_id: str, entry_id: str, told: Told) -> None:
        self._memory.edit(calendar_id, entry_id, told)

    def delete(self, calendar_id: str, entry_id: str) -> None:
        self._memory.delete(calendar_id, entry_id)

    def have(self, calendar_id: str, event: Personal) -> None:
        if event.mark:
            self._memory.edit(calendar_id, event.id, MONDAY, mark=event.mark)
            return
        place = Place(BERLIN, WINDOW.starts_at.date())
        spans = outside_ics.spans(as_ics(event), WINDOW, place, {"anna@practice.example"})
        self._memory.take_time(calendar_id, event.id, *spans or ())

    def delete_calendar(self, calendar_id: str) -> None:
        self._memory.delete_calendar(calendar_id)


@pytest.fixture
def memory() -> Memory:
    return Memory()


class TestMemory(ProviderContract):
    @pytest.fixture
    def provider(self, memory: Memory) -> Memory:
        return memory

    @pytest.fixture
    def elsewhere(self, memory: Memory) -> Elsewhere:
        return _Elsewhere(memory)


@pytest.fixture
def calendar_id(memory: Memory) -> str:
    return memory.make_calendar("Practice").id


def test_each_failure_is_met_once_and_before_anything_happens(
    memory: Memory, calendar_id: str
) -> None:
    memory.failing = [SignedOut("Sign in again."), Later("Not now.", 30)]

    with pytest.raises(SignedOut):
        memory.put(calendar_id, COPY, None)
    with pytest.raises(Later) as later:
        memory.changes(calendar_id, None)

    assert later.value.seconds == 30
    assert memory.entries(calendar_id) == {}
    assert memory.changes(calendar_id, None).entries == ()


def test_a_write_whose_answer_is_lost_has_happened(memory: Memory, calendar_id: str) -> None:
    memory.losing = 1

    with pytest.raises(Later):
        memory.put(calendar_id, COPY, None)

    etag = memory.entries(calendar_id)[COPY.id].etag
    assert memory.get(calendar_id, COPY.id) == Entry(
        id=COPY.id, etag=etag, mark=COPY.mark, told=MONDAY
    )

    memory.losing = 1
    with pytest.raises(Later):
        memory.remove(calendar_id, COPY.id, etag)
    assert memory.entries(calendar_id) == {}


def test_somebody_can_be_quicker_than_a_write(memory: Memory, calendar_id: str) -> None:
    etag = memory.put(calendar_id, COPY, None)

    def somebody() -> None:
        memory.edit(calendar_id, COPY.id, TUESDAY)

    memory.before_write = somebody
    with pytest.raises(Stale):
        memory.put(calendar_id, replace(COPY, told=replace(MONDAY, summary="A.B.")), etag)

    found = memory.entries(calendar_id)[COPY.id]
    assert found.told == TUESDAY
    assert memory.put(calendar_id, COPY, found.etag)


def test_forgotten_tokens_have_expired(memory: Memory, calendar_id: str) -> None:
    token = memory.changes(calendar_id, None).token
    assert memory.changes(calendar_id, token).entries == ()

    memory.forget_tokens()

    with pytest.raises(Expired):
        memory.changes(calendar_id, token)
    assert memory.changes(calendar_id, None).whole


def test_every_overwriting_is_remembered(memory: Memory, calendar_id: str) -> None:
    etag = memory.put(calendar_id, COPY, None)
    found = memory.get(calendar_id, COPY.id)
    memory.put(calendar_id, replace(COPY, told=TUESDAY), etag)
    memory.put(calendar_id, OTHER, None)

    assert memory.overwritten == [
        (calendar_id, None, COPY),
        (calendar_id, found, replace(COPY, told=TUESDAY)),
        (calendar_id, None, OTHER),
    ]
