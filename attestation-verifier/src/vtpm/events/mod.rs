//! What was started, by an event log whose replay gives registers that a quote signs: rows of their own, never a part
//! of `code` (docs/WIRE.md, section 1: the event log explains, it decides nothing about the code's identity).
//!
//! A register proves the digests that went into it and their order. It proves neither what the log calls them nor who
//! extended them: a system that is running can extend any of these registers with the digest of a kernel that it would
//! like to have been started by, and call it so. What it cannot do is take out the event by which it was itself
//! measured before it ran. So every rule here is about *all* events of a register: one that is in no list fails the
//! row, whatever the log calls it.

mod kernel;
#[cfg(test)]
mod sample;
mod secure_boot;

use std::collections::BTreeMap;

use measured_boot::{BelievedEvent, Digest, EventMeaning, Replayed, is_digest_of, section_named};

use super::{
    event_policy::EventPolicy,
    explained_log::{Word, replay},
    quote::Registers,
};

use crate::{Class, Rule, appraisal::Checks};

/// The firmware's border, in every register it uses.
const SEPARATOR: [u8; 4] = [0; 4];
/// What the firmware remarks in PCR 4 about the programs it starts; it starts none by that.
const REMARKS: [&[u8]; 2] =
    [b"Calling EFI Application from Boot Option", b"Returning from EFI Application from Boot Option"];

/// Adds the row `event-log`, does the log explain the registers that the quote signs?, and the rows of the policy.
/// Without a log, or where it explains nothing, rules that ask something stay open and reject.
pub(crate) fn check(checks: &mut Checks, log: Option<&[u8]>, registers: Option<&Registers>, policy: &EventPolicy) {
    let replayed = match (log, registers) {
        (None, _) => {
            checks.note("event-log", Class::Binding, "none given");
            if !policy.asks() {
                // Seven rows that say the same would say less.
                return;
            }
            None
        }
        (Some(_), None) => {
            checks.note(
                "event-log",
                Class::Binding,
                "no registers that a verified quote signs: nothing in it is believed",
            );
            None
        }
        (Some(log), Some(registers)) => replay(checks, log, &registers.to_set(), Word::Quote),
    };
    judge(checks, replayed.as_ref(), policy);
}

/// Adds the rows of the policy.
pub(crate) fn judge(checks: &mut Checks, replayed: Option<&Replayed<'_>>, policy: &EventPolicy) {
    let rows = Rows { replayed, policy };
    rows.secure_boot(checks);
    rows.programs(checks);
    rows.uki(checks);
    rows.file(checks, "event-kernel", ".linux", &policy.kernel);
    rows.file(checks, "event-initrd", ".initrd", &policy.initrd);
    rows.cmdline(checks);
    rows.binary(checks);
}

/// Who started the kernel.
enum Loader<'a> {
    /// systemd's boot stub in a unified kernel image, which measured these sections.
    Stub(BTreeMap<&'static str, &'a Digest>),
    /// Nothing was measured into PCR 11: GRUB, or a loader that measures files and texts as GRUB does.
    Grub,
}

struct Rows<'a> {
    replayed: Option<&'a Replayed<'a>>,
    policy: &'a EventPolicy,
}

impl<'a> Rows<'a> {
    /// The events of a register, if it was compared.
    fn events(&self, register: u8) -> Option<Vec<BelievedEvent<'a, 'a>>> {
        let replayed = self.replayed?;
        replayed.pcrs().iter().find(|(index, _)| index.number() == register)?;
        Some(replayed.events().filter(|event| event.pcr().number() == register).collect())
    }

