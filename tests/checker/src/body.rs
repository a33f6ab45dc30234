//! Bodies that tell which message they belong to and whether they are whole.
//!
//! `producer-sequence:` and then bytes that follow from these two and their place.

use crate::MessageId;

/// A body of `len` bytes; longer where the name takes more.
pub(crate) fn encode(id: MessageId, len: usize) -> Vec<u8> {
    let mut body = format!("{id}:").into_bytes();
    let name_len = body.len();
    body.extend((name_len..len).map(|place| filling(id, place)));
    body
}

/// The message a body belongs to; `None` where the body is not as it was made.
pub(crate) fn decode(body: &[u8]) -> Option<MessageId> {
    let name_len = body.iter().position(|byte| *byte == b':')?;
    let id: MessageId = std::str::from_utf8(&body[..name_len]).ok()?.parse().ok()?;
    (encode(id, body.len()) == body).then_some(id)
}

fn filling(id: MessageId, place: usize) -> u8 {
    let mixed = (u64::from(id.producer) << 32 | u64::from(id.sequence)).wrapping_add(place as u64);
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: MessageId = MessageId { producer: 7, sequence: 1200 };

    #[test]
    fn a_body_tells_its_message() {
        for len in [0, 7, 8, 100, 100_000] {
            let body = encode(ID, len);
            assert_eq!(body.len(), len.max("7-1200:".len()));
            assert_eq!(decode(&body), Some(ID));
        }
    }

    #[test]
    fn a_damaged_body_tells_nothing() {
        let body = encode(ID, 100);
        for place in 0..body.len() {
            let mut damaged = body.clone();
            damaged[place] ^= 1;
            assert_eq!(decode(&damaged), None, "at {place}");
        }
        assert_eq!(decode(b""), None);
    }
}
