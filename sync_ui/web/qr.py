"""QR codes, drawn into the page itself: no address that a cache or anyone else could keep."""

from io import BytesIO

import qrcode
import qrcode.image.svg
from markupsafe import Markup


def svg(text: str) -> Markup:
    """The text as inline SVG, with the quiet border that cameras need."""
    image = qrcode.make(text, image_factory=qrcode.image.svg.SvgPathImage, border=4)
    drawn = BytesIO()
    image.save(drawn)
    found = drawn.getvalue().decode()
    return Markup(found[found.index("<svg") :])  # noqa: S704 - drawn by us from our own text
