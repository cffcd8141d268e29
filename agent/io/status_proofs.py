"""What an issuer says of a certificate, as OCSP (RFC 6960) or as a revocation list (RFC 5280, 6.3), checked.

Nothing here touches the network: bytes come in, a Finding or a Refused with the words for people goes out. Loaded in
the process of `agent.io.inquiry` only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA224, SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from agent.io.pki import Refused, check_key, signed_by

SKEW = timedelta(minutes=5)
UNDATED = timedelta(days=1)
"""How old an answer may be that does not say until when it counts."""
STRONG = (SHA224, SHA256, SHA384, SHA512)
NO_REASON = "no reason is given"
REASONS = {
    x509.ReasonFlags.key_compromise: "its key is compromised",
    x509.ReasonFlags.ca_compromise: "its authority is compromised",
    x509.ReasonFlags.affiliation_changed: "it is of another organisation now",
    x509.ReasonFlags.superseded: "it was replaced",
    x509.ReasonFlags.cessation_of_operation: "it is out of service",
    x509.ReasonFlags.certificate_hold: "it is on hold",
    x509.ReasonFlags.privilege_withdrawn: "its rights were withdrawn",
}
KNOWN_IN_LISTS = (x509.IssuingDistributionPoint, x509.CRLNumber, x509.AuthorityKeyIdentifier)


class Finding(NamedTuple):
    """What an issuer says: good or revoked, in words, and until when that counts."""

    state: str
    told: str
    until: datetime | None


class Moment(NamedTuple):
    """What time it is; `at_least`: or any time after it, for the clock of this board is known to be wrong."""

    now: datetime
    at_least: bool = False

    def check(self, begins: datetime, ends: datetime | None, what: str) -> None:
        """Raises Refused when an answer is of another time."""
        if not self.at_least and begins > self.now + SKEW:
            raise _refused(f"{what} is of {_date(begins)}, and this station's clock says {_date(self.now)}")
        last = ends if ends is not None else begins + UNDATED
        if last < self.now - SKEW and (ends is not None or not self.at_least):
            raise _refused(f"{what} was valid until {_date(last)}, and this station's clock says {_date(self.now)}")


class Pair(NamedTuple):
    """A certificate and the one that has signed it, of a verified chain."""

    certificate: x509.Certificate
    issuer: x509.Certificate

    @property
    def is_authority(self) -> bool:
        with suppress(x509.ExtensionNotFound):
            return self.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        return False

    @property
    def responders(self) -> list[str]:
        """Where OCSP is spoken about it."""
        with suppress(x509.ExtensionNotFound):
            found = self.certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
            return [entry.access_location.value for entry in found
                    if entry.access_method == AuthorityInformationAccessOID.OCSP
                    and isinstance(entry.access_location, x509.UniformResourceIdentifier)]  # fmt: skip
        return []

    @property
    def lists(self) -> list[str]:
        """Where its issuer's own list is, the whole of it."""
        with suppress(x509.ExtensionNotFound):
            found = self.certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
            return [name for point in found if not point.crl_issuer and not point.reasons for name in _uris(point)]
        return []


# -------------------------------------------------------------------------------------------- OCSP


def question(pair: Pair) -> bytes:
    """The request for a responder: without a nonce, which most of them do not know (RFC 5019)."""
    made = ocsp.OCSPRequestBuilder().add_certificate(pair.certificate, pair.issuer, SHA1()).build()
    return made.public_bytes(Encoding.DER)


def by_ocsp(pair: Pair, content: bytes, moment: Moment) -> Finding:
    """What a responder's answer says. Raises Refused, also where it does not know the certificate."""
    try:
        answer = ocsp.load_der_ocsp_response(content)
        if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise _refused(f"the responder says {_spaced(answer.response_status)}")
        single = next((one for one in answer.responses if _is_about(one, pair)), None)
        if single is None:
            raise _refused("the answer is about another certificate")
        _check_signer(answer, pair.issuer, moment)
        moment.check(single.this_update_utc, single.next_update_utc, "the answer")
        return _status(single)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refused(f"the answer is no OCSP: {_brief(error)}") from None


def _status(single: ocsp.OCSPSingleResponse) -> Finding:
    if single.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
        raise _refused("the responder does not know the certificate")
    if single.certificate_status is ocsp.OCSPCertStatus.GOOD:
        return Finding("good", "", single.next_update_utc)
    since = single.revocation_time_utc
    assert since is not None
    return Finding("revoked", _revoked(since, single.revocation_reason), single.next_update_utc)


def _is_about(single: ocsp.OCSPSingleResponse, pair: Pair) -> bool:
    ours = ocsp.OCSPRequestBuilder().add_certificate(pair.certificate, pair.issuer, single.hash_algorithm).build()
    return (single.serial_number, single.issuer_name_hash, single.issuer_key_hash) == (
        ours.serial_number, ours.issuer_name_hash, ours.issuer_key_hash,
    )  # fmt: skip


