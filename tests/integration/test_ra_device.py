"""A device through RA and CA in one process: the packaged profile, asked for by the form's type."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.server.contexts import open_member

ROOT = Path(__file__).resolve().parents[2]
USCC = "91440300MA5DEM004J"
PROFILE = """
[[profiles]]
name = "device"
policies = ["1.3.6.1.4.1.58888.8.2.5"]
identity = [
    { oid = "1.2.156.10260.4.1.4", value = "uscc", syntax = "set-explicit" },
]
"""


def test_a_device_is_issued_for_the_term_applied_for(
    make_running: Callable[..., Any], run_command: Callable[..., Any], tmp_path: Path
) -> None:
    """wang enters a device for 12 months, li approves, the CA issues it by its device profile: named
    by itself, with the firm's code, for twelve months and not the profile's five years."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    ceremony = tmp_path / "ceremony.toml"
    ceremony.write_text((ROOT / "demo/ceremonies/harbour.toml").read_text("utf-8") + PROFILE, "utf-8")
    run_command(data, "ca", "ceremony", ceremony, "--apply")
    key = tmp_path / "orders.pem"
    run_command(data, "ra", "key", "--out", key)
    scope = ["--scope", "harbour:device"]
    run_command(data, "ca", "registration-authority", "add", "ra", "--key", key, *scope)
    opened = open_member("ra", data)
    people = (("wang", "clerk.entry", "440300190001011210"), ("li", "clerk.review", "440300190001011229"))
    with opened.context.database.transaction() as connection:
        for name, role, person in people:
            until = datetime(2099, 12, 31, tzinfo=UTC)
            opened.context.operators.add(connection, name, name.title(), [role], person, until)
    opened.close()
    running = make_running(data, "ca", "ra")
    running.start()

    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    request = x509.CertificateSigningRequestBuilder(subject).sign(
        ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()
    )
    fields = {
        "device_name": "一号网关",
        "organization_name": "深圳市示例科技有限公司",
        "uscc": USCC,
        "state_or_province": "广东省",
        "locality": "深圳市",
        "agent_name": "张三",
        "agent_idcard": "440300190001010015",
        "mobile": "13800000000",
        "certificate_months": "12",
    }
    body = {
        "type": "device",
        "authority": "harbour",
        "fields": fields,
        "consent": {"version": "2026-11", "how": "paper"},
        "csr_pem": request.public_bytes(serialization.Encoding.PEM).decode(),
        "submit": True,
    }
    made = running.sign_in("ra", "wang").post("v1/applications", json=body)
    assert made.status_code == 201, made.text
    approve = f"v1/applications/{made.json()['id']}/approve"
    done = running.sign_in("ra", "li").post(approve, json={"content_sha256": made.json()["content_sha256"]})

    assert (done.status_code, done.json()["state"]) == (200, "issued"), done.text
    issued = x509.load_pem_x509_certificate(done.json()["certificate"]["certificate_pem"].encode())
    [name] = issued.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert name.value == "一号网关"
    extension = issued.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.2.156.10260.4.1.4"))
    assert USCC.encode() in extension.value.public_bytes()
    assert issued.not_valid_after_utc - issued.not_valid_before_utc < timedelta(days=368)
    assert running.stop() == 0
