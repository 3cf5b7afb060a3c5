//! Modules compiled at install: a container's root cannot be written, so Python would compile them anew at each start.
//! Compiling runs nothing of a module, and happens in a container all the same.

use base64::{Engine, prelude::BASE64_STANDARD};
use gate::Warrant;
use serde::Deserialize;
use serde_json::json;

use super::{PypiError, wheel::SITE_PACKAGES};
use crate::{
    InstallError, Instance, Sandbox, SandboxError,
    install::RESOLVE_TIMEOUT,
    layer::{Files, HOME},
};

/// Bytes of sources in one message.
const BATCH: usize = 1 << 20;
/// A larger module is left to be compiled at its import: its code may not fit one message.
const MODULE_LIMIT: usize = 2 << 20;
/// What this Python looks for beside a module (PEP 3147).
const TAG: &str = "cpython-311";

#[derive(Deserialize)]
struct Compiled {
    compiled: Vec<Option<String>>,
}

impl Sandbox {
    /// Puts the compiled form of each module beside it.
    pub(super) async fn compile(&self, files: &mut Files, warrant: &Warrant) -> Result<(), InstallError> {
        let mut instance = self.python_installer(warrant).await?;
        let outcome = tokio::time::timeout(RESOLVE_TIMEOUT, compile_all(files, &mut instance)).await;
        instance.stop().await;
        outcome.map_err(|_| PypiError::Compile(format!("not done after {RESOLVE_TIMEOUT:?}")))?
    }
}

async fn compile_all(files: &mut Files, instance: &mut Instance) -> Result<(), InstallError> {
    let modules = files.paths().filter(|path| path.starts_with(SITE_PACKAGES) && path.ends_with(".py"));
    let mut modules: Vec<String> = modules.map(str::to_owned).collect();
    while !modules.is_empty() {
        let mut size = 0_usize;
        let mut fits = |path: &String| {
            let length = files.contents(path).map_or(0, <[u8]>::len);
            size = size.saturating_add(length);
            length <= MODULE_LIMIT && size <= BATCH.max(length)
        };
        let count = modules.iter().take_while(|path| fits(path)).count();
        let batch: Vec<String> = modules.drain(..count.max(1)).collect();
        if count == 0 {
            continue;
        }
        let sources: Vec<_> = batch
            .iter()
            .map(|path| (format!("/{HOME}/{path}"), BASE64_STANDARD.encode(files.contents(path).unwrap_or_default())))
            .collect();
        let order = json!({"compile": sources}).to_string();
        instance.send(order.as_bytes()).await.map_err(SandboxError::from)?;
        let line = instance.receive().await.map_err(SandboxError::from)?;
        let wrong = |what: &str| PypiError::Compile(what.to_owned());
        let answer: Compiled = serde_json::from_slice(&line).map_err(|error| wrong(&error.to_string()))?;
        if answer.compiled.len() != batch.len() {
            return Err(wrong("another number of modules came back").into());
        }
        for (path, code) in batch.iter().zip(answer.compiled) {
            let Some(code) = code else { continue };
            let code = BASE64_STANDARD.decode(code).map_err(|_| wrong("not base64"))?;
            files.insert(&cache_path(path), code);
        }
    }
    Ok(())
}

/// `a/b.py` to `a/__pycache__/b.cpython-311.pyc`.
fn cache_path(module: &str) -> String {
    let (directory, file) = module.rsplit_once('/').unwrap_or(("", module));
    format!("{directory}/__pycache__/{}.{TAG}.pyc", file.trim_end_matches(".py"))
}
