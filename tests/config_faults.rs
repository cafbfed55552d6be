//! What a config can get wrong: each mistake alone, and all at once in `config/faulty.toml`.

mod golden;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use golden::check_golden;
use labrig::config::{Code, FaultKind, ReadMode, Report, Topology};
use labrig::registry::CommandRegistry;

const GOOD: &str = r#"
schema = 1
[rig]
name = "bench"
default_deadline_ms = 750
[managers.camera]
kind = "camera.sim"
program = "./bin/../bin/my-cameras"
args = ["--port", "3"]
after = ["motor"]
groups = ["imaging"]
env = { VENDOR_HOME = "/opt/vendor" }
env_remove = ["LD_PRELOAD"]
library_path = ["lib", "/opt/vendor/lib"]
working_dir = "."
startup = [{ command = "SetExposure", args = { exposure_ms = 5.0 } }, { command = "Home", to = "motor" }]
queue = { depth = 64, when_full = "refuse" }
limits = { envelopes_per_s = 1000 }
safe_deadline_ms = 300
[managers.camera.config]
path = "frames/"
[managers.motor]
kind = "motor.sim"
optional = true
[managers.tracker]
kind = "tracker"
inputs = { video = "preview" }
[streams.preview]
producer = "camera"
slots = 8
readers = { tracker = "lossless" }
"#;

fn check_codes(topology: &Topology, expected: &[(&str, u32)]) {
    let report = Report::new(topology.resolve().faults);
    let found: Vec<_> = report.faults().iter().map(|it| (it.code.text(), it.parties[0].site.line)).collect();
    assert_eq!(found, expected, "{report}");
}

fn check(text: &str, expected: &[(&str, u32)]) {
    check_codes(&Topology::from_toml(text), expected);
}

/// Checks lines that are added to the table of a camera, which begins in line 2.
fn check_manager(lines: &str, expected: &[(&str, u32)]) {
    let text = format!("schema = 1\n[managers.camera]\nkind = 'camera.sim'\n{lines}\n");
    check(&text, expected);
}

/// What `labrig check config/faulty.toml` reports. Lines of labrig's own sources are left out: they move.
fn faulty() -> Report {
    let resolution = Topology::from_file("config/faulty.toml").expect("it is part of the project").resolve();
    let registry = CommandRegistry::of_this_program();
    let mut faults = resolution.faults;
    faults.extend(registry.validate(&resolution.plan, &[]));
    for party in faults.iter_mut().flat_map(|fault| &mut fault.parties) {
        if party.site.file != "config/faulty.toml" {
            party.site.line = 0;
        }
    }
    Report::new(faults)
}

#[test]
fn every_mistake_of_the_faulty_config_is_reported_in_one_go() {
    check_golden("faulty.txt", &format!("{}\n", faulty()));
    let json = serde_json::to_string_pretty(&faulty().to_json()).expect("JSON");
    check_golden("faulty.json", &format!("{json}\n"));
}

#[test]
fn every_line_of_the_faulty_config_that_names_a_code_gets_it() {
    let text = std::fs::read_to_string("config/faulty.toml").expect("it is part of the project");
    let mut announced = BTreeSet::new();
    for (line, comment) in (1..).zip(text.lines().map(|line| line.split_once('#').map_or("", |it| it.1))) {
        let codes = comment.match_indices('L').filter_map(|(at, _)| comment.get(at..at + 4));
        announced.extend(codes.filter(|it| it[1..].parse::<u32>().is_ok()).map(|it| (line, it.to_owned())));
    }
    let report = faulty();
    let found = report.faults().iter().map(|it| (it.parties[0].site.line, it.code.text().to_owned()));
    assert_eq!(found.collect::<BTreeSet<_>>(), announced);
}

#[test]
fn the_faulty_config_has_every_config_mistake_that_leaves_a_file_readable() {
    let found: BTreeSet<_> = faulty().faults().iter().map(|fault| fault.code).collect();
    let apart = [Code::Syntax, Code::BadOverride, Code::NoManagers, Code::EnvironmentUnreadable];
    let all = Code::ALL.iter().filter(|code| code.kind() == FaultKind::Config && !apart.contains(code));
    let lacking: Vec<_> = all.filter(|code| !found.contains(code)).collect();
    assert!(lacking.is_empty(), "{lacking:?}");
}

