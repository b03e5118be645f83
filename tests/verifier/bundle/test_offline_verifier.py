"""A department without network: who logs in, as of when, and what stops as the bundle gets older."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bundle_city import DAY, FIRM, HOUR, City, T

from onecert.testkit.trust_roles import RoleHolders, make_keys
from onecert.verifier import RootFolder
from onecert.verifier.bundle import import_bundle, source
from onecert.verifier.errors import CouldNotCheckError, RefusedError, RevokedError, VerifyError
from onecert.verifier.identity import ClosedEntities
from onecert.verifier.purposes import ENCRYPTION, SIGNING
from onecert.verifier.signed_form import RawSignature, verify_form


def code_of(caught: pytest.ExceptionInfo[VerifyError]) -> str:
    error = caught.value
    for language in ("zh", "en"):
        assert "?" not in error.text(language)
        assert error.text(language) != error.code
    return error.code


def test_a_login_without_network(city: City) -> None:
    city.bundle()
    result = city.verifier().verify(city.leaf("good-harbour"), at=T + 2 * DAY)
    assert (result.identity.id, result.offline, result.as_of) == (f"uscc:{FIRM}", True, T)
    answer = result.as_dict()
    assert (answer["offline"], answer["as_of"], answer["schema"]) == (True, "2026-11-21T09:00:00Z", 1)


def test_revoked_is_revoked(city: City) -> None:
    city.bundle()
    with pytest.raises(RevokedError):
        city.verifier().verify(city.leaf("revoked"), at=T)


def test_a_batch_says_it_too(city: City) -> None:
    city.bundle()
    good, bad = city.verifier().verify_many([city.leaf("good-harbour"), city.leaf("revoked")], at=T)
    assert not isinstance(good, VerifyError)
    assert good.as_of == T
    assert isinstance(bad, RevokedError)


def test_a_list_past_its_end_serves_as_long_as_the_policy_says(city: City) -> None:
    """The CA's list was over two days before; the bundle's policy allows seven days for a login."""
    city.bundle()
    heron = city.leaf("status-unknown")
    result = city.verifier().verify(heron, at=T + DAY)
    assert "REVOCATION_STALE" in result.warnings
    city.bundle(made_at=T + HOUR, version=2, policy=None)
    with pytest.raises(CouldNotCheckError) as caught:
        city.verifier().verify(heron, at=T + DAY)
    assert caught.value.code == "REVOCATION_UNKNOWN"


def test_age_by_purpose(city: City) -> None:
    """A week for a login, a day for everything else."""
    city.bundle()
    verifier, leaf = city.verifier(), city.leaf("good-harbour")
    assert verifier.verify(leaf, at=T + 23 * HOUR, purpose=SIGNING)
    for purpose in (SIGNING, ENCRYPTION):
        with pytest.raises(CouldNotCheckError) as caught:
            verifier.verify(leaf, at=T + 25 * HOUR, purpose=purpose)
        assert code_of(caught) == "BUNDLE_OLD"
    assert verifier.verify(leaf, at=T + 6 * DAY)
    with pytest.raises(CouldNotCheckError) as caught:
        verifier.verify(leaf, at=T + 8 * DAY)
    assert code_of(caught) == "BUNDLE_OLD"


def test_the_departments_own_limit(city: City) -> None:
    city.bundle()
    verifier = city.verifier(max_age=timedelta(hours=3))
    assert verifier.verify(city.leaf("good-harbour"), at=T + 2 * HOUR)
    with pytest.raises(CouldNotCheckError) as caught:
        verifier.verify(city.leaf("good-harbour"), at=T + 4 * HOUR)
    assert code_of(caught) == "BUNDLE_OLD"


def test_ends_and_clocks(city: City) -> None:
    city.bundle(policy=None)
    for at, code in ((T + 30 * DAY, "BUNDLE_EXPIRED"), (T - HOUR, "BUNDLE_CLOCK")):
        with pytest.raises(CouldNotCheckError) as caught:
            city.verifier().verify(city.leaf("good-harbour"), at=at)
        assert code_of(caught) == code
    # A clock that is a little slow is no lie.
    assert city.verifier().verify(city.leaf("good-harbour"), at=T - timedelta(minutes=4))


@pytest.mark.parametrize("restarted", [True, False])
def test_the_clock_is_set_back(city: City, restarted: bool) -> None:
    """To a time after the bundle was made, which would keep it young: refused, also after a restart. A newer
    bundle begins anew, so that a clock that once ran ahead does not close the counter for good."""
    city.bundle(policy=None)
    verifier, leaf = city.verifier(), city.leaf("good-harbour")
    assert verifier.verify(leaf, at=T + 10 * DAY)
    assert verifier.verify(leaf, at=T + 10 * DAY - timedelta(minutes=4))
    if restarted:
        verifier = city.verifier()
    with pytest.raises(CouldNotCheckError) as caught:
        verifier.verify(leaf, at=T + 9 * DAY)
    assert code_of(caught) == "BUNDLE_CLOCK_BACK"
    assert verifier.verify(leaf, at=T + 11 * DAY)
    city.bundle(made_at=T + DAY, version=2, policy=None)
    assert verifier.verify(leaf, at=T + 9 * DAY).as_of == T + DAY


def test_roots_of_a_bundle_stay(city: City) -> None:
    """Imported under root 2; a bundle of later that begins with root 3 is read from there after a restart."""
    for version in (2, 3):
        city.holders.timestamp = RoleHolders(make_keys(1), 1)
        city.roots[f"trust-roots/{version}.json"] = city.holders.sign_root(version, at=T - DAY)
        path = city.bundle(
            city.folder / "new.zip", made_at=T + version * HOUR, version=version, registry=False, policy=None
        )
        import_bundle(path, city.pki, T + 5 * HOUR)
        del city.roots[f"trust-roots/{version - 1}.json"]
    assert [root.version for root in RootFolder(city.pki)()] == [1, 2, 3]
    path = city.bundle(city.folder / "new.zip", made_at=T + 4 * HOUR, version=4, registry=False, policy=None)
    assert import_bundle(path, city.pki, T + 5 * HOUR).root.version == 3
    assert city.verifier().as_of(T + 5 * HOUR) == T + 4 * HOUR


def test_the_list_ends_before_the_bundle(city: City) -> None:
    """190 days of a bundle do not make the trust list any longer."""
    city.bundle(
        made_at=T + 150 * DAY, registry=False, policy=None, manifest={"use_until": "2027-10-01T00:00:00Z"}
    )
    with pytest.raises(CouldNotCheckError) as caught:
        city.verifier().verify(city.leaf("good-harbour"), at=T + 200 * DAY)
    assert code_of(caught) == "TRUST_LIST_EXPIRED"


def test_a_newer_bundle_is_taken_up(city: City) -> None:
    city.bundle()
    verifier = city.verifier()
    assert verifier.as_of(T + 2 * DAY) == T
    city.bundle(made_at=T + DAY, version=2)
    assert verifier.as_of(T + 2 * DAY) == T + DAY


def test_an_older_bundle_is_not(city: City) -> None:
    """The running program goes on with the newer one; one that starts has nothing."""
    city.bundle(made_at=T + DAY, version=2)
    verifier = city.verifier()
    verifier.as_of(T + 2 * DAY)
    city.bundle()
    assert verifier.as_of(T + 2 * DAY) == T + DAY
    with pytest.raises(RefusedError) as caught:
        city.verifier().as_of(T + 2 * DAY)
    assert code_of(caught) in {"BUNDLE_ROLLBACK", "TRUST_TIMESTAMP_ROLLBACK"}
    city.bundle(version=3)
    with pytest.raises(RefusedError) as caught:
        city.verifier().as_of(T + 2 * DAY)
    assert code_of(caught) == "BUNDLE_ROLLBACK"


def test_two_bundles_of_one_time(city: City) -> None:
    city.bundle()
    city.verifier().as_of(T)
    city.bundle(policy=None)
    with pytest.raises(RefusedError) as caught:
        city.verifier().as_of(T)
    assert code_of(caught) == "BUNDLE_FORK"


def test_a_broken_successor_does_not_replace(city: City) -> None:
    city.bundle()
    verifier = city.verifier()
    assert verifier.as_of(T) == T
    (city.pki / "bundle.zip").write_bytes(b"half a cop")
    assert verifier.verify(city.leaf("good-harbour"), at=T).as_of == T
    (city.pki / "bundle.zip").unlink()
    assert verifier.verify(city.leaf("good-harbour"), at=T).as_of == T
    with pytest.raises(CouldNotCheckError) as caught:
        city.verifier().as_of(T)
    assert code_of(caught) == "BUNDLE_MISSING"


@pytest.mark.parametrize("is_running", [True, False])
def test_a_bundle_of_tomorrow(city: City, is_running: bool) -> None:
    """Signed with a stolen timestamp key, as made in a year: neither used nor remembered, so that the next
    good one comes through."""
    city.bundle()
    verifier = city.verifier()
    if is_running:
        assert verifier.as_of(T) == T
    city.bundle(made_at=T + 365 * DAY, version=2, manifest={"use_until": "2027-12-01T00:00:00Z"})
    if is_running:
        assert verifier.as_of(T + HOUR) == T
    else:
        with pytest.raises(CouldNotCheckError):
            verifier.as_of(T + HOUR)
    city.bundle(made_at=T + HOUR, version=2)
    assert verifier.as_of(T + 2 * HOUR) == T + HOUR


def test_a_wrong_file_is_read_once(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be large, and everybody waits while it is read."""
    city.bundle()
    verifier = city.verifier()
    assert verifier.as_of(T) == T
    read: list[Path] = []
    load = source.load_bundle

    def counted(path: Path, **more: Any) -> Any:
        read.append(path)
        return load(path, **more)

    monkeypatch.setattr(source, "load_bundle", counted)
    (city.pki / "bundle.zip").write_bytes(b"half a cop")
    for hours in range(5):
        assert verifier.as_of(T + hours * HOUR) == T
    assert len(read) == 1


