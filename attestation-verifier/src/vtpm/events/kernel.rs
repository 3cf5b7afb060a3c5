//! Which kernel was started, from what and with what options: sections that a boot stub measured, or files and texts
//! that GRUB did.

use measured_boot::{Digest, is_digest_of};

use super::{EventPolicy, LIST, Loader, Rows, among, asked, closed, rule};
use crate::{Class, Rule, appraisal::Checks};

impl Rows<'_> {
    pub(super) fn uki(&self, checks: &mut Checks) {
        const ROW: &str = "event-uki";
        let Some(listed) = asked(checks, ROW, &self.policy.uki) else { return };
        let Some(loader) = self.started(checks, ROW) else { return };
        let Loader::Stub(sections) = loader else {
            let detail = "nothing was measured into PCR 11: no unified kernel image was started".to_owned();
            return checks.fail(ROW, Class::Policy, detail, LIST);
        };
        for (name, digest) in &sections {
            if !listed.get(*name).is_some_and(|digests| among(digests, digest)) {
                let detail = format!("section {name} has {digest}, which the policy does not list");
                return checks.fail(ROW, Class::Policy, detail, LIST);
            }
        }
        if let Some(missing) = listed.keys().find(|name| !sections.contains_key(name.as_str())) {
            let detail = format!("section {missing} was not measured");
            return checks.fail(ROW, Class::Policy, detail, LIST);
        }
        let names: Vec<&str> = sections.keys().copied().collect();
        checks.pass(ROW, Class::Policy, format!("{} as listed{}", names.join(" "), self.by_whom()));
    }

    /// Kernel or initrd: a section of a unified kernel image, or a file that GRUB read.
    pub(super) fn file(
        &self,
        checks: &mut Checks,
        row: &'static str,
        section: &'static str,
        rule_of: &Rule<Vec<[u8; 32]>>,
    ) {
        let Some(digests) = asked(checks, row, rule_of) else { return };
        let Some(loader) = self.started(checks, row) else { return };
        if let Loader::Stub(sections) = loader {
            return match sections.get(section) {
                Some(digest) if among(digests, digest) => {
                    let detail = format!("section {section} of PCR 11 is {digest}, as listed{}", self.by_whom());
                    checks.pass(row, Class::Policy, detail);
                }
                Some(digest) => {
                    let detail = format!("section {section} of PCR 11 is {digest}, which the policy does not list");
                    checks.fail(row, Class::Policy, detail, LIST);
                }
                None => self.open(checks, row, &format!("PCR 11 has no section {section}")),
            };
        }
        let Some(events) = self.events(9) else {
            return self.open(checks, row, "PCR 9 is not among the explained registers");
        };
        if !events.iter().any(|event| among(digests, event.digest())) {
            let detail = format!("none of the {} files of PCR 9 is listed for it", events.len());
            return checks.fail(row, Class::Policy, detail, LIST);
        }
        closed(checks, row, "PCR 9", &events, self.by_whom(), &|digest| self.may_be_read(digest));
    }

    /// Files that a boot loader may have read, by all lists of the policy.
    fn may_be_read(&self, digest: &Digest) -> bool {
        let EventPolicy { kernel, initrd, cmdline, loader_files, .. } = self.policy;
        let file = |listed: &Rule<Vec<[u8; 32]>>| rule(listed).is_ok_and(|digests| among(digests, digest));
        // The kernel measures the options that it was started with into PCR 9 itself.
        file(kernel)
            || file(initrd)
            || among(loader_files, digest)
            || rule(cmdline).is_ok_and(|texts| spelt(texts, digest))
    }

    pub(super) fn cmdline(&self, checks: &mut Checks) {
        const ROW: &str = "event-cmdline";
        let Some(texts) = asked(checks, ROW, &self.policy.cmdline) else { return };
        let Some(loader) = self.started(checks, ROW) else { return };
        if let Loader::Stub(sections) = loader {
            let Some(replacing) = self.events(12) else {
                return self.open(
                    checks,
                    ROW,
                    "PCR 12, by which the command line is replaced, is not among the explained registers",
                );
            };
            if !replacing.is_empty() {
                return closed(checks, ROW, "PCR 12", &replacing, self.by_whom(), &|digest| spelt(texts, digest));
            }
            return match sections.get(".cmdline") {
                Some(digest) if spelt(texts, digest) => {
                    checks.pass(
                        ROW,
                        Class::Policy,
                        format!(
                            "section .cmdline of PCR 11, as listed; nothing in PCR 12 replaces it{}",
                            self.by_whom()
                        ),
                    );
                }
                Some(digest) => {
                    let detail = format!("section .cmdline of PCR 11 is {digest}, which is no text of the policy");
                    checks.fail(ROW, Class::Policy, detail, LIST);
                }
                None => self.open(checks, ROW, "PCR 11 has no section .cmdline, and PCR 12 nothing in its place"),
            };
        }
        let Some(events) = self.events(8) else {
            return self.open(checks, ROW, "PCR 8 is not among the explained registers");
        };
        if !events.iter().any(|event| spelt(texts, event.digest())) {
            let detail = format!("none of the {} texts of PCR 8 is listed", events.len());
            return checks.fail(ROW, Class::Policy, detail, LIST);
        }
        closed(checks, ROW, "PCR 8", &events, self.by_whom(), &|digest| {
            spelt(texts, digest) || among(&self.policy.loader_commands, digest)
        });
    }
}

