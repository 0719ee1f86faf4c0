"""Programs that tests need beside Python; `.ci/system-packages` installs them."""

import os
from typing import NoReturn

import pytest


def missing(program: str) -> NoReturn:
    """Skip the test; where changes are accepted (CI=true) nothing may be skipped."""
    sentence = f"{program} is not installed; `make system-packages` installs it."
    if os.environ.get("CI"):
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)
