//! Images written by hand: the engine is given an archive as `docker save` makes it, so that an image's id depends on
//! nothing but its contents. Source: Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset Format".

use std::{collections::BTreeMap, io::Read};

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
    /// Puts one layer on top of a base image. Returns the image's id: with the classic image
    /// store the SHA-256 of its configuration, with containerd's that of its manifest.
    pub(crate) async fn build(
        &self,
        base: &BaseImage,
        layer: &Layer,
        tag: &str,
        labels: &BTreeMap<&str, String>,
    ) -> Result<String, SandboxError> {
        let mut digests = base.layers.clone();
        digests.push(layer.digest.clone());
        let config = config_of(&digests, labels);
        let image = Image { config, digests, tag, base: &base.id };
        if let Some(id) = self.loaded(&image).await? {
            return Ok(id);
        }
        // The classic image store has the base's layers and reads only those it lacks: they need not be in the archive.
        let thin = self.load(image.archive(&[(&layer.digest, &layer.bytes)])?).await;
        if let (Ok(()), Some(id)) = (&thin, self.loaded(&image).await?) {
            return Ok(id);
        }
        tracing::debug!(?thin, "the engine wants the base's layers as well");
        self.load_whole(&image, layer).await
    }

    /// For engines that keep images in containerd: all layers are in the archive.
    async fn load_whole(&self, image: &Image<'_>, layer: &Layer) -> Result<String, SandboxError> {
        let mut layers = self.layers_of(image.base).await?;
        layers.insert(layer.digest.clone(), layer.bytes.clone());
        let layers: Vec<_> = layers.iter().map(|(digest, bytes)| (digest.as_str(), bytes.as_slice())).collect();
        self.load(image.archive(&layers)?).await?;
        match self.loaded(image).await? {
            Some(id) => Ok(id),
            None => Err(SandboxError::ImageOther { image: image.tag.to_owned() }),
        }
    }

    /// The id of an image that has this tag and these layers. The engine decides what an id is the digest of.
    async fn loaded(&self, image: &Image<'_>) -> Result<Option<String>, SandboxError> {
        match self.docker.inspect_image(image.tag).await {
            Ok(found) => {
                let layers = found.root_fs.and_then(|root| root.layers).unwrap_or_default();
                Ok(found.id.filter(|_| layers == image.digests))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(engine("inspect image")(error)),
        }
    }

    async fn load(&self, archive: Vec<u8>) -> Result<(), SandboxError> {
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let mut progress = std::pin::pin!(self.docker.import_image(options, body_full(archive.into()), None));
        while let Some(step) = progress.next().await {
            step.map_err(engine("load image"))?;
        }
        Ok(())
    }

    /// Layers of an image by the digest of their uncompressed bytes.
    async fn layers_of(&self, image: &str) -> Result<BTreeMap<String, Vec<u8>>, SandboxError> {
        let mut saved = Vec::new();
        let mut stream = std::pin::pin!(self.docker.export_image(image));
        while let Some(chunk) = stream.next().await {
            saved.extend_from_slice(&chunk.map_err(engine("save image"))?);
        }
        let read = || -> std::io::Result<BTreeMap<String, Vec<u8>>> {
            let mut layers = BTreeMap::new();
            for entry in tar::Archive::new(saved.as_slice()).entries()? {
                let mut bytes = Vec::new();
                entry?.read_to_end(&mut bytes)?;
                if bytes.starts_with(&[0x1f, 0x8b]) {
                    let packed = std::mem::take(&mut bytes);
                    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes)?;
                }
                layers.insert(format!("sha256:{}", hex::encode(Sha256::digest(&bytes))), bytes);
            }
            Ok(layers)
        };
        read().map_err(|error| engine("read the saved image")(error.into()))
    }
}

/// What an archive says of its image.
struct Image<'a> {
    config: String,
    /// Of all layers, lowest first.
    digests: Vec<String>,
    tag: &'a str,
    base: &'a str,
}

impl Image<'_> {
    /// An archive with these layers in it; the others are only named.
    fn archive(&self, layers: &[(&str, &[u8])]) -> Result<Vec<u8>, SandboxError> {
        let name = |digest: &str| format!("{}.tar", digest.trim_start_matches("sha256:"));
        let names: Vec<_> = self.digests.iter().map(|digest| name(digest)).collect();
        let manifest = json!([{"Config": "config.json", "RepoTags": [self.tag], "Layers": names}]).to_string();
        let mut files =
            vec![("config.json".to_owned(), self.config.as_bytes()), ("manifest.json".to_owned(), manifest.as_bytes())];
        let wanted = layers.iter().filter(|(digest, _)| self.digests.iter().any(|ours| ours == digest));
        files.extend(wanted.map(|(digest, bytes)| (name(digest), *bytes)));
        pack(&files).map_err(|error| engine("write image")(error.into()))
    }
}

/// The image's configuration: nothing in it depends on when or where it was made.
fn config_of(digests: &[String], labels: &BTreeMap<&str, String>) -> String {
    json!({
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": digests},
    })
    .to_string()
}

fn pack(files: &[(String, &[u8])]) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *contents)?;
    }
    builder.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Limits, Runtime, Streams, layer::Files};

    #[tokio::test]
    async fn an_archive_with_all_layers_and_a_thin_one_make_the_same_image() {
        let state_directory = std::env::temp_dir();
        let deployment = "archive-test".to_owned();
        let config = Config {
            deployment,
            state_directory,
            runtime: Runtime::Runc,
            limits: Limits::default(),
            streams: Streams::default(),
        };
        let sandbox = Sandbox::connect(config).await.unwrap_or_else(|error| panic!("{error}\n  fix: {}", error.fix()));
        let base = sandbox.runner().await.unwrap_or_else(|error| panic!("{error}\n  fix: {}", error.fix()));
        let mut files = Files::default();
        files.insert("unique", std::process::id().to_string().into_bytes());
        let layer = files.layer().unwrap();
        let tag = format!("sealgate/archive-test:{}", std::process::id());
        let remove = async || {
            let options = bollard::query_parameters::RemoveImageOptions::default();
            sandbox.docker.remove_image(&tag, Some(options), None).await.unwrap();
        };
        let thin = sandbox.build(&base, &layer, &tag, &BTreeMap::new()).await.unwrap();
        remove().await;
        let mut image = Image { config: String::new(), digests: base.layers.clone(), tag: &tag, base: &base.id };
        image.digests.push(layer.digest.clone());
        image.config = config_of(&image.digests, &BTreeMap::new());
        assert_eq!(sandbox.loaded(&image).await.unwrap(), None);
        let whole = sandbox.load_whole(&image, &layer).await.unwrap();
        assert_eq!(thin, whole);
        assert_eq!(whole, format!("sha256:{}", hex::encode(Sha256::digest(&image.config))));
        remove().await;
    }
}
