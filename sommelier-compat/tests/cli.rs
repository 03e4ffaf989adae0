//! The real binary: exit status, signals, sockets, environment, options.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sommelier_compat::args::{OPTIONS, Treatment};

/// No wait of these tests takes longer than a moment; this only keeps a broken
/// one from hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// A place for sockets, with a host that accepts connections and says nothing.
struct Stage {
    dir: tempfile::TempDir,
    host: UnixListener,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let host = UnixListener::bind(dir.path().join("host")).expect("a socket");
        Self { dir, host }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The binary, in an environment without any way to a host.
    fn bare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sommelier"));
        for name in [
            "WAYLAND_DISPLAY",
            "WAYLAND_SOCKET",
            "VIRTIO_WL_DEVICE",
            "VIRTIO_WL_LOG",
        ] {
            command.env_remove(name);
        }
        command
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .env("DISPLAY", ":7");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// With the silent host, and arguments separated by spaces.
    fn sommelier(&self, line: &str) -> Command {
        let mut command = self.bare();
        command.arg("--display=host").args(line.split_whitespace());
        command
    }

    fn shell(&self, options: &str, script: &str) -> Command {
        let mut command = self.sommelier(options);
        command.args(["sh", "-c", script]);
        command
    }
}

fn finish(child: Child) -> Output {
    let id = child.id();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(output) => output.expect("output"),
        Err(_) => {
            let _ = kill(Pid::from_raw(id.cast_signed()), Signal::SIGKILL);
            panic!("it does not end");
        }
    }
}

fn run(mut command: Command) -> Output {
    finish(command.spawn().expect("the binary"))
}

fn code(command: Command) -> i32 {
    run(command).status.code().expect("an exit status")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until a socket is there: directories tell by inotify.
fn wait_for(path: &Path) {
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC).expect("inotify");
    let parent = path.parent().expect("a directory");
    inotify
        .add_watch(parent, AddWatchFlags::IN_CREATE)
        .expect("a watch");
    while !path.exists() {
        inotify.read_events().expect("a change");
    }
}

