//! From frames to a message: method, header, body.
//!
//! Most messages come as one body frame; its payload goes on as the slice of the read buffer that it is. Only a body
//! of several frames is gathered, in a buffer that grows with what has come, not with what the header announces.

use leveret_amqp::{ContentHeader, ReplyCode, basic};
use leveret_broker::Error;

/// A buffer that grew beyond this for one body is not kept for the next.
const KEPT_CAPACITY_MAX: usize = 256 * 1024;

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assembled {
    /// More frames are to come.
    Incomplete,
    /// The message is complete; its body is the payload just given.
    Complete,
    /// The message is complete; its body is [`Assembly::take_body`].
    Gathered,
}

/// The message that is coming in on a channel.
#[derive(Debug)]
pub(super) struct Assembly {
    expects: Expects,
    message_bytes_max: u64,
    head: Head,
    body: Vec<u8>,
}

/// What a message says before its body. The buffers are kept from message to message.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Exchange and routing key as two short strings, as they came.
    pub(super) exchange_and_key: Vec<u8>,
    /// Property flags and list, as they came.
    pub(super) properties_raw: Vec<u8>,
    /// Whether it is to be returned where no queue takes it.
    pub(super) mandatory: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    Method,
    Header,
    Body { left: u64 },
}

impl Assembly {
    /// Nothing has come. Messages with bodies over `message_bytes_max` are refused at their header.
    pub(super) fn new(message_bytes_max: u64) -> Self {
        Self { expects: Expects::Method, message_bytes_max, head: Head::default(), body: Vec::new() }
    }

    /// A method is about to be handled.
    ///
    /// # Errors
    /// 505 where a message is not complete.
    pub(super) fn expect_method(&self) -> Result<(), Error> {
        match self.expects {
            Expects::Method => Ok(()),
            Expects::Header | Expects::Body { .. } => Err(self.unexpected()),
        }
    }

    /// Begins a message. To be called only where a method was expected.
    pub(super) fn begin(&mut self, publish: &basic::Publish<'_>) {
        self.head.exchange_and_key.clear();
        self.head.exchange_and_key.extend_from_slice(publish.exchange_and_key);
        self.head.mandatory = publish.mandatory;
        self.expects = Expects::Header;
    }

    /// Takes the content header; an empty body is complete with it.
    ///
    /// # Errors
    /// 505 where none is due, 406 for a message that is too large.
    pub(super) fn header(&mut self, header: &ContentHeader<'_>) -> Result<Assembled, Error> {
        self.expect_header()?;
        if header.class_id != basic::Method::CLASS_ID {
            let text = format!("expected content header for class 60, got one for class {} instead", header.class_id);
            return Err(Error::new(ReplyCode::UnexpectedFrame, text));
        }
        self.check_size(header.body_size)?;
        self.head.properties_raw.clear();
        self.head.properties_raw.extend_from_slice(header.properties_raw);
        self.expects = match header.body_size {
            0 => Expects::Method,
            left => Expects::Body { left },
        };
        Ok(if header.body_size == 0 { Assembled::Complete } else { Assembled::Incomplete })
    }

    /// Refuses a header where none is due, before anybody looks into it.
    ///
    /// # Errors
    /// 505.
    pub(super) fn expect_header(&self) -> Result<(), Error> {
        if self.expects == Expects::Header { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Bytes of the body that are to come, if one is.
    pub(super) fn body_left(&self) -> Option<u64> {
        match self.expects {
            Expects::Body { left } => Some(left),
            Expects::Method | Expects::Header => None,
        }
    }

    /// Takes a body frame's payload.
    ///
    /// # Errors
    /// 505 where none is due, 501 where there is more than was announced.
    pub(super) fn body(&mut self, payload: &[u8]) -> Result<Assembled, Error> {
        let Expects::Body { left } = self.expects else { return Err(self.unexpected()) };
        let Some(left) = left.checked_sub(payload.len() as u64) else {
            let text = format!("content body is {} octets longer than announced", payload.len() as u64 - left);
            return Err(Error::new(ReplyCode::FrameError, text));
        };
        if left == 0 {
            self.expects = Expects::Method;
            if self.body.is_empty() {
                return Ok(Assembled::Complete);
            }
        } else {
            self.expects = Expects::Body { left };
        }
        self.body.extend_from_slice(payload);
        Ok(if left == 0 { Assembled::Gathered } else { Assembled::Incomplete })
    }

    /// Takes the head of the message that is complete; to be given back by [`Self::reuse`].
    pub(super) fn take_head(&mut self) -> Head {
        std::mem::take(&mut self.head)
    }

    /// Takes a body that was gathered; to be given back by [`Self::reuse_body`].
    pub(super) fn take_body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }

    /// Gives a head's buffers back.
    pub(super) fn reuse(&mut self, head: Head) {
        self.head = head;
    }

    /// Gives a body's buffer back.
    pub(super) fn reuse_body(&mut self, mut body: Vec<u8>) {
        if body.capacity() <= KEPT_CAPACITY_MAX {
            body.clear();
            self.body = body;
        }
    }

    fn check_size(&self, size: u64) -> Result<(), Error> {
        if size <= self.message_bytes_max {
            return Ok(());
        }
        let text = format!("message size {size} is larger than configured max size {}", self.message_bytes_max);
        Err(Error::new(ReplyCode::PreconditionFailed, text))
    }

    /// RabbitMQ's words for a frame out of its order.
    fn unexpected(&self) -> Error {
        let text = match self.expects {
            Expects::Method => "expected method frame, got non method frame instead",
            Expects::Header => "expected content header for class 60, got non content header frame instead",
            Expects::Body { .. } => "expected content body, got non content body frame instead",
        };
        Error::new(ReplyCode::UnexpectedFrame, text)
    }
}

#[cfg(test)]
mod tests {
    use leveret_amqp::EMPTY_RAW;

