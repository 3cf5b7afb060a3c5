//! Packages of PyPI, installed, checked and run: real ones, and ones that somebody made to do harm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::{collections::BTreeMap, io::Write, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use common::{bench, none_left, warrant};
use sandbox::{
    Answer, Fetched, InstallError, InstalledServer, LaunchSpec, LayerError, PackageSpec, PypiError, PypiIndex,
    PypiPackage, Registry, RegistryError, Session, WheelError,
};
use serde_json::{Value, json, value::RawValue};
use sha2::{Digest, Sha256};

const LIMIT: Duration = Duration::from_secs(60);
const TIME: (&str, &str) = ("mcp-server-time", "2026.10.19");
const GIT: (&str, &str) = ("mcp-server-git", "2026.10.19");
const FETCH: (&str, &str) = ("mcp-server-fetch", "2026.10.24");

async fn index() -> PypiIndex {
    PypiIndex::from_pip_config().await.expect("pip must be there and name an index")
}

fn pypi(name: &str, version: &str) -> PackageSpec {
    PackageSpec::Pypi(PypiPackage::new(name, version, None).unwrap())
}

async fn installed(bench: &common::Bench, package: (&str, &str)) -> InstalledServer {
    match bench.sandbox.install(&warrant(), &pypi(package.0, package.1), &index().await).await {
        Ok(server) => server,
        Err(error) => panic!("{error}\n  fix: {}", error.fix()),
    }
}

