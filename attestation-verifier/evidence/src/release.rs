//! `release/v1`: what one release is and what machines that run it measure, signed by every release key (docs/WIRE.md,
//! "Release manifest"). Nothing is verified here: whose signatures count is the verifier's to say.

use crate::{
    core::{DocumentError, public_keys},
    frame::{Digest, t},
    json::{self, JsonError, Limits, Value, object},
    names::UnixSeconds,
    profile::{Members, ShapeError, hex_of, integer, j, j_within, parse_carried, plain, to_base64, to_hex},
    public_key::Ed25519Public,
    tag,
};

/// The longest file of a signed release: 64 KiB of manifest in base64, and its signatures.
pub const MAX_FILE_BYTES: usize = 96 * 1024;
/// Programs of one release.
pub const MAX_BINARIES: usize = 16;
/// Launch digests, and digests of service modules: one for each platform, vCPU type and number of vCPUs.
pub const MAX_LAUNCH_DIGESTS: usize = 128;
/// Paravisors.
pub const MAX_PARAVISORS: usize = 16;
/// Sets of registers: one for each way to boot.
pub const MAX_REGISTER_SETS: usize = 32;
/// Provenance statements.
pub const MAX_PROVENANCE: usize = 16;
/// Release keys, all of which sign.
pub const MAX_KEYS: usize = 8;
/// vCPUs of one machine.
pub const MAX_VCPUS: u64 = 768;
/// What a name is, for people.
const NAME: &str = "1 to 64 of A-Z a-z 0-9 . _ + -";

/// The program whose hash a core claims as `codeHash`.
pub const GATEWAY: &str = "enclave";

/// Registers that every set predicts.
pub const PREDICTED: [u8; 6] = [4, 7, 11, 12, 13, 14];
/// Registers that a set predicts if and only if GRUB boots the machine.
pub const GRUB: [u8; 2] = [8, 9];
/// Ways to boot in which registers say what runs; the words are those of a core's `boot`.
pub const REGISTER_BOOTS: &[&str] = &["svsm", "paravisor", "host"];

/// What all release keys sign.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReleaseManifest {
    /// Its name, which a core's `claims.release` repeats.
    pub name: String,
    /// The commit it was built from.
    pub git_commit: [u8; 20],
    /// SHA-256 of `git archive` of that commit.
    pub source_hash: Digest,
    /// The commit's time.
    pub created: UnixSeconds,
    /// SHA-256 of each program, [`GATEWAY`] among them; ascending by program.
    pub binaries: Vec<Binary>,
    /// MEASUREMENT of machines that boot it directly; ascending by measurement.
    pub launch_digests: Vec<LaunchDigest>,
    /// MEASUREMENT of the service modules (SVSM) it may run below, none of [`launch_digests`](Self::launch_digests);
    /// ascending by measurement.
    pub svsm_digests: Vec<LaunchDigest>,
    /// Paravisors it may run below; ascending.
    pub paravisors: Vec<ParavisorRow>,
    /// Registers of machines that run it, one set for each way to boot it; ascending by name.
    pub registers: Vec<Registers>,
    /// SHA-256 of the policy file that it is meant to be judged with.
    pub policy: Option<Digest>,
    /// SHA-256 of the script that it serves.
    pub script: Digest,
    /// SHA-256 of each provenance statement; ascending.
    pub provenance: Vec<Digest>,
    /// Who signs, all of them; ascending.
    pub release_keys: Vec<Ed25519Public>,
}

/// One program's file.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Binary {
    /// Its name.
    pub program: String,
    /// SHA-256 of the file.
    pub sha256: Digest,
}