def _check_signer(answer: ocsp.OCSPResponse, issuer: x509.Certificate, moment: Moment) -> None:
    """The issuer itself, or whom it has given a certificate for this purpose (RFC 6960, 4.2.2.2)."""
    if not isinstance(answer.signature_hash_algorithm, (*STRONG, type(None))):
        raise _refused("the answer is signed with a hash that is too weak")
    signers = [issuer, *(made for made in answer.certificates if _may_answer(made, issuer, moment))]
    if not any(_has_signed(answer, signer) for signer in signers):
        raise _refused("the answer is signed by nobody who may answer for the issuer")


def _may_answer(signer: x509.Certificate, issuer: x509.Certificate, moment: Moment) -> bool:
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        check_key(signer)
    except (x509.ExtensionNotFound, Refused):
        return False
    begun = moment.at_least or signer.not_valid_before_utc <= moment.now + SKEW
    lives = begun and moment.now - SKEW <= signer.not_valid_after_utc
    return lives and ExtendedKeyUsageOID.OCSP_SIGNING in usage and signed_by(signer, issuer)


def _has_signed(answer: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, hashed = signer.public_key(), answer.signature_hash_algorithm
    try:
        if isinstance(key, rsa.RSAPublicKey) and hashed is not None:
            key.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), hashed)
        elif isinstance(key, ec.EllipticCurvePublicKey) and hashed is not None:
            key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(hashed))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes)
        else:
            return False
    except InvalidSignature:
        return False
    return True


# -------------------------------------------------------------------------------------------- lists


def by_list(pair: Pair, content: bytes, moment: Moment) -> Finding:
    """What a revocation list says, in DER or PEM. Raises Refused when it does not count for this certificate."""
    try:
        load = x509.load_pem_x509_crl if content.lstrip().startswith(b"-----BEGIN") else x509.load_der_x509_crl
        found = load(content)
        _check_list(pair, found)
        return _listed(pair, found, moment)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _refused(f"the list cannot be read: {_brief(error)}") from None


def _listed(pair: Pair, found: x509.CertificateRevocationList, moment: Moment) -> Finding:
    """One that is listed stays revoked in an old list, too; one that is not is good in a present one only."""
    entry = found.get_revoked_certificate_by_serial_number(pair.certificate.serial_number)
    if entry is not None:
        return Finding("revoked", _revoked(entry.revocation_date_utc, _reason(entry)), found.next_update_utc)
    moment.check(found.last_update_utc, found.next_update_utc, "the list")
    return Finding("good", "", found.next_update_utc)


def _reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags | None:
    with suppress(x509.ExtensionNotFound):
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    return None


def _check_list(pair: Pair, found: x509.CertificateRevocationList) -> None:
    """It is of the issuer, and of a kind that has every certificate like ours in it. Raises Refused."""
    if found.issuer != pair.issuer.subject:
        raise _refused("the list is of another issuer")
    if not isinstance(found.signature_hash_algorithm, (*STRONG, type(None))):
        raise _refused("the list is signed with a hash that is too weak")
    key: Any = pair.issuer.public_key()  # one of a kind that cannot sign is a TypeError
    if not _may_list(pair.issuer) or not found.is_signature_valid(key):
        raise _refused("the list is not signed by the issuer")
    for extension in found.extensions:
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            _check_scope(pair, extension.value)
        elif extension.critical and not isinstance(extension.value, KNOWN_IN_LISTS):
            raise _refused("the list is of a kind that this station does not know")


def _may_list(issuer: x509.Certificate) -> bool:
    with suppress(x509.ExtensionNotFound):
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    return True


def _check_scope(pair: Pair, scope: x509.IssuingDistributionPoint) -> None:
    """A part of the issuer's list counts where the certificate names that part. Raises Refused."""
    others = scope.only_contains_user_certs if pair.is_authority else scope.only_contains_ca_certs
    if others or scope.only_contains_attribute_certs or scope.indirect_crl or scope.only_some_reasons:
        raise _refused("the list is for other certificates")
    if scope.relative_name is not None or (scope.full_name and not {*_names(scope.full_name)} & {*pair.lists}):
        raise _refused("the list is another part of the issuer's list than the certificate names")


def _uris(point: x509.DistributionPoint) -> Iterator[str]:
    yield from _names(point.full_name or [])


def _names(names: Sequence[x509.GeneralName]) -> Iterator[str]:
    yield from (name.value for name in names if isinstance(name, x509.UniformResourceIdentifier))


# -------------------------------------------------------------------------------------------- words


def _revoked(since: datetime, reason: x509.ReasonFlags | None) -> str:
    return f"it was revoked on {_date(since)}: {REASONS.get(reason, NO_REASON) if reason else NO_REASON}"


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _spaced(status: ocsp.OCSPResponseStatus) -> str:
    return status.name.replace("_", " ").lower()


def _brief(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:60]


def _refused(info: str) -> Refused:
    return Refused("InvalidCertificate", info)


Check = Callable[[Pair, bytes, Moment], Finding]
