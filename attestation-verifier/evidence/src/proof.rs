//! `proof/v1` and its envelope (docs/WIRE.md, P5).

use crate::{
    call::{Opened, OpeningSeed},
    core::{DocumentError, Platform},
    frame::{Digest, hash, t},
    json::{JsonError, Name, Value, object},
    names::ServerId,
    payment::PaymentClaim,
    profile::{Members, ShapeError, hex_of, j, to_hex},
    settlement::SignedSettlement,
    tag,
};

/// What the gateway says about itself in a proof; a verifier compares it with the core.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GatewayClaim {
    /// SHA-256 of its executable file.
    pub code_hash: Option<Digest>,
    /// Commit it says it was built from.
    pub git_commit: Option<[u8; 20]>,
    /// Whether it says that hardware protects it.
    pub tee_enabled: bool,
    /// Where it runs.
    pub platform: Platform,
    /// Instance of the core.
    pub instance: [u8; 32],
    /// SHA-256 of bytes 0x000–0x29F of the boot report.
    pub report_sha256: Digest,
}

/// The server that ran.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerClaim {
    /// Its id in the catalogue.
    pub id: ServerId,
    /// Package and exact version: `name@version`.
    pub package: String,
    /// Of the package file, as its registry publishes it.
    pub registry_digest: Option<RegistryDigest>,
    /// SHA-256 of the lock of all its dependencies.
    pub lock_digest: Option<Digest>,
    /// Id of the container image: SHA-256.
    pub image_digest: Digest,
    /// `runc`, `runsc`
    pub runtime: String,
}

/// Digest of a package's file, by the algorithm of its registry. The length tells which it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RegistryDigest {
    /// SHA-512 of a tarball: npm.
    Sha512([u8; 64]),
    /// SHA-256 of a wheel: PyPI.
    Sha256(Digest),
}

impl RegistryDigest {
    /// From 64 or 32 bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let sha256 = || bytes.try_into().ok().map(Self::Sha256);
        bytes.try_into().ok().map(Self::Sha512).or_else(sha256)
    }

    /// 64 or 32 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha512(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        }
    }
}

/// What was run, and when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Execution {
    /// The tool's name as the server knows it.
    pub tool: String,
    /// See [`crate::request_hash`].
    pub request_hash: Digest,
    /// See [`crate::response_hash`].
    pub response_hash: Digest,
    /// Whether the tool says that it failed.
    pub is_error: bool,
    /// Milliseconds since 1970-01-01T00:00:00Z, by `time_source`.
    pub timestamp: u64,
    /// `host-clock`
    pub time_source: &'static str,
    /// Milliseconds from the request's arrival at the server to its answer.
    pub duration_ms: u64,
    /// Names of the environment variables that were injected, sorted.
    pub environment: Vec<String>,
    /// The caller's challenge, up to 64 bytes.
    pub challenge: Option<Vec<u8>>,
}

/// The body of a proof: everything that both signatures cover.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProofBody {
    /// 32 random bytes.
    pub id: [u8; 32],
    /// C.
    pub core: Digest,
    /// S_n in force.
    pub state: Digest,
    /// Epoch of the HMAC chain.
    pub epoch: u32,
    /// See [`GatewayClaim`].
    pub gateway: GatewayClaim,
    /// See [`ServerClaim`].
    pub server: ServerClaim,
    /// See [`Execution`].
    pub execution: Execution,
    /// callerRef, or nobody.
    pub caller: Option<Digest>,
    /// What was to be paid for the call; `None`: nothing.
    pub payment: Option<PaymentClaim>,
}

/// A body with its two signatures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    /// What is proven.
    pub body: ProofBody,
    /// HMAC-SHA256 by the epoch's key.
    pub tag: Digest,
    /// Where the gateway says the HMAC key's seed was kept: `tpm-sealed`.
    pub key_source: String,
    /// Hint: which HMAC key. First 8 bytes of SHA-256 of anchor and epoch would do; never trusted.
    pub tag_key_id: String,
    /// Ed25519 by the core's proof key.
    pub signature: [u8; 64],
    /// Hint: which proof key.
    pub signature_key_id: String,
}

/// What the holder of a proof may show: the seed, or single salts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Opening {
    /// Salts by what they open.
    salts: Vec<(Opened, Digest)>,
    /// The seed, when all is shown.
    seed: Option<[u8; 32]>,
}

/// The file that a caller keeps: `{proof, opening?, inclusion?, settlement?}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope {
    /// The proof.
    pub proof: Proof,
    /// What opens its digests.
    pub opening: Option<Opening>,
    /// What became of the payment that the proof names. It leads to the payer: its transaction is on a public chain.
    pub settlement: Option<SignedSettlement>,
}

