"""Dominance on random trees of delegations: accepted exactly when a simple oracle of its own accepts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onecert.verifier import VerifyError
from onecert.verifier.attribute_certificate import Constraints

GIVERS = ("source", "bureau", "office", "branch", "desk")


@dataclass(frozen=True)
class Edge:
    """One delegation, or with ``to`` empty the certificate of the official."""

    giver: str
    to: str
    roles: str
    depth: int | None
    start: int  # days from T
    end: int


def edges(giver: st.SearchStrategy[str], to: st.SearchStrategy[str]) -> st.SearchStrategy[Edge]:
    # Mostly wide, so that good paths of some length are not rare.
    roles = st.sampled_from(["abc"] * 6 + ["ab", "ab", "a", "b"])
    depth = st.sampled_from([None] * 6 + [3, 2, 1, 0])
    start, end = st.sampled_from([-9] * 6 + [-5, -2]), st.sampled_from([9] * 6 + [5, 2])
    return st.builds(Edge, giver, to, roles, depth, start, end)


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[Edge], Edge]:
    """A chain of some length, whose last authority gives; and edges anywhere, loops among them."""
    length = draw(st.integers(0, 4))
    chain = [
        draw(edges(st.just(giver), st.just(to))) for giver, to in itertools.pairwise(GIVERS[: length + 1])
    ]
    more = draw(st.lists(edges(st.sampled_from(GIVERS), st.sampled_from(GIVERS[1:])), max_size=4))
    tree = list(dict.fromkeys(draw(st.permutations(chain + more))))
    roles, start, end = draw(st.sampled_from("aabc")), draw(st.sampled_from([-1, -1, -3])), 1
    return tree, Edge(GIVERS[length], "", roles, None, start, end)


def is_allowed(grant: Edge, tree: list[Edge]) -> bool:
    """Search downwards from the source, carrying what an authority holds; the verifier searches upwards."""

    def search(giver: str, roles: set[str], depth: int, start: int, end: int, seen: frozenset[str]) -> bool:
        def fits(edge: Edge) -> bool:
            inside = start <= edge.start and edge.end <= end
            return edge.giver == giver and set(edge.roles) <= roles and inside

        if fits(grant) and depth >= 0:
            return True
        return any(
            search(
                edge.to,
                set(edge.roles),
                depth - 1 if edge.depth is None else edge.depth,
                edge.start,
                edge.end,
                seen | {edge.to},
            )
            for edge in tree
            if fits(edge) and edge.to not in seen and depth >= 1 and (edge.depth or 0) <= depth - 1
        )

    # The configuration names the source: of it nothing is asked but its signature.
    return search("source", set("abc"), 99, -99, 99, frozenset({"source"}))


@pytest.fixture(scope="module")
def issued() -> dict[Edge, tuple]:
    """Certificates by what they say: signing is what takes the time."""
    return {}


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(drawn=trees())
def test_accepted_exactly_when_the_oracle_accepts(city, lab, issued, drawn: tuple[list[Edge], Edge]) -> None:
    tree, grant = drawn

    def validity(edge: Edge) -> bytes:
        moments = (lab.generalized(lab.T + timedelta(days=each)) for each in (edge.start, edge.end))
        return lab.tlv(0x30, *moments)

    def make(edge: Edge) -> bytes:
        if edge not in issued:
            if edge.to:
                constraints = Constraints(edge.depth)
                city.delegate(edge.giver, edge.to, edge.roles, constraints, validity=validity(edge))
                issued[edge] = city.delegations.pop()
            else:
                issued[edge] = (city.grant(edge.giver, edge.roles, validity=validity(edge)),)
        return issued[edge]

    delegations = [make(edge) for edge in tree]
    (data,) = make(grant)
    city.delegations = delegations
    try:
        city.verify(data)
        accepted = True
    except VerifyError:
        accepted = False
    assert accepted == is_allowed(grant, tree)
    assert accepted == (city.explain(data).verified is not None)
