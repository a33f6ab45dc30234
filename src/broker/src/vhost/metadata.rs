//! What administrators say of a vhost, and the one part of it that does something: the default queue type.

use std::borrow::Cow;

use leveret_amqp::FieldTable;
use serde::{Deserialize, Serialize};

use super::{DeclareQueue, VHost};
use crate::queue::Kind;

const QUEUE_TYPE: &str = "x-queue-type";

/// What administrators say of a vhost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VHostMetadata {
    /// For people.
    #[serde(default)]
    pub description: String,
    /// For people.
    #[serde(default)]
    pub tags: Vec<String>,
    /// `x-queue-type` of queues that are declared without it; classic where nobody has said.
    #[serde(default)]
    pub default_queue_type: Option<Kind>,
}

impl VHost {
    /// The arguments with the type that a queue declared without one gets here: the default, or classic where its
    /// properties rule that out. The type is written down as RabbitMQ does it, so that a later default changes no queue.
    /// Where the default is classic nothing is written: no type means classic in every vhost.
    pub(super) fn with_queue_type<'a>(&self, declare: &DeclareQueue<'a>) -> Cow<'a, FieldTable> {
        let default = self.metadata().default_queue_type.unwrap_or_default();
        if default == Kind::Classic || declare.arguments.contains(QUEUE_TYPE) {
            return Cow::Borrowed(declare.arguments);
        }
        let may_be_quorum = declare.durable && declare.exclusive_to.is_none() && !declare.auto_delete;
        let kind = if may_be_quorum { default } else { Kind::Classic };
        Cow::Owned(declare.arguments.clone().with(QUEUE_TYPE, kind.name()))
    }
}
