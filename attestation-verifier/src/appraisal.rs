//! One report, appraised: chain, revocation, signature, fields, policy, in the order of the trust chain. Pure: the
//! verdict depends on the arguments alone.

use evidence::UnixSeconds;

use crate::{
    Appraised, AttributedReport, Certificate, Chain, Check, Class, Collateral, Container, Crypto, Grade, Link,
    NotProven, Outcome, Policy, Product, Report, ReportError, SignedReport, Times, Trust, TrustAnchor, Unverified,
    VekKind, Verdict, Verified, clock,
    policy::{advisories, checks as policy_checks},
    snp::revocation,
};

/// Class of a check that an earlier failure kept from being made: the earlier one decides the exit code.
pub(crate) const LAST: Class = Class::Proof;

/// What is to be appraised, and against which expectations.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The report, bare or in one of the containers of [`Container`].
    pub evidence: &'a [u8],
    /// What came along.
    pub collateral: &'a Collateral,
    /// Where the chain may end.
    pub anchor: &'a TrustAnchor<'a>,
    /// REPORT_DATA, if the caller knows what it must be.
    pub report_data: Option<&'a [u8; 64]>,
}

/// A verdict with what was found on the way, for those who go on from the report.
#[derive(Clone, Debug)]
pub struct Appraisal<'a> {
    /// The verdict on the report alone.
    pub verdict: Verdict,
    /// The report's fields, if its signature holds. Whether they are accepted is in the verdict.
    pub report: Option<Verified<Report<'a>>>,
    /// The chain, if it holds.
    pub chain: Option<Verified<Chain<'a>>>,
    /// Azure's runtime claims, if the report speaks for them.
    pub claims: Option<&'a [u8]>,
    /// The report that the verdict is about. Private, so that only appraising fills it.
    admitted: Option<Verified<Report<'a>>>,
}

impl<'a> Appraisal<'a> {
    /// The report, if it is accepted; else the verdict that says why not. Rows that were added to the verdict since
    /// count, and so does what they reject.
    ///
    /// ```
    /// # let report = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/registry/sev-8.0.0/report_milan.bin"));
    /// # let vcek = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/registry/sev-8.0.0/vcek_milan.der"));
    /// use attestation_verifier::{
    ///     Appraised, Collateral, Policy, Question, Report, Ring, TrustAnchor, appraise_report, clock,
    /// };
    ///
    /// fn release_a_key(to: &Appraised<Report<'_>>) -> [u8; 48] {
    ///     *to.measurement()
    /// }
    ///
    /// let at = clock::parse("2026-03-01T00:00:00Z").ok_or("time")?;
    /// let mut collateral = Collateral::default();
    /// collateral.take_vek(vcek)?;
    /// let anchor = TrustAnchor::Amd;
    /// let question = Question { evidence: report, collateral: &collateral, anchor: &anchor, report_data: None };
    /// let accepted = appraise_report(question, &Policy::strict(), at, &Ring).accepted();
    /// let accepted = accepted.map_err(|verdict| verdict.to_json())?;
    /// assert_eq!(release_a_key(&accepted)[..2], [0x7a, 0x1e]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The verdict, if it rejects.
    pub fn accepted(self) -> Result<Appraised<Report<'a>>, Box<Verdict>> {
        match self.admitted {
            Some(report) => Appraised::by_verdict(*report, self.verdict),
            None => Err(Box::new(self.verdict)),
        }
    }
}

/// Appraises a report that comes alone. What the policy asks of a virtual TPM or of the boot has a row that says that a
/// report alone shows none of it; questions about the boot then reject.
pub fn appraise_report<'a>(
    question: Question<'a>,
    policy: &Policy,
    at: UnixSeconds,
    crypto: &impl Crypto,
) -> Appraisal<'a> {
    let mut appraisal = judge_report(question, policy, at, crypto);
    let mut checks = Checks::continuing(std::mem::take(&mut appraisal.verdict.checks));
    policy_checks::not_of_a_report(policy, &mut checks);
    appraisal.verdict.checks = checks.0;
    if appraisal.verdict.rejection().is_some() {
        appraisal.admitted = None;
    }
    appraisal
}

/// A report, whatever comes beside it.
pub(crate) fn judge_report<'a>(
    question: Question<'a>,
    policy: &Policy,
    at: UnixSeconds,
    crypto: &impl Crypto,
) -> Appraisal<'a> {
    let mut checks = Checks::default();
    let mut appraisal =
        Appraisal { verdict: open_verdict(at), report: None, chain: None, claims: None, admitted: None };
    match Container::open(question.evidence) {
        Ok(container) => {
            appraisal.verdict.evidence = Some(container.report().evidence_id());
            let form = format!("{}, id {}", container.name(), container.report().evidence_id());
            checks.pass("form", Class::Malformed, form);
            walk(question, policy, at, crypto, &container, &mut checks, &mut appraisal);
        }
        Err(error) => checks.fail("form", Class::Malformed, error.to_string(), error.fix()),
    }
    appraisal.verdict.checks = checks.0;
    if appraisal.verdict.rejection().is_none() {
        appraisal.admitted.clone_from(&appraisal.report);
    }
    appraisal
}

