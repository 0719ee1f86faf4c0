"""The clock of a product's processes, set while they run; ours stays.

faketime does the same, but short sleeps fail under it when `time.monotonic` is left alone.
"""

import shutil
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.system import missing

SOURCE = Path(__file__).with_suffix(".c")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SteppedClock:
    def __init__(self, folder: Path) -> None:
        self._library = folder / "stepped_clock.so"
        self._set = folder / "stepped_clock"
        self._ahead = timedelta()
        self.step(timedelta())

    def settings(self) -> dict[str, str]:
        """What a process needs in its environment to tell this time."""
        if not self._library.exists():
            compile_to(self._library)
        return {"LD_PRELOAD": str(self._library), "STEPPED_CLOCK": str(self._set)}

    def now(self) -> datetime:
        """What it shows while it goes."""
        return datetime.now(UTC) + self._ahead

    def step(self, span: timedelta) -> None:
        """Set so much forward, or back."""
        self.be_ahead(self._ahead + span)

    def be_ahead(self, span: timedelta) -> None:
        """Of the right time; it goes."""
        self._ahead = span
        self._write(nanoseconds(span), 0)

    def stand(self, at: datetime) -> None:
        self._write(0, nanoseconds(at - EPOCH))

    def _write(self, ahead: int, stands: int) -> None:
        # In place: the processes have the file in their memory.
        with self._set.open("r+b" if self._set.exists() else "wb", buffering=0) as file:
            file.write(struct.pack("=qq", ahead, stands))


def compile_to(library: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        missing("cc")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True)


def nanoseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1) * 1000
