//! `rows --follow`, as somebody at a terminal uses it: each row on a line of its own, until the rig ends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::support::program;
use crate::verbs::Running;

const TRACKER: &str = "[managers.camera]\nkind = \"camera.sim\"\n[managers.tracker]\nkind = \"tracker\"\n\
    [streams.video]\nproducer = \"camera\"\nreaders = { tracker = \"lossless\" }\n";

fn follow(folder: &Path, more: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut follower = Command::new(program())
        .args(["rows", "tracker.tracks", "--follow", "--runtime-dir", "runtime"])
        .args(more)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let lines = BufReader::new(follower.stdout.take().expect("a pipe"));
    (follower, lines)
}

#[test]
fn rows_are_followed_line_by_line_until_the_rig_ends() {
    let work = tempfile::tempdir().expect("a folder");
    let rig = Running::start(work.path(), "rows", TRACKER);
    let (mut follower, lines) = follow(work.path(), &["--json", "--latest", "3"]);
    let mut lines = lines
        .lines()
        .map(|line| -> Value { serde_json::from_str(&line.expect("text")).expect("a line of JSON") });
    let mut next = None;
    for told in lines.by_ref().take(500) {
        if told["event"] == "lost" {
            next = next.map(|next| next + told["count"].as_u64().expect("a number"));
            continue;
        }
        let number = told["number"].as_u64();
        assert!(told["event"] == "row" && (next.is_none() || number == next), "{next:?}: {told}");
        assert!(told["values"]["x_px"].is_number() && told["at_ns"].is_u64(), "{told}");
        next = number.map(|number| number + 1);
    }
    let (mut reader, mut table) = follow(work.path(), &[]);
    let mut heading = String::new();
    table.read_line(&mut heading).expect("text");
    assert!(heading.trim_start().starts_with("ROW") && heading.contains("x_px [px]"), "{heading}");
    let rows: Vec<_> = (&mut table).lines().take(100).map(|line| line.expect("text")).collect();
    assert!(rows.iter().all(|row| row.chars().count() >= heading.trim_end().chars().count()), "{rows:?}");
    // Whoever has seen enough closes its end, as `head` does.
    drop(table);
    assert!(reader.wait().expect("it ends").success());
    rig.quit();
    assert!(lines.all(|told| told["event"] == "row" || told["event"] == "lost"));
    assert!(follower.wait().expect("it ends").success());
}
