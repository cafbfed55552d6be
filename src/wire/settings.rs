//! Settings: how a manager is to do its work, as a struct that one manager owns.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::schema::Schema;

/// The settings of a manager. Derive it with [`#[derive(Settings)]`](derive@crate::Settings).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no set of settings",
    label = "this type is to be set from outside",
    note = "write `#[derive(Settings, Serialize, Deserialize, Schema)]` on the struct, and a default for each field"
)]
pub trait Settings: Schema + Serialize + DeserializeOwned + 'static {
    /// The source file of the type.
    const FILE: &'static str;
    /// Its line there.
    const LINE: u32;

    /// The settings as they are when nobody has changed anything.
    fn defaults() -> Self {
        serde_json::from_str("{}").expect("the derive has seen to it that every field has a default")
    }
}
