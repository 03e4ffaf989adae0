use std::process::Command;

use super::*;

const CHILD: &str = "WL_ACCEPT_PROXY_TEST_SANDBOX_CHILD";

/// Runs itself again: the child applies the sandbox and tries what it must not do.
#[test]
fn what_was_given_up_fails() {
    let Some(dir) = std::env::var_os(CHILD) else {
        let dir = tempfile::tempdir().unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sandbox::tests::what_was_given_up_fails"])
            .env(CHILD, dir.path())
            .output()
            .unwrap();
        let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
        assert!(output.status.success() && ran, "{output:?}");
        return;
    };
    let dir = Path::new(&dir);
    let (etc, run) = (dir.join("etc"), dir.join("run"));
    std::fs::create_dir(&etc).unwrap();
    std::fs::create_dir(&run).unwrap();
    std::fs::write(dir.join("secret"), "x").unwrap();
    std::fs::write(etc.join("config"), "x").unwrap();
    let socket = run.join("s");
    let text = format!(
        "[compositor]\ncontrol = {dir:?}\nannounce = {:?}\n\
         [[vm]]\nname = \"a\"\ncolour = \"#000000\"\nsocket = {socket:?}",
        run.join("announce")
    );
    let config = Config::parse(&text).unwrap();
    apply(&etc.join("config"), &config).unwrap();

    let denied = |error: std::io::Error| {
        let errno = error.raw_os_error();
        assert!(errno == Some(1) || errno == Some(13), "{error}");
    };
    denied(Command::new("/bin/true").status().unwrap_err());
    denied(std::net::UdpSocket::bind("127.0.0.1:0").unwrap_err());
    denied(std::fs::create_dir(run.join("d")).unwrap_err());
    assert!(std::fs::read(etc.join("config")).is_ok());
    let listener = std::os::unix::net::UnixListener::bind(&socket);
    assert!(listener.is_ok());
    let memfd = nix::sys::memfd::memfd_create("x", nix::sys::memfd::MFdFlags::empty());
    denied(memfd.unwrap_err().into());
    if landlock_is_there() {
        denied(std::fs::read(dir.join("secret")).unwrap_err());
        denied(std::fs::write(etc.join("config"), "y").unwrap_err());
    }
}

/// The kernel says so whatever this crate thinks of it: in a sandbox already, reading
/// the root directory is what only landlock forbids.
fn landlock_is_there() -> bool {
    std::fs::read_dir("/").is_err()
}
