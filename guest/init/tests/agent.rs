//! The agent as an ordinary process: a host at the other end of a socket pair.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use guest_control::{Ended, Event, Request, Stream};
use proptest::prelude::*;

/// Bounds a hang; nothing is measured.
const PATIENCE: Duration = Duration::from_secs(60);

struct Host {
    agent: Child,
    port: UnixStream,
    events: BufReader<UnixStream>,
}

impl Host {
    fn start(arguments: &[&str]) -> Self {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        ours.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        ours.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        let agent = Command::new(env!("CARGO_BIN_EXE_virtio-wl-init"))
            .args(arguments)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .expect("the agent");
        let events = BufReader::new(ours.try_clone().expect("a socket"));
        let mut host = Self {
            agent,
            port: ours,
            events,
        };
        assert!(matches!(host.event(), Event::Booted { .. }));
        host
    }

    fn send(&mut self, request: &Request) {
        let mut line = serde_json::to_vec(request).expect("a line");
        line.push(b'\n');
        self.port.write_all(&line).expect("sent");
    }

    fn event(&mut self) -> Event {
        let mut line = String::new();
        self.events.read_line(&mut line).expect("an event");
        assert!(line.len() <= guest_control::MAX_LINE_BYTES);
        serde_json::from_str(&line).expect("an event")
    }

    fn run(&mut self, id: u32, script: &str) {
        self.send(&Request::Run {
            id,
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            env: Vec::new(),
            root: false,
        });
    }

