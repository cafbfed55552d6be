//! stub
use crate::wire::Failure;
/// How many chunks a station may send of a stream before its reader has asked for more.
pub const WINDOW: u32 = 16;
/// source
pub trait ChunkSource: Send {
    /// next
    fn next_chunk(&mut self) -> Option<Result<Vec<u8>, Failure>>;
}
/// collect
pub(crate) fn collect_outgoing<X>(write: impl FnOnce() -> X) -> (X, Option<Box<dyn ChunkSource>>) {
    (write(), None)
}
