//! Rounds of faults: clients work with the broker, a fault comes, the broker starts again, and what it then holds is
//! compared with what it had promised.
//!
//! A seed decides everything that chance decides here: which clients work (any subset of them), with which sizes and
//! limits, and where the fault strikes. The machine's scheduling is not in its hands, so a seed repeats a round as far
//! as that lets it; the folder of a failed round is kept. Nothing is waited for without a limit: what hangs is named.
//!
//! * [`Kind`]: the kinds of fault;
//! * [`run`]: one run by its seed: a recording, and the rounds on it;
//! * `workload`: the clients; what they saw and when is in the `ledger`;
//! * `check`: what must be there, what must not;
//! * `server`: the broker's process, on a disk that fails on request (`leveret_faultfs`).
//!
//! Not taken: choosing the kind by the seed. Runs make one round or a dozen of a recording, so the kinds would be spread
//! by luck; who calls [`run`] gives each kind its share.

mod chance;
mod check;
mod folder;
mod kind;
mod ledger;
mod patience;
mod round;
mod server;
mod workload;

pub use kind::Kind;
pub use round::{Outcome, Round, Sync, run};
