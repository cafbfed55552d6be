//! The terminal's view of the one log.

use std::io::{self, IsTerminal, Write};

use env_logger::fmt::WriteStyle;
use env_logger::{Builder, Target};
use indicatif::MultiProgress;
use log::LevelFilter;

/// Shows records on standard error, above whatever `display` shows there.
pub(super) fn install(level: LevelFilter, display: &MultiProgress, has_colours: bool) {
    let mut builder = Builder::new();
    builder.filter_level(level).format_target(true).format_timestamp_millis();
    builder.write_style(if has_colours { WriteStyle::Always } else { WriteStyle::Never });
    builder.target(Target::Pipe(Box::new(Above { display: display.clone() })));
    // A program that has installed a logger of its own keeps it.
    if builder.try_init().is_err() {
        log::debug!("the program's own logger is used");
    }
}

/// Whether who reads standard error sees colours.
pub(super) fn has_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Writes lines above the live display.
struct Above {
    display: MultiProgress,
}

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.display.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
