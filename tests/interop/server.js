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
"use strict";

const { RPCServer, createRPCError } = require("ocpp-rpc");
const readline = require("node:readline");

const PROTOCOL = "ocpp2.0.1";
const accepted = () => ({ idTokenInfo: { status: "Accepted" } });
const usual = {
  Authorize: accepted,
  BootNotification: () => ({ currentTime: new Date().toISOString(), interval: 300, status: "Accepted" }),
  DataTransfer: () => ({ status: "UnknownVendorId" }),
  Heartbeat: () => ({ currentTime: new Date().toISOString() }),
  MeterValues: () => ({}),
  NotifyEvent: () => ({}),
  NotifyReport: () => ({}),
  SecurityEventNotification: () => ({}),
  StatusNotification: () => ({}),
  TransactionEvent: (event) => (event.idToken ? accepted() : {}),
};
const told = {};
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
  client.on("badMessage", ({ buffer, error }) => violation(client, "frame", `${error.message}: ${buffer.toString().slice(0, 500)}`));
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

async function obey(command) {
  Object.assign(told, command.answers ?? {});
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