/// A launch digest, and what it was computed for. The digest decides, the rest lets others compute it again.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LaunchDigest {
    /// MEASUREMENT.
    pub measurement: [u8; 48],
    /// Who launches: `qemu`, `ec2`, `gce`, in lower case.
    pub platform: String,
    /// Number of vCPUs, 1 to [`MAX_VCPUS`].
    pub vcpus: u64,
    /// Type of the vCPUs, if it takes part.
    pub vcpu_type: Option<String>,
    /// SEV_FEATURES, if they take part.
    pub guest_features: Option<u64>,
}

/// A family of paravisors by one signer, from a version on.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ParavisorRow {
    /// ID_KEY_DIGEST.
    pub id_key_digest: [u8; 48],
    /// FAMILY_ID.
    pub family_id: [u8; 16],
    /// IMAGE_ID.
    pub image_id: [u8; 16],
    /// Lowest GUEST_SVN.
    pub min_guest_svn: u32,
}

/// What a vTPM's SHA-256 registers hold on a machine that runs the release; 11 is that of the phase `leave-initrd`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Registers {
    /// Its name, for people.
    pub name: String,
    /// One of [`REGISTER_BOOTS`].
    pub boot: &'static str,
    /// Those of [`PREDICTED`], in that order.
    pub values: [Digest; 6],
    /// Those of [`GRUB`], if GRUB boots the machine.
    pub grub: Option<[Digest; 2]>,
}

impl ReleaseManifest {
    /// `J(release)`: the bytes that are signed. Lists are written in their order, whatever order they have here.
    ///
    /// # Errors
    /// More than 64 KiB, or a text outside the profile. What [`from_bytes`](Self::from_bytes) refuses beyond that is
    /// written all the same: read it back before you sign it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, JsonError> {
        fn list<T: Ord + Clone>(items: &[T], write: impl Fn(&T) -> Value) -> Value {
            let mut items = items.to_vec();
            items.sort_unstable();
            Value::Array(items.iter().map(write).collect())
        }
        let mut keys: Vec<_> = self.release_keys.iter().map(Ed25519Public::as_bytes).collect();
        keys.sort_unstable();
        j(&object([
            ("type", "release".into()),
            ("v", 1_u64.into()),
            ("name", self.name.as_str().into()),
            ("gitCommit", to_hex(&self.git_commit)),
            ("sourceHash", to_hex(&self.source_hash)),
            ("created", self.created.0.into()),
            (
                "binaries",
                list(&self.binaries, |of| {
                    object([("program", of.program.as_str().into()), ("sha256", to_hex(&of.sha256))])
                }),
            ),
            ("launchDigests", list(&self.launch_digests, launch_value)),
            ("svsmDigests", list(&self.svsm_digests, launch_value)),
            (
                "paravisors",
                list(&self.paravisors, |of| {
                    object([
                        ("idKeyDigest", to_hex(&of.id_key_digest)),
                        ("familyId", to_hex(&of.family_id)),
                        ("imageId", to_hex(&of.image_id)),
                        ("minGuestSvn", u64::from(of.min_guest_svn).into()),
                    ])
                }),
            ),
            ("registers", list(&self.registers, registers_value)),
            ("policy", self.policy.as_ref().map_or(Value::Null, |digest| to_hex(digest))),
            ("script", to_hex(&self.script)),
            ("provenance", list(&self.provenance, |digest| to_hex(digest))),
            ("releaseKeys", Value::Array(keys.into_iter().map(|key| to_hex(key)).collect())),
        ]))
    }

    /// Reads signed bytes.
    ///
    /// # Errors
    /// [`DocumentError`] with the member's path: not canonical, a member that is missing, unknown or of another shape, a
    /// list that is too long or not ascending.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DocumentError> {
        let value = parse_carried(bytes)?;
        let mut release = Members::of(&value, "release")?;
        let _: &str = release.word("type", &["release"])?;
        if release.integer("v")? != 1 {
            return Err(release.wrong("v", "want 1: this verifier knows no other version").into());
        }
        let read = Self {
            name: name(&mut release, "name")?,
            git_commit: release.hex("gitCommit")?,
            source_hash: release.hex("sourceHash")?,
            created: UnixSeconds(release.integer("created")?),
            binaries: ascending(&mut release, "binaries", MAX_BINARIES, binary, |of| of.program.clone())?,
            launch_digests: ascending(&mut release, "launchDigests", MAX_LAUNCH_DIGESTS, launch, |of| of.measurement)?,
            svsm_digests: ascending(&mut release, "svsmDigests", MAX_LAUNCH_DIGESTS, launch, |of| of.measurement)?,
            paravisors: ascending(&mut release, "paravisors", MAX_PARAVISORS, paravisor, |of| {
                (of.id_key_digest, of.family_id, of.image_id)
            })?,
            registers: ascending(&mut release, "registers", MAX_REGISTER_SETS, registers, |of| of.name.clone())?,
            policy: release.hex_or_null("policy")?,
            script: release.hex("script")?,
            provenance: digests(&mut release, "provenance", MAX_PROVENANCE)?,
            release_keys: keys(&mut release)?,
        };
        let launched = |of: &LaunchDigest| read.launch_digests.iter().any(|other| other.measurement == of.measurement);
        if read.svsm_digests.iter().any(launched) {
            // Whatever runs below that service module could then say that it was booted directly.
            let wanted =
                "want none that stands in launchDigests: a guest below a service module is not booted directly";
            return Err(release.wrong("svsmDigests", wanted).into());
        }
        if read.code_hash().is_none() {
            return Err(release.wrong("binaries", format!("want the program {GATEWAY} among them")).into());
        }
        release.finish()?;
        Ok(read)
    }

    /// SHA-256 of the gateway's program. A manifest that was read has one.
    pub fn code_hash(&self) -> Option<&Digest> {
        self.binaries.iter().find(|binary| binary.program == GATEWAY).map(|binary| &binary.sha256)
    }
}

