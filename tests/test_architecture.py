"""The house keeps its floors: the rules of the README's picture, read from the code itself.

A rule looks at one source file and lists what it finds wrong. Each has samples
that it must refuse, because a guard counts only after it has been seen to bite.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LONGEST_FUNCTION = 60
LONGEST_FILE = 450

TOP = 6

# Imports point to the same floor or to a lower one.
FLOORS = {
    "sync_ui.config": 1,
    "sync_ui.clock": 1,
    "sync_ui.errors": 1,
    "sync_ui.logs": 1,
    "sync_ui.domain": 2,
    "sync_ui.models": 3,
    "sync_ui.gateways": 3,
    "sync_ui.services": 4,
    "sync_ui.web": 5,
    "sync_ui.cli": 5,
    "sync_ui.worker": 5,
    "sync_ui.server": 5,
    "sync_ui": TOP,
    "app": TOP,
}

# What a pure rule may build upon: nothing here reads a clock, a file or the network.
PURE = {
    *("__future__", "abc", "base64", "bisect", "calendar", "collections", "contextlib", "csv"),
    *("dataclasses", "datetime", "decimal", "email", "enum", "fractions", "functools", "hashlib"),
    *("heapq", "hmac", "html", "io", "ipaddress", "itertools", "json", "math", "operator", "re"),
    *("string", "struct", "textwrap", "types", "typing", "unicodedata", "urllib", "uuid"),
    *("zoneinfo", "dateutil", "icalendar", "regex"),
    "secrets",  # tokens are made of chance
}
IMPURE = {"urllib.request", "email.message_from_file"}

# Words of the web that stay there.
OF_THE_WEB = {"request", "session", "current_user", "g", "flash", "redirect", "render_template"}

# The engine itself and the first rows of an installation are written below services.
WRITERS = ("sync_ui.services", "sync_ui.models.database", "sync_ui.models.installation")
WRITES = {
    *("add", "add_all", "bulk_insert_mappings", "bulk_save_objects", "bulk_update_mappings"),
    *("commit", "delete", "flush", "merge"),
}
WRITING_STATEMENTS = {"insert", "update", "delete", "transaction"}

NAMELESS = {"utils", "util", "common", "helpers", "helper", "mixins", "mixin", "misc", "tools"}


@dataclass(frozen=True)
class Source:
    """One file of Python, by its path below the root."""

    path: str
    text: str

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def inside(self, *packages: str) -> bool:
        return any(f"{self.module}.".startswith(f"{package}.") for package in packages)


@dataclass(frozen=True)
class Import:
    """One imported thing: `from a.b import c` is a.b.c, `import a.b` is a.b."""

    name: str
    line: int


def imports(tree: ast.AST) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(f"{'.' * node.level}{node.module or ''}.{alias.name}", node.lineno)


def floor_of(name: str) -> int | None:
    """The floor of the longest known package that holds `name`."""
    parts = name.split(".")
    for size in range(len(parts), 0, -1):
        if (floor := FLOORS.get(".".join(parts[:size]))) is not None:
            return floor
    return None


def imports_point_down(source: Source) -> Iterator[str]:
    own = floor_of(source.module)
    if own is None or (own == TOP and source.module not in FLOORS):
        yield "stands on no floor; name it in FLOORS"
        return
    for imported in imports(source.tree):
        floor = floor_of(imported.name)
        # The server starts processes that build the application anew.
        restarts = source.module == "sync_ui.server" and imported.name.startswith("app.")
        if floor is not None and floor > own and not restarts:
            yield f"{imported.line}: {imported.name} stands above"


def models_and_gateways_do_not_know_each_other(source: Source) -> Iterator[str]:
    walls = {"sync_ui.models": "sync_ui.gateways", "sync_ui.gateways": "sync_ui.models"}
    for here, there in walls.items():
        if source.inside(here):
            for imported in imports(source.tree):
                if f"{imported.name}.".startswith(f"{there}."):
                    yield f"{imported.line}: {imported.name} is behind the wall"


def the_domain_is_pure(source: Source) -> Iterator[str]:
    if not source.inside("sync_ui.domain"):
        return
    for imported in imports(source.tree):
        if imported.name.startswith(("sync_ui.domain.", "sync_ui.errors.")):
            continue
        package = imported.name.split(".")[0]
        if package not in PURE or imported.name.startswith(tuple(IMPURE)):
            yield f"{imported.line}: {imported.name} is not for pure rules"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and dotted(node.func).endswith((".now", ".today", "open")):
            yield f"{node.lineno}: {dotted(node.func)}() reads a clock or a file"


def the_request_stays_in_web(source: Source) -> Iterator[str]:
    if source.inside("sync_ui.web"):
        return
    for imported in imports(source.tree):
        package, _, name = imported.name.partition(".")
        if package in {"flask", "flask_login", "htmx_flask"} and name in OF_THE_WEB:
            yield f"{imported.line}: {imported.name} belongs to web/"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute):
            package, _, name = dotted(node).partition(".")
            if package in {"flask", "flask_login"} and name in OF_THE_WEB:
                yield f"{node.lineno}: {dotted(node)} belongs to web/"


def services_alone_write(source: Source) -> Iterator[str]:
    if source.inside(*WRITERS, "sync_ui.models.migrations"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = dotted(node.func.value).split(".")[-1].removesuffix("()")
            if owner == "session" and node.func.attr in WRITES:
                yield f"{node.lineno}: {dotted(node.func)}() writes"
    if source.module == "sync_ui.models":  # hands them to the services
        return
    for imported in imports(source.tree):
        package, _, name = imported.name.rpartition(".")
        if package.startswith(("sqlalchemy", "sync_ui.models")) and name in WRITING_STATEMENTS:
            yield f"{imported.line}: {imported.name} is for services"


def nobody_calls_outside_in_a_transaction(source: Source) -> Iterator[str]:
    outside = {
        imported.name.rpartition(".")[2]
        for imported in imports(source.tree)
        if imported.name.startswith("sync_ui.gateways.")
    }
    for block in ast.walk(source.tree):
        if isinstance(block, ast.With) and any(
            dotted(item.context_expr).endswith("transaction()") for item in block.items
        ):
            for node in ast.walk(block):
                if isinstance(node, ast.Call) and dotted(node.func).split(".")[0] in outside:
                    yield f"{node.lineno}: {dotted(node.func)}() waits for others"


def every_module_has_a_telling_name(source: Source) -> Iterator[str]:
    for part in source.module.split("."):
        if NAMELESS & set(part.split("_")):
            yield f"{part} tells nothing"


def imports_stand_on_top_or_say_why(source: Source) -> Iterator[str]:
    for function in functions(source.tree):
        for node in ast.walk(function):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            if not re.search(r"# late: \w+", source.lines[node.lineno - 1]):
                yield f"{node.lineno}: a late import says why, `# late: …`"


def functions_are_short(source: Source) -> Iterator[str]:
    for function in functions(source.tree):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > LONGEST_FUNCTION:
            yield f"{function.lineno}: {function.name} has {length} lines"


def files_are_short(source: Source) -> Iterator[str]:
    if len(source.lines) > LONGEST_FILE:
        yield f"has {len(source.lines)} lines"


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def dotted(node: ast.AST) -> str:
    """`a.b().c` of an expression, as far as it is made of names, attributes and calls."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return f"{dotted(node.func)}()"
    return ""


