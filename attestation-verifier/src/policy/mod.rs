//! What a relying party asks of a report. A preset, or a TOML file in which every field is written: leaving one out is
//! an error and never switches a check off. `policy/strict.toml` is the strict preset as such a file.

pub(crate) mod checks;

use serde::Deserialize;

use crate::{Grade, Product, Tcb, VekKind};

/// A value may be anything, or one of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Accept<T> {
    /// Not looked at; the check says `not_checked`.
    Any,
    /// One of these.
    OneOf(Vec<T>),
}

/// Something the guest's owner may allow the host.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Allowance {
    /// Fine either way.
    Allow,
    /// The bit must be zero.
    Refuse,
}

/// Something that may have to be so.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Demand {
    /// The bit must be one.
    Require,
    /// Fine either way.
    Any,
}

/// Claims that may stay open.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// `not_checked` is a rejection.
    Required,
    /// `not_checked` is reported, and no more.
    Optional,
}

/// What a list does that cannot vouch for the time of verification.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum StaleCrl {
    /// Rejects: whoever names a list wants it to be able to say no.
    Refuse,
    /// `revocation` is `not_checked`; what the list revokes stays revoked.
    Report,
}

/// Bits of the guest policy.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct GuestRules {
    /// The host may read and write the guest.
    pub debug: Allowance,
    /// A migration agent may move it.
    pub migration_agent: Allowance,
    /// Simultaneous multithreading.
    pub smt: Allowance,
    /// CXL devices.
    pub cxl: Allowance,
    /// Only on one socket.
    pub single_socket: Demand,
    /// Memory encryption with AES-256-XTS.
    pub aes_256_xts: Demand,
    /// RAPL off.
    pub rapl_off: Demand,
    /// Ciphertext hiding on.
    pub ciphertext_hiding: Demand,
    /// No page swapping by firmware command.
    pub page_swap_off: Demand,
}

/// Bits of the platform information.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct PlatformRules {
    /// Simultaneous multithreading is on.
    pub smt: Allowance,
    /// Transparent memory encryption is on.
    pub tsme: Demand,
    /// ECC memory.
    pub ecc: Demand,
    /// Memory aliases were looked for (BadRAM, AMD-SB-3015); reports of version 2 cannot show it.
    pub alias_check: Demand,
    /// Ciphertext hiding is on.
    pub ciphertext_hiding: Demand,
}

/// Lowest firmware levels, held against REPORTED_TCB, COMMITTED_TCB and LAUNCH_TCB.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Floors {
    /// On Milan.
    pub milan: Option<Tcb>,
    /// On Genoa, Bergamo, Siena.
    pub genoa: Option<Tcb>,
    /// On Turin.
    pub turin: Option<Tcb>,
}

impl Floors {
    /// The floor for a product.
    pub fn of(&self, product: Product) -> Option<Tcb> {
        match product {
            Product::Milan => self.milan,
            Product::Genoa => self.genoa,
            Product::Turin => self.turin,
        }
    }
}

/// What a relying party asks of a report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// Products accepted.
    pub products: Vec<Product>,
    /// Kinds of endorsement key accepted.
    pub keys: Vec<VekKind>,
    /// Privilege levels accepted; the host's own reports never are.
    pub vmpl: Vec<u8>,
    /// COMMITTED_TCB below CURRENT_TCB: the host may still go back.
    pub provisional_firmware: Allowance,
    /// Does the caller have to say which REPORT_DATA it expects?
    pub report_data: Need,
    /// Does a proof that claims a payment have to show that it was settled, or released for a failed call?
    pub settlement: Need,
    /// Does a list have to show that the intermediate is not revoked?
    pub revocation: Need,
    /// See [`StaleCrl`].
    pub stale_crl: StaleCrl,
    /// Lowest GUEST_SVN.
    pub min_guest_svn: u32,
    /// See [`GuestRules`].
    pub guest: GuestRules,
    /// See [`PlatformRules`].
    pub platform: PlatformRules,
    /// See [`Floors`].
    pub min_tcb: Floors,
    /// Launch digests.
    pub measurements: Accept<[u8; 48]>,
    /// What the host said at launch.
    pub host_data: Accept<[u8; 32]>,
    /// Keys that signed the ID block.
    pub id_keys: Accept<[u8; 48]>,
    /// Keys that signed the ID key.
    pub author_keys: Accept<[u8; 48]>,
    /// Chips: 64 bytes, or Turin's 8.
    pub chips: Accept<Vec<u8>>,
    /// Cloud providers named by a VLEK.
    pub providers: Accept<String>,
    /// Lowest grade of code identity of a bundle or proof; a bare report has none. A test root waives it.
    pub code: Grade,
}

