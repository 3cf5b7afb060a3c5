//! A chip kept in a file.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a failed expectation is the test's answer")]

use std::{fs, os::unix::fs::PermissionsExt, time::Instant};

use software_psp::{Product, PspError, SoftwarePsp};
use time::macros::datetime;

#[test]
fn a_chip_is_the_same_after_a_restart_and_is_never_replaced() {
    let dir = tempfile::tempdir().expect("directory");
    let now = datetime!(2026-11-21 12:00 UTC);
    let started = Instant::now();
    let made = SoftwarePsp::create(dir.path(), Product::Genoa, now).expect("created");
    eprintln!("create: {:.1} s", started.elapsed().as_secs_f64());
    let path = dir.path().join("software-psp");
    assert_eq!(fs::metadata(&path).expect("file").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).expect("directory").count(), 1, "no draft is left");

    let started = Instant::now();
    let opened = SoftwarePsp::open(dir.path()).expect("opened");
    eprintln!("open: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    assert_eq!((opened.ark(), opened.ask(), opened.vcek()), (made.ark(), made.ask(), made.vcek()));
    // ECDSA by RFC 6979: the same key gives the same signature.
    let request = made.request(5, [7; 64]);
    let started = Instant::now();
    let report = made.report(&request);
    eprintln!("report: {:.2} ms", started.elapsed().as_secs_f64() * 1e3);
    assert_eq!(opened.report(&opened.request(5, [7; 64])), report);

    let again = SoftwarePsp::create(dir.path(), Product::Milan, now).err().expect("refused");
    assert!(matches!(again, PspError::File { doing: "create", .. }), "{again}");

    let text = fs::read_to_string(&path).expect("text");
    for line in text.lines() {
        fs::write(&path, text.replace(line, &line[..line.len() - 1])).expect("damaged");
        let error = SoftwarePsp::open(dir.path()).err().expect("a line is cut");
        assert!(matches!(error, PspError::Damaged { .. }), "{error}");
    }
    fs::write(&path, format!("{text}more\n")).expect("damaged");
    assert!(matches!(SoftwarePsp::open(dir.path()), Err(PspError::Damaged { entry: "end", .. })));
    fs::remove_file(&path).expect("removed");
    let error = SoftwarePsp::open(dir.path()).err().expect("gone");
    assert!(matches!(error, PspError::File { doing: "read", .. }), "{error}");
}
