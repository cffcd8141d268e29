// A CSMS on the npm package ocpp-rpc in strict mode: it validates every message by its own schemas, both ways.
//
// Prints one JSON line for each thing seen:
//   {"what":"listening","port":N}
//   {"what":"connected"|"disconnected","identity":...}
//   {"what":"call","identity":...,"action":...,"payload":...}      from the station, or to it with "outbound":true
//   {"what":"answer","action":...,"payload":...}                   the station's, to a command
//   {"what":"violation","rule":...,"detail":...}
// Takes one JSON command a line on stdin and ends when stdin does:
//   {"action":"SetChargingProfile","payload":{...}}   call the station that connected last
//   {"answers":{"Authorize":{...}}}                   answer an action with this from now on
//   {"probe":[["probe-1","Reset",{...}],...]}         send them one after the other, wrong ones too; for each one
//       {"what":"probed","id":...,"valid":B,"code":...}   valid by these schemas, and the code of a CALLERROR or null
"use strict";

const { RPCServer, createRPCError } = require("ocpp-rpc");
const readline = require("node:readline");
const validator = require("ocpp-rpc/lib/standard-validators").find((one) => one.subprotocol === "ocpp2.0.1");

const PROTOCOL = "ocpp2.0.1";
const accepted = () => ({ idTokenInfo: { status: "Accepted" } });
const notices = [
  "ClearedChargingLimit", "FirmwareStatusNotification", "LogStatusNotification", "MeterValues", "NotifyChargingLimit",
  "NotifyCustomerInformation", "NotifyDisplayMessages", "NotifyEvent", "NotifyMonitoringReport", "NotifyReport",
  "ReportChargingProfiles", "ReservationStatusUpdate", "SecurityEventNotification", "StatusNotification",
];
const usual = {
  ...Object.fromEntries(notices.map((action) => [action, () => ({})])),
  Authorize: accepted,
  BootNotification: () => ({ currentTime: new Date().toISOString(), interval: 300, status: "Accepted" }),
  DataTransfer: () => ({ status: "UnknownVendorId" }),
  Heartbeat: () => ({ currentTime: new Date().toISOString() }),
  GetCertificateStatus: () => ({ status: "Failed" }),
  NotifyEVChargingNeeds: () => ({ status: "Rejected" }),
  NotifyEVChargingSchedule: () => ({ status: "Accepted" }),
  SignCertificate: () => ({ status: "Accepted" }),
  TransactionEvent: (event) => (event.idToken ? accepted() : {}),
};
const told = {};
const PROBE = '"probe-';
const PATIENCE_MS = 20000;
let station = null;

function say(line) {
  process.stdout.write(JSON.stringify(line) + "\n");
}

function violation(client, rule, detail) {
  say({ what: "violation", identity: client?.identity, rule, detail });
}

function judge(client) {
  client.on("strictValidationFailure", ({ method, outbound, isCall, error }) =>
    violation(client, outbound ? "own-schema" : "schema", `${method} ${isCall ? "request" : "response"}: ${error.message}`));
  client.on("badMessage", ({ buffer, error }) => buffer.toString().includes(PROBE) || violation(client, "frame", `${error.message}: ${buffer.toString().slice(0, 500)}`));
  client.on("call", ({ outbound, payload }) => {
    if (!outbound) say({ what: "call", identity: client.identity, action: payload[2], payload: payload[3] });
  });
}

const server = new RPCServer({ protocols: [PROTOCOL], strictMode: true });

server.auth((accept, reject, handshake) => {
  if (!handshake.protocols.has(PROTOCOL)) {
    violation(handshake, "subprotocol", [...handshake.protocols].join(","));
    reject(400, "no common subprotocol");
    return;
  }
  accept({}, PROTOCOL);
});

server.on("client", (client) => {
  station = client;
  say({ what: "connected", identity: client.identity });
  judge(client);
  client.on("close", () => say({ what: "disconnected", identity: client.identity }));
  client.handle(({ method, params }) => {
    if (told[method]) return told[method];
    if (usual[method]) return usual[method](params);
    violation(client, "unknown-action", method);
    throw createRPCError("NotImplemented", `${method} is not known here`);
  });
});

function isValid(action, payload) {
  try {
    return Boolean(validator.validate(`urn:${action}.req`, payload));
  } catch {
    return false;
  }
}

// The library sends nothing that is wrong, so a wrong CALL goes out as text, and its answer is picked up by its id.
function callRaw(id, action, payload) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no answer to ${id}`)), PATIENCE_MS);
    const listen = ({ message, outbound }) => {
      const frame = outbound ? [] : JSON.parse(message.toString());
      if (frame[1] !== id) return;
      clearTimeout(late);
      station.off("message", listen);
      resolve(frame[0] === 4 ? frame[2] : null);
    };
    station.on("message", listen);
    station.sendRaw(JSON.stringify([2, id, action, payload]));
  });
}

async function probe(id, action, payload) {
  const valid = isValid(action, payload);
  try {
    if (!valid) return { valid, code: await callRaw(id, action, payload) };
    await station.call(action, payload, { callTimeoutMs: PATIENCE_MS });
    return { valid, code: null };
  } catch (error) {
    return { valid, code: error.rpcErrorCode ?? String(error) };
  }
}

async function obey(command) {
  Object.assign(told, command.answers ?? {});
  for (const [id, action, payload] of command.probe ?? []) {
    say({ what: "probed", id, ...(await probe(id, action, payload)) });
  }
  if (!command.action) return;
  say({ what: "call", outbound: true, identity: station?.identity, action: command.action, payload: command.payload ?? {} });
  try {
    const payload = await station.call(command.action, command.payload ?? {}, { callTimeoutMs: 30000 });
    say({ what: "answer", action: command.action, payload });
  } catch (error) {
    say({ what: "answer", action: command.action, error: { code: error.rpcErrorCode, message: error.message } });
  }
}

server.listen(Number(process.argv[2] ?? 0), "127.0.0.1").then((http) => {
  say({ what: "listening", port: http.address().port });
});
const commands = readline.createInterface({ input: process.stdin });
commands.on("line", (line) => obey(JSON.parse(line)));
commands.on("close", () => process.exit(0));
