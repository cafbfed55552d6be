//! The role of every motor, whatever its hardware.

use super::commands::{Height, Home, MoveTo, Settled, WhereIs};
use super::manager::MotorError;
use crate::prelude::*;

/// Kinds that move an axis. They say how their device does it; the handlers are written once.
#[role]
pub trait Moves: Manager {
    /// Lower and upper end of the travel, in µm.
    fn travel_um(&self) -> (f64, f64);

    /// Whether a height beyond the travel means its nearest end, instead of an error.
    fn clips(&self) -> bool;

    /// Moves to a height within the travel and waits until the axis has settled; says where it is then. Tells
    /// the context how far it is, and stops when the context says that the command is cancelled.
    ///
    /// # Errors
    /// [`MotorError`], saying in which state the device is left.
    fn drive_to(&mut self, height_um: f64, context: &Context) -> Result<f64, MotorError>;

    /// Where the axis is, in µm.
    ///
    /// # Errors
    /// [`MotorError`], when the device does not say.
    fn height_um(&mut self) -> Result<f64, MotorError>;

    /// Moves to a height. Cancelled on the way, it stays where it is then.
    #[ipc_command]
    fn move_to(&mut self, command: MoveTo, context: &mut Context) -> Result<Settled, MotorError> {
        let (min_um, max_um) = self.travel_um();
        let height_um = command.height_um;
        if height_um.is_nan() {
            return Err(MotorError::NotANumber { height_um });
        }
        let nearest_um = height_um.clamp(min_um, max_um);
        let was_clipped = nearest_um != height_um;
        if was_clipped && !self.clips() {
            return Err(MotorError::OutOfTravel { height_um, min_um, max_um });
        }
        Ok(Settled { height_um: self.drive_to(nearest_um, context)?, was_clipped })
    }

    /// Moves to the lower end.
    #[ipc_command]
    fn home(&mut self, command: Home, context: &mut Context) -> Result<Settled, MotorError> {
        let Home {} = command;
        let (min_um, _) = self.travel_um();
        Ok(Settled { height_um: self.drive_to(min_um, context)?, was_clipped: false })
    }

    /// Says where it is.
    #[ipc_command]
    fn where_is(&mut self, command: WhereIs) -> Result<Height, MotorError> {
        let WhereIs {} = command;
        Ok(Height { height_um: self.height_um()? })
    }
}
