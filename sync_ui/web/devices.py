"""Browsers on which somebody has signed in before: a stranger's failures do not lock them out.

The cookie says which users these were, each with a random word that failures are
counted by. It is signed, and good for nothing else: no session, no page.
"""

from flask import Response, current_app, g, request
from flask_login import current_user
from itsdangerous import BadSignature, URLSafeSerializer

from sync_ui.domain import tokens

KEPT = 400 * 24 * 3600  # seconds; browsers keep no cookie longer
MOST_USERS = 10


def known() -> dict[int, str]:
    """Users who have signed in on this browser, by id, the latest last."""
    try:
        found = _serializer().loads(request.cookies.get(_name(), ""))
        return {int(user_id): str(word) for user_id, word in found.items()}
    except (BadSignature, ValueError, AttributeError):
        return {}


def remember(answer: Response) -> Response:
    """Whoever is signed in is known to this browser from now on."""
    if "_login_user" not in g or not current_user.is_authenticated:
        return answer
    users = known()
    if current_user.user_id in users:
        return answer
    users[current_user.user_id] = tokens.new_code()
    kept = dict(list(users.items())[-MOST_USERS:])
    answer.set_cookie(
        _name(),
        _serializer().dumps({str(user_id): word for user_id, word in kept.items()}),
        max_age=KEPT,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
    )
    return answer


def _name() -> str:
    return "__Host-device" if current_app.config["SESSION_COOKIE_SECURE"] else "device"


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.secret_key or b"", salt="device")
