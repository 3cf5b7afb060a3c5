//! A wheel: what it must be, and where its files go. Source: PyPA, "Binary distribution format" (PEP 427),
//! "Recording installed projects" (RECORD), "Entry points specification".

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::{
    package::{WheelName, normalized},
    zip::{Unpacked, unpack},
};
use crate::layer::{Files, LayerError};

/// Where packages lie below the place of a server. The runner image's Python looks there.
pub(super) const SITE_PACKAGES: &str = "lib/python3.11/site-packages";
/// What starts a server, in the runner image: its Python as that of a virtual environment.
pub(super) const PYTHON: &str = "/app/bin/python";
/// Files of the runner image at the place of a server.
const RESERVED: [&str; 3] = ["bin/python", "bin/python3", "pyvenv.cfg"];

/// Why a file is no wheel that can be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WheelError {
    /// Not an archive.
    #[error("no readable ZIP archive: {0}")]
    Zip(String),
    /// A file would lie outside of the server's place.
    #[error("a file would lie at {path:?}, outside of the package")]
    Outside {
        /// Where.
        path: String,
    },
    /// One name for two files.
    #[error("{path:?} is the name of two files")]
    Twice {
        /// The name.
        path: String,
    },
    /// A link or a device.
    #[error("{path:?} is a link or a device, want files only")]
    Kind {
        /// Its name.
        path: String,
    },
    /// Too much.
    #[error("too many files or too large")]
    TooLarge,
    /// A file that every wheel has.
    #[error("it has no readable {0}")]
    Missing(&'static str),
    /// It says to be another package than its name does.
    #[error("its METADATA says {found:?}, its file's name {named:?}")]
    Other {
        /// Name and version in METADATA.
        found: String,
        /// Name and version in the file's name.
        named: String,
    },
    /// A version whose meaning we do not know.
    #[error("Wheel-Version {0:?}, want 1")]
    Version(String),
    /// RECORD does not say what is there.
    #[error("its RECORD is wrong about {path:?}: {what}")]
    Record {
        /// The file.
        path: String,
        /// What differs.
        what: &'static str,
    },
    /// A program that cannot be one.
    #[error("its program {name:?} is {found:?}, want module:function")]
    EntryPoint {
        /// Name of the program.
        name: String,
        /// What it says.
        found: String,
    },
    /// A place that belongs to the runner image.
    #[error("a file would replace the runner's own {path:?}")]
    Reserved {
        /// Which.
        path: String,
    },
}

/// A wheel whose files are what its RECORD says.
pub(super) struct Wheel {
    files: BTreeMap<String, Unpacked>,
    /// Directory of its metadata.
    info: String,
}

/// Programs by name: what starts them.
pub(super) type Programs = BTreeMap<String, Vec<String>>;

impl Wheel {
    /// Reads and checks all of it.
    pub(super) fn open(name: &WheelName, archive: &[u8]) -> Result<Self, WheelError> {
        let files = unpack(archive, |_| true)?;
        let info = info_of(files.keys().map(String::as_str), name)?;
        let wheel = Self { files, info };
        let head = wheel.text("WHEEL")?;
        let version = header(head, "Wheel-Version").unwrap_or_default();
        if version.split('.').next() != Some("1") {
            return Err(WheelError::Version(version.to_owned()));
        }
        let metadata = wheel.text("METADATA")?;
        let (own, of) = (header(metadata, "Name").unwrap_or_default(), header(metadata, "Version").unwrap_or_default());
        if normalized(own) != name.name || of.parse().ok().as_ref() != Some(&name.version) {
            let (found, named) = (format!("{own} {of}"), format!("{} {}", name.name, name.version));
            return Err(WheelError::Other { found, named });
        }
        wheel.check_record()?;
        Ok(wheel)
    }

    /// METADATA of a wheel of which nothing else is believed yet.
    pub(super) fn metadata_of(name: &WheelName, archive: &[u8]) -> Result<Vec<u8>, WheelError> {
        let mut files =
            unpack(archive, |path| path.ends_with(".dist-info/METADATA") && path.matches('/').count() == 1)?;
        let info = info_of(files.keys().map(String::as_str), name)?;
        files.remove(&format!("{info}/METADATA")).map(|file| file.contents).ok_or(WheelError::Missing("METADATA"))
    }

    /// Its METADATA.
    pub(super) fn metadata(&self) -> &[u8] {
        self.files.get(&format!("{}/METADATA", self.info)).map_or(&[], |file| &file.contents)
    }

