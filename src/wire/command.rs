//! A command is a Rust type: what it is called, how it is delivered, what answers it.

#[cfg(feature = "procedures")]
use std::collections::HashMap;
#[cfg(feature = "procedures")]
use std::sync::LazyLock;

#[cfg(feature = "procedures")]
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ids::{CommandId, Site};
use super::schema::{Schema, TypeSchema};

/// Something a manager, or the scope, can be asked to do. Derive it with `#[derive(Command)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    label = "expected a command type",
    note = "write `#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]` on `{Self}`"
)]
pub trait Command: Serialize + DeserializeOwned + Schema + Send + Sized + 'static {
    /// What a successful handler answers; `()` unless `#[command(reply = …)]` says otherwise.
    type Reply: Serialize + DeserializeOwned + Schema + Send + 'static;
    /// [`Direct`], [`Broadcast`] or [`ScopeLevel`].
    type Delivery: Delivery;
    /// All that is known about the command, made once.
    fn spec() -> &'static CommandSpec;
}

/// How a command finds its handlers; part of its type.
pub trait Delivery: private::Sealed {
    /// The delivery as a value.
    const KIND: DeliveryKind;
}

/// Deliveries that end at one handler, so that they can be requested and sent.
#[diagnostic::on_unimplemented(
    message = "a broadcast command has many handlers and cannot be requested from one",
    label = "this needs a command with one handler",
    note = "use `scope.broadcast(command)`; it reports the outcome of each manager"
)]
pub trait OneHandler: Delivery {}

/// To the one manager that serves the command.
#[derive(Debug)]
pub enum Direct {}
/// To every manager that has a handler.
#[derive(Debug)]
pub enum Broadcast {}
/// To the scope, in the coordinator process.
#[derive(Debug)]
pub enum ScopeLevel {}
/// To whoever has the value of which it is a method; only its handle can ask for it.
#[derive(Debug)]
pub enum OfValue {}

impl Delivery for Direct {
    const KIND: DeliveryKind = DeliveryKind::Direct;
}
impl Delivery for Broadcast {
    const KIND: DeliveryKind = DeliveryKind::Broadcast;
}
impl Delivery for ScopeLevel {
    const KIND: DeliveryKind = DeliveryKind::Scope;
}
impl Delivery for OfValue {
    const KIND: DeliveryKind = DeliveryKind::Value;
}
impl OneHandler for Direct {}
impl OneHandler for ScopeLevel {}

mod private {
    pub trait Sealed {}
    impl Sealed for super::Direct {}
    impl Sealed for super::Broadcast {}
    impl Sealed for super::ScopeLevel {}
    impl Sealed for super::OfValue {}
}

/// The delivery of a command, as a value.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, serde::Deserialize, labrig::Schema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryKind {
    /// To one manager.
    Direct,
    /// To every manager with a handler.
    Broadcast,
    /// To the scope.
    Scope,
    /// To whoever has a value, of which it is a method.
    Value,
}

impl std::fmt::Display for DeliveryKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Direct => "direct",
            Self::Broadcast => "broadcast",
            Self::Scope => "scope",
            Self::Value => "value",
        })
    }
}

/// Who must have a handler of a broadcast.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, serde::Deserialize, labrig::Schema)]
pub enum Audience {
    /// Whoever has one; at least one manager.
    Listeners,
    /// Every manager.
    All,
    /// Every manager of a group that the config names.
    Group(String),
}

/// What becomes of a command when its manager's queue is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, serde::Deserialize, labrig::Schema)]
pub enum Overflow {
    /// The sender is refused with `Busy`. The only choice for commands that are answered.
    Refuse,
    /// The oldest queued command of this type makes room; one-way sends only.
    DropOldest,
    /// At most one command of this type waits, the newest; one-way sends only.
    KeepLatest,
}

