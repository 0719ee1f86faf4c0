"""A connection of Dr. Ünlü's to a provider that lives in memory."""

from collections import defaultdict
from dataclasses import dataclass

from flask import Flask, current_app

from sync_ui import clock
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.outside import Entry, Told
from sync_ui.domain.reconcile import Rule
from sync_ui.gateways.memory import Memory
from sync_ui.models import Connection, Copy, Direction, ProviderName, Step, db
from sync_ui.services import connections, copies, providers, sync
from sync_ui.services.sync import Passed
from tests.practice import Practice


def keep_in_memory(app: Flask) -> None:
    """Every account outside is one in memory, by its user's name."""
    accounts_there: defaultdict[str, Memory] = defaultdict(Memory)
    openers = app.extensions["providers"]
    openers[ProviderName.CALDAV] = lambda login: accounts_there[login.name]


@dataclass
class Outside:
    """`there` is the account; `id` that of the connection."""

    there: Memory
    id: int
    calendar_id: str

    @property
    def row(self) -> Connection:
        db.session.rollback()
        return db.session.get_one(Connection, self.id)

    def pass_(self) -> Passed:
        """Passes until nothing more is owed; fails the test if one had trouble."""
        passed = sync.run_until_done(self.id)
        assert passed is not None
        assert passed.trouble == ""
        return passed

    def entries(self) -> dict[str, Entry]:
        return self.there.entries(self.calendar_id)

    def summaries(self) -> list[str]:
        found = [entry.told for entry in self.entries().values() if entry.told]
        return sorted(told.summary for told in found)

    def id_of(self, uid: str) -> str:
        return copies.entry_id(self.row.calendar.uid, uid)

    def told(self, uid: str) -> Told:
        found = self.entries()[self.id_of(uid)].told
        assert found is not None
        return found

    def copies(self) -> list[Copy]:
        db.session.rollback()
        return list(copies.known(db.session(), self.id).values())

    def log(self) -> list[tuple[str, int]]:
        """The oldest first."""
        db.session.rollback()
        wanted = db.session.query(Step).filter_by(connection_id=self.id).order_by(Step.id)
        return [(step.word, step.count) for step in wanted]


def use(app: Flask, there: Memory) -> None:
    """Every CalDAV account is this one."""
    app.extensions["providers"][ProviderName.CALDAV] = lambda _: there


def connect(
    practice: Practice,
    there: Memory,
    direction: Direction = Direction.TWO_WAY,
    mode: DisplayMode = DisplayMode.INITIALS,
    rule: Rule = Rule.ASK,
    busy: tuple[str, ...] = (),
) -> Outside:
    """Connected and begun; nothing is written yet."""
    use(current_app._get_current_object(), there)  # type: ignore[attr-defined]
    login = providers.caldav_login("https://dav.example.com", "unlu", "a password of the app")
    account = providers.look_around(login)
    made = connections.connect(
        practice.unlu,
        practice.unlus_calendar,
        account,
        direction,
        mode,
        rule=rule,
        busy_ids=busy,
        confirmed=True,
    )
    assert made.next_at == clock.now()
    connections.start(practice.unlu, made.id)
    return Outside(there, made.id, made.outside_id)