    /// Puts its files where they belong, and its programs beside them. Returns what starts each of its programs.
    pub(super) fn place(self, package: &str, into: &mut Files) -> Result<Programs, PlaceError> {
        let mut programs = Programs::new();
        for (name, object) in self.console_scripts()? {
            programs.insert(name.clone(), python_command(&name));
            let place = place_of_program(&name)?;
            into.add(package, &place, script(&name, &object)?.into_bytes(), true)?;
        }
        let data = format!("{}.data/", self.info.trim_end_matches(".dist-info"));
        for (path, file) in self.files {
            let (place, is_program) = match path.strip_prefix(&data).map(|inner| inner.split_once('/')) {
                None => (format!("{SITE_PACKAGES}/{path}"), false),
                Some(Some(("purelib" | "platlib", inner))) => (format!("{SITE_PACKAGES}/{inner}"), false),
                Some(Some(("data", inner))) => (inner.to_owned(), false),
                Some(Some(("headers", inner))) => (format!("include/site/{inner}"), false),
                Some(Some(("scripts", name))) => (place_of_program(name)?, true),
                Some(_) => return Err(WheelError::Outside { path }.into()),
            };
            if RESERVED.contains(&place.as_str()) {
                return Err(WheelError::Reserved { path: place }.into());
            }
            let mut contents = file.contents;
            if is_program {
                let name = place.trim_start_matches("bin/").to_owned();
                let of_python = contents.starts_with(b"#!python");
                if of_python {
                    let rest = contents.split_off(contents.iter().position(|&b| b == b'\n').unwrap_or(contents.len()));
                    contents = [format!("#!{PYTHON}").as_bytes(), &rest].concat();
                }
                let command = if of_python { python_command(&name) } else { vec![format!("/app/bin/{name}")] };
                programs.insert(name, command);
            }
            into.add(package, &place, contents, is_program || file.executable)?;
        }
        Ok(programs)
    }

    fn text(&self, name: &'static str) -> Result<&str, WheelError> {
        let file = self.files.get(&format!("{}/{name}", self.info)).ok_or(WheelError::Missing(name))?;
        std::str::from_utf8(&file.contents).map_err(|_| WheelError::Missing(name))
    }

    /// Every file is in RECORD with its digest, and nothing else is.
    fn check_record(&self) -> Result<(), WheelError> {
        let record = format!("{}/RECORD", self.info);
        let without = [record.clone(), format!("{record}.jws"), format!("{record}.p7s")];
        let mut listed = BTreeMap::new();
        let mut rows =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(self.text("RECORD")?.as_bytes());
        for row in rows.records() {
            let row = row.map_err(|_| WheelError::Missing("RECORD"))?;
            let path = row.get(0).unwrap_or_default().to_owned();
            if listed.insert(path.clone(), row.get(1).unwrap_or_default().to_owned()).is_some() {
                return Err(WheelError::Record { path, what: "it is listed twice" });
            }
        }
        for (path, file) in &self.files {
            let path = path.clone();
            let digest = listed.remove(&path);
            if without.contains(&path) {
                continue;
            }
            let digest = digest.ok_or(WheelError::Record { path: path.clone(), what: "it is not listed" })?;
            match matches(&digest, &file.contents) {
                Some(true) => {}
                Some(false) => return Err(WheelError::Record { path, what: "its contents have another digest" }),
                None => return Err(WheelError::Record { path, what: "want its SHA-256, SHA-384 or SHA-512" }),
            }
        }
        // Directories may be listed; signatures of the list need not be there.
        match listed.into_keys().find(|path| !path.ends_with('/') && !without.contains(path)) {
            Some(path) => Err(WheelError::Record { path, what: "there is no such file" }),
            None => Ok(()),
        }
    }

    /// `[console_scripts]` of `entry_points.txt`: name and `module:object`.
    fn console_scripts(&self) -> Result<Vec<(String, String)>, WheelError> {
        if !self.files.contains_key(&format!("{}/entry_points.txt", self.info)) {
            return Ok(Vec::new());
        }
        let mut inside = false;
        let mut read = Vec::new();
        for line in self.text("entry_points.txt")?.lines().map(str::trim) {
            if line.starts_with('[') {
                inside = line == "[console_scripts]";
            } else if let Some((name, object)) =
                line.split_once('=').filter(|_| inside && !line.starts_with(['#', ';']))
            {
                // What follows in brackets are extras, which nobody uses any more.
                let object = object.split('[').next().unwrap_or_default().trim();
                read.push((name.trim().to_owned(), object.to_owned()));
            }
        }
        Ok(read)
    }
}

