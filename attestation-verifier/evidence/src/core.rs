//! `core/v1`: what one boot attests, immutable until the next (docs/WIRE.md, P4).

use crate::{
    frame::{Digest, hash},
    json::{JsonError, Value, object},
    profile::{Members, ShapeError, hex_of, j, parse_carried, to_base64, to_hex},
    public_key::Ed25519Public,
    tag,
};

/// Why carried bytes are no document of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DocumentError {
    /// Not JSON of the profile, or not canonical.
    Json(JsonError),
    /// A member is missing, unknown or of another shape.
    Shape(ShapeError),
}

impl std::fmt::Display for DocumentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(error) => error.fmt(f),
            Self::Shape(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DocumentError {}

impl From<JsonError> for DocumentError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl From<ShapeError> for DocumentError {
    fn from(error: ShapeError) -> Self {
        Self::Shape(error)
    }
}

/// Where the machine runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Platform {
    /// Azure confidential VM (OpenHCL paravisor).
    Azure,
    /// Google Cloud confidential VM.
    Gcp,
    /// AWS EC2 with SEV-SNP.
    Aws,
    /// A machine whose SNP device we open ourselves.
    Baremetal,
    /// A software secure processor: proves nothing.
    Simulated,
}

impl Platform {
    /// All words, in the order of the variants.
    pub const WORDS: &[&str] = &["azure", "gcp", "aws", "baremetal", "simulated"];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Azure => "azure",
            Self::Gcp => "gcp",
            Self::Aws => "aws",
            Self::Baremetal => "baremetal",
            Self::Simulated => "simulated",
        }
    }

    /// From the word on the wire.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Azure, Self::Gcp, Self::Aws, Self::Baremetal, Self::Simulated].into_iter().find(|p| p.as_str() == word)
    }
}

/// How the code was booted, which decides the grade it can reach (docs/WIRE.md, section 1).
pub const BOOT_WORDS: &[&str] = &["launch", "svsm", "paravisor", "host", "software"];

/// Who runs the vTPM.
pub const VTPM_WORDS: &[&str] = &["paravisor", "svsm", "host", "software", "none"];

/// The vTPM of this boot. Its keys are named once the quote is built.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vtpm {
    /// One of [`VTPM_WORDS`].
    pub kind: &'static str,
    /// TPM Name of the attestation key: hash algorithm and digest, 34 bytes.
    pub ak_name: Option<[u8; 34]>,
    /// SubjectPublicKeyInfo of the attestation key, DER.
    pub ak_spki: Option<Vec<u8>>,
    /// TPM Name of the endorsement key.
    pub ek_name: Option<[u8; 34]>,
}

/// What the gateway says about itself. Compared with what the evidence proves, never used in its place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Claims {
    /// SHA-256 of the gateway's executable file.
    pub code_hash: Option<Digest>,
    /// Git commit it says it was built from: 40 hexadecimal digits.
    pub git_commit: Option<[u8; 20]>,
    /// Name of the release it says it is.
    pub release: Option<String>,
}

/// Keys that can ask a sealed object back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recovery {
    /// `none`, `escrow`
    pub kind: &'static str,
    /// Their Ed25519 public keys.
    pub keys: Vec<Ed25519Public>,
}

/// The core of one boot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Core {
    /// 32 random bytes of this boot.
    pub instance: [u8; 32],
    /// Digest of the genesis entry.
    pub lineage: Digest,
    /// Where it runs.
    pub platform: Platform,
    /// One of [`BOOT_WORDS`].
    pub boot: &'static str,
    /// Its vTPM.
    pub vtpm: Vtpm,
    /// What it says about itself.
    pub claims: Claims,
    /// Ed25519, signs proofs.
    pub proof_key: Ed25519Public,
    /// X25519, for transfer between nodes.
    pub peer_key: [u8; 32],
    /// K_0 of the HMAC chain.
    pub hmac_anchor: Digest,
    /// L of the HMAC chain.
    pub hmac_length: u32,
    /// All of these must approve a release. Empty until releases exist.
    pub release_keys: Vec<Ed25519Public>,
    /// Who else can unseal.
    pub recovery: Recovery,
    /// PCRs under which the keys are sealed, ascending.
    pub sealing_pcrs: Vec<u8>,
    /// Release floor of the sealing.
    pub sealing_floor: u32,
}