/// What a release key signs, over the exact bytes of `J(release)`.
pub fn release_message(bytes: &[u8]) -> Vec<u8> {
    t(tag::RELEASE, &[bytes])
}

/// A manifest's bytes and who says that they signed them: a file of its own, and a member of a bundle.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedRelease {
    /// `J(release)`.
    pub bytes: Vec<u8>,
    /// `Sig(key, "sealgate/release/v1", J(release))`, each key once.
    pub signatures: Vec<ReleaseSignature>,
}

/// One signature, not verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReleaseSignature {
    /// Whose it says it is.
    pub key: Ed25519Public,
    /// Ed25519.
    pub value: [u8; 64],
}

impl SignedRelease {
    /// The file as a JSON value of profile `J`; signatures ascending by key.
    pub fn to_value(&self) -> Value {
        let mut signatures: Vec<_> = self.signatures.iter().collect();
        signatures.sort_unstable_by_key(|signature| signature.key.as_bytes());
        let signatures = signatures
            .into_iter()
            .map(|signature| object([("key", to_hex(signature.key.as_bytes())), ("value", to_hex(&signature.value))]));
        object([("release", to_base64(&self.bytes)), ("signatures", Value::Array(signatures.collect()))])
    }

    /// The file's bytes, canonical.
    ///
    /// # Errors
    /// Longer than [`MAX_FILE_BYTES`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, JsonError> {
        j_within(&self.to_value(), MAX_FILE_BYTES)
    }

    /// Reads a file, in any layout. The manifest in it is not looked at: [`ReleaseManifest::from_bytes`].
    ///
    /// # Errors
    /// Longer than [`MAX_FILE_BYTES`], not JSON of the profile, or a member that is missing, unknown or of another shape.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DocumentError> {
        let value = json::parse(bytes, &Limits { bytes: MAX_FILE_BYTES, ..Limits::OURS })?;
        let _in_profile = j_within(&value, MAX_FILE_BYTES)?;
        Ok(Self::of_value(&value, "file")?)
    }

    /// Reads the same object where it stands in another document, at `path`.
    pub(crate) fn of_value(value: &Value, path: &str) -> Result<Self, ShapeError> {
        let mut file = Members::of(value, path)?;
        let bytes = file.base64("release")?;
        if bytes.len() > Limits::OURS.bytes {
            return Err(
                file.wrong("release", format!("want at most {} bytes, found {}", Limits::OURS.bytes, bytes.len()))
            );
        }
        let mut signatures: Vec<ReleaseSignature> = Vec::new();
        let items = file.array("signatures")?;
        if items.len() > MAX_KEYS {
            return Err(file.wrong("signatures", format!("want at most {MAX_KEYS}, found {}", items.len())));
        }
        for (at, item) in items.iter().enumerate() {
            let mut members = Members::of(item, &format!("{path}.signatures[{at}]"))?;
            let key = Ed25519Public::new(members.hex("key")?)
                .ok_or_else(|| members.wrong("key", "not a canonical Ed25519 key of full order"))?;
            if signatures.last().is_some_and(|last| last.key.as_bytes() >= key.as_bytes()) {
                return Err(members.wrong("key", "want keys ascending, each once"));
            }
            signatures.push(ReleaseSignature { key, value: members.hex("value")? });
            members.finish()?;
        }
        file.finish()?;
        Ok(Self { bytes, signatures })
    }
}

