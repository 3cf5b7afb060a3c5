//! AMD's certificate profile, rule by rule: certificates of the software processor, each changed in one place and signed
//! again by the right key, so that nothing but the rule can refuse them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

#[path = "common/der.rs"]
mod der;
#[path = "common/silicon.rs"]
mod silicon;

use attestation_verifier::{
    AwsLc, Certificate, CertificateError, Chain, ChainError, Product, ReportError, Ring, RustCrypto, SignedReport,
    TrustAnchor, Unverified, Vek, Verified, clock,
};
use der::Node;
use p384::ecdsa::SigningKey;
use rand_core::OsRng;
use rsa::{RsaPrivateKey, pkcs8::EncodePublicKey};
use silicon::rsa_key;
use software_psp::{Authority, ChipId, Intermediate, ReportRequest, Tcb, VekKind, VekRequest};
use time::macros::datetime;

// Members of a certificate's signed part.
const VERSION: usize = 0;
const SERIAL: usize = 1;
const ALGORITHM: usize = 2;
const ISSUER: usize = 3;
const VALIDITY: usize = 4;
const SUBJECT: usize = 5;
const KEY: usize = 6;
const EXTENSIONS: usize = 7;

/// One root with both intermediates, and one chip.
struct World {
    authority: Authority,
    request: VekRequest,
    vcek: software_psp::Vek,
    vlek: software_psp::Vek,
}

impl World {
    fn new() -> Self {
        let product = software_psp::Product::Milan;
        let born = datetime!(2026-01-01 0:00 UTC);
        let authority = Authority::from_keys(product, rsa_key("ark"), rsa_key("ask"), born, &mut OsRng).unwrap();
        let authority = authority.with_asvk_key(rsa_key("asvk"), born, &mut OsRng).unwrap();
        let request = VekRequest {
            kind: VekKind::Vcek,
            tcb: Tcb::recent(product),
            chip_id: ChipId::new(product, [7; 64]),
            csp_id: "CN=cc-test.example".into(),
            not_before: born,
        };
        let key = || SigningKey::random(&mut OsRng);
        let vcek = authority.endorse(Intermediate::Ask, &request, key(), &mut OsRng).unwrap();
        let provider = VekRequest { kind: VekKind::Vlek, ..request.clone() };
        let vlek = authority.endorse(Intermediate::Asvk, &provider, key(), &mut OsRng).unwrap();
        Self { authority, request, vcek, vlek }
    }

    fn ask(&self) -> &[u8] {
        self.authority.intermediate(Intermediate::Ask).unwrap()
    }

    fn asvk(&self) -> &[u8] {
        self.authority.intermediate(Intermediate::Asvk).unwrap()
    }

    /// The certificate with its signed part changed, and signed again.
    fn forge(&self, by: Option<Intermediate>, certificate: &[u8], change: impl FnOnce(&mut Node)) -> Vec<u8> {
        let mut whole = Node::read(certificate);
        let algorithm = whole.at(&[0, ALGORITHM]).write();
        change(whole.at(&[0]));
        self.authority.forge(by, &whole.at(&[0]).write(), &algorithm, 48, &mut OsRng).unwrap()
    }
}

/// All back ends say the same.
fn judge(root: &[u8], intermediate: &[u8], vek: &[u8]) -> Result<Vek, ChainError> {
    let chain = || {
        let at = |link, error| ChainError::Certificate { link, error };
        let anchor = TrustAnchor::named(root).map_err(|error| at(attestation_verifier::Link::Root, error))?;
        let vek = Certificate::parse(vek).map_err(|error| at(attestation_verifier::Link::Vek, error))?;
        let intermediate =
            Certificate::parse(intermediate).map_err(|error| at(attestation_verifier::Link::Intermediate, error))?;
        Chain::assemble(vek, Some(intermediate), &anchor).map(Unverified)
    };
    let at = clock::parse("2026-06-01T00:00:00Z").unwrap();
    let vek = |chain: Verified<Chain<'_>>| chain.vek().clone();
    let ours = chain().and_then(|chain| chain.verify(at, &Ring)).map(vek);
    let by_rust = chain().and_then(|chain| chain.verify(at, &RustCrypto)).map(vek);
    let by_aws_lc = chain().and_then(|chain| chain.verify(at, &AwsLc)).map(vek);
    assert_eq!(ours.as_ref().err(), by_rust.as_ref().err());
    assert_eq!(ours.as_ref().err(), by_aws_lc.as_ref().err());
    ours
}

