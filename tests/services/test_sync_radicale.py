"""On a real server and a bad road, with workers that die: in the end both sides agree.

Nothing stands there twice, nothing is owed, nobody's appointment is gone, no
private event is touched, and whoever's change was written over had been heard.
"""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product, repeat
from multiprocessing.process import BaseProcess

import pytest
from flask import Flask
from hypothesis import settings

from sync_ui.config import Config
from sync_ui.domain.reconcile import Rule
from sync_ui.gateways.caldav import CalDav
from sync_ui.gateways.guarded import Guarded
from sync_ui.models import Direction, ProviderName, db
from sync_ui.services import appointments, proposals, sync
from sync_ui.services.providers import Login
from tests import one_pass
from tests.both_sides import BothSides
from tests.fault_proxy import Fault, Meeting, Proxy, When
from tests.one_pass import Death, Killed, dying
from tests.practice import ZONE, Clock, Practice
from tests.radicale import HOST, Radicale

PROFILE = settings.default
assert PROFILE is not None
MORE = max(1, PROFILE.max_examples // 100)
SEEDS = range(30 * MORE)
SEEDS_OF_PROCESSES = range(5 * MORE)
ENGINES = ["postgresql", "sqlcipher", "sqlcipher", "sqlcipher", "sqlcipher"]

STEPS = 24

# Seconds until a worker gives up on a server that says nothing.
PATIENCE = 0.5

ACTIONS = (
    *("work",) * 7,
    *("book", "move_here", "cancel_or_restore", "show_otherwise", "decide", "decide"),
    *("move_there", "move_there", "rename_there", "remove_there", "make_one_there"),
    *("meet_there", "meet_there"),
)


@pytest.fixture(scope="module")
def proxy(radicale: Radicale) -> Iterator[Proxy]:
    with Proxy(radicale.port).open() as opened:
        yield opened


@pytest.fixture
def config(request: pytest.FixtureRequest, config: Config) -> Config:
    return replace(config, allow_private_addresses=(HOST,))


Begin = Callable[..., BothSides]


@pytest.fixture
def begin(
    app: Flask, practice: Practice, now: Clock, proxy: Proxy, radicale: Radicale
) -> Iterator[Begin]:
    """Both sides as a seed makes them, four appointments booked and nothing written."""
    lines: list[Guarded] = []

    def opened(login: Login) -> CalDav:
        patience = PATIENCE if proxy.weather else 30.0
        line = Guarded([HOST], pause=patience)
        lines.append(line)
        return CalDav(line, login.server, login.name, login.credentials["password"], zone=ZONE)

    def make(
        seed: int = 0, direction: Direction = Direction.TWO_WAY, rule: Rule | None = None
    ) -> BothSides:
        app.extensions["providers"][ProviderName.CALDAV] = opened
        sides = BothSides(app, practice, now, proxy, radicale, random.Random(seed))
        sides.connect(direction, rule)
        for _ in range(4):
            sides.book()
        return sides

    proxy.begin()
    yield make
    for line in lines:
        line.close()
    proxy.begin()


def engine_of(seeds: range) -> pytest.MarkDecorator:
    pairs = [(ENGINES[seed % len(ENGINES)], seed) for seed in seeds]
    return pytest.mark.parametrize(("config", "seed"), pairs, indirect=["config"])


@pytest.mark.bar("S4")
@engine_of(SEEDS)
def test_both_sides_agree_in_the_end(app: Flask, begin: Begin, seed: int) -> None:
    """SECURITY S4."""
    sides = begin(seed)

    def take_over(_: str) -> None:
        """The worker hangs for so long that another one takes its place, and comes back then."""
        sides.now.move(minutes=4)

        def other() -> None:
            with app.app_context():
                sync.run(sides.id)

        late = threading.Thread(target=other)
        late.start()
        late.join()

    def work() -> None:
        chance = sides.chance
        sides.now.move(minutes=chance.choice([1, 4, 4, 90]))
        death = Death(chance.choice([0, 1, 1, 2, 2, 3, 5, 8]), chance.choice(list(When)))
        sides.proxy.weather = sides.weather() if chance.random() < 0.6 else None
        if chance.random() < 0.2:
            meeting = Meeting(chance.randrange(3), chance.choice(list(When)), take_over)
            sides.proxy.meetings.append(meeting)
        try:
            with dying(death if chance.random() < 0.3 else None):
                sync.run(sides.id)
        except Killed:
            db.session.remove()
        sides.proxy.weather = None
        sides.hear()

    play(sides, work)

    sides.settle(lambda: sync.run_until_done(sides.id))
    sides.check()
    agree_on_silence(sides)


def play(sides: BothSides, work: Callable[[], None]) -> None:
    acts: dict[str, Callable[[], None]] = {"work": work}
    for _ in range(STEPS):
        name = sides.chance.choice(ACTIONS)
        acts.get(name, getattr(sides, name, work))()


def agree_on_silence(sides: BothSides) -> None:
    """Where both sides agree, a further pass writes nothing."""
    tried = sides.proxy.tried
    assert sync.run_until_done(sides.id) is not None
    assert sides.proxy.tried == tried
    assert sides.owed() == []


@pytest.mark.bar("S4", "D9")
@pytest.mark.parametrize("config", ["sqlcipher"], indirect=True)
@pytest.mark.parametrize("change", ["move_there", "remove_there"])
@pytest.mark.parametrize("weather", [None, Fault.BAD_TOKEN])
def test_a_change_outside_is_heard_whatever_transaction_a_worker_dies_in(
    begin: Begin, change: str, weather: Fault | None
) -> None:
    sides = begin(rule=Rule.ASK)
    sync.run_until_done(sides.id)
    sides.proxy.weather = repeat(weather)
    deaths = 0

    for more, when in product(range(6), When):
        getattr(sides, change)()
        sides.now.move(minutes=4)
        try:
            with dying(Death(more, when)):
                sync.run(sides.id)
        except Killed:
            db.session.remove()
            deaths += 1
        sides.now.move(minutes=4)
        sync.run_until_done(sides.id)

        [question] = proposals.waiting(sides.practice.unlu)
        proposals.put_back(sides.practice.unlu, question.id)
        sync.run_until_done(sides.id)
        assert sides.there() == sides.here()

    assert deaths >= 6


# Workers in processes of their own


@pytest.mark.bar("S4", "D9")
@engine_of(SEEDS_OF_PROCESSES)
def test_workers_that_are_killed_do_no_harm(config: Config, begin: Begin, seed: int) -> None:
    """SECURITY S4."""
    sides = begin(seed)

    def work() -> None:
        chance = sides.chance
        sides.now.move(minutes=chance.choice([1, 4, 4, 90]))
        at = chance.randrange(6)
        when = chance.choice(list(When))
        how = chance.choice(["at a writing", "at a transaction", "two at once", "left alone"])
        death = Death(at, when) if how == "at a transaction" else None
        db.session.rollback()
        workers = [one_pass.start(config, sides.id, sides.now(), death)]
        if how == "two at once":
            workers.append(one_pass.start(config, sides.id, sides.now(), None))
        if how == "at a writing":
            kill_at(sides.proxy, workers[0], at % 3, when)
        for worker in workers:
            worker.join()
        sides.proxy.meetings.clear()
        assert {worker.exitcode for worker in workers} <= {0, -signal.SIGKILL}
        sides.hear()

    play(sides, work)

    sides.settle(lambda: sync.run_until_done(sides.id))
    sides.check()
    agree_on_silence(sides)


def kill_at(proxy: Proxy, worker: BaseProcess, more: int, when: When) -> None:
    def kill(_: str) -> None:
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        if when is When.BEFORE:
            raise ConnectionAbortedError  # what it had sent never arrives

    proxy.meetings.append(Meeting(more, when, kill))


@pytest.mark.bar("S4", "D9")
@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("config", ["sqlcipher"], indirect=True)
def test_a_worker_that_dies_before_and_after_each_writing_is_made_up_for(
    config: Config, begin: Begin, direction: Direction
) -> None:
    sides = begin(direction=direction)
    deaths = 0

    def die_at_each_writing() -> None:
        nonlocal deaths
        for when in When:
            sides.now.move(minutes=4)
            db.session.rollback()
            worker = one_pass.start(config, sides.id, sides.now(), None)
            kill_at(sides.proxy, worker, 0, when)
            worker.join()
            deaths += worker.exitcode == -signal.SIGKILL
            sides.proxy.meetings.clear()

    for _ in range(5):
        die_at_each_writing()
    sides.move_here()
    die_at_each_writing()
    sides.cancel_or_restore()
    die_at_each_writing()
    die_at_each_writing()

    assert deaths >= 12
    sides.settle(lambda: sync.run_until_done(sides.id))
    sides.check()
    agree_on_silence(sides)


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("config", ["sqlcipher"], indirect=True)
@pytest.mark.parametrize("how", ["its answer was lost", "the worker died over it"])
def test_what_was_cancelled_before_its_writing_was_known_does_not_stay(
    begin: Begin, direction: Direction, how: str
) -> None:
    sides = begin(direction=direction)
    death = None
    if how == "the worker died over it":
        death = Death(2 if direction is Direction.SEND_ONLY else 3, When.BEFORE)
    else:
        sides.proxy.weather = iter([None] * 3 + [Fault.CUT_AFTER] * 20 + [None] * 100)
    try:
        with dying(death):
            sync.run(sides.id)
    except Killed:
        db.session.remove()
    assert sides.there() != []

    for row in sides.rows():
        sides.cancelled.add(row.id)
        appointments.cancel(sides.practice.unlu, row.id)

    sides.settle(lambda: sync.run_until_done(sides.id))
    assert sides.there() == []
