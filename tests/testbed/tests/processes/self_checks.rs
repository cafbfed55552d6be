//! Self-checks: called by name inside their manager, in a rig that runs and in one with that manager alone.

use std::time::Duration;

use crate::support::{PATIENCE, end_cleanly, launch, topology};
use labrig::{CallError, LaunchError, Refusal, Rig, RunSummary};
use labrig_testbed::commands::*;

const RIG: &str = "[managers.device]\nkind = \"checker\"\nafter = [\"helper\"]\n[managers.helper]\nkind = \"worker\"\n\
                   startup = [{ command = \"Note\", args = { number = 1 } }]\n";

fn run(rig: &Rig, manager: &str, check: &str) -> Result<(), CallError> {
    rig.scope().self_check(manager, check).map_err(CallError::from).and_then(|pending| pending.wait(PATIENCE))
}

fn check_fails(rig: &Rig, check: &str, expected: &str) {
    let text = run(rig, "device", check).expect_err("it fails").to_string();
    assert!(text.contains(expected), "`{text}` does not say `{expected}`");
}

fn launch_alone(config: &str, manager: &str) -> Result<Rig, LaunchError> {
    Rig::builder(topology(config)).alone(manager).launch()
}

#[test]
fn a_self_check_runs_inside_its_manager_and_tells_whether_it_passed() {
    let rig = launch(RIG);
    run(&rig, "device", "is_well").expect("it is");
    run(&rig, "device", "others_answer").expect("they do");
    check_fails(&rig, "panics", "the shutter is stuck");
    run(&rig, "device", "is_well").expect("a check that panics ends that check alone");
    end_cleanly(rig);
    let rig = launch(&format!("{RIG}[managers.device.config]\nis_ill = true"));
    let error = run(&rig, "device", "is_well").expect_err("it is not");
    assert_eq!(error.downcast::<TestError>(), Some(TestError::Told { code: 13 }));
    end_cleanly(rig);
}

#[test]
fn nothing_but_what_is_marked_can_be_called_by_its_name() {
    let rig = launch(RIG);
    for name in ["open_the_door", "ask_whether_ill", "", "is_well ", "ISWELL"] {
        let there_are = "`is_well`, `others_answer`, `panics`, `takes_for_ever`";
        check_fails(&rig, name, &format!("there is no self-check `{name}`; there are {there_are}"));
    }
    let refused = rig.scope().self_check("helper", "is_well").map(drop).expect_err("a worker has none");
    assert!(matches!(&refused, Refusal::NotServed { candidates, .. } if candidates[0].as_str() == "device"));
    let refused = rig.scope().self_check("nobody", "is_well").map(drop).expect_err("there is nobody");
    assert!(matches!(refused, Refusal::Absent { .. }), "{refused}");
    end_cleanly(rig);
}

#[test]
fn a_self_check_is_cancelled_like_any_call() {
    let rig = launch(RIG);
    let pending = rig.scope().self_check("device", "takes_for_ever").expect("accepted");
    crate::support::until_begun(&pending);
    pending.cancel();
    assert!(matches!(pending.wait(PATIENCE), Err(CallError::Cancelled { .. })));
    run(&rig, "device", "is_well").expect("the manager goes on");
    end_cleanly(rig);
}

#[test]
fn a_manager_that_is_started_alone_finds_nobody_else() {
    let rig = launch_alone(RIG, "device").expect("it starts");
    let status = rig.status().expect("it runs");
    assert_eq!(status.managers.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["device"]);
    run(&rig, "device", "is_well").expect("it is");
    check_fails(&rig, "others_answer", "no manager is called `helper` in this rig");
    let refused = rig.scope().send(Note { number: 1 }).expect_err("nobody serves it");
    assert!(matches!(refused, Refusal::Absent { .. }), "{refused}");
    let summary: RunSummary = end_cleanly(rig);
    assert_eq!(summary.managers.len(), 1);
}

#[test]
fn a_manager_that_is_started_alone_gets_its_start_up_commands_from_every_table() {
    let given = "startup = [{ command = \"Note\", args = { number = 2 }, to = \"helper\" }]\n";
    let rig = launch_alone(&RIG.replace("[managers.helper]", &format!("{given}[managers.helper]")), "helper");
    let rig = rig.expect("it starts");
    let mut notes = rig.scope().request(Notes {}).expect("accepted").wait(PATIENCE).expect("done");
    notes.sort_unstable();
    assert_eq!(notes, [1, 2]);
    end_cleanly(rig);
}

#[test]
fn a_manager_that_is_checked_cannot_end_the_rig() {
    let rig = launch_alone(&format!("{RIG}[managers.device.config]\nquits = true"), "device");
    let rig = rig.expect("it starts");
    for _ in 0..20 {
        run(&rig, "device", "is_well").expect("the rig goes on");
    }
    assert!(!rig.wait(Some(Duration::ZERO)));
    end_cleanly(rig);
}

#[test]
fn a_manager_that_there_is_not_cannot_be_started_alone() {
    let error = launch_alone(RIG, "camera").map(drop).expect_err("there is no camera");
    let text = error.to_string();
    assert_eq!(text, "no manager is called `camera` in this rig; there are `device`, `helper`");
}
