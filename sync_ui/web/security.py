"""What protects every answer: cookies, headers, and whose address counts."""

from datetime import timedelta

from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin

from sync_ui.config import Config
from sync_ui.domain import networks
from sync_ui.models.installation import current

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

A_YEAR = int(timedelta(days=365).total_seconds())


class Sessions(SecureCookieSessionInterface):
    """No cookie, and no `Vary: Cookie`, on the feed: whatever looked at the session."""

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if request.blueprint != "feeds":
            super().save_session(app, session, response)


def init_app(app: Flask, config: Config) -> None:
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
    app.session_interface = Sessions()
    app.after_request(_protect)


def current_secret(app: Flask) -> bytes:
    found: bytes = app.extensions["installation"].keys.secret
    return found


def network() -> str:
    """The visitor's network: whoever shares it is slowed down together, /64 in IPv6."""
    forwarded = ",".join(request.headers.getlist("X-Forwarded-For"))
    trusted = current().config.trusted_proxies
    return networks.household(networks.of(request.remote_addr or "", forwarded, trusted))


def _protect(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("X-Robots-Tag", "noindex")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if request.endpoint == "static":
        headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
    elif "ETag" not in headers:
        headers["Cache-Control"] = "no-store"
    if current().config.secure:
        headers.setdefault("Strict-Transport-Security", f"max-age={A_YEAR}")
    return response
