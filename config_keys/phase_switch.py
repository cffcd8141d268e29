"""PhaseSwitchCtrlr: when an EVSE goes from three phases to one and back, and how its relay wears."""

from config_keys.key import RO, RW, Key, key
from config_keys.types import Boolean, Integer, OptionList, String

ENABLED = key(
    "PhaseSwitchCtrlr.Enabled",
    Boolean(),
    access=RW,
    default=True,
    doc="Let EVSEs go from three phases to one and back where their hardware can; false: never.",
)
AVAILABLE = key(
    "PhaseSwitchCtrlr.Available",
    Boolean(),
    access=RO,
    default=False,
    scope="evse",
    doc="Whether the hardware of the EVSE moves a phase relay and reports where that is.",
)
MODE = key(
    "PhaseSwitchCtrlr.Mode",
    OptionList(("Never", "OneWay", "Both")),
    access=RW,
    default="Never",
    aliases=("EVerest switch_3ph1ph_while_charging_mode", "go-e psm"),
    doc="Go to one phase where a limit in W is too small for three: never, until the car leaves, or there and back.",
)
PAUSE_TIME = key(
    "PhaseSwitchCtrlr.PauseTime",
    Integer(min=2, max=300),
    access=RW,
    unit="s",
    default=10,
    aliases=("EVerest switch_3ph1ph_delay_s",),
    doc="Time with open contacts and no offer before the relay moves; some EVs need 45 s to notice.",
)
SETTLE_TIME = key(
    "PhaseSwitchCtrlr.SettleTime",
    Integer(min=1, max=60),
    access=RW,
    unit="s",
    default=1,
    doc="Time between the confirmed move of the relay and the next permission to close.",
)
MIN_DWELL = key(
    "PhaseSwitchCtrlr.MinDwell",
    Integer(min=60, max=86400),
    access=RW,
    unit="s",
    default=600,
    aliases=("go-e mptwt", "openWB phase_switch_delay", "KEBA 300 s"),
    doc="Least time between two moves of the relay while a car is plugged in, and after a start.",
)
HYSTERESIS = key(
    "PhaseSwitchCtrlr.Hysteresis",
    Integer(min=0, max=10000),
    access=RW,
    unit="W",
    default=200,
    aliases=("EVerest switch_3ph1ph_power_hysteresis_W", "go-e psh"),
    doc="By how much a limit in W has to exceed the least three-phase power before three phases are chosen again.",
)
MINIMUM_TIME_UP = key(
    "PhaseSwitchCtrlr.MinimumTime[Up]",
    Integer(min=0, max=86400),
    access=RW,
    unit="s",
    default=600,
    aliases=("go-e mpwst", "Zaptec return to three-phase"),
    doc="How long a limit in W has to be enough for three phases before they are chosen again.",
)
MINIMUM_TIME_DOWN = key(
    "PhaseSwitchCtrlr.MinimumTime[Down]",
    Integer(min=0, max=86400),
    access=RW,
    unit="s",
    default=60,
    aliases=("openWB switch_off_delay",),
    doc="How long a limit in W has to be too small for three phases before one is chosen; charging pauses meanwhile.",
)
MAX_PER_SESSION = key(
    "PhaseSwitchCtrlr.MaxPerSession",
    Integer(min=0, max=1000),
    access=RW,
    default=6,
    aliases=("EVerest max_nr_of_switches_per_session", "Zaptec returns per session"),
    doc="Most moves of the relay from plugging in to unplugging; 0: no bound.",
)
INHIBIT = key(
    "PhaseSwitchCtrlr.Inhibit",
    String(max_len=1000, pattern=r"([^,\s]{1,36}(,[^,\s]{1,36})*)?", form="id tokens with commas between, or nothing"),
    access=RW,
    default="",
    aliases=("openWB prevent_phase_switch",),
    doc="Id tokens (card, EVCCID, MAC address) of EVs whose phases are never switched while they are plugged in.",
)
STATE = key(
    "PhaseSwitchCtrlr.State",
    String(max_len=20),
    access=RO,
    scope="evse",
    monitored=True,
    doc="Where a switch of phases is; the states are those of the machine phase_switch in docs/state-machines.md.",
)
PHASES = key(
    "PhaseSwitchCtrlr.Phases",
    Integer(min=0, max=3),
    access=RO,
    scope="evse",
    monitored=True,
    doc="Phases that the next closing connects, as the relay reports; 0: it does not tell.",
)
MOVES = key(
    "PhaseSwitchCtrlr.Moves",
    Integer(min=0),
    access=RO,
    scope="evse",
    default=0,
    monitored=True,
    doc="Moves of the phase relay since it was built in, for its wear.",
)


def _closings(contacts: str, which: str) -> Key[int]:
    return key(
        f"PhaseSwitchCtrlr.Closings[{contacts}]",
        Integer(min=0),
        access=RO,
        scope="evse",
        default=0,
        monitored=True,
        doc=f"Closings of the contacts of {which} since they were built in, for their wear.",
    )


CLOSINGS_MAIN = _closings("L1", "L1 and neutral")
CLOSINGS_MORE = _closings("L2L3", "L2 and L3")
