"""TariffCostCtrlr: what the driver is shown about money."""

from config_keys.key import RO, RW, key
from config_keys.types import Boolean, String

TARIFF_ENABLED = key(
    "TariffCostCtrlr.Enabled[Tariff]",
    Boolean(),
    access=RW,
    default=True,
    doc="Show tariffs.",
)
TARIFF_AVAILABLE = key(
    "TariffCostCtrlr.Available[Tariff]",
    Boolean(),
    access=RO,
    default=False,
    doc="Whether this station can show tariffs.",
)
TARIFF_FALLBACK_MESSAGE = key(
    "TariffCostCtrlr.TariffFallbackMessage",
    String(max_len=255),
    access=RW,
    default="",
    doc="Text shown when the tariff of a driver is not known.",
)
COST_ENABLED = key(
    "TariffCostCtrlr.Enabled[Cost]",
    Boolean(),
    access=RW,
    default=True,
    doc="Show the cost of a transaction.",
)
COST_AVAILABLE = key(
    "TariffCostCtrlr.Available[Cost]",
    Boolean(),
    access=RO,
    default=False,
    doc="Whether this station can show the cost of a transaction.",
)
TOTAL_COST_FALLBACK_MESSAGE = key(
    "TariffCostCtrlr.TotalCostFallbackMessage",
    String(max_len=255),
    access=RW,
    default="",
    doc="Text shown when the final cost is not known.",
)
CURRENCY = key(
    "TariffCostCtrlr.Currency",
    String(max_len=3, min_len=3, pattern="[A-Z]{3}", form="an ISO 4217 code such as EUR"),
    access=RW,
    default="EUR",
    doc="Currency of all amounts.",
)
