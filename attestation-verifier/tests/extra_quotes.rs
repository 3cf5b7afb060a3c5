//! Genuine quotes and blobs that are not ours to ship, read in place: see `extra_set.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test"
)]

mod common;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use attestation_verifier::{Certificate, ClaimsError, RuntimeClaims, clock};
use common::{Said, read, read_json, run_json};
use evidence::UnixSeconds;

fn set() -> Option<PathBuf> {
    match std::env::var_os("SEALGATE_EXTRA_VECTORS") {
        Some(folder) => Some(Path::new(&folder).join("snp")),
        None => {
            println!("SEALGATE_EXTRA_VECTORS is not set: the extra set did not run");
            None
        }
    }
}

/// Azure machines with a quote and its registers, and what `extraData` of it is.
const QUOTED: [(&str, &str); 8] = [
    ("milan-v2-azure-hcl", "6368616c6c656e6765"),
    (
        "genoa-v3-azure",
        "0218488bae25d2509232bf676f1a66a30d7372add909109b36016ef136f2938ca05475f8b46094de6b64270ea35d950f",
    ),
    ("milan-v3-azure-a", "6368616c6c656e6765"),
    ("milan-v3-azure-b", "6368616c6c656e6765"),
    (
        "milan-v3-azure-userdata",
        "982f5c6e45df0ed3f10b6f60b02f0c8390e281300f3805e2279c16168cd6ae9aa398f647caa2338748cd0fd9f5f819ef",
    ),
    ("milan-v3-azure-c", "6174746573746174696f6e2d746573742d66697874757265"),
    ("milan-v3-azure-d-no-nonce", ""),
    (
        "milan-v3-azure-session-bundle",
        "8472c4d9327d1c3fcaad39e1be8bba572e3d24055c40afc53993c3805ed3895edce219bfc2d07d821b52603807c275e3",
    ),
];

fn run(command: &str, arguments: &[&Path], more: &[&str]) -> Said {
    let arguments = arguments.iter().map(|path| path.as_os_str());
    run_json([OsStr::new(command)].into_iter().chain(arguments).chain(more.iter().map(OsStr::new)))
}

fn azure(dir: &Path, quote: &Path, more: &[&str]) -> Said {
    let vek = dir.join("vek.der");
    let der = read(&vek);
    let (from, _) = Certificate::parse(&der).unwrap().validity();
    let at = clock::text(UnixSeconds(from.0 + 30 * 86_400));
    let arguments = [
        dir.join("hcl-report.bin"),
        "--vek".into(),
        vek,
        "--quote".into(),
        quote.join("tpm-quote.msg"),
        "--quote-signature".into(),
        quote.join("tpm-quote.sig"),
        "--pcrs".into(),
        quote.join("tpm-pcrs.json"),
    ];
    let arguments: Vec<&Path> = arguments.iter().map(PathBuf::as_path).collect();
    run("azure", &arguments, &[&["--at", &at], more].concat())
}

#[test]
fn genuine_azure_machines_are_accepted_with_quote_and_registers() {
    let Some(set) = set() else { return };
    for (id, nonce) in QUOTED {
        let dir = set.join("reports").join(id);
        let more: &[&str] = if nonce.is_empty() { &[] } else { &["--nonce", nonce] };
        let said = azure(&dir, &dir, more);
        assert_eq!((said.word(), said.exit), ("accepted", 0), "{id}: {:?}", said.failures());
        for row in ["runtime-data", "claims", "quote", "pcrs"] {
            assert_eq!(said.outcome(row), "pass", "{id}: {row}");
        }
        assert_eq!(said.outcome("vtpm"), "not_checked", "{id}: no policy names the paravisor's key");
        let known = azure(&dir, &dir, &[more, &["--policy", "azure"]].concat());
        assert_eq!(
            (known.word(), known.outcome("vtpm"), known.outcome("vtpm-kind")),
            ("accepted", "pass", "pass"),
            "{id}"
        );
        assert_eq!(said.leaves_open("no-nonce"), nonce.is_empty(), "{id}");
        // The index says what a second implementation read: the same keys.
        let facts = read_json(dir.join("case.json"))["facts"].to_string();
        assert!(facts.contains(&format!("extraData={nonce}")), "{id}");
    }
    let dir = set.join("reports/milan-v3-azure-userdata");
    let claims = read(dir.join("runtime-data.json"));
    let user_data = hex::encode(RuntimeClaims::parse(&claims).unwrap().user_data().unwrap());
    let said = azure(&dir, &dir, &["--user-data", &user_data]);
    assert_eq!((said.word(), said.outcome("user-data")), ("accepted", "pass"));
    assert!(!said.leaves_open("no-nonce"));
    println!("8 Azure machines");
}

