"""Figures for Prometheus, in a registry of our own, so that a test or a library cannot collide with it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = [
    "CONTENT_TYPE",
    "audit_head_failures",
    "database_errors",
    "exposition",
    "job_last_success",
    "job_loop_failures",
    "job_runs",
    "job_seconds",
    "registry",
    "request_seconds",
    "requests",
]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

registry = CollectorRegistry()

requests = Counter(
    "onecert_requests", "Requests answered", ["service", "port", "method", "status"], registry=registry
)
request_seconds = Histogram(
    "onecert_request_seconds", "Time to answer a request", ["service", "port"], registry=registry
)
job_runs = Counter(
    "onecert_job_runs", "Slots of jobs, by result", ["service", "job", "result"], registry=registry
)
job_seconds = Histogram("onecert_job_seconds", "Time a job took", ["service", "job"], registry=registry)
job_last_success = Gauge(
    "onecert_job_last_success_timestamp_seconds",
    "When a job last ended well",
    ["service", "job"],
    registry=registry,
)
job_loop_failures = Counter(
    "onecert_job_loop_failures", "Times the jobs could not be looked up", ["service"], registry=registry
)
audit_head_failures = Counter(
    "onecert_audit_head_failures",
    "Times the head of an audit trail could not be signed",
    ["service"],
    registry=registry,
)
database_errors = Counter(
    "onecert_database_errors", "Times a database did not take or give something", ["kind"], registry=registry
)


def exposition() -> bytes:
    """Return all figures in the text format of Prometheus."""
    return generate_latest(registry)
