//! Known attacks held against what a report shows. The table is data with its sources (docs/ADVISORIES.md); it excludes
//! an attack only where the report shows a fix that the table knows. What it does not know stays "cannot be excluded".

use serde::Serialize;

use super::{
    OnAdvisory, Policy,
    silicon::{Line, of_report},
};
use crate::{Class, Report, Tcb, TcbPart, Verdict, Verified, appraisal::Checks};

pub use super::advisory_table::{ADVISORIES, ADVISORIES_DATE};

/// A known attack.
#[derive(Clone, Copy, Debug)]
pub struct Advisory {
    /// Stable, kebab-case.
    pub id: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// What it lets an attacker do.
    pub lets: &'static str,
    /// What to do about it.
    pub fix: &'static str,
    /// Bulletins, CVE numbers, papers.
    pub sources: &'static [&'static str],
    /// Where the levels were read.
    pub levels_from: &'static str,
    pub(crate) rule: RuleOf,
}

/// What decides whether an attack is excluded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RuleOf {
    /// By the line of silicon.
    Lines(&'static [(Line, Fix)]),
    /// COMMITTED below CURRENT.
    Provisional,
    /// Nothing that a report shows.
    Physical,
}

/// How a line of silicon is fixed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fix {
    /// It does not have the flaw.
    Untouched,
    /// It has it for good, which means this.
    Never(&'static str),
    /// From these levels on, the lowest of the four TCBs of the report; and what else has to show.
    Levels(&'static [(TcbPart, u8)], Also),
    /// There is a fix, and we do not know how a report would show it.
    Unknown,
    /// The same, but multithreading off excludes it.
    NoSmt,
}

/// What has to show beside the levels, or instead of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Also {
    Nothing,
    /// PLATFORM_INFO.ALIAS_CHECK_COMPLETE.
    AliasCheck,
    /// This bit in both mitigation vectors; reports before version 5 have none.
    Mitigation(u32),
    /// Multithreading off excludes it as well, whatever the levels.
    OrNoSmt,
}

/// How an attack stands to a report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AdvisoryStatus {
    /// The report shows that the flaw is there.
    Applies,
    /// The report does not show that the flaw is fixed.
    Unknown,
    /// No report can show anything about it.
    Physical,
}

impl AdvisoryStatus {
    /// `applies`, `unknown`, `physical`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Applies => "applies",
            Self::Unknown => "unknown",
            Self::Physical => "physical",
        }
    }
}

/// A known attack that a report does not exclude.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownAttack {
    /// [`Advisory::id`].
    pub id: &'static str,
    /// [`Advisory::title`].
    pub title: &'static str,
    /// How it stands.
    pub status: AdvisoryStatus,
    /// Why.
    pub why: String,
    /// The reason for which the policy accepts it, if it does.
    pub accepted: Option<String>,
}

impl Advisory {
    /// For each line of silicon, how the table decides: name and words. One entry for all where it does not matter.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        match self.rule {
            RuleOf::Lines(fixes) => fixes.iter().map(|(line, fix)| (line.name(), fix.words())).collect(),
            RuleOf::Provisional => vec![("all", "COMMITTED is CURRENT, in levels and version".into())],
            RuleOf::Physical => vec![("all", "no report can show it".into())],
        }
    }
}

impl Fix {
    fn words(self) -> String {
        let (levels, also) = match self {
            Self::Untouched => return "not affected".into(),
            Self::Never(_) => return "always applies".into(),
            Self::Unknown => return "no level known: cannot be excluded".into(),
            Self::NoSmt => return "no level known: excluded only without multithreading".into(),
            Self::Levels(levels, also) => (levels, also),
        };
        let levels = levels.iter().map(|(part, level)| format!("{} {level}", part.name()));
        let also = match also {
            Also::Nothing => None,
            Also::AliasCheck => Some("alias check made".to_owned()),
            Also::Mitigation(bit) => Some(format!("mitigation bit {bit}")),
            Also::OrNoSmt => Some("or no multithreading".to_owned()),
        };
        levels.chain(also).collect::<Vec<_>>().join(", ")
    }
}

#[derive(Serialize)]
pub(crate) struct WireAttack<'a> {
    id: &'a str,
    title: &'a str,
    status: &'a str,
    why: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<&'a str>,
}

