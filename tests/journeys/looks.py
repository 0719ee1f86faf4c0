"""Whether everyone can use a page, on a phone and a desk, in light and in dark."""

from typing import Any, Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, ViewportSize

DESK: ViewportSize = {"width": 1280, "height": 900}
SMALL_PHONE: ViewportSize = {"width": 360, "height": 740}

# Only these depend on the colours; all others were asked in light already.
ON_COLOURS: dict[str, Any] = {"runOnly": ["color-contrast", "link-in-text-block"]}

UNFOLD = "document.querySelectorAll('details.disclosure').forEach(each => each.open = true)"

STICKS_OUT = """() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    const beyond = (each) => each.getBoundingClientRect().right > clientWidth + 1;
    const parts = [...document.querySelectorAll("body *")].filter(beyond);
    const name = (each) => `${each.tagName} ${each.className}`;
    return [`${scrollWidth} pixels`, ...new Set(parts.map(name))];
}"""

# A changed size or scheme shows with the next frame, and where colours fade some frames later.
NEXT_FRAME = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
NOTHING_MOVES = "() => document.getAnimations().every(each => each.playState !== 'running')"


def wrongs(page: Page) -> list[str]:
    """Of the page as it stands, with everything unfolded."""
    page.evaluate(UNFOLD)
    page.evaluate(AXE_SCRIPT)
    look(page, DESK, "light")
    found = axe(page, "light, desk")
    look(page, SMALL_PHONE, "light")
    found += axe(page, "light, phone")
    found += [f"sticks out on a phone: {part}" for part in page.evaluate(STICKS_OUT)]
    look(page, SMALL_PHONE, "dark")
    found += axe(page, "dark, phone", ON_COLOURS)
    look(page, DESK, "dark")
    found += axe(page, "dark, desk", ON_COLOURS)
    return found


def axe_of(page: Page) -> list[str]:
    """Of the page as it stands, at the size it has."""
    page.wait_for_function(NOTHING_MOVES)
    page.evaluate(AXE_SCRIPT)
    return axe(page, "as it stands")


def look(page: Page, size: ViewportSize, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    page.wait_for_function("width => innerWidth === width", arg=size["width"])
    page.evaluate(NEXT_FRAME)
    page.wait_for_function(NOTHING_MOVES)


def axe(page: Page, where: str, options: dict[str, Any] | None = None) -> list[str]:
    asked = {"resultTypes": ["violations"], **(options or {})}
    result = page.evaluate("options => axe.run(document, options)", asked)
    return [
        f"{where}: {node['html'][:100]}: {node['failureSummary']}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]
