//! What `#[manager]` registers: handlers, timers and frame handlers that can be called.

use std::time::Duration;

use labrig::prelude::*;
use labrig::registry::{HandlerTable, Handles, Incoming, KindDescription, KindRegistration};
use labrig::wire::{CodecId, FailureKind};

use super::{call, call_by, context};

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = f64)]
struct MoveTo {
    height_um: f64,
}

#[derive(Command, Serialize, Deserialize, Schema)]
struct Home;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = f64)]
struct AskHeight {}

#[derive(Command, Serialize, Deserialize, Schema)]
struct Calibrate;

#[derive(Default)]
struct Stage {
    height_um: f64,
    ticks: u32,
    unmarked: u32,
}

#[derive(Deserialize, Schema)]
struct StageConfig {
    start_um: f64,
}

impl Manager for Stage {
    type Config = StageConfig;

    fn setup(config: StageConfig, _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self { height_um: config.start_um, ..Self::default() })
    }
}

#[manager(kind = "stage.test")]
impl Stage {
    const TOP_UM: f64 = 200.0;

    #[ipc_command]
    fn move_to(
        &mut self,
        MoveTo { height_um }: MoveTo,
        _context: &mut Context,
    ) -> Result<f64, std::io::Error> {
        self.height_um = height_um.min(Self::TOP_UM);
        Ok(self.height_um)
    }

    #[labrig::ipc_command]
    fn home(&mut self, _: Home) {
        self.height_um = 0.0;
        self.count_unmarked();
    }

    #[ipc_command]
    fn ask_height(&self, _: AskHeight) -> f64 {
        self.height_um
    }

    #[cfg(not(unix))]
    #[ipc_command]
    fn calibrate(&mut self, _: Calibrate) {}

    #[cfg(unix)]
    #[ipc_command]
    fn calibrate(&mut self, _: Calibrate) {}

    fn count_unmarked(&mut self) {
        self.unmarked += 1;
    }

    #[every(milliseconds = 20)]
    fn publish(&mut self, _context: &mut Context) {
        self.ticks += 1;
    }

    #[every(microseconds = 500)]
    fn fail_always(&mut self) -> std::io::Result<()> {
        Err(std::io::Error::other("no light"))
    }

    #[every(seconds = 3)]
    fn read(&self) {}

    /// The stage is at its lower end
    /// when it is switched on.
    #[self_check]
    fn is_home(&mut self) -> Result<(), std::io::Error> {
        match self.height_um {
            0.0 => Ok(()),
            height_um => Err(std::io::Error::other(format!("at {height_um} µm"))),
        }
    }

    #[self_check]
    fn r#loop(&mut self, context: &mut Context) {
        assert_eq!(context.manager(), "by hand");
    }

    #[cfg(not(unix))]
    #[self_check]
    fn has_a_registry(&self) {}

    #[on_frame(input = "video")]
    fn look(&mut self, _frame: &Frame, _context: &mut Context) -> Result<(), String> {
        Ok(())
    }

    #[on_frame]
    fn on_thermal(&mut self, _frame: &Frame<'_>) {}

    #[on_frame]
    fn side_view(&mut self, _: &Frame) {}
}

fn table() -> HandlerTable<Stage> {
    Stage::table()
}

#[test]
fn handlers_stand_in_source_order_with_their_lines() {
    let handlers = table().handlers;
    let methods: Vec<_> = handlers.iter().map(|handler| handler.method).collect();
    assert_eq!(methods, ["move_to", "home", "ask_height", "calibrate"]);
    let description = KindDescription::of::<Stage>();
    assert_eq!(
        (description.path.as_str(), description.kind.as_str()),
        ("derives::blocks::Stage", "stage.test")
    );
    let line =
        |text: &str| 1 + include_str!("blocks.rs").lines().position(|line| line.contains(text)).unwrap_or(0);
    assert_eq!(description.site.line as usize, line("impl Stage {"));
    assert_eq!(handlers[0].line as usize, line("fn move_to("));
    assert_eq!(handlers[0].file, "tests/derives/blocks.rs");
    assert!(handlers.iter().all(|handler| handler.role.is_none()) && description.roles.is_empty());
    assert_eq!(description.config.fields()[0].name, "start_um");
}

