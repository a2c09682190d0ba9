// An SMSC on npm smpp, with faults on demand. SMPP 3.4 on SMSC_PORT, with TLS on
// SMSC_TLS_PORT; everything on loopback. It keeps what it has to deliver until that is
// answered with status 0, and delivers it again, in order, to whoever binds next.
//
//   GET  /log        what was seen: binds, submits (decoded), answers
//   POST /mo         {from, to, text, coding?, join?, only?, ref?}: a message from a phone
//   POST /raw        {hex}: octets, as they are
//   POST /redeliver  the last deliver_sm once more, with its sequence number
//   POST /route      {number, system}: messages to it go to whoever binds so named
//   POST /cut        end the sessions
//   POST /dark       end them and listen no more; /light listens again
//   POST /fault      see NO_FAULT; what is missing keeps its value
//   POST /reset      forget everything
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
const smpp = createRequire(process.env.SMPP_HOME + '/')('smpp');

const { SMSC_SYSTEM_ID: SYSTEM_ID, SMSC_PASSWORD: PASSWORD } = process.env;
const HOST = '127.0.0.1';
const PORT = Number(process.env.SMSC_PORT), TLS_PORT = Number(process.env.SMSC_TLS_PORT);
const CONTROL = Number(process.env.SMSC_CONTROL_PORT);
const WINDOW = 8, RETRY_MS = 200, SLOW_MS = 60_000;

const NO_FAULT = {
  throttle: 0,            // answer the next n submit_sm with ESME_RTHROTTLED
  reject: 0,              // answer the next n with rejectStatus
  rejectStatus: smpp.ESME_RINVDSTADR,
  rejectFrom: 0,          // the same from the n-th submit_sm on, counted from now
  mute: 0,                // accept the next n, never answer
  late: 0,                // milliseconds by which answers come late
  dropAfter: 0,           // accept the n-th from now, and cut before the answer
  dropBefore: 0,          // cut instead of accepting the n-th from now
  slow: [],               // numbers whose submit_sm wait for a minute
  receipt: 'DELIVRD',     // state of receipts; 'none' sends none
  receiptDelay: 50,       // milliseconds
  receiptFirst: false,    // before the answer
  receiptTwice: false,
  receiptIdHex: false,    // decimal in the answer, hexadecimal in the receipt, no option
  receiptReference: false, // give user_message_reference back
  receiptBare: false,     // neither text nor dates: an id alone
};
const STATES = { ENROUTE: 1, DELIVRD: 2, EXPIRED: 3, DELETED: 4, UNDELIV: 5, ACCEPTD: 6, UNKNOWN: 7, REJECTD: 8 };

let fault = { ...NO_FAULT }, log = [], pending = [], last = null;
let nextId = 1000, reference = 1;
const bound = new Map(), open = new Set();   // session to system id
const routes = new Map();                    // number to system id, where no phone has it
const note = (kind, data) => log.push({ at: Date.now(), kind, ...data });
const due = (name) => fault[name] > 0 && --fault[name] === 0;
const counted = (name) => fault[name] > 0 && fault[name]-- > 0;

// ---- towards the phone's side: kept until answered

function deliver(options, what, system = SYSTEM_ID) { pending.push({ options, what, system, session: null }); pump(); }
const sessionOf = (system = SYSTEM_ID) => [...bound].filter(([, id]) => id === system).at(-1)?.[0];

function pump() {
  for (const entry of pending) {
    const session = sessionOf(entry.system);
    if (entry.session || !session) continue;
    if (pending.filter((e) => e.session === session).length >= WINDOW) continue;
    entry.session = session;
    const pdu = new smpp.PDU('deliver_sm', entry.options);
    session.send(pdu, (answer) => {
      note('answered', { what: entry.what, status: answer.command_status });
      if (answer.command_status !== 0) return setTimeout(() => { entry.session = null; pump(); }, RETRY_MS);
      pending = pending.filter((e) => e !== entry);
      pump();
    });
    last = { options: entry.options, sequence: pdu.sequence_number, session };
  }
}

