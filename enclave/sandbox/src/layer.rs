//! The files of a server as one image layer. The same files give the same bytes: sorted, no time, no owner.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use crate::package::is_inner_path;

/// Most bytes of one server's files, unpacked.
pub(crate) const SIZE_LIMIT: u64 = 512 << 20;
/// Most files of one server.
const FILES_LIMIT: usize = 200_000;
/// Where a server's files lie in its image.
pub(crate) const HOME: &str = "app";

/// Why files do not make a layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// Not a tarball.
    #[error("{package}: tarball: {source}")]
    Tarball {
        /// Whose.
        package: String,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// A file would lie outside of its package.
    #[error("{package}: a file would lie at {path:?}, outside of the package")]
    Outside {
        /// Whose.
        package: String,
        /// Where.
        path: String,
    },
    /// Two packages bring different files to one place.
    #[error("{package}: another package brings {path:?} too, with other contents")]
    Twice {
        /// The second one.
        package: String,
        /// Where.
        path: String,
    },
    /// Too much.
    #[error("{package}: with it the server has more than {FILES_LIMIT} files or {SIZE_LIMIT} bytes")]
    TooLarge {
        /// Whose.
        package: String,
    },
}

/// Files by path, relative to [`HOME`].
#[derive(Default)]
pub(crate) struct Files {
    files: BTreeMap<String, File>,
    size: u64,
}

struct File {
    executable: bool,
    contents: Vec<u8>,
}

impl Files {
    pub(crate) fn insert(&mut self, path: &str, contents: Vec<u8>) {
        self.size = self.size.saturating_add(contents.len() as u64);
        self.files.insert(path.to_owned(), File { executable: false, contents });
    }

    /// Adds a file of a package to those of other packages. Only the same contents may come twice to one place, and no
    /// file lies where another has its directory.
    pub(crate) fn add(
        &mut self,
        package: &str,
        path: &str,
        contents: Vec<u8>,
        executable: bool,
    ) -> Result<(), LayerError> {
        let (package, inside) = (package.to_owned(), format!("{path}/"));
        if !is_inner_path(path) {
            return Err(LayerError::Outside { package, path: path.to_owned() });
        }
        let above =
            path.match_indices('/').filter_map(|(end, _)| path.get(..end)).any(|it| self.files.contains_key(it));
        let below = self.files.range(inside.clone()..).next().is_some_and(|(known, _)| known.starts_with(&inside));
        let other = self.files.get(path).is_some_and(|known| known.contents != contents);
        if above || below || other {
            return Err(LayerError::Twice { package, path: path.to_owned() });
        }
        self.size = self.size.saturating_add(contents.len() as u64);
        self.files.insert(path.to_owned(), File { executable, contents });
        if self.size > SIZE_LIMIT || self.files.len() > FILES_LIMIT {
            return Err(LayerError::TooLarge { package });
        }
        Ok(())
    }

    /// Paths of all files, sorted.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub(crate) fn contents(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(|file| file.contents.as_slice())
    }

    /// Unpacks an npm tarball at `place` as npm does: the first part of each path goes, links and devices are passed over.
    pub(crate) fn unpack(&mut self, package: &str, place: &str, tarball: &[u8]) -> Result<(), LayerError> {
        let broken = |source| LayerError::Tarball { package: package.to_owned(), source };
        let too_large = || LayerError::TooLarge { package: package.to_owned() };
        // A package must not bring files into the place of another one that the lock names.
        let inside = format!("{place}/");
        self.files.retain(|path, _| !path.starts_with(&inside));
        let left = SIZE_LIMIT.saturating_sub(self.size);
        // One byte more than allowed is let through, so that too much can be told from just enough.
        let mut archive =
            tar::Archive::new(GzDecoder::new(tarball).take(left.saturating_mul(2).saturating_add(1 << 20)));
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let Some((_, inner)) = path.split_once('/') else { continue };
            let inner = inner.trim_start_matches("./");
            if !is_inner_path(inner) {
                return Err(LayerError::Outside { package: package.to_owned(), path });
            }
            let executable = entry.header().mode().unwrap_or(0) & 0o111 != 0;
            let mut contents = Vec::new();
            entry.by_ref().take(left.saturating_add(1)).read_to_end(&mut contents).map_err(broken)?;
            self.size = self.size.saturating_add(contents.len() as u64);
            self.files.insert(format!("{place}/{inner}"), File { executable, contents });
            if self.size > SIZE_LIMIT || self.files.len() > FILES_LIMIT {
                return Err(too_large());
            }
        }
        Ok(())
    }

    /// The layer, uncompressed.
    pub(crate) fn layer(&self) -> std::io::Result<Layer> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut known = std::collections::BTreeSet::new();
        directory(&mut builder, &mut known, HOME)?;
        for (path, file) in &self.files {
            let path = format!("{HOME}/{path}");
            for (end, _) in path.match_indices('/') {
                directory(&mut builder, &mut known, path.get(..end).unwrap_or_default())?;
            }
            let mut header = header(file.contents.len() as u64, if file.executable { 0o755 } else { 0o644 });
            header.set_entry_type(tar::EntryType::Regular);
            builder.append_data(&mut header, &path, file.contents.as_slice())?;
        }
        let bytes = builder.into_inner()?;
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
        Ok(Layer { bytes, digest })
    }
}