impl Policy {
    /// Signed by AMD's silicon at privilege level 0, not debuggable, not migratable. It asks for no particular code:
    /// that is what `code-unknown` in the verdict says.
    pub fn strict() -> Self {
        use {Allowance as A, Demand as D};
        Self {
            products: Product::ALL.to_vec(),
            keys: vec![VekKind::Vcek, VekKind::Vlek],
            vmpl: vec![0],
            provisional_firmware: A::Allow,
            report_data: Need::Optional,
            settlement: Need::Optional,
            revocation: Need::Optional,
            stale_crl: StaleCrl::Refuse,
            min_guest_svn: 0,
            guest: GuestRules {
                debug: A::Refuse,
                migration_agent: A::Refuse,
                smt: A::Allow,
                cxl: A::Allow,
                single_socket: D::Any,
                aes_256_xts: D::Any,
                rapl_off: D::Any,
                ciphertext_hiding: D::Any,
                page_swap_off: D::Any,
            },
            platform: PlatformRules {
                smt: A::Allow,
                tsme: D::Any,
                ecc: D::Any,
                alias_check: D::Any,
                ciphertext_hiding: D::Any,
            },
            min_tcb: Floors { milan: None, genoa: None, turin: None },
            measurements: Accept::Any,
            host_data: Accept::Any,
            id_keys: Accept::Any,
            author_keys: Accept::Any,
            chips: Accept::Any,
            providers: Accept::Any,
            code: Grade::Vendor,
        }
    }

    /// Reads a policy file.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        let raw: Raw = toml::from_str(text).map_err(|error| PolicyError::Toml(error.to_string()))?;
        if raw.version != 1 {
            return Err(PolicyError::Version { found: raw.version });
        }
        let floors = raw.min_tcb;
        Ok(Self {
            products: names("products", &raw.products, |name| Product::ALL.into_iter().find(|p| p.name() == name))?,
            keys: names("keys", &raw.keys, |name| {
                [VekKind::Vcek, VekKind::Vlek].into_iter().find(|k| k.name() == name)
            })?,
            vmpl: match raw.vmpl.iter().find(|level| **level > 3) {
                Some(_) => return Err(PolicyError::Value { field: "vmpl", wanted: "levels 0 to 3" }),
                None => raw.vmpl,
            },
            provisional_firmware: raw.provisional_firmware,
            report_data: raw.report_data,
            settlement: raw.settlement,
            revocation: raw.revocation,
            stale_crl: raw.stale_crl,
            min_guest_svn: raw.min_guest_svn,
            guest: raw.guest,
            platform: raw.platform,
            min_tcb: Floors {
                milan: floors.milan.tcb("min_tcb.milan", false)?,
                genoa: floors.genoa.tcb("min_tcb.genoa", false)?,
                turin: floors.turin.tcb("min_tcb.turin", true)?,
            },
            measurements: raw.measurements.bytes("measurements")?,
            host_data: raw.host_data.bytes("host_data")?,
            id_keys: raw.id_keys.bytes("id_keys")?,
            author_keys: raw.author_keys.bytes("author_keys")?,
            chips: raw.chips.accept("chips", "\"any\" or a list of 128 or 16 hexadecimal digits each", |text| {
                hex::decode(text).ok().filter(|chip| matches!(chip.len(), 8 | 64))
            })?,
            providers: raw.providers.accept("providers", "\"any\" or a list of names", |text| Some(text.to_owned()))?,
            code: [Grade::None, Grade::Host, Grade::Vendor, Grade::Hardware]
                .into_iter()
                .find(|grade| grade.name() == raw.code)
                .ok_or(PolicyError::Value { field: "code", wanted: "none, host, vendor or hardware" })?,
        })
    }
}

