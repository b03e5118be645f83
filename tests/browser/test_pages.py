"""Every page of the consoles: axe-core, wide and narrow, nothing on the console.

Each role follows every link that it is shown. A kind of page is looked at by the first who comes to it,
and by everybody to whom it offers something else; Chinese and English take turns, and ``BROWSER=all``
has everybody look at everything in both.
"""

import re
from collections.abc import Callable, Iterator
from html import unescape
from urllib.parse import urljoin, urlsplit

import pytest
from people import ALL, Person

PEOPLE = ("admin1", "security1", "clerk1", "clerk2", "media1", "archive1", "auditor1")
LEAST = 30  # kinds of pages that everybody together comes to
LINK = re.compile(r'<(?:a|form)\b[^>]*?\s(?:href|action)="([^"#]+)')
CONTENT = re.compile(r"<main\b.*</main>", re.DOTALL)
NUMBER = re.compile(r"^(?=.*\d)|^[0-9a-f]{32,}$")
SAME = {"pearl", "harbour", "summit", "city-tsa", "main", "citizen", "employee", "device", "organisation"}

pytestmark = [pytest.mark.token, pytest.mark.timeout(600)]


def kind_of(url: str) -> str:
    """Pages that differ by a number, a name of an authority or a type are one kind."""
    parts = ["#" if NUMBER.search(part) else part for part in urlsplit(url).path.split("/")]
    first, rest = parts[:3], parts[3:]
    return "/".join([*first, *("#" if part in SAME else part for part in rest)])


def links_of(url: str, text: str) -> Iterator[str]:
    """Where links and forms of a page lead, without those that change the language or sign out."""
    for link in LINK.findall(text):
        there = urljoin(url, unescape(link)).partition("#")[0]
        if "language=" not in there and "sign-out" not in there:
            yield there


def test_every_page_can_be_read_by_everybody(person: Callable[..., Person]) -> None:
    found: list[str] = []
    offers: dict[str, set[str]] = {}  # kind of page -> kinds of links and forms in it that were looked at
    for number, operator in enumerate(PEOPLE):
        for language in ("zh", "en") if ALL else (("zh", "en")[number % 2],):
            one = person(operator, language=language)
            waiting, came = [f"{one.service}/"], set()
            while waiting:
                url = waiting.pop(0)
                kind = kind_of(url)
                if kind in came:
                    continue
                came.add(kind)
                answer = one.page.request.get(url)
                assert answer.status < 500, f"{operator} {url}: {answer.status}"
                # 405: a form is sent there, and there is nothing to read.
                if "text/html" not in answer.headers.get("content-type", "") or answer.status == 405:
                    continue
                text = answer.text()
                waiting += [link for link in links_of(url, text) if link.startswith(f"{one.service}/")]
                content = CONTENT.search(text)
                offered = {kind_of(link) for link in links_of(url, content.group() if content else text)}
                is_new = kind not in offers
                if ALL or is_new or offered - offers[kind]:
                    offers.setdefault(kind, set()).update(offered)
                    one.page.goto(url)
                    name = kind.strip("/").replace("/", "-").replace("#", "x")
                    # What somebody else sees of a known page is looked at on one screen.
                    found += one.look(f"{name}-{operator}", both=ALL or is_new)
            one.close()
    assert len(offers) >= LEAST, sorted(offers)
    assert not found, "\n".join(found)