#[test]
fn a_good_config_becomes_a_plan_without_faults() {
    let resolution = Topology::from_toml(GOOD).resolve();
    assert!(resolution.faults.is_empty(), "{:#?}", resolution.faults);
    let plan = resolution.plan;
    assert_eq!((plan.name.as_str(), plan.default_deadline), ("bench", Duration::from_millis(750)));
    assert_eq!((plan.quit_deadline, plan.start_deadline), (Duration::from_secs(5), Duration::from_secs(10)));
    let names: Vec<_> = plan.managers.iter().map(|manager| manager.name.as_str()).collect();
    assert_eq!(names, ["camera", "motor", "tracker"]);
    assert_eq!(plan.start_order(), [1, 0, 2]);
    let camera = &plan.managers[0];
    assert_eq!((camera.queue_depth, camera.limits.envelopes_per_s), (64, 1000));
    assert_eq!(
        (camera.safe_deadline, plan.managers[1].safe_deadline.as_millis()),
        (Duration::from_millis(300), 200)
    );
    assert_eq!(plan.managers.iter().map(|it| it.is_optional).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(
        camera.startup.iter().map(|it| it.command.as_str()).collect::<Vec<_>>(),
        ["SetExposure", "Home"]
    );
    assert_eq!(camera.startup[1].to.as_deref(), Some("motor"));
    assert_eq!(camera.config.get("path").and_then(|path| path.text()), Some("frames/"));
    let stream = &plan.streams[plan.stream("preview").expect("it is there")];
    assert_eq!((stream.slots, stream.max_frame_bytes), (8, 4 << 20));
    assert_eq!(stream.mode(&plan.managers[2].name), ReadMode::Lossless);
    assert_eq!(stream.mode(&plan.managers[1].name), ReadMode::Latest);
}

#[test]
fn resolving_again_gives_the_same() {
    let topology = Topology::from_file("config/faulty.toml").expect("it is there");
    let (first, second) = (topology.resolve(), topology.resolve());
    assert_eq!(first.faults, second.faults);
    assert_eq!(format!("{:?}", first.plan), format!("{:?}", second.plan));
}

#[test]
fn paths_start_from_the_folder_of_the_file_and_on_the_command_line_from_the_working_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("Rig one.toml");
    std::fs::write(&file, GOOD.replace("name = \"bench\"", "")).expect("a written file");
    let topology =
        Topology::from_file(&file).expect("a readable file").set("managers.motor.program", "./motors");
    let plan = topology.program("rigs/main").resolve().plan;
    let here = std::env::current_dir().expect("a working folder");
    assert_eq!(plan.source.as_deref(), Some(&*file));
    assert_eq!(plan.name, "rig", "the name of the file cannot be the name of a rig");
    let programs: Vec<_> = plan.managers.iter().map(|it| it.program.as_deref().expect("a program")).collect();
    let expected = [folder.path().join("bin/../bin/my-cameras"), here.join("motors"), here.join("rigs/main")];
    assert_eq!(programs, expected.each_ref().map(|path| path.as_path()));
    let environment = &plan.managers[0].environment;
    assert_eq!(
        environment.library_path,
        [folder.path().join("lib"), Path::new("/opt/vendor/lib").to_owned()]
    );
    assert_eq!(environment.working_dir.as_deref(), Some(folder.path()));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Topology::from_file("config/absent.toml").expect_err("no such file");
    assert_eq!(error.to_string(), "cannot read the config `config/absent.toml`");
}

#[test]
fn syntax_errors_come_all_at_once_and_alone() {
    check("schema = \nb = 1\nb = 2\n[rig\nname = 'a'\n", &[("L001", 1), ("L001", 3), ("L001", 4)]);
}

#[test]
fn a_rig_needs_managers() {
    check("schema = 1", &[("L021", 0)]);
    check("schema = 1\n[managers]", &[("L021", 0)]);
    check("schema = 1\n[manager.camera]\nkind = 'camera.sim'", &[("L003", 2)]);
    check("schema = 1\nmanagers = 3", &[("L005", 2)]);
    check("", &[("L004", 0), ("L021", 0)]);
}

#[test]
fn keys_are_used_or_refused() {
    check_manager("kinds = 'a'", &[("L003", 4)]);
    check_manager("nice = 5\ncpus = [1]\nrearm = 'manual'\nlease_ms = 250\non_panic = 'restart'", &[]);
    check_manager(
        "restart_policy = 'always'\nmax_restarts = 5\nrestart_window_s = 60\nsafe_program = ['x']",
        &[],
    );
    check_manager(
        "restart_policy = 'sometimes'\nnice = 20\nwatchdog_ms = -1",
        &[("L008", 4), ("L006", 5), ("L007", 6)],
    );
}

#[test]
fn a_unit_that_was_mistaken_is_recognised() {
    let fault =
        &Topology::from_toml("schema = 1\n[managers.a]\nkind = 'k'\nwatchdog_s = 2").resolve().faults[0];
    assert!(fault.hint.as_deref().is_some_and(|hint| hint.starts_with("did you mean `watchdog_ms`")));
}

