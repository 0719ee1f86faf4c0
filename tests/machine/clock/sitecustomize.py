"""Steps the wall clock of every Python process that finds this on its path.

The file that STEPPED_CLOCK names holds the seconds between the real time and the one to tell;
each look at the clock reads it again. What measures spans (`time.monotonic`) goes on as it does
on a machine whose clock is set.
"""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import sync_ui.clock

_FILE = Path(os.environ["STEPPED_CLOCK"])
_really = time.time


def _stepped() -> float:
    return _really() + float(_FILE.read_text())


time.time = _stepped
sync_ui.clock.now = lambda: datetime.fromtimestamp(_stepped(), UTC)
