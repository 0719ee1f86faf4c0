"""Looks for bytes at which an importer or the feed's door falls over: `make fuzz`.

python -m tests.fuzz TARGET SECONDS. What is found is kept in tests/data/corpus/TARGET, where every
run of the tests replays it; what merely was new stays in build/fuzz/TARGET.
"""

import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import atheris  # of .venv/fuzz, for Linux alone

INSTRUMENTED = ["sync_ui.domain", "sync_ui.services.feeds", "sync_ui.web.feeds", "icalendar"]

with atheris.instrument_imports(include=INSTRUMENTED):
    from sync_ui.config import Config
    from sync_ui.models import installation
    from sync_ui.services import links
    from tests import practice
    from tests.fuzz_targets import CORPUS, PURE, SAMPLES, Door, Target


LONGEST = 4096
SECONDS_FOR_ONE = 15
MEGABYTES = 3072


def main() -> None:
    name, seconds = sys.argv[1:]
    new = Path("build") / "fuzz" / name
    known = CORPUS / name
    for folder in (new, known):
        folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-timeout={SECONDS_FOR_ONE}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-artifact_prefix={known}/",
        "-print_final_stats=1",
    ]
    samples = [str(SAMPLES)] if name in {"calendar", "table"} else []
    folders = [str(new), str(known), *samples]
    words = CORPUS / f"{name}.dict"
    if words.exists():
        options.append(f"-dict={words}")
    with ExitStack() as lives:
        atheris.Setup([sys.argv[0], *options, *folders], _target(name, lives))
        atheris.Fuzz()


def _target(name: str, lives: ExitStack) -> Target:
    return _door(lives) if name == "door" else PURE[name]


def _door(lives: ExitStack) -> Door:
    """An application of its own with one living link, for as long as the process lives."""
    config = Config(
        data_dir=Path(tempfile.mkdtemp(prefix="fuzz-")), base_url="https://calendar.example.com"
    )
    installation.prepare(config)
    settled = practice.settle(config)
    app = lives.enter_context(contextmanager(practice.running)(config))
    link = links.allow(settled.unlu, settled.unlus_calendar)
    return Door(app, practice.token_of(link))


if __name__ == "__main__":
    main()