fn launch_value(of: &LaunchDigest) -> Value {
    object([
        ("platform", of.platform.as_str().into()),
        ("vcpus", of.vcpus.into()),
        ("vcpuType", of.vcpu_type.as_deref().map_or(Value::Null, Value::from)),
        ("guestFeatures", of.guest_features.map_or(Value::Null, Value::from)),
        ("measurement", to_hex(&of.measurement)),
    ])
}

fn registers_value(of: &Registers) -> Value {
    let grub = of.grub.iter().flat_map(|values| GRUB.into_iter().zip(values));
    let mut pcrs: Vec<_> = PREDICTED.into_iter().zip(&of.values).chain(grub).collect();
    pcrs.sort_unstable_by_key(|(pcr, _)| *pcr);
    let pcrs = pcrs.into_iter().map(|(pcr, value)| object([("pcr", u64::from(pcr).into()), ("sha256", to_hex(value))]));
    object([("name", of.name.as_str().into()), ("boot", of.boot.into()), ("pcrs", Value::Array(pcrs.collect()))])
}

/// A list whose items stand in the order of `order`, no two of them equal in it: one set has one spelling.
fn ascending<'a, T, K: Ord>(
    members: &mut Members<'a>,
    name: &str,
    most: usize,
    read: impl Fn(&mut Members<'a>) -> Result<T, ShapeError>,
    order: impl Fn(&T) -> K,
) -> Result<Vec<T>, ShapeError> {
    let items = members.array(name)?;
    if items.len() > most {
        return Err(members.wrong(name, format!("want at most {most}, found {}", items.len())));
    }
    let mut list = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let mut one = Members::of(item, &members.path_of(&format!("{name}[{at}]")))?;
        list.push(read(&mut one)?);
        one.finish()?;
    }
    if !list.is_sorted_by(|a, b| order(a) < order(b)) {
        return Err(members.wrong(name, "want them ascending, each once"));
    }
    Ok(list)
}

fn binary(of: &mut Members<'_>) -> Result<Binary, ShapeError> {
    Ok(Binary { program: name(of, "program")?, sha256: of.hex("sha256")? })
}

