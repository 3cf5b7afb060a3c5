//! The answer to a nonce: a second report, a quote, or both, of the same guest over the same core and its newest state.

use evidence::{
    bundle::{EndorsedReport, Fresh},
    merkle,
    report_data::{Purpose, report_data},
    state::evidence_message,
};

use crate::{
    Class, Crypto, NotProven, Registers, Verdict, VtpmKind,
    appraisal::{Checks, LAST},
    gateway::{
        bundle::{Booted, Judge},
        vtpm::Bound,
    },
    policy::advisories,
};

impl<C: Crypto> Judge<'_, C> {
    /// Row `fresh`, which is judged whoever asked for it, and row `nonce`: does it answer the nonce of this question?
    /// Gives the registers of its quote.
    pub(crate) fn check_nonce(&self, booted: &Booted, checks: &mut Checks, verdict: &mut Verdict) -> Option<Registers> {
        const ASK: &str = "fetch /api/attestation/bundle?nonce=<hex> with a nonce of your own";
        const LIKE_BOOT: &str = "what answers the nonce is judged like the evidence of the boot: mend those rows first";
        let (mut holds, mut registers) = (false, None);
        if let Some(fresh) = &self.bundle.fresh {
            match self.check_fresh(fresh, booted, verdict) {
                Ok((detail, quoted)) => {
                    checks.pass("fresh", Class::Binding, detail);
                    (holds, registers) = (true, quoted);
                }
                Err((class @ Class::Binding, detail)) => checks.fail("fresh", class, detail, ASK),
                Err((class, detail)) => checks.fail("fresh", class, detail, LIKE_BOOT),
            }
        }
        if self.bundle.fresh.is_some() && checks.has("advisories") {
            advisories::state(self.policy, verdict, checks);
        }
        match (self.question.nonce, &self.bundle.fresh) {
            (Some(_), None) => checks.fail("nonce", Class::Binding, "the bundle answers no nonce".to_owned(), ASK),
            (Some(nonce), Some(fresh)) if nonce != fresh.nonce.as_bytes() => {
                checks.fail("nonce", Class::Binding, "the bundle answers another nonce".to_owned(), ASK);
            }
            (Some(_), Some(_)) if !holds => checks.open("nonce", LAST, "what answers it does not hold"),
            (Some(_), Some(_)) => {
                checks.pass("nonce", Class::Binding, "yours: the answer was made after you gave it".to_owned());
            }
            (None, fresh) => {
                verdict.leaves_open(NotProven::NoNonce);
                let detail = match fresh {
                    None => "none asked for: the evidence may be old",
                    Some(_) => "the bundle answers a nonce; --nonce says whether it is yours",
                };
                if self.policy.wants_report_data() {
                    checks.open("nonce", Class::Policy, &format!("{detail}; the policy wants report data of yours"));
                } else {
                    checks.note("nonce", Class::Binding, detail);
                }
            }
        }
        registers
    }

    /// What passes, in words, with the registers of its quote, or what is wrong with the answer. What its report leaves
    /// open, the verdict leaves open.
    fn check_fresh(&self, fresh: &Fresh, booted: &Booted, verdict: &mut Verdict) -> Result<Answer, Wrong> {
        if fresh.purpose != Purpose::Client {
            return binding(".purpose: not a nonce of a caller; others are judged by those who gave them");
        }
        let (index, count) = (u64::from(fresh.index), u64::from(fresh.count));
        let Some(root) = merkle::root_from(fresh.nonce.leaf(fresh.purpose), index, count, &fresh.path) else {
            return binding(".path has not the length that index and count ask for");
        };
        let head = self.found.states.last().map_or(self.found.core_digest, |newest| newest.digest);
        let rd = report_data(&root, fresh.count, &self.found.core_digest, &head);
        let vtpm = self.vtpm();
        // A report of the paravisor speaks for its own claims, and cannot carry a nonce within seconds.
        let quote_alone = vtpm.kind() == VtpmKind::Paravisor;
        let reported = match (&fresh.report, quote_alone) {
            (None, true) => None,
            (Some(carried), false) => Some(self.check_fresh_report(carried, &rd, booted, verdict)?),
            (Some(_), true) => return binding(".report: below a paravisor the quote alone answers a nonce"),
            (None, false) => {
                return binding(": no report answers the nonce, and this vTPM alone does not speak for the guest");
            }
        };
        let registers = match &fresh.quote {
            None if quote_alone => return binding(": no quote answers the nonce"),
            None => None,
            Some(carried) => match vtpm.quoted(carried, &rd) {
                Ok((_, registers)) => Some(registers),
                Err(fault) => return Err((fault.class, format!("bundle.fresh.quote: {}", fault.detail))),
            },
        };
        if registers.is_some() && !booted.holds {
            return binding(".quote: nothing that holds names the key that signed it");
        }
        if !self.signed_by_core(&evidence_message(&self.found.core_digest, &rd), &fresh.possession) {
            return binding(".possession is not by the core's proof key");
        }
        let quoted = registers.as_ref().map(|registers| moved(booted.registers.as_ref(), registers));
        let what = match (reported, quoted) {
            (Some(signer), None) => format!("a second report of the same guest, {signer},"),
            (Some(signer), Some(moved)) => format!("a second report of the same guest, {signer}, and a quote{moved}"),
            (None, moved) => format!("a second quote by the same vTPM{}", moved.unwrap_or_default()),
        };
        Ok((format!("{what} over core and newest state, nonce {} of {count}", index + 1), registers))
    }

    /// Whose key signed it, in words.
    fn check_fresh_report(
        &self,
        carried: &EndorsedReport,
        rd: &[u8; 64],
        booted: &Booted,
        verdict: &mut Verdict,
    ) -> Result<&'static str, Wrong> {
        let bound = Bound::of(self.parts, &carried.report);
        let judged = self.report(&carried.report, &carried.vek, &bound.report_data(rd));
        if let Some((class, row)) = judged.verdict.reason() {
            let detail = if row.name == "report-data" {
                "REPORT_DATA is not the digest of nonce, core and newest state".to_owned()
            } else {
                format!("{}: {}", row.name, row.detail)
            };
            return Err((class, format!("bundle.fresh.report: {detail}")));
        }
        for code in judged.verdict.not_proven {
            verdict.leaves_open(code);
        }
        for attack in judged.verdict.advisories {
            verdict.knows_attack(attack);
        }
        let (Some(guest), Some(boot)) = (&judged.guest, &booted.guest) else {
            return binding(".report: there is no verified boot report to compare it with");
        };
        if let Some(field) = guest.difference(boot) {
            return binding(&format!(".report is of another guest than the boot report ({field})"));
        }
        guest.signer.beside(&boot.signer).or_else(|wrong| binding(&format!(".vek {wrong}")))
    }
}

/// What passes, and the registers of the quote in it.
type Answer = (String, Option<Registers>);
/// What does not.
type Wrong = (Class, String);

fn binding<T>(detail: &str) -> Result<T, Wrong> {
    Err((Class::Binding, format!("bundle.fresh{detail}")))
}

/// Registers that were extended since the boot's quote, if any: shown, because something was measured since.
fn moved(boot: Option<&Registers>, now: &Registers) -> String {
    let differs = |register: &u8| boot.and_then(|boot| boot.value(*register)) != now.value(*register);
    let moved: Vec<String> =
        now.iter().map(|(register, _)| register).filter(differs).map(|register| register.to_string()).collect();
    if moved.is_empty() { String::new() } else { format!(" (PCR {} other than at the boot)", moved.join(" ")) }
}
