//! One turn of a worker: requests in, messages out, who to notify.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use virtio_wl::limits::{MAX_REQUEST_SIZE, NUM_QUEUES, QUEUE_IN, QUEUE_OUT};
use virtio_wl::wire::{Features, Response};

use vhost_user_backend::VringT;

use super::counters::QueueCounters;
use super::inbox::{Delivery, Inbox};
use super::late::Late;
use super::requests::{Served, serve};
use super::ring::{Broken, Memory, Ring, RingState, Stops, Vring, read_chain, write_chain};
use crate::core::session::Session;

/// Requests carried out per turn before messages get their turn: one full ring.
const BUDGET: usize = 256;

/// Whether a turn left work behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The next event starts the next turn.
    Idle,
    /// There is more to do: start another turn soon.
    Again,
}

/// The virtio_wl device of one driver.
#[derive(Debug)]
pub struct Device {
    session: Session,
    inbox: Inbox,
    late: Late,
    features: Features,
    counters: Arc<[QueueCounters; NUM_QUEUES]>,
    request: Vec<u8>,
    response: Vec<u8>,
    rings: [RingState; NUM_QUEUES],
}

impl Device {
    /// A device in front of `session`.
    #[must_use]
    pub fn new(session: Session, counters: Arc<[QueueCounters; NUM_QUEUES]>) -> Self {
        Device {
            session,
            inbox: Inbox::default(),
            late: Late::default(),
            features: Features::empty(),
            counters,
            request: Vec::new(),
            response: Vec::new(),
            rings: Default::default(),
        }
    }

    /// The guest's VFDs.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Buffers of the `in` queue that wait in the guest for a reader of this VFD.
    #[must_use]
    pub fn held_by(&self, key: u32) -> usize {
        self.inbox.held_by(key)
    }

    /// What the driver negotiated.
    pub fn set_features(&mut self, features: Features) {
        self.features = features;
    }

    /// Starts over for a new driver.
    pub fn reset(&mut self) {
        self.session.reset();
        self.inbox.reset();
        self.late.reset();
        for counters in self.counters.iter() {
            counters.broken.store(false, Ordering::Relaxed);
        }
    }

    /// Rings were stopped and started: the same driver goes on if both go on where
    /// the device stopped, else it is a new one and everything starts over.
    pub fn rings_restarted(&mut self, vrings: &[Vring]) {
        let next = |queue: usize| vrings.get(queue).map_or(0, VringT::queue_next_avail);
        for counters in self.counters.iter() {
            counters.broken.store(false, Ordering::Relaxed);
        }
        let starts = [next(QUEUE_IN), next(QUEUE_OUT)];
        if [self.rings[QUEUE_IN].taken, self.rings[QUEUE_OUT].taken] != starts {
            tracing::info!("a new driver takes over");
            self.reset();
            self.rings = starts.map(RingState::at);
        }
        self.inbox.restart(&mut self.session, next(QUEUE_IN));
    }

    /// Does what there is to do, up to a bound. Never blocks on a host peer.
    ///
    /// `host`: something may be ready on the host side (else that need not be asked).
    /// The turn leaves the rings alone as soon as `stops` no longer counts `epoch`.
    pub fn turn(
        &mut self,
        mem: &Memory,
        vrings: &[Vring],
        (stops, epoch): (&Stops, u64),
        host: bool,
    ) -> Turn {
        let (Some(input), Some(output)) = (vrings.get(QUEUE_IN), vrings.get(QUEUE_OUT)) else {
            return Turn::Idle;
        };
        let counters = Arc::clone(&self.counters);
        let taken = self.rings.each_ref().map(|ring| ring.taken);
        let [input, output] = [(QUEUE_IN, input), (QUEUE_OUT, output)].map(|(queue, vring)| {
            let state = std::mem::take(&mut self.rings[queue]);
            Ring::new(vring, mem, &counters[queue], (stops, epoch), state)
        });
        let requests = guard(&counters[QUEUE_OUT], || {
            output.settle()?;
            self.requests(&output)
        });
        if host {
            self.session.poll();
        }
        guard(&counters[QUEUE_OUT], || {
            self.late.release(&self.session, &output)?;
            output.notify()
        });
        let messages = guard(&counters[QUEUE_IN], || {
            input.settle()?;
            self.inbox.deliver(&mut self.session, &input, self.features)
        });
        input.publish();
        output.publish();
        self.rings = [input, output].map(Ring::into_state);
        let busy = taken != self.rings.each_ref().map(|ring| ring.taken);
        // Not while there is something better to do.
        let untidy = self.session.tidy(!busy) || self.late.is_due(&self.session);
        match (requests, messages) {
            (Some(Turn::Again), _) | (_, Some(Delivery::More)) => Turn::Again,
            _ if untidy => Turn::Again,
            _ => Turn::Idle,
        }
    }

    /// A turn while the rings are stopped: peers get what is left for them, and what
    /// they send waits.
    ///
    /// No mapping ends meanwhile. QEMU 11.1 tells a stopped device nothing of that, remembers the
    /// mapping, and looks in vain for it when it starts the device again.
    pub fn turn_without_rings(&mut self) {
        self.session.set_reading(false);
        self.session.poll();
    }

    fn requests(&mut self, ring: &Ring<'_>) -> Result<Turn, Broken> {
        let mut budget = BUDGET;
        let turn = loop {
            ring.disable_kicks()?;
            while budget > 0
                && let Some(chain) = ring.pop()?
            {
                budget -= 1;
                let head = chain.head_index();
                let served = if read_chain(chain.clone(), MAX_REQUEST_SIZE, &mut self.request) {
                    let (session, inbox) = (&mut self.session, &mut self.inbox);
                    serve(session, inbox, self.features, &self.request)
                } else {
                    tracing::debug!("malformed descriptor chain");
                    Served {
                        response: Response::InvalidCmd,
                        late: None,
                    }
                };
                self.response.clear();
                let encoded = &mut self.response;
                served.response.encode(self.features, encoded);
                let written = write_chain(chain, encoded);
                if let Some(until) = served.late
                    && self.late.hold(&self.session, until, head, written)
                {
                    continue;
                }
                // First, so that no message is finished after the close of its VFD.
                self.late.release(&self.session, ring)?;
                ring.push(head, written)?;
            }
            if budget == 0 {
                break Turn::Again;
            }
            if !ring.enable_kicks()? {
                break Turn::Idle;
            }
        };
        ring.notify()?;
        Ok(turn)
    }
}

/// Runs a step on a queue unless the guest has broken it.
fn guard<T>(counters: &QueueCounters, step: impl FnOnce() -> Result<T, Broken>) -> Option<T> {
    if counters.broken.load(Ordering::Relaxed) {
        return None;
    }
    match step() {
        Ok(done) => Some(done),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(%error, cause, "queue disabled until it is set up anew");
            counters.broken.store(true, Ordering::Relaxed);
            None
        }
    }
}