/// Why proof bytes say nothing.
pub type ProofError = DocumentError;

impl ProofBody {
    /// `J(body)`.
    ///
    /// # Errors
    /// A name in it is outside the profile: a tool or package with a control character. The catalogue refuses those.
    pub fn to_bytes(&self) -> Result<Vec<u8>, JsonError> {
        j(&Value::Object(self.members()))
    }

    fn members(&self) -> Vec<(Name, Value)> {
        let digest = |digest: &Option<Digest>| digest.as_ref().map_or(Value::Null, |d| to_hex(d));
        let (gateway, server, execution) = (&self.gateway, &self.server, &self.execution);
        let members = [
            ("id", to_hex(&self.id)),
            ("core", to_hex(&self.core)),
            ("state", to_hex(&self.state)),
            ("epoch", u64::from(self.epoch).into()),
            (
                "gateway",
                object([
                    ("codeHash", digest(&gateway.code_hash)),
                    ("gitCommit", gateway.git_commit.as_ref().map_or(Value::Null, |c| to_hex(c))),
                    ("teeEnabled", gateway.tee_enabled.into()),
                    ("platform", gateway.platform.as_str().into()),
                    ("instance", to_hex(&gateway.instance)),
                    ("reportSha256", to_hex(&gateway.report_sha256)),
                ]),
            ),
            (
                "server",
                object([
                    ("id", server.id.as_str().into()),
                    ("package", server.package.as_str().into()),
                    (
                        "packageAttestation",
                        object([(
                            "integrity",
                            object([
                                (
                                    "registryDigest",
                                    server.registry_digest.as_ref().map_or(Value::Null, |d| to_hex(d.as_bytes())),
                                ),
                                ("lockDigest", digest(&server.lock_digest)),
                            ]),
                        )]),
                    ),
                    ("imageDigest", to_hex(&server.image_digest)),
                    ("runtime", server.runtime.as_str().into()),
                ]),
            ),
            (
                "execution",
                object([
                    ("tool", execution.tool.as_str().into()),
                    ("requestHash", to_hex(&execution.request_hash)),
                    ("responseHash", to_hex(&execution.response_hash)),
                    ("isError", execution.is_error.into()),
                    ("timestamp", execution.timestamp.into()),
                    ("timeSource", execution.time_source.into()),
                    ("durationMs", execution.duration_ms.into()),
                    (
                        "environment",
                        Value::Array(execution.environment.iter().map(|name| name.as_str().into()).collect()),
                    ),
                    ("challenge", execution.challenge.as_ref().map_or(Value::Null, |c| to_hex(c))),
                    ("after", Value::Null),
                ]),
            ),
            ("caller", digest(&self.caller)),
            ("payment", self.payment.as_ref().map_or(Value::Null, PaymentClaim::to_value)),
            ("log", Value::Null),
            ("decisions", Value::Array(Vec::new())),
        ];
        members.into_iter().map(|(name, value)| (name.into(), value)).collect()
    }
}

/// What both signatures of a proof cover: `T("sealgate/proof/v1", C, J(body))`.
pub fn proof_message(core: &Digest, body: &[u8]) -> Vec<u8> {
    t(tag::PROOF, &[core, body])
}

impl Proof {
    /// The proof as a JSON object: the body's members, `signature` and `publicSignature`.
    pub fn to_value(&self) -> Value {
        let mut members = self.body.members();
        members.push((
            "signature".into(),
            object([
                ("algorithm", "HMAC-SHA256".into()),
                ("value", to_hex(&self.tag)),
                ("keyId", self.tag_key_id.as_str().into()),
                ("keySource", self.key_source.as_str().into()),
            ]),
        ));
        members.push((
            "publicSignature".into(),
            object([
                ("algorithm", "Ed25519".into()),
                ("value", to_hex(&self.signature)),
                ("keyId", self.signature_key_id.as_str().into()),
            ]),
        ));
        Value::Object(members)
    }

    /// `H("sealgate/proof-entry/v1", J(proof with both signatures))`, the digest that a log entry holds.
    ///
    /// # Errors
    /// As [`ProofBody::to_bytes`].
    pub fn entry_digest(&self) -> Result<Digest, JsonError> {
        Ok(hash(tag::PROOF_ENTRY, &[&j(&self.to_value())?]))
    }

