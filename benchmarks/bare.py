"""The bare web server: Granian as the product starts it, answering prepared bytes.

`python -m benchmarks.bare PORT DIRECTORY`; the directory holds `answer.json` and `body`.
"""

import json
import multiprocessing
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from sync_ui import server

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def load(directory: Path) -> Application:
    """Runs in the web server's own process."""
    server.end_with_parent()
    prepared = json.loads((directory / "answer.json").read_text())
    headers = [(name, value) for name, value in prepared["headers"]]
    without_body = [(name, value) for name, value in headers if name.lower() != "content-length"]
    body = (directory / "body").read_bytes()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_IF_NONE_MATCH") == prepared["etag"]:
            start_response("304 Not Modified", without_body)
            return [b""]
        start_response("200 OK", headers)
        return [body]

    return answer


def main() -> None:
    multiprocessing.set_start_method("spawn")
    MPServer(
        "bare",
        port=int(sys.argv[1]),
        interface=Interfaces.WSGI,
        websockets=False,
        blocking_threads=server.THREADS,
        log_level=LogLevels.error,
    ).serve(target_loader=partial(load, Path(sys.argv[2])), wrap_loader=False)


if __name__ == "__main__":
    main()
