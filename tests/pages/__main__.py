"""Looks at every page of running services as people do who cannot see well or use no mouse.

``python tests/pages --axe axe.min.js LINK …`` signs in with one-time links (`make up` prints them), follows
every link and sends every form as it stands, in Chinese and English, wide and narrow. docs/pages.md says how
to get what it needs (Playwright, Chromium, axe-core); none of it is part of the set-up, because no test needs
it. It changes what the forms change: use data that may be thrown away.

Exit code 1 when something is found: a serious or critical finding of axe-core or one about contrast, a line
on the console, a header that is missing, a page that is wider than its screen, a part that the keyboard does
not reach or that does not show that it was reached, a page that prints its navigation.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Error, Page, sync_playwright

WIDTHS = (1280, 390)
LANGUAGES = ("zh", "en")
# Pages that differ by a number or name are one kind; so many of each are looked at.
OF_A_KIND = 2
CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; script-src 'self'; "
    "connect-src 'self'"
)
_NUMBER = re.compile(r"/(?=[^/]*\d)[^/]+")

AXE = """
async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(v => ({
  id: v.id, impact: v.impact, help: v.help,
  nodes: v.nodes.slice(0, 3).map(n => n.target.join(" ") + " | " + n.html.slice(0, 120)),
}))"""
TABBABLE = """
() => [...document.querySelectorAll("a[href],button,input,select,textarea,summary,[tabindex]")].filter(
  e => e.tabIndex >= 0 && !e.disabled && e.type !== "hidden" && e.checkVisibility()
).map((e, i) => { e.dataset.order = i; return e.outerHTML.slice(0, 80); })"""
FOCUSED = """
() => { const e = document.activeElement, s = getComputedStyle(e);
  const shown = s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2;
  return [e.dataset.order === undefined ? -1 : +e.dataset.order, shown, e.outerHTML.slice(0, 80)]; }"""
LINKS = """
() => [...document.querySelectorAll("a[href]")].map(a => a.href.split("#")[0])"""
FORMS = """
() => [...document.forms].map((f, i) => [i, f.method, f.getAttribute("action") || location.href])"""

SEND = "n => { const form = document.forms[n]; form.noValidate = true; form.requestSubmit(); }"


class Walk:
    """One person in one service."""

    def __init__(self, page: Page, axe: str) -> None:
        self.page, self._axe = page, axe
        self.found: Counter[str] = Counter()
        self.looked = 0
        self._said: list[str] = []
        page.on("console", lambda message: self._said.append(message.text) if _is_bad(message) else None)
        page.on("pageerror", lambda error: self._said.append(str(error)))

    def sign_in(self, link: str) -> str:
        """Follow a one-time link; tell the service's first page."""
        self.page.goto(link)
        self.look("sign-in", is_new=True)
        self.page.click("main form button")
        service = urlsplit(link).path.split("/")[1]
        return f"{urlsplit(link).scheme}://{urlsplit(link).netloc}/{service}/"

    def everything(self, start: str) -> None:
        """Look at each kind of page below `start`, then at what comes back from each form."""
        waiting, seen, kinds, forms = [start], {start}, Counter[str](), dict[str, tuple[str, int]]()
        while waiting:
            url = waiting.pop(0)
            kind = _kind(url)
            kinds[kind] += 1
            if kinds[kind] > OF_A_KIND:
                continue
            if not self._open(url, kind, is_new=kinds[kind] == 1):
                continue
            for link in self.page.evaluate(LINKS):
                # A language is no page, and neither is a download.
                if link.startswith(start) and link not in seen and "language=" not in link:
                    seen.add(link)
                    waiting.append(link)
            for number, _method, action in self.page.evaluate(FORMS):
                if "sign-out" not in action:
                    forms.setdefault(f"{kind} -> {_kind(action)} #{number}", (url, number))
        for kind, (url, number) in forms.items():
            self._send(url, number, kind)

    def _open(self, url: str, kind: str, *, is_new: bool) -> bool:
        for language in LANGUAGES:
            try:
                answer = self.page.goto(f"{url}{'&' if '?' in url else '?'}language={language}")
            except Error:  # a download
                return False
            if answer is None or "text/html" not in answer.headers.get("content-type", ""):
                return False
            if not answer.headers.get("content-security-policy", "").startswith(CSP):
                self._tell(kind, "its Content-Security-Policy is another")
            if answer.status >= 500:
                self._tell(kind, f"answered {answer.status}")
            self.look(f"{kind} {language}", is_new=is_new)
        return True

    def _send(self, url: str, number: int, kind: str) -> None:
        """Send a form as it stands, also where the browser would ask for more."""
        for language in LANGUAGES:
            try:
                self.page.goto(f"{url}{'&' if '?' in url else '?'}language={language}")
                with self.page.expect_navigation(timeout=20_000):
                    self.page.evaluate(
                        "n => { const f = document.forms[n]; f.noValidate = true; f.requestSubmit(); }",
                        number,
                    )
                # A refused form is answered with 4xx, which the browser notes; that is no fault of the page.
                self._said = [line for line in self._said if "Failed to load resource" not in line]
                self.look(f"{kind} {language}", is_new=False)
            except Error as exc:
                print(f"      {kind}: {str(exc).splitlines()[0][:100]}", file=sys.stderr)

    def look(self, name: str, *, is_new: bool) -> None:
        """Everything that is asked of one page, at each width."""
        self.looked += 1
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 800})
            self.page.evaluate(self._axe)
            for finding in self.page.evaluate(AXE):
                grave = finding["impact"] in {"serious", "critical"} or finding["id"] == "color-contrast"
                if grave:
                    text = f"{finding['impact']} {finding['id']}: {finding['help']} {finding['nodes']}"
                    self._tell(f"{name} {width}", text)
                else:
                    print(f"      {name} {width}: {finding['impact']} {finding['id']}", file=sys.stderr)
            wide = self.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
            if wide > 0:
                self._tell(f"{name} {width}", f"wider than its screen by {wide} px")
        if is_new:
            self.page.set_viewport_size({"width": WIDTHS[0], "height": 800})
            for fault in (*self._keyboard(), *self._print()):
                self._tell(name, fault)
        for line in self._said:
            self._tell(name, f"console: {line[:200]}")
        self._said.clear()

    def _keyboard(self) -> Iterator[str]:
        """Tab from the beginning: every part is reached, in its order, and shows it."""
        wanted = self.page.evaluate(TABBABLE)
        reached = set()
        self.page.evaluate("() => { document.activeElement.blur(); window.scrollTo(0, 0); }")
        last, back = -1, 0
        # A date or time is several steps.
        dates = sum('type="date' in each or 'type="time' in each for each in wanted)
        for _step in range(len(wanted) + 8 * dates + 3):
            self.page.keyboard.press("Tab")
            place, shown, html = self.page.evaluate(FOCUSED)
            if place in reached or place < 0:
                continue
            reached.add(place)
            # A page that puts the cursor into a field begins there, and comes round once.
            back += place < last
            if back > 1:
                yield f"the keyboard goes back at {html}"
            last = place
            if not shown:
                yield f"does not show that it has the focus: {html}"
        missed = [html for place, html in enumerate(wanted) if place not in reached]
        # Of a group of radio buttons the keyboard reaches one, and the arrows the others.
        yield from (f"not reached by the keyboard: {each}" for each in missed if 'type="radio"' not in each)

    def _print(self) -> Iterator[str]:
        self.page.emulate_media(media="print")
        hidden = ".page-navigation, .page-tools, .skip-link, .actions, .pagination, .search"
        shown = self.page.evaluate(
            "s => [...document.querySelectorAll(s)].filter(e => e.checkVisibility()).length", hidden
        )
        self.page.emulate_media(media="screen")
        if shown:
            yield "prints what only a screen needs"

    def _tell(self, where: str, what: str) -> None:
        if not self.found[f"{where} {what}"]:
            print(f"!!  {where}\t{what}", flush=True)
        self.found[f"{where} {what}"] += 1


def _is_bad(message: Any) -> bool:
    return message.type in {"error", "warning"}


def _kind(url: str) -> str:
    """Pages that differ by what they are about are one kind."""
    parts = urlsplit(url)
    names = sorted(each.partition("=")[0] for each in parts.query.split("&") if each)
    return _NUMBER.sub("/#", parts.path) + (f"?{','.join(names)}" if names else "")


def main() -> int:
    """Walk through every service that a link was given for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("links", nargs="+", metavar="LINK", help="one-time sign-in links")
    parser.add_argument("--axe", type=Path, required=True, help="axe.min.js")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--json", type=Path, help="also write what was found here")
    wanted = parser.parse_args()
    axe = wanted.axe.read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=wanted.chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for link in wanted.links:
            context = browser.new_context(ignore_https_errors=True)
            walk = Walk(context.new_page(), axe)
            start = walk.sign_in(link)
            walk.everything(start)
            print(f"{start}\t{walk.looked} pages\t{len(walk.found)} findings", flush=True)
            found.setdefault(start, []).extend(walk.found)
            context.close()
        browser.close()
    if wanted.json:
        wanted.json.write_text(json.dumps(found, ensure_ascii=False, indent=1), encoding="utf-8")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
