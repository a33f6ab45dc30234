//! The whole-server tests; `leveret_tests` says how they work.
#![allow(clippy::unwrap_used)]

// What is declared: exchanges, queues, bindings; how messages are routed.
mod exchange_types;
mod routing;
mod topology;
// Publishing: confirms, returns, what comes out as it went in.
mod publish_confirm;
// Consuming: order, credit, settling, competition of consumers.
mod consume_ack;
mod consumers;
// What a queue does by itself.
mod dead_letter;
mod deduplication;
mod delayed;
mod groups;
mod incomplete;
mod length;
mod priority;
mod retry;
mod ttl;
// Transactions.
mod tx;
// Operators: policies, listings, limits and vhosts, by `leveret ctl`; events and interceptors; who comes in.
mod auth_backends;
mod events;
mod interceptors;
mod limits;
mod policies;
mod vhosts;
// What is there after an orderly stop.
mod restart;
// What README shows of examples/.
mod custom_exchange;
mod custom_protocol;
// What README says of confirms: crashes, losses of power, disks that fail or are full.
mod contract;
