//! What every scenario needs and no scenario changes is made once in `target/` and copied.

use std::{
    fs,
    path::{Path, PathBuf},
};

use software_psp::{Product, SoftwarePsp};

use crate::{EVERYTHING, FILESYSTEM, Gateway, Settings, docker, repository};

/// Two RSA-4096 keys take seconds to make, so all scenarios of a build share one software processor.
pub(crate) fn processor(state: &Path) {
    fs::copy(processor_file(), state.join("software-psp")).expect("the processor is copied");
}

/// The same processor, opened.
pub fn opened_processor() -> SoftwarePsp {
    SoftwarePsp::open(processor_file().parent().expect("in a folder")).expect("a software processor")
}

fn processor_file() -> PathBuf {
    once(&repository().join("target/shared-processor"), "software-psp", |shared| {
        SoftwarePsp::create(shared, Product::Genoa, time::OffsetDateTime::now_utc()).expect("a software processor");
    })
}

/// Records of the installed servers, as a first start leaves them. The image that servers run in names the folder: a
/// record of another one is of no use.
pub(crate) fn servers(state: &Path) {
    let image = docker(&["image", "inspect", "--format", "{{.Id}}", "sealgate/runner-node:2"]);
    let image = image.trim().trim_start_matches("sha256:").get(..16).expect("an image id").to_owned();
    let kept = once(&repository().join("target/shared-servers").join(image), "servers", |shared| {
        let more = format!("{EVERYTHING}{FILESYSTEM}");
        let mut first = Gateway::with(&Settings { more, installed: false, ..Settings::default() });
        first.stop();
        copy(&first.state().join("servers"), &shared.join("unfinished"));
        fs::rename(shared.join("unfinished"), shared.join("servers")).expect("in place");
    });
    copy(&kept, &state.join("servers"));
}

/// The file or folder `name` in `shared`, which `make` puts there if no other test has.
fn once(shared: &Path, name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    fs::create_dir_all(shared).expect("a folder in target");
    let made = shared.join(name);
    if !made.exists() {
        let lock = fs::File::create(shared.join("lock")).expect("a lock file");
        lock.lock().expect("the lock");
        if !made.exists() {
            make(shared);
        }
    }
    made
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder to copy") {
        let entry = entry.expect("an entry");
        let there = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy(&entry.path(), &there);
        } else {
            fs::copy(entry.path(), there).expect("a file is copied");
        }
    }
}
