use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nix::poll::PollTimeout;
use test_context_server::{Offer, Server};
use virtio_wl::label::Colour;

use super::*;

/// Only a hang reaches it.
const DEADLINE: Duration = Duration::from_secs(30);

/// A compositor, and what a relay knows of it.
struct Setup {
    dir: tempfile::TempDir,
    server: Server,
    display: Display,
    labels: Labels,
}

fn setup(offer: Offer, policy: Policy) -> Setup {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut server = Server::new(offer).unwrap();
    server.listen(UnixListener::bind(&path).unwrap()).unwrap();
    Setup {
        dir,
        server,
        display: Display::find(Some(path.into()), None).unwrap(),
        labels: Labels::new(policy),
    }
}

fn peer(id: u32) -> Peer {
    Peer {
        vm_id: VmId(id),
        vm_name: format!("vm-{id}").parse().unwrap(),
        colour: Colour::from_rgb(0, 0, 0),
    }
}

impl Setup {
    /// The way of a connection; the compositor says what it has to say meanwhile.
    fn way(&mut self, id: u32, used: &[u32]) -> io::Result<Way> {
        let end = Instant::now() + DEADLINE;
        let used = |id: VmId| used.contains(&id.0);
        loop {
            match self.labels.way(&peer(id), &self.display, used)? {
                Way::Later => {}
                way => return Ok(way),
            }
            assert!(Instant::now() < end, "waited too long");
            self.server.turn(PollTimeout::ZERO).unwrap();
            match self.labels.hear() {
                Err(error @ Error::Refused(_)) => {
                    return self.labels.unlabelled(&self.display, &error);
                }
                other => other.unwrap(),
            }
        }
    }

    /// The app id by which the only new client came; none of one without a context.
    fn came(&mut self) -> Option<String> {
        let came = self.server.turn(PollTimeout::ZERO).unwrap();
        assert_eq!(came.len(), 1);
        came.into_iter().flatten().next().and_then(|it| it.app_id)
    }
}

#[test]
fn connections_come_by_the_context_of_their_vm() {
    let mut setup = setup(Offer::Contexts, Policy::Require);
    for id in [3, 4, 3] {
        let way = setup.way(id, &[]).unwrap();
        assert!(matches!(way, Way::Open(_)), "{way:?}");
        assert_eq!(setup.came(), Some(format!("vm-{id}")));
    }
    assert_eq!(setup.server.contexts(), 2);
    let names = setup.dir.path().read_dir().unwrap().count();
    assert_eq!(names, 1, "only the compositor's own socket");
}

#[test]
fn a_compositor_that_cannot_be_told_gets_connections_unless_labels_are_required() {
    for offer in [Offer::Nothing, Offer::Refusal] {
        let mut auto = setup(offer, Policy::Auto);
        let way = auto.way(3, &[]).unwrap();
        assert!(matches!(way, Way::Open(_)), "{offer:?} {way:?}");
        assert_eq!(auto.came(), None);

        let mut require = setup(offer, Policy::Require);
        let way = require.way(3, &[]).unwrap();
        assert!(matches!(way, Way::Refused), "{offer:?} {way:?}");
    }
}

#[test]
fn without_labels_nothing_is_told() {
    let mut setup = setup(Offer::Contexts, Policy::Off);
    let way = setup.labels.way(&peer(3), &setup.display, |_| false);
    assert!(matches!(way, Ok(Way::Open(_))), "{way:?}");
    assert!(setup.labels.events().is_none());
    assert_eq!(setup.came(), None);
}

#[test]
fn vms_that_were_idle_longest_are_forgotten() {
    let mut setup = setup(Offer::Contexts, Policy::Auto);
    let used = [1, 2];
    let count = u32::try_from(MAX_IDLE).unwrap() + 5;
    for id in 1..=count {
        setup.way(id, &used).unwrap();
        setup.came();
    }
    setup.server.turn(PollTimeout::ZERO).unwrap();
    assert_eq!(setup.server.contexts(), MAX_IDLE + used.len());
    for id in [1, 2, count] {
        assert!(setup.labels.vms.contains_key(&VmId(id)), "{id}");
    }
    assert!(!setup.labels.vms.contains_key(&VmId(3)));
}

#[test]
fn a_compositor_that_ends_is_forgotten_and_the_next_is_told_anew() {
    let mut setup = setup(Offer::Contexts, Policy::Auto);
    setup.way(3, &[]).unwrap();
    setup.came();
    setup.server = Server::new(Offer::Contexts).unwrap();
    let ended = setup.labels.hear();
    assert!(matches!(ended, Err(Error::Closed)), "{ended:?}");
    assert!(setup.way(3, &[]).is_err(), "nobody listens");
    let path = setup.display.path();
    std::fs::remove_file(path).unwrap();
    let listener = UnixListener::bind(path).unwrap();
    setup.server.listen(listener).unwrap();
    setup.way(3, &[]).unwrap();
    assert_eq!(setup.came().as_deref(), Some("vm-3"));
}