#[test]
fn the_quote_of_no_genuine_machine_passes_for_another_ones() {
    let Some(set) = set() else { return };
    let mut pairs = 0;
    for (machine, _) in QUOTED {
        for (other, _) in QUOTED.iter().filter(|(other, _)| *other != machine) {
            let (machine, other) = (set.join("reports").join(machine), set.join("reports").join(other));
            let same = read(machine.join("tpm-ak.pem")) == read(other.join("tpm-ak.pem"));
            let said = azure(&machine, &other, &[]);
            let expected = if same { ("accepted", 0) } else { ("rejected", 3) };
            assert_eq!((said.word(), said.exit), expected, "{} {}", machine.display(), other.display());
            pairs += 1;
        }
    }
    assert_eq!(pairs, 56);
}

#[test]
fn a_gateway_of_others_and_a_host_s_quote_are_what_they_are() {
    let Some(set) = set() else { return };
    // Report and claims apart, the signature a TPMT_SIGNATURE, no registers: what is not there is not checked.
    let dir = set.join("reports/milan-v3-azure-cmcp");
    let path = |name: &str| dir.join(name);
    let files = [
        path("report.bin"),
        "--vek".into(),
        path("vek.der"),
        "--runtime-data".into(),
        path("runtime-data.json"),
        "--quote".into(),
        path("tpm-quote.msg"),
        "--quote-signature".into(),
        path("tpm-quote.sig"),
    ];
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let nonce = "6e0762ef8342173ab0efcdb9d9cdde2054295bef72e1d0f1313aebcba9f02a32";
    let said = run("azure", &files, &["--at", "2026-08-20T00:00:00Z", "--nonce", nonce]);
    assert_eq!((said.word(), said.exit), ("accepted", 0), "{:?}", said.failures());
    assert_eq!((said.outcome("vtpm"), said.outcome("pcrs")), ("not_checked", "not_checked"));

    let dir = set.join("reports/milan-v4-gcp-vtpm");
    for ak in ["tpm-ak.pem", "ak-cert-0.der"] {
        let files = [
            "--ak".into(),
            dir.join(ak),
            "--quote".into(),
            dir.join("tpm-quote.msg"),
            "--signature".into(),
            dir.join("tpm-quote.sig"),
            "--pcrs".into(),
            dir.join("tpm-pcrs.json"),
        ];
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let nonce = "a4099be3cfdb31b19e300e3b68cb9c9908bcc33696b66ca551b9489a912c4458";
        let said = run("quote", &files, &["--nonce", nonce]);
        assert_eq!((said.json["finding"].as_str(), said.exit), (Some("holds"), 0), "{:?}", said.failures());
        assert_eq!((said.outcome("pcrs"), said.outcome("vtpm")), ("pass", "not_checked"));
    }
}

#[test]
fn the_oldest_blob_names_no_endorsement_key() {
    let Some(set) = set() else { return };
    let dir = set.join("reports/v2-azure-hcl-short-no-vcek");
    let claims = RuntimeClaims::parse(&read(dir.join("runtime-data.json"))).unwrap();
    assert_eq!((claims.complete(), claims.user_data()), (Err(ClaimsError::NoEndorsementKey), None));
    let said = run("azure", &[&dir.join("hcl-report.bin")], &["--at", "2024-01-01T00:00:00Z"]);
    assert_eq!((said.word(), said.exit, said.outcome("form")), ("rejected", 3, "pass"));
    assert_eq!((said.outcome("claims"), said.outcome("vtpm")), ("not_checked", "not_checked"));
}

#[test]
fn genuine_logs_are_explained_event_by_event() {
    let Some(set) = set() else { return };
    for (name, events, says) in [
        ("ubuntu-2404-amd-sevsnp", 116, "variable SecureBoot = off"),
        ("arch-linux-workstation", 24, "variable SecureBoot = empty"),
    ] {
        let (log, pcrs) = (set.join(format!("eventlog/{name}.bin")), set.join(format!("eventlog/{name}.pcrs.json")));
        let said = run("eventlog", &[&log, Path::new("--pcrs"), &pcrs], &[]);
        assert_eq!((said.json["finding"].as_str(), said.exit), (Some("holds"), 0), "{name}: {:?}", said.failures());
        assert_eq!(said.json["events"].as_array().unwrap().len(), events, "{name}");
        assert!(said.json["events"].to_string().contains(says), "{name}");
    }
}
