//! Messages on the rig's socket: JSON behind its length.
//!
//! Four bytes, little-endian, say how many bytes of JSON follow. What comes in is not believed: a length beyond
//! the limit ends the connection before anything is reserved for it, and memory grows with what has come, not
//! with what was announced. `docs/PROTOCOL.md` says what the messages are.

use serde_json::Value;

/// Which protocol is spoken; the first message of a rig says it.
pub const MESSAGE_PROTOCOL: u32 = 1;

/// The longest message, without its length.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// How many bytes a length takes.
const PREFIX: usize = 4;

/// Why bytes are no message. Whoever sent them is not listened to any longer: where the next one begins is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The length is beyond the limit.
    #[error("a message of {bytes} bytes was announced, {MAX_MESSAGE_BYTES} is the limit")]
    TooLong {
        /// The length.
        bytes: usize,
    },
    /// The bytes are no JSON, or nest too deep.
    #[error("a message is not JSON: {reason}")]
    NotJson {
        /// What the reader said.
        reason: String,
    },
}

/// A message as it goes onto the socket.
///
/// # Errors
/// [`MessageError::TooLong`], when nobody would take it.
pub fn seal(message: &Value) -> Result<Vec<u8>, MessageError> {
    let text = message.to_string();
    let bytes = text.len();
    if bytes > MAX_MESSAGE_BYTES {
        return Err(MessageError::TooLong { bytes });
    }
    let mut sealed = Vec::with_capacity(PREFIX + bytes);
    sealed.extend((bytes as u32).to_le_bytes());
    sealed.extend(text.into_bytes());
    Ok(sealed)
}

/// What has come in and is not yet a whole message.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// How many of them have been read.
    read: usize,
}

impl Inbox {
    /// Puts more bytes behind what is there.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend(bytes);
    }

    /// The next whole message, when there is one.
    ///
    /// # Errors
    /// [`MessageError`]: nothing behind it can be read.
    pub fn next_message(&mut self) -> Result<Option<Value>, MessageError> {
        let rest = &self.bytes[self.read..];
        let Some((prefix, rest)) = rest.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let bytes = u32::from_le_bytes(*prefix) as usize;
        if bytes > MAX_MESSAGE_BYTES {
            return Err(MessageError::TooLong { bytes });
        }
        let Some(text) = rest.get(..bytes) else { return Ok(None) };
        // The reader itself bounds how deep values nest.
        let message = serde_json::from_slice(text)
            .map_err(|error| MessageError::NotJson { reason: error.to_string() })?;
        self.read += PREFIX + bytes;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check_refused(bytes: &[u8], part: &str) {
        let mut inbox = Inbox::default();
        inbox.push(bytes);
        let error = inbox.next_message().expect_err("it is no message");
        assert!(error.to_string().contains(part), "{error}");
    }

    #[test]
    fn messages_are_read_however_the_bytes_come() {
        let messages = [json!({ "verb": "status", "id": 1 }), json!([]), json!("µ")];
        let bytes: Vec<u8> = messages.iter().flat_map(|it| seal(it).expect("short enough")).collect();
        for step in 1..=bytes.len() {
            let mut inbox = Inbox::default();
            let mut read = Vec::new();
            for piece in bytes.chunks(step) {
                inbox.push(piece);
                while let Some(message) = inbox.next_message().expect("whole messages") {
                    read.push(message);
                }
            }
            assert_eq!(read, messages);
        }
    }

    #[test]
    fn what_is_no_message_is_refused_with_the_reason() {
        check_refused(&u32::MAX.to_le_bytes(), "4294967295 bytes was announced, 1048576 is the limit");
        check_refused(&[1, 0, 0, 0, b'{'], "not JSON: EOF");
        check_refused(&[2, 0, 0, 0, 0xff, 0xfe], "not JSON");
        let deep = "[".repeat(100_000);
        let bytes: Vec<u8> = (deep.len() as u32).to_le_bytes().into_iter().chain(deep.bytes()).collect();
        check_refused(&bytes, "recursion limit");
    }

    #[test]
    fn a_length_reserves_nothing() {
        let mut inbox = Inbox::default();
        inbox.push(&(MAX_MESSAGE_BYTES as u32).to_le_bytes());
        assert_eq!(inbox.next_message(), Ok(None));
        assert!(inbox.bytes.capacity() < 64, "{}", inbox.bytes.capacity());
    }

    #[test]
    fn what_nobody_would_take_is_not_sealed() {
        let long = Value::String("x".repeat(MAX_MESSAGE_BYTES));
        assert_eq!(seal(&long), Err(MessageError::TooLong { bytes: MAX_MESSAGE_BYTES + 2 }));
    }
}
