//! scripts/sbom: every package that Cargo compiles for one of the four programs is in it, with its digest and licence,
//! and none else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use serde_json::Value;

const PROGRAMS: [&str; 4] = ["enclave", "bridge", "attestation-verifier", "measured-boot"];

fn said(program: &str, arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(root.join(program)).args(arguments).current_dir(root).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `name version` of what Cargo compiles for this program, as it prints it.
fn compiled(program: &str) -> BTreeSet<String> {
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "tree",
        "--locked",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--no-dedupe",
        "--package",
        program,
    ]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "));
    lines.map(|line| line.replacen(" v", " ", 1)).collect()
}

/// The lock's digest of each `name version`; `None` for our own.
fn locked() -> BTreeMap<String, Option<String>> {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock")).unwrap();
    let lock: toml::Table = lock.parse().unwrap();
    let text = |package: &toml::Value, name: &str| package.get(name).and_then(toml::Value::as_str).map(str::to_owned);
    let packages = lock["package"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let (name, version) = (text(package, "name").unwrap(), text(package, "version").unwrap());
            (format!("{name} {version}"), text(package, "checksum"))
        })
        .collect()
}

#[test]
fn the_bill_of_materials_names_what_is_compiled_and_nothing_else() {
    let text = said("scripts/sbom", &[]);
    assert_eq!(text, said("scripts/sbom", &[]), "it says the same each time");
    let bill: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((bill["bomFormat"].as_str(), bill["specVersion"].as_str()), (Some("CycloneDX"), Some("1.6")));
    assert!(bill.get("serialNumber").is_none(), "a number of its own would make every bill another");
    let components = bill["components"].as_array().unwrap();
    let name = |component: &Value| {
        format!("{} {}", component["name"].as_str().unwrap(), component["version"].as_str().unwrap())
    };
    for program in PROGRAMS {
        let of_it = |component: &&Value| {
            let mut programs = component["properties"].as_array().unwrap().iter();
            programs.any(|property| property["name"] == "sealgate:program" && property["value"] == program)
        };
        let listed: BTreeSet<String> = components.iter().filter(of_it).map(name).collect();
        assert_eq!(listed, compiled(program), "{program}");
    }
    let locked = locked();
    for component in components {
        let (name, digest) = (name(component), component["hashes"][0]["content"].as_str());
        assert_eq!(digest.map(str::to_owned), locked[&name], "{name}");
        assert_eq!(component.get("purl").is_some(), digest.is_some(), "{name}: ours are in no registry");
        assert!(component["licenses"][0]["expression"].is_string(), "{name} has no licence");
        let kind = if PROGRAMS.contains(&component["name"].as_str().unwrap()) { "application" } else { "library" };
        assert_eq!(component["type"], kind, "{name}");
    }
    let references: BTreeSet<&str> =
        components.iter().map(|component| component["bom-ref"].as_str().unwrap()).collect();
    assert_eq!(references.len(), components.len(), "each has a name of its own");
    let mut described = BTreeSet::new();
    let mut reached = BTreeSet::new();
    for dependency in bill["dependencies"].as_array().unwrap() {
        described.insert(dependency["ref"].as_str().unwrap());
        reached.extend(dependency["dependsOn"].as_array().unwrap().iter().map(|on| on.as_str().unwrap()));
    }
    assert_eq!(reached, references, "everything is there because something needs it");
    described.remove(bill["metadata"]["component"]["bom-ref"].as_str().unwrap());
    assert_eq!(described, references);
}
