//! The codec from outside: what goes in comes out, and what is broken is told, never panicked on.
#![allow(clippy::unwrap_used)]

mod content;
mod frames;
mod hostile;
mod methods;
mod properties;
mod replies;
mod samples;
mod tables;