/// Why the certificate is refused.
fn refused(found: Result<Vek, ChainError>, what: &str) -> CertificateError {
    match found {
        Err(ChainError::Certificate { error, .. }) => error,
        other => panic!("{what}: {other:?}"),
    }
}

fn extension<'n>(body: &'n mut Node, oid: &[u8]) -> &'n mut Node {
    let list = body.at(&[EXTENSIONS, 0]);
    list.members.iter_mut().find(|one| one.members[0].content == oid).expect("an extension of that name")
}

/// AMD's arc and these.
fn amd(arcs: &[u8]) -> Vec<u8> {
    [&[0x2B, 6, 1, 4, 1, 0x9C, 0x78, 1], arcs].concat()
}

fn new_extension(oid: &[u8], critical: bool, value: &[u8]) -> Node {
    let mut members = vec![Node::leaf(6, oid)];
    if critical {
        members.push(Node::leaf(1, &[0xFF]));
    }
    members.push(Node::leaf(4, value));
    Node::of(0x30, members)
}

type Change<'a> = (&'a str, Box<dyn Fn(&mut Node) + 'a>, &'a str);

#[test]
fn each_rule_of_the_profile_refuses_what_breaks_it() {
    let world = World::new();
    let (ark, ask, vcek) = (world.authority.ark(), world.ask(), world.vcek.der());
    let honest = judge(ark, ask, vcek).unwrap();
    assert_eq!((honest.hwid(), honest.csp_id()), (Some(&[7; 64][..]), None));
    let provided = judge(ark, world.asvk(), world.vlek.der()).unwrap();
    assert_eq!((provided.hwid(), provided.csp_id()), (None, Some("CN=cc-test.example")));
    // Writing a certificate again changes nothing by itself.
    assert!(judge(ark, ask, &world.forge(Some(Intermediate::Ask), vcek, |_| {})).is_ok());
    endorsement_rules(&world);
    authority_rules(&world);
    algorithm_rules(&world);
    roles(&world);
    same_signer(&world, &honest);
    models(&world);
}

