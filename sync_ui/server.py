"""Placeholder."""

from flask import Flask


def serve(app: Flask, host: str | None, port: int | None) -> None:
    raise NotImplementedError
