//! The sandbox's readers of packages, from their source: it is a crate with a container engine behind it, and shows them to
//! nobody. A target that uses them re-exports all of this, for the sources name each other from the crate's root. What only
//! the sandbox may see is checked here, in its place.
#![allow(dead_code, unused_imports, reason = "each target fuzzes some of them")]

#[path = "../../../enclave/sandbox/src/layer.rs"]
pub mod layer;
#[path = "../../../enclave/sandbox/src/local.rs"]
pub mod local;
#[path = "../../../enclave/sandbox/src/manifest.rs"]
pub mod manifest;
#[path = "../../../enclave/sandbox/src/package.rs"]
pub mod package;

/// Of PyPI.
#[path = "../../../enclave/sandbox/src/pypi"]
pub mod pypi {
    pub mod error;
    pub mod html;
    pub mod package;
    pub mod page;
    pub mod wheel;
    pub mod zip;

    pub use error::PypiError;
    pub use package::PypiPackage;

    use std::collections::BTreeMap;

    use self::{
        package::{WheelName, is_name, normalized},
        page::Page,
        wheel::Wheel,
    };
    use crate::{layer::Files, package::is_inner_path};

    /// The first line, and the rest.
    fn parts(bytes: &[u8]) -> Option<(&str, &[u8])> {
        let at = bytes.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = bytes.split_at(at);
        Some((std::str::from_utf8(line).ok()?, rest.get(1..)?))
    }

    /// The name of a file, and the file.
    pub fn a_wheel(bytes: &[u8]) {
        let Some((name, archive)) = parts(bytes) else { return };
        let Some(name) = WheelName::parse(name) else { return };
        let alone = Wheel::metadata_of(&name, archive);
        let Ok(wheel) = Wheel::open(&name, archive) else { return };
        assert_eq!(alone.expect("metadata of a whole wheel"), wheel.metadata());
        let mut files = Files::default();
        let Ok(programs) = wheel.place(&name.name, &mut files) else { return };
        for path in files.paths() {
            assert!(is_inner_path(path), "outside: {path:?}");
            assert!(!["bin/python", "bin/python3", "pyvenv.cfg"].contains(&path), "the runner's own: {path:?}");
        }
        for (program, command) in &programs {
            assert!(files.contents(&format!("bin/{program}")).is_some(), "no program {program:?}");
            assert!(command.last().is_some_and(|word| *word == format!("/app/bin/{program}")), "{command:?}");
        }
    }

    /// The name of a package, and its page.
    pub fn a_page(bytes: &[u8]) {
        let Some((package, body)) = parts(bytes) else { return };
        if !is_name(package) {
            return;
        }
        let package = normalized(package);
        let Ok(page) = Page::parse(&package, body) else { return };
        let published: BTreeMap<_, _> = page.files.iter().map(|file| (file.name.clone(), file.sha256)).collect();
        assert_eq!(published.len(), page.files.len(), "a file stands twice");
        let shown = Page::parse(&package, &page.for_pip(&package)).expect("our own page");
        for file in &shown.files {
            assert!(WheelName::parse(&file.name).is_some_and(|it| it.name == package), "{:?}", file.name);
            assert!(file.sha256.is_some() && published.get(&file.name) == Some(&file.sha256), "{:?}", file.name);
            assert_eq!(file.reference, format!("/wheel/{package}/{}", file.name), "leads elsewhere");
            let of_index = page.file(&file.name).expect("published");
            assert_eq!(file.requires_python, of_index.requires_python);
            assert_eq!(file.yanked.is_some(), of_index.yanked.is_some());
        }
    }
}

pub use layer::LayerError;
pub use local::LocalPackage;
pub use package::PackageError;
pub use pypi::PypiPackage;
