//! Makes `tests/vectors/hostile` anew: `cargo run -p software-psp --example hostile -- tests/vectors/hostile`.
//!
//! Certificates that a careless authority could have signed, evidence in every shape it travels in, and what real
//! machines showed that no vector of the first set has. The root keys live as long as this process.

use std::{error::Error, fs, path::PathBuf, process::ExitCode};

use p384::{ecdsa::SigningKey, pkcs8::EncodePublicKey};
use rsa::rand_core::{CryptoRngCore, OsRng};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use software_psp::{
    Authority, ChipId, Draft, Extension, Intermediate, Product, ReportRequest, Scheme, Tcb, Vek, VekKind, VekRequest,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::datetime};

const ROOT_FROM: OffsetDateTime = datetime!(2024-01-15 10:00 UTC);
const VCEK_FROM: OffsetDateTime = datetime!(2025-06-01 12:00 UTC);
const VLEK_FROM: OffsetDateTime = datetime!(2026-01-10 12:00 UTC);
/// Everything is valid here.
const NOW: OffsetDateTime = datetime!(2026-06-01 0:00 UTC);

/// `SubjectPublicKeyInfo` of P-256's base point: a key of the wrong curve, that everybody knows the private half of.
const P256_SPKI: &str = "3059301306072a8648ce3d020106082a8648ce3d03010703420004\
    6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
    4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

