//! A real software TPM per test, on loopback ports of its own, ended by its own process id.

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A running swtpm. Dropping it ends it.
pub struct Swtpm {
    process: Child,
    port: u16,
    state: TempDir,
}

impl Swtpm {
    /// A new TPM, as from the factory.
    pub fn start() -> Self {
        let state = TempDir::new().expect("a directory for the TPM");
        let (process, port) = launch(state.path());
        Self { process, port, state }
    }

    /// Address as the configuration has it.
    pub fn tcti(&self) -> String {
        address(self.port)
    }

    /// Its port; the next one is for control.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Power off and on: registers start again, seeds stay.
    pub fn reboot(&mut self) {
        self.stop();
        (self.process, self.port) = launch(self.state.path());
    }

    /// Ends the process; the state stays.
    pub fn stop(&mut self) {
        self.process.kill().expect("swtpm is ours to end");
        self.process.wait().expect("swtpm ended");
    }

    /// Runs one of tpm2-tools against it.
    pub fn tool(&self, tool: &str, arguments: &[&str]) -> Vec<u8> {
        tool_at(&self.tcti(), tool, arguments)
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The address of a TPM at `port`, as the configuration has it.
pub fn address(port: u16) -> String {
    format!("swtpm:host=127.0.0.1,port={port}")
}

/// Runs one of tpm2-tools against the TPM at an address.
///
/// # Panics
/// The tool is missing or fails; its words are in the message.
pub fn tool_at(tcti: &str, tool: &str, arguments: &[&str]) -> Vec<u8> {
    // A software TPM keeps three sessions, and who else is connected may hold them for the length of some commands.
    for _ in 0..40 {
        let output = Command::new(tool)
            .args(["-T", tcti])
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("{tool}: {error}; fix: apt install tpm2-tools"));
        if output.status.success() {
            return output.stdout;
        }
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("out of memory for session contexts"), "{tool}: {said}");
        thread::sleep(Duration::from_millis(25));
    }
    panic!("{tool}: the TPM at {tcti} has no session left for a second");
}

/// A port whose neighbour is free as well: the TCTI takes the next one for control.
/// Somebody may take them before they are used.
pub fn free_pair() -> u16 {
    bound_pair().0
}

/// The first of two neighbouring ports, and who listens at both.
pub fn bound_pair() -> (u16, [TcpListener; 2]) {
    for _ in 0..100 {
        let first = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = first.local_addr().expect("bound").port();
        if port < u16::MAX
            && let Ok(second) = TcpListener::bind(("127.0.0.1", port + 1))
        {
            return (port, [first, second]);
        }
    }
    panic!("no two neighbouring ports are free");
}

fn launch(state: &Path) -> (Child, u16) {
    // Another test may take the ports between looking and binding: swtpm then ends at once, and we look again. That
    // somebody answers there is not enough, for it may be the other test's. swtpm writes its pid when it has both.
    let pid = state.join("swtpm.pid");
    for _ in 0..10 {
        let port = free_pair();
        let mut process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={}", state.display())])
            .args(["--pid", &format!("file={}", pid.display())])
            .args(["--server", &format!("type=tcp,bindaddr=127.0.0.1,port={port}")])
            .args(["--ctrl", &format!("type=tcp,bindaddr=127.0.0.1,port={}", port + 1)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("swtpm: {error}; fix: apt install swtpm"));
        let patience = Instant::now() + Duration::from_secs(10);
        while Instant::now() < patience {
            if process.try_wait().expect("status").is_some() {
                break;
            }
            let bound = std::fs::read_to_string(&pid).is_ok_and(|pid| pid.trim() == process.id().to_string());
            // The control port: a connection to the other one would count as a client.
            if bound && TcpStream::connect(("127.0.0.1", port + 1)).is_ok() {
                return (process, port);
            }
            thread::sleep(Duration::from_millis(5));
        }
        process.kill().ok();
        process.wait().ok();
    }
    panic!("swtpm does not start");
}
