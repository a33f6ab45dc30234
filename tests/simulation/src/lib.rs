//! Deterministic simulation of the broker's core.
//!
//! The real broker and the real logic of the store run on one thread, over a disk in memory, with a clock, timers and a
//! committer that are moved by hand; a reference model runs beside them and judges everything that can be seen. A run is
//! made from a seed alone: [`plan`] says which features it has, [`script`] what happens, [`run`] does it.
//!
//! Where things are: `world` holds both sides; `publishing`, `consuming` and `declaring` are what clients do, `governing` what operators do,
//! `delaying` what exchanges do by themselves, `front` what the server's channels would, `commits` the committer, crashes
//! and promises; `model` is what should be.
//! [`minimise`] shortens a script that fails.
//!
//! Not taken: threads under a scheduler of our own (the core does everything under short locks in an order that a single
//! thread can have as well), and histories checked afterwards (what is wrong is said at the step that shows it).

mod arguments;
mod commits;
mod consuming;
mod declaring;
mod delaying;
mod front;
mod governing;
pub mod minimise;
mod model;
pub mod plan;
mod publishing;
pub mod run;
pub mod script;
mod world;
