//! The report of a rig with wrong registrations, word for word.

use std::path::Path;
use std::process::Command;

#[test]
fn every_wrong_registration_is_reported_in_one_go() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let check = Command::new(env!("CARGO_BIN_EXE_faulty_rig"))
        .args(["check", "rig.toml"])
        .current_dir(folder)
        .output()
        .expect("the program runs");
    assert_eq!(check.status.code(), Some(2), "{}", String::from_utf8_lossy(&check.stderr));
    let report = String::from_utf8(check.stdout).expect("text");
    let golden = folder.join("report.txt");
    if std::env::var_os("LABRIG_BLESS").is_some() {
        std::fs::write(&golden, &report).expect("the golden report can be written");
    }
    let expected = std::fs::read_to_string(&golden).expect("the golden report; LABRIG_BLESS=1 writes it");
    assert_eq!(report, expected, "LABRIG_BLESS=1 writes the report anew");
}
