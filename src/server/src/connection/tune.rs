//! What connection.tune offers and which answers are taken.

use leveret_amqp::{FRAME_MIN_SIZE, ReplyCode, connection};
use leveret_broker::Error;

/// The values of connection.tune: the server's offer, or what both have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tuning {
    /// Bytes of the largest frame.
    pub(crate) frame_max: u32,
    /// Channels at a time; 0 is no limit.
    pub(crate) channel_max: u16,
    /// Seconds between signs of life; 0 is off.
    pub(crate) heartbeat_s: u16,
}

impl Tuning {
    /// The method that makes the offer.
    pub(super) fn offer(self) -> connection::Tune {
        connection::Tune { channel_max: self.channel_max, frame_max: self.frame_max, heartbeat: self.heartbeat_s }
    }

    /// What the client's answer to this offer makes. 0 means that the client sets no limit of its own, so that the
    /// server's stands (RabbitMQ refuses it, the specification does not). The heartbeat is the client's to choose.
    ///
    /// # Errors
    /// 530 where a value is out of range, in RabbitMQ's words.
    pub(super) fn agree(self, answer: &connection::TuneOk) -> Result<Self, Error> {
        let frame_max = agreed("frame_max", answer.frame_max, FRAME_MIN_SIZE, self.frame_max)?;
        let channel_max = agreed("channel_max", answer.channel_max.into(), 1, self.channel_max.into())?;
        Ok(Self {
            frame_max,
            channel_max: u16::try_from(channel_max).unwrap_or(u16::MAX),
            heartbeat_s: answer.heartbeat,
        })
    }
}

fn agreed(field: &str, answer: u32, least: u32, offer: u32) -> Result<u32, Error> {
    let refused = |than: &str, bound: u32| {
        let text = format!("negotiated {field} = {answer} is {than} allowed value ({bound})");
        Err(Error::new(ReplyCode::NotAllowed, text))
    };
    match answer {
        0 => Ok(offer),
        _ if answer < least => refused("lower than the minimum", least),
        _ if offer != 0 && answer > offer => refused("higher than the maximum", offer),
        _ => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: Tuning = Tuning { frame_max: 131_072, channel_max: 2047, heartbeat_s: 60 };

    fn answer(frame_max: u32, channel_max: u16, heartbeat: u16) -> Result<Tuning, String> {
        let answer = connection::TuneOk { channel_max, frame_max, heartbeat };
        OFFER.agree(&answer).map_err(|error| format!("{} {}", error.code.code(), error.text))
    }

    #[test]
    fn smaller_values_are_taken() {
        assert_eq!(answer(4096, 1, 5), Ok(Tuning { frame_max: 4096, channel_max: 1, heartbeat_s: 5 }));
        assert_eq!(answer(131_072, 2047, 60), Ok(OFFER));
    }

    #[test]
    fn zero_leaves_the_offer() {
        assert_eq!(answer(0, 0, 60), Ok(OFFER));
        assert_eq!(answer(0, 0, 0).map(|tuning| tuning.heartbeat_s), Ok(0));
    }

    #[test]
    fn the_client_chooses_the_heartbeat() {
        assert_eq!(answer(0, 0, 600).map(|tuning| tuning.heartbeat_s), Ok(600));
    }

    #[test]
    fn out_of_range_is_refused_in_rabbitmqs_words() {
        let text = "530 negotiated frame_max = 4095 is lower than the minimum allowed value (4096)";
        assert_eq!(answer(4095, 0, 0), Err(text.into()));
        let text = "530 negotiated frame_max = 131073 is higher than the maximum allowed value (131072)";
        assert_eq!(answer(131_073, 0, 0), Err(text.into()));
        let text = "530 negotiated channel_max = 2048 is higher than the maximum allowed value (2047)";
        assert_eq!(answer(0, 2048, 0), Err(text.into()));
    }

    #[test]
    fn no_limit_of_ours_takes_any_number_of_channels() {
        let offer = Tuning { channel_max: 0, ..OFFER };
        let answer = connection::TuneOk { channel_max: u16::MAX, frame_max: 0, heartbeat: 0 };
        assert_eq!(offer.agree(&answer).unwrap().channel_max, u16::MAX);
    }
}