async fn call(session: &Session, tool: &str, arguments: Value) -> Value {
    // Servers of the newest revision want these two with every request; older ones pass them over.
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({"name": tool, "arguments": arguments, "_meta": meta}).to_string();
    let params = RawValue::from_string(params).unwrap();
    match session.request("tools/call", Some(&params), LIMIT).await.unwrap() {
        Answer::Result(result) => serde_json::from_str(result.get()).unwrap(),
        Answer::Error(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn the_time_server_tells_the_time_and_its_second_install_needs_no_network() {
    let bench = bench().await;
    let server = installed(&bench, TIME).await;
    assert_eq!((server.package(), server.version()), TIME);
    let image = server.image();
    let lock: Value = serde_json::from_str(image.lock.as_deref().unwrap()).unwrap();
    let own = lock["packages"].as_array().unwrap().iter().find(|package| package["name"] == TIME.0).unwrap();
    assert_eq!(own["wheels"][0]["name"], "mcp_server_time-2026.10.19-py3-none-any.whl");
    assert_eq!(own["wheels"][0]["hashes"]["sha256"], server.registry_digest().unwrap());
    assert!(!image.lock.as_deref().unwrap().contains("://"), "the lock depends on a host");

    let again = bench.sandbox.install(&warrant(), &pypi(TIME.0, TIME.1), &IndexDouble::default()).await.unwrap();
    assert_eq!(again.image(), image);

    let tools = bench.sandbox.inspect(&warrant(), &again, &LaunchSpec::default()).await.unwrap();
    let listed: Value = serde_json::from_str(tools.tools.as_deref().unwrap().get()).unwrap();
    assert_eq!(listed["tools"].as_array().unwrap().len(), 2);
    let session =
        Session::open(bench.sandbox.start(&warrant(), &again, &LaunchSpec::default()).await.unwrap()).await.unwrap();
    let answer = call(
        &session,
        "convert_time",
        json!({"source_timezone": "Asia/Tokyo", "time": "12:00", "target_timezone": "UTC"}),
    )
    .await;
    let text: Value = serde_json::from_str(answer["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text["time_difference"], "-9.0h", "{answer}");
    session.stop().await;
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn the_git_server_lists_its_tools_and_says_that_an_empty_directory_is_no_repository() {
    let bench = bench().await;
    let server = installed(&bench, GIT).await;
    let spec = LaunchSpec { writable: vec!["/data".into()], ..LaunchSpec::default() };
    let tools = bench.sandbox.inspect(&warrant(), &server, &spec).await.unwrap();
    let tools: Value = serde_json::from_str(tools.tools.as_deref().unwrap().get()).unwrap();
    assert_eq!(tools["tools"].as_array().unwrap().len(), 12);
    let session = Session::open(bench.sandbox.start(&warrant(), &server, &spec).await.unwrap()).await.unwrap();
    // The directory is empty at start, and no tool of this server makes a repository: it says so.
    let status = call(&session, "git_status", json!({"repo_path": "/data"})).await;
    assert_eq!(status["isError"], true, "{status}");
    assert!(status["content"][0]["text"].as_str().unwrap().contains("/data"), "{status}");
    session.stop().await;
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn the_fetch_server_lists_its_tool_and_says_that_it_reaches_nothing() {
    let bench = bench().await;
    let server = installed(&bench, FETCH).await;
    let tools = bench.sandbox.inspect(&warrant(), &server, &LaunchSpec::default()).await.unwrap();
    let tools: Value = serde_json::from_str(tools.tools.as_deref().unwrap().get()).unwrap();
    assert_eq!(tools["tools"][0]["name"], "fetch");
    assert_eq!(tools["tools"].as_array().unwrap().len(), 1);
    let session =
        Session::open(bench.sandbox.start(&warrant(), &server, &LaunchSpec::default()).await.unwrap()).await.unwrap();
    let answer = call(&session, "fetch", json!({"url": "http://192.0.2.1/"})).await;
    assert_eq!(answer["isError"], true, "{answer}");
    session.stop().await;
    none_left(&bench.sandbox).await;
}

/// Passes the real index on, with what `change` makes of each answer.
#[derive(Clone)]
struct TamperingDouble(PypiIndex, fn(&str, Vec<u8>) -> Vec<u8>);

impl Registry for TamperingDouble {
    async fn fetch(&self, path: &str, accept: &str) -> Result<Fetched, RegistryError> {
        let real = self.0.fetch(path, accept).await?;
        Ok(Fetched { status: real.status, body: (self.1)(path, real.body.to_vec()).into() })
    }
}

#[tokio::test]
async fn a_real_wheel_with_one_bit_flipped_is_refused() {
    let flipped = TamperingDouble(index().await, |path, mut body| {
        if path.ends_with(".whl") {
            let middle = body.len() / 2;
            body[middle] ^= 1;
        }
        body
    });
    let error = bench().await.sandbox.install(&warrant(), &pypi("six", "1.17.0"), &flipped).await.unwrap_err();
    assert!(
        matches!(&error, InstallError::Pypi(PypiError::Digest { file, published, found })
            if file == "six-1.17.0-py2.py3-none-any.whl" && published != found),
        "{error}"
    );
    assert!(error.fix().contains("not what was published"));
}

/// A server in a few lines, with a way to run more of them: `do` runs Python and answers with its `answer`.
const SERVER: &str = r#"
import json, sys
def main():
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message: continue
        method, params = message["method"], message.get("params")
        if method == "initialize":
            result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "fixture", "version": "1"}}
        elif method == "tools/list":
            result = {"tools": [{"name": "do", "inputSchema": {"type": "object"}}]}
        elif method == "tools/call":
            scope = {}
            exec(params["arguments"]["python"], scope)
            result = {"content": [], "structuredContent": {"answer": scope["answer"]}}
        else:
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}}), flush=True)
            continue
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"#;

/// A wheel that somebody makes: files by path, with a RECORD that is right until something is changed after it.
struct WheelDouble {
    name: String,
    version: String,
    files: Vec<(String, Vec<u8>)>,
}

impl WheelDouble {
    fn new(name: &str, version: &str, requires: &[&str]) -> Self {
        let requires: String = requires.iter().map(|one| format!("Requires-Dist: {one}\n")).collect();
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}\n");
        Self { name: name.into(), version: version.into(), files: Vec::new() }
            .with(&format!("{name}-{version}.dist-info/METADATA"), &metadata)
            .with(
                &format!("{name}-{version}.dist-info/WHEEL"),
                "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            .with(&format!("{name}/__init__.py"), "")
    }

    /// With a program that is a server.
    fn server(name: &str, requires: &[&str]) -> Self {
        let scripts = format!("[console_scripts]\n{name} = {name}.server:main\n\n[other]\nx = y:z\n");
        Self::new(name, "1.0", requires)
            .with(&format!("{name}-1.0.dist-info/entry_points.txt"), &scripts)
            .with(&format!("{name}/server.py"), SERVER)
    }

    fn with(mut self, path: &str, contents: &str) -> Self {
        self.files.push((path.into(), contents.into()));
        self
    }

    fn recorded(mut self) -> Self {
        let path = format!("{}-{}.dist-info/RECORD", self.name, self.version);
        let digest = |contents: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(contents));
        let rows = self.files.iter().map(|(path, it)| format!("\"{path}\",sha256={},{}\n", digest(it), it.len()));
        let record: String = rows.chain([format!("{path},,\n")]).collect();
        self.files.push((path, record.into()));
        self
    }

    fn metadata(&self) -> Vec<u8> {
        self.files[0].1.clone()
    }

    fn zipped(&self) -> Vec<u8> {
        let mut archive = rawzip::ZipArchiveWriter::new(Vec::new());
        for (path, contents) in &self.files {
            let file = archive.new_file(path).compression_method(rawzip::CompressionMethod::Deflate);
            let (mut entry, config) = file.start().unwrap();
            let mut writer = config.wrap(flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::fast()));
            writer.write_all(contents).unwrap();
            let (encoder, output) = writer.finish().unwrap();
            encoder.finish().unwrap();
            entry.finish(output).unwrap();
        }
        archive.finish().unwrap()
    }

    fn file_name(&self) -> String {
        format!("{}-{}-py3-none-any.whl", self.name, self.version)
    }
}

