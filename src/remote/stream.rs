//! Frames for a thread of the coordinator's process, such as a window.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::port::Port;
use crate::shm::{
    Doorbell, DoorbellError, Frame, ReadMode, Reader, RingOpenError, SegmentCreateError, WaitError, Wake,
};

/// A stream of the rig, by name. It costs nothing until it is read.
pub struct FrameStream {
    port: Arc<dyn Port>,
    name: String,
    latest: Option<Reader>,
}

/// What a reader of a stream is made of.
#[derive(Debug)]
pub struct StreamParts {
    /// The ring.
    pub ring: OwnedFd,
    /// This reader's cursor.
    pub cursor: OwnedFd,
    /// Rung for this reader.
    pub data: Doorbell,
    /// Rung for the producer.
    pub space: Doorbell,
}

/// Why a stream cannot be read from here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The rig has no such stream.
    #[error("no stream is called `{stream}`; this rig has {known:?}")]
    Unknown {
        /// The name asked for.
        stream: String,
        /// The streams of the rig.
        known: Vec<String>,
    },
    /// Managers read the streams that the config gives them.
    #[error(
        "`{stream}` cannot be opened in a manager: bind it to an input and write an `#[on_frame]` handler"
    )]
    InAManager {
        /// The name asked for.
        stream: String,
    },
    /// The ring has as many readers as it can have.
    #[error("`{stream}` has no room for another reader: give it more `slots`")]
    NoRoom {
        /// The stream.
        stream: String,
    },
    /// Its producer cannot be told of another reader: it is gone, or its pipe is full.
    #[error("the producer of `{stream}` cannot be reached")]
    ProducerUnreachable {
        /// The stream.
        stream: String,
    },
    /// The rig has ended.
    #[error("the rig has ended")]
    Closed,
    /// The cursor's memory was refused.
    #[error(transparent)]
    Memory(#[from] SegmentCreateError),
    /// The ring could not be mapped.
    #[error(transparent)]
    Open(#[from] RingOpenError),
    /// No descriptor for a bell.
    #[error(transparent)]
    Doorbell(#[from] DoorbellError),
    /// The system did not let the reader sleep.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

impl FrameStream {
    pub(super) fn new(port: Arc<dyn Port>, name: String) -> Self {
        Self { port, name, latest: None }
    }

    /// The newest frame. The first call joins the stream: it waits for the producer's next frame, for at most
    /// `patience`; later calls do not wait. When the producer has ended and come back, the next call joins again;
    /// until then its last frame stays.
    ///
    /// # Errors
    /// [`StreamError`] when the stream cannot be joined.
    pub fn latest(&mut self, patience: Duration) -> Result<Option<Frame<'_>>, StreamError> {
        let has_ended = self.latest.as_ref().is_some_and(|reader| reader.ending().is_some());
        if self.latest.is_none() || has_ended {
            match self.reader(ReadMode::Latest) {
                Ok(mut reader) => {
                    let _: Wake = reader.wait(patience)?;
                    self.latest = Some(reader);
                }
                // It is not back yet, or never will be.
                Err(_) if has_ended => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.latest.as_mut().and_then(Reader::latest))
    }

    /// A reader of its own, from the producer's next frame on. A lossless reader holds the producer back: read
    /// it to the end or drop it. It ends with the producer; when that has come back, ask for another.
    ///
    /// # Errors
    /// [`StreamError`] when the stream cannot be joined.
    pub fn reader(&self, mode: ReadMode) -> Result<Reader, StreamError> {
        let StreamParts { ring, cursor, data, space } = self.port.open_stream(&self.name, mode)?;
        Ok(Reader::map(ring, cursor, data, space)?)
    }
}
