// The module against the command, over every committed vector: the same text, byte for byte.
//   node --test test.mjs      with WASM and CLI naming the two builds (scripts/wasm)
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { load } from "./verifier.mjs";

const vectors = new URL("../../tests/vectors/", import.meta.url).pathname;
const cli = process.env.CLI;
const verdict = await load(readFileSync(process.env.WASM));
/** One RSA-4096 and one P-384 signature have to take less than this, on a machine that is not busy otherwise. */
const limitMs = Number(process.env.WASM_LIMIT_MS ?? 10);

const part = (path) => path && { name: path, base64: readFileSync(path).toString("base64") };
const present = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value != null));
const parse = (text) => JSON.parse(text);

function native(...args) {
  const { stdout, stderr, error } = spawnSync(cli, [...args.flat(), "--json"], { encoding: "utf8" });
  assert.equal(error, undefined);
  return { stdout, stderr };
}

/** Both answers to a case, after they were found equal. */
function both(request, args) {
  const { stdout, stderr } = native(args);
  assert.notEqual(stdout, "", stderr);
  const text = verdict(request);
  assert.equal(`${text}\n`, stdout);
  return parse(text);
}

const sets = readdirSync(vectors).filter((set) => existsSync(join(vectors, set, "manifest.json")));
assert.ok(sets.length >= 3, `${sets}`);
for (const set of sets) {
  test(`every report of the set ${set}`, () => {
    const dir = join(vectors, set);
    const cases = parse(readFileSync(join(dir, "manifest.json")));
    assert.ok(cases.length > 0);
    for (const one of cases) {
      const path = (name) => one[name] && join(dir, one[name]);
      const crls = (one.crl ?? []).map((file) => join(dir, file));
      const request = present({ at: one.at, trustRoot: part(path("trust_root")), crls: crls.map(part) });
      request.report = present({
        evidence: part(path("report")),
        vek: part(path("vek")),
        intermediate: part(path("intermediate")),
      });
      const options = { "--vek": path("vek"), "--intermediate": path("intermediate"), "--trust-root": path("trust_root") };
      const found = both(request, [
        "report",
        path("report"),
        ...Object.entries(present(options)).flat(),
        ...crls.flatMap((file) => ["--crl", file]),
        "--at",
        one.at,
      ]);
      assert.deepEqual([found.verdict, found.exit], [one.expect, one.exit], one.id);
    }
  });
}

test("every proof, and the bundle they share", () => {
  const dir = join(vectors, "proofs");
  const [bundle, root] = [join(dir, "bundle.json"), join(dir, "root.der")];
  const cases = parse(readFileSync(join(dir, "cases.json")));
  assert.ok(cases.length > 0);
  for (const one of cases) {
    const proof = join(dir, one.proof);
    const payment = one.payment && join(dir, one.payment);
    const request = { at: one.at, trustRoot: part(root) };
    request.proof = present({ proof: part(proof), bundle: part(bundle), payment: part(payment) });
    both(request, [
      ["proof", proof, "--bundle", bundle, "--at", one.at, "--trust-root", root],
      payment ? ["--payment", payment] : [],
    ].flat());
  }
  const at = cases[0].at;
  both({ at, trustRoot: part(root), bundle: { bundle: part(bundle) } }, ["bundle", bundle, "--at", at, "--trust-root", root]);

  // A release manifest: by its keys, by one of them, and by none of them.
  const keys = [
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
  ];
  const release = new URL("../../tests/fuzz/seeds/release/file", import.meta.url).pathname;
  const found = (releaseKeys, outcome) => {
    const request = { at, trustRoot: part(root), releases: [part(release)], releaseKeys };
    const named = [bundle, "--at", at, "--trust-root", root, "--release", release];
    const args = ["bundle", ...named, ...releaseKeys.flatMap((key) => ["--release-key", key])];
    const { checks } = both({ ...request, bundle: { bundle: part(bundle) } }, args);
    assert.equal(checks.find(({ name }) => name === "release").outcome, outcome);
  };
  found(keys, "pass");
  found(keys.slice(0, 1), "fail");
  found(["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"], "fail");
});

test("Azure's evidence, and the same under every preset", () => {
  const dir = join(vectors, "registry/az-snp-vtpm-0.8.2");
  const [hcl, vek] = [join(dir, "hcl-report-snp.bin"), join(dir, "certs.pem")];
  const at = "2026-01-01T00:00:00Z";
  for (const policy of ["strict", "azure", "gcp", "aws", "baremetal"]) {
    for (const command of ["azure", "report"]) {
      const evidence = part(hcl);
      const asked = command === "azure" ? { hcl: evidence, vek: part(vek) } : { evidence, vek: part(vek) };
      both({ at, policy, [command]: asked }, [command, hcl, "--vek", vek, "--at", at, "--policy", policy]);
    }
  }
});

test("a policy's text is judged as the command judges its file", () => {
  const dir = join(vectors, "registry/sev-8.0.0");
  const policy = new URL("../policy/strict.toml", import.meta.url).pathname;
  const [report, vek] = [join(dir, "report_milan.bin"), join(dir, "vcek_milan.der")];
  const at = "2026-01-01T00:00:00Z";
  const request = { at, policy: readFileSync(policy, "utf8"), report: { evidence: part(report), vek: part(vek) } };
  both(request, ["report", report, "--vek", vek, "--at", at, "--policy", policy]);
});

test("what is no request throws", () => {
  for (const request of [null, {}, { at: "2026-01-01T00:00:00Z", report: { evidence: "", nonce: "" } }]) {
    assert.throws(() => verdict(request));
  }
});

test(`a report and its chain take less than ${limitMs} ms`, () => {
  const dir = join(vectors, "registry/sev-8.0.0");
  const evidence = readFileSync(join(dir, "report_milan.bin")).toString("base64");
  const vek = readFileSync(join(dir, "vcek_milan.der")).toString("base64");
  const request = { at: "2026-01-01T00:00:00Z", report: { evidence, vek } };
  assert.equal(parse(verdict(request)).verdict, "accepted");
  const times = Array.from({ length: 200 }, () => {
    const start = performance.now();
    verdict(request);
    return performance.now() - start;
  }).sort((a, b) => a - b);
  const [fastest, median] = [times[0], times[100]];
  console.log(`report and chain, one RSA-4096 and one P-384 signature: ${fastest.toFixed(2)} ms fastest, ${median.toFixed(2)} ms median`);
  // The fastest is the machine's; whoever else runs on it makes the others slower.
  assert.ok(fastest < limitMs, `${fastest} ms`);
});