/// A rejection for evidence of which a part could not even be read.
pub fn malformed(name: &'static str, detail: String, fix: &str, at: UnixSeconds) -> Verdict {
    let mut checks = Checks::default();
    checks.fail(name, Class::Malformed, detail, fix);
    Verdict { checks: checks.0, ..open_verdict(at) }
}

fn open_verdict(at: UnixSeconds) -> Verdict {
    let mut verdict = Verdict {
        checks: vec![],
        not_proven: vec![],
        grade: Grade::None,
        trust: None,
        times: Times::at(at),
        evidence: None,
        unchecked: vec![],
        advisories: vec![],
    };
    // No report can show these, whatever it says.
    for code in [
        NotProven::CodeUnknown,
        NotProven::PhysicalInterposer,
        NotProven::ChannelUnbound,
        NotProven::RuntimeCompromise,
        NotProven::HostInterfaces,
        NotProven::SideChannels,
        NotProven::Availability,
    ] {
        verdict.leaves_open(code);
    }
    verdict
}

fn walk<'a>(
    question: Question<'a>,
    policy: &Policy,
    at: UnixSeconds,
    crypto: &impl Crypto,
    container: &Container<'a>,
    checks: &mut Checks,
    appraisal: &mut Appraisal<'a>,
) {
    let signed = container.report();
    if question.report_data.is_none() {
        appraisal.verdict.leaves_open(NotProven::NoNonce);
    }
    let chain = check_chain(question, policy, at, crypto, checks);
    let verified = match &chain {
        Some(chain) => {
            appraisal.verdict.trust = Some(chain.trust());
            if chain.product() == Product::Milan {
                appraisal.verdict.leaves_open(NotProven::MilanSeed);
            }
            check_signature(signed, chain, crypto, checks)
        }
        None => {
            checks.open("signature", LAST, "no key to check it with");
            None
        }
    };
    let report = match &verified {
        Some(verified) => check_fields(verified, checks),
        None => {
            // Nothing vouches for these bytes. Saying that they are no report at all is still of use.
            match Report::check_shape(&signed) {
                Err(error) if question.collateral.vek.is_none() => {
                    checks.fail("fields", Class::Malformed, error.to_string(), error.fix());
                }
                _ => checks.open("fields", LAST, "nothing vouches for them"),
            }
            None
        }
    };
    if let (Some(chain), Some(report)) = (&chain, &report) {
        check_binding(report, chain, checks, &mut appraisal.verdict);
        policy_checks::check(report, chain, policy, checks);
        policy_checks::listed_report_data(report, policy, checks);
        advisories::check(report, policy, &mut appraisal.verdict, checks);
        policy_checks::list_unchecked(report.product(), policy, &mut appraisal.verdict);
        appraisal.claims = check_expectations(question, policy, container, report, checks, &mut appraisal.verdict);
    } else {
        for name in ["product", "signing-key", "tcb", "vmpl", "guest-policy"] {
            if !checks.has(name) {
                checks.open(name, LAST, "no verified report");
            }
        }
    }
    appraisal.chain = chain;
    appraisal.report = report;
}

/// One line per link, one for the chain as a whole, one for revocation.
fn check_chain<'a>(
    question: Question<'a>,
    policy: &Policy,
    at: UnixSeconds,
    crypto: &impl Crypto,
    checks: &mut Checks,
) -> Option<Verified<Chain<'a>>> {
    const LINKS: [Link; 3] = [Link::Root, Link::Intermediate, Link::Vek];
    let collateral = question.collateral;
    let Some(vek) = &collateral.vek else {
        for link in LINKS {
            checks.note(link.name(), Class::Chain, "no endorsement certificate given");
        }
        checks.open("chain", Class::Chain, "no endorsement certificate given; name it with --vek");
        revocation::without_chain(collateral, policy, checks);
        return None;
    };
    let parse = |der: &'a Vec<u8>, name, checks: &mut Checks| match Certificate::parse(der) {
        Ok(certificate) => Some(certificate),
        Err(error) => {
            checks.fail(name, Class::Malformed, error.to_string(), error.fix());
            None
        }
    };
    let endorsement = parse(vek, Link::Vek.name(), checks)?;
    let intermediate = match &collateral.intermediate {
        Some(der) => Some(parse(der, Link::Intermediate.name(), checks)?),
        None => None,
    };
    let assembled = Chain::assemble(endorsement, intermediate, question.anchor);
    let mut revocation = None;
    let verified = assembled.and_then(|chain| {
        // Looked at first, so that a revoked intermediate is called revoked though its pin is missing too.
        revocation = Some(revocation::consult(collateral, &chain, policy, at, crypto));
        Unverified(chain).verify(at, crypto)
    });
    match verified {
        Ok(chain) => {
            describe_links(&chain, checks);
            revocation::report(revocation, None, policy, checks);
            Some(chain)
        }
        Err(error) => {
            let text = error.to_string();
            for link in LINKS {
                let name = link.name();
                if link == error.link() {
                    // The line says itself which link it is about.
                    let reason = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&text);
                    checks.fail(name, Class::Chain, reason.to_owned(), &error.fix());
                } else if link < error.link() && error.holds_above() {
                    checks.pass(name, Class::Chain, "holds".into());
                } else {
                    checks.open(name, LAST, "the chain was not followed here");
                }
            }
            checks.fail("chain", Class::Chain, "does not lead to a trusted root".into(), &error.fix());
            revocation::report(revocation, Some(&error), policy, checks);
            None
        }
    }
}

