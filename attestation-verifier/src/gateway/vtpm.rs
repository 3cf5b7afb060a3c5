//! What a bundle shows of its vTPM: who runs it, how its key hangs on the report, what it quotes, and what the firmware's
//! log explains of that (docs/WIRE.md, section 1).

use evidence::{
    Digest,
    bundle::{Bundle, CarriedQuote},
    core::{Core, Platform},
    report_data::{core_register, quote_data},
};
use sha2::{Digest as _, Sha256};

use crate::{
    BootKind, ClaimsError, Class, Crypto, Hcl, Outcome, QuoteError, Registers, RuntimeClaims, SignatureForm,
    SignedQuote, SvsmManifest, TpmKey, Unverified, VtpmKind,
    appraisal::{Checks, LAST},
    gateway::bundle::short,
    policy::checks as policy_checks,
    vtpm::{
        AttestError,
        explained_log::{self, Word},
    },
};

/// Registers that every quote of ours selects.
const ALWAYS: [u8; 7] = [4, 7, 11, 12, 13, 14, 15];
/// Registers that it selects as well where GRUB boots the machine.
const WITH_GRUB: [u8; 9] = [4, 7, 8, 9, 11, 12, 13, 14, 15];
/// Holds C.
const CORE_REGISTER: u8 = 15;
/// TPM_RH_ENDORSEMENT, TPM_RH_OWNER, TPM_RH_PLATFORM.
const HIERARCHIES: [u32; 3] = [0x4000_000B, 0x4000_0001, 0x4000_000C];

/// What is wrong: in which row, of which class, and what to do.
pub(crate) struct Fault {
    pub(crate) row: &'static str,
    pub(crate) class: Class,
    pub(crate) detail: String,
    pub(crate) fix: &'static str,
}

/// Parts of a bundle that are read before anything is judged.
pub(crate) struct Parts<'a> {
    pub(crate) key: Option<TpmKey>,
    pub(crate) hcl: Option<Hcl<'a>>,
    pub(crate) manifest: Option<SvsmManifest<'a>>,
}

impl<'a> Parts<'a> {
    /// Which part is none, and why.
    pub(crate) fn read(bundle: &'a Bundle, core: &Core) -> Result<Self, (&'static str, String)> {
        let key = core.vtpm.ak_spki.as_deref().map(TpmKey::from_spki).transpose();
        let hcl = bundle.hcl.as_deref().map(Hcl::parse).transpose();
        let manifest = bundle.svsm_manifest.as_deref().map(SvsmManifest::parse).transpose();
        Ok(Self {
            key: key.map_err(|error| ("core", format!("core.vtpm.akSpki: {error}")))?,
            hcl: hcl.map_err(|error| ("runtime-data", format!("bundle.hcl: {error}")))?,
            manifest: manifest.map_err(|error| ("services-manifest", format!("bundle.svsmManifest: {error}")))?,
        })
    }
}

/// How the boot report is bound to RD.
pub(crate) enum Bound<'a> {
    /// REPORT_DATA = RD.
    Plainly,
    /// REPORT_DATA = SHA-512(RD ‖ manifest).
    WithManifest(&'a SvsmManifest<'a>),
    /// REPORT_DATA is the hash of runtime claims, which hold RD.
    ByClaims {
        /// The claims, if REPORT_DATA is their hash.
        claims: Option<&'a [u8]>,
        /// REPORT_DATA as found.
        found: [u8; 64],
    },
}

impl<'a> Bound<'a> {
    pub(crate) fn of(parts: &'a Parts<'a>, report: &[u8]) -> Self {
        if let Some(hcl) = &parts.hcl {
            let found = report.get(0x50..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; 64]);
            return Self::ByClaims { claims: hcl.claims(&found), found };
        }
        parts.manifest.as_ref().map_or(Self::Plainly, Self::WithManifest)
    }

    /// What REPORT_DATA must be.
    pub(crate) fn report_data(&self, rd: &[u8; 64]) -> [u8; 64] {
        match self {
            Self::Plainly => *rd,
            Self::WithManifest(manifest) => manifest.report_data(rd),
            // Compared with the claims, and the claims with RD, in a row of their own.
            Self::ByClaims { found, .. } => *found,
        }
    }
}

/// The vTPM of a bundle under judgement.
pub(crate) struct Vtpm<'a, C> {
    pub(crate) bundle: &'a Bundle,
    pub(crate) parts: &'a Parts<'a>,
    pub(crate) core: &'a Core,
    pub(crate) c: &'a Digest,
    pub(crate) crypto: &'a C,
}

