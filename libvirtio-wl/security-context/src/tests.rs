use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use nix::poll::PollTimeout;
use test_context_server::{Labels, Offer, Server};
use virtio_wl::label::{VmId, VmName};

use super::*;

/// Only a hang reaches it.
const DEADLINE: Duration = Duration::from_secs(30);

fn work() -> Identity {
    Identity::new(&VmName::new("work").unwrap(), VmId(7))
}

/// A listening socket without a file, and a way to connect to it.
fn listener() -> (UnixListener, impl Fn() -> UnixStream) {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("s")).unwrap();
    let connect = move || UnixStream::connect(dir.path().join("s")).unwrap();
    (listener, connect)
}

/// Turns both until `done`.
fn until(
    server: &mut Server,
    announcer: &mut Announcer,
    done: impl Fn(&Announcer) -> bool,
) -> Result<(), Error> {
    let end = Instant::now() + DEADLINE;
    while !done(announcer) {
        assert!(Instant::now() < end, "waited too long");
        server.turn(PollTimeout::ZERO).unwrap();
        announcer.dispatch()?;
    }
    Ok(())
}

fn announcer(server: &mut Server) -> Announcer {
    let mut announcer = Announcer::new(server.connect().unwrap()).unwrap();
    assert_eq!(announcer.support(), None);
    until(server, &mut announcer, |it| it.support().is_some()).unwrap();
    announcer
}

#[test]
fn clients_come_with_the_labels_of_their_vm() {
    let mut server = Server::new(Offer::Contexts).unwrap();
    let mut announcer = announcer(&mut server);
    assert_eq!(announcer.support(), Some(true));
    let (socket, connect) = listener();
    let context = announcer.announce(&socket, &work()).unwrap();
    assert!(!announcer.has_confirmed(&context));
    // Before the compositor knows, and after.
    let _early = connect();
    until(&mut server, &mut announcer, |it| it.has_confirmed(&context)).unwrap();
    let labels = Labels {
        engine: Some("virtio-wl".into()),
        app_id: Some("work".into()),
        instance_id: Some("7".into()),
    };
    let mut came = server.turn(PollTimeout::ZERO).unwrap();
    let _late = connect();
    came.extend(server.turn(PollTimeout::ZERO).unwrap());
    assert_eq!(came, [Some(labels.clone()), Some(labels)]);
}

#[test]
fn a_context_outlives_its_announcer_and_ends_when_dropped() {
    let mut server = Server::new(Offer::Contexts).unwrap();
    let mut announcer = announcer(&mut server);
    let (socket, connect) = listener();
    let context = announcer.announce(&socket, &work()).unwrap();
    until(&mut server, &mut announcer, |it| it.has_confirmed(&context)).unwrap();
    drop(announcer);
    server.turn(PollTimeout::ZERO).unwrap();
    let _client = connect();
    assert_eq!(server.turn(PollTimeout::ZERO).unwrap().len(), 1);
    assert_eq!(server.contexts(), 1);
    drop(context);
    server.turn(PollTimeout::ZERO).unwrap();
    assert_eq!(server.contexts(), 0);
}

#[test]
fn several_vms_are_told_apart() {
    let mut server = Server::new(Offer::Contexts).unwrap();
    let mut announcer = announcer(&mut server);
    let names = ["personal", "work", "banking"];
    let vms: Vec<_> = names.iter().map(|_| listener()).collect();
    let contexts: Vec<_> = vms
        .iter()
        .zip(names)
        .zip(1..)
        .map(|(((socket, _), name), id)| {
            let identity = Identity::new(&name.parse().unwrap(), VmId(id));
            announcer.announce(socket, &identity).unwrap()
        })
        .collect();
    until(&mut server, &mut announcer, |it| {
        it.has_confirmed(&contexts[2])
    })
    .unwrap();
    for ((_, connect), name) in vms.iter().zip(names) {
        let _client = connect();
        let came = server.turn(PollTimeout::ZERO).unwrap();
        let app_id = came[0].as_ref().and_then(|labels| labels.app_id.as_deref());
        assert_eq!((came.len(), app_id), (1, Some(name)));
    }
}

#[test]
fn a_compositor_without_contexts_says_so() {
    let mut server = Server::new(Offer::Nothing).unwrap();
    let mut announcer = Announcer::new(server.connect().unwrap()).unwrap();
    let (socket, _) = listener();
    let early = announcer.announce(&socket, &work());
    assert!(matches!(early, Err(Error::Unanswered)), "{early:?}");
    until(&mut server, &mut announcer, |it| it.support().is_some()).unwrap();
    assert_eq!(announcer.support(), Some(false));
    let refused = announcer.announce(&socket, &work());
    assert!(matches!(refused, Err(Error::Unsupported)), "{refused:?}");
}

#[test]
fn a_refusal_is_told_with_its_reason() {
    let mut server = Server::new(Offer::Refusal).unwrap();
    let mut announcer = announcer(&mut server);
    let (socket, _) = listener();
    let context = announcer.announce(&socket, &work()).unwrap();
    let refused = until(&mut server, &mut announcer, |it| it.has_confirmed(&context));
    let Err(Error::Refused(reason)) = refused else {
        panic!("{refused:?}");
    };
    assert!(reason.contains("no context pleases"), "{reason}");
}

#[test]
fn what_does_not_listen_is_refused() {
    let mut server = Server::new(Offer::Contexts).unwrap();
    let mut announcer = announcer(&mut server);
    let (socket, _other) = UnixStream::pair().unwrap();
    let context = announcer.announce(&socket, &work()).unwrap();
    let refused = until(&mut server, &mut announcer, |it| it.has_confirmed(&context));
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
}

#[test]
fn the_end_of_the_compositor_is_noticed() {
    let mut server = Server::new(Offer::Contexts).unwrap();
    let mut announcer = announcer(&mut server);
    drop(server);
    let ended = announcer.dispatch();
    assert!(matches!(ended, Err(Error::Closed)), "{ended:?}");
}

#[test]
fn a_thread_that_waits_gets_its_context() {
    let mut server = Server::new(Offer::Contexts).unwrap();
    let display = server.connect().unwrap();
    let (socket, _) = listener();
    let waiting = std::thread::spawn(move || {
        announce(display, &socket, &work(), Instant::now() + DEADLINE)
            .map(|context| (context, socket))
    });
    while !waiting.is_finished() {
        server.turn(PollTimeout::from(10u8)).unwrap();
    }
    let (_context, _socket) = waiting.join().unwrap().unwrap();
    assert_eq!(server.contexts(), 1);
}

#[test]
fn a_compositor_that_never_answers_is_given_up() {
    let (_compositor, display) = UnixStream::pair().unwrap();
    let (socket, _) = listener();
    let result = announce(display, &socket, &work(), Instant::now());
    assert!(matches!(result, Err(Error::TimedOut)), "{result:?}");
}
