//! A window's thread must never wait: it asks, goes on drawing, and is told by an event.
//!
//! The window here is a loop that draws 50 frames a second, as every toolkit's does, and is clicked by a script.
//!
//! `cargo run --example ask_from_gui_thread`

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use labrig::managers::motor::{MoveTo, Settled};
use labrig::prelude::*;

const CONFIG: &str = "
schema = 1
[rig]
name = \"window\"
[managers.focus]
kind = \"motor.sim\"
config = { max_um = 200.0, speed_um_per_s = 150.0 }
";

/// What a window draws at most once every.
const FRAME: Duration = Duration::from_millis(20);

/// What happens to the window.
enum Event {
    /// A call that it made has ended.
    Moved(Result<Settled, CallError>),
}

struct Window {
    scope: Scope,
    events: Receiver<Event>,
    sender: Sender<Event>,
    /// The move under way; dropping it takes it back, so that a new click replaces an old move.
    moving: Option<PendingReply<Settled>>,
    label: String,
}

fn main() -> ExitCode {
    labrig::app().default_config(CONFIG).main_with(|scope| {
        let (sender, events) = channel();
        Window { scope, events, sender, moving: None, label: "idle".to_owned() }.run();
    })
}

impl Window {
    fn run(&mut self) {
        let mut longest = Duration::ZERO;
        for frame in 0..60 {
            let begun = Instant::now();
            match frame {
                5 => self.click(150.0),
                15 => self.click(60.0),
                45 => self.click(1e9),
                _ => {}
            }
            self.handle_events();
            self.draw(frame);
            longest = longest.max(begun.elapsed());
            thread::sleep(FRAME.saturating_sub(begun.elapsed()));
        }
        println!("the longest frame took {:.1} ms", longest.as_secs_f64() * 1e3);
    }

    /// The user wants the focus there. Returns at once: nothing here waits for the motor.
    fn click(&mut self, height_um: f64) {
        println!("click: focus to {height_um} µm");
        match self.scope.request(MoveTo { height_um }) {
            Ok(moving) => {
                let (moving, sender) = (moving.cancel_on_drop(), self.sender.clone());
                // Runs on the thread for callbacks: it only passes the news on to the window's loop.
                moving.on_complete(move |end| drop(sender.send(Event::Moved(end))));
                self.moving = Some(moving);
            }
            // A full queue, a dead motor: known at once.
            Err(refusal) => self.label = refusal.to_string(),
        }
    }

    fn handle_events(&mut self) {
        while let Ok(Event::Moved(end)) = self.events.try_recv() {
            self.label = match end {
                Ok(settled) => format!("settled at {:.1} µm", settled.height_um),
                Err(error) if error.is_cancelled() => "replaced by a newer move".to_owned(),
                Err(error) => error.to_string(),
            };
            println!("{}", self.label);
        }
    }

    fn draw(&self, frame: u32) {
        if frame.is_multiple_of(10) {
            let progress = self.moving.as_ref().filter(|it| !it.is_ready()).and_then(PendingReply::progress);
            let status = progress.map_or_else(|| self.label.clone(), |progress| progress.note);
            println!("frame {frame}: {status}");
        }
    }
}
