"""What this station is made of: told by the installer in board.toml, fixed for the life of a process."""

from __future__ import annotations

from typing import Literal, NamedTuple

from config_keys.own import OwnVariable


class Connector(NamedTuple):
    """One outlet of an EVSE. `kind` is an OCPP ConnectorType value such as cType2 or sType2."""

    id: int
    kind: str = "cType2"
    cable: Literal["fixed", "socket"] = "fixed"
    max_amps: float = 32.0


class EvseSite(NamedTuple):
    """One EVSE: nameplate current (A per phase), wired phases (1 or 3), nominal phase voltage (V)."""

    id: int
    max_amps: float
    phases: int
    volts: float = 230.0
    connectors: tuple[Connector, ...] = (Connector(1),)
    has_meter: bool = True
    bay_detector: bool = False
    signing_meter: bool = False


class DisplaySite(NamedTuple):
    """A display for drivers: of one EVSE, or of the whole station (0). `formats` are OCPP MessageFormat values."""

    name: str
    evse: int = 0
    formats: tuple[str, ...] = ("ASCII", "UTF8")

    def variables(self) -> tuple[OwnVariable, ...]:
        """Its Display component; SetDisplayMessage names it by the instance (O01.FR.21)."""
        name, place = f"Display[{self.name}]", f"@{self.evse}" if self.evse else ""
        return (
            OwnVariable(f"{name}.Available{place}", "boolean", "true", doc="The display is there."),
            OwnVariable(f"{name}.Enabled{place}", "boolean", "true", doc="It cannot be switched off."),
        )


class Network(NamedTuple):
    """The network profile of slot 0, as board.toml says (B09); None in `Site.network` means standalone."""

    url: str
    identity: str
    password: str | None = None
    security_profile: int = 1

    def __repr__(self) -> str:
        return f"Network({self.url!r}, {self.identity!r}, security_profile={self.security_profile})"


class Site(NamedTuple):
    """The whole station."""

    vendor: str
    model: str
    serial: str
    firmware: str
    evses: tuple[EvseSite, ...]
    network: Network | None = None
    displays: tuple[DisplaySite, ...] = ()
    own: tuple[OwnVariable, ...] = ()
    """Variables that are not ours."""
    main_meter: bool = False
    """A meter measures what the whole station takes from the grid (evse 0)."""
    updates: bool = False
    """There is a way to install firmware."""
    sftp: bool = False
    """The library for SFTP is installed."""

    def evse(self, evse_id: int) -> EvseSite | None:
        """The EVSE with this id, or None."""
        return next((e for e in self.evses if e.id == evse_id), None)

    @property
    def variables(self) -> tuple[OwnVariable, ...]:
        """All variables that only this station has."""
        return (*self.own, *(variable for display in self.displays for variable in display.variables()))
