"""The README tells all there is, and nothing that there is not."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from flask import Flask

from sync_ui.cli import register_commands

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def rows(chapter: str) -> list[list[str]]:
    """The cells of the table in a chapter of the README, without its head."""
    text = README.split(f"\n## {chapter}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def settings_read() -> set[str]:
    """Every name that config.py asks the environment for."""
    tree = ast.parse((ROOT / "sync_ui/config.py").read_text())
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    names = {text for text in texts if isinstance(text, str)}
    return {name for name in names if re.fullmatch(r"SYNC_[A-Z_]+|HOST|PORT", name)}


def commands() -> dict[str, click.Command]:
    app = Flask("documentation")
    register_commands(app)
    found: dict[str, click.Command] = {}
    for name, command in app.cli.commands.items():
        if isinstance(command, click.Group):
            found |= {f"{name} {below}": one for below, one in command.commands.items()}
        else:
            found[name] = command
    return found


def documented_commands() -> dict[str, str]:
    """Name of each command to the whole line that shows its use."""
    uses = [row[0].strip("`") for row in rows("Commands")]
    return {re.match(r"[a-z]+( [a-z-]+)?(?= |$)", use)[0]: use for use in uses}  # type: ignore[index]


def test_the_table_of_settings_is_what_the_program_reads() -> None:
    assert {row[0].strip("`") for row in rows("Settings")} == settings_read()


def test_the_table_of_commands_is_what_flask_offers() -> None:
    assert documented_commands().keys() == commands().keys()


@pytest.mark.parametrize("name", sorted(commands()))
def test_a_command_is_documented_with_all_its_options(name: str) -> None:
    parameters = commands()[name].params
    options = {
        option
        for one in parameters
        if isinstance(one, click.Option)
        for option in (one.opts[-1], *one.secondary_opts)
    }

    assert set(re.findall(r"--[a-z-]+", documented_commands()[name])) == options


def test_every_file_that_the_readme_names_is_there() -> None:
    named = set(re.findall(r"`([\w./-]+\.(?:py|txt|html)|\.ci/[\w-]+|LICENSE)[`:]", README))
    pictures = set(re.findall(r"\]\((static/[\w./-]+)\)", README))
    places = (ROOT, ROOT / "sync_ui")  # the picture of the house leaves its root out

    assert named
    assert [
        name
        for name in sorted(named | pictures)
        if not any((place / name).exists() for place in places)
    ] == []


def test_every_target_that_the_readme_names_can_be_made() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|\s)make ([a-z]+)\b(?=`|$)", README, re.MULTILINE))

    assert {"run", "test", "lint", "bench"} <= named
    assert named <= targets


def test_whatever_security_leads_to_is_there() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert "[SECURITY.md](SECURITY.md)" in README
    assert [name for name in re.findall(r"\]\(([^)]+)\)", text) if not (ROOT / name).exists()] == []
    assert set(re.findall(r"`make ([a-z]+)`", text)) <= targets
    assert not re.search(r"[^\s@]+@[^\s@]+\.", text)  # nobody's address


@pytest.mark.bar("O6")
def test_systemd_understands_the_unit_of_the_readme(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not installed.")
    (text,) = re.findall(r"```ini\n(\[Unit\]\n.*?)```", README, re.DOTALL)
    assert "NoNewPrivileges=yes" in text
    unit = tmp_path / "sync-calendar.service"
    here = text.replace("/opt/sync-calendar/.venv/bin/flask", sys.executable)
    unit.write_text(here.replace("User=sync-calendar", "User=root"))

    found = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)

    assert (found.returncode, unit.name in found.stderr) == (0, False)