/// A wheel was good, yet its files found no place.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlaceError {
    #[error(transparent)]
    Wheel(#[from] WheelError),
    #[error(transparent)]
    Layer(#[from] LayerError),
}

/// The one directory of metadata at the top, which is of this package.
fn info_of<'a>(paths: impl Iterator<Item = &'a str>, name: &WheelName) -> Result<String, WheelError> {
    let mut found = None;
    for directory in paths.filter_map(|path| path.split_once('/')).map(|(directory, _)| directory) {
        let Some(stem) = directory.strip_suffix(".dist-info") else { continue };
        if *found.get_or_insert(directory) != directory {
            return Err(WheelError::Twice { path: "*.dist-info".to_owned() });
        }
        let own = stem.split_once('-').map(|(of, version)| (normalized(of), version.parse().ok()));
        if own != Some((name.name.clone(), Some(name.version.clone()))) {
            let named = format!("{} {}", name.name, name.version);
            return Err(WheelError::Other { found: stem.to_owned(), named });
        }
    }
    found.map(str::to_owned).ok_or(WheelError::Missing("*.dist-info"))
}

/// The first header of this name (RFC 5322 form, as METADATA and WHEEL are written).
fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let head = text.lines().take_while(|line| !line.is_empty());
    head.filter_map(|line| line.split_once(':'))
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, it)| it.trim())
}

/// `algorithm=digest` as RECORD writes it: base64 of the URL alphabet without padding.
fn matches(digest: &str, contents: &[u8]) -> Option<bool> {
    let (algorithm, wanted) = digest.split_once('=')?;
    let found = match algorithm {
        "sha256" => Sha256::digest(contents).to_vec(),
        "sha384" => Sha384::digest(contents).to_vec(),
        "sha512" => Sha512::digest(contents).to_vec(),
        _ => return None,
    };
    Some(BASE64_URL_SAFE_NO_PAD.encode(found) == wanted.trim_end_matches('='))
}

