//! The clipboard of a VM stays in the VM.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use wayland_client::Proxy;
use wayland_client::protocol::{wl_data_device, wl_data_source, wl_keyboard};

use super::fixture::{ClientId, Fixture};

const TYPE: &str = "text/plain;charset=utf-8";

impl Fixture {
    /// Copies in a client that has the focus: offers `TYPE`.
    fn copy(&mut self, id: ClientId) -> wl_data_source::WlDataSource {
        self.roundtrip(id);
        let client = self.client(id);
        let serial = client
            .state
            .keyboard
            .iter()
            .rev()
            .find_map(|event| match event {
                wl_keyboard::Event::Enter { serial, .. } => Some(*serial),
                _ => None,
            });
        let bound = client.bound();
        let source = bound.data_manager.create_data_source(&client.handle(), ());
        source.offer(TYPE.to_owned());
        bound
            .data_device
            .set_selection(Some(&source), serial.expect("the client has the keyboard"));
        self.roundtrip(id);
        source
    }

    /// Types of the selection a client sees, if any.
    fn selection(&mut self, id: ClientId) -> Option<Vec<String>> {
        self.roundtrip(id);
        let state = &self.client(id).state;
        let last = state
            .data_device
            .iter()
            .rev()
            .find_map(|event| match event {
                wl_data_device::Event::Selection { id } => Some(id.clone()),
                _ => None,
            });
        let offer = last.flatten()?;
        Some(
            state
                .offers
                .get(&offer.id())
                .map(|(_, types)| types.clone())
                .unwrap_or_default(),
        )
    }
}

#[test]
fn a_selection_is_seen_in_its_own_vm() {
    let mut fixture = Fixture::new(&["personal", "work"]);
    let from = fixture.connect("personal");
    fixture.window(from, "from", (200, 100), 1);
    let to = fixture.connect("personal");
    fixture.window(to, "to", (200, 100), 2);
    fixture.focus("from");
    fixture.copy(from);
    fixture.focus("to");
    assert_eq!(fixture.selection(to), Some(vec![TYPE.to_owned()]));

    // And its content arrives.
    let (mut read, write) = std::io::pipe().unwrap();
    let client = fixture.client(to);
    let (offer, _) = client.state.offers.values().next().unwrap().clone();
    offer.receive(TYPE.to_owned(), write.as_fd());
    fixture.roundtrip(to);
    drop(write);
    let fd = fixture.until("a request for the content", |fixture| {
        let events = &mut fixture.client(from).state.data_source;
        let at = events
            .iter()
            .position(|event| matches!(event, wl_data_source::Event::Send { .. }))?;
        match events.remove(at) {
            wl_data_source::Event::Send { fd, .. } => Some(fd),
            _ => None,
        }
    });
    File::from(fd).write_all(b"hello").unwrap();
    let mut content = String::new();
    read.read_to_string(&mut content).unwrap();
    assert_eq!(content, "hello");
}

#[test]
fn a_selection_is_not_seen_in_another_vm() {
    let mut fixture = Fixture::new(&["personal", "work"]);
    let a = fixture.connect("personal");
    fixture.window(a, "a", (200, 100), 1);
    let b = fixture.connect("work");
    fixture.window(b, "b", (200, 100), 2);
    fixture.focus("a");
    fixture.copy(a);
    fixture.focus("b");
    assert_eq!(fixture.selection(b), None);
    let offers = &fixture.client(b).state.offers;
    assert!(
        offers.is_empty(),
        "{:?}",
        offers.values().map(|(_, types)| types).collect::<Vec<_>>()
    );

    // A selection of its own neither ends nor replaces the other one's.
    fixture.copy(b);
    fixture.roundtrip(a);
    let cancelled =
        |event: &wl_data_source::Event| matches!(event, wl_data_source::Event::Cancelled);
    assert!(!fixture.client(a).state.data_source.iter().any(cancelled));
    fixture.focus("a");
    assert!(fixture.selection(a).is_some());
}

#[test]
fn a_client_without_the_focus_cannot_set_the_selection() {
    let mut fixture = Fixture::new(&["personal"]);
    let a = fixture.connect("personal");
    fixture.window(a, "a", (200, 100), 1);
    let b = fixture.connect("personal");
    fixture.window(b, "b", (200, 100), 2);
    fixture.focus("a");
    fixture.copy(a);
    let client = fixture.client(b);
    let bound = client.bound();
    let source = bound.data_manager.create_data_source(&client.handle(), ());
    source.offer("x/y".to_owned());
    bound.data_device.set_selection(Some(&source), 0);
    fixture.roundtrip(b);
    assert_eq!(fixture.selection(a), Some(vec![TYPE.to_owned()]));
}