fn endorsement_rules(world: &World) {
    let (ark, ask, vcek) = (world.authority.ark(), world.ask(), world.vcek.der());
    let rsa_key = Node::read(ask).at(&[0, KEY]).clone();
    let mut changes: Vec<Change<'_>> = vec![
        ("version 1", Box::new(|body| drop(body.members.remove(VERSION))), "Version"),
        ("version 2", Box::new(|body| body.at(&[VERSION, 0]).content = vec![1]), "Version"),
        ("version 4", Box::new(|body| body.at(&[VERSION, 0]).content = vec![3]), "NotDer"),
        ("serial 1", Box::new(|body| body.at(&[SERIAL]).content = vec![1]), "Serial"),
        ("serial negative", Box::new(|body| body.at(&[SERIAL]).content = vec![0xFF]), "NotDer"),
        ("serial 0 in two bytes", Box::new(|body| body.at(&[SERIAL]).content = vec![0, 0]), "NotDer"),
        ("organisation", Box::new(|body| body.at(&[SUBJECT, 4, 0, 1]).content = b"Somebody".into()), "Name"),
        ("city", Box::new(|body| body.at(&[SUBJECT, 2, 0, 1]).content = b"Austin".into()), "Name"),
        (
            "one name more",
            Box::new(|body| {
                let unit = body.at(&[SUBJECT, 0]).clone();
                body.at(&[SUBJECT]).members.insert(0, unit);
            }),
            "Name",
        ),
        ("one name less", Box::new(|body| drop(body.at(&[SUBJECT]).members.remove(0))), "Name"),
        ("names in another order", Box::new(|body| body.at(&[SUBJECT]).members.swap(0, 1)), "Name"),
        (
            "a name of two values",
            Box::new(|body| {
                let unit = body.at(&[SUBJECT, 0, 0]).clone();
                body.at(&[SUBJECT, 0]).members.push(unit);
            }),
            "Name",
        ),
        ("country as UTF-8", Box::new(|body| body.at(&[SUBJECT, 1, 0, 1]).tag = 0x0C), "Name"),
        ("common name printable", Box::new(|body| body.at(&[SUBJECT, 5, 0, 1]).tag = 0x13), "Name"),
        (
            "curve P-256",
            Box::new(|body| body.at(&[KEY, 0, 1]).content = vec![0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7]),
            "Key",
        ),
        ("curve without a name", Box::new(|body| drop(body.at(&[KEY, 0]).members.remove(1))), "Key"),
        (
            "key compressed",
            Box::new(|body| {
                let key = body.at(&[KEY, 1]);
                key.content.truncate(50);
                key.content[1] = 2;
            }),
            "Key",
        ),
        ("key with a spare bit", Box::new(|body| body.at(&[KEY, 1]).content[0] = 1), "NotDer"),
        ("an RSA key", Box::new(|body| *body.at(&[KEY]) = rsa_key.clone()), "Key"),
        ("unique identifier", Box::new(|body| body.members.insert(EXTENSIONS, Node::leaf(0x82, &[0, 1]))), "Version"),
        ("a field after the extensions", Box::new(|body| body.members.push(Node::of(0xA4, vec![]))), "NotDer"),
        ("extensions before the key", Box::new(|body| body.members.swap(KEY, EXTENSIONS)), "NotDer"),
        ("no extensions", Box::new(|body| drop(body.members.pop())), "Missing"),
        (
            "generalised time before 2050",
            Box::new(|body| *body.at(&[VALIDITY, 0]) = Node::leaf(0x18, b"20260101000000Z")),
            "NotDer",
        ),
        (
            "a time without seconds",
            Box::new(|body| *body.at(&[VALIDITY, 0]) = Node::leaf(0x17, b"2601010000Z")),
            "NotDer",
        ),
        (
            "a third time",
            Box::new(|body| {
                let end = body.at(&[VALIDITY, 1]).clone();
                body.at(&[VALIDITY]).members.push(end);
            }),
            "NotDer",
        ),
        ("from tomorrow", Box::new(|body| body.at(&[VALIDITY, 0]).content = b"260602000000Z".into()), "Dates"),
        ("until yesterday", Box::new(|body| body.at(&[VALIDITY, 1]).content = b"260531235959Z".into()), "Dates"),
        (
            "unknown extension",
            Box::new(|body| body.at(&[EXTENSIONS, 0]).members.push(new_extension(&amd(&[6]), false, &[5, 0]))),
            "Extension",
        ),
        (
            "unknown critical extension",
            Box::new(|body| {
                body.at(&[EXTENSIONS, 0]).members.push(new_extension(&[0x55, 0x1D, 0x0F], true, &[3, 2, 7, 0x80]))
            }),
            "Extension",
        ),
        (
            "critical level",
            Box::new(|body| extension(body, &amd(&[3, 1])).members.insert(1, Node::leaf(1, &[0xFF]))),
            "Extension",
        ),
        (
            "level not critical, in words",
            Box::new(|body| extension(body, &amd(&[3, 1])).members.insert(1, Node::leaf(1, &[0]))),
            "NotDer",
        ),
        (
            "structure of Turin",
            Box::new(|body| extension(body, &amd(&[1])).members[1].content = vec![2, 1, 1]),
            "Extension",
        ),
        (
            "product of Genoa",
            Box::new(|body| extension(body, &amd(&[2])).members[1].content = b"\x16\x05Genoa".into()),
            "Extension",
        ),
        (
            "product with a strange stepping",
            Box::new(|body| extension(body, &amd(&[2])).members[1].content = b"\x16\x08Milan-b0".into()),
            "Extension",
        ),
        ("product as UTF-8", Box::new(|body| extension(body, &amd(&[2])).members[1].content[0] = 0x0C), "Extension"),
        (
            "level in two bytes",
            Box::new(|body| extension(body, &amd(&[3, 1])).members[1].content = vec![2, 2, 0, 4]),
            "Extension",
        ),
        (
            "level 256",
            Box::new(|body| extension(body, &amd(&[3, 8])).members[1].content = vec![2, 2, 1, 0]),
            "Extension",
        ),
        (
            "reserved level",
            Box::new(|body| extension(body, &amd(&[3, 4])).members[1].content = vec![2, 1, 1]),
            "Extension",
        ),
        (
            "fmc level on Milan",
            Box::new(|body| body.at(&[EXTENSIONS, 0]).members.push(new_extension(&amd(&[3, 9]), false, &[2, 1, 0]))),
            "Extension",
        ),
        (
            "chip id of Turin's length",
            Box::new(|body| extension(body, &amd(&[4])).members[1].content = vec![7; 8]),
            "Extension",
        ),
        (
            "provider on a VCEK",
            Box::new(|body| body.at(&[EXTENSIONS, 0]).members.push(new_extension(&amd(&[5]), false, b"\x16\x01x"))),
            "Extension",
        ),
        (
            "chip id twice",
            Box::new(|body| {
                let chip = extension(body, &amd(&[4])).clone();
                body.at(&[EXTENSIONS, 0]).members.push(chip);
            }),
            "Twice",
        ),
    ];
    for arcs in [&[1][..], &[2], &[4], &[3, 1], &[3, 2], &[3, 3], &[3, 4], &[3, 5], &[3, 6], &[3, 7], &[3, 8]] {
        let oid = amd(arcs);
        changes.push((
            "an extension less",
            Box::new(move |body| body.at(&[EXTENSIONS, 0]).members.retain(|one| one.members[0].content != oid)),
            "Missing",
        ));
    }
    for (what, change, rule) in &changes {
        let forged = world.forge(Some(Intermediate::Ask), vcek, change);
        let error = refused(judge(ark, ask, &forged), what);
        assert!(format!("{error:?}").starts_with(rule), "{what}: {error:?}");
    }
    // What is a VLEK's own.
    for (what, change, rule) in [
        (
            "no provider",
            Box::new(|body: &mut Node| {
                body.at(&[EXTENSIONS, 0]).members.retain(|one| one.members[0].content != amd(&[5]))
            }) as Box<dyn Fn(&mut Node)>,
            "Missing",
        ),
        (
            "a chip on a VLEK",
            Box::new(|body| body.at(&[EXTENSIONS, 0]).members.push(new_extension(&amd(&[4]), false, &[7; 64]))),
            "Extension",
        ),
        (
            "a stepping on a VLEK",
            Box::new(|body| extension(body, &amd(&[2])).members[1].content = b"\x16\x08Milan-B0".into()),
            "Extension",
        ),
    ] {
        let forged = world.forge(Some(Intermediate::Asvk), world.vlek.der(), change);
        let error = refused(judge(ark, world.asvk(), &forged), what);
        assert!(format!("{error:?}").starts_with(rule), "{what}: {error:?}");
    }
    // A certificate of a product we hold no root of.
    let venice =
        world.forge(Some(Intermediate::Ask), vcek, |body| body.at(&[ISSUER, 5, 0, 1]).content = b"SEV-Venice".into());
    let error = judge(ark, ask, &venice).unwrap_err();
    assert_eq!(error, ChainError::UnknownProduct { product: "Venice".into() });
    assert!(error.to_string().contains("ARK-Venice") && error.to_string().contains("TCB_VERSION"), "{error}");
}