impl KnownAttack {
    pub(crate) fn wire(&self) -> WireAttack<'_> {
        WireAttack {
            id: self.id,
            title: self.title,
            status: self.status.name(),
            why: &self.why,
            accepted: self.accepted.as_deref(),
        }
    }
}

/// The advisory of that id.
pub(crate) fn of(id: &str) -> Option<&'static Advisory> {
    ADVISORIES.iter().find(|advisory| advisory.id == id)
}

/// The row `advisories`, and the list in the verdict.
pub(crate) fn check(report: &Verified<Report<'_>>, policy: &Policy, verdict: &mut Verdict, checks: &mut Checks) {
    for mut attack in not_excluded(&Shown::of(report)) {
        let accepted = policy.accepted_advisories.iter().find(|entry| entry.id == attack.id);
        attack.accepted = accepted.map(|entry| entry.reason.clone());
        verdict.knows_attack(attack);
    }
    state(policy, verdict, checks);
}

/// The row `advisories` for what the verdict lists now; it replaces the row that stood there. A bundle has two reports of
/// one guest, and what one of them leaves open is open.
pub(crate) fn state(policy: &Policy, verdict: &Verdict, checks: &mut Checks) {
    const NAME: &str = "advisories";
    let mut row = Checks::default();
    judge(NAME, policy, verdict, &mut row);
    for check in row.into_inner() {
        checks.replace(check);
    }
}

fn judge(name: &'static str, policy: &Policy, verdict: &Verdict, checks: &mut Checks) {
    let software = verdict.advisories.iter().filter(|attack| attack.status != AdvisoryStatus::Physical);
    let (accepted, open): (Vec<_>, Vec<_>) = software.partition(|attack| attack.accepted.is_some());
    let ids = |status| {
        let of_status = open.iter().filter(|attack| attack.status == status);
        of_status.map(|attack| attack.id).collect::<Vec<_>>().join(", ")
    };
    let parts = [
        ("applies: ", ids(AdvisoryStatus::Applies)),
        ("cannot be excluded: ", ids(AdvisoryStatus::Unknown)),
        ("accepted by the policy: ", accepted.iter().map(|attack| attack.id).collect::<Vec<_>>().join(", ")),
    ];
    let parts = parts.into_iter().filter(|(_, ids)| !ids.is_empty());
    let detail = parts.map(|(words, ids)| format!("{words}{ids}")).collect::<Vec<_>>().join("; ");
    let table = format!("table of {ADVISORIES_DATE}");
    match (open.first(), policy.advisories) {
        (None, _) if accepted.is_empty() => {
            checks.pass(name, Class::Policy, format!("none of the known attacks by software is left open ({table})"));
        }
        (None, _) => checks.note(name, Class::Policy, &format!("{detail} ({table})")),
        (Some(_), OnAdvisory::Report) => checks.note(name, Class::Policy, &format!("{detail} ({table})")),
        (Some(first), OnAdvisory::Reject) => {
            let fix = of(first.id).map_or("", |advisory| advisory.fix);
            checks.fail(name, Class::Policy, format!("{detail} ({table})"), fix);
        }
    }
}

/// What a report shows that advisories look at.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// The lines of silicon it may come from: one, or several where the report has no CPUID.
    lines: Vec<Line>,
    version: u32,
    /// For each part the lowest level of REPORTED, COMMITTED, CURRENT and LAUNCH.
    lowest: Tcb,
    alias_check: bool,
    /// Bits set in both vectors.
    mitigations: Option<u64>,
    smt: bool,
    provisional: Option<String>,
}