fn place_of_program(name: &str) -> Result<String, WheelError> {
    let plain =
        !name.starts_with('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    let place = format!("bin/{name}");
    match plain && !name.is_empty() {
        false => Err(WheelError::Outside { path: place }),
        true if RESERVED.contains(&place.as_str()) => Err(WheelError::Reserved { path: place }),
        true => Ok(place),
    }
}

/// Isolated (`-I`): no variable and no file of its caller changes what is imported. No `.pyc` is written (`-B`).
fn python_command(name: &str) -> Vec<String> {
    [PYTHON, "-I", "-B", "-X", "utf8"].map(str::to_owned).into_iter().chain([format!("/app/bin/{name}")]).collect()
}

/// The program of an entry point.
fn script(name: &str, object: &str) -> Result<String, WheelError> {
    let wrong = || WheelError::EntryPoint { name: name.to_owned(), found: object.to_owned() };
    let (module, function) = object.split_once(':').map(|(m, f)| (m.trim(), f.trim())).ok_or_else(wrong)?;
    let word = |word: &str| {
        word.chars().all(|c| c.is_alphanumeric() || c == '_')
            && word.starts_with(|c: char| c.is_alphabetic() || c == '_')
    };
    if !module.split('.').chain(function.split('.')).all(word) {
        return Err(wrong());
    }
    let first = function.split('.').next().unwrap_or_default();
    Ok(format!(
        "#!{PYTHON} -IB\nimport sys\nfrom {module} import {first}\nif __name__ == \"__main__\":\n    sys.exit({function}())\n"
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const SCRIPTS: &str =
        "[console_scripts]\na = a.cli:app.run\n# c = x:y\nb=a.cli : main [extra]\n[gui_scripts]\ng = a:b\n";

    fn name() -> WheelName {
        WheelName { name: "a".into(), version: "1.0".parse().unwrap() }
    }

    fn archive(change: impl FnOnce(&mut Vec<(String, String)>)) -> Vec<u8> {
        let mut files: Vec<(String, String)> = [
            ("a/__init__.py", "x = 1\n"),
            ("a-1.0.data/data/etc/a.conf", "y"),
            ("a-1.0.data/headers/a.h", "z"),
            ("a-1.0.data/scripts/tool", "\u{7f}ELF"),
            ("a-1.0.dist-info/WHEEL", "Wheel-Version: 1.9\n"),
            ("a-1.0.dist-info/METADATA", "Name: A\nVersion: 1.0.0\n\nName: b\n"),
            ("a-1.0.dist-info/entry_points.txt", SCRIPTS),
        ]
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
        .into();
        let row = |(path, text): &(String, String)| {
            format!("{path},sha384={},\n", BASE64_URL_SAFE_NO_PAD.encode(Sha384::digest(text)))
        };
        let record: String = files.iter().map(row).collect();
        files.push(("a-1.0.dist-info/RECORD".into(), record + "a/,,\r\na-1.0.dist-info/RECORD,,\r\n"));
        change(&mut files);
        let mut writer = rawzip::ZipArchiveWriter::new(Vec::new());
        for (path, text) in files {
            let (mut entry, config) = writer.new_file(&path).start().unwrap();
            let mut data = config.wrap(&mut entry);
            data.write_all(text.as_bytes()).unwrap();
            let (_, output) = data.finish().unwrap();
            entry.finish(output).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn files_go_where_an_installer_puts_them_and_programs_beside_them() {
        let mut files = Files::default();
        let programs = Wheel::open(&name(), &archive(|_| {})).unwrap().place("a", &mut files).unwrap();
        assert_eq!(programs.keys().collect::<Vec<_>>(), ["a", "b", "tool"]);
        assert_eq!(programs["tool"], ["/app/bin/tool"]);
        assert_eq!(programs["a"], ["/app/bin/python", "-I", "-B", "-X", "utf8", "/app/bin/a"]);
        let script = std::str::from_utf8(files.contents("bin/a").unwrap()).unwrap();
        assert!(script.contains("from a.cli import app\n") && script.contains("sys.exit(app.run())"), "{script}");
        let paths: Vec<_> = files.paths().filter(|path| !path.contains("dist-info")).collect();
        assert_eq!(
            paths,
            [
                "bin/a",
                "bin/b",
                "bin/tool",
                "etc/a.conf",
                "include/site/a.h",
                "lib/python3.11/site-packages/a/__init__.py"
            ]
        );
    }

    #[test]
    fn any_bit_flipped_and_any_cut_changes_nothing_that_is_unpacked_or_is_refused() {
        let good = archive(|_| {});
        let listed = |wheel: Wheel| -> Vec<_> {
            let kept = wheel.files.into_iter().filter(|(path, _)| !path.ends_with("RECORD"));
            kept.map(|(path, file)| (path, file.contents)).collect()
        };
        let wanted = listed(Wheel::open(&name(), &good).unwrap());
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut flipped = good.clone();
                flipped[at] ^= 1 << bit;
                if let Ok(wheel) = Wheel::open(&name(), &flipped) {
                    assert!(listed(wheel) == wanted, "bit {bit} of byte {at}");
                }
                let _ = Wheel::metadata_of(&name(), &flipped);
            }
            assert!(Wheel::open(&name(), &good[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn programs_that_are_no_functions_or_no_names_are_refused() {
        let with = |scripts: &str| {
            let archive = archive(|files| {
                let digest = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(Sha384::digest(text));
                files[6].1 = scripts.to_owned();
                files[7].1 = files[7].1.replace(&digest(SCRIPTS), &digest(scripts));
            });
            Wheel::open(&name(), &archive).unwrap().place("a", &mut Files::default())
        };
        for bad in [
            "x = a",
            "x = a:",
            "x = :b",
            "x = a:b()",
            "x = a;b:c",
            "x = a:b\nx/y = a:b",
            "../x = a:b",
            "python = a:b",
            " = a:b",
        ] {
            assert!(with(&format!("[console_scripts]\n{bad}\n")).is_err(), "accepted {bad}");
        }
        assert_eq!(with("[console_scripts]\nx = a.b:c.d\n").unwrap().len(), 2);
    }

    #[test]
    fn weak_digests_and_unknown_versions_are_refused() {
        let weak = archive(|files| files[7].1 = files[7].1.replace("sha384=", "md5="));
        assert!(
            matches!(Wheel::open(&name(), &weak), Err(WheelError::Record { what, .. }) if what.starts_with("want its"))
        );
        let newer = archive(|files| files[4].1 = "Wheel-Version: 2.0\n".into());
        assert!(matches!(Wheel::open(&name(), &newer), Err(WheelError::Version(version)) if version == "2.0"));
    }
}
