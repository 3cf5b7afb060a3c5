//! Revocation lists that can fire: every product, chips and providers, every date, every policy about stale lists, and
//! lists that are none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

#[path = "common/silicon.rs"]
mod silicon;

use attestation_verifier::{Need, Outcome, Policy, StaleCrl, Verdict, clock};
use evidence::UnixSeconds;
use silicon::{NOW, Silicon};
use software_psp::{Extension, Intermediate, Product, VekKind};
use time::{Duration, OffsetDateTime};

/// A list of a year that is current now.
fn dates() -> (OffsetDateTime, OffsetDateTime) {
    (NOW - Duration::days(60), NOW + Duration::days(300))
}

fn text(time: OffsetDateTime) -> String {
    clock::text(UnixSeconds(u64::try_from(time.unix_timestamp()).unwrap()))
}

fn said(verdict: &Verdict) -> (u8, Outcome, &str) {
    let row = verdict.check("revocation").unwrap();
    (verdict.exit_code(), row.outcome, &row.detail)
}

/// The verdict on an honest report of a chip, with these lists.
fn judged(silicon: &Silicon, policy: &Policy, lists: &[Vec<u8>], at: OffsetDateTime) -> Verdict {
    silicon.judge_with(VekKind::Vcek, &silicon.body(5), policy, lists, at)
}

#[test]
fn a_list_of_each_product_revokes_its_ask_and_its_asvk_and_neither_the_other() {
    for product in [Product::Milan, Product::Genoa, Product::Turin] {
        let silicon = Silicon::new(product);
        for (revoked, kind, body) in [
            (Intermediate::Ask, VekKind::Vcek, silicon.body(5)),
            (Intermediate::Asvk, VekKind::Vlek, silicon.body_of_provider(5)),
        ] {
            for listed in [Intermediate::Ask, Intermediate::Asvk] {
                let list = silicon.list(4, dates(), &[listed]);
                let verdict = silicon.judge_with(kind, &body, &Policy::strict(), &[list], NOW);
                let (exit, outcome, detail) = said(&verdict);
                if listed == revoked {
                    assert_eq!((exit, outcome), (4, Outcome::Fail), "{product:?} {kind:?}");
                    let serial = format!("{:06x}", silicon.authority.serial(revoked));
                    assert!(detail.contains("list number 4") && detail.contains(&serial), "{detail}");
                    assert!(detail.contains("without a reason"), "{detail}");
                } else {
                    assert_eq!((exit, outcome), (0, Outcome::Pass), "{product:?} {kind:?}: {detail}");
                }
            }
        }
    }
}

#[test]
fn a_revocation_outlives_its_list_and_every_newer_one() {
    let silicon = Silicon::new(Product::Genoa);
    let old = silicon.list(2, (NOW - Duration::days(900), NOW - Duration::days(500)), &[Intermediate::Ask]);
    let new = silicon.list(9, dates(), &[]);
    for policy in [StaleCrl::Require, StaleCrl::Warn, StaleCrl::AcceptUntil { days: 1 }] {
        let policy = Policy { stale_crl: policy, ..Policy::strict() };
        for lists in [vec![old.clone()], vec![old.clone(), new.clone()], vec![new.clone(), old.clone()]] {
            assert_eq!(said(&judged(&silicon, &policy, &lists, NOW)).0, 4);
        }
    }
}

#[test]
fn a_list_counts_from_its_first_second_to_its_last() {
    let silicon = Silicon::new(Product::Milan);
    let (from, to) = dates();
    let list = [silicon.list(4, (from, to), &[])];
    for (at, exit) in [(from - Duration::SECOND, 4), (from, 0), (to, 0), (to + Duration::SECOND, 4)] {
        assert_eq!(said(&judged(&silicon, &Policy::strict(), &list, at)).0, exit, "{at}");
    }
}

