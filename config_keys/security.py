"""SecurityCtrlr: identity, password and certificates."""

from config_keys.key import RO, RW, WO, key
from config_keys.types import Boolean, Integer, OptionList, String

_HOST_KEY = r"(?:[A-Za-z0-9.:_-]+=)?SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]"

BASIC_AUTH_PASSWORD = key(
    "SecurityCtrlr.BasicAuthPassword",
    String(max_len=64, min_len=16),
    access=WO,
    secret=True,
    alias16="AuthorizationKey",
    doc="Password of HTTP Basic authentication; the station reconnects with it.",
)
IDENTITY = key(
    "SecurityCtrlr.Identity",
    String(max_len=48, min_len=1, pattern="[^:]+", form="without a colon"),
    access=RW,
    aliases=("Alfen Identity", "Bender ChargeBoxIdentity", "Wallbox Charge point identity"),
    doc="Charge point identity that is appended to the URL of the CSMS; used from the next connection on.",
)
ORGANIZATION_NAME = key(
    "SecurityCtrlr.OrganizationName",
    String(max_len=64),
    access=RW,
    default="",
    alias16="CpoName",
    doc="Name of the operator, the organization in certificate signing requests.",
)
CERTIFICATE_ENTRIES = key(
    "SecurityCtrlr.CertificateEntries",
    Integer(min=0, max=50),
    access=RO,
    default=0,
    alias16="CertificateStoreMaxLength",
    doc="Number of installed certificates.",
)
SECURITY_PROFILE = key(
    "SecurityCtrlr.SecurityProfile",
    Integer(min=1, max=3),
    access=RO,
    default=1,
    alias16="SecurityProfile",
    locked="It comes from the active network profile (SetNetworkProfile).",
    doc="OCPP security profile in use.",
)
ADDITIONAL_ROOT_CERTIFICATE_CHECK = key(
    "SecurityCtrlr.AdditionalRootCertificateCheck",
    Boolean(),
    access=RO,
    default=False,
    alias16="AdditionalRootCertificateCheck",
    doc="Whether a new root certificate of the CSMS must be signed by the old one.",
)
MAX_CERTIFICATE_CHAIN_SIZE = key(
    "SecurityCtrlr.MaxCertificateChainSize",
    Integer(min=0, max=10000),
    access=RO,
    default=10000,
    alias16="CertificateSignedMaxChainSize",
    doc="Greatest length of a certificate chain in CertificateSigned.",
)
CERT_SIGNING_WAIT_MINIMUM = key(
    "SecurityCtrlr.CertSigningWaitMinimum",
    Integer(min=0, max=86400),
    access=RW,
    unit="s",
    default=30,
    alias16="CertSigningWaitMinimum",
    doc="Wait for a signed certificate before the request is sent again; it doubles each time.",
)
CERT_SIGNING_REPEAT_TIMES = key(
    "SecurityCtrlr.CertSigningRepeatTimes",
    Integer(min=0, max=20),
    access=RW,
    default=3,
    alias16="CertSigningRepeatTimes",
    doc="Times that wait is doubled before the station gives up.",
)
ALLOW_SECURITY_PROFILE_DOWNGRADE = key(
    "SecurityCtrlr.AllowSecurityProfileDowngrade",
    Boolean(),
    access=RW,
    default=False,
    doc="Permit a change from security profile 3 to 2; never to 1.",
)
ALLOW_CSMS_TLS_WILDCARDS = key(
    "SecurityCtrlr.AllowCSMSTLSWildcards",
    Boolean(),
    access=RW,
    default=False,
    doc="Accept server certificates of the CSMS that name a wildcard.",
)
USE_SYSTEM_TRUST_STORE = key(
    "SecurityCtrlr.UseSystemTrustStore",
    Boolean(),
    access=RW,
    default=False,
    standard=False,
    doc="Trust the root certificates of the operating system for the CSMS, beside the installed ones.",
)
REVOCATION_CHECK = key(
    "SecurityCtrlr.RevocationCheck",
    OptionList(("Off", "Soft", "Hard")),
    access=RW,
    default="Soft",
    standard=False,
    doc="Ask if the CSMS's certificate was revoked (OCSP, CRL). Without an answer: Soft connects, Hard refuses.",
)
CERT_RENEWAL_THRESHOLD = key(
    "SecurityCtrlr.CertRenewalThreshold",
    Integer(min=1, max=365),
    access=RW,
    default=30,
    standard=False,
    doc="Days before the end of the station's certificate at which a new one is asked for.",
)
SFTP_HOST_KEYS = key(
    "SecurityCtrlr.SftpHostKeys",
    String(
        pattern=f"{_HOST_KEY}(?: *, *{_HOST_KEY})*",
        form="fingerprints SHA256:... as ssh-keygen -lf prints them, or host=SHA256:..., with commas between",
    ),
    access=RW,
    default="",
    standard=False,
    doc="Keys by which SFTP servers are known, each of any server or, as host=key, of one; empty: SFTP is refused.",
)
