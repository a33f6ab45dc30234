//! Tests of the queue's state: rule by rule, and against a model.

mod consuming;
mod grouping;
mod groups;
mod limits;
mod model;
mod paging;
mod properties;
mod rig;
mod spilling;
mod store;
mod strategies;
mod time;
mod waiting;
