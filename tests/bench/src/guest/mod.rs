//! Measures inside a guest: one step for each line of standard input, one answer on standard output.
//!
//! Both are JSON. The host gives the steps one at a time, so that it can read its own counters
//! between any two.
//!
//! | module | what |
//! |---|---|
//! | [`clock`] | times, and how much of them the processor slept |
//! | [`interrupts`] | the interrupts that the guest has taken |
//! | [`traffic`] | bytes over a `Channel` and over a socket of the guest |
//! | [`mappings`] | shared memory |

mod clock;
mod interrupts;
mod mappings;
mod traffic;

use std::io::{BufRead, Write};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use virtio_wl::Device;

use self::{clock::Clock, interrupts::Interrupts, mappings::Live, traffic::Traffic};

/// What the host wants done.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Step {
    /// Nothing, so many times: what the clock itself costs.
    Nothing(usize),
    /// So many round trips of 64 bytes to another process of the guest, over a Unix socket.
    Local(usize),
    /// The same to the host, over a `Channel`.
    Echo(usize),
    /// So many messages of 64 bytes to the host, one after the other.
    Send(usize),
    /// A stream from the host of so many times what fits one message.
    Receive(usize),
    /// Makes or drops pieces of shared memory until so many are live and mapped.
    Live(usize),
    /// One more piece, made and dropped so many times.
    Again(usize),
}

/// What came of a step; `xtask` reads it.
#[derive(Debug, Serialize)]
struct Answer {
    /// What was timed.
    parts: Vec<clock::Part>,
    /// Interrupts of the device's queues that the guest has taken since it booted.
    interrupts: u64,
}

/// Does the steps until standard input ends. `mapping` is the size of one, in bytes. With
/// `instructions` the guest has one processor whose time is the number of its instructions, and
/// this process is root.
pub(crate) fn run(mapping: u64, instructions: bool) -> Result<()> {
    let device = Device::open().context("cannot open the device")?;
    let interrupts = Interrupts::find()?;
    let mut clock = Clock::new(instructions)?;
    let mut traffic = Traffic::connect(&device)?;
    let mut live = Live::new(&device, mapping);
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let step = serde_json::from_str(&line?).context("a step")?;
        match step {
            Step::Nothing(rounds) => {
                for _ in 0..rounds {
                    clock.time("nothing", || Ok(()))?;
                }
            }
            Step::Local(rounds) => traffic.local(&mut clock, rounds)?,
            Step::Echo(rounds) => traffic.echo(&mut clock, rounds)?,
            Step::Send(messages) => traffic.send(&mut clock, messages)?,
            Step::Receive(messages) => traffic.receive(&mut clock, messages)?,
            Step::Live(count) => {
                live.reach(&mut clock, count)?;
                // Closing waits for no answer. When the echo is back, all that was closed before
                // has been.
                traffic.settle()?;
            }
            Step::Again(rounds) => live.again(&mut clock, rounds)?,
        }
        let answer = Answer {
            parts: clock.parts()?,
            interrupts: interrupts.taken()?,
        };
        serde_json::to_writer(&mut output, &answer)?;
        output.write_all(b"\n").context("cannot answer")?;
        output.flush()?;
    }
    Ok(())
}
