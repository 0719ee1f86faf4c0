"""Who is signed in: Flask-Login over the sessions that the server keeps."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import Flask, redirect, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user
from htmx_flask import make_response
from htmx_flask import request as htmx_request
from werkzeug.wrappers import Response

from sync_ui.domain.roles import Permission, Role
from sync_ui.errors import Unavailable
from sync_ui.models import User
from sync_ui.services import access, practice, sessions
from sync_ui.services import signing as signing_service
from sync_ui.services.access import Actor
from sync_ui.web import devices, security

P = ParamSpec("P")
R = TypeVar("R")


# Where the cookie keeps a half session, apart from what Flask-Login reads.
HALF = "half"


class SignedIn(UserMixin):
    """The user behind a session. The cookie holds the session's secret, no user's id."""

    def __init__(self, secret: str, user: User) -> None:
        self.id = secret
        self.actor = access.actor_for(user)
        self.user_id = user.id
        self.name = user.name
        self.email = user.email
        self.role: Role = user.role


def init_app(app: Flask) -> None:
    manager = LoginManager(app)
    manager.session_protection = None  # the server ends sessions, not a changed address
    manager.user_loader(_load)
    manager.unauthorized_handler(_ask_to_sign_in)
    app.before_request(_note_use)
    app.after_request(devices.remember)


def sign_in(
    email: str, password: str, network: str, *, second_factor_at: datetime | None = None
) -> None:
    """Raises Invalid or Throttled; otherwise this browser has a new session.

    A half one, if the user has a second factor and has not shown it; see `half`.
    """
    secret = signing_service.sign_in(
        email,
        password,
        network,
        devices=devices.known(),
        second_factor_at=second_factor_at,
        seat=security.seat(),
    )
    keep(secret)


def keep(secret: str) -> None:
    """This browser has the session of this secret, and nothing of any other."""
    session.clear()
    user = _load(secret)
    if user is None:
        session[HALF] = secret
    else:
        login_user(user)


def half() -> str | None:
    """The secret of this browser's session, if it owes the second step."""
    secret: str = session.get(HALF, "")
    return secret if secret and sessions.half(secret) else None


def actor() -> Actor:
    found: Actor = current_user.actor
    return found


def guard(permission: Permission) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The view is for signed-in users with this permission."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if not current_user.is_authenticated:
                return _ask_to_sign_in()  # type: ignore[return-value]
            access.require(actor(), permission)
            return view(*args, **kwargs)

        return guarded

    return decorate


def _load(secret: str) -> SignedIn | None:
    user = sessions.signed_in(secret)
    return SignedIn(secret, user) if user else None


def _note_use() -> None:
    """Only what a person does keeps the session awake, not a page that refreshes itself."""
    asks = request.endpoint not in {
        None,
        "static",
        "health.health",
        "google.notify",
        "accounts.state",
    }
    by_hand = request.blueprint != "feeds" and "X-Background" not in request.headers
    if asks and by_hand and current_user.is_authenticated:
        with suppress(Unavailable):  # what cannot be written must not keep a page from being read
            sessions.seen(current_user.id)


def _ask_to_sign_in() -> Response:
    if not practice.is_set_up():
        return redirect(url_for("setup.begin"))
    here = request.full_path.rstrip("?") if request.method == "GET" else ""
    page = "second_step.ask" if half() else "accounts.sign_in"
    if htmx_request.htmx:
        return lead_away(url_for(page), 401)
    return redirect(url_for(page, next=here or None))


def lead_away(target: str, status: int) -> Response:
    """The whole page goes there: it would otherwise be swapped into a part of the page."""
    answer: Response = make_response("", status, redirect=target)
    return answer
