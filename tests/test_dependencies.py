"""What we build upon is pinned to the byte, and the bill of materials names all of it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
CI = ROOT / ".ci"

pytestmark = pytest.mark.bar("O7")

LOCKED = sorted(path.name for path in CI.glob("requirements*.txt"))


def pinned(name: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Each requirement with its version and the hashes of its files."""
    text = (CI / name).read_text().replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            package, version = re.match(r"([\w.-]+(?:\[[\w,-]+\])?)==(\S+)", line).groups()  # type: ignore[union-attr]
            found[package] = version, tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})\b", line))
    return found


@pytest.mark.bar("O7")
@pytest.mark.parametrize("name", LOCKED)
def test_every_requirement_has_one_version_and_hashes(name: str) -> None:
    found = pinned(name)

    assert found
    assert [package for package, (_, hashes) in found.items() if not hashes] == []


def test_what_is_tested_is_what_runs() -> None:
    runtime, dev = pinned("requirements.txt"), pinned("requirements-dev.txt")

    assert runtime.keys() < dev.keys()
    assert {package: dev[package] for package in runtime} == runtime


def installers() -> list[str]:
    """Whatever installs Python packages."""
    scripts = [path for path in CI.iterdir() if path.is_file() and path.suffix == ""]
    known = [path for path in [ROOT / "Makefile", *scripts] if "pip install" in path.read_text()]
    return sorted(str(path.relative_to(ROOT)) for path in known)


@pytest.mark.bar("O7")
@pytest.mark.parametrize("name", installers())
def test_nothing_is_installed_without_its_hash(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    installs = re.findall(r"(?<!= \$\(BIN\)/python -m )(?:pip install|\(INSTALL\)) .*", text)

    # The one exception pins the others.
    assert {line for line in installs if "--require-hashes" not in line} <= {"(INSTALL) uv"}
    assert installs


def bill() -> Any:
    return json.loads((CI / "sbom.json").read_text())


def without_licences(found: Any) -> Any:
    """Licences are read from what is installed, which differs between platforms."""
    for component in found["components"]:
        component.pop("licenses", None)
    return found


@pytest.mark.bar("O7")
def test_the_bill_of_materials_is_in_step() -> None:
    made = subprocess.run(
        [sys.executable, str(CI / "sbom")], capture_output=True, check=True, text=True
    )

    assert without_licences(json.loads(made.stdout)) == without_licences(bill()), "make sbom"


@pytest.mark.bar("O7")
def test_the_bill_names_everything_with_version_and_licence() -> None:
    components = bill()["components"]
    told = {(one["name"], one["version"]) for one in components if one["type"] == "library"}
    files = {one["bom-ref"] for one in components if one["type"] == "file"}
    # Not installed where the bill was written: another Python or another system needs them.
    elsewhere = {one["name"] for one in components if "properties" in one}

    assert told == {
        (re.sub(r"\[.*", "", package), version)
        for package, (version, _) in pinned("requirements.txt").items()
    }
    assert files == {
        f"static/vendor/{path.name}"
        for path in (ROOT / "static/vendor").iterdir()
        if path.suffix != ".LICENSE"
    }
    assert {one["name"] for one in components if "licenses" not in one} <= elsewhere


def test_the_bill_leads_to_no_address() -> None:
    text = (CI / "sbom.json").read_text()

    assert "pkg:pypi/flask@" in text
    assert "://" not in text
    assert "externalReferences" not in text