    /// Sections, files and texts are measured by a program that PCR 4 names: who that was is a row of its own.
    fn by_whom(&self) -> &'static str {
        match self.policy.programs {
            Rule::Check(_) => "",
            Rule::Unchecked(_) => "; which program measured it is not checked",
        }
    }

    /// How the kernel was started, as PCR 11 has it. `Err` is why that cannot be told. Whoever could choose which of the
    /// two is looked at would choose the one that he can make up: only an empty PCR 11 means that no boot stub ran.
    fn loader(&self) -> Result<Loader<'a>, String> {
        let events = self
            .events(11)
            .ok_or("PCR 11, which shows who started the kernel, is not among the explained registers")?;
        if events.is_empty() {
            return Ok(Loader::Grub);
        }
        let mut sections = BTreeMap::new();
        for pair in events.chunks(2) {
            let [name, content] = pair else { return Err("PCR 11 ends with the name of a section".to_owned()) };
            let section = section_named(name.digest())
                .ok_or_else(|| format!("PCR 11 holds {}, which names no section", name.digest()))?;
            if sections.insert(section, content.digest()).is_some() {
                return Err(format!("PCR 11 holds section {section} twice"));
            }
        }
        Ok(Loader::Stub(sections))
    }

    fn programs(&self, checks: &mut Checks) {
        const ROW: &str = "event-programs";
        let Some(digests) = asked(checks, ROW, &self.policy.programs) else { return };
        match self.events(4) {
            Some(mut events) => {
                let remark =
                    |digest| is_digest_of(digest, &SEPARATOR) || REMARKS.iter().any(|text| is_digest_of(digest, text));
                events.retain(|event| !remark(event.digest()));
                closed(checks, ROW, "PCR 4", &events, "", &|digest| among(digests, digest));
            }
            None => self.open(checks, ROW, "PCR 4 is not among the explained registers"),
        }
    }

    fn binary(&self, checks: &mut Checks) {
        const ROW: &str = "event-binary";
        let Some(binary) = asked(checks, ROW, &self.policy.binary) else { return };
        let place = format!("PCR {}", binary.register);
        match self.events(binary.register) {
            Some(events) => {
                closed(checks, ROW, &place, &events, self.by_whom(), &|digest| among(&binary.digests, digest))
            }
            None => self.open(checks, ROW, &format!("{place} is not among the explained registers")),
        }
    }

    /// How the kernel was started; where that cannot be told, the row stays open.
    fn started(&self, checks: &mut Checks, row: &'static str) -> Option<Loader<'a>> {
        self.loader().map_err(|why| self.open(checks, row, &why)).ok()
    }

    fn open(&self, checks: &mut Checks, row: &'static str, why: &str) {
        let why = if self.replayed.is_none() { "the policy asks for it, and no event log is believed" } else { why };
        checks.open(row, Class::Policy, why);
    }
}

const LIST: &str = "start what the policy lists, or list what was started after you have convinced yourself of it";

/// Every event must be allowed, and there must be one.
fn closed(
    checks: &mut Checks,
    row: &'static str,
    place: &str,
    events: &[BelievedEvent<'_, '_>],
    by_whom: &str,
    allowed: &dyn Fn(&Digest) -> bool,
) {
    match events.iter().find(|event| !allowed(event.digest())) {
        Some(event) => {
            let explanation = EventMeaning::of(event);
            let stated = explanation.stated.map(|text| format!(" (the log calls it \"{text}\")")).unwrap_or_default();
            let detail = format!("{place} holds {}{stated}, which the policy does not list", event.digest());
            checks.fail(row, Class::Policy, detail, LIST);
        }
        None if events.is_empty() => {
            checks.fail(row, Class::Policy, format!("nothing was measured into {place}"), LIST)
        }
        None => checks.pass(row, Class::Policy, format!("all {} events of {place} are listed{by_whom}", events.len())),
    }
}

fn rule<T>(rule: &Rule<T>) -> Result<&T, &str> {
    match rule {
        Rule::Check(asked) => Ok(asked),
        Rule::Unchecked(reason) => Err(reason),
    }
}

/// What the policy asks of a row; where it asks nothing, the row says why.
fn asked<'p, T>(checks: &mut Checks, row: &'static str, of: &'p Rule<T>) -> Option<&'p T> {
    rule(of).map_err(|reason| note(checks, row, format!("unchecked: {reason}"))).ok()
}

fn note(checks: &mut Checks, row: &'static str, detail: String) {
    checks.note(row, Class::Policy, &detail);
}

fn among(digests: &[[u8; 32]], digest: &Digest) -> bool {
    digests.iter().any(|listed| listed[..] == *digest.as_bytes())
}

fn is_separator(event: &BelievedEvent<'_, '_>) -> bool {
    is_digest_of(event.digest(), &SEPARATOR)
}

#[cfg(test)]
mod tests {
    use measured_boot::{Bank, PcrSet, PcrValue};

    use super::{
        super::{event_policy::MeasuredBinary, explained_log::PHASES},
        sample::{CMDLINE, Judged, LOG, booted, empty, good, left_by, sha, with},
        *,
    };
    use crate::Outcome;

