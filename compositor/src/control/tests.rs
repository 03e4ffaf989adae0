//! A real loop on this thread, clients of the control socket on another.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::protocol::{Condition, Input, MAX_REQUEST_BYTES, Reply, Request};
use super::*;
use crate::config::{Config, Display};
use crate::core::Size;
use crate::run::run;

/// Longest any answer may take; a deadline against hanging, not a measurement.
const DEADLINE: Duration = Duration::from_secs(30);

/// Runs a compositor while `client` talks to its control socket, then ends it.
fn with_compositor<T: Send + 'static>(client: impl FnOnce(PathBuf) -> T + Send + 'static) -> T {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control");
    let config = Config {
        display: Display::Headless {
            size: Size::new(64, 48),
        },
        control: None,
        listen: None,
        test_sockets: vec![],
    };
    let mut talk = None;
    run(&config, |compositor| {
        listen(compositor, &path)?;
        let path = path.clone();
        talk = Some(thread::spawn(move || {
            // Also when the assertions in `client` fail: the loop must end.
            let quit = Quit(path.clone());
            let result = client(path);
            drop(quit);
            result
        }));
        Ok(())
    })
    .unwrap();
    assert!(!path.exists(), "the socket file is left behind");
    talk.unwrap().join().unwrap()
}

struct Quit(PathBuf);

impl Drop for Quit {
    fn drop(&mut self) {
        Client::connect(&self.0)
            .unwrap()
            .request(&Request::Quit {})
            .unwrap();
    }
}

fn raw(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn refusal(reply: Result<(Reply, Option<std::os::fd::OwnedFd>), ClientError>) -> String {
    match reply {
        Err(ClientError::Refused(message)) => message,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn only_the_owner_may_connect() {
    with_compositor(|path| {
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    });
}

#[test]
fn empty_screen_has_no_windows() {
    with_compositor(|path| {
        let mut client = Client::connect(&path).unwrap();
        assert_eq!(
            client.request(&Request::Windows {}).unwrap().0,
            Reply::Windows(vec![])
        );
        let (Reply::Stats(stats), None) = client.request(&Request::Stats {}).unwrap() else {
            panic!()
        };
        assert_eq!((stats.windows, stats.vms), (0, vec![]));
    });
}

#[test]
fn lines_that_were_meant_for_others_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        (&stream)
            .write_all(b"rest of a line\n{\"ok\":{}}\n{\"hello\":{\"token\":\"other\"}}\n{\"wind\n")
            .unwrap();
        let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
        assert_eq!(
            lines.next().unwrap(),
            "",
            "ends a line that another has left"
        );
        let hello = lines.next().unwrap();
        (&stream)
            .write_all(format!("{hello}\n").as_bytes())
            .unwrap();
        assert_eq!(lines.next().unwrap(), "{\"stats\":{}}");
        (&stream)
            .write_all(b"{\"error\":{\"message\":\"mine\"}}\n")
            .unwrap();
    });
    let mut client = Client::connect(&path).unwrap();
    let refused = client.request(&Request::Stats {}).unwrap_err();
    assert_eq!(refused.to_string(), "mine");
    server.join().unwrap();
}

#[test]
fn a_token_is_short() {
    with_compositor(|path| {
        let token = "x".repeat(protocol::MAX_TOKEN_BYTES + 1);
        let mut client = Client::connect(&path).unwrap();
        refusal(client.request(&Request::Hello { token }));
    });
}

#[test]
fn what_cannot_be_typed_is_refused() {
    with_compositor(|path| {
        let mut client = Client::connect(&path).unwrap();
        let mut act = |input| client.request(&Request::Input(input));
        assert!(
            act(Input::Type {
                text: "Hello, world!\n".into()
            })
            .is_ok()
        );
        assert!(
            act(Input::Key {
                key: "ctrl+c".into(),
                pressed: None
            })
            .is_ok()
        );
        assert!(
            act(Input::Move {
                x: -1e300,
                y: 1e300
            })
            .is_ok()
        );
        refusal(act(Input::Type { text: "日".into() }));
        refusal(act(Input::Type {
            text: "x".repeat(protocol::MAX_TEXT_CHARS + 1),
        }));
        refusal(act(Input::Key {
            key: "NoSuchKey".into(),
            pressed: Some(true),
        }));
    });
}

