"""ISO15118Ctrlr: the high-level conversation with the EV, one per EVSE."""

from config_keys.key import RO, RW, key
from config_keys.types import Boolean, String

_NAME = String(max_len=64)
_ONLY = "where the EVSE speaks ISO 15118"

ENABLED = key(
    "ISO15118Ctrlr.Enabled",
    Boolean(),
    access=RO,
    default=False,
    scope="evse",
    locked="It follows from the hardware of the EVSE.",
    doc="Speak ISO 15118 with the EV.",
)
AVAILABLE = key(
    "ISO15118Ctrlr.Available",
    Boolean(),
    access=RO,
    default=False,
    scope="evse",
    doc="Whether the EVSE can speak ISO 15118.",
)
CENTRAL_CONTRACT_VALIDATION_ALLOWED = key(
    "ISO15118Ctrlr.CentralContractValidationAllowed",
    Boolean(),
    access=RW,
    default=False,
    scope="evse",
    only=_ONLY,
    alias16="CentralContractValidationAllowed",
    doc="Let the CSMS check contract certificates that cannot be checked here.",
)
CONTRACT_VALIDATION_OFFLINE = key(
    "ISO15118Ctrlr.ContractValidationOffline",
    Boolean(),
    access=RW,
    default=False,
    scope="evse",
    only=_ONLY,
    alias16="ContractValidationOffline",
    doc="Check contract certificates here while offline.",
)
PNC_ENABLED = key(
    "ISO15118Ctrlr.PnCEnabled",
    Boolean(),
    access=RW,
    default=True,
    scope="evse",
    only=_ONLY,
    alias16="ISO15118PnCEnabled",
    doc="Authorize by Plug and Charge.",
)
V2G_CERTIFICATE_INSTALLATION_ENABLED = key(
    "ISO15118Ctrlr.V2GCertificateInstallationEnabled",
    Boolean(),
    access=RW,
    default=True,
    scope="evse",
    only=_ONLY,
    doc="Renew the certificate with which the EVSE identifies itself to the EV.",
)
CONTRACT_CERTIFICATE_INSTALLATION_ENABLED = key(
    "ISO15118Ctrlr.ContractCertificateInstallationEnabled",
    Boolean(),
    access=RW,
    default=True,
    scope="evse",
    only=_ONLY,
    doc="Install and update contract certificates in the EV.",
)
REQUEST_METERING_RECEIPT = key(
    "ISO15118Ctrlr.RequestMeteringReceipt",
    Boolean(),
    access=RW,
    default=False,
    scope="evse",
    only=_ONLY,
    doc="Ask the EV to confirm meter values before they are reported as fiscal.",
)
SECC_ID = key(
    "ISO15118Ctrlr.SeccId",
    _NAME,
    access=RW,
    default="",
    scope="evse",
    only=_ONLY,
    doc="Common name in the certificate of the EVSE; EVSEs of equal name share one controller.",
)
COUNTRY_NAME = key(
    "ISO15118Ctrlr.CountryName",
    String(max_len=2, pattern="[A-Z]{2}", form="an ISO 3166-1 code such as DE"),
    access=RW,
    default="DE",
    scope="evse",
    only=_ONLY,
    doc="Country in the certificate of the EVSE.",
)
ORGANIZATION_NAME = key(
    "ISO15118Ctrlr.OrganizationName",
    _NAME,
    access=RW,
    default="",
    scope="evse",
    only=_ONLY,
    doc="Organization in the certificate of the EVSE.",
)