/// Everything known about a command; its shapes are equal in all programs whose [`id`](Self::id) is equal.
#[derive(Clone, Debug, Serialize, serde::Deserialize, labrig::Schema)]
pub struct CommandSpec {
    /// The name people use; no two commands of a rig share it.
    pub name: String,
    /// The type's path.
    pub path: String,
    /// The type's doc text.
    pub doc: String,
    /// Fingerprint of path, shape, reply and delivery.
    pub id: CommandId,
    /// How it is delivered.
    pub delivery: DeliveryKind,
    /// Who must listen, for a broadcast.
    pub audience: Audience,
    /// What a full queue does with one-way sends of it.
    pub overflow: Overflow,
    /// Whether scripts may use it.
    pub script: bool,
    /// Where the type is defined.
    pub site: Site,
    /// The command's shape.
    pub schema: TypeSchema,
    /// The reply's shape.
    pub reply: TypeSchema,
    /// How long a call of it may take that does not say otherwise, in ms, 1 or more; `None`: the command has
    /// no limit of its own. Programs may differ in it: that of the sender holds.
    pub deadline_ms: Option<u64>,
    /// Whether running it twice does the same as running it once. Only then may it be retried; labrig never
    /// runs any other command twice.
    pub idempotent: bool,
    /// Whether it moves or emits something. A manager that came back from an unplanned end refuses it until it
    /// is armed.
    pub hazardous: bool,
    /// Whether its manager keeps a journal of it: of what steps of procedures have asked for, it knows over any crash what
    /// was begun and what was done.
    pub journaled: bool,
}

/// The options of `#[command(…)]`, as the derive writes them.
#[derive(Clone, Copy, Debug)]
pub struct CommandOptions {
    /// The name people use.
    pub name: &'static str,
    /// The type's path.
    pub path: &'static str,
    /// The type's doc text.
    pub doc: &'static str,
    /// `""` for listeners, `"all"`, or a group's name.
    pub audience: &'static str,
    /// What a full queue does with one-way sends of it.
    pub overflow: Overflow,
    /// Whether scripts may use it.
    pub script: bool,
    /// Source file of the type.
    pub file: &'static str,
    /// Line of the type.
    pub line: u32,
    /// How long a call of it may take that does not say otherwise, in ms.
    pub deadline_ms: Option<u64>,
    /// Whether running it twice does the same as running it once.
    pub idempotent: bool,
    /// Whether it moves or emits something.
    pub hazardous: bool,
    /// Whether its manager keeps a journal of it.
    pub journaled: bool,
}

impl CommandSpec {
    /// The same description for as long as the process lives: one is kept for each command that is asked for by its
    /// description.
    #[cfg(feature = "procedures")]
    pub(crate) fn kept(&self) -> &'static Self {
        static KEPT: LazyLock<Mutex<HashMap<CommandId, &'static CommandSpec>>> =
            LazyLock::new(Mutex::default);
        KEPT.lock().entry(self.id).or_insert_with(|| Box::leak(Box::new(self.clone())))
    }

    /// The spec of `C`; what `#[derive(Command)]` calls, once.
    pub fn of<C: Command>(options: CommandOptions) -> Self {
        let (schema, reply) = (TypeSchema::of::<C>(), TypeSchema::of::<C::Reply>());
        let delivery = C::Delivery::KIND;
        let id = CommandId(
            schema.fingerprint() ^ reply.fingerprint().rotate_left(17) ^ (delivery as u64).rotate_left(61),
        );
        Self {
            name: options.name.to_owned(),
            path: options.path.to_owned(),
            doc: options.doc.to_owned(),
            id,
            delivery,
            audience: match options.audience {
                "" => Audience::Listeners,
                "all" => Audience::All,
                group => Audience::Group(group.to_owned()),
            },
            overflow: options.overflow,
            script: options.script,
            site: Site::new(options.file, options.line),
            schema,
            reply,
            deadline_ms: options.deadline_ms,
            idempotent: options.idempotent,
            hazardous: options.hazardous,
            journaled: options.journaled,
        }
    }
}
