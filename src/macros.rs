//! The doors to the macros, and what people need to know to use them.
//!
//! The macros write registrations and glue, never logic: a handler stays an ordinary method. They see
//! tokens only, so what depends on types is said by the compiler, at the place where you wrote the type.

/// Describes a type as it looks on the wire: fields, types and their order, and beside them what people
/// need: doc text, unit, bounds, defaults.
///
/// For structs and enums without lifetimes; generic parameters must have schemas too. On named fields:
///
/// | option | meaning |
/// |---|---|
/// | `unit = "um"` | the unit of the number |
/// | `min = 0.0`, `max = 200` | the smallest and largest value allowed |
///
/// Serde's attributes are followed: `rename`, `rename_all`, `rename_all_fields`, `default`, `skip`,
/// `transparent`. Those that postcard would corrupt in silence, or under which the bytes are not those of
/// the fields, are refused: `untagged`, `tag`, `content`, `flatten`, `skip_serializing_if`, skipping in one
/// direction or of a variant, `with`, `from`, `into`, `remote`, `other`, `borrow`.
///
/// ```
/// use labrig::prelude::*;
/// use labrig::wire::TypeSchema;
///
/// /// Where the stage came to rest.
/// #[derive(Serialize, Deserialize, Schema, Debug, Clone)]
/// pub struct Settled {
///     /// Height above the stage.
///     #[schema(unit = "um", min = 0.0, max = 200.0)]
///     pub height_um: f64,
///     /// How often it tried.
///     #[serde(default)]
///     pub tries: u32,
/// }
///
/// let schema = TypeSchema::of::<Settled>();
/// assert_eq!(schema.fields()[0].unit.as_deref(), Some("um"));
/// assert_eq!(schema.fields()[1].default.as_deref(), Some("0"));
/// ```
pub use labrig_macros::Schema;

/// Makes a struct a set of signals: values that a manager publishes, and that every process of the rig reads in some
/// nanoseconds, without a lock, a system call or a word to the manager.
///
/// Fields are numbers (`f64`, `f32`, `u8` … `i64`), `bool`, arrays of them, and types that derive it too: structs, and
/// enums without fields. The type also derives [`Schema`](derive@Schema), `Clone` and `Copy`, and has no generics; doc
/// text, `unit`, `min` and `max` of the schema are those of the signals. A kind names its sets:
/// `#[manager(kind = "motor", signals(MotorSignals))]`.
///
/// A set has at most 65,536 values and is published as a whole: put into one what is measured together, and into another what is not, for the time
/// of a value is that of its set. Signals of one kind have different names. See
/// [`Context::signals`](crate::registry::Context::signals) for the publisher's side, and
/// [`Scope::signal`](crate::Scope::signal) for the readers'.
///
/// ```
/// use labrig::prelude::*;
/// use labrig::wire::TypeSchema;
///
/// /// What the motor tells while it moves.
/// #[derive(Signals, Schema, Debug, Clone, Copy, PartialEq)]
/// pub struct MotorSignals {
///     /// Height above the stage.
///     #[schema(unit = "um", min = 0.0, max = 200.0)]
///     pub height_um: f64,
///     /// What it is doing.
///     pub motion: Motion,
/// }
///
/// #[derive(Signals, Schema, Debug, Clone, Copy, PartialEq)]
/// pub enum Motion {
///     Resting,
///     Moving,
/// }
///
/// let schema = TypeSchema::of::<MotorSignals>();
/// assert_eq!(schema.signals()[0].field.unit.as_deref(), Some("um"));
/// assert_eq!(schema.signal_words(), Some(2));
/// ```
pub use labrig_macros::Signals;

/// Makes a struct the settings of a manager: how it is to do its work, shown and changed while the rig runs by
/// `labrig settings` and [`Scope::change_settings`](crate::Scope::change_settings).
///
/// The struct also derives `Serialize`, `Deserialize` and [`Schema`](derive@Schema), and each field has a default of
/// serde's. `unit`, `min` and `max` of the schema are those of the settings: what is out of bounds is refused before the
/// manager sees it. The manager that has the method marked with [`on_settings`](macro@on_settings) owns them; each
/// change raises their version, which is published as the signal `manager.settings_version`.
///
/// They begin each run with their defaults, and outlive their manager in it: in the run's folder,
/// `settings/<manager>.json` holds what is in force.
///
/// ```
/// use labrig::prelude::*;
///
/// #[derive(Settings, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
/// #[serde(default)]
/// pub struct CameraSettings {
///     /// How long light is gathered.
///     #[schema(unit = "ms", min = 0.1, max = 1000.0)]
///     pub exposure_ms: f64,
///     pub is_cooled: bool,
/// }
///
/// impl Default for CameraSettings {
///     fn default() -> Self {
///         Self { exposure_ms: 5.0, is_cooled: true }
///     }
/// }
///
/// assert_eq!(CameraSettings::defaults(), CameraSettings::default());
/// ```
pub use labrig_macros::Settings;

