//! One call of one boot with every value fixed. All keys here are public test values.

use evidence::{
    Digest, Ed25519Public, Opened, OpeningSeed, ResultObject, ServerId, UnixSeconds, UsdcAmount, Wallet,
    bundle::{Bundle, CarriedQuote, CarriedReport, CarriedState, EndorsedReport, Fresh, VekKind},
    caller_ref,
    core::{Claims, Core, Platform, Recovery, Vtpm, core_digest},
    hash,
    hmac_chain::HmacChain,
    json::{Limits, Value, object, parse},
    merkle,
    payment::{Authorization, PaymentClaim},
    profile::{j, to_hex},
    proof::{Envelope, Execution, GatewayClaim, Opening, Proof, ProofBody, RegistryDigest, ServerClaim, proof_message},
    release::{
        Binary, LaunchDigest, PREDICTED, ParavisorRow, Registers, ReleaseManifest, ReleaseSignature, SignedRelease,
        release_message,
    },
    report_data::{Nonce, Purpose, core_register, report_data, report_data_without_nonce},
    request_hash, response_hash,
    settlement::{Outcome, Settlement, SignedSettlement, settlement_message},
    state::{State, evidence_message, jwks_digest, prices_digest, state_digest, state_message},
    tag,
};
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest as _, Sha256};

pub(crate) const ARGUMENTS: &str = r#"{"message":"héllo","times":1.0}"#;
pub(crate) const RESULT: &str = r#"{"content":[{"type":"text","text":"Echo: héllo"}],"_meta":{"io.sealgate/proof":{},"progress":1},"resultType":"complete"}"#;
pub(crate) const ERROR: &str = r#"{"code":-32602,"message":"no such tool"}"#;
pub(crate) const PRINCIPAL: &str = "wallet:0xf0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0";

/// Secret key of the first test of RFC 8032 section 7.1.
const SECRET: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

pub(crate) struct Sample {
    key: Ed25519KeyPair,
    pub(crate) public_key: [u8; 32],
    pub(crate) instance: [u8; 32],
    pub(crate) seed: [u8; 32],
    pub(crate) opening: [u8; 32],
    pub(crate) genesis: Value,
    pub(crate) lineage: Digest,
    pub(crate) core_bytes: Vec<u8>,
    pub(crate) core: Digest,
    pub(crate) state_bytes: Vec<u8>,
    pub(crate) state: Digest,
    pub(crate) server: ServerId,
    pub(crate) nonces: Vec<Nonce>,
    pub(crate) proof: Proof,
    pub(crate) envelope: Envelope,
    pub(crate) bundle: Bundle,
}

impl Sample {
    pub(crate) fn new() -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&hex::decode(SECRET).unwrap()).unwrap();
        let public_key: [u8; 32] = key.public_key().as_ref().try_into().unwrap();
        let instance = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let seed = [0x5e; 32];
        let genesis = object([
            ("type", "genesis".into()),
            ("v", 1_u64.into()),
            ("random", to_hex(&[0x67; 32])),
            ("created", 1_795_219_200_u64.into()),
        ]);
        let lineage = hash(tag::GENESIS, &[&j(&genesis).unwrap()]);
        let core_bytes = core(instance, lineage, public_key, &seed).to_bytes().unwrap();
        let core = core_digest(&core_bytes);
        let state = State {
            core,
            seq: 0,
            prev: core,
            tls: vec![hash_of(SPKI)],
            jwks: Some(jwks_digest(&jwks()).unwrap()),
            receipt: Some(Wallet::new([0x72; 20])),
            fee_payer: Some(Wallet::new([0x66; 20])),
            pay_to: vec![terms().to],
            prices: Some(prices_digest(&[prices()]).unwrap()),
            policy: Some([0x90; 32]),
            catalogue: Some(hash(tag::CATALOGUE, &[b"[]"])),
        };
        let state_bytes = state.to_bytes().unwrap();
        let state = state_digest(&core, &state_bytes);
        let server: ServerId = "0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1f".parse().unwrap();
        let nonces: Vec<_> = (0..3).map(|n| Nonce::new(vec![0xa0 | n; 32]).unwrap()).collect();
        let opening = [0x0f; 32];
        let proof = proof(&key, &instance, &seed, &core, &state, &server, &opening);
        let opened = Opening::of_seed(&OpeningSeed::new(opening));
        let envelope =
            Envelope { proof: proof.clone(), opening: Some(opened), settlement: Some(settlement(&key, &proof)) };
        let bundle = bundle(&key, &core_bytes, &state_bytes, &nonces);
        Self {
            key,
            public_key,
            instance,
            seed,
            opening,
            genesis,
            lineage,
            core_bytes,
            core,
            state_bytes,
            state,
            server,
            nonces,
            proof,
            envelope,
            bundle,
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        sign(&self.key, message)
    }

    pub(crate) fn settlement(&self) -> &SignedSettlement {
        self.envelope.settlement.as_ref().unwrap()
    }

    pub(crate) fn chain(&self) -> HmacChain {
        HmacChain::new(self.instance, &self.seed)
    }

    pub(crate) fn leaves(&self) -> Vec<Digest> {
        leaves(&self.nonces)
    }
}

