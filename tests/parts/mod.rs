//! Registrations by hand, as the macros would write them: commands, kinds, scopes, programs.

use labrig::registry::{
    HandlerDescription, InputDescription, KindDescription, Manifest, ProgramManifest, ScopeDescription,
};
use labrig::wire::schema::{Definition, Field, Node, Shape, TypeSchema};
use labrig::wire::{Audience, CommandId, CommandSpec, DeliveryKind, Overflow, Site};

/// A type without content.
pub(crate) fn unit() -> TypeSchema {
    TypeSchema::of::<()>()
}

/// A struct of these fields.
pub(crate) fn record(path: &str, fields: &[(&str, Node)]) -> TypeSchema {
    let field = |(name, node): &(&str, Node)| Field {
        name: (*name).into(),
        node: node.clone(),
        doc: String::new(),
        unit: None,
        min: None,
        max: None,
        optional: false,
        default: None,
    };
    let mut schema = unit();
    let shape = Shape::Struct(fields.iter().map(field).collect());
    schema.root = Node::Named(path.into());
    let definition = Definition { path: path.into(), doc: String::new(), shape };
    schema.definitions.insert(path.into(), definition);
    schema
}

/// A command `rig::<name>` without fields, defined in `src/commands.rs` at a line of its own.
pub(crate) fn command(name: &str, delivery: DeliveryKind, line: u32) -> CommandSpec {
    let path = format!("rig::{name}");
    let spec = CommandSpec {
        name: name.to_owned(),
        schema: record(&path, &[]),
        path,
        doc: String::new(),
        id: CommandId(0),
        delivery,
        audience: Audience::Listeners,
        overflow: Overflow::Refuse,
        script: false,
        site: Site::new("src/commands.rs", line),
        reply: unit(),
        deadline_ms: None,
        idempotent: false,
        hazardous: false,
        journaled: false,
    };
    identified(spec)
}

/// A direct command.
pub(crate) fn direct(name: &str, line: u32) -> CommandSpec {
    command(name, DeliveryKind::Direct, line)
}

/// The command with the fingerprint that its parts make.
pub(crate) fn identified(mut spec: CommandSpec) -> CommandSpec {
    let print = spec.schema.fingerprint() ^ spec.reply.fingerprint().rotate_left(17);
    spec.id = CommandId(print ^ (spec.delivery as u64).rotate_left(61));
    spec
}

/// The command with these fields.
pub(crate) fn with_fields(mut spec: CommandSpec, fields: &[(&str, Node)]) -> CommandSpec {
    spec.schema = record(&spec.path, fields);
    identified(spec)
}

/// The method that handles a command, at a line of a file.
pub(crate) fn handler(spec: &CommandSpec, file: &str, line: u32) -> HandlerDescription {
    let method: String = spec
        .name
        .char_indices()
        .flat_map(|(at, c)| (at > 0 && c.is_uppercase()).then_some('_').into_iter().chain(c.to_lowercase()))
        .collect();
    HandlerDescription { command: spec.clone(), method, site: Site::new(file, line), role: None }
}

/// A kind of the type `rig::<name>`, whose block begins at line 10 of `src/<name>.rs`.
pub(crate) fn kind(name: &str, commands: &[&CommandSpec]) -> KindDescription {
    let file = format!("src/{name}.rs");
    KindDescription {
        kind: name.to_owned(),
        path: format!("rig::{name}"),
        handlers: commands.iter().zip(12..).map(|(spec, line)| handler(spec, &file, line)).collect(),
        site: Site::new(file, 10),
        inputs: Vec::new(),
        timers: Vec::new(),
        self_checks: Vec::new(),
        signals: Vec::new(),
        shares: Vec::new(),
        settings: None,
        roles: Vec::new(),
        config: unit(),
    }
}

/// The kind with a role that declares one more command, in `src/roles.rs`.
pub(crate) fn playing(
    mut kind: KindDescription,
    role: &str,
    spec: &CommandSpec,
    line: u32,
) -> KindDescription {
    kind.roles.push(role.to_owned());
    kind.handlers
        .push(HandlerDescription { role: Some(role.to_owned()), ..handler(spec, "src/roles.rs", line) });
    kind
}

/// The kind with one more input.
pub(crate) fn looking(mut kind: KindDescription, input: &str) -> KindDescription {
    let site = Site::new(kind.site.file.clone(), 40);
    kind.inputs.push(InputDescription { name: input.to_owned(), method: format!("see_{input}"), site });
    kind
}

/// A scope `rig::<name>` that is `Default`, in `src/<name>.rs`.
pub(crate) fn scope(name: &str, commands: &[&CommandSpec]) -> ScopeDescription {
    let kind = kind(name, commands);
    ScopeDescription { path: kind.path, site: kind.site, handlers: kind.handlers, has_default: true }
}

/// What this program contains.
pub(crate) fn here(kinds: Vec<KindDescription>, scopes: Vec<ScopeDescription>) -> ProgramManifest {
    ProgramManifest { program: None, manifest: Manifest { kinds, scopes, methods: Vec::new() } }
}

/// What the program `/opt/<name>` contains.
pub(crate) fn program(name: &str, kinds: Vec<KindDescription>) -> ProgramManifest {
    ProgramManifest {
        program: Some(format!("/opt/{name}").into()),
        manifest: Manifest { kinds, ..Manifest::default() },
    }
}