    /// The rest of the line that begins with `prefix`, the only one a program writes so far.
    fn word_after(&mut self, id: u32, prefix: &str) -> String {
        let mut text = String::new();
        while !text.ends_with('\n') {
            match self.event() {
                Event::Output {
                    id: from,
                    text: more,
                    ..
                } if from == id => text.push_str(&more),
                Event::Started { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        let word = text.trim_end().strip_prefix(prefix);
        word.expect("the prefix").to_owned()
    }

    /// Waits until a process has ended and been reaped.
    fn wait_gone(&mut self, id: u32, pid: &str) {
        self.run(
            id,
            &format!("while [ -e /proc/{pid} ]; do sleep 0.01; done"),
        );
        assert_eq!(self.end().2, Ended::Exit(0));
    }

    /// All output of the only program, and how it ended.
    fn end(&mut self) -> (String, String, Ended) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        loop {
            match self.event() {
                Event::Started { .. } => {}
                Event::Output {
                    stream: Stream::Stdout,
                    text,
                    ..
                } => stdout.push_str(&text),
                Event::Output {
                    stream: Stream::Stderr,
                    text,
                    ..
                } => stderr.push_str(&text),
                Event::Ended { status, .. } => return (stdout, stderr, status),
                other => panic!("{other:?}"),
            }
        }
    }

    fn failure(&mut self) -> String {
        match self.event() {
            Event::Failed { message, .. } => message,
            other => panic!("{other:?}"),
        }
    }

    fn halt(mut self) {
        self.send(&Request::Halt {});
        while self.event() != (Event::Halting {}) {}
        assert!(self.agent.wait().expect("a status").success());
    }
}

#[test]
fn output_comes_before_the_end() {
    let mut host = Host::start(&[]);
    host.run(1, "echo out; echo err >&2; exit 3");
    let expected = ("out\n".to_owned(), "err\n".to_owned(), Ended::Exit(3));
    assert_eq!(host.end(), expected);
    host.halt();
}

#[test]
fn much_output_arrives_whole() {
    let mut host = Host::start(&[]);
    host.run(1, "head -c 3000000 /dev/zero");
    let (stdout, _, status) = host.end();
    assert_eq!((stdout.len(), status), (3_000_000, Ended::Exit(0)));
    host.halt();
}

#[test]
fn input_and_its_end() {
    let mut host = Host::start(&[]);
    host.run(1, "cat");
    host.send(&Request::Input {
        id: 1,
        text: "héllo\n".to_owned(),
    });
    host.send(&Request::EndOfInput { id: 1 });
    assert_eq!(
        host.end(),
        ("héllo\n".to_owned(), String::new(), Ended::Exit(0))
    );
    host.halt();
}

/// Says so and its process id, and then waits for a signal, which it does not catch.
const UP: &str = "sh -c 'echo up $$; exec sleep 1000'";

#[test]
fn a_signal_reaches_all_that_a_program_started() {
    let mut host = Host::start(&[]);
    // The traps are set before the word. Nobody waits for a child in the foreground: a shell would
    // say how it ended.
    let script = format!("trap : TERM; (trap 'exit 0' TERM; {UP} & wait) & wait; wait; echo down");
    host.run(1, &script);
    let sleeper = host.word_after(1, "up ");
    host.send(&Request::Signal { id: 1, signal: 15 });
    let ended = ("down\n".to_owned(), String::new(), Ended::Exit(0));
    assert_eq!(host.end(), ended);
    host.wait_gone(2, &sleeper);
    host.halt();
}

#[test]
fn a_signal_reaches_other_groups_of_the_session() {
    let mut host = Host::start(&[]);
    // timeout(1) makes a group of its own, as a shell with job control does.
    host.run(1, &format!("timeout 1000 {UP} & wait"));
    let sleeper = host.word_after(1, "up ");
    // Not caught by anybody, so that nobody passes it on.
    host.send(&Request::Signal { id: 1, signal: 9 });
    assert_eq!(host.end().2, Ended::Signal(9));
    host.wait_gone(2, &sleeper);
    host.halt();
}

#[test]
fn any_signal_can_be_the_end() {
    let mut host = Host::start(&[]);
    for (id, signal) in (1..).zip([9, 11, 40]) {
        host.run(id, &format!("kill -{signal} $$"));
        assert_eq!(host.end().2, Ended::Signal(signal));
    }
    host.halt();
}

#[test]
fn one_left_behind_delays_no_end() {
    let mut host = Host::start(&[]);
    host.run(1, "sleep 1000 & echo $!");
    let (stdout, _, status) = host.end();
    assert_eq!(status, Ended::Exit(0));
    // It holds the output of its parent and has a new one: the agent, which reaps it.
    host.run(2, &format!("kill {}", stdout.trim()));
    assert_eq!(host.end().2, Ended::Exit(0));
    host.wait_gone(3, stdout.trim());
    host.halt();
}

#[test]
fn what_cannot_be_done_is_told() {
    let mut host = Host::start(&[]);
    host.send(&Request::Run {
        id: 1,
        argv: vec!["/does/not/exist".to_owned()],
        env: Vec::new(),
        root: false,
    });
    assert!(host.failure().contains("No such file"));
    host.send(&Request::Signal { id: 1, signal: 9 });
    assert_eq!(host.failure(), "no such program runs");
    host.run(2, "sleep 1000");
    assert!(matches!(host.event(), Event::Started { id: 2, .. }));
    host.run(2, "true");
    assert_eq!(host.failure(), "this number is in use");
    host.send(&Request::Signal { id: 2, signal: 900 });
    assert_eq!(host.failure(), "no signal 900");
    // Not told in full, or the answer would be no line.
    host.port
        .write_all(format!("{{\"{}\":1}}\n", "\u{1}".repeat(60_000)).as_bytes())
        .expect("sent");
    assert!(host.failure().len() < 2000);
    host.halt();
}

#[test]
fn a_compositor_vm_runs_nothing_else() {
    let mut host = Host::start(&["--role", "compositor"]);
    host.run(1, "true");
    assert!(host.failure().contains("runs nothing else"));
    host.halt();
    let mut debug = Host::start(&["--role", "compositor", "--debug"]);
    debug.run(1, "true");
    assert_eq!(debug.end().2, Ended::Exit(0));
    debug.halt();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_bytes_are_survived(mut bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let mut host = Host::start(&[]);
        bytes.push(b'\n');
        host.port.write_all(&bytes).expect("sent");
        host.halt();
    }
}
