//! The doors to the macros, and what people need to know to use them.

pub use labrig_macros::Command;
pub use labrig_macros::Schema;
pub use labrig_macros::{every, ipc_command, manager, on_frame, role, scope};
