//! stub
/// stub
pub struct Context {}
