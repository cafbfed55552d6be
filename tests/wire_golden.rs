//! The bytes of everything that crosses a process boundary, pinned in `golden/wire.txt`.
//!
//! Postcard encodes by position: a variant inserted in the middle turns a sent `Home` into a `Park`, with no
//! error anywhere. Whoever changes a pinned type raises `PROTOCOL_VERSION` and pins it anew
//! (`LABRIG_BLESS=1 cargo test --test wire_golden`); a variant that is appended only adds lines.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use labrig::prelude::*;
use labrig::registry::{
    HandlerDescription, InputDescription, KindDescription, Manifest, ScopeDescription, SelfCheckDescription,
    SharedDescription, SignalSetDescription,
};
use labrig::remote::scope::Ping;
use labrig::remote::{Arm, ForgetDeeds, OfferTask, PlaceTask, Restart, SelfCheck, StopAll, WhichHaveEnded};
use labrig::wire::control::{
    self, Configure, CoordinatorWord, ManagerWord, PublishedObject, PublishedSet, ReleasedValue,
};
use labrig::wire::envelope::PROTOCOL_VERSION;
use labrig::wire::{
    Attached, Audience, BroadcastOutcome, Buffer, CodecId, CommandId, CommandSpec, DeliveryKind, Envelope,
    Failure, FailureKind, Generation, HandleId, Header, Hop, IdempotencyKey, Kind, ManagerName, NotDone,
    Overflow, Parcel, Progress, SafeEntry, Shape, SharedKind, SharedLayout, SharedSpec, Site, Target,
    TypeSchema, Undelivered, UndeliveredReason, codec, inspect,
};
use serde::de::DeserializeOwned;

const GOLDEN: &str = include_str!("golden/wire.txt");

/// Moves the objective.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(reply = Settled, scriptable, deadline_ms = 500, idempotent, hazardous, journaled)]
struct MoveTo {
    /// Height above the stage.
    #[schema(unit = "um", min = 0.0, max = 200.0)]
    height_um: f64,
    #[serde(default)]
    tries: u8,
}

#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
struct Settled {
    height_um: f64,
}

#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(broadcast, audience = "imaging")]
enum SetLight {
    Off,
    Steady(f64),
    Pulsed { power_mw: f64, period: Duration },
}

#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(scope, reply = Vec<Option<Plan>>)]
struct Save(Plan, (i32, [u8; 3]));

#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
struct Plan {
    steps: Vec<Plan>,
    tags: std::collections::BTreeMap<String, char>,
    folder: std::path::PathBuf,
    outcome: Result<u128, ()>,
}

#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(keep_latest)]
struct Follow;

/// Everything pinned so far, one line each.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, what: &str) {
        writeln!(self.0, "{name} = {what}").expect("text can be written");
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.add(name, &hex);
    }

    /// Pins a value's bytes by postcard, under `Type` or `Type::Variant`; `which` tells values of one type apart.
    fn value<T: Serialize + DeserializeOwned + Schema + PartialEq + std::fmt::Debug>(
        &mut self,
        which: &str,
        value: &T,
    ) {
        let schema = TypeSchema::of::<T>();
        let bytes = codec::to_postcard(value).expect("a value can be written");
        assert_eq!(codec::from_postcard::<T>(&bytes, &schema).as_ref(), Ok(value));
        let name = format!("{}{}{which}", schema.root.describe(), variant_of(&bytes, &schema));
        self.bytes(&name, &bytes);
    }

    /// Pins a value's JSON: manifests travel so.
    fn json<T: Serialize>(&mut self, name: &str, value: &T) {
        self.add(name, &serde_json::to_string(value).expect("a value can be written"));
    }

    /// Pins a command's fingerprint: path, names, types, their order and how they are hashed.
    fn command<C: Command>(&mut self) {
        self.add(&format!("command {}", C::spec().name), &C::spec().id.to_string());
    }
}

fn variant_of(bytes: &[u8], schema: &TypeSchema) -> String {
    let is_enum = |it: &labrig::wire::Definition| matches!(it.shape, Shape::Enum(_));
    if !schema.definition(&schema.root).is_some_and(is_enum) {
        return String::new();
    }
    match inspect::to_json(bytes, schema).expect("a value's bytes tell its fields") {
        serde_json::Value::String(name) => format!("::{name}"),
        serde_json::Value::Object(fields) => format!("::{}", fields.keys().next().expect("one variant")),
        other => panic!("{other} is no variant"),
    }
}

