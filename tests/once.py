"""What every application of a test process would make anew, and all of them can share.

It depends on the code alone, never on a test, its data or its settings; without
it most of the time of a page's test went into compiling.
"""

import sqlite3
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import pytest
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Dialect, Engine, event
from werkzeug.routing import Rule


class Templates(BytecodeCache):
    """What templates compile to, by what is written in them."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        assert bucket.code is not None
        self._codes[bucket.key, bucket.checksum] = bucket.code


TEMPLATES = Templates()

# What statements compile to depends on the dialect, which is an object of each engine.
DIALECTS: dict[str, Dialect] = {}
STATEMENTS: dict[Any, Any] = {}


def share(app: Flask, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _wait_for_no_disk)
    app.jinja_env.bytecode_cache = TEMPLATES
    if engine.dialect.name not in DIALECTS:
        engine.connect().close()  # a dialect learns from its first connection what it may use
        DIALECTS[engine.dialect.name] = engine.dialect
    engine.dialect = DIALECTS[engine.dialect.name]
    engine.update_execution_options(compiled_cache=STATEMENTS)


def _wait_for_no_disk(connection: sqlite3.Connection, _: object) -> None:
    """What is thrown away need not survive a power cut."""
    connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture(scope="session", autouse=True)
def _addresses_once() -> Iterator[None]:
    """Werkzeug writes a function per route, which is the same for each application."""
    found: dict[str, Callable[..., Any]] = {}
    compile_builder = Rule._compile_builder

    def once(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
        key = repr((rule.rule, rule.defaults, rule._trace, append_unknown))
        if key not in found:
            found[key] = compile_builder(rule, append_unknown)
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", once)
        yield
