//! Floor 5: the managers that labrig brings.
//!
//! They are written with nothing but the public surface, as anybody's managers are: `motor` is the one to
//! copy. Hardware is simulated (`camera.sim`, `motor.sim`) or replayed from files (`camera.replay`); the
//! `tracker` is real; `chaos.sim` misbehaves when it is told to.

pub mod camera;
pub mod chaos;
pub mod motor;
#[cfg(feature = "procedures")]
pub mod procedures;
pub mod tracker;
