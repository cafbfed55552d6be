//! Managers that move or emit come back inactive from an unplanned end, until somebody arms them.

use crate::restarts::{kill, status_of, until_in_life};
use crate::support::{PATIENCE, eventually, launch};
use labrig::managers::chaos::{WhatWasDone, Work};
use labrig::{Armed, Refusal, Rig};

fn launch_with(more: &str) -> Rig {
    launch(&format!(
        "[managers.bad]\nkind = \"chaos.sim\"\nrestart_policy = \"on-failure\"\nrestart_delay_ms = 1\n{more}"
    ))
}

fn work(rig: &Rig) -> Result<u64, Refusal> {
    rig.scope().request(Work { duration_ms: 0 }).map(|call| call.wait(PATIENCE).expect("done"))
}

fn until_inactive(rig: &Rig, generation: u32) {
    eventually("its next life", || {
        let status = status_of(rig, "bad");
        status.generation == generation && status.state == "inactive"
    });
}

#[test]
fn after_a_death_a_manager_with_hazardous_commands_refuses_them_until_it_is_armed() {
    let rig = launch_with("");
    assert_eq!(work(&rig), Ok(1));
    kill(&rig, "bad");
    until_inactive(&rig, 2);
    assert!(status_of(&rig, "bad").is_inactive);
    assert!(matches!(work(&rig), Err(Refusal::Inactive { .. })));
    // It runs, and does what harms nobody.
    assert_eq!(rig.scope().call(WhatWasDone {}).expect("it works").generation, 2);
    let arm = || rig.scope().arm("bad").expect("accepted").wait(PATIENCE);
    assert_eq!(arm(), Ok(Armed { manager: "bad".to_owned(), was_inactive: true }));
    assert_eq!(arm(), Ok(Armed { manager: "bad".to_owned(), was_inactive: false }));
    assert_eq!(work(&rig), Ok(1));
    eventually("the end of its work", || status_of(&rig, "bad").state == "ready");
    assert!(rig.shutdown().is_clean);
}

#[test]
fn it_comes_back_as_it_was_when_the_config_says_so() {
    let rig = launch_with("rearm = \"auto\"");
    kill(&rig, "bad");
    until_in_life(&rig, "bad", 2);
    assert_eq!(work(&rig), Ok(1));
    assert!(rig.shutdown().is_clean);
}

#[test]
fn hazardous_start_up_commands_are_put_off_until_it_is_armed() {
    let rig =
        launch_with("startup = [{ command = \"Work\", args = { duration_ms = 0 } }, { command = \"Drip\" }]");
    let done = || rig.scope().call(WhatWasDone {}).map(|done| (done.works, done.drips));
    assert_eq!(done(), Ok((1, 1)));
    kill(&rig, "bad");
    until_inactive(&rig, 2);
    assert_eq!(done(), Ok((0, 1)));
    rig.scope().arm("bad").expect("accepted").wait(PATIENCE).expect("armed");
    assert_eq!(done(), Ok((1, 1)));
    assert!(rig.shutdown().is_clean);
}

#[test]
fn it_stays_armed_through_a_restart_that_was_asked_for() {
    let rig = launch_with("");
    rig.scope().restart("bad").expect("accepted").wait(PATIENCE).expect("it is back");
    assert_eq!((status_of(&rig, "bad").generation, work(&rig)), (2, Ok(1)));
    assert!(!rig.shutdown().has_losses());
}

#[test]
fn it_stays_inactive_through_further_lives() {
    let rig = launch_with("");
    kill(&rig, "bad");
    until_inactive(&rig, 2);
    rig.scope().restart("bad").expect("accepted").wait(PATIENCE).expect("it is back");
    until_inactive(&rig, 3);
    assert!(matches!(work(&rig), Err(Refusal::Inactive { .. })));
    assert!(rig.shutdown().is_clean);
}

#[test]
fn self_checks_of_one_that_moves_are_refused_as_well_until_it_is_armed() {
    let rig = launch(
        "[managers.bad]\nkind = \"motor.sim\"\nrestart_policy = \"on-failure\"\nrestart_delay_ms = 1\n",
    );
    let checks = ["height_is_within_travel", "moves_and_comes_back"];
    let check = |name: &str| rig.scope().self_check("bad", name).map(|call| call.wait(PATIENCE));
    assert!(checks.iter().all(|name| check(name) == Ok(Ok(()))));
    kill(&rig, "bad");
    until_inactive(&rig, 2);
    for name in checks {
        assert!(matches!(check(name), Err(Refusal::Inactive { .. })), "it may move");
    }
    rig.scope().arm("bad").expect("accepted").wait(PATIENCE).expect("armed");
    assert!(checks.iter().all(|name| check(name) == Ok(Ok(()))));
    assert!(rig.shutdown().is_clean);
}

#[test]
fn self_checks_of_one_that_moves_nothing_run_in_every_life() {
    let rig = launch(
        "[managers.bad]\nkind = \"checker\"\nrestart_policy = \"on-failure\"\nrestart_delay_ms = 1\nrearm = \"manual\"\n",
    );
    kill(&rig, "bad");
    until_inactive(&rig, 2);
    assert_eq!(rig.scope().self_check("bad", "is_well").expect("accepted").wait(PATIENCE), Ok(()));
    assert!(rig.shutdown().is_clean);
}