#[test]
fn values_have_the_right_type_and_stay_within_bounds() {
    check_manager("args = 'x'", &[("L005", 4)]);
    check_manager("args = ['x', 1,\n false]", &[("L005", 4), ("L005", 5)]);
    check_manager("env = { A = 1 }", &[("L005", 4)]);
    check_manager("queue.depth = 0", &[("L006", 4)]);
    check_manager("queue.depth = 65537", &[("L006", 4)]);
    check_manager("queue.depth = 4294967296", &[("L007", 4)]);
    check_manager("safe_deadline_ms = 1.0", &[("L005", 4)]);
    check_manager("limits = { bytes_per_s = 0 }", &[("L006", 4)]);
    check_manager("startup = [{ command = 'Home', args = [1] }, 3]", &[("L005", 4)]);
    check_manager("config = { anything = [1, { goes = true }] }", &[]);
}

#[test]
fn names_are_checked_where_they_are_given() {
    check_manager("groups = ['Imaging', 'all']", &[("L020", 4), ("L020", 4)]);
    check_manager("[streams.'my stream']\nproducer = 'camera'", &[("L020", 4)]);
    check_manager("[managers.'']\nkind = 'camera.sim'", &[("L020", 4)]);
    check_manager("[managers.scope]\nkind = 'camera.sim'", &[("L020", 4)]);
}

#[test]
fn names_lead_somewhere() {
    check_manager("after = ['camera']", &[("L024", 4)]);
    check_manager("after = ['other']", &[("L022", 4)]);
    check_manager("startup = [{ command = 'Home', to = 'other' }]", &[("L022", 4)]);
    check_manager("inputs = { video = 'video' }", &[("L023", 4)]);
    check_manager("[streams.video]\nproducer = 'cam'", &[("L022", 5)]);
    check_manager("[streams.video]\nproducer = 'camera'\nreaders.cam = 'latest'", &[("L022", 6)]);
}

#[test]
fn every_cycle_is_spelled_out() {
    let manager = |name: &str, after: &str| format!("[managers.{name}]\nkind = 'k'\nafter = ['{after}']\n");
    let text = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "d")].map(|(name, after)| manager(name, after));
    let faults = Topology::from_toml(format!("schema = 1\n{}", text.concat())).resolve().faults;
    let messages: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
    let expected = ["managers wait for each other: a → b → c → a", "managers wait for each other: d → d"];
    assert_eq!(messages, expected);
    let lines: Vec<_> = faults[0].parties.iter().map(|party| party.site.line).collect();
    assert_eq!(lines, [4, 7, 10]);
}

#[test]
fn a_ring_has_room_for_all_its_readers() {
    let rig = |slots: u32| {
        let managers = ["a", "b", "c"].map(|name| format!("[managers.{name}]\nkind = 'k'\n")).concat();
        format!(
            "schema = 1\n{managers}[streams.s]\nproducer = 'a'\nreaders = {{ b = 'latest', c = 'latest' }}\nslots = {slots}"
        )
    };
    check(&rig(4), &[("L028", 11)]);
    check(&rig(5), &[]);
    check(&rig(1025), &[("L006", 11)]);
}

#[test]
fn a_process_is_given_only_what_the_system_can_carry() {
    check_manager("env = { '' = 'a' }", &[("L029", 4)]);
    check_manager("env = { A = \"a\\u0000\" }", &[("L029", 4)]);
    check_manager("env_remove = ['A=B']", &[("L029", 4)]);
    check_manager("program = \"a\\u0000\"\nworking_dir = \"\\u0000\"", &[("L029", 4), ("L029", 5)]);
    check_manager("library_path = ['a:b']", &[("L029", 4)]);
}

#[test]
fn a_value_can_be_set_over_the_file() {
    let topology = Topology::from_toml(GOOD)
        .set("managers.camera.config.path", "2026")
        .set("managers.camera.queue.depth", "2")
        .set("managers.camera.startup.0.args.exposure_ms", "7")
        .set("managers.motor.env.MOTOR", "7")
        .set("managers.extra.kind", "tracker")
        .set("rig.name", "4x-lens")
        .set("rig.name", "x4");
    check_codes(&topology, &[]);
    let plan = topology.resolve().plan;
    assert_eq!((plan.name.as_str(), plan.managers.len()), ("x4", 4));
    assert_eq!(plan.managers[0].queue_depth, 2);
    assert_eq!(plan.managers[0].config.get("path").and_then(|path| path.text()), Some("2026"));
    assert_eq!(plan.managers[plan.manager("motor").expect("a motor")].environment.set["MOTOR"], "7");
}

