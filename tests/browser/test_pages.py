"""Every page of the consoles: axe-core, wide and narrow, nothing on the console.

Each kind of page once, by the first who comes to it; Chinese and English take turns, and ``BROWSER=all``
has everybody look at everything in both.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from people import ALL, Person

LINKS = "() => [...document.querySelectorAll('a[href]')].map(a => a.href.split('#')[0])"
PEOPLE = ("admin1", "security1", "clerk1", "clerk2", "media1", "archive1", "auditor1")
LEAST = 30  # kinds of pages that everybody together comes to

pytestmark = [pytest.mark.token, pytest.mark.timeout(600)]


def kind_of(url: str) -> str:
    """Pages that differ by a number, a name of an authority or a type are one kind."""
    parts = ["#" if any(c.isdigit() for c in part) else part for part in urlsplit(url).path.split("/")]
    same = {"pearl", "harbour", "summit", "city-tsa", "main", "citizen", "employee", "device", "organisation"}
    first, rest = parts[:3], parts[3:]
    return "/".join([*first, *("#" if part in same else part for part in rest)])


def test_every_page_can_be_read_by_everybody(person: Callable[..., Person]) -> None:
    found: list[str] = []
    known: set[str] = set()
    for number, operator in enumerate(PEOPLE):
        for language in ("zh", "en") if ALL else (("zh", "en")[number % 2],):
            one = person(operator, language=language)
            kinds: set[str] = set() if ALL else known
            waiting, seen = [f"{one.service}/"], {f"{one.service}/"}
            while waiting:
                url = waiting.pop(0)
                kind = kind_of(url)
                # Everybody has a desk of their own.
                if kind in kinds and kind != "/ra/":
                    continue
                kinds.add(kind)
                known.add(kind)
                answer = one.page.request.get(url)
                assert answer.status < 500, f"{operator} {url}: {answer.status}"
                if "text/html" not in answer.headers.get("content-type", ""):
                    continue
                one.page.goto(url)
                name = kind.strip("/").replace("/", "-").replace("#", "x")
                found += one.look(f"{name}-{operator}", both=True)
                for link in one.page.evaluate(LINKS):
                    if link.startswith(one.service) and link not in seen and "language=" not in link:
                        seen.add(link)
                        waiting.append(link)
            one.close()
    assert len(known) >= LEAST, sorted(known)
    assert not found, "\n".join(found)