#[test]
fn a_stale_list_rejects_warns_or_counts_for_as_many_days_as_the_policy_says() {
    let silicon = Silicon::new(Product::Milan);
    let ended = NOW - Duration::days(30);
    let list = [silicon.list(4, (NOW - Duration::days(400), ended), &[])];
    let judge = |stale_crl, revocation, at| {
        let policy = Policy { stale_crl, revocation, ..Policy::strict() };
        let verdict = judged(&silicon, &policy, &list, at);
        let (exit, outcome, detail) = said(&verdict);
        (exit, outcome, detail.to_owned())
    };
    for need in [Need::Optional, Need::Required] {
        let (exit, outcome, detail) = judge(StaleCrl::Require, need, NOW);
        assert_eq!((exit, outcome), (4, Outcome::Fail));
        assert!(detail.contains("past its nextUpdate"), "{detail}");
        let (exit, outcome, detail) = judge(StaleCrl::AcceptUntil { days: 30 }, need, NOW);
        assert_eq!((exit, outcome), (0, Outcome::Pass), "{detail}");
        assert!(detail.contains("by no more than the policy accepts"), "{detail}");
        assert_eq!(judge(StaleCrl::AcceptUntil { days: 30 }, need, NOW + Duration::SECOND).0, 4);
        assert_eq!(judge(StaleCrl::AcceptUntil { days: 29 }, need, NOW).0, 4);
    }
    assert_eq!(judge(StaleCrl::Warn, Need::Optional, NOW).0, 0);
    assert_eq!(judge(StaleCrl::Warn, Need::Optional, NOW).1, Outcome::NotChecked);
    // A warning clears nothing: whoever requires an answer gets none.
    assert_eq!(judge(StaleCrl::Warn, Need::Required, NOW).0, 5);
}

#[test]
fn a_list_from_the_future_clears_nothing_however_many_days_are_accepted() {
    let silicon = Silicon::new(Product::Milan);
    let list = silicon.list(4, (NOW + Duration::days(1), NOW + Duration::days(9)), &[]);
    for stale_crl in [StaleCrl::Require, StaleCrl::AcceptUntil { days: 3650 }] {
        let policy = Policy { stale_crl, ..Policy::strict() };
        let verdict = judged(&silicon, &policy, std::slice::from_ref(&list), NOW);
        let (exit, outcome, detail) = said(&verdict);
        assert_eq!((exit, outcome), (4, Outcome::Fail));
        assert!(detail.contains("not valid yet"), "{detail}");
    }
    // It does revoke.
    let list = silicon.list(4, (NOW + Duration::days(1), NOW + Duration::days(9)), &[Intermediate::Ask]);
    assert_eq!(said(&judged(&silicon, &Policy::strict(), &[list], NOW)).0, 4);
}

#[test]
fn of_several_lists_the_newest_counts_and_a_stale_one_beside_it_does_no_harm() {
    let silicon = Silicon::new(Product::Milan);
    let old = silicon.list(3, (NOW - Duration::days(400), NOW - Duration::days(30)), &[]);
    let middle = silicon.list(4, dates(), &[]);
    let newest = silicon.list(5, (NOW - Duration::days(1), NOW + Duration::days(1)), &[]);
    for lists in [[&old, &middle, &newest], [&newest, &middle, &old], [&middle, &newest, &old]] {
        let lists: Vec<Vec<u8>> = lists.into_iter().cloned().collect();
        let verdict = judged(&silicon, &Policy::strict(), &lists, NOW);
        let (exit, outcome, detail) = said(&verdict);
        assert_eq!((exit, outcome), (0, Outcome::Pass));
        assert!(detail.contains("number 5"), "{detail}");
    }
    // Equally new: the first one given.
    let another = silicon.list(4, (dates().0, dates().1 + Duration::days(9)), &[]);
    let verdict = judged(&silicon, &Policy::strict(), &[middle, another], NOW);
    assert!(said(&verdict).2.ends_with(&format!("to {}", text(dates().1))), "{}", said(&verdict).2);
}

#[test]
fn a_list_that_the_host_hands_along_may_revoke_and_cannot_make_anybody_reject() {
    let silicon = Silicon::new(Product::Milan);
    let judge = |policy: &Policy, list: &[u8]| {
        silicon.judge_beside(VekKind::Vcek, &silicon.body(5), policy, &[], &[list.to_vec()], NOW)
    };
    let past = (NOW - Duration::days(400), NOW - Duration::days(30));
    let mut damaged = silicon.list(4, dates(), &[]);
    *damaged.last_mut().unwrap() ^= 1;
    for useless in [silicon.list(4, past, &[]), damaged] {
        let verdict = judge(&Policy::strict(), &useless);
        assert_eq!(said(&verdict), (0, Outcome::NotChecked, "no list given (--crl)"));
    }
    let warn = Policy { stale_crl: StaleCrl::Warn, ..Policy::strict() };
    let verdict = judge(&warn, &silicon.list(4, past, &[]));
    let (exit, outcome, detail) = said(&verdict);
    assert_eq!((exit, outcome), (0, Outcome::NotChecked));
    assert!(detail.contains("past its nextUpdate"), "{detail}");
    let verdict = judge(&Policy::strict(), &silicon.list(4, dates(), &[]));
    assert_eq!((said(&verdict).0, said(&verdict).1), (0, Outcome::Pass));
    let verdict = judge(&Policy::strict(), &silicon.list(4, past, &[Intermediate::Ask]));
    assert_eq!((said(&verdict).0, said(&verdict).1), (4, Outcome::Fail));
}