def test_a_bundle_of_a_minute_ahead(city: City) -> None:
    """The file is the same when the clock has come so far."""
    city.bundle()
    verifier = city.verifier()
    assert verifier.as_of(T) == T
    city.bundle(made_at=T + HOUR, version=2)
    assert verifier.as_of(T) == T
    assert verifier.as_of(T + HOUR) == T + HOUR


def test_new_keys_come_with_the_bundle(city: City) -> None:
    """The timestamp key was replaced by root 2; the department holds root 1 and walks."""
    city.holders.timestamp = RoleHolders(make_keys(1), 1)
    second = city.holders.sign_root(2, at=T - DAY)
    city.roots = {**city.roots, "trust-roots/2.json": second}
    city.bundle()
    assert city.verifier().as_of(T) == T


def test_closed_entities(city: City) -> None:
    city.rows[0] |= {"state": "cancelled", "until": "2026-11-01T00:00:00Z"}
    city.bundle()
    with pytest.raises(RefusedError) as caught:
        city.verifier().verify(city.leaf("good-harbour"), at=T)
    assert code_of(caught) == "ENTITY_CANCELLED"


@pytest.mark.parametrize("rules", [{"closed": ClosedEntities(revoked="refuse")}, {}])
def test_the_stricter_rules_win(city: City, rules: dict[str, Any]) -> None:
    city.rows[0] |= {"state": "revoked"}
    city.bundle(policy={"version": 1, "max_age": {"otherwise": 86400}, "closed": {"revoked": "warn"}})
    if rules:
        with pytest.raises(RefusedError) as caught:
            city.verifier(**rules).verify(city.leaf("good-harbour"), at=T)
        assert caught.value.code == "ENTITY_REVOKED"
    else:
        result = city.verifier().verify(city.leaf("good-harbour"), at=T)
        assert "ENTITY_CLOSED" in result.warnings