impl Shown {
    fn of(report: &Report<'_>) -> Self {
        let tcbs = [report.reported_tcb(), report.committed_tcb(), report.current_tcb(), report.launch_tcb()];
        let lowest = tcbs.into_iter().fold(report.reported_tcb(), |low, tcb| Tcb {
            fmc: low.fmc.min(tcb.fmc),
            bootloader: low.bootloader.min(tcb.bootloader),
            tee: low.tee.min(tcb.tee),
            snp: low.snp.min(tcb.snp),
            microcode: low.microcode.min(tcb.microcode),
        });
        let (committed, current) = (report.committed_version(), report.current_version());
        let provisional = if report.committed_tcb() != report.current_tcb() {
            Some(format!("COMMITTED_TCB is {}, CURRENT_TCB is {}", report.committed_tcb(), report.current_tcb()))
        } else if committed != current {
            Some(format!("firmware {committed} is committed, {current} runs"))
        } else {
            None
        };
        Self {
            lines: of_report(report),
            version: report.version(),
            lowest,
            alias_check: report.platform_info().alias_check(),
            mitigations: report.mitigations().map(|(launch, current)| launch & current),
            // Either the machine has it off, or the guest refuses to run with it on.
            smt: report.platform_info().smt() && report.policy().smt(),
            provisional,
        }
    }
}

fn not_excluded(shown: &Shown) -> Vec<KnownAttack> {
    let open = |advisory: &Advisory| {
        let (status, why) = standing(advisory, shown)?;
        Some(KnownAttack { id: advisory.id, title: advisory.title, status, why, accepted: None })
    };
    ADVISORIES.iter().filter_map(open).collect()
}

fn standing(advisory: &Advisory, shown: &Shown) -> Option<(AdvisoryStatus, String)> {
    match advisory.rule {
        RuleOf::Physical => Some((AdvisoryStatus::Physical, "no report shows who can touch the machine".into())),
        RuleOf::Provisional => shown.provisional.clone().map(|why| (AdvisoryStatus::Applies, why)),
        RuleOf::Lines(fixes) => {
            let of_line = |line: &Line| {
                // A line that the table leaves out is one that it knows nothing about.
                let fix = fixes.iter().find(|(known, _)| known == line).map_or(Fix::Unknown, |(_, fix)| *fix);
                of_fix(fix, shown)
            };
            let found: Vec<_> = shown.lines.iter().map(of_line).collect();
            match found.as_slice() {
                [] => Some((AdvisoryStatus::Unknown, "a processor that the table does not know".into())),
                [one, rest @ ..] if rest.iter().all(|other| other == one) => one.clone(),
                // Without CPUID it may be any of them: it applies if it applies to all, and is open if to some.
                several => {
                    let applies = several.iter().all(|one| matches!(one, Some((AdvisoryStatus::Applies, _))));
                    let why = several.iter().flatten().map(|(_, why)| why.clone()).next().unwrap_or_default();
                    match applies {
                        true => Some((AdvisoryStatus::Applies, why)),
                        false => Some((
                            AdvisoryStatus::Unknown,
                            format!("a report of version 2 does not name its silicon; {why}"),
                        )),
                    }
                }
            }
        }
    }
}

fn of_fix(fix: Fix, shown: &Shown) -> Option<(AdvisoryStatus, String)> {
    use AdvisoryStatus::{Applies, Unknown};
    let (levels, also) = match fix {
        Fix::Untouched => return None,
        Fix::Never(meaning) => return Some((Applies, meaning.into())),
        Fix::Unknown => return Some((Unknown, "we know of no level that shows the fix on this processor".into())),
        Fix::NoSmt if !shown.smt => return None,
        Fix::NoSmt => {
            let why = "multithreading is on, and we know of no level that shows the fix on this processor";
            return Some((Unknown, why.into()));
        }
        Fix::Levels(levels, also) => (levels, also),
    };
    if also == Also::OrNoSmt && !shown.smt {
        return None;
    }
    if let Some((part, found, wanted)) = levels
        .iter()
        .map(|(part, wanted)| (part, level(&shown.lowest, *part), *wanted))
        .find(|(_, found, wanted)| found < wanted)
    {
        let part = part.name();
        return Some((Applies, format!("TCB.{part} is {found}, fixed from {wanted} on")));
    }
    match also {
        Also::Nothing => None,
        Also::OrNoSmt => None,
        Also::AliasCheck if shown.alias_check => None,
        Also::AliasCheck if shown.version == 2 => {
            Some((Unknown, "a report of version 2 does not show the memory alias check".into()))
        }
        Also::AliasCheck => Some((Applies, "the memory alias check was not made".into())),
        Also::Mitigation(bit) => match shown.mitigations {
            Some(bits) if bits >> bit & 1 == 1 => None,
            Some(bits) => {
                Some((Applies, format!("mitigation bit {bit} is not verified at launch and now ({bits:#x})")))
            }
            None => {
                Some((Unknown, format!("a report of version {} has no mitigation vectors (bit {bit})", shown.version)))
            }
        },
    }
}