/// Compares what is written now with what is pinned.
fn check_golden(now: &Lines) {
    if std::env::var_os("LABRIG_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/wire.txt");
        std::fs::write(path, &now.0).expect("the pinned bytes can be written");
        return;
    }
    let named = |text: &'static str| text.split(" = ").next().unwrap_or_default();
    let now: Vec<&str> = now.0.lines().collect();
    let changed: Vec<_> = GOLDEN.lines().filter(|line| !now.contains(line)).collect();
    let names: Vec<_> = changed.iter().map(|line| named(line)).collect();
    assert!(changed.is_empty(), "a changed type bumps PROTOCOL_VERSION: {names:?}\npinned: {changed:#?}");
    let new: Vec<_> = now.iter().filter(|line| !GOLDEN.lines().any(|pinned| pinned == **line)).collect();
    assert!(new.is_empty(), "pin what is new with LABRIG_BLESS=1: {new:#?}");
}

fn everything() -> Lines {
    let mut lines = Lines::default();
    lines.add("PROTOCOL_VERSION", &PROTOCOL_VERSION.to_string());
    envelopes(&mut lines);
    coordinator_words(&mut lines);
    manager_words(&mut lines);
    endings(&mut lines);
    refusals(&mut lines);
    parts_of_specs(&mut lines);
    manifests(&mut lines);
    fingerprints(&mut lines);
    lines
}

fn handle(key: u64) -> HandleId {
    HandleId { owner: 3, generation: Generation(4), key }
}

fn envelopes(lines: &mut Lines) {
    let full = |kind| Header {
        codec: CodecId::Json,
        generation: Generation(2),
        command: CommandId(0x0102_0304_0506_0708),
        correlation: 77,
        time_left_us: 5_000_000,
        target: Target::Named("stage_x".into()),
        chain: vec![Hop { who: 1, command: CommandId(9) }, Hop { who: Hop::SCOPE, command: CommandId(8) }]
            .into(),
        attached: Attached { handles: vec![handle(7).into(), handle(8).into()], ..Attached::default() }
            .boxed(),
        ..Header::new(kind)
    };
    let kinds = [
        Kind::Request,
        Kind::Send,
        Kind::Broadcast,
        Kind::Done,
        Kind::Ended,
        Kind::Report,
        Kind::Control,
        Kind::Call,
        Kind::Progress,
        Kind::Opened,
        Kind::Chunk,
    ];
    for kind in kinds {
        for (which, header) in [("empty", Header::new(kind)), ("full", full(kind))] {
            let bytes = header.seal(&[0xee]);
            assert_eq!(Envelope::open(&bytes), Ok(Envelope { header, payload: &[0xee] }));
            lines.bytes(&format!("envelope {kind:?} {which}"), &bytes);
        }
    }
    let buffers = vec![Buffer::new(std::fs::File::open("/dev/null").expect("it is there").into())];
    let header = Header { attached: Attached { buffers, ..Attached::default() }.boxed(), ..full(Kind::Done) };
    lines.bytes("envelope Done beside which a buffer travels", &header.seal(&[0xee]));
    let key =
        IdempotencyKey { procedure: "scan-12".into(), mark: 0x0807_0605_0403_0201, step: 300, index: 2 };
    let attached = Attached { handles: vec![handle(7).into()], key: Some(key.into()), ..Attached::default() };
    let header = Header { attached: attached.boxed(), ..full(Kind::Request) };
    lines.bytes("envelope Request beside which a key travels", &header.seal(&[0xee]));
    lines.bytes("word Start sealed", &control::seal(&CoordinatorWord::Start));
}

