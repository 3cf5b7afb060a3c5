//! A package of the operator's own: a folder with a `package.json` and everything that its program requires.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    PackageError,
    manifest::Manifest,
    package::{is_exact, is_inner_path, is_name},
};

/// Most files of a local package.
pub const LOCAL_FILES_LIMIT: usize = 10_000;
/// Most bytes of a local package, all files together.
pub const LOCAL_SIZE_LIMIT: u64 = 64 << 20;
/// Folders within folders.
const DEPTH_LIMIT: usize = 32;

/// Files that need no registry: a Node program with everything it requires.
#[derive(Clone, Debug)]
pub struct LocalPackage {
    /// A name for records and proofs.
    pub name: String,
    /// A version for records and proofs.
    pub version: String,
    /// Relative path and contents.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Which of the files Node starts.
    pub entry: String,
}

/// What a folder says that it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalManifest {
    /// `name` of its `package.json`.
    pub name: String,
    /// `version` of its `package.json`.
    pub version: String,
}

/// Why a folder is no package. [`LocalError::fix`] says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// Not readable.
    #[error("{path:?} cannot be read: {source}")]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Its `package.json` does not say what the folder is.
    #[error("{path:?}: {what}")]
    Manifest {
        /// Where.
        path: PathBuf,
        /// What is missing or wrong.
        what: String,
    },
    /// A name or version that is not what it must be.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A link, a socket, a device: what it stands for is not in the folder.
    #[error("{path:?} is neither a file nor a folder")]
    Irregular {
        /// Where.
        path: PathBuf,
    },
    /// A name that no path inside an image can have.
    #[error(
        "{path:?}: a name with a control character, a backslash, or not UTF-8, or folders more than {DEPTH_LIMIT} deep"
    )]
    Name {
        /// Where.
        path: PathBuf,
    },
    /// Too much.
    #[error("{path:?} has more than {LOCAL_FILES_LIMIT} files or {LOCAL_SIZE_LIMIT} bytes")]
    TooLarge {
        /// The folder.
        path: PathBuf,
    },
    /// Which of its programs is the server?
    #[error("{path:?}: no program {wanted:?}; its package.json has {available:?}")]
    Program {
        /// The folder.
        path: PathBuf,
        /// What was asked for.
        wanted: Option<String>,
        /// What there is.
        available: Vec<String>,
    },
}

impl LocalError {
    /// What the operator can do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "name a folder that the gateway may read",
            Self::Manifest { .. } | Self::Package(_) => {
                "write a package.json with name, version and bin, as for a package of the registry"
            }
            Self::Irregular { .. } => {
                "put the file itself there, or take the link away; only files become part of an image"
            }
            Self::Name { .. } => "rename it",
            Self::TooLarge { .. } => "leave out what the program does not need when it runs",
            Self::Program { .. } => "name one of the available programs as `bin`",
        }
    }
}

impl LocalPackage {
    /// What a folder says that it is; nothing but its `package.json` is read.
    ///
    /// # Errors
    /// It has none, or name and version are not what they must be.
    pub fn manifest(folder: &Path) -> Result<LocalManifest, LocalError> {
        read_manifest(folder).map(|(manifest, _)| manifest)
    }

    /// Reads a folder: every regular file below it becomes part of the package.
    ///
    /// # Errors
    /// Any [`LocalError`].
    pub fn read(folder: &Path, bin: Option<&str>) -> Result<Self, LocalError> {
        let (LocalManifest { name, version }, manifest) = read_manifest(folder)?;
        let mut reader = Reader { folder, files: BTreeMap::new(), size: 0 };
        reader.read(folder, "", 0)?;
        let program =
            |available| LocalError::Program { path: folder.to_owned(), wanted: bin.map(str::to_owned), available };
        let entry = manifest.program(&name, bin).map_err(program)?;
        let package = Self { name, version, files: reader.files, entry };
        package.check()?;
        Ok(package)
    }

    pub(crate) fn check(&self) -> Result<(), PackageError> {
        if let Some(bad) = self.files.keys().find(|path| !is_inner_path(path)) {
            return Err(PackageError::Path(bad.clone()));
        }
        if !self.files.contains_key(&self.entry) {
            return Err(PackageError::Entry(self.entry.clone()));
        }
        Ok(())
    }
}

fn read_manifest(folder: &Path) -> Result<(LocalManifest, Manifest), LocalError> {
    let path = folder.join("package.json");
    let wrong = |what: String| LocalError::Manifest { path: path.clone(), what };
    let text = fs::read(&path).map_err(|source| LocalError::Unreadable { path: path.clone(), source })?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    let name = manifest.name.clone().ok_or_else(|| wrong("it has no name".to_owned()))?;
    let version = manifest.version.clone().ok_or_else(|| wrong("it has no version".to_owned()))?;
    if !is_name(&name) {
        return Err(PackageError::Name(name).into());
    }
    if !is_exact(&version) {
        return Err(PackageError::Version(version).into());
    }
    Ok((LocalManifest { name, version }, manifest))
}

struct Reader<'a> {
    folder: &'a Path,
    files: BTreeMap<String, Vec<u8>>,
    size: u64,
}