/// Answers as an index does, from memory; what is not in it is not there.
#[derive(Clone, Default)]
struct IndexDouble {
    pages: BTreeMap<String, Vec<Value>>,
    files: BTreeMap<String, Vec<u8>>,
}

impl IndexDouble {
    fn with(self, wheel: WheelDouble) -> Self {
        let wheel = wheel.recorded();
        self.with_file(&wheel.name, &wheel.file_name(), wheel.zipped(), json!({}))
    }

    fn with_file(mut self, package: &str, file: &str, contents: Vec<u8>, more: Value) -> Self {
        let place = format!("https://files.example/{file}");
        let mut entry =
            json!({"filename": file, "url": place, "hashes": {"sha256": hex::encode(Sha256::digest(&contents))}});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.pages.entry(package.to_owned()).or_default().push(entry);
        self.files.insert(place, contents);
        self
    }

    async fn install(&self, name: &str) -> Result<InstalledServer, InstallError> {
        bench().await.sandbox.install(&warrant(), &pypi(name, "1.0"), self).await
    }

    async fn refusal(&self, name: &str) -> PypiError {
        match self.install(name).await {
            Err(InstallError::Pypi(error)) => {
                assert!(!error.fix().is_empty());
                error
            }
            other => panic!("{other:?}"),
        }
    }
}

impl Registry for IndexDouble {
    async fn fetch(&self, path: &str, _: &str) -> Result<Fetched, RegistryError> {
        let page = path.strip_suffix('/').and_then(|name| self.pages.get(name));
        let page = page.map(|files| json!({"meta": {"api-version": "1.1"}, "files": files}).to_string().into_bytes());
        let body = page.or_else(|| self.files.get(path).cloned());
        Ok(Fetched { status: if body.is_some() { 200 } else { 404 }, body: body.unwrap_or_default().into() })
    }
}