fn coordinator_words(lines: &mut Lines) {
    let configure = Configure {
        version: "0.1.0".into(),
        agreed: vec![("rig::MoveTo".into(), CommandId(9))],
        rig: "microscope".into(),
        manager: "motor".into(),
        kind: "motor.sim".into(),
        generation: 1,
        index: 2,
        roster: vec!["camera".into(), "motor".into()],
        commands: vec![(CommandId(9), "MoveTo".into())],
        config_json: "{}".into(),
        run_dir: "runs/1".into(),
        default_deadline_ms: 5_000,
        safe_deadline_ms: 200,
        log_level: 3,
        sends_traces: true,
        watchdog_ms: 2_000,
        lease_ms: 250,
        restarts_on_panic: false,
        state_dir: "state".into(),
        max_remote_values: 65_536,
    };
    let (stream, inputs) = (|| "video".to_owned(), vec!["video".to_owned()]);
    lines.value("", &CoordinatorWord::Configure(configure));
    lines.value("", &CoordinatorWord::Produce { stream: stream() });
    lines.value("", &CoordinatorWord::AddReader { stream: stream(), reader: "tracker".into() });
    lines.value("", &CoordinatorWord::Read { stream: stream(), inputs, is_lossless: true });
    lines.value("", &CoordinatorWord::Start);
    lines.value("", &CoordinatorWord::Quit);
    let reason = UndeliveredReason::Displaced;
    let news = Undelivered { command: "Aim".into(), to: "motor".into(), reason, untold: 300 };
    lines.value("", &CoordinatorWord::Undelivered(news));
    lines.value("", &CoordinatorWord::Grant { correlation: 77, chunks: 2 });
    let set = PublishedSet { path: "rig::MotorSignals".into(), fingerprint: 0x0807_0605_0403_0201, words: 2 };
    let layout = SharedLayout { kind: SharedKind::Table, item_words: 2, key_words: 1, capacity: 300 };
    let object = PublishedObject { name: "cells".into(), item: 0x0102, key: 0x0304, layout };
    lines.value("", &CoordinatorWord::Publish { sets: vec![set], objects: vec![object] });
    lines.value("", &CoordinatorWord::Signals { manager: "motor".into() });
    lines.value("", &CoordinatorWord::Unheld { values: vec![(7, 300)] });
    lines.value("", &CoordinatorWord::Holder { key: 7, holder: "motor".into(), is_connected: true });
}

fn manager_words(lines: &mut Lines) {
    lines.value("", &ManagerWord::Hello { version: "0.1.0".into() });
    lines.value("", &ManagerWord::Mapped { stream: "video".into() });
    lines.value("", &ManagerWord::Ready);
    lines.value("", &ManagerWord::SetupFailed(Failure::text("no device")));
    lines.value("", &ManagerWord::Log { level: 3, target: "rig".into(), message: "moved".into() });
    lines.value("", &ManagerWord::LogsDropped(300));
    lines.value("", &ManagerWord::Quit { reason: "done".into() });
    lines.value("", &ManagerWord::Stopped { safe_state_us: 1_500 });
    lines.value("", &ManagerWord::Lost { what: "row".into(), detail: "disk full".into() });
    lines.value("", &ManagerWord::Abandon { correlation: 77 });
    lines.value("", &ManagerWord::Cancel { correlation: 77 });
    lines.value("", &ManagerWord::SetExpiry { correlation: 77, time_left_us: Some(5_000_000) });
    lines.value("", &ManagerWord::Wait { correlation: 77 });
    lines.value("", &ManagerWord::WaitEnded { correlation: 77 });
    lines.value("", &ManagerWord::Grant { correlation: 77, chunks: 2 });
    lines.value("", &ManagerWord::CancelsTaken);
    let reason = SafeReason::StopOrdered;
    let entry = SafeEntry { reason, took_us: 120, taken: 12, by_emergency_handle: true, stop: 3 };
    lines.value("", &ManagerWord::Safe(entry));
    lines.value("", &ManagerWord::Busy);
    lines.value("", &ManagerWord::GivesUp { why: "`MoveTo` panicked".into() });
    lines.value("", &ManagerWord::NotSafe { reason, why: "no answer".into() });
    let theirs = CommandId(0x0807_0605_0403_0201);
    lines.value("", &ManagerWord::Differs { command: "rig::MoveTo".into(), theirs });
    lines.value("", &ManagerWord::NotRun { ordinal: 300, command: theirs, sender: 4_294_967_298 });
    lines.value("", &ManagerWord::SignalsMapped);
    let released = ReleasedValue { owner: 3, generation: 4, key: 7, count: 300 };
    lines.value("", &ManagerWord::Released { values: vec![released] });
}