/// Runtime claims as Azure's paravisor writes them, with a key that nobody uses.
const CLAIMS: &str = r#"{"keys":[{"kid":"HCLAkPub","key_ops":["sign"],"kty":"RSA","e":"AQAB","n":"sMWuSYBCYKKcKaVPCQ"}],"vm-configuration":{"secure-boot":true,"tpm-enabled":true},"user-data":"00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"}"#;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: hostile DIR");
        return ExitCode::from(1);
    };
    match make(dir) {
        Ok(cases) => {
            eprintln!("{cases} cases");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make(dir: PathBuf) -> Outcome<usize> {
    let mut set = Set::begin(dir)?;
    let [milan, genoa, turin] =
        [Product::Milan, Product::Genoa, Product::Turin].map(|product| Machine::make(product, &mut OsRng));
    let (milan, genoa, turin) = (milan?, genoa?, turin?);
    for machine in [&milan, &genoa, &turin] {
        machine.save(&mut set)?;
    }
    signing(&mut set, &milan)?;
    roles(&mut set, &milan)?;
    extensions(&mut set, &milan, &turin)?;
    authorities(&mut set, &milan)?;
    bytes(&mut set, [&milan, &genoa, &turin])?;
    shapes(&mut set, &milan, &genoa)?;
    features(&mut set, &milan, &genoa, &turin)?;
    set.finish()
}

/// Wrong keys and wrong signature schemes.
fn signing(set: &mut Set, milan: &Machine) -> Outcome<()> {
    let p256 = hex::decode(P256_SPKI)?;
    set.forged(milan, "vcek-p256", "the VCEK's key is on P-256", |d| d.spki = p256)?;
    let rsa = milan.authority.ask_draft(ROOT_FROM)?.spki;
    set.forged(milan, "vcek-rsa", "the VCEK's key is RSA", |d| d.spki = rsa)?;
    for (name, scheme, why) in [
        ("salt-32", Scheme::Salt32, "RSASSA-PSS with a salt of 32 bytes"),
        ("sha-256", Scheme::Sha256, "RSASSA-PSS with SHA-256"),
        ("pkcs1", Scheme::Pkcs1, "RSASSA-PKCS1-v1_5"),
    ] {
        set.forged(milan, &format!("vcek-{name}"), &format!("the VCEK is signed {why}"), |d| d.scheme = scheme)?;
        set.forged_ask(milan, &format!("ask-{name}"), &format!("the ASK is signed {why}"), |d| d.scheme = scheme)?;
    }
    Ok(())
}

/// Right signatures by the wrong party.
fn roles(set: &mut Set, milan: &Machine) -> Outcome<()> {
    let report = milan.report(3, |_| {});
    let case = milan.case();
    let swapped = Case { intermediate: case.vek.clone(), ..case.clone() };
    set.case(
        "fail-milan-v3-vcek-as-ask",
        &report,
        &swapped.fails(3, "intermediate"),
        "the VCEK stands where the ASK belongs",
    )?;
    let swapped = Case { trust_root: case.intermediate.clone(), ..case.clone() };
    set.case("fail-milan-v3-ask-as-root", &report, &swapped.fails(3, "ark"), "the ASK is named as the root")?;
    let swapped = Case { vek: case.intermediate.clone(), ..case.clone() };
    set.case("fail-milan-v3-ask-as-vcek", &report, &swapped.fails(3, "vek"), "the ASK stands where the VCEK belongs")?;
    let swapped = Case { vek: case.trust_root.clone(), ..case.clone() };
    set.case(
        "fail-milan-v3-root-as-vcek",
        &report,
        &swapped.fails(3, "vek"),
        "the root stands where the VCEK belongs",
    )?;

    // One certificate of each kind, signed by each key that may not.
    for (name, kind, by, issuer, why) in [
        ("vcek-by-root", VekKind::Vcek, None, "ARK-Milan", "the root issued the VCEK itself"),
        ("vcek-by-root-for-ask", VekKind::Vcek, None, "SEV-Milan", "the root signed a VCEK in the name of the ASK"),
        ("vlek-by-ask", VekKind::Vlek, Some(Intermediate::Ask), "SEV-Milan", "the ASK issued a VLEK"),
        (
            "vlek-by-ask-for-asvk",
            VekKind::Vlek,
            Some(Intermediate::Ask),
            "SEV-VLEK-Milan",
            "the ASK signed a VLEK in the name of the ASVK",
        ),
        (
            "vcek-by-asvk-for-ask",
            VekKind::Vcek,
            Some(Intermediate::Asvk),
            "SEV-Milan",
            "the ASVK signed a VCEK in the name of the ASK",
        ),
    ] {
        let (key, mut draft) = milan.draft(kind)?;
        draft.issuer = issuer.to_owned();
        let der = milan.authority.sign(by, &draft, &mut OsRng)?;
        let vek = set.file(&format!("milan/{name}.der"), &der)?;
        let report = milan.signed(kind, key, der);
        let like = if kind == VekKind::Vlek && issuer != "SEV-Milan" { milan.vlek_case() } else { milan.case() };
        set.case(&format!("fail-milan-v3-{name}"), &report, &Case { vek, ..like }.fails(3, "vek"), why)?;
    }
    // Another chip of the same line, with a certificate just as good.
    let (_, mut draft) = milan.draft(VekKind::Vcek)?;
    let mut hwid = milan.request.chip_id.0;
    hwid.reverse();
    draft.amd_extension(&[4]).ok_or("HWID")?.value = hwid.to_vec();
    let der = milan.authority.sign(Some(Intermediate::Ask), &draft, &mut OsRng)?;
    let vek = set.file("milan/vcek-of-other-chip.der", &der)?;
    let case = Case { vek, ..milan.case() }.fails(3, "signature");
    set.case("fail-milan-v3-vcek-of-other-chip", &report, &case, "the VCEK of another chip of the same line")
}

/// Endorsement certificates outside AMD's profile.
fn extensions(set: &mut Set, milan: &Machine, turin: &Machine) -> Outcome<()> {
    let basic = |ca: &[u8]| Extension { id: vec![2, 5, 29, 19], critical: true, value: ca.to_vec() };
    let amd = |arcs: &[u32], value: &[u8]| Extension {
        id: [&[1, 3, 6, 1, 4, 1, 3704, 1], arcs].concat(),
        critical: false,
        value: value.to_vec(),
    };
    set.forged(milan, "vcek-is-ca", "the VCEK calls itself an authority", |d| {
        d.extensions.push(basic(&[0x30, 3, 1, 1, 0xFF]));
    })?;
    set.forged(milan, "vcek-unknown-extension", "the VCEK has an extension we do not know", |d| {
        d.extensions.push(amd(&[6], &[5, 0]));
    })?;
    set.forged(milan, "vcek-critical-extension", "an extension of the VCEK is critical", |d| {
        d.extensions.iter_mut().for_each(|e| e.critical = true);
    })?;
    set.forged(milan, "vcek-extension-twice", "the VCEK states its microcode level twice", |d| {
        d.extensions.push(amd(&[3, 8], &[2, 1, 1]));
    })?;
    for (name, arcs) in [("structure", &[1][..]), ("product", &[2]), ("hwid", &[4]), ("microcode", &[3, 8])] {
        let why = format!("the VCEK does not state its {name}");
        set.forged(milan, &format!("vcek-no-{name}"), &why, |d| d.without_amd_extension(arcs))?;
    }
    let values: [(&str, &[u32], &[u8], &str); 8] = [
        ("structure-1", &[1], &[2, 1, 1], "structure version 1 is Turin's"),
        ("product-genoa", &[2], b"\x16\x05Genoa", "the product's name is another than the issuer's"),
        ("level-256", &[3, 8], &[2, 2, 1, 0], "a level above 255"),
        ("level-long", &[3, 8], &[2, 2, 0, 1], "a level not in its shortest form"),
        ("level-negative", &[3, 8], &[2, 1, 0xDB], "a level below zero"),
        ("level-4", &[3, 4], &[2, 1, 1], "a reserved level is not zero"),
        ("hwid-63", &[4], &[7; 63], "a chip id of 63 bytes"),
        ("hwid-8", &[4], &[7; 8], "a chip id as short as Turin's"),
    ];
    for (name, arcs, value, why) in values {
        let mut found = false;
        set.forged(milan, &format!("vcek-{name}"), &format!("VCEK: {why}"), |d| {
            if let Some(extension) = d.amd_extension(arcs) {
                extension.value = value.to_vec();
                found = true;
            }
        })?;
        assert!(found, "{name}");
    }
    set.forged(milan, "vcek-fmc", "a VCEK of Milan with Turin's level", |d| {
        d.extensions.push(amd(&[3, 9], &[2, 1, 1]));
    })?;
    set.forged(milan, "vcek-csp-id", "a VCEK that names a provider", |d| {
        d.extensions.push(amd(&[5], b"\x16\x04CN=x"));
    })?;
    set.forged_vlek(milan, "vlek-no-csp-id", "a VLEK that names no provider", |d| d.without_amd_extension(&[5]))?;
    set.forged_vlek(milan, "vlek-hwid", "a VLEK that names a chip", |d| d.extensions.push(amd(&[4], &[7; 64])))?;
    set.forged(turin, "vcek-no-fmc", "a VCEK of Turin without its fmc level", |d| d.without_amd_extension(&[3, 9]))?;
    set.forged(turin, "vcek-structure-0", "structure version 0 is not Turin's", |d| {
        d.extensions.iter_mut().filter(|e| e.id.ends_with(&[3704, 1, 1])).for_each(|e| e.value = vec![2, 1, 0]);
    })?;
    set.forged(turin, "vcek-hwid-64", "a chip id of 64 bytes on Turin", |d| {
        d.extensions.iter_mut().filter(|e| e.id.ends_with(&[3704, 1, 4])).for_each(|e| e.value = vec![7; 64]);
    })?;
    Ok(())
}

/// Intermediates that the root signed and that may not be used.
fn authorities(set: &mut Set, milan: &Machine) -> Outcome<()> {
    const USAGE: &[u32] = &[2, 5, 29, 15];
    const CONSTRAINTS: &[u32] = &[2, 5, 29, 19];
    let with = |id: &'static [u32], change: fn(&mut Extension)| {
        move |draft: &mut Draft| draft.extensions.iter_mut().filter(|e| e.id == id).for_each(change)
    };
    let digital_signature: fn(&mut Extension) = |e| e.value = vec![3, 2, 7, 0x80];
    set.forged_ask(
        milan,
        "ask-may-not-sign",
        "the ASK's key usage is for other things",
        with(USAGE, digital_signature),
    )?;
    let relaxed: fn(&mut Extension) = |e| e.critical = false;
    set.forged_ask(milan, "ask-usage-not-critical", "the ASK's key usage is not critical", with(USAGE, relaxed))?;
    let why = "the ASK's basic constraints are not critical";
    set.forged_ask(milan, "ask-constraints-not-critical", why, with(CONSTRAINTS, relaxed))?;
    set.forged_ask(milan, "ask-no-usage", "the ASK has no key usage", |d| d.extensions.retain(|e| e.id != USAGE))?;
    set.forged_ask(milan, "ask-name-constraints", "the ASK has an extension outside the profile", |d| {
        d.extensions.push(Extension { id: vec![2, 5, 29, 30], critical: true, value: vec![0x30, 0] });
    })?;
    set.forged_ask(milan, "ask-expired", "the ASK's life is over, the VCEK's is not", |d| {
        d.validity.1 = NOW - time::Duration::SECOND;
    })?;
    set.forged_ask(milan, "ask-not-yet-valid", "the ASK's life begins tomorrow", |d| {
        d.validity.0 = NOW + time::Duration::DAY;
    })?;
    let p384 = milan.vek_key.verifying_key().to_public_key_der()?.as_bytes().to_vec();
    set.forged_ask(milan, "ask-p384", "the ASK's key is ECDSA", |d| d.spki = p384)?;
    set.forged_ask(milan, "ask-of-itself", "the ASK names itself as issuer", |d| d.issuer = d.subject.clone())
}

/// Bytes changed after signing, for every product.
fn bytes(set: &mut Set, machines: [&Machine; 3]) -> Outcome<()> {
    for (machine, version) in machines.into_iter().zip([3, 5, 5]) {
        let report = machine.report(version, |_| {});
        let prefix = format!("{}-v{version}", machine.name());
        for (name, offset, by, why) in [
            ("measurement", 0x090, "signature", "a signed byte differs"),
            ("policy", 0x00A, "signature", "a bit of the signed guest policy differs"),
            ("reserved-low", 0x18B, "signature", "a reserved byte inside the signed part differs"),
            ("reserved-high", 0x29F, "signature", "the last signed byte, reserved, differs"),
            ("r", 0x2A0, "signature", "a byte of R differs"),
            ("s", 0x2E8, "signature", "a byte of S differs"),
            ("r-padding", 0x2E7, "form", "a byte above R, not covered by the signature"),
            ("s-padding", 0x318, "form", "a byte above S, not covered by the signature"),
            ("after", 0x49F, "form", "the last byte, not covered by the signature"),
        ] {
            let exit = if by == "form" { 2 } else { 3 };
            let mut flipped = report;
            *flipped.get_mut(offset).ok_or("offset")? ^= 1;
            set.case(&format!("fail-{prefix}-flipped-{name}"), &flipped, &machine.case().fails(exit, by), why)?;
        }
        for length in [0, 1, 1183, 1185] {
            let mut cut = report.to_vec();
            cut.resize(length, 0);
            let why = "not 1184 bytes";
            set.case(&format!("fail-{prefix}-length-{length}"), &cut, &machine.case().fails(2, "form"), why)?;
        }
        let mut other = report;
        negate_s(&mut other)?;
        let why = "n - S in the place of S: the other signature that verifies, of the same evidence";
        set.case(&format!("{prefix}-other-s"), &other, &machine.case(), why)?;
    }
    Ok(())
}

/// The shapes in which evidence travels.
fn shapes(set: &mut Set, milan: &Machine, genoa: &Machine) -> Outcome<()> {
    // Linux' guest driver.
    let report = milan.report(3, |_| {});
    let mut response = vec![0; 4000];
    response.splice(4..8, 1184u32.to_le_bytes());
    response.splice(32..32 + 1184, report);
    set.case("milan-v3-driver-response", &response, &milan.case(), "the guest driver's response")?;

    // Azure's blob.
    let data = |r: &mut ReportRequest| r.report_data = hash_of(CLAIMS.as_bytes());
    let report = milan.report(3, data);
    let blob = hcl(1, &report, CLAIMS.as_bytes(), &[]);
    set.case("milan-v3-hcl", &blob, &milan.case(), "Azure's blob, the report speaks for its claims")?;
    let newer = hcl(2, &report, CLAIMS.as_bytes(), &[1, 0, 0, 0]);
    set.case("milan-v3-hcl-2", &newer, &milan.case(), "Azure's newer blob, with a word before the claims")?;
    let other = CLAIMS.replace("\"tpm-enabled\":true", "\"tpm-enabled\":null");
    let foreign = hcl(1, &report, other.as_bytes(), &[]);
    let why = "the report does not speak for these claims";
    set.case("fail-milan-v3-hcl-other-claims", &foreign, &milan.case().fails(6, "runtime-data"), why)?;
    let patched = |at: usize, byte: u8| {
        let mut blob = blob.clone();
        blob.splice(at..=at, [byte]);
        blob
    };
    for (name, at, byte, why) in [
        ("version-3", 4, 3, "version 3 of the blob is unknown"),
        ("tdx", 0x4C8, 4, "the blob says that it holds another processor's report"),
        ("hash-9", 0x4CC, 9, "hash type 9 is unknown"),
        ("length", 0x4D2, 1, "the claims are said to be longer than the blob"),
    ] {
        set.case(&format!("fail-milan-v3-hcl-{name}"), &patched(at, byte), &milan.case().fails(2, "form"), why)?;
    }

    // The host's certificate table, as DER and as PEM.
    let report = genoa.report(3, |_| {});
    let ask = genoa.authority.intermediate(Intermediate::Ask).ok_or("ASK")?;
    let certificates = [(ARK, genoa.authority.ark()), (ASK, ask), (VCEK, &genoa.vek_der)];
    let owned = certificates.map(|(guid, der)| (guid, der.to_vec()));
    let pem = certificates.map(|(guid, der)| (guid, pem(der).into_bytes()));
    let bare = Case { intermediate: String::new(), ..genoa.case() };
    let vek = set.file("genoa/auxblob-der.bin", &table(&owned)?)?;
    set.case("genoa-v3-auxblob", &report, &Case { vek, ..bare.clone() }, "the host's certificate table, DER")?;
    let vek = set.file("genoa/auxblob-pem.bin", &table(&pem)?)?;
    set.case("genoa-v3-auxblob-pem", &report, &Case { vek, ..bare.clone() }, "the host's certificate table, PEM")?;
    let twice = [owned[1].clone(), owned[2].clone(), owned[2].clone()];
    let vek = set.file("genoa/auxblob-twice.bin", &table(&twice)?)?;
    let case = Case { vek, ..bare.clone() }.fails(2, "vek");
    set.case("fail-genoa-v3-auxblob-twice", &report, &case, "the host's table holds two VCEKs")?;
    let mut outside = table(&owned)?;
    outside.truncate(outside.len() - 1);
    let vek = set.file("genoa/auxblob-cut.bin", &outside)?;
    let case = Case { vek, ..bare.clone() }.fails(2, "vek");
    set.case("fail-genoa-v3-auxblob-cut", &report, &case, "the host's table points behind its end")?;
    let chain = [&genoa.vek_der, ask, genoa.authority.ark()].map(pem_of).concat();
    let vek = set.file("genoa/chain.pem", chain.as_bytes())?;
    set.case("genoa-v3-pem-chain", &report, &Case { vek, ..bare }, "VCEK, ASK and ARK in one PEM file")
}

/// What genuine reports showed.
fn features(set: &mut Set, milan: &Machine, genoa: &Machine, turin: &Machine) -> Outcome<()> {
    let author = |r: &mut ReportRequest| {
        r.id_key_digest = [0x1D; 48];
        r.author_key_digest = Some([0xAD; 48]);
    };
    set.case("milan-v2-author-key", &milan.report(2, author), &milan.case(), "ID block with an author key")?;
    let mut body = genoa.body(5, |r| r.mitigations = 1);
    body.put(0x189, &[0xA0]);
    let report = genoa.vek().sign(&body);
    let why = "CPUID model 0xA0 (Bergamo, Siena) under Genoa's root, one mitigation";
    set.case("genoa-v5-model-a0", &report, &genoa.case(), why)?;
    let mut body = genoa.body(5, |_| {});
    body.put(0x189, &[0x50]);
    let report = genoa.vek().sign(&body);
    let why = "CPUID of a generation whose layout is unknown";
    set.case("fail-genoa-v5-model-unknown", &report, &genoa.case().fails(2, "fields"), why)?;
    let report = turin.report(5, |r| r.mitigations = 0x1F);
    set.case("turin-v5-mitigations", &report, &turin.case(), "mitigation vectors on Turin")?;
    let report = milan.report(4, |r| r.report_data = [0; 64]);
    set.case("milan-v4-no-nonce", &report, &milan.case(), "REPORT_DATA is zero: nobody's question was answered")?;
    let report = milan.report(3, |r| r.policy = 0x3_001F);
    set.case("milan-v3-abi-31", &report, &milan.case(), "the guest policy asks for ABI 0.31, as Azure's do")?;

    let mut body = milan.body(3, |_| {});
    let current = Tcb { snp: 25, ..milan.request.tcb };
    body.put(0x038, &current.bytes(Product::Milan));
    let report = milan.vek().sign(&body);
    let why = "the firmware that runs is newer than the one committed to: the host may still go back";
    set.case("milan-v3-provisional", &report, &milan.case(), why)?;

    // The key distribution service hands the same key out again with other dates: the same signer.
    let mut draft = milan.authority.vek_draft(&milan.request, milan.spki()?.as_bytes());
    draft.validity = (NOW - time::Duration::DAY, datetime!(2033-05-31 0:00 UTC));
    let der = milan.authority.sign(Some(Intermediate::Ask), &draft, &mut OsRng)?;
    let vek = set.file("milan/vcek-reissued.der", &der)?;
    let case = Case { vek, ..milan.case() };
    set.case("milan-v3-vcek-reissued", &milan.report(3, |_| {}), &case, "the same key in a newer certificate")?;

    // No certificate at all: nobody vouches, which is not the same as nobody objecting.
    let bare = Case { vek: String::new(), intermediate: String::new(), ..milan.case() }.fails(3, "chain");
    set.case("fail-milan-v2-no-vcek", &milan.report(2, |_| {}), &bare, "no endorsement certificate came along")
}

fn hash_of(claims: &[u8]) -> [u8; 64] {
    let mut data = [0; 64];
    data.split_at_mut(32).0.copy_from_slice(&Sha256::digest(claims));
    data
}

/// Azure's blob: header, report, request data, claims.
fn hcl(version: u32, report: &[u8], claims: &[u8], capabilities: &[u8]) -> Vec<u8> {
    let length = u32::try_from(claims.len()).unwrap_or(u32::MAX);
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut blob = b"HCLA".to_vec();
    blob.extend(words(&[version, 1184, 2, 0, 0, 0, 0]));
    blob.extend(report);
    blob.extend(words(&[length + 20, version, 2, 1, length]));
    blob.extend(capabilities);
    blob.extend(claims);
    blob.resize(2600.max(blob.len()), 0);
    blob
}

const ARK: &str = "c0b406a4a80349529743 3fb6014cd0ae";
const ASK: &str = "4ab7b379bbac4fe4a02f 05aef327c782";
const VCEK: &str = "63da758de6644564adc5 f4b93be8accd";

fn table<T: AsRef<[u8]>>(entries: &[(&str, T)]) -> Outcome<Vec<u8>> {
    let (mut head, mut body) = (Vec::<u8>::new(), Vec::<u8>::new());
    let start = 24 * (entries.len() + 1);
    for (guid, content) in entries {
        let content = content.as_ref();
        head.extend(hex::decode(guid.replace(' ', ""))?);
        head.extend(u32::try_from(start + body.len())?.to_le_bytes());
        head.extend(u32::try_from(content.len())?.to_le_bytes());
        body.extend(content);
    }
    head.extend([0; 24]);
    head.extend(body);
    Ok(head)
}

fn pem_of(der: impl AsRef<[u8]>) -> String {
    pem(der.as_ref())
}

fn pem(der: &[u8]) -> String {
    use p384::pkcs8::der::pem::{LineEnding, encode_string};
    encode_string("CERTIFICATE", LineEnding::LF, der).unwrap_or_default()
}

/// S := n - S.
fn negate_s(report: &mut [u8; 1184]) -> Outcome<()> {
    let s: [u8; 48] =
        report.get(0x2E8..0x318).ok_or("S")?.iter().rev().copied().collect::<Vec<_>>().try_into().map_err(|_| "S")?;
    let scalar = Option::<p384::Scalar>::from(<p384::Scalar as p384::elliptic_curve::PrimeField>::from_repr(s.into()))
        .ok_or("S")?;
    let negated = (-scalar).to_bytes();
    for (slot, byte) in report.iter_mut().skip(0x2E8).zip(negated.iter().rev()) {
        *slot = *byte;
    }
    Ok(())
}

/// One product's root with a chip and a provider.
struct Machine {
    authority: Authority,
    request: VekRequest,
    vek_key: SigningKey,
    vek_der: Vec<u8>,
    measurement: [u8; 48],
}

impl Machine {
    fn make(product: Product, rng: &mut impl CryptoRngCore) -> Outcome<Self> {
        let authority = Authority::generate(product, ROOT_FROM, rng)?.with_asvk(ROOT_FROM, rng)?;
        let mut chip = [0; 64];
        rng.fill_bytes(&mut chip);
        let mut measurement = [0; 48];
        rng.fill_bytes(&mut measurement);
        let request = VekRequest {
            kind: VekKind::Vcek,
            tcb: Tcb::recent(product),
            chip_id: ChipId::new(product, chip),
            csp_id: "CN=cloud.software-psp.invalid".into(),
            not_before: VCEK_FROM,
        };
        let vek_key = SigningKey::random(rng);
        let vek_der = authority.endorse(Intermediate::Ask, &request, vek_key.clone(), rng)?.der().to_vec();
        Ok(Self { authority, request, vek_key, vek_der, measurement })
    }

    fn name(&self) -> String {
        self.authority.product().name().to_lowercase()
    }

    fn version(&self) -> u32 {
        if self.authority.product() == Product::Milan { 3 } else { 5 }
    }

    fn spki(&self) -> Outcome<p384::pkcs8::Document> {
        Ok(self.vek_key.verifying_key().to_public_key_der()?)
    }

    fn vek(&self) -> Vek {
        Vek::new(VekKind::Vcek, self.vek_key.clone(), self.vek_der.clone())
    }

    fn save(&self, set: &mut Set) -> Outcome<()> {
        let name = self.name();
        set.file(&format!("{name}/ark.der"), self.authority.ark())?;
        set.file(&format!("{name}/ask.der"), self.authority.intermediate(Intermediate::Ask).ok_or("ASK")?)?;
        set.file(&format!("{name}/asvk.der"), self.authority.intermediate(Intermediate::Asvk).ok_or("ASVK")?)?;
        set.file(&format!("{name}/vcek.der"), &self.vek_der)?;
        Ok(())
    }

    fn body(&self, version: u32, change: impl FnOnce(&mut ReportRequest)) -> software_psp::Body {
        let mut data = [0; 64];
        let text = format!("hostile vector, version {version}");
        data.split_at_mut(text.len()).0.copy_from_slice(text.as_bytes());
        let mut request = ReportRequest::new(self.authority.product(), version, self.request.chip_id, data);
        request.measurement = self.measurement;
        request.report_id = [0x1D; 32];
        change(&mut request);
        request.body()
    }

    fn report(&self, version: u32, change: impl FnOnce(&mut ReportRequest)) -> [u8; 1184] {
        self.vek().sign(&self.body(version, change))
    }

    /// A report of this machine by another key.
    fn signed(&self, kind: VekKind, key: SigningKey, der: Vec<u8>) -> [u8; 1184] {
        let body = self.body(self.version(), |request| {
            request.signer = kind;
            if kind == VekKind::Vlek {
                request.chip_id = ChipId::MASKED;
            }
        });
        Vek::new(kind, key, der).sign(&body)
    }

    /// An endorsement certificate of this machine for a new key.
    fn draft(&self, kind: VekKind) -> Outcome<(SigningKey, Draft)> {
        let key = SigningKey::random(&mut OsRng);
        let not_before = if kind == VekKind::Vlek { VLEK_FROM } else { VCEK_FROM };
        let request = VekRequest { kind, not_before, ..self.request.clone() };
        let draft = self.authority.vek_draft(&request, key.verifying_key().to_public_key_der()?.as_bytes());
        Ok((key, draft))
    }

    fn case(&self) -> Case {
        let name = self.name();
        Case {
            vek: format!("{name}/vcek.der"),
            intermediate: format!("{name}/ask.der"),
            trust_root: format!("{name}/ark.der"),
            exit: 0,
            by: "",
        }
    }

    fn vlek_case(&self) -> Case {
        Case { intermediate: format!("{}/asvk.der", self.name()), ..self.case() }
    }
}

#[derive(Clone)]
struct Case {
    vek: String,
    intermediate: String,
    trust_root: String,
    exit: u8,
    by: &'static str,
}

impl Case {
    /// Refused with this exit code, and by the check of this name first.
    fn fails(self, exit: u8, by: &'static str) -> Self {
        Self { exit, by, ..self }
    }
}

/// The directory being filled.
struct Set {
    dir: PathBuf,
    cases: Vec<Value>,
}

impl Set {
    /// Empties an earlier set; refuses to touch a directory that is none.
    fn begin(dir: PathBuf) -> Outcome<Self> {
        if dir.is_dir() && fs::read_dir(&dir)?.next().is_some() {
            if !dir.join("manifest.json").is_file() {
                return Err(format!("{}: not empty and not a vector set, name another directory", dir.display()).into());
            }
            fs::remove_file(dir.join("manifest.json")).ok();
            for entry in ["milan", "genoa", "turin", "reports"] {
                fs::remove_dir_all(dir.join(entry)).ok();
            }
        }
        fs::create_dir_all(&dir)?;
        Ok(Self { dir, cases: vec![] })
    }

    fn file(&self, path: &str, bytes: &[u8]) -> Outcome<String> {
        let full = self.dir.join(path);
        if full.exists() {
            return Err(format!("{path} is written twice").into());
        }
        fs::create_dir_all(full.parent().ok_or("no parent")?)?;
        fs::write(full, bytes)?;
        Ok(path.to_owned())
    }

    /// A good report under a VCEK with one thing wrong, signed by the ASK.
    fn forged(&mut self, machine: &Machine, name: &str, why: &str, change: impl FnOnce(&mut Draft)) -> Outcome<()> {
        self.forged_vek(machine, VekKind::Vcek, name, why, change)
    }

    /// The same with a VLEK, signed by the ASVK.
    fn forged_vlek(
        &mut self,
        machine: &Machine,
        name: &str,
        why: &str,
        change: impl FnOnce(&mut Draft),
    ) -> Outcome<()> {
        self.forged_vek(machine, VekKind::Vlek, name, why, change)
    }

    fn forged_vek(
        &mut self,
        machine: &Machine,
        kind: VekKind,
        name: &str,
        why: &str,
        change: impl FnOnce(&mut Draft),
    ) -> Outcome<()> {
        let (key, mut draft) = machine.draft(kind)?;
        change(&mut draft);
        let (by, like) = match kind {
            VekKind::Vcek => (Intermediate::Ask, machine.case()),
            VekKind::Vlek => (Intermediate::Asvk, machine.vlek_case()),
        };
        let der = machine.authority.sign(Some(by), &draft, &mut OsRng)?;
        let vek = self.file(&format!("{}/{name}.der", machine.name()), &der)?;
        let report = machine.signed(kind, key, der);
        let id = format!("fail-{}-v{}-{name}", machine.name(), machine.version());
        self.case(&id, &report, &Case { vek, ..like }.fails(3, "vek"), why)
    }

    /// A good report and VCEK under an ASK with one thing wrong, signed by the root.
    fn forged_ask(&mut self, machine: &Machine, name: &str, why: &str, change: impl FnOnce(&mut Draft)) -> Outcome<()> {
        let mut draft = machine.authority.ask_draft(ROOT_FROM)?;
        change(&mut draft);
        let der = machine.authority.sign(None, &draft, &mut OsRng)?;
        let intermediate = self.file(&format!("{}/{name}.der", machine.name()), &der)?;
        let report = machine.report(machine.version(), |_| {});
        let id = format!("fail-{}-v{}-{name}", machine.name(), machine.version());
        self.case(&id, &report, &Case { intermediate, ..machine.case() }.fails(3, "intermediate"), why)
    }

    fn case(&mut self, id: &str, report: &[u8], case: &Case, why: &str) -> Outcome<()> {
        let report = self.file(&format!("reports/{id}.bin"), report)?;
        let mut entry = json!({
            "id": id,
            "report": report,
            "trust_root": case.trust_root,
            "at": NOW.format(&Rfc3339)?,
            "expect": if case.exit == 0 { "accepted (test root)" } else { "rejected" },
            "exit": case.exit,
            "why": why,
        });
        if let Some(members) = entry.as_object_mut() {
            let by = case.by.to_owned();
            for (name, text) in [("vek", &case.vek), ("intermediate", &case.intermediate), ("by", &by)] {
                if !text.is_empty() {
                    members.insert(name.into(), json!(text));
                }
            }
        }
        self.cases.push(entry);
        Ok(())
    }

    fn finish(self) -> Outcome<usize> {
        let mut text = serde_json::to_string_pretty(&Value::Array(self.cases.clone()))?;
        text.push('\n');
        fs::write(self.dir.join("manifest.json"), text)?;
        Ok(self.cases.len())
    }
}