fn describe_links(chain: &Verified<Chain<'_>>, checks: &mut Checks) {
    let root = match chain.trust() {
        Trust::Amd => format!("{}, AMD's, pinned", chain.root().subject()),
        Trust::Test => format!("{}, a test root named by you", chain.root().subject()),
    };
    checks.pass(Link::Root.name(), Class::Chain, root);
    let pinned = if chain.trust() == Trust::Amd { ", pinned" } else { ", signed by the test root" };
    let intermediate = format!("{} ({}){pinned}", chain.intermediate().subject(), chain.kind().issuer());
    checks.pass(Link::Intermediate.name(), Class::Chain, intermediate);
    let (from, to) = chain.endorsement().validity();
    let dates = format!("{} signed by it, valid {} to {}", chain.kind(), clock::text(from), clock::text(to));
    checks.pass(Link::Vek.name(), Class::Chain, dates);
    let names = [chain.root().subject(), chain.intermediate().subject(), chain.endorsement().subject()].join(" > ");
    checks.pass("chain", Class::Chain, names);
}

fn check_signature<'a>(
    signed: SignedReport<'a>,
    chain: &Verified<Chain<'_>>,
    crypto: &impl Crypto,
    checks: &mut Checks,
) -> Option<Verified<AttributedReport<'a>>> {
    match Unverified(signed).verify(chain, crypto) {
        Ok(verified) => {
            checks.pass(
                "signature",
                Class::Chain,
                format!("by the {}'s key, over the bytes as received", chain.kind()),
            );
            Some(verified)
        }
        Err(error) => {
            checks.fail("signature", Class::Chain, error.to_string(), error.fix());
            None
        }
    }
}

fn check_fields<'a>(verified: &Verified<AttributedReport<'a>>, checks: &mut Checks) -> Option<Verified<Report<'a>>> {
    match verified.decode() {
        Ok(report) => {
            checks.pass("fields", Class::Malformed, format!("version {}, no unknown bit", report.version()));
            Some(report)
        }
        Err(error @ ReportError::Product { .. }) => {
            checks.open("fields", LAST, "report and chain are of different products");
            checks.fail("product", Class::Binding, error.to_string(), error.fix());
            None
        }
        Err(error) => {
            checks.fail("fields", Class::Malformed, error.to_string(), error.fix());
            None
        }
    }
}

/// Does the certificate belong to this report?
fn check_binding(
    report: &Verified<Report<'_>>,
    chain: &Verified<Chain<'_>>,
    checks: &mut Checks,
    verdict: &mut Verdict,
) {
    let vek = chain.vek();
    let source = if report.version() == 2 { "by its chain" } else { "by chain and CPUID" };
    checks.pass("product", Class::Binding, format!("{} {source}", report.product()));
    let key_info = report.key_info();
    if key_info.mask_chip_key {
        let detail = "report.KEY_INFO: MASK_CHIP_KEY is set, so the firmware did not sign this".into();
        checks.fail("signing-key", Class::Chain, detail, "the host must clear MASK_CHIP_KEY");
    } else if key_info.signing_key == Some(vek.kind()) {
        checks.pass("signing-key", Class::Binding, vek.kind().name().into());
    } else {
        let says = key_info.signing_key.map_or("none", VekKind::name);
        let detail = format!("report.KEY_INFO.SIGNING_KEY: {says}, the certificate is a {}", vek.kind());
        checks.fail("signing-key", Class::Binding, detail, "give the certificate of the key that the report names");
    }
    match report.reported_tcb().first_difference(&vek.tcb()) {
        None => checks.pass("tcb", Class::Binding, format!("{}, as in the certificate", report.reported_tcb())),
        Some((part, found, certified)) => {
            let detail = format!("report.REPORTED_TCB.{}: {found}, the certificate is for {certified}", part.name());
            checks.fail("tcb", Class::Binding, detail, "give the certificate for the TCB that the report names");
        }
    }
    if report.chip_id_masked() {
        verdict.leaves_open(NotProven::ChipMasked);
    }
    match (vek.hwid(), report.chip_id().split_at_checked(report.product().hwid_length())) {
        (Some(_), _) if report.chip_id_masked() => {
            checks.note("chip-id", Class::Binding, "masked by the host: bound to no particular chip");
        }
        (None, _) => checks.note("chip-id", Class::Binding, "a VLEK names no chip"),
        (Some(hwid), Some((id, rest))) if hwid == id && rest.iter().all(|byte| *byte == 0) => {
            checks.pass("chip-id", Class::Binding, "as in the certificate".into());
        }
        _ => {
            let detail = "report.CHIP_ID: not the chip of the certificate".into();
            checks.fail("chip-id", Class::Binding, detail, "give the certificate of the chip that made the report");
        }
    }
}

