//! The first bytes of a connection, from the protocol header to connection.open: no input may panic the server or make
//! it wait for more after the socket has ended.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| leveret::fuzz_handshake(bytes));
