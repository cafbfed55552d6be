//! A runner outside any rig: whatever it is told, in whatever order, it does what the table of states says.

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestRng, TestRunner};

use super::commands::{ContinueProcedure, KillLevel, LaunchProcedure, Outcome, ProcedureError};
use super::entry::Order;
use super::runner::Runner;
use super::state::ProcedureState;
use super::taking::Terms;
use crate::prelude::*;
use crate::registry::detached::detached_context;

/// Far longer than anything here takes: only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The line of a procedure that fills its store.
const STALLED: &str = "stalled";

/// What a step is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Next,
    Sleep,
    Done,
    Fail,
}

type Line = (Sender<Deed>, Receiver<Deed>, Sender<u64>, Receiver<u64>);

/// How tests speak with the steps of their procedures, by the name in their inputs: what to do, and which step asks.
static LINES: LazyLock<Mutex<HashMap<String, Line>>> = LazyLock::new(Mutex::default);

fn line(name: &str) -> Line {
    let fresh = || {
        let ((tell, hear), (ask, asked)) = (bounded(0), unbounded());
        (tell, hear, ask, asked)
    };
    LINES.lock().entry(name.to_owned()).or_insert_with(fresh).clone()
}

/// Does what its test says.
#[derive(Serialize, Deserialize, Schema)]
struct Puppet {
    done: u64,
}

#[derive(Serialize, Deserialize, Schema)]
struct Strings {
    line: String,
}

#[procedure(kind = "puppet")]
impl Procedure for Puppet {
    type Inputs = Strings;
    type Output = u64;

    fn begin(_: &Strings, _: &mut StepContext) -> Result<Self, StepError> {
        Ok(Self { done: 0 })
    }

    fn step(&mut self, inputs: &Strings, context: &mut StepContext) -> Result<Step<u64>, StepError> {
        let (_, hear, ask, _) = line(&inputs.line);
        ask.send(context.step())?;
        let deed = loop {
            match hear.recv_timeout(Duration::from_millis(1)) {
                Ok(deed) => break deed,
                Err(_) => context.check()?,
            }
        };
        self.done += 1;
        if inputs.line == STALLED {
            // What has a tag is kept, so that the store grows.
            context.checkpoint("kept");
        }
        Ok(match deed {
            Deed::Next => Step::next(),
            Deed::Sleep => Step::Sleep(Duration::from_secs(3600)),
            Deed::Done => Step::Done(self.done),
            Deed::Fail => return Err(StepError::new("told to fail")),
        })
    }
}

/// A runner, and the one procedure in it that is played with.
struct Scene {
    runner: std::sync::Arc<Runner>,
    id: String,
    name: String,
}

fn order() -> Order {
    Order { by: "a test".into(), text: "because".into() }
}

fn open(folder: &Path) -> std::sync::Arc<Runner> {
    let scope = detached_context("runner").scope();
    Runner::open(&folder.join("store.sqlite"), "a test", scope, Terms { limit: 2, ..Terms::default() })
        .expect("it opens")
}

fn launching(name: &str) -> LaunchProcedure {
    let inputs = format!("{{\"line\":\"{name}\"}}");
    LaunchProcedure { kind: "puppet".into(), inputs, is_held: true, ..LaunchProcedure::default() }
}

impl Scene {
    fn new(folder: &Path, name: &str) -> Self {
        let runner = open(folder);
        let id = runner.launch(&launching(name)).expect("it is recorded").0;
        Self { runner, id, name: name.to_owned() }
    }

    fn state(&self) -> ProcedureState {
        self.runner.record(&self.id).expect("it is there").state
    }

    fn until(&self, state: ProcedureState) {
        let end = Instant::now() + PATIENCE;
        while self.state() != state {
            assert!(Instant::now() < end, "it is {}, not {state}", self.state());
            std::thread::yield_now();
        }
    }

    /// Waits until a step asks what to do; says which.
    fn step(&self) -> u64 {
        line(&self.name).3.recv_timeout(PATIENCE).expect("a step")
    }

