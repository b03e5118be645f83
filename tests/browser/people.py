"""A person in a browser: does what people do, by mouse or by keyboard alone, and counts it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Locator, Page, expect

Mode = Literal["mouse", "keyboard"]
WIDE, NARROW = (1280, 800), (390, 800)
SIZES = {"zh": WIDE, "en": NARROW}
ALL = os.environ.get("BROWSER") == "all"
MOST_TABS = 150
# Of a group of radio buttons Tab reaches one, and the arrows the others.
HERE = """e => { const here = document.activeElement;
  return here === e || (e.type === "radio" && here.name === e.name); }"""
# What axe-core calls moderate or minor is looked at by hand (docs/pages.md).
GRAVE = ["serious", "critical"]
# Only what was found comes back, without a path to each element. Contrast is four fifths of the work, and
# colours are the same on every screen: they are judged on one.
JUDGE = """([grave, colours]) => axe.run(document, {
    resultTypes: ["violations"], selectors: false, preload: false,
    rules: {"color-contrast": {enabled: colours}}})
  .then(all => all.violations.filter(one => grave.includes(one.impact)).map(one =>
    [one.id, one.help, ...one.nodes.slice(0, 3).map(node => node.html.slice(0, 120))].join(" | ")))"""


class Person:
    """One operator at one service. ``acts`` counts what goes beyond typing: clicks, and keys that act.

    Going from a field to the next one with Tab belongs to typing and is not counted.
    """

    def __init__(
        self, browser: Browser, service: str, link: str, *, language: str, mode: Mode, shots: Path | None
    ) -> None:
        self.language, self.mode, self.shots = language, mode, shots
        self.service = service
        self._context = browser.new_context(
            ignore_https_errors=True,
            viewport={"width": WIDE[0], "height": WIDE[1]},
            locale="zh-CN" if language == "zh" else "en-GB",
            timezone_id="Asia/Shanghai",
            accept_downloads=True,
        )
        self.page: Page = self._context.new_page()
        self.said: list[str] = []
        self.acts = 0
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(link)
        self.page.locator("main form button").first.click()
        self.page.wait_for_load_state()
        assert "/sign-in/" not in self.page.url, self.page.locator("main").inner_text()

    def _hear(self, message: Any) -> None:
        # A refused form is answered with 4xx, which the browser notes; that is no fault of the page.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.said.append(message.text)

    def close(self) -> None:
        self._context.close()

    # ------------------------------------------------------------------ going about

    def at(self, path: str = "/") -> Person:
        """Type an address; that is no click."""
        self.page.goto(f"{self.service}{path}")
        return self

    def text(self) -> str:
        return self.page.locator("main").inner_text()

    def sees(self, text: str | re.Pattern[str], *, within_ms: int = 15_000) -> None:
        expect(self.page.locator("main")).to_contain_text(text, timeout=within_ms)

    def link(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("link", name=name).first

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("button", name=name).first

    def act(self, target: Locator, *, goes: bool = True) -> None:
        """Press a link or a button. ``goes``: a page follows."""
        self.acts += 1
        do: Callable[[], None]
        if self.mode == "mouse":
            do = target.click
        else:
            self._focus(target)
            do = lambda: self.page.keyboard.press("Enter")  # noqa: E731 - beside its other form
        if goes:
            with self.page.expect_navigation(timeout=30_000):
                do()
        else:
            do()

    def tick(self, target: Locator) -> None:
        """Tick a box or choose one of several."""
        self.acts += 1
        if self.mode == "mouse":
            target.check()
            return
        self._focus(target)
        if not target.is_checked():
            self.page.keyboard.press("Space")

    def types(self, name: str, text: str) -> None:
        """Fill the field of this name in the form."""
        target = self.page.locator(f'main [name="{name}"]').first
        if self.mode == "mouse":
            target.fill(text)
            return
        self._focus(target)
        self.page.keyboard.press("Control+A")
        # A long text is pasted, by mouse or by keyboard.
        self.page.keyboard.insert_text(text)

    def chooses(self, name: str, value: str) -> None:
        """One of a list."""
        self.acts += 1
        target = self.page.locator(f'main select[name="{name}"]').first
        if self.mode == "keyboard":
            self._focus(target)
        target.select_option(value)

    def types_into_search(self, text: str) -> None:
        """The box on top of every page; Enter sends it."""
        box = self.page.locator('header [name="q"]').first
        if self.mode == "keyboard":
            self._focus(box)
        box.fill(text)
        self.acts += 1
        with self.page.expect_navigation(timeout=30_000):
            self.page.keyboard.press("Enter") if self.mode == "keyboard" else box.press("Enter")

    def _focus(self, target: Locator) -> None:
        """Go there with Tab, as somebody without a mouse does."""
        expect(target).to_be_visible()
        wanted = target.element_handle()
        for _ in range(MOST_TABS):
            if self.page.evaluate(HERE, wanted):
                break
            self.page.keyboard.press("Tab")
        else:
            raise AssertionError(f"the keyboard does not reach {target}")
        self.page.evaluate("e => document.activeElement === e || e.focus()", wanted)

    # ------------------------------------------------------------------ looking

    def look(self, name: str, *, both: bool = ALL) -> list[str]:
        """What is wrong with this page: axe-core, its width, its console; a picture for the guides.

        ``both``: wide and narrow; otherwise Chinese wide and English narrow.
        """
        found = []
        sizes = (WIDE, NARROW) if both or self.shots else (SIZES[self.language],)
        for width, height in sizes:
            self.page.set_viewport_size({"width": width, "height": height})
            if not self.page.evaluate("() => 'axe' in window"):
                self.page.evaluate(AXE_SCRIPT)
            faults = self.page.evaluate(JUDGE, [GRAVE, ALL or (width, height) == sizes[-1]])
            found += [f"{name} {self.language} {width}: {fault}" for fault in faults]
            wider = self.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
            if wider > 0:
                found.append(f"{name} {self.language} {width}: wider than its screen by {wider} px")
            if self.shots is not None:
                self.shots.mkdir(parents=True, exist_ok=True)
                self.page.screenshot(path=self.shots / f"{name}-{self.language}-{width}.png", full_page=True)
        self.page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
        found += [f"{name} {self.language}: console: {line[:200]}" for line in self.said]
        self.said.clear()
        return found

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path
