//! The server in a container like the gateway's, reached over the engine's own stream: what the engine alone adds.

use anyhow::{Context as _, ensure};
use http_body_util::Empty;
use hyper::{
    Request,
    body::Bytes,
    header::{CONNECTION, HOST, UPGRADE},
};
use hyper_util::rt::TokioIo;
use sealgate_tests::{docker, repository};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    task::spawn_local,
};

use crate::{line::Pipe, processor::Stat};

/// Where the engine listens.
const ENGINE: &str = "/var/run/docker.sock";

/// What the gateway's servers run in.
const IMAGE: &str = "sealgate/runner-node:2";

/// The stream's number of stdout (Docker Engine API, "Attach to a container").
const STDOUT: u8 = 1;

/// A container with the server. Dropping it removes it.
pub(crate) struct Container {
    id: String,
}

impl Container {
    /// Starts it, with the limits and the log driver of the gateway's.
    pub(crate) async fn start() -> anyhow::Result<(Self, Pipe)> {
        let folder = format!("{}:/fixture:ro", repository().join("tests/fixture-server").display());
        let limits =
            ["--network", "none", "--user", "10001:10001", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"];
        let more = ["--security-opt", "no-new-privileges", "--log-driver", "none", "--cpus", "1", "--memory", "512m"];
        let server = ["--entrypoint", "node", IMAGE, "/fixture/fixture.mjs", "legacy"];
        let words = [&["create", "--interactive", "--volume", &folder][..], &limits, &more, &server].concat();
        let container = Self { id: docker(&words).trim().to_owned() };
        let stream = UnixStream::connect(ENGINE).await.context(ENGINE)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        spawn_local(async move { drop(connection.with_upgrades().await) });
        let request = Request::post(format!("/containers/{}/attach?stream=1&stdin=1&stdout=1", container.id))
            .header(HOST, "engine")
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "tcp")
            .body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        ensure!(response.status() == 101, "the engine answers {}", response.status());
        let (read, write) = tokio::io::split(TokioIo::new(hyper::upgrade::on(response).await?));
        docker(&["start", &container.id]);
        let (mut lines, output) = tokio::io::duplex(1 << 16);
        spawn_local(async move {
            let mut frames = read;
            while let Ok((stream, payload)) = frame(&mut frames).await {
                if stream == STDOUT && lines.write_all(&payload).await.is_err() {
                    return;
                }
            }
        });
        let pipe = Pipe::open(write, output).await?;
        Ok((container, pipe))
    }

    /// The process that carries what goes in and out of a container.
    pub(crate) fn shim(&self) -> anyhow::Result<u32> {
        shim(&self.id)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.id]);
    }
}

/// The parent of a container's first process.
pub(crate) fn shim(container: &str) -> anyhow::Result<u32> {
    let first = docker(&["inspect", "--format", "{{.State.Pid}}", container]);
    Ok(Stat::of(first.trim().parse().context("the container's process")?)?.parent)
}

/// One frame: which stream, and what is on it.
async fn frame(stream: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<(u8, Vec<u8>)> {
    let [kind, _, _, _, length @ ..] = {
        let mut head = [0; 8];
        stream.read_exact(&mut head).await?;
        head
    };
    let mut payload = vec![0; usize::try_from(u32::from_be_bytes(length))?];
    stream.read_exact(&mut payload).await?;
    Ok((kind, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_told_apart_and_a_cut_one_is_none() {
        let mut stream = &b"\x01\0\0\0\0\0\0\x02ab\x02\0\0\0\0\0\0\x01!\x01\0\0\0\0\0\0\x09cut"[..];
        assert_eq!(frame(&mut stream).await.unwrap(), (1, b"ab".to_vec()));
        assert_eq!(frame(&mut stream).await.unwrap(), (2, b"!".to_vec()));
        assert!(frame(&mut stream).await.is_err());
    }
}