def test_accounts_of_older_numbers(city: City) -> None:
    city.bundle()
    verifier = city.verifier()
    verifier.as_of(T)
    assert [alias.id for alias in verifier.source.aliases_of(f"uscc:{FIRM}", T)] == [f"org:{FIRM[8:17]}"]


def test_a_list_that_is_missing_is_said(city: City) -> None:
    city.bundle(crls=("harbour", "harbour-root"))
    result = city.verifier().verify(city.leaf("good-harbour"), at=T)
    assert "BUNDLE_CRL_ABSENT" in result.warnings
    assert result.warning_texts("zh")
    with pytest.raises(CouldNotCheckError):
        city.verifier().verify(city.leaf("good-pearl"), at=T)


def test_signed_forms(city: City) -> None:
    city.bundle()
    case = city.kit.case("good-harbour")
    form = b'{"tax":100}'
    signature = RawSignature(value=city.kit.key(case).sign(form), certificate=city.kit.certificate_pem(case))
    verifier = city.verifier()
    signed = verify_form(form, signature, at=T + HOUR, verifier=verifier)
    assert signed.signer.identity is not None
    assert signed.signer.identity.id == f"uscc:{FIRM}"
    with pytest.raises(CouldNotCheckError) as caught:
        verify_form(form, signature, at=T + 25 * HOUR, verifier=verifier)
    assert code_of(caught) == "BUNDLE_OLD"
