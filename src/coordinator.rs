//! stub
pub mod router;
