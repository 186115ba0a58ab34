//! A machine of its own for a part of a test: a network namespace with a link to this one, which has
//! a rate and a delay, and can be taken down.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::support::tools::{is_installed, is_root, run_tool, skip};

const MEGABITS: u32 = 100;
const ROUND_TRIP: Duration = Duration::from_millis(20);
/// Addresses for measurements of networks, which nobody uses (RFC 2544).
const NETWORK: [u8; 2] = [198, 18];
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A network namespace that reaches a server of this machine over a link. Removed when it is dropped.
pub(super) struct LinkedMachine {
    /// The name of the namespace, and of the link's end on this machine.
    name: String,
    port: u16,
    address: String,
    relay: Arc<Relay>,
}

impl LinkedMachine {
    /// None, and a skipped test, if there can be no such machine.
    #[track_caller]
    pub(super) fn reaching(server: &str, what: &str) -> Option<Self> {
        if !is_root() {
            skip("root", what);
            return None;
        }
        if !is_installed("ip", what) || !is_installed("tc", what) {
            return None;
        }
        // At most 15 characters, and unique on this machine.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lc{}-{number}", std::process::id());
        if !succeeds("ip", &["netns", "add", &name]) {
            skip("network namespaces", what);
            return None;
        }
        // Four addresses for each link of each test process.
        let block = (std::process::id() % 512 * 32 + number % 32) * 4;
        let [third, fourth] = [block / 256, block % 256];
        let at = |host: u32| format!("{}.{}.{third}.{}", NETWORK[0], NETWORK[1], fourth + host);
        let mut machine = Self {
            name,
            port: 0,
            address: at(1),
            relay: Arc::new(Relay::to(server)),
        };
        machine.connect(&at(2));
        if !machine.limit_rate() {
            skip("tc tbf", what);
            return None;
        }
        machine.port = Arc::clone(&machine.relay).listen(&machine.address);
        Some(machine)
    }

    fn connect(&self, address: &str) {
        let name = &*self.name;
        let near = format!("{}/30", self.address);
        let far = format!("{address}/30");
        let within = |arguments: &[&str]| tool("ip", &[&["-n", name], arguments].concat());
        tool(
            "ip",
            &[
                "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name,
            ],
        );
        tool("ip", &["address", "add", &near, "dev", name]);
        tool("ip", &["link", "set", name, "up"]);
        within(&["address", "add", &far, "dev", "eth0"]);
        within(&["link", "set", "eth0", "up"]);
    }

    /// Gives both directions a rate. False if this kernel cannot.
    fn limit_rate(&self) -> bool {
        let rate = format!("{MEGABITS}mbit");
        let limit = |first: &[&str], device: &str| {
            let bucket = [
                "qdisc", "add", "dev", device, "root", "tbf", "rate", &rate, "burst", "64kb",
                "latency", "50ms",
            ];
            succeeds("tc", &[first, &bucket].concat())
        };
        limit(&[], &self.name) && limit(&["-n", &self.name], "eth0")
    }

    /// The server, for programs on this machine.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}:{}", self.address, self.port)
    }

    /// The words that run a program on this machine.
    pub(super) fn starter(&self) -> [String; 2] {
        let namespace = PathBuf::from("/run/netns").join(&self.name);
        [
            "nsenter".to_owned(),
            format!("--net={}", namespace.display()),
        ]
    }

    pub(super) fn take_down(&self) {
        tool("ip", &["link", "set", &self.name, "down"]);
    }

    pub(super) fn bring_up(&self) {
        tool("ip", &["link", "set", &self.name, "up"]);
    }

    /// The bytes that went over the link in both directions.
    pub(super) fn carried(&self) -> u64 {
        self.relay.carried.load(Ordering::Relaxed)
    }
}

impl Drop for LinkedMachine {
    /// The other end and everything in the namespace go with it.
    fn drop(&mut self) {
        succeeds("ip", &["link", "delete", &self.name]);
        succeeds("ip", &["netns", "delete", &self.name]);
    }
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

#[track_caller]
fn tool(program: &str, arguments: &[&str]) {
    let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
    run_tool(program, &arguments);
}

/// Passes connections on to a server with half of the delay in each direction: not every kernel has
/// netem.
struct Relay {
    server: String,
    carried: AtomicU64,
}

/// Bytes, and when they arrive.
type Chunk = (Instant, Vec<u8>);

impl Relay {
    fn to(server: &str) -> Self {
        Self {
            server: server.trim_start_matches("http://").to_owned(),
            carried: AtomicU64::new(0),
        }
    }

    /// Listens until the test ends. Returns the port.
    fn listen(self: Arc<Self>, address: &str) -> u16 {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&self.server) else {
                    continue;
                };
                let ends = |stream: &TcpStream| stream.try_clone().unwrap();
                self.carry(ends(&client), ends(&server));
                self.carry(server, client);
            }
        });
        port
    }

    /// Carries bytes in one direction, in two threads.
    fn carry(self: &Arc<Self>, mut source: TcpStream, mut sink: TcpStream) {
        let (sender, receiver): (SyncSender<Chunk>, Receiver<Chunk>) = sync_channel(64);
        let relay = Arc::clone(self);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(length @ 1..) = source.read(&mut buffer) {
                let arrives = Instant::now() + ROUND_TRIP / 2;
                if sender.send((arrives, buffer[..length].to_vec())).is_err() {
                    break;
                }
            }
        });
        std::thread::spawn(move || {
            for (arrives, bytes) in receiver {
                std::thread::sleep(arrives.saturating_duration_since(Instant::now()));
                if sink.write_all(&bytes).is_err() {
                    break;
                }
                relay
                    .carried
                    .fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            drop(sink.shutdown(Shutdown::Write));
        });
    }
}
