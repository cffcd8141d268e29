"""Energy registers go on where they were (J02.FR.16)."""

from __future__ import annotations

from decimal import Decimal

from agent.core.context import Context, Durable
from agent.core.effects import Persist, Record
from agent.core.instant import Instant
from agent.core.recovery import fold
from agent.core.registers import Registers
from config_keys.values import Values
from hal.ports import Quantity, Reading
from tests.marks import req

KEY: tuple[Quantity, int] = ("energy_import_wh", 0)


def context() -> Context:
    return Context(Durable(Values({1: [1]}, {})), Instant(0), 1)


def told(registers: Registers, wh: int, serial: str = "A", cx: Context | None = None) -> Decimal:
    """What the register says to the rest when the meter says `wh`."""
    return registers.continued(cx or context(), Reading(1, 0, {KEY: Decimal(wh)}, serial)).values[KEY]


@req("J02.FR.16", "J02.FR.17")
def test_register_monotonic_over_reboot_and_meter_swap() -> None:
    registers, cx = Registers({}), context()
    assert told(registers, 5000, cx=cx) == 5000
    assert told(registers, 5100, cx=cx) == 5100
    registers.keep_evse(cx, 1)
    batch = next(e for e in cx.finish() if isinstance(e, Persist))
    after_boot = Registers({put.key: put.value for put in batch.puts})
    assert told(after_boot, 7, serial="B") == 5100, "another meter goes on where the old one stopped"
    assert told(after_boot, 17, serial="B") == 5110


@req("J02.FR.16", "J02.FR.17")
def test_what_an_event_told_is_not_undercut_by_another_meter() -> None:
    """The event is on flash before the register is."""
    registers = Registers({"energy_import_wh@1": {"serial": "A", "last": "5000", "offset": "100"}})
    value = {"values": [["Energy.Active.Import.Register", None, "Wh", "5400"], ["Voltage", "L1-N", "V", "9000"]]}
    registers.follow(1, [value, {"signed": "of another shape"}])
    assert told(registers, 7, serial="B") == 5400


@req("J02.FR.16", "J02.FR.17")
def test_nothing_that_was_recorded_is_undercut_either() -> None:
    """Set aside as never taken, or kept for the end: the CSMS may know it, or will."""
    value = {"context": "Sample.Periodic", "values": [["Energy.Active.Import.Register", None, "Wh", "5400"]]}
    event = {"tx": "one", "seq": 4, "type": "Updated", "state": "Charging", "utc": 0, "mono": 0, "boot": "b", "at": 1}
    running = Record(1, "tx", {"tx": "one", "evse": 1})
    aside, sample = {**event, "meter": [value]}, {"tx": "one", "value": value}
    for record in (Record(2, "set_aside", aside), Record(2, "sample", sample)):
        registers = Registers({"energy_import_wh@1": {"serial": "A", "last": "5000", "offset": "0"}})
        for evse_id, values in fold([running, record]).readings():
            registers.follow(evse_id, values)
        assert told(registers, 7) == 5400, record.kind


@req("J02.FR.16", "J02.FR.17")
def test_the_registers_of_the_phases_go_on_each_from_its_own_count() -> None:
    registers, cx = Registers({}), context()
    keys: list[tuple[Quantity, int]] = [KEY, ("energy_import_wh", 1), ("energy_import_wh", 2)]

    def by_phase(registers: Registers, serial: str, *wh: int) -> list[int]:
        reading = Reading(1, 0, {key: Decimal(w) for key, w in zip(keys, wh, strict=True)}, serial)
        values = registers.continued(cx, reading).values
        return [int(values[key]) for key in keys]

    assert by_phase(registers, "A", 900, 600, 300) == [900, 600, 300]
    registers.keep_evse(cx, 1)
    batch = next(e for e in cx.finish() if isinstance(e, Persist))
    after_boot = Registers({put.key: put.value for put in batch.puts})
    after_boot.follow(1, [{"values": [["Energy.Active.Import.Register", "L2", "Wh", "310"]]}])
    assert by_phase(after_boot, "B", 30, 10, 20) == [900, 600, 310]
    assert by_phase(after_boot, "B", 40, 15, 25) == [910, 605, 315]


def test_a_meter_that_was_reset_goes_on_too() -> None:
    registers = Registers({})
    told(registers, 900)
    assert told(registers, 3) == 900
    assert told(registers, 13) == 910


def test_a_meter_as_it_is_changes_nothing() -> None:
    registers = Registers({})
    assert [told(registers, wh) for wh in (10, 10, 11)] == [10, 10, 11]