    /// Reads a proof object.
    ///
    /// # Errors
    /// Not in the profile, or a member that is missing, unknown or of another shape.
    pub fn from_value(value: &Value) -> Result<Self, ProofError> {
        let _in_profile = j(value)?;
        let mut proof = Members::of(value, "proof")?;
        let mut gateway = proof.object("gateway")?;
        let mut server = proof.object("server")?;
        let mut attestation = server.object("packageAttestation")?;
        let mut integrity = attestation.object("integrity")?;
        let mut execution = proof.object("execution")?;
        let mut tag = proof.object("signature")?;
        let mut signature = proof.object("publicSignature")?;
        let id = server.string("id")?;
        let body = ProofBody {
            id: proof.hex("id")?,
            core: proof.hex("core")?,
            state: proof.hex("state")?,
            epoch: u32::try_from(proof.integer("epoch")?)
                .ok()
                .filter(|epoch| (1..=crate::hmac_chain::LENGTH).contains(epoch))
                .ok_or_else(|| proof.wrong("epoch", format!("want 1 to {}", crate::hmac_chain::LENGTH)))?,
            gateway: GatewayClaim {
                code_hash: gateway.hex_or_null("codeHash")?,
                git_commit: gateway.hex_or_null("gitCommit")?,
                tee_enabled: gateway.boolean("teeEnabled")?,
                platform: Platform::of(gateway.word("platform", Platform::WORDS)?)
                    .ok_or_else(|| gateway.wrong("platform", "unknown platform"))?,
                instance: gateway.hex("instance")?,
                report_sha256: gateway.hex("reportSha256")?,
            },
            server: ServerClaim {
                id: id.parse().map_err(|error: crate::NameError| server.wrong("id", error.to_string()))?,
                package: server.string("package")?.to_owned(),
                registry_digest: registry_digest(&mut integrity)?,
                lock_digest: integrity.hex_or_null("lockDigest")?,
                image_digest: server.hex("imageDigest")?,
                runtime: server.string("runtime")?.to_owned(),
            },
            execution: Execution {
                tool: execution.string("tool")?.to_owned(),
                request_hash: execution.hex("requestHash")?,
                response_hash: execution.hex("responseHash")?,
                is_error: execution.boolean("isError")?,
                timestamp: execution.integer("timestamp")?,
                time_source: execution.word("timeSource", &["host-clock"])?,
                duration_ms: execution.integer("durationMs")?,
                environment: environment(&mut execution)?,
                challenge: challenge(&mut execution)?,
            },
            caller: proof.hex_or_null("caller")?,
            payment: proof.nullable("payment")?.map(PaymentClaim::from_value).transpose()?,
        };
        execution.null("after")?;
        proof.null("log")?;
        if !proof.array("decisions")?.is_empty() {
            return Err(proof.wrong("decisions", "want an empty array (this version knows nothing else)").into());
        }
        let _: &str = tag.word("algorithm", &["HMAC-SHA256"])?;
        let _: &str = signature.word("algorithm", &["Ed25519"])?;
        let read = Self {
            body,
            tag: tag.hex("value")?,
            key_source: tag.string("keySource")?.to_owned(),
            tag_key_id: tag.string("keyId")?.to_owned(),
            signature: signature.hex("value")?,
            signature_key_id: signature.string("keyId")?.to_owned(),
        };
        for members in [gateway, integrity, attestation, server, execution, tag, signature, proof] {
            members.finish()?;
        }
        Ok(read)
    }
}

/// 128 digits: SHA-512; 64 digits: SHA-256.
fn registry_digest(integrity: &mut Members<'_>) -> Result<Option<RegistryDigest>, ShapeError> {
    let Some(value) = integrity.nullable("registryDigest")? else { return Ok(None) };
    let digest = hex_of(value).map(RegistryDigest::Sha512).or_else(|| hex_of(value).map(RegistryDigest::Sha256));
    let want = "want 128 (SHA-512) or 64 (SHA-256) lower-case hexadecimal digits, or null";
    digest.map(Some).ok_or_else(|| integrity.wrong("registryDigest", want.to_owned()))
}

fn environment(execution: &mut Members<'_>) -> Result<Vec<String>, ShapeError> {
    let names = execution.array("environment")?.iter().map(|item| item.as_str().map(str::to_owned));
    let names: Option<Vec<String>> = names.collect();
    names
        .filter(|names| names.is_sorted_by(|a, b| a < b))
        .ok_or_else(|| execution.wrong("environment", "want distinct names, sorted"))
}

fn challenge(execution: &mut Members<'_>) -> Result<Option<Vec<u8>>, ShapeError> {
    let Some(value) = execution.nullable("challenge")? else { return Ok(None) };
    let bytes =
        value.as_str().filter(|text| *text == text.to_ascii_lowercase()).and_then(|text| hex::decode(text).ok());
    bytes
        .filter(|bytes| (1..=64).contains(&bytes.len()))
        .map(Some)
        .ok_or_else(|| execution.wrong("challenge", "want 1 to 64 bytes in lower-case hexadecimal, or null"))
}

