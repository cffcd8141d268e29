"""A: what the CSMS must hear of security, and the station's certificate that it signs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.blocks.status_info import status_info
from agent.core.certificates import Outcome
from agent.core.context import Context
from agent.core.station_certificate import KIND
from agent.protocol.block import Block, answers, follows, moment, sends, triggers
from agent.protocol.later import Later
from agent.protocol.v201 import call, call_result


class Security(Block):
    """A02, A03: the station's certificate. A04: security events."""

    @sends("SecurityEventNotification")
    def event(self, data: Mapping[str, Any], cx: Context) -> call.SecurityEventNotification:
        return call.SecurityEventNotification(
            type=data["type"], timestamp=moment(cx, dict(data)), tech_info=data["info"] or None
        )

    @follows("security_event")
    def heard(
        self,
        response: call_result.SecurityEventNotification,
        data: Mapping[str, Any],
        asked: Mapping[str, Any],
        cx: Context,
    ) -> None:
        self.charger.security.owed.told(cx, asked["number"])

    @triggers("SignChargingStationCertificate")
    def sign_asked_for(self, request: call.TriggerMessage, cx: Context) -> bool:
        return self.charger.is_online and self.charger.safeguards.certificate.renew(cx)

    @sends("SignCertificate")
    def sign(self, data: Mapping[str, Any], cx: Context) -> call.SignCertificate:
        return call.SignCertificate(csr=data["csr"], certificate_type=data["kind"])

    @follows("sign_certificate")
    def passed_on(
        self, response: call_result.SignCertificate, data: Mapping[str, Any], asked: Mapping[str, Any], cx: Context
    ) -> None:
        self.charger.safeguards.certificate.answered(cx, asked["key"], str(response.status))

    @answers("CertificateSigned")
    def signed(self, request: call.CertificateSigned, cx: Context) -> Later | call_result.CertificateSigned:
        later = Later()

        def done(cx: Context, outcome: Outcome) -> None:
            later.answer(cx, _judged(outcome))

        kind = str(request.certificate_type or KIND)
        at_once = self.charger.safeguards.certificate.signed(
            cx, request.certificate_chain, kind, done, self.charger.link.renew_soon
        )
        return later if at_once is None else _judged(at_once)


def _judged(outcome: Outcome) -> call_result.CertificateSigned:
    status: Any = outcome.status
    return call_result.CertificateSigned(status=status, status_info=status_info(outcome.reason, outcome.info))
