"""The audit's chain: each entry's digest covers the entry and the digest before it."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

# Before the first entry.
START = "0" * 64


def digest(
    before: str,
    number: int,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
) -> str:
    """SHA-256 in hex; nothing of an entry can change, go or move without it."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    entry = [before, number, moment, actor, action, subject, dict(detail)]
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