    fn tell(&self, deed: Deed) {
        line(&self.name).0.send_timeout(deed, PATIENCE).expect("a step listens");
    }

    fn ask(&self, ask: Ask) -> Receiver<Outcome> {
        let (tell, told) = bounded(1);
        let respond = Box::new(move |outcome| tell.send(outcome).expect("somebody waits"));
        let (id, order) = (self.id.as_str(), order());
        match ask {
            Ask::Pause => self.runner.pause(id, &order, respond).expect("it is written"),
            Ask::Play => respond(self.runner.play(id, &order).expect("it is written")),
            Ask::Kill => self.runner.kill(id, KillLevel::NextStep, &order, respond).expect("it is written"),
            Ask::KillSoon => {
                self.runner.kill(id, KillLevel::NextYield, &order, respond).expect("it is written")
            }
        }
        told
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Pause,
    Play,
    Kill,
    KillSoon,
}

/// What the model knows: the state, which orders wait for the end of a step, and who is to be told what of them.
struct Model {
    state: ProcedureState,
    pauses: Vec<Receiver<Outcome>>,
    kills: Vec<Receiver<Outcome>>,
}

impl Model {
    fn settle(&mut self, pauses: Outcome, kills: Outcome) {
        let hear = |told: Receiver<Outcome>| told.recv_timeout(PATIENCE).expect("an answer");
        self.pauses.drain(..).for_each(|told| assert_eq!(hear(told), pauses));
        self.kills.drain(..).for_each(|told| assert_eq!(hear(told), kills));
    }

    /// Somebody asks for something, and hears of it as soon as it is so.
    fn ask(&mut self, ask: Ask, scene: &Scene) {
        use ProcedureState::{Created, Killed, Paused, Running, Waiting};
        let told = scene.ask(ask);
        let now = |expected| assert_eq!(told.recv_timeout(PATIENCE).expect("an answer"), expected, "{ask:?}");
        match (self.state, ask) {
            (Killed, Ask::Kill | Ask::KillSoon) => now(Outcome::Already),
            (state, Ask::Play) if state.is_final() => now(Outcome::NotInThisState),
            (state, _) if state.is_final() => now(Outcome::TooLate),
            (Running, Ask::Pause) => self.pauses.push(told),
            (Running, Ask::Kill) => self.kills.push(told),
            (Running, Ask::KillSoon) => {
                self.kills.push(told);
                self.state = Killed;
                self.settle(Outcome::TooLate, Outcome::Done);
            }
            (Running, Ask::Play) if !self.kills.is_empty() => now(Outcome::TooLate),
            (Running, Ask::Play) if !self.pauses.is_empty() => {
                now(Outcome::Done);
                self.settle(Outcome::TooLate, Outcome::TooLate);
            }
            (Running | Waiting, Ask::Play) => now(Outcome::Already),
            (Paused, Ask::Pause) => now(Outcome::Already),
            (Created | Waiting, Ask::Pause) => {
                now(Outcome::Done);
                self.state = Paused;
            }
            (Created | Paused, Ask::Play) => now(Outcome::Done),
            (Created | Waiting | Paused, Ask::Kill | Ask::KillSoon) => {
                now(Outcome::Done);
                self.state = Killed;
            }
            (state, ask) => unreachable!("{state} {ask:?}"),
        }
    }

    /// A step is told what to do; says whether another one follows.
    fn step(&mut self, deed: Deed) -> bool {
        use ProcedureState::{Excepted, Finished, Killed, Paused, Waiting};
        let (is_killed, is_paused) = (!self.kills.is_empty(), !self.pauses.is_empty());
        self.state = match deed {
            Deed::Done => Finished,
            // What a step fails of does not matter any more when it is to be killed.
            Deed::Fail if !is_killed => Excepted,
            _ if is_killed => Killed,
            _ if is_paused => Paused,
            Deed::Sleep => Waiting,
            Deed::Next | Deed::Fail => self.state,
        };
        match self.state {
            Finished | Excepted => self.settle(Outcome::TooLate, Outcome::TooLate),
            Killed => self.settle(Outcome::TooLate, Outcome::Done),
            Paused => self.settle(Outcome::Done, Outcome::Done),
            _ => return deed == Deed::Next,
        }
        false
    }
}

/// Something that happens to a procedure.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A step is told what to do, if one is being run.
    Told(Deed),
    Asked(Ask),
}

