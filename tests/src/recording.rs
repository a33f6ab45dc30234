//! What a broker did to its disk, and brokers on what losses of power leave of that.

use leveret_faultfs::Disk;
use leveret_faultfs::journal::entries;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::Broker;

/// How much of what was not synced a loss of power takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// All of it.
    Everything,
    /// What this seed says, see [`Disk::after_power_loss`].
    Seed(u64),
}

/// The journal of a broker's disk: one run of the broker, for as many losses of power as one likes.
#[derive(Debug)]
pub struct Recording {
    journal: Vec<u8>,
    arguments: Vec<String>,
}

impl Recording {
    pub(crate) fn new(journal: Vec<u8>, arguments: Vec<String>) -> Self {
        Self { journal, arguments }
    }

    /// A broker on what is left when power is lost at `moment_ns` ([`leveret_faultfs::now_ns`]).
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn after_power_loss(&self, moment_ns: u64, loss: Loss) -> Broker {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let mut random = StdRng::seed_from_u64(if let Loss::Seed(seed) = loss { seed } else { 0 });
        let mut disk = Disk::default();
        let before = entries(&self.journal).take_while(|entry| entry.time_ns <= moment_ns);
        before.for_each(|entry| disk.apply(&entry.operation, &mut random));
        let rebuilt = match loss {
            Loss::Everything => disk.as_synced(&data),
            Loss::Seed(_) => disk.after_power_loss(&data, &mut random),
        };
        rebuilt.expect("a folder");
        Broker::start_on(folder, &self.arguments).await
    }
}