/// The file. Nothing has a default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    version: u32,
    products: Vec<String>,
    keys: Vec<String>,
    vmpl: Vec<u8>,
    provisional_firmware: Allowance,
    report_data: Need,
    settlement: Need,
    revocation: Need,
    stale_crl: StaleCrl,
    min_guest_svn: u32,
    guest: GuestRules,
    platform: PlatformRules,
    min_tcb: RawFloors,
    measurements: RawAccept,
    host_data: RawAccept,
    id_keys: RawAccept,
    author_keys: RawAccept,
    chips: RawAccept,
    providers: RawAccept,
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFloors {
    milan: RawFloor,
    genoa: RawFloor,
    turin: RawFloor,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawFloor {
    Word(String),
    Levels(RawTcb),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTcb {
    fmc: Option<u8>,
    bootloader: u8,
    tee: u8,
    snp: u8,
    microcode: u8,
}

impl RawFloor {
    fn tcb(self, field: &'static str, has_fmc: bool) -> Result<Option<Tcb>, PolicyError> {
        match self {
            Self::Word(word) if word == "any" => Ok(None),
            Self::Levels(RawTcb { fmc, bootloader, tee, snp, microcode }) if fmc.is_some() == has_fmc => {
                Ok(Some(Tcb { fmc, bootloader, tee, snp, microcode }))
            }
            _ => Err(PolicyError::Value {
                field,
                wanted: "\"any\" or a table of bootloader, tee, snp, microcode, and on Turin fmc",
            }),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawAccept {
    Word(String),
    List(Vec<String>),
}

impl RawAccept {
    fn accept<T>(
        self,
        field: &'static str,
        wanted: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Accept<T>, PolicyError> {
        let wrong = PolicyError::Value { field, wanted };
        match self {
            Self::Word(word) if word == "any" => Ok(Accept::Any),
            Self::List(list) if !list.is_empty() => {
                list.iter().map(|text| parse(text)).collect::<Option<_>>().map(Accept::OneOf).ok_or(wrong)
            }
            _ => Err(wrong),
        }
    }

    fn bytes<const N: usize>(self, field: &'static str) -> Result<Accept<[u8; N]>, PolicyError> {
        self.accept(field, "\"any\" or a list of hexadecimal values of the field's length", |text| {
            hex::decode(text).ok()?.try_into().ok()
        })
    }
}

fn names<T>(field: &'static str, list: &[String], find: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, PolicyError> {
    list.iter()
        .map(|name| find(name))
        .collect::<Option<_>>()
        .ok_or(PolicyError::Value { field, wanted: "names such as \"Milan\" and \"VCEK\"" })
}

/// A policy file that is not one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Not TOML, or a field is missing, unknown or of the wrong type.
    #[error("policy: {0}")]
    Toml(String),
    /// A version other than 1.
    #[error("policy.version: {found}, known is 1")]
    Version {
        /// As found.
        found: u32,
    },
    /// A field with a value it does not have.
    #[error("policy.{field}: want {wanted}")]
    Value {
        /// The field.
        field: &'static str,
        /// What it takes.
        wanted: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: &str = include_str!("../../policy/strict.toml");

    #[test]
    fn the_strict_file_is_the_strict_preset() {
        assert_eq!(Policy::from_toml(STRICT), Ok(Policy::strict()));
    }

    #[test]
    fn a_field_left_out_is_an_error_whichever_it_is() {
        let table: toml::Table = STRICT.parse().unwrap();
        let check = |table: &toml::Table, name: &str| {
            let text = toml::to_string(table).unwrap();
            assert!(matches!(Policy::from_toml(&text), Err(PolicyError::Toml(_))), "{name} may be left out");
        };
        for (name, value) in &table {
            let mut without = table.clone();
            without.remove(name);
            check(&without, name);
            for member in value.as_table().map(|t| t.keys().cloned().collect::<Vec<_>>()).unwrap_or_default() {
                let mut without = table.clone();
                without[name].as_table_mut().unwrap().remove(&member);
                check(&without, &format!("{name}.{member}"));
            }
        }
    }

    #[test]
    fn a_field_we_do_not_know_is_an_error() {
        assert!(Policy::from_toml(&format!("colour = \"blue\"\n{STRICT}")).is_err());
        assert!(Policy::from_toml(&STRICT.replace("[guest]", "[guest]\ncolour = 1")).is_err());
    }

    #[test]
    fn a_value_a_field_does_not_have_is_an_error() {
        for (from, to) in [
            ("version = 1", "version = 2"),
            ("vmpl = [0]", "vmpl = [4]"),
            ("\"Milan\"", "\"Rome\""),
            ("measurements = \"any\"", "measurements = []"),
            ("measurements = \"any\"", "measurements = \"none\""),
            ("measurements = \"any\"", "measurements = [\"00\"]"),
            ("chips = \"any\"", "chips = [\"00\"]"),
            ("milan = \"any\"", "milan = { fmc = 1, bootloader = 1, tee = 1, snp = 1, microcode = 1 }"),
            ("turin = \"any\"", "turin = { bootloader = 1, tee = 1, snp = 1, microcode = 1 }"),
        ] {
            let text = STRICT.replacen(from, to, 1);
            assert_ne!(text, STRICT, "{from}");
            assert!(Policy::from_toml(&text).is_err(), "{to}");
        }
        let floor = STRICT.replace("milan = \"any\"", "milan = { bootloader = 4, tee = 0, snp = 24, microcode = 219 }");
        let policy = Policy::from_toml(&floor).unwrap();
        assert_eq!(policy.min_tcb.milan, Some(Tcb { fmc: None, bootloader: 4, tee: 0, snp: 24, microcode: 219 }));
    }
}