/// Makes a type a command: something a manager, or the scope, can be asked to do.
///
/// The type also derives `Serialize`, `Deserialize` and [`Schema`](derive@Schema), and has no generics.
///
/// | option | meaning |
/// |---|---|
/// | `reply = Settled` | what a successful handler answers; default `()` |
/// | `direct` | to the one manager that serves it; the default |
/// | `broadcast` | to every manager with a handler |
/// | `scope` | to the scope, in the coordinator process |
/// | `audience = "all"` | of a broadcast: every manager must handle it; any other text names a group |
/// | `name = "Move"` | what people call it; default: the type's name |
/// | `scriptable` | scripts may use it |
/// | `drop_oldest`, `keep_latest` | which one gives way in a full queue; for direct commands without reply |
/// | `deadline_ms = 500` | how long a call may take that does not say otherwise, in ms, 1 or more |
/// | `idempotent` | running it twice does the same as running it once: a call that ended with its manager is given to the manager's next life (`max_retries`) |
/// | `hazardous` | it moves or emits something: refused while its manager is inactive, until it is armed |
/// | `journaled` | its manager writes down what steps of procedures ask for by it, so that [`Context::seen_before`](crate::registry::Context::seen_before) knows, over any crash, what was begun and what was done |
///
/// Without `idempotent` labrig never runs a command twice. A one-way command runs at most once in any case.
///
/// ```
/// use labrig::prelude::*;
///
/// #[derive(Serialize, Deserialize, Schema, Debug, Clone)]
/// pub struct Settled {
///     pub height_um: f64,
/// }
///
/// /// Moves the objective to an absolute height and replies once it has settled.
/// #[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
/// #[command(reply = Settled, deadline_ms = 500, idempotent)]
/// pub struct MoveTo {
///     pub height_um: f64,
/// }
///
/// assert_eq!(MoveTo::spec().name, "MoveTo");
/// assert_eq!(MoveTo::spec().deadline_ms, Some(500));
/// ```
pub use labrig_macros::Command;

/// Registers a manager kind: stands on the `impl` block of a type that implements
/// [`Manager`](crate::registry::Manager), which is emitted again as it is.
///
/// `kind = "motor"` is the name by which a config asks for it: 1 to 60 of `a-z`, `0-9`, `.`, `_`, `-`,
/// beginning with a letter. `roles(Acquires, …)` names the [`role`](macro@role)s it plays, `signals(MotorSignals, …)` the
/// sets of [`Signals`](derive@Signals) it publishes, `shares(tracks = RowRing::<Track>::declare(4096), …)` the objects it
/// shares ([`RowRing`](crate::shm::RowRing), [`LatestValue`](crate::shm::LatestValue),
/// [`VersionedTable`](crate::shm::VersionedTable), [`AppendDataset`](crate::shm::AppendDataset),
/// [`Counters`](crate::shm::Counters)), by name. Methods are
/// marked by [`ipc_command`](macro@ipc_command), [`every`](macro@every), [`on_frame`](macro@on_frame) and
/// [`self_check`](macro@self_check); these need no import, since the block reads them. Methods under `#[cfg(…)]` are registered under it.
///
/// ```
/// use labrig::prelude::*;
///
/// #[derive(Command, Serialize, Deserialize, Schema)]
/// #[command(reply = f64)]
/// struct MoveTo {
///     height_um: f64,
/// }
///
/// struct Motor {
///     height_um: f64,
/// }
///
/// impl Manager for Motor {
///     type Config = ();
///
///     fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
///         Ok(Self { height_um: 0.0 })
///     }
/// }
///
/// #[manager(kind = "motor")]
/// impl Motor {
///     #[ipc_command]
///     fn move_to(&mut self, command: MoveTo) -> Result<f64, std::io::Error> {
///         self.height_um = command.height_um;
///         Ok(self.height_um)
///     }
///
///     #[every(milliseconds = 20)]
///     fn publish_height(&mut self, context: &mut Context) {}
///
///     #[on_frame(input = "video")]
///     fn look(&mut self, frame: &Frame) -> Result<(), String> {
///         Ok(())
///     }
/// }
/// ```
pub use labrig_macros::manager;

/// Shares handlers between kinds: stands on a trait, whose marked methods become handlers of every kind
/// that lists it in `roles(…)`. A default body is the shared handler; a kind overrides it like any method,
/// without attribute. A marked method without body must be written by each kind.
///
/// ```
/// use labrig::prelude::*;
///
/// #[derive(Command, Serialize, Deserialize, Schema)]
/// #[command(broadcast)]
/// struct SetAcquisition {
///     on: bool,
/// }
///
/// #[role]
/// trait Acquires: Manager {
///     fn acquiring(&mut self) -> &mut bool;
///
///     #[ipc_command]
///     fn set_acquisition(&mut self, command: SetAcquisition) {
///         *self.acquiring() = command.on;
///     }
/// }
/// ```
pub use labrig_macros::role;

