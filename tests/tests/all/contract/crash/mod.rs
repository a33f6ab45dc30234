//! A crash of the process.

mod messages;
mod moves;
