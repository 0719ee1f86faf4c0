"""What protects every answer: cookies, headers, and whose address counts."""

from datetime import timedelta

from flask import Flask, Response, current_app, request
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer

from sync_ui.config import Config
from sync_ui.domain import browsers, networks
from sync_ui.models.installation import current
from sync_ui.services.sessions import Seat

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

A_YEAR = int(timedelta(days=365).total_seconds())


class Cookies(SecureCookieSessionInterface):
    """Signed with the key of this moment: a rotation signs everybody out, without a restart."""

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        app.secret_key = current_secret(app)
        return super().get_signing_serializer(app)


def init_app(app: Flask, config: Config) -> None:
    app.session_interface = Cookies()
    app.secret_key = current_secret(app)
    app.config.update(
        SESSION_COOKIE_NAME="__Host-session" if config.secure else "session",
        SESSION_COOKIE_SECURE=config.secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session, which the server ends
        WTF_CSRF_SSL_STRICT=False,  # pages send no Referer; the token is what counts
    )
    app.after_request(_protect)


def current_secret(app: Flask) -> bytes:
    found: bytes = app.extensions["installation"].keys.secret
    return found


def network() -> str:
    """The visitor's network: whoever shares it is slowed down together, /64 in IPv6."""
    return networks.household(networks.of(*_hops()))


def visitor() -> networks.Address | None:
    """The visitor's address; None if a trusted proxy names none."""
    return networks.visitor(*_hops())


def _hops() -> tuple[str, str, tuple[networks.Network, ...]]:
    # Forwarded, X-Real-IP and their like are nobody's word: anyone can send them.
    forwarded = ",".join(request.headers.getlist("X-Forwarded-For"))
    return request.remote_addr or "", forwarded, current().config.trusted_proxies


def seat() -> Seat:
    """Where the visitor sits, in words for people."""
    forwarded = ",".join(request.headers.getlist("X-Forwarded-For"))
    address = networks.of(request.remote_addr or "", forwarded, current().config.trusted_proxies)
    browser = browsers.words(request.headers.get("User-Agent", ""))
    return Seat(browser, networks.words(address))


def protection(app: Flask) -> dict[str, str]:
    """The headers of every answer, whatever it is."""
    headers = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    if app.config["SESSION_COOKIE_SECURE"]:
        headers["Strict-Transport-Security"] = f"max-age={A_YEAR}"
    return headers


def _protect(response: Response) -> Response:
    headers = response.headers
    for name, value in protection(current_app).items():
        headers.setdefault(name, value)
    if request.endpoint == "static":
        headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
    elif "ETag" not in headers:
        headers["Cache-Control"] = "no-store"
    return response
