//! The simulated platform, from an empty directory.
#![allow(clippy::expect_used, reason = "a failed expectation is the test's answer")]

use platform::{DevelopmentMode, EvidenceSource, Simulated, VekKind};
use time::macros::datetime;

#[test]
fn the_simulated_platform_keeps_its_root_and_answers_for_the_callers_bytes() {
    let dir = tempfile::tempdir().expect("directory");
    assert!(DevelopmentMode::from_config(false).is_none());
    let development = DevelopmentMode::from_config(true).expect("asked for");
    let now = datetime!(2026-11-21 12:00 UTC);
    let source = Simulated::open(dir.path(), development, now).expect("made");
    let one = source.collect(&[1; 64]).expect("evidence");
    let two = source.collect(&[2; 64]).expect("evidence");
    assert_eq!((one.report_data(), two.report_data()), ([1; 64], [2; 64]));
    assert_eq!((one.report.len(), one.vek_kind), (1184, VekKind::Vcek));
    assert_eq!(one.measurement(), two.measurement());
    assert_eq!((source.platform(), source.tee_enabled()), ("simulated", false));
    assert_eq!(one.root.as_bytes(), source.root());
    assert!(one.root.pem().starts_with("-----BEGIN CERTIFICATE-----\nMII"));

    let later = Simulated::open(dir.path(), development, datetime!(2026-11-22 12:00 UTC)).expect("kept");
    assert_eq!(later.root(), source.root());
    assert_eq!(later.collect(&[1; 64]).expect("evidence").vek, one.vek);
}