function gone(session) {
  bound.delete(session); open.delete(session);
  for (const entry of pending) if (entry.session === session) entry.session = null;
  pump();
}

function receipt(pdu, id, system) {
  const now = new Date().toISOString().replace(/\D/g, '').slice(2, 12);
  const text = textOf(pdu).slice(0, 20);
  const shown = fault.receiptIdHex ? Number(id).toString(16) : id;
  const options = fault.receiptIdHex ? {} : { receipted_message_id: id, message_state: STATES[fault.receipt] };
  if (fault.receiptReference) options.user_message_reference = pdu.user_message_reference;
  const rest = fault.receiptBare ? '' : ` sub:001 dlvrd:001 submit date:${now} done date:${now}`;
  const end = fault.receiptBare ? '' : ` text:${text}`;
  deliver({
    source_addr_ton: pdu.dest_addr_ton, source_addr_npi: pdu.dest_addr_npi,
    source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4,
    short_message: `id:${shown}${rest} stat:${fault.receipt} err:000${end}`, ...options,
  }, 'receipt', system);
}

// ---- from the connector

function textOf(pdu) {
  const value = pdu.short_message?.message ?? pdu.message_payload?.message ?? pdu.message_payload;
  return typeof value === 'string' ? value : value?.toString('latin1') ?? '';
}

function submit(session, pdu) {
  const udh = pdu.short_message?.udh?.[0];
  const seen = {
    from: pdu.source_addr, to: pdu.destination_addr, ton: pdu.dest_addr_ton, coding: pdu.data_coding,
    esm: pdu.esm_class, registered: pdu.registered_delivery, validity: pdu.validity_period,
    udh: udh ? [...udh] : null, text: textOf(pdu), reference: pdu.user_message_reference,
    sar: pdu.sar_total_segments ? [pdu.sar_msg_ref_num, pdu.sar_total_segments, pdu.sar_segment_seqnum] : null,
  };
  const refuse = (status) => { note('refused', { ...seen, status }); session.send(pdu.response({ command_status: status })); };
  if (due('dropBefore')) { note('lost', seen); return session.destroy(); }
  if (fault.slow.includes(pdu.destination_addr)) return setTimeout(() => {}, SLOW_MS);
  if (counted('throttle')) return refuse(smpp.ESME_RTHROTTLED);
  if (counted('reject')) return refuse(fault.rejectStatus);
  if (fault.rejectFrom > 0 && --fault.rejectFrom === 0) { fault.rejectFrom = 1; return refuse(fault.rejectStatus); }
  const id = String(nextId++);
  note('submit_sm', { ...seen, id });
  const wanted = pdu.registered_delivery && fault.receipt !== 'none';
  const system = bound.get(session);
  const send = () => { receipt(pdu, id, system); if (fault.receiptTwice) receipt(pdu, id, system); };
  if (routes.has(pdu.destination_addr)) pass(pdu, routes.get(pdu.destination_addr));
  if (wanted && fault.receiptFirst) send();
  if (due('dropAfter')) session.destroy();
  else if (!counted('mute')) setTimeout(() => session.send(pdu.response({ message_id: id })), fault.late);
  if (wanted && !fault.receiptFirst) setTimeout(send, fault.receiptDelay);
}

function pass(pdu, system) {   // to another program instead of a phone
  const names = ['source_addr_ton', 'source_addr_npi', 'source_addr', 'destination_addr', 'data_coding', 'short_message',
    'message_payload', 'sar_msg_ref_num', 'sar_total_segments', 'sar_segment_seqnum'];
  const kept = names.filter((name) => pdu[name] !== undefined).map((name) => [name, pdu[name]]);
  const options = Object.fromEntries(kept), elements = pdu.short_message?.udh;
  if (elements) options.short_message = { message: pdu.short_message.message,
    udh: Buffer.concat([Buffer.from([Buffer.concat(elements).length]), ...elements]) };
  deliver({ ...options, esm_class: pdu.esm_class & 0x40 }, 'mo', system);
}

