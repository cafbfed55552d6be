//! stub
/// stub
pub struct Frame<'a>(&'a [u8]);