fn launch(of: &mut Members<'_>) -> Result<LaunchDigest, ShapeError> {
    Ok(LaunchDigest {
        platform: name(of, "platform")?,
        vcpus: Some(of.integer("vcpus")?)
            .filter(|vcpus| (1..=MAX_VCPUS).contains(vcpus))
            .ok_or_else(|| of.wrong("vcpus", format!("want 1 to {MAX_VCPUS}")))?,
        vcpu_type: match of.nullable("vcpuType")? {
            None => None,
            Some(value) => Some(plain(value).ok_or_else(|| of.wrong("vcpuType", format!("want null, or {NAME}")))?),
        },
        guest_features: match of.nullable("guestFeatures")? {
            None => None,
            Some(value) => Some(integer(value).ok_or_else(|| of.wrong("guestFeatures", "want null, or an integer"))?),
        },
        measurement: of.hex("measurement")?,
    })
}

fn paravisor(of: &mut Members<'_>) -> Result<ParavisorRow, ShapeError> {
    Ok(ParavisorRow {
        id_key_digest: of.hex("idKeyDigest")?,
        family_id: of.hex("familyId")?,
        image_id: of.hex("imageId")?,
        min_guest_svn: u32::try_from(of.integer("minGuestSvn")?)
            .map_err(|_| of.wrong("minGuestSvn", "want an integer below 2^32"))?,
    })
}

fn registers(of: &mut Members<'_>) -> Result<Registers, ShapeError> {
    const WANTED: &str = "want registers 4, 7, 11, 12, 13 and 14, ascending, and 8 and 9 or neither";
    let (name, boot) = (name(of, "name")?, of.word("boot", REGISTER_BOOTS)?);
    let mut pcrs: Vec<(u64, Digest)> = Vec::new();
    for (at, item) in of.array("pcrs")?.iter().enumerate() {
        let mut one = Members::of(item, &of.path_of(&format!("pcrs[{at}]")))?;
        pcrs.push((one.integer("pcr")?, one.hex("sha256")?));
        one.finish()?;
    }
    let value = |register: u8| pcrs.iter().find(|(pcr, _)| *pcr == u64::from(register)).map(|(_, value)| *value);
    let (mut values, mut grub) = ([Digest::default(); 6], [Digest::default(); 2]);
    let grubs = GRUB.iter().filter(|register| value(**register).is_some()).count();
    let complete = PREDICTED.iter().all(|register| value(*register).is_some());
    if !complete || grubs == 1 || pcrs.len() != PREDICTED.len() + grubs || !pcrs.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(of.wrong("pcrs", WANTED));
    }
    for (into, register) in values.iter_mut().zip(PREDICTED).chain(grub.iter_mut().zip(GRUB)) {
        *into = value(register).unwrap_or_default();
    }
    Ok(Registers { name, boot, values, grub: (grubs == GRUB.len()).then_some(grub) })
}

/// A name: fit for a terminal, a file and a table.
fn name(members: &mut Members<'_>, member: &str) -> Result<String, ShapeError> {
    plain(members.value(member)?).ok_or_else(|| members.wrong(member, format!("want {NAME}")))
}

fn digests(members: &mut Members<'_>, name: &str, most: usize) -> Result<Vec<Digest>, ShapeError> {
    let read: Option<Vec<Digest>> = members.array(name)?.iter().map(hex_of).collect();
    read.filter(|digests| digests.len() <= most && digests.is_sorted_by(|a, b| a < b)).ok_or_else(|| {
        members.wrong(name, format!("want at most {most} digests, 64 hexadecimal digits each, ascending, each once"))
    })
}

