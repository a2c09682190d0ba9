#!/usr/bin/env node
// A peer for interoperability tests: the npm package ts-mls behind line-delimited JSON
// on stdin and stdout. README.md lists the operations. One process plays any number of
// clients; each request is one line and gives exactly one line, in order. TSMLS_HOME is
// the folder that holds node_modules.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL, fileURLToPath } from "node:url";
import { ECDH, randomBytes, webcrypto } from "node:crypto";
import path from "node:path";

globalThis.crypto ??= webcrypto; // node 18 has it only here

const home = process.env.TSMLS_HOME ?? path.dirname(fileURLToPath(import.meta.url));
const req = createRequire(path.join(path.resolve(home), "resolve.cjs"));
const load = (name) => import(pathToFileURL(req.resolve(name)).href);
const M = await load("ts-mls");
const { encodeLeafNodeTBS } = await load("ts-mls/leafNode.js");
const { signWithLabel } = await load("ts-mls/crypto/signature.js");
const { encodeRatchetTree, decodeRatchetTree } = await load("ts-mls/ratchetTree.js");
const { createGroupInfo } = await load("ts-mls/createCommit.js");
const { makeKeyPackageRef } = await load("ts-mls/keyPackage.js");
const { defaultClientConfig } = await load("ts-mls/clientConfig.js");

const hex = (b) => Buffer.from(b).toString("hex");
const un = (s) => {
  if (typeof s !== "string" || s.length % 2 || /[^0-9a-f]/.test(s))
    throw new TypeError("expected lower-case hex");
  return new Uint8Array(Buffer.from(s, "hex"));
};
const utf8 = (s) => new TextEncoder().encode(s);
const suiteName = (id) => {
  const hit = Object.entries(M.ciphersuites).find(([, n]) => n === id);
  if (!hit) throw new RangeError(`unknown cipher suite ${id}`);
  return hit[0];
};
const impls = new Map();
const impl = async (name) => {
  if (!impls.has(name))
    impls.set(name, await M.getCiphersuiteImpl(M.getCiphersuiteFromName(name)));
  return impls.get(name);
};

// ts-mls makes ECDSA keys compressed; the RFC wants them uncompressed (5.1.1).
const curves = { P256: "prime256v1", P384: "secp384r1", P521: "secp521r1" };
const signatureKeys = async (name, cs) => {
  const pair = await cs.signature.keygen(),
    curve = curves[name.split("_").at(-1)];
  if (!curve) return pair;
  const full = ECDH.convertKey(
    pair.publicKey,
    curve,
    undefined,
    undefined,
    "uncompressed",
  );
  return { ...pair, publicKey: new Uint8Array(full) };
};

// handle -> { state, cs, updates: key pairs of own Update proposals }
const groups = new Map();
// handle -> { pub, priv, suite }
const kps = new Map();
// hex psk_id -> Uint8Array
const psks = new Map();
let serial = 0;
const fresh = (prefix) => `${prefix}${++serial}`;
const need = (map, h, what) => {
  if (!map.has(h)) throw new RangeError(`unknown ${what} handle ${h}`);
  return map.get(h);
};

let spent = 0; // milliseconds inside ts-mls during the current request
const timed = async (f) => {
  const t = performance.now();
  try {
    return await f();
  } finally {
    spent += performance.now() - t;
  }
};
const timedNow = (f) => {
  const t = performance.now();
  try {
    return f();
  } finally {
    spent += performance.now() - t;
  }
};

// ---- conversions
const decode = (h, wanted) => {
  const bytes = un(h);
  const r = timedNow(() => M.decodeMlsMessage(bytes, 0));
  if (!r) throw new SyntaxError("not an MLSMessage");
  if (r[1] !== bytes.length)
    throw new SyntaxError(`trailing bytes: used ${r[1]} of ${bytes.length}`);
  if (wanted && r[0].wireformat !== wanted)
    throw new SyntaxError(`expected ${wanted}, got ${r[0].wireformat}`);
  return r[0];
};
const encode = (m) =>
  hex(timedNow(() => M.encodeMlsMessage({ version: "mls10", ...m })));