fn endings(lines: &mut Lines) {
    let typed = FailureKind::Typed { path: "rig::E".into(), fingerprint: 258, value: vec![1, 2].into() };
    for kind in [typed, FailureKind::Text, FailureKind::Panic, FailureKind::Malformed] {
        lines.value("", &kind);
    }
    let whole = Failure {
        kind: FailureKind::Panic,
        causes: vec!["inner".into()],
        location: Some(Site::new("src/motor.rs", 300)),
        backtrace: Some("0: main".into()),
        ..Failure::text("outer")
    };
    lines.value(" whole", &whole);
    lines.value(" text", &Failure::text("no"));
    lines.value("", &NotDone::Failed(Failure::text("no")));
    lines.value("", &NotDone::Cancelled);
    lines.value("", &NotDone::Expired);
    lines.value("", &NotDone::Refused(Refusal::Closed));
    lines.value("", &NotDone::Lost);
    lines.value("", &NotDone::Indeterminate);
    lines.value("", &NotDone::Deadlock { cycle: cycle() });
    lines.value("", &Progress { done: 1.5, total: 3.0, note: "moving".into() });
    lines.value("", &UndeliveredReason::Displaced);
    lines.value("", &UndeliveredReason::Lost);
    lines.value("", &UndeliveredReason::Indeterminate);
    lines.value("", &UndeliveredReason::Quitting);
    lines.value("", &UndeliveredReason::Closed);
    lines.value("", &UndeliveredReason::Refused(Refusal::Closed));
    lines.value("", &UndeliveredReason::Stopped);
    lines.value("", &UndeliveredReason::Frozen);
    let outcome = |outcome| BroadcastOutcome { manager: "motor".into(), generation: 2, outcome };
    lines.value(" done", &outcome(Ok(vec![7, 8].into())));
    lines.value(" lost", &outcome(Err(NotDone::Lost)));
    let attached = Attached { handles: vec![handle(7).into()], ..Attached::default() }.boxed();
    let beside = outcome(Ok(Parcel { bytes: vec![7, 8], attached }));
    let parcel = codec::pack(&beside, CodecId::Postcard).expect("it can be written");
    lines.bytes("BroadcastOutcome beside which a handle travels", &parcel);
}

fn refusals(lines: &mut Lines) {
    let manager = || ManagerName::new("motor").expect("a valid name");
    let command = || "MoveTo".to_owned();
    let candidates = || vec![manager()];
    lines.value("", &Refusal::Busy { manager: manager(), command: command(), depth: 1_024 });
    lines.value("", &Refusal::Dead { manager: manager(), command: command() });
    lines.value("", &Refusal::NotReady { manager: manager(), command: command() });
    lines.value("", &Refusal::Absent { manager: Some("zed".into()), command: command() });
    lines.value("", &Refusal::AddressNeeded { command: command(), candidates: candidates() });
    lines.value("", &Refusal::NotServed { manager: manager(), command: command(), candidates: candidates() });
    lines.value("", &Refusal::Quitting { command: command() });
    lines.value("", &Refusal::Closed);
    lines.value("", &Refusal::TooLarge { command: command(), bytes: 200_000, limit: 131_072 });
    lines.value("", &Refusal::NotEncodable { command: command(), reason: "why".into() });
    lines.value("", &Refusal::TooDeep { command: command(), depth: 17, limit: 16 });
    lines.value("", &Refusal::TooManyCalls { command: command(), limit: 65_536 });
    lines.value("", &Refusal::PipeFull { command: command() });
    lines.value("", &Refusal::UnknownCommand { command: command() });
    lines.value("", &Refusal::WouldDeadlock { command: command(), cycle: cycle() });
    lines.value("", &Refusal::NotPresent { manager: manager(), command: command(), why: "no device".into() });
    lines.value("", &Refusal::Inactive { manager: manager(), command: command() });
    let handle = || "Table@motor#2:7".to_owned();
    lines.value("", &Refusal::StaleHandle { handle: handle(), command: command() });
    lines.value("", &Refusal::ReadOnlyHandle { handle: handle(), command: command() });
}

fn cycle() -> Vec<String> {
    vec!["motor".into(), "camera".into(), "motor".into()]
}

fn parts_of_specs(lines: &mut Lines) {
    for delivery in [DeliveryKind::Direct, DeliveryKind::Broadcast, DeliveryKind::Scope, DeliveryKind::Value]
    {
        lines.value("", &delivery);
    }
    for audience in [Audience::Listeners, Audience::All, Audience::Group("imaging".into())] {
        lines.value("", &audience);
    }
    for overflow in [Overflow::Refuse, Overflow::DropOldest, Overflow::KeepLatest] {
        lines.value("", &overflow);
    }
    lines.value("", &Site::new("src/lib.rs", 300));
    lines.value(" of MoveTo", &TypeSchema::of::<MoveTo>());
    lines.value(" of SetLight", &TypeSchema::of::<SetLight>());
    lines.value(" of Save", &TypeSchema::of::<Save>());
}

