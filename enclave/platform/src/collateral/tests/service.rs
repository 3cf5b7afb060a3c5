//! An HTTP service on loopback that answers as it is told and counts who asked for what.

use std::{
    collections::{HashMap, VecDeque},
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    delay: Duration,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into(), delay: Duration::ZERO }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, body: b"<html>no</html>".to_vec(), ..Self::ok("") }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Begins to answer only after that time.
    pub(crate) fn slow(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

#[derive(Default)]
struct Script {
    /// First in turn, then the last one for ever.
    replies: HashMap<String, VecDeque<Reply>>,
    /// Targets and head lines of what was asked.
    asked: Vec<(String, Vec<String>)>,
}

/// The service. It ends when it is dropped.
pub(crate) struct Service {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    ends: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Service {
    pub(crate) fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = socket.local_addr().expect("bound");
        let (script, ends) = (Arc::new(Mutex::new(Script::default())), Arc::new(AtomicBool::new(false)));
        let (for_thread, ending) = (Arc::clone(&script), Arc::clone(&ends));
        let listener = thread::spawn(move || {
            for stream in socket.incoming() {
                if ending.load(Ordering::SeqCst) {
                    return;
                }
                let script = Arc::clone(&for_thread);
                // A client that leaves is its own business.
                thread::spawn(move || stream.map(|stream| answer(stream, &script).ok()));
            }
        });
        Self { address, script, ends, listener: Some(listener) }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers `target` with these in turn; the last one stays.
    pub(crate) fn on(&self, target: &str, replies: impl IntoIterator<Item = Reply>) {
        let replies = replies.into_iter().collect();
        self.script.lock().expect("lock").replies.insert(target.to_owned(), replies);
    }

    /// Targets in the order they were asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.script.lock().expect("lock").asked.iter().map(|(target, _)| target.clone()).collect()
    }

    /// How often a target was asked for.
    pub(crate) fn count(&self, target: &str) -> usize {
        self.asked().iter().filter(|asked| *asked == target).count()
    }

    /// Head lines of the newest request.
    pub(crate) fn head(&self) -> Vec<String> {
        self.script.lock().expect("lock").asked.last().map(|(_, head)| head.clone()).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
        if let Some(listener) = self.listener.take() {
            listener.join().ok();
        }
    }
}

fn answer(mut stream: TcpStream, script: &Mutex<Script>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut head = Vec::new();
    for line in lines {
        match line? {
            end if end.is_empty() => break,
            line => head.push(line),
        }
    }
    let reply = {
        let mut script = script.lock().expect("lock");
        script.asked.push((target.clone(), head));
        match script.replies.get_mut(&target) {
            None => Reply::status(404),
            Some(replies) if replies.len() > 1 => replies.pop_front().expect("several"),
            Some(replies) => replies.front().cloned().unwrap_or(Reply::status(404)),
        }
    };
    thread::sleep(reply.delay);
    let mut text = format!("HTTP/1.1 {} Answer\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        text += &format!("{name}: {value}\r\n");
    }
    stream.write_all(text.as_bytes())?;
    stream.write_all(b"Connection: close\r\n\r\n")?;
    stream.write_all(&reply.body)?;
    stream.flush()
}
