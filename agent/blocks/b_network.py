"""B: network profiles (B09)."""

from __future__ import annotations

from typing import Any

from agent.blocks.status_info import info
from agent.core.context import Context
from agent.core.network_profiles import Profile
from agent.protocol.block import Block, answers
from agent.protocol.v201 import call, call_result, datatypes
from config_keys.values import Refusal


class NetworkProfiles(Block):
    """SetNetworkProfile; which of them is used is `NetworkConfigurationPriority`'s business (B10)."""

    @answers("SetNetworkProfile")
    def set_network_profile(
        self, request: call.SetNetworkProfile, cx: Context
    ) -> call_result.SetNetworkProfile:
        wanted = request.connection_data
        profile = Profile(
            wanted.ocpp_csms_url, wanted.security_profile, wanted.message_timeout, str(wanted.ocpp_interface)
        )
        if not self.charger.can_store:
            return _answer("Failed", Refusal("OutOfStorage", "the station cannot store it now"))
        refusal = _beyond_us(wanted) or self.charger.network_profiles.write(cx, request.configuration_slot, profile)
        return _answer("Rejected" if refusal else "Accepted", refusal)


def _beyond_us(wanted: datatypes.NetworkConnectionProfileType) -> Refusal | None:
    """What the profile asks for and this station does not do: SOAP, other versions, its own VPN or modem."""
    found = {
        "ocppVersion": wanted.ocpp_version not in ("OCPP20",),
        "ocppTransport": wanted.ocpp_transport != "JSON",
        "vpn": wanted.vpn is not None,
        "apn": wanted.apn is not None,
    }
    names = ", ".join(name for name, wrong in found.items() if wrong)
    text = "expected OCPP20 over JSON, on networks that the operating system sets up"
    return Refusal("InvalidNetworkConf", f"{names}: {text}") if names else None


def _answer(status: Any, refusal: Refusal | None) -> call_result.SetNetworkProfile:
    return call_result.SetNetworkProfile(status=status, status_info=info(refusal))