fn authority_rules(world: &World) {
    let (ark, ask, vcek) = (world.authority.ark(), world.ask(), world.vcek.der());
    let short = RsaPrivateKey::new(&mut OsRng, 2048).unwrap();
    let short = Node::read(short.to_public_key().to_public_key_der().unwrap().as_bytes());
    const CONSTRAINTS: [u8; 3] = [0x55, 0x1D, 0x13];
    const USAGE: [u8; 3] = [0x55, 0x1D, 0x0F];
    const AUTHORITY_ID: [u8; 3] = [0x55, 0x1D, 0x23];
    let changes: Vec<Change<'_>> = vec![
        ("serial 0", Box::new(|body| body.at(&[SERIAL]).content = vec![0]), "Serial"),
        (
            "no authority",
            Box::new(|body| extension(body, &CONSTRAINTS).members[2].content = vec![0x30, 0]),
            "NoAuthority",
        ),
        (
            "authority not critical",
            Box::new(|body| drop(extension(body, &CONSTRAINTS).members.remove(1))),
            "NoAuthority",
        ),
        (
            "authorities below it",
            Box::new(|body| extension(body, &CONSTRAINTS).members[2].content = vec![0x30, 6, 1, 1, 0xFF, 2, 1, 1]),
            "NoAuthority",
        ),
        (
            "any number of authorities below it",
            Box::new(|body| extension(body, &CONSTRAINTS).members[2].content = vec![0x30, 3, 1, 1, 0xFF]),
            "NoAuthority",
        ),
        (
            "usage: nothing",
            Box::new(|body| extension(body, &USAGE).members[2].content = vec![3, 2, 7, 0x80]),
            "NoAuthority",
        ),
        ("usage: lists", Box::new(|body| extension(body, &USAGE).members[2].content = vec![3, 2, 1, 6]), "NoAuthority"),
        ("usage not critical", Box::new(|body| drop(extension(body, &USAGE).members.remove(1))), "NoAuthority"),
        (
            "no usage",
            Box::new(|body| body.at(&[EXTENSIONS, 0]).members.retain(|one| one.members[0].content != USAGE)),
            "NoAuthority",
        ),
        (
            "identifier of another root",
            Box::new(|body| *extension(body, &AUTHORITY_ID).members[1].content.last_mut().unwrap() ^= 1),
            "Extension",
        ),
        (
            "unknown extension",
            Box::new(|body| {
                body.at(&[EXTENSIONS, 0]).members.push(new_extension(&[0x55, 0x1D, 0x25], false, &[0x30, 0]))
            }),
            "Extension",
        ),
        ("organisation", Box::new(|body| body.at(&[SUBJECT, 4, 0, 1]).content = b"Somebody".into()), "Name"),
        ("RSA of 2048 bits", Box::new(|body| *body.at(&[KEY]) = short.clone()), "Key"),
        (
            "RSA of 4095 bits",
            Box::new(|body| {
                let key = body.at(&[KEY, 1]);
                let mut inner = Node::read(&key.content[1..]);
                let modulus = &mut inner.members[0].content;
                assert_eq!((modulus.len(), modulus.remove(0)), (513, 0), "a sign byte before the highest bit");
                modulus[0] = 0x40 | modulus[0] & 0x3F;
                key.content = [vec![0], inner.write()].concat();
            }),
            "Key",
        ),
        ("RSA for PSS alone", Box::new(|body| body.at(&[KEY, 0, 0]).content[8] = 10), "Key"),
        (
            "exponent 3",
            Box::new(|body| {
                let key = body.at(&[KEY, 1]);
                let mut inner = Node::read(&key.content[1..]);
                inner.members[1].content = vec![3];
                key.content = [vec![0], inner.write()].concat();
            }),
            "Key",
        ),
    ];
    for (what, change, rule) in &changes {
        let forged = world.forge(None, ask, change);
        let error = refused(judge(ark, &forged, vcek), what);
        assert!(format!("{error:?}").starts_with(rule), "{what}: {error:?}");
    }
    let roots: Vec<Change<'_>> = vec![
        (
            "a root that signs no lists",
            Box::new(|body| extension(body, &USAGE).members[2].content = vec![3, 2, 2, 4]),
            "NoAuthority",
        ),
        (
            "a root of one level",
            Box::new(|body| extension(body, &CONSTRAINTS).members[2].content = vec![0x30, 6, 1, 1, 0xFF, 2, 1, 0]),
            "NoAuthority",
        ),
        ("a root of serial 0", Box::new(|body| body.at(&[SERIAL]).content = vec![0]), "Serial"),
    ];
    for (what, change, rule) in &roots {
        let forged = world.forge(None, ark, change);
        let error = refused(judge(&forged, ask, vcek), what);
        assert!(format!("{error:?}").starts_with(rule), "{what}: {error:?}");
    }
}

