"""How long to go on: a little in `make test`, longer in `make soak`, or minutes as asked."""

import os
import time
from collections.abc import Iterator

from hypothesis import settings


def soaks() -> bool:
    return settings().max_examples >= 10_000


def rounds(usual: int, soaking: int) -> Iterator[int]:
    """Numbers from 0: so many, or for as long as `make soak MINUTES=…` says, one at least."""
    minutes = float(os.environ.get("SOAK_MINUTES") or 0)
    if not minutes:
        yield from range(soaking if soaks() else usual)
        return
    ends, number = time.monotonic() + 60 * minutes, 0
    while number == 0 or time.monotonic() < ends:
        yield number
        number += 1