impl<C: Crypto> Vtpm<'_, C> {
    pub(crate) fn kind(&self) -> VtpmKind {
        VtpmKind::of(self.core.vtpm.kind).unwrap_or(VtpmKind::None)
    }

    /// Row `vtpm`: what the core says of it must be what the evidence shows. Rows of its binding follow.
    /// `holds`: chain and signature do. `vouched`: something but the core says who runs it.
    pub(crate) fn check(&self, bound: &Bound<'_>, holds: bool, vouched: bool, checks: &mut Checks) {
        const FIX: &str = "core and evidence are of different machines; fetch the bundle again";
        if let Some(detail) = self.misfit() {
            checks.fail("vtpm", Class::Binding, detail, FIX);
        } else if self.bundle.quote.is_some() && !vouched {
            let (kind, why) = (self.kind(), policy_checks::by_its_own_word(self.kind()));
            checks.note("vtpm", Class::Binding, &format!("kind {kind}, by the core's own word: {why}"));
        } else if self.bundle.quote.is_some() {
            checks.pass("vtpm", Class::Binding, format!("kind {}: {}", self.kind(), worth(self.kind())));
        } else {
            let detail = format!("kind {}: the evidence shows nothing of it", self.kind());
            checks.note("vtpm", Class::Binding, &detail);
        }
        match bound {
            Bound::Plainly => {}
            Bound::WithManifest(manifest) => {
                let covered = checks.find("core").is_some_and(|row| row.outcome == Outcome::Pass);
                self.check_manifest(manifest, holds && covered, checks);
            }
            Bound::ByClaims { claims, .. } => self.check_claims(*claims, holds, checks),
        }
    }

    /// Where core and evidence contradict each other.
    fn misfit(&self) -> Option<String> {
        let (kind, platform) = (self.kind(), self.core.platform);
        let boot = BootKind::of(self.core.boot).unwrap_or(BootKind::Software);
        let named = self.core.vtpm.ak_spki.is_some();
        let fresh_quote = self.bundle.fresh.as_ref().is_some_and(|fresh| fresh.quote.is_some());
        let goes_with = match boot {
            BootKind::Paravisor => kind == VtpmKind::Paravisor,
            BootKind::Svsm => kind == VtpmKind::Svsm,
            BootKind::Host => matches!(kind, VtpmKind::Host | VtpmKind::None),
            BootKind::Software => matches!(kind, VtpmKind::Software | VtpmKind::Host | VtpmKind::None),
            BootKind::Launch => matches!(kind, VtpmKind::Host | VtpmKind::Software | VtpmKind::None),
        };
        let is_azure = boot == BootKind::Paravisor;
        let has = |part: bool| if part { "has" } else { "lacks" };
        if !goes_with {
            Some(format!("the core says boot \"{}\" with a vTPM of kind \"{kind}\", which no machine has", boot.name()))
        } else if platform != Platform::Simulated && is_azure != (platform == Platform::Azure) {
            Some(format!("the core says boot \"{}\" on platform \"{}\"", boot.name(), platform.as_str()))
        } else if is_azure != self.bundle.hcl.is_some() {
            Some(format!("the core says boot \"{}\", and the bundle {} hcl", boot.name(), has(!is_azure)))
        } else if (boot == BootKind::Svsm) != self.bundle.svsm_manifest.is_some() {
            let has = has(boot != BootKind::Svsm);
            Some(format!("the core says boot \"{}\", and the bundle {has} svsmManifest", boot.name()))
        } else if kind == VtpmKind::None && named {
            Some("the core says that there is no vTPM, and names its key".to_owned())
        } else if self.core.vtpm.ak_name.is_some() && !named {
            Some("the core has akName without akSpki".to_owned())
        } else if matches!(kind, VtpmKind::Paravisor | VtpmKind::Svsm) && !named {
            Some(format!("the core says kind \"{kind}\" and names no attestation key"))
        } else if named != self.bundle.quote.is_some() {
            let (core, bundle) = if named { ("names", "lacks") } else { ("does not name", "has") };
            Some(format!("the core {core} an attestation key, and the bundle {bundle} a quote"))
        } else if fresh_quote && !named {
            Some("bundle.fresh has a quote, and the core names no attestation key".to_owned())
        } else {
            None
        }
    }

    /// Row `services-manifest`. That REPORT_DATA covers the manifest is in row `core`.
    fn check_manifest(&self, manifest: &SvsmManifest<'_>, vouched: bool, checks: &mut Checks) {
        const ROW: &str = "services-manifest";
        const FIX: &str = "core and manifest are of different machines; fetch the bundle again";
        if !vouched {
            checks.open(ROW, LAST, "nothing vouches for it");
            return;
        }
        match manifest.endorsement_key() {
            Err(error) => checks.fail(ROW, Class::Malformed, format!("bundle.svsmManifest: {error}"), error.fix()),
            Ok(ek) if self.core.vtpm.ek_name.is_some_and(|name| name != *ek.name()) => {
                let detail = "core.vtpm.ekName is not the Name of the manifest's endorsement key".to_owned();
                checks.fail(ROW, Class::Binding, detail, FIX);
            }
            Ok(ek) => {
                let detail = format!("the report covers it; it names the vTPM's endorsement key, {}", ek.key());
                checks.pass(ROW, Class::Binding, detail);
            }
        }
        let detail = "nothing that a stranger can check shows that the key of the quote is in this vTPM";
        checks.note("attestation-key", Class::Binding, detail);
    }

    /// Row `runtime-data`: Azure's claims. That they hold RD is in row `core`.
    fn check_claims(&self, claims: Option<&[u8]>, vouched: bool, checks: &mut Checks) {
        const ROW: &str = "runtime-data";
        if !vouched {
            checks.open(ROW, LAST, "nothing vouches for it");
            return;
        }
        match self.read_claims(claims) {
            Ok(detail) => checks.pass(ROW, Class::Binding, detail),
            Err(fault) => checks.fail(ROW, fault.class, fault.detail, fault.fix),
        }
    }

    fn read_claims(&self, claims: Option<&[u8]>) -> Result<String, Fault> {
        const AGAIN: &str = "read vTPM index 0x01400001 again, whole, after the user data was written";
        let fault = |class, detail: &str, fix| Fault { row: "runtime-data", class, detail: detail.to_owned(), fix };
        let report = self.parts.hcl.map(|hcl| *hcl.report().bytes());
        if report.is_none_or(|report| report[..] != self.bundle.boot.report[..]) {
            return Err(fault(Class::Binding, "bundle.hcl holds another report than bundle.boot", AGAIN));
        }
        let Some(bytes) = claims else {
            return Err(fault(
                Class::Binding,
                "report.REPORT_DATA is not the hash of the blob's runtime claims",
                AGAIN,
            ));
        };
        let claims = RuntimeClaims::parse(bytes).map_err(|error| refused(&error))?;
        claims.complete().map_err(|error| refused(&error))?;
        if Some(claims.ak()) != self.parts.key.as_ref() {
            let detail = "runtime claims: HCLAkPub is not core.vtpm.akSpki";
            return Err(fault(
                Class::Binding,
                detail,
                "the gateway named another key than this VM's: do not rely on it",
            ));
        }
        Ok(format!("REPORT_DATA is the hash of {} bytes of claims, which name the core's attestation key", bytes.len()))
    }

    /// Does the claims' user data hold RD? `None`: there are no claims to look at.
    pub(crate) fn user_data_is(&self, claims: Option<&[u8]>, rd: &[u8; 64]) -> Option<bool> {
        let claims = RuntimeClaims::parse(claims?).ok()?;
        Some(claims.user_data() == Some(rd))
    }

    /// Rows `quote` and `pcrs` of the boot; the registers, if the key of the core quotes them.
    pub(crate) fn check_boot_quote(&self, rd: &[u8; 64], checks: &mut Checks) -> Option<Registers> {
        let carried = self.bundle.quote.as_ref()?;
        let (quote, registers) = match self.quoted(carried, rd) {
            Ok(found) => found,
            Err(fault) => {
                let rest = if fault.row == "quote" { "pcrs" } else { "quote" };
                if rest == "quote" {
                    checks.pass(
                        "quote",
                        Class::Binding,
                        "signed by the core's attestation key, over Q of RD".to_owned(),
                    );
                }
                checks.fail(fault.row, fault.class, format!("bundle.quote: {}", fault.detail), fault.fix);
                if rest == "pcrs" {
                    checks.open("pcrs", LAST, "no quote that holds signs them");
                }
                return None;
            }
        };
        checks.pass("quote", Class::Binding, quote);
        let numbers: Vec<String> = registers.iter().map(|(register, _)| register.to_string()).collect();
        let detail = format!("{} as signed, 15 holds core {}", numbers.join(" "), short(self.c));
        checks.pass("pcrs", Class::Binding, detail);
        Some(registers)
    }

    /// A quote over Q of this RD by the core's key: what can be said of it, and its registers.
    pub(crate) fn quoted(&self, carried: &CarriedQuote, rd: &[u8; 64]) -> Result<(String, Registers), Fault> {
        const AGAIN: &str = "fetch the bundle again";
        let fault = |row, class, detail: String, fix| Fault { row, class, detail, fix };
        let Some(key) = &self.parts.key else {
            return Err(fault("quote", Class::Binding, "the core names no key that could sign it".to_owned(), AGAIN));
        };
        let signed = SignedQuote { attest: &carried.attest, signature: &carried.signature, form: SignatureForm::Tpm };
        let quote = Unverified(signed).verify(key, self.crypto).map_err(|error| refused_quote(&error))?;
        if quote.extra_data() != quote_data(rd) {
            let detail = "its extraData is not Q of this report data: it was made for something else".to_owned();
            return Err(fault("quote", Class::Binding, detail, AGAIN));
        }
        let selection = quote.selection();
        if selection != ALWAYS && selection != WITH_GRUB {
            let found: Vec<String> = selection.iter().map(u8::to_string).collect();
            let detail = format!("it signs PCRs {}, want 4 7 11-15, with or without 8 and 9", found.join(" "));
            return Err(fault("pcrs", Class::Binding, detail, AGAIN));
        }
        let registers = quote.registers(&carried.pcrs).map_err(|error| refused_quote(&error))?;
        if registers.value(CORE_REGISTER) != Some(&core_register(self.c)) {
            let detail = "PCR 15 does not hold this core alone".to_owned();
            let fix = "the core is not the one that this machine closed its registers with: do not rely on it";
            return Err(fault("pcrs", Class::Binding, detail, fix));
        }
        let primary = self.core.vtpm.ak_name.is_some_and(|name| is_primary(&name, quote.qualified_signer()));
        let named = if primary { ", whose Name is the core's akName" } else { "" };
        Ok((format!("by the core's attestation key ({key}, {}){named}, over Q of RD", quote.scheme()), registers))
    }

    /// Row `event-log`: whatever it says, it decides nothing.
    pub(crate) fn check_event_log(&self, registers: Option<&Registers>, checks: &mut Checks) {
        let Some(log) = &self.bundle.event_log else { return };
        let explained = registers.map(|registers| explained_log::explain(log, &registers.to_set(), Word::Quote));
        let detail = match explained {
            None => "no quote signs the registers that it would explain: nothing in it is believed".to_owned(),
            Some(Err(refused)) => format!("nothing in it is believed: {}", refused.detail),
            Some(Ok((_, detail))) => {
                checks.pass("event-log", Class::Binding, detail);
                return;
            }
        };
        checks.note("event-log", Class::Binding, &detail);
    }
}