/// PSS with SHA-384, MGF1 with SHA-384 and salt 48, in both places, and in the signature.
fn algorithm_rules(world: &World) {
    let (ark, ask, vcek) = (world.authority.ark(), world.ask(), world.vcek.der());
    let honest = Node::read(vcek).at(&[0, ALGORITHM]).clone();
    let edit = |change: &dyn Fn(&mut Node)| {
        let mut algorithm = honest.clone();
        change(&mut algorithm);
        algorithm
    };
    const SHA256: [u8; 9] = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
    let others = [
        ("hash SHA-256", edit(&|algorithm| algorithm.at(&[1, 0, 0, 0]).content = SHA256.into())),
        ("mask SHA-256", edit(&|algorithm| algorithm.at(&[1, 1, 0, 1, 0]).content = SHA256.into())),
        ("salt 32", edit(&|algorithm| algorithm.at(&[1, 2, 0]).content = vec![32])),
        ("trailer 2", edit(&|algorithm| algorithm.at(&[1]).members.push(Node::of(0xA3, vec![Node::leaf(2, &[2])])))),
        ("no parameters", edit(&|algorithm| drop(algorithm.members.pop()))),
        ("PKCS #1", edit(&|algorithm| algorithm.at(&[0]).content[8] = 12)),
    ];
    for (what, other) in &others {
        let mut whole = Node::read(vcek);
        let body = whole.at(&[0]).write();
        *whole.at(&[0, ALGORITHM]) = other.clone();
        let changed = whole.at(&[0]).write();
        for (to_be_signed, beside) in [(&body, other), (&changed, &honest), (&changed, other)] {
            let forged =
                world.authority.forge(Some(Intermediate::Ask), to_be_signed, &beside.write(), 48, &mut OsRng).unwrap();
            assert_eq!(refused(judge(ark, ask, &forged), what), CertificateError::Algorithm, "{what}");
        }
    }
    let body = Node::read(vcek).at(&[0]).write();
    for salt in [0, 32, 47, 49] {
        let forged = world.authority.forge(Some(Intermediate::Ask), &body, &honest.write(), salt, &mut OsRng).unwrap();
        let error = refused(judge(ark, ask, &forged), "salt");
        assert!(matches!(error, CertificateError::Signature { .. }), "salt {salt}: {error:?}");
    }
    for (signer, what) in [(None, "the root"), (Some(Intermediate::Asvk), "the other intermediate")] {
        let forged = world.authority.forge(signer, &body, &honest.write(), 48, &mut OsRng).unwrap();
        assert!(matches!(refused(judge(ark, ask, &forged), what), CertificateError::Signature { .. }), "{what}");
    }
}

