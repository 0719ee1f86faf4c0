"""What whoever starts the server reads first, and how a process of it ends."""

import json

import pytest
from flask import Flask

from sync_ui import server
from sync_ui.logs import Line


@pytest.mark.bar("O6")
def test_the_greeting_tells_of_the_set_up_and_of_misspelt_settings(
    app: Flask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYNC_BASEURL", "https://calendar.example.com")

    server.greet("127.0.0.1", 8000)

    said = capsys.readouterr()
    first, second = said.out.splitlines()
    assert first == "Sync Calendar serves http://127.0.0.1:8000"
    assert second.startswith("Set it up at http://127.0.0.1:8000/setup with the code ")
    assert "SYNC_BASEURL is no setting; is SYNC_BASE_URL meant?" in said.err.splitlines()


@pytest.mark.bar("L7", "O4")
def test_a_process_that_ends_says_so_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended, server.telling_of_crashes():
        raise RuntimeError("No page for Jane Smith")

    assert ended.value.code == 1
    (record,) = caplog.records
    assert json.loads(Line("worker").format(record))["level"] == "critical"
    assert caplog.messages[0].startswith("The program ended: RuntimeError at sync_ui/server.py:")
    assert "Jane" not in caplog.text