/// Is this the qualified name of a primary key of that Name (TPM 2.0 part 1, section 16)?
fn is_primary(name: &[u8; 34], qualified: &[u8]) -> bool {
    HIERARCHIES.into_iter().any(|handle| {
        let digest = Sha256::new().chain_update(handle.to_be_bytes()).chain_update(name).finalize();
        qualified.strip_prefix(&[0x00, 0x0B]) == Some(&digest[..])
    })
}

fn worth(kind: VtpmKind) -> &'static str {
    match kind {
        VtpmKind::Paravisor => "run by the cloud vendor's paravisor, inside the guest; it may lie for the vendor",
        VtpmKind::Svsm => "run by a service module inside the guest",
        VtpmKind::Host => "run by the host, which may say anything with it",
        VtpmKind::Software => "a program: it proves nothing",
        VtpmKind::None => "none",
    }
}

fn refused(error: &ClaimsError) -> Fault {
    let class = match error {
        ClaimsError::NoEndorsementKey | ClaimsError::NoAttestationKey => Class::Binding,
        _ => Class::Malformed,
    };
    Fault { row: "runtime-data", class, detail: error.to_string(), fix: error.fix() }
}

fn refused_quote(error: &QuoteError) -> Fault {
    let (row, class) = match error {
        QuoteError::SignatureForm(_) | QuoteError::Attest(AttestError::Marshal(_)) => ("quote", Class::Malformed),
        QuoteError::Signature { .. } => ("quote", Class::Chain),
        QuoteError::Selection { .. } | QuoteError::Registers { .. } => ("pcrs", Class::Binding),
        _ => ("quote", Class::Binding),
    };
    Fault { row, class, detail: error.to_string(), fix: error.fix() }
}