#[test]
fn garbage_gets_errors_and_pipelined_requests_get_answers_in_order() {
    with_compositor(|path| {
        let mut stream = raw(&path);
        // Far more lines than a recursion per line would survive.
        let lines = 20_000;
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let writer = thread::spawn(move || {
            for _ in 0..lines {
                stream.write_all(b"-\n").unwrap();
            }
            stream
                .write_all(b"{\"windows\":{}}\n{\"windows\":{},\"quit\":{}}\n[]\n")
                .unwrap();
        });
        let mut line = String::new();
        for _ in 0..lines {
            line.clear();
            reader.read_line(&mut line).unwrap();
            assert!(line.starts_with(r#"{"error""#), "{line}");
        }
        for expected in ["{\"windows\":[]}", "{\"error\"", "{\"error\""] {
            line.clear();
            reader.read_line(&mut line).unwrap();
            assert!(line.starts_with(expected), "{line}");
        }
        writer.join().unwrap();
    });
}

#[test]
fn an_endless_line_ends_the_connection() {
    with_compositor(|path| {
        let mut stream = raw(&path);
        let mut sent = 0;
        // The write fails once the server has closed its end.
        while stream.write_all(&[b'x'; 1024]).is_ok() {
            sent += 1024;
            assert!(
                sent < MAX_REQUEST_BYTES + (8 << 20),
                "endless line is accepted"
            );
        }
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        assert!(
            rest.is_empty() && read.is_err_and(|e| e.kind() != std::io::ErrorKind::WouldBlock)
                || rest.is_empty()
        );
    });
}

#[test]
fn a_live_socket_is_not_replaced_and_a_dead_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let first = BoundSocket::bind(&path).unwrap();
    assert_eq!(
        BoundSocket::bind(&path).unwrap_err().kind(),
        std::io::ErrorKind::AddrInUse
    );
    drop(first);
    assert!(!path.exists());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let second = BoundSocket::bind(&path).unwrap();
    drop(second);
    std::fs::write(&path, "").unwrap();
    assert_eq!(
        BoundSocket::bind(&path).unwrap_err().kind(),
        std::io::ErrorKind::AddrInUse
    );
    assert!(path.exists());
}

#[test]
fn a_screenshot_has_the_size_of_the_monitor() {
    with_compositor(|path| {
        let picture = Client::connect(&path).unwrap().screenshot().unwrap();
        assert_eq!(
            (picture.width, picture.height, picture.pixels.len()),
            (64, 48, 64 * 48)
        );
    });
}

#[test]
fn waits_end_with_the_condition_or_the_time() {
    with_compositor(|path| {
        let mut client = Client::connect(&path).unwrap();
        let windows = |count, exactly| Condition::Windows {
            count,
            vm: None,
            title: None,
            exactly,
        };
        let mut wait = |until, timeout_ms| client.request(&Request::Wait { until, timeout_ms });
        assert!(wait(windows(0, true), 0).is_ok());
        assert!(wait(Condition::Idle {}, 20_000).is_ok());
        assert!(wait(Condition::Quiet { ms: 1 }, 20_000).is_ok());
        let message = refusal(wait(windows(1, false), 1));
        assert!(message.contains("0 of 1 windows"), "{message}");
    });
}

#[test]
fn clients_that_never_read_or_leave_early_do_no_harm() {
    with_compositor(|path| {
        let mut silent = raw(&path);
        silent.set_nonblocking(true).unwrap();
        while silent.write(b"{\"windows\":{}}\n").is_ok() {}
        for _ in 0..100 {
            let mut early = raw(&path);
            early.write_all(b"{\"screenshot\":{}}\n").unwrap();
        }
        let mut client = Client::connect(&path).unwrap();
        assert!(client.request(&Request::Windows {}).is_ok());
    });
}