#[test]
fn a_required_list_that_is_not_given_rejects_and_one_that_is_optional_does_not() {
    let silicon = Silicon::new(Product::Turin);
    let required = Policy { revocation: Need::Required, ..Policy::strict() };
    assert_eq!(said(&judged(&silicon, &required, &[], NOW)).0, 5);
    assert_eq!(said(&judged(&silicon, &required, &[silicon.list(1, dates(), &[])], NOW)).0, 0);
    let verdict = judged(&silicon, &Policy::strict(), &[], NOW);
    assert_eq!((said(&verdict).0, said(&verdict).1), (0, Outcome::NotChecked));
}

#[test]
fn a_list_by_somebody_else_tells_nothing_and_is_told_so() {
    let (milan, genoa) = (Silicon::new(Product::Milan), Silicon::new(Product::Genoa));
    let list = genoa.list(4, dates(), &[Intermediate::Ask, Intermediate::Asvk]);
    let verdict = judged(&milan, &Policy::strict(), &[list], NOW);
    let (exit, _, detail) = said(&verdict);
    assert_eq!(exit, 4);
    assert!(detail.contains("not issued by"), "{detail}");
    // Every bit of the signed part and of the signature.
    let list = milan.list(4, dates(), &[]);
    for at in (0..list.len()).step_by(7) {
        let mut changed = list.clone();
        changed[at] ^= 1;
        assert_eq!(judged(&milan, &Policy::strict(), &[changed], NOW).exit_code(), 4, "byte {at}");
    }
}

fn extension(id: &[u32], critical: bool, value: &[u8]) -> Extension {
    Extension { id: id.to_vec(), critical, value: value.to_vec() }
}

#[test]
fn delta_indirect_and_partial_lists_and_those_with_unknown_extensions_cannot_be_used() {
    let silicon = Silicon::new(Product::Milan);
    let judge = |of_entries: &[Extension], of_list: &[Extension]| {
        // It revokes the other intermediate, so that it has an entry.
        let list = silicon.list_with(4, dates(), &[Intermediate::Asvk], of_entries, of_list);
        let verdict = judged(&silicon, &Policy::strict(), &[list], NOW);
        let (exit, _, detail) = said(&verdict);
        (exit, detail.to_owned())
    };
    assert_eq!(judge(&[], &[]).0, 0);
    for critical in [true, false] {
        for (id, words) in [
            (&[2, 5, 29, 27][..], "a delta list"),
            (&[2, 5, 29, 28], "an indirect or partial list"),
            (&[2, 5, 29, 46], "extension 2.5.29.46"),
            (&[1, 3, 6, 1, 4, 1, 99999, 1], "extension 1.3.6.1.4.1.99999.1"),
            (&[2, 5, 29, 20], "stands twice"),
        ] {
            let (exit, detail) = judge(&[], &[extension(id, critical, &[2, 1, 1])]);
            assert_eq!(exit, 4, "{id:?}");
            assert!(detail.contains(words), "{detail}");
        }
    }
    // Extensions of entries: the issuer of an indirect list, and what is critical and unknown.
    assert_eq!(judge(&[extension(&[2, 5, 29, 29], true, &[0x30, 0])], &[]).0, 4);
    assert_eq!(judge(&[extension(&[1, 3, 6, 1, 4, 1, 99999, 1], true, &[5, 0])], &[]).0, 4);
    assert_eq!(judge(&[extension(&[1, 3, 6, 1, 4, 1, 99999, 1], false, &[5, 0])], &[]).0, 0);
    assert_eq!(judge(&[extension(&[2, 5, 29, 21], false, &[0x0A, 1, 4])], &[]).0, 0);
}

#[test]
fn the_reason_of_an_entry_is_shown_and_none_of_them_makes_it_less_revoked() {
    let silicon = Silicon::new(Product::Milan);
    for (code, words) in
        [(1, "keyCompromise"), (2, "cACompromise"), (6, "certificateHold"), (8, "removeFromCRL"), (99, "does not have")]
    {
        let reason = extension(&[2, 5, 29, 21], false, &[0x0A, 1, code]);
        let list = silicon.list_with(4, dates(), &[Intermediate::Ask], &[reason], &[]);
        let verdict = judged(&silicon, &Policy::strict(), &[list], NOW);
        let (exit, _, detail) = said(&verdict);
        assert_eq!(exit, 4);
        assert!(detail.contains(words) && detail.contains("since 2026-04-02"), "{detail}");
    }
}