fn level(tcb: &Tcb, part: TcbPart) -> u8 {
    match part {
        TcbPart::Fmc => tcb.fmc.unwrap_or(0),
        TcbPart::Bootloader => tcb.bootloader,
        TcbPart::Tee => tcb.tee,
        TcbPart::Snp => tcb.snp,
        TcbPart::Microcode => tcb.microcode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report that shows everything there is to show, of this line.
    fn best(line: Line) -> Shown {
        Shown {
            lines: vec![line],
            version: 5,
            lowest: Tcb { fmc: Some(255), bootloader: 255, tee: 255, snp: 255, microcode: 255 },
            alias_check: true,
            mitigations: Some(u64::MAX),
            smt: false,
            provisional: None,
        }
    }

    fn status(id: &str, shown: &Shown) -> Option<AdvisoryStatus> {
        standing(of(id).unwrap(), shown).map(|(status, _)| status)
    }

    fn with(shown: &mut Shown, part: TcbPart, level: u8) {
        let tcb = &mut shown.lowest;
        match part {
            TcbPart::Fmc => tcb.fmc = Some(level),
            TcbPart::Bootloader => tcb.bootloader = level,
            TcbPart::Tee => tcb.tee = level,
            TcbPart::Snp => tcb.snp = level,
            TcbPart::Microcode => tcb.microcode = level,
        }
    }

    #[test]
    fn the_table_says_of_every_line_of_silicon_where_it_stands_and_where_that_is_from() {
        for (at, advisory) in ADVISORIES.iter().enumerate() {
            let id = advisory.id;
            assert!(ADVISORIES.iter().skip(at + 1).all(|later| later.id != id), "{id}");
            assert!(advisory.lets.ends_with('.') && !advisory.fix.is_empty(), "{id}");
            assert!(!advisory.sources.is_empty() && !advisory.levels_from.is_empty(), "{id}");
            if let RuleOf::Lines(fixes) = advisory.rule {
                let lines: Vec<Line> = fixes.iter().map(|(line, _)| *line).collect();
                assert_eq!(lines, Line::ALL, "{id}");
            }
        }
    }

    #[test]
    fn a_level_excludes_an_attack_and_the_one_below_does_not() {
        let mut tried = 0;
        for advisory in ADVISORIES {
            let RuleOf::Lines(fixes) = advisory.rule else { continue };
            for (line, fix) in fixes {
                let Fix::Levels(levels, also) = fix else { continue };
                for (part, level) in *levels {
                    tried += 1;
                    let mut shown = best(*line);
                    // Otherwise no level counts.
                    shown.smt = *also == Also::OrNoSmt;
                    with(&mut shown, *part, *level);
                    assert_eq!(status(advisory.id, &shown), None, "{} {line:?} {part:?}", advisory.id);
                    with(&mut shown, *part, level - 1);
                    assert_eq!(status(advisory.id, &shown), Some(AdvisoryStatus::Applies), "{} {line:?}", advisory.id);
                }
            }
        }
        assert_eq!(tried, 34);
    }

    #[test]
    fn what_shows_beside_the_levels_has_to_show() {
        let no_alias = Shown { alias_check: false, ..best(Line::Genoa) };
        assert_eq!(status("badram", &no_alias), Some(AdvisoryStatus::Applies));
        assert_eq!(status("badram", &Shown { version: 2, ..no_alias }), Some(AdvisoryStatus::Unknown));
        for (id, bit) in [("iommu-write", 2), ("rmpocalypse", 1), ("nbio-lock", 4), ("fabricked", 4)] {
            let without = Shown { mitigations: Some(!(1 << bit)), ..best(Line::Milan) };
            assert_eq!(status(id, &best(Line::Milan)), None, "{id}");
            assert_eq!(status(id, &without), Some(AdvisoryStatus::Applies), "{id}");
            let older = Shown { version: 4, mitigations: None, ..best(Line::Milan) };
            assert_eq!(status(id, &older), Some(AdvisoryStatus::Unknown), "{id}");
        }
        assert_eq!(status("stackwarp", &best(Line::Zen4c)), None);
        assert_eq!(status("stackwarp", &Shown { smt: true, ..best(Line::Zen4c) }), Some(AdvisoryStatus::Unknown));
        assert_eq!(status("provisional-firmware", &best(Line::Turin)), None);
        let provisional = Shown { provisional: Some("x".into()), ..best(Line::Turin) };
        assert_eq!(status("provisional-firmware", &provisional), Some(AdvisoryStatus::Applies));
    }

    #[test]
    fn no_level_excludes_the_seed_of_milan_and_no_report_an_interposer() {
        for line in Line::ALL {
            let milan = matches!(line, Line::Milan | Line::MilanX);
            assert_eq!(status("milan-seed", &best(line)).is_some(), milan, "{line:?}");
            assert_eq!(status("interposer", &best(line)), Some(AdvisoryStatus::Physical));
        }
    }

    #[test]
    fn a_report_that_does_not_name_its_line_is_held_against_all_lines_of_its_product() {
        let both = Shown { version: 2, lines: vec![Line::Milan, Line::MilanX], ..best(Line::Milan) };
        assert_eq!(status("cachewarp", &both), None);
        let mut shown = both.clone();
        with(&mut shown, TcbPart::Microcode, 0xD0);
        assert_eq!(status("cachewarp", &shown), Some(AdvisoryStatus::Unknown), "new for Milan-X, old for Milan");
        with(&mut shown, TcbPart::Microcode, 0x33);
        assert_eq!(status("cachewarp", &shown), Some(AdvisoryStatus::Applies), "too old for either");
        with(&mut shown, TcbPart::Snp, 0x16);
        assert_eq!(status("badram", &shown), Some(AdvisoryStatus::Applies), "too old for either");
    }

    #[test]
    fn a_processor_that_the_table_does_not_know_excludes_nothing() {
        let unknown = Shown { lines: vec![], ..best(Line::Milan) };
        for advisory in ADVISORIES.iter().filter(|advisory| matches!(advisory.rule, RuleOf::Lines(_))) {
            assert_eq!(status(advisory.id, &unknown), Some(AdvisoryStatus::Unknown), "{}", advisory.id);
        }
    }
    #[test]
    fn the_table_is_read_out_in_words_for_every_line() {
        let words = |id: &str, line: &str| {
            let lines = of(id).unwrap().lines();
            lines.into_iter().find(|(name, _)| *name == line).map(|(_, words)| words).unwrap_or_default()
        };
        for (id, line, says) in [
            ("milan-seed", "Milan", "always applies"),
            ("milan-seed", "Genoa", "not affected"),
            ("badram", "Milan-X", "snp 23, alias check made"),
            ("badram", "Turin Dense", "alias check made"),
            ("entrysign", "Genoa", "snp 23, microcode 84"),
            ("entrysign", "Turin", "no level known: cannot be excluded"),
            ("iommu-write", "Bergamo, Siena", "snp 27, mitigation bit 2"),
            ("stackwarp", "Milan", "no level known: excluded only without multithreading"),
            ("stackwarp", "Turin", "microcode 81, or no multithreading"),
            ("provisional-firmware", "all", "COMMITTED is CURRENT, in levels and version"),
            ("interposer", "all", "no report can show it"),
        ] {
            assert_eq!(words(id, line), says, "{id} on {line}");
        }
        use AdvisoryStatus::{Applies, Physical, Unknown};
        assert_eq!([Applies, Unknown, Physical].map(AdvisoryStatus::name), ["applies", "unknown", "physical"]);
    }
    #[test]
    fn a_report_that_leaves_no_attack_open_passes() {
        let verdict = crate::malformed("form", String::new(), "", evidence::UnixSeconds(0));
        let mut checks = Checks::default();
        judge("advisories", &Policy { advisories: OnAdvisory::Reject, ..Policy::strict() }, &verdict, &mut checks);
        let rows = checks.into_inner();
        assert_eq!(rows.iter().map(|row| row.outcome).collect::<Vec<_>>(), [crate::Outcome::Pass]);
        assert!(rows.iter().all(|row| row.detail.contains("none of the known attacks by software is left open")));
    }
}