fn connect(path: &Path) -> UnixStream {
    wait_for(path);
    // The socket exists from bind(2) on, connections are taken from listen(2)
    // on, which follows at once.
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                std::thread::yield_now();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn the_exit_status_is_that_of_the_program() {
    let stage = Stage::new();
    assert_eq!(code(stage.shell("", "exit 0")), 0);
    assert_eq!(code(stage.shell("", "exit 7")), 7);
    assert_eq!(code(stage.shell("", "kill -9 $$")), 128 + 9);
    assert_eq!(code(stage.shell("--parent --socket=own", "exit 3")), 3);
}

#[test]
fn a_program_that_cannot_run_gives_the_status_of_a_shell() {
    let stage = Stage::new();
    let output = run(stage.sommelier("/does/not/exist"));
    assert_eq!(output.status.code(), Some(127));
    assert!(stderr(&output).starts_with("error: cannot run '/does/not/exist'"));
    fs::write(stage.path("text"), "not a program").expect("a file");
    let mut command = stage.sommelier("");
    command.arg(stage.path("text"));
    assert_eq!(code(command), 126);
}

#[test]
fn the_program_gets_its_connection_and_an_ordinary_environment() {
    let stage = Stage::new();
    let script = "echo $SOMMELIER_VERSION ${DISPLAY-none} ${WAYLAND_SOCKET:+given}; \
                  grep -h -e SigBlk -e SigIgn /proc/self/status; ulimit -Sn; ls /proc/$$/fd";
    let lines = |mut command: Command| -> Vec<String> {
        command.stderr(Stdio::inherit());
        let text = String::from_utf8(run(command).stdout).expect("text");
        text.lines().map(String::from).collect()
    };
    let relayed = lines(stage.shell("", script));
    assert_eq!(relayed[0], "0.20 none given");
    assert_eq!(relayed[1], "SigBlk:\t0000000000000000");

    let mut plain = Command::new("sh");
    plain
        .args(["-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let plain = lines(plain);
    assert_eq!(
        relayed[1..4],
        plain[1..4],
        "signals and limits as without us"
    );
    assert_eq!(
        relayed.len(),
        plain.len() + 1,
        "one descriptor more: {relayed:?} {plain:?}"
    );
}

#[test]
fn signals_are_passed_on_to_the_program() {
    let stage = Stage::new();
    for (signal, name) in [(Signal::SIGTERM, "TERM"), (Signal::SIGINT, "INT")] {
        // Kill, for the shell forgets any other signal that reaches its child
        // between fork and exec.
        let script =
            format!("trap 'kill -9 $!; exit 42' {name}; tail -f /dev/null & echo ready; wait");
        // A shell cannot trap what was ignored when it started, as SIGINT is in
        // whatever a script runs in the background.
        let mut command = stage.sommelier("");
        command.args(["env", "--default-signal", "sh", "-c", &script]);
        let mut child = command.spawn().expect("the binary");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        stdout.read_line(&mut String::new()).expect("ready");
        kill(Pid::from_raw(child.id().cast_signed()), signal).expect("it lives");
        assert_eq!(finish(child).status.code(), Some(42), "{name}");
    }
}

#[test]
fn a_parent_listens_until_it_is_told_to_end_and_cleans_up() {
    let stage = Stage::new();
    let child = stage
        .sommelier("--parent --socket=own")
        .spawn()
        .expect("the binary");
    let mut client = connect(&stage.path("own"));
    let (mut host, _) = stage.host.accept().expect("a connection for the client");
    assert!(stage.path("own.lock").exists());
    // get_registry(2) passes, and `global` is asked for by it.
    let request: Vec<u8> = [1_u32, 12 << 16 | 1, 2]
        .into_iter()
        .flat_map(u32::to_ne_bytes)
        .collect();
    client.write_all(&request).expect("room");
    let mut received = [0; 12];
    host.read_exact(&mut received).expect("the request");
    assert_eq!(received[..], request);

    // A second client has a connection of its own.
    let _second = connect(&stage.path("own"));
    let (_host, _) = stage
        .host
        .accept()
        .expect("a connection for the second client");

    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("it lives");
    assert_eq!(finish(child).status.code(), Some(0));
    assert!(!stage.path("own").exists() && !stage.path("own.lock").exists());
    assert_eq!(client.read(&mut [0; 8]).expect("the end"), 0);
}

#[test]
fn a_socket_in_use_is_left_alone() {
    let stage = Stage::new();
    let output = run(stage.sommelier("--parent --socket=host"));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("another process listens"),
        "{}",
        stderr(&output)
    );
    UnixStream::connect(stage.path("host")).expect("still there");
}

#[test]
fn a_program_of_the_parent_finds_the_socket_by_name() {
    let stage = Stage::new();
    let script = "echo $WAYLAND_DISPLAY ${WAYLAND_SOCKET-none}; test -S $XDG_RUNTIME_DIR/own";
    let output = run(stage.shell("--parent --socket=own", script));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"own none\n");
    assert!(
        !stage.path("own").exists(),
        "and it is gone with the program"
    );
}

#[test]
fn without_a_host_one_line_says_what_to_do() {
    let stage = Stage::new();
    let mut command = stage.bare();
    command
        .args(["true"])
        .env("VIRTIO_WL_DEVICE", stage.path("missing"));
    let output = run(command);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.starts_with("error: ") && text.contains("VIRTIO_WL_DEVICE"),
        "{text}"
    );
    assert!(text.contains("--display"), "{text}");
}

