//! What a motor can be told, and what it answers.

use crate::prelude::*;

/// Moves the objective to an absolute height and replies once it has settled.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(reply = Settled, scriptable, hazardous)]
pub struct MoveTo {
    /// Height above the stage. What lies outside the travel is clipped or refused, by the motor's config.
    #[schema(unit = "um")]
    pub height_um: f64,
}

/// Moves the objective to the lower end of its travel and replies once it has settled.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(reply = Settled, scriptable, hazardous)]
pub struct Home {}

/// The objective has settled.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct Settled {
    /// Where it is.
    #[schema(unit = "um")]
    pub height_um: f64,
    /// Whether that is the nearest end of the travel, because the height asked for lies beyond it.
    pub was_clipped: bool,
}

/// Asks where the objective is.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(reply = Height, scriptable)]
pub struct WhereIs {}

/// Where the objective is.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct Height {
    /// Height above the stage.
    #[schema(unit = "um")]
    pub height_um: f64,
}