use Event::{Asked, Told};

/// One history, from a procedure that is held on.
fn check_history(events: &[Event]) {
    let folder = tempfile::tempdir().expect("a folder");
    // Steps are spoken with by name, and an earlier history that has failed may have left some.
    let name = folder.path().display().to_string();
    let scene = Scene::new(folder.path(), &name);
    let mut model = Model { state: ProcedureState::Created, pauses: Vec::new(), kills: Vec::new() };
    let (mut steps, mut rests_in_a_wait) = (0, false);
    for event in events {
        match *event {
            Told(deed) if model.state == ProcedureState::Running => {
                scene.tell(deed);
                rests_in_a_wait = deed == Deed::Sleep;
                if model.step(deed) {
                    steps += 1;
                    assert_eq!(scene.step(), steps + 1, "no step is skipped, and none is run again");
                } else if deed != Deed::Fail && !model.state.is_final() {
                    steps += 1;
                }
            }
            Told(_) => {}
            Asked(ask) => {
                let was = model.state;
                model.ask(ask, &scene);
                let is_let_go = matches!(was, ProcedureState::Created | ProcedureState::Paused);
                if is_let_go && ask == Ask::Play {
                    model.state =
                        if rests_in_a_wait { ProcedureState::Waiting } else { ProcedureState::Running };
                    if !rests_in_a_wait {
                        assert_eq!(scene.step(), steps + 1);
                    }
                }
            }
        }
        scene.until(model.state);
    }
    scene.runner.stop(PATIENCE);
}

fn some_event() -> impl Strategy<Value = Event> {
    let deed = prop_oneof![2 => Just(Deed::Next), 1 => Just(Deed::Sleep), 1 => Just(Deed::Done), 1 => Just(Deed::Fail)];
    let ask = prop_oneof![6 => Just(Ask::Pause), 12 => Just(Ask::Play), 1 => Just(Ask::Kill), 1 => Just(Ask::KillSoon)];
    prop_oneof![deed.prop_map(Told), ask.prop_map(Asked)]
}

/// A failure is told by the shortest history that shows it.
#[test]
fn pause_play_and_kill_in_every_order_do_what_the_model_says() {
    let times = std::env::var("LABRIG_STORM").map_or(1, |times| times.parse().unwrap_or(10));
    let config = ProptestConfig { cases: 60 * times, failure_persistence: None, ..ProptestConfig::default() };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let histories = vec(some_event(), 1..24);
    let played = TestRunner::new_with_rng(config, rng).run(&histories, |events| {
        check_history(&events);
        Ok(())
    });
    if let Err(failed) = played {
        panic!("{failed}");
    }
}

#[test]
fn any_two_orders_in_any_state_do_what_the_model_says() {
    let states: [&[Event]; 7] = [
        &[],
        &[Asked(Ask::Play)],
        &[Asked(Ask::Play), Asked(Ask::Pause), Told(Deed::Next)],
        &[Asked(Ask::Play), Told(Deed::Sleep)],
        &[Asked(Ask::Play), Told(Deed::Done)],
        &[Asked(Ask::Play), Told(Deed::Fail)],
        &[Asked(Ask::Kill)],
    ];
    let asks = [Ask::Pause, Ask::Play, Ask::Kill, Ask::KillSoon];
    for (state, first, second) in states.into_iter().flat_map(|state| {
        asks.into_iter().flat_map(move |first| asks.into_iter().map(move |second| (state, first, second)))
    }) {
        check_history(&[state, &[Asked(first), Asked(second), Told(Deed::Next)]].concat());
    }
}