    #[test]
    fn a_boot_as_listed_passes_row_by_row() {
        let judged = Judged::by(LOG, &booted(), &good());
        for row in [
            "event-log",
            "event-secure-boot",
            "event-programs",
            "event-uki",
            "event-kernel",
            "event-initrd",
            "event-cmdline",
        ] {
            assert_eq!(judged.outcome(row), Outcome::Pass, "{row}: {}", judged.row(row).1);
        }
        assert!(judged.row("event-log").1.contains("phase leave-initrd"));
        assert!(judged.row("event-log").1.contains("not in it: 15"));
        assert_eq!(judged.row("event-binary"), (Outcome::NotChecked, "unchecked: a test"));
    }

    #[test]
    fn each_row_fails_by_itself() {
        let other = || Rule::Check(vec![[9; 32]]);
        for (policy, row, says) in [
            (EventPolicy { secure_boot: Rule::Check(false), ..good() }, "event-secure-boot", "was on"),
            (EventPolicy { programs: other(), ..good() }, "event-programs", "PCR 4 holds"),
            (EventPolicy { uki: Rule::Check(BTreeMap::new()), ..good() }, "event-uki", "section .cmdline"),
            (EventPolicy { kernel: other(), ..good() }, "event-kernel", "section .linux"),
            (EventPolicy { initrd: other(), ..good() }, "event-initrd", "section .initrd"),
            (EventPolicy { cmdline: Rule::Check(vec!["ro".into()]), ..good() }, "event-cmdline", "no text"),
        ] {
            Judged::by(LOG, &booted(), &policy).fails(row, says);
        }
        let mut listed = good();
        if let Rule::Check(sections) = &mut listed.uki {
            sections.insert(".dtb".into(), vec![[1; 32]]);
        }
        Judged::by(LOG, &booted(), &listed).fails("event-uki", ".dtb was not measured");
    }

    #[test]
    fn registers_that_the_log_does_not_give_leave_every_question_open() {
        let mut registers = left_by(LOG);
        let four = measured_boot::PcrIndex::new(4).unwrap();
        registers = registers.iter().filter(|(index, _)| *index != four).fold(
            PcrSet::new(Bank::Sha256),
            |mut set, (index, value)| {
                set.insert(index, value.clone()).unwrap();
                set
            },
        );
        // Not quoted: open.
        let judged = Judged::by(LOG, &registers, &good());
        judged.required_and_open("event-programs");
        assert_eq!(judged.outcome("event-kernel"), Outcome::Pass);
        // Another value: nothing is believed.
        registers.insert(four, PcrValue::zero(Bank::Sha256)).unwrap();
        let judged = Judged::by(LOG, &registers, &good());
        judged.fails("event-log", "PCR 4");
        for row in ["event-secure-boot", "event-programs", "event-uki", "event-kernel", "event-initrd", "event-cmdline"]
        {
            judged.required_and_open(row);
        }
        let mut checks = Checks::default();
        check(&mut checks, None, None, &good());
        Judged(checks.into_inner()).required_and_open("event-kernel");
        let mut checks = Checks::default();
        check(&mut checks, Some(LOG), None, &EventPolicy::unchecked("a test"));
        assert_eq!(Judged(checks.into_inner()).outcome("event-log"), Outcome::NotChecked);
    }

    /// What another kernel can do: extend more, and call it what it likes.

