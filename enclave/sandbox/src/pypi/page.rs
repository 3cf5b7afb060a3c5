//! A package's page in the index: PEP 691 (JSON) or PEP 503 (HTML), with PEP 592 (yanked), 658 and 714 (metadata files).

use serde::Deserialize;
use serde_json::{Value, json};

use super::{PypiError, html::anchors, package::WheelName};

/// Most files of one package. The largest projects have some ten thousand.
const FILES_LIMIT: usize = 100_000;

/// What the index publishes of a package.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) files: Vec<File>,
}

/// One file of a package.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) name: String,
    /// Where it is, relative to the index's address (RFC 3986).
    pub(super) reference: String,
    pub(super) sha256: Option<[u8; 32]>,
    pub(super) requires_python: Option<String>,
    /// The reason why it should not be used, perhaps empty.
    pub(super) yanked: Option<String>,
    pub(super) metadata: Metadata,
}

/// Whether the index has a wheel's metadata as a file of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Metadata {
    No,
    /// With its SHA-256, if the index says it.
    Yes(Option<[u8; 32]>),
}

#[derive(Deserialize)]
struct RawPage {
    meta: RawMeta,
    files: Vec<RawFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawMeta {
    api_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawFile {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: std::collections::HashMap<String, String>,
    requires_python: Option<String>,
    #[serde(default)]
    yanked: Value,
    #[serde(default)]
    core_metadata: Value,
    #[serde(default)]
    dist_info_metadata: Value,
}

impl Page {
    /// Reads what the index answered for a package.
    pub(super) fn parse(package: &str, body: &[u8]) -> Result<Self, PypiError> {
        let wrong = |what: String| PypiError::Page { package: package.to_owned(), what };
        let text = std::str::from_utf8(body).map_err(|_| wrong("not UTF-8".to_owned()))?;
        let read = if text.trim_start().starts_with('{') {
            let raw: RawPage = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
            if !raw.meta.api_version.starts_with("1.") {
                return Err(wrong(format!("version {:?} of the index's interface, want 1", raw.meta.api_version)));
            }
            raw.files.into_iter().map(|file| File::of_json(package, file)).collect::<Vec<_>>()
        } else {
            anchors(text).filter_map(|anchor| File::of_anchor(package, &anchor)).collect()
        };
        if read.len() > FILES_LIMIT {
            return Err(wrong(format!("{} files, the limit is {FILES_LIMIT}", read.len())));
        }
        let mut files: Vec<File> = Vec::with_capacity(read.len());
        let mut known = std::collections::HashMap::new();
        for file in read {
            match known.insert(file.name.clone(), file.sha256) {
                None => files.push(file),
                Some(digest) if digest == file.sha256 => {}
                Some(_) => return Err(wrong(format!("two files of the name {:?} with different digests", file.name))),
            }
        }
        Ok(Self { files })
    }

    /// The file of this name.
    pub(super) fn file(&self, name: &str) -> Option<&File> {
        self.files.iter().find(|file| file.name == name)
    }

    /// The page as pip gets it: wheels with a digest and nothing else, each with its metadata, at places of ours.
    pub(super) fn for_pip(&self, package: &str) -> Vec<u8> {
        let wheels = self.files.iter().filter(|file| WheelName::parse(&file.name).is_some_and(|it| it.name == package));
        let files: Vec<Value> = wheels
            .filter_map(|file| {
                let digest = hex::encode(file.sha256?);
                let metadata = match file.metadata {
                    Metadata::Yes(Some(digest)) => json!({"sha256": hex::encode(digest)}),
                    // Where the index has none, we take it out of the wheel.
                    Metadata::Yes(None) | Metadata::No => json!(true),
                };
                Some(json!({
                    "filename": file.name,
                    "url": format!("/wheel/{package}/{}", file.name),
                    "hashes": {"sha256": digest},
                    "requires-python": file.requires_python,
                    "yanked": file.yanked.as_ref().map_or(json!(false), |why| json!(if why.is_empty() { "yanked" } else { why })),
                    "core-metadata": metadata,
                }))
            })
            .collect();
        json!({"meta": {"api-version": "1.1"}, "name": package, "files": files}).to_string().into_bytes()
    }
}

impl File {
    fn of_json(package: &str, raw: RawFile) -> Self {
        let metadata = |value: &Value| match value {
            Value::Bool(true) => Some(Metadata::Yes(None)),
            Value::Object(hashes) => Some(Metadata::Yes(hashes.get("sha256").and_then(Value::as_str).and_then(digest))),
            _ => None,
        };
        Self {
            reference: reference(package, &raw.url),
            sha256: raw.hashes.get("sha256").and_then(|text| digest(text)),
            requires_python: raw.requires_python,
            yanked: match raw.yanked {
                Value::Bool(true) => Some(String::new()),
                Value::String(why) => Some(why),
                _ => None,
            },
            metadata: metadata(&raw.core_metadata)
                .or_else(|| metadata(&raw.dist_info_metadata))
                .unwrap_or(Metadata::No),
            name: raw.filename,
        }
    }

    fn of_anchor(package: &str, anchor: &super::html::Anchor) -> Option<Self> {
        let (place, fragment) = anchor.attribute("href").map(|href| href.split_once('#').unwrap_or((href, "")))?;
        let metadata = anchor.attribute("data-core-metadata").or_else(|| anchor.attribute("data-dist-info-metadata"));
        Some(Self {
            name: anchor.text.trim().to_owned(),
            reference: reference(package, place),
            sha256: fragment.strip_prefix("sha256=").and_then(digest),
            requires_python: anchor.attribute("data-requires-python").map(str::to_owned),
            yanked: anchor.attribute("data-yanked").map(str::to_owned),
            metadata: metadata
                .map_or(Metadata::No, |text| Metadata::Yes(text.strip_prefix("sha256=").and_then(digest))),
        })
    }
}

/// A reference on a package's page as one from the index's address: the page lies one step below.
fn reference(package: &str, url: &str) -> String {
    let scheme = url.split_once(':').is_some_and(|(scheme, _)| !scheme.contains(['/', '?']));
    if scheme || url.starts_with('/') { url.to_owned() } else { format!("{package}/{url}") }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "1407583af42dc0163909d855c9ef20114a12b4981c3975033721a7906cdd212a";

    #[test]
    fn both_forms_of_a_page_say_the_same() {
        let html = format!(
            "<!DOCTYPE html><html><body><h1>Links</h1><!-- <a href='x'>x-1-py3-none-any.whl</a> -->\n\
             <a href=\"../../f/a-1.0-py3-none-any.whl#sha256={DIGEST}\" data-requires-python=\"&gt;=3.10\" data-yanked=\"\"\n\
             data-core-metadata=\"sha256={DIGEST}\" >a-1.0-py3-none-any.whl</a><br/></body></html>"
        );
        let json = json!({"meta": {"api-version": "1.4"}, "name": "a", "files": [{
            "filename": "a-1.0-py3-none-any.whl", "url": "../../f/a-1.0-py3-none-any.whl", "hashes": {"sha256": DIGEST},
            "requires-python": ">=3.10", "yanked": true, "core-metadata": {"sha256": DIGEST}, "size": 5}]});
        for text in [html, json.to_string()] {
            let page = Page::parse("a", text.as_bytes()).unwrap();
            let [file] = page.files.as_slice() else { panic!("{page:?}") };
            assert_eq!(
                (file.name.as_str(), file.reference.as_str()),
                ("a-1.0-py3-none-any.whl", "a/../../f/a-1.0-py3-none-any.whl")
            );
            assert_eq!(file.sha256.map(hex::encode).as_deref(), Some(DIGEST));
            assert_eq!((file.requires_python.as_deref(), file.yanked.as_deref()), (Some(">=3.10"), Some("")));
            assert_eq!(file.metadata, Metadata::Yes(file.sha256));
        }
    }

    #[test]
    fn two_files_of_one_name_are_refused_unless_they_are_one() {
        let file =
            |digest: &str| json!({"filename": "a-1.0-py3-none-any.whl", "url": "/x", "hashes": {"sha256": digest}});
        let page = |two: Value| json!({"meta": {"api-version": "1.0"}, "files": [file(DIGEST), two]}).to_string();
        let other = DIGEST.replace('1', "2");
        let error = Page::parse("a", page(file(&other)).as_bytes()).unwrap_err();
        assert!(error.to_string().contains("two files of the name \"a-1.0-py3-none-any.whl\""), "{error}");
        assert_eq!(Page::parse("a", page(file(DIGEST)).as_bytes()).unwrap().files.len(), 1);
    }

    #[test]
    fn pip_sees_wheels_of_this_package_that_have_a_digest_and_nothing_else() {
        let file = |name: &str, hashes: Value| json!({"filename": name, "url": "https://elsewhere.example/x", "hashes": hashes});
        let page = json!({"meta": {"api-version": "1.0"}, "files": [
            file("a-1.0-py3-none-any.whl", json!({"sha256": DIGEST})),
            file("a-1.1-py3-none-any.whl", json!({"md5": "00"})),
            file("a-1.0.tar.gz", json!({"sha256": DIGEST})),
            file("b-1.0-py3-none-any.whl", json!({"sha256": DIGEST})),
            file("../a-1.0-py3-none-any.whl", json!({"sha256": DIGEST})),
        ]});
        let page = Page::parse("a", page.to_string().as_bytes()).unwrap();
        let shown: Value = serde_json::from_slice(&page.for_pip("a")).unwrap();
        assert_eq!(shown["files"].as_array().unwrap().len(), 1, "{shown}");
        assert_eq!(shown["files"][0]["url"], "/wheel/a/a-1.0-py3-none-any.whl");
        assert!(!shown.to_string().contains("elsewhere"), "{shown}");
    }

    #[test]
    fn what_is_no_page_is_refused_and_nothing_of_a_stranger_panics() {
        for bad in ["{\"meta\":{\"api-version\":\"2.0\"},\"files\":[]}", "{\"files\":[]}", "{"] {
            assert!(Page::parse("a", bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Page::parse("a", b"\xff").is_err());
        for odd in [
            "<a",
            "<a href",
            "<a href=",
            "<a href='x",
            "<a href=x>",
            "<a href=x></a",
            "<!--",
            "<a href=\"&#x110000;\">&;</a>",
        ] {
            let _ = Page::parse("a", odd.as_bytes());
        }
    }
}
