//! The conformance suite: the built-in types pass it, and a type that is wrong in one way fails it for that.
#![allow(clippy::unwrap_used)]

mod built_in;
mod faults;
mod faulty;