#[tokio::test]
async fn packages_that_need_each_other_are_installed_once_each_and_run_locked_in() {
    let index = IndexDouble::default()
        .with(WheelDouble::server("alpha", &["beta>=1", "gamma; python_version < '3'"]))
        .with(WheelDouble::new("beta", "1.0", &["alpha"]).with("beta-1.0.data/data/share/beta.txt", "here"));
    let bench = bench().await;
    let server = bench.sandbox.install(&warrant(), &pypi("alpha", "1.0"), &index).await.unwrap();
    let lock: Value = serde_json::from_str(server.image().lock.as_deref().unwrap()).unwrap();
    let names: Vec<_> =
        lock["packages"].as_array().unwrap().iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["alpha", "beta"]);
    assert!(lock["environments"][0].as_str().unwrap().contains("python_full_version == '3.11."), "{lock}");

    let session =
        Session::open(bench.sandbox.start(&warrant(), &server, &LaunchSpec::default()).await.unwrap()).await.unwrap();
    let answer = async |python: &str| {
        call(&session, "do", json!({"python": python})).await["structuredContent"]["answer"].clone()
    };
    assert_eq!(answer("answer = open('/app/share/beta.txt').read()").await, "here");
    assert_eq!(
        answer("import alpha.server as m; answer = m.__cached__").await,
        "/app/lib/python3.11/site-packages/alpha/__pycache__/server.cpython-311.pyc"
    );
    // Compiled at install by hash, unchecked (PEP 552), and the interpreter's own library too.
    assert_eq!(answer("import alpha.server as m; answer = open(m.__cached__, 'rb').read(8)[4]").await, 1);
    assert_eq!(answer("import json.decoder as m; answer = open(m.__cached__, 'rb').read(8)[4]").await, 1);
    assert_eq!(
        answer("import os; answer = [os.getuid(), os.getcwd(), os.path.expanduser('~')]").await,
        json!([10001, "/tmp", "/tmp"])
    );
    let refused =
        "try:\n  open('/app/x', 'w'); answer = 'written'\nexcept OSError as error:\n  answer = error.strerror";
    // gVisor looks at the owner first.
    let refused = answer(refused).await;
    assert!(refused == "Read-only file system" || refused == "Permission denied", "{refused}");
    let alone = "import socket\ntry:\n  socket.create_connection(('192.0.2.1', 80), 5); answer = 'reached'\nexcept OSError as error:\n  answer = error.strerror";
    let alone = answer(alone).await;
    assert!(alone == "Network is unreachable" || alone == "No route to host", "{alone}");
    let child = "import subprocess, sys; answer = subprocess.run([sys.executable, '-c', 'import beta; print(beta.__file__)'], capture_output=True, text=True).stdout";
    assert_eq!(answer(child).await, "/app/lib/python3.11/site-packages/beta/__init__.py\n");
    let programs = "import os, shutil; answer = [shutil.which(name, path='/bin:/usr/bin:/sbin:/usr/sbin') for name in ('sh', 'bash', 'apt-get', 'dpkg', 'perl', 'pip')]";
    assert_eq!(answer(programs).await, json!([null, null, null, null, null, null]));
    // What the git server needs.
    let git = "import subprocess as s; run = lambda *a: s.run(['git', '-C', '/tmp', '-c', 'user.name=a', '-c', 'user.email=a@b', *a], check=True, capture_output=True, text=True).stdout; run('init'); open('/tmp/f', 'w').write('x'); run('add', 'f'); run('commit', '-m', 'first'); answer = run('log', '--format=%s')";
    assert_eq!(answer(git).await, "first\n");
    session.stop().await;
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn two_installs_from_scratch_make_the_same_image() {
    let index = IndexDouble::default().with(
        WheelDouble::server("alpha", &[])
            .with("alpha/sets.py", "def f(x):\n    return x in {'a', 'b', 'c', 'd', 1, 2.5}\n"),
    );
    let (one, two) = (index.install("alpha").await.unwrap(), index.install("alpha").await.unwrap());
    assert_eq!(one.image(), two.image());
}