#[test]
fn a_value_that_cannot_be_set_is_a_fault_at_its_flag() {
    let good = Topology::from_toml(GOOD);
    check_codes(&good.clone().set("managers.camera.knid", "x"), &[("L003", 0)]);
    check_codes(&good.clone().set("managers.camera.kind.x", "x"), &[("L010", 0)]);
    check_codes(&good.clone().set("managers.camera.args.9", "x"), &[("L010", 0)]);
    check_codes(&good.clone().set("managers..kind", "x"), &[("L010", 0)]);
    check_codes(&good.clone().set("", "x"), &[("L010", 0)]);
    check_codes(&good.clone().set("managers.camera.queue.depth", "many"), &[("L005", 0)]);
    check_codes(&good.clone().set("rig.default_deadline_ms", "nan"), &[("L002", 0)]);
    let faults = good.set("managers.camera.knid", "x").resolve().faults;
    assert_eq!(faults[0].parties[0].site.to_string(), "--set managers.camera.knid");
}

#[test]
fn no_text_makes_the_reader_panic() {
    let text = std::fs::read_to_string("config/faulty.toml").expect("it is part of the project");
    let resolve = |text: String| drop(Topology::from_toml(text).resolve());
    for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
        resolve(text[..at].to_owned());
        let (before, after) = (&text[..at], &text[at..]);
        let rest = after.chars().next().map_or("", |first| &after[first.len_utf8()..]);
        let change = ["", "[", "]", "\"", ".", "\n", "=", "0", "-", "é"][at % 10];
        resolve(format!("{before}{change}{rest}"));
    }
}

#[test]
fn the_manual_explains_every_code() {
    let manual = std::fs::read_to_string("config/README.md").expect("it is part of the project");
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        cells.get(1).is_some_and(|code| code.len() == 4 && code.starts_with('L')).then_some(cells)
    };
    let rows: Vec<_> = manual.lines().filter_map(row).collect();
    let described: Vec<_> = rows.iter().map(|cells| (cells[1].as_str(), cells[2].as_str())).collect();
    let known: Vec<_> = Code::ALL.iter().map(|code| (code.text(), code.title())).collect();
    assert_eq!(described, known);
    assert!(rows.iter().all(|cells| cells.len() == 6 && !cells[3].is_empty() && !cells[4].is_empty()));
}

// --- pools ---

#[test]
fn a_pool_has_a_number_of_instances_that_can_be() {
    check_manager("instances = 0", &[("L006", 4)]);
    check_manager("instances = 65", &[("L006", 4)]);
    check_manager("instances = 64", &[]);
}

#[test]
fn a_pool_whose_instances_cannot_have_their_names_is_refused() {
    let other = "instances = 2\n[managers.camera-2]\nkind = 'camera.sim'";
    check_manager(other, &[("L020", 4)]);
    let long = format!("schema = 1\n[managers.{}]\nkind = 'tracker'\ninstances = 1", "a".repeat(39));
    check(&long, &[("L020", 4)]);
}

#[test]
fn a_pool_fills_no_stream() {
    check_manager("instances = 2\n[streams.video]\nproducer = 'camera'", &[("L032", 5)]);
}

#[test]
fn the_config_speaks_of_a_pool_as_a_whole() {
    check_manager(
        "instances = 2\n[managers.motor]\nkind = 'motor.sim'\nafter = ['camera-1']",
        &[("L022", 7)],
    );
}

#[test]
fn a_pool_is_expanded_wherever_it_is_named() {
    let text = "schema = 1\n[managers.worker]\nkind = 'tracker'\ninstances = 11\ninputs = { video = 'film' }\n\
        [managers.camera]\nkind = 'camera.sim'\nafter = ['worker']\n\
        startup = [{ command = 'Go', to = 'worker' }]\n\
        [streams.film]\nproducer = 'camera'\nslots = 16\nreaders = { worker = 'lossless' }";
    let resolution = Topology::from_toml(text).resolve();
    assert!(resolution.faults.is_empty(), "{:?}", resolution.faults);
    let plan = resolution.plan;
    let workers: Vec<_> = plan.managers.iter().filter(|it| it.pool.is_some()).collect();
    assert_eq!(workers.len(), 11);
    assert!(workers.iter().all(|it| it.kind == "tracker" && it.name_in_config().as_str() == "worker"));
    for number in 1..=11 {
        let name = format!("worker-{number}");
        assert!(plan.manager(&name).is_some(), "`{name}` is found");
    }
    let camera = &plan.managers[plan.manager("camera").expect("it is there")];
    assert_eq!((camera.after.len(), camera.startup.len(), plan.streams[0].readers.len()), (11, 11, 11));
    let few = text.replace("slots = 16", "slots = 13");
    let report = Report::new(Topology::from_toml(few).resolve().faults);
    assert_eq!(report.faults().len(), 1, "each instance reads: {report}");
}