const knownExt = {
  1: "application_id",
  2: "ratchet_tree",
  3: "required_capabilities",
  4: "external_pub",
  5: "external_senders",
};
const extIn = (list = []) =>
  list.map((e) => ({
    extensionType: knownExt[e.type] ?? e.type,
    extensionData: un(e.data),
  }));
const extOut = (list) =>
  list.map((e) => ({
    type:
      typeof e.extensionType === "number"
        ? e.extensionType
        : +Object.entries(knownExt).find(([, v]) => v === e.extensionType)[0],
    data: hex(e.extensionData),
  }));
const treeIn = (h) => {
  if (h === undefined) return undefined;
  const r = decodeRatchetTree(un(h), 0);
  if (!r) throw new SyntaxError("not a ratchet_tree");
  return r[0];
};

// ExternalPub is an HPKEPublicKey, an opaque<V>; ts-mls writes and reads the bare key.
// These put the length there and take it away.
const wrapped = (key) =>
  new Uint8Array(key.length < 64 ? [key.length, ...key] : [0x40, key.length, ...key]);
const unwrapping = (cs, gi) => {
  const ext = gi.extensions.find((e) => e.extensionType === "external_pub");
  if (!ext) return cs;
  const data = ext.extensionData,
    key = data.subarray(data[0] < 64 ? 1 : 2);
  if (hex(wrapped(key)) !== hex(data)) throw new SyntaxError("not an ExternalPub");
  const importPublicKey = (k) =>
    cs.hpke.importPublicKey(hex(k) === hex(data) ? key : k);
  return { ...cs, hpke: { ...cs.hpke, importPublicKey } };
};

const pskIndex = (state) => ({
  findPsk(id) {
    if (id.psktype === "external") return psks.get(hex(id.pskId));
    return M.makePskIndex(state, {}).findPsk(id);
  },
});

// A strict peer accepts this one; the library's own ends in the year 292277026596.
const lifetime = (l) => {
  const now = BigInt(Math.floor(Date.now() / 1000));
  return {
    notBefore: l ? BigInt(l[0]) : now - 3600n,
    notAfter: l ? BigInt(l[1]) : now + 28n * 86400n,
  };
};
const capabilities = (r) => {
  const c = {
    versions: ["mls10"],
    ciphersuites: r.cap_suites
      ? r.cap_suites.map(suiteName)
      : Object.entries(M.ciphersuites)
          .filter(([, n]) => n < 8)
          .map(([k]) => k),
    extensions: r.cap_extensions ?? [],
    proposals: r.cap_proposals ?? [],
    credentials: ["basic", "x509"],
  };
  if (r.grease) {
    // deterministic, unlike the library's coin tosses
    c.ciphersuites.push("2570");
    c.extensions.push(0x1a1a);
    c.proposals.push(0x2a2a);
    c.credentials.push("14906");
  }
  return c;
};

