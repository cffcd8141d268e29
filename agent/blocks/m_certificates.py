"""M: certificates installed, listed and deleted by the CSMS."""

from __future__ import annotations

from functools import partial
from typing import Any

from agent.blocks.status_info import status_info
from agent.core.certificates import Outcome
from agent.core.context import Context
from agent.protocol import codec
from agent.protocol.block import Block, answers
from agent.protocol.later import Later, when_done
from agent.protocol.v201 import call, call_result, datatypes


class CertificateManagement(Block):
    """M03, M04, M05. M01, M02 and M06 need an ISO 15118 controller, which this station has none of."""

    @answers("InstallCertificate")
    def install(self, request: call.InstallCertificate, cx: Context) -> Later:
        kind, pem = str(request.certificate_type), request.certificate
        return when_done(
            partial(self.charger.certificates.install, cx, kind, pem),
            lambda outcome: call_result.InstallCertificate(outcome.status, _why(outcome)),
        )

    @answers("DeleteCertificate")
    def delete(self, request: call.DeleteCertificate, cx: Context) -> Later:
        return when_done(
            partial(self.charger.certificates.delete, cx, codec.to_wire(request.certificate_hash_data)),
            lambda outcome: call_result.DeleteCertificate(outcome.status, _why(outcome)),
        )

    @answers("GetInstalledCertificateIds")
    def installed(self, request: call.GetInstalledCertificateIds, cx: Context) -> Later:
        kinds: Any = request.certificate_type or ()
        return when_done(partial(self.charger.certificates.installed, cx, tuple(map(str, kinds))), _listed)


def _why(outcome: Outcome) -> datatypes.StatusInfoType | None:
    return status_info(outcome.reason, outcome.info)


def _listed(outcome: Outcome) -> call_result.GetInstalledCertificateIds:
    chain = [codec.from_wire(datatypes.CertificateHashDataChainType, one) for one in outcome.found]
    status = "Accepted" if chain else "NotFound"
    return call_result.GetInstalledCertificateIds(status=status, certificate_hash_data_chain=chain or None)