function serve(session) {
  open.add(session);
  session.on('bind_transceiver', (pdu) => {
    const ok = [SYSTEM_ID, ...routes.values()].includes(pdu.system_id) && pdu.password === PASSWORD;
    note('bind', { system_id: pdu.system_id, ok, secure: Boolean(session.socket.encrypted) });
    session.send(pdu.response({ command_status: ok ? 0 : smpp.ESME_RBINDFAIL, system_id: 'lab' }));
    if (!ok) return session.close();
    bound.set(session, pdu.system_id);
    pump();
  });
  session.on('enquire_link', (pdu) => { note('enquire_link', {}); session.send(pdu.response()); });
  session.on('unbind', (pdu) => { note('unbind', {}); session.send(pdu.response()); session.close(); });
  session.on('submit_sm', (pdu) => submit(session, pdu));
  session.on('close', () => gone(session));
  session.on('error', (error) => { gone(session); note('error', { message: error.message }); });
}

// ---- control

function parts(text, size) {
  const found = [];
  for (let at = 0; at < text.length; at += size) found.push(text.slice(at, at + size));
  return found;
}

function fromPhone({ from, to, text, coding = 'ucs2', join = 'udh', only, ref = reference++ & 255 }) {
  const ucs2 = coding === 'ucs2', data_coding = ucs2 ? 8 : 0;
  const address = { source_addr_ton: 1, source_addr_npi: 1, source_addr: from, destination_addr: to };
  if (join === 'payload') return deliver({ ...address, data_coding, message_payload: text }, 'mo');
  if (text.length <= (ucs2 ? 70 : 160)) return deliver({ ...address, data_coding, short_message: { message: text } }, 'mo');
  const all = parts(text, ucs2 ? 67 : 150);
  const numbers = only ?? all.map((_, at) => at + 1);
  for (const number of numbers) {
    const message = all[number - 1];
    if (join === 'sar') deliver({ ...address, data_coding, short_message: { message },
      sar_msg_ref_num: ref, sar_total_segments: all.length, sar_segment_seqnum: number }, 'mo');
    else deliver({ ...address, data_coding, esm_class: 0x40,
      short_message: { udh: Buffer.from([5, 0, 3, ref, all.length, number]), message } }, 'mo');
  }
}

function redeliver() {
  const session = sessionOf();
  session.send(new smpp.PDU('deliver_sm', { ...last.options, sequence_number: last.sequence }), () => {});
}

const servers = [smpp.createServer(serve)];
if (process.env.SMSC_CERT) servers.push(smpp.createServer(
  { cert: fs.readFileSync(process.env.SMSC_CERT), key: fs.readFileSync(process.env.SMSC_KEY) }, serve));
const PORTS = [PORT, TLS_PORT];
const listen = () => Promise.all(servers.map((server, at) => new Promise((done) => server.listen(PORTS[at], HOST, done))));
const cut = () => { for (const session of open) session.destroy(); };

const ACTIONS = {
  '/log': () => ({ sessions: bound.size, pending: pending.length, log }),
  '/mo': (body) => { fromPhone(body); return {}; },
  '/raw': ({ hex }) => { sessionOf().socket.write(Buffer.from(hex, 'hex')); return {}; },
  '/redeliver': () => { redeliver(); return {}; },
  '/route': ({ number, system }) => { routes.set(number, system); return {}; },
  '/cut': () => { cut(); return {}; },
  '/dark': () => { for (const server of servers) server.close(); cut(); return {}; },
  '/light': async () => { await listen(); return {}; },
  '/fault': (body) => (fault = { ...fault, ...body }),
  '/reset': () => { fault = { ...NO_FAULT }; log = []; pending = []; routes.clear(); return {}; },
};

http.createServer(async (request, response) => {
  let raw = '';
  for await (const chunk of request) raw += chunk;
  const reply = (status, body) => { response.writeHead(status, { 'content-type': 'application/json' }); response.end(JSON.stringify(body)); };
  const action = ACTIONS[request.url];
  if (!action) return reply(404, { error: 'unknown path' });
  try { reply(200, await action(raw ? JSON.parse(raw) : {})); } catch (error) { reply(500, { error: error.message }); }
}).listen(CONTROL, HOST, listen);
