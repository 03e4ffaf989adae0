//! Values no good client sends: each costs its sender at most its connection.
//!
//! Every case runs against one long-lived compositor with a neighbour in
//! another VM. After it the neighbour draws and its pixels are compared, and
//! a new client of the same VM is served.

mod buffers;
mod messages;
mod roles;
mod surfaces;

use super::fixture::Fixture;
use super::hostile::{Attacker, Neighbour};
use super::wire::Outcome;

/// What the protocol says about a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// An error: the connection must end.
    Killed,
    /// Legal, however odd: the connection must stay.
    Served,
    /// The protocol leaves it open, or smithay 0.7 takes it where the
    /// protocol names an error.
    Either,
}

use Expect::{Either, Killed, Served};

/// A name, what must happen, and what is sent.
type Case = (&'static str, Expect, fn(&mut Fixture, &mut Attacker));

/// Runs cases one after the other.
#[track_caller]
fn sweep(cases: &[Case]) {
    let mut fixture = Fixture::new(&["hostile", "good"]);
    let mut neighbour = Neighbour::new(&mut fixture, "good");
    let mut unexpected = Vec::new();
    for (name, expect, run) in cases {
        let _running = Running(name);
        let mut attacker = Attacker::new(&mut fixture, "hostile");
        assert_eq!(
            attacker.raw.roundtrip(&mut fixture),
            Outcome::Served,
            "{name}: before the case"
        );
        run(&mut fixture, &mut attacker);
        let mut outcome = attacker.raw.roundtrip(&mut fixture);
        // What was sent may hurt only when it is drawn.
        neighbour.check(&mut fixture);
        if outcome == Outcome::Served {
            outcome = attacker.raw.roundtrip(&mut fixture);
        }
        let expected = match expect {
            Killed => outcome == Outcome::Killed,
            Served => outcome == Outcome::Served,
            Either => outcome != Outcome::Stalled,
        };
        if !expected {
            unexpected.push(format!("{name}: {outcome:?}, {:?}", attacker.raw.error));
        }
        drop(attacker);
        fixture.until("its windows are gone", |fixture| {
            (fixture.toplevels().len() == 1).then_some(())
        });
        neighbour.check_on_top(&mut fixture);
    }
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}

/// Names the case that ran, in the output of a test that failed.
struct Running(&'static str);

impl Drop for Running {
    #[expect(
        clippy::print_stderr,
        reason = "the test harness shows it only for a test that failed"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("case: {}", self.0);
        }
    }
}
