"""How guessing is slowed down: tries are counted before anything is verified.

So a thousand tries at once count as a thousand. What is counted never hangs on
words that the visitor chooses alone: whoever changes the address typed is still
counted by network.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete

from sync_ui import clock
from sync_ui.errors import Throttled
from sync_ui.models import SignInFailure, db, transaction

LONGEST_WAIT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Counter:
    """`free` failures cost nothing; then each doubles the wait, up to the `longest`.

    One failure is forgotten whenever `forgets` has passed without another.
    `shared`: others are counted by it, so that one who succeeds takes back
    no more than their own try.
    """

    digest: str
    free: int
    forgets: timedelta = timedelta(days=1)
    shared: bool = False
    longest: timedelta = LONGEST_WAIT


def stranger(email: str, network: str) -> list[Counter]:
    """A sign-in of a browser that nobody knows: by address and network, and by each alone."""
    return [
        Counter(_digest("pair", email, network), free=5),
        Counter(_digest("account", email), free=50, forgets=timedelta(minutes=5)),
        Counter(_digest("network", network), free=50, forgets=timedelta(minutes=1), shared=True),
    ]


def known_device(user_id: int, device: str) -> list[Counter]:
    """A sign-in of a browser that the user has signed in on: what strangers do counts elsewhere."""
    return [Counter(_digest("device", str(user_id), device), free=5)]


def confirming(user_id: int) -> list[Counter]:
    """Showing the password or a passkey again, within a session."""
    return [Counter(_digest("confirming", str(user_id)), free=5)]


def second_step(user_id: int) -> list[Counter]:
    """An app's code, wherever it comes from: 24 tries a day, of a million."""
    return [Counter(_digest("second step", str(user_id)), free=5, longest=timedelta(hours=1))]


def recovery(half: str) -> Counter:
    """A recovery code, by the half session's digest.

    Nobody guesses one, so its owner gets in, whoever else tries: a new half session tries anew.
    """
    return Counter(_digest("recovery", half), free=10)


def asking_passkeys(session: str) -> Counter:
    """Asking for a passkey at the second step or again later, by the session's digest."""
    return Counter(_digest("asking passkeys", session), free=10)


def passkeys(network: str) -> Counter:
    """Asking for a passkey alone, and answering: strangers leave rows behind with both."""
    minute = timedelta(minutes=1)
    return Counter(_digest("passkeys", network), free=30, forgets=minute, shared=True)


def asking(network: str) -> Counter:
    """Asking for a mail because a password is forgotten."""
    minutes = timedelta(minutes=5)
    return Counter(_digest("asking", network), free=10, forgets=minutes, shared=True)


def new_address(user_id: int) -> Counter:
    """Asking for a letter to a new address of one's own, which may be a stranger's.

    Not forty on the first day, and about twenty on each that follows.
    """
    return Counter(_digest("new address", str(user_id)), free=5, longest=timedelta(hours=2))


def take(counters: Sequence[Counter]) -> None:
    """One more try is counted. Raises Throttled, and then counts nothing."""
    _check(counters)  # without the writers' lock: whoever has to wait holds up nobody
    with transaction() as session:
        _check(counters)
        now = clock.now()
        for counter in counters:
            row = session.get(SignInFailure, counter.digest)
            if row is None:
                session.add(SignInFailure(digest=counter.digest, count=1, last_at=now))
            else:
                row.count, row.last_at = _count(row, counter, now) + 1, now


def forgive(counters: Sequence[Counter]) -> None:
    """In the transaction under way: the try was right."""
    for counter in counters:
        row = db.session.get(SignInFailure, counter.digest)
        if row is not None and counter.shared:
            row.count = max(row.count - 1, 0)
    own = [counter.digest for counter in counters if not counter.shared]
    db.session.execute(delete(SignInFailure).where(SignInFailure.digest.in_(own)))


def _check(counters: Sequence[Counter]) -> None:
    now = clock.now()
    for counter in counters:
        row = db.session.get(SignInFailure, counter.digest, populate_existing=True)
        if row is None:
            continue
        over = _count(row, counter, now) - counter.free
        # A clock that was set back makes nobody wait.
        if over >= 0 and row.last_at <= now < row.last_at + _wait(over, counter):
            raise Throttled("Too many failed tries. Wait a few minutes and try again.")


def _wait(over: int, counter: Counter) -> timedelta:
    return min(timedelta(seconds=2 ** min(over, 12)), counter.longest)


def _count(row: SignInFailure, counter: Counter, now: datetime) -> int:
    return max(row.count - max(now - row.last_at, timedelta()) // counter.forgets, 0)


def _digest(*words: str) -> str:
    return hashlib.sha256(" ".join(words).encode("utf-8", "surrogatepass")).hexdigest()
