"""Google's own description of its Calendar API, held against every request that leaves.

The document is part of google-api-python-client, revised with each release. A
request with a method, parameter, field, value or scope that it does not know
never reaches anybody: it fails the test.
"""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import HTTPAdapter

BASE = "/calendar/v3/"

Tree = dict[str, "Tree"]


class Checked(HTTPAdapter):
    """Lets requests through that the document allows to whoever has these scopes."""

    def __init__(self, scopes: Iterable[str]) -> None:
        super().__init__()
        self._scopes = set(scopes)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        faults = faults_of(request, self._scopes)
        assert not faults, "; ".join(faults)
        return super().send(request, *args, **kwargs)


def faults_of(request: requests.PreparedRequest, scopes: set[str]) -> list[str]:
    url = urlsplit(request.url or "")
    assert isinstance(url.path, str)
    method = _method(request.method or "", url.path.removeprefix(BASE))
    if method is None:
        return [f"there is no {request.method} {url.path}"]
    faults = []
    if not scopes & set(method["scopes"]):
        faults.append("none of the scopes allows this")
    query = parse_qs(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
    faults += _faults_of_query(query, method)
    body = json.loads(request.body) if request.body else None
    faults += _faults_of_body(body, method)
    if "If-Match" in request.headers and request.method not in {"PATCH", "PUT", "DELETE"}:
        faults.append("If-Match is for changes")
    return faults


def _faults_of_query(query: Mapping[str, list[str]], method: Mapping[str, Any]) -> list[str]:
    own = {
        name: each
        for name, each in method.get("parameters", {}).items()
        if each["location"] == "query"
    }
    known = {**document()["parameters"], **own}
    faults = [
        f"{name} is missing" for name in own if own[name].get("required") and name not in query
    ]
    for name, values in query.items():
        if name not in known:
            faults.append(f"{name} is no parameter")
        elif len(values) > 1 and not known[name].get("repeated"):
            faults.append(f"{name} stands there twice")
        else:
            faults += [
                fault for value in values for fault in _faults_of_text(name, value, known[name])
            ]
    if "fields" in query and "response" in method:
        faults += _unknown(selected(query["fields"][0]), method["response"], "fields")
    return faults


def _faults_of_text(name: str, value: str, known: Mapping[str, Any]) -> list[str]:
    pattern = {"integer": r"-?\d+", "boolean": "true|false"}.get(known["type"], ".+")
    if not re.fullmatch(pattern, value, re.DOTALL):
        return [f"{name} is no {known['type']}"]
    if "enum" in known and value not in known["enum"]:
        return [f"{name} cannot be {value}"]
    if known.get("format") == "date-time" and not re.search(r"(Z|[+-]\d\d:\d\d)$", value):
        return [f"{name} has no zone"]
    return []


def _faults_of_body(body: object, method: Mapping[str, Any]) -> list[str]:
    if "request" not in method:
        return [] if body is None else ["there is no body to send"]
    if body is None:
        return ["the body is missing"]
    return _faults_of_value(body, method["request"], "", patch=method["httpMethod"] == "PATCH")


def _faults_of_value(
    value: object, known: Mapping[str, Any], path: str, *, patch: bool
) -> list[str]:
    known = _resolved(known)
    if value is None:
        return [] if patch else [f"{path} is null"]
    kinds = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
    if not isinstance(value, kinds[known["type"]]):
        return [f"{path} is no {known['type']}"]
    faults: list[str] = []
    if isinstance(value, list):
        for each in value:
            faults += _faults_of_value(each, known["items"], f"{path}[]", patch=patch)
    elif isinstance(value, dict):
        for name, each in value.items():
            field = known.get("properties", {}).get(name) or known.get("additionalProperties")
            if field is None:
                faults.append(f"{path}.{name} is no field")
            else:
                faults += _faults_of_value(each, field, f"{path}.{name}", patch=patch)
    elif "enum" in known and value not in known["enum"]:
        faults.append(f"{path} cannot be {value}")
    return faults


def _unknown(tree: Tree, known: Mapping[str, Any], path: str) -> list[str]:
    known = _resolved(known)
    if known.get("type") == "array":
        return _unknown(tree, known["items"], path)
    faults = []
    for name, below in tree.items():
        field = known.get("properties", {}).get(name) or known.get("additionalProperties")
        if field is None:
            faults.append(f"{path}.{name} is no field")
        else:
            faults += _unknown(below, field, f"{path}.{name}")
    return faults


def selected(fields: str) -> Tree:
    """What a `fields` parameter asks for: `a,b/c,d(e,f)` as a tree of names."""
    return _selected(re.findall(r"[\w-]+|[,()/]", fields))


def _selected(words: list[str]) -> Tree:
    tree: Tree = {}
    while words and words[0] != ")":
        name = words.pop(0)
        below = tree.setdefault(name, {})
        while words and words[0] == "/":
            words.pop(0)
            below = below.setdefault(words.pop(0), {})
        if words and words[0] == "(":
            words.pop(0)
            below.update(_selected(words))
            assert words.pop(0) == ")"
        if words and words[0] == ",":
            words.pop(0)
    return tree


def _resolved(known: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document()["schemas"][known["$ref"]] if "$ref" in known else known
    return found


def _method(verb: str, path: str) -> dict[str, Any] | None:
    for resource in document()["resources"].values():
        for method in resource["methods"].values():
            template = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(method["path"]))
            if method["httpMethod"] == verb and re.fullmatch(template, path):
                found: dict[str, Any] = method
                return found
    return None


@cache
def document() -> dict[str, Any]:
    folder = files("googleapiclient.discovery_cache") / "documents"
    read: dict[str, Any] = json.loads((folder / "calendar.v3.json").read_text("utf-8"))
    return read
