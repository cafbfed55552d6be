//! What it costs the router to find the last of many managers: instructions per command, counted by callgrind.
//!
//! Counted twice, with few and with more commands: the difference is theirs alone.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use super::outcome::{Metrics, Trouble};

const FEW: u64 = 1000;
const MORE: u64 = 11_000;

pub(super) fn measure(contest: &Path) -> Result<Metrics, Trouble> {
    let per_command = |children| {
        let few = instructions(contest, children, FEW)?;
        let more = instructions(contest, children, MORE)?;
        Ok::<_, Trouble>(more.saturating_sub(few) as f64 / (MORE - FEW) as f64)
    };
    let (with_1, with_64) = (per_command(1)?, per_command(64)?);
    Ok(Metrics::from([
        ("growth".to_owned(), with_64 / with_1),
        ("with_1".to_owned(), with_1),
        ("with_64".to_owned(), with_64),
    ]))
}

/// All instructions of a router that passes so many commands on.
fn instructions(contest: &Path, children: usize, commands: u64) -> Result<u64, Trouble> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(contest).arg("route");
    command.args(["--children", &children.to_string(), "--n", &commands.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let output = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Trouble::Skipped("there is no valgrind here".to_owned()),
        _ => Trouble::Failed(error.to_string()),
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("under valgrind it ended with {}", output.status).into());
    }
    counted(&said).ok_or_else(|| "callgrind did not say what it has counted".to_owned().into())
}

/// The number in callgrind's last words.
fn counted(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_callgrinds_last_words() {
        let said = "==7== Callgrind\n==7== Events    : Ir\n==7== Collected : 123456\n";
        assert_eq!(counted(said), Some(123_456));
        assert_eq!(counted("==7== Collected nothing"), None);
    }
}