#[test]
fn a_damaged_checkpoint_ends_the_procedure_and_the_one_before_is_offered_and_can_be_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scene = Scene::new(folder.path(), "damaged");
    scene.ask(Ask::Play);
    for step in 1..=3 {
        assert_eq!(scene.step(), step);
        scene.tell(Deed::Next);
    }
    assert_eq!(scene.step(), 4);
    scene.runner.stop(PATIENCE);
    let Scene { runner, id, name } = scene;
    drop(runner);
    let damage = "UPDATE checkpoints SET state = x'ff' WHERE step = 3";
    let store = rusqlite::Connection::open(folder.path().join("store.sqlite")).expect("a store");
    store.execute_batch(damage).expect("it can be damaged");
    drop(store);
    scene = Scene { runner: open(folder.path()), id, name };
    scene.runner.resume(true).expect("it can be read");
    scene.until(ProcedureState::Excepted);
    let text = scene.runner.record(&scene.id).expect("it is there").text;
    assert!(
        text.contains("after step 3") && text.contains("damaged") && text.ends_with("after step 2 can be"),
        "{text}"
    );
    let from = |checkpoint: &str| ContinueProcedure {
        id: scene.id.clone(),
        checkpoint: checkpoint.into(),
        by: "".into(),
    };
    match scene.runner.go_on(&from("")) {
        Err(ProcedureError::UnusableCheckpoint { step: 3, usable: Some(2), .. }) => {}
        other => panic!("{other:?}"),
    }
    match scene.runner.go_on(&from("9")) {
        Err(ProcedureError::UnknownCheckpoint { known, .. }) => assert_eq!(known, ["0", "1", "2", "3"]),
        other => panic!("{other:?}"),
    }
    let id = scene.runner.go_on(&from("2")).expect("it can be used").0;
    assert_eq!(scene.step(), 3);
    scene.tell(Deed::Done);
    scene = Scene { id, ..scene };
    scene.until(ProcedureState::Finished);
    assert_eq!(scene.runner.record(&scene.id).expect("it is there").output.as_deref(), Some("3"));
    scene.runner.stop(PATIENCE);
}

#[test]
fn deadlines_of_a_step_and_of_a_procedure_end_it_and_say_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let runner = open(folder.path());
    for (limits, expected) in
        [((0, 20), "step 1 was not done within its deadline of 20 ms"), ((30, 0), "deadline of 30 ms")]
    {
        let (deadline_ms, step_deadline_ms) = limits;
        let command =
            LaunchProcedure { is_held: false, deadline_ms, step_deadline_ms, ..launching("overdue") };
        let scene = Scene {
            runner: std::sync::Arc::clone(&runner),
            id: runner.launch(&command).expect("it is recorded").0,
            name: "overdue".into(),
        };
        assert_eq!(scene.step(), 1);
        scene.until(ProcedureState::Excepted);
        let record = runner.record(&scene.id).expect("it is there");
        assert!(record.text.contains(expected), "{record:?}");
    }
    runner.stop(PATIENCE);
}

#[test]
fn a_store_that_takes_nothing_stalls_the_procedure_where_it_was_and_it_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = Scene::new(folder.path(), STALLED);
    scene.ask(Ask::Play);
    assert_eq!(scene.step(), 1);
    scene.runner.store.limit_pages(1);
    // Pages that are there may have room for a step or two.
    let mut step = 1;
    while scene.state() != ProcedureState::Paused {
        scene.tell(Deed::Next);
        let next = line(&scene.name).3.recv_timeout(Duration::from_millis(200));
        step = next.unwrap_or(step);
        assert!(step < 100_000, "the store is never full");
    }
    let record = scene.runner.record(&scene.id).expect("it is there");
    assert!(record.text.contains("the disk is full"), "{record:?}");
    assert_eq!(record.step, Some(step - 1), "what was acknowledged is kept");
    scene.runner.store.limit_pages(1_000_000);
    assert_eq!(scene.ask(Ask::Play).recv_timeout(PATIENCE), Ok(Outcome::Done));
    assert_eq!(scene.step(), step, "what was not is run again");
    scene.tell(Deed::Done);
    scene.until(ProcedureState::Finished);
    scene.runner.stop(PATIENCE);
}
