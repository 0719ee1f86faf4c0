"""Only our own pages change anything: the second wall, before each form's token.

Browsers say where a request comes from (Fetch Metadata, RFC 6454). Since our pages
send no Referer, theirs say `Origin: null`, which says nothing; who cannot be
told apart so is left to the token.
"""

from urllib.parse import urlsplit

from flask import Flask, request
from werkzeug.exceptions import UnsupportedMediaType

from sync_ui.config import Config
from sync_ui.errors import Refused
from sync_ui.models.installation import current

READING = frozenset({"GET", "HEAD", "OPTIONS"})

# Called by machines, which have no pages.
MACHINES = frozenset({"google.notify"})

# Ours, or typed by hand; whoever is silent is an older browser.
OWN_SITES = frozenset({"", "none", "same-origin"})

FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


def init_app(app: Flask) -> None:
    app.before_request(_check)


def _check() -> None:
    """Raises Refused for another site's request, and UnsupportedMediaType for what is no form."""
    if request.method in READING or request.endpoint in MACHINES:
        return
    headers = request.headers
    foreign = headers.get("Sec-Fetch-Site", "") not in OWN_SITES
    if foreign or not _is_own(headers.get("Origin", "null"), current().config):
        raise Refused("This request comes from another site. Load the page again and try there.")
    if request.content_length and request.mimetype not in FORMS:
        raise UnsupportedMediaType


def _is_own(origin: str, config: Config) -> bool:
    if origin == "null":
        return True
    parts, own = urlsplit(origin), urlsplit(config.base_url)
    schemes = {"https"} if config.secure else {"http", "https"}
    return parts.scheme in schemes and parts.netloc in {own.netloc, request.host}
