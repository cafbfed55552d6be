//! What the derives write: schemas and command specs.

use labrig::prelude::*;
use labrig::wire::{Command as _, DeliveryKind, Schema as _, TypeSchema};

/// Moves the objective to an absolute height
/// and replies once it has settled.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Settled)]
pub struct MoveTo {
    /// Height above the stage.
    #[schema(unit = "um", min = 0.0, max = 200.0)]
    pub height_um: f64,
    #[serde(default)]
    pub fast: bool,
}

#[derive(Serialize, Deserialize, Schema, Debug, Clone)]
pub struct Settled {
    pub height_um: f64,
}

#[test]
fn x() {
    let spec = MoveTo::spec();
    println!("{spec:#?}");
    assert_eq!(spec.delivery, DeliveryKind::Direct);
    let _ = TypeSchema::of::<Settled>();
}