#[test]
fn a_compositor_that_is_away_is_an_error_before_the_program_starts() {
    let stage = Stage::new();
    let mut command = stage.bare();
    command.args(["--display=nobody", "sh", "-c", "echo started"]);
    let output = run(command);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(
        stderr(&output).contains("cannot connect"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_client_is_told_when_the_host_goes() {
    let stage = Stage::new();
    let child = stage
        .sommelier("--parent --socket=own")
        .spawn()
        .expect("the binary");
    let mut client = connect(&stage.path("own"));
    drop(stage.host.accept().expect("a connection for the client"));
    assert_eq!(client.read(&mut [0; 8]).expect("the end"), 0);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("it lives");
    assert_eq!(finish(child).status.code(), Some(0));
}

#[test]
fn the_service_manager_is_told_when_clients_may_come() {
    let stage = Stage::new();
    let notify = UnixDatagram::bind(stage.path("notify")).expect("a socket");
    notify.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut command = stage.sommelier("--parent --socket=own --sd-notify=READY=1");
    let child = command
        .env("NOTIFY_SOCKET", stage.path("notify"))
        .spawn()
        .expect("the binary");
    let mut text = [0; 64];
    let len = notify.recv(&mut text).expect("a notification");
    assert_eq!(&text[..len], b"READY=1\n");
    UnixStream::connect(stage.path("own")).expect("already listening");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("it lives");
    finish(child);
}

#[test]
fn what_the_program_leaves_behind_is_served_if_asked_for() {
    let stage = Stage::new();
    let fifo = stage.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    let notify = UnixDatagram::bind(stage.path("notify")).expect("a socket");
    notify.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // The background process keeps the connection until the fifo ends.
    let script = format!("cat {} >/dev/null 2>&1 & exit 5", fifo.display());
    let mut command = stage.shell("--no-exit-with-child --sd-notify=READY=1", &script);
    command.env("NOTIFY_SOCKET", stage.path("notify"));
    let mut child = command.spawn().expect("the binary");
    // Said once the program has ended.
    notify.recv(&mut [0; 64]).expect("a notification");
    assert!(
        child.try_wait().expect("a child").is_none(),
        "the connection is still in use"
    );
    drop(
        fs::File::options()
            .write(true)
            .open(&fifo)
            .expect("the fifo"),
    );
    assert_eq!(finish(child).status.code(), Some(5));
}

#[test]
fn a_connection_can_be_inherited() {
    let stage = Stage::new();
    // The outer one gives the inner one its own client connection.
    let inner = format!(
        "exec {} --display=host --client-fd=$WAYLAND_SOCKET",
        env!("CARGO_BIN_EXE_sommelier")
    );
    let child = stage.shell("", &inner).spawn().expect("the binary");
    let (outer_host, _) = stage.host.accept().expect("the outer connection");
    let (inner_host, _) = stage.host.accept().expect("the inner connection");
    // The inner one ends with its host, and so the outer program ends.
    drop(inner_host);
    assert_eq!(finish(child).status.code(), Some(0));
    drop(outer_host);
    for bad in ["--client-fd=1", "--client-fd=900", "--client-fd=-4"] {
        let output = run(stage.sommelier(bad));
        assert_eq!(output.status.code(), Some(1), "{bad}");
        assert!(
            stderr(&output).contains("not an open socket"),
            "{bad}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn odd_command_lines_behave_as_with_sommelier() {
    let stage = Stage::new();
    let output = run(stage.sommelier(""));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no program to run") && stderr(&output).contains("usage:"));
    assert_eq!(code(stage.sommelier("--socket true")), 1, "no value");
    assert_eq!(code(stage.sommelier("--log-level=x true")), 1);

    let output = run(stage.sommelier("--whatever=1 -X --scale=2 --master --drm-device=/x true"));
    assert_eq!(output.status.code(), Some(0));
    let text = stderr(&output);
    assert!(
        text.contains("option '--whatever=1' is unknown, ignoring"),
        "{text}"
    );
    assert!(
        text.contains("not supported yet, without effect: -X, --scale"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 4, "{text}");
    let output = run(stage.sommelier("--log-level=-1 -X true"));
    assert_eq!(stderr(&output), "", "silent when asked to be");
}

#[test]
fn help_and_version_go_to_the_standard_output() {
    let stage = Stage::new();
    let output = run(stage.sommelier("--version"));
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.starts_with(b"Version: 0.20"));
    let output = run(stage.sommelier("--help"));
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(OPTIONS.iter().all(|opt| text.contains(opt.name)));
}

#[test]
fn the_manual_has_every_option_in_the_right_section() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/man/sommelier.1");
    let text = fs::read_to_string(path)
        .expect("the manual")
        .replace("\\-", "-");
    let section = |name: &str| {
        let mut sections = text.split("\n.SH ");
        sections
            .find(|section| section.starts_with(name))
            .unwrap_or_else(|| panic!("{name}"))
    };
    for opt in OPTIONS {
        let section = section(match opt.treatment {
            Treatment::Honoured => "OPTIONS",
            Treatment::Moot => "ACCEPTED WITHOUT EFFECT",
            Treatment::Removed => "REMOVED OPTIONS",
            Treatment::Unsupported => "NOT SUPPORTED YET",
        });
        let named = section
            .split([' ', ',', '\n', '=', '"'])
            .any(|word| word == opt.name);
        assert!(named, "{} is missing", opt.name);
        if let Some(env) = opt.env {
            assert!(text.contains(env), "{env} is missing");
        }
    }
}