/// One image layer.
pub(crate) struct Layer {
    pub(crate) bytes: Vec<u8>,
    /// `sha256:` and 64 hexadecimal digits.
    pub(crate) digest: String,
}

fn directory<W: Write>(
    builder: &mut tar::Builder<W>,
    known: &mut std::collections::BTreeSet<String>,
    path: &str,
) -> std::io::Result<()> {
    if known.insert(path.to_owned()) {
        let mut header = header(0, 0o755);
        header.set_entry_type(tar::EntryType::Directory);
        builder.append_data(&mut header, format!("{path}/"), std::io::empty())?;
    }
    Ok(())
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn tarball(files: &[(&str, &[u8], tar::EntryType)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, contents, kind) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(contents.len() as u64);
            header.set_mode(0o640);
            header.set_mtime(1_700_000_000);
            header.set_entry_type(*kind);
            // `set_path` would refuse what an attacker writes.
            let name = &mut header.as_old_mut().name;
            name[..path.len()].copy_from_slice(path.as_bytes());
            if kind.is_symlink() {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            builder.append(&header, *contents).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;

    #[test]
    fn the_same_files_give_the_same_layer_in_whatever_order_they_came() {
        let mut one = Files::default();
        one.unpack("a", "node_modules/a", &tarball(&[("package/x.js", b"1", FILE), ("package/d/y.js", b"2", FILE)]))
            .unwrap();
        let mut two = Files::default();
        two.unpack("a", "node_modules/a", &tarball(&[("a/d/y.js", b"2", FILE), ("a/x.js", b"1", FILE)])).unwrap();
        assert_eq!(one.layer().unwrap().digest, two.layer().unwrap().digest);
        two.insert("z", Vec::new());
        assert_ne!(one.layer().unwrap().digest, two.layer().unwrap().digest);
    }

    #[test]
    fn a_path_out_of_the_package_is_refused_and_links_are_passed_over() {
        for path in ["package/../../../etc/passwd", "package//etc/passwd", "package/a/../b"] {
            let error =
                Files::default().unpack("evil", "node_modules/evil", &tarball(&[(path, b"x", FILE)])).unwrap_err();
            assert!(matches!(error, LayerError::Outside { .. }), "{path}: {error}");
        }
        let mut files = Files::default();
        files
            .unpack(
                "a",
                "node_modules/a",
                &tarball(&[("package/l", b"", tar::EntryType::Symlink), ("package/f", b"x", FILE)]),
            )
            .unwrap();
        assert_eq!(files.files.keys().collect::<Vec<_>>(), ["node_modules/a/f"]);
    }

    #[test]
    fn a_package_cannot_bring_files_into_the_place_of_a_locked_one() {
        let mut files = Files::default();
        files
            .unpack("a", "node_modules/a", &tarball(&[("p/node_modules/b/evil.js", b"x", FILE), ("p/i.js", b"", FILE)]))
            .unwrap();
        files.unpack("b", "node_modules/a/node_modules/b", &tarball(&[("p/good.js", b"y", FILE)])).unwrap();
        let paths: Vec<_> = files.files.keys().map(String::as_str).collect();
        assert_eq!(paths, ["node_modules/a/i.js", "node_modules/a/node_modules/b/good.js"]);
    }

    #[test]
    fn two_packages_share_a_place_only_with_the_same_file() {
        let mut files = Files::default();
        for (package, path, contents) in [("a", "x/__init__.py", ""), ("b", "x/__init__.py", ""), ("b", "x/b.py", "1")]
        {
            files.add(package, path, contents.into(), false).unwrap();
        }
        for path in ["x/b.py", "x/b.py/c", "x"] {
            let error = files.add("c", path, b"2".to_vec(), false).unwrap_err();
            assert!(matches!(&error, LayerError::Twice { package, .. } if package == "c"), "{path}: {error}");
        }
        assert!(matches!(files.add("c", "../x", Vec::new(), false), Err(LayerError::Outside { .. })));
    }

    #[test]
    fn a_cut_tarball_is_an_error() {
        let whole = tarball(&[("package/x.js", &[7; 5000], FILE)]);
        assert!(Files::default().unpack("a", "node_modules/a", &whole[..whole.len() / 2]).is_err());
        assert!(Files::default().unpack("a", "node_modules/a", b"no gzip").is_err());
    }
}