async function proposalIn(p, g) {
  switch (p.type) {
    case "add":
      return {
        proposalType: "add",
        add: { keyPackage: decode(p.key_package, "mls_key_package").keyPackage },
      };
    case "remove":
      return { proposalType: "remove", remove: { removed: p.leaf } };
    case "psk":
      return {
        proposalType: "psk",
        psk: {
          preSharedKeyId: {
            psktype: "external",
            pskId: un(p.psk_id),
            pskNonce:
              p.nonce !== undefined
                ? un(p.nonce)
                : new Uint8Array(randomBytes(g.cs.kdf.size)),
          },
        },
      };
    case "group_context_extensions":
      return {
        proposalType: "group_context_extensions",
        groupContextExtensions: { extensions: extIn(p.extensions) },
      };
    case "reinit":
      return {
        proposalType: "reinit",
        reinit: {
          groupId: un(p.group_id),
          version: "mls10",
          cipherSuite: suiteName(p.suite),
          extensions: extIn(p.extensions),
        },
      };
    case "custom":
      // ts-mls frames the body as opaque<V>
      return { proposalType: p.code, proposalData: un(p.body) };
    case "update": {
      // ts-mls has no helper for own Update proposals: the leaf is made here.
      const leafIndex = g.state.privatePath.leafIndex,
        old = g.state.ratchetTree[2 * leafIndex].leaf;
      const kp = await g.cs.hpke.generateKeyPair();
      const tbs = {
        ...old,
        leafNodeSource: "update",
        hpkePublicKey: await g.cs.hpke.exportPublicKey(kp.publicKey),
        groupId: g.state.groupContext.groupId,
        leafIndex,
      };
      delete tbs.signature;
      delete tbs.lifetime;
      delete tbs.parentHash;
      const signature = await signWithLabel(
        g.state.signaturePrivateKey,
        "LeafNodeTBS",
        encodeLeafNodeTBS(tbs),
        g.cs.signature,
      );
      const { groupId: _g, leafIndex: _l, ...leafNode } = tbs;
      const priv = await g.cs.hpke.exportPrivateKey(kp.privateKey);
      g.pendingUpdate = { pub: hex(tbs.hpkePublicKey), priv };
      return {
        proposalType: "update",
        update: { leafNode: { ...leafNode, signature } },
      };
    }
    default:
      throw new TypeError(`unknown proposal type ${p.type}`);
  }
}

const info = (g) => {
  const s = g.state,
    c = s.groupContext;
  return {
    group_id: hex(c.groupId),
    epoch: Number(c.epoch),
    suite: M.ciphersuites[c.cipherSuite],
    status: s.groupActiveState.kind,
    tree_hash: hex(c.treeHash),
    confirmed_transcript_hash: hex(c.confirmedTranscriptHash),
    confirmation_tag: hex(s.confirmationTag),
    epoch_authenticator: hex(s.keySchedule.epochAuthenticator),
    own_leaf: s.privatePath.leafIndex,
    members: s.ratchetTree.flatMap((n, i) =>
      n?.nodeType === "leaf"
        ? [
            {
              leaf: i / 2,
              identity:
                n.leaf.credential.credentialType === "basic"
                  ? hex(n.leaf.credential.identity)
                  : null,
              signature_key: hex(n.leaf.signaturePublicKey),
              encryption_key: hex(n.leaf.hpkePublicKey),
            },
          ]
        : [],
    ),
    extensions: extOut(c.extensions),
    pending: Object.keys(s.unappliedProposals).length,
  };
};