/// Is it the digest of one of these command lines? GRUB measures the text, the kernel measures it in UTF-16 and with
/// the image's name in front, a section may end with a zero or a new line.
fn spelt(texts: &[String], digest: &Digest) -> bool {
    texts.iter().any(|text| {
        [text.clone(), format!("BOOT_IMAGE={text}")].iter().any(|text| {
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let narrow = text.as_bytes();
            [narrow, &[narrow, &[0]].concat(), &[narrow, b"\n"].concat(), &wide, &[&wide[..], &[0, 0]].concat()]
                .iter()
                .any(|bytes| is_digest_of(digest, bytes))
        })
    })
}

#[cfg(test)]
mod tests {
    use measured_boot::{Bank, PcrValue};

    use super::super::sample::{CMDLINE, Judged, LOG, empty, good, left_by, sha, with};
    use super::*;
    use crate::Outcome;

    #[test]
    fn what_replaces_the_command_line_is_the_command_line() {
        let zeros = |log: &[u8]| {
            let mut set = left_by(log);
            let twelve = measured_boot::PcrIndex::new(12).unwrap();
            if set.value(twelve).is_none() {
                set.insert(twelve, PcrValue::zero(Bank::Sha256)).unwrap();
            }
            set
        };
        assert_eq!(Judged::by(LOG, &zeros(LOG), &good()).outcome("event-cmdline"), Outcome::Pass);
        // Without PCR 12 nobody knows.
        Judged::by(LOG, &left_by(LOG), &good()).required_and_open("event-cmdline");
        let wide: Vec<u8> = CMDLINE.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let same = with(LOG, &[(12, &wide, &wide)]);
        assert_eq!(Judged::by(&same, &zeros(&same), &good()).outcome("event-cmdline"), Outcome::Pass);
        let other = with(LOG, &[(12, &wide, &wide), (12, b"init=/bin/sh", b"root=/dev/mapper/root ro quiet")]);
        Judged::by(&other, &zeros(&other), &good()).fails("event-cmdline", "PCR 12 holds");
    }

    #[test]
    fn under_grub_every_file_and_every_text_has_to_be_listed() {
        let options: Vec<u8> = format!("BOOT_IMAGE={CMDLINE}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let log = with(
            &empty(),
            &[
                (8, b"set default=0", b"grub_cmd: set default=0\0"),
                (8, CMDLINE.as_bytes(), b"kernel_cmdline: root=/dev/mapper/root ro quiet\0"),
                (9, b"menu", b"grub.cfg\0"),
                (9, b"a kernel", b"/vmlinuz\0"),
                (9, b"an initial file system", b"/initrd\0"),
                (9, &options, b"LOADED_IMAGE::LoadOptions\0"),
            ],
        );
        let whole = EventPolicy {
            kernel: good().kernel,
            initrd: good().initrd,
            cmdline: good().cmdline,
            loader_files: vec![sha(b"menu")],
            loader_commands: vec![sha(b"set default=0")],
            ..EventPolicy::unchecked("a test")
        };
        let judged = Judged::by(&log, &left_by(&log), &whole);
        for row in ["event-kernel", "event-initrd", "event-cmdline"] {
            assert_eq!(judged.outcome(row), Outcome::Pass, "{row}: {}", judged.row(row).1);
            assert!(judged.row(row).1.contains("which program measured it is not checked"));
        }
        let policy = EventPolicy { loader_commands: vec![], ..whole.clone() };
        Judged::by(&log, &left_by(&log), &policy)
            .fails("event-cmdline", "the log calls it \"grub_cmd: set default=0\"");
        let policy = EventPolicy { loader_files: vec![], initrd: Rule::Unchecked(String::new()), ..whole };
        Judged::by(&log, &left_by(&log), &policy).fails("event-kernel", "grub.cfg");
    }
}
