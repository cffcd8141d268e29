"""M: certificates installed, listed and deleted by the CSMS."""

from __future__ import annotations

from typing import Any

from agent.core.certificates import Outcome
from agent.core.context import Context
from agent.protocol import codec
from agent.protocol.block import Block, answers
from agent.protocol.later import Later
from agent.protocol.v201 import call, call_result, datatypes


class CertificateManagement(Block):
    """M03, M04, M05. M01, M02 and M06 need an ISO 15118 controller, which this station has none of."""

    @answers("InstallCertificate")
    def install(self, request: call.InstallCertificate, cx: Context) -> Later:
        later = Later()

        def done(cx: Context, outcome: Outcome) -> None:
            later.answer(cx, call_result.InstallCertificate(status=outcome.status, status_info=_info(outcome)))

        self.charger.certificates.install(cx, str(request.certificate_type), request.certificate, done)
        return later

    @answers("DeleteCertificate")
    def delete(self, request: call.DeleteCertificate, cx: Context) -> Later:
        later = Later()

        def done(cx: Context, outcome: Outcome) -> None:
            later.answer(cx, call_result.DeleteCertificate(status=outcome.status, status_info=_info(outcome)))

        self.charger.certificates.delete(cx, codec.to_wire(request.certificate_hash_data), done)
        return later

    @answers("GetInstalledCertificateIds")
    def installed(self, request: call.GetInstalledCertificateIds, cx: Context) -> Later:
        later = Later()

        def done(cx: Context, outcome: Outcome) -> None:
            status = "Accepted" if outcome.found else "NotFound"
            chain = [codec.from_wire(datatypes.CertificateHashDataChainType, one) for one in outcome.found]
            later.answer(
                cx,
                call_result.GetInstalledCertificateIds(status=status, certificate_hash_data_chain=chain or None),
            )

        kinds: Any = request.certificate_type or ()
        self.charger.certificates.installed(cx, tuple(map(str, kinds)), done)
        return later


def _info(outcome: Outcome) -> datatypes.StatusInfoType | None:
    return datatypes.StatusInfoType(outcome.reason, outcome.info[:512] or None) if outcome.reason else None