/// Every certificate in every other one's place.
fn roles(world: &World) {
    let (ark, ask, asvk) = (world.authority.ark(), world.ask(), world.asvk());
    let (vcek, vlek) = (world.vcek.der(), world.vlek.der());
    let all = [ark, ask, asvk, vcek, vlek];
    for root in all {
        for intermediate in all {
            for vek in all {
                let holds = judge(root, intermediate, vek).is_ok();
                let right = root == ark && (intermediate == ask && vek == vcek || intermediate == asvk && vek == vlek);
                assert_eq!(holds, right);
            }
        }
    }
    // Names and keys changed over: a VLEK by the ASK, a VCEK by the ASVK.
    let key = || SigningKey::random(&mut OsRng);
    let by_asvk = world.authority.endorse(Intermediate::Asvk, &world.request, key(), &mut OsRng).unwrap();
    assert!(matches!(judge(ark, asvk, by_asvk.der()), Err(ChainError::Confused { .. })));
    let provider = VekRequest { kind: VekKind::Vlek, ..world.request.clone() };
    let by_ask = world.authority.endorse(Intermediate::Ask, &provider, key(), &mut OsRng).unwrap();
    assert!(matches!(judge(ark, ask, by_ask.der()), Err(ChainError::Confused { .. })));
}

