//! Rounds of faults: clients work with the broker, a fault comes, the broker starts again, and what it then holds is
//! compared with what it had promised.
//!
//! A seed decides everything that chance decides here: the kind of fault, which clients work (any subset of them), with
//! which sizes, and where the fault strikes. The machine's scheduling is not in its hands, so a seed repeats a round as far
//! as that lets it; the folder of a failed round is kept.
//!
//! * [`Kind`]: the kinds of fault;
//! * [`run`]: one run by its seed: a recording, and the rounds on it;
//! * `workload`: the clients; what they saw and when is in the `ledger`;
//! * `check`: what must be there, what must not;
//! * `server`: the broker's process, on a disk that fails on request (`leveret_faultfs`).

mod check;
mod folder;
mod kind;
mod ledger;
mod round;
mod server;
mod workload;

pub use kind::Kind;
pub use round::{Outcome, Round, run};
