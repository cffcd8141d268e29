"""The whole bench without an agent: the test writes registers and asks over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import AsyncModbusSerialClient

from hil.control import Control
from hil.cutter import Address
from hil.plan import DEFAULT, BenchPlan, PlanError, load, parse
from hil.rig import Rig

QUICK = {"wake_s": 0.05, "react_s": 0.05, "ramp_up": 500.0, "stop_s": 0.05}
NOWHERE = Address("127.0.0.1", 9)


class Api:
    """A small HTTP client of the control API."""

    def __init__(self, address: Address) -> None:
        self.address = address

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        reader, writer = await asyncio.open_connection(self.address.host, self.address.port)
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        answer = await reader.read()
        writer.close()
        status = int(answer.split(b" ", 2)[1])
        return status, json.loads(answer.partition(b"\r\n\r\n")[2])

    async def does(self, path: str, **body: Any) -> int:
        """Post a verb; its id."""
        status, answer = await self.ask("POST", path, body)
        assert status == 200, answer
        return int(answer["id"])

    async def state_of(self, verb: int) -> str:
        return str((await self.ask("GET", f"/verbs/{verb}"))[1]["state"])


async def until(true: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def bench(tmp_path: Path) -> AsyncIterator[tuple[Rig, Api]]:
    rig = Rig(replace(load(DEFAULT), directory=tmp_path / "bench"), NOWHERE)
    control = Control(rig)
    await rig.open()
    api = Api(await control.open(Address("127.0.0.1", 0)))
    try:
        yield rig, api
    finally:
        await control.close()
        await rig.close()


def test_a_car_charges_at_the_wallbox_and_a_power_cut_stops_everything(tmp_path: Path) -> None:
    async def story() -> None:
        async with bench(tmp_path) as (rig, api):
            client = AsyncModbusSerialClient(str(tmp_path / "bench" / "rs485"), timeout=0.5, retries=0)
            assert await client.connect()
            assert not (await client.write_register(261, 100, device_id=1)).isError()
            await api.does("/ev/plug", evse=1, amps=32, phases=3, car=QUICK)
            outlet = rig.outlet(1)
            await until(lambda: outlet.car.amps[2] > 9.9)
            read = await client.read_input_registers(0x000A, count=2, device_id=11)
            assert read.registers == [0x4120, 0]
            status, state = await api.ask("GET", "/state")
            assert status == 200
            assert state["evses"][0]["pilot"] == "C"
            assert state["evses"][0]["amps"] == [10, 10, 10]
            await api.does("/power/cut")
            await until(lambda: not rig.powered)
            assert not outlet.stage.contactor.closed
            await until(lambda: outlet.car.amps == (0, 0, 0))
            restored = await api.does("/power/restore")
            await until(lambda: rig.powered)
            assert await api.state_of(restored) == "done"
            assert outlet.stage.commanded_amps == 0
            assert any(sample.amps[0] > 9.9 for sample in rig.since(0))
            client.close()

    asyncio.run(story())


def test_verbs_answer_at_once_and_run_in_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with bench(tmp_path) as (rig, api):
            plug = await api.does("/ev/plug", evse=2, delay_s=0.3)
            unplug = await api.does("/ev/unplug", evse=2)
            assert await api.state_of(unplug) == "queued"
            assert not rig.outlet(2).car.plugged
            mark = await api.does("/link/cut", how="blackhole")
            await until(lambda: rig.cutter.mode == "blackhole")
            assert [await api.state_of(verb) for verb in (plug, unplug, mark)] == ["done"] * 3
            assert not rig.outlet(2).car.plugged
            await api.does("/link/restore")
            await api.does("/fault/raise", evse=2, code="emergency_stop")
            await api.does("/device/mute", device="meter1")
            last = await api.does("/token/present", value="04A1B2C3", type="ISO14443", evses=[2])
            await until(lambda: bool(rig.readers["front"].presented))
            assert await api.state_of(last) == "done"
            assert rig.outlet(2).stage.faults == {"emergency_stop"}
            failed = await api.does("/device/freeze", device="board2")
            async with asyncio.timeout(5):
                while await api.state_of(failed) != "failed":
                    await asyncio.sleep(0.01)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/ev/plug", {}, "evse is missing, expected one of 1, 2"),
        ("/ev/plug", {"evse": 3}, "expected one of 1, 2"),
        ("/ev/plug", {"evse": True}, "expected one of 1, 2"),
        ("/ev/plug", {"evse": 1, "amps": "16"}, "expected a number from 0 to 80"),
        ("/ev/plug", {"evse": 1, "phases": 4}, "expected one of 1, 2, 3"),
        ("/ev/plug", {"evse": 1, "delay_s": -1}, "expected a number from 0 to 3600"),
        ("/ev/plug", {"evse": 1, "car": {"colour": "red"}}, "expected an object with some of max_amps"),
        ("/ev/plug", {"evse": 1, "colour": "red"}, "unknown 'colour', expected evse, connector, amps"),
        ("/token/present", {"value": "hello"}, "expected a UID"),
        ("/fault/raise", {"evse": 1, "code": "gremlin"}, "expected one of contactor_welded"),
        ("/device/mute", {"device": "toaster"}, "expected one of 'board2'"),
        ("/link/cut", {"how": "gently"}, "expected one of 'cut', 'blackhole'"),
        ("/link/cut", b"[1]", "JSON object"),
        ("/link/cut", b"{", "JSONDecodeError"),
    ],
)
def test_bad_input_is_a_400_that_says_what_was_expected(
    tmp_path: Path, path: str, body: dict[str, Any] | bytes, says: str
) -> None:
    async def story() -> None:
        async with bench(tmp_path) as (_, api):
            status, answer = await api.ask("POST", path, body)
            assert status == 400
            assert says in answer["error"]
            assert (await api.ask("GET", "/verbs"))[1] == []

    asyncio.run(story())


def test_health_and_unknown_paths(tmp_path: Path) -> None:
    async def story() -> None:
        async with bench(tmp_path) as (_, api):
            health = {"ok": True, "powered": True, "agent": False}
            assert await api.ask("GET", "/health") == (200, health)
            assert (await api.ask("GET", "/verbs/77"))[0] == 404
            assert (await api.ask("POST", "/ev/explode", {}))[0] == 404
            assert "/ev/plug" in (await api.ask("GET", "/"))[1]["post"]

    asyncio.run(story())


def test_the_board_file_for_the_agent_names_real_ports(tmp_path: Path) -> None:
    async def story() -> None:
        async with bench(tmp_path) as (rig, _):
            board = tomllib.loads(rig.board_file.read_text())
            assert board["network"]["url"] == f"ws://{rig.cutter.listen}/ocpp"
            rtu, tcp = board["bus"]
            assert os.readlink(rtu["port"]).startswith("/dev/pts/")
            assert tcp["kind"] == "tcp" and tcp["tcp_port"] > 0
            assert [evse["kind"] for evse in board["evse"]] == ["smart", "raw"]
            assert board["evse"][0]["controller"] == {"profile": "heidelberg-ec", "bus": "rs485", "unit": 1}
            assert os.readlink(board["evse"][1]["board"]["port"]).startswith("/dev/pts/")
            assert board["reader"][0]["evses"] == [1, 2]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"bench": {"step_hz": "fast"}}, "step_hz is 'fast'"),
        ({"wire": [{"name": "a", "kind": "can"}]}, "expected one of rtu, tcp"),
        ({"evse": [{"id": 1, "kind": "raw", "max_amps": 32, "meter": {"wire": "x", "unit": 1}}]}, "wire 'x'"),
        ({"evse": [], "reader": []}, "at least one evse"),
        ({"reader": [{"name": "r", "evses": [9]}]}, "expected some of"),
        ({"network": {"target": "here"}}, "expected host:port"),
        ({"colour": "red"}, "unknown colour"),
    ],
)
def test_a_wrong_bench_file_is_explained(change: dict[str, Any], says: str) -> None:
    with pytest.raises(PlanError, match=says):
        parse({**tomllib.loads(DEFAULT.read_text()), **change})


def test_a_missing_bench_file_and_a_bench_without_csms_are_explained(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="nothing"):
        load(tmp_path / "nothing.toml")
    plan: BenchPlan = replace(load(DEFAULT), directory=tmp_path)
    with pytest.raises(ValueError, match=r"network\.target"):
        Rig(plan)