/// Stands for a SubjectPublicKeyInfo in DER.
const SPKI: &[u8] = b"spki";

fn hash_of(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

pub(crate) fn jwks() -> Value {
    object([(
        "keys",
        Value::Array(vec![object([
            ("kty", "OKP".into()),
            ("crv", "Ed25519".into()),
            ("x", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into()),
            ("use", "sig".into()),
            ("alg", "EdDSA".into()),
        ])]),
    )])
}

/// Any document of the profile is hashed alike; what the gateway's holds is its own affair.
pub(crate) fn prices() -> Value {
    object([("default", "500".into())])
}

/// What the payer of the call signed.
pub(crate) fn terms() -> Authorization {
    Authorization {
        network: "eip155:8453".to_owned(),
        asset: "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913".parse().unwrap(),
        from: Wallet::new([0xf0; 20]),
        to: Wallet::new([0x70; 20]),
        value: UsdcAmount::from_units(500),
        valid_after: UnixSeconds(0),
        valid_before: UnixSeconds(1_795_219_500),
        nonce: [0x4e; 32],
    }
}

fn settlement(key: &Ed25519KeyPair, proof: &Proof) -> SignedSettlement {
    let claim = proof.body.payment.clone().unwrap();
    let settlement = Settlement {
        core: proof.body.core,
        proof: proof.entry_digest().unwrap(),
        payment_ref: claim.payment_ref,
        outcome: Outcome::Settled { transaction: [0x7a; 32], receipt_sha256: None },
        network: claim.network,
        amount: claim.amount,
    };
    let bytes = settlement.to_bytes().unwrap();
    SignedSettlement {
        signature: sign(key, &settlement_message(&proof.body.core, &bytes)),
        signature_key_id: "d75a980182b10ab7".to_owned(),
        settlement,
    }
}

fn sign(key: &Ed25519KeyPair, message: &[u8]) -> [u8; 64] {
    key.sign(message).as_ref().try_into().unwrap()
}

fn leaves(nonces: &[Nonce]) -> Vec<Digest> {
    nonces.iter().map(|nonce| nonce.leaf(Purpose::Client)).collect()
}

fn core(instance: [u8; 32], lineage: Digest, public_key: [u8; 32], seed: &[u8; 32]) -> Core {
    Core {
        instance,
        lineage,
        platform: Platform::Simulated,
        boot: "software",
        vtpm: Vtpm {
            kind: "software",
            ak_name: Some(attestation_key_name()),
            ak_spki: Some(attestation_key()),
            ek_name: None,
        },
        claims: Claims { code_hash: Some([0xc0; 32]), git_commit: Some([0x91; 20]), release: None },
        proof_key: Ed25519Public::new(public_key).unwrap(),
        peer_key: [0x33; 32],
        hmac_anchor: *HmacChain::new(instance, seed).anchor(),
        hmac_length: evidence::hmac_chain::LENGTH,
        release_keys: Vec::new(),
        recovery: Recovery { kind: "none", keys: Vec::new() },
        sealing_pcrs: vec![4, 7, 11, 12, 13, 14, 15],
        sealing_floor: 0,
    }
}

fn proof(
    key: &Ed25519KeyPair,
    instance: &[u8; 32],
    seed: &[u8; 32],
    core: &Digest,
    state: &Digest,
    server: &ServerId,
    opening: &[u8; 32],
) -> Proof {
    let salts = OpeningSeed::new(*opening);
    let arguments = parse(ARGUMENTS.as_bytes(), &Limits::THEIRS).unwrap();
    let result = ResultObject::of(parse(RESULT.as_bytes(), &Limits::THEIRS).unwrap()).unwrap();
    let body = ProofBody {
        id: [0x1d; 32],
        core: *core,
        state: *state,
        epoch: 1,
        gateway: GatewayClaim {
            code_hash: Some([0xc0; 32]),
            git_commit: Some([0x91; 20]),
            tee_enabled: false,
            platform: Platform::Simulated,
            instance: *instance,
            report_sha256: Sha256::digest(STAND_IN_REPORT).into(),
        },
        server: ServerClaim {
            id: server.clone(),
            package: "@modelcontextprotocol/server-everything@2025.9.25".to_owned(),
            registry_digest: Some(RegistryDigest::Sha512([0x51; 64])),
            lock_digest: Some([0x10; 32]),
            image_digest: [0x13; 32],
            runtime: "runc".to_owned(),
        },
        execution: Execution {
            tool: "echo".to_owned(),
            request_hash: request_hash(&salts.salt(Opened::Request), server, "echo", &arguments),
            response_hash: response_hash(&salts.salt(Opened::Response), &result),
            is_error: result.is_error(),
            timestamp: 1_795_219_260_123,
            time_source: "host-clock",
            duration_ms: 7,
            environment: vec!["API_KEY".to_owned(), "HOME".to_owned()],
            challenge: Some(vec![0xc4; 16]),
        },
        caller: Some(caller_ref(&salts.salt(Opened::Caller), PRINCIPAL)),
        payment: Some(PaymentClaim::of(&terms(), &salts.salt(Opened::Payment)).unwrap()),
    };
    let bytes = body.to_bytes().unwrap();
    Proof {
        tag: HmacChain::new(*instance, seed).tag_key(1).unwrap().tag(core, &bytes),
        key_source: "tpm-sealed".to_owned(),
        tag_key_id: "epoch-1".to_owned(),
        signature: sign(key, &proof_message(core, &bytes)),
        signature_key_id: "d75a980182b10ab7".to_owned(),
        body,
    }
}

/// The generator of P-256: a key of which everybody knows the secret half, 1.
const POINT: &str = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                     4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

/// Its SubjectPublicKeyInfo (RFC 5480).
fn attestation_key() -> Vec<u8> {
    hex::decode(format!("3059301306072a8648ce3d020106082a8648ce3d03010703420004{POINT}")).unwrap()
}

/// Its TPM Name as a restricted signing key: nameAlg ‖ SHA-256 of TPMT_PUBLIC (TPM 2.0 part 1, 16; part 2, 12.2.4).
fn attestation_key_name() -> [u8; 34] {
    // ECC, SHA-256, attributes, no policy, no symmetric cipher, ECDSA with SHA-256, P-256, no key derivation, x, y.
    let head = "0023000b00050072000000100018000b00030010";
    let (x, y) = POINT.split_at(64);
    let public = hex::decode(format!("{head}0020{x}0020{y}")).unwrap();
    let mut name = [0; 34];
    name[1] = 0x0b;
    name[2..].copy_from_slice(&hash_of(&public));
    name
}

/// As with reports, short bytes stand in for what the TPM makes; register 15 holds the core.
fn quote(core: &Digest) -> CarriedQuote {
    let pcrs = [4, 7, 11, 12, 13, 14].map(|pcr| (pcr, [pcr; 32]));
    CarriedQuote {
        attest: b"attest".to_vec(),
        signature: b"signature".to_vec(),
        pcrs: pcrs.into_iter().chain([(15, core_register(core))]).collect(),
    }
}

/// Reports and certificates have nothing to do with the encoding, so short bytes stand in for them.
const STAND_IN_REPORT: &[u8] = b"report";

fn bundle(key: &Ed25519KeyPair, core_bytes: &[u8], state_bytes: &[u8], nonces: &[Nonce]) -> Bundle {
    let core = core_digest(core_bytes);
    let state = state_digest(&core, state_bytes);
    let leaves = leaves(nonces);
    let carried = |rd: [u8; 64]| CarriedReport {
        report: STAND_IN_REPORT.to_vec(),
        vek: b"vek".to_vec(),
        possession: sign(key, &evidence_message(&core, &rd)),
    };
    Bundle {
        vek_kind: VekKind::Vcek,
        intermediate: b"ask".to_vec(),
        root: b"ark".to_vec(),
        crls: vec![b"crl".to_vec()],
        boot: carried(report_data_without_nonce(&core, &state)),
        fresh: Some(Fresh {
            report: Some(EndorsedReport { report: STAND_IN_REPORT.to_vec(), vek: b"vek".to_vec() }),
            quote: Some(quote(&core)),
            possession: carried(report_data(&merkle::root(&leaves), 3, &core, &state)).possession,
            purpose: Purpose::Client,
            nonce: nonces[2].clone(),
            index: 2,
            count: 3,
            path: merkle::path(&leaves, 2).unwrap(),
        }),
        quote: Some(quote(&core)),
        event_log: None,
        hcl: None,
        svsm_manifest: None,
        core: core_bytes.to_vec(),
        states: vec![CarriedState {
            bytes: state_bytes.to_vec(),
            signature: sign(key, &state_message(&core, state_bytes)),
        }],
        release: Some(release()),
        provenance: Some(b"dsse".to_vec()),
    }
}

/// Secret keys of the second and third test of RFC 8032 section 7.1: two people.
const RELEASE_SECRETS: [&str; 2] = [
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
];

fn release() -> SignedRelease {
    let pairs =
        RELEASE_SECRETS.map(|secret| Ed25519KeyPair::from_seed_unchecked(&hex::decode(secret).unwrap()).unwrap());
    let public = |pair: &Ed25519KeyPair| Ed25519Public::new(pair.public_key().as_ref().try_into().unwrap()).unwrap();
    let digest = |byte, vcpus| LaunchDigest {
        measurement: [byte; 48],
        platform: "qemu".to_owned(),
        vcpus,
        vcpu_type: Some("EPYC-Milan".to_owned()),
        guest_features: Some(1),
    };
    let manifest = ReleaseManifest {
        name: "1.0.0".to_owned(),
        git_commit: [0x91; 20],
        source_hash: [0x50; 32],
        created: UnixSeconds(1_795_219_200),
        binaries: ["attestation-verifier", "bridge", "enclave", "measured-boot"]
            .into_iter()
            .zip([0xa7, 0xb7, 0xc0, 0x3b])
            .map(|(program, byte)| Binary { program: program.to_owned(), sha256: [byte; 32] })
            .collect(),
        launch_digests: vec![digest(0x1d, 1), digest(0x2d, 2)],
        svsm_digests: vec![LaunchDigest { vcpu_type: None, guest_features: None, ..digest(0x5d, 1) }],
        paravisors: vec![ParavisorRow {
            id_key_digest: [0x1d; 48],
            family_id: [0xfa; 16],
            image_id: [0x1a; 16],
            min_guest_svn: 12,
        }],
        registers: vec![Registers {
            name: "azure".to_owned(),
            boot: "paravisor",
            values: PREDICTED.map(|pcr| [pcr; 32]),
            grub: Some([[8; 32], [9; 32]]),
        }],
        policy: Some([0x90; 32]),
        script: [0x5c; 32],
        provenance: vec![[0xd5; 32]],
        release_keys: pairs.iter().map(public).collect(),
    };
    let bytes = manifest.to_bytes().unwrap();
    let sign = |pair| ReleaseSignature { key: public(pair), value: sign(pair, &release_message(&bytes)) };
    let mut signatures: Vec<_> = pairs.iter().map(sign).collect();
    signatures.sort_by_key(|signature| *signature.key.as_bytes());
    SignedRelease { signatures, bytes }
}
