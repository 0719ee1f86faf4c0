"""Whatever the fuzzer has found once is tried again each time, and so are the samples."""

from pathlib import Path

import pytest
from flask import Flask

from sync_ui.services import links
from tests.fuzz_targets import CORPUS, PURE, SAMPLES, Door
from tests.practice import Practice, token_of

LARGEST = 64 * 1024


def inputs(target: str) -> list[Path]:
    return sorted((CORPUS / target).iterdir())


def test_every_target_has_a_corpus_that_is_small() -> None:
    folders = {folder.name for folder in CORPUS.iterdir() if folder.is_dir()}

    assert folders == {*PURE, "door"}
    for folder in folders:
        assert inputs(folder)
        assert sum(file.stat().st_size for file in inputs(folder)) < LARGEST


@pytest.mark.bar("O10", "I4")
@pytest.mark.parametrize("target", PURE)
def test_nothing_that_was_found_makes_a_reader_fall_over(target: str) -> None:
    for file in inputs(target):
        PURE[target](file.read_bytes())


@pytest.mark.bar("O10")
@pytest.mark.parametrize("target", ["calendar", "table"])
def test_no_sample_makes_a_reader_fall_over(target: str) -> None:
    for file in sorted(SAMPLES.iterdir()):
        PURE[target](file.read_bytes())


@pytest.mark.bar("O10", "L8", "L11")
def test_nothing_that_was_found_gets_through_the_door(app: Flask, practice: Practice) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    door = Door(app, token_of(link))

    for file in inputs("door"):
        door(file.read_bytes())
