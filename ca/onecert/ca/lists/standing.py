"""Where the lists of every authority stand: for people who watch, at /ca/v1/lists."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify

from onecert.ca.authorities.authorities import Authority
from onecert.ca.certificates.draft import delta_url
from onecert.ca.lists.names import delta_name, list_name
from onecert.ca.lists.publishing import PublishedCrl
from onecert.ca.parts import Parts
from onecert.server.web import public

__all__ = ["add_list_views", "lists_json"]


def add_list_views(app: Flask, parts: Parts) -> None:
    """Add the one address."""

    @app.get("/v1/lists")
    @public
    def get_lists() -> Response:
        return jsonify({"lists": lists_json(parts)})


def lists_json(parts: Parts) -> list[dict[str, Any]]:
    """Every list that is made, by authority and partition; what is not published yet has no number.

    `published_number` is that of the file that is served; it is behind `number` only while the file cannot be
    written. `due_at` is when it is made anew anyway, `overdue_at` when the alarm comes.
    """
    return [
        _list_json(parts, authority, partition)
        for authority in parts.authorities.reload()
        for partition in parts.publisher.partitions(authority.name)
    ]


def _list_json(parts: Parts, authority: Authority, partition: int) -> dict[str, Any]:
    name, url = list_name(authority.name, partition), authority.issuer.crl_url_of(partition)
    latest = parts.publisher.latest(authority.name, partition)
    return {
        "authority": authority.name,
        "partition": partition,
        "url": url,
        "published_number": parts.files.crl_number(name),
        **(_facts(latest) if latest else {"number": None}),
        "delta": _delta_json(parts, latest, url) if latest else None,
    }


def _facts(latest: PublishedCrl) -> dict[str, Any]:
    life = latest.first_to_lapse - latest.this_update
    return {
        "number": latest.number,
        "entries": latest.entries,
        "this_update": latest.this_update.isoformat(),
        "next_update": latest.next_update.isoformat(),
        "due_at": (latest.this_update + life / 4).isoformat(),
        "overdue_at": (latest.this_update + life / 2).isoformat(),
        "sha256": latest.sha256,
    }


def _delta_json(parts: Parts, latest: PublishedCrl, url: str) -> dict[str, Any] | None:
    if latest.base_number is None or latest.delta_next_update is None:
        return None
    name = delta_name(latest.name)
    return {
        "url": delta_url(url),
        "base_number": latest.base_number,
        "entries": latest.delta_entries,
        "next_update": latest.delta_next_update.isoformat(),
        "published_number": parts.files.crl_number(name),
    }
