"""Check my link: the server reads its own public address as calendar apps would."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from threading import Lock
from typing import Self, TypeVar
from urllib.parse import urlsplit

from sync_ui import clock
from sync_ui.domain import fetching, reach
from sync_ui.domain.fetching import APPLE, CALLERS, GOOGLE, ICSX5, THUNDERBIRD, Caller
from sync_ui.domain.reach import Answer, Finding, Heard, Silence, Trouble
from sync_ui.errors import Throttled
from sync_ui.gateways.public import CHUNK, Public
from sync_ui.models import db
from sync_ui.models.installation import current
from sync_ui.services import access, links, visits
from sync_ui.services.access import Actor

SECONDS = 10.0
CALLS_AT_ONCE = 8

# The largest practice's feed has some 20 MB.
MOST_BYTES = 32 * 1024 * 1024

# Stands for a link where none is needed; no token has such a form.
NO_LINK = "/cal/check/calendar.ics"

T = TypeVar("T")

# One check at a time: each reads the feed ten times over.
_checking = Lock()


def check(actor: Actor, link_id: int) -> list[Finding]:
    """What Apple, Google, Outlook, Thunderbird and ICSx⁵ meet when they read this link.

    Takes up to ten seconds and counts as no visit. Raises NotFound, Conflict
    for a dead link, Throttled while another check is under way.
    """
    link = access.link(actor, link_id)
    links.require_live(link)
    address = links.address(link)
    assert address is not None
    sign = {visits.CHECK_HEADER: visits.check_header()}
    db.session.rollback()  # nothing is held open while others are called
    if not _checking.acquire(blocking=False):
        raise Throttled("Another check is under way. Try again in a few seconds.")
    try:
        return _found(address, sign)
    finally:
        _checking.release()


def outside() -> list[Finding]:
    """What can be told without any link: name, certificate, redirect, robots.txt, clock."""
    db.session.rollback()
    return _found()


def _found(address: str = "", sign: Mapping[str, str] | None = None) -> list[Finding]:
    """Of the server; and of the link, if there is an address."""
    public = Public(current().config.base_url, SECONDS)
    example = reach.examples(public.host)
    if example is not None:
        return [example]
    with _Calls(public) as calls:
        found, answers = _way(public, calls)
        # Whoever answers with a wrong certificate is not certain to be us.
        if answers:
            found += _front(public, calls)
        if answers and address:
            found += _feed(public, calls, address, sign or {})
    return reach.together(found)


class _Calls:
    """Calls that run side by side and end together, by the deadline of `public`."""

    def __init__(self, public: Public) -> None:
        self._public = public
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="check")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._public.hang_up()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def all(self, *calls: Callable[[], T]) -> list[T | Silence]:
        """What each came to, in order; one that is late is a silence."""
        running: list[Future[T]] = [self._pool.submit(call) for call in calls]
        wait(running, timeout=self._public.seconds_left)
        late = Silence(Trouble.LATE)
        return [future.result() if future.done() else late for future in running]


def _way(public: Public, calls: _Calls) -> tuple[list[Finding], bool]:
    """Where the name leads, and whether anyone answers there."""
    named = calls.all(public.addresses)[0]
    addresses = [] if isinstance(named, Silence) else named
    dialled = calls.all(*(partial(public.dial, at) for at in addresses))
    now = clock.now()
    found = [
        reach.name_found(public.host, addresses),
        *reach.who_reaches(public.host, addresses, secure=public.secure),
        *(reach.connected(at, heard, now) for at, heard in zip(addresses, dialled, strict=True)),
    ]
    return found, any(not isinstance(heard, Silence) for heard in dialled)


def _front(public: Public, calls: _Calls) -> list[Finding]:
    """What stands before the feed; no secret leaves for it."""
    asked = f"{current().config.base_url}{NO_LINK}"
    questions = [partial(public.ask, "/robots.txt", GOOGLE.headers)]
    if public.secure:
        questions.append(partial(public.ask_plainly, NO_LINK, THUNDERBIRD.headers))
    robots, *plain = calls.all(*questions)
    timed = fetching.clock(robots, clock.now())
    return [
        fetching.robots(robots, asked),
        *(fetching.webcal(heard, asked) for heard in plain),
        *([timed] if timed else []),
    ]


def _feed(public: Public, calls: _Calls, address: str, sign: Mapping[str, str]) -> list[Finding]:
    """As each app reads it; then once more, unchanged."""
    path = urlsplit(address).path

    def ask(caller: Caller, method: str = "GET", **more: str) -> Callable[[], Heard]:
        most = MOST_BYTES if caller is GOOGLE and method == "GET" else CHUNK
        return partial(
            public.ask, path, {**caller.headers, **sign, **more}, method=method, most=most
        )

    head, *reads = calls.all(ask(THUNDERBIRD, "HEAD"), *(ask(caller) for caller in CALLERS))
    found = [fetching.length(address)]
    found += [fetching.read(*each, address) for each in zip(CALLERS, reads, strict=True)]
    google = reads[CALLERS.index(GOOGLE)]
    if not isinstance(google, Answer) or not fetching.is_calendar(google):
        return found
    etag, modified = (google.headers.get(name, "") for name in ("etag", "last-modified"))
    validators = (
        (THUNDERBIRD, "ETag", {"If-None-Match": etag}),
        (APPLE, "Last-Modified", {"If-Modified-Since": modified}),
        (ICSX5, "both", {"If-None-Match": etag, "If-Modified-Since": modified}),
    )
    again = calls.all(*(ask(caller, **sent) for caller, _, sent in validators))
    return [
        *found,
        *fetching.whole(google),
        fetching.head(head),
        *(
            fetching.unchanged(caller, validator, google, all(sent.values()), heard)
            for (caller, validator, sent), heard in zip(validators, again, strict=True)
        ),
    ]
