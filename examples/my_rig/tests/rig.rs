//! The rig as its users meet it: real processes, played by this crate's own program.

use std::time::Duration;

use labrig::{Rig, Topology};
use my_rig::{BrightnessSet, LampError, SetBrightness};

const PATIENCE: Duration = Duration::from_secs(30);

fn launch() -> Rig {
    let topology = Topology::from_file("rig.toml").expect("the config can be read");
    let topology = topology.program(env!("CARGO_BIN_EXE_my_rig"));
    Rig::launch(topology).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_lamp_says_what_it_was_before() {
    let rig = launch();
    let pending = rig.scope().request(SetBrightness { percent: 40.0 }).expect("the lamp takes commands");
    let set = pending.wait(PATIENCE).expect("40 % is allowed");
    assert_eq!(set, BrightnessSet { percent: 40.0, was_percent: 25.0 });
    assert!(rig.shutdown().is_clean);
}

#[test]
fn a_lamp_that_would_be_too_bright_says_its_limit() {
    let rig = launch();
    let pending = rig.scope().request(SetBrightness { percent: 95.0 }).expect("the lamp takes commands");
    let error = pending.wait(PATIENCE).expect_err("95 % is too bright");
    let expected = LampError::TooBright { percent: 95.0, limit_percent: 80.0 };
    assert_eq!(error.downcast::<LampError>(), Some(expected));
}
