"""All declared keys, in the order of their declaration, and how to find one.

Names are compared without regard to case, as OCPP's identifier strings are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from config_keys.key import Key


def wire_name(component: str, variable: str, instance: str | None, component_instance: str | None) -> str:
    """The name of a variable in one piece: `Component[Instance].Variable[Instance]`."""
    owner = f"{component}[{component_instance}]" if component_instance else component
    return f"{owner}.{variable}[{instance}]" if instance else f"{owner}.{variable}"


class Registry:
    """The declared keys by wire name and by OCPP 1.6 name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Key[Any]] = {}
        self._by_alias: dict[str, Key[Any]] = {}
        self._by_component: dict[str, list[Key[Any]]] = {}

    def add(self, key: Key[Any]) -> None:
        """Register a declaration; raises ValueError when its name or 1.6 name is taken."""
        if key.name.lower() in self._by_name:
            raise ValueError(f"{key.name} is declared twice")
        if key.alias16 is not None:
            if key.alias16.lower() in self._by_alias:
                raise ValueError(f"{key.name}: the 1.6 name {key.alias16} is taken")
            self._by_alias[key.alias16.lower()] = key
        self._by_name[key.name.lower()] = key
        self._by_component.setdefault(key.component.lower(), []).append(key)

    def all_keys(self) -> tuple[Key[Any], ...]:
        """Every key in the order of declaration."""
        return tuple(self._by_name.values())

    def find(
        self, component: str, variable: str, instance: str | None = None, component_instance: str | None = None
    ) -> Key[Any] | None:
        """The key of an OCPP component, variable, variable instance and component instance."""
        return self._by_name.get(wire_name(component, variable, instance, component_instance).lower())

    def by_name(self, text: str) -> Key[Any] | None:
        """The key of a wire name (`TxCtrlr.TxStartPoint`) or of a 1.6 name (`HeartbeatInterval`)."""
        wanted = text.strip().lower()
        return self._by_name.get(wanted) or self._by_alias.get(wanted)

    def components(self) -> tuple[str, ...]:
        """The names of all components, in the order of declaration."""
        return tuple(keys[0].component for keys in self._by_component.values())

    def of_component(self, component: str) -> tuple[Key[Any], ...]:
        """The keys of one component; empty when there is no such component."""
        return tuple(self._by_component.get(component.lower(), ()))

    def search(self, text: str) -> tuple[Key[Any], ...]:
        """The keys whose name, 1.6 name, vendor name or meaning contains the text."""
        return tuple(key for key in self._by_name.values() if matches(text, key))


def matches(text: str, key: Key[Any]) -> bool:
    """Whether the key's name, 1.6 name, vendor name or meaning contains the text, whatever its case."""
    wanted = text.strip().lower()
    return any(wanted in part.lower() for part in (key.name, key.alias16 or "", key.doc, *key.aliases))


REGISTRY = Registry()
all_keys = REGISTRY.all_keys
find = REGISTRY.find
by_name = REGISTRY.by_name
components = REGISTRY.components
of_component = REGISTRY.of_component
search = REGISTRY.search