fn spec<C: Command>() -> CommandSpec {
    CommandSpec { site: Site::new("src/lib.rs", 1), ..C::spec().clone() }
}

fn manifests(lines: &mut Lines) {
    let handler = |command: CommandSpec, role: Option<&str>| HandlerDescription {
        command,
        method: "handle".into(),
        site: Site::new("src/lib.rs", 2),
        role: role.map(str::to_owned),
    };
    let input =
        InputDescription { name: "video".into(), method: "look".into(), site: Site::new("src/lib.rs", 3) };
    let check = SelfCheckDescription {
        name: "shutter_closes".into(),
        doc: "The shutter closes.".into(),
        site: Site::new("src/lib.rs", 6),
    };
    let kind = KindDescription {
        kind: "motor".into(),
        path: "rig::Motor".into(),
        site: Site::new("src/lib.rs", 4),
        handlers: vec![handler(spec::<MoveTo>(), None), handler(spec::<SetLight>(), Some("rig::Lit"))],
        inputs: vec![input],
        roles: vec!["rig::Lit".into()],
        timers: vec!["publish".into()],
        self_checks: vec![check],
        signals: vec![SignalSetDescription {
            schema: TypeSchema::of::<Settled>(),
            site: Site::new("src/lib.rs", 7),
        }],
        shares: vec![SharedDescription {
            spec: SharedSpec::declare::<Settled>(SharedKind::Table, 256).keyed_by::<u32>().named("cells"),
            site: Site::new("src/lib.rs", 8),
        }],
        settings: None,
        config: TypeSchema::of::<Settled>(),
    };
    let scope = ScopeDescription {
        path: "rig::Lab".into(),
        site: Site::new("src/lib.rs", 5),
        handlers: vec![handler(spec::<Save>(), None)],
        has_default: true,
    };
    lines.json("manifest", &Manifest { kinds: vec![kind], scopes: vec![scope], methods: Vec::new() });
}

fn fingerprints(lines: &mut Lines) {
    lines.command::<MoveTo>();
    lines.command::<SetLight>();
    lines.command::<Save>();
    lines.command::<Follow>();
    lines.command::<Ping>();
    lines.command::<SelfCheck>();
    lines.command::<StopAll>();
    lines.command::<Arm>();
    lines.command::<Restart>();
    lines.command::<PlaceTask>();
    lines.command::<OfferTask>();
    lines.command::<ForgetDeeds>();
    lines.command::<WhichHaveEnded>();
}

#[test]
fn every_type_on_the_wire_has_the_bytes_that_are_pinned() {
    check_golden(&everything());
}

/// Every variant that the enum has is among the pinned lines.
fn check_all_variants_pinned<T: Schema>(lines: &Lines) {
    let schema = TypeSchema::of::<T>();
    let Some(Shape::Enum(variants)) = schema.definition(&schema.root).map(|it| &it.shape) else {
        panic!("{} is no enum", schema.root.describe());
    };
    let prefix = format!("{}::", schema.root.describe());
    let pinned: BTreeSet<_> =
        lines.0.lines().filter_map(|line| line.strip_prefix(&prefix)?.split(" = ").next()).collect();
    let missing: Vec<_> = variants.iter().filter(|it| !pinned.contains(it.name.as_str())).collect();
    assert!(missing.is_empty(), "variants of {prefix} that nothing pins: {missing:?}");
}

#[test]
fn every_variant_on_the_wire_is_pinned() {
    let lines = everything();
    check_all_variants_pinned::<CoordinatorWord>(&lines);
    check_all_variants_pinned::<ManagerWord>(&lines);
    check_all_variants_pinned::<NotDone>(&lines);
    check_all_variants_pinned::<Refusal>(&lines);
    check_all_variants_pinned::<FailureKind>(&lines);
    check_all_variants_pinned::<UndeliveredReason>(&lines);
    check_all_variants_pinned::<DeliveryKind>(&lines);
    check_all_variants_pinned::<Audience>(&lines);
    check_all_variants_pinned::<Overflow>(&lines);
}

#[test]
fn payloads_travel_as_they_are() {
    let payload = vec![0; 100_000];
    let bytes = Header::new(Kind::Request).seal(&payload);
    assert!(bytes.ends_with(&payload) && bytes.len() > payload.len(), "{} bytes", bytes.len());
    let text = "0".repeat(1_000);
    assert_eq!(codec::to_postcard(&text).expect("text can be written").len(), 1_002);
}