impl Opening {
    /// Everything: the seed itself.
    pub fn of_seed(seed: &OpeningSeed) -> Self {
        Self { salts: Vec::new(), seed: Some(seed.disclose()) }
    }

    /// Some salts only.
    pub fn of_salts(seed: &OpeningSeed, shown: &[Opened]) -> Self {
        Self { salts: shown.iter().map(|what| (*what, seed.salt(*what))).collect(), seed: None }
    }

    /// The salt that opens `what`, if it is shown.
    pub fn salt(&self, what: Opened) -> Option<Digest> {
        match self.seed {
            Some(seed) => Some(OpeningSeed::new(seed).salt(what)),
            None => self.salts.iter().find(|(opened, _)| *opened == what).map(|(_, salt)| *salt),
        }
    }

    /// `{"seed":hex}` or `{"salts":{"request":hex,…}}`.
    pub fn to_value(&self) -> Value {
        match &self.seed {
            Some(seed) => object([("seed", to_hex(seed))]),
            None => {
                let salts = self.salts.iter().map(|(what, salt)| (what.as_str().into(), to_hex(salt)));
                object([("salts", Value::Object(salts.collect()))])
            }
        }
    }

    fn from_value(value: &Value) -> Result<Self, ShapeError> {
        let mut opening = Members::of(value, "opening")?;
        let seed = match opening.optional("seed") {
            None => None,
            Some(seed) => {
                Some(hex_of(seed).ok_or_else(|| opening.wrong("seed", "want 64 lower-case hexadecimal digits"))?)
            }
        };
        let mut salts = Vec::new();
        if seed.is_none() {
            let mut shown = opening.object("salts")?;
            for what in Opened::ALL {
                if let Some(salt) = shown.optional(what.as_str()) {
                    let salt = hex_of(salt)
                        .ok_or_else(|| shown.wrong(what.as_str(), "want 64 lower-case hexadecimal digits"))?;
                    salts.push((what, salt));
                }
            }
            shown.finish()?;
        }
        opening.finish()?;
        Ok(Self { salts, seed })
    }
}

impl Envelope {
    /// `{"proof":…,"opening":…,"settlement":…}`.
    pub fn to_value(&self) -> Value {
        let mut members = vec![("proof".into(), self.proof.to_value())];
        if let Some(opening) = &self.opening {
            members.push(("opening".into(), opening.to_value()));
        }
        if let Some(settlement) = &self.settlement {
            members.push(("settlement".into(), settlement.to_value()));
        }
        Value::Object(members)
    }

    /// Reads an envelope, in any layout of the profile.
    ///
    /// # Errors
    /// Not in the profile, or a member that is missing, unknown or of another shape.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        Self::from_value(&crate::profile::parse_ours(bytes)?)
    }

    /// Reads an envelope that was parsed before.
    ///
    /// # Errors
    /// As [`Self::from_bytes`].
    pub fn from_value(value: &Value) -> Result<Self, ProofError> {
        let mut envelope = Members::of(value, "envelope")?;
        let proof = Proof::from_value(envelope.value("proof")?)?;
        let opening = envelope.optional("opening").map(Opening::from_value).transpose()?;
        let settlement = envelope.optional("settlement").map(SignedSettlement::from_value).transpose()?;
        // `inclusion` is not built yet: a gateway of this version never writes it, and a verifier cannot judge it.
        envelope.finish()?;
        Ok(Self { proof, opening, settlement })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};

    #[test]
    fn a_registry_digest_is_of_64_or_32_bytes_in_lower_case_or_null() {
        let read = |text: &str| {
            let value = parse(format!("{{\"registryDigest\":{text}}}").as_bytes(), &Limits::OURS).unwrap();
            registry_digest(&mut Members::of(&value, "integrity").unwrap())
        };
        let hexadecimal = |digits: usize| format!("\"{}\"", "5".repeat(digits));
        assert_eq!(read(&hexadecimal(128)), Ok(Some(RegistryDigest::Sha512([0x55; 64]))));
        assert_eq!(read(&hexadecimal(64)), Ok(Some(RegistryDigest::Sha256([0x55; 32]))));
        assert_eq!(read("null"), Ok(None));
        for bad in [hexadecimal(0), hexadecimal(63), hexadecimal(66), hexadecimal(96), hexadecimal(130), "5".to_owned()]
        {
            assert!(read(&bad).is_err(), "accepted {bad}");
        }
        assert!(read(&hexadecimal(64).replace('5', "A")).is_err());
        for digest in [RegistryDigest::Sha512([7; 64]), RegistryDigest::Sha256([7; 32])] {
            assert_eq!(RegistryDigest::of(digest.as_bytes()), Some(digest));
        }
        assert_eq!(RegistryDigest::of(&[7; 48]), None);
    }
}