// ---- operations
const ops = {
  async hello() {
    const v = (n) => {
      try {
        return JSON.parse(
          req("node:fs").readFileSync(
            path.join(path.resolve(home), "node_modules", n, "package.json"),
          ),
        ).version;
      } catch {
        return null;
      }
    };
    return {
      protocol: 1,
      node: process.version,
      ts_mls: v("ts-mls"),
      hpke_core: v("@hpke/core"),
      suites: Object.entries(M.ciphersuites)
        .filter(([k]) => Number.isNaN(+k))
        .map(([name, id]) => ({ id, name })),
    };
  },
  async keypackage(r) {
    const name = suiteName(r.suite),
      cs = await impl(name);
    const cred = {
      credentialType: "basic",
      identity: r.identity_hex !== undefined ? un(r.identity_hex) : utf8(r.identity),
    };
    const args = [cred, capabilities(r), lifetime(r.lifetime), extIn(r.kp_extensions)];
    const k = await timed(async () => {
      const signature = r.sig_priv
        ? { signKey: un(r.sig_priv), publicKey: un(r.sig_pub) }
        : r.as_is
          ? await cs.signature.keygen()
          : await signatureKeys(name, cs);
      return M.generateKeyPackageWithKey(
        ...args,
        signature,
        cs,
        extIn(r.leaf_extensions),
      );
    });
    const h = fresh("k");
    kps.set(h, { pub: k.publicPackage, priv: k.privatePackage, suite: name });
    return {
      kp: h,
      message: encode({ wireformat: "mls_key_package", keyPackage: k.publicPackage }),
      ref: hex(await makeKeyPackageRef(k.publicPackage, cs.hash)),
      signature_key: hex(k.publicPackage.leafNode.signaturePublicKey),
      init_priv: hex(k.privatePackage.initPrivateKey),
      enc_priv: hex(k.privatePackage.hpkePrivateKey),
      sig_priv: hex(k.privatePackage.signaturePrivateKey),
    };
  },
  async create(r) {
    const k = need(kps, r.kp, "key package"),
      cs = await impl(k.suite);
    const state = await timed(() =>
      M.createGroup(un(r.group_id), k.pub, k.priv, extIn(r.extensions), cs),
    );
    const h = r.into ?? fresh("g");
    groups.set(h, { state, cs, updates: [] });
    return { g: h, ...info(groups.get(h)) };
  },
  async info(r) {
    return info(need(groups, r.g, "group"));
  },
  async tree(r) {
    return {
      tree: hex(encodeRatchetTree(need(groups, r.g, "group").state.ratchetTree)),
    };
  },
  async fork(r) {
    const g = need(groups, r.g, "group"),
      h = r.into ?? fresh("g");
    groups.set(h, { ...g, updates: [...g.updates] });
    return { g: h };
  },
  async drop(r) {
    return { dropped: groups.delete(r.g) || kps.delete(r.kp) };
  },
  async psk(r) {
    psks.set(r.psk_id, un(r.secret));
    return {};
  },
  async propose(r) {
    const g = need(groups, r.g, "group"),
      p = await proposalIn(r.proposal, g);
    const x = await timed(() =>
      M.createProposal(g.state, r.public ?? true, p, g.cs, un(r.aad ?? "")),
    );
    if (g.pendingUpdate) {
      g.updates.push(g.pendingUpdate);
      delete g.pendingUpdate;
    }
    g.state = x.newState;
    return { message: encode(x.message) };
  },
  async commit(r) {
    const g = need(groups, r.g, "group"),
      extra = [];
    for (const p of r.proposals ?? []) extra.push(await proposalIn(p, g));
    const x = await timed(() =>
      M.createCommit(
        { state: g.state, cipherSuite: g.cs, pskIndex: pskIndex(g.state) },
        {
          wireAsPublicMessage: r.public ?? true,
          extraProposals: extra,
          ratchetTreeExtension: r.tree_in_welcome ?? true,
          groupInfoExtensions: extIn(r.group_info_extensions),
          authenticatedData: un(r.aad ?? ""),
        },
      ),
    );
    const out = {
      commit: encode(x.commit),
      welcome: x.welcome
        ? encode({ wireformat: "mls_welcome", welcome: x.welcome })
        : null,
    };
    if (r.apply ?? true) {
      g.state = x.newState;
      g.updates = [];
    }
    return { ...out, ...info((r.apply ?? true) ? g : { ...g, state: x.newState }) };
  },
  async group_info(r) {
    const g = need(groups, r.g, "group"),
      s = g.state,
      ext = extIn(r.extensions);
    if (r.as_is)
      return {
        message: encode({
          wireformat: "mls_group_info",
          groupInfo: await M.createGroupInfoWithExternalPub(s, ext, g.cs),
        }),
      };
    const gi = await timed(async () => {
      const pair = await g.cs.hpke.deriveKeyPair(s.keySchedule.externalSecret);
      const key = await g.cs.hpke.exportPublicKey(pair.publicKey);
      ext.push({ extensionType: "external_pub", extensionData: wrapped(key) });
      if (r.tree ?? true)
        ext.push({
          extensionType: "ratchet_tree",
          extensionData: encodeRatchetTree(s.ratchetTree),
        });
      return createGroupInfo(s.groupContext, s.confirmationTag, s, ext, g.cs);
    });
    return { message: encode({ wireformat: "mls_group_info", groupInfo: gi }) };
  },
  async join(r) {
    const k = need(kps, r.kp, "key package"),
      cs = await impl(k.suite),
      w = decode(r.welcome, "mls_welcome").welcome;
    const resume = r.resume ? need(groups, r.resume, "group").state : undefined;
    const state = await timed(() =>
      M.joinGroup(w, k.pub, k.priv, pskIndex(resume), cs, treeIn(r.tree), resume),
    );
    const h = r.into ?? fresh("g");
    groups.set(h, { state, cs, updates: [] });
    return { g: h, ...info(groups.get(h)) };
  },
  async external_join(r) {
    const k = need(kps, r.kp, "key package"),
      gi = decode(r.group_info, "mls_group_info").groupInfo,
      cs = unwrapping(await impl(k.suite), gi);
    const x = await timed(() =>
      M.joinGroupExternal(
        gi,
        k.pub,
        k.priv,
        r.resync ?? false,
        cs,
        treeIn(r.tree),
        defaultClientConfig,
        un(r.aad ?? ""),
      ),
    );
    const h = r.into ?? fresh("g");
    groups.set(h, { state: x.newState, cs, updates: [] });
    return {
      g: h,
      commit: encode({
        wireformat: "mls_public_message",
        publicMessage: x.publicMessage,
      }),
      ...info(groups.get(h)),
    };
  },
  async external_add(r) {
    const k = need(kps, r.kp, "key package"),
      cs = await impl(k.suite),
      gi = decode(r.group_info, "mls_group_info").groupInfo;
    return {
      message: encode(await timed(() => M.proposeAddExternal(gi, k.pub, k.priv, cs))),
    };
  },
  async process(r) {
    const g = need(groups, r.g, "group"),
      m = decode(r.message);
    const go = async (state) => {
      if (m.wireformat === "mls_public_message")
        return {
          kind: "newState",
          ...(await M.processPublicMessage(
            state,
            m.publicMessage,
            pskIndex(state),
            g.cs,
          )),
        };
      if (m.wireformat === "mls_private_message")
        return M.processPrivateMessage(state, m.privateMessage, pskIndex(state), g.cs);
      throw new TypeError(`cannot process ${m.wireformat}`);
    };
    // A commit may cover one of our own Update proposals or none. It covers the one
    // whose public key our leaf has afterwards; the right private key may be needed to
    // read it, and must be there afterwards.
    const own = g.state.privatePath.leafIndex;
    const keys = g.state.privatePath.privateKeys;
    const leafKey = (state) => state.ratchetTree[2 * own]?.leaf?.hpkePublicKey;
    const oldKey = { pub: hex(leafKey(g.state) ?? []), priv: keys[2 * own] };
    let x, err;
    for (const { pub, priv } of [oldKey, ...g.updates]) {
      const privateKeys = { ...keys, [2 * own]: priv };
      const privatePath = { ...g.state.privatePath, privateKeys };
      try {
        const got = await timed(() => go({ ...g.state, privatePath }));
        const now = leafKey(got.newState);
        if (now && hex(now) !== pub && g.updates.some((u) => u.pub === hex(now)))
          continue;
        x = got;
        break;
      } catch (e) {
        err = e;
      }
    }
    if (!x) throw err;
    const before = g.state.groupContext.epoch;
    g.state = x.newState;
    if (x.kind === "applicationMessage")
      return {
        kind: "application",
        data: hex(x.message),
        aad: hex(m.privateMessage.authenticatedData),
      };
    const moved =
      g.state.groupContext.epoch !== before ||
      g.state.groupActiveState.kind === "removedFromGroup";
    if (moved) g.updates = [];
    return { kind: moved ? "commit" : "proposal", ...info(g) };
  },
  async encrypt(r) {
    const g = need(groups, r.g, "group");
    const x = await timed(() =>
      M.createApplicationMessage(g.state, un(r.data), g.cs, un(r.aad ?? "")),
    );
    g.state = x.newState;
    return {
      message: encode({
        wireformat: "mls_private_message",
        privateMessage: x.privateMessage,
      }),
    };
  },
  async export(r) {
    const g = need(groups, r.g, "group");
    return {
      secret: hex(
        await timed(() =>
          M.mlsExporter(
            g.state.keySchedule.exporterSecret,
            r.label,
            un(r.context ?? ""),
            r.length ?? 32,
            g.cs,
          ),
        ),
      ),
    };
  },
  async save(r) {
    const g = need(groups, r.g, "group");
    return { state: hex(await timed(async () => M.encodeGroupState(g.state))) };
  },
  async load(r) {
    const cs = await impl(suiteName(r.suite)),
      bytes = un(r.state);
    const state = await timed(async () => M.decodeGroupState(bytes, 0)?.[0]);
    if (!state) throw new SyntaxError("not a group state");
    const h = r.into ?? fresh("g");
    groups.set(h, {
      state: { ...state, clientConfig: defaultClientConfig },
      cs,
      updates: [],
    });
    return { g: h, ...info(groups.get(h)) };
  },
  async reinit_new(r) {
    // r.g is the suspended old group
    const g = need(groups, r.g, "group"),
      k = need(kps, r.kp, "key package"),
      re = g.state.groupActiveState.reinit;
    const members = r.members.map((m) => decode(m, "mls_key_package").keyPackage);
    const x = await timed(() =>
      M.reinitCreateNewGroup(
        g.state,
        k.pub,
        k.priv,
        members,
        re.groupId,
        re.cipherSuite,
        re.extensions,
      ),
    );
    return store(r, x, await impl(re.cipherSuite));
  },
  async branch(r) {
    const g = need(groups, r.g, "group"),
      k = need(kps, r.kp, "key package");
    const x = await timed(() =>
      M.branchGroup(
        g.state,
        k.pub,
        k.priv,
        r.members.map((m) => decode(m, "mls_key_package").keyPackage),
        un(r.group_id),
        g.cs,
      ),
    );
    return store(r, x, g.cs);
  },
};
// Welcomes of reinit and branch carry no tree: it is returned beside them.
const store = (r, x, cs) => {
  const h = r.into ?? fresh("g");
  groups.set(h, { state: x.newState, cs, updates: [] });
  return {
    g: h,
    commit: encode(x.commit),
    welcome: encode({ wireformat: "mls_welcome", welcome: x.welcome }),
    tree: hex(encodeRatchetTree(x.newState.ratchetTree)),
    ...info(groups.get(h)),
  };
};

const rl = createInterface({ input: process.stdin, crlfDelay: Infinity });
for await (const line of rl) {
  if (!line.trim()) continue;
  let r = {},
    out;
  spent = 0;
  try {
    r = JSON.parse(line);
    if (r.op === "quit") {
      process.stdout.write(JSON.stringify({ id: r.id, ok: true }) + "\n");
      break;
    }
    if (!Object.hasOwn(ops, r.op)) throw new TypeError(`unknown op ${r.op}`);
    out = { id: r.id, ok: true, ...(await ops[r.op](r)), ms: +spent.toFixed(4) };
  } catch (e) {
    out = {
      id: r.id ?? null,
      ok: false,
      error: {
        name: e?.name ?? "Error",
        message: String(e?.message ?? e).slice(0, 400),
      },
      ms: +spent.toFixed(4),
    };
  }
  process.stdout.write(JSON.stringify(out) + "\n");
}