fn keys(members: &mut Members<'_>) -> Result<Vec<Ed25519Public>, ShapeError> {
    let keys = public_keys(members, "releaseKeys")?;
    if keys.is_empty() || keys.len() > MAX_KEYS || !keys.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes()) {
        return Err(members.wrong("releaseKeys", format!("want 1 to {MAX_KEYS} keys, ascending, each once")));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Ed25519Public {
        Ed25519Public::new([byte; 32]).unwrap()
    }

    fn digest(number: u64) -> LaunchDigest {
        let mut measurement = [0xaa; 48];
        measurement[..8].copy_from_slice(&number.to_be_bytes());
        let (platform, vcpu_type) = ("qemu".to_owned(), Some("EPYC-Milan-v2".to_owned()));
        LaunchDigest { measurement, platform, vcpus: 1 + number % MAX_VCPUS, vcpu_type, guest_features: Some(1) }
    }

    fn set(name: &str, boot: &'static str) -> Registers {
        Registers { name: name.to_owned(), boot, values: PREDICTED.map(|pcr| [pcr; 32]), grub: None }
    }

    fn manifest() -> ReleaseManifest {
        ReleaseManifest {
            name: "1.0.0".to_owned(),
            git_commit: [0x91; 20],
            source_hash: [0x50; 32],
            created: UnixSeconds(1_795_219_200),
            binaries: ["bridge", GATEWAY].map(|name| Binary { program: name.to_owned(), sha256: [0xc0; 32] }).to_vec(),
            launch_digests: vec![digest(1), LaunchDigest { vcpu_type: None, guest_features: None, ..digest(2) }],
            svsm_digests: vec![digest(3)],
            paravisors: vec![ParavisorRow {
                id_key_digest: [1; 48],
                family_id: [2; 16],
                image_id: [3; 16],
                min_guest_svn: 12,
            }],
            registers: vec![
                Registers { grub: Some([[8; 32], [9; 32]]), ..set("grub", "host") },
                set("uki", "paravisor"),
            ],
            policy: Some([0x90; 32]),
            script: [0x5c; 32],
            provenance: vec![[1; 32], [2; 32]],
            release_keys: vec![key(2), key(3)],
        }
    }

    fn text() -> String {
        String::from_utf8(manifest().to_bytes().unwrap()).unwrap()
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_its_lists_have_one_order() {
        assert_eq!(ReleaseManifest::from_bytes(text().as_bytes()), Ok(manifest()));
        let mut shuffled = manifest();
        shuffled.binaries.reverse();
        shuffled.launch_digests.reverse();
        shuffled.registers.reverse();
        shuffled.provenance.reverse();
        shuffled.release_keys.reverse();
        assert_eq!(shuffled.to_bytes().unwrap(), text().into_bytes());
        assert_eq!(manifest().code_hash(), Some(&[0xc0; 32]));
        let bare = ReleaseManifest {
            launch_digests: vec![],
            svsm_digests: vec![],
            paravisors: vec![],
            registers: vec![],
            policy: None,
            provenance: vec![],
            ..manifest()
        };
        assert_eq!(ReleaseManifest::from_bytes(&bare.to_bytes().unwrap()), Ok(bare));
    }

    #[test]
    fn bytes_in_another_layout_are_refused() {
        let spaced = text().replacen(',', ", ", 1);
        let escaped = text().replacen("1.0.0", "1\\u002e0.0", 1);
        let unsorted = format!(r#"{{"v":1,{}"#, text().replacen(r#","v":1"#, "", 1).trim_start_matches('{'));
        for changed in [spaced, escaped, unsorted, text() + "\n"] {
            let error = ReleaseManifest::from_bytes(changed.as_bytes()).unwrap_err();
            assert!(matches!(error, DocumentError::Json(_)), "{error}");
        }
    }

    #[test]
    fn members_of_another_shape_are_refused_by_their_path() {
        let (one, two) = (format!("{:016x}", 1), format!("{:016x}", 2));
        let swapped = text().replace(&one, "x").replace(&two, &one).replace('x', &two);
        assert!(refused(&swapped).starts_with("release.launchDigests: want them ascending"), "{}", refused(&swapped));
        for (from, to, path) in [
            (r#""v":1"#, r#""v":2"#, "release.v"),
            (r#""type":"release""#, r#""type":"bundle""#, "release.type"),
            (r#""type":"#, r#""typf":"x","type":"#, "release.typf"),
            (r#""created":1795219200,"#, "", "release.created"),
            (r#""name":"1.0.0""#, r#""name":"1.0 0""#, "release.name"),
            (r#""name":"1.0.0""#, "\"name\":\"1.0.\u{43e}\"", "release.name"),
            (r#""name":"1.0.0""#, r#""name":"""#, "release.name"),
            (r#""name":"1.0.0""#, &format!(r#""name":"{}""#, "a".repeat(65)), "release.name"),
            (r#""program":"enclave""#, r#""program":"enclawe""#, "release.binaries"),
            (r#""program":"bridge""#, r#""program":"enclave""#, "release.binaries"),
            (r#""vcpus":2"#, r#""vcpus":0"#, "release.launchDigests[0].vcpus"),
            (r#""vcpus":2"#, r#""vcpus":769"#, "release.launchDigests[0].vcpus"),
            (r#""vcpus":2"#, r#""vcpus":2,"vmpl":0"#, "release.launchDigests[0].vmpl"),
            (r#""vcpuType":null"#, r#""vcpuType":1"#, "release.launchDigests[1].vcpuType"),
            (r#""guestFeatures":null"#, r#""guestFeatures":"1""#, "release.launchDigests[1].guestFeatures"),
            (r#""minGuestSvn":12"#, r#""minGuestSvn":4294967296"#, "release.paravisors[0].minGuestSvn"),
            (r#""boot":"paravisor""#, r#""boot":"launch""#, "release.registers[1].boot"),
            (r#""boot":"paravisor""#, r#""boot":"software""#, "release.registers[1].boot"),
            (r#""name":"uki""#, r#""name":"grub""#, "release.registers"),
            (r#""pcr":9"#, r#""pcr":10"#, "release.registers[0].pcrs"),
            (r#"{"pcr":9,"#, r#"{"pcr":8,"#, "release.registers[0].pcrs"),
            (r#"{"pcr":14,"#, r#"{"pcr":15,"#, "release.registers[0].pcrs"),
            (&"90".repeat(32), &"90".repeat(31), "release.policy"),
            (&"5c".repeat(32), &"5C".repeat(32), "release.script"),
            (&format!("\"{}\"", "01".repeat(32)), &format!("\"{}\"", "02".repeat(32)), "release.provenance"),
            (&format!("\"{}\"]", "02".repeat(32)), &format!("\"{}\"]", "00".repeat(32)), "release.provenance"),
            (r#""releaseKeys":["#, &format!(r#""releaseKeys":["{}","#, "00".repeat(32)), "release.releaseKeys"),
            (r#""releaseKeys":["#, &format!(r#""releaseKeys":["{}","#, "02".repeat(32)), "release.releaseKeys"),
        ] {
            let changed = text().replacen(from, to, 1);
            assert_ne!(changed, text(), "{from}");
            // Canonical again, so that the shape alone is at fault.
            let canonical = crate::canon(&json::parse(changed.as_bytes(), &Limits::OURS).unwrap());
            assert!(refused(&canonical).starts_with(path), "{to}: {}", refused(&canonical));
        }
        let nobody = ReleaseManifest { release_keys: vec![], ..manifest() }.to_bytes().unwrap();
        assert!(refused(std::str::from_utf8(&nobody).unwrap()).starts_with("release.releaseKeys"));
    }

    fn refused(text: &str) -> String {
        ReleaseManifest::from_bytes(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn lists_have_a_number_of_items_at_most() {
        type Fill = fn(&mut ReleaseManifest, usize);
        let counts: [(&str, usize, Fill); 7] = [
            ("binaries", MAX_BINARIES, |of, n| {
                of.binaries = std::iter::once(GATEWAY.to_owned())
                    .chain((1..n).map(|n| format!("p{n}")))
                    .map(|program| Binary { program, sha256: [0; 32] })
                    .collect();
            }),
            ("launchDigests", MAX_LAUNCH_DIGESTS, |of, n| {
                of.launch_digests = (1000..1000 + n as u64).map(digest).collect()
            }),
            ("svsmDigests", MAX_LAUNCH_DIGESTS, |of, n| {
                of.svsm_digests = (2000..2000 + n as u64).map(digest).collect()
            }),
            ("paravisors", MAX_PARAVISORS, |of, n| {
                let row = of.paravisors[0];
                of.paravisors = (0..n).map(|n| ParavisorRow { family_id: [n as u8; 16], ..row }).collect();
            }),
            ("registers", MAX_REGISTER_SETS, |of, n| {
                of.registers = (0..n).map(|n| set(&format!("s{n}"), "host")).collect();
            }),
            ("provenance", MAX_PROVENANCE, |of, n| of.provenance = (0..n).map(|n| [n as u8; 32]).collect()),
            ("releaseKeys", MAX_KEYS, |of, n| of.release_keys = (2..n + 2).map(|n| key(n as u8)).collect()),
        ];
        for (list, most, fill) in counts {
            for (count, taken) in [(most, true), (most + 1, false)] {
                let mut filled = manifest();
                fill(&mut filled, count);
                let read = ReleaseManifest::from_bytes(&filled.to_bytes().unwrap());
                assert_eq!(read.is_ok(), taken, "{count} {list}");
                if let Err(error) = read {
                    assert!(error.to_string().starts_with(&format!("release.{list}: want")), "{error}");
                }
            }
        }
        // A release with a digest for every machine is far from the limit of the whole.
        let mut full = manifest();
        for (_, most, fill) in counts.iter().filter(|(list, ..)| *list != "svsmDigests") {
            fill(&mut full, *most);
        }
        assert!(ReleaseManifest::from_bytes(&full.to_bytes().unwrap()).is_ok());
    }

    #[test]
    fn a_file_is_read_in_any_layout_and_names_each_key_once() {
        let signature = |byte| ReleaseSignature { key: key(byte), value: [byte; 64] };
        let file = SignedRelease { bytes: text().into_bytes(), signatures: vec![signature(2), signature(3)] };
        let bytes = file.to_bytes().unwrap();
        assert_eq!(SignedRelease::from_bytes(&bytes), Ok(file.clone()));
        let spaced = String::from_utf8(bytes).unwrap().replace(',', " ,\n ");
        assert_eq!(SignedRelease::from_bytes(spaced.as_bytes()), Ok(file.clone()));
        let unsigned = SignedRelease { signatures: vec![], ..file.clone() };
        assert_eq!(SignedRelease::from_bytes(&unsigned.to_bytes().unwrap()), Ok(unsigned));
        let refused =
            |file: &SignedRelease| SignedRelease::from_bytes(&file.to_bytes().unwrap()).unwrap_err().to_string();
        let twice = SignedRelease { signatures: vec![signature(2), signature(2)], ..file.clone() };
        assert!(refused(&twice).starts_with("file.signatures[1].key: want keys ascending, each once"));
        let many = SignedRelease { signatures: (2..11).map(signature).collect(), ..file.clone() };
        assert!(refused(&many).starts_with("file.signatures: want at most 8, found 9"));
        let longest = SignedRelease { bytes: vec![b' '; 64 * 1024], ..file.clone() };
        assert_eq!(SignedRelease::from_bytes(&longest.to_bytes().unwrap()), Ok(longest));
        let longer = SignedRelease { bytes: vec![b' '; 64 * 1024 + 1], ..file.clone() };
        assert!(refused(&longer).starts_with("file.release: want at most 65536 bytes, found 65537"));
        let long = SignedRelease { bytes: vec![b' '; MAX_FILE_BYTES], ..file };
        assert!(long.to_bytes().is_err());
        assert!(SignedRelease::from_bytes(&[b' '; MAX_FILE_BYTES + 1]).is_err());
        assert!(SignedRelease::from_bytes(br#"{"release":"e30=","signatures":[],"threshold":1}"#).is_err());
    }
}
