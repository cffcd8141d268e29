"""The functional blocks of OCPP 2.0.1, one file each. Loaded after the Boot frame is out."""

from __future__ import annotations

from agent.blocks.a_security import Security
from agent.blocks.b_network import NetworkProfiles
from agent.blocks.b_provisioning import Provisioning
from agent.blocks.b_reports import Reports
from agent.blocks.b_resets import Resets
from agent.blocks.c_authorization import Authorization
from agent.blocks.d_local_list import LocalListManagement
from agent.blocks.e_transactions import Transactions
from agent.blocks.f_remote_control import RemoteControl
from agent.blocks.g_availability import Availability
from agent.blocks.h_reservation import Reservation
from agent.blocks.i_tariff import TariffAndCost
from agent.blocks.j_metering import Metering
from agent.blocks.k_smart_charging import SmartCharging
from agent.blocks.l_firmware import FirmwareManagement
from agent.blocks.m_certificates import CertificateManagement
from agent.blocks.n_customer import CustomerInformation
from agent.blocks.n_logs import Logs
from agent.blocks.n_monitoring import Monitoring
from agent.blocks.o_display import DisplayMessages
from agent.blocks.p_data_transfer import DataTransfer

BLOCKS = (
    Security,
    NetworkProfiles,
    Provisioning,
    Reports,
    Resets,
    Authorization,
    LocalListManagement,
    Transactions,
    RemoteControl,
    Availability,
    Reservation,
    TariffAndCost,
    Metering,
    SmartCharging,
    Monitoring,
    CustomerInformation,
    Logs,
    CertificateManagement,
    FirmwareManagement,
    DisplayMessages,
    DataTransfer,
)
