//! How the answer of a running rig is said: to people in words, to machines as JSON lines.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::client::Trouble;
use super::exit;

/// Kinds of problems by which a rig says that it has not even begun.
const REFUSALS: &[&str] = &[
    "bad-arguments",
    "bad-request",
    "not-permitted",
    "not-supported",
    "refused",
    "too-many-calls",
    "too-many-clients",
    "unknown-command",
    "wrong-delivery",
];

/// Says what came of it, and chooses the exit code.
pub(super) fn say(
    asked: Result<Value, Trouble>,
    is_json: bool,
    in_words: impl FnOnce(&Value) -> (String, u8),
) -> ExitCode {
    match asked {
        Ok(answer) => {
            let (words, code) = in_words(&answer);
            let line = if is_json { event("done", answer) } else { words };
            match print(&line) {
                Ok(()) => ExitCode::from(code),
                Err(error) => {
                    exit::complain(&format!("cannot write to standard output: {error}"), exit::FAILED)
                }
            }
        }
        Err(trouble) => give_up(&trouble, is_json),
    }
}

/// Says why nothing came of it.
pub(super) fn give_up(trouble: &Trouble, is_json: bool) -> ExitCode {
    let (problem, code) = match trouble {
        Trouble::Problem(problem) if REFUSALS.contains(&problem.kind.as_str()) => {
            (json!(problem), exit::REFUSED)
        }
        Trouble::Problem(problem) => (json!(problem), exit::FAILED),
        other => (json!({ "kind": "no-answer", "text": other.to_string(), "hint": null }), exit::FAILED),
    };
    if is_json {
        // Whoever has closed standard output still reads the exit code.
        let _ = print(&json!({ "event": "error", "error": problem }).to_string());
    }
    exit::complain(&trouble.to_string(), code)
}

/// One line for machines.
pub(super) fn event(name: &str, mut facts: Value) -> String {
    facts["event"] = name.into();
    facts.to_string()
}

/// Prints a line at once.
///
/// # Errors
/// The system's, when nobody reads.
pub(super) fn print(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Whether colours are seen on standard output.
pub(super) fn has_colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
