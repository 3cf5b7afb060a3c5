//! A call as a client saves it: request, answer, proof, and the evidence of the gateway that made it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::run;

/// Files of one call, in a folder of their own.
#[derive(Clone, Debug)]
pub struct Saved {
    folder: PathBuf,
}

/// How the verifier ended.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Exit code.
    pub code: i32,
    /// Both streams.
    pub said: String,
}

impl Saved {
    /// Saves a call and the bundle.
    pub fn new(folder: &Path, request: &Value, answer: &[u8], proof: &Value, bundle: &[u8]) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        let saved = Self { folder: folder.to_owned() };
        saved.put("request.json", request.to_string().as_bytes());
        saved.put("answer.json", answer);
        saved.put("proof.json", proof.to_string().as_bytes());
        saved.put("bundle.json", bundle);
        saved
    }

    /// Writes one more file, or another version of one.
    pub fn put(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.join(name);
        fs::write(&path, bytes).expect("written");
        path.display().to_string()
    }

    /// The path of a file.
    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The proof, to change.
    pub fn proof(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("proof.json")).expect("a proof")).expect("JSON")
    }

    /// `attestation-verifier proof` over the saved files, with `changes` in place of their namesakes.
    pub fn judge(&self, root: Option<&Path>, changes: &[(&str, &str)]) -> Judged {
        let file = |name: &str| {
            let changed = changes.iter().find(|(which, _)| *which == name).map(|(_, path)| (*path).to_owned());
            changed.unwrap_or_else(|| self.path(name))
        };
        let names = ["proof.json", "bundle.json", "request.json", "answer.json"].map(file);
        let [proof, bundle, request, answer] = &names;
        let mut arguments = vec!["proof", proof, "--bundle", bundle, "--request", request, "--response", answer];
        let root = root.map(|root| root.display().to_string());
        if let Some(root) = &root {
            arguments.extend(["--trust-root", root]);
        }
        verify(&arguments)
    }

    /// The same with the saved file `payment`, a payment header, which the proof must be paid by.
    pub fn judge_paid(&self, root: &Path) -> Judged {
        let names = ["proof.json", "bundle.json", "request.json", "answer.json", "payment"].map(|name| self.path(name));
        let [proof, bundle, request, answer, payment] = &names;
        let root = root.display().to_string();
        let files = ["proof", proof, "--bundle", bundle, "--request", request, "--response", answer];
        verify(&[files.as_slice(), &["--payment", payment, "--trust-root", &root]].concat())
    }
}

/// Runs `attestation-verifier`.
///
/// # Panics
/// It ended without an exit code.
pub fn verify(arguments: &[&str]) -> Judged {
    let output = run("attestation-verifier", arguments);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Judged { code: output.status.code().expect("it ended by itself"), said }
}