fn same_signer(world: &World, honest: &Vek) {
    let (ark, ask, vcek) = (world.authority.ark(), world.ask(), world.vcek.der());
    let again =
        world.forge(Some(Intermediate::Ask), vcek, |body| body.at(&[VALIDITY, 0]).content = b"260301000000Z".into());
    assert_ne!(again, vcek);
    assert!(judge(ark, ask, &again).unwrap().same_signer(honest));
    let other_tcb = world.forge(Some(Intermediate::Ask), vcek, |body| {
        extension(body, &amd(&[3, 1])).members[1].content = vec![2, 1, 3];
    });
    assert!(!judge(ark, ask, &other_tcb).unwrap().same_signer(honest));
    let other_chip =
        world.forge(Some(Intermediate::Ask), vcek, |body| extension(body, &amd(&[4])).members[1].content[0] ^= 1);
    assert!(!judge(ark, ask, &other_chip).unwrap().same_signer(honest));
    let key = SigningKey::random(&mut OsRng);
    let other_key = world.authority.endorse(Intermediate::Ask, &world.request, key, &mut OsRng).unwrap();
    assert!(!judge(ark, ask, other_key.der()).unwrap().same_signer(honest));
}

/// CPUID decides the product, and a product we know too little of is named.
fn models(world: &World) {
    let anchor = TrustAnchor::named(world.authority.ark()).unwrap();
    let intermediate = Certificate::parse(world.ask()).unwrap();
    let chain = Chain::assemble(Certificate::parse(world.vcek.der()).unwrap(), Some(intermediate), &anchor).unwrap();
    let chain = Unverified(chain).verify(clock::parse("2026-06-01T00:00:00Z").unwrap(), &Ring).unwrap();
    let decode = |family: u8, model: u8| {
        let mut body = ReportRequest::new(software_psp::Product::Milan, 3, world.request.chip_id, [0; 64]).body();
        body.put(0x188, &[family, model, 1]);
        let report = world.vcek.sign(&body);
        let signed = Unverified(SignedReport::parse(&report).unwrap()).verify(&chain, &Ring).unwrap();
        signed.decode().map(|report| report.product())
    };
    let not = |found| Err(ReportError::Product { chain: Product::Milan, found });
    assert_eq!(decode(0x19, 0x0F), Ok(Product::Milan));
    assert_eq!(decode(0x19, 0x11), not(Product::Genoa));
    assert_eq!(decode(0x19, 0xA0), not(Product::Genoa));
    assert_eq!(decode(0x1A, 0x02), not(Product::Turin));
    assert_eq!(decode(0x19, 0x20), Err(ReportError::Cpuid { family: 0x19, model: 0x20, stepping: 1 }));
    for model in [0x50, 0x57, 0x90, 0xAF, 0xC0, 0xC7] {
        assert_eq!(decode(0x1A, model), Err(ReportError::Venice { model, stepping: 1 }));
    }
}