    use super::*;

    fn begun(message_bytes_max: u64) -> Assembly {
        let mut assembly = Assembly::new(message_bytes_max);
        assembly.expect_method().unwrap();
        assembly.begin(&basic::Publish {
            exchange: "x",
            routing_key: b"k",
            mandatory: true,
            immediate: false,
            exchange_and_key: b"\x01x\x01k",
        });
        assembly
    }

    fn header(body_size: u64) -> ContentHeader<'static> {
        ContentHeader { class_id: 60, body_size, properties_raw: &EMPTY_RAW }
    }

    #[test]
    fn empty_body_is_complete_with_its_header() {
        let mut assembly = begun(10);
        assert_eq!(assembly.header(&header(0)).unwrap(), Assembled::Complete);
        let head = assembly.take_head();
        assert_eq!(head.exchange_and_key, b"\x01x\x01k");
        assert_eq!(head.properties_raw, EMPTY_RAW);
        assert!(head.mandatory);
        assembly.reuse(head);
        assembly.expect_method().unwrap();
    }

    #[test]
    fn single_frame_is_not_copied() {
        let mut assembly = begun(10);
        assert_eq!(assembly.header(&header(3)).unwrap(), Assembled::Incomplete);
        assert_eq!(assembly.body(b"abc").unwrap(), Assembled::Complete);
        assert!(assembly.take_body().is_empty());
    }

    #[test]
    fn several_frames_are_gathered() {
        let mut assembly = begun(10);
        assembly.header(&header(5)).unwrap();
        assert_eq!(assembly.body(b"ab").unwrap(), Assembled::Incomplete);
        assert_eq!(assembly.body(b"").unwrap(), Assembled::Incomplete);
        assert_eq!(assembly.body(b"cde").unwrap(), Assembled::Gathered);
        let body = assembly.take_body();
        assert_eq!(body, b"abcde");
        assembly.reuse_body(body);
        assert!(assembly.body.is_empty());
    }

    #[test]
    fn limits_are_checked_at_the_header() {
        let error = begun(10).header(&header(11)).unwrap_err();
        assert_eq!(error.code, ReplyCode::PreconditionFailed);
        assert_eq!(error.text, "message size 11 is larger than configured max size 10");
        let mut assembly = begun(10);
        assembly.header(&header(2)).unwrap();
        assert_eq!(assembly.body(b"abc").unwrap_err().code, ReplyCode::FrameError);
    }

    #[test]
    fn frames_out_of_order_are_refused() {
        let mut idle = Assembly::new(10);
        assert_eq!(idle.header(&header(1)).unwrap_err().code, ReplyCode::UnexpectedFrame);
        assert_eq!(idle.body(b"a").unwrap_err().code, ReplyCode::UnexpectedFrame);
        let mut assembly = begun(10);
        assert_eq!(assembly.body(b"a").unwrap_err().code, ReplyCode::UnexpectedFrame);
        assert_eq!(assembly.expect_method().unwrap_err().code, ReplyCode::UnexpectedFrame);
        let other_class = ContentHeader { class_id: 10, ..header(1) };
        assert_eq!(assembly.header(&other_class).unwrap_err().code, ReplyCode::UnexpectedFrame);
        assembly.header(&header(1)).unwrap();
        assert_eq!(assembly.expect_method().unwrap_err().code, ReplyCode::UnexpectedFrame);
        assert_eq!(assembly.header(&header(1)).unwrap_err().code, ReplyCode::UnexpectedFrame);
    }
}
