"""A provider that lives in memory: for tests of the engine, as strict as the real ones.

Its etags change with every change and its tokens tell everything since. What
happens behind our back is told to it by `edit`, `delete` and `take_time`; what
goes wrong by the switches.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

from sync_ui.domain.outside import (
    Busy,
    Changes,
    Copy,
    Entry,
    Expired,
    Later,
    Missing,
    OutsideCalendar,
    Span,
    Stale,
    Told,
    Trouble,
    Window,
)

# No two calendars have one id, as with real providers, whosever account they are in.
_numbers = count(1)

CHANGED = "The entry has been changed elsewhere."


@dataclass(slots=True)
class _Calendar:
    """`changed` is when (a number) each entry was changed last, those that are gone too."""

    name: str
    writable: bool = True
    entries: dict[str, Entry] = field(default_factory=dict)
    spans: dict[str, tuple[Span, ...]] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)


class Memory:
    """Fulfils `Provider`.

    Switches: each of `failing` is raised by one call that comes, before it does
    anything. With `losing` a number of writes happen and then seem to have
    failed. `called` is called with every call, `before_write` once, before the next
    write. `overwritten`
    lists what every write found and what it put there, None for nothing.
    """

    def __init__(self) -> None:
        self.failing: list[Trouble] = []
        self.losing = 0
        self.called: Callable[[], object] = lambda: None
        self.before_write: Callable[[], object] | None = None
        self.overwritten: list[tuple[str, Entry | None, Copy | None]] = []
        self.calls = 0
        self._calendars: dict[str, _Calendar] = {}
        self._generation = 0
        self._now = 0

    # What happens there without us

    def edit(
        self, calendar_id: str, entry_id: str, told: Told | None, *, mark: str | None = None
    ) -> str:
        """Somebody makes or changes an entry; returns its new etag. Ours keeps its mark."""
        calendar = self._calendars[calendar_id]
        known = calendar.entries.get(entry_id)
        if mark is None:
            mark = known.mark if known else ""
        return self._set(calendar, Entry(id=entry_id, etag="", mark=mark, told=told))

    def delete(self, calendar_id: str, entry_id: str) -> None:
        self._drop(self._calendars[calendar_id], entry_id)

    def take_time(self, calendar_id: str, entry_id: str, *spans: Span) -> None:
        """An event of somebody's takes these times, instead of those that it took."""
        self.edit(calendar_id, entry_id, None)
        self._calendars[calendar_id].spans[entry_id] = spans

    def delete_calendar(self, calendar_id: str) -> None:
        del self._calendars[calendar_id]

    def forget_tokens(self) -> None:
        """No token given so far is good any more."""
        self._generation += 1

    def entries(self, calendar_id: str) -> dict[str, Entry]:
        """All that stands there, by id, without any call to fail."""
        return dict(self._calendars[calendar_id].entries)

    # Provider

    def calendars(self) -> list[OutsideCalendar]:
        self._called()
        return [
            OutsideCalendar(id=calendar_id, name=calendar.name, writable=calendar.writable)
            for calendar_id, calendar in self._calendars.items()
        ]

    def make_calendar(self, name: str) -> OutsideCalendar:
        self._called()
        self._now += 1
        made = OutsideCalendar(id=f"memory-{next(_numbers)}", name=name, writable=True)
        self._calendars[made.id] = _Calendar(name)
        return made

    def changes(self, calendar_id: str, token: str | None) -> Changes:
        calendar = self._open(calendar_id)
        changed = self._since(calendar, token)
        return Changes(
            entries=tuple(calendar.entries[each] for each in changed if each in calendar.entries),
            gone=() if token is None else self._gone(calendar, changed),
            token=self._token(),
            whole=token is None,
        )

    def get(self, calendar_id: str, entry_id: str) -> Entry | None:
        return self._open(calendar_id).entries.get(entry_id)

    def put(self, calendar_id: str, copy: Copy, etag: str | None) -> str:
        calendar = self._open_to_write(calendar_id)
        known = calendar.entries.get(copy.id)
        if (known.etag if known else None) != etag:
            raise Stale(CHANGED)
        self.overwritten.append((calendar_id, known, copy))
        written = self._set(calendar, Entry(id=copy.id, etag="", mark=copy.mark, told=copy.told))
        self._answered()
        return written

    def remove(self, calendar_id: str, entry_id: str, etag: str | None) -> None:
        calendar = self._open_to_write(calendar_id)
        known = calendar.entries.get(entry_id)
        if known is None:
            return
        if etag is not None and known.etag != etag:
            raise Stale(CHANGED)
        self.overwritten.append((calendar_id, known, None))
        self._drop(calendar, entry_id)
        self._answered()

    def busy(self, calendar_id: str, token: str | None, window: Window) -> Busy:
        calendar = self._open(calendar_id)
        changed = self._since(calendar, token)
        spans = {
            each: tuple(
                span
                for span in calendar.spans.get(each, ())
                if span.starts_at < window.ends_at and span.ends_at > window.starts_at
            )
            for each in changed
            if each in calendar.entries and not calendar.entries[each].mark
        }
        whole = token is None
        return Busy(
            spans={each: found for each, found in spans.items() if found or not whole},
            gone=() if whole else self._gone(calendar, changed),
            token=self._token(),
            whole=whole,
        )

    # Inside

    def _called(self) -> None:
        self.calls += 1
        self.called()
        if self.failing:
            raise self.failing.pop(0)

    def _open(self, calendar_id: str) -> _Calendar:
        self._called()
        if calendar_id not in self._calendars:
            raise Missing("The calendar is no longer there. Choose another one.")
        return self._calendars[calendar_id]

    def _open_to_write(self, calendar_id: str) -> _Calendar:
        calendar = self._open(calendar_id)
        happens, self.before_write = self.before_write, None
        if happens is not None:
            happens()
        return calendar

    def _answered(self) -> None:
        if self.losing:
            self.losing -= 1
            raise Later("The answer was lost.")

    def _set(self, calendar: _Calendar, entry: Entry) -> str:
        self._now += 1
        calendar.entries[entry.id] = replace(entry, etag=f'"{self._now}"')
        calendar.changed[entry.id] = self._now
        calendar.spans.pop(entry.id, None)
        return calendar.entries[entry.id].etag

    def _drop(self, calendar: _Calendar, entry_id: str) -> None:
        self._now += 1
        calendar.entries.pop(entry_id, None)
        calendar.spans.pop(entry_id, None)
        calendar.changed[entry_id] = self._now

    def _token(self) -> str:
        return f"{self._generation}-{self._now}"

    def _since(self, calendar: _Calendar, token: str | None) -> list[str]:
        """What has changed since, in order. Raises Expired for a token that is not ours."""
        if token is None:
            return list(calendar.entries)
        generation, _, since = token.partition("-")
        if generation != str(self._generation) or not since.isdigit():
            raise Expired("What was read last is no longer known. Everything is read again.")
        return [each for each, at in calendar.changed.items() if at > int(since)]

    @staticmethod
    def _gone(calendar: _Calendar, changed: list[str]) -> tuple[str, ...]:
        return tuple(sorted(each for each in changed if each not in calendar.entries))
