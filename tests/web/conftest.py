"""Browsers that are as far from the test as real ones."""

from contextvars import Context
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse


class Browser(FlaskClient):
    """Each request stands alone, as in the server's threads.

    Inside the test's application context Flask would let requests share `g`,
    and with it who is signed in and the database's session.
    """

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        kwargs.setdefault("buffered", True)  # closes files once they are read
        answer: TestResponse = Context().run(super().open, *args, **kwargs)
        return answer


@pytest.fixture
def app(app: Flask) -> Flask:
    app.test_client_class = Browser
    return app
