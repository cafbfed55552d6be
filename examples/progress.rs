//! A slow move with a progress bar; Ctrl-C takes the move back, and the motor stays where it is.
//!
//! `cargo run --example progress`

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use labrig::managers::motor::{Home, MotorError, MoveTo, Settled, WhereIs};
use labrig::prelude::*;

const CONFIG: &str = "
schema = 1
[rig]
name = \"progress\"
[managers.focus]
kind = \"motor.sim\"
config = { max_um = 1000.0, speed_um_per_s = 400.0 }
";

/// Set by the first Ctrl-C.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let interrupted = || IS_INTERRUPTED.store(true, Ordering::Relaxed);
    labrig::app().default_config(CONFIG).on_interrupt(interrupted).main_with(drive)
}

fn drive(scope: Scope) -> Result<(), CallError> {
    println!("moving 600 µm at 400 µm/s; Ctrl-C stops it");
    let moving = scope.with_deadline(Duration::from_secs(60)).request(MoveTo { height_um: 600.0 })?;
    match watch(&moving) {
        Ok(Settled { height_um, .. }) => println!("settled at {height_um:.1} µm"),
        Err(error) if error.is_cancelled() => {
            let height_um = scope.call(WhereIs {})?.height_um;
            println!("stopped on the way, at {height_um:.1} µm");
        }
        Err(error) => {
            // The motor's own error crosses whole.
            if let Some(MotorError::OutOfTravel { max_um, .. }) = error.downcast() {
                println!("its travel ends at {max_um} µm");
            }
            return Err(error);
        }
    }
    // Whoever does not want to watch just calls.
    let Settled { height_um, .. } = scope.call(Home {})?;
    println!("home again, at {height_um:.1} µm");
    Ok(())
}

/// Shows how far the motor is until the call has ended.
fn watch(moving: &PendingReply<Settled>) -> Result<Settled, CallError> {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} % {msg}").expect("a valid template");
    let bar = ProgressBar::new(100).with_style(style);
    let is_terminal = std::io::stderr().is_terminal();
    let mut told = 0;
    while !moving.ready_within(Duration::from_millis(50)) {
        if IS_INTERRUPTED.swap(false, Ordering::Relaxed) {
            moving.cancel();
        }
        let Some(Progress { done, total, note }) = moving.progress() else { continue };
        let percent = (100.0 * done / total) as u64;
        bar.set_position(percent);
        bar.set_message(note.clone());
        if !is_terminal && percent >= told + 25 {
            told = percent / 25 * 25;
            println!("{told} % done, {note}");
        }
    }
    bar.finish_and_clear();
    moving.try_value().expect("it has ended")
}
