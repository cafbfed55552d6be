//! Tests.
mod heap;