Rule = Callable[[Source], Iterator[str]]

REFUSED: dict[Rule, list[tuple[str, str]]] = {
    imports_point_down: [
        ("sync_ui/clock.py", "from sync_ui.domain import event"),
        ("sync_ui/domain/event.py", "import sync_ui.models.link"),
        ("sync_ui/models/link.py", "from sync_ui.services.links import reset"),
        ("sync_ui/gateways/smtp.py", "from sync_ui import worker"),
        ("sync_ui/services/links.py", "def f():\n    from sync_ui.web import links  # late: no"),
        ("sync_ui/services/links.py", "from app import app"),
        ("sync_ui/attic.py", ""),
    ],
    models_and_gateways_do_not_know_each_other: [
        ("sync_ui/models/link.py", "from sync_ui.gateways import smtp"),
        ("sync_ui/gateways/smtp.py", "import sync_ui.models"),
    ],
    the_domain_is_pure: [
        ("sync_ui/domain/event.py", "import os"),
        ("sync_ui/domain/event.py", "from flask import current_app"),
        ("sync_ui/domain/event.py", "from sync_ui import clock"),
        ("sync_ui/domain/event.py", "from sync_ui.config import Config"),
        ("sync_ui/domain/event.py", "from urllib.request import urlopen"),
        ("sync_ui/domain/event.py", "at = datetime.now(UTC)"),
        ("sync_ui/domain/event.py", "text = open('x').read()"),
    ],
    the_request_stays_in_web: [
        ("sync_ui/services/links.py", "from flask import request"),
        ("sync_ui/services/links.py", "from flask import Flask, session"),
        ("sync_ui/cli/links.py", "from flask_login import current_user"),
        ("sync_ui/worker.py", "from htmx_flask import request as htmx"),
        ("sync_ui/services/links.py", "import flask\naddress = flask.request.remote_addr"),
    ],
    services_alone_write: [
        ("sync_ui/web/links.py", "db.session.commit()"),
        ("sync_ui/web/links.py", "db.session().add(row)"),
        ("sync_ui/cli/links.py", "session.delete(row)"),
        ("sync_ui/worker.py", "from sqlalchemy import update"),
        ("sync_ui/web/links.py", "from sync_ui.models import Link, transaction"),
        ("sync_ui/models/link.py", "session.flush()"),
    ],
    nobody_calls_outside_in_a_transaction: [
        (
            "sync_ui/services/mail.py",
            "from sync_ui.gateways import smtp\nwith transaction() as s:\n    smtp.send(mail)",
        ),
        (
            "sync_ui/services/mail.py",
            "from sync_ui.gateways.smtp import send\nwith transaction():\n    x = [send()]",
        ),
    ],
    every_module_has_a_telling_name: [
        ("sync_ui/services/utils.py", ""),
        ("sync_ui/web/form_helpers.py", ""),
        ("sync_ui/common/links.py", ""),
    ],
    imports_stand_on_top_or_say_why: [
        ("sync_ui/cli/links.py", "def f():\n    import os"),
        ("sync_ui/cli/links.py", "def f():\n    from os import path  # late:"),
    ],
    functions_are_short: [
        ("sync_ui/cli/links.py", "def f():\n" + "    x = 1\n" * LONGEST_FUNCTION)
    ],
    files_are_short: [("sync_ui/cli/links.py", "x = 1\n" * (LONGEST_FILE + 1))],
}


