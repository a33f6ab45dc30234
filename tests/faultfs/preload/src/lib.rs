//! Takes the place of the C library's file functions in a program, by `LD_PRELOAD`; see `leveret_faultfs` for what for.
//!
//! Everything outside of the watched folder passes through untouched. Inside of it, an operation and its entry in the
//! journal are one step under one lock, so the journal has them in the order in which they happened; only syncs go on
//! beside other operations, with an entry where they begin and one where they end.
//!
//! Not seen: shared writable mappings (refused, so that nothing is missed unnoticed), descriptors copied by `fcntl`, and
//! `sync_file_range`, which promises nothing about a loss of power.
// The C library's interface is raw pointers. Each function passes on what its caller vouches for.
#![allow(unsafe_code)]

mod descriptors;
mod hooks;
mod raw;
mod space;
mod switches;
mod watch;
