//! channel.flow: a client may ask to be sent nothing; like RabbitMQ, Leveret refers it to prefetch instead.

use leveret_amqp::{ReplyCode, channel};
use leveret_broker::Error;

use super::Channel;
use crate::step::Step;

impl Channel {
    pub(super) fn flow(&mut self, flow: &channel::Flow, step: &mut Step<'_, '_>) -> Result<(), Error> {
        if !flow.active {
            return Err(Error::new(ReplyCode::NotImplemented, "active=false"));
        }
        self.reply(channel::FlowOk { active: true }, step);
        Ok(())
    }
}