impl Reader<'_> {
    fn read(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), LocalError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| LocalError::Unreadable { path, source }
        };
        for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
            let path = entry.map_err(unreadable(folder))?.path();
            let name =
                path.file_name().and_then(|name| name.to_str()).filter(|name| !name.chars().any(char::is_control));
            let inner = name.map(|name| format!("{prefix}{name}")).filter(|inner| is_inner_path(inner));
            let inner =
                inner.filter(|_| depth <= DEPTH_LIMIT).ok_or_else(|| LocalError::Name { path: path.clone() })?;
            // Of the entry itself: a link is not followed.
            let metadata = fs::symlink_metadata(&path).map_err(unreadable(&path))?;
            if metadata.is_dir() {
                self.read(&path, &format!("{inner}/"), depth.saturating_add(1))?;
            } else if metadata.is_file() {
                self.size = self.size.saturating_add(metadata.len());
                if self.size > LOCAL_SIZE_LIMIT || self.files.len() >= LOCAL_FILES_LIMIT {
                    return Err(LocalError::TooLarge { path: self.folder.to_owned() });
                }
                self.files.insert(inner, fs::read(&path).map_err(unreadable(&path))?);
            } else {
                return Err(LocalError::Irregular { path });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(manifest: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("package.json"), manifest).unwrap();
        fs::create_dir(folder.path().join("lib")).unwrap();
        fs::write(folder.path().join("lib/server.mjs"), "1").unwrap();
        folder
    }

    const GOOD: &str =
        r#"{"name":"@a/fixture","version":"1.0.0","bin":{"fixture":"./lib/server.mjs","other":"no.mjs"}}"#;

    #[test]
    fn a_folder_is_what_its_manifest_says_with_every_file_below_it() {
        let folder = folder(GOOD);
        let package = LocalPackage::read(folder.path(), None).unwrap();
        assert_eq!((package.name.as_str(), package.version.as_str()), ("@a/fixture", "1.0.0"));
        assert_eq!(package.entry, "lib/server.mjs");
        assert_eq!(package.files.keys().collect::<Vec<_>>(), ["lib/server.mjs", "package.json"]);
        let manifest = LocalPackage::manifest(folder.path()).unwrap();
        assert_eq!(manifest, LocalManifest { name: package.name, version: package.version });
    }

    #[test]
    fn a_manifest_that_says_too_little_or_names_no_program_is_refused() {
        for (manifest, said) in [
            ("{}", "no name"),
            (r#"{"name":"a"}"#, "no version"),
            (r#"{"name":"../a","version":"1.0.0"}"#, "package name"),
            (r#"{"name":"a","version":"^1.0.0"}"#, "package version"),
            (r#"{"name":"a","version":"1.0.0"}"#, "no program None"),
            (r#"{"name":"a","version":"1.0.0","bin":"../../etc/passwd"}"#, "not among the files"),
            ("[", "EOF"),
        ] {
            let error = LocalPackage::read(folder(manifest).path(), None).unwrap_err();
            assert!(error.to_string().contains(said) && !error.fix().is_empty(), "{manifest}: {error}");
        }
        let error = LocalPackage::read(folder(GOOD).path(), Some("missing")).unwrap_err();
        assert!(error.to_string().contains(r#"["fixture", "other"]"#), "{error}");
        let error = LocalPackage::read(Path::new("/nonexistent"), None).unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }

    #[test]
    fn links_and_sockets_are_refused_wherever_they_lead() {
        for target in ["server.mjs", "/etc/passwd", "../../outside"] {
            let folder = folder(GOOD);
            std::os::unix::fs::symlink(target, folder.path().join("lib/link")).unwrap();
            let error = LocalPackage::read(folder.path(), None).unwrap_err();
            assert!(matches!(error, LocalError::Irregular { .. }), "{target}: {error}");
        }
        let folder = folder(GOOD);
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("lib/socket")).unwrap();
        assert!(matches!(LocalPackage::read(folder.path(), None).unwrap_err(), LocalError::Irregular { .. }));
    }

    #[test]
    fn names_that_no_path_has_and_folders_without_an_end_are_refused() {
        for name in ["a\\b", "a\nb"] {
            let folder = folder(GOOD);
            fs::write(folder.path().join(name), "").unwrap();
            assert!(
                matches!(LocalPackage::read(folder.path(), None).unwrap_err(), LocalError::Name { .. }),
                "{name:?}"
            );
        }
        let folder = folder(GOOD);
        let deepest = (0..DEPTH_LIMIT).fold(folder.path().to_owned(), |path, _| path.join("d"));
        fs::create_dir_all(&deepest).unwrap();
        fs::write(deepest.join("f"), "").unwrap();
        LocalPackage::read(folder.path(), None).unwrap();
        fs::create_dir(deepest.join("d")).unwrap();
        fs::write(deepest.join("d/f"), "").unwrap();
        assert!(matches!(LocalPackage::read(folder.path(), None).unwrap_err(), LocalError::Name { .. }));
    }

    #[test]
    fn one_file_or_one_byte_too_many_is_refused() {
        let many = folder(GOOD);
        for n in 2..LOCAL_FILES_LIMIT {
            fs::write(many.path().join(n.to_string()), "").unwrap();
        }
        assert_eq!(LocalPackage::read(many.path(), None).unwrap().files.len(), LOCAL_FILES_LIMIT);
        fs::write(many.path().join("more"), "").unwrap();
        assert!(matches!(LocalPackage::read(many.path(), None).unwrap_err(), LocalError::TooLarge { .. }));

        let large = folder(GOOD);
        let rest = LOCAL_SIZE_LIMIT - GOOD.len() as u64 - 1;
        let file = fs::File::create(large.path().join("large")).unwrap();
        file.set_len(rest).unwrap();
        LocalPackage::read(large.path(), None).unwrap();
        file.set_len(rest + 1).unwrap();
        assert!(matches!(LocalPackage::read(large.path(), None).unwrap_err(), LocalError::TooLarge { .. }));
    }
}