def written_by_hand() -> list[Source]:
    """All production code; migrations are written by Alembic, once."""
    paths = [ROOT / "app.py", *sorted((ROOT / "sync_ui").rglob("*.py"))]
    return [
        Source(str(path.relative_to(ROOT)), path.read_text())
        for path in paths
        if "versions" not in path.parts
    ]


@pytest.mark.parametrize("rule", REFUSED, ids=lambda rule: rule.__name__)
def test_the_code_keeps_the_rule(rule: Rule) -> None:
    found = [f"{source.path}: {fault}" for source in written_by_hand() for fault in rule(source)]

    assert found == []


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [(rule, *sample) for rule, samples in REFUSED.items() for sample in samples],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_rule_refuses(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text))) != []


INLINE = {
    "a style in place": re.compile(r"<[^>]*\sstyle\s*=", re.IGNORECASE),
    "a style sheet in place": re.compile(r"<style", re.IGNORECASE),
    "a handler in place": re.compile(r"<[^>]*\s(on[a-z]+|hx-on[:\w-]*)\s*=", re.IGNORECASE),
    "a script in place": re.compile(r"<script(?![^>]*\ssrc=)", re.IGNORECASE),
    "a script as an address": re.compile(r"javascript:", re.IGNORECASE),
    "a value that htmx evaluates": re.compile(r"hx-[a-z]+\s*=\s*[\"']js:", re.IGNORECASE),
    "text that is not escaped": re.compile(r"\|\s*safe\b|autoescape\s+false", re.IGNORECASE),
}


def inline(text: str) -> list[str]:
    return [what for what, pattern in INLINE.items() if pattern.search(text)]


@pytest.mark.bar("I6")
def test_no_template_carries_style_or_script() -> None:
    found = {
        str(path.relative_to(ROOT)): faults
        for path in sorted((ROOT / "templates").rglob("*.html"))
        if (faults := inline(path.read_text()))
    }

    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        '<p class="a" style="color: red">',
        "<style>p { color: red }</style>",
        '<a href="#" onclick="go()">',
        '<div hx-on:click="go()">',
        "<script>go()</script>",
        '<script type="module">go()</script>',
        '<a href="javascript:go()">',
        "<div hx-vals='js:{now: Date.now()}'>",
        "{{ title | safe }}",
        "{% autoescape false %}",
    ],
)
def test_a_template_with_style_or_script_is_noticed(text: str) -> None:
    assert inline(text) != []


@pytest.mark.parametrize(
    "text",
    ['<script defer src="/static/app.js"></script>', "<p>one = two</p>", "<p>style = plain</p>"],
)
def test_a_plain_template_is_left_alone(text: str) -> None:
    assert inline(text) == []
