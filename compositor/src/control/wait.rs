//! Replies that wait for something to become so.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use calloop::RegistrationToken;
use calloop::timer::{TimeoutAction, Timer};

use super::connection::Connection;
use super::protocol::{Condition, MAX_WAIT_MS, Reply};
use crate::state::{Compositor, WindowKind};

/// One `wait` in progress.
struct Waiter {
    connection: Rc<Connection>,
    until: Condition,
    done: Cell<bool>,
    deadline: Cell<Option<RegistrationToken>>,
}

/// Replies once `until` holds, or with an error after `timeout_ms`.
pub(super) fn start(
    connection: &Rc<Connection>,
    compositor: &mut Compositor,
    until: Condition,
    timeout_ms: u64,
) {
    let waiter = Rc::new(Waiter {
        connection: Rc::clone(connection),
        until,
        done: Cell::new(false),
        deadline: Cell::new(None),
    });
    let late = Rc::clone(&waiter);
    let timer = Timer::from_duration(Duration::from_millis(timeout_ms.min(MAX_WAIT_MS)));
    let inserted = compositor
        .handle()
        .insert_source(timer, move |_, (), compositor| {
            late.deadline.set(None);
            let message = format!(
                "still not so after {timeout_ms} ms: {}",
                late.now(compositor)
            );
            late.finish(compositor, &Reply::Error { message });
            TimeoutAction::Drop
        });
    match inserted {
        Ok(token) => waiter.deadline.set(Some(token)),
        Err(error) => {
            return waiter.finish(
                compositor,
                &Reply::Error {
                    message: error.to_string(),
                },
            );
        }
    }
    match waiter.until {
        Condition::Windows { .. } | Condition::Frames { .. } => watch(waiter, compositor),
        Condition::Idle {} => after_frames(waiter, compositor),
        Condition::Quiet { ms } => quiet(waiter, compositor, Duration::from_millis(ms)),
    }
}

/// Looks now and after every turn that changed something.
fn watch(waiter: Rc<Waiter>, compositor: &mut Compositor) {
    let look = move |compositor: &mut Compositor| {
        if !waiter.done.get() && waiter.holds(compositor) {
            waiter.finish(compositor, &Reply::Ok {});
        }
        !waiter.done.get()
    };
    if look(compositor) {
        compositor.watch(Box::new(look));
    }
}

/// Looks after each frame: what was committed before is then on the screen.
fn after_frames(waiter: Rc<Waiter>, compositor: &mut Compositor) {
    compositor.after_frame(Box::new(move |compositor| {
        if waiter.done.get() {
        } else if waiter.holds(compositor) {
            waiter.finish(compositor, &Reply::Ok {});
        } else {
            after_frames(waiter, compositor);
        }
    }));
}

/// Looks every `rest`, until no frame was drawn between two looks.
fn quiet(waiter: Rc<Waiter>, compositor: &mut Compositor, rest: Duration) {
    let mut seen = compositor.frames();
    let failed = Rc::clone(&waiter);
    let inserted =
        compositor
            .handle()
            .insert_source(Timer::from_duration(rest), move |_, (), compositor| {
                if waiter.done.get() {
                    return TimeoutAction::Drop;
                }
                if std::mem::replace(&mut seen, compositor.frames()) == seen {
                    waiter.finish(compositor, &Reply::Ok {});
                    return TimeoutAction::Drop;
                }
                TimeoutAction::ToDuration(rest)
            });
    if let Err(error) = inserted {
        failed.finish(
            compositor,
            &Reply::Error {
                message: error.to_string(),
            },
        );
    }
}

impl Waiter {
    fn finish(&self, compositor: &mut Compositor, reply: &Reply) {
        if self.done.replace(true) {
            return;
        }
        if let Some(token) = self.deadline.take() {
            compositor.handle().remove(token);
        }
        self.connection.reply(compositor, reply, None);
    }

    fn holds(&self, compositor: &Compositor) -> bool {
        match self.until {
            Condition::Windows { count, exactly, .. } => {
                let found = self.matching(compositor);
                if exactly {
                    found == count
                } else {
                    found >= count
                }
            }
            Condition::Frames { count } => compositor.frames() >= count,
            Condition::Idle {} => compositor.is_idle(),
            Condition::Quiet { .. } => false,
        }
    }

    /// How many windows are of the kind waited for.
    fn matching(&self, compositor: &Compositor) -> usize {
        let Condition::Windows { vm, title, .. } = &self.until else {
            return 0;
        };
        let windows = compositor.windows();
        let toplevels = windows
            .iter()
            .filter(|window| window.kind == WindowKind::Toplevel);
        toplevels
            .filter(|window| vm.as_ref().is_none_or(|vm| window.vm_name.as_str() == vm))
            .filter(|window| {
                title
                    .as_ref()
                    .is_none_or(|title| window.title.contains(title))
            })
            .count()
    }

    /// How things stand, for the message of a wait that failed.
    fn now(&self, compositor: &Compositor) -> String {
        match self.until {
            Condition::Windows { count, .. } => {
                format!("{} of {count} windows", self.matching(compositor))
            }
            Condition::Frames { count } => format!("{} of {count} frames", compositor.frames()),
            Condition::Idle {} | Condition::Quiet { .. } => {
                "frames are still being drawn".to_owned()
            }
        }
    }
}