    #[test]
    fn a_running_system_cannot_talk_its_own_kernel_away() {
        let good_kernel: [(u32, &[u8], &[u8]); 2] = [(11, b".linux\0", b".linux"), (11, b"a kernel", b".linux")];
        let evil = with(LOG, &good_kernel);
        let judged = Judged::by(&evil, &left_by(&evil), &good());
        for row in ["event-uki", "event-kernel", "event-initrd", "event-cmdline"] {
            assert_ne!(judged.outcome(row), Outcome::Pass, "{row}: a section that is there twice says nothing");
        }
        // Nor by spoiling PCR 11 and then measuring as GRUB would have.
        let spoilt = with(
            LOG,
            &[
                (11, b"spoilt", b""),
                (9, b"a kernel", b""),
                (9, b"an initial file system", b""),
                (8, CMDLINE.as_bytes(), b""),
            ],
        );
        let registers = left_by(&spoilt);
        let without_11 = registers.iter().filter(|(index, _)| index.number() != 11).fold(
            PcrSet::new(Bank::Sha256),
            |mut set, (index, value)| {
                set.insert(index, value.clone()).unwrap();
                set
            },
        );
        for registers in [registers, without_11] {
            let judged = Judged::by(&spoilt, &registers, &good());
            for row in ["event-uki", "event-kernel", "event-initrd", "event-cmdline"] {
                judged.required_and_open(row);
            }
        }
        // Under GRUB the kernel that runs is in PCR 9 before whatever it adds.
        let grub = with(&empty(), &[(9, b"another kernel", b"/vmlinuz"), (9, b"a kernel", b"/vmlinuz")]);
        let policy = EventPolicy { kernel: good().kernel, ..EventPolicy::unchecked("a test") };
        Judged::by(&grub, &left_by(&grub), &policy).fails("event-kernel", "the log calls it \"/vmlinuz\"");
        // And calling it a remark takes it out of the replay.
        let mut renamed = grub.clone();
        let at = empty().len() + 4;
        renamed[at] = 3;
        let judged = Judged::by(&renamed, &left_by(&grub), &policy);
        assert_eq!((judged.outcome("event-log"), judged.outcome("event-kernel")), (Outcome::Fail, Outcome::NotChecked));
        // A program that is not listed comes after one that is.
        let twice = with(LOG, &[(4, b"an evil loader", b"")]);
        let judged = Judged::by(&twice, &left_by(&twice), &good());
        judged.fails("event-programs", "PCR 4 holds");
    }

    #[test]
    fn a_binary_is_all_that_its_register_holds() {
        let log = with(&empty(), &[(13, b"the gateway", b"gateway")]);
        let rule = |digest| EventPolicy {
            binary: Rule::Check(MeasuredBinary { register: 13, digests: vec![digest] }),
            ..EventPolicy::unchecked("a test")
        };
        assert_eq!(Judged::by(&log, &left_by(&log), &rule(sha(b"the gateway"))).outcome("event-binary"), Outcome::Pass);
        Judged::by(&log, &left_by(&log), &rule([1; 32])).fails("event-binary", "PCR 13 holds");
        let more = with(&log, &[(13, b"something else", b"gateway")]);
        Judged::by(&more, &left_by(&more), &rule(sha(b"the gateway"))).fails("event-binary", "PCR 13 holds");
        Judged::by(LOG, &left_by(LOG), &rule([1; 32])).required_and_open("event-binary");
    }

    #[test]
    fn a_register_into_which_nothing_was_measured_shows_no_program() {
        let log = with(&empty(), &[(4, REMARKS[0], REMARKS[0]), (4, &SEPARATOR, &SEPARATOR)]);
        let policy = EventPolicy { programs: good().programs, ..EventPolicy::unchecked("a test") };
        Judged::by(&log, &left_by(&log), &policy).fails("event-programs", "nothing was measured into PCR 4");
    }

    #[test]
    fn a_register_of_the_system_that_the_log_extends_has_to_be_explained() {
        let log = with(LOG, &[(15, b"measured by the firmware", b"")]);
        assert_eq!(Judged::by(&log, &left_by(&log), &good()).outcome("event-log"), Outcome::Pass);
        let judged = Judged::by(&log, &booted(), &good());
        judged.fails("event-log", "PCR 15");
        judged.required_and_open("event-kernel");
    }

    #[test]
    fn systemd_goes_on_in_its_own_order_and_nobody_else_does() {
        let stub = left_by(LOG);
        let eleven = measured_boot::PcrIndex::new(11).unwrap();
        let after = |phases: &[&str]| {
            let value = phases.iter().fold(stub.value(eleven).unwrap().clone(), |value, phase| {
                value.extend(&Bank::Sha256.hash(phase.as_bytes())).unwrap()
            });
            let mut set = PcrSet::new(Bank::Sha256);
            set.insert(eleven, value).unwrap();
            set
        };
        for count in 0..=PHASES.len() {
            assert_eq!(
                Judged::by(LOG, &after(&PHASES[..count]), &good()).outcome("event-kernel"),
                Outcome::Pass,
                "{count}"
            );
        }
        for phases in [&["leave-initrd", "enter-initrd"][..], &["shutdown"], &["enter-initrd", "evil"]] {
            let judged = Judged::by(LOG, &after(phases), &good());
            judged.required_and_open("event-kernel");
        }
    }
}
