//! Images written by hand: the engine is given an archive as `docker save` makes it, so that an image's id depends on
//! nothing but its contents. Source: Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset Format".

use std::collections::BTreeMap;

use bollard::{body_full, query_parameters::ImportImageOptionsBuilder};
use futures_util::StreamExt;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    Sandbox, SandboxError,
    engine::BaseImage,
    error::{engine, is_missing},
    layer::Layer,
};

impl Sandbox {
    /// Puts one layer on top of a base image. Returns the image's id, which is the SHA-256 of its configuration.
    pub(crate) async fn build(
        &self,
        base: &BaseImage,
        layer: &Layer,
        tag: &str,
        labels: &BTreeMap<&str, String>,
    ) -> Result<String, SandboxError> {
        let mut digests = base.layers.clone();
        digests.push(layer.digest.clone());
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": digests},
        })
        .to_string();
        let id = format!("sha256:{}", hex::encode(Sha256::digest(&config)));
        match self.docker.inspect_image(&id).await {
            Ok(_) => return Ok(id),
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(engine("inspect image")(error)),
        }
        // The engine has the base's layers already and reads only those it lacks: their files need not be in the archive.
        let absent = (0..base.layers.len()).map(|at| format!("base-{at}.tar"));
        let layers: Vec<_> = absent.chain([String::from("server.tar")]).collect();
        let manifest = json!([{"Config": "config.json", "RepoTags": [tag], "Layers": layers}]).to_string();
        let archive = pack(&[
            ("config.json", config.as_bytes()),
            ("manifest.json", manifest.as_bytes()),
            ("server.tar", &layer.bytes),
        ])
        .map_err(|error| engine("write image")(bollard::errors::Error::from(error)))?;
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let mut progress = std::pin::pin!(self.docker.import_image(options, body_full(archive.into()), None));
        while let Some(step) = progress.next().await {
            step.map_err(engine("load image"))?;
        }
        self.docker.inspect_image(&id).await.map_err(engine("find the loaded image"))?;
        Ok(id)
    }
}

fn pack(files: &[(&str, &[u8])]) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *contents)?;
    }
    builder.into_inner()
}
