"""What is loaded when: the Boot frame waits for neither `ocpp` nor any validation package."""

from __future__ import annotations

import subprocess
import sys

HEAVY = """
packages = {name.split(".")[0] for name in sys.modules}
heavy = packages & {"ocpp", "jsonschema", "fastjsonschema", "asyncio"}
"""


def run(script: str) -> str:
    """What a fresh interpreter prints when it runs `script`."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{script}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_boot_frame_is_checked_and_written_without_heavy_packages() -> None:
    script = f"""
from agent.protocol import codec, rpc
boot = {{"reason": "PowerUp", "chargingStation": {{"model": "M", "vendorName": "V"}}}}
assert codec.check_request("BootNotification", boot) is None
answer = rpc.decode('[3,"i",{{"status":"Accepted","interval":300,"currentTime":"2026-01-31T12:00:00Z"}}]')
assert codec.check_response("BootNotification", answer.payload)[1] is None
{HEAVY}
validators = [name for name in sys.modules if name.startswith("agent.protocol.validators.")]
print(rpc.encode_call("i", "BootNotification", boot), heavy, len(validators))
"""
    frame = '[2,"i","BootNotification",{"reason":"PowerUp","chargingStation":{"model":"M","vendorName":"V"}}]'
    assert run(script) == f"{frame} set() 2"


def test_the_message_types_come_without_validation_packages() -> None:
    assert run(f"import agent.protocol.v201\n{HEAVY}\nprint(heavy)") == "{'ocpp'}"


def test_the_real_package_can_be_used_beside_ours_in_either_order() -> None:
    ours = "from agent.protocol import v201"
    theirs = "from ocpp.v201 import ChargePoint, call, call_result, datatypes, enums"
    use = """
import jsonschema, ocpp.messages
assert (v201.call, v201.call_result, v201.datatypes, v201.enums) == (call, call_result, datatypes, enums)
assert ChargePoint._call is call
assert ocpp.messages.Draft4Validator is jsonschema.Draft4Validator
print("same")
"""
    assert run(f"{ours}\n{theirs}\n{use}") == "same"
    assert run(f"{theirs}\n{ours}\n{use}") == "same"