/// Registers handlers that live in the coordinator process, on a thread of their own. The type is `Send`;
/// when it is `Default` it is built by itself, else the program gives a value.
///
/// ```
/// use labrig::prelude::*;
///
/// #[derive(Command, Serialize, Deserialize, Schema)]
/// #[command(scope)]
/// struct SaveNote {
///     text: String,
/// }
///
/// #[derive(Default)]
/// struct Lab {
///     notes: Vec<String>,
/// }
///
/// #[scope]
/// impl Lab {
///     #[ipc_command]
///     fn save_note(&mut self, command: SaveNote) {
///         self.notes.push(command.text);
///     }
/// }
/// ```
pub use labrig_macros::scope;

/// Registers a kind of [`Procedure`](crate::procedure::Procedure): stands on `impl Procedure for …`, which is emitted
/// again as it is. `kind = "focus_sweep"` is the name by which it is launched: 1 to 60 of `a-z`, `0-9`, `.` and `_`,
/// beginning with a letter.
#[cfg(feature = "procedures")]
pub use labrig_macros::procedure;

/// Marks a handler inside a [`manager`](macro@manager), [`scope`](macro@scope) or [`role`](macro@role)
/// block: `fn name(&mut self, command: MoveTo)`, with `context: &mut Context` after the command if needed.
/// `&self` will do too.
///
/// It returns its command's reply, or a `Result` with it. An error that is
/// `Debug + Serialize + Deserialize + Schema` crosses whole; one that converts into a
/// `Box<dyn Error + Send + Sync>` crosses as text with its causes.
pub use labrig_macros::ipc_command;

/// Marks a method that runs at a period inside a [`manager`](macro@manager) block:
/// `fn name(&mut self)`, with `context: &mut Context` if needed. One of `seconds = 1`,
/// `milliseconds = 20`, `microseconds = 500`. It returns nothing or `Result<(), …>`.
pub use labrig_macros::every;

/// Marks a method that can be called by its name inside a [`manager`](macro@manager) block, to see whether the
/// device does what it should: `fn shutter_closes(&mut self) -> Result<(), …>`, with `context: &mut Context` if
/// needed. Its doc text says what it proves.
///
/// `labrig check CONFIG --live MANAGER` runs all of a manager's; [`Scope::self_check`](crate::remote::Scope::self_check)
/// runs one in a rig that runs. No other method can be called by name. A check may move what it checks: of a
/// kind with hazardous commands it counts as one, so an inactive manager refuses it.
pub use labrig_macros::self_check;

/// Marks the method that is given the manager's settings inside a [`manager`](macro@manager) block:
/// `fn apply(&mut self, settings: &CameraSettings) -> Result<(), …>`, with `context: &mut Context` if needed. A kind has
/// one at most.
///
/// It is called before the manager is ready, with the settings that are in force, and whenever they are to change: with
/// all of them, checked against types and bounds. An error refuses a change: it goes to whoever asked for it, and what
/// was in force stays. Refuse before the device is touched. See [`Settings`](derive@Settings).
pub use labrig_macros::on_settings;

/// Marks a method that sees every frame of an input inside a [`manager`](macro@manager) block:
/// `fn name(&mut self, frame: &Frame)`, with `context: &mut Context` after the frame if needed.
///
/// `input = "video"` names the input, which a config binds to a stream; without it the input has the
/// method's name, less a leading `on_`. It returns nothing or `Result<(), …>`.
pub use labrig_macros::on_frame;

/// Lets the methods of a value be called from other processes, by handles to it: [`RemoteRef`](crate::RemoteRef).
///
/// It stands on an `impl` block of the value's type. Every method there can be called from elsewhere, and nothing else of
/// the type can: `fn name(&self, …)`, with owned arguments that travel, `context: &mut Context` last if needed, and a
/// reply, a `Result` with it, or a [`Remote`](crate::Remote) value. For each, handles get `name(…)`, which waits for the
/// answer, and `start_name(…)`, which does not. Type and block stand in a crate that both sides link.
///
/// | `#[remote(…)]` on a method | meaning |
/// |---|---|
/// | `write` | it changes the value: handles that are read-only refuse it; `&mut self` needs it |
/// | `deadline_ms = 500` | how long a call may take that does not say otherwise |
/// | `connected`, `disconnected` | it cannot be called: it is told, as `holder: &str`, that a process has its first handle to the value, or no longer has one |
pub use labrig_macros::remote;
