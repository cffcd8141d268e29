"""The actions of OCPP 2.0.1 and who may ask for them (Part 2, chapter 1 "Messages")."""

from __future__ import annotations

from agent.protocol.errors import ErrorCode

FROM_STATION = frozenset(
    (
        "Authorize",
        "BootNotification",
        "ClearedChargingLimit",
        "DataTransfer",
        "FirmwareStatusNotification",
        "Get15118EVCertificate",
        "GetCertificateStatus",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "NotifyChargingLimit",
        "NotifyCustomerInformation",
        "NotifyDisplayMessages",
        "NotifyEVChargingNeeds",
        "NotifyEVChargingSchedule",
        "NotifyEvent",
        "NotifyMonitoringReport",
        "NotifyReport",
        "PublishFirmwareStatusNotification",
        "ReportChargingProfiles",
        "ReservationStatusUpdate",
        "SecurityEventNotification",
        "SignCertificate",
        "StatusNotification",
        "TransactionEvent",
    )
)
"""What a station may ask its CSMS."""

FROM_CSMS = frozenset(
    (
        "CancelReservation",
        "CertificateSigned",
        "ChangeAvailability",
        "ClearCache",
        "ClearChargingProfile",
        "ClearDisplayMessage",
        "ClearVariableMonitoring",
        "CostUpdated",
        "CustomerInformation",
        "DataTransfer",
        "DeleteCertificate",
        "GetBaseReport",
        "GetChargingProfiles",
        "GetCompositeSchedule",
        "GetDisplayMessages",
        "GetInstalledCertificateIds",
        "GetLocalListVersion",
        "GetLog",
        "GetMonitoringReport",
        "GetReport",
        "GetTransactionStatus",
        "GetVariables",
        "InstallCertificate",
        "PublishFirmware",
        "RequestStartTransaction",
        "RequestStopTransaction",
        "ReserveNow",
        "Reset",
        "SendLocalList",
        "SetChargingProfile",
        "SetDisplayMessage",
        "SetMonitoringBase",
        "SetMonitoringLevel",
        "SetNetworkProfile",
        "SetVariableMonitoring",
        "SetVariables",
        "TriggerMessage",
        "UnlockConnector",
        "UnpublishFirmware",
        "UpdateFirmware",
    )
)
"""What a CSMS may ask a station."""


def known(action: str) -> bool:
    """Whether OCPP 2.0.1 has this action; action names are case-sensitive."""
    return action in FROM_STATION or action in FROM_CSMS


def refusal(action: str) -> ErrorCode | None:
    """Why a CALL with this action cannot be taken from a CSMS: unknown, or a station's own; else None."""
    if action in FROM_CSMS:
        return None
    return ErrorCode.NOT_SUPPORTED if action in FROM_STATION else ErrorCode.NOT_IMPLEMENTED
