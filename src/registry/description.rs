//! What a program says about itself without touching a device: its manifest.

use serde::{Deserialize, Serialize};

use super::handler::{Handler, HandlerTable, Handles, ScopeHandles};
use crate::remote::SettingsSignals;
use crate::wire::{CommandSpec, Settings, SharedSpec, Signals, Site, TypeSchema, codec};

/// One handler, described.
#[derive(Clone, Debug, Serialize, Deserialize, labrig::Schema)]
pub struct HandlerDescription {
    /// The command it takes.
    pub command: CommandSpec,
    /// The method's name.
    pub method: String,
    /// Where it stands.
    pub site: Site,
    /// The path of the role that declares it, if one does.
    pub role: Option<String>,
}

/// One `#[on_frame]` input, described.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, labrig::Schema)]
pub struct InputDescription {
    /// The input's name.
    pub name: String,
    /// The method bound to it.
    pub method: String,
    /// Where that stands.
    pub site: Site,
}

/// One `#[self_check]`, described.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, labrig::Schema)]
pub struct SelfCheckDescription {
    /// The method's name, by which it is called.
    pub name: String,
    /// Its doc text: what it proves.
    pub doc: String,
    /// Where it stands.
    pub site: Site,
}

/// A set of signals, described.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
pub struct SignalSetDescription {
    /// Its signals: name, type, unit, bounds, doc text.
    pub schema: TypeSchema,
    /// Where the type stands.
    pub site: Site,
}

/// An object that is shared, described.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
pub struct SharedDescription {
    /// Its name, its types and its size.
    pub spec: SharedSpec,
    /// Where it is declared.
    pub site: Site,
}

/// A kind's settings, described.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
pub struct SettingsDescription {
    /// The settings: name, type, unit, bounds, doc text.
    pub schema: TypeSchema,
    /// What they are when nobody has changed anything, as JSON.
    pub defaults: String,
    /// Where the type stands.
    pub site: Site,
}

/// A manager kind, described.
#[derive(Clone, Debug, Serialize, Deserialize, labrig::Schema)]
pub struct KindDescription {
    /// Its name in a config.
    pub kind: String,
    /// The type's path.
    pub path: String,
    /// Where its `#[manager]` block stands.
    pub site: Site,
    /// Its handlers.
    pub handlers: Vec<HandlerDescription>,
    /// Its inputs.
    pub inputs: Vec<InputDescription>,
    /// The methods of its timers.
    #[serde(default)]
    pub timers: Vec<String>,
    /// Its self-checks, in source order.
    #[serde(default)]
    pub self_checks: Vec<SelfCheckDescription>,
    /// The sets of signals that it publishes, in source order.
    #[serde(default)]
    pub signals: Vec<SignalSetDescription>,
    /// The objects that it shares, in source order.
    #[serde(default)]
    pub shares: Vec<SharedDescription>,
    /// Its settings, if it has any.
    #[serde(default)]
    pub settings: Option<SettingsDescription>,
    /// The paths of the roles it plays.
    pub roles: Vec<String>,
    /// The shape of its config table.
    pub config: TypeSchema,
}

/// The scope's handlers, described.
#[derive(Clone, Debug, Serialize, Deserialize, labrig::Schema)]
pub struct ScopeDescription {
    /// The type's path.
    pub path: String,
    /// Where its `#[scope]` block stands.
    pub site: Site,
    /// Its handlers.
    pub handlers: Vec<HandlerDescription>,
    /// Whether the value can be built without being given.
    pub has_default: bool,
}

/// All that is linked into one program.
#[derive(Clone, Debug, Default, Serialize, Deserialize, labrig::Schema)]
pub struct Manifest {
    /// The manager kinds.
    pub kinds: Vec<KindDescription>,
    /// The scopes.
    pub scopes: Vec<ScopeDescription>,
    /// The methods of values that others have handles to, as commands of their arguments.
    #[serde(default)]
    pub methods: Vec<CommandSpec>,
}

impl KindDescription {
    /// Describes the kind of `M`.
    pub fn of<M: Handles>() -> Self {
        let table = M::table();
        let input = |frames: &super::handler::FrameHandler<M>| InputDescription {
            name: frames.input.to_owned(),
            method: frames.method.to_owned(),
            site: Site::new(frames.file, frames.line),
        };
        let check = |check: &super::handler::SelfCheckMethod<M>| SelfCheckDescription {
            name: check.method.to_owned(),
            doc: check.doc.to_owned(),
            site: Site::new(check.file, check.line),
        };
        Self {
            kind: M::KIND.to_owned(),
            path: M::PATH.to_owned(),
            site: Site::new(M::FILE, M::LINE),
            inputs: table.frames.iter().map(input).collect(),
            self_checks: table.checks.iter().map(check).collect(),
            signals: signals::<M>(&table),
            shares: M::shares(),
            settings: table.settings.first().map(|handler| (handler.describe)()),
            timers: table.timers.iter().map(|timer| timer.method.to_owned()).collect(),
            handlers: describe(table),
            roles: M::roles().into_iter().map(str::to_owned).collect(),
            config: TypeSchema::of::<M::Config>(),
        }
    }
}

/// The kind's own sets, and labrig's for the settings.
fn signals<M: Handles>(table: &HandlerTable<M>) -> Vec<SignalSetDescription> {
    let own = M::signals().into_iter();
    own.chain((!table.settings.is_empty()).then(SignalSetDescription::of::<SettingsSignals>)).collect()
}

impl SettingsDescription {
    /// Describes the settings `S`.
    pub fn of<S: Settings>() -> Self {
        let defaults = codec::to_json(&S::defaults()).unwrap_or_default();
        Self {
            schema: TypeSchema::of::<S>(),
            defaults: String::from_utf8(defaults).unwrap_or_default(),
            site: Site::new(S::FILE, S::LINE),
        }
    }
}

impl SignalSetDescription {
    /// Describes the set `S`.
    pub fn of<S: Signals>() -> Self {
        Self { schema: TypeSchema::of::<S>(), site: Site::new(S::FILE, S::LINE) }
    }
}

impl SharedDescription {
    /// Describes an object of that name, which is declared there.
    pub fn new(name: &str, spec: SharedSpec, file: &str, line: u32) -> Self {
        Self { spec: spec.named(name), site: Site::new(file, line) }
    }
}

impl ScopeDescription {
    /// Describes the scope handlers of `S`.
    pub fn of<S: ScopeHandles>(has_default: bool) -> Self {
        Self {
            path: S::PATH.to_owned(),
            site: Site::new(S::FILE, S::LINE),
            handlers: describe(S::table()),
            has_default,
        }
    }
}

fn describe<M>(table: HandlerTable<M>) -> Vec<HandlerDescription> {
    let one = |handler: Handler<M>| HandlerDescription {
        command: (handler.command)().clone(),
        method: handler.method.to_owned(),
        site: Site::new(handler.file, handler.line),
        role: handler.role.map(str::to_owned),
    };
    table.handlers.into_iter().map(one).collect()
}
