//! What both programs know: the commands, and nothing that would load a device's library.

use labrig::prelude::*;

/// Opens or closes the shutter.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = ShutterSet)]
pub struct SetShutter {
    pub open: bool,
}

/// The shutter has moved.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct ShutterSet {
    pub open: bool,
    /// Which program moved it.
    pub program: String,
}

/// Lights the sample while the shutter is open, and replies who opened it.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Exposed)]
pub struct Expose {
    #[schema(unit = "ms", min = 1, max = 1000)]
    pub duration_ms: u64,
}

/// The sample was lit.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct Exposed {
    /// Which program ran the lamp.
    pub lamp: String,
    /// Which program moved the shutter.
    pub shutter: String,
}

/// The name of the program that this is, as people know it.
pub fn this_program() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
