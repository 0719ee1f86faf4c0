"""Connections that are kept between requests, as browsers and calendar apps keep them."""

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

# Servers close a connection that is idle, ours after ten seconds, perhaps while it is asked
# again: then everybody asks once more, on another (RFC 9112, section 9.3.1).
AGAIN = Retry(
    total=1, connect=0, read=1, status=0, other=0, allowed_methods=frozenset({"GET", "HEAD"})
)


def wire() -> requests.Session:
    """Nothing of the environment's, such as proxies, has a part in it."""
    found = requests.Session()
    found.trust_env = False
    found.mount("http://", HTTPAdapter(max_retries=AGAIN))
    return found