#[tokio::test]
async fn a_program_is_chosen_by_its_name() {
    let scripts = "[console_scripts]\none = alpha.server:main\ntwo = alpha.server:main\n";
    let wheel = WheelDouble::new("alpha", "1.0", &[])
        .with("alpha-1.0.dist-info/entry_points.txt", scripts)
        .with("alpha/server.py", SERVER)
        .with("alpha-1.0.data/scripts/three", "#!python\nfrom alpha.server import main\nmain()\n");
    let index = IndexDouble::default().with(wheel);
    let error = index.install("alpha").await.unwrap_err();
    assert_eq!(error.to_string(), r#"alpha==1.0: no program None; it has ["one", "three", "two"]"#);
    let bench = bench().await;
    for program in ["two", "three"] {
        let package = PackageSpec::Pypi(PypiPackage::new("alpha", "1.0", Some(program)).unwrap());
        let server = bench.sandbox.install(&warrant(), &package, &index).await.unwrap();
        assert_eq!(server.image().command.last().unwrap(), &format!("/app/bin/{program}"));
        bench.sandbox.inspect(&warrant(), &server, &LaunchSpec::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_wheel_that_is_not_the_published_one_is_refused_wherever_its_metadata_came_from() {
    let alpha = WheelDouble::server("alpha", &[]).recorded();
    let other = WheelDouble::server("alpha", &[]).with("alpha/evil.py", "").recorded();
    let place = format!("https://files.example/{}", alpha.file_name());
    for beside in [false, true] {
        let more = if beside { json!({"core-metadata": true}) } else { json!({}) };
        let mut index = IndexDouble::default().with_file("alpha", &alpha.file_name(), alpha.zipped(), more);
        index.files.insert(place.clone(), other.zipped());
        index.files.insert(format!("{place}.metadata"), alpha.metadata());
        let error = index.refusal("alpha").await;
        assert!(matches!(&error, PypiError::Digest { file, .. } if *file == alpha.file_name()), "{beside}: {error}");
    }
}

#[tokio::test]
async fn metadata_beside_a_wheel_must_be_the_published_and_that_of_the_wheel() {
    let alpha = WheelDouble::server("alpha", &["beta"]).recorded();
    let place = format!("https://files.example/{}.metadata", alpha.file_name());
    let forged = WheelDouble::server("alpha", &[]).metadata();
    let digest = json!({"core-metadata": {"sha256": hex::encode(Sha256::digest(alpha.metadata()))}});
    for (more, published) in [(digest, true), (json!({"core-metadata": true}), false)] {
        let mut index = IndexDouble::default().with_file("alpha", &alpha.file_name(), alpha.zipped(), more);
        index.files.insert(place.clone(), forged.clone());
        let error = index.refusal("alpha").await;
        match published {
            true => assert!(matches!(&error, PypiError::Digest { file, .. } if file.ends_with(".metadata")), "{error}"),
            false => assert!(matches!(&error, PypiError::OtherMetadata { .. }), "{error}"),
        }
    }
}

#[tokio::test]
async fn wheels_that_are_none_are_refused_with_what_is_wrong_in_them() {
    let of = |error: &PypiError| match error {
        PypiError::Wheel { source, .. } => format!("{source}"),
        other => panic!("{other}"),
    };
    let good = || WheelDouble::server("alpha", &[]).recorded();
    let index =
        |archive: Vec<u8>| IndexDouble::default().with_file("alpha", "alpha-1.0-py3-none-any.whl", archive, json!({}));

    let mut lying = good();
    lying.files.iter_mut().find(|(path, _)| path == "alpha/server.py").unwrap().1.extend(b"\nimport evil");
    let said = of(&index(lying.zipped()).refusal("alpha").await);
    assert_eq!(said, r#"its RECORD is wrong about "alpha/server.py": its contents have another digest"#);

    let said = of(&index(good().with("alpha/more.py", "").zipped()).refusal("alpha").await);
    assert_eq!(said, r#"its RECORD is wrong about "alpha/more.py": it is not listed"#);

    let mut short = good();
    short.files.retain(|(path, _)| path != "alpha/__init__.py");
    let said = of(&index(short.zipped()).refusal("alpha").await);
    assert_eq!(said, r#"its RECORD is wrong about "alpha/__init__.py": there is no such file"#);

    // A writer of archives refuses such names: they are put into the finished archive.
    let renamed = |from: &str, to: &str| replaced(&good().with(from, "").zipped(), from, to);
    let error = index(renamed("aa/bb/passwd", "../../passwd")).refusal("alpha").await;
    assert!(
        matches!(&error, PypiError::Wheel { source: WheelError::Outside { path }, .. } if path == "../../passwd"),
        "{error}"
    );
    let error = index(renamed("alpha/server.px", "alpha/server.py")).refusal("alpha").await;
    assert!(matches!(&error, PypiError::Wheel { source: WheelError::Twice { .. }, .. }), "{error}");

    let said = of(&index(WheelDouble::server("beta", &[]).recorded().zipped()).refusal("alpha").await);
    assert_eq!(said, r#"its METADATA says "beta-1.0", its file's name "alpha 1.0""#);

    let reserved = WheelDouble::server("alpha", &[]).with("alpha-1.0.data/scripts/python", "#!python\n").recorded();
    let said = of(&index(reserved.zipped()).refusal("alpha").await);
    assert_eq!(said, r#"a file would replace the runner's own "bin/python""#);
    assert!(of(&index(b"PK no archive".to_vec()).refusal("alpha").await).starts_with("no readable ZIP archive"));
}

#[tokio::test]
async fn two_packages_with_different_files_for_one_place_are_refused() {
    let index = IndexDouble::default()
        .with(WheelDouble::server("alpha", &["beta"]))
        .with(WheelDouble::new("beta", "1.0", &[]).with("alpha/server.py", "evil = True"));
    let error = index.install("alpha").await.unwrap_err();
    assert!(
        matches!(&error, InstallError::Layer(LayerError::Twice { package, path })
            if package == "beta-1.0-py3-none-any.whl" && path == "lib/python3.11/site-packages/alpha/server.py"),
        "{error}"
    );
}

#[tokio::test]
async fn what_the_index_does_not_have_is_said_with_what_it_has() {
    let at = |name: &str, version: &str| WheelDouble::new(name, version, &[]);
    let source = |package: &str| {
        IndexDouble::default().with_file(package, &format!("{package}-1.0.tar.gz"), b"setup.py".to_vec(), json!({}))
    };
    let error = IndexDouble::default().refusal("alpha").await;
    assert!(matches!(&error, PypiError::NoPackage { package } if package == "alpha"), "{error}");

    let error = IndexDouble::default().with(at("alpha", "1.2")).with(at("alpha", "1.10")).refusal("alpha").await;
    assert_eq!(error.to_string(), r#"the index has no version 1.0 of alpha; it has ["1.10", "1.2"]"#);

    let error = source("alpha").refusal("alpha").await;
    assert_eq!(error.to_string(), r#"alpha==1.0 has no wheel, only ["alpha-1.0.tar.gz"]"#);
    assert!(error.fix().contains("nothing of a package runs"));

    let error = source("beta").with(WheelDouble::server("alpha", &["beta"])).refusal("alpha").await;
    assert_eq!(error.to_string(), r#"beta has no wheel, only ["beta-1.0.tar.gz"]"#);

    let error = IndexDouble::default()
        .with(WheelDouble::server("alpha", &["beta>=2"]))
        .with(at("beta", "1.0"))
        .refusal("alpha")
        .await;
    assert!(matches!(&error, PypiError::Resolve { told, .. } if told.contains("beta>=2")), "{error}");
}

#[tokio::test]
async fn yanked_files_and_those_for_other_pythons_or_systems_are_refused() {
    let alpha = WheelDouble::server("alpha", &[]).recorded();
    let with = |file: &str, more: Value| IndexDouble::default().with_file("alpha", file, alpha.zipped(), more);
    let error = with(&alpha.file_name(), json!({"yanked": "leaks tokens"})).refusal("alpha").await;
    assert_eq!(error.to_string(), "alpha-1.0-py3-none-any.whl was yanked: leaks tokens");
    assert!(error.fix().contains("another version"));

    let error = with(&alpha.file_name(), json!({"requires-python": ">=3.13"})).refusal("alpha").await;
    assert_eq!(
        error.to_string(),
        r#"no wheel of alpha==1.0 fits Python 3.11 on Linux x86-64: ["alpha-1.0-py3-none-any.whl (Python >=3.13)"]"#
    );
    let error = with("alpha-1.0-cp311-cp311-win_amd64.whl", json!({})).refusal("alpha").await;
    assert!(matches!(&error, PypiError::Unfit { .. }) && error.fix().contains("manylinux"), "{error}");
}

/// Every occurrence of a name in an archive: in front of the file and in the directory.
fn replaced(archive: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut archive = archive.to_vec();
    for at in 0..archive.len() - from.len() {
        if archive[at..].starts_with(from.as_bytes()) {
            archive[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
    }
    archive
}
