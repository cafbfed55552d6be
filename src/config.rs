//! Floor 1: one file describes the rig.
//!
//! A TOML file becomes a [`Topology`], and a topology becomes a [`RigPlan`] together with every [`Fault`]
//! that was found on the way. This floor knows keys, types, names and references; it knows nothing of
//! handlers, and it opens nothing but the file.

mod code;
mod fault;
mod parse;
mod suggest;
mod tree;

pub use code::{Code, FaultKind};
pub use fault::{Fault, Party, Report};
pub(crate) use suggest::{nearest, quoted_list, suggestion};
pub use tree::{Content, Origin, Place, Tree};
