"""The agent's board.toml for a bench: the same devices, at the ports where the bench offers them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hil.firmware import HARDWARE, RELEASES
from hil.plan import BenchPlan, EvsePlan

DISPLAY = "front"
"""The name of the display of every bench; it is a text file beside the state directory."""


def render(plan: BenchPlan, url: str, ports: Mapping[str, str | tuple[str, int]], state_dir: str) -> str:
    """The text of board.toml. `ports` maps wires, readers and `board<evse>` to a path or a TCP address."""
    lines = [
        *_table("station", vendor="Bench", model="TwinCharger", serial="BENCH-1", state_dir=state_dir,
                control_socket=f"{state_dir}/control.sock"),
        *_table("network", url=url, identity=plan.network.identity, password=plan.network.password,
                security_profile=1),
        *_table("keys", **dict(plan.keys)),
    ]  # fmt: skip
    if plan.releases:
        lines += _table("firmware", installer="releases", home=f"{state_dir}/../{RELEASES}", hardware=HARDWARE)
    elif plan.installer:
        lines += _table("firmware", **plan.installer)
    for wire in plan.wires:
        lines += _bus(plan, wire.name, ports)
    for evse in plan.evses:
        lines += _evse(evse, ports)
    if plan.main_meter is not None:
        main = plan.main_meter
        lines += _table("main_meter", profile=main.profile, bus=main.wire, unit=main.unit)
    for reader in plan.readers:
        lines += _table(
            "[reader]", name=reader.name, port=ports[reader.name], baud=reader.baud, evses=list(reader.evses)
        )
    lines += _table("[display]", name=DISPLAY, kind="console", file=f"{state_dir}/../{DISPLAY}.txt")
    return "\n".join(lines) + "\n"


def _bus(plan: BenchPlan, name: str, ports: Mapping[str, str | tuple[str, int]]) -> list[str]:
    wire = next(wire for wire in plan.wires if wire.name == name)
    place = ports[name]
    if isinstance(place, tuple):
        return _table("[bus]", name=name, kind="tcp", host=place[0], tcp_port=place[1])
    line = wire.line
    return _table(
        "[bus]", name=name, kind="rtu", port=place, baud=line.baud, parity=line.parity,
        stopbits=line.stop_bits,
    )  # fmt: skip


def _evse(evse: EvsePlan, ports: Mapping[str, str | tuple[str, int]]) -> list[str]:
    device: dict[str, Any]
    if evse.controller is not None:
        place = {"bus": evse.controller.wire, "unit": evse.controller.unit}
        device = {"kind": "smart", "controller": {"profile": evse.controller.profile, **place}}
    else:
        device = {"kind": "raw", "board": {"port": ports[f"board{evse.id}"], "baud": evse.board_baud}}
    meter = {"profile": evse.meter.profile, "bus": evse.meter.wire, "unit": evse.meter.unit, "signs": evse.meter.signs}
    return _table(
        "[evse]", id=evse.id, max_amps=evse.max_amps, phases=evse.phases, volts=230, **device,
        connectors=[_connector(id, socket) for id, socket in enumerate(evse.sockets, start=1)], meter=meter,
    )  # fmt: skip


def _connector(id: int, socket: bool) -> dict[str, Any]:
    kind, cable = ("sType2", "socket") if socket else ("cType2", "fixed")
    return {"id": id, "type": kind, "cable": cable, "max_amps": 32}


def _table(header: str, /, **values: Any) -> list[str]:
    """A table with its header; None is left out."""
    body = [f"{_key(key)} = {_value(value)}" for key, value in values.items() if value is not None]
    return [f"[{header}]", *body, ""]


def _key(key: str) -> str:
    return key if key.replace("_", "").isalnum() else json.dumps(key)


def _value(value: Any) -> str:
    """JSON is TOML for text, numbers and flags; tables are written inline."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value)