impl Core {
    /// `J(core)`: the bytes that are hashed and carried.
    ///
    /// # Errors
    /// A text in it is outside the profile (a release name with a control character, for instance).
    pub fn to_bytes(&self) -> Result<Vec<u8>, JsonError> {
        let name = |name: &Option<[u8; 34]>| name.as_ref().map_or(Value::Null, |n| to_hex(n));
        let keys = |keys: &[Ed25519Public]| Value::Array(keys.iter().map(|k| to_hex(k.as_bytes())).collect());
        j(&object([
            ("instance", to_hex(&self.instance)),
            ("lineage", to_hex(&self.lineage)),
            ("platform", self.platform.as_str().into()),
            ("boot", self.boot.into()),
            (
                "vtpm",
                object([
                    ("kind", self.vtpm.kind.into()),
                    ("akName", name(&self.vtpm.ak_name)),
                    ("akSpki", self.vtpm.ak_spki.as_ref().map_or(Value::Null, |spki| to_base64(spki))),
                    ("ekName", name(&self.vtpm.ek_name)),
                ]),
            ),
            (
                "claims",
                object([
                    ("codeHash", self.claims.code_hash.as_ref().map_or(Value::Null, |h| to_hex(h))),
                    ("gitCommit", self.claims.git_commit.as_ref().map_or(Value::Null, |c| to_hex(c))),
                    ("release", self.claims.release.as_deref().map_or(Value::Null, Value::from)),
                ]),
            ),
            ("keys", object([("proof", to_hex(self.proof_key.as_bytes())), ("peer", to_hex(&self.peer_key))])),
            ("hmac", object([("anchor", to_hex(&self.hmac_anchor)), ("length", u64::from(self.hmac_length).into())])),
            ("log", Value::Null),
            ("releaseKeys", keys(&self.release_keys)),
            ("recovery", object([("kind", self.recovery.kind.into()), ("keys", keys(&self.recovery.keys))])),
            (
                "sealing",
                object([
                    ("pcrs", Value::Array(self.sealing_pcrs.iter().map(|p| u64::from(*p).into()).collect())),
                    ("floor", u64::from(self.sealing_floor).into()),
                ]),
            ),
            ("group", Value::Null),
        ]))
    }

    /// Reads carried bytes.
    ///
    /// # Errors
    /// [`DocumentError`] with the member's path.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DocumentError> {
        let value = parse_carried(bytes)?;
        let mut core = Members::of(&value, "core")?;
        let platform = core.word("platform", Platform::WORDS)?;
        let mut vtpm = core.object("vtpm")?;
        let mut claims = core.object("claims")?;
        let mut keys = core.object("keys")?;
        let mut hmac = core.object("hmac")?;
        let mut recovery = core.object("recovery")?;
        let mut sealing = core.object("sealing")?;
        let read = Self {
            instance: core.hex("instance")?,
            lineage: core.hex("lineage")?,
            platform: Platform::of(platform).ok_or_else(|| core.wrong("platform", "unknown platform"))?,
            boot: core.word("boot", BOOT_WORDS)?,
            vtpm: Vtpm {
                kind: vtpm.word("kind", VTPM_WORDS)?,
                ak_name: vtpm.hex_or_null("akName")?,
                ak_spki: match vtpm.nullable("akSpki")? {
                    None => None,
                    Some(value) => Some(
                        value
                            .as_str()
                            .and_then(crate::profile::from_base64)
                            .ok_or_else(|| vtpm.wrong("akSpki", "want base64 with padding, or null"))?,
                    ),
                },
                ek_name: vtpm.hex_or_null("ekName")?,
            },
            claims: Claims {
                code_hash: claims.hex_or_null("codeHash")?,
                git_commit: claims.hex_or_null("gitCommit")?,
                release: match claims.nullable("release")? {
                    None => None,
                    Some(value) => {
                        let name = value.as_str().ok_or_else(|| claims.wrong("release", "want a string, or null"))?;
                        Some(name.to_owned())
                    }
                },
            },
            proof_key: Ed25519Public::new(keys.hex("proof")?)
                .ok_or_else(|| keys.wrong("proof", "not a canonical Ed25519 key of full order"))?,
            peer_key: keys.hex("peer")?,
            hmac_anchor: hmac.hex("anchor")?,
            hmac_length: u32::try_from(hmac.integer("length")?)
                .ok()
                .filter(|length| *length == crate::hmac_chain::LENGTH)
                .ok_or_else(|| hmac.wrong("length", format!("want {}", crate::hmac_chain::LENGTH)))?,
            release_keys: public_keys(&mut core, "releaseKeys")?,
            recovery: Recovery {
                kind: recovery.word("kind", &["none", "escrow"])?,
                keys: public_keys(&mut recovery, "keys")?,
            },
            sealing_pcrs: pcrs(&mut sealing)?,
            sealing_floor: u32::try_from(sealing.integer("floor")?)
                .map_err(|_| sealing.wrong("floor", "want an integer below 2^32"))?,
        };
        core.null("log")?;
        core.null("group")?;
        for members in [vtpm, claims, keys, hmac, recovery, sealing, core] {
            members.finish()?;
        }
        Ok(read)
    }
}

/// `C = H("sealgate/core/v1", J(core))` over the carried bytes.
pub fn core_digest(bytes: &[u8]) -> Digest {
    hash(tag::CORE, &[bytes])
}

pub(crate) fn public_keys(members: &mut Members<'_>, name: &str) -> Result<Vec<Ed25519Public>, ShapeError> {
    let items = members.array(name)?;
    let keys: Option<Vec<_>> = items.iter().map(|item| Ed25519Public::new(hex_of(item)?)).collect();
    keys.ok_or_else(|| members.wrong(name, "want canonical Ed25519 keys of full order, 64 hexadecimal digits each"))
}

fn pcrs(sealing: &mut Members<'_>) -> Result<Vec<u8>, ShapeError> {
    let wanted = "want PCR numbers from 0 to 23, ascending";
    let mut read: Vec<u8> = Vec::new();
    for item in sealing.array("pcrs")? {
        let Value::Number(token) = item else { return Err(sealing.wrong("pcrs", wanted)) };
        match token.parse::<u8>() {
            Ok(pcr) if pcr < 24 && read.last().is_none_or(|last| *last < pcr) => read.push(pcr),
            _ => return Err(sealing.wrong("pcrs", wanted)),
        }
    }
    Ok(read)
}
