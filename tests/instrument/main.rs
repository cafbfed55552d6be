//! The built-in managers and the command line, on real processes and real files.

mod command_line;
mod environments;
mod following;
mod freezing;
mod idle;
mod live_checks;
mod motors;
mod pictures;
mod procedures;
mod protocol;
mod recording;
mod replaying;
mod scripts;
mod streaming;
mod support;
mod verbs;