/// Azure's claims, and what the caller expects of REPORT_DATA.
fn check_expectations<'a>(
    question: Question<'a>,
    policy: &Policy,
    container: &Container<'a>,
    report: &Verified<Report<'a>>,
    checks: &mut Checks,
    verdict: &mut Verdict,
) -> Option<&'a [u8]> {
    let mut found = None;
    if let Container::Hcl(hcl) = container {
        verdict.leaves_open(NotProven::CodeVendorParavisor);
        found = hcl.claims(report.report_data());
        match found {
            Some(claims) => {
                let detail = format!("REPORT_DATA is the hash of the {} bytes of runtime claims", claims.len());
                checks.pass("runtime-data", Class::Binding, detail);
            }
            None => {
                let detail = "report.REPORT_DATA: not the hash of the blob's runtime claims".into();
                checks.fail("runtime-data", Class::Binding, detail, "read vTPM index 0x01400001 again, whole");
            }
        }
    }
    match question.report_data {
        Some(expected) if expected == report.report_data() => {
            checks.pass("report-data", Class::Binding, "as expected".into());
        }
        Some(expected) => {
            let (found, expected) = (hex::encode(report.report_data()), hex::encode(expected));
            let detail = format!("report.REPORT_DATA: found {found}, expected {expected}");
            checks.fail("report-data", Class::Binding, detail, "ask for evidence over your own nonce");
        }
        None if policy.wants_report_data() => {
            checks.open("report-data", Class::Policy, "the policy wants --report-data, and it is not given");
        }
        None => checks.note("report-data", Class::Binding, "no expectation given"),
    }
    found
}

/// Checks as they are made.
#[derive(Debug, Default)]
pub(crate) struct Checks(Vec<Check>);

impl Checks {
    /// Goes on from checks that were made before.
    pub(crate) fn continuing(checks: Vec<Check>) -> Self {
        Self(checks)
    }

    pub(crate) fn into_inner(self) -> Vec<Check> {
        self.0
    }

    pub(crate) fn pass(&mut self, name: &'static str, class: Class, detail: String) {
        self.push(name, Outcome::Pass, detail, None, class, true);
    }

    pub(crate) fn fail(&mut self, name: &'static str, class: Class, detail: String, fix: &str) {
        self.push(name, Outcome::Fail, detail, Some(fix.to_owned()), class, true);
    }

    /// Not checked, and it would have to be.
    pub(crate) fn open(&mut self, name: &'static str, class: Class, detail: &str) {
        self.push(name, Outcome::NotChecked, detail.to_owned(), None, class, true);
    }

    /// Not checked, and nobody asked for it.
    pub(crate) fn note(&mut self, name: &'static str, class: Class, detail: &str) {
        self.push(name, Outcome::NotChecked, detail.to_owned(), None, class, false);
    }

    /// The check of that name, to be put into other words.
    pub(crate) fn row(&mut self, name: &str) -> Option<&mut Check> {
        self.0.iter_mut().find(|check| check.name == name)
    }

    /// The same, to be looked at.
    pub(crate) fn find(&self, name: &str) -> Option<&Check> {
        self.0.iter().find(|check| check.name == name)
    }

    /// Puts a check where the one of its name stood, or at the end.
    pub(crate) fn replace(&mut self, check: Check) {
        match self.row(check.name) {
            Some(row) => *row = check,
            None => self.0.push(check),
        }
    }

    /// Is there a check of that name already?
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn push(
        &mut self,
        name: &'static str,
        outcome: Outcome,
        detail: String,
        fix: Option<String>,
        class: Class,
        required: bool,
    ) {
        self.0.push(Check { name, outcome, detail, fix, class, required });
    }
}