#[test]
fn a_handler_is_called_by_either_codec() {
    for codec in [CodecId::Postcard, CodecId::Json] {
        let mut stage = Stage::default();
        let handlers = table().handlers;
        assert_eq!(call_by(&handlers, &mut stage, &MoveTo { height_um: 12.0 }, codec), Ok(12.0));
        assert_eq!(call_by(&handlers, &mut stage, &AskHeight {}, codec), Ok(12.0));
        assert_eq!(call_by(&handlers, &mut stage, &Home, codec), Ok(()));
        assert_eq!((stage.height_um, stage.unmarked), (0.0, 1));
    }
}

#[test]
fn a_handler_does_not_run_on_bytes_that_are_not_its_command() {
    let mut stage = Stage { height_um: 5.0, ..Stage::default() };
    let incoming =
        Incoming { payload: b"{\"height\":1.0}", attached: None, codec: CodecId::Json, wants_reply: true };
    let failure = (table().handlers[0].invoke)(&mut stage, incoming, &mut context());
    assert_eq!(failure.map_err(|failure| failure.kind), Err(FailureKind::Malformed));
    assert_eq!(stage.height_um, 5.0);
}

#[test]
fn timers_have_their_periods_and_may_fail() {
    let timers = table().timers;
    let periods: Vec<_> = timers.iter().map(|timer| (timer.method, timer.period)).collect();
    let expected = [
        ("publish", Duration::from_millis(20)),
        ("fail_always", Duration::from_micros(500)),
        ("read", Duration::from_secs(3)),
    ];
    assert_eq!(periods, expected);
    let mut stage = Stage::default();
    assert!((timers[0].run)(&mut stage, &mut context()).is_ok());
    assert_eq!(stage.ticks, 1);
    let failure = (timers[1].run)(&mut stage, &mut context()).map_err(|failure| failure.text);
    assert_eq!(failure, Err("no light".to_owned()));
}

#[test]
fn self_checks_are_described_and_nothing_else_can_be_called_by_name() {
    let checks = KindDescription::of::<Stage>().self_checks;
    let names: Vec<_> = checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["is_home", "loop"]);
    assert_eq!(checks[0].doc, "The stage is at its lower end\nwhen it is switched on.");
    assert_eq!(checks[0].site.file, "tests/derives/blocks.rs");
    let line = include_str!("blocks.rs").lines().position(|line| line.contains("fn is_home("));
    assert_eq!(Some(checks[0].site.line as usize - 1), line);
}

#[test]
fn a_self_check_passes_or_says_why_not() {
    let (mut stage, checks) = (Stage::default(), table().checks);
    assert_eq!((checks[0].run)(&mut stage, &mut context()), Ok(()));
    assert_eq!((checks[1].run)(&mut stage, &mut context()), Ok(()));
    let registration = KindRegistration::find("stage.test").expect("the kind is registered");
    let mut stage = (registration.start)(b"{\"start_um\":3.0}", &mut context()).expect("the stage starts");
    assert_eq!(stage.self_checks(), ["is_home", "loop"]);
    let failure = stage.self_check(0, &mut context()).map_err(|failure| failure.text);
    assert_eq!(failure, Err("at 3 µm".to_owned()));
}

#[test]
fn an_input_is_called_as_given_or_like_its_method() {
    let inputs: Vec<_> = table().frames.iter().map(|frames| (frames.method, frames.input)).collect();
    assert_eq!(inputs, [("look", "video"), ("on_thermal", "thermal"), ("side_view", "side_view")]);
}

#[test]
fn the_kind_is_found_by_its_name_and_set_up_from_its_table() {
    let registration = KindRegistration::find("stage.test").expect("the kind is registered");
    let mut stage = (registration.start)(b"{\"start_um\":3.0}", &mut context()).expect("the stage starts");
    let ask = stage.commands().iter().position(|spec| spec.name == "AskHeight").expect("it is handled");
    let incoming = Incoming { payload: b"{}", attached: None, codec: CodecId::Json, wants_reply: true };
    assert_eq!(stage.handle(ask, incoming, &mut context()), Ok(b"3.0".to_vec().into()));
    assert!((registration.start)(b"{}", &mut context()).is_err());
}

#[test]
fn handlers_stay_ordinary_methods() {
    let mut stage = Stage::default();
    stage.home(Home);
    assert_eq!(stage.move_to(MoveTo { height_um: 300.0 }, &mut context()).ok(), Some(200.0));
    assert_eq!(call(&table().handlers, &mut stage, &Calibrate), Ok(()));
}
