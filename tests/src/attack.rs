//! A hostile client beside honest ones.

use anyhow::{Context as _, Result, ensure};

use crate::chain::{AppVm, Chain};
use crate::process::Talk;

impl Chain {
    /// Runs an attack of a client in `bad` beside honest programs of that VM and of `good`, where
    /// `neighbour` has drawn its first frame before; what the attacker said of its end.
    ///
    /// # Errors
    /// When it costs anybody else something.
    pub fn attack(
        &self,
        (bad, good): (&AppVm, &AppVm),
        mut neighbour: Talk,
        name: &str,
        count: u32,
    ) -> Result<String> {
        let command = self.test_client(bad, "hostile-client")?;
        let mut attacker = command.arg(name).arg(format!("--count={count}")).talk()?;
        // While the attack goes on, and after it.
        self.works(good)?;
        let outcome = attacker.line().context("the attack's outcome")?;
        self.works(good)?;
        self.works(bad)?;
        neighbour.say("next")?;
        ensure!(
            neighbour.line()? == "frame 1",
            "the neighbour's window has stopped"
        );
        attacker.finish()?;
        neighbour.process().stop()?;
        Ok(outcome)
    }
}
